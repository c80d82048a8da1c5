"""The painting half of the image view: images, geometry, zoom. No interaction here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QPoint, QPointF, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QImage, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QWidget

from latentlab.ui.widgets.colours import faint, surround
from latentlab.ui.widgets.grid_geometry import GridGeometry, fit_grid, next_scale
from latentlab.ui.widgets.images import Images, as_qimage

_GAP = 4
_MARGIN = 4


class ImageSurface(QWidget):
    """Paints uint8 images ``(B, H, W, C)``, C being 1 or 3, without copying them.

    One image is shown as large as it fits; several stand in a grid. The zoom is a whole number of
    device pixels for one image pixel (or one over a whole number), without smoothing, unless
    ``set_smooth`` asks for it.

    Signals:
        scale_changed: device pixels for one image pixel.
    """

    scale_changed = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumSize(160, 120)
        self._array: Images | None = None
        self._images: list[QImage] = []
        self._captions: tuple[str, ...] = ()
        self._caption_height = 0
        self._one_row = False
        self._smooth = False
        self._scale: float | None = None
        self._pan = (0, 0)
        self._selection: int | None = None
        self._hover: int | None = None
        self._chip_text = ""
        self._blank = False

    # What is shown.

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self._images)

    def image(self, row: int) -> Images | None:
        """Return one image, uint8 ``(H, W, C)``, as it was given."""
        return None if self._array is None or not 0 <= row < self.count else self._array[row]

    def _take_images(
        self, images: Images | None, captions: Sequence[str], one_row: bool, caption_height: int
    ) -> None:
        """Show images; zoom and place stay while their number and size do."""
        same = (
            images is not None
            and self._array is not None
            and images.shape[:3] == self._array.shape[:3]
            and (one_row, caption_height) == (self._one_row, self._caption_height)
        )
        self._array, self._one_row, self._caption_height = images, one_row, caption_height
        self._images = [] if images is None else [as_qimage(image) for image in images]
        self._captions = tuple(captions)
        if not same:
            self._hover = None
            self.fit()
        self.update()

    def set_smooth(self, smooth: bool) -> None:
        """Smooth enlarged images and fill the space, or show every pixel as a square."""
        self._smooth = smooth
        self.fit()

    # Geometry, in device pixels.

    def _room(self, margin: int = 0) -> tuple[int, int]:
        ratio = self.devicePixelRatioF()
        return (
            max(1, round((self.width() - 2 * margin) * ratio)),
            max(1, round((self.height() - 2 * margin) * ratio)),
        )

    def grid(self) -> GridGeometry | None:
        """Return where the images stand, in device pixels of this widget; ``None`` without any."""
        if self._array is None or not self.count:
            return None
        height, width = self._array.shape[1:3]
        ratio = self.devicePixelRatioF()
        grid = fit_grid(
            self.count,
            (width, height),
            self._room(_MARGIN if self.count > 1 else 0),
            gap=round(_GAP * ratio),
            caption=round(self._caption_height * ratio),
            smooth=self._smooth,
            one_row=self._one_row,
        )
        if self._scale is not None:
            grid = replace(grid, scale=self._scale)
        return grid.placed(self._room(), self._pan)

    @property
    def scale(self) -> float:
        """Device pixels for one image pixel."""
        grid = self.grid()
        return 1.0 if grid is None else grid.scale

    def image_rect(self, row: int) -> QRect:
        """Return where an image is drawn, in logical pixels, rounded."""
        grid = self.grid()
        if grid is None:
            return QRect()
        ratio = self.devicePixelRatioF()
        return QRect(*(round(v / ratio) for v in grid.cell(row)))

    def index_at(self, position: QPointF) -> int | None:
        """Return the row of the image at a place of this widget."""
        grid = self.grid()
        ratio = self.devicePixelRatioF()
        return None if grid is None else grid.index_at(position.x() * ratio, position.y() * ratio)

    def overflows(self) -> bool:
        """Whether the images are larger than the view."""
        grid, room = self.grid(), self._room()
        return grid is not None and (grid.total_width > room[0] or grid.total_height > room[1])

    def fit(self) -> None:
        """Show all images as large as they fit."""
        self._scale, self._pan = None, (0, 0)
        self.scale_changed.emit(self.scale)
        self.update()

    def zoom_by(self, steps: int, anchor: QPointF | None = None) -> None:
        """Zoom by whole levels, around a place of this widget (its middle when not given)."""
        grid = self.grid()
        if grid is None or steps == 0:
            return
        room, ratio = self._room(), self.devicePixelRatioF()
        at = (room[0] / 2, room[1] / 2)
        if anchor is not None:
            at = (anchor.x() * ratio, anchor.y() * ratio)
        self._scale = next_scale(grid.scale, steps)
        factor = self._scale / grid.scale
        corner = [a - (a - c) * factor for a, c in zip(at, (grid.left, grid.top))]
        self._move_corner(corner[0], corner[1])
        self.scale_changed.emit(self._scale)

    def pan_by(self, dx: float, dy: float) -> None:
        """Move what is larger than the view, in logical pixels."""
        grid, ratio = self.grid(), self.devicePixelRatioF()
        if grid is not None:
            self._move_corner(grid.left + dx * ratio, grid.top + dy * ratio)

    def _move_corner(self, left: float, top: float) -> None:
        """Put the first image's corner there, as far as it may go."""
        grid, room = self.grid(), self._room()
        if grid is None:
            return
        size = (grid.total_width, grid.total_height)
        pan = [round(c - (r - s) // 2) for c, r, s in zip((left, top), room, size)]
        placed = grid.placed(room, (pan[0], pan[1]))
        corner = (placed.left, placed.top)
        pan = [c - (r - s) // 2 for c, r, s in zip(corner, room, size)]
        self._pan = (pan[0], pan[1])
        self.update()

    # Painting.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the surround, the images in sight, their outlines and captions."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), surround(self.palette()))
        grid = self.grid()
        if grid is not None and not self._blank:
            self._paint_images(painter, grid)
            for row in range(min(self.count, len(self._captions))):
                self.paint_caption(painter, row, self.image_rect(row))
        if self._chip_text:
            self._paint_chip(painter, self._chip_text)

    def _paint_images(self, painter: QPainter, grid: GridGeometry) -> None:
        ratio = self.devicePixelRatioF()
        painter.save()
        painter.scale(1 / ratio, 1 / ratio)
        sight = QRect(0, 0, *self._room())
        smooth = self._smooth or grid.scale < 1
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
        for row, image in enumerate(self._images):
            cell = QRect(*grid.cell(row))
            if cell.intersects(sight):
                painter.drawImage(cell, image)
                self._paint_outline(painter, row, cell, ratio)
        painter.restore()

    def _paint_outline(self, painter: QPainter, row: int, cell: QRect, ratio: float) -> None:
        chosen, hovered = row == self._selection, row == self._hover
        if self.count < 2 or self._one_row or not (chosen or hovered):
            return
        width = max(1, round((2 if chosen else 1) * ratio))
        role = QPalette.ColorRole.Highlight if chosen else QPalette.ColorRole.WindowText
        color = self.palette().color(role)
        for side in (
            QRect(cell.left() - width, cell.top() - width, cell.width() + 2 * width, width),
            QRect(cell.left() - width, cell.bottom() + 1, cell.width() + 2 * width, width),
            QRect(cell.left() - width, cell.top(), width, cell.height()),
            QRect(cell.right() + 1, cell.top(), width, cell.height()),
        ):
            painter.fillRect(side, color)

    def caption_font(self) -> QFont:
        """Return the font of captions: a little smaller than the text."""
        font = QFont(self.font())
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * 11 / 13)
        else:
            font.setPixelSize(max(9, round(font.pixelSize() * 11 / 13)))
        return font

    def paint_caption(self, painter: QPainter, row: int, image: QRect) -> None:
        """Paint what stands under an image, which is drawn at ``image`` (logical pixels)."""
        painter.setFont(self.caption_font())
        painter.setPen(QPen(faint(self.palette(), 0.85)))
        line = QRect(image.left() - 4, image.bottom() + 3, image.width() + 8, 18)
        text = painter.fontMetrics().elidedText(
            self._captions[row], Qt.TextElideMode.ElideRight, line.width()
        )
        painter.drawText(line, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_chip(self, painter: QPainter, text: str) -> None:
        painter.setFont(self.caption_font())
        size = painter.fontMetrics().size(0, text) + QSize(16, 8)
        box = QRect(QPoint(8, 8), size)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 200))
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(QColor(255, 255, 255))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
