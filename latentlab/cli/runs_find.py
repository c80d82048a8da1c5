"""Which run is meant, and how runs stand in a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from latentlab.core.errors import LatentLabError
from latentlab.core.run_status import RunSummary, find_runs, summary
from latentlab.core.run_text import duration
from latentlab.core.settings import load_settings
from latentlab.core.suggest import did_you_mean


def run_roots(folders: Sequence[Path] = ()) -> list[Path]:
    """Return where runs are looked for: the named folders, or the usual ones.

    These are the person's own runs folder, those that the window watches too, and ``runs`` here,
    where ``latentlab train`` puts a run without ``--run-dir``.
    """
    if folders:
        for folder in folders:
            if not folder.expanduser().is_dir():
                raise LatentLabError(f"There is no folder '{folder}': check the name.")
        return [folder.expanduser() for folder in folders]
    roots = [*load_settings()[0].run_roots(), Path("runs")]
    return [root.expanduser() for root in roots]


def known_runs(folders: Sequence[Path] = ()) -> list[RunSummary]:
    """Return the runs of folders, each once, the newest status first."""
    found: dict[Path, RunSummary] = {}
    for run in find_runs(run_roots(folders)):
        found.setdefault(run.path.resolve(), run)
    return list(found.values())


def find_run(text: str) -> RunSummary:
    """Return the run that a word means: the path of its folder, or its name.

    Raises:
        LatentLabError: there is no such run, or several have this name.
    """
    path = Path(text).expanduser()
    here = summary(path)
    if here is not None:
        return RunSummary(path.absolute(), here.state, here.status, here.made)
    known = known_runs()
    named = [run for run in known if run.name == text]
    if len(named) == 1:
        return named[0]
    if named:
        places = ", ".join(f"'{run.path}'" for run in named)
        raise LatentLabError(f"Several runs are called '{text}': name the folder, one of {places}.")
    if path.is_dir():
        raise LatentLabError(f"'{text}' is not a run folder: it holds no recipe.toml.")
    raise LatentLabError(f"There is no run '{text}'{did_you_mean(text, (r.name for r in known))}")


def row(run: RunSummary) -> dict[str, Any]:
    """Return how a run stands, for ``--json``."""
    status = run.status.model_dump(mode="json")
    return {"name": run.name, "path": run.path, **status, "state": run.state}


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of words in columns, two spaces apart."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(word.ljust(w) for word, w in zip(row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def number(value: float | None, digits: int = 5) -> str:
    """Return a number with so many significant digits; ``-`` for none."""
    return "-" if value is None else f"{value:.{digits}g}"


def listing(runs: Sequence[RunSummary]) -> str:
    """Return runs as a table for people."""
    rows = [("name", "state", "step", "loss", "images/s", "time left", "device")]
    for run in runs:
        status, moving = run.status, run.state == "training"
        total = f"/{status.total_steps}" if status.total_steps else ""
        left = status.seconds_left if moving else None
        rows.append(
            (
                run.name,
                run.state,
                f"{status.step}{total}",
                number(status.loss),
                number(status.images_per_second, 3) if moving else "-",
                "-" if left is None else duration(left),
                status.device or "-",
            )
        )
    return table(rows)
