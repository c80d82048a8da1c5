"""The training runs as rows, the newest first, and those that are laid over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)

from latentlab.core.run_status import RunSummary
from latentlab.ui.widgets.run_marks import Mark, RunMarks
from latentlab.ui.widgets.run_text import facts_text, pace_text, state_sentence, state_word
from latentlab.ui.widgets.tips import plain_tip

Index = QModelIndex | QPersistentModelIndex
RUN_ROLE = Qt.ItemDataRole.UserRole + 1
MARK_ROLE = Qt.ItemDataRole.UserRole + 2
WORD_ROLE = Qt.ItemDataRole.UserRole + 3
_ROOT = QModelIndex()


class RunListModel(QAbstractListModel):
    """Runs, newest first; a tick lays a run over the one that is open.

    Args:
        marks: colour and marker of each run.

    Signals:
        overlay_changed: another set of runs is ticked.
    """

    overlay_changed = Signal()

    def __init__(self, marks: RunMarks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.marks = marks
        self._runs: list[RunSummary] = []
        self._ticked: list[Path] = []
        self._made: dict[Path, float] = {}
        self._asked: dict[Path, str] = {}

    @property
    def runs(self) -> list[RunSummary]:
        """The runs in the order of the rows."""
        return list(self._runs)

    @property
    def overlaid(self) -> list[Path]:
        """The runs that are ticked, in the order in which they were."""
        known = {run.path for run in self._runs}
        return [path for path in self._ticked if path in known]

    def run(self, path: Path | None) -> RunSummary | None:
        """Return a run by its folder."""
        return next((run for run in self._runs if run.path == path), None)

    def row_of(self, path: Path | None) -> int:
        """Return the row of a run, or -1."""
        return next((row for row, run in enumerate(self._runs) if run.path == path), -1)

    def set_runs(self, runs: Sequence[RunSummary]) -> None:
        """Show runs; rows stay where they are as long as the runs are the same."""
        for run in runs:
            # A recipe that is written anew moves no row.
            self._made.setdefault(run.path, run.made)
        ordered = sorted(runs, key=lambda run: (-self._made[run.path], run.name))
        paths = [run.path for run in ordered]
        if paths == [run.path for run in self._runs]:
            self._runs = ordered
            if ordered:
                self.dataChanged.emit(self.index(0), self.index(len(ordered) - 1))
            return
        self.beginResetModel()
        # The oldest run takes the first mark, so that new runs change none.
        for path in reversed(paths):
            self.marks.of(path)
        self.marks.keep_only(paths)
        self._made = {path: self._made[path] for path in paths}
        before, self._runs = self.overlaid, ordered
        self.endResetModel()
        if self.overlaid != before:
            self.overlay_changed.emit()

    def word(self, run: RunSummary) -> str:
        """Return the state of a run in a word."""
        return state_word(run, self._asked.get(run.path, ""))

    def set_asked(self, asked: Mapping[Path, str]) -> None:
        """Say what was asked of runs and is not done yet."""
        if dict(asked) != self._asked:
            self._asked = dict(asked)
            if self._runs:
                self.dataChanged.emit(self.index(0), self.index(len(self._runs) - 1))

    def set_overlaid(self, paths: Sequence[Path]) -> None:
        """Tick these runs and no others."""
        before, self._ticked = self.overlaid, list(paths)
        if self.overlaid != before:
            if self._runs:
                self.dataChanged.emit(self.index(0), self.index(len(self._runs) - 1))
            self.overlay_changed.emit()

    def rowCount(self, parent: Index = _ROOT) -> int:
        """Return the number of runs."""
        return 0 if parent.isValid() else len(self._runs)

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Every run can be ticked."""
        return super().flags(index) | Qt.ItemFlag.ItemIsUserCheckable

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a row shows and says."""
        if not 0 <= index.row() < len(self._runs):
            return None
        run = self._runs[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return run.name
        if role == Qt.ItemDataRole.CheckStateRole:
            ticked = run.path in self._ticked
            return Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked
        if role == RUN_ROLE:
            return run
        if role == MARK_ROLE:
            return self.marks.of(run.path)
        if role == WORD_ROLE:
            return self.word(run)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            mark: Mark = self.marks.of(run.path)
            said = [run.name, self.word(run), facts_text(run), pace_text(run), mark.shape_name]
            return ", ".join(text for text in said if text)
        if role == Qt.ItemDataRole.ToolTipRole:
            sentence = state_sentence(run, self._asked.get(run.path, ""))
            return plain_tip(f"{sentence}\n{run.path}")
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Tick a run, or take its tick away."""
        if role != Qt.ItemDataRole.CheckStateRole or not index.isValid():
            return False
        path = self._runs[index.row()].path
        rest = [other for other in self._ticked if other != path]
        if Qt.CheckState(value) == Qt.CheckState.Checked:
            rest.append(path)
        self._ticked = rest
        self.dataChanged.emit(self.index(index.row()), self.index(index.row()))
        self.overlay_changed.emit()
        return True
