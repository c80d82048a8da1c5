"""What a chart of training shows, and what its readout says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentlab.ui.widgets.run_marks import Mark
from latentlab.ui.widgets.run_scale import padded
from latentlab.ui.widgets.run_series import Line
from latentlab.ui.widgets.run_text import figure

Read = Callable[[float], tuple[float, float] | None]


@dataclass(frozen=True)
class ChartLine:
    """One line of a chart.

    Attributes:
        key: unique in the chart.
        label: what legends and readouts say.
        mark: colour, marker and dash.
        line: the numbers of this view.
        read: the record nearest to a place.
        width: of the pen, in logical pixels.
        points: mark every value: they are few.
        end_label: written where the line ends.
    """

    key: str
    label: str
    mark: Mark
    line: Line
    read: Read
    width: float = 1.6
    points: bool = False
    end_label: str = ""


@dataclass(frozen=True)
class Flag:
    """Something that happened at a place of the axis.

    Attributes:
        place: on the axis of x.
        kind: ``checkpoint``, ``best``, ``warning``, ``error`` or ``attempt``.
        text: what the readout says.
        mark: of the run.
    """

    place: float
    kind: str
    text: str
    mark: Mark


@dataclass(frozen=True)
class ChartState:
    """All that a chart shows.

    Attributes:
        title: a few words.
        unit: of y; empty for none.
        lines: in drawing order.
        flags: what happened.
        view: both ends of x.
        log: logarithmic y.
        y_range: chosen by hand; ``None`` fits what is in sight.
        x_unit: what one unit of the x labels is in data, and its name.
        cursor: place of the readout, or NaN.
    """

    title: str
    unit: str = ""
    lines: Sequence[ChartLine] = ()
    flags: Sequence[Flag] = ()
    view: tuple[float, float] = (0.0, 1.0)
    log: bool = False
    y_range: tuple[float, float] | None = None
    x_unit: tuple[float, str] = (1.0, "step")
    cursor: float = math.nan


def value_range(lines: Sequence[ChartLine], log: bool) -> tuple[float, float] | None:
    """Return the range of y that shows the lines; ``None`` when there is nothing to show.

    Beside smoothed lines the outermost hundredths of the single records may lie outside.
    """
    found: list[NDArray[np.float64]] = []
    for one in lines:
        low, high, soft = one.line.low, one.line.high, one.line.smooth_y
        if len(soft):
            found.append(soft)
            raw = np.concatenate([low, high])
            raw = raw[np.isfinite(raw) & ((raw > 0) | (not log))]
            if len(raw):
                found.append(np.quantile(raw, [0.01, 0.99]))
        else:
            found += [low, high]
    values = np.concatenate(found) if found else np.zeros(0)
    values = values[np.isfinite(values)]
    if log:
        values = values[values > 0]
    return padded(float(values.min()), float(values.max()), log) if len(values) else None


def cursor_text(state: ChartState) -> str:
    """Return where the readout stands, in words."""
    divisor, name = state.x_unit
    if name == "step":
        return f"step {state.cursor:,.0f}"
    number = f"{state.cursor / divisor:.3g}"
    return f"epoch {number}" if name == "epochs" else f"{number} {name.rpartition(' ')[2]}"


def readings(state: ChartState) -> list[tuple[ChartLine, str]]:
    """Return what the lines have at the cursor, with units."""
    found = []
    for line in state.lines:
        value = line.read(state.cursor)
        if value is not None:
            found.append((line, f"{line.label} {figure(value[1], state.unit)}".strip()))
    return found
