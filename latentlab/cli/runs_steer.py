"""Commands that steer runs: pause, continue, stop, kill, resume, delete, restore, duplicate."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from latentlab.cli.common import Json, Many, print_json
from latentlab.cli.runs_find import find_run, run_roots
from latentlab.core.errors import LatentLabError
from latentlab.core.run_status import RunSummary

Run = Annotated[
    str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help="Name or folder of a run.")
]
Several = Annotated[
    tuple[str, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="RUN...", help="Names or folders of runs."),
]
Background = Annotated[
    bool, tyro.conf.arg(help="As a process of its own, which goes on when this command ends.")
]


def for_each(texts: tuple[str, ...], as_json: bool, act: Callable[[RunSummary], str]) -> int:
    """Do something with several runs; one that refuses does not stop the others.

    Args:
        texts: names or folders.
        as_json: print one JSON list instead of a line each.
        act: returns what was done, as a sentence.

    Returns:
        The exit code: 0, or 2 when one refused.
    """
    if not texts:
        raise LatentLabError("Name a run: `latentlab runs list` shows them.")
    rows: list[dict[str, Any]] = []
    for text in dict.fromkeys(texts):
        try:
            run = find_run(text)
            said = act(run)
        except LatentLabError as error:
            rows.append({"run": text, "done": False, "message": error.message})
            print(f"latentlab: {error.message}", file=sys.stderr)
            continue
        rows.append({"run": text, "done": True, "message": said, "path": run.path})
        if not as_json:
            print(said)
    if as_json:
        print_json(rows)
    return 0 if all(row["done"] for row in rows) else 2


@dataclass(frozen=True)
class RunsPause:
    """Ask runs to write a checkpoint and wait, also those on other machines.

    Example: latentlab runs pause faces
    """

    runs: Several
    json: Json = False

    def run(self) -> int:
        """Make the file that asks."""
        from latentlab.services.launcher import pause_run

        def act(run: RunSummary) -> str:
            pause_run(run.path)
            return f"The run '{run.name}' pauses after its current step."

        return for_each(self.runs, self.json, act)


@dataclass(frozen=True)
class RunsContinue:
    """Let paused runs go on.

    Example: latentlab runs continue faces
    """

    runs: Several
    json: Json = False

    def run(self) -> int:
        """Take away the file that asks to wait."""
        from latentlab.services.launcher import continue_run

        def act(run: RunSummary) -> str:
            continue_run(run.path)
            return f"The run '{run.name}' goes on."

        return for_each(self.runs, self.json, act)


@dataclass(frozen=True)
class RunsStop:
    """Ask runs to write a checkpoint and end; resume goes on from there.

    Example: latentlab runs stop faces
    """

    runs: Several
    json: Json = False

    def run(self) -> int:
        """Make the file that asks."""
        from latentlab.services.launcher import stop_run

        def act(run: RunSummary) -> str:
            stop_run(run.path)
            return f"The run '{run.name}' stops after its current step."

        return for_each(self.runs, self.json, act)


@dataclass(frozen=True)
class RunsKill:
    """End runs of this machine at once: what came after the last checkpoint is lost.

    Example: latentlab runs kill faces
    """

    runs: Several
    json: Json = False

    def run(self) -> int:
        """End the processes."""
        from latentlab.services.launcher import end_run

        def act(run: RunSummary) -> str:
            end_run(run.path, wait_seconds=10.0)
            return f"The run '{run.name}' was ended; resume goes on from its last checkpoint."

        return for_each(self.runs, self.json, act)


@dataclass(frozen=True)
class RunsResume:
    """Go on with runs that stopped, were ended or failed.

    Example: latentlab runs resume faces --background
    """

    runs: Several
    background: Background = False
    json: Json = False

    def run(self) -> int:
        """Train here, one run after the other, or start processes."""
        from latentlab.services.launcher import resume_run

        def start(run: RunSummary) -> str:
            pid = resume_run(run.path)
            return f"The run '{run.name}' goes on as process {pid}; {watch_hint(run.path)}"

        return for_each(self.runs, self.json, start if self.background else self._here)

    def _here(self, run: RunSummary) -> str:
        from latentlab.training.run import resume

        outcome = resume(run.path, on_event=(lambda _: None) if self.json else None)
        if outcome.model is None:
            return f"The run '{run.name}' stopped at step {outcome.step}."
        return f"The model is {outcome.model}"


def watch_hint(run_dir: Path) -> str:
    """Return how a run in the background is watched."""
    return f"watch it with: latentlab runs watch {run_dir}"


@dataclass(frozen=True)
class RunsDelete:
    """Move runs into the trash beside them, where they stay for a week.

    Example: latentlab runs delete faces-2
    """

    runs: Several
    json: Json = False

    def run(self) -> int:
        """Move the folders."""
        from latentlab.services.launcher import delete_run

        def act(run: RunSummary) -> str:
            delete_run(run.path)
            return f"The run '{run.name}' is in the trash for 7 days; restore brings it back."

        return for_each(self.runs, self.json, act)


@dataclass(frozen=True)
class RunsRestore:
    """Bring a deleted run back from the trash.

    Example: latentlab runs restore faces-2
    """

    runs: Several
    json: Json = False

    def run(self) -> int:
        """Move the newest deleted run of each name back."""
        from latentlab.core.suggest import did_you_mean
        from latentlab.services.launcher import restore_run, trashed_runs

        rows = []
        for text in self.runs:
            path = Path(text).expanduser()
            found = [path] if path.parent.name == ".trash" else []
            deleted = [run for root in run_roots() for run in trashed_runs(root)]
            found += [run.path for run in deleted if run.name == path.name]
            if not found:
                hint = did_you_mean(text, (run.name for run in deleted))
                raise LatentLabError(f"There is no run '{text}' in the trash{hint}")
            restored = restore_run(found[0])
            rows.append({"run": text, "path": restored})
            if not self.json:
                print(f"The run '{restored.name}' is back: {restored}")
        if self.json:
            print_json(rows)
        return 0


@dataclass(frozen=True)
class RunsDuplicate:
    """Make a new run with the recipe of another, beside it.

    Example: latentlab runs duplicate faces --name faces-slow --set train.learning_rate=1e-4
    --background
    """

    source: Run
    name: Annotated[str | None, tyro.conf.arg(help="Of the new run.")] = None
    set_: Annotated[
        Many, tyro.conf.arg(name="set", metavar="KEY=VALUE", help="For example train.steps=500.")
    ] = ()
    background: Background = False
    json: Json = False

    def run(self) -> int:
        """Write the folder and, if asked to, start the run."""
        from latentlab.cli.common import overrides_of
        from latentlab.core.modelfile import replace_file
        from latentlab.core.recipe import parse_recipe
        from latentlab.core.runs import RunFolder
        from latentlab.services.launcher import duplicate_text, free_run_dir, start_run

        run = find_run(self.source)
        path = free_run_dir(run.path.parent, self.name or run.name)
        if self.name is not None and path.name != self.name:
            raise LatentLabError(
                f"A run cannot be called '{self.name}' here: choose another name, for example "
                f"'{path.name}'."
            )
        text = duplicate_text(run.path)
        recipe = parse_recipe(text, "recipe.toml", overrides_of(self.set_), default_id=path.name)
        pid = None
        if self.background:
            pid = start_run(recipe.to_toml(), path)
        else:
            target = RunFolder(path).recipe
            replace_file(target, lambda file: file.write_text(recipe.to_toml(), "utf-8"))
        if self.json:
            print_json({"run": path.name, "path": path, "pid": pid})
        elif pid is None:
            print(f"The run '{path.name}' is made; start it with: latentlab runs resume {path}")
        else:
            print(f"The run '{path.name}' is process {pid}; {watch_hint(path)}")
        return 0
