"""Which points lie in a polygon: exact, and quick for a million of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def inside_polygon(x: Float, y: Float, polygon: Float) -> NDArray[np.bool_]:
    """Return which points lie inside a polygon, by the even-odd rule in float64.

    A point inside a place that the outline goes around twice is outside. Every edge meets only
    the points between the heights of its ends, so that a long outline costs little more than a
    short one.

    Args:
        x: float64 ``(n,)``.
        y: float64 ``(n,)``.
        polygon: float64 ``(m, 2)``: the corners in order; the last is joined with the first.

    Returns:
        bool ``(n,)``; all ``False`` for fewer than three corners.
    """
    inside = np.zeros(len(x), bool)
    if len(polygon) < 3 or not len(x):
        return inside
    order = np.argsort(y)
    across, up = x[order], y[order]
    odd = np.zeros(len(x), bool)
    ends = np.roll(polygon, -1, axis=0)
    first = np.searchsorted(up, np.minimum(polygon[:, 1], ends[:, 1]), side="left")
    last = np.searchsorted(up, np.maximum(polygon[:, 1], ends[:, 1]), side="left")
    for (ax, ay), (bx, by), low, high in zip(polygon.tolist(), ends.tolist(), first, last):
        if low == high or ay == by:
            continue
        at = up[low:high]
        odd[low:high] ^= across[low:high] < (bx - ax) * (at - ay) / (by - ay) + ax
    inside[order] = odd
    return inside
