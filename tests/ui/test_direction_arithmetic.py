"""A - B + C: three places, a weight, the result on the canvas, a slider of the difference."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QDrag
from PySide6.QtWidgets import QApplication

from latentlab.core.latents import Latents
from latentlab.core.requests import Failure
from latentlab.ui.widgets.image_mime import picture_mime, read_pictures
from tests.ui.directions_stage import click, found, make_stage, mark
from tests.ui.stage import decode, picture
from tests.ui.windows import drop_on

pytestmark = pytest.mark.gui


@pytest.fixture
def stage(tmp_path, qtbot):
    controller, bridge, panel = make_stage(tmp_path, qtbot)
    for seed in (10, 11, 12):
        controller.set_sampling(seed=seed)
        controller.keep(0)
    controller.set_sampling(seed=3)
    panel.show_page("arithmetic", focus=True)
    return controller, bridge, panel.pages["arithmetic"]


def fill(stage) -> None:
    """Drop the three kept pictures onto A, B and C, and let their latents come."""
    controller, bridge, page = stage
    for title, item in zip("ABC", controller.document.tray):
        data = picture_mime([item.picture], source="tray", items=[item.id])
        assert drop_on(page.wells[title], data)
    give_latents(bridge)


def give_latents(bridge) -> None:
    job = bridge.of_kind("picture_latents")[-1]
    pictures = [one for one, _ in job.arguments["pictures"]]
    value = tuple(Latents("z", {"z": bridge.latents_of(one)}) for one in pictures)
    bridge.finish("picture_latents", value)


def expected(bridge, weight: float, order=(10, 11, 12)) -> np.ndarray:
    a, b, c = (bridge.latents_of(picture(seed)).astype(np.float64) for seed in order)
    return weight * (a - b) + c


def canvas_latents(controller) -> np.ndarray:
    return controller.store.latents(controller.document.canvas)["z"]


def test_the_result_stands_on_the_canvas_and_in_the_formula(stage):
    controller, bridge, page = stage
    assert page.teach.isVisible()
    fill(stage)
    assert np.allclose(canvas_latents(controller), expected(bridge, 1), atol=1e-6)
    assert page.result.picture == controller.document.canvas
    assert page.formula.text() == "A − B + C"
    assert not page.teach.isVisible()
    shown = page.result.shown().image
    assert np.array_equal(shown, decode(canvas_latents(controller))[0])


def test_the_weight_is_followed_live_in_one_step(stage, qtbot):
    controller, bridge, page = stage
    fill(stage)
    steps = len(controller.history.entries)
    page.slider.setSliderDown(True)
    for step in (120, 150, 180):
        page.slider.setValue(step)
        assert np.allclose(canvas_latents(controller), expected(bridge, step / 100), atol=1e-6)
    page.slider.setSliderDown(False)
    assert len(controller.history.entries) <= steps + 1
    assert len(bridge.of_kind("picture_latents")) == 0
    assert page.box.value() == 1.8
    assert page.formula.text() == "C + 1.80 × (A − B)"
    page.slider.setFocus()
    qtbot.keyClick(page.slider, Qt.Key.Key_Left)
    assert page.box.value() == 1.7
    page.box.setValue(-1.0)
    assert page.formula.text() == "C − 1.00 × (A − B)"
    assert np.allclose(canvas_latents(controller), expected(bridge, -1), atol=1e-6)


def test_swapping_exchanges_pictures_once(stage, qtbot):
    controller, bridge, page = stage
    fill(stage)
    click(qtbot, page.swap_ab)
    assert len(bridge.of_kind("picture_latents")) == 1
    give_latents(bridge)
    assert np.allclose(canvas_latents(controller), expected(bridge, 1, (11, 10, 12)), atol=1e-6)
    click(qtbot, page.swap_bc)
    give_latents(bridge)
    assert np.allclose(canvas_latents(controller), expected(bridge, 1, (11, 12, 10)), atol=1e-6)


def test_the_result_is_kept_and_dragged_away(stage, qtbot, monkeypatch):
    controller, bridge, page = stage
    assert not page.keep_button.isEnabled()
    fill(stage)
    click(qtbot, page.keep_button)
    kept = controller.document.tray[-1].picture
    assert np.allclose(controller.store.latents(kept)["z"], expected(bridge, 1), atol=1e-6)
    dragged = []
    monkeypatch.setattr(
        QDrag, "exec", lambda self, *_: dragged.append(self.mimeData()) or Qt.DropAction.CopyAction
    )
    start = page.result.image_rect().center()
    qtbot.mousePress(page.result, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(page.result, start + QPoint(QApplication.startDragDistance() + 2, 4))
    assert read_pictures(dragged[0], controller.store).pictures == (page.result.picture,)


def test_what_comes_from_the_canvas_is_kept_first(stage):
    controller, _, page = stage
    assert drop_on(page.wells["A"], picture_mime([picture(77)], source="canvas"))
    assert controller.document.tray[-1].picture == picture(77)
    assert page.wells["A"].item == controller.document.tray[-1].id
    count = len(controller.document.tray)
    drop_on(page.wells["B"], picture_mime([picture(77)], source="canvas"))
    assert len(controller.document.tray) == count


def test_a_place_is_filled_and_emptied_by_keys(stage, qtbot, qapp):
    controller, _, page = stage
    well = page.wells["A"]
    well.setFocus()
    qtbot.keyClick(well, Qt.Key.Key_Return)
    menu = qapp.activePopupWidget()
    texts = [action.text().replace("&", "") for action in menu.actions()]
    assert texts[0] == "The image on the canvas"
    assert texts[2:5] == ["seed 10", "seed 11", "seed 12"]
    menu.actions()[3].trigger()
    menu.close()
    assert well.picture == controller.document.tray[1].picture
    qtbot.keyClick(well, Qt.Key.Key_Delete)
    assert well.picture is None


def test_a_picture_that_leaves_the_tray_leaves_its_place(stage):
    controller, _, page = stage
    fill(stage)
    controller.remove_from_tray([page.wells["B"].item])
    assert page.wells["B"].picture is None
    assert page.result.picture is None
    assert not page.make_button.isEnabled()


def test_a_broken_drop_says_so(stage):
    from PySide6.QtCore import QMimeData

    _, _, page = stage
    data = QMimeData()
    data.setData("application/x-latentlab-picture", b"{}")
    drop_on(page.wells["C"], data)
    assert "damaged" in page.note.text()
    assert page.note.isVisible()


def test_the_difference_becomes_a_slider(stage, qtbot):
    controller, bridge, page = stage
    assert not page.make_button.isEnabled()
    fill(stage)
    click(qtbot, page.make_button)
    a, b = (controller.document.tray[place].picture for place in (0, 1))
    panel = page.window()
    asked = bridge.finish(
        "difference_direction", (found("x", 1, mark(controller), auc=None, distance=4.2),)
    )
    assert (asked["start"], asked["end"]) == ((b, None), (a, None))
    assert asked["name"] == "seed 10 minus seed 11"
    assert asked["model"] == "waves"
    (card,) = panel.results.cards
    assert "4.2 σ apart" in card.caption.text()
    page.name_box.setText("glasses")
    qtbot.keyClick(page.name_box, Qt.Key.Key_Return)
    bridge.finish("difference_direction", failure=Failure("The two pictures have the same latent."))
    assert "same latent" in page.jobs.failure.message


def test_undo_takes_the_result_off_the_canvas(stage):
    controller, _, _page = stage
    before = controller.document.canvas
    fill(stage)
    controller.undo()
    assert controller.document.canvas == before
