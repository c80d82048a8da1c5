"""A card beside the cursor: what stands there, decoded, and what is known about it."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QWidget

from latentlab.ui.widgets.colours import faint, surround
from latentlab.ui.widgets.images import Images
from latentlab.ui.widgets.thumbnail import paint_image

SIDE = 128
_PAD = 8
_DISTANCE = 20


def beside(cursor: QPoint, size: QSize, room: QRect) -> QPoint:
    """Return where a card stands: near the cursor, inside ``room``, not under the cursor.

    Right and below where there is room, else on the other side.
    """
    x, y = cursor.x() + _DISTANCE, cursor.y() + _DISTANCE
    fits_right = x + size.width() <= room.right() + 1
    fits_left = cursor.x() - _DISTANCE - size.width() >= room.left()
    if not fits_right and (fits_left or cursor.x() > room.center().x()):
        x = cursor.x() - _DISTANCE - size.width()
    below = y + size.height() <= room.bottom() + 1
    above = cursor.y() - _DISTANCE - size.height() >= room.top()
    if not below and (above or (fits_right or fits_left)):
        # Beside the cursor there is room at any height; without that, only above it.
        y = cursor.y() - _DISTANCE - size.height() if above else y
    x = min(max(x, room.left()), max(room.left(), room.right() + 1 - size.width()))
    y = min(max(y, room.top()), max(room.top(), room.bottom() + 1 - size.height()))
    return QPoint(x, y)


class HoverCard(QWidget):
    """Shows one image at a whole-number zoom, with lines under it; the mouse passes through."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName("What is under the cursor")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._image: Images | None = None
        self._lines: list[str] = []
        self._failure = ""
        self.hide()

    @property
    def image(self) -> Images | None:
        """What is shown, uint8 ``(H, W, C)``."""
        return self._image

    @property
    def lines(self) -> list[str]:
        """What is written."""
        return list(self._lines)

    @property
    def failure(self) -> str:
        """The sentence that stands where the image would be."""
        return self._failure

    def _small(self) -> QFont:
        font = QFont(self.font())
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * 11 / 13)
        return font

    def sizeHint(self) -> QSize:
        """The image and the lines."""
        line = QFontMetrics(self._small()).height() + 2
        gap = 6 if self._lines else 0
        return QSize(SIDE + 2 * _PAD, SIDE + 2 * _PAD + gap + line * len(self._lines))

    def say(self, lines: list[str]) -> None:
        """Write what is known; the image stays until the next one comes."""
        self._lines = lines
        self.setAccessibleDescription(". ".join(lines))
        self.update()

    def show_image(self, image: Images) -> None:
        """Show an image."""
        self._image, self._failure = image, ""
        self.update()

    def show_failure(self, sentence: str) -> None:
        """Say why there is no image, where it would be."""
        self._image, self._failure = None, sentence
        self.update()

    def forget(self) -> None:
        """Hide, and forget the image."""
        self._image, self._failure = None, ""
        self.hide()

    def show_beside(self, cursor: QPoint) -> None:
        """Stand near a place in the parent's pixels, all of it visible."""
        size = self.sizeHint()
        self.setGeometry(QRect(beside(cursor, size, self.parentWidget().rect()), size))
        self.show()
        self.raise_()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the card."""
        painter = QPainter(self)
        palette = self.palette()
        painter.setBrush(palette.color(QPalette.ColorRole.Base))
        painter.setPen(QPen(palette.color(QPalette.ColorRole.Mid), 1))
        painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        box = QRect(_PAD, _PAD, SIDE, SIDE)
        if self._image is not None:
            paint_image(painter, box, self._image, self.devicePixelRatioF())
        else:
            self._paint_missing(painter, box)
        painter.setFont(self._small())
        painter.setPen(palette.color(QPalette.ColorRole.Text))
        metrics = painter.fontMetrics()
        y = _PAD + SIDE + 6
        for line in self._lines:
            text = metrics.elidedText(line, Qt.TextElideMode.ElideRight, SIDE)
            painter.drawText(QRect(_PAD, y, SIDE, metrics.height()), 0, text)
            painter.setPen(faint(palette, 0.75))
            y += metrics.height() + 2

    def _paint_missing(self, painter: QPainter, box: QRect) -> None:
        painter.fillRect(box, surround(self.palette()))
        if self._failure:
            painter.setFont(self._small())
            painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(box.adjusted(4, 4, -4, -4), flags, f"⚠ {self._failure}")
