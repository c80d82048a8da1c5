"""A heat map of a labelled matrix: a cursor, sentences as tooltips, files and copies of it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFileDialog, QFrame, QMenu, QToolTip, QWidget

from latentlab.core.errors import LatentLabError
from latentlab.ui.widgets.labelled_matrix import LabelledMatrix
from latentlab.ui.widgets.matrix_files import KINDS, matrix_image, save_matrix
from latentlab.ui.widgets.matrix_paint import GAP, MatrixGeometry, MatrixPainter, measure_matrix

_FEWEST_ROWS = 4
_STEPS: dict[int, tuple[int, int]] = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Home: (0, -100_000),
    Qt.Key.Key_End: (0, 100_000),
    Qt.Key.Key_PageUp: (-100_000, 0),
    Qt.Key.Key_PageDown: (100_000, 0),
}


class MatrixView(QAbstractScrollArea):
    """Shows a matrix in the room that there is; what is larger scrolls under its names.

    Signals:
        cell_changed: row and column of the cursor.
        cell_activated: row and column: a double click, or Enter.
        row_clicked: a row's name was clicked.
        failed: a ``LatentLabError``: a file could not be written.
    """

    cell_changed = Signal(int, int)
    cell_activated = Signal(int, int)
    row_clicked = Signal(int)
    failed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._matrix: LabelledMatrix | None = None
        self._cursor: tuple[int, int] | None = None
        self._hovered: tuple[int, int] | None = None
        self._dim = False
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setMouseTracking(True)
        self.viewport().setBackgroundRole(QPalette.ColorRole.Window)
        self.setMinimumWidth(160)

    # What is shown.

    @property
    def matrix(self) -> LabelledMatrix | None:
        """What is shown."""
        return self._matrix

    @property
    def cursor_cell(self) -> tuple[int, int] | None:
        """Row and column of the cursor."""
        return self._cursor

    def set_matrix(self, matrix: LabelledMatrix | None, dim: bool = False) -> None:
        """Show a matrix; ``dim`` greys it as out of date. The cursor stays where it can."""
        self._matrix, self._dim, self._hovered = matrix, dim, None
        if matrix is None or not matrix.values.size:
            self._cursor = None
        else:
            row, column = self._cursor or (0, 0)
            self._cursor = (
                min(row, len(matrix.rows) - 1),
                min(column, len(matrix.columns) - 1),
            )
        title = "" if matrix is None else matrix.title
        self.setAccessibleName(f"{title}, out of date" if dim else title)
        self._describe()
        self._place()
        self.updateGeometry()
        self.viewport().update()

    def _describe(self) -> None:
        if self._matrix is None:
            self.setAccessibleDescription("")
            return
        said = [self._matrix.sentence(*self._cursor)] if self._cursor else []
        self.setAccessibleDescription(" ".join([*said, "Strongest:", *self._matrix.strongest()]))

    # Geometry.

    def geometry_of_parts(self) -> MatrixGeometry:
        """Return where the parts stand in the viewport, before scrolling."""
        assert self._matrix is not None
        room = self.viewport().size()
        return measure_matrix(self._matrix, self.font(), room.width(), room.height())

    def _cells_rect(self, geometry: MatrixGeometry) -> QRect:
        """The part of the viewport that shows cells."""
        size = self.viewport().size()
        left, top = round(geometry.label), round(geometry.head)
        width = min(size.width() - left, round(geometry.cells_width))
        height = min(size.height() - top - round(geometry.foot), round(geometry.cells_height))
        return QRect(left, top, max(0, width), max(0, height))

    def _offset(self) -> QPoint:
        return QPoint(self.horizontalScrollBar().value(), self.verticalScrollBar().value())

    def _place(self) -> None:
        bars = (self.horizontalScrollBar(), self.verticalScrollBar())
        if self._matrix is None:
            for bar in bars:
                bar.setRange(0, 0)
            return
        geometry = self.geometry_of_parts()
        shown = self._cells_rect(geometry)
        steps = (geometry.cell_width, geometry.cell_height)
        sizes = (geometry.cells_width, geometry.cells_height)
        for bar, step, size, page in zip(bars, steps, sizes, (shown.width(), shown.height())):
            bar.setRange(0, max(0, round(size) - page))
            bar.setPageStep(max(1, page))
            bar.setSingleStep(round(step))

    def sizeHint(self) -> QSize:
        """Room for all of it at its natural size."""
        if self._matrix is None:
            return QSize(240, 200)
        geometry = measure_matrix(self._matrix, self.font())
        return QSize(
            round(geometry.label + geometry.cells_width) + 2,
            round(geometry.head + geometry.cells_height + geometry.foot) + 2,
        )

    def minimumSizeHint(self) -> QSize:
        """Room for the names and a few rows."""
        if self._matrix is None:
            return QSize(160, 120)
        geometry = measure_matrix(self._matrix, self.font(), 160, 0)
        rows = min(_FEWEST_ROWS, geometry.rows)
        return QSize(160, round(geometry.head + rows * geometry.cell_height + geometry.foot))

    def cell_at(self, place: QPoint) -> tuple[int, int] | None:
        """Return row and column under a place of the viewport."""
        if self._matrix is None:
            return None
        geometry = self.geometry_of_parts()
        shown = self._cells_rect(geometry)
        if not shown.contains(place):
            return None
        at = place - shown.topLeft() + self._offset()
        row, column = int(at.y() // geometry.cell_height), int(at.x() // geometry.cell_width)
        return min(row, geometry.rows - 1), min(column, geometry.columns - 1)

    def row_at(self, place: QPoint) -> int | None:
        """Return the row whose name is under a place of the viewport."""
        if self._matrix is None:
            return None
        shown = self._cells_rect(self.geometry_of_parts())
        beside = self.cell_at(QPoint(shown.left(), place.y()))
        return beside[0] if beside and 0 <= place.x() < shown.left() else None

    def column_at(self, place: QPoint) -> int | None:
        """Return the column whose name is under a place of the viewport."""
        if self._matrix is None:
            return None
        shown = self._cells_rect(self.geometry_of_parts())
        below = self.cell_at(QPoint(place.x(), shown.top()))
        return below[1] if below and 0 <= place.y() < shown.top() else None

    def cell_rect(self, row: int, column: int) -> QRect:
        """Return where a cell is in the viewport, maybe scrolled out of it."""
        geometry = self.geometry_of_parts()
        corner = self._cells_rect(geometry).topLeft() - self._offset()
        return geometry.cell(row, column).translated(QPointF(corner)).toRect()

    # Drawing.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the names where they are and the cells as far as they are scrolled."""
        if self._matrix is None:
            return
        geometry = self.geometry_of_parts()
        shown = self._cells_rect(geometry)
        drawing = MatrixPainter(
            self._matrix, geometry, self.font(), self.palette(), self._dim
        )  # fmt: skip
        painter = QPainter(self.viewport())
        width, height = self.viewport().width(), self.viewport().height()
        offset = self._offset()
        at = self._hovered or self._cursor

        def part(clip: QRect, x: float, y: float) -> None:
            painter.save()
            painter.setClipRect(clip)
            painter.translate(x, y)

        part(QRect(shown.left(), 0, width, shown.top()), shown.left() - offset.x(), 0)
        drawing.column_names(painter)
        painter.restore()
        part(QRect(0, shown.top(), shown.left(), shown.height()), 0, shown.top() - offset.y())
        drawing.row_names(painter, at[0] if at else None)
        painter.restore()
        part(shown, shown.left() - offset.x(), shown.top() - offset.y())
        drawing.cells(painter)
        self._paint_cursor(painter, geometry)
        painter.restore()
        part(QRect(0, 0, width, height), shown.left(), shown.bottom() + 1 + GAP)
        drawing.bar(painter, max(shown.width(), 1))
        painter.restore()

    def _paint_cursor(self, painter: QPainter, geometry: MatrixGeometry) -> None:
        if self._cursor is None or not self.hasFocus():
            return
        box = geometry.cell(*self._cursor).adjusted(1, 1, -1, -1)
        painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Base), 4))
        painter.drawRect(box)
        painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Highlight), 2))
        painter.drawRect(box)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the cells to the room."""
        super().resizeEvent(event)
        self._place()

    # The hand.

    def set_cursor_cell(self, row: int, column: int) -> None:
        """Move the cursor to a cell and show it."""
        if self._matrix is None or (row, column) == self._cursor:
            return
        self._cursor = (row, column)
        self._show_cell(row, column)
        self._describe()
        self.viewport().update()
        self.cell_changed.emit(row, column)

    def _show_cell(self, row: int, column: int) -> None:
        geometry = self.geometry_of_parts()
        cell, shown = geometry.cell(row, column), self._cells_rect(geometry)
        for bar, low, high, page in (
            (self.horizontalScrollBar(), cell.left(), cell.right(), shown.width()),
            (self.verticalScrollBar(), cell.top(), cell.bottom(), shown.height()),
        ):
            bar.setValue(round(min(max(bar.value(), high - page), low)))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Put the cursor on a cell, or choose a row by its name."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        place = event.position().toPoint()
        cell, row = self.cell_at(place), self.row_at(place)
        if cell is not None:
            self.set_cursor_cell(*cell)
        elif row is not None:
            self.row_clicked.emit(row)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show what a cell is about."""
        cell = self.cell_at(event.position().toPoint())
        if cell is not None and event.button() == Qt.MouseButton.LeftButton:
            self.cell_activated.emit(*cell)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Mark the row under the mouse; its name can be clicked."""
        place = event.position().toPoint()
        hovered, row = self.cell_at(place), self.row_at(place)
        hand = Qt.CursorShape.PointingHandCursor if row is not None else Qt.CursorShape.ArrowCursor
        self.viewport().setCursor(hand)
        if row is not None:
            hovered = (row, 0)
        if hovered != self._hovered:
            self._hovered = hovered
            self.viewport().update()

    def leaveEvent(self, event: QEvent) -> None:
        """Mark the cursor's row again."""
        self._hovered = None
        self.viewport().update()
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move the cursor, show a cell, copy the table."""
        if event.matches(QKeySequence.StandardKey.Copy) and self._matrix is not None:
            self.copy_table()
        elif self._cursor is None:
            event.ignore()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.cell_activated.emit(*self._cursor)
        elif event.key() in _STEPS and self._matrix is not None:
            down, right = _STEPS[event.key()]
            row = min(max(0, self._cursor[0] + down), len(self._matrix.rows) - 1)
            column = min(max(0, self._cursor[1] + right), len(self._matrix.columns) - 1)
            self.set_cursor_cell(row, column)
        else:
            event.ignore()

    def event(self, event: QEvent) -> bool:
        """Keep Ctrl+C for the table while it has the focus; show the cursor only then."""
        if event.type() == QEvent.Type.ShortcutOverride and event.matches(
            QKeySequence.StandardKey.Copy
        ):
            event.accept()
            return True
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.viewport().update()
        return super().event(event)

    def viewportEvent(self, event: QEvent) -> bool:
        """Say what is under the mouse."""
        if event.type() == QEvent.Type.ToolTip and self._matrix is not None:
            text, box = self.tip_at(event.pos())
            if text:
                QToolTip.showText(event.globalPos(), text, self.viewport(), box)
            else:
                QToolTip.hideText()
            return True
        return super().viewportEvent(event)

    def tip_at(self, place: QPoint) -> tuple[str, QRect]:
        """Return what the tooltip says at a place of the viewport, and where it holds."""
        assert self._matrix is not None
        cell, row, column = self.cell_at(place), self.row_at(place), self.column_at(place)
        here = QRect(place, QSize(1, 1))
        if cell is not None:
            return self._matrix.sentence(*cell), self.cell_rect(*cell)
        if row is not None:
            return f"{self._matrix.rows[row]}: click to go to its slider.", here
        if column is not None:
            note = self._matrix.column_notes.get(column, "")
            return f"{self._matrix.columns[column]}. {note}".strip(), here
        return "", here

    # Copies and files.

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer copies and files."""
        if self._matrix is not None:
            menu = self.menu()
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(event.globalPos())

    def menu(self) -> QMenu:
        """Return the menu of the whole matrix."""
        menu = QMenu(self)
        menu.addAction("Copy &table").triggered.connect(self.copy_table)
        menu.addAction("Copy &picture").triggered.connect(self.copy_picture)
        menu.addSeparator()
        for kind in KINDS:
            action = menu.addAction(f"Save as &{kind}…")
            action.triggered.connect(lambda _=False, kind=kind: self._ask_and_save(kind))
        return menu

    def copy_table(self) -> None:
        """Put the table on the clipboard, with tabs between the columns."""
        if self._matrix is not None:
            QGuiApplication.clipboard().setText(self._matrix.as_table())

    def copy_picture(self) -> None:
        """Put a picture of the whole matrix on the clipboard."""
        if self._matrix is not None:
            image = matrix_image(self._matrix, self.font(), self.palette())
            QGuiApplication.clipboard().setImage(image)

    def save(self, path: Path, kind: str) -> None:
        """Write the whole matrix; see ``matrix_files.save_matrix``."""
        if self._matrix is not None:
            save_matrix(self._matrix, path, kind, self.font(), self.palette())

    def _ask_and_save(self, kind: str) -> None:
        assert self._matrix is not None
        suffix = f".{kind.lower()}"
        start = self._matrix.title.lower().replace(" ", "-") + suffix
        name, _ = QFileDialog.getSaveFileName(self, f"Save as {kind}", start, f"{kind} (*{suffix})")
        if name:
            path = Path(name)
            try:
                self.save(path if path.suffix else path.with_suffix(suffix), kind)
            except LatentLabError as error:
                self.failed.emit(error)
