"""One control for each kind of setting; all have ``changed``, ``value`` and ``set_value``."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QValidator, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.settings_schema import Setting
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.setting_text import (
    read_list,
    read_names,
    read_number,
    show_number,
    stepped,
)

NOT_SET = "not set"
_NUMBER_WIDTH = 92


class NumberBox(QAbstractSpinBox):
    """A number as text: whatever is typed stays there, and ``value`` says what is wrong with it.

    Arrows, Up, Down and the wheel (with the focus) go in sensible steps.

    Signals:
        changed: the text is another one.
    """

    changed = Signal()

    def __init__(self, setting: Setting, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._setting = setting
        self._whole = setting.kind == "integer"
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(_NUMBER_WIDTH)
        if setting.optional:
            self.lineEdit().setPlaceholderText(NOT_SET)
        self.lineEdit().textChanged.connect(lambda _text: self.changed.emit())
        self.editingFinished.connect(self._tidy)

    def value(self) -> float | int | None:
        """Return the number; ``ValueError`` with a sentence when it is none."""
        found = read_number(self.text(), self._whole)
        if found is None and not self._setting.optional:
            raise ValueError("Write a number.")
        return found

    def set_value(self, value: Any) -> None:
        """Show a number; ``None`` is nothing."""
        text = show_number(value)
        if text != self.text():
            self.lineEdit().setText(text)

    def validate(self, _text: str, _place: int) -> QValidator.State:
        """Everything may be typed."""
        return QValidator.State.Acceptable

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:
        """Both arrows work."""
        return QAbstractSpinBox.StepEnabledFlag(
            QAbstractSpinBox.StepEnabledFlag.StepUpEnabled
            | QAbstractSpinBox.StepEnabledFlag.StepDownEnabled
        )

    def stepBy(self, steps: int) -> None:
        """Go so many sensible steps."""
        try:
            now = read_number(self.text(), self._whole)
        except ValueError:
            return
        self.set_value(stepped(now, steps, self._setting))
        self.selectAll()

    def sizeHint(self) -> QSize:
        """Room for a dozen digits."""
        return QSize(_NUMBER_WIDTH + 30, super().sizeHint().height())

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Step, but only with the focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave Ctrl+Return to the form."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier and event.key() in (
            Qt.Key.Key_Return,
            Qt.Key.Key_Enter,
        ):
            event.ignore()
            return
        super().keyPressEvent(event)

    def _tidy(self) -> None:
        """Write a number that was typed as numbers are shown."""
        try:
            self.set_value(self.value())
        except ValueError:
            return


class SwitchBox(QCheckBox):
    """On or off.

    Signals:
        changed: it was switched.
    """

    changed = Signal()

    def __init__(self, _setting: Setting, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.toggled.connect(self._follow)
        self._follow(False)

    def _follow(self, on: bool) -> None:
        self.setText("on" if on else "off")
        self.changed.emit()

    def value(self) -> bool:
        """Whether it is on."""
        return self.isChecked()

    def set_value(self, value: Any) -> None:
        """Switch it."""
        self.setChecked(bool(value))


class QuietCombo(QComboBox):
    """The wheel scrolls what is behind it unless it has the focus."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Step, but only with the focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class ChoiceBox(QuietCombo):
    """One of several values.

    Signals:
        changed: another one was chosen.
    """

    changed = Signal()

    def __init__(self, setting: Setting, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        if setting.optional:
            self.addItem(NOT_SET, None)
        for choice in setting.choices:
            self.addItem(str(choice), choice)
        self.currentIndexChanged.connect(lambda _row: self.changed.emit())

    def value(self) -> Any:
        """Return what is chosen."""
        return self.currentData()

    def set_value(self, value: Any) -> None:
        """Choose a value; one that is not offered is added, so that it can be seen."""
        rows = [row for row in range(self.count()) if self.itemData(row) == value]
        if not rows:
            self.addItem(str(value), value)
            rows = [self.count() - 1]
        self.setCurrentIndex(rows[0])


class TextBox(QLineEdit):
    """Words, or several with commas between them.

    Signals:
        changed: the text is another one.
    """

    changed = Signal()

    def __init__(self, setting: Setting, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._setting = setting
        hint = NOT_SET if setting.optional else ""
        if setting.choices:
            hint = ", ".join(str(choice) for choice in setting.choices)
        elif setting.kind == "list":
            hint = "all" if setting.optional else "with commas between them"
        self.setPlaceholderText(hint)
        self.setMinimumWidth(_NUMBER_WIDTH)
        self.textChanged.connect(lambda _text: self.changed.emit())

    def value(self) -> Any:
        """Return what was typed; ``ValueError`` with a sentence when it cannot be understood."""
        if self._setting.kind == "list":
            return read_list(self.text(), self._setting)
        if not self.text().strip() and self._setting.optional:
            return None
        return read_names(self.text(), self._setting)

    def set_value(self, value: Any) -> None:
        """Show a value."""
        if isinstance(value, list | tuple):
            numbers = self._setting.item_kind in ("integer", "number")
            words = [_plain(item) if numbers else str(item) for item in value]
            text = ", ".join(words)
        else:
            text = "" if value is None else str(value)
        if text != self.text():
            self.setText(text)
            self.setCursorPosition(0)


def _plain(value: float) -> str:
    """Return a number without the commas that part a list."""
    return show_number(value).replace(",", "")


class ChecksBox(QWidget):
    """Several of some words.

    Signals:
        changed: one was switched.
    """

    changed = Signal()

    def __init__(self, setting: Setting, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._boxes: dict[Any, QCheckBox] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        inside = QWidget()
        flow = FlowLayout(inside, spacing=8)
        flow.setContentsMargins(0, 0, 0, 0)
        for choice in setting.choices:
            box = QCheckBox(str(choice))
            box.setAccessibleName(f"{setting.title}: {choice}")
            box.toggled.connect(lambda _on: self.changed.emit())
            self._boxes[choice] = box
            flow.addWidget(box)
        layout.addWidget(inside)
        self.setFocusProxy(next(iter(self._boxes.values())))

    def value(self) -> list[Any]:
        """Return the words that are on, in the order offered."""
        return [choice for choice, box in self._boxes.items() if box.isChecked()]

    def set_value(self, value: Any) -> None:
        """Switch exactly these on."""
        for choice, box in self._boxes.items():
            box.setChecked(choice in (value or ()))


Control = NumberBox | SwitchBox | ChoiceBox | TextBox | ChecksBox


def make_control(setting: Setting) -> Control:
    """Return the control of a setting, which says its name and explanation to screen readers."""
    made: Control
    if setting.kind in ("integer", "number"):
        made = NumberBox(setting)
    elif setting.kind == "switch":
        made = SwitchBox(setting)
    elif setting.kind == "choice":
        made = ChoiceBox(setting)
    elif setting.kind == "list" and setting.item_kind == "choice":
        made = ChecksBox(setting)
    else:
        made = TextBox(setting)
    unit = f", in {setting.unit}" if setting.unit else ""
    made.setAccessibleName(f"{setting.title}{unit}")
    made.setAccessibleDescription(setting.help)
    return made
