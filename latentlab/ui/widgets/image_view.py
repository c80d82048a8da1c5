"""Images, one or many, that a person can look at closely, choose, drag away and act on."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QPointF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication, QWidget

from latentlab.core.requests import Failure
from latentlab.ui.widgets.image_surface import ImageSurface
from latentlab.ui.widgets.images import Images
from latentlab.ui.widgets.notes import ErrorNote

BUSY_AFTER_MS = 150
_ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
_ZOOM_KEYS = {Qt.Key.Key_Plus: 1, Qt.Key.Key_Equal: 1, Qt.Key.Key_Minus: -1}
_ENTER_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_PAN_STEP = 40


class ImageView(ImageSurface):
    """An ``ImageSurface`` with selection, hover, mouse and keys, and errors in place of images.

    Ctrl+wheel and ``+ - 0`` zoom and fit; the wheel and the mouse move what is larger than the
    view; arrows select; Enter or a double click activates.

    ``rough`` says that better images of the same latents are on their way: "Computing…" stays.

    Signals:
        activated: row of the image that was double-clicked, or chosen with Enter.
        selected: row of the selected image, or ``None``; only what a person did.
        menu_requested: row and global position.
        drag_started: row of the image that the mouse drags away.
        back_requested: Escape was pressed.
        before_held: Space is held (true) or released (false).
    """

    activated = Signal(int)
    selected = Signal(object)
    menu_requested = Signal(int, QPoint)
    drag_started = Signal(int)
    back_requested = Signal()
    before_held = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("Images")
        self.can_go_back = False
        self.can_select = True
        self.rough = False
        self._pressed: tuple[QPointF, int | None] | None = None
        self._panning = False
        self._space = False
        self._busy_timer = QTimer(self, singleShot=True, interval=BUSY_AFTER_MS)
        self._busy_timer.timeout.connect(self._show_busy)
        self._note = ErrorNote(self)
        self._note.hide()
        self._describe()

    # What is shown.

    @property
    def failure(self) -> Failure | None:
        """The error that is shown where the images would be."""
        return self._note.failure if self._blank else None

    @property
    def busy_shown(self) -> bool:
        """Whether "Computing…" is shown."""
        return bool(self._chip_text)

    def set_images(
        self,
        images: Images | None,
        captions: Sequence[str] = (),
        *,
        one_row: bool = False,
        caption_height: int = 0,
    ) -> None:
        """Show images; zoom, place and selection stay while their number and size do.

        Args:
            images: uint8 ``(B, H, W, C)``, never overwritten by the caller; ``None`` for nothing.
            captions: one for each image, drawn under it.
            one_row: keep them side by side.
            caption_height: logical pixels to keep free under each image.
        """
        self._blank = False
        self._note.hide()
        # Taken away and shown again with every better image, it would flicker.
        self.set_busy(self.rough)
        self._take_images(images, captions, one_row, caption_height)
        if self._selection is not None and self._selection >= self.count:
            self.select(None)
        self._describe()

    def show_failure(self, failure: Failure) -> None:
        """Show an error where the images would be."""
        self.rough = False
        self.set_busy(False)
        self._blank = True
        self._note.show_failure(failure)
        self._place_note()
        self.setAccessibleDescription(failure.message)
        self.update()

    def set_busy(self, busy: bool) -> None:
        """Say "Computing…" when the next images take longer than 150 ms."""
        if busy and not self._chip_text and not self._busy_timer.isActive():
            self._busy_timer.start()
        elif not busy:
            self._busy_timer.stop()
            self._chip_text = ""
            self.update()

    def _show_busy(self) -> None:
        self._chip_text = "Computing…"
        self.update()

    def _describe(self) -> None:
        text = "No image"
        if self.count:
            text = "One image" if self.count == 1 else f"Grid of {self.count} images"
        if self._selection is not None:
            text += f", image {self._selection + 1} selected"
        self.setAccessibleDescription(text)

    def _place_note(self) -> None:
        width = min(480, self.width() - 32)
        left = (self.width() - width) // 2
        self._note.setGeometry(left, 8, width, self.height() - 16)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the images inside and the error in the middle."""
        super().resizeEvent(event)
        self._place_note()
        self.scale_changed.emit(self.scale)

    # Selection.

    @property
    def selection(self) -> int | None:
        """Row of the selected image."""
        return self._selection

    def select(self, row: int | None) -> None:
        """Select an image without telling anyone; ``None`` for none."""
        if row is not None and not 0 <= row < self.count:
            row = None
        if row != self._selection:
            self._selection = row
            self._describe()
            self.update()

    def _has_choice(self) -> bool:
        return self.can_select and self.count > 1

    def _choose(self, row: int | None) -> None:
        """Select what a person chose."""
        before = self._selection
        self.select(row)
        if self._selection != before:
            self.selected.emit(self._selection)

    def _move_selection(self, dx: int, dy: int) -> None:
        grid = self.grid()
        if grid is None:
            return
        row = 0 if self._selection is None else self._selection + dx + dy * grid.columns
        if 0 <= row < self.count:
            self._choose(row)
            self._bring_into_sight(row)

    def _bring_into_sight(self, row: int) -> None:
        rect = self.image_rect(row)
        dx = max(0, -rect.left()) - max(0, rect.right() - self.width() + 1)
        dy = max(0, -rect.top()) - max(0, rect.bottom() - self.height() + 1)
        if dx or dy:
            self.pan_by(dx, dy)

    # Mouse.

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Select the image under the mouse; get ready to drag it or to move the view."""
        row = self.index_at(event.position())
        if event.button() == Qt.MouseButton.MiddleButton:
            self._pressed, self._panning = (event.position(), None), True
        elif event.button() == Qt.MouseButton.LeftButton:
            self._pressed = (event.position(), row)
            self._panning = self.overflows()
        if event.button() != Qt.MouseButton.MiddleButton and self._has_choice():
            self._choose(row)
        if self._panning:
            self.setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the mouse: hover, move the view, or drag an image away."""
        if self._pressed is None:
            self._set_hover(self.index_at(event.position()))
            return
        start, row = self._pressed
        moved = event.position() - start
        if self._panning:
            self.pan_by(moved.x(), moved.y())
            self._pressed = (event.position(), row)
        elif row is not None and moved.manhattanLength() >= QApplication.startDragDistance():
            self._pressed = None
            self.drag_started.emit(row)

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        """End a movement."""
        self._pressed, self._panning = None, False
        self.unsetCursor()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Activate the image under the mouse."""
        row = self.index_at(event.position())
        if row is not None and event.button() == Qt.MouseButton.LeftButton:
            self._pressed = None
            self.activated.emit(row)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom with Ctrl; otherwise move what is larger than the view."""
        delta = event.angleDelta()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            turn = delta.y() or delta.x()
            if turn:
                self.zoom_by(1 if turn > 0 else -1, event.position())
        elif self.overflows():
            pixels = event.pixelDelta()
            shift = pixels if not pixels.isNull() else delta / 2
            self.pan_by(shift.x(), shift.y())
        else:
            event.ignore()
            return
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        """Drop the hover outline."""
        self._set_hover(None)
        super().leaveEvent(event)

    def _set_hover(self, row: int | None) -> None:
        if row != self._hover:
            self._hover = row
            self.update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of the image under the mouse, or of the selected one."""
        row = self.index_at(QPointF(event.pos()))
        position = event.globalPos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            row = 0 if self._selection is None and self.count else self._selection
            if row is not None:
                position = self.mapToGlobal(self.image_rect(row).center())
        if row is not None and not self._blank:
            self.menu_requested.emit(row, position)

    # Keys.

    def event(self, event: QEvent) -> bool:
        """Take the keys that mean something here before a shortcut of the window does."""
        if event.type() == QEvent.Type.ShortcutOverride and self._takes(event):
            event.accept()
            return True
        return super().event(event)

    def _takes(self, event: QKeyEvent) -> bool:
        plain = not event.modifiers() & ~(
            Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier
        )
        key = event.key()
        if key == Qt.Key.Key_Escape:
            return self.can_go_back
        known = key in _ARROWS or key in _ZOOM_KEYS or key in _ENTER_KEYS
        return plain and (known or key in (Qt.Key.Key_0, Qt.Key.Key_Space))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Select, zoom, activate, go back, or show the image without its edits."""
        key = event.key()
        if not self._takes(event):
            super().keyPressEvent(event)
        elif key == Qt.Key.Key_Space:
            self._hold_space(True)
        elif key == Qt.Key.Key_Escape:
            self.back_requested.emit()
        elif key == Qt.Key.Key_0:
            self.fit()
        elif key in _ZOOM_KEYS:
            self.zoom_by(_ZOOM_KEYS[Qt.Key(key)])
        elif key in _ENTER_KEYS:
            if self.count:
                self.activated.emit(self._selection or 0)
        elif self._has_choice():
            self._move_selection(*_ARROWS[Qt.Key(key)])
        else:
            dx, dy = _ARROWS[Qt.Key(key)]
            self.pan_by(-dx * _PAN_STEP, -dy * _PAN_STEP)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Show the edits again when Space is released."""
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
            self._hold_space(False)
        else:
            super().keyReleaseEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Let go of Space: its release will not come here."""
        self._hold_space(False)
        super().focusOutEvent(event)

    def _hold_space(self, held: bool) -> None:
        if held != self._space:
            self._space = held
            self.before_held.emit(held)
