"""Axes with round numbers: where ticks stand and what is written at them."""

from __future__ import annotations

import math
from dataclasses import dataclass

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_ROUND = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Ticks:
    """Ticks of one axis.

    Attributes:
        values: where they stand, in data.
        texts: what is written at them.
        note: what stands behind the axis label: a power of ten, or what all numbers begin from.
    """

    values: tuple[float, ...]
    texts: tuple[str, ...]
    note: str = ""


def step_of(span: float, most: int) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that needs at most so many ticks."""
    rough = span / max(most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in _ROUND:
        if factor * power >= rough * (1 - 1e-9):
            return factor * power
    return 10 * power


def plain(value: float) -> str:
    """Return a number with at most three significant digits, with a real minus sign."""
    text = f"{value:.3g}"
    if "e" in text:
        mantissa, _, power = text.partition("e")
        text = f"{mantissa}×10{str(int(power)).translate(_SUPERSCRIPTS)}"
    return text.replace("-", "−")


def ticks_of(low: float, high: float, most: int) -> Ticks:
    """Return the ticks of an axis: at most ``most``, but two at least."""
    values: tuple[float, ...] = ()
    step = high - low
    while len(values) < 2:
        step = step_of(high - low, most)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        values = tuple(n * step for n in range(first, last + 1))
        most += 1
    largest = max((abs(v) for v in values), default=0.0)
    offset = 0.0
    if largest > 2e4 * step:
        # Many leading digits that are all the same: written once, behind the label.
        unit = 10.0 ** math.ceil(math.log10((high - low) * 1.0001))
        offset = math.floor(low / unit) * unit
    rest = [v - offset for v in values]
    largest = max((abs(v) for v in rest), default=0.0)
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    power = power if power >= 5 or power <= -4 else 0
    digits = max(0, -math.floor(math.log10(step) + 1e-9) + power)
    texts = tuple(_text(v / 10.0**power, digits) for v in rest)
    note = f"×10{str(power).translate(_SUPERSCRIPTS)}" if power else ""
    if offset:
        sign = "+" if offset > 0 else "−"
        note = f"{note} {sign} {abs(offset):,.10g}".strip().replace(",", " ")
    return Ticks(values, texts, note)


def _text(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = f"{0:.{digits}f}"
    return text.replace("-", "−")
