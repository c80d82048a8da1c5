"""A million points in the plane, sorted so that a rectangle of them is found at once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError

Float = NDArray[np.float64]
Int = NDArray[np.int64]
_STRIP = 2048
_MOST_STRIPS = 1024


def check_coordinates(coordinates: NDArray[np.floating]) -> Float:
    """Return coordinates as float64 ``(n, 2)``.

    Raises:
        LatentLabError: another shape, or a number that is not finite.
    """
    found = np.asarray(coordinates, np.float64)
    if found.ndim != 2 or found.shape[1] != 2:
        raise LatentLabError(
            f"A map needs two coordinates for each point, not an array of shape {found.shape}: "
            "choose a layout with two numbers for each point."
        )
    wrong = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(wrong):
        raise LatentLabError(
            f"{len(wrong)} of {len(found)} points have no finite place on the map (the first is "
            f"point {wrong[0]}): compute the layout again or leave these points out."
        )
    if len(found) and np.abs(found).max() > 1e150:
        raise LatentLabError(
            "The coordinates are too large to draw (beyond 1e150): scale them down."
        )
    return found


@dataclass(frozen=True, eq=False)
class PointIndex:
    """Points cut into vertical strips of equal counts, each strip sorted by height.

    Equal counts keep it quick for any distribution, outliers included.

    Attributes:
        order: int64 ``(n,)``: the point at each place.
        x: float64 ``(n,)``: in that order.
        y: likewise.
        rank: int32 ``(n,)``: a fixed shuffle; what is drawn over what, in that order.
        starts: int64 ``(strips + 1,)``: where each strip begins.
        left: float64 ``(strips,)``: bounds of the strips.
        right: likewise.
        bottom: likewise.
        top: likewise.
    """

    order: Int
    x: Float
    y: Float
    rank: NDArray[np.int32]
    starts: Int
    left: Float
    right: Float
    bottom: Float
    top: Float

    def __len__(self) -> int:
        return len(self.order)

    @staticmethod
    def build(coordinates: NDArray[np.floating]) -> PointIndex:
        """Sort points ``(n, 2)``.

        Raises:
            LatentLabError: another shape, or a number that is not finite.
        """
        found = check_coordinates(coordinates)
        count = len(found)
        shuffled = np.random.default_rng(0).permutation(count)
        # Sorted from the shuffle: points at one place do not come in the order of the data set.
        order = shuffled[np.argsort(found[shuffled, 0])]
        strips = int(np.clip(count // _STRIP, 1, _MOST_STRIPS))
        starts = np.arange(strips + 1, dtype=np.int64) * count // strips
        heights = found[order, 1]
        for begin, end in itertools.pairwise(starts.tolist()):
            inner = np.argsort(heights[begin:end])
            order[begin:end] = order[begin:end][inner]
        x, y = found[order, 0], found[order, 1]
        rank = np.empty(count, np.int32)
        rank[shuffled] = np.arange(count, dtype=np.int32)
        if not count:
            none = np.zeros(1)
            return PointIndex(order, x, y, rank, starts, none, none, none, none)
        bounds = [
            np.minimum.reduceat(x, starts[:-1]),
            np.maximum.reduceat(x, starts[:-1]),
            y[starts[:-1]],
            y[starts[1:] - 1],
        ]
        return PointIndex(order, x, y, rank[order], starts, *bounds)

    def filtered(self, mask: NDArray[np.bool_]) -> PointIndex:
        """Return the index of those points alone for which ``mask`` ``(all points,)`` holds."""
        keep = mask[self.order]
        before = np.concatenate([[0], np.cumsum(keep)])
        return replace(
            self,
            order=self.order[keep],
            x=self.x[keep],
            y=self.y[keep],
            rank=self.rank[keep],
            starts=before[self.starts],
        )

    def extent(self) -> tuple[float, float, float, float] | None:
        """Return the smallest rectangle (x0, x1, y0, y1) around all points."""
        if not len(self):
            return None
        return tuple(float(v) for v in (self.x.min(), self.x.max(), self.y.min(), self.y.max()))

    def runs(self, x0: float, x1: float, y0: float, y1: float) -> tuple[Int, Int]:
        """Return begins and ends of the runs of places that hold all points of a rectangle.

        Exact in height; the first and last strips reach beyond it to the sides.
        """
        use = np.flatnonzero((self.right >= x0) & (self.left <= x1))
        begins, ends = self.starts[use], self.starts[use + 1]
        if not np.all((self.bottom[use] >= y0) & (self.top[use] <= y1)):
            begins, ends = self._bound(begins, ends, y0, True), self._bound(begins, ends, y1, False)
        return begins, np.maximum(begins, ends)

    def _bound(self, begins: Int, ends: Int, value: float, lower: bool) -> Int:
        """Return in each sorted run the first place that is not below (or is above) a value."""
        low, high = begins.copy(), ends.copy()
        while True:
            going = low < high
            if not going.any():
                return low
            middle = (low + high) // 2
            # Where a run is finished, any place within the array will do.
            at = self.y[np.minimum(middle, len(self) - 1)]
            below = going & ((at < value) if lower else (at <= value))
            low = np.where(below, middle + 1, low)
            high = np.where(going & ~below, middle, high)

    def places(self, x0: float, x1: float, y0: float, y1: float) -> slice | Int:
        """Return the places of all points of a rectangle, and of some beside it.

        A slice when most points of the strips are wanted: it is read faster than picked places.
        """
        use = np.flatnonzero((self.right >= x0) & (self.left <= x1))
        begins, ends = self.runs(x0, x1, y0, y1)
        lengths = ends - begins
        total = int(lengths.sum())
        if total == 0:
            return slice(0, 0)
        first, last = int(self.starts[use[0]]), int(self.starts[use[-1] + 1])
        if 2 * total >= last - first:
            return slice(first, last)
        firsts = np.repeat(begins - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        return firsts + np.arange(total)
