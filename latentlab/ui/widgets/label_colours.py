"""Labels to colours: classes that everyone can tell apart, values on a ramp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from latentlab.core.labels import LabelColumn
from latentlab.core.palette import OKABE_ITO, VIRIDIS
from latentlab.ui.widgets.marker_shapes import SHAPES

UNKNOWN = -1
"""Code of points whose label is not known."""
UNKNOWN_RGB = (140, 140, 140)
PLAIN_RGB = (86, 160, 214)
PERCENTILES = (1.0, 99.0)

# Blue over grey to orange, both ends of Okabe and Ito's colours; equally dark on both sides.
_DIVERGING = ((0, 90, 160), (86, 150, 205), (190, 190, 190), (226, 140, 40), (180, 75, 0))


@dataclass(frozen=True)
class LegendRow:
    """One class.

    Attributes:
        code: its number in ``LegendItems.codes``.
        name: what the legend writes.
        rgb: its colour.
        shape: row of ``SHAPES``.
        count: number of its points.
    """

    code: int
    name: str
    rgb: tuple[int, int, int]
    shape: int
    count: int


@dataclass(frozen=True, eq=False)
class ColourBar:
    """The scale of a continuous label.

    Attributes:
        low: value at the lower end of the ramp.
        high: value at the upper end.
        ramp: uint8 ``(256, 3)``.
        clipped: whether values beyond the ends exist and have the colour of the end.
        unit: what the numbers are in.
    """

    low: float
    high: float
    ramp: NDArray[np.uint8]
    clipped: bool = False
    unit: str = ""


@dataclass(frozen=True, eq=False)
class LegendItems:
    """What a legend shows, and which point belongs to which row.

    Attributes:
        name: of the label; empty without one.
        rows: classes; for a continuous label only the unknown ones, if any.
        codes: int32 ``(n,)``: the class of each point; ``UNKNOWN`` where it is not known.
        shapes: row of ``SHAPES`` of each point, uint8 ``(n,)``.
        bar: the scale of a continuous label.
    """

    name: str
    rows: tuple[LegendRow, ...]
    codes: NDArray[np.int32]
    shapes: NDArray[np.uint8]
    bar: ColourBar | None = None


def _ramp(anchors: tuple[tuple[int, int, int], ...]) -> NDArray[np.uint8]:
    table = np.asarray(anchors, np.float64)
    at, steps = np.linspace(0, len(table) - 1, 256), np.arange(len(table))
    channels = [np.interp(at, steps, table[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def viridis() -> NDArray[np.uint8]:
    """Return the colour ramp viridis: uint8 ``(256, 3)``, from low to high."""
    return _ramp(VIRIDIS)


def diverging() -> NDArray[np.uint8]:
    """Return a ramp with grey in its middle: uint8 ``(256, 3)``, from low to high."""
    return _ramp(_DIVERGING)


def class_rgb(code: int) -> tuple[int, int, int]:
    """Return the colour of a class; together with its shape, 56 classes differ."""
    return OKABE_ITO[code % len(OKABE_ITO)]


def colours_of(
    column: LabelColumn | None,
    count: int = 0,
    scale: Literal["sequential", "diverging"] = "sequential",
    unit: str = "",
) -> tuple[NDArray[np.uint8], LegendItems]:
    """Return the colour of each point by a label, and the legend.

    A continuous label goes from its 1st to its 99th percentile on viridis, so that single far
    values do not take the colours from all others; a diverging scale has 0 in its middle.

    Args:
        column: the label of N points; ``None`` gives ``count`` points one colour.
        count: number of points where there is no label.
        scale: of a continuous label.
        unit: of a continuous label.

    Returns:
        uint8 ``(N, 3)`` and what a legend shows.
    """
    if column is None:
        rgb = np.tile(np.array(PLAIN_RGB, np.uint8), (count, 1))
        return rgb, LegendItems("", (), np.zeros(count, np.int32), np.zeros(count, np.uint8))
    if column.kind == "continuous":
        return _continuous(column, scale == "diverging", unit)
    return _classes(column)


def _unknown_row(count: int) -> tuple[LegendRow, ...]:
    return (LegendRow(UNKNOWN, "unknown", UNKNOWN_RGB, 0, count),) if count else ()


def _classes(column: LabelColumn) -> tuple[NDArray[np.uint8], LegendItems]:
    values = np.asarray(column.values, np.float64)
    known = np.isfinite(values) & (values >= 0)
    codes = np.full(len(values), UNKNOWN, np.int32)
    codes[known] = np.rint(values[known]).astype(np.int32)
    names = ("no", "yes") if column.kind == "binary" else column.classes
    most = max(len(names), int(codes.max(initial=-1)) + 1)
    counts = np.bincount(codes[known], minlength=most)
    rows = tuple(
        LegendRow(
            code,
            column.class_name(code),
            class_rgb(code),
            code % len(SHAPES),
            int(counts[code]),
        )
        for code in range(most)
        if counts[code] or code < len(names)
    )
    table = np.array([*map(class_rgb, range(most)), UNKNOWN_RGB], np.uint8)
    shapes = np.where(known, codes % len(SHAPES), 0).astype(np.uint8)
    rows += _unknown_row(int((~known).sum()))
    return table[codes], LegendItems(column.name, rows, codes, shapes)


def _continuous(
    column: LabelColumn, centred: bool, unit: str
) -> tuple[NDArray[np.uint8], LegendItems]:
    values = np.asarray(column.values, np.float64)
    known = np.isfinite(values)
    low, high = 0.0, 1.0
    clipped = False
    if known.any():
        low, high = (float(v) for v in np.percentile(values[known], PERCENTILES))
        if centred:
            high = max(abs(low), abs(high))
            low = -high
        if low == high:
            # Rarely anything but this one value: the ends then say so.
            low, high = float(values[known].min()), float(values[known].max())
        if low == high:
            low, high = low - 0.5, high + 0.5
        clipped = bool((values[known] < low).any() or (values[known] > high).any())
    ramp = diverging() if centred else viridis()
    place = np.zeros(len(values), np.intp)
    part = np.clip((values[known] - low) / (high - low), 0, 1)
    place[known] = np.rint(part * 255).astype(np.intp)
    rgb = ramp[place]
    rgb[~known] = UNKNOWN_RGB
    codes = np.where(known, 0, UNKNOWN).astype(np.int32)
    bar = ColourBar(low, high, ramp, clipped, unit)
    shapes = np.zeros(len(values), np.uint8)
    return rgb, LegendItems(column.name, _unknown_row(int((~known).sum())), codes, shapes, bar)
