"""How dense points lie on the screen: a histogram under a Gaussian. No Qt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

CELL = 3.0
"""Width of a bin in logical pixels."""
BANDWIDTH = 9.0
"""Standard deviation of the Gaussian in logical pixels."""
_REACH = 3.5
"""Standard deviations after which the Gaussian is cut off."""


def _blur(counts: NDArray[np.float32], edge: int) -> NDArray[np.float32]:
    """Return counts ``(rows + 2 edge, columns + 2 edge)`` under the Gaussian, ``(rows, columns)``.

    Shifted sums and no matrix product: that would wait for threads that a busy machine lacks.
    """
    sigma = BANDWIDTH / CELL
    weights = np.exp(-0.5 * (np.arange(-edge, edge + 1) / sigma) ** 2) / (
        sigma * np.sqrt(2 * np.pi)
    )
    for axis in (0, 1):
        length = counts.shape[axis] - 2 * edge
        shape = (length, counts.shape[1]) if axis == 0 else (counts.shape[0], length)
        total, term = np.zeros(shape, np.float32), np.empty(shape, np.float32)
        for shift, weight in enumerate(weights.astype(np.float32)):
            part = slice(shift, shift + length)
            shifted = counts[part] if axis == 0 else counts[:, part]
            total += np.multiply(shifted, weight, out=term)
        counts = total
    return counts


def margin() -> float:
    """Return how far outside the picture points still count, in logical pixels."""
    return float(np.ceil(_REACH * BANDWIDTH / CELL) * CELL)


class DensityGrid:
    """Counts points on the screen, and blurs the counts.

    Args:
        width: of the picture in logical pixels.
        height: likewise.
    """

    def __init__(self, width: float, height: float) -> None:
        self._columns, self._rows = int(np.ceil(width / CELL)), int(np.ceil(height / CELL))
        # One cell more on each side takes what lies still further outside.
        self._edge = round(margin() / CELL) + 1
        self._wide, self._high = self._columns + 2 * self._edge, self._rows + 2 * self._edge
        self._counts = np.zeros(self._high * self._wide, np.int64)

    def add(self, x: Float, y: Float) -> None:
        """Count points.

        Args:
            x: float64 ``(n,)``, logical pixels from the left of the picture; points outside it
                count too, as far as ``margin`` reaches; overwritten.
            y: likewise from the top.
        """
        flat = self._cell(y, self._high)
        np.multiply(flat, self._wide, out=flat)
        np.add(flat, self._cell(x, self._wide), out=flat)
        self._counts += np.bincount(flat, minlength=len(self._counts))

    def _cell(self, values: Float, count: int) -> NDArray[np.int64]:
        np.multiply(values, 1 / CELL, out=values)
        # Above zero, so that cutting the fraction off rounds down.
        np.add(values, self._edge, out=values)
        np.clip(values, 0, count - 1, out=values)
        return values.astype(np.int64)

    def blurred(self) -> tuple[NDArray[np.float32], float]:
        """Return the density relative to its peak.

        Returns:
            float32 ``(rows, columns)`` in [0, 1], ``CELL`` pixels each, the last row and column
            reaching beyond the picture; and the peak in points per square pixel.
        """
        counts = self._counts.reshape(self._high, self._wide)[1:-1, 1:-1].astype(np.float32)
        edge = self._edge - 1
        found = _blur(counts, edge)
        peak = float(found.max(initial=0.0))
        return (found / peak if peak > 0 else found), peak / CELL**2
