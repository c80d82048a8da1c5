"""The shapes of markers, so that classes are told by more than colour."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from latentlab.ui.widgets.lasso import inside_polygon

Float = NDArray[np.float64]
_FINE = 8
"""Samples along each side of a pixel, for smooth edges."""
_LEVELS = 16


def _regular(corners: int, turn: float, radius: float, inner: float = 0.0) -> Float:
    """Return a regular polygon, or a star when there is an inner radius; y downwards."""
    count = corners * 2 if inner else corners
    angle = turn + np.arange(count) * 2 * math.pi / count
    length = np.where(np.arange(count) % 2, inner, radius) if inner else radius
    return np.stack([np.cos(angle) * length, np.sin(angle) * length], axis=1)


def _plus(arm: float, turn: float, radius: float) -> Float:
    a, r = arm, radius
    corners = np.array(
        [
            (a, -r), (a, -a), (r, -a), (r, a), (a, a), (a, r),
            (-a, r), (-a, a), (-r, a), (-r, -a), (-a, -a), (-a, -r),
        ]
    )  # fmt: skip
    cos, sin = math.cos(turn), math.sin(turn)
    return corners @ np.array([(cos, sin), (-sin, cos)])


_UP = -math.pi / 2
# About the same area each, so that no class looks heavier.
SHAPES: tuple[tuple[str, Float], ...] = (
    ("circle", _regular(32, 0.0, 0.94)),
    ("square", _regular(4, math.pi / 4, 1.16)),
    ("triangle", _regular(3, _UP, 1.24) + np.array([0, 0.16])),
    ("diamond", _regular(4, 0.0, 1.16)),
    ("plus", _plus(0.38, 0.0, 1.05)),
    ("inverted triangle", _regular(3, -_UP, 1.24) - np.array([0, 0.16])),
    ("cross", _plus(0.36, math.pi / 4, 1.1)),
    ("star", _regular(5, _UP, 1.26, 0.62) + np.array([0, 0.06])),
)
"""Name and corners ``(m, 2)`` of each shape, of radius about 1, y downwards."""


def corners_of(shape: int, size: float) -> Float:
    """Return the corners ``(m, 2)`` of a marker of some width around (0, 0)."""
    return SHAPES[shape % len(SHAPES)][1] * (size / 2)


def _square(size: int) -> Float:
    return np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (size / 2)


def _coverage(polygon: Float, box: int, inset: float = 0.0) -> Float:
    """Return how much of each pixel of a box ``(box, box)`` a polygon around its middle covers.

    With an inset, only what lies so far inside its edges counts.
    """
    ticks = (np.arange(box * _FINE) + 0.5) / _FINE - box / 2
    x, y = (values.ravel() for values in np.meshgrid(ticks, ticks))
    inside = inside_polygon(x, y, polygon)
    if inset:
        inside &= _edge_distance(x, y, polygon) >= inset
    return inside.reshape(box, _FINE, box, _FINE).mean(axis=(1, 3))


def _edge_distance(x: Float, y: Float, polygon: Float) -> Float:
    """Return the distance of each place to the nearest edge."""
    nearest = np.full(len(x), np.inf)
    for (ax, ay), (bx, by) in zip(polygon.tolist(), np.roll(polygon, -1, axis=0).tolist()):
        dx, dy = bx - ax, by - ay
        along = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0, 1)
        nearest = np.minimum(nearest, np.hypot(x - ax - along * dx, y - ay - along * dy))
    return nearest


@lru_cache(maxsize=256)
def stamp(
    shape: int, size: int, outline: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Float]:
    """Return the pixels of a marker.

    Args:
        shape: row of ``SHAPES``.
        size: width of the marker in pixels, its outline included.
        outline: width of the outline in pixels; 0 for none.

    Returns:
        Offsets (right, down) of the pixels from the marker's middle pixel, int64 ``(k,)`` each;
        the level of each pixel, int64 ``(k,)``; and for each level how much of it the fill and
        the outline cover, float64 ``(levels, 2)``.
    """
    box = size + (4 if shape else 2)
    box += (box - size) % 2
    # Two pixels have no room for a shape.
    outer = _square(size) if size <= 2 else corners_of(shape, size)
    whole = _coverage(outer, box)
    fill = _coverage(outer, box, outline) if outline else whole
    covered = np.stack([fill, whole - fill], axis=-1)
    steps = np.rint(covered * _LEVELS).astype(np.int64)
    down, right = np.nonzero(steps.sum(axis=-1))
    levels, level = np.unique(steps[down, right], axis=0, return_inverse=True)
    middle = box // 2
    return right - middle, down - middle, level.reshape(-1), levels / _LEVELS
