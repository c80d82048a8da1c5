"""Which images a new run trains on: drawn portraits, a folder or file, or what was used before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import load_recipe
from latentlab.core.run_status import find_runs
from latentlab.core.runs import RunFolder
from latentlab.ui.map_background import Background
from latentlab.ui.widgets.direction_pages.data_chooser import DataChooser, source_title
from latentlab.ui.widgets.setting_controls import QuietCombo
from latentlab.ui.widgets.tips import plain_tip

_ALL = "all"
_RECENT_RUNS = 12


def sources_of_runs(roots: list[Path]) -> list[str]:
    """Return the data of the newest runs, each once."""
    found: list[str] = []
    for run in find_runs(roots)[:_RECENT_RUNS]:
        try:
            source = load_recipe(RunFolder(run.path).recipe).data.source
        except LatentLabError:
            continue
        if source not in found:
            found.append(source)
    return found


class NewRunData(DataChooser):
    """A data set and its split, for a recipe: labels come with the data, so there is no table.

    Signals:
        changed: something else was chosen (of ``DataChooser``).
        split_chosen: another part, ``None`` for all.
    """

    split_chosen = Signal(object)

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        self.parts_box = QuietCombo()
        self._parts: tuple[str, ...] = ()
        self._of_runs: list[str] = []
        super().__init__(controller, parent)
        self.source_box.setAccessibleName("Images to train on")
        self.source_box.setPlaceholderText("Choose the images to train on")
        self.source_box.setToolTip("A folder, zip or data set file; drop one anywhere in the form")
        # The folders of runs may be far away.
        roots = controller.settings.run_roots()
        self._reading = Background(self)
        self._reading.run(
            lambda: sources_of_runs(roots), self._take_runs, lambda _failure: None, much=True
        )

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        self._more = QWidget()
        row = QHBoxLayout(self._more)
        row.setContentsMargins(0, 0, 0, 0)
        self._split_label = QLabel("Spl&it")
        self._split_label.setBuddy(self.parts_box)
        self.parts_box.setAccessibleName("Split")
        self.parts_box.setToolTip("The part of the data to train on")
        self.parts_box.activated.connect(self._part_chosen)
        row.addWidget(self._split_label)
        row.addWidget(self.parts_box, 1)
        layout.addWidget(self.source_box)
        layout.addWidget(self._more)
        # Of the base class, for tables of labels: not used here.
        for widget in (self.split_box, self.table_box, self._browse_button, self.how_button):
            widget.setParent(self)
            widget.hide()

    def show_source(self, source: str, split: str | None) -> None:
        """Show what the recipe says, without telling of it."""
        if source != self.source:
            if source:
                self._remember(source)
            self._fill(source)
        self._show_parts(split)

    def show_splits(self, splits: tuple[str, ...], split: str | None) -> None:
        """Offer the parts that the data has."""
        self._parts = splits
        self._show_parts(split)

    def choose(self, source: str, split: str | None = None, table: str | None = None) -> None:
        """Choose a data source; one image means its folder."""
        path = Path(source).expanduser()
        if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".bmp") and path.is_file():
            source = str(path.parent)
        self._parts = ()
        super().choose(source, split, table)

    def _show_parts(self, split: str | None) -> None:
        offered = list(dict.fromkeys([*self._parts, *([split] if split else [])]))
        self.parts_box.clear()
        self.parts_box.addItem(_ALL, None)
        for part in offered:
            self.parts_box.addItem(part, part)
        self.parts_box.setCurrentIndex(max(0, self.parts_box.findData(split)))
        self._more.setVisible(bool(offered))

    def _part_chosen(self, _row: int) -> None:
        self.split_chosen.emit(self.parts_box.currentData())

    def _known(self) -> list[str]:
        """Return what is offered: recent ones, the model's and the map's, those of earlier runs."""
        found = super()._known()
        return found + [one for one in self._of_runs if one not in found]

    def _take_runs(self, found: list[str]) -> None:
        self._of_runs = found
        # An open list stays as it is; the next time it is opened they are there.
        if found and not self.source_box.view().isVisible():
            self._fill(self.source)

    def _fill(self, wanted: str) -> None:
        super()._fill(wanted)
        self._more.setVisible(self.parts_box.count() > 1)
        for row in range(self.source_box.count()):
            if isinstance(source := self.source_box.itemData(row), str) and row == self._last:
                self.source_box.setItemText(row, source_title(source))
                self.source_box.setItemData(row, plain_tip(source), Qt.ItemDataRole.ToolTipRole)
