"""Names and copies of runs, and a trash that keeps deleted ones for a week. No torch here."""

from __future__ import annotations

import re
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import MAX_RECIPE_BYTES, parse_recipe
from latentlab.core.run_status import summary
from latentlab.core.runs import RunFolder, holder

TRASH = ".trash"
KEPT_SECONDS = 7 * 86400.0
_NAME = re.compile(r"(\d{1,12})\.(\d{1,4})\.(.+)", re.DOTALL)


@dataclass(frozen=True)
class TrashedRun:
    """A deleted run.

    Attributes:
        path: of the folder in the trash.
        name: that it had.
        time: of its deletion, in seconds since 1970.
    """

    path: Path
    name: str
    time: float


def free_run_dir(root: Path, name: str) -> Path:
    """Return a folder for a new run that is not there yet: ``name``, else ``name-2``, ``name-3``.

    Args:
        root: where runs are.
        name: any words; what no folder may be called becomes a hyphen.
    """
    clean = re.sub(r"[^\w.-]+", "-", name).strip("-._")[:80] or "run"
    match = re.fullmatch(r"(.*?)-(\d{1,6})", clean)
    stem, number = (match[1], int(match[2])) if match else (clean, 1)
    path = root / clean
    while path.exists() or path.is_symlink():
        number += 1
        path = root / f"{stem}-{number}"
    return path


def duplicate_text(run_dir: Path) -> str:
    """Return the recipe of a run for another one; a model named after the run gets no name yet.

    Raises:
        LatentLabError: not a run, or its recipe cannot be read.
    """
    path = RunFolder(run_dir).recipe
    try:
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise LatentLabError(f"'{path}' is too large for a recipe: choose another run.")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LatentLabError(
            f"'{run_dir}' is not a run folder: its recipe.toml cannot be read."
        ) from error
    try:
        recipe = parse_recipe(text)
    except LatentLabError:
        # To be mended by hand; the text is what there is.
        return text
    own = re.sub(r"[^A-Za-z0-9._-]+", "-", run_dir.absolute().name).strip("-._")
    if recipe.output.id == own:
        recipe = recipe.model_copy(update={"output": recipe.output.model_copy(update={"id": ""})})
    return recipe.to_toml()


def delete_run(run_dir: Path) -> Path:
    """Move a run into the trash beside it and return its folder there.

    What was deleted a week ago is then removed from the disk.

    Raises:
        LatentLabError: not a run, a process works on it, or it cannot be moved.
    """
    run_dir = run_dir.expanduser().absolute()
    run = summary(run_dir)
    if run is None:
        raise LatentLabError(f"'{run_dir}' is not a run folder: it holds no recipe.toml.")
    pid = holder(run_dir)
    if pid is not None or run.active:
        where = f"process {pid or run.status.pid}" + ("" if pid else f" on '{run.status.host}'")
        raise LatentLabError(f"The run '{run.name}' is in use by {where}: stop it first.")
    trash = run_dir.parent / TRASH
    number, now = 0, int(time.time())
    target = trash / f"{now}.{number}.{run_dir.name}"
    while target.exists():
        number += 1
        target = trash / f"{now}.{number}.{run_dir.name}"
    try:
        trash.mkdir(exist_ok=True)
        run_dir.rename(target)
    except OSError as error:
        raise LatentLabError(
            f"The run '{run.name}' cannot be moved to '{trash}' ({error.strerror}): close what "
            "uses its files, or check the folder."
        ) from error
    if any(_old(run, time.time()) for run in trashed_runs(run_dir.parent)):
        # Gigabytes on a slow disk must not hold up a window; the program's end waits for it.
        args = (run_dir.parent,)
        threading.Thread(target=purge_trash, args=args, name="latentlab-purge").start()
    return target


def restore_run(trash: Path) -> Path:
    """Move a deleted run back and return its folder; a name that is taken gets a number.

    Args:
        trash: what ``delete_run`` returned.

    Raises:
        LatentLabError: it is no longer there, or cannot be moved.
    """
    trash = trash.expanduser().absolute()
    match = _NAME.fullmatch(trash.name)
    if match is None or trash.parent.name != TRASH or not trash.is_dir():
        raise LatentLabError(f"'{trash}' is not in the trash: it was restored or removed.")
    root = trash.parent.parent
    target = root / match[3]
    if target.exists():
        target = free_run_dir(root, match[3])
    try:
        trash.rename(target)
    except OSError as error:
        raise LatentLabError(
            f"'{match[3]}' cannot be moved back to '{root}' ({error.strerror}): check the folder."
        ) from error
    return target


def trashed_runs(root: Path) -> list[TrashedRun]:
    """Return the deleted runs of a folder, the newest first."""
    try:
        names = list((root / TRASH).iterdir())
    except OSError:
        return []
    matches = ((path, _NAME.fullmatch(path.name)) for path in names)
    found = [TrashedRun(path, m[3], float(m[1])) for path, m in matches if m is not None]
    return sorted(found, key=lambda run: (run.time, run.path.name), reverse=True)


def _old(run: TrashedRun, now: float) -> bool:
    return now - run.time >= KEPT_SECONDS


def purge_trash(root: Path, now: float | None = None) -> None:
    """Remove runs that were deleted a week ago from the disk.

    Args:
        root: where runs are.
        now: seconds since 1970; the present time when not given.
    """
    now = time.time() if now is None else now
    for run in trashed_runs(root):
        if not _old(run, now):
            continue
        if run.path.is_symlink():
            run.path.unlink(missing_ok=True)
        else:
            shutil.rmtree(run.path, ignore_errors=True)
