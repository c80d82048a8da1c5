"""All settings of a recipe as a form: by heading, with a search, few or all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QLabel, QLineEdit, QVBoxLayout, QWidget

from latentlab.core.settings_schema import SettingGroup
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.setting_fields import SettingField


class SettingsForm(QWidget):
    """The fields of all settings.

    Signals:
        edited: key and new value of a setting.
        reset_asked: key of a setting.
        misread: what is typed somewhere can no longer be understood, or can again.
    """

    edited = Signal(str, object)
    reset_asked = Signal(str)
    misread = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Settings")
        self.fields: dict[str, SettingField] = {}
        self._misread: dict[str, str] = {}
        self._shown_groups: tuple[SettingGroup, ...] = ()
        self._headings: list[tuple[QLabel, list[str]]] = []
        self.search = QLineEdit(placeholderText="Search the settings")
        self.search.setAccessibleName("Search the settings")
        self.search.setClearButtonEnabled(True)
        self.search.setMinimumWidth(150)
        self.all_box = QCheckBox("A&ll settings")
        self.all_box.setToolTip("Show every setting, not only those that matter most")
        self.explain_box = QCheckBox("Ex&plain")
        self.explain_box.setToolTip("Show what each setting does; the tooltips say it too")
        self.explain_box.setChecked(True)
        self.nothing = QLabel("No setting has these words.")
        self._rows = QVBoxLayout()
        self._rows.setSpacing(10)
        bar = QWidget()
        flow = FlowLayout(bar, spacing=8)
        flow.setContentsMargins(0, 0, 0, 0)
        for widget in (self.search, self.all_box, self.explain_box):
            flow.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(bar)
        layout.addWidget(self.nothing)
        layout.addLayout(self._rows)
        self.search.textChanged.connect(lambda _text: self._filter())
        self.all_box.toggled.connect(lambda _on: self._filter())
        self.explain_box.toggled.connect(self._explain)

    @property
    def invalid(self) -> dict[str, str]:
        """What is typed and cannot be understood: a sentence by key."""
        return dict(self._misread)

    def show_groups(
        self, groups: Sequence[SettingGroup], hidden: Collection[str] = frozenset()
    ) -> None:
        """Build the fields, unless they are there already.

        Args:
            groups: headings with their settings.
            hidden: keys that are chosen elsewhere.
        """
        wanted = tuple(groups)
        if wanted == self._shown_groups:
            return
        self._shown_groups = wanted
        while (item := self._rows.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.fields, self._misread, self._headings = {}, {}, []
        for group in wanted:
            keys = [one.key for one in group.settings if one.key not in hidden]
            heading = QLabel(group.title)
            font = heading.font()
            font.setBold(True)
            heading.setFont(font)
            heading.setContentsMargins(0, 8, 0, 0)
            self._rows.addWidget(heading)
            self._headings.append((heading, keys))
            for one in group.settings:
                if one.key not in hidden:
                    self._rows.addWidget(self._add(one))
        self._filter()

    def _add(self, setting: Any) -> SettingField:
        field = SettingField(setting)
        field.explain(self.explain_box.isChecked())
        field.edited.connect(lambda key=setting.key: self._take(key))
        field.reset_asked.connect(lambda key=setting.key: self._reset(key))
        self.fields[setting.key] = field
        return field

    def show_values(
        self,
        value: Callable[[str], Any],
        usual: Callable[[str], Any],
        changed: Collection[str],
        whose: str,
    ) -> None:
        """Show the values and what is usual.

        Args:
            value: of a key.
            usual: what a reset of a key gives.
            changed: keys whose value is not the usual one.
            whose: what the usual values are from.
        """
        for key, field in self.fields.items():
            field.set_value(value(key))
            field.show_usual(usual(key), whose, changed=key in changed)
            self._read(key)
        self._filter()

    def set_problems(self, problems: Mapping[str, str]) -> None:
        """Say what is wrong beside the settings."""
        hidden = False
        for key, field in self.fields.items():
            field.set_problem(self._misread.get(key) or problems.get(key, ""))
            hidden = hidden or (bool(field.said) and field.isHidden())
        if hidden:
            self._filter()

    def reveal(self, key: str) -> QWidget | None:
        """Show a field and give it the focus; return it, or ``None`` when it is elsewhere."""
        field = self.fields.get(key)
        if field is not None:
            self.search.clear()
            field.show()
            field.control.setFocus()
        return field

    # Inside.

    def _read(self, key: str) -> tuple[bool, Any]:
        """Return whether a field can be understood, and its value."""
        try:
            value = self.fields[key].value()
        except ValueError as error:
            self._misread[key] = str(error)
            return False, None
        self._misread.pop(key, None)
        return True, value

    def _take(self, key: str) -> None:
        known, value = self._read(key)
        if known:
            self.edited.emit(key, value)
        else:
            self.misread.emit()

    def _reset(self, key: str) -> None:
        self.fields[key].discard()
        self.reset_asked.emit(key)

    def _explain(self, shown: bool) -> None:
        for field in self.fields.values():
            field.explain(shown)

    def _filter(self) -> None:
        """Show what is searched for, or what matters, or all; what is changed or wrong always."""
        words = self.search.text().casefold().split()
        everything = self.all_box.isChecked()
        any_shown = False
        for heading, keys in self._headings:
            shown = 0
            for key in keys:
                field = self.fields[key]
                if words:
                    wanted = field.matches(words)
                else:
                    wanted = everything or not field.setting.advanced
                    wanted = wanted or field.changed or bool(field.said)
                if wanted == field.isHidden():
                    field.setVisible(wanted)
                shown += wanted
            heading.setVisible(shown > 0)
            any_shown = any_shown or shown > 0
        self.nothing.setVisible(not any_shown)
