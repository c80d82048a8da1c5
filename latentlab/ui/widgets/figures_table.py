"""Figures of sliders before and after: numbers, an arrow, and two small bars."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPalette
from PySide6.QtWidgets import (
    QFrame,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from latentlab.ui.edits import readable
from latentlab.ui.effects_model import FigureRow
from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.labelled_matrix import short_number
from latentlab.ui.widgets.matrix_paint import small_font

COLUMNS = ("Slider", "Target", "Side effect", "Selectivity")
BARS_ROLE = Qt.ItemDataRole.UserRole + 1
NOTE_ROLE = Qt.ItemDataRole.UserRole + 2
BETTER_ROLE = Qt.ItemDataRole.UserRole + 3
_KEYS = ("", "target", "side", "selectivity")
_TIPS = (
    "The sliders that were untangled",
    "Mean change of the slider's own attribute, in standard deviations: more is better",
    "Largest mean size of a change of another attribute, likewise: less is better",
    "Target divided by side effect: more is better",
)
_BETTER, _WORSE = "#0a8f68", "#d55e00"
"""Okabe-Ito green, a little darker, and vermilion: at least 3 to 1 on both grounds."""
Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()
_TOP_LEFT = Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft


def is_better(column: int, before: float, after: float) -> bool | None:
    """Return whether a change is one for the better; ``None`` for none."""
    if change_mark(before, after) == "=":
        return None
    return (after < before) == (COLUMNS[column] == "Side effect")


def change_mark(before: float, after: float) -> str:
    """Return ▲, ▼, or = for numbers that read the same."""
    if short_number(before) == short_number(after):
        return "="
    return "▲" if after > before else "▼"


class FiguresModel(QAbstractTableModel):
    """A row a slider; texts that say the same as the bars.

    Args:
        titler: what a person calls a direction.
    """

    def __init__(self, titler: Callable[[str], str], parent: Any = None) -> None:
        super().__init__(parent)
        self._titler = titler
        self.rows: list[FigureRow] = []

    def set_rows(self, rows: Sequence[FigureRow]) -> None:
        """Show other rows."""
        self.beginResetModel()
        self.rows = list(rows)
        self.endResetModel()

    def rowCount(self, parent: Index = _ROOT) -> int:
        """Return the number of sliders."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = _ROOT) -> int:
        """Return the number of figures and the name."""
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

    def _pair(self, row: FigureRow, column: int) -> tuple[float, float]:
        return getattr(row.before, _KEYS[column]), getattr(row.after, _KEYS[column])

    def _text(self, row: FigureRow, column: int) -> str:
        if column == 0:
            return self._titler(row.direction)
        before, after = self._pair(row, column)
        if row.kept:
            return short_number(before)
        if change_mark(before, after) == "=":
            return f"{short_number(before)} ="
        return f"{short_number(before)} → {short_number(after)} {change_mark(before, after)}"

    def _better(self, row: FigureRow, column: int) -> bool | None:
        return None if row.kept else is_better(column, *self._pair(row, column))

    def _note(self, row: FigureRow, column: int) -> str:
        if column == 0 and row.kept:
            return "locked: kept as it was" if row.locked else "kept as it was"
        if column != 2:
            return ""
        before, after = row.before.side_attribute, row.after.side_attribute
        if row.kept or before == after:
            return readable(before).lower()
        return f"{readable(before).lower()} → {readable(after).lower()}"

    def _sentence(self, row: FigureRow, column: int) -> str:
        text, note = self._text(row, column), self._note(row, column)
        said = text
        if column:
            better = self._better(row, column)
            word = {None: "", True: ", better", False: ", worse"}[better]
            said = f"{self._titler(row.direction)}, {COLUMNS[column].lower()}: {text}{word}"
        return f"{said} ({note})" if note else said

    def _bars(self, row: FigureRow, column: int) -> tuple[float, float]:
        """The lengths of both bars, as a share of the longest in the column."""
        pairs = [self._pair(one, column) for one in self.rows]
        finite = [min(abs(v), 1e6) for pair in pairs for v in pair]
        top = max(finite, default=0.0) or 1.0
        before, after = self._pair(row, column)
        return min(abs(before), 1e6) / top, min(abs(before if row.kept else after), 1e6) / top

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return texts, bars and what a screen reader says."""
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == BETTER_ROLE:
            return self._better(row, column) if column else None
        if role == NOTE_ROLE:
            return self._note(row, column)
        if role == BARS_ROLE and column:
            return self._bars(row, column)
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._sentence(row, column)
        return None


class _Delegate(QStyledItemDelegate):
    """Text, a note, and the bars: before in grey, after in the accent."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Two lines and the bars."""
        line = QFontMetrics(option.font).height()
        small = QFontMetrics(small_font(option.font)).height()
        width = QFontMetrics(option.font).horizontalAdvance(str(index.data())) + 12
        return QSize(width, line + small + 16)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw one figure."""
        painter.save()
        palette = option.palette
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if chosen:
            # The table has drawn the whole highlight, on which bars and notes cannot be read.
            painter.fillRect(option.rect, palette.color(QPalette.ColorRole.Base))
            ground = palette.color(QPalette.ColorRole.Highlight)
            ground.setAlpha(48)
            painter.fillRect(option.rect, ground)
        room = QRectF(option.rect).adjusted(4, 3, -4, -3)
        self._paint_figure(painter, option, index, room)
        small = small_font(option.font)
        painter.setFont(small)
        painter.setPen(faint(palette))
        under = room.adjusted(0, QFontMetrics(option.font).height(), 0, 0)
        note = str(index.data(NOTE_ROLE) or "")
        if index.column() == 0 and QFontMetrics(small).horizontalAdvance(note) > room.width():
            # "kept as it was" is "kept", and "locked: kept as it was" is "locked".
            note = re.split("[: ]", note)[0]
        cut = QFontMetrics(small).elidedText(note, Qt.TextElideMode.ElideRight, round(room.width()))
        painter.drawText(under, _TOP_LEFT, cut)
        self._paint_bars(painter, room, index.data(BARS_ROLE), palette)
        painter.restore()

    def _paint_figure(
        self, painter: QPainter, option: QStyleOptionViewItem, index: Index, room: QRectF
    ) -> None:
        """Draw the name, or the numbers with their arrow; all numbers of a table look alike."""
        font, text = option.font, str(index.data())
        if index.column():
            model, metrics = index.model(), QFontMetrics(option.font)
            places = [(r, c) for r in range(model.rowCount()) for c in range(1, len(COLUMNS))]
            texts = [str(model.index(*place).data()) for place in places]
            if max(metrics.horizontalAdvance(one) for one in texts) > room.width():
                text = re.sub(" (→|▲|▼|=) ?", r"\1", re.sub(r"\b0\.", ".", text))
                font = small_font(option.font)
        metrics = QFontMetrics(font)
        cut = metrics.elidedText(text, Qt.TextElideMode.ElideRight, round(room.width()))
        better = index.data(BETTER_ROLE)
        mark = cut[-1:] if better is not None and cut == text else ""
        painter.setFont(font)
        painter.setPen(option.palette.color(QPalette.ColorRole.Text))
        painter.drawText(room, _TOP_LEFT, cut.removesuffix(mark))
        if mark:
            painter.setPen(QColor(_BETTER if better else _WORSE))
            beside = room.adjusted(metrics.horizontalAdvance(cut.removesuffix(mark)), 0, 0, 0)
            painter.drawText(beside, _TOP_LEFT, mark)

    def _paint_bars(
        self, painter: QPainter, room: QRectF, bars: tuple[float, float] | None, palette: QPalette
    ) -> None:
        if bars is None:
            return
        colours = (faint(palette, 0.45), palette.color(QPalette.ColorRole.Highlight))
        for place, (share, colour) in enumerate(zip(bars, colours)):
            top = room.bottom() - 7 + place * 4
            painter.fillRect(QRectF(room.left(), top, room.width() * share, 3), colour)


class FiguresTable(QTableView):
    """The table, as high as its rows.

    Args:
        titler: what a person calls a direction.
    """

    def __init__(self, titler: Callable[[str], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.figures = FiguresModel(titler, self)
        self.setModel(self.figures)
        self.setItemDelegate(_Delegate(self))
        self.setAccessibleName("Figures before and after")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QTableView.SelectionMode.SingleSelection)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setHighlightSections(False)

    def set_rows(self, rows: Sequence[FigureRow]) -> None:
        """Show other rows."""
        self.figures.set_rows(rows)
        high = self.itemDelegate().sizeHint(self._option(), self.figures.index(0, 0))
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(high.height())
        self.setFixedHeight(
            self.horizontalHeader().sizeHint().height() + high.height() * len(rows) + 2
        )

    def _option(self) -> QStyleOptionViewItem:
        option = QStyleOptionViewItem()
        self.initViewItemOption(option)
        return option
