"""One attempt at a run: the folder is held, events and status are told, errors are written down."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from latentlab.core.errors import LatentLabError, RefusedError
from latentlab.core.modelfile import replace_file
from latentlab.core.recipe import Recipe, RecipeText
from latentlab.core.run_events import EventTail, EventWriter
from latentlab.core.run_lock import RunLock
from latentlab.core.run_status import read_status
from latentlab.core.runs import Holder, RunFolder, clean
from latentlab.training.events import OnEvent, Reporter
from latentlab.training.memory import out_of_memory
from latentlab.training.origin import Origin, seconds_trained
from latentlab.training.parallel import parted
from latentlab.training.setup import together
from latentlab.training.state import saved_step
from latentlab.training.status import StatusKeeper

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Plan:
    """What a call asked for; see ``train``.

    Attributes:
        recipe: checked.
        folder: of the run.
        fresh: the folder must hold no run yet.
        max_steps: stop there.
        warm_start: weights to begin with.
        export: only measure and write the model.
        best: then of the best checkpoint, instead of the newest weights.
        take_over: see ``train``.
        places: of the settings in the recipe's file.
    """

    recipe: Recipe
    folder: RunFolder
    fresh: bool = False
    max_steps: int | None = None
    warm_start: Path | None = None
    export: bool = False
    best: bool = False
    take_over: bool = False
    places: RecipeText | None = None


def _check_new(folder: RunFolder) -> None:
    # A start that failed before its first state leaves nothing to lose.
    step = saved_step(folder)
    if step is not None:
        raise LatentLabError(
            f"'{folder.path}' already holds a run at step {step}: resume it or choose another "
            "folder."
        )


@contextmanager
def reporting(plan: Plan, accelerator: Accelerator, on_event: OnEvent) -> Iterator[Reporter]:
    """Hold the folder, give a reporter, and turn what goes wrong into an ``error`` event."""
    folder = plan.folder
    with ExitStack() as stack:
        reporter = together(accelerator, lambda: _take(plan, accelerator, on_event, stack))
        if reporter is None:
            with _quietly():
                yield Reporter(None, on_event)
            return
        try:
            yield reporter
        except Exception as error:
            known = error if isinstance(error, LatentLabError) else _in_words(error)
            message = known.message if known else f"{type(error).__name__}: {error}"
            reporter.emit("error", _step(folder), message=message, details=traceback.format_exc())
            if known is None or known is error:
                raise
            raise known from error
        except BaseException:
            reporter.emit("stop", _step(folder), message="it was ended without a checkpoint")
            raise


def _in_words(error: Exception) -> LatentLabError | None:
    return out_of_memory(error) or parted(error)


@contextmanager
def _quietly() -> Iterator[None]:
    """Let the first process, or torchrun, tell that a process is gone."""
    try:
        yield
    except Exception as error:
        gone = None if isinstance(error, LatentLabError) else parted(error)
        if gone is None:
            raise
        raise RefusedError(gone.message) from error


def _step(folder: RunFolder) -> int:
    try:
        return saved_step(folder) or 0
    except LatentLabError:
        return 0


def _take(plan: Plan, accelerator: Accelerator, on_event: OnEvent, stack: ExitStack) -> Reporter:
    """Lock the run folder, tidy it, and open its events and its status."""
    folder = plan.folder
    lock = stack.enter_context(RunLock(folder, plan.take_over))
    if plan.fresh:
        _check_new(folder)
    clean(folder)
    past = EventTail(folder).poll()
    attempt = 1 + max((e.attempt for e in past), default=0)
    writer = stack.enter_context(EventWriter(folder, attempt))
    origin = Origin(seconds_trained(past), accelerator.num_processes)
    taken: list[Holder] = []

    def lost() -> bool:
        now = lock.taken_by()
        taken.extend([now] if now is not None else [])
        return bool(taken)

    keeper = StatusKeeper(folder, attempt, read_status(folder.path), lost)
    status = stack.enter_context(keeper)
    folder.stop.unlink(missing_ok=True)
    if saved_step(folder) is None:
        write_recipe(plan)
    return Reporter(writer, on_event, status, origin, lambda: taken[0] if taken else None)


def write_recipe(plan: Plan) -> None:
    """Write ``recipe.toml`` where it is not there yet or says something else."""
    text, path = plan.recipe.to_toml().encode(), plan.folder.recipe
    try:
        # A resume on a full disk need not rewrite what is there.
        same = path.read_bytes() == text
    except OSError:
        same = False
    if not same:
        replace_file(path, lambda target: target.write_bytes(text))
