"""Starting, steering and ending training runs: what the window and ``latentlab runs`` do.

A run is steered by files in its folder, so that one on another machine, over a shared disk, obeys
the same way. No torch here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import replace_file
from latentlab.core.recipe import Recipe, parse_recipe
from latentlab.core.run_status import RunStatus, RunSummary, read_status, summary, write_status
from latentlab.core.runs import RunFolder, alive_since, holder
from latentlab.services.estimate_process import EstimateProcess
from latentlab.services.run_process import console_tail, kill_tree, launch
from latentlab.services.run_trash import (
    delete_run,
    duplicate_text,
    free_run_dir,
    purge_trash,
    restore_run,
    trashed_runs,
)

__all__ = [
    "EstimateProcess",
    "console_tail",
    "continue_run",
    "delete_run",
    "duplicate_text",
    "end_run",
    "finish_run_process",
    "free_run_dir",
    "pause_run",
    "purge_trash",
    "restore_run",
    "resume_run",
    "start_run",
    "stop_run",
    "trashed_runs",
]

_ORIGIN = "launch.json"


def start_run(
    recipe_text: str,
    run_dir: Path,
    *,
    warm_start: Path | None = None,
    options: Sequence[str] = (),
) -> int:
    """Start a new run as a process of its own and return its pid.

    The process outlives this one. What keeps it from training (a setting that the family refuses,
    data that is not there) is told by the run's status, ``failed``, and its ``console.log``.

    Args:
        recipe_text: TOML.
        run_dir: a folder that is not there yet, or is empty.
        warm_start: a model file whose weights the run starts from.
        options: further words for ``latentlab train``, such as ``--max-steps``.

    Raises:
        LatentLabError: not a recipe (the sentence names the line), or the folder is taken or
            cannot be written. Nothing is left behind.
    """
    folder = RunFolder(run_dir.expanduser().absolute())
    recipe = _placed(parse_recipe(recipe_text, "recipe.toml", default_id=folder.path.name))
    _claim(folder)
    text = recipe.to_toml()
    replace_file(folder.recipe, lambda path: path.write_text(text, "utf-8"))
    if warm_start is not None:
        origin = json.dumps({"warm_start": str(warm_start.expanduser().absolute())})
        replace_file(folder.path / _ORIGIN, lambda path: path.write_text(origin, "utf-8"))
    return launch(folder, [*_first_words(folder), *options], _first_status(recipe))


def resume_run(run_dir: Path, *, options: Sequence[str] = ()) -> int:
    """Go on with a run that no process works on, as a process of its own; return its pid.

    Args:
        run_dir: of the run.
        options: further words for ``latentlab train``.

    Raises:
        LatentLabError: not a run, or a process works on it.
    """
    folder = _idle(run_dir)
    if (folder.state / "state.json").exists():
        words = ["train", "--run-dir", str(folder.path), "--resume"]
    else:
        # It never came to its first state: the same start again.
        words = _first_words(folder)
    return _again(folder, [*words, *options])


def finish_run_process(run_dir: Path, *, options: Sequence[str] = ()) -> int:
    """Measure a stopped run as it stands and write its model, as a process of its own.

    Args:
        run_dir: of the run.
        options: further words for ``latentlab train``, such as ``--best``.

    Raises:
        LatentLabError: not a run, nothing was saved yet, or a process works on it.
    """
    folder = _idle(run_dir)
    if not (folder.state / "state.json").exists():
        raise LatentLabError(f"The run '{folder.path.name}' saved nothing yet: resume it.")
    return _again(folder, ["train", "--run-dir", str(folder.path), "--finish", *options])


def pause_run(run_dir: Path) -> None:
    """Ask a run to write a checkpoint and wait.

    Raises:
        LatentLabError: no process works on it, or the folder cannot be written.
    """
    run = _active(run_dir)
    _touch(RunFolder(run.path).pause)


def continue_run(run_dir: Path) -> None:
    """Let a paused run go on.

    Raises:
        LatentLabError: no process works on it, or the folder cannot be written.
    """
    _withdraw(RunFolder(_known(run_dir).path).pause)
    _active(run_dir)


def stop_run(run_dir: Path) -> None:
    """Ask a run to write a checkpoint and end; it can be resumed.

    Raises:
        LatentLabError: no process works on it, or the folder cannot be written.
    """
    run = _active(run_dir)
    starting = _starting_pid(run)
    if starting is None:
        RunFolder(run.path).request_stop()
        return
    # It has done nothing yet, and a STOP file from before its start would not count.
    _say_stopped(run)
    with contextlib.suppress(OSError):
        os.kill(starting, signal.SIGTERM)


def end_run(run_dir: Path, wait_seconds: float = 0.2) -> None:
    """End a run's process, and all that it started, at once: what came after its last checkpoint
    is lost.

    Args:
        run_dir: of the run.
        wait_seconds: how long to wait until the processes are gone; short enough for a window.

    Raises:
        LatentLabError: no process of this machine works on it, or it is this very process.
    """
    run = _known(run_dir)
    pid = holder(run.path) or _starting_pid(run)
    if pid is None:
        if run.active:
            raise LatentLabError(
                f"The run '{run.name}' is trained on '{run.status.host}': stop it, or end its "
                f"process {run.status.pid} there."
            )
        raise _not_running(run)
    if pid == os.getpid():
        raise LatentLabError(f"The run '{run.name}' is trained by this very process: stop it.")
    if holder(run.path) is None:
        _say_stopped(run)
    try:
        ended = kill_tree(pid)
    except psutil.AccessDenied as error:
        raise LatentLabError(
            f"The run '{run.name}' belongs to another user, whose process {pid} cannot be ended "
            "from here: stop the run instead."
        ) from error
    psutil.wait_procs(ended, timeout=wait_seconds)


# What a run must be.


def _known(run_dir: Path) -> RunSummary:
    run = summary(run_dir.expanduser().absolute())
    if run is None:
        raise LatentLabError(f"'{run_dir}' is not a run folder: it holds no recipe.toml.")
    return run


def _not_running(run: RunSummary) -> LatentLabError:
    return LatentLabError(f"The run '{run.name}' is not running ({run.state}): resume it first.")


def _active(run_dir: Path) -> RunSummary:
    run = _known(run_dir)
    # Its process may train before it says so.
    if not run.active and holder(run.path) is None:
        raise _not_running(run)
    return run


def _idle(run_dir: Path) -> RunFolder:
    run = _known(run_dir)
    pid = holder(run.path) or _starting_pid(run)
    if pid is not None or run.active:
        where = f"process {pid or run.status.pid}"
        where += "" if pid else f" on '{run.status.host}'"
        raise LatentLabError(f"The run '{run.name}' is in use by {where}: stop that one first.")
    return RunFolder(run.path)


def _starting_pid(run: RunSummary) -> int | None:
    """Return the process of this machine that is about to take the run, if there is one."""
    status = run.status
    here = status.state == "starting" and status.host == socket.gethostname()
    if not here or holder(run.path) is not None or not alive_since(status.pid, status.time):
        return None
    return status.pid


def _say_stopped(run: RunSummary) -> None:
    """Write that a run whose process did nothing yet is stopped, before that process ends."""
    status = run.status.model_copy(update={"state": "stopped", "time": time.time()})
    write_status(RunFolder(run.path), status)


# Starting.


def _claim(folder: RunFolder) -> None:
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        taken = any(not name.name.startswith(".") for name in folder.path.iterdir())
    except OSError as error:
        raise LatentLabError(
            f"The run folder '{folder.path}' cannot be written ({error.strerror}): "
            "choose another one."
        ) from error
    if taken:
        raise LatentLabError(f"'{folder.path}' is not empty: choose another name for the run.")


def _placed(recipe: Recipe) -> Recipe:
    """Return a recipe whose files are named by their whole paths: it is resumed from anywhere."""
    from latentlab.data.open import is_named

    def whole(source: str | None) -> str | None:
        if not source or is_named(source) or not Path(source).expanduser().exists():
            return source
        return str(Path(source).expanduser().absolute())

    data = recipe.data
    held_out = data.held_out.model_copy(update={"source": whole(data.held_out.source)})
    changed = {"source": whole(data.source), "held_out": held_out}
    return recipe.model_copy(update={"data": data.model_copy(update=changed)})


def _first_status(recipe: Recipe) -> RunStatus:
    steps = recipe.train.steps or 0
    return RunStatus(state="starting", family=recipe.model.family, total_steps=steps)


def _first_words(folder: RunFolder) -> list[str]:
    words = ["train", str(folder.recipe), "--run-dir", str(folder.path)]
    try:
        origin = json.loads((folder.path / _ORIGIN).read_text("utf-8"))["warm_start"]
    except (OSError, ValueError, KeyError, TypeError):
        return words
    return [*words, "--warm-start", str(origin)]


def _again(folder: RunFolder, words: list[str]) -> int:
    status = read_status(folder.path) or RunStatus(state="stopped", attempt=0)
    for wish in (folder.stop, folder.pause):
        _withdraw(wish)
    cleared = {"attempt": status.attempt + 1, "images_per_second": None, "seconds_left": None}
    return launch(folder, words, status.model_copy(update=cleared))


def _withdraw(wish: Path) -> None:
    try:
        wish.unlink(missing_ok=True)
    except OSError as error:
        raise LatentLabError(
            f"'{wish}' cannot be removed ({error.strerror}): check the folder."
        ) from error


def _touch(path: Path) -> None:
    try:
        path.touch()
    except OSError as error:
        raise LatentLabError(
            f"'{path}' cannot be written ({error.strerror}): check the folder."
        ) from error
