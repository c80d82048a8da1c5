"""How a kept picture is drawn: its image, its name, its group."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPalette, QPen
from PySide6.QtWidgets import QLineEdit, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from latentlab.ui.widgets.colours import OKABE_ITO, category_index, faint, surround
from latentlab.ui.widgets.grid_geometry import snap_scale
from latentlab.ui.widgets.images import Images, as_qimage

IMAGE_ROLE = Qt.ItemDataRole.UserRole + 1
GROUP_ROLE = Qt.ItemDataRole.UserRole + 2
IMAGE_SIDE = 64
TILE = QSize(84, 96)
Index = QModelIndex | QPersistentModelIndex


def paint_image(painter: QPainter, box: QRect, image: Images, ratio: float) -> QRect:
    """Draw an image into a box at a whole-number scale; return where it stands.

    Args:
        painter: in logical pixels.
        box: in logical pixels.
        image: uint8 ``(H, W, C)``.
        ratio: device pixels for one logical pixel.
    """
    height, width = image.shape[:2]
    scale = snap_scale(min(box.width() * ratio / width, box.height() * ratio / height))
    size = QSize(round(width * scale / ratio), round(height * scale / ratio))
    place = QRect(box.topLeft(), size)
    place.moveCenter(box.center())
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, scale < 1)
    painter.drawImage(place, as_qimage(image))
    return place


def _ink_on(color: QColor) -> QColor:
    """Return black or white, whichever is easier to read on a colour."""

    def linear(value: float) -> float:
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(v) for v in (color.redF(), color.greenF(), color.blueF()))
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return QColor("black") if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else QColor("white")


class ThumbnailDelegate(QStyledItemDelegate):
    """Draws one tile; the name can be edited in place."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        """Every tile has one size."""
        return TILE

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw the image, the name under it, the group's badge and the selection."""
        painter.save()
        rect = QRect(option.rect.topLeft(), TILE)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        palette = option.palette
        if chosen:
            painter.fillRect(
                rect.adjusted(1, 1, -1, -1), palette.color(QPalette.ColorRole.Highlight)
            )
        box = QRect(rect.left() + (rect.width() - IMAGE_SIDE) // 2, rect.top() + 6, 0, 0)
        box.setSize(QSize(IMAGE_SIDE, IMAGE_SIDE))
        image = index.data(IMAGE_ROLE)
        if image is None:
            painter.fillRect(box, surround(palette))
            painter.setPen(faint(palette))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, "…")
        else:
            ratio = painter.device().devicePixelRatioF()
            paint_image(painter, box, image, ratio)
        self._paint_name(painter, rect, index, chosen, palette)
        group = index.data(GROUP_ROLE)
        if group:
            self._paint_group(painter, box, group)
        if option.state & QStyle.StateFlag.State_HasFocus:
            role = QPalette.ColorRole.HighlightedText if chosen else QPalette.ColorRole.WindowText
            painter.setPen(QPen(palette.color(role), 1, Qt.PenStyle.DotLine))
            painter.drawRect(rect.adjusted(2, 2, -3, -3))
        painter.restore()

    def _paint_name(
        self, painter: QPainter, rect: QRect, index: Index, chosen: bool, palette: QPalette
    ) -> None:
        font = QFont(painter.font())
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * 11 / 13)
        painter.setFont(font)
        role = QPalette.ColorRole.HighlightedText if chosen else QPalette.ColorRole.WindowText
        painter.setPen(palette.color(role))
        line = QRect(rect.left() + 4, rect.top() + IMAGE_SIDE + 8, rect.width() - 8, 20)
        text = painter.fontMetrics().elidedText(
            str(index.data(Qt.ItemDataRole.DisplayRole)), Qt.TextElideMode.ElideRight, line.width()
        )
        painter.drawText(line, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_group(self, painter: QPainter, box: QRect, group: str) -> None:
        """A badge: the group's colour, its name's beginning, and a shape of its own."""
        place = category_index(group)
        color = QColor(OKABE_ITO[place])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = painter.fontMetrics().elidedText(group, Qt.TextElideMode.ElideRight, 44)
        width = max(16, painter.fontMetrics().horizontalAdvance(text) + 10)
        badge = QRectF(box.left() - 4, box.top() - 3, width, 15)
        painter.setBrush(color)
        painter.setPen(QPen(QColor("black"), 1))
        if place % 2:
            painter.drawRect(badge)
        else:
            painter.drawRoundedRect(badge, 7, 7)
        painter.setPen(_ink_on(color))
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, text)

    def createEditor(
        self, parent: QWidget, _option: QStyleOptionViewItem, _index: Index
    ) -> QWidget:
        """A line for the name."""
        editor = QLineEdit(parent)
        editor.setAccessibleName("Name of the kept picture")
        editor.setMaxLength(80)
        return editor

    def updateEditorGeometry(
        self, editor: QWidget, option: QStyleOptionViewItem, _index: Index
    ) -> None:
        """Where the name stands."""
        rect = option.rect
        editor.setGeometry(rect.left(), rect.bottom() - 24, rect.width(), 24)
