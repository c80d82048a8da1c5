"""Numbers of runs as lines to draw: by step, epoch or time, smoothed, never more than pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Axis = Literal["steps", "epochs", "time"]
AXES: tuple[Axis, ...] = ("steps", "epochs", "time")
MOST_SMOOTHED = 4096
"""A line is smoothed on at most so many means of neighbouring records."""
_ENOUGH = 10_000
"""Records whose gaps tell what is usual."""
_AROUND = 100
"""Records on either side among which the nearest value is looked for."""
_REACH = 12.0
"""Records so many time constants away count for nothing (e^-12)."""


@dataclass(frozen=True)
class Line:
    """What is drawn of one series in one view.

    Attributes:
        x: places ``(n,)`` on the chosen axis, rising.
        low: the smallest value in each pixel, ``(n,)``.
        high: the largest.
        smooth_x: places ``(m,)`` of the smoothed line; empty without smoothing.
        smooth_y: its values.
    """

    x: Float
    low: Float
    high: Float
    smooth_x: Float
    smooth_y: Float


EMPTY = np.zeros(0)


def records_of(slider: float) -> float:
    """Return over how many records a smoothing slider at 0 to 1 averages: 1 to 10,000."""
    return 10.0 ** (4.0 * min(max(slider, 0.0), 1.0))


def smooth(values: Float, decay: float) -> Float:
    """Return the debiased exponential moving average (Kingma and Ba 2015, section 3).

    Args:
        values: ``(n,)``; NaN counts for nothing.
        decay: share of the past that each record keeps, 0 to 1, 1 excluded.

    Returns:
        ``(n,)``: ``sum(decay^(i-j) v_j) / sum(decay^(i-j))`` over the ``v_j`` that are numbers;
        NaN before the first.
    """
    known = np.isfinite(values)
    total, weight = np.where(known, values, 0.0), known.astype(np.float64)
    reach = 1
    # Twice as many records in every pass: a recurrence without a loop over the records.
    while reach < len(values) and decay**reach > 0.0:
        total[reach:] += decay**reach * total[:-reach]
        weight[reach:] += decay**reach * weight[:-reach]
        reach *= 2
    begun = np.logical_or.accumulate(known)
    return np.divide(total, weight, out=np.full(len(values), np.nan), where=begun & (weight > 0))


class RunSeries:
    """The curves of one run on one axis.

    Args:
        curves: ``latentlab.services.run_curves.Curves``.
        axis: of x.
        before: the same run a moment ago; what it knows is not computed again.
    """

    def __init__(self, curves: Any, axis: Axis, before: RunSeries | None = None) -> None:
        self.curves = curves
        self.axis = axis
        self.steps = np.asarray(curves.steps, np.float64)
        self._usual: float | None = None
        self.places = self._places(before)

    def _places(self, before: RunSeries | None) -> Float:
        """Return x of every record, rising."""
        if self.axis == "epochs":
            column = _rising(np.asarray(self.curves.column("epoch"), np.float64))
        elif self.axis == "time":
            column = self._times(before)
        else:
            return self.steps
        return column if len(column) == len(self.steps) else self.steps

    def _times(self, before: RunSeries | None) -> Float:
        """Return the training time of every record; only that of new ones is computed."""
        times = np.asarray(self.curves.column("time"), np.float64)
        known = 0 if before is None or before.axis != "time" else len(before.places)
        if (
            before is None
            or not _ENOUGH <= known <= len(times)
            or not np.array_equal(self.steps[:known], before.steps)
        ):
            self._usual = usual_gap(times)
            return training_time(times, self._usual)
        self._usual = before._usual
        more = training_time(times[known - 1 :], self._usual)
        return np.concatenate([before.places, before.places[-1] + more[1:]])

    @property
    def extent(self) -> tuple[float, float] | None:
        """The first and last x; ``None`` without a record."""
        known = self.places[np.isfinite(self.places)]
        return (float(known[0]), float(known[-1])) if len(known) else None

    def place_of(self, step: float) -> float:
        """Return where a step stands on the axis; NaN without a record."""
        if not len(self.steps):
            return math.nan
        return float(np.interp(step, self.steps, self.places))

    def _step_at(self, place: float, side: Literal["left", "right"]) -> float:
        """Return the step of the record just outside a place on the axis."""
        at = int(np.searchsorted(self.places, place, side)) + (-1 if side == "left" else 0)
        return float(self.steps[min(max(at, 0), len(self.steps) - 1)])

    def line(self, name: str, first: float, last: float, buckets: int, slider: float) -> Line:
        """Return one series between two places.

        Args:
            name: of the series, as ``Curves`` names it.
            first: left edge on the axis.
            last: right edge.
            buckets: pixels.
            slider: smoothing from 0 (none) to 1.
        """
        if not len(self.steps):
            return Line(EMPTY, EMPTY, EMPTY, EMPTY, EMPTY)
        begin, end = self._step_at(first, "left"), self._step_at(last, "right")
        steps, low, high = self.curves.series(name, begin, end, buckets)
        x = self._to_axis(np.asarray(steps, np.float64))
        low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
        if slider <= 0:
            return Line(x, low, high, EMPTY, EMPTY)
        smooth_x, smooth_y = self._smoothed(name, begin, end, slider)
        # More points than pixels take Qt ten times as long and look the same.
        every = max(1, len(smooth_x) // max(buckets, 1))
        last = (len(smooth_x) - 1) % every
        return Line(x, low, high, smooth_x[last::every], smooth_y[last::every])

    def _smoothed(self, name: str, begin: float, end: float, slider: float) -> tuple[Float, Float]:
        """Return the average line, on at most ``MOST_SMOOTHED`` means of neighbouring records."""
        own = self._steps_of(name)
        first, last = (int(np.searchsorted(own, step)) for step in (begin, end))
        records = records_of(slider)
        # What lies before the view is still in the average.
        early = max(0, first - math.ceil(_REACH * records))
        if early >= len(own):
            return EMPTY, EMPTY
        x, y = self.curves.means(name, float(own[early]), end, MOST_SMOOTHED)
        if not len(x):
            return EMPTY, EMPTY
        each = max(1.0, (min(last, len(own) - 1) - early + 1) / len(x))
        decay = (1.0 - 1.0 / records) ** each if records > 1 else 0.0
        found = smooth(np.asarray(y, np.float64), decay)
        shown = np.asarray(x) >= begin
        return self._to_axis(np.asarray(x, np.float64)[shown]), found[shown]

    def _to_axis(self, steps: Float) -> Float:
        if self.axis == "steps" or not len(steps):
            return steps
        return np.interp(steps, self.steps, self.places)

    def _steps_of(self, name: str) -> Float:
        """Return the steps at which a series was told."""
        if name != "held_out_loss":
            return self.steps
        return np.asarray(self.curves.steps_of(name), np.float64)

    def nearest(self, name: str, place: float) -> tuple[float, float] | None:
        """Return x and value of the record nearest to a place that has a value.

        ``None`` when there is none among the hundreds of records around it.
        """
        own = self._steps_of(name)
        if not len(own) or not len(self.steps):
            return None
        step = float(np.interp(place, self.places, self.steps))
        at = int(np.searchsorted(own, step))
        low, high = max(0, at - _AROUND), min(len(own) - 1, at + _AROUND)
        x, values, _ = self.curves.series(name, own[low], own[high], 4 * _AROUND)
        known = np.isfinite(values)
        if not known.any():
            return None
        x, values = np.asarray(x, np.float64)[known], values[known]
        best = int(np.argmin(np.abs(x - step)))
        return float(self._to_axis(x[best : best + 1])[0]), float(values[best])


def _rising(values: Float) -> Float:
    """Return values that never fall and have no gaps."""
    filled = np.where(np.isfinite(values), values, -np.inf)
    rising = np.maximum.accumulate(filled) if len(values) else values
    return np.where(np.isfinite(rising), rising, 0.0)


def usual_gap(times: Float) -> float:
    """Return the median number of seconds between two records; 0 for fewer than two."""
    gaps = np.diff(times)
    gaps = gaps[:: max(1, len(gaps) // _ENOUGH)]
    gaps = gaps[np.isfinite(gaps)]
    return float(np.median(gaps)) if len(gaps) else 0.0


def training_time(times: Float, usual: float | None = None) -> Float:
    """Return the seconds that a run trained until each record, pauses between attempts left out.

    A gap counts as a pause when it is more than a minute and fifty times the usual one.
    """
    if not len(times):
        return times
    usual = usual_gap(times) if usual is None else usual
    rising = _rising(times)
    gaps = np.diff(rising, prepend=rising[0])
    gaps[gaps > max(60.0, 50 * usual)] = usual
    return np.cumsum(np.maximum(gaps, 0.0))
