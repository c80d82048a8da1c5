"""A few training images, large enough to judge."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QRect, QSize
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from latentlab.ui.widgets.colours import surround
from latentlab.ui.widgets.images import owned_qimage

_GAP = 2
_LARGEST = 72
_HIGHEST = 300


class PreviewGrid(QWidget):
    """Images at a whole-number zoom, as many in a row as fit."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Training images")
        self._images: list[QImage] = []
        self._names: list[str] = []
        self.stale = False
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self._images)

    def show_images(self, images: NDArray[np.uint8], names: list[str]) -> None:
        """Show uint8 ``(k, H, W, C)`` with what a tooltip calls each."""
        self._images = [owned_qimage(image) for image in images]
        self._names = names
        self.stale = False
        self.setAccessibleDescription(f"{len(names)} images")
        self.updateGeometry()
        self.update()

    def set_stale(self, stale: bool) -> None:
        """Paint the images faintly: they no longer answer to the settings."""
        self.stale = stale
        self.update()

    def geometry_for(self, width: int) -> tuple[int, int, float]:
        """Return images a row, rows that are shown, and the zoom."""
        if not self._images:
            return 1, 0, 1.0
        side = max(self._images[0].width(), self._images[0].height())
        zoom = max(1, _LARGEST // side) if side <= _LARGEST else _LARGEST / side
        cell = self._cell(zoom)
        columns = max(1, (width + _GAP) // cell.width())
        rows = min(math.ceil(len(self._images) / columns), max(1, _HIGHEST // cell.height()))
        return columns, rows, zoom

    def _cell(self, zoom: float) -> QSize:
        image = self._images[0]
        return QSize(round(image.width() * zoom) + _GAP, round(image.height() * zoom) + _GAP)

    def hasHeightForWidth(self) -> bool:
        """The height depends on the width."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return the height of the rows."""
        _, rows, zoom = self.geometry_for(width)
        return rows * self._cell(zoom).height() if rows else 0

    def sizeHint(self) -> QSize:
        """As high as its width needs."""
        return QSize(200, self.heightForWidth(max(1, self.width())))

    def resizeEvent(self, event) -> None:
        """Another width takes another height."""
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self.updateGeometry()

    def image_at(self, x: int, y: int) -> int | None:
        """Return which image is at a place, in logical pixels."""
        columns, rows, zoom = self.geometry_for(self.width())
        if not rows:
            return None
        cell = self._cell(zoom)
        column, row = x // cell.width(), y // cell.height()
        found = row * columns + column
        return found if column < columns and row < rows and found < self.count else None

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the images."""
        painter = QPainter(self)
        columns, rows, zoom = self.geometry_for(self.width())
        if not rows:
            return
        cell = self._cell(zoom)
        painter.setOpacity(0.35 if self.stale else 1.0)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, zoom < 1)
        back = surround(self.palette())
        for place, image in enumerate(self._images[: columns * rows]):
            x, y = (place % columns) * cell.width(), (place // columns) * cell.height()
            wide, high = cell.width() - _GAP, cell.height() - _GAP
            painter.fillRect(x, y, wide, high, back)
            painter.drawImage(QRect(x, y, wide, high), image)

    def event(self, event: QEvent) -> bool:
        """Say in a tooltip which image is under the cursor."""
        if event.type() == QEvent.Type.ToolTip:
            found = self.image_at(event.pos().x(), event.pos().y())
            if found is None:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), self._names[found], self)
            return True
        return super().event(event)
