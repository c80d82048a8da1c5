"""The command ``runs``: list, watch, steer and compare training runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union

import tyro

from latentlab.cli.common import Json, print_json
from latentlab.cli.runs_find import find_run, number, table
from latentlab.cli.runs_look import (
    RunsExport,
    RunsFilm,
    RunsList,
    RunsShow,
    RunsWatch,
    csv_text,
)
from latentlab.cli.runs_steer import (
    RunsContinue,
    RunsDelete,
    RunsDuplicate,
    RunsKill,
    RunsPause,
    RunsRestore,
    RunsResume,
    RunsStop,
    Several,
)
from latentlab.core.errors import LatentLabError
from latentlab.core.run_text import duration

if TYPE_CHECKING:
    from latentlab.services.run_compare import RunFigures, RunHistory


@dataclass(frozen=True)
class RunsCompare:
    """Compare runs: where their recipes differ, and what each reached.

    The suffix of --out says what is written: the table (.csv) or the curves over each other (.png).

    Example: latentlab runs compare faces faces-2 --out curves.png
    """

    runs: Several
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help="A .csv or .png file.")] = None
    curve: Annotated[
        str, tyro.conf.arg(help="Of the picture: loss, losses/<part>, held_out_loss, grad_norm ...")
    ] = "loss"
    log: Annotated[bool, tyro.conf.arg(help="Logarithmic axis in the picture.")] = False
    json: Json = False

    def run(self) -> int:
        """Print the table and write the file."""
        from latentlab.services.run_compare import read_history, recipe_differences, run_figures

        if len(dict.fromkeys(self.runs)) < 2:
            raise LatentLabError("Name two runs or more: `latentlab runs list` shows them.")
        suffix = "" if self.out is None else self.out.suffix.lower()
        if self.out is not None and suffix not in (".csv", ".png"):
            raise LatentLabError(f"A comparison cannot be written as '{suffix}': use .csv or .png.")
        found = [find_run(text) for text in dict.fromkeys(self.runs)]
        histories = [read_history(run.path) for run in found]
        names = _names(histories)
        recipes = recipe_differences([run.path for run in found])
        figures = [run_figures(history) for history in histories]
        states = [run.state for run in found]
        if suffix == ".png":
            self._draw(names, histories)
        rows = _rows(names, states, recipes, figures)
        if suffix == ".csv" and self.out is not None:
            _write(self.out, csv_text([list(r) for r in rows]))
        if self.json:
            differences = {key: dict(zip(names, values)) for key, values in recipes.items()}
            reached = {name: asdict(own) for name, own in zip(names, figures)}
            print_json({"recipes": differences, "figures": reached, "out": self.out})
        else:
            print(table(rows))
        return 0

    def _draw(self, names: Sequence[str], histories: Sequence[RunHistory]) -> None:
        from latentlab.core.modelfile import replace_file
        from latentlab.services.run_chart import draw_curves
        from latentlab.services.run_compare import series

        curves = {n: series(history, self.curve) for n, history in zip(names, histories)}
        image = draw_curves(curves, y_label=self.curve, log=self.log)
        assert self.out is not None
        replace_file(self.out, lambda path: image.save(path, "PNG"))


def _names(histories: Sequence[RunHistory]) -> list[str]:
    """Return a name for each run; those of one name are told apart by their folder."""
    names = [history.name for history in histories]
    return [
        name if names.count(name) == 1 else str(history.path)
        for name, history in zip(names, histories)
    ]


def _rows(
    names: Sequence[str],
    states: Sequence[str],
    recipes: dict[str, list[str]],
    figures: Sequence[RunFigures],
) -> list[list[str]]:
    def line(title: str, values: Sequence[Any]) -> list[str]:
        words = [value if isinstance(value, str) else number(value) for value in values]
        return [title, *(word or "-" for word in words)]

    held = [
        "" if f.best_held_out is None else f"{f.best_held_out:.4g} (step {f.best_step})"
        for f in figures
    ]
    rows = [["", *names]]
    rows += [line(key, values) for key, values in recipes.items()]
    rows += [
        line("state", states),
        line("step", [str(f.step) for f in figures]),
        line("loss", [f.loss for f in figures]),
    ]
    for part in dict.fromkeys(part for f in figures for part in f.losses):
        rows.append(line(f"losses/{part}", [f.losses.get(part) for f in figures]))
    rows += [
        line("best held-out loss", held),
        line("images/s", [f.images_per_second for f in figures]),
        line("time", [duration(f.seconds) for f in figures]),
    ]
    for name in dict.fromkeys(name for f in figures for name in f.quality):
        rows.append(line(f"quality/{name}", [f.quality.get(name) for f in figures]))
    return rows


def _write(path: Path, text: str) -> None:
    from latentlab.core.modelfile import replace_file

    replace_file(path, lambda target: target.write_text(text, "utf-8", newline="\n"))


ACTIONS: dict[str, Any] = {
    "list": RunsList,
    "show": RunsShow,
    "watch": RunsWatch,
    "pause": RunsPause,
    "continue": RunsContinue,
    "stop": RunsStop,
    "kill": RunsKill,
    "resume": RunsResume,
    "delete": RunsDelete,
    "restore": RunsRestore,
    "duplicate": RunsDuplicate,
    "film": RunsFilm,
    "compare": RunsCompare,
    "export": RunsExport,
}
"""Command class by its word after ``latentlab runs``."""


if TYPE_CHECKING:
    Action = Any
else:
    Action = Union[  # noqa: UP007 (made at run time)
        tuple(
            Annotated[command, tyro.conf.subcommand(name, description=command.__doc__)]
            for name, command in ACTIONS.items()
        )
    ]


@dataclass(frozen=True)
class Runs:
    """List, watch, steer and compare training runs, also those that the window started.

    A run is named by its folder or, where that is in the usual places, by its name alone.

    Example: latentlab runs list
    """

    what: Annotated[Action, tyro.conf.arg(name="")]

    def run(self) -> int:
        """Do what was asked."""
        return int(self.what.run())
