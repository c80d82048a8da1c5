"""Where a rectangle of data lies on the screen, and how it is moved. Numbers only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Rect = tuple[float, float, float, float]
_Number = TypeVar("_Number", float, NDArray[np.float64])
_MARGIN = 0.04
_STRETCH = 4.0
"""Up to this ratio of the two ranges, one unit is as long across as up."""


@dataclass(frozen=True)
class MapView:
    """A rectangle of data, y upwards, in a rectangle of logical pixels, y downwards."""

    x0: float
    x1: float
    y0: float
    y1: float
    left: float
    top: float
    width: float
    height: float

    @property
    def rect(self) -> Rect:
        """The rectangle of data: (x0, x1, y0, y1)."""
        return self.x0, self.x1, self.y0, self.y1

    @property
    def scale(self) -> tuple[float, float]:
        """Logical pixels for one unit, across and up."""
        return self.width / (self.x1 - self.x0), self.height / (self.y1 - self.y0)

    def pixels(self, x: _Number, y: _Number) -> tuple[_Number, _Number]:
        """Return where data stands, in logical pixels; numbers or float64 arrays."""
        across, up = self.scale
        return (x - self.x0) * across + self.left, (self.y1 - y) * up + self.top

    def data(self, across: float, down: float) -> tuple[float, float]:
        """Return the data at a place in logical pixels."""
        sx, sy = self.scale
        return self.x0 + (across - self.left) / sx, self.y1 - (down - self.top) / sy

    def around(self, across: float, down: float, reach: float) -> Rect:
        """Return a rectangle of data that holds all within some pixels of a place."""
        (x0, y1), (x1, y0) = (
            self.data(across - reach, down - reach),
            self.data(across + reach, down + reach),
        )
        # A little more, so that rounding loses nothing.
        slack_x = 1e-9 * max(abs(x0), abs(x1)) + 1e-3 * (x1 - x0)
        slack_y = 1e-9 * max(abs(y0), abs(y1)) + 1e-3 * (y1 - y0)
        return x0 - slack_x, x1 + slack_x, y0 - slack_y, y1 + slack_y

    def grown(self, pixels: float) -> Rect:
        """Return the rectangle of data with a margin in pixels."""
        across, up = self.scale
        dx, dy = pixels / across, pixels / up
        return self.x0 - dx, self.x1 + dx, self.y0 - dy, self.y1 + dy

    def placed(self, left: float, top: float, width: float, height: float) -> MapView:
        """Return the same data in another rectangle of pixels."""
        return replace(self, left=left, top=top, width=width, height=height)

    def resized(self, left: float, top: float, width: float, height: float) -> MapView:
        """Return the same middle and scale in another rectangle of pixels."""
        across, up = self.scale
        middle_x, middle_y = (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2
        half_x, half_y = width / across / 2, height / up / 2
        moved = replace(
            self,
            x0=middle_x - half_x,
            x1=middle_x + half_x,
            y0=middle_y - half_y,
            y1=middle_y + half_y,
        )
        return moved.placed(left, top, width, height)

    def panned(self, across: float, down: float) -> MapView:
        """Return the view after its content moved by some pixels."""
        sx, sy = self.scale
        dx, dy = across / sx, down / sy
        return replace(self, x0=self.x0 - dx, x1=self.x1 - dx, y0=self.y0 + dy, y1=self.y1 + dy)

    def zoomed(self, factor: float, across: float, down: float) -> MapView:
        """Return the view enlarged by a factor around a place, which keeps its data."""
        x, y = self.data(across, down)
        return replace(
            self,
            x0=x + (self.x0 - x) / factor,
            x1=x + (self.x1 - x) / factor,
            y0=y + (self.y0 - y) / factor,
            y1=y + (self.y1 - y) / factor,
        )

    def too_fine(self) -> bool:
        """Whether neighbouring numbers would be pixels apart."""
        largest = max(map(abs, self.rect))
        return min(self.x1 - self.x0, self.y1 - self.y0) <= 1e-11 * largest

    def too_wide(self, home: MapView) -> bool:
        """Whether the view is far wider than that of all data."""
        wide = self.x1 - self.x0 > 1e3 * (home.x1 - home.x0)
        return wide or self.y1 - self.y0 > 1e3 * (home.y1 - home.y0)


def fitted(extent: Rect | None, left: float, top: float, width: float, height: float) -> MapView:
    """Return a view of all data with a margin.

    One unit is as long across as up, unless the ranges differ by more than a factor of 4.
    """
    x0, x1, y0, y1 = extent or (-1.0, 1.0, -1.0, 1.0)
    span_x, span_y = x1 - x0, y1 - y0
    # A single place still needs room around it, and more of it the larger its numbers are.
    least = max(1e-9 * max(abs(x0), abs(x1), abs(y0), abs(y1)), 1e-300)
    if span_x <= least and span_y <= least:
        span_x = span_y = max(2.0, 2e3 * least)
    span_x, span_y = max(span_x, 1e-6 * span_y), max(span_y, 1e-6 * span_x)
    span_x, span_y = (span * (1 + 2 * _MARGIN) for span in (span_x, span_y))
    if max(span_x, span_y) <= _STRETCH * min(span_x, span_y):
        unit = max(span_x / width, span_y / height)
        span_x, span_y = unit * width, unit * height
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    return MapView(
        middle_x - span_x / 2,
        middle_x + span_x / 2,
        middle_y - span_y / 2,
        middle_y + span_y / 2,
        left,
        top,
        width,
        height,
    )
