"""A named number: its name, a slider and a box that say the same."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from latentlab.ui.widgets.sampling_slider import NumberBox, NumberRange, NumberSlider


class ResetName(QLabel):
    """The name of a control; a double click asks for its default.

    Signals:
        reset_asked: a double click.
    """

    reset_asked = Signal()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Tell."""
        self.reset_asked.emit()
        event.accept()


class NamedNumber(QWidget):
    """Name, slider and box of one number.

    Args:
        name: with ``&`` before its mnemonic.
        values: the numbers to choose from.
        tip: what the number is, with its unit.
        slider_width: that the slider asks for, in logical pixels.

    Signals:
        edited: the number, when a person changed it; at once.
        gesture_ended: one drag, or one run of wheel turns or keys, is over.
    """

    edited = Signal(float)
    gesture_ended = Signal()

    def __init__(
        self,
        name: str,
        values: NumberRange,
        tip: str,
        slider_width: int = 72,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        plain = name.replace("&", "")
        self.values = values
        self.label = ResetName(name)
        self.slider = NumberSlider(values, slider_width)
        self.box = NumberBox(values)
        self.label.setBuddy(self.slider)
        self.label.reset_asked.connect(self.reset)
        self.slider.setAccessibleName(plain)
        self.box.setAccessibleName(f"{plain}, as a number")
        self.set_tip(tip)
        for control in (self.slider, self.box):
            control.edited.connect(self._take)
            control.gesture_ended.connect(self.gesture_ended)
        self._fit_box()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.label)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.box)

    def _fit_box(self) -> None:
        longest = max(
            (self.box.textFromValue(v) for v in (self.box.minimum(), self.box.maximum())), key=len
        )
        digits = longest if not self.values.decimals else "−0.00"
        room = self.box.fontMetrics().horizontalAdvance(digits) + 26
        self.box.setFixedWidth(room)
        self.box.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_tip(self, tip: str) -> None:
        """Say what the number is, with its unit."""
        self.slider.setAccessibleDescription(tip)
        for widget in (self.label, self.slider, self.box):
            widget.setToolTip(f"{tip}\nDouble-click the name, or press Delete, to reset.")

    @property
    def number(self) -> float:
        """The number."""
        return self.slider.number

    def set_range(self, values: NumberRange) -> None:
        """Offer other numbers."""
        if values != self.values:
            self.values = values
            self.slider.set_range(values)
            self.box.set_range(values)
            self._fit_box()

    def set_number(self, number: float) -> None:
        """Follow the document: no signal."""
        self.slider.set_number(number)
        self.box.set_number(number)

    def reset(self) -> None:
        """Take the default, as a person's choice."""
        if self.number != self.values.default:
            self._take(self.values.default)
            self.gesture_ended.emit()

    def _take(self, number: float) -> None:
        self.set_number(number)
        self.edited.emit(number)
