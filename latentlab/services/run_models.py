"""The newest weights of a training run, taken in while it trains.

``look_at_run`` is asked again and again: it answers how the run stands and, where there are newer
weights than those that the asker has, brings them. Reading happens in a thread, so that previews go
on meanwhile. Importing this module imports no torch.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import StoredModel, read_model
from latentlab.core.paths import runs_folder
from latentlab.core.run_status import RunState, summary
from latentlab.core.runs import RunFolder
from latentlab.services.library import Entry, RunModel
from latentlab.services.library_entries import content_of, run_names
from latentlab.services.library_runs import cannot_explore, is_finished

if TYPE_CHECKING:
    from latentlab.core.recipe import Recipe
    from latentlab.services.jobs import JobContext


_MOST_REFUSED = 64
_REFUSED: dict[tuple[str, int, int], None] = {}
"""Damaged files (path, size, time of writing), so that none is read again at every look."""


@dataclass(frozen=True, eq=False)
class RunLook:
    """How a run stands, and its newer weights.

    Attributes:
        state: as ``core.run_status`` judges it.
        step: optimiser steps done.
        total_steps: of the whole run; 0 while it is not known.
        checkpoint_minutes: between two checkpoints; 0 when only the end writes one.
        finished: the run has left its model.
        model: newer weights than the asker has; ``None`` where there are none.
        problem: why this run can never be explored; empty where it can.
    """

    state: RunState
    step: int
    total_steps: int
    checkpoint_minutes: float
    finished: bool
    model: RunModel | None = None
    problem: str = ""


@dataclass(frozen=True, eq=False)
class _Found:
    path: Path
    stored: StoredModel
    backend: Any


def step_of(checkpoint: Path) -> int:
    """Return the step that the name of a checkpoint tells; -1 when it tells none."""
    number = checkpoint.stem.removeprefix("step_")
    return int(number) if number.isdecimal() else -1


def candidates(run: Path, known: str, known_step: int) -> Iterator[Path]:
    """Yield files of a run that are newer than what the asker has, the newest first.

    Args:
        run: its folder.
        known: the file that the asker has; empty for none.
        known_step: of the weights in it; -1 for none.
    """
    folder = RunFolder(run)
    if is_finished(run) and known != str(folder.model):
        yield folder.model
    files = [path for path in reversed(folder.checkpoint_files()) if step_of(path) >= 0]
    if files and step_of(files[0]) < known_step:
        # Another run was begun in the same folder: none of its checkpoints is known.
        known_step = -1
    yield from (path for path in files if step_of(path) > known_step)


def look_at_run(
    context: JobContext, *, model: str, run: str, known: str = "", known_step: int = -1
) -> Generator[None, None, RunLook]:
    """Say how a run stands, and put its newest whole weights under an id into the library.

    A file that is damaged, or deleted while it is read, is passed over for an older one that still
    is newer than ``known``.

    Args:
        context: of the job.
        model: id that it has in the library.
        run: its folder.
        known: the file whose weights the asker has; empty for none.
        known_step: of these weights; -1 for none.

    Raises:
        LatentLabError: its weights do not fit into the memory of the device.
    """
    folder = Path(run)
    look, found = yield from _aside(lambda: _read(folder, known, known_step))
    if found is None:
        return look
    taken = _taken(context, model, folder, found, look.finished)
    return replace(look, model=taken)


def _read(run: Path, known: str, known_step: int) -> tuple[RunLook, _Found | None]:
    """Read what there is to read; in a thread."""
    status, recipe = summary(run), _recipe(run)
    if status is None:
        problem = f"'{run}' is not a training run any more: it holds no recipe.toml."
        return RunLook("interrupted", 0, 0, 0.0, False, problem=problem), None
    family = status.status.family or ("" if recipe is None else recipe.model.family)
    reason = cannot_explore(family)
    minutes = 0.0 if recipe is None else recipe.train.checkpoint_every_minutes
    finished = is_finished(run)
    told = status.status
    look = RunLook(status.state, told.step, told.total_steps, minutes, finished)
    if reason:
        return replace(look, problem=f"'{run.name}' cannot be explored. {reason}"), None
    if finished and known == str(RunFolder(run).model):
        return look, None
    for path in candidates(run, known, known_step):
        found = _opened(path)
        if found is not None:
            return replace(look, finished=path == RunFolder(run).model), found
    return replace(look, finished=False), None


def _recipe(run: Path) -> Recipe | None:
    from latentlab.core.recipe import load_recipe

    try:
        return load_recipe(RunFolder(run).recipe)
    except LatentLabError:
        return None


def _opened(path: Path) -> _Found | None:
    """Read a model, strictly; ``None`` when it is damaged, gone, or of a family unknown here."""
    from latentlab.backends.checkpoint import backend_from

    mark: tuple[str, int, int] | None = None
    try:
        info = path.stat()
        mark = (str(path), info.st_size, info.st_mtime_ns)
        if mark in _REFUSED:
            return None
        stored = read_model(path)
        return _Found(path, stored, backend_from(stored, path.name))
    except (LatentLabError, OSError):
        if mark is not None:
            _REFUSED[mark] = None
            while len(_REFUSED) > _MOST_REFUSED:
                del _REFUSED[next(iter(_REFUSED))]
        return None


def _taken(context: JobContext, name: str, run: Path, found: _Found, finished: bool) -> RunModel:
    """Put weights that were read onto the device and into the library."""
    import torch

    library, backend, stored = context.library, found.backend, found.stored
    try:
        backend.to(library.device())
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise LatentLabError(
            f"'{name}' does not fit into the memory of {library.device()}: choose another device, "
            "or close other programs.",
            str(error),
        ) from error
    before = library.given(name)
    spaces = {space.name: space for space in stored.header.spec.spaces}
    directions = dict(stored.directions)
    older = () if before is None or finished else before.directions.values()
    for direction in older:
        # A label that this checkpoint could not fit keeps its slider, which says that it is older.
        if direction.name not in directions and direction.space in spaces:
            with contextlib.suppress(LatentLabError):
                direction.check(spaces[direction.space])
                directions[direction.name] = backend.directions[direction.name] = direction
    entry = Entry(
        name,
        found.path,
        stored.header,
        parameters=sum(array.size for array in stored.weights.values()),
        content=content_of(stored.header, directions),
        run=run,
        portable=finished and run.parent == runs_folder() and name == run_names(run)[0],
        step=None if finished else step_of(found.path),
    )
    taken = RunModel(entry, directions, stored.preview, finished)
    library.give(taken, None if finished else backend)
    return taken


def _aside(work: Callable[[], Any]) -> Generator[None, None, Any]:
    """Do work in a thread and wait for it between other turns; raise what it raised."""
    done: list[Any] = []

    def attempt() -> None:
        try:
            done.append((work(), None))
        except BaseException as error:
            done.append((None, error))

    thread = threading.Thread(target=attempt, name="latentlab-run", daemon=True)
    thread.start()
    try:
        while not done:
            yield None
    finally:
        thread.join()
    value, error = done[0]
    if error is not None:
        raise error
    return value
