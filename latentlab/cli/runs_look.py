"""Commands that look at one run: show, watch, film, export."""

from __future__ import annotations

import csv
import io
import json as json_text
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from latentlab.cli.common import Json, Progress, print_json
from latentlab.cli.runs_find import find_run, known_runs, listing, number, row, run_roots
from latentlab.cli.runs_steer import Run
from latentlab.core.errors import LatentLabError
from latentlab.core.run_status import RunSummary, summary
from latentlab.core.run_text import describe, duration

_LAST_BYTES = 64 * 1024
_POLL_SECONDS = 0.3


@dataclass(frozen=True)
class RunsList:
    """List the training runs, the newest first.

    Example: latentlab runs list --json
    """

    folder: Annotated[
        tyro.conf.UseAppendAction[tuple[Path, ...]],
        tyro.conf.arg(metavar="DIR", help="Look here instead of the usual places; repeatable."),
    ] = ()
    json: Json = False

    def run(self) -> int:
        """Print one row a run."""
        runs = known_runs(self.folder)
        if self.json:
            print_json([row(run) for run in runs])
        elif runs:
            print(listing(runs))
        else:
            places = ", ".join(str(root) for root in run_roots(self.folder))
            print(f"No runs in {places}: start one with `latentlab train RECIPE`.")
        return 0


@dataclass(frozen=True)
class RunsShow:
    """Show how a run stands, what it was made from and what it reached.

    Example: latentlab runs show faces
    """

    name: Run
    json: Json = False

    def run(self) -> int:
        """Print the figures."""
        run = find_run(self.name)
        found = _facts(run)
        if self.json:
            print_json(found)
            return 0
        for key, words in _lines(run, found):
            if words:
                print(f"{key:<12}{words}")
        return 0


def _facts(run: RunSummary) -> dict[str, Any]:
    from latentlab.core.runs import RunFolder
    from latentlab.services.film import sample_sheets
    from latentlab.services.run_compare import flat_recipe, read_history, run_figures

    folder, history = RunFolder(run.path), read_history(run.path)
    starts = [event.data for event in history.events if event.kind == "start"]
    warnings = [str(e.data.get("message", "")) for e in history.events if e.kind == "warning"]
    newest = starts[-1] if starts else {}
    return {
        **row(run),
        "data": newest.get("data"),
        "num_images": newest.get("num_images"),
        "parameters": newest.get("parameters"),
        "figures": asdict(run_figures(history)),
        "attempts": len(starts),
        "warnings": warnings[-5:],
        "checkpoints": [path.name for path in folder.checkpoint_files()],
        "samples": len(sample_sheets(run.path)),
        "recipe": flat_recipe(run.path),
    }


def _lines(run: RunSummary, found: dict[str, Any]) -> list[tuple[str, str]]:
    status, figures = run.status, found["figures"]
    total = f" of {status.total_steps}" if status.total_steps else ""
    place = f", process {status.pid} on {status.host}" if run.active else ""
    best = figures["best_held_out"]
    left = status.seconds_left if run.state == "training" else None
    recipe, kept = found["recipe"], found["checkpoints"]
    images = f", {found['num_images']} images" if found["num_images"] else ""
    attempts = found["attempts"]
    return [
        ("folder", str(run.path)),
        ("state", f"{run.state}{place}" + (f": {status.message}" if status.message else "")),
        ("step", f"{max(status.step, figures['step'])}{total}"),
        ("time", f"{duration(figures['seconds'])} in {attempts} attempt{'s' * (attempts != 1)}"),
        ("time left", "" if left is None else duration(left)),
        ("speed", f"{number(figures['images_per_second'], 3)} images/s on {status.device or '-'}"),
        ("loss", f"{number(figures['loss'])}  {_few(figures['losses'])}".strip()),
        ("held out", "" if best is None else f"{best:.5g} at step {figures['best_step']}, best"),
        ("model", f"{_word(recipe, 'model.family')}, {found['parameters'] or '-'} parameters"),
        ("data", f"{_word(recipe, 'data.source')}{images}"),
        ("checkpoints", f"{len(kept)}, newest {kept[-1]}" if kept else "none"),
        ("samples", f"{found['samples']} sheets"),
        ("quality", _few(figures["quality"])),
        ("finished", figures["model"] or ""),
        *(("warning", text) for text in found["warnings"]),
    ]


def _word(recipe: dict[str, str], key: str) -> str:
    return recipe.get(key, "-").strip('"')


def _few(figures: dict[str, float], most: int = 6) -> str:
    shown = [f"{name} {value:.5g}" for name, value in list(figures.items())[:most]]
    more = len(figures) - len(shown)
    return "  ".join([*shown, f"and {more} more (--json)"] if more else shown)


@dataclass(frozen=True)
class RunsWatch:
    """Follow a run until it ends; Ctrl+C leaves the run alone.

    With --json, each event is one line of JSON, as it stands in events.jsonl.

    Example: latentlab runs watch faces
    """

    name: Run
    lines: Annotated[int, tyro.conf.arg(help="Lines of the past to begin with.")] = 10
    every: Annotated[float, tyro.conf.arg(help="Seconds between two lines of steps.")] = 2.0
    json: Json = False

    def run(self) -> int:
        """Print what happens."""
        if self.lines < 0 or not 0 <= self.every < 1e6:
            raise LatentLabError("Give --lines 0 or more and --every 0 or more seconds.")
        run = find_run(self.name)
        try:
            self._follow(run.path)
        except KeyboardInterrupt:
            if not self.json:
                print(f"\nNot watched any more; the run '{run.name}' is left alone.")
            return 130
        return 0

    def _follow(self, path: Path) -> None:
        from latentlab.core.run_events import EventTail
        from latentlab.core.runs import RunFolder

        tail = EventTail(RunFolder(path), _LAST_BYTES)
        for event in deque(tail.poll(), maxlen=self.lines):
            print(event.to_json() if self.json else describe(event))
        shown = time.monotonic()
        while True:
            # How it stands is asked first: what it wrote before its end is then still read.
            run = summary(path)
            for event in tail.poll():
                now = time.monotonic()
                often = event.kind in ("step", "progress") and not self.json
                if often and now - shown < self.every:
                    continue
                shown = now if often else shown
                print(event.to_json() if self.json else describe(event), flush=True)
            if run is None or not run.active:
                break
            time.sleep(_POLL_SECONDS)
        if not self.json:
            print(_ending(path, run))


def _ending(path: Path, run: RunSummary | None) -> str:
    if run is None:
        return f"The run '{path.name}' is no longer there."
    message = f": {run.status.message}" if run.status.message else ""
    return f"The run '{run.name}' is {run.state} at step {run.status.step}{message}"


@dataclass(frozen=True)
class RunsFilm:
    """Make a film of a run's samples, from its first step to its last.

    The suffix of --out says how: .mp4, .gif, .webp or .png (animated).

    Example: latentlab runs film faces --out faces.mp4
    """

    name: Run
    out: Annotated[Path, tyro.conf.arg(metavar="FILE", help="The film to write.")]
    fps: Annotated[float, tyro.conf.arg(help="Sheets a second.")] = 12.0
    seconds: Annotated[
        float, tyro.conf.arg(help="A longer film skips sheets evenly; 0 takes all.")
    ] = 60.0
    plain: Annotated[bool, tyro.conf.arg(help="Leave out the step under the pictures.")] = False
    scale: Annotated[
        int | None, tyro.conf.arg(help="Each pixel becomes so many squared; chosen if none.")
    ] = None
    json: Json = False

    def run(self) -> int:
        """Write the film."""
        from latentlab.services.film import sample_film

        film = sample_film(
            find_run(self.name).path,
            self.out,
            fps=self.fps,
            max_seconds=self.seconds if self.seconds != 0 else None,
            label=not self.plain,
            scale=self.scale,
            report=Progress(self.json),
        )
        if self.json:
            print_json({"out": film.path, "frames": film.frames, "seconds": film.seconds})
        else:
            print(f"{film.path}: {film.frames} frames, {film.seconds:.3g} s")
        return 0


def csv_text(rows: list[list[Any]]) -> str:
    """Return rows as CSV; ``None`` is an empty cell."""
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


@dataclass(frozen=True)
class RunsExport:
    """Write the curves of a run as a table: a row a logged step or checkpoint, each step once.

    Example: latentlab runs export faces --out curves.csv
    """

    name: Run
    out: Annotated[Path, tyro.conf.arg(metavar="FILE", help="A .csv or .json file.")]
    json: Json = False

    def run(self) -> int:
        """Write the file."""
        from latentlab.core.modelfile import replace_file
        from latentlab.services.run_compare import curve_table, read_history

        suffix = self.out.suffix.lower()
        if suffix not in (".csv", ".json"):
            raise LatentLabError(f"Curves cannot be written as '{suffix}': use .csv or .json.")
        run = find_run(self.name)
        columns, rows = curve_table(read_history(run.path))
        if not rows:
            raise LatentLabError(
                f"The run '{run.name}' has no curves yet: wait for its first steps."
            )
        if suffix == ".csv":
            text = csv_text([columns, *rows])
        else:
            text = json_text.dumps({n: list(c) for n, c in zip(columns, zip(*rows))})
        replace_file(self.out, lambda path: path.write_text(text, "utf-8", newline="\n"))
        if self.json:
            print_json({"out": self.out, "rows": len(rows), "columns": columns})
        else:
            print(f"{self.out}: {len(rows)} rows of {', '.join(columns)}")
        return 0
