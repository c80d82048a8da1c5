"""Images in a row, each of which stands for its latent: painting, mouse and keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QApplication, QSizePolicy, QWidget

from latentlab.core.document import Picture
from latentlab.ui.widgets.colours import faint, surround
from latentlab.ui.widgets.images import Images, as_qimage
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.picture_hand import PictureHand
from latentlab.ui.widgets.picture_menu import PictureMenu, ShownPicture, show_menu
from latentlab.ui.widgets.quiet import own_key
from latentlab.ui.widgets.thumbnail import paint_image

_GAP = 2
_KEYS = (Qt.Key.Key_K, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End)
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class PictureRow(PictureHand, QWidget):
    """A row of images with captions; all are of one size, as large as the width has room for.

    Double-click or Enter puts an image on the canvas, K keeps it, it can be dragged away, and it
    has the menu of all pictures.

    Args:
        controller: of the window.
        captions: one for each image.
        largest: most logical pixels of an image's side.

    Signals:
        wanted: it came into sight, or is painted, while its images are to be made.
    """

    wanted = Signal()

    def __init__(
        self,
        controller: Any,
        captions: Sequence[str],
        largest: int = 64,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._captions = tuple(captions)
        self._largest = largest
        self._images: Images | None = None
        self._picture_of: Callable[[int], Picture] | None = None
        self._said = ""
        self._waiting = False
        self._at = len(self._captions) // 2
        self._pressed: QPoint | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._fit()

    # What is shown.

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self._captions)

    def set_captions(self, captions: Sequence[str]) -> None:
        """Say other things under the images; their number may change."""
        self._captions = tuple(captions)
        self._at = min(self._at, max(0, len(self._captions) - 1))
        self._fit()
        self.update()

    def show_images(self, images: Images, picture_of: Callable[[int], Picture]) -> None:
        """Show uint8 ``(count, H, W, C)``.

        Args:
            images: one for each caption.
            picture_of: returns the picture of one of them.
        """
        self._images, self._picture_of, self._said = images, picture_of, ""
        self._waiting = False
        self._fit()
        self._tell()

    def show_failure(self, sentence: str) -> None:
        """Say why there are no images."""
        self._images, self._picture_of, self._said = None, None, sentence
        self._waiting = False
        self.setAccessibleDescription(sentence)
        self.update()

    def wait(self) -> None:
        """The images are to be made anew: ``wanted`` is sent as soon as they would be seen."""
        self._waiting = True
        self.update()

    def image(self, place: int) -> Images | None:
        """Return one image, uint8 ``(H, W, C)``."""
        have = self._images is not None and place < len(self._images)
        return self._images[place] if have else None

    def picture(self, place: int) -> Picture | None:
        """Return the picture of one image, once it is here."""
        if self._picture_of is None or self.image(place) is None:
            return None
        return self._picture_of(place)

    @property
    def sentence(self) -> str:
        """Why there are no images; empty when there are, or will be."""
        return self._said

    def _tell(self) -> None:
        caption = self._captions[self._at] if self._captions else ""
        self.setAccessibleDescription(f"{caption}, image {self._at + 1} of {self.count}")
        self.update()

    # Geometry.

    def _side(self) -> int:
        room = (max(self.width(), 120) + _GAP) // max(1, self.count) - _GAP
        room = min(room, self._largest)
        size = self._largest if self._images is None else self._images.shape[2]
        # A whole multiple of the image, so that nothing is smoothed, if it has the room.
        return max(12, room // size * size or room)

    def _line(self) -> int:
        return self.fontMetrics().height() if any(self._captions) else 0

    def image_rect(self, place: int) -> QRect:
        """Return where an image is drawn."""
        side = self._side()
        return QRect(1 + place * (side + _GAP), 1, side, side)

    def place_at(self, position: QPoint) -> int | None:
        """Return the image at a position."""
        found = [i for i in range(self.count) if self.image_rect(i).contains(position)]
        return found[0] if found else None

    def _fit(self) -> None:
        self.setFixedHeight(self._side() + 2 + self._line())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Take the height that the images need."""
        super().resizeEvent(event)
        self._fit()

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(240, self._side() + 2 + self._line())

    def minimumSizeHint(self) -> QSize:
        """Small images are better than none."""
        return QSize(120, 40)

    # Painting.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the images, or why there are none."""
        painter = QPainter(self)
        if self._waiting:
            self._waiting = False
            # Requests and their answers must not come in the middle of painting.
            QApplication.postEvent(self, QEvent(QEvent.Type.User))
        if self._said:
            painter.setPen(self.palette().windowText().color())
            flags = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(4, 0, -4, 0), flags, f"⚠ {self._said}")
            return
        painter.setFont(small_font(self.font()))
        for place, caption in enumerate(self._captions):
            self._paint_image(painter, place)
            box = self.image_rect(place)
            line = QRect(box.left(), box.bottom() + 1, box.width(), self._line())
            painter.setPen(faint(self.palette(), 0.85))
            painter.drawText(line, Qt.AlignmentFlag.AlignCenter, caption)

    def _paint_image(self, painter: QPainter, place: int) -> None:
        box, image = self.image_rect(place), self.image(place)
        if image is None:
            painter.fillRect(box, surround(self.palette()))
        else:
            self._paint_pixels(painter, box, image)
        if self.hasFocus() and place == self._at:
            painter.setPen(QPen(self.palette().highlight().color(), 2))
            painter.drawRect(box)

    def _paint_pixels(self, painter: QPainter, box: QRect, image: Images) -> None:
        """Enlarge by whole numbers; in a narrow row, make smaller as little as needed."""
        ratio = self.devicePixelRatioF()
        if image.shape[1] <= box.width() * ratio:
            paint_image(painter, box, image, ratio)
            return
        height = round(box.width() * image.shape[0] / image.shape[1])
        place = QRect(box.left(), box.top(), box.width(), min(height, box.height()))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(place, as_qimage(image))

    def event(self, event: QEvent) -> bool:
        """Take own keys before a shortcut of the window; ask for images outside of painting."""
        if event.type() == QEvent.Type.User:
            self.wanted.emit()
            return True
        if own_key(event, _KEYS):
            event.accept()
            return True
        return super().event(event)

    # Mouse and keys.

    def shown_picture(self, place: int) -> ShownPicture | None:
        """Return an image and its picture, once it is here."""
        picture = self.picture(place)
        return None if picture is None else ShownPicture(picture, self.image(place))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Show the menu of an image."""
        place: int | None = self._at
        at = self.mapToGlobal(self.image_rect(self._at).center())
        if event.reason() != QContextMenuEvent.Reason.Keyboard:
            place, at = self.place_at(event.pos()), event.globalPos()
        shown = None if place is None else self.shown_picture(place)
        if shown is not None:
            show_menu(PictureMenu(self._controller, shown, self), at)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose an image, take it or keep it."""
        moves = {
            Qt.Key.Key_Left: max(0, self._at - 1),
            Qt.Key.Key_Right: min(self.count - 1, self._at + 1),
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: self.count - 1,
        }
        if event.key() in moves:
            self._at = moves[Qt.Key(event.key())]
            self._tell()
        elif event.key() in _ENTER:
            self._to_canvas()
        elif event.key() == Qt.Key.Key_K and (shown := self.shown_picture(self._at)) is not None:
            self._controller.keep_picture(shown.picture)
        else:
            event.ignore()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show where the keys are."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Keys go elsewhere."""
        super().focusOutEvent(event)
        self.update()
