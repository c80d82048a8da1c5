"""Points to pixels: a million of them in a few milliseconds, in a fixed order. No Qt.

Pixels are uint32 ``0xAARRGGBB``, their colours multiplied by their opacity, as Qt paints them
fastest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentlab.ui.widgets.marker_shapes import SHAPES, stamp

Pixels = NDArray[np.uint32]
Float = NDArray[np.float64]

LARGEST = 11
"""Width of the largest marker, in logical pixels."""
_SHAPED = 7
"""From this width on, classes have their own shapes."""
_OUTLINED = 5
_BLOCK = 16_384
_BUDGET = 3_000_000
"""Pixels written at most for one picture; markers shrink before it takes longer."""


def pack(rgb: NDArray[np.uint8]) -> Pixels:
    """Return opaque pixels ``(...)`` of uint8 colours ``(..., 3)``."""
    wide = rgb.astype(np.uint32)
    return 0xFF000000 | wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def mixed(pixels: Pixels, other: int, part: float) -> Pixels:
    """Return opaque pixels moved towards another colour by ``part`` of the way."""
    weight = round(part * 256)
    return 0xFF000000 | (
        _scaled(pixels & 0xFFFFFF, 256 - weight)
        + _scaled(np.asarray(other & 0xFFFFFF, np.uint32), weight)
    )


def _scaled(pixels: Pixels, weight: int) -> Pixels:
    """Return all four channels times ``weight / 256``."""
    low = ((pixels & 0x00FF00FF) * np.uint32(weight) >> 8) & 0x00FF00FF
    high = ((pixels >> 8) & 0x00FF00FF) * np.uint32(weight) & 0xFF00FF00
    return low | high


def marker_width(count: int, area: float) -> int:
    """Return the width of markers in logical pixels, for ``count`` points in sight on an area."""
    return int(np.clip(0.7 * math.sqrt(area / max(count, 1)), 1, LARGEST))


@dataclass(frozen=True)
class Ink:
    """How markers look.

    Attributes:
        width: in device pixels.
        outline: width of the outline in device pixels.
        shade: the outline is the marker's colour times this ...
        tint: ... plus this colour, 0xRRGGBB; (0.0, a colour) is one outline for all.
        shaped: classes have their own shapes.
    """

    width: int
    outline: float = 0.0
    shade: float = 0.55
    tint: int = 0
    shaped: bool = False


def ink_of(width: int, ratio: float) -> Ink:
    """Return how markers of a width in logical pixels look on a screen of some density."""
    outline = ratio if width >= _OUTLINED else 0.0
    return Ink(max(1, round(width * ratio)), outline, shaped=width >= _SHAPED)


class Canvas:
    """Pixels that points are drawn on, with a margin that swallows what lies outside.

    Args:
        width: in device pixels.
        height: likewise.
        pad: width of the margin; more than the largest marker.
    """

    def __init__(self, width: int, height: int, pad: int) -> None:
        self.width, self.height, self.pad = width, height, pad
        self.pixels: Pixels = np.zeros((height + 2 * pad, width + 2 * pad), np.uint32)

    def clear(self) -> None:
        """Make it transparent."""
        self.pixels.fill(0)

    def picture(self) -> Pixels:
        """Return a view without the margin, uint32 ``(height, width)``."""
        return self.pixels[self.pad : -self.pad, self.pad : -self.pad]

    def draw(
        self,
        x: Float,
        y: Float,
        colours: Pixels,
        ink: Ink,
        shapes: NDArray[np.uint8] | None = None,
    ) -> None:
        """Draw markers one over the other, in the order of the arrays.

        Args:
            x: float64 ``(n,)``, device pixels from the left of the picture; overwritten.
            y: likewise from the top; overwritten.
            colours: opaque pixels ``(n,)``.
            ink: how they look.
            shapes: row of ``SHAPES`` of each, uint8 ``(n,)``.
        """
        even = 0.5 if ink.width > 1 and ink.width % 2 == 0 else 0.0
        flat = self._flat(x, y, even)
        if ink.width == 1:
            self.pixels.reshape(-1)[flat] = colours
            return
        if ink.width == 2:
            self._squares(flat, colours)
            return
        for start in range(0, len(flat), _BLOCK):
            block = slice(start, start + _BLOCK)
            own = shapes[block] if ink.shaped and shapes is not None else None
            self._stamp(flat[block], colours[block], ink, own)

    def _flat(self, x: Float, y: Float, shift: float) -> NDArray[np.int64]:
        """Return the place of each middle pixel; what lies far outside goes into the margin."""
        edge = self.pad / 2
        stride = self.pixels.shape[1]
        places = []
        for values, length in ((x, self.width), (y, self.height)):
            np.clip(values, -edge, length + edge, out=values)
            # Numbers above zero, so that cutting the fraction off rounds down.
            np.add(values, self.pad + shift, out=values)
            places.append(values.astype(np.int64))
        flat = places[1]
        np.multiply(flat, stride, out=flat)
        return np.add(flat, places[0], out=flat)

    def _squares(self, flat: NDArray[np.int64], colours: Pixels) -> None:
        """Write squares of two by two pixels: many small points, so a corner at a time.

        Where two overlap, the later one may miss a corner.
        """
        pixels, stride = self.pixels.reshape(-1), self.pixels.shape[1]
        for step in (-stride - 1, 1, stride - 1, 1):
            np.add(flat, step, out=flat)
            pixels[flat] = colours

    def _stamp(
        self,
        flat: NDArray[np.int64],
        colours: Pixels,
        ink: Ink,
        shapes: NDArray[np.uint8] | None,
    ) -> None:
        """Write all pixels of some markers, those of the later ones later."""
        stride = self.pixels.shape[1]
        kinds = np.zeros(1, np.uint8) if shapes is None else np.unique(shapes)
        parts = [stamp(int(kind) % len(SHAPES), ink.width, ink.outline) for kind in kinds]
        wide = max(len(part[0]) for part in parts)
        # Shorter stamps repeat their last pixel.
        index = np.empty((len(flat), wide), np.int64)
        values = np.empty((len(flat), wide), np.uint32)
        for kind, (right, down, level, weights) in zip(kinds, parts):
            rows = slice(None) if shapes is None else np.flatnonzero(shapes == kind)
            offsets = np.pad(down * stride + right, (0, wide - len(right)), mode="edge")
            levels = np.pad(level, (0, wide - len(level)), mode="edge")
            index[rows] = flat[rows, None] + offsets
            values[rows] = self._levels(colours[rows], ink, weights)[:, levels]
        self.pixels.reshape(-1)[index.reshape(-1)] = values.reshape(-1)

    @staticmethod
    def _levels(colours: Pixels, ink: Ink, weights: Float) -> Pixels:
        """Return what each marker's colour becomes at each level, uint32 ``(n, levels)``."""
        found = np.empty((len(colours), len(weights)), np.uint32)
        bare = colours & 0x00FFFFFF
        tint = np.asarray(ink.tint & 0xFFFFFF, np.uint32)
        for column, (fill, outline) in enumerate(weights.tolist()):
            opacity = np.uint32(round((fill + outline) * 255)) << np.uint32(24)
            shown = _scaled(bare, int((fill + outline * ink.shade) * 256))
            found[:, column] = opacity | (shown + _scaled(tint, int(outline * 256)))
        return found


def fitting_width(width: int, count: int, ratio: float) -> int:
    """Return a marker width that so many points can be drawn with in time."""
    while width > 1 and count * (width * ratio + 1) ** 2 > _BUDGET:
        width -= 1
    return width
