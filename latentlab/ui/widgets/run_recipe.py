"""The recipe of a run by tables; of several runs, what differs and how each ended up."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QPointF, QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication, QIcon, QKeySequence, QPainter, QPixmap, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import parse_recipe
from latentlab.core.run_status import RunSummary
from latentlab.ui.icons import icon
from latentlab.ui.widgets.run_comparison import Comparison, best_row, compare, figures_of
from latentlab.ui.widgets.run_marks import Mark
from latentlab.ui.widgets.run_view_state import TrainView
from latentlab.ui.widgets.tips import plain_tip


@lru_cache(maxsize=32)
def tables_of(text: str, name: str) -> tuple[Mapping[str, Any], str]:
    """Return the tables of a recipe with every default, and what is wrong with it, if anything."""
    if not text:
        return {}, ""
    try:
        return parse_recipe(text, name).resolved(), ""
    except LatentLabError as error:
        try:
            # Made by a newer or older version: shown as it is written.
            return tomllib.loads(text), error.message
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}, error.message


_WIDEST = 220
"""Pixels that a column takes at most to show its values whole."""


class RecipeView(QWidget):
    """Settings by table, a column for each run; figures of the runs above.

    Args:
        controller: of the window.
        view: what the person chose; it is changed here.
        facts_of: what a run said when it started.

    Signals:
        view_changed: a choice was made.
    """

    view_changed = Signal()

    def __init__(
        self,
        controller: Any,
        view: TrainView,
        facts_of: Callable[[Path], Mapping[str, Any]],
        marks: Callable[[Path], Mark],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName("Recipe")
        self._controller = controller
        self._view = view
        self._facts_of = facts_of
        self._marks = marks
        self._shown: Any = None
        self._runs: list[RunSummary] = []
        self.differences = QCheckBox("Only what &differs")
        self.differences.setChecked(view.differences)
        self.differences.setToolTip("Leave out settings that are the same in all shown runs")
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        self.note.hide()
        self.copy = QToolButton(self)
        self.tree = QTreeWidget()
        self._lay_out()
        self._recolour()
        self.differences.toggled.connect(self._toggle)
        self.copy.clicked.connect(self.copy_table)
        copy = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self.tree)
        copy.setContext(Qt.ShortcutContext.WidgetShortcut)
        copy.activated.connect(self.copy_table)

    def _lay_out(self) -> None:
        self.copy.setAutoRaise(True)
        self.copy.setAccessibleName("Copy the table")
        self.copy.setToolTip("Copy this table (Ctrl+C)")
        self.copy.setIconSize(QSize(16, 16))
        tree = self.tree
        tree.setAccessibleName("Settings and figures")
        tree.setFrameShape(QFrame.Shape.NoFrame)
        tree.setUniformRowHeights(True)
        tree.setAlternatingRowColors(True)
        tree.setRootIsDecorated(True)
        tree.setIndentation(12)
        tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        tree.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        row = QHBoxLayout()
        row.addWidget(self.differences)
        row.addStretch()
        row.addWidget(self.copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(row)
        layout.addWidget(self.note)
        layout.addWidget(tree, 1)

    def show_runs(self, runs: Sequence[RunSummary]) -> None:
        """Show the recipes and figures of runs."""
        self._runs = list(runs)
        several = len(runs) > 1
        self.differences.setVisible(several)
        feed = self._controller.runs
        recipes, problems = [], []
        for run in runs:
            tables, problem = tables_of(feed.recipe(run.path), run.name)
            recipes.append(tables)
            problems += [problem] if problem else []
        figures = [figures_of(r, feed.curves(r.path), self._facts_of(r.path)) for r in runs]
        found = compare(recipes, figures, several and self._view.differences)
        self.note.setText("\n".join(problems))
        self.note.setVisible(bool(problems))
        names = [run.name for run in runs]
        key = (names, found, self.palette().cacheKey())
        if key != self._shown:
            self._shown = key
            self._fill(found)

    def _fill(self, found: Sequence[Comparison]) -> None:
        tree = self.tree
        folded = {
            tree.topLevelItem(row).text(0)
            for row in range(tree.topLevelItemCount())
            if not tree.topLevelItem(row).isExpanded()
        }
        at = tree.verticalScrollBar().value()
        tree.clear()
        tree.setColumnCount(1 + len(self._runs))
        tree.setHeaderLabels(["Setting", *(run.name for run in self._runs)])
        several = len(self._runs) > 1
        for column, run in enumerate(self._runs, start=1):
            if several:
                tree.headerItem().setIcon(column, self._sign(self._marks(run.path)))
            tree.headerItem().setToolTip(column, plain_tip(str(run.path)))
        for group in found:
            parent = QTreeWidgetItem(tree, [group.title])
            font = parent.font(0)
            font.setBold(True)
            parent.setFont(0, font)
            parent.setFirstColumnSpanned(True)
            for name, values in group.rows:
                item = QTreeWidgetItem(parent, [name, *values])
                best = best_row(name, values)
                for column, value in enumerate(values, start=1):
                    item.setToolTip(column, plain_tip(value))
                    if column - 1 == best:
                        item.setText(column, f"{value} ★")
                        item.setToolTip(column, plain_tip(f"{value}: the best of these runs"))
            parent.setExpanded(group.title not in folded)
        self._share_columns()
        tree.verticalScrollBar().setValue(at)

    def _share_columns(self) -> None:
        header = self.tree.header()
        header.setStretchLastSection(True)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.tree.resizeColumnToContents(0)
        width = self.tree.columnWidth(0)
        self.tree.setColumnWidth(0, min(width, max(120, self.width() * 45 // 100)))
        rest = max(80, (self.width() - self.tree.columnWidth(0)) // max(1, len(self._runs)))
        for column in range(1, self.tree.columnCount() - 1):
            # Figures are read whole; a long path may be cut.
            whole = min(self.tree.sizeHintForColumn(column), _WIDEST)
            self.tree.setColumnWidth(column, max(rest, whole))

    def _sign(self, mark: Mark) -> QIcon:
        pixmap = QPixmap(32, 32)
        pixmap.setDevicePixelRatio(2)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        mark.paint(painter, QPointF(8, 8), 11, self.palette())
        painter.end()
        return QIcon(pixmap)

    def _toggle(self, on: bool) -> None:
        self._view.differences = on
        self.show_runs(self._runs)
        self.view_changed.emit()

    def copy_table(self) -> None:
        """Copy all rows that are shown, as a table with tabs."""
        lines = ["\t".join(["Setting", *(run.name for run in self._runs)])]
        for row in range(self.tree.topLevelItemCount()):
            group = self.tree.topLevelItem(row)
            for place in range(group.childCount()):
                item = group.child(place)
                cells = [item.text(column) for column in range(self.tree.columnCount())]
                cells[0] = f"{group.text(0)}: {cells[0]}"
                lines.append("\t".join(cells).replace(" ★", ""))
        QGuiApplication.clipboard().setText("\n".join(lines))
        self._controller.message.emit("The table is on the clipboard", "")

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other icons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._recolour()

    def _recolour(self) -> None:
        self.copy.setIcon(icon("copy", self.palette()))
