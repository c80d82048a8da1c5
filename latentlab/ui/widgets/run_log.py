"""What happened in a run, line by line; errors with their details."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSize,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QSplitter,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.run_status import RunSummary
from latentlab.ui.icons import icon
from latentlab.ui.widgets.run_text import clock
from latentlab.ui.widgets.tips import plain_tip

Index = QModelIndex | QPersistentModelIndex
COLUMNS = ("Time", "Step", "Start", "Message")
_TIPS = ("By the clock of the machine that trains", "Optimiser steps done",
         "1 for the first start of the run, one more at each resume", "")  # fmt: skip
_ROOT = QModelIndex()
KIND_ICONS = {
    "start": "play",
    "sample": "film",
    "checkpoint": "save",
    "pause": "pause",
    "continue": "play",
    "progress": "starting",
    "warning": "warning",
    "error": "cancel",
    "stop": "stop",
    "finish": "check",
}
FILTERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Everything", ()),
    ("Warnings and errors", ("warning", "error")),
    ("Starts and stops", ("start", "pause", "continue", "stop", "finish")),
    ("Checkpoints", ("checkpoint",)),
    ("Samples", ("sample",)),
)
KIND_ROLE = Qt.ItemDataRole.UserRole + 1
LINE_ROLE = Qt.ItemDataRole.UserRole + 2


class LogModel(QAbstractTableModel):
    """The lines, the newest last."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.lines: list[Any] = []

    def set_lines(self, lines: Sequence[Any]) -> None:
        """Show lines; those that are the same at the beginning stay where they are."""
        known, same = self.lines, 0
        for before, now in zip(known, lines):
            # Ten thousand lines are mostly the very same objects.
            if before is not now and before != now:
                break
            same += 1
        if same < len(known):
            self.beginRemoveRows(QModelIndex(), same, len(known) - 1)
            self.lines = known[:same]
            self.endRemoveRows()
        if same < len(lines):
            self.beginInsertRows(QModelIndex(), same, len(lines) - 1)
            self.lines = list(lines)
            self.endInsertRows()

    def rowCount(self, parent: Index = _ROOT) -> int:
        """Return the number of lines."""
        return 0 if parent.isValid() else len(self.lines)

    def columnCount(self, parent: Index = _ROOT) -> int:
        """Return the number of columns."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Name the columns."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        return _TIPS[section] if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows and says."""
        line = self.lines[index.row()]
        texts = (clock(line.time), f"{line.step:,}", str(line.attempt), line.message)
        if role == Qt.ItemDataRole.DisplayRole:
            return texts[index.column()]
        if role == Qt.ItemDataRole.DecorationRole and index.column() == 3:
            widget = self.parent()
            return icon(KIND_ICONS.get(line.kind, "info"), widget.palette())
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() in (1, 2):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            said = texts[index.column()]
            said = f"{line.kind}: {said}" if index.column() == 3 else said
            return plain_tip(said) if role == Qt.ItemDataRole.ToolTipRole else said
        if role == KIND_ROLE:
            return line.kind
        return line if role == LINE_ROLE else None


class _Filter(QSortFilterProxyModel):
    """Lines of some kinds that hold a text."""

    kinds: tuple[str, ...] = ()
    text = ""

    def choose(self, kinds: tuple[str, ...], text: str) -> None:
        """Show these lines alone."""
        self.kinds, self.text = kinds, text.casefold()
        self.invalidate()

    def filterAcceptsRow(self, row: int, _parent: Index) -> bool:
        """Whether a line is shown."""
        line = self.sourceModel().lines[row]
        if self.kinds and line.kind not in self.kinds:
            return False
        return self.text in f"{line.message} {line.step} {line.kind}".casefold()


class LogView(QWidget):
    """The log of the open run, with a filter; the chosen line stands below in full.

    Args:
        controller: of the window.
    """

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Log")
        self._controller = controller
        self._run: RunSummary | None = None
        self.model = LogModel(self)
        self._filter = _Filter(self)
        self._filter.setSourceModel(self.model)
        self.kinds = QComboBox(self)
        self.search = QLineEdit(placeholderText="Find in the log")
        self.copy = QToolButton(self)
        self.table = QTableView()
        self.details = QPlainTextEdit()
        self._lay_out()
        self._recolour()
        self.kinds.currentIndexChanged.connect(self._choose)
        self.search.textChanged.connect(self._choose)
        self.copy.clicked.connect(self.copy_lines)
        self.table.selectionModel().currentRowChanged.connect(self._show_details)
        copy = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self.table)
        copy.setContext(Qt.ShortcutContext.WidgetShortcut)
        copy.activated.connect(self.copy_lines)

    def _lay_out(self) -> None:
        for title, kinds in FILTERS:
            self.kinds.addItem(title, kinds)
        self.kinds.setAccessibleName("Kinds of lines")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Find in the log")
        self.copy.setAutoRaise(True)
        self.copy.setAccessibleName("Copy the log")
        self.copy.setToolTip("Copy the chosen lines, or all that are shown (Ctrl+C)")
        self.copy.setIconSize(QSize(16, 16))
        table = self.table
        table.setModel(self._filter)
        table.setAccessibleName("What happened, the newest last")
        table.setFrameShape(QFrame.Shape.NoFrame)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setTabKeyNavigation(False)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 6)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setStretchLastSection(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.details.setReadOnly(True)
        self.details.setAccessibleName("The chosen line in full")
        self.details.setPlaceholderText("Choose a line to read it in full.")
        self.details.setFrameShape(QFrame.Shape.NoFrame)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.addWidget(table)
        splitter.addWidget(self.details)
        splitter.setStretchFactor(0, 1)
        splitter.setSizes([400, 64])
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.kinds)
        row.addWidget(self.search, 1)
        row.addWidget(self.copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(row)
        layout.addWidget(splitter, 1)

    def show_runs(self, runs: Sequence[RunSummary]) -> None:
        """Show the log of the first run; at its end it stays at its end."""
        run = runs[0] if runs else None
        new = run is None or self._run is None or run.path != self._run.path
        self._run = run
        bar = self.table.verticalScrollBar()
        at_end = new or bar.value() >= bar.maximum()
        self.model.set_lines([] if run is None else self._controller.runs.log(run.path))
        if new:
            self.details.clear()
            for column in range(len(COLUMNS) - 1):
                self.table.resizeColumnToContents(column)
        if at_end:
            self.table.scrollToBottom()

    def _choose(self, *_: object) -> None:
        self._filter.choose(tuple(self.kinds.currentData()), self.search.text())

    def _show_details(self, index: Index, _before: Index) -> None:
        line = index.data(LINE_ROLE) if index.isValid() else None
        if line is None or self._run is None:
            return
        parts = [line.message, line.details]
        if line.kind == "error":
            console = self._controller.runs.console(self._run.path)
            parts += [f"The end of console.log:\n{console}" if console else ""]
        self.details.setPlainText("\n\n".join(part for part in parts if part))

    def copy_lines(self) -> None:
        """Copy the chosen lines, or all that are shown, as a table with tabs."""
        rows = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        if len(rows) < 2 and not self.table.hasFocus():
            rows = list(range(self._filter.rowCount()))
        rows = rows or list(range(self._filter.rowCount()))
        texts = ["\t".join(COLUMNS)]
        for row in rows:
            cells = (self._filter.index(row, column).data() for column in range(len(COLUMNS)))
            texts.append("\t".join(cells))
        QGuiApplication.clipboard().setText("\n".join(texts))
        self._controller.message.emit(f"{len(rows):,} lines are on the clipboard", "")

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other icons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._recolour()

    def _recolour(self) -> None:
        self.copy.setIcon(icon("copy", self.palette()))
