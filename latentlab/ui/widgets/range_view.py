"""Images in a row along one slider, from its one end to the other: painting, mouse and keys."""

from __future__ import annotations

import math

from PySide6.QtCore import QBuffer, QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QFont,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QApplication, QSizePolicy, QToolTip, QWidget

from latentlab.ui.widgets.colours import faint, surround
from latentlab.ui.widgets.images import Images, as_qimage, owned_qimage
from latentlab.ui.widgets.quiet import own_key
from latentlab.ui.widgets.sigma_slider import REACH

COUNTS = (7, 9, 11)
_COMFORTABLE = 60
"""With this many pixels for an image there may be more of them."""
_AXIS = 14
_TIP_SIDE = 192
_SAME = 0.005
_OWN_KEYS = (Qt.Key.Key_K, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End)


def strip_values(count: int) -> tuple[float, ...]:
    """Return slider values from one end to the other, as the number box can say them."""
    step = 2 * REACH / (count - 1)
    return tuple(round(-REACH + step * place, 2) for place in range(count))


def sigma_text(value: float) -> str:
    """Return a value with its sign, at two significant digits or more: ``+1.3 σ``."""
    digits = 1 if abs(value * 10 - round(value * 10)) > 1e-9 or value % 1 else 0
    return f"{value:+.{digits}f} σ".replace("-", "−") if value else "0 σ"


class RangeView(QWidget):
    """Paints the images of a range; the slider's own value is marked on the axis above them.

    Keys: Left, Right, Home and End choose an image, Enter sets the slider to it, K keeps it.

    Signals:
        chosen: the value in sigma of an image that was clicked, or Enter on it.
        keep_asked: place of an image.
        drag_asked: place of an image that is dragged away.
        menu_asked: place of an image, and the global position.
        count_changed: how many images the width has room for now.
    """

    chosen = Signal(float)
    keep_asked = Signal(int)
    drag_asked = Signal(int)
    menu_asked = Signal(int, QPoint)
    count_changed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._count = COUNTS[0]
        self._images: Images | None = None
        self._values = strip_values(self._count)
        self._value = 0.0
        self._said = ""
        self._stale = False
        self._focus = self._count // 2
        self._hover: int | None = None
        self._pressed: QPoint | None = None
        self.setAccessibleName("Range of a slider")
        self._fit()

    # What is shown.

    @property
    def count(self) -> int:
        """How many images the width has room for."""
        return self._count

    @property
    def values(self) -> tuple[float, ...]:
        """Slider values of the images, in sigma."""
        return self._values

    def image(self, place: int) -> Images | None:
        """Return one image, uint8 ``(H, W, C)``."""
        return None if self._images is None else self._images[place]

    def show_images(self, images: Images) -> None:
        """Show uint8 ``(count, H, W, C)``, one for each of ``strip_values(count)``."""
        self._images, self._values = images, strip_values(len(images))
        self._said, self._stale = "", False
        self._focus = min(self._focus, len(images) - 1)
        self._fit()
        self._tell()

    def show_nothing(self) -> None:
        """Show empty places: the images are on their way."""
        self._images, self._said, self._stale = None, "", False
        self._values = strip_values(self._count)
        self._focus = len(self._values) // 2
        self._fit()
        self.update()

    def show_failure(self, sentence: str) -> None:
        """Say why there are no images."""
        self._images, self._said, self._stale = None, sentence, False
        self.setAccessibleDescription(sentence)
        self.update()

    def show_stale(self) -> None:
        """The images are of a moment ago: fade them until new ones come."""
        self._stale = True
        self.update()

    def set_value(self, value: float) -> None:
        """Mark the slider's value, in sigma."""
        self._value = value
        self.update()

    def _tell(self) -> None:
        """Say the image that the keys are at."""
        text = f"{sigma_text(self._values[self._focus])}, image {self._focus + 1}"
        self.setAccessibleDescription(f"{text} of {len(self._values)}")
        self.update()

    # Geometry, in logical pixels.

    def caption_font(self) -> QFont:
        """Return the font of captions: a little smaller than the text."""
        font = QFont(self.font())
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * 11 / 13)
        return font

    def _cell(self) -> float:
        return self.width() / len(self._values)

    def _side(self) -> tuple[int, int]:
        """Return the size of an image: whole-number zoom, or as small as it must be."""
        room = max(8, math.floor(self._cell()) - 4)
        height, width = (64, 64) if self._images is None else self._images.shape[1:3]
        ratio = self.devicePixelRatioF()
        scale = min(room * ratio / width, 2 * room * ratio / height)
        scale = math.floor(scale) if scale >= 1 else scale
        return max(1, round(width * scale / ratio)), max(1, round(height * scale / ratio))

    def image_rect(self, place: int) -> QRect:
        """Return where an image is drawn."""
        width, height = self._side()
        middle = self.x_of(self._values[place])
        return QRect(round(middle - width / 2), _AXIS + 2, width, height)

    def x_of(self, value: float) -> float:
        """Return where a value stands on the axis."""
        part = (min(max(value, -REACH), REACH) + REACH) / (2 * REACH)
        return self._cell() * (0.5 + part * (len(self._values) - 1))

    def place_at(self, position: QPointF) -> int | None:
        """Return the image at a position."""
        place = int(position.x() // self._cell())
        inside = 0 <= place < len(self._values) and 0 <= position.y() < self.height()
        return place if inside and self._images is not None else None

    def _fit(self) -> None:
        """Take the height that the images need."""
        line = self.fontMetrics().height()
        self.setFixedHeight(_AXIS + 2 + self._side()[1] + line + 2)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Ask for more or fewer images."""
        super().resizeEvent(event)
        fits = [count for count in COUNTS if self.width() / count >= _COMFORTABLE]
        count = fits[-1] if fits else COUNTS[0]
        if count != self._count:
            self._count = count
            self.count_changed.emit(count)
            if self._images is None:
                self._values = strip_values(count)
        self._fit()

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(280, self.height())

    # Mouse and keys.

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Note where a click or a drag begins."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = event.position().toPoint()
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Show what is under the mouse; drag it away."""
        self._set_hover(self.place_at(event.position()))
        if self._pressed is None:
            return
        far = (event.position().toPoint() - self._pressed).manhattanLength()
        if far >= QApplication.startDragDistance():
            place = self.place_at(QPointF(self._pressed))
            self._pressed = None
            if place is not None:
                self.drag_asked.emit(place)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Set the slider to what was clicked."""
        pressed, self._pressed = self._pressed, None
        place = self.place_at(event.position())
        if pressed is not None and place is not None:
            self._focus = place
            self._tell()
            self.chosen.emit(self._values[place])

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is under the mouse."""
        super().leaveEvent(event)
        self._set_hover(None)

    def _set_hover(self, place: int | None) -> None:
        if place != self._hover:
            self._hover = place
            self.update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of an image."""
        place: int | None = self._focus
        at = self.mapToGlobal(self.image_rect(self._focus).center())
        if event.reason() != QContextMenuEvent.Reason.Keyboard:
            place, at = self.place_at(QPointF(event.pos())), event.globalPos()
        if place is not None and self._images is not None:
            self.menu_asked.emit(place, at)
        event.accept()

    def event(self, event: QEvent) -> bool:
        """Take K and the arrows before a shortcut of the window; say what a click does."""
        if own_key(event, _OWN_KEYS):
            event.accept()
            return True
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            place = self.place_at(QPointF(event.pos()))
            if place is not None:
                QToolTip.showText(event.globalPos(), self.tip(place), self)
            return True
        return super().event(event)

    def tip(self, place: int) -> str:
        """Return what the tooltip of an image says, with the image itself, larger."""
        text = f"{sigma_text(self._values[place])}: click to set the slider, drag it away, K keeps"
        image = self.image(place)
        if image is None:
            return text
        data = QBuffer()
        owned_qimage(image).save(data, "PNG")
        side = max(_TIP_SIDE // image.shape[1], 1) * image.shape[1]
        code = bytes(data.data().toBase64().data()).decode()
        return f"<p>{text}</p><img width={side} src='data:image/png;base64,{code}'>"

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose an image, take it or keep it."""
        last = len(self._values) - 1
        places = {
            Qt.Key.Key_Left: max(0, self._focus - 1),
            Qt.Key.Key_Right: min(last, self._focus + 1),
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }
        key = event.key()
        if key in places:
            self._focus = places[Qt.Key(key)]
            self._tell()
        elif self._images is None:
            event.ignore()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.chosen.emit(self._values[self._focus])
        elif key == Qt.Key.Key_K:
            self.keep_asked.emit(self._focus)
        else:
            event.ignore()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show which image the keys are at."""
        super().focusInEvent(event)
        self._tell()

    # Painting.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the axis with the value's mark, the images, their values."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._said:
            painter.setPen(faint(self.palette(), 0.9))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(4, 2, -4, -2), flags, f"⚠ {self._said}")
            return
        self._paint_axis(painter)
        painter.setFont(self.caption_font())
        for place in range(len(self._values)):
            self._paint_image(painter, place)

    def _paint_axis(self, painter: QPainter) -> None:
        painter.setPen(QPen(faint(self.palette(), 0.5), 1))
        y = _AXIS - 4.5
        painter.drawLine(QPointF(self.x_of(-REACH), y), QPointF(self.x_of(REACH), y))
        for value in self._values:
            x = round(self.x_of(value)) + 0.5
            painter.drawLine(QPointF(x, y - 3), QPointF(x, y + 3))
        accent = self.palette().color(QPalette.ColorRole.Highlight)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(accent)
        x = self.x_of(self._value)
        painter.drawPolygon([QPointF(x - 6, 1), QPointF(x + 6, 1), QPointF(x, y + 3)])

    def _paint_image(self, painter: QPainter, place: int) -> None:
        rect = self.image_rect(place)
        if self._images is None:
            painter.fillRect(rect, surround(self.palette()))
        else:
            small = rect.width() * self.devicePixelRatioF() < self._images.shape[2]
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, small)
            painter.setOpacity(0.5 if self._stale else 1.0)
            painter.drawImage(rect, as_qimage(self._images[place]))
            painter.setOpacity(1.0)
        self._paint_outline(painter, place, rect)
        painter.setPen(faint(self.palette(), 0.85))
        cell = self._cell()
        line = QRectF(cell * place, rect.bottom() + 1, cell, self.height() - rect.bottom() - 1)
        text = sigma_text(self._values[place])
        if painter.fontMetrics().horizontalAdvance(text) > cell - 2:
            text = text.removesuffix(" σ")
        painter.drawText(line, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_outline(self, painter: QPainter, place: int, rect: QRect) -> None:
        """The image of the slider's value, the one under the mouse, and the one of the keys."""
        painter.setBrush(Qt.BrushStyle.NoBrush)
        frame = QRectF(rect).adjusted(-1, -1, 1, 1)
        if abs(self._values[place] - self._value) <= _SAME:
            accent = self.palette().color(QPalette.ColorRole.Highlight)
            pen = QPen(accent, 2)
            pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
            painter.setPen(pen)
            painter.drawRect(frame)
        elif place == self._hover:
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.WindowText), 1))
            painter.drawRect(frame)
        if self.hasFocus() and place == self._focus:
            text = self.palette().color(QPalette.ColorRole.WindowText)
            painter.setPen(QPen(text, 1, Qt.PenStyle.DotLine))
            painter.drawRect(frame.adjusted(-1, -1, 1, 1))
