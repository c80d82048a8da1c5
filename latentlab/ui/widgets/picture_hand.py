"""What the mouse does on widgets that paint several images: choose, drag away, to the canvas."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

from latentlab.ui.widgets.picture_menu import ShownPicture, start_drag


class PictureHand:
    """Mouse events of a ``QWidget``, which stands after it among the bases.

    The widget gives ``place_at``, ``shown_picture`` and ``_tell`` (say which image is chosen); a
    place is whatever it counts its images by.
    """

    _controller: Any
    _at: Any
    _pressed: QPoint | None

    def place_at(self, point: QPoint) -> Any:
        """Return the place of the image under a point of the widget, or ``None``."""
        raise NotImplementedError

    def shown_picture(self, place: Any) -> ShownPicture | None:
        """Return an image and its picture, once it is here."""
        raise NotImplementedError

    def _tell(self) -> None:
        raise NotImplementedError

    def _to_canvas(self) -> None:
        shown = self.shown_picture(self._at)
        if shown is not None:
            self._controller.show_picture(shown.picture, "To canvas")

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose an image; a drag may begin."""
        place = self.place_at(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and place is not None:
            self._at, self._pressed = place, event.position().toPoint()
            self._tell()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag an image away."""
        if self._pressed is None or not event.buttons() & Qt.MouseButton.LeftButton:
            return
        far = (event.position().toPoint() - self._pressed).manhattanLength()
        shown = self.shown_picture(self._at)
        if far >= QApplication.startDragDistance() and shown is not None:
            self._pressed = None
            start_drag(self, [shown])

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Put an image on the canvas."""
        if self.place_at(event.position().toPoint()) == self._at:
            self._to_canvas()
