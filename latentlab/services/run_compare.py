"""What several runs have in common and what not: recipes, figures, curves. No torch here."""

from __future__ import annotations

import math
import statistics
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import dump_toml
from latentlab.core.run_events import Event, EventTail, merge_attempts
from latentlab.core.runs import RunFolder

STEP_COLUMNS = (
    "learning_rate",
    "grad_norm",
    "images_per_second",
    "seconds_left",
    "memory_mb",
    "device_memory_mb",
    "data_wait",
)
_MOST_PARTS = 64


@dataclass(frozen=True)
class RunFigures:
    """What a run reached.

    Attributes:
        step: of the newest step event.
        total_steps: of the whole run; 0 while it is not known.
        loss: of the newest step event; ``None`` when it is not finite or there is none.
        losses: its parts.
        best_held_out: the smallest held-out loss of a checkpoint.
        best_step: its step.
        images_per_second: the median over the run.
        seconds: in training, over all attempts, pauses left out.
        quality: measured at the end.
        model: the finished model file.
    """

    step: int = 0
    total_steps: int = 0
    loss: float | None = None
    losses: Mapping[str, float] = field(default_factory=dict)
    best_held_out: float | None = None
    best_step: int | None = None
    images_per_second: float | None = None
    seconds: float = 0.0
    quality: Mapping[str, float] = field(default_factory=dict)
    model: str | None = None


@dataclass(frozen=True, eq=False)
class RunHistory:
    """The events of a run, read once.

    Attributes:
        path: of the folder.
        events: all, as they were written.
        merged: each step once; see ``merge_attempts``.
    """

    path: Path
    events: Sequence[Event]
    merged: Sequence[Event]

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.path.name


def read_history(run_dir: Path) -> RunHistory:
    """Read the events of a run; there are none before it started."""
    events = EventTail(RunFolder(run_dir)).poll()
    return RunHistory(run_dir, events, merge_attempts(events))


def number(value: Any) -> float | None:
    """Return a finite number, ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _numbers(values: Any) -> dict[str, float]:
    if not isinstance(values, Mapping):
        return {}
    found = {str(name): number(value) for name, value in list(values.items())[:_MOST_PARTS]}
    return {name: value for name, value in found.items() if value is not None}


def run_figures(history: RunHistory) -> RunFigures:
    """Return what a run reached."""
    steps = [event for event in history.merged if event.kind == "step"]
    newest = steps[-1] if steps else None
    held = [
        (value, event.step)
        for event in history.merged
        if event.kind == "checkpoint"
        and (value := number(event.data.get("held_out_loss"))) is not None
    ]
    best = min(held) if held else (None, None)
    rates = [r for e in steps if (r := number(e.data.get("images_per_second"))) is not None]
    totals = [t for e in history.merged if (t := number(e.data.get("total_steps"))) is not None]
    ends = [event for event in history.merged if event.kind == "finish"]
    return RunFigures(
        step=newest.step if newest else 0,
        total_steps=int(totals[-1]) if totals else 0,
        loss=number(newest.data.get("loss")) if newest else None,
        losses=_numbers(newest.data.get("losses")) if newest else {},
        best_held_out=best[0],
        best_step=best[1],
        images_per_second=statistics.median(rates) if rates else None,
        seconds=_seconds(history.events),
        quality=_numbers(ends[-1].data.get("quality")) if ends else {},
        model=str(ends[-1].data.get("path")) if ends else None,
    )


def _seconds(events: Iterable[Event]) -> float:
    """Return the time that all attempts took, without what lay between them and without pauses."""
    total, since, waiting = 0.0, None, False
    for event in events:
        if event.kind == "start":
            since, waiting = event.time, False
        if since is not None and not waiting:
            total += max(event.time - since, 0.0)
        since = event.time
        if event.kind in ("pause", "continue"):
            waiting = event.kind == "pause"
    return total


# Recipes.


def flat_recipe(run_dir: Path) -> dict[str, str]:
    """Return the settings of a run as TOML values by dotted key.

    Raises:
        LatentLabError: the recipe cannot be read.
    """
    path = RunFolder(run_dir).recipe
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise LatentLabError(f"The recipe '{path}' cannot be read: mend or replace it.") from error
    return _flat(tables, "")


def _flat(tables: Mapping[str, Any], prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = dump_toml({"x": value}).removeprefix("x = ").rstrip("\n")
    return found


def recipe_differences(run_dirs: Sequence[Path]) -> dict[str, list[str]]:
    """Return the settings in which runs differ: a value for each run, empty where it has none.

    The model's own name is left out.
    """
    recipes = [flat_recipe(path) for path in run_dirs]
    keys = dict.fromkeys(key for recipe in recipes for key in recipe)
    rows = {key: [recipe.get(key, "") for recipe in recipes] for key in keys}
    return {k: v for k, v in rows.items() if len(set(v)) > 1 and k != "output.id"}


# Curves.


def curve_table(history: RunHistory) -> tuple[list[str], list[list[Any]]]:
    """Return the curves of a run as column names and rows, one a step or checkpoint event.

    ``time`` is in seconds since 1970; what an event does not say is ``None``.
    """
    found = [e for e in history.merged if e.kind in ("step", "checkpoint")]
    parts = dict.fromkeys(name for e in found for name in _numbers(e.data.get("losses")))
    columns = ["step", "time", "attempt", "epoch", "loss"]
    columns += [f"losses/{part}" for part in parts]
    columns += [*STEP_COLUMNS, "held_out_loss"]
    rows = []
    for event in found:
        data = event.data
        own = _numbers(data.get("losses"))
        row: list[Any] = [event.step, event.time, event.attempt]
        row += [number(data.get("epoch")), number(data.get("loss"))]
        row += [own.get(part) for part in parts]
        row += [number(data.get(name)) for name in (*STEP_COLUMNS, "held_out_loss")]
        rows.append(row)
    return columns, rows


def series(history: RunHistory, name: str = "loss") -> tuple[list[float], list[float]]:
    """Return the steps and values of a curve: ``loss``, ``losses/<part>``, ``held_out_loss`` ..."""
    xs, ys = [], []
    for event in history.merged:
        if event.kind not in ("step", "checkpoint"):
            continue
        group, slash, part = name.partition("/")
        value = number(_numbers(event.data.get(group)).get(part) if slash else event.data.get(name))
        if value is not None:
            xs.append(float(event.step))
            ys.append(value)
    return xs, ys
