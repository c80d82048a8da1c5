"""A number box for seeds: 0 to 2^63 - 1, more than Qt's own box can hold."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QValidator, QWheelEvent
from PySide6.QtWidgets import QAbstractSpinBox, QWidget

from latentlab.core.noise import MAX_SEED
from latentlab.ui.widgets.hand_slider import WheelSteps
from latentlab.ui.widgets.quiet import leave_letters


class SeedBox(QAbstractSpinBox):
    """A whole number from 0 to 2^63 - 1.

    Signals:
        edited: the number, when a person changed it; a typed one with Enter or Tab.
    """

    edited = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        leave_letters(self)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._value = 0
        self._wheel = WheelSteps()
        self.lineEdit().setText("0")
        self.editingFinished.connect(self._typed)

    @property
    def value(self) -> int:
        """The seed."""
        return self._value

    def set_value(self, value: int) -> None:
        """Follow the document: no signal."""
        self._value = min(max(0, value), MAX_SEED)
        self.lineEdit().setText(str(self._value))

    def _take(self, value: int) -> None:
        before = self._value
        self.set_value(value)
        if self._value != before:
            self.edited.emit(self._value)

    def _typed(self) -> None:
        text = self.lineEdit().text()
        self._take(int(text) if text.isascii() and text.isdigit() else self._value)

    def validate(self, text: str, position: int) -> object:
        """Take digits up to the largest seed."""
        state = QValidator.State.Invalid
        if text == "":
            state = QValidator.State.Intermediate
        elif text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= MAX_SEED:
            state = QValidator.State.Acceptable
        return state, text, position

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:
        """Step where there is room."""
        enabled = QAbstractSpinBox.StepEnabledFlag.StepNone
        if self._value < MAX_SEED:
            enabled |= QAbstractSpinBox.StepEnabledFlag.StepUpEnabled
        if self._value > 0:
            enabled |= QAbstractSpinBox.StepEnabledFlag.StepDownEnabled
        return enabled

    def stepBy(self, steps: int) -> None:
        """Step from what is typed."""
        text = self.lineEdit().text()
        start = int(text) if text.isascii() and text.isdigit() else self._value
        self._take(start + steps)
        self.selectAll()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Step, but only with the focus."""
        if not self.hasFocus():
            event.ignore()
            return
        self._take(self._value + self._wheel.take(event))
        event.accept()

    def sizeHint(self) -> QSize:
        """Wide enough for the seeds of everyday; longer ones scroll."""
        hint = super().sizeHint()
        width = self.fontMetrics().horizontalAdvance("00000000") + 30
        return QSize(width, hint.height())

    def minimumSizeHint(self) -> QSize:
        """As ``sizeHint``."""
        return self.sizeHint()
