"""A slider and a number box in standard deviations, symmetric around 0."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QDoubleSpinBox, QWidget

from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.hand_slider import EditBurst, HandSlider, WheelSteps
from latentlab.ui.widgets.quiet import leave_letters

REACH = 4.0
"""The slider goes from -REACH to +REACH sigma."""
_TICKS = 100
"""Slider steps for one sigma."""
_RADIUS = 7


def _step(modifiers: Qt.KeyboardModifier) -> float:
    """Return sigma for one notch or key press: 0.1, with Shift 0.01."""
    return 0.01 if modifiers & Qt.KeyboardModifier.ShiftModifier else 0.1


class SigmaSlider(HandSlider):
    """A horizontal slider from -4 to 4 sigma with a tick at each sigma.

    The wheel moves it only while it has the focus. Keys: arrows 0.1, with Shift 0.01, Page 1, Home
    and End the ends, Delete and Backspace 0.

    Signals:
        edited: the value in sigma, when a person changed it; at once.
        gesture_ended: a drag was released, or the wheel and the keys rested for 0.8 s.
    """

    edited = Signal(float)
    kept_keys = (Qt.Key.Key_Space,)
    """With Space the panel shows "before"."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(_RADIUS, parent)
        self.setRange(round(-REACH * _TICKS), round(REACH * _TICKS))
        self.setSingleStep(10)
        self.setPageStep(_TICKS)
        self.setMinimumWidth(96)
        self._sigma = 0.0
        self._following = False
        self.valueChanged.connect(self._moved)

    @property
    def sigma(self) -> float:
        """The value in sigma; it may lie outside the slider's ends, which then show it."""
        return self._sigma

    def set_sigma(self, sigma: float) -> None:
        """Follow the document: no signal."""
        if sigma == self._sigma:
            return
        self._following = True
        self._sigma = sigma
        self.setValue(round(sigma * _TICKS))
        self._following = False
        self.update()

    def _moved(self, value: int) -> None:
        """Take a change of Qt's own value: by hand, key, wheel or an assistive program."""
        if self._following:
            return
        self._sigma = value / _TICKS
        self.update()
        if not self.isSliderDown():
            self._burst.touch()
        self.edited.emit(self._sigma)

    def _nudge(self, change: float) -> None:
        # From the exact value, which may be finer than Qt's steps or beyond the ends.
        self._put(round((self._sigma + change) * _TICKS))

    def _put(self, value: int) -> None:
        """Take a value that a person chose, in Qt's steps."""
        value = min(max(value, self.minimum()), self.maximum())
        if value != self.value():
            self.setValue(value)
        elif value / _TICKS != self._sigma:
            # Qt sees no change: the value was finer than its steps, or beyond the end.
            self._moved(value)

    # Geometry.

    def sizeHint(self) -> QSize:
        """Wide enough to aim at, as high as a text field."""
        return QSize(180, max(26, self.fontMetrics().height() + 8))

    def minimumSizeHint(self) -> QSize:
        """Still usable."""
        return QSize(96, self.sizeHint().height())

    def x_of(self, sigma: float) -> float:
        """Return the horizontal place of a value, in logical pixels."""
        inner = self.width() - 2 * (_RADIUS + 1)
        part = (min(max(sigma, -REACH), REACH) + REACH) / (2 * REACH)
        return _RADIUS + 1 + part * inner

    def sigma_at(self, x: float) -> float:
        """Return the value at a horizontal place, between the ends."""
        inner = max(1, self.width() - 2 * (_RADIUS + 1))
        return min(max((x - _RADIUS - 1) / inner * 2 * REACH - REACH, -REACH), REACH)

    # By hand.

    def _handle(self) -> float:
        return self.x_of(self._sigma)

    def _put_at(self, x: float) -> None:
        self._put(round(self.sigma_at(x) * _TICKS))

    def _step(self, modifiers: Qt.KeyboardModifier) -> float:
        return _step(modifiers)

    def _jump(self, key: Qt.Key) -> None:
        ends = {Qt.Key.Key_Home: self.minimum(), Qt.Key.Key_End: self.maximum()}
        self._put(ends.get(key, 0))

    # Painting.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the groove, the ticks, the bar from 0 to the value, and the handle."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        group = QPalette.ColorGroup.Active
        if not self.isEnabled():
            group = QPalette.ColorGroup.Disabled
        palette = self.palette()
        text = palette.color(group, QPalette.ColorRole.WindowText)
        accent = palette.color(group, QPalette.ColorRole.Highlight)
        if not self.isEnabled():
            accent = text
        middle = self.height() / 2
        self._paint_ticks(painter, middle)
        zero, at = self.x_of(0), self.x_of(self._sigma)
        painter.setPen(QPen(accent, 3, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        if abs(at - zero) > 0.5:
            painter.drawLine(QPointF(zero, middle), QPointF(at, middle))
        self._paint_handle(painter, QPointF(at, middle), accent, text)

    def _paint_ticks(self, painter: QPainter, middle: float) -> None:
        line = faint(self.palette(), 0.62 if self.isEnabled() else 0.3)
        painter.setPen(QPen(line, 1))
        ends = (self.x_of(-REACH), self.x_of(REACH))
        painter.drawLine(QPointF(ends[0], middle), QPointF(ends[1], middle))
        for sigma in range(round(-REACH), round(REACH) + 1):
            height = 8.0 if sigma == 0 else 4.0
            x = round(self.x_of(sigma)) + 0.5
            painter.drawLine(QPointF(x, middle - height), QPointF(x, middle + height))

    def _paint_handle(self, painter: QPainter, at: QPointF, accent: QColor, text: QColor) -> None:
        base = self.palette().color(QPalette.ColorRole.Base)
        touched = self._sigma != 0
        painter.setPen(QPen(accent if touched else text, 1.5))
        painter.setBrush(accent if touched else base)
        radius = _RADIUS - 1.0
        if abs(self._sigma) > REACH:
            # An arrow: the value lies beyond this end.
            tip = radius if self._sigma > 0 else -radius
            painter.drawPolygon(
                [
                    QPointF(at.x() + tip, at.y()),
                    QPointF(at.x() - tip, at.y() - radius),
                    QPointF(at.x() - tip, at.y() + radius),
                ]
            )
        else:
            painter.drawEllipse(at, radius, radius)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(text, 1, Qt.PenStyle.DotLine))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)


class SigmaBox(QDoubleSpinBox):
    """A number in sigma with two decimals; wheel and arrows 0.1, with Shift 0.01, Page 1.

    It reaches further than the slider, for those who know why.

    Signals:
        edited: the value in sigma, when a person changed it; a typed one with Enter or Tab.
        gesture_ended: nothing came for 0.8 s, or a number was typed.
    """

    edited = Signal(float)
    gesture_ended = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setRange(-99.0, 99.0)
        self.setDecimals(2)
        self.setSuffix(" σ")
        self.setSingleStep(0.1)
        self.setKeyboardTracking(False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        leave_letters(self)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._following = False
        self._size = 0.1
        self._wheel = WheelSteps()
        self._burst = EditBurst(self)
        self._burst.ended.connect(self.gesture_ended)
        self.valueChanged.connect(self._moved)
        self.editingFinished.connect(self._burst.end)

    def set_sigma(self, sigma: float) -> None:
        """Follow the document: no signal. What is being typed stays."""
        self._following = True
        self.setValue(sigma)
        self._following = False

    def _moved(self, value: float) -> None:
        if not self._following:
            self._burst.touch()
            self.edited.emit(round(value, 2))

    def stepBy(self, steps: int) -> None:
        """Step by 0.1 (with Shift 0.01) for one key press; Page keys step by 1."""
        from_page = abs(steps) >= 10
        size = 1.0 if from_page else abs(steps) * self._size
        self.setValue(self.value() + (size if steps > 0 else -size))
        self.selectAll()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Remember Shift for ``stepBy``."""
        self._size = _step(event.modifiers())
        super().keyPressEvent(event)
        self._size = 0.1

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Step, but only with the focus."""
        if not self.hasFocus() or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            event.ignore()
            return
        notches = self._wheel.take(event)
        if notches:
            self.setValue(self.value() + notches * _step(event.modifiers()))
        event.accept()
