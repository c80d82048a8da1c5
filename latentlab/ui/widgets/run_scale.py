"""From data to pixels along one axis of a chart: linear or logarithmic, with its ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentlab.ui.widgets.map_axes import Ticks, plain, ticks_of

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """A range of data along some pixels.

    Attributes:
        low: data at the beginning.
        high: data at the end; larger.
        start: pixel of the beginning.
        end: pixel of the end; smaller than ``start`` for y.
        log: logarithmic; both ends are positive then.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, values: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Return the pixels of values; NaN for those that a logarithm has none of."""
        found = np.asarray(values, np.float64)
        low, high = self.low, self.high
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                found = np.where(found > 0, np.log10(found), np.nan)
            low, high = math.log10(low), math.log10(high)
        return self.start + (found - low) * (self.end - self.start) / (high - low)

    def value(self, pixel: float) -> float:
        """Return the data at a pixel."""
        share = (pixel - self.start) / (self.end - self.start)
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            return 10.0 ** (low + share * (high - low))
        return self.low + share * (self.high - self.low)

    def ticks(self, most: int) -> Ticks:
        """Return its ticks: at most about ``most``."""
        if not self.log or self.high / self.low < 8:
            return ticks_of(self.low, self.high, most)
        first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
        every = max(1, -(-(last - first + 1) // max(1, most)))
        powers = list(range(first, last + 1, every))
        values = [10.0**power for power in powers]
        if len(powers) < 3:
            values = self._fine_ticks(range(first - 1, last + 2), most)
        return Ticks(tuple(values), tuple(_power_text(value) for value in values))

    def _fine_ticks(self, exponents: range, most: int) -> list[float]:
        """Return ticks between powers of ten too, as many as there is room for; two at least."""
        values: list[float] = []
        for factors in ((1,), (1, 3), (1, 2, 5)):
            fine = [m * 10.0**p for p in exponents for m in factors]
            fine = [v for v in fine if self.low <= v <= self.high]
            if len(values) < 2 or len(fine) <= most:
                values = fine
        return values


def _power_text(value: float) -> str:
    power = math.log10(value)
    if abs(power - round(power)) < 1e-9 and not -4 <= round(power) <= 4:
        return f"10{str(round(power)).translate(_SUPERSCRIPTS)}"
    # Three digits need no power of ten here: 1000 and not 1×10³.
    return f"{value:g}" if 1 <= value < 1e5 else plain(value)


def padded(low: float, high: float, log: bool) -> tuple[float, float]:
    """Return a range a little larger than the data's, never empty."""
    if log:
        low, high = math.log10(low), math.log10(high)
    room = (high - low) * 0.06 or (0.3 if log else abs(high) * 0.1 or 1.0)
    low, high = low - room, high + room
    return (10.0**low, 10.0**high) if log else (low, high)
