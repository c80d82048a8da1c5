"""A matrix of pictures with row and column heads: the widget that a hand and the keys work on."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolTip, QWidget

from latentlab.ui.widgets.picture_hand import PictureHand
from latentlab.ui.widgets.picture_menu import ShownPicture, copy_image
from latentlab.ui.widgets.quiet import own_key
from latentlab.ui.widgets.switch_drops import MatrixDrops
from latentlab.ui.widgets.switch_geometry import HEAD_GAP, Place, SwitchGeometry, fit_matrix
from latentlab.ui.widgets.switch_painter import MatrixContent, SwitchPainter, qrect, seen_rect
from latentlab.ui.widgets.tips import plain_tip

_REMOVE = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
_FAR = 1000
_STEPS: dict[int, Place] = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Home: (0, -_FAR),
    Qt.Key.Key_End: (0, _FAR),
    Qt.Key.Key_PageUp: (-_FAR, 0),
    Qt.Key.Key_PageDown: (_FAR, 0),
}
_COPY, _PASTE = QKeySequence.StandardKey.Copy, QKeySequence.StandardKey.Paste


class PictureMatrix(PictureHand, MatrixDrops, QAbstractScrollArea):
    """Shows pictures in rows and columns; row and column of the one in hand stand out.

    Args:
        controller: of the window.
        editable: whether heads are sources that can be added, moved and removed here.

    Signals:
        place_changed: another picture is chosen, by hand or by key.
        hand_moved: the place under the mouse, or ``None``.
        keep_asked: place of the picture to keep.
        remove_asked: place of the source to remove.
        move_asked: the source to move, by its number, and -1 or +1.
        menu_asked: place, and position on the screen.
        dropped: mime data, and in front of which source.
        paste_asked: take what is on the clipboard.
    """

    place_changed = Signal(object)
    hand_moved = Signal(object)
    keep_asked = Signal(object)
    remove_asked = Signal(object)
    move_asked = Signal(int, int)
    menu_asked = Signal(object, QPoint)
    dropped = Signal(object, int)
    paste_asked = Signal()

    def __init__(
        self, controller: Any, editable: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._editable = editable
        self._content: MatrixContent | None = None
        self._at: Place = (0, 0)
        self._hand: Place | None = None
        self._pressed: QPoint | None = None
        self._gap: int | None = None
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAcceptDrops(editable)
        self.viewport().setMouseTracking(True)
        self.viewport().setBackgroundRole(QPalette.ColorRole.Window)
        self.setMinimumSize(160, 120)

    # What is shown.

    def set_content(self, content: MatrixContent | None) -> None:
        """Show a matrix; the chosen place stays as far as there is one."""
        self._content = content
        if content is not None:
            row = min(self._at[0], len(content.rows) - 1)
            column = min(self._at[1], len(content.columns) - 1)
            self._at = (row, column) if (row, column) != (-1, -1) else (0, 0)
        if content is None or (self._hand and max(self._hand) >= len(content.rows)):
            self._hand = None
        self.refresh()

    def refresh(self) -> None:
        """Draw again: images have come."""
        self._place_bars()
        self._describe()
        self.viewport().update()

    @property
    def place(self) -> Place:
        """Row and column of the chosen picture; -1 is a head."""
        return self._at

    @property
    def in_hand(self) -> Place | None:
        """What is under the mouse."""
        return self._hand

    def set_place(self, place: Place) -> None:
        """Choose a picture and show it."""
        if place == self._at or self._content is None:
            return
        self._at = place
        self._show_place()
        self._describe()
        self.viewport().update()
        self.place_changed.emit(place)

    def _describe(self) -> None:
        text = "" if self._content is None else self.text_at(self._at)
        self.setAccessibleDescription(text)

    def text_at(self, place: Place) -> str:
        """Return what a picture is, for a person."""
        row, column = place
        content = self._content
        if content is None:
            return ""
        if row >= 0 and column >= 0:
            cell = content.cell(row, column)
            return cell.tip or cell.text
        heads, index = (content.columns, column) if row < 0 else (content.rows, row)
        if not 0 <= index < len(heads):
            return ""
        return heads[index].tip or heads[index].name

    # Geometry.

    def geometry_of_parts(self) -> SwitchGeometry:
        """Return where everything stands in the viewport, before scrolling."""
        assert self._content is not None
        return self._fitted(self.viewport().size())

    def _fitted(self, room: QSize) -> SwitchGeometry:
        content = self._content
        assert content is not None
        return fit_matrix(
            len(content.rows),
            len(content.columns),
            content.image_size,
            (room.width() - 6, room.height() - 6),
            self.devicePixelRatioF(),
            content.head_size,
        )

    def size_in(self, room: QSize) -> QSize:
        """Return what the matrix takes of a room, scrolling left aside."""
        if self._content is None:
            return room
        geometry = self._fitted(room)
        return QSize(
            round(geometry.cells_left - geometry.left + geometry.cells_width) + 8,
            round(geometry.cells_top - geometry.top + geometry.cells_height) + 8,
        )

    def _offset(self) -> tuple[int, int]:
        return self.horizontalScrollBar().value(), self.verticalScrollBar().value()

    def _place_bars(self) -> None:
        bars = (self.horizontalScrollBar(), self.verticalScrollBar())
        if self._content is None:
            for bar in bars:
                bar.setRange(0, 0)
            return
        geometry, room = self.geometry_of_parts(), self.viewport().size()
        ends = (geometry.cells_left + geometry.cells_width + 4 - room.width(),
                geometry.cells_top + geometry.cells_height + 4 - room.height())  # fmt: skip
        steps = (geometry.width, geometry.height)
        for bar, end, step, page in zip(bars, ends, steps, (room.width(), room.height())):
            bar.setRange(0, max(0, round(end)))
            bar.setPageStep(max(1, page))
            bar.setSingleStep(round(step))

    def place_rect(self, place: Place) -> QRect:
        """Return where a picture is in the viewport, maybe scrolled out of it."""
        across, down = self._offset()
        box = qrect(self.geometry_of_parts().box(place))
        shift = (0 if place[1] < 0 else -across, 0 if place[0] < 0 else -down)
        return box.translated(*shift).toRect()

    def place_at(self, point: QPoint) -> Place | None:
        """Return the place of the picture under a point of the viewport, or ``None``."""
        if self._content is None:
            return None
        place = self.geometry_of_parts().place_at(point.x(), point.y(), self._offset())
        return None if place == (-1, -1) else place

    def _show_place(self) -> None:
        geometry = self.geometry_of_parts()
        row, column = self._at
        x, y, width, height = geometry.box((max(0, row), max(0, column)))
        room = self.viewport().size()
        for bar, at, side, first, last in (
            (self.horizontalScrollBar(), x, width, geometry.cells_left, room.width()),
            (self.verticalScrollBar(), y, height, geometry.cells_top, room.height()),
        ):
            bar.setValue(round(min(max(bar.value(), at + side + 4 - last), at - first)))

    def sizeHint(self) -> QSize:
        """Room for four sources of usual size."""
        return QSize(420, 420)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the cells to the room."""
        super().resizeEvent(event)
        self._place_bars()

    # Painting.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the corner and the heads where they are, and the cells as far as scrolled."""
        if self._content is None:
            return
        geometry = self.geometry_of_parts()
        drawing = SwitchPainter(
            self._content, geometry, self.font(), self.palette(), self.devicePixelRatioF()
        )
        painter = QPainter(self.viewport())
        row, column = self._hand or self._at
        room, (across, down) = self.viewport().rect(), self._offset()
        left, top = round(geometry.cells_left - HEAD_GAP), round(geometry.cells_top - HEAD_GAP)

        def part(clip: QRect, x: float, y: float) -> None:
            painter.save()
            painter.setClipRect(clip)
            painter.translate(x, y)

        drawing.corner(painter)
        part(QRect(left, 0, room.width(), top + 5), -across, 0)
        drawing.column_heads(painter, column if column >= 0 else None)
        self._ring(drawing, painter, row_head=False)
        painter.restore()
        part(QRect(0, top, left + 5, room.height()), 0, -down)
        drawing.row_heads(painter, row if row >= 0 else None)
        self._ring(drawing, painter, row_head=True)
        painter.restore()
        cells = QRect(left + 5, top + 5, room.width(), room.height())
        part(cells, -across, -down)
        if row >= 0:
            drawing.row_band(painter, row)
        if column >= 0:
            drawing.column_band(painter, column)
        drawing.cells(painter, seen_rect(cells, across, down))
        if min(self._at) >= 0:
            drawing.ring(painter, self._at, self.hasFocus())
        painter.restore()
        if self._gap is not None:
            drawing.drop_mark(painter, self._gap, across, down)

    def _ring(self, drawing: SwitchPainter, painter: QPainter, *, row_head: bool) -> None:
        row, column = self._at
        if (column < 0) if row_head else (row < 0):
            drawing.ring(painter, self._at, self.hasFocus())

    # Pictures.

    def shown_picture(self, place: Place | None) -> ShownPicture | None:
        """Return an image and its picture, once it is here; a head is a source of the matrix."""
        content = self._content
        if place is None or content is None:
            return None
        row, column = place
        if row >= 0 and column >= 0:
            if row >= len(content.rows) or column >= len(content.columns):
                return None
            picture, cell = content.picture(row, column), content.cell(row, column)
            image = None if cell.waiting else cell.image
            return None if picture is None else ShownPicture(picture, image)
        heads, index = (content.columns, column) if row < 0 else (content.rows, row)
        head = heads[index] if 0 <= index < len(heads) else None
        if head is None or head.picture is None:
            return None
        return ShownPicture(head.picture, head.image, "switch", head.id)

    def _tell(self) -> None:
        self._describe()
        self.viewport().update()
        self.place_changed.emit(self._at)

    # The mouse.

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Mark row and column under the mouse; drag a picture away."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            super().mouseMoveEvent(event)
            return
        self._set_hand(self.place_at(event.position().toPoint()))

    def _set_hand(self, place: Place | None) -> None:
        if place != self._hand:
            self._hand = place
            self.viewport().update()
            self.hand_moved.emit(place)

    def leaveEvent(self, event: QEvent) -> None:
        """Mark the chosen picture's row and column again."""
        self._set_hand(None)
        super().leaveEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of a picture."""
        if self._content is None:
            return
        keyboard = event.reason() == QContextMenuEvent.Reason.Keyboard
        place = self._at if keyboard else self.place_at(event.pos())
        if place is None:
            return
        self.set_place(place)
        at = self.viewport().mapToGlobal(self.place_rect(place).center())
        self.menu_asked.emit(place, at if keyboard else event.globalPos())

    def viewportEvent(self, event: QEvent) -> bool:
        """Say what is under the mouse."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            place = self.place_at(event.pos())
            text = "" if place is None else plain_tip(self.text_at(place))
            box = QRect() if place is None else self.place_rect(place)
            QToolTip.showText(event.globalPos(), text, self.viewport(), box)
            return True
        return super().viewportEvent(event)

    # The keys.

    def event(self, event: QEvent) -> bool:
        """Take own keys before a shortcut of the window; show the cursor with the focus."""
        own = (Qt.Key.Key_K, *(_REMOVE if self._editable else ()))
        edits = (_COPY, _PASTE) if self._editable else (_COPY,)
        shortcut = event.type() == QEvent.Type.ShortcutOverride
        if own_key(event, own) or (shortcut and any(event.matches(one) for one in edits)):
            event.accept()
            return True
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.viewport().update()
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move the cursor; keep, copy, show, remove; with Alt, move a source."""
        key, content = event.key(), self._content
        if event.matches(_PASTE) and self._editable:
            self.paste_asked.emit()
        elif content is None:
            event.ignore()
        elif event.matches(_COPY):
            shown = self.shown_picture(self._at)
            if shown is not None and copy_image(shown):
                self._controller.message.emit("The image is on the clipboard", "")
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._to_canvas()
        elif key == Qt.Key.Key_K and not event.modifiers():
            self.keep_asked.emit(self._at)
        elif key in _REMOVE and self._editable:
            self.remove_asked.emit(self._at)
        elif key in _STEPS and event.modifiers() & Qt.KeyboardModifier.AltModifier:
            self._move(*_STEPS[key])
        elif key in _STEPS:
            self._step(*_STEPS[key], content)
        else:
            event.ignore()

    def _step(self, down: int, right: int, content: MatrixContent) -> None:
        row, column = self._at
        # A head is reached by one step beyond the first cell; Home and Page Up stay at the cells.
        low = 0 if abs(down) + abs(right) == _FAR else -1
        row = min(max(low if down else row, row + down), len(content.rows) - 1)
        column = min(max(low if right else column, column + right), len(content.columns) - 1)
        if (row, column) != (-1, -1):
            self.set_place((row, column))

    def _move(self, down: int, right: int) -> None:
        """Move the row's source up or down, or the column's to a side."""
        source = self._at[0] if down else self._at[1]
        if source < 0:
            source = max(self._at)
        if self._editable:
            self.move_asked.emit(source, 1 if down + right > 0 else -1)
