"""Columns that grow at their end, with the extremes and sums of their blocks at several sizes.

Rows lie in segments, so that growing never copies what is there. Each level of a segment summarises
16 entries of the one below it: any range is looked at through a few thousand entries, whatever the
number of its rows, and none of the peaks is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.services.run_watch_protocol import Rows

FACTOR = 16
SEGMENT = FACTOR**4
"""Rows of a segment."""
MAX_COLUMNS = 96
"""Columns beyond these are left out: a damaged file must not fill the memory."""

Array = NDArray[Any]
Summary = tuple[Array, ...]
"""Lowest, highest, sum and count of the known values."""
_NOTHING = (np.nan, np.nan, 0.0, 0.0)


def _halve(parts: Summary) -> Summary:
    """Summarise each two neighbours along the last axis, whose length is even."""
    (low, high, total, count), even, odd = parts, (..., slice(0, None, 2)), (..., slice(1, None, 2))
    return (
        np.fmin(low[even], low[odd]),
        np.fmax(high[even], high[odd]),
        total[even] + total[odd],
        count[even] + count[odd],
    )


def _reduced(parts: Summary, each: int) -> Summary:
    """Summarise each ``each`` entries, a power of two that divides their number."""
    while each > 1:
        parts, each = _halve(parts), each // 2
    return parts


def _from_rows(values: Array) -> Summary:
    known = ~np.isnan(values)
    total = np.where(known, values, 0).astype(np.float64)
    return values, values, total, known.astype(np.float32)


def _nothing(count: int) -> Summary:
    return tuple(np.full(count, value) for value in _NOTHING)


class _Block:
    """Columns of one type in a segment, and their levels of 16, 256, 4,096 ... rows."""

    def __init__(self, dtype: type) -> None:
        self.places: dict[str, int] = {}
        self._dtype = dtype
        self._make(0)

    def _make(self, columns: int) -> None:
        self.values: Array = np.empty((columns, SEGMENT), self._dtype)
        sizes = [SEGMENT // FACTOR**depth for depth in range(1, 5)]
        dtypes = (self._dtype, self._dtype, np.float64, np.float32)
        self.levels: list[Summary] = [
            tuple(np.empty((columns, n), t) for t in dtypes) for n in sizes
        ]

    def _name(self, names: Iterable[str], used: int) -> None:
        """Give new names a column each, unknown in the rows so far."""
        fresh = [n for n in dict.fromkeys(names) if n not in self.places]
        fresh = fresh[: MAX_COLUMNS - len(self.places)]
        if not fresh:
            return
        before = self.values
        kept = len(self.places)
        self._make(kept + len(fresh))
        self.values[:kept, :used] = before[:kept, :used]
        self.values[kept:, :used] = np.nan
        self.places |= {name: kept + place for place, name in enumerate(fresh)}
        self.summarise(0, used)

    def append(self, names: tuple[str, ...], values: Array, used: int) -> None:
        """Put rows behind the ``used`` ones; there is room for them."""
        self._name(names, used)
        part = self.values[:, used : used + values.shape[1]]
        if len(names) < len(self.places):
            part[:] = np.nan
        for name, column in zip(names, values):
            if name in self.places:
                part[self.places[name]] = column
        self.summarise(used, used + values.shape[1])

    def summarise(self, first: int, end: int) -> None:
        """Bring the levels up to date with the rows from ``first`` to ``end``, the last one."""
        for depth in range(4):
            if first >= end:
                return
            begin, filled = first // FACTOR * FACTOR, -(-end // FACTOR) * FACTOR
            below = self.levels[depth - 1] if depth else (self.values,)
            for array, nothing in zip(below, _NOTHING):
                array[:, end:filled] = nothing
            parts = tuple(array[:, begin:filled] for array in below)
            parts = parts if depth else _from_rows(*parts)
            first, end = begin // FACTOR, filled // FACTOR
            for part, target in zip(_reduced(parts, FACTOR), self.levels[depth]):
                target[:, first:end] = part

    def entries(self, name: str, depth: int, first: int, end: int) -> Summary:
        """Return the summaries ``first`` to ``end`` of ``16 ** depth`` rows each."""
        place = self.places.get(name)
        if place is None:
            return _nothing(end - first)
        if depth:
            return tuple(p[place, first:end] for p in self.levels[depth - 1])
        return _from_rows(self.values[place, first:end])


class _Segment:
    def __init__(self) -> None:
        self.used = 0
        self.steps = np.empty(SEGMENT, np.int64)
        self.floats = _Block(np.float32)
        self.times = _Block(np.float64)

    def block(self, name: str) -> _Block:
        return self.times if name == "time" else self.floats

    def append(self, rows: Rows, part: slice) -> None:
        count = part.stop - part.start
        self.steps[self.used : self.used + count] = rows.steps[part]
        self.floats.append(rows.names, rows.values[:, part], self.used)
        self.times.append(("time",), rows.times[None, part], self.used)
        self.used += count

    def shorten(self, used: int) -> None:
        self.used = used
        for block in (self.floats, self.times):
            block.summarise(max(used - 1, 0), used)

    def nbytes(self) -> int:
        blocks = (self.floats, self.times)
        arrays = [b.values for b in blocks] + [p for b in blocks for x in b.levels for p in x]
        return self.steps.nbytes + sum(array.nbytes for array in arrays)


class Table:
    """Rows with ascending steps, a time and named columns."""

    def __init__(self) -> None:
        self._segments: list[_Segment] = []

    def __len__(self) -> int:
        if not self._segments:
            return 0
        return SEGMENT * (len(self._segments) - 1) + self._segments[-1].used

    @property
    def steps(self) -> NDArray[np.int64]:
        """Steps, int64 ``(N,)``, a copy when there is more than one segment."""
        return _joined([s.steps[: s.used] for s in self._segments], np.int64)

    def names(self) -> list[str]:
        """Return the columns beside ``time``, in the order in which they came."""
        return list(dict.fromkeys(n for s in self._segments for n in s.floats.places))

    def column(self, name: str) -> Array:
        """Return a column ``(N,)``; NaN throughout when there is none of that name."""
        parts = []
        for segment in self._segments:
            block = segment.block(name)
            place = block.places.get(name)
            if place is None:
                parts.append(np.full(segment.used, np.nan, block.values.dtype))
            else:
                parts.append(block.values[place, : segment.used])
        return _joined(parts, np.float64 if name == "time" else np.float32)

    def last(self, name: str) -> float:
        """Return the newest value of a column; NaN when there is none."""
        segment = self._segments[-1] if self._segments else None
        block = segment and segment.block(name)
        if not segment or not block or name not in block.places:
            return float("nan")
        return float(block.values[block.places[name], segment.used - 1])

    def step(self, row: int) -> int:
        """Return the step of a row, which may be counted from the end."""
        row = range(len(self))[row]
        return int(self._segments[row // SEGMENT].steps[row % SEGMENT])

    def memory_bytes(self) -> int:
        """Return the size of the arrays."""
        return sum(segment.nbytes() for segment in self._segments)

    def append(self, rows: Rows) -> None:
        """Put rows at the end."""
        done, count = 0, len(rows.steps)
        while done < count:
            if not self._segments or self._segments[-1].used == SEGMENT:
                self._segments.append(_Segment())
            segment = self._segments[-1]
            stop = min(count, done + SEGMENT - segment.used)
            segment.append(rows, slice(done, stop))
            done = stop

    def cut(self, step: float) -> None:
        """Take away the rows beyond a step."""
        kept = self._rows_to(step, "right")
        if kept == len(self):
            return
        del self._segments[-(-kept // SEGMENT) :]
        if self._segments:
            self._segments[-1].shorten(kept - SEGMENT * (len(self._segments) - 1))

    def _rows_to(self, step: float, side: Any) -> int:
        """Return how many rows lie before a step (``right``: and at it)."""
        firsts = [segment.steps[0] for segment in self._segments]
        place = int(np.searchsorted(firsts, step, side)) - 1
        if place < 0:
            return 0
        segment = self._segments[place]
        return place * SEGMENT + int(np.searchsorted(segment.steps[: segment.used], step, side))

    def _buckets(self, first: float, last: float, buckets: int) -> tuple[int, int, int]:
        """Return the first bucket, the one after the last, and their rows."""
        begin = max(self._rows_to(first, "left") - 1, 0)
        end = min(self._rows_to(last, "right") + 1, len(self))
        width = 1
        while end - begin > width * max(buckets, 1):
            width *= 2
        return begin // width, -(-end // width), width

    def _steps_at(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the steps of ascending rows."""
        found = np.empty(len(rows), np.int64)
        ends = np.searchsorted(rows, SEGMENT * np.arange(len(self._segments) + 1))
        for place, segment in enumerate(self._segments):
            part = slice(ends[place], ends[place + 1])
            found[part] = segment.steps[rows[part] - place * SEGMENT]
        return found

    def _middles(self, first: int, last: int, width: int) -> NDArray[np.float64]:
        starts = np.arange(first, last) * width
        ends = np.minimum(starts + width, len(self)) - 1
        return (self._steps_at(starts) + self._steps_at(ends)) / 2

    def _summary(self, name: str, first: int, last: int, width: int) -> Summary:
        """Summarise buckets ``first`` to ``last`` of ``width`` rows, a power of two."""
        size, depth = 1, 0
        while size * FACTOR <= min(width, SEGMENT):
            size, depth = size * FACTOR, depth + 1
        each, room = width // size, SEGMENT // size
        begin, end = first * each, min(last * each, -(-len(self) // size))
        parts = []
        for place in range(begin // room, -(-end // room)):
            low, high = max(begin - place * room, 0), min(end - place * room, room)
            parts.append(self._segments[place].block(name).entries(name, depth, low, high))
        short = (begin - end) % each
        if short:
            parts.append(_nothing(short))
        joined = parts[0] if len(parts) == 1 else tuple(map(np.concatenate, zip(*parts)))
        return _reduced(joined, each)

    def summaries(
        self, name: str, first: float, last: float, buckets: int
    ) -> tuple[NDArray[np.float64], Summary]:
        """Return the middles of buckets between two steps and their summaries."""
        if last < first or not len(self):
            return np.empty(0), _nothing(0)
        place = self._buckets(first, last, buckets)
        return self._middles(*place), self._summary(name, *place)


def _joined(parts: list[Array], dtype: type) -> Array:
    if len(parts) == 1:
        view = parts[0].view()
    else:
        view = np.concatenate(parts) if parts else np.empty(0, dtype)
    view.flags.writeable = False
    return view
