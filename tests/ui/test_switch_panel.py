"""The Switch panel with real clicks, keys and drops, over a real tiny flow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QDragMoveEvent, QDropEvent, QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolTip

from latentlab.core.recombine import PartRange
from latentlab.services.png import read_png_metadata
from latentlab.ui.panels.switch import SwitchPanel
from latentlab.ui.widgets import picture_hand
from latentlab.ui.widgets.image_mime import picture_mime
from latentlab.ui.widgets.switch_painter import column_colour, row_colour
from tests.ui.stage import pixels
from tests.ui.switch_stage import make_switch, photo, sample
from tests.ui.windows import drop_on, file_data

pytestmark = pytest.mark.gui
Key = Qt.Key
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def stage(tmp_path, qapp, qtbot):
    """The panel alone, as a window of its own, with three sources."""
    found = make_switch(tmp_path)
    found.panel = SwitchPanel(found.controller)
    found.model = found.panel.model
    found.matrix = found.panel.page.matrix
    found.panel.resize(820, 560)
    found.panel.show()
    qtbot.waitUntil(found.panel.isActiveWindow)

    def settle() -> None:
        qtbot.waitUntil(
            lambda: (
                not (found.model._calm.isActive() or found.model.busy)
                and not found.panel.blend._calm.isActive()
            )
        )

    found.settle = settle
    found.model.add([sample(1), sample(2), sample(3)])
    settle()
    found.matrix.setFocus()
    yield found
    QToolTip.hideText()
    found.panel.close()
    found.panel.deleteLater()
    found.controller.deleteLater()


def press(stage, key, modifiers=Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(QApplication.focusWidget(), key, modifiers)


def click(stage, place, double: bool = False) -> None:
    view, at = stage.matrix.viewport(), stage.matrix.place_rect(place).center()
    QTest.mouseClick(view, LEFT, pos=at)
    if double:
        QTest.mouseDClick(view, LEFT, pos=at)


def move_mouse(widget, at: QPoint, buttons=Qt.MouseButton.NoButton) -> None:
    event = QMouseEvent(
        QMouseEvent.Type.MouseMove,
        QPointF(at),
        QPointF(widget.mapToGlobal(at)),
        Qt.MouseButton.NoButton,
        buttons,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(widget, event)


def seeds(stage) -> list[int]:
    return [source.picture.seeds[0] for source in stage.model.switch.sources]


def drawn(stage, place) -> np.ndarray:
    """The image that is painted at a place, at its own size."""
    box = stage.matrix.place_rect(place)
    area = pixels(stage.matrix.viewport())[
        box.top() : box.bottom() + 1, box.left() : box.right() + 1
    ]
    scale = area.shape[0] // 16
    return area[scale // 2 :: scale, scale // 2 :: scale][:16, :16]


def test_every_cell_shows_its_picture(stage):
    for row in range(3):
        for column in range(3):
            assert np.array_equal(drawn(stage, (row, column)), stage.model.image((row, column)))
    for place in range(3):
        assert np.array_equal(drawn(stage, (place, -1)), stage.model.image((place, place)))
        assert np.array_equal(drawn(stage, (-1, place)), stage.model.image((place, place)))


def test_it_begins_with_one_button(stage, qtbot):
    stage.model.clear()
    panel = stage.panel
    assert panel.empty.isVisible()
    QTest.mouseClick(panel.empty.state._button, LEFT)
    stage.settle()
    assert panel.tabs.isVisible()
    assert stage.model.count == 4
    assert not stage.model.waiting((3, 0))


def test_row_and_column_under_the_mouse_stand_out(stage):
    view = stage.matrix.viewport()
    at = stage.matrix.place_rect((1, 2))
    move_mouse(view, at.center())
    image = pixels(view)
    left, above = stage.matrix.place_rect((1, 0)), stage.matrix.place_rect((0, 2))
    # In the gap before the first cell of the row, and above the first one of the column.
    row, column = row_colour(view.palette()), column_colour(view.palette())
    beside = image[left.center().y(), left.left() - 3].astype(int)
    over = image[above.top() - 3, above.center().x()].astype(int)
    assert beside[2] - beside[0] > 40, row.name()
    assert over[0] - over[2] > 40, column.name()
    assert stage.panel.page.detail.cell == (1, 2)
    other = image[stage.matrix.place_rect((0, 0)).center().y(), left.left() - 3].astype(int)
    assert abs(other[2] - other[0]) < 10


def test_keys_go_over_cells_and_heads(stage):
    click(stage, (0, 0))
    press(stage, Key.Key_Right)
    press(stage, Key.Key_Down)
    assert stage.matrix.place == (1, 1)
    press(stage, Key.Key_End)
    assert stage.matrix.place == (1, 2)
    press(stage, Key.Key_Home)
    assert stage.matrix.place == (1, 0)
    press(stage, Key.Key_Left)
    assert stage.matrix.place == (1, -1)
    assert stage.matrix.accessibleDescription().startswith("B: seed 2")
    press(stage, Key.Key_Up)
    assert stage.matrix.place == (0, -1)
    press(stage, Key.Key_Up)
    assert stage.matrix.place == (0, -1)
    press(stage, Key.Key_Right)
    press(stage, Key.Key_Right)
    assert stage.matrix.accessibleDescription().startswith("Global of A (seed 1), local of B")


def test_enter_and_a_double_click_go_to_the_canvas(stage):
    click(stage, (0, 1))
    press(stage, Key.Key_Return)
    canvas = stage.controller.document.canvas
    assert canvas == stage.model.picture((0, 1))
    assert canvas.name == "global of seed 1, local of seed 2"
    click(stage, (2, -1), double=True)
    assert stage.controller.document.canvas == sample(3)


def test_k_keeps_what_is_chosen(stage):
    click(stage, (2, 0))
    press(stage, Key.Key_K)
    kept = stage.controller.document.tray[-1].picture
    assert kept == stage.model.picture((2, 0))
    renderer, store = stage.bridge.context.renderer, stage.controller.store
    assert np.array_equal(
        renderer.exact(kept, store.latents(kept))[0][0], stage.model.image((2, 0))
    )


def test_alt_and_arrows_reorder_and_delete_removes(stage):
    click(stage, (-1, 0))
    press(stage, Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    assert seeds(stage) == [2, 1, 3]
    assert stage.matrix.place == (-1, 1)
    press(stage, Key.Key_Delete)
    assert seeds(stage) == [2, 3]
    stage.controller.undo()
    assert seeds(stage) == [2, 1, 3]
    said = []
    stage.controller.message.connect(lambda text, _details: said.append(text))
    click(stage, (0, 1))
    press(stage, Key.Key_Delete)
    assert seeds(stage) == [2, 1, 3]
    assert "head" in said[-1]


def test_roles_are_turned_by_click_and_by_key(stage):
    chips = {chip.text(): chip for chip in stage.panel.roles.chips}
    assert list(chips) == ["Global", "Local 1", "Local 2", "Local 3"]
    assert [chip.arrow for chip in chips.values()] == ["→", "↓", "↓", "↓"]
    QTest.mouseClick(chips["Local 3"], LEFT)
    assert stage.model.rows == {PartRange("global"), PartRange("local_3")}
    assert chips["Local 3"].accessibleName() == "Local 3, from the row"
    chips["Local 3"].setFocus()
    press(stage, Key.Key_Space)
    assert stage.model.rows == {PartRange("global")}
    QTest.mouseClick(chips["Global"], LEFT)
    assert [chip.arrow for chip in chips.values()] == ["↓", "→", "→", "→"]
    QTest.mouseClick(stage.panel.swap, LEFT)
    assert stage.model.rows == {PartRange("global")}
    stage.settle()
    assert np.array_equal(drawn(stage, (0, 1)), stage.model.image((0, 1)))


def test_a_head_is_dragged_to_another_place(stage, monkeypatch):
    started = []
    monkeypatch.setattr(picture_hand, "start_drag", lambda widget, shown: started.append(shown[0]))
    view = stage.matrix.viewport()
    at = stage.matrix.place_rect((2, -1)).center()
    QTest.mousePress(view, LEFT, pos=at)
    move_mouse(view, at + QPoint(40, 0), LEFT)
    (shown,) = started
    assert shown.picture == sample(3)
    data = picture_mime([shown.picture], source=shown.source, items=[shown.item])
    place = QPointF(stage.matrix.place_rect((0, 0)).topLeft())
    actions, none = Qt.DropAction.CopyAction, Qt.KeyboardModifier.NoModifier
    plain = pixels(view)
    stage.matrix.dragMoveEvent(QDragMoveEvent(place.toPoint(), actions, data, LEFT, none))
    assert (pixels(view) != plain).any()
    stage.matrix.dropEvent(QDropEvent(place, actions, data, LEFT, none))
    assert seeds(stage) == [3, 1, 2]


def test_drops_add_pictures_and_photographs(stage, tmp_path):
    assert drop_on(stage.panel, picture_mime([sample(8)]))
    assert seeds(stage) == [1, 2, 3, 8]
    path = tmp_path / "beach.png"
    Image.fromarray(photo(side=40)).save(path)
    assert drop_on(stage.panel, file_data(path))
    stage.settle()
    assert stage.model.name(4) == "E (beach)"
    assert stage.model.trip(4).psnr_db is not None
    text = stage.matrix.text_at((4, 4))
    assert "comes back" in text


def test_the_menu_of_a_cell_and_of_a_head(stage):
    page = stage.panel.page
    texts = [action.text().replace("&", "") for action in page.menu_at((0, 1)).actions()]
    assert texts[0] == "Blend A and B"
    for wanted in ("Show on the map", "Check what comes back"):
        assert wanted in texts
    head = page.menu_at((1, -1))
    remove = next(a for a in head.actions() if a.text().startswith("&Remove"))
    remove.trigger()
    assert seeds(stage) == [1, 3]


def test_use_as_row_and_column_of_other_pictures(stage):
    stage.controller.picture_used.emit("switch", "column", sample(2))
    assert stage.matrix.place == (-1, 1)
    stage.controller.picture_used.emit("switch", "row", sample(7))
    assert seeds(stage) == [1, 2, 3, 7]
    assert stage.matrix.place == (3, -1)


def test_the_check_stands_under_the_chosen_picture(stage):
    click(stage, (1, 1))
    assert not stage.panel.page.check.isEnabled()
    click(stage, (0, 1))
    QTest.mouseClick(stage.panel.page.check, LEFT)
    stage.settle()
    text = stage.panel.page.facts.text()
    assert "come back to" in text
    assert "A and B are" in text


def test_local_parts_can_be_looked_at(stage):
    click(stage, (0, 1))
    move_mouse(stage.matrix.viewport(), QPoint(1, 1))
    before = pixels(stage.panel.page.detail)
    QTest.mouseClick(stage.panel.page.maps, LEFT)
    after = pixels(stage.panel.page.detail)
    assert (before != after).mean() > 0.05
    assert "σ" in stage.panel.page.facts.text()
    # Those of one column are the same, whatever the row.
    click(stage, (2, 1))
    move_mouse(stage.matrix.viewport(), QPoint(1, 1))
    assert np.array_equal(pixels(stage.panel.page.detail), after)


def test_blending_by_sliders_is_one_step_a_drag(stage, qtbot):
    panel = stage.panel
    stage.page = panel.page
    stage.model.blend_asked.emit(0, 2)
    stage.settle()
    page = panel.blend_page
    assert page.isVisible()
    assert (page.first.currentIndex(), page.second.currentIndex()) == (0, 2)
    steps = len(stage.controller.history.entries)
    slider = page.sliders.sliders[1]
    at = slider.rect().center()
    QTest.mousePress(slider, LEFT, pos=QPoint(10, at.y()))
    for x in range(20, at.x(), 20):
        move_mouse(slider, QPoint(x, at.y()), LEFT)
    QTest.mouseRelease(slider, LEFT, pos=at)
    assert len(stage.controller.history.entries) == steps + 1
    amount = stage.model.switch.amounts["global"]
    assert amount == pytest.approx(slider.number)
    qtbot.waitUntil(lambda: panel.blend.image is not None)
    picture = panel.blend.picture()
    renderer, store = stage.bridge.context.renderer, stage.controller.store
    latents = store.latents(picture)
    ends = [renderer.latents(sample(seed)) for seed in (1, 3)]
    assert np.array_equal(latents["local_1"], ends[0]["local_1"])
    assert not np.array_equal(latents["global"], ends[0]["global"])
    exact = renderer.exact(picture, latents)[0][0]
    assert np.abs(exact.astype(int) - panel.blend.image).max() <= 1
    stage.controller.undo()
    assert slider.number == 0


def test_the_mix_grid_has_the_pair_in_its_corners(stage, qtbot):
    stage.model.blend_asked.emit(0, 1)
    stage.settle()
    blend, grid = stage.panel.blend, stage.panel.blend_page.grid
    qtbot.waitUntil(lambda: blend.cell_image(4, 4) is not None)
    assert np.array_equal(blend.cell_image(0, 0), stage.model.image((0, 0)))
    assert np.array_equal(blend.cell_image(4, 4), stage.model.image((1, 1)))
    # Down goes what comes from the row: the last row's first has the second's global part.
    assert np.array_equal(blend.cell_image(4, 0), stage.model.image((1, 0)))
    store = stage.controller.store
    corner = store.latents(blend.cell_picture(4, 0))
    assert np.array_equal(corner["global"], stage.model.latents((1, 0))["global"])
    QTest.mouseClick(grid.viewport(), LEFT, pos=grid.place_rect((1, 3)).center())
    amounts = stage.model.switch.amounts
    assert amounts == {"global": 0.25, "local_1": 0.75, "local_2": 0.75, "local_3": 0.75}
    asked = stage.bridge.kinds().count("switch_mix")
    stage.panel.blend_page.size_box.setValue(3)
    stage.settle()
    qtbot.waitUntil(lambda: blend.cell_image(2, 2) is not None)
    assert stage.bridge.kinds().count("switch_mix") == asked + 1


def test_swapping_the_pair_keeps_the_picture(stage):
    stage.model.blend_asked.emit(0, 1)
    stage.settle()
    blend = stage.panel.blend
    blend.set_amount(frozenset({PartRange("global")}), 0.25)
    before = stage.controller.store.latents(blend.picture())
    QTest.mouseClick(stage.panel.blend_page.swap, LEFT)
    assert blend.pair == (1, 0)
    after = stage.controller.store.latents(blend.picture())
    for part in before:
        assert np.allclose(before[part], after[part], atol=1e-5)


def test_the_export_is_the_commands_and_says_how_it_was_made(stage, tmp_path):
    export = stage.panel.export
    QTest.mouseClick(stage.panel.more, LEFT)
    assert export.isVisible()
    export.hide()
    path = tmp_path / "switch.png"
    export.write(path)
    stage.settle()
    image = np.asarray(Image.open(path).convert("RGB"))
    assert image.shape[0] > 4 * 64
    record = read_png_metadata(path)
    assert record.picture.seeds == (1, 2, 3)
    command = export.command_text()
    assert command.startswith("latentlab switch")
    for word in ("seed:1", "seed:2", "seed:3", "--heads", "--captions"):
        assert word in command
    stage.model.blend_asked.emit(2, 0)
    stage.settle()
    QTest.mouseClick(stage.panel.more, LEFT)
    assert "--mix 3 1" in export.command_text()
    export.hide()


def test_a_failure_stands_in_the_panel_and_can_be_tried_again(stage, qtbot):
    stage.bridge.held = True
    stage.model.swap()
    qtbot.waitUntil(lambda: stage.model.busy)
    stage.controller.cancel()
    qtbot.waitUntil(stage.panel.notice.isVisible)
    assert "missing" in stage.panel.notice.sentence.text()
    stage.bridge.held = False
    stage.model.try_again()
    stage.settle()
    assert not stage.panel.notice.isVisible()


def test_a_grid_of_too_many_is_refused_with_a_sentence(stage):
    failed = []
    stage.controller.failed.connect(lambda sentence, _details: failed.append(sentence))
    stage.model.add([sample(*range(40))])
    assert "room for 16" in failed[0]
    assert seeds(stage) == [1, 2, 3]


@pytest.mark.parametrize("size", [(340, 420), (420, 640), (1200, 800)])
def test_everything_is_in_sight_at_every_size(stage, size):
    stage.panel.resize(*size)
    QApplication.sendPostedEvents()
    page = stage.panel.page
    for button, _ in page.buttons:
        assert stage.panel.rect().contains(
            button.mapTo(stage.panel, button.rect().bottomRight())
        ), button.text()
    last = stage.matrix.place_rect((2, 2))
    assert stage.matrix.viewport().rect().contains(last)
