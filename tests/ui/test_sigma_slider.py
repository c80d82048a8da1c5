"""The slider and the number box in sigma."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget

from latentlab.ui.widgets.hand_slider import BURST_MS
from latentlab.ui.widgets.quiet import QuietDoubleSpinBox, QuietSpinBox
from latentlab.ui.widgets.seed_box import SeedBox
from latentlab.ui.widgets.sigma_slider import SigmaBox, SigmaSlider
from tests.ui.stage import pixels, turn_wheel

pytestmark = pytest.mark.gui
SHIFT = Qt.KeyboardModifier.ShiftModifier


class Log:
    def __init__(self, widget) -> None:
        self.values: list[float] = []
        self.ends = 0
        widget.edited.connect(self.values.append)
        widget.gesture_ended.connect(self._end)

    def _end(self) -> None:
        self.ends += 1


@pytest.fixture
def slider(qtbot):
    slider = SigmaSlider()
    qtbot.addWidget(slider)
    slider.resize(216, 28)
    with qtbot.waitExposed(slider):
        slider.show()
    return slider


def at(slider, sigma: float) -> QPoint:
    return QPoint(round(slider.x_of(sigma)), slider.height() // 2)


def test_drag_follows_the_hand_and_ends_once(slider, qtbot):
    log = Log(slider)
    qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=at(slider, 0))
    for sigma in (0.5, 1.0, 1.5, 2.0):
        qtbot.mouseMove(slider, at(slider, sigma))
        assert slider.sigma == pytest.approx(sigma, abs=0.03)
    assert log.ends == 0
    qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=at(slider, 2.0))
    assert log.values == sorted(log.values)
    assert len(log.values) == 4
    assert log.values[-1] == pytest.approx(2.0, abs=0.03)
    assert log.ends == 1


def test_a_click_brings_the_handle(slider, qtbot):
    log = Log(slider)
    qtbot.mouseClick(slider, Qt.MouseButton.LeftButton, pos=at(slider, -3))
    assert log.values == [pytest.approx(-3, abs=0.03)]
    assert log.ends == 1


def test_ends_are_four_sigma(slider, qtbot):
    qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=at(slider, 0))
    qtbot.mouseMove(slider, QPoint(900, 10))
    assert slider.sigma == 4
    qtbot.mouseMove(slider, QPoint(-900, 10))
    assert slider.sigma == -4
    qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton)


def test_wheel_needs_the_focus(slider):
    slider.clearFocus()
    assert not turn_wheel(slider, 1)
    assert slider.sigma == 0
    slider.setFocus()
    assert turn_wheel(slider, 1)
    assert slider.sigma == pytest.approx(0.1)
    turn_wheel(slider, -3, SHIFT)
    assert slider.sigma == pytest.approx(0.07)
    turn_wheel(slider, 0.5)
    assert slider.sigma == pytest.approx(0.07)
    turn_wheel(slider, 0.5)
    assert slider.sigma == pytest.approx(0.17)


@pytest.mark.parametrize(
    ("key", "modifiers", "sigma"),
    [
        (Qt.Key.Key_Right, Qt.KeyboardModifier.NoModifier, 1.1),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.NoModifier, 0.9),
        (Qt.Key.Key_Up, SHIFT, 1.01),
        (Qt.Key.Key_Down, SHIFT, 0.99),
        (Qt.Key.Key_PageUp, Qt.KeyboardModifier.NoModifier, 2.0),
        (Qt.Key.Key_PageDown, Qt.KeyboardModifier.NoModifier, 0.0),
        (Qt.Key.Key_Home, Qt.KeyboardModifier.NoModifier, -4.0),
        (Qt.Key.Key_End, Qt.KeyboardModifier.NoModifier, 4.0),
        (Qt.Key.Key_Delete, Qt.KeyboardModifier.NoModifier, 0.0),
    ],
)
def test_keys(slider, qtbot, key, modifiers, sigma):
    slider.set_sigma(1.0)
    log = Log(slider)
    qtbot.keyClick(slider, key, modifiers)
    assert slider.sigma == pytest.approx(sigma)
    assert log.values == [pytest.approx(sigma)]


def test_a_run_of_keys_is_one_gesture(slider, qtbot):
    log = Log(slider)
    for _ in range(5):
        qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert log.ends == 0
    qtbot.waitUntil(lambda: log.ends == 1, timeout=BURST_MS * 4)
    assert log.values[-1] == pytest.approx(0.5)


def test_a_drag_ends_the_run_before_it(slider, qtbot):
    log = Log(slider)
    qtbot.keyClick(slider, Qt.Key.Key_Right)
    qtbot.mouseClick(slider, Qt.MouseButton.LeftButton, pos=at(slider, 2))
    assert log.ends == 2


def test_following_the_document_is_silent(slider):
    log = Log(slider)
    slider.set_sigma(2.345)
    assert slider.sigma == 2.345
    slider.set_sigma(-2)
    assert log.values == []
    assert log.ends == 0


def test_a_value_beyond_the_end_is_kept_and_can_come_back(slider, qtbot):
    slider.set_sigma(6.0)
    log = Log(slider)
    assert slider.sigma == 6.0
    qtbot.keyClick(slider, Qt.Key.Key_Left)
    assert log.values == [4.0]
    assert slider.sigma == 4.0


def test_the_picture_shows_the_value(slider):
    before = pixels(slider)
    slider.set_sigma(3)
    after = pixels(slider)
    changed = (before != after).any(axis=(0, 2)).nonzero()[0]
    assert changed.min() <= slider.x_of(0) <= slider.x_of(3) <= changed.max() + 1


@pytest.fixture
def box(qtbot):
    box = SigmaBox()
    qtbot.addWidget(box)
    with qtbot.waitExposed(box):
        box.show()
    box.setFocus()
    return box


def test_box_types_and_says_its_unit(box, qtbot):
    log = Log(box)
    box.selectAll()
    qtbot.keyClicks(box, "-1.25")
    assert log.values == []
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert log.values == [-1.25]
    assert log.ends == 1
    assert box.text() == "-1.25 σ"


def test_box_steps_with_keys_and_wheel(box, qtbot):
    log = Log(box)
    qtbot.keyClick(box, Qt.Key.Key_Up)
    assert box.value() == pytest.approx(0.1)
    qtbot.keyClick(box, Qt.Key.Key_Up, SHIFT)
    assert box.value() == pytest.approx(0.11)
    qtbot.keyClick(box, Qt.Key.Key_PageDown)
    assert box.value() == pytest.approx(-0.89)
    turn_wheel(box, 2)
    assert box.value() == pytest.approx(-0.69)
    turn_wheel(box, 1, SHIFT)
    assert box.value() == pytest.approx(-0.68)
    box.clearFocus()
    assert not turn_wheel(box, 5)
    assert log.values[-1] == pytest.approx(-0.68)


def test_box_follows_silently(box):
    log = Log(box)
    box.set_sigma(1.5)
    assert log.values == []
    assert box.value() == 1.5


@pytest.mark.parametrize("make", [SigmaBox, SeedBox, QuietSpinBox, QuietDoubleSpinBox])
def test_one_letter_shortcuts_work_while_a_number_has_the_focus(qtbot, make):
    window = QWidget()
    qtbot.addWidget(window)
    box = make(window)
    pressed = []
    for key in ("K", "[", "Space"):
        shortcut = QShortcut(QKeySequence(key), window)
        shortcut.activated.connect(lambda key=key: pressed.append(key))
    with qtbot.waitActive(window):
        window.show()
    box.setFocus()
    for key in (Qt.Key.Key_K, Qt.Key.Key_BracketLeft, Qt.Key.Key_Space):
        qtbot.keyClick(box, key)
    assert pressed == ["K", "[", "Space"]
    box.selectAll()
    qtbot.keyClicks(box, "7")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert box.text().startswith("7")
