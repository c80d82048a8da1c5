"""Recipes and figures of runs side by side, as texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentlab.core.run_status import RunSummary
from latentlab.ui.widgets.run_series import training_time
from latentlab.ui.widgets.run_text import (
    STATE_WORDS,
    duration,
    figure,
    megabytes,
    parameters,
)

NONE = "–"
_TITLES = {"model": "Model", "data": "Data", "train": "Training", "output": "Output"}
_LEAST = ("Best held-out loss", "Last loss")


@dataclass(frozen=True)
class Comparison:
    """Rows under one title.

    Attributes:
        title: of the group.
        rows: name, and a text for each run.
    """

    title: str
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as one, with dotted names."""
    found: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def value_text(value: Any) -> str:
    """Return a setting as a person reads it."""
    if value is None or value == "":
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(value_text(one) for one in value) or NONE
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def compare(
    recipes: Sequence[Mapping[str, Any]],
    figures: Sequence[Mapping[str, str]],
    only_different: bool,
) -> list[Comparison]:
    """Return figures and settings of runs, by table.

    Args:
        recipes: tables of each run.
        figures: texts of each run, by name.
        only_different: leave out settings that are the same everywhere.
    """
    found = []
    names = list(dict.fromkeys(name for own in figures for name in own))
    rows = [(name, tuple(own.get(name, NONE) for own in figures)) for name in names]
    rows = [row for row in rows if any(text != NONE for text in row[1])]
    if rows:
        found.append(Comparison("Figures", tuple(rows)))
    tables = list(dict.fromkeys(name for recipe in recipes for name in recipe))
    for table in tables:
        settings = [_table(recipe.get(table)) for recipe in recipes]
        keys = list(dict.fromkeys(key for own in settings for key in own))
        rows = [(key, tuple(value_text(own.get(key)) for own in settings)) for key in keys]
        if only_different:
            rows = [row for row in rows if len(set(row[1])) > 1]
        if rows:
            found.append(Comparison(_TITLES.get(table, table), tuple(rows)))
    return found


def _table(table: Any) -> dict[str, Any]:
    return flat(table) if isinstance(table, Mapping) else {}


def figures_of(run: RunSummary, curves: Any, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures of a run, with units, by name."""
    status = run.status
    found = {
        "State": STATE_WORDS[run.state],
        "Steps": f"{status.step:,}" + (f" of {status.total_steps:,}" if status.total_steps else ""),
        "Last loss": figure(status.loss),
    }
    if curves is not None and len(curves.steps):
        best = best_held_out(curves)
        if best is not None:
            found["Best held-out loss"] = f"{figure(best[1])} at step {best[0]:,}"
        seconds = training_time(np.asarray(curves.column("time"), np.float64))
        found["Training time"] = duration(float(seconds[-1]))
        pace = np.asarray(curves.column("images_per_second"), np.float64)
        if np.isfinite(pace).any():
            found["Usual pace"] = figure(float(np.nanmedian(pace)), "img/s")
        memory = np.asarray(curves.column("memory_mb"), np.float64)
        if np.isfinite(memory).any():
            found["Most memory"] = megabytes(float(np.nanmax(memory)))
    count = facts.get("parameters")
    if isinstance(count, int | float):
        found["Parameters"] = parameters(count)
    if status.device:
        found["Device"] = status.device
    return found


def best_held_out(curves: Any) -> tuple[int, float] | None:
    """Return step and value of the smallest held-out loss; ``None`` without any."""
    values = np.asarray(curves.column("held_out_loss"), np.float64)
    steps = np.asarray(curves.steps_of("held_out_loss"))
    if not len(values) or len(values) != len(steps) or not np.isfinite(values).any():
        return None
    best = int(np.nanargmin(values))
    return int(steps[best]), float(values[best])


def best_row(name: str, values: Sequence[str]) -> int | None:
    """Return which run has the smallest figure, where less is better and runs can be compared."""
    if name not in _LEAST or len(values) < 2:
        return None
    numbers = [_number(value) for value in values]
    known = [n for n in numbers if n is not None]
    if len(known) < 2 or len(set(known)) < 2:
        return None
    return numbers.index(min(known))


def _number(text: str) -> float | None:
    first = text.partition(" at ")[0].replace("−", "-").replace(",", "")
    try:
        return float(first)
    except ValueError:
        return None
