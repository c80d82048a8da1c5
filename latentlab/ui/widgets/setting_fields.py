"""A setting in a form: name, control, unit, explanation, mark of a change, and what is wrong."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from latentlab.core.settings_schema import Setting
from latentlab.ui.icons import icon
from latentlab.ui.widgets.setting_controls import make_control
from latentlab.ui.widgets.setting_text import limits_words, with_unit
from latentlab.ui.widgets.tips import plain_tip

_NAME_SHARE, _CONTROL_SHARE = 3, 6
_UNIT_WIDTH = 76
_RESET_SIZE = 24


class NameLabel(QLabel):
    """The name of a setting, which gives the focus to its control.

    Signals:
        double_clicked: a person double-clicked it.
    """

    double_clicked = Signal()

    def mouseDoubleClickEvent(self, _event: QMouseEvent) -> None:
        """Say so."""
        self.double_clicked.emit()


class SettingField(QWidget):
    """One setting.

    Args:
        setting: what it is.

    Signals:
        edited: the value is another one, or can no longer be understood.
        reset_asked: the usual value is wanted.
    """

    edited = Signal()
    reset_asked = Signal()

    def __init__(self, setting: Setting, parent: QWidget | None = None) -> None:
        self.changed = False
        super().__init__(parent)
        self.setting = setting
        self._following = self._discarded = False
        self._usual = ""
        self._told: tuple[Any, str, bool] | None = None
        self.name = NameLabel(setting.title)
        self.name.setWordWrap(True)
        self.control = make_control(setting)
        self.unit = QLabel(setting.unit, self)
        self.unit.setFixedWidth(_UNIT_WIDTH)
        self.reset = QToolButton()
        self.reset.setAutoRaise(True)
        self.reset.setFixedSize(_RESET_SIZE, _RESET_SIZE)
        self.note = _small(setting.help)
        self.problem = _small("")
        self.problem.setObjectName("problem")
        self.problem.setForegroundRole(self.problem.palette().ColorRole.WindowText)
        self.name.setBuddy(self.control)
        self.name.double_clicked.connect(self.reset_asked)
        self.reset.clicked.connect(lambda: self.reset_asked.emit())
        self.control.changed.connect(self._edited)
        self._lay_out()
        self.set_problem("")
        self.show_usual(setting.default, "Usual value", changed=False)

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(2)
        grid.addWidget(self.name, 0, 0)
        # Columns are alike in all fields; words have the room of the unit too.
        numeric = self.setting.kind in ("integer", "number")
        cell = QHBoxLayout()
        cell.setSpacing(6)
        cell.addWidget(self.control, 1)
        cell.addWidget(self.unit)
        grid.addLayout(cell, 0, 1)
        self.unit.setVisible(numeric)
        grid.addWidget(self.reset, 0, 2)
        grid.addWidget(self.problem, 1, 0, 1, 3)
        grid.addWidget(self.note, 2, 0, 1, 3)
        grid.setColumnStretch(0, _NAME_SHARE)
        grid.setColumnStretch(1, _CONTROL_SHARE)
        # The place of the arrow stays free, so that a change moves nothing.
        keep = self.reset.sizePolicy()
        keep.setRetainSizeWhenHidden(True)
        self.reset.setSizePolicy(keep)
        self.name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.name.setMinimumWidth(90)

    # What it shows.

    def value(self) -> Any:
        """Return the value; ``ValueError`` with a sentence when it cannot be understood."""
        return self.control.value()

    def set_value(self, value: Any) -> None:
        """Show a value; a control that shows it already is left alone, half-typed words too."""
        try:
            if self.control.value() == value:
                return
        except ValueError:
            # What a person is typing stays until it is mended or reset.
            if self.control.hasFocus() and not self._discarded:
                return
        self._discarded = False
        self._following = True
        self.control.set_value(value)
        self._following = False

    def discard(self) -> None:
        """Let the next value replace what was typed, even if it cannot be understood."""
        self._discarded = True

    def show_usual(self, value: Any, whose: str, *, changed: bool) -> None:
        """Say what a reset gives.

        Args:
            value: the usual one.
            whose: for example ``Preset``.
            changed: the value is another one: mark it.
        """
        now = (value, whose, changed)
        if now == self._told:
            return
        self._told = now
        self.changed = changed
        self._usual = f"{whose}: {with_unit(self.setting, value)}."
        font = self.name.font()
        font.setBold(changed)
        self.name.setFont(font)
        self.name.setText(f"● {self.setting.title}" if changed else self.setting.title)
        if changed and self.reset.icon().isNull():
            # Drawn when it is first seen: a form has dozens.
            self.reset.setIcon(icon("reset", self.palette()))
        self.reset.setVisible(changed)
        self.reset.setToolTip(plain_tip(f"Back to {with_unit(self.setting, value)}"))
        self.reset.setAccessibleName(
            f"Reset {self.setting.title} to {with_unit(self.setting, value)}"
        )
        limits = limits_words(self.setting)
        limits = f" {limits[:1].upper()}{limits[1:]}." if limits else ""
        self.note.setText(f"{self.setting.help} {self._usual}")
        tip = f"{self.setting.help}\n{self._usual}{limits}\n{self.setting.key}"
        for widget in (self.name, self.control):
            widget.setToolTip(tip)
        self.name.setToolTip(f"{tip}\nDouble-click the name to reset it.")
        state = "Changed. " if changed else ""
        self.control.setAccessibleDescription(f"{state}{self.setting.help} {self._usual}{limits}")

    def set_problem(self, sentence: str) -> None:
        """Say what is wrong; nothing when empty."""
        self.problem.setText(f"⚠ {sentence}" if sentence else "")
        self.problem.setVisible(bool(sentence))

    @property
    def said(self) -> str:
        """What is said to be wrong."""
        return self.problem.text().removeprefix("⚠ ")

    def explain(self, shown: bool) -> None:
        """Show or hide the explanation."""
        self.note.setVisible(shown)

    def matches(self, words: list[str]) -> bool:
        """Whether all words stand somewhere in name, key, unit or explanation."""
        one = self.setting
        text = f"{one.title} {one.key} {one.unit} {one.help}".casefold()
        text += f" {text.replace('_', ' ')}"
        return all(word in text for word in words)

    def _edited(self) -> None:
        if not self._following:
            self.edited.emit()

    def changeEvent(self, event) -> None:
        """Draw the arrow in the colours of a new palette."""
        super().changeEvent(event)
        if event.type() == event.Type.PaletteChange and hasattr(self, "reset"):
            self.reset.setIcon(icon("reset" if self.changed else "", self.palette()))


def _small(text: str) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setForegroundRole(label.palette().ColorRole.PlaceholderText)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    font = label.font()
    if font.pixelSize() > 0:
        font.setPixelSize(max(11, font.pixelSize() - 2))
    elif font.pointSizeF() > 0:
        font.setPointSizeF(max(8.0, font.pointSizeF() * 0.88))
    label.setFont(font)
    return label
