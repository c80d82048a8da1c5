"""The numbers of a noise schedule as curves over time, and at one time. No Qt here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from latentlab.core.noise_schedule import SCHEDULES, NoiseSchedule, noise_schedule
from latentlab.core.spec import DiffusionFacts
from latentlab.ui.widgets.map_axes import plain

Float = NDArray[np.float64]
MOST_POINTS = 2000
"""A longer schedule is drawn through so many of its times."""


@dataclass(frozen=True)
class Mark:
    """A step of a run.

    Attributes:
        label: of the run; marks with one label belong together.
        t: time that the network was told, 0 to T - 1.
        sigma: noise over signal at this time.
        current: it is the one that is looked at.
    """

    label: str
    t: float
    sigma: float
    current: bool = False


@dataclass(frozen=True)
class Curve:
    """One quantity of a schedule.

    Attributes:
        key: unique.
        title: what a person reads.
        pane: key of the chart that it stands in.
        slot: its colour.
        line: its dash pattern.
        what: a sentence.
    """

    key: str
    title: str
    pane: str
    slot: int
    line: int
    what: str


CURVES: tuple[Curve, ...] = (
    Curve(
        "alpha_bar",
        "alpha-bar",
        "rates",
        0,
        0,
        "Share of the variance that is still the image's: the product of 1 - beta.",
    ),
    Curve("signal", "signal rate", "rates", 2, 1, "Factor of the image in x_t: √alpha-bar."),
    Curve(
        "noise",
        "noise rate",
        "rates",
        1,
        2,
        "Standard deviation of the noise in x_t: √(1 - alpha-bar).",
    ),
    Curve("snr", "SNR", "snr", 0, 0, "Variance of the signal over that of the noise, in decibels."),
    Curve("beta", "beta", "beta", 3, 0, "Variance of the noise that one step adds."),
)


@dataclass(frozen=True)
class Pane:
    """One chart.

    Attributes:
        key: unique.
        title: what a person reads.
        unit: of y; empty for none.
        log: logarithmic y.
        range: ends of y; ``None`` fits the curves.
        most: y ends at this size at the latest: a curve may run out of the chart.
    """

    key: str
    title: str
    unit: str = ""
    log: bool = False
    range: tuple[float, float] | None = None
    most: float = math.inf


PANES: tuple[Pane, ...] = (
    Pane("rates", "Rates", range=(0.0, 1.0)),
    Pane("snr", "SNR", "dB", most=50.0),
    Pane("beta", "Beta", log=True),
)
_FLOOR_DB = 100.0


@dataclass(frozen=True)
class ScheduleState:
    """All that a plot of a schedule shows.

    Attributes:
        facts: of the model; ``None`` for none.
        marks: steps of runs.
        hidden: keys of curves that are not drawn.
        references: names of schedules that are drawn for comparison.
        pane: the chart that is shown where there is no room for all.
        cursor: time that is read off, or NaN.
    """

    facts: DiffusionFacts | None = None
    marks: tuple[Mark, ...] = ()
    hidden: frozenset[str] = frozenset()
    references: tuple[str, ...] = ()
    pane: str = "rates"
    cursor: float = math.nan
    labels: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(dict.fromkeys(m.label for m in self.marks)))

    @property
    def currents(self) -> tuple[Mark, ...]:
        """The steps that are looked at, one for each run at most."""
        found: dict[str, Mark] = {}
        for mark in self.marks:
            if mark.current:
                found.setdefault(mark.label, mark)
        return tuple(found.values())

    def curves(self, pane: str) -> list[Curve]:
        """Return the curves of a chart that are drawn."""
        return [c for c in CURVES if c.pane == pane and c.key not in self.hidden]

    @property
    def panes(self) -> list[Pane]:
        """The charts that have something to draw, the chosen one first."""
        shown = [pane for pane in PANES if self.curves(pane.key)]
        keys = [pane.key for pane in shown]
        first = keys.index(self.pane) if self.pane in keys else 0
        return shown[first:] + shown[:first]

    def with_hidden(self, key: str, hidden: bool) -> ScheduleState:
        """Return the state with one curve hidden or shown."""
        found = self.hidden | {key} if hidden else self.hidden - {key}
        return replace(self, hidden=frozenset(found))


@lru_cache(maxsize=32)
def schedule_of(
    name: str, num_timesteps: int, beta_start: float = 1e-4, beta_end: float = 0.02
) -> NoiseSchedule:
    """Return a schedule; asked for again, it is not made again."""
    return noise_schedule(name, num_timesteps, beta_start=beta_start, beta_end=beta_end)


def own_schedule(facts: DiffusionFacts) -> NoiseSchedule:
    """Return the schedule that a model was trained with."""
    return schedule_of(facts.schedule, facts.num_timesteps, facts.beta_start, facts.beta_end)


def reference_schedules(facts: DiffusionFacts) -> tuple[str, ...]:
    """Return the names of the schedules that can be compared with a model's own."""
    return tuple(name for name in SCHEDULES if name != facts.schedule)


def decibels(ratio: Float | float) -> Float:
    """Return 10 log10 of a ratio of variances, within +-100 dB."""
    with np.errstate(divide="ignore"):
        return np.clip(10 * np.log10(np.asarray(ratio, np.float64)), -_FLOOR_DB, _FLOOR_DB)


def values_of(schedule: NoiseSchedule, key: str) -> Float:
    """Return a curve ``(T,)``: a rate, alpha-bar or beta as they are, SNR in decibels."""
    if key == "snr":
        with np.errstate(divide="ignore"):
            return decibels(schedule.snr)
    found = {
        "alpha_bar": schedule.alphas_cumprod,
        "signal": schedule.signal_rate,
        "noise": schedule.noise_rate,
        "beta": schedule.betas,
    }
    return found[key]


def thinned(values: Float) -> tuple[Float, Float]:
    """Return times and values ``(n,)`` of a curve, at most about ``MOST_POINTS`` of them."""
    times = np.unique(np.linspace(0, len(values) - 1, min(len(values), MOST_POINTS)).round())
    return times, values[times.astype(np.int64)]


def value_at(values: Float, t: float) -> float:
    """Return a curve's value between two times; logarithms are interpolated by the caller."""
    return float(np.interp(t, np.arange(len(values)), values))


def numbers_text(t: float, sigma: float, short: bool = False) -> str:
    """Return a time, sigma, alpha-bar and the signal-to-noise ratio with three digits.

    ``short`` leaves the ratio itself out: its decibels stay.
    """
    alpha_bar = 1.0 / (1.0 + sigma**2)
    snr = math.inf if sigma == 0 else sigma**-2.0
    level = f"{plain(float(decibels(snr)))} dB"
    ratio = "∞" if math.isinf(snr) else level if short else f"{plain(snr)} ({level})"
    name = "α̅" if short else "alpha-bar"
    return f"t {plain_time(t)}, σ {plain(sigma)}, {name} {plain(alpha_bar)}, SNR {ratio}"


def plain_time(t: float) -> str:
    """Return a time: whole, or with one digit behind the point."""
    return f"{t:.0f}" if abs(t - round(t)) < 0.05 else f"{t:.1f}"


def readings(state: ScheduleState, t: float) -> list[tuple[Curve | None, str]]:
    """Return what every drawn curve has at a time, and sigma."""
    if state.facts is None:
        return []
    schedule = own_schedule(state.facts)
    found: list[tuple[Curve | None, str]] = []
    for curve in CURVES:
        if curve.key not in state.hidden:
            value = value_at(values_of(schedule, curve.key), t)
            unit = " dB" if curve.key == "snr" else ""
            found.append((curve, f"{curve.title} {plain(value)}{unit}"))
    sigma = value_at(schedule.sigma, t)
    return [*found, (None, f"σ {plain(sigma)}")]


def neighbour(state: ScheduleState, t: float, side: int) -> float:
    """Return the next step's time of the run that is looked at, or the next whole time.

    Args:
        state: what is shown.
        t: where one is.
        side: -1 towards the image, +1 towards the noise.
    """
    label = next((mark.label for mark in state.currents), state.labels[0] if state.labels else "")
    times = sorted({mark.t for mark in state.marks if mark.label == label})
    beyond = [other for other in times if (other - t) * side > 0.5]
    if times:
        return (min(beyond) if side > 0 else max(beyond)) if beyond else t
    return t + side


def table(state: ScheduleState, runs: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return the header and a row for each time, with the steps of runs that are there."""
    if state.facts is None:
        return [], []
    schedule = own_schedule(state.facts)
    steps: dict[int, list[str]] = {}
    for label in runs:
        own = [mark for mark in state.marks if mark.label == label]
        for place, mark in enumerate(own, 1):
            steps.setdefault(round(mark.t), []).append(f"{label} {place}".strip())
    names = ["t", "beta", "alpha_bar", "signal_rate", "noise_rate", "sigma", "snr", "snr_db",
             "steps"]  # fmt: skip
    columns = (schedule.betas, schedule.alphas_cumprod, schedule.signal_rate,
               schedule.noise_rate, schedule.sigma, schedule.snr,
               decibels(schedule.snr))  # fmt: skip
    rows = []
    for t, numbers in enumerate(zip(*(column.tolist() for column in columns))):
        rows.append([str(t), *(f"{v:.9g}" for v in numbers), "; ".join(steps.get(t, []))])
    return names, rows
