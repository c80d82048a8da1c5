"""How dense points lie on the screen: a histogram under a Gaussian. No Qt."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

CELL = 3.0
"""Width of a bin in logical pixels."""
BANDWIDTH = 9.0
"""Standard deviation of the Gaussian in logical pixels."""
_REACH = 3.5
"""Standard deviations after which the Gaussian is cut off."""


@lru_cache(maxsize=8)
def _kernel(cells: int, margin: int) -> NDArray[np.float32]:
    """Return the blur along one axis, float32 ``(cells, cells + 2 margin)``."""
    sigma = BANDWIDTH / CELL
    middle = np.arange(cells)[:, None] + margin
    distance = (np.arange(cells + 2 * margin)[None, :] - middle) / sigma
    weight = np.where(np.abs(distance) <= _REACH, np.exp(-0.5 * distance**2), 0.0)
    return (weight / (sigma * np.sqrt(2 * np.pi))).astype(np.float32)


def margin() -> float:
    """Return how far outside the picture points still count, in logical pixels."""
    return float(np.ceil(_REACH * BANDWIDTH / CELL) * CELL)


def density_map(
    x: NDArray[np.float64], y: NDArray[np.float64], width: float, height: float
) -> tuple[NDArray[np.float32], float]:
    """Return the density of points, blurred, relative to its peak.

    Args:
        x: float64 ``(n,)``, logical pixels from the left of the picture; points outside it
            count too, as far as ``margin`` reaches.
        y: likewise from the top.
        width: of the picture in logical pixels.
        height: likewise.

    Returns:
        float32 ``(rows, columns)`` in [0, 1], ``CELL`` pixels each, the last row and column
        reaching beyond the picture; and the peak in points per square pixel.
    """
    columns, rows = int(np.ceil(width / CELL)), int(np.ceil(height / CELL))
    edge = round(margin() / CELL)
    wide, high = columns + 2 * edge, rows + 2 * edge
    across = np.floor(x / CELL) + edge
    down = np.floor(y / CELL) + edge
    use = (across >= 0) & (across < wide) & (down >= 0) & (down < high)
    flat = (down[use] * wide + across[use]).astype(np.int64)
    counts = np.bincount(flat, minlength=wide * high).reshape(high, wide).astype(np.float32)
    blurred = _kernel(rows, edge) @ counts @ _kernel(columns, edge).T
    peak = float(blurred.max(initial=0.0))
    return (blurred / peak if peak > 0 else blurred), peak / CELL**2
