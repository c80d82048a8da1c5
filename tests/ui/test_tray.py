"""The tray: keep, name, group, move, remove, drag and drop."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QLineEdit

from latentlab.core.latents import Latents
from latentlab.ui.panels.tray import TrayPanel, moved_together
from latentlab.ui.widgets.image_mime import PICTURE_MIME, picture_mime
from latentlab.ui.widgets.thumbnail import IMAGE_ROLE, TILE
from tests.ui.stage import DEPTH, FormulaBridge, decode, make_controller, picture, pixels

pytestmark = pytest.mark.gui


@pytest.fixture
def bridge():
    return FormulaBridge()


@pytest.fixture
def controller(tmp_path, qtbot, bridge):
    controller = make_controller(tmp_path, bridge)
    controller.open_model("waves")
    return controller


@pytest.fixture
def tray(controller, qtbot):
    panel = TrayPanel(controller)
    qtbot.addWidget(panel)
    panel.resize(700, 120)
    with qtbot.waitExposed(panel):
        panel.show()
    return panel


def seeds(controller) -> list[int]:
    return [item.picture.seeds[0] for item in controller.document.tray]


def centre(tray, row: int) -> QPoint:
    return tray.view.visualRect(tray.model.index(row)).center()


def drop(tray, data: QMimeData, place: int) -> bool:
    at = QPointF(place * TILE.width(), 40)
    actions = Qt.DropAction.CopyAction | Qt.DropAction.MoveAction
    none = Qt.KeyboardModifier.NoModifier
    left = Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(at.toPoint(), actions, data, left, none)
    enter.setAccepted(False)
    QApplication.sendEvent(tray.view.viewport(), enter)
    if not enter.isAccepted():
        return False
    event = QDropEvent(at, actions, data, left, none)
    QApplication.sendEvent(tray.view.viewport(), event)
    return event.isAccepted()


def items_mime(controller, *rows: int) -> QMimeData:
    chosen = [controller.document.tray[row] for row in rows]
    return picture_mime(
        [item.picture for item in chosen], source="tray", items=[item.id for item in chosen]
    )


def test_an_empty_tray_teaches(tray):
    assert "Press K" in tray.view.accessibleDescription()
    painted = pixels(tray.view)
    assert len({tuple(p) for p in painted.reshape(-1, 3)}) > 2


def test_keep_button_keeps_the_image_on_the_canvas(controller, tray, qtbot):
    controller.set_sampling(seed=12, count=1)
    qtbot.mouseClick(tray.keep_button, Qt.MouseButton.LeftButton)
    assert seeds(controller) == [12]
    assert tray.model.rowCount() == 1
    assert "1 kept picture" in tray.view.accessibleDescription()


def test_thumbnails_show_the_image(controller, tray, bridge):
    controller.keep_picture(picture(8))
    image = tray.model.index(0).data(IMAGE_ROLE)
    expected = decode(bridge.latents_of(picture(8)))[0]
    np.testing.assert_array_equal(tray.model.index(0).data(IMAGE_ROLE), expected)
    assert image is None or (image == expected).all()
    tile = tray.view.visualRect(tray.model.index(0))
    colours = {tuple(p) for p in pixels(tray.view.viewport())[:70, : tile.width()].reshape(-1, 3)}
    assert {tuple(p) for p in expected.reshape(-1, 3)} <= colours


def test_a_thumbnail_that_is_late_blocks_nothing(controller, tray, bridge):
    bridge.held = True
    controller.keep_picture(picture(8))
    assert tray.model.index(0).data(IMAGE_ROLE) is None
    pixels(tray.view)
    bridge.release()
    assert tray.model.index(0).data(IMAGE_ROLE) is not None


def test_delete_removes_the_selection_and_undo_brings_it_back(controller, tray, qtbot):
    for seed in (1, 2, 3, 4):
        controller.keep_picture(picture(seed))
    qtbot.mouseClick(tray.view.viewport(), Qt.MouseButton.LeftButton, pos=centre(tray, 1))
    qtbot.mouseClick(
        tray.view.viewport(),
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.ControlModifier,
        centre(tray, 2),
    )
    qtbot.keyClick(tray.view, Qt.Key.Key_Delete)
    assert seeds(controller) == [1, 4]
    controller.undo()
    assert seeds(controller) == [1, 2, 3, 4]


def test_double_click_and_enter_show_it_on_the_canvas(controller, tray, qtbot):
    for seed in (1, 2):
        controller.keep_picture(picture(seed, edits={"smiling": 1.0}))
    port = tray.view.viewport()
    qtbot.mouseClick(port, Qt.MouseButton.LeftButton, pos=centre(tray, 1))
    qtbot.mouseDClick(port, Qt.MouseButton.LeftButton, pos=centre(tray, 1))
    assert controller.document.canvas == picture(2, edits={"smiling": 1.0})
    qtbot.keyClick(tray.view, Qt.Key.Key_Left)
    qtbot.keyClick(tray.view, Qt.Key.Key_Return)
    assert controller.document.canvas.seeds == (1,)


def test_f2_names(controller, tray, qtbot):
    controller.keep_picture(picture(1))
    qtbot.mouseClick(tray.view.viewport(), Qt.MouseButton.LeftButton, pos=centre(tray, 0))
    qtbot.keyClick(tray.view, Qt.Key.Key_F2)
    editor = tray.view.findChild(QLineEdit)
    qtbot.keyClicks(editor, "Ada")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: controller.document.tray[0].picture.name == "Ada")
    assert tray.model.index(0).data() == "Ada"
    controller.undo()
    assert tray.model.index(0).data() == "seed 1"


def test_menu_groups_and_removes(controller, tray, qtbot):
    for seed in (1, 2, 3):
        controller.keep_picture(picture(seed))
    ids = [item.id for item in controller.document.tray]
    tray.select({ids[0], ids[2]}, ids[0])
    menus = [a.menu() for a in tray.menu_for_selection().actions() if a.menu()]
    group = next(menu for menu in menus if menu.findChild(QLineEdit))
    line = group.findChild(QLineEdit)
    line.setText("calm")
    line.returnPressed.emit()
    assert [item.group for item in controller.document.tray] == ["calm", "", "calm"]
    menu = tray.menu_for_selection()
    group = [a.menu() for a in menu.actions() if a.menu()][-1]
    next(a for a in group.actions() if a.text() == "No group").trigger()
    assert [item.group for item in controller.document.tray] == ["", "", ""]
    next(a for a in menu.actions() if "Remove" in a.text()).trigger()
    assert seeds(controller) == [2]


def test_drag_within_the_tray_reorders_in_one_step(controller, tray):
    for seed in (1, 2, 3, 4):
        controller.keep_picture(picture(seed))
    steps = len(controller.history.entries)
    assert drop(tray, items_mime(controller, 0, 1), 4)
    assert seeds(controller) == [3, 4, 1, 2]
    assert len(controller.history.entries) == steps + 1
    assert drop(tray, items_mime(controller, 3), 1)
    assert seeds(controller) == [3, 2, 4, 1]


def test_alt_arrows_move_the_selection(controller, tray, qtbot):
    for seed in (1, 2, 3):
        controller.keep_picture(picture(seed))
    first = controller.document.tray[0].id
    tray.select({first}, first)
    alt = Qt.KeyboardModifier.AltModifier
    qtbot.keyClick(tray.view, Qt.Key.Key_Right, alt)
    assert seeds(controller) == [2, 1, 3]
    qtbot.keyClick(tray.view, Qt.Key.Key_Right, alt)
    assert seeds(controller) == [2, 3, 1]
    qtbot.keyClick(tray.view, Qt.Key.Key_Right, alt)
    qtbot.keyClick(tray.view, Qt.Key.Key_Left, alt)
    assert seeds(controller) == [2, 1, 3]


def test_dropping_from_the_canvas_keeps_it_there(controller, tray):
    for seed in (1, 2):
        controller.keep_picture(picture(seed))
    steps = len(controller.history.entries)
    assert drop(tray, picture_mime([picture(9)], source="canvas"), 1)
    assert seeds(controller) == [1, 9, 2]
    assert len(controller.history.entries) == steps + 1


def test_a_dropped_grid_becomes_single_pictures(controller, tray):
    z = np.random.default_rng(0).normal(size=(3, DEPTH)).astype(np.float32)
    stored = controller.store.put_latents(Latents("z", {"z": z}))
    assert drop(tray, picture_mime([picture(stored=stored)]), 0)
    kept = [controller.store.latents(item.picture)["z"] for item in controller.document.tray]
    np.testing.assert_array_equal(np.concatenate(kept), z)


def test_foreign_data_change_nothing(controller, tray, qtbot):
    controller.keep_picture(picture(1))
    before = controller.document
    text = QMimeData()
    text.setText("hello")
    assert not drop(tray, text, 0)
    data = QMimeData()
    data.setData(PICTURE_MIME, b'{"pictures": 7}')
    with qtbot.waitSignal(controller.failed):
        drop(tray, data, 0)
    assert controller.document == before


def test_the_selection_survives_other_changes(controller, tray):
    for seed in (1, 2, 3):
        controller.keep_picture(picture(seed))
    tray.select({controller.document.tray[1].id})
    controller.keep_picture(picture(4))
    assert [item.picture.seeds for item in tray.selected()] == [(2,)]


def test_moved_together_keeps_everything():
    from latentlab.core.document import Document, TrayItem

    document = Document(tray=tuple(TrayItem(id=c, picture=picture(1)) for c in "abcde"))
    moved = moved_together(document, ("b", "d"), 0)
    assert "".join(item.id for item in moved.tray) == "bdace"
    moved = moved_together(document, ("b", "d"), 5)
    assert "".join(item.id for item in moved.tray) == "acebd"
