"""What the form for a new run shows: one column in a narrow dock, two in a wide one."""

from __future__ import annotations

import itertools
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from latentlab import catalog
from latentlab.core import presets
from latentlab.core.families.registry import known_families
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.new_run_data import NewRunData
from latentlab.ui.widgets.new_run_draft import RunDraft
from latentlab.ui.widgets.new_run_estimate import NewRunEstimate
from latentlab.ui.widgets.new_run_preview import NewRunPreview
from latentlab.ui.widgets.new_run_start import bold
from latentlab.ui.widgets.new_run_warm import NewRunWarm
from latentlab.ui.widgets.setting_controls import QuietCombo
from latentlab.ui.widgets.setting_form import SettingsForm

WIDE_FROM = 720
_HIDDEN = frozenset({"model.family", "data.split"})
_SPACING = 8


def family_title(family: str) -> str:
    """Return what a person calls a family."""
    return next((row.title for row in catalog.FAMILIES if row.id == family), family)


def family_summary(family: str) -> str:
    """Return what a family is, in a sentence; empty for one that says nothing."""
    return next((row.summary for row in catalog.FAMILIES if row.id == family), "")


def _caption(text: str = "") -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setForegroundRole(label.palette().ColorRole.PlaceholderText)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def _column(parent: QWidget) -> QVBoxLayout:
    layout = QVBoxLayout(parent)
    layout.setContentsMargins(8, 8, 8, 8)
    layout.setSpacing(_SPACING)
    return layout


def _scroll(name: str) -> QScrollArea:
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setAccessibleName(name)
    return area


class NewRunPage(QWidget):
    """The parts of the form; it shows a draft and says what a person does.

    Args:
        controller: of the window.

    Signals:
        family_chosen: id of a family.
        preset_chosen: id of a preset.
        open_asked: a recipe file is wanted.
        recipe_asked: the recipe's text is wanted.
    """

    family_chosen = Signal(str)
    preset_chosen = Signal(str)
    open_asked = Signal()
    recipe_asked = Signal()

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.family_box = QuietCombo()
        self.family_box.setAccessibleName("Family")
        self.family_box.setToolTip("The kind of model")
        for family in known_families():
            self.family_box.addItem(family_title(family), family)
        self.summary = _caption()
        self.open_button = QPushButton("&Open recipe…")
        self.open_button.setToolTip("Fill the form from a recipe file (.toml), or drop one here")
        self.recipe_button = QPushButton("View as re&cipe")
        self.recipe_button.setToolTip("The text that the command line takes")
        self.data = NewRunData(controller)
        self.preset_buttons: dict[str, QPushButton] = {}
        self._preset_group = QButtonGroup(self)
        self.preset_summary = _caption()
        self.estimate = NewRunEstimate()
        self.warm = NewRunWarm(controller)
        self.settings = SettingsForm()
        self.preview = NewRunPreview(controller)
        self._wide: bool | None = None
        self._build()
        self._connect()

    def _build(self) -> None:
        self._main_area, self._side_area = _scroll("Settings of the run"), _scroll("The data")
        main = QWidget()
        self._main = _column(main)
        self._side = QWidget()
        side = QVBoxLayout(self._side)
        side.setContentsMargins(0, 0, 0, 0)
        side.addWidget(self.preview)
        side.addStretch(1)
        buttons = QWidget()
        flow = FlowLayout(buttons, spacing=6)
        flow.setContentsMargins(0, 0, 0, 0)
        flow.addWidget(self.open_button)
        flow.addWidget(self.recipe_button)
        self._main.addWidget(buttons)
        self._section("Famil&y", self.family_box, self.summary, buddy=self.family_box)
        self._section("D&ata", self.data, buddy=self.data.source_box)
        self._side_place = self._main.count()
        self._section("Preset", self._make_presets(), self.preset_summary)
        self._section("On this device", self.estimate)
        self._section("Sta&rt from", self.warm, buddy=self.warm)
        self._section("Settings", self.settings)
        self._main.addStretch(1)
        self._main_area.setWidget(main)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._main_area, 5)
        layout.addWidget(self._side_area, 4)
        self._arrange(False)

    def _section(self, title: str, *parts: QWidget, buddy: QWidget | None = None) -> None:
        heading = bold(title)
        if buddy is not None:
            heading.setBuddy(buddy)
        heading.setContentsMargins(0, 6, 0, 0)
        self._main.addWidget(heading)
        for part in parts:
            self._main.addWidget(part)

    def _make_presets(self) -> QWidget:
        box = QWidget()
        box.setAccessibleName("Preset")
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for preset in presets.PRESETS:
            button = QPushButton(preset.capitalize())
            button.setCheckable(True)
            self._preset_group.addButton(button)
            button.clicked.connect(lambda _=False, preset=preset: self.preset_chosen.emit(preset))
            self.preset_buttons[preset] = button
            row.addWidget(button, 1)
        return box

    def _connect(self) -> None:
        self.family_box.activated.connect(
            lambda _row: self.family_chosen.emit(self.family_box.currentData())
        )
        self.open_button.clicked.connect(lambda: self.open_asked.emit())
        self.recipe_button.clicked.connect(lambda: self.recipe_asked.emit())

    # What it shows.

    def show_draft(self, draft: RunDraft) -> None:
        """Show what a draft says."""
        self.family_box.setCurrentIndex(self.family_box.findData(draft.family))
        self.summary.setText(family_summary(draft.family))
        self.data.show_source(draft.source, draft.value("data.split"))
        self._show_presets(draft)
        self.warm.set_family(draft.family)
        before = tuple(self.settings.fields)
        self.settings.show_groups(draft.groups, _HIDDEN)
        whose = "Preset" if draft.origin.preset else "Recipe" if draft.origin.name else "Usual"
        self.settings.show_values(draft.value, draft.base, draft.changed, whose)
        if tuple(self.settings.fields) != before:
            self._chain_tabs()

    def _show_presets(self, draft: RunDraft) -> None:
        # A group that is exclusive cannot have none that is pressed.
        self._preset_group.setExclusive(False)
        for preset, button in self.preset_buttons.items():
            known = preset in draft.presets
            button.setEnabled(known)
            chosen = draft.origin.preset == preset
            button.setChecked(chosen)
            font = button.font()
            font.setBold(chosen)
            button.setFont(font)
            if known:
                info = presets.preset_info(draft.family, preset)
                button.setText(f"✓ {info.title}" if chosen else info.title)
                button.setToolTip(info.summary)
        self._preset_group.setExclusive(bool(draft.origin.preset))
        changed = len(draft.changed)
        if draft.origin.preset and draft.origin.preset in draft.presets:
            said = presets.preset_info(draft.family, draft.origin.preset).summary
        elif draft.origin.name:
            said = (
                f"As in {draft.origin.name}. A preset replaces all but the data and your changes."
            )
        else:
            said = "This family has no presets: look through the settings."
        if changed:
            said += f" {changed} setting{'s' * (changed != 1)} changed."
        self.preset_summary.setText(said)

    def reveal(self, key: str) -> None:
        """Bring a setting into view and give it the focus."""
        field = self.settings.reveal(key)
        if field is not None:
            self._main_area.ensureWidgetVisible(field, 0, 40)

    # Where it is.

    def resizeEvent(self, event: QResizeEvent) -> None:
        """One column or two, as there is room."""
        super().resizeEvent(event)
        self._arrange(event.size().width() >= WIDE_FROM)

    def _arrange(self, wide: bool) -> None:
        if wide == self._wide:
            return
        self._wide = wide
        focus = self.focusWidget()
        if wide:
            self._main.removeWidget(self._side)
            self._side.layout().setContentsMargins(8, 8, 8, 8)
            self._side_area.setWidget(self._side)
        else:
            if self._side_area.widget() is self._side:
                self._side_area.takeWidget()
            self._side.layout().setContentsMargins(0, 0, 0, 0)
            self._main.insertWidget(self._side_place, self._side)
        self._side.show()
        self._side_area.setVisible(wide)
        self._chain_tabs()
        if focus is not None:
            focus.setFocus()

    def _chain_tabs(self) -> None:
        """Let Tab follow what is seen: rebuilt and moved parts are last in Qt's own order."""
        chain: list[QWidget] = []
        _collect(self._main, chain)
        if self._wide:
            _collect(self._side.layout(), chain)
        for first, second in itertools.pairwise(chain):
            QWidget.setTabOrder(first, second)


def _collect(layout: QLayout | None, found: list[QWidget]) -> None:
    """Append the widgets of a layout that take the focus by Tab, in its order."""
    if layout is None:
        return
    for row in range(layout.count()):
        item = layout.itemAt(row)
        widget = item.widget()
        if widget is None:
            _collect(item.layout(), found)
        elif widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.focusProxy() is None:
            found.append(widget)
        else:
            _collect(widget.layout(), found)
