"""A slider for one number of any range, straight or logarithmic, and the box beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.hand_slider import EditBurst, HandSlider, WheelSteps
from latentlab.ui.widgets.quiet import QuietDoubleSpinBox

_RADIUS = 6


@dataclass(frozen=True)
class NumberRange:
    """A number that a person chooses.

    Attributes:
        low: left end of the slider.
        high: right end of the slider.
        default: where a reset goes, and where the slider's bar begins.
        step: of the wheel and the arrow keys.
        fine: of the same with Shift; values are multiples of it.
        page: of the Page keys.
        log: the slider is logarithmic; ``low`` is positive then.
        ticks: where the slider has marks.
        box_low: smallest number that may be typed; ``low`` when not given.
        box_high: largest number that may be typed; ``high`` when not given.
    """

    low: float
    high: float
    default: float
    step: float = 0.1
    fine: float = 0.01
    page: float = 1.0
    log: bool = False
    ticks: tuple[float, ...] = ()
    box_low: float | None = None
    box_high: float | None = None

    @property
    def decimals(self) -> int:
        """Digits behind the point."""
        return max(0, round(-math.log10(self.fine)))

    def typed(self, value: float) -> float:
        """Return a value as the box can have it."""
        low = self.low if self.box_low is None else self.box_low
        high = self.high if self.box_high is None else self.box_high
        return round(min(max(value, low), high), self.decimals)

    def share(self, value: float) -> float:
        """Return the place of a value on the slider, 0 to 1."""
        value = min(max(value, self.low), self.high)
        if self.high <= self.low:
            return 0.0
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def at(self, share: float) -> float:
        """Return the value at a place of the slider."""
        share = min(max(share, 0.0), 1.0)
        if self.log:
            value = self.low * (self.high / self.low) ** share
        else:
            value = self.low + share * (self.high - self.low)
        return self.typed(round(value / self.fine) * self.fine)


class NumberSlider(HandSlider):
    """A horizontal slider; the wheel moves it only while it has the focus.

    Keys: arrows one step, with Shift a fine one, Page a larger one, Home and End the ends, Delete
    and Backspace the default.

    Args:
        values: the numbers to choose from.
        width: that it asks for, in logical pixels.

    Signals:
        edited: the number, when a person changed it; at once.
        gesture_ended: a drag was released, or the wheel and the keys rested for 0.8 s.
    """

    edited = Signal(float)

    def __init__(self, values: NumberRange, width: int = 72, parent: QWidget | None = None) -> None:
        super().__init__(_RADIUS, parent)
        self._hint = width
        self._number = values.default
        self._following = False
        self.set_range(values)
        self.valueChanged.connect(self._moved)

    @property
    def number(self) -> float:
        """The number; it may lie outside the slider's ends, which then show it."""
        return self._number

    def set_range(self, values: NumberRange) -> None:
        """Offer other numbers; the number stays."""
        self._values = values
        self.page = values.page
        self._following = True
        # Qt's own value, in fine steps, is what assistive programs read.
        self.setRange(round(values.low / values.fine), round(values.high / values.fine))
        self.setSingleStep(max(1, round(values.step / values.fine)))
        self.setPageStep(max(1, round(values.page / values.fine)))
        self.setValue(round(self._number / values.fine))
        self._following = False
        self.update()

    def set_number(self, number: float) -> None:
        """Follow the document: no signal."""
        if number == self._number:
            return
        self._following = True
        self._number = number
        self.setValue(round(number / self._values.fine))
        self._following = False
        self.update()

    def _moved(self, value: int) -> None:
        """Take a change of Qt's own value: by hand, key, wheel or an assistive program."""
        if not self._following:
            self._take(self._values.typed(value * self._values.fine))

    def _take(self, number: float) -> None:
        if number == self._number:
            return
        self.set_number(number)
        if not self.isSliderDown():
            self._burst.touch()
        self.edited.emit(number)

    def _put(self, number: float) -> None:
        values = self._values
        number = values.typed(round(number / values.fine) * values.fine)
        self._take(min(max(number, values.low), values.high))

    # Geometry.

    def sizeHint(self) -> QSize:
        """Wide enough to aim at, as high as a text field."""
        return QSize(self._hint, max(24, self.fontMetrics().height() + 6))

    def minimumSizeHint(self) -> QSize:
        """Still usable."""
        return QSize(min(48, self._hint), self.sizeHint().height())

    def x_of(self, number: float) -> float:
        """Return the horizontal place of a number, in logical pixels."""
        return _RADIUS + 1 + self._values.share(number) * (self.width() - 2 * (_RADIUS + 1))

    def number_at(self, x: float) -> float:
        """Return the number at a horizontal place, between the ends."""
        return self._values.at((x - _RADIUS - 1) / max(1, self.width() - 2 * (_RADIUS + 1)))

    # By hand.

    def _handle(self) -> float:
        return self.x_of(self._number)

    def _put_at(self, x: float) -> None:
        self._take(self.number_at(x))

    def _nudge(self, change: float) -> None:
        self._put(self._number + change)

    def _step(self, modifiers: Qt.KeyboardModifier) -> float:
        fine = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
        return self._values.fine if fine else self._values.step

    def _jump(self, key: Qt.Key) -> None:
        ends = {Qt.Key.Key_Home: self._values.low, Qt.Key.Key_End: self._values.high}
        self._put(ends.get(key, self._values.default))

    # Painting.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the groove, the ticks, the bar from the default to the number, and the handle."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        enabled = self.isEnabled()
        group = QPalette.ColorGroup.Active if enabled else QPalette.ColorGroup.Disabled
        text = self.palette().color(group, QPalette.ColorRole.WindowText)
        accent = self.palette().color(group, QPalette.ColorRole.Highlight) if enabled else text
        values, middle = self._values, self.height() / 2
        painter.setPen(QPen(faint(self.palette(), 0.62 if enabled else 0.3), 1))
        painter.drawLine(
            QPointF(self.x_of(values.low), middle), QPointF(self.x_of(values.high), middle)
        )
        for tick in (*values.ticks, values.default):
            height = 7.0 if tick == values.default else 3.0
            x = round(self.x_of(tick)) + 0.5
            painter.drawLine(QPointF(x, middle - height), QPointF(x, middle + height))
        start, at = self.x_of(values.default), self.x_of(self._number)
        painter.setPen(QPen(accent, 3, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        if abs(at - start) > 0.5:
            painter.drawLine(QPointF(start, middle), QPointF(at, middle))
        touched = self._number != values.default
        painter.setPen(QPen(accent if touched else text, 1.5))
        painter.setBrush(accent if touched else self.palette().color(QPalette.ColorRole.Base))
        self._paint_handle(painter, QPointF(at, middle))
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(text, 1, Qt.PenStyle.DotLine))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)

    def _paint_handle(self, painter: QPainter, at: QPointF) -> None:
        radius = _RADIUS - 1.0
        if self._values.low <= self._number <= self._values.high:
            painter.drawEllipse(at, radius, radius)
            return
        # An arrow: the number lies beyond this end.
        tip = radius if self._number > self._values.high else -radius
        painter.drawPolygon(
            [
                QPointF(at.x() + tip, at.y()),
                QPointF(at.x() - tip, at.y() - radius),
                QPointF(at.x() - tip, at.y() + radius),
            ]
        )


class NumberBox(QuietDoubleSpinBox):
    """A number as text, without zeros that say nothing; it may reach beyond the slider.

    Args:
        values: the numbers to choose from.

    Signals:
        edited: the number, when a person changed it; a typed one with Enter or Tab.
        gesture_ended: nothing came for 0.8 s, or a number was typed.
    """

    edited = Signal(float)
    gesture_ended = Signal()

    def __init__(self, values: NumberRange, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._following = False
        self._wheel = WheelSteps()
        self._burst = EditBurst(self)
        self._burst.ended.connect(self.gesture_ended)
        self.set_range(values)
        self.set_number(values.default)
        self.valueChanged.connect(self._moved)
        self.editingFinished.connect(self._burst.end)

    def set_range(self, values: NumberRange) -> None:
        """Offer other numbers."""
        self._values = values
        self._following = True
        self.setDecimals(values.decimals)
        self.setRange(values.typed(-math.inf), values.typed(math.inf))
        self.setSingleStep(values.step)
        self._following = False

    def set_number(self, number: float) -> None:
        """Follow the document: no signal."""
        self._following = True
        self.setValue(number)
        self._following = False

    def textFromValue(self, value: float) -> str:
        """Return ``3`` and not ``3.00``."""
        text, point = super().textFromValue(value), self.locale().decimalPoint()
        return text.rstrip("0").removesuffix(point) if point in text else text

    def _moved(self, value: float) -> None:
        if not self._following:
            self._burst.touch()
            self.edited.emit(self._values.typed(value))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Step, with Shift finely, but only with the focus."""
        if not self.hasFocus() or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            event.ignore()
            return
        fine = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        notches = self._wheel.take(event)
        self.setValue(self.value() + notches * (self._values.fine if fine else self._values.step))
        event.accept()
