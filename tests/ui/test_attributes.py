"""The attributes panel: sliders change the document and follow it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton, QScrollArea

from latentlab.ui.edits import readable, readable_under
from latentlab.ui.panels.attributes import AttributesPanel
from latentlab.ui.widgets.hand_slider import BURST_MS
from latentlab.ui.widgets.notes import EmptyState
from tests.ui.stage import NAMES, FormulaBridge, directions, make_controller, turn_wheel

pytestmark = pytest.mark.gui


@pytest.fixture
def controller(tmp_path, qtbot):
    controller = make_controller(tmp_path, FormulaBridge())
    controller.open_model("waves")
    controller.set_sampling(seed=3, count=1)
    return controller


@pytest.fixture
def panel(controller, qtbot):
    panel = AttributesPanel(controller)
    qtbot.addWidget(panel)
    panel.resize(420, 300)
    with qtbot.waitExposed(panel):
        panel.show()
    return panel


def button(panel, text: str) -> QPushButton:
    return next(b for b in panel.findChildren(QPushButton) if b.text().replace("&", "") == text)


def drag(qtbot, slider, *sigmas: float) -> None:
    places = [QPoint(round(slider.x_of(s)), slider.height() // 2) for s in sigmas]
    qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=places[0])
    for place in places[1:]:
        qtbot.mouseMove(slider, place)
    qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=places[-1])


def test_rows_stand_in_the_order_of_the_model(panel):
    assert panel.names == list(NAMES)


def test_one_drag_is_one_step_with_the_last_value(controller, panel, qtbot):
    slider = panel.row("smiling").slider
    steps = len(controller.history.entries)
    drag(qtbot, slider, 0, 0.4, 0.9, 1.5, 2.5, 2.0)
    assert len(controller.history.entries) == steps + 1
    assert controller.document.canvas.edits == {"smiling": slider.sigma}
    assert slider.sigma == pytest.approx(2.0, abs=0.05)
    assert panel.row("smiling").box.value() == pytest.approx(slider.sigma)
    drag(qtbot, slider, 2.0, 1.0)
    assert len(controller.history.entries) == steps + 2


def test_every_move_reaches_the_worker(controller, panel, qtbot):
    asked = controller._bridge.requests
    before = len(asked)
    slider = panel.row("mustache").slider
    drag(qtbot, slider, 0, 1, 2, 3)
    amounts = [r.picture.edits.get("mustache") for r in asked[before:] if r.channel == "canvas"]
    assert len(amounts) == 3
    assert amounts == sorted(amounts)


def test_sliders_follow_undo_and_redo(controller, panel, qtbot):
    row = panel.row("smiling")
    drag(qtbot, row.slider, 0, 2)
    value = row.sigma
    controller.undo()
    assert row.sigma == 0
    assert row.box.value() == 0
    controller.redo()
    assert row.sigma == value
    assert len(controller.history.entries) == controller.history.index + 1


def test_wheel_and_keys_merge_into_one_step(controller, panel, qtbot):
    slider = panel.row("zebra").slider
    steps = len(controller.history.entries)
    slider.setFocus()
    for _ in range(3):
        turn_wheel(slider, 1)
        qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert len(controller.history.entries) == steps + 1
    assert controller.document.canvas.edits["zebra"] == pytest.approx(0.6)
    with qtbot.waitSignal(panel.row("zebra").gesture_ended, timeout=BURST_MS * 4):
        pass
    turn_wheel(slider, 1)
    assert len(controller.history.entries) == steps + 2


def test_typing_a_number_is_one_step(controller, panel, qtbot):
    box = panel.row("eyeglasses").box
    steps = len(controller.history.entries)
    box.setFocus()
    box.selectAll()
    qtbot.keyClicks(box, "-1.75")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert controller.document.canvas.edits == {"eyeglasses": -1.75}
    assert len(controller.history.entries) == steps + 1
    assert panel.row("eyeglasses").slider.sigma == -1.75


def test_double_click_on_the_name_resets_that_one(controller, panel, qtbot):
    controller.set_edit("smiling", 1.5)
    controller.set_edit("zebra", 1.0)
    qtbot.mouseDClick(panel.row("smiling").label, Qt.MouseButton.LeftButton)
    assert controller.document.canvas.edits == {"zebra": 1.0}
    assert panel.row("smiling").sigma == 0


def test_reset_all_is_one_undoable_step(controller, panel, qtbot):
    reset = button(panel, "Reset all")
    assert not reset.isEnabled()
    controller.set_edit("smiling", 1.5)
    controller.set_edit("zebra", 1.0)
    qtbot.mouseClick(reset, Qt.MouseButton.LeftButton)
    assert controller.document.canvas.edits == {}
    controller.undo()
    assert panel.row("zebra").sigma == 1.0


def test_scrolling_over_a_slider_does_not_edit(controller, panel, qtbot):
    panel.resize(420, 170)
    area = panel.findChild(QScrollArea)
    qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() > 0)
    panel.findChild(QLineEdit).setFocus()
    steps = len(controller.history.entries)
    for name in ("zebra", "smiling"):
        for widget in (panel.row(name).slider, panel.row(name).box, panel.row(name)):
            # Not taken: Qt hands it on to the scroll area.
            assert not turn_wheel(widget, -1)
    slider = panel.row("zebra").slider
    at = QPointF(slider.mapTo(panel, slider.rect().center()))
    QTest.wheelEvent(panel.windowHandle(), at, QPoint(0, -120))
    assert len(controller.history.entries) == steps
    assert area.verticalScrollBar().value() > 0


def test_the_edited_row_keeps_the_focus(controller, panel, qtbot):
    slider = panel.row("smiling").slider
    slider.setFocus()
    qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert QApplication.focusWidget() is slider
    assert panel.row("smiling").slider is slider


def test_search_hides_other_rows(panel, qtbot):
    qtbot.keyClicks(panel.findChild(QLineEdit), "wearing h")
    assert [name for name in panel.names if panel.row(name).isVisible()] == ["wearing_hat"]
    panel.findChild(QLineEdit).setText("animals")
    assert [name for name in panel.names if panel.row(name).isVisible()] == ["zebra"]


def test_before_button_tells_while_it_is_held(controller, panel, qtbot):
    held = []
    controller.before_held.connect(held.append)
    before = button(panel, "Before")
    qtbot.mouseClick(before, Qt.MouseButton.LeftButton)
    assert held == []
    controller.set_edit("smiling", 1.0)
    qtbot.mousePress(before, Qt.MouseButton.LeftButton)
    assert held == [True]
    qtbot.mouseRelease(before, Qt.MouseButton.LeftButton)
    assert held == [True, False]
    slider = panel.row("smiling").slider
    qtbot.keyPress(slider, Qt.Key.Key_Space)
    assert held == [True, False, True]
    qtbot.keyRelease(slider, Qt.Key.Key_Space)
    assert held == [True, False, True, False]


def test_menu_resets_and_copies(controller, panel):
    controller.set_edit("smiling", 1.5)
    menu = panel.menu_for("smiling")
    actions = {a.text().replace("&", ""): a for a in menu.actions() if a.text()}
    actions["Copy --set smiling=1.5"].trigger()
    assert QApplication.clipboard().text() == "--set smiling=1.5"
    actions["Reset smiling"].trigger()
    assert controller.document.canvas.edits == {}
    assert not panel.menu_for("smiling").actions()[0].isEnabled()


def test_tooltip_tells_where_a_direction_comes_from(panel):
    tip = panel.row("smiling").slider.toolTip()
    for part in ("mean difference", "1.5 latent units", "0.987", "1.25", "4.1", "5,000 images"):
        assert part in tip
    assert "Fitted elsewhere" not in tip


def test_directions_of_other_weights_are_marked(tmp_path, qtbot):
    known = {**directions(), "smiling": directions("ab" * 32)["smiling"]}
    controller = make_controller(tmp_path, FormulaBridge(), known=known)
    controller.open_model("waves")
    panel = AttributesPanel(controller)
    qtbot.addWidget(panel)
    assert panel.row("smiling").label.text().startswith("⚠")
    assert "Fitted elsewhere" in panel.row("smiling").slider.toolTip()
    assert not panel.row("zebra").label.text().startswith("⚠")


def test_sliders_of_another_space_are_off(controller, panel):
    canvas = controller.document.canvas
    controller.show_picture(canvas.model_copy(update={"space": "w"}), "Another space")
    assert not panel.row("zebra").slider.isEnabled()
    assert not panel.row("zebra").box.isEnabled()
    controller.undo()
    assert panel.row("zebra").slider.isEnabled()


def test_without_directions_it_says_what_to_do(tmp_path, qtbot):
    controller = make_controller(tmp_path, FormulaBridge(), known={})
    panel = AttributesPanel(controller)
    qtbot.addWidget(panel)
    panel.show()
    empty = panel.findChild(EmptyState)
    assert empty.accessibleName() == "No model is open"
    controller.open_model("waves")
    assert empty.isVisible()
    assert "latentlab direction waves" in empty.accessibleDescription()
    with qtbot.waitSignal(panel.making_asked):
        qtbot.mouseClick(button(panel, "Make a direction"), Qt.MouseButton.LeftButton)


def test_names_are_said_once_and_in_one_spelling():
    assert readable("wearing_hat") == "Wearing hat"
    assert readable("hair_color_black") == "Hair colour black"
    assert readable_under("hair_color_black", "hair colour") == "Black"
    assert readable_under("hair_length", "More") == "Hair length"
    assert readable_under("hair", "hair") == "Hair"
