"""The list of training runs: how each stands, which one is open, which are laid over it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QItemSelectionModel,
    QPoint,
    QPointF,
    QRect,
    QRectF,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFont,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPalette,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.run_status import RunSummary
from latentlab.ui.icons import icon
from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.run_list_model import (
    MARK_ROLE,
    RUN_ROLE,
    WORD_ROLE,
    Index,
    RunListModel,
)
from latentlab.ui.widgets.run_marks import Mark, RunMarks
from latentlab.ui.widgets.run_text import STATE_ICONS, facts_text, pace_text, share_done

MANY = 7
"""From so many runs on there is a box to search."""
_BOX = 14
_TICK_ROOM = 28
_LEFT, _RIGHT = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
_MIDDLE = Qt.AlignmentFlag.AlignVCenter


class RunDelegate(QStyledItemDelegate):
    """Paints a run: tick, marker, name and state, figures, and a bar."""

    def sizeHint(self, option: QStyleOptionViewItem, _index: Index) -> QSize:
        """Two lines and a bar."""
        small = small_font(option.font)
        lines = option.fontMetrics.height() + QFontMetrics(small).height()
        return QSize(200, lines + 17)

    def tick_rect(self, row: QRect) -> QRect:
        """Return where the tick of a row stands."""
        return QRect(row.left() + 8, row.center().y() - _BOX // 2, _BOX, _BOX)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint one run."""
        run: RunSummary = index.data(RUN_ROLE)
        palette = option.palette
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.fillRect(option.rect, palette.color(QPalette.ColorRole.Base))
        if chosen:
            ground = palette.color(QPalette.ColorRole.Highlight)
            ground.setAlpha(48)
            painter.fillRect(option.rect, ground)
            bar = QRect(option.rect.left(), option.rect.top(), 3, option.rect.height())
            painter.fillRect(bar, palette.color(QPalette.ColorRole.Highlight))
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(option.rect, palette.color(QPalette.ColorRole.AlternateBase))
        self._paint_tick(painter, option, index)
        mark: Mark = index.data(MARK_ROLE)
        middle = QPointF(option.rect.left() + 36, option.rect.center().y() + 0.5)
        ticked = index.data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked
        mark.paint(painter, middle, 12, palette, full=chosen or ticked)
        room = option.rect.adjusted(50, 4, -8, -4)
        self._paint_lines(painter, option, room, index, run)
        self._paint_bar(painter, room, run, palette)
        painter.restore()

    def _paint_tick(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        box = QStyleOptionViewItem(option)
        box.rect = self.tick_rect(option.rect)
        ticked = index.data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked
        mark = QStyle.StateFlag.State_On if ticked else QStyle.StateFlag.State_Off
        box.state = QStyle.StateFlag.State_Enabled | mark
        element = QStyle.PrimitiveElement.PE_IndicatorItemViewItemCheck
        option.widget.style().drawPrimitive(element, box, painter, option.widget)

    def _paint_lines(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        room: QRect,
        index: Index,
        run: RunSummary,
    ) -> None:
        palette, metrics = option.palette, option.fontMetrics
        ink = palette.color(QPalette.ColorRole.Text)
        word = str(index.data(WORD_ROLE))
        first = QRect(room.left(), room.top(), room.width(), metrics.height())
        wide = metrics.horizontalAdvance(word)
        painter.setFont(option.font)
        painter.setPen(ink)
        painter.drawText(first, _RIGHT | _MIDDLE, word)
        sign = QRect(first.right() - wide - 20, first.center().y() - 7, 15, 15)
        icon(STATE_ICONS[run.state], palette).paint(painter, sign)
        name_room = first.adjusted(0, 0, -wide - 26, 0)
        cut = Qt.TextElideMode.ElideMiddle
        font = option.font
        font.setBold(True)
        painter.setFont(font)
        name = painter.fontMetrics().elidedText(run.name, cut, name_room.width())
        painter.drawText(name_room, _LEFT | _MIDDLE, name)
        small = small_font(option.font)
        small.setBold(False)
        painter.setFont(small)
        painter.setPen(faint(palette, 0.75))
        second = QRect(room.left(), first.bottom() + 2, room.width(), QFontMetrics(small).height())
        facts = facts_text(run)
        painter.drawText(second, _LEFT | _MIDDLE, facts)
        free = second.width() - painter.fontMetrics().horizontalAdvance(facts) - 10
        painter.drawText(second, _RIGHT | _MIDDLE, fitting(pace_text(run), small, free))

    def _paint_bar(
        self, painter: QPainter, room: QRect, run: RunSummary, palette: QPalette
    ) -> None:
        bar = QRectF(room.left(), room.bottom() - 2, room.width(), 3)
        painter.fillRect(bar, palette.color(QPalette.ColorRole.Mid))
        colour = palette.color(QPalette.ColorRole.Highlight)
        if not run.active and run.state != "finished":
            colour = QColor(faint(palette, 0.55))
        bar.setWidth(bar.width() * share_done(run))
        painter.fillRect(bar, colour)

    def editorEvent(self, *_: Any) -> bool:
        """Nothing: the view ticks, by its own keys and clicks."""
        return False


def fitting(text: str, font: QFont, room: int) -> str:
    """Return facts with dots between them, without the last ones where there is no room."""
    metrics = QFontMetrics(font)
    while text and metrics.horizontalAdvance(text) > room:
        text = text.rpartition(" · ")[0]
    return text


def toggle_tick(model: QSortFilterProxyModel, index: Index) -> bool:
    """Tick a row, or take its tick away."""
    role = Qt.ItemDataRole.CheckStateRole
    ticked = index.data(role) == Qt.CheckState.Checked
    return model.setData(index, Qt.CheckState.Unchecked if ticked else Qt.CheckState.Checked, role)


class _View(QListView):
    """Keys and the menu of the list.

    Signals:
        entered: Enter was pressed on a run.
        menu_wanted: where, on the screen.
    """

    entered = Signal()
    menu_wanted = Signal(QPoint)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space ticks, Enter opens; arrows move."""
        if event.key() == Qt.Key.Key_Space and self.currentIndex().isValid():
            toggle_tick(self.model(), self.currentIndex())
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.entered.emit()
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Space belongs to the list while it has the focus."""
        if event.key() == Qt.Key.Key_Space:
            event.accept()
        else:
            super().keyReleaseEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Ctrl-click ticks; a click into the box ticks and opens nothing."""
        index = self.indexAt(event.position().toPoint())
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        in_box = event.position().x() < self.visualRect(index).left() + _TICK_ROOM
        left = event.button() == Qt.MouseButton.LeftButton
        if index.isValid() and left and (control or in_box):
            toggle_tick(self.model(), index)
            event.accept()
            return
        super().mousePressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of the run under the mouse, or of the current one."""
        index = self.indexAt(event.pos())
        if event.reason() == QContextMenuEvent.Reason.Mouse and index.isValid():
            self.setCurrentIndex(index)
            self.menu_wanted.emit(event.globalPos())
        elif self.currentIndex().isValid():
            rect = self.visualRect(self.currentIndex())
            self.menu_wanted.emit(self.viewport().mapToGlobal(rect.center()))


class RunList(QWidget):
    """The runs, with a box to search when there are many.

    Args:
        marks: colour and marker of each run.

    Signals:
        chosen: folder of the run that is open now, or ``None``.
        entered: Enter was pressed on the open run.
        overlay_changed: other runs are ticked.
        menu_wanted: a menu for the open run is wanted there, on the screen.
    """

    chosen = Signal(object)
    entered = Signal()
    overlay_changed = Signal()
    menu_wanted = Signal(QPoint)

    def __init__(self, marks: RunMarks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Runs")
        self.model = RunListModel(marks, self)
        self._filter = QSortFilterProxyModel(self)
        self._filter.setSourceModel(self.model)
        self._filter.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self._filter.setFilterRole(Qt.ItemDataRole.AccessibleTextRole)
        self._open: Path | None = None
        self._following = False
        self.search = QLineEdit(placeholderText="Find a run")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Find a run")
        self.search.setToolTip("Part of a name, or of a state such as failed")
        self.view = _View()
        self._build()
        self.search.textChanged.connect(self._search)
        self.model.overlay_changed.connect(self.overlay_changed)
        self.model.modelReset.connect(self._select_open)
        self.view.selectionModel().currentChanged.connect(self._moved)
        self.view.entered.connect(self.entered)
        self.view.menu_wanted.connect(self.menu_wanted)

    def _build(self) -> None:
        view = self.view
        view.setModel(self._filter)
        view.setItemDelegate(RunDelegate(view))
        view.setFrameShape(QFrame.Shape.NoFrame)
        view.setAccessibleName("Training runs, the newest first")
        view.setAccessibleDescription("Space lays a run over the open one; Enter goes to it")
        view.setMouseTracking(True)
        view.setUniformItemSizes(True)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        view.setMinimumHeight(56)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.search)
        layout.addWidget(view, 1)
        self.search.hide()

    @property
    def open(self) -> Path | None:
        """Folder of the open run."""
        return self._open

    @property
    def shown(self) -> list[Path]:
        """The runs to show: the open one, then those that are ticked."""
        rest = [path for path in self.model.overlaid if path != self._open]
        return ([self._open] if self._open is not None else []) + rest

    def set_runs(self, runs: Sequence[RunSummary]) -> None:
        """Show runs; the open one stays open while it is there, else the newest opens."""
        self.model.set_runs(runs)
        self.search.setVisible(len(runs) >= MANY or bool(self.search.text()))
        if self.model.row_of(self._open) < 0:
            rows = self.model.runs
            self._set_open(rows[0].path if rows else None)
        self._select_open()

    def open_run(self, path: Path | None) -> None:
        """Open a run, if it is there."""
        if path is not None and self.model.row_of(path) >= 0:
            if self._row(path) < 0:
                self.search.clear()
            self._set_open(path)
            self._select_open()

    def _set_open(self, path: Path | None) -> None:
        if path != self._open:
            self._open = path
            self.chosen.emit(path)

    def _row(self, path: Path | None) -> int:
        source = self.model.index(self.model.row_of(path))
        return self._filter.mapFromSource(source).row() if source.isValid() else -1

    def _select_open(self) -> None:
        row = self._row(self._open)
        if row >= 0 and self.view.currentIndex().row() != row:
            flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
            self._following = True
            self.view.selectionModel().setCurrentIndex(self._filter.index(row, 0), flag)
            self._following = False

    def _moved(self, index: Index) -> None:
        run = index.data(RUN_ROLE) if index.isValid() else None
        if run is not None and not self._following:
            self._set_open(run.path)

    def _search(self, text: str) -> None:
        # The current row may be hidden now: another one is not opened by that.
        self._following = True
        self._filter.setFilterFixedString(text)
        self._following = False
        self._select_open()
