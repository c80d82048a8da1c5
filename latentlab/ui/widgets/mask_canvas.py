"""A photograph, as large as it fits, on which a mask is painted with the mouse or by keys."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from latentlab.ui.widgets.colours import surround
from latentlab.ui.widgets.grid_geometry import snap_scale
from latentlab.ui.widgets.images import Images, as_qimage
from latentlab.ui.widgets.mask_model import MaskModel

_ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
_PAINT = (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter)
_ERASE = (Qt.Key.Key_Backspace, Qt.Key.Key_Delete)
_SIZES = (Qt.Key.Key_BracketLeft, Qt.Key.Key_BracketRight)
_PAINTED = QColor(213, 94, 0, 150)
_HATCH = QColor(255, 255, 255, 190)
_LEAST = 128


class MaskCanvas(QWidget):
    """Paints a photograph and, hatched over it, what of it shall be drawn anew.

    The left button paints and the right one erases. Keys: ``[`` and ``]`` change the brush; arrows
    move a rectangle (Ctrl: by eight pixels), Shift and arrows size it, Space or Enter paints it,
    Delete erases it; Ctrl+Z and Ctrl+Shift+Z undo and redo strokes.

    Args:
        model: the mask.

    Signals:
        diameter_changed: of the brush, in pixels.
    """

    diameter_changed = Signal(int)

    def __init__(self, model: MaskModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._image: QImage | None = None
        self._diameter = 4
        self._erasing = False
        self._button: Qt.MouseButton | None = None
        self._hover: QPointF | None = None
        self._box = QRect(0, 0, 4, 4)
        self._box_shown = False
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(_LEAST, _LEAST)
        self.setAccessibleName("Mask on the photograph")
        self.setToolTip(
            "Paint what shall be drawn anew; the right button erases. [ ] size of the brush; "
            "arrows, Shift+arrows and Space: a rectangle"
        )
        model.changed.connect(self._follow)
        self._follow()

    # What is shown.

    def set_photo(self, photo: Images) -> None:
        """Show a photograph, uint8 ``(H, W, C)``; the mask of one of the same size stays."""
        self._image = as_qimage(photo).copy()
        self._model.start(photo.shape[0], photo.shape[1])
        side = max(1, photo.shape[1] // 4)
        self._box = QRect((photo.shape[1] - side) // 2, (photo.shape[0] - side) // 2, side, side)
        self.update()

    @property
    def diameter(self) -> int:
        """Of the brush, in pixels."""
        return self._diameter

    def set_diameter(self, pixels: int) -> None:
        """Take another brush."""
        pixels = min(max(1, pixels), max(self._model.size))
        if pixels != self._diameter:
            self._diameter = pixels
            self.diameter_changed.emit(pixels)
            self.update()

    def set_erasing(self, erase: bool) -> None:
        """Let the left button erase."""
        self._erasing = erase

    @property
    def rectangle(self) -> QRect:
        """The rectangle that the arrows move, in pixels of the photograph."""
        return QRect(self._box)

    def _follow(self) -> None:
        share = self._model.share
        self.setAccessibleDescription(
            f"{share:.0%} of the photograph shall be drawn anew; rectangle at "
            f"{self._box.left()}, {self._box.top()}, {self._box.width()} by {self._box.height()}"
        )
        self.update()

    # Geometry.

    def image_rect(self) -> QRectF:
        """Return where the photograph is drawn, in logical pixels: every pixel is a square."""
        if self._image is None:
            return QRectF()
        ratio = self.devicePixelRatioF()
        width, height = self._image.width(), self._image.height()
        scale = snap_scale(min(self.width() * ratio / width, self.height() * ratio / height))
        size = (width * scale / ratio, height * scale / ratio)
        left, top = (
            round((room - side) / 2) for room, side in zip((self.width(), self.height()), size)
        )
        return QRectF(left, top, *size)

    def pixel_at(self, place: QPointF) -> tuple[float, float]:
        """Return the place (x, y) on the photograph, in its pixels."""
        rect = self.image_rect()
        height, width = self._model.size
        return (
            (place.x() - rect.left()) / max(rect.width(), 1) * width,
            (place.y() - rect.top()) / max(rect.height(), 1) * height,
        )

    def sizeHint(self) -> QSize:
        """As large as there is room."""
        return QSize(192, 192)

    # Painting.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the photograph, the mask, the brush or the rectangle."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), surround(self.palette()))
        if self._image is None:
            return
        rect = self.image_rect()
        painter.setRenderHint(
            QPainter.RenderHint.SmoothPixmapTransform, rect.width() < self._image.width()
        )
        painter.drawImage(rect, self._image)
        self._paint_mask(painter, rect)
        if self._box_shown and self.hasFocus():
            self._paint_box(painter)
        elif self._hover is not None:
            self._paint_brush(painter, rect)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Highlight), 2))
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))

    def _paint_mask(self, painter: QPainter, rect: QRectF) -> None:
        """Not by colour alone: painted pixels are hatched too."""
        painted = self._model.painted
        if not painted.any():
            return
        height, width = painted.shape
        cover = np.zeros((height, width, 4), np.uint8)
        cover[painted] = _PAINTED.getRgb()
        tint = QImage(cover.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        painter.drawImage(rect, tint)
        side = rect.width() / width
        painter.save()
        painter.setPen(QPen(_HATCH, max(1.0, side / 12)))
        for y, x in np.argwhere(painted):
            corner = QPointF(rect.left() + x * side, rect.top() + y * side)
            painter.drawLine(corner + QPointF(0, side), corner + QPointF(side, 0))
        painter.restore()

    def _outline(self, painter: QPainter, draw) -> None:
        """Draw twice, dark and light, so that it is seen on every photograph."""
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for pen in (QPen(QColor(0, 0, 0), 3), QPen(QColor(255, 255, 255), 1)):
            painter.setPen(pen)
            draw()

    def _paint_brush(self, painter: QPainter, rect: QRectF) -> None:
        radius = max(self._diameter / 2, 0.5) * rect.width() / self._model.size[1]
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._outline(painter, lambda: painter.drawEllipse(self._hover, radius, radius))

    def _paint_box(self, painter: QPainter) -> None:
        rect, (_, width) = self.image_rect(), self._model.size
        side = rect.width() / width
        box = QRectF(
            rect.left() + self._box.left() * side,
            rect.top() + self._box.top() * side,
            self._box.width() * side,
            self._box.height() * side,
        )
        self._outline(painter, lambda: painter.drawRect(box))

    # Mouse.

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Put the brush down."""
        if self._image is None or self._button is not None:
            return
        if event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
            self._button, self._box_shown = event.button(), False
            self._model.begin()
            self._dab(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Draw on, or show the brush."""
        self._hover, self._box_shown = event.position(), False
        if self._button is not None:
            self._dab(event.position())
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Lift the brush."""
        if event.button() == self._button:
            self._button = None
            self._model.end()

    def _dab(self, place: QPointF) -> None:
        erase = self._erasing or self._button == Qt.MouseButton.RightButton
        self._model.move(self.pixel_at(place), self._diameter, erase=erase)

    def leaveEvent(self, event: QEvent) -> None:
        """Hide the brush."""
        self._hover = None
        self.update()
        super().leaveEvent(event)

    # Keys.

    def event(self, event: QEvent) -> bool:
        """Take the keys that mean something here before a shortcut of the window does."""
        if event.type() == QEvent.Type.ShortcutOverride and self._takes(event):
            event.accept()
            return True
        return super().event(event)

    def _takes(self, event: QKeyEvent) -> bool:
        key, modifiers = event.key(), event.modifiers()
        control = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
        if modifiers & (Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier):
            return False
        if key == Qt.Key.Key_Z and control:
            return True
        if key in _ARROWS:
            return True
        return not control and key in (*_PAINT, *_ERASE, *_SIZES)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Change the brush, move or paint the rectangle, undo."""
        key, modifiers = event.key(), event.modifiers()
        shift = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
        if self._image is None or not self._takes(event):
            super().keyPressEvent(event)
        elif key == Qt.Key.Key_Z:
            self._model.redo() if shift else self._model.undo()
        elif key in _SIZES:
            self.set_diameter(self._diameter + (1 if key == Qt.Key.Key_BracketRight else -1))
        elif key in _ARROWS:
            step = 8 if modifiers & Qt.KeyboardModifier.ControlModifier else 1
            self._move_box(*(step * way for way in _ARROWS[Qt.Key(key)]), size=shift)
        else:
            box, self._box_shown = self._box, True
            place = (box.left(), box.top(), box.width(), box.height())
            self._model.fill(*place, erase=self._erasing or key in _ERASE)

    def _move_box(self, dx: int, dy: int, *, size: bool) -> None:
        height, width = self._model.size
        box, self._box_shown = self._box, True
        if size:
            box.setWidth(min(max(1, box.width() + dx), width - box.left()))
            box.setHeight(min(max(1, box.height() + dy), height - box.top()))
        else:
            box.moveTo(
                min(max(0, box.left() + dx), width - box.width()),
                min(max(0, box.top() + dy), height - box.height()),
            )
        self._follow()

    def focusInEvent(self, event) -> None:
        """Show the rectangle to who comes by keys."""
        keys = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        self._box_shown = self._box_shown or event.reason() in keys
        super().focusInEvent(event)
