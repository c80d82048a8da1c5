"""The Denoising panel with real clicks and keys, over a worker whose frames are known."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QMenu

from latentlab.core.denoising import Branch
from latentlab.ui.panels.denoising import DenoisingPanel
from latentlab.ui.widgets import picture_hand
from latentlab.ui.widgets.image_mime import picture_mime
from tests.ui.denoise_stage import STEPS, make_step_controller, open_steps, shade
from tests.ui.stage import pixels, turn_wheel
from tests.ui.windows import drop_on

pytestmark = pytest.mark.gui
Key = Qt.Key


@pytest.fixture
def window(tmp_path, qapp, qtbot):
    """The panel alone, as a window of its own."""
    found = make_step_controller(tmp_path)
    open_steps(found.controller)
    found.panel = DenoisingPanel(found.controller)
    found.panel.resize(780, 620)
    found.panel.show()
    qtbot.waitUntil(lambda: found.panel.isActiveWindow() and bool(found.bridge.asked))
    yield found
    found.panel.close()
    found.panel.deleteLater()
    found.controller.deleteLater()


@pytest.fixture
def panel(window):
    window.bridge.finish()
    window.panel.watch.timeline.setFocus()
    return window.panel


def press(panel, key, modifiers=Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(QApplication.focusWidget() or panel, key, modifiers)


def level(panel, path: str, index: int, show: str) -> int:
    return shade(panel.model.picture, path, index, show)


def shown_level(panel) -> int:
    """Level of the large image, read off the screen."""
    view = panel.watch.view
    at = view.image_rect(0).center()
    return int(pixels(view)[at.y(), at.x(), 0])


def click_frame(panel, path: str, show: str, index: int, double: bool = False) -> None:
    timeline = panel.watch.timeline
    at = timeline.frame_rect(path, show, index).center()
    act = QTest.mouseDClick if double else QTest.mouseClick
    if double:
        QTest.mouseClick(timeline.viewport(), Qt.MouseButton.LeftButton, pos=at)
    act(timeline.viewport(), Qt.MouseButton.LeftButton, pos=at)


def test_keys_step_through_the_run(window, panel):
    assert panel.model.selected == ("", STEPS + 1)
    press(panel, Key.Key_Home)
    assert panel.model.selected == ("", 1)
    assert shown_level(panel) == level(panel, "", 1, "x0")
    press(panel, Key.Key_Right)
    press(panel, Key.Key_Right)
    press(panel, Key.Key_Left)
    assert panel.model.selected == ("", 2)
    assert panel.watch.controls.slider.value() == 2
    press(panel, Key.Key_End)
    assert panel.model.selected == ("", STEPS + 1)
    assert shown_level(panel) == level(panel, "", STEPS + 1, "x0")


def test_the_wheel_and_the_slider_step_too(window, panel):
    press(panel, Key.Key_Home)
    turn_wheel(panel.watch.view, -2)
    assert panel.model.selected == ("", 3)
    turn_wheel(panel.watch.view, 1)
    assert panel.model.selected == ("", 2)
    slider = panel.watch.controls.slider
    QTest.mouseClick(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width() - 4, 8))
    assert panel.model.selected[1] == STEPS + 1


def test_a_click_chooses_a_step_and_what_is_shown(window, panel):
    click_frame(panel, "", "x_t", 4)
    assert panel.model.selected == ("", 4)
    assert panel.watch.controls.shows["x_t"].isChecked()
    assert shown_level(panel) == level(panel, "", 4, "x_t")
    QTest.mouseClick(panel.watch.controls.shows["eps"], Qt.MouseButton.LeftButton)
    assert shown_level(panel) == level(panel, "", 4, "eps")


def test_rows_can_be_switched_and_are_remembered(window, panel):
    timeline = panel.watch.timeline
    assert timeline.frame_rect("", "eps", 1).isEmpty()
    QTest.mouseClick(panel.watch.controls.buttons["rows"], Qt.MouseButton.LeftButton)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    next(a for a in menu.actions() if "epsilon" in a.text()).trigger()
    next(a for a in menu.actions() if "x_t" in a.text()).trigger()
    menu.close()
    assert not timeline.frame_rect("", "eps", 1).isEmpty()
    assert timeline.frame_rect("", "x_t", 1).isEmpty()
    assert window.controller.settings.denoise_view["rows"] == ["x0", "eps"]


def test_playing_ends_at_the_result_without_animation(window, panel, qtbot):
    panel.watch.state.loop = False
    panel.watch.controls.pace.setValue(60)
    QTest.mouseClick(panel.watch.controls.buttons["play"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.watch.controls.playing)
    assert panel.model.selected == ("", STEPS + 1)


def test_a_double_click_puts_a_frame_on_the_canvas(window, panel):
    click_frame(panel, "", "x0", 2, double=True)
    assert window.controller.document.canvas.options["stop_at"] == 2


def test_a_branch_by_keys_alone(window, panel):
    press(panel, Key.Key_Home)
    press(panel, Key.Key_Right)
    press(panel, Key.Key_Right)
    press(panel, Key.Key_B)
    popover = panel.watch.popover
    assert popover.isVisible()
    assert "From step 3 of 6" in popover.title.text()
    popover.seed.set_value(77)
    QTest.keyClick(popover.go, Key.Key_Space)
    assert not popover.isVisible()
    assert panel.model.paths == ("", "2:noise=77")
    window.bridge.finish()
    assert panel.model.selected[0] == "2:noise=77"
    timeline = panel.watch.timeline
    # It stands under the step that it leaves.
    branch, parent = timeline.frame_rect("2:noise=77", "x0", 3), timeline.frame_rect("", "x0", 3)
    assert branch.left() == parent.left()
    assert branch.top() > parent.bottom()
    press(panel, Key.Key_Up)
    assert panel.model.selected[0] == ""
    press(panel, Key.Key_Down)
    press(panel, Key.Key_Delete)
    assert panel.model.paths == ("",)
    window.controller.undo()
    assert panel.model.complete("2:noise=77")


def test_the_popover_changes_one_thing_at_a_time(window, panel):
    press(panel, Key.Key_Home)
    QTest.mouseClick(panel.watch.controls.buttons["branch"], Qt.MouseButton.LeftButton)
    popover = panel.watch.popover
    assert popover.noise.isChecked()
    popover.controls.guidance.box.setValue(3.0)
    assert not popover.noise.isChecked()
    assert popover.branch() == Branch(at=0, guidance=3.0)
    popover.controls.guidance.box.setValue(1.0)
    assert popover.noise.isChecked()
    QTest.mouseClick(popover.noise, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    assert popover.branch() is None
    assert not popover.go.isEnabled()
    popover.condition.form.edited.emit("smiling", 1.0)
    assert popover.go.isEnabled()
    QTest.mouseClick(popover.go, Qt.MouseButton.LeftButton)
    assert panel.model.paths == ("", "0:attr.smiling=1")
    assert panel.model.title("0:attr.smiling=1") == "smiling"


def test_an_elbow_of_its_colour_leads_to_a_branch(window, panel):
    path = panel.model.branch("", Branch(at=2, noise=5))
    window.bridge.finish()
    panel.model.select("", None)
    timeline = panel.watch.timeline
    painted = pixels(timeline.viewport())
    from latentlab.ui.widgets.denoise_marks import mark_of

    colour = mark_of(panel.model, path).colour(timeline.palette())
    x = timeline.frame_rect(path, "x0", 3).left() - 2
    top, bottom = timeline.frame_rect("", "x_t", 3).top(), timeline.header_rect(path).center().y()
    line = painted[top:bottom, x - 1 : x + 2].astype(int)
    near = np.abs(line - np.array(colour.getRgb()[:3])).sum(axis=2).min(axis=1)
    assert (near < 60).mean() > 0.9


def test_two_samplers_stand_side_by_side(window, panel):
    QTest.mouseClick(panel.watch.controls.buttons["compare"], Qt.MouseButton.LeftButton)
    assert panel.model.paths == ("", "0:sampler=ddim")
    window.bridge.finish()
    sides = panel.watch.view.sides
    assert [side.path for side in sides] == ["", "0:sampler=ddim", None]
    assert sides[0].title.startswith("A: DPM-Solver++ 2M")
    assert sides[1].title == "B: DDIM"
    click_frame(panel, "", "x0", 3)
    view = panel.watch.view
    painted = pixels(view)
    seen = [int(painted[c.y(), c.x(), 0]) for c in (view.image_rect(k).center() for k in range(3))]
    a, b = level(panel, "", 3, "x0"), level(panel, "0:sampler=ddim", 3, "x0")
    assert seen == [a, b, 128 + (a - b) // 2]
    QTest.mouseClick(panel.watch.controls.buttons["compare"], Qt.MouseButton.LeftButton)
    assert len(panel.watch.view.sides) == 1


def test_any_sampler_can_be_the_other_one(window, panel):
    menu = panel.watch.controls.buttons["compare"].menu()
    menu.aboutToShow.emit()
    titles = {action.text(): action for action in menu.actions()}
    assert not titles["DPM-Solver++ 2M"].isEnabled()
    titles["Heun"].trigger()
    assert panel.model.cursor.pair == ("", "0:sampler=heun")


def test_a_frame_is_dragged_away_as_a_picture(window, panel, monkeypatch):
    dragged = []
    monkeypatch.setattr(picture_hand, "start_drag", lambda _widget, shown: dragged.extend(shown))
    timeline = panel.watch.timeline
    for widget, start in (
        (timeline.viewport(), timeline.frame_rect("", "x_t", 3).center()),
        (panel.watch.view, panel.watch.view.image_rect(0).center()),
    ):
        QTest.mousePress(widget, Qt.MouseButton.LeftButton, pos=start)
        for far in (5, 40):
            move = QMouseEvent(
                QEvent.Type.MouseMove,
                QPointF(start + QPoint(far, far)),
                widget.mapToGlobal(QPointF(start + QPoint(far, far))),
                Qt.MouseButton.NoButton,
                Qt.MouseButton.LeftButton,
                Qt.KeyboardModifier.NoModifier,
            )
            QApplication.sendEvent(widget, move)
        QTest.mouseRelease(widget, Qt.MouseButton.LeftButton, pos=start)
    assert [one.picture.options["stop_at"] for one in dragged] == [3, 3]
    assert int(dragged[0].image[1, 1, 0]) == level(panel, "", 3, "x_t")


def test_any_two_branches_are_compared_by_keys(window, panel):
    first = panel.model.branch("", Branch(at=1, noise=1))
    second = panel.model.branch("", Branch(at=2, noise=2))
    window.bridge.finish()
    panel.model.select(first, None)
    press(panel, Key.Key_A, Qt.KeyboardModifier.ShiftModifier)
    panel.model.select(second, None)
    press(panel, Key.Key_B, Qt.KeyboardModifier.ShiftModifier)
    assert panel.model.cursor.pair == (first, second)


def test_a_branch_is_folded_and_named_in_its_place(window, panel):
    path = panel.model.branch("", Branch(at=2, noise=5))
    window.bridge.finish()
    timeline = panel.watch.timeline
    press(panel, Key.Key_F)
    assert timeline.frame_rect(path, "x0", 4).isEmpty()
    header = timeline.header_rect(path)
    QTest.mouseClick(
        timeline.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(8, header.center().y())
    )
    assert not timeline.frame_rect(path, "x0", 4).isEmpty()
    press(panel, Key.Key_F2)
    edit = timeline.viewport().findChild(QLineEdit)
    edit.selectAll()
    # Letters are letters here, not shortcuts.
    QTest.keyClicks(edit, "Bolder K")
    QTest.keyClick(edit, Key.Key_Return)
    assert panel.model.title(path) == "Bolder K"
    assert not window.controller.document.tray
    press(panel, Key.Key_F2)
    edit = next(e for e in timeline.viewport().findChildren(QLineEdit) if e.isVisible())
    QTest.keyClicks(edit, "no")
    QTest.keyClick(edit, Key.Key_Escape)
    assert panel.model.title(path) == "Bolder K"


def test_the_settings_above_make_the_run_anew(window, panel):
    panel.form.controls.guidance.box.setValue(2.0)
    window.bridge.finish()
    assert panel.model.picture.options["guidance"] == 2.0
    assert shown_level(panel) == level(panel, "", STEPS + 1, "x0")
    assert "with settings of its own" in panel.source.text()
    assert panel.canvas.isVisible()
    QTest.mouseClick(panel.canvas, Qt.MouseButton.LeftButton)
    assert panel.form.values()[0].guidance == 1.0
    assert not panel.model.pinned
    assert not panel.canvas.isVisible()


def test_a_picture_that_is_dropped_is_denoised(window, panel):
    row = window.controller.row_picture(5)
    assert drop_on(panel, picture_mime([row]))
    window.bridge.finish()
    assert panel.model.picture.seeds == (5,)
    assert not panel.model.follows
    assert panel.model.complete("")
    window.controller.undo()
    assert panel.model.picture.seeds == (0,)


def test_an_error_stands_where_the_image_would_be(window, qtbot):
    panel = window.panel
    window.bridge.fail("This model has 10 times: ask for at most 10 steps.", "details")
    assert panel.watch.error.isVisible()
    assert "at most 10 steps" in panel.watch.error.failure.message
    assert panel.again.isVisible()
    QTest.mouseClick(panel.again, Qt.MouseButton.LeftButton)
    window.bridge.finish()
    assert panel.watch.view.isVisible()


def test_the_schedule_marks_the_step_and_a_click_goes_there(window, panel, qtbot):
    if not panel.watch.schedule.isVisible():
        QTest.mouseClick(panel.schedule, Qt.MouseButton.LeftButton)
    click_frame(panel, "", "x0", 2)
    frame = panel.model.frames("")[1]

    def marked() -> bool:
        current = [mark.t for mark in panel.watch.schedule.state.marks if mark.current]
        return current == [frame.t]

    qtbot.waitUntil(marked)
    assert len(panel.watch.schedule.state.marks) == STEPS
    panel.watch.schedule.time_chosen.emit(round(panel.model.frames("")[4].t))
    assert panel.model.selected == ("", 5)


def test_export_writes_what_the_command_says(window, panel, tmp_path):
    path = panel.model.branch("", Branch(at=2, noise=5))
    window.bridge.finish()
    QTest.mouseClick(panel.watch.controls.buttons["export"], Qt.MouseButton.LeftButton)
    form = panel.watch.export
    assert form.isVisible()
    form.kind.setCurrentIndex(form.kind.findData(".gif"))
    form.every.setValue(2)
    text = form.command_text()
    for words in ("denoise", "--seed 0", f"--branch {path}", "--every 2", "--out run.gif"):
        assert words in text
    form.write(tmp_path / "run.gif")
    request = window.bridge.jobs[-1]
    assert request.kind == "export_denoising"
    assert request.arguments["paths"] == (path,)
    assert request.arguments["layout"].every == 2
    form.which.setCurrentIndex(1)
    panel.model.select("", None)
    assert form.paths() == ()
    form.hide()


def test_every_control_has_a_name_and_a_tip(window, panel):
    controls = panel.watch.controls
    for widget in (*controls.buttons.values(), *controls.shows.values(), controls.pace):
        assert widget.accessibleName() or widget.text()
        assert widget.toolTip()
    for widget in (panel.watch.view, panel.watch.timeline, controls.slider, panel.watch.popover):
        assert widget.accessibleName()
    for button in (panel.again, panel.canvas, panel.schedule):
        assert button.toolTip()
