"""Many sliders: found, folded, named, ordered, locked, removed, random; by mouse and keys."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton, QToolButton

from latentlab.core.direction import Direction
from latentlab.core.effects import EffectReport
from latentlab.ui.panels.attributes import AttributesPanel
from latentlab.ui.widgets.attribute_list import Heading
from latentlab.ui.widgets.direction_text import describe_direction, known_side_effect
from latentlab.ui.widgets.random_range import RandomRange, random_values
from tests.ui.stage import DEPTH, NAMES, FormulaBridge, make_controller, pixels

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
    panel.resize(460, 420)
    with qtbot.waitExposed(panel):
        panel.show()
    return panel


def made(count: int, group: str = "components", **values) -> list[Direction]:
    found = []
    for place in range(count):
        vector = np.random.default_rng(place).normal(size=DEPTH)
        vector /= np.linalg.norm(vector)
        name = f"component_{place + 1}"
        found.append(Direction(name, "z", {"z": vector}, 1.0, "PCA", group=group, **values))
    return found


def visible(panel) -> list[str]:
    return [name for name in panel.names if panel.list.rows[name].isVisible()]


def actions(menu) -> dict:
    return {
        a.text().split("\t")[0].replace("&", ""): a for a in menu.actions() if not a.isSeparator()
    }


def heading(panel, title: str) -> Heading:
    return next(h for h in panel.findChildren(Heading) if h.title == title and not h.isHidden())


def drag_row(qtbot, panel, name: str, below: str, *, give_up: bool = False) -> None:
    """Drag a row by its grip to just below the middle of another one."""
    grip, target = panel.row(name).grip, panel.row(below)
    start = grip.rect().center()
    end = grip.mapFromGlobal(target.mapToGlobal(QPoint(4, target.height() // 2 + 4)))
    qtbot.mousePress(grip, Qt.MouseButton.LeftButton, pos=start)
    for place in (start + QPoint(0, 3), (start + end) / 2, end):
        qtbot.mouseMove(grip, place)
    if give_up:
        qtbot.keyClick(grip, Qt.Key.Key_Escape)
    qtbot.mouseRelease(grip, Qt.MouseButton.LeftButton, pos=end)


# Order.


def test_a_row_is_dragged_to_another_place(controller, panel, qtbot):
    steps = len(controller.history.entries)
    drag_row(qtbot, panel, "smiling", "wearing_hat")
    assert panel.names[1:] == ["eyeglasses", "wearing_hat", "smiling", "mustache"]
    assert list(controller.directions) == panel.names
    assert len(controller.history.entries) == steps + 1
    tops = [panel.row(n).mapTo(panel, QPoint()).y() for n in panel.names[1:]]
    qtbot.waitUntil(lambda: tops == sorted(tops))
    controller.undo()
    assert panel.names == list(NAMES)


def test_the_drag_shows_where_the_row_would_go(panel, qtbot):
    before = pixels(panel)
    row, grip = panel.row("mustache"), panel.row("smiling").grip
    qtbot.mousePress(grip, Qt.MouseButton.LeftButton, pos=grip.rect().center())
    qtbot.mouseMove(grip, grip.mapFromGlobal(row.mapToGlobal(QPoint(4, row.height() - 2))))
    accent = panel.palette().color(QPalette.ColorRole.Highlight).getRgb()[:3]
    new = (pixels(panel) == accent).all(axis=2) & ~(before == accent).all(axis=2)
    line = np.nonzero(new.sum(axis=1) > panel.width() // 2)[0]
    bottom = row.mapTo(panel, QPoint(0, row.height())).y()
    assert len(line)
    assert abs(line - bottom).max() <= 4
    qtbot.mouseRelease(grip, Qt.MouseButton.LeftButton)


def test_esc_gives_a_drag_up(controller, panel, qtbot):
    steps = len(controller.history.entries)
    drag_row(qtbot, panel, "smiling", "mustache", give_up=True)
    assert panel.names == list(NAMES)
    assert len(controller.history.entries) == steps


def test_a_row_stays_under_its_heading(panel, qtbot):
    drag_row(qtbot, panel, "zebra", "mustache")
    assert panel.names == list(NAMES)


def test_alt_and_arrows_move_a_row_and_keep_the_focus(controller, panel, qtbot):
    slider = panel.row("smiling").slider
    slider.setFocus()
    qtbot.keyClick(slider, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    assert panel.names == ["zebra", "eyeglasses", "smiling", "wearing_hat", "mustache"]
    assert QApplication.focusWidget() is slider
    assert controller.document.canvas.edits == {}
    box = panel.row("smiling").box
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    qtbot.keyClick(box, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert panel.names == list(NAMES)


def test_tab_follows_the_order_on_the_screen(panel, qtbot):
    qtbot.keyClick(panel.row("smiling").slider, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    panel.row("eyeglasses").strip.setFocus()
    qtbot.keyClick(panel.row("eyeglasses").strip, Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is panel.row("smiling").slider


# Names.


def test_f2_renames_in_place(controller, panel, qtbot):
    row = panel.row("smiling")
    qtbot.keyClick(row.slider, Qt.Key.Key_F2)
    editor = QApplication.focusWidget()
    assert isinstance(editor, QLineEdit)
    assert editor.text() == "Smiling"
    qtbot.keyClicks(editor, "Grin & bear")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert panel.row("smiling").label.text() == "Grin & bear"
    assert QApplication.focusWidget() is row.slider
    assert "named smiling" in row.slider.toolTip()
    controller.undo()
    assert panel.row("smiling").label.text() == "Smiling"


def test_esc_leaves_the_name(controller, panel, qtbot):
    steps = len(controller.history.entries)
    actions(panel.menu_for("smiling"))["Rename…"].trigger()
    editor = QApplication.focusWidget()
    qtbot.keyClicks(editor, "Grin")
    qtbot.keyClick(editor, Qt.Key.Key_Escape)
    assert panel.row("smiling").label.text() == "Smiling"
    assert len(controller.history.entries) == steps
    assert not editor.isVisible()


def test_a_title_is_found_by_the_search(controller, panel, qtbot):
    controller.rename_direction("smiling", "Grin")
    qtbot.keyClicks(panel.findChild(QLineEdit), "grin")
    assert visible(panel) == ["smiling"]


# Headings.


def test_a_heading_folds_and_remembers(controller, panel, qtbot):
    qtbot.mouseClick(heading(panel, "Course"), Qt.MouseButton.LeftButton)
    assert visible(panel) == ["zebra"]
    assert heading(panel, "Course").text() == "Course (4)"
    again = AttributesPanel(controller)
    qtbot.addWidget(again)
    again.show()
    assert visible(again) == ["zebra"]
    qtbot.keyClicks(panel.findChild(QLineEdit), "smil")
    assert visible(panel) == ["smiling"]
    panel.findChild(QLineEdit).clear()
    assert visible(panel) == ["zebra"]
    head = heading(panel, "Course")
    head.setFocus()
    qtbot.keyClick(head, Qt.Key.Key_Space)
    assert visible(panel) == list(NAMES)
    assert controller.settings.folded_headings == ()


def test_a_slider_is_shown_whatever_hides_it(controller, panel, qtbot):
    controller.add_directions(made(60), "Add 60")
    panel.list.fold_all(True)
    qtbot.keyClicks(panel.findChild(QLineEdit), "zebra")
    panel.show_slider("component_55")
    row = panel.row("component_55")
    assert row.isVisible()
    assert not row.visibleRegion().isEmpty()
    assert QApplication.focusWidget() is row.slider


# Locks.


def test_the_lock_button_and_its_key(controller, panel, qtbot):
    row = panel.row("smiling")
    qtbot.mouseClick(row.lock, Qt.MouseButton.LeftButton)
    assert controller.locked == ("smiling",)
    assert row.lock.isChecked()
    assert "kept orthogonal" in row.lock.toolTip()
    locked = pixels(row.lock)
    qtbot.keyClick(row.slider, Qt.Key.Key_L)
    assert controller.locked == ()
    assert not np.array_equal(pixels(row.lock), locked)
    controller.undo()
    assert panel.row("smiling").lock.isChecked()


# Removing.


def test_hidden_sliders_come_back(controller, panel, qtbot):
    controller.set_edit("smiling", 1.0)
    actions(panel.menu_for("smiling"))["Hide smiling"].trigger()
    actions(panel.menu_for("zebra"))["Hide zebra"].trigger()
    assert panel.names == ["eyeglasses", "wearing_hat", "mustache"]
    assert controller.document.canvas.edits == {}
    foot = next(b for b in panel.findChildren(QToolButton) if b.text() == "Show hidden (2)")
    qtbot.mouseClick(foot, Qt.MouseButton.LeftButton)
    assert set(panel.names) == set(NAMES)
    assert not foot.isVisible()


def test_own_ones_are_deleted_and_undone(controller, panel):
    controller.add_directions(made(2), "Add 2")
    assert panel.names[-2:] == ["component_1", "component_2"]
    actions(panel.menu_for("component_1"))["Delete component 1"].trigger()
    assert panel.names[-1:] == ["component_2"]
    assert "component_1" not in panel.names
    assert not controller.removed_directions
    controller.undo()
    assert panel.names[-2:] == ["component_1", "component_2"]


def test_when_all_are_hidden_they_can_still_come_back(controller, panel, qtbot):
    for name in NAMES:
        controller.remove_direction(name)
    foot = next(b for b in panel.findChildren(QToolButton) if b.text() == "Show hidden (5)")
    assert foot.isVisible()
    actions(panel.menu_of_panel())["Show hidden (5)"].trigger()
    assert set(panel.names) == set(NAMES)


# Many.


def test_two_hundred_sliders(controller, panel, qtbot):
    controller.add_directions(made(200), "Add 200")
    assert len(panel.names) == 205
    # Only what is near is built at once; the rest between events.
    assert sum(row.built for row in panel.list.rows.values()) < 60
    qtbot.waitUntil(lambda: all(row.built for row in panel.list.rows.values()))
    qtbot.keyClicks(panel.findChild(QLineEdit), "component 19")
    assert visible(panel) == ["component_19", *(f"component_{n}" for n in range(190, 200))]
    slider = panel.row("component_195").slider
    qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert controller.document.canvas.edits == {"component_195": 0.1}


def test_far_rows_are_built_when_they_are_scrolled_to(controller, panel, qtbot):
    controller.add_directions(made(200), "Add 200")
    bar = panel.list.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 2000)
    bar.setValue(bar.maximum())
    row = panel.list.rows["component_200"]
    assert row.built
    assert len(np.unique(pixels(row).reshape(-1, 3), axis=0)) > 3


@pytest.mark.parametrize("width", [290, 320, 520, 900])
def test_no_row_is_wider_than_its_panel(controller, panel, qtbot, width):
    controller.add_directions(made(30), "Add 30")
    controller.remove_direction("zebra")
    panel.resize(width, 420)
    qtbot.waitUntil(lambda: panel.list.viewport().width() <= width)
    for name in ("smiling", "component_3"):
        row = panel.row(name)
        room = panel.list.viewport().width()
        qtbot.waitUntil(lambda row=row, room=room: row.width() > room - 20)
        places = [w.geometry() for w in (row.label, row.slider, row.box, row.lock, row.strip)]
        assert max(g.right() for g in places) < row.width()
        assert row.slider.width() >= 64
        assert not any(
            one.intersects(other) for i, one in enumerate(places) for other in places[:i]
        )


# The strip under a row.


def test_s_opens_the_strip_under_the_row(controller, panel, qtbot):
    row = panel.row("eyeglasses")
    qtbot.keyClick(row.slider, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: panel.range.isVisible())
    qtbot.waitUntil(lambda: panel.range.y() >= row.geometry().bottom())
    assert panel.range.y() < panel.row("wearing_hat").y()
    assert row.strip.isChecked()
    assert panel.range.view.image(0) is not None
    qtbot.mouseClick(panel.row("mustache").strip, Qt.MouseButton.LeftButton)
    assert panel.range.name == "mustache"
    assert not row.strip.isChecked()
    qtbot.keyClick(panel.row("mustache").slider, Qt.Key.Key_S)
    assert not panel.range.isVisible()


def test_the_strip_goes_with_its_row(controller, panel, qtbot):
    panel.toggle_range("smiling")
    panel.findChild(QLineEdit).setText("zebra")
    assert not panel.range.isVisible()
    panel.findChild(QLineEdit).clear()
    assert panel.range.isVisible()
    controller.remove_direction("smiling")
    assert not panel.range.isVisible()
    assert panel.range.name == ""
    controller.undo()
    assert not panel.range.isVisible()


# Random values.


def popover(panel, qtbot) -> RandomRange:
    button = next(b for b in panel.findChildren(QPushButton) if "dom" in b.text())
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    found = panel.findChild(RandomRange)
    assert found.isVisible()
    return found


def test_random_values_are_a_function_of_seed_and_name():
    names = ["smiling", "mustache", "age"]
    values = random_values(7, 2.0, names)
    assert values == random_values(7, 2.0, reversed(names))
    assert values["age"] == random_values(7, 2.0, ["age"])["age"]
    assert values != random_values(8, 2.0, names)
    many = np.array(list(random_values(1, 1.5, [f"n{i}" for i in range(2000)]).values()))
    # Uniform on [-1.5, 1.5]: mean 0 within 5 standard errors, variance 0.75.
    assert abs(many.mean()) < 5 * np.sqrt(0.75 / 2000)
    assert many.var() == pytest.approx(0.75, rel=0.1)
    assert np.abs(many).max() <= 1.5


def test_random_within_a_range_is_one_step_and_locked_stay(controller, panel, qtbot):
    controller.set_edit("smiling", 3.0)
    controller.set_locked("smiling", True)
    steps = len(controller.history.entries)
    found = popover(panel, qtbot)
    found.reach.setValue(1.0)
    found.seed.set_value(11)
    qtbot.mouseClick(found.set_button, Qt.MouseButton.LeftButton)
    edits = controller.document.canvas.edits
    others = [name for name in NAMES if name != "smiling"]
    assert edits == {"smiling": 3.0, **random_values(11, 1.0, others)}
    assert len(controller.history.entries) == steps + 1
    seed = found.seed.value
    qtbot.mouseClick(found.dice, Qt.MouseButton.LeftButton)
    assert found.seed.value != seed
    assert controller.document.canvas.edits["smiling"] == 3.0
    assert len(controller.history.entries) == steps + 2
    qtbot.keyClick(found, Qt.Key.Key_Escape)
    assert not found.isVisible()


def test_random_values_of_what_is_shown_only(controller, panel, qtbot):
    panel.findChild(QLineEdit).setText("animals")
    found = popover(panel, qtbot)
    # A draw that rounds to 0.00 is no edit.
    for _ in range(5):
        if not controller.document.canvas.edits:
            qtbot.mouseClick(found.set_button, Qt.MouseButton.LeftButton)
    assert set(controller.document.canvas.edits) == {"zebra"}
    found.only_shown.setChecked(False)
    qtbot.mouseClick(found.set_button, Qt.MouseButton.LeftButton)
    drawn = set(controller.document.canvas.edits)
    assert drawn <= set(NAMES)
    assert len(drawn) >= len(NAMES) - 1
    found.close()


# Before and after.


def test_the_switch_keeps_showing_before(controller, panel, qtbot):
    held = []
    controller.set_edit("smiling", 1.0)
    controller.before_held.connect(held.append)
    stay = next(
        b for b in panel.findChildren(QToolButton) if b.accessibleName().startswith("Keep showing")
    )
    qtbot.mouseClick(stay, Qt.MouseButton.LeftButton)
    assert held == [True]
    # Space is let go elsewhere: the switch wins.
    controller.hold_before(False)
    qtbot.waitUntil(lambda: held[-1] is True)
    controller.set_edit("zebra", 1.0)
    assert held[-1] is True
    controller.reset_edits()
    assert held[-1] is False
    assert not stay.isChecked()


# Warnings.


def test_a_slider_that_moves_something_else_is_marked(controller, panel):
    figures = {"target": 1.0, "side": 0.62, "side_attribute": "pointy_nose"}
    (name,) = controller.add_directions(made(1, provenance=figures), "Add")
    label = panel.row(name).label
    assert label.text().startswith("⚠")
    assert "moves pointy nose by 0.62 of its own effect" in label.toolTip()
    figures = {"target": 1.0, "side": 0.41, "side_attribute": "pointy_nose"}
    controller.replace_directions({name: made(1, provenance=figures)[0]}, "Refit")
    assert not panel.row(name).label.text().startswith("⚠")


def test_a_measurement_counts_until_the_direction_changes(controller, panel, qtbot):
    names, columns = ("zebra", "smiling"), ("zebra", "smiling", "pointy_nose")
    mean = np.array([[1.0, 0.1, 0.1], [0.0, 2.0, 0.0]])
    size = np.array([[1.0, 0.2, 0.3], [0.1, 2.0, 1.3]])
    cosines, error = np.eye(2), np.full((2, 3), 0.01)
    report = EffectReport(names, columns, mean, size, error, cosines, 2.0, 128, 0, "probe")
    controller.take_effects(report, [controller.directions[name] for name in names])
    assert panel.row("smiling").label.text().startswith("⚠")
    assert "Smiling moves pointy nose by 0.65 of its own effect." in panel.row("smiling").facts.tip
    assert not panel.row("zebra").label.text().startswith("⚠")
    controller.replace_directions({"smiling": made(1)[0]}, "Refit")
    assert not panel.row("smiling").label.text().startswith("⚠")
    controller.undo()
    assert panel.row("smiling").label.text().startswith("⚠")


def test_what_anybody_wrote_into_a_file_is_no_trouble():
    odd = {"target": "big", "side": float("nan"), "side_attribute": 7, "interval": "x", "auc": True}
    direction = made(1, provenance=odd)[0]
    assert known_side_effect(direction, "One") == ""
    assert "AUC" not in describe_direction(direction, False)


def test_the_tip_says_auc_with_its_interval_and_what_it_is_orthogonal_to():
    known = {
        "auc": 0.98765,
        "interval": [0.9801, 0.99399],
        "count": 2000,
        "data": {"source": "portraits:count=2000", "count": 2000},
        "orthogonal_to": ["pointy_nose", "age"],
    }
    tip = describe_direction(made(1, provenance=known)[0], False, locked=True)
    for part in (
        "AUC (cross-validated): 0.988, 95 % interval 0.980 to 0.994",
        "2,000 images",
        "portraits:count=2000",
        "Orthogonal to: pointy nose, age",
        "Locked",
        "1 σ = 1 latent units",
    ):
        assert part in tip


# Menus.


def test_the_menu_of_a_row_is_complete(controller, panel, qtbot, tmp_path, monkeypatch):
    found = actions(panel.menu_for("smiling"))
    assert {
        "Reset smiling", "Reset all", "Rename…", "Lock", "Move up", "Move down", "Hide smiling",
        "Show its whole range as a strip", "Refit…", "Export as a file…", "Copy --set smiling=0",
        "Copy details",
    } <= found.keys()  # fmt: skip
    assert not found["Move up"].isEnabled()
    with qtbot.waitSignal(panel.direction_asked) as asked:
        found["Refit…"].trigger()
    assert asked.args == ["smiling"]
    path = tmp_path / "grin"
    monkeypatch.setattr(
        "latentlab.ui.panels.attribute_menus.QFileDialog.getSaveFileName",
        lambda *_args, **_kw: (str(path), ""),
    )
    found["Export as a file…"].trigger()
    assert path.with_suffix(".safetensors").is_file()
    found["Copy details"].trigger()
    assert "mean difference" in QApplication.clipboard().text()


def test_every_control_says_what_it_is(controller, panel):
    row = panel.row("smiling")
    for widget in (row.slider, row.box, row.lock, row.strip):
        assert "Smiling" in widget.accessibleName()
        assert widget.toolTip()
    own = [t for t in panel.findChildren(QToolButton) if not isinstance(t.parent(), QLineEdit)]
    for tool in own:
        assert tool.accessibleName() or tool.text()
