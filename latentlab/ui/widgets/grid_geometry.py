"""Where the images of a grid stand, in device pixels. Pure arithmetic, no Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass

SCALES: tuple[float, ...] = (
    *(1 / n for n in (16, 12, 8, 6, 5, 4, 3, 2)),
    *(float(n) for n in (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64)),
)
"""Device pixels for one image pixel: whole numbers, and one over whole numbers."""

_MAX_SCALE = SCALES[-1]


def snap_scale(scale: float) -> float:
    """Return the largest whole number, or one over a whole number, that is at most ``scale``."""
    if scale >= 1:
        return float(min(math.floor(scale + 1e-9), _MAX_SCALE))
    return 1 / math.ceil(1 / max(scale, 1e-3) - 1e-9)


def next_scale(scale: float, steps: int) -> float:
    """Return the scale that is ``steps`` levels above (below, when negative) ``scale``."""
    if steps > 0:
        above = [s for s in SCALES if s > scale * 1.0001]
        return above[min(steps, len(above)) - 1] if above else SCALES[-1]
    below = [s for s in SCALES if s < scale / 1.0001]
    return below[max(steps, -len(below))] if below else SCALES[0]


@dataclass(frozen=True)
class GridGeometry:
    """A grid of equal cells; all lengths in device pixels.

    Attributes:
        count: images.
        columns: in a row.
        width: of one image, in image pixels.
        height: of one image, in image pixels.
        scale: device pixels for one image pixel.
        gap: between cells.
        caption: height under each image.
        left: of the first cell.
        top: of the first cell.
    """

    count: int
    columns: int
    width: int
    height: int
    scale: float
    gap: int
    caption: int = 0
    left: int = 0
    top: int = 0

    @property
    def rows(self) -> int:
        """Rows of the grid."""
        return math.ceil(self.count / self.columns)

    @property
    def cell_width(self) -> int:
        """Width of one drawn image."""
        return max(1, round(self.width * self.scale))

    @property
    def cell_height(self) -> int:
        """Height of one drawn image, its caption left out."""
        return max(1, round(self.height * self.scale))

    @property
    def total_width(self) -> int:
        """Width of the whole grid."""
        return self.columns * self.cell_width + (self.columns - 1) * self.gap

    @property
    def total_height(self) -> int:
        """Height of the whole grid, captions included."""
        return self.rows * (self.cell_height + self.caption) + (self.rows - 1) * self.gap

    def cell(self, index: int) -> tuple[int, int, int, int]:
        """Return (x, y, width, height) of one drawn image."""
        row, column = divmod(index, self.columns)
        x = self.left + column * (self.cell_width + self.gap)
        y = self.top + row * (self.cell_height + self.caption + self.gap)
        return x, y, self.cell_width, self.cell_height

    def index_at(self, x: float, y: float) -> int | None:
        """Return the image at a point, or ``None`` between and beside the images."""
        column, in_x = divmod(x - self.left, self.cell_width + self.gap)
        row, in_y = divmod(y - self.top, self.cell_height + self.caption + self.gap)
        index = int(row) * self.columns + int(column)
        inside = 0 <= column < self.columns and row >= 0 and index < self.count
        return index if inside and in_x < self.cell_width and in_y < self.cell_height else None

    def placed(self, area: tuple[int, int], pan: tuple[int, int]) -> GridGeometry:
        """Return the grid centred in ``area`` (width, height) and moved by ``pan``.

        What is smaller than the area stays in its middle; what is larger cannot be moved out of it.
        """
        place = []
        for size, room, shift in zip((self.total_width, self.total_height), area, pan):
            most = max(0, size - room)
            middle = (room - size) // 2
            place.append(middle + min(max(shift, -math.ceil(most / 2)), most // 2))
        return GridGeometry(**{**self.__dict__, "left": place[0], "top": place[1]})


def _raw_scale(
    columns: int, count: int, image: tuple[int, int], area: tuple[int, int], gap: int, caption: int
) -> float:
    rows = math.ceil(count / columns)
    across = (area[0] - gap * (columns - 1)) / (columns * image[0])
    down = (area[1] - gap * (rows - 1) - caption * rows) / (rows * image[1])
    return max(min(across, down), 1 / 64)


def fit_grid(
    count: int,
    image: tuple[int, int],
    area: tuple[int, int],
    *,
    gap: int = 4,
    caption: int = 0,
    smooth: bool = False,
    one_row: bool = False,
) -> GridGeometry:
    """Return the grid that fills an area best: the largest scale, then few empty cells.

    Args:
        count: images, at least 1.
        image: (width, height) of one image, in image pixels.
        area: (width, height) to fill, in device pixels.
        gap: between cells, in device pixels.
        caption: height under each image, in device pixels.
        smooth: any scale instead of whole numbers (and one over whole numbers).
        one_row: keep the images side by side.
    """

    def worth(columns: int) -> tuple[float, float, float]:
        raw = _raw_scale(columns, count, image, area, gap, caption)
        empty = math.ceil(count / columns) * columns - count
        return (raw if smooth else snap_scale(raw)), -round(10 * empty / count), raw

    columns = count if one_row else max(range(1, count + 1), key=worth)
    raw = _raw_scale(columns, count, image, area, gap, caption)
    scale = min(raw, _MAX_SCALE) if smooth else snap_scale(raw)
    grid = GridGeometry(count, columns, *image, scale, gap, caption)
    return grid.placed(area, (0, 0))
