"""The rows of a timeline as images, so that a new frame costs the drawing of itself alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QRect
from PySide6.QtGui import QColor, QImage, QPainter

from latentlab.core.denoising import DenoisingFrame
from latentlab.ui.widgets.denoise_geometry import GAP
from latentlab.ui.widgets.images import Images, as_qimage


def frame_image(frame: DenoisingFrame, show: str) -> Images:
    """Return one image of a frame, uint8 ``(H, W, C)``: ``x_t``, ``x0``, ``eps`` or ``result``."""
    if show == "result" and frame.result is not None:
        return frame.result
    return {"x_t": frame.x_t, "x0": frame.x0, "eps": frame.eps}.get(show, frame.x0)


@dataclass(eq=False)
class _Row:
    image: QImage
    look: tuple[object, ...]
    drawn: list[object] = field(default_factory=list)


class RowImages:
    """One image for each row, of the columns that are in sight."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], _Row] = {}
        self.drawn = 0
        """Frames that were drawn so far."""

    def clear(self) -> None:
        """Forget everything: other frames, another palette."""
        self._rows.clear()

    def keep_only(self, paths: Sequence[str]) -> None:
        """Forget the rows of paths that are gone."""
        self._rows = {key: row for key, row in self._rows.items() if key[0] in paths}

    def row(
        self,
        key: tuple[str, str],
        frames: Sequence[DenoisingFrame | None],
        shows: Sequence[str],
        cell: tuple[int, int],
        ratio: float,
        ground: QColor,
        first: int,
    ) -> QImage:
        """Return the image of a row, its frames side by side.

        Args:
            key: path, and what the row shows.
            frames: of the columns in sight; ``None`` where there is nothing.
            shows: which image of each of them.
            cell: (width, height) of a drawn frame, in logical pixels.
            ratio: device pixels for one logical pixel.
            ground: where there is nothing.
            first: number of the first column.
        """
        look = (len(frames), cell, ratio, ground.rgba(), first)
        row = self._rows.get(key)
        if row is None or row.look != look:
            width = max(1, round(len(frames) * (cell[0] + GAP) * ratio))
            image = QImage(width, max(1, round(cell[1] * ratio)), QImage.Format.Format_RGB32)
            image.setDevicePixelRatio(ratio)
            image.fill(ground)
            row = self._rows[key] = _Row(image, look, [None] * len(frames))
        wanted = [None if f is None else (f, s) for f, s in zip(frames, shows)]
        if row.drawn != wanted:
            self._draw(row, frames, shows, cell, ground, wanted)
        return row.image

    def _draw(
        self,
        row: _Row,
        frames: Sequence[DenoisingFrame | None],
        shows: Sequence[str],
        cell: tuple[int, int],
        ground: QColor,
        wanted: list[object],
    ) -> None:
        painter = QPainter(row.image)
        for place, (frame, show) in enumerate(zip(frames, shows)):
            if wanted[place] == row.drawn[place]:
                continue
            box = QRect(place * (cell[0] + GAP), 0, *cell)
            if frame is None:
                painter.fillRect(box, ground)
            else:
                _paint(painter, box, frame_image(frame, show))
                self.drawn += 1
        painter.end()
        row.drawn = wanted


def _paint(painter: QPainter, box: QRect, image: Images) -> None:
    """Draw an image over a whole box, which is a whole multiple of it or smaller than it."""
    hint = QPainter.RenderHint.SmoothPixmapTransform
    painter.setRenderHint(hint, box.width() < image.shape[1])
    painter.drawImage(box, as_qimage(image))
