"""The points of a map: what is shown, chosen and hit, and their picture for a view. No Qt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.ui.widgets.lasso import inside_polygon
from latentlab.ui.widgets.map_density import DensityGrid, margin
from latentlab.ui.widgets.map_view import MapView, Rect
from latentlab.ui.widgets.marker_shapes import corners_of
from latentlab.ui.widgets.point_index import PointIndex
from latentlab.ui.widgets.point_raster import (
    LARGEST,
    Canvas,
    Pixels,
    fitting_width,
    ink_of,
    marker_width,
    mixed,
    pack,
)

Int = NDArray[np.int64]
_SORTED = 60_000
"""Up to so many points in sight are drawn in the shuffled order; more are single dots anyway."""
_DIMMED = 0.78
_DIM_SHADE = 0.85
_PART = 32_768


def _parts(places: slice | Int) -> Iterator[slice | Int]:
    """Return places in parts that stay in the processor's cache: twice as fast as all at once."""
    if isinstance(places, slice):
        for start in range(places.start, places.stop, _PART):
            yield slice(start, min(start + _PART, places.stop))
    else:
        for start in range(0, len(places), _PART):
            yield places[start : start + _PART]


@dataclass(frozen=True)
class Marker:
    """One point of a vector picture.

    Attributes:
        x: logical pixels from the left of the widget.
        y: likewise from the top.
        width: of the marker.
        fill: 0xAARRGGBB.
        outline: likewise.
        outlined: whether it has an outline.
        shape: row of ``SHAPES``.
    """

    x: float
    y: float
    width: float
    fill: int
    outline: int
    outlined: bool
    shape: int

    @property
    def radius(self) -> float:
        """Half its width, less half its outline, which is drawn along the edge."""
        return (self.width - self.outlined) / 2

    @property
    def corners(self) -> NDArray[np.float64] | None:
        """Corners around its place ``(m, 2)``; ``None`` for a circle."""
        return corners_of(self.shape, 2 * self.radius) if self.shape else None


class PointScene:
    """Points with colours and shapes; some are shown, some of these are chosen."""

    def __init__(self) -> None:
        self._all = PointIndex.build(np.zeros((0, 2)))
        self._shown = self._all
        self._chosen: PointIndex | None = None
        self._colours: Pixels | None = None
        self._shapes: NDArray[np.uint8] | None = None
        self._mask: NDArray[np.bool_] | None = None
        self._selection: Int = np.zeros(0, np.int64)
        self._plain, self._back, self._ink = 0xFF0072B2, 0xFFFFFFFF, 0xFF000000
        self._canvas: Canvas | None = None
        self._width_for: tuple[object, ...] = ()
        self._width = 1
        self._forget()

    def _forget(self) -> None:
        """Colours in drawing order are made again when they are needed."""
        self._drawn: dict[str, tuple[Pixels, NDArray[np.uint8] | None]] = {}

    # What there is.

    def __len__(self) -> int:
        return len(self._all)

    @property
    def shown_count(self) -> int:
        """Number of points that are shown."""
        return len(self._shown)

    @property
    def selection(self) -> Int:
        """The chosen points, int64 ``(k,)``, rising."""
        return self._selection

    def set_points(
        self, coordinates: NDArray[np.floating], index: PointIndex | None = None
    ) -> None:
        """Take other points ``(n, 2)``; nothing is chosen then.

        Colours and the shown ones stay while the number of points does. ``index`` is that of the
        same points, if it is there already.

        Raises:
            LatentLabError: another shape, or a number that is not finite.
        """
        index = PointIndex.build(coordinates) if index is None else index
        if len(index) != len(self._all):
            self._colours = self._shapes = self._mask = None
        self._all = index
        self._shown = index if self._mask is None else index.filtered(self._mask)
        self.select(np.zeros(0, np.int64))

    def set_colours(
        self, rgb: NDArray[np.uint8] | None, shapes: NDArray[np.uint8] | None = None
    ) -> None:
        """Take a colour ``(n, 3)`` and maybe a shape ``(n,)`` for each point.

        Raises:
            LatentLabError: another number than that of the points.
        """
        for array, shape in ((rgb, (len(self), 3)), (shapes, (len(self),))):
            if array is not None and np.shape(array) != shape:
                raise LatentLabError(
                    f"The map has {len(self)} points, but colours came in shape "
                    f"{np.shape(array)}: colour it by a label of the same points."
                )
        self._colours = None if rgb is None else pack(np.asarray(rgb, np.uint8))
        self._shapes = None if shapes is None else np.asarray(shapes, np.uint8).copy()
        self._forget()

    def set_look(self, plain: int, back: int, ink: int) -> None:
        """Take the colour of points without one, of the background and of text, as pixels."""
        self._plain, self._back, self._ink = plain, back, ink
        self._forget()

    def set_shown(self, mask: NDArray[np.bool_] | None) -> None:
        """Show some points ``(n,)``, or all; a chosen one that is hidden is chosen no more.

        Raises:
            LatentLabError: another number than that of the points.
        """
        if mask is not None and np.shape(mask) != (len(self),):
            raise LatentLabError(
                f"The map has {len(self)} points, but it was told which of {np.size(mask)} to "
                "show: choose points of this map."
            )
        self._mask = None if mask is None or np.all(mask) else np.asarray(mask, bool).copy()
        self._shown = self._all if self._mask is None else self._all.filtered(self._mask)
        chosen = self._selection
        self.select(chosen if self._mask is None else chosen[self._mask[chosen]])

    def select(self, points: Int) -> None:
        """Choose points; those that are hidden or not there are left out."""
        found = np.asarray(points, np.int64).reshape(-1)
        mask = np.zeros(len(self), bool)
        mask[found[(found >= 0) & (found < len(self))]] = True
        if self._mask is not None:
            mask &= self._mask
        found = np.flatnonzero(mask)
        found.flags.writeable = False
        self._selection = found
        self._chosen = self._shown.filtered(mask) if len(found) else None
        self._forget()

    def extent(self) -> Rect | None:
        """Return the rectangle around the shown points, or all if none is shown."""
        return self._shown.extent() or self._all.extent()

    def coordinates(self) -> tuple[Int, NDArray[np.float64]]:
        """Return the shown points in rising order and their places ``(k, 2)``."""
        order = np.argsort(self._shown.order)
        places = np.stack([self._shown.x[order], self._shown.y[order]], axis=1)
        return self._shown.order[order], places

    def place(self, point: int) -> tuple[float, float]:
        """Return where a point lies, in data."""
        at = int(np.flatnonzero(self._all.order == point)[0])
        return float(self._all.x[at]), float(self._all.y[at])

    # What is hit. Distances and outlines are those on the screen, in logical pixels.

    def _near(self, rect: Rect, view: MapView) -> tuple[Int, NDArray, NDArray]:
        places = self._shown.places(*rect)
        x, y = view.pixels(self._shown.x[places], self._shown.y[places])
        return self._shown.order[places], x, y

    def nearest(self, view: MapView, across: float, down: float, reach: float) -> int | None:
        """Return the shown point nearest to a place, if one lies within ``reach`` pixels."""
        points, x, y = self._near(view.around(across, down, reach), view)
        if not len(points):
            return None
        distance = (x - across) ** 2 + (y - down) ** 2
        least = distance.min()
        return int(points[distance == least].min()) if least <= reach**2 else None

    def within(self, view: MapView, outline: NDArray[np.float64]) -> Int:
        """Return the shown points inside a polygon ``(m, 2)`` of pixels, in rising order."""
        if len(outline) < 3:
            return np.zeros(0, np.int64)
        low, high = outline.min(axis=0), outline.max(axis=0)
        middle, reach = (low + high) / 2, (high - low) / 2
        across = view.around(middle[0], middle[1], reach[0] + 1)
        up = view.around(middle[0], middle[1], reach[1] + 1)
        points, x, y = self._near((*across[:2], *up[2:]), view)
        box = (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
        points, x, y = points[box], x[box], y[box]
        return np.sort(points[inside_polygon(x, y, outline)])

    # Its picture.

    def width(self, view: MapView) -> int:
        """Return the width of markers in logical pixels; it changes with the zoom alone."""
        wanted = (view.scale, view.width, view.height, id(self._shown), len(self._shown))
        if wanted != self._width_for:
            begins, ends = self._shown.runs(*view.rect)
            count = int((ends - begins).sum())
            self._width = marker_width(count, view.width * view.height)
            self._width_for = wanted
        return self._width

    def render(self, view: MapView, ratio: float) -> Pixels:
        """Return the picture of the points, uint32 ``(height, width)`` in device pixels.

        It is drawn over by the next call.
        """
        size = (round(view.width * ratio), round(view.height * ratio))
        pad = 6 * int(np.ceil(LARGEST * ratio))
        canvas = self._canvas
        if canvas is None or (canvas.width, canvas.height, canvas.pad) != (*size, pad):
            canvas = self._canvas = Canvas(*size, pad)
        canvas.clear()
        width = self.width(view)
        self._draw(canvas, "shown", view, ratio, width)
        if self._chosen is not None:
            self._draw(canvas, "chosen", view, ratio, min(width + 2, LARGEST + 2))
        return canvas.picture()

    def _draw(self, canvas: Canvas, which: str, view: MapView, ratio: float, width: int) -> None:
        index = self._shown if which == "shown" else self._chosen
        if index is None or not len(index):
            return
        places = self._ordered(index, view.grown(width))
        colours, shapes = self._in_order(which, index)
        count = len(index.x[places])
        ink = ink_of(fitting_width(width, count, ratio), ratio)
        if which == "chosen" and ink.width > 2:
            ink = replace(ink, outline=ratio, shade=0.0, tint=self._ink)
        elif self._chosen is not None:
            ink = replace(ink, shade=_DIM_SHADE)
        for part in _parts(places):
            x, y = self._device(view, ratio, index.x[part], index.y[part])
            canvas.draw(x, y, colours[part], ink, None if shapes is None else shapes[part])

    @staticmethod
    def _ordered(index: PointIndex, rect: Rect) -> slice | Int:
        """Return the places of the points in sight in the order in which they are drawn."""
        places = index.places(*rect)
        rank = index.rank[places]
        if len(rank) > _SORTED:
            return places
        order = np.argsort(rank)
        return order + places.start if isinstance(places, slice) else places[order]

    def markers(self, view: MapView, most: int) -> list[Marker] | None:
        """Return what a vector picture draws, in order; ``None`` for more than ``most``."""
        found: list[Marker] = []
        width = self.width(view)
        for which, index in (("shown", self._shown), ("chosen", self._chosen)):
            if index is None or not len(index):
                continue
            own = width if which == "shown" else min(width + 2, LARGEST + 2)
            places = self._ordered(index, view.grown(own))
            colours, shapes = self._in_order(which, index)
            x, y = view.pixels(index.x[places], index.y[places])
            if len(found) + len(x) > most:
                return None
            ink = ink_of(own, 1.0)
            fills = colours[places]
            edges = mixed(fills, 0, 1 - (ink.shade if self._chosen is None else _DIM_SHADE))
            if which == "chosen":
                edges = np.full(len(fills), self._ink, np.uint32)
            kinds = np.zeros(len(x), int) if shapes is None or not ink.shaped else shapes[places]
            lined = ink.outline > 0 or (which == "chosen" and own > 2)
            rows = zip(x.tolist(), y.tolist(), fills.tolist(), edges.tolist(), kinds.tolist())
            found += [Marker(a, b, own, fill, edge, lined, kind) for a, b, fill, edge, kind in rows]
        return found

    @staticmethod
    def _device(
        view: MapView, ratio: float, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return places in device pixels from the corner of the picture, in arrays of their own."""
        across, up = view.scale
        right = np.subtract(x, view.x0)
        np.multiply(right, across * ratio, out=right)
        down = np.subtract(view.y1, y)
        np.multiply(down, up * ratio, out=down)
        return right, down

    def _in_order(self, which: str, index: PointIndex) -> tuple[Pixels, NDArray[np.uint8] | None]:
        """Return colours and shapes in the order of an index; dimmed beside chosen ones."""
        if which not in self._drawn:
            if self._colours is None:
                colours = np.full(len(index), self._plain, np.uint32)
            else:
                colours = self._colours[index.order]
            if which == "shown" and self._chosen is not None:
                colours = mixed(colours, self._back, _DIMMED)
            shapes = None if self._shapes is None else self._shapes[index.order]
            self._drawn[which] = (colours, shapes)
        return self._drawn[which]

    def density(self, view: MapView) -> tuple[NDArray[np.float32], float]:
        """Return the density of the shown points on the screen; see ``DensityGrid.blurred``."""
        grid = DensityGrid(view.width, view.height)
        index = self._shown
        places = index.places(*view.grown(margin()))
        for part in _parts(places):
            grid.add(*self._device(view, 1.0, index.x[part], index.y[part]))
        return grid.blurred()
