"""Where heads and cells of a picture matrix stand. Pure arithmetic, no Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace

from latentlab.ui.widgets.grid_geometry import SCALES, snap_scale

GAP, HEAD_GAP, LETTER = 4, 12, 18
"""Between cells, between heads and cells, and for the letters beside the heads; logical pixels."""
_SMALLEST, _LARGEST = 28.0, 288.0
"""Sides of a cell, in logical pixels: what is smaller scrolls."""

Place = tuple[int, int]
"""Row and column; -1 is a head, (-1, -1) the corner."""
Box = tuple[float, float, float, float]
"""x, y, width, height in logical pixels."""


@dataclass(frozen=True)
class SwitchGeometry:
    """Sizes in logical pixels; places are before scrolling.

    Attributes:
        rows: of cells.
        columns: of cells.
        width: of a cell.
        height: of a cell.
        head: width of the heads of the rows, and height of those of the columns.
        left: of everything.
        top: of everything.
    """

    rows: int
    columns: int
    width: float
    height: float
    head: tuple[float, float]
    left: float = 0.0
    top: float = 0.0

    @property
    def cells_left(self) -> float:
        """Where the first column begins."""
        return self.left + LETTER + self.head[0] + HEAD_GAP

    @property
    def cells_top(self) -> float:
        """Where the first row begins."""
        return self.top + LETTER + self.head[1] + HEAD_GAP

    @property
    def cells_width(self) -> float:
        """Width of all cells."""
        return self.columns * self.width + max(0, self.columns - 1) * GAP

    @property
    def cells_height(self) -> float:
        """Height of all cells."""
        return self.rows * self.height + max(0, self.rows - 1) * GAP

    def box(self, place: Place) -> Box:
        """Return where a cell or a head stands; a head of a row scrolls with its row."""
        row, column = place
        x = self.left + LETTER if column < 0 else self.cells_left + column * (self.width + GAP)
        y = self.top + LETTER if row < 0 else self.cells_top + row * (self.height + GAP)
        width = self.head[0] if column < 0 else self.width
        return x, y, width, self.head[1] if row < 0 else self.height

    def place_at(self, x: float, y: float, scroll: tuple[float, float]) -> Place | None:
        """Return what is under a point of the viewport; a gap belongs to what is before it.

        Args:
            x: in the viewport.
            y: in the viewport.
            scroll: how far the cells are moved to the left and up.
        """
        column = self._index(x, self.left, self.cells_left, self.width, self.columns, scroll[0])
        row = self._index(y, self.top, self.cells_top, self.height, self.rows, scroll[1])
        return None if row is None or column is None else (row, column)

    @staticmethod
    def _index(
        at: float, edge: float, cells: float, side: float, count: int, scroll: float
    ) -> int | None:
        if at < edge:
            return None
        if at < cells - HEAD_GAP / 2:
            return -1
        found = int((at - cells + scroll) // (side + GAP)) if at >= cells else 0
        return found if 0 <= found < count else None

    def gap_at(self, x: float, y: float, scroll: tuple[float, float]) -> int:
        """Return in front of which source something goes that is dropped at a point.

        Beside the heads of the rows the height decides, everywhere else the width.
        """
        if x < self.cells_left - HEAD_GAP / 2 and y >= self.cells_top - HEAD_GAP / 2:
            at, side, count = y - self.cells_top + scroll[1], self.height, self.rows
        else:
            at, side, count = x - self.cells_left + scroll[0], self.width, self.columns
        return min(max(0, round((at + GAP / 2) / (side + GAP))), count)


def _cell_scale(raw: float, image: tuple[int, int], ratio: float) -> float:
    """Return device pixels for an image pixel, so that a cell is neither tiny nor enormous."""
    scale = snap_scale(min(raw, _LARGEST * ratio / max(image)))
    smallest = _SMALLEST * ratio / min(image)
    if scale >= smallest:
        return scale
    return next((one for one in SCALES if one >= smallest), SCALES[-1])


def fit_matrix(
    rows: int,
    columns: int,
    image: tuple[int, int],
    area: tuple[float, float],
    ratio: float = 1.0,
    head: tuple[float, float] | None = None,
) -> SwitchGeometry:
    """Return the matrix that fills an area at a whole-number scale, in the middle of its width.

    Args:
        rows: of cells.
        columns: of cells.
        image: width and height of an image, in its own pixels.
        area: width and height to fill, in logical pixels.
        ratio: device pixels for one logical pixel.
        head: width of the heads of the rows and height of those of the columns, in logical pixels;
            as large as a cell when not given.
    """
    across = area[0] - LETTER - HEAD_GAP - max(0, columns - 1) * GAP
    down = area[1] - LETTER - HEAD_GAP - max(0, rows - 1) * GAP
    more = 1 if head is None else 0
    if head is not None:
        across, down = across - head[0], down - head[1]
    sides = across / ((columns + more) * image[0]), down / ((rows + more) * image[1])
    raw = min(sides) * ratio
    scale = _cell_scale(max(raw, 1e-3), image, ratio)
    width, height = image[0] * scale / ratio, image[1] * scale / ratio
    found = SwitchGeometry(rows, columns, width, height, head or (width, height))
    whole = found.cells_left + found.cells_width
    left = max(0.0, round((area[0] - whole) / 2))
    return replace(found, left=left)
