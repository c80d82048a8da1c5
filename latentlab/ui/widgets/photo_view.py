"""The view of the canvas: images, or a photograph beside its reconstruction and the error."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QPainter, QPen

from latentlab.ui.widgets.colours import cividis, faint
from latentlab.ui.widgets.image_view import ImageView
from latentlab.ui.widgets.images import Images, as_qimage, to_rgb

_BAR = 10
_LEGEND = 62


def difference(photo: Images, shown: Images) -> NDArray[np.float64]:
    """Return the absolute difference of two images, averaged over channels, ``(H, W)``, 0..255."""
    gap = np.abs(to_rgb(photo).astype(np.float64) - to_rgb(shown).astype(np.float64))
    return np.asarray(gap.mean(axis=2))


def psnr_db(photo: Images, shown: Images) -> float:
    """Return the peak signal-to-noise ratio of two uint8 images, in dB; ``inf`` when equal."""
    gap = to_rgb(photo).astype(np.float64) - to_rgb(shown).astype(np.float64)
    error = float(np.square(gap).mean())
    return math.inf if error == 0 else 10 * math.log10(255.0**2 / error)


def bar_end(largest: float) -> int:
    """Return the level where the colour bar ends: 16, 32, 64, 128 or 255."""
    return next((end for end in (16, 32, 64, 128) if largest <= end), 255)


class PhotoView(ImageView):
    """An ``ImageView`` that can also show photograph, reconstruction and error side by side."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._bar_end = 0
        self._psnr = math.nan

    @property
    def psnr(self) -> float:
        """Of what stands beside the photograph, in dB; NaN when there is no photograph."""
        return self._psnr

    def show_plain(self, images: Images | None) -> None:
        """Show images and no photograph."""
        self._bar_end, self._psnr = 0, math.nan
        self.can_select = True
        self.set_images(images)

    def show_photo(self, photo: Images, shown: Images, *, edited: bool) -> None:
        """Show a photograph, what the model makes of it, and the absolute difference.

        Args:
            photo: uint8 ``(H, W, C)``.
            shown: uint8 ``(H, W, C)``, of the same height and width.
            edited: ``shown`` has edits.
        """
        # Three views of one picture: there is nothing to choose.
        self.can_select = False
        gap = difference(photo, shown)
        self._bar_end = bar_end(float(gap.max()))
        self._psnr = psnr_db(photo, shown)
        level = np.clip(gap / self._bar_end * 255, 0, 255).round().astype(np.uint8)
        three = np.stack([to_rgb(photo), to_rgb(shown), cividis()[level]])
        names = ("Photograph", "Edited" if edited else "Reconstruction", "Error")
        self.set_images(three, names, one_row=True, caption_height=_LEGEND)
        self.setAccessibleDescription(f"{', '.join(names)}; {self._figure()}")

    def _figure(self) -> str:
        if self.rough:
            # Of an image that is not done, the figure would say nothing.
            return "PSNR …"
        return "no difference" if math.isinf(self._psnr) else f"PSNR {self._psnr:.1f} dB"

    def paint_caption(self, painter: QPainter, row: int, image: QRect) -> None:
        """Paint the caption; under the reconstruction its PSNR, under the error its colour bar."""
        super().paint_caption(painter, row, image)
        if not self._bar_end:
            return
        color = QPen(faint(self.palette(), 0.85))
        painter.setPen(color)
        if row == 1:
            line = QRect(image.left() - 4, image.bottom() + 21, image.width() + 8, 18)
            painter.drawText(line, Qt.AlignmentFlag.AlignCenter, self._figure())
        if row != 2:
            return
        bar = QRect(image.left(), image.bottom() + 24, image.width(), _BAR)
        painter.drawImage(bar, as_qimage(cividis()[None]))
        painter.drawRect(bar.adjusted(0, 0, -1, -1))
        line = QRect(bar.left() - 4, bar.bottom() + 3, bar.width() + 8, 18)
        wide = image.width() >= 150
        unit, end = ("levels of 255", "") if wide else ("", " levels")
        for flag, text in (
            (Qt.AlignmentFlag.AlignLeft, " 0"),
            (Qt.AlignmentFlag.AlignHCenter, unit),
            (Qt.AlignmentFlag.AlignRight, f"{self._bar_end}{end} "),
        ):
            painter.drawText(line, flag | Qt.AlignmentFlag.AlignTop, text)
