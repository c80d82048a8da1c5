"""Training runs as models of the library: their files, their names. No torch here."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from latentlab.core.paths import runs_folder
from latentlab.core.registry import plugins
from latentlab.core.run_status import read_status
from latentlab.core.runs import RunFolder
from latentlab.core.settings import Settings, settings_path

if TYPE_CHECKING:
    from latentlab.services.library_entries import Entry

MAX_RUNS = 1000
LOOK_SECONDS = 3.0
"""The folders of runs are looked through again after so long."""


def saved_run_roots() -> list[Path]:
    """Return the folders of runs that the person chose; the own one where none can be read."""
    try:
        data = json.loads(settings_path().read_text("utf-8"))
        chosen = Settings(run_folders=tuple(data.get("run_folders", ())))
    except (OSError, ValueError, AttributeError, TypeError):
        return [runs_folder()]
    return chosen.run_roots()


def is_finished(run: Path) -> bool:
    """Whether a run has left its model, and is not being trained further."""
    if not RunFolder(run).model.is_file():
        return False
    status = read_status(run)
    return status is None or status.state == "finished"


def run_model_files(roots: Iterable[Path]) -> list[Path]:
    """Return the models that finished runs left, each root by name.

    Args:
        roots: each is a run itself, or holds runs as its direct children. One that is not there, or
            cannot be read, holds none.
    """
    found: dict[Path, None] = {}
    for root in roots:
        for run in [root, *children(root)]:
            if is_finished(run):
                found.setdefault(RunFolder(run).model)
    return list(found)


def children(root: Path) -> list[Path]:
    """Return the folders in a folder by name; none where it cannot be read."""
    try:
        names = (path for path in root.iterdir() if not path.name.startswith("."))
        return sorted(path for path in names if path.is_dir())[:MAX_RUNS]
    except OSError:
        return []


def find_run(name: str, roots: Iterable[Path]) -> Path | None:
    """Return the first run of a name; ``None`` when there is none."""
    for root in roots:
        for run in (root, root / name):
            if run.name == name and RunFolder(run).recipe.is_file():
                return run
    return None


def cannot_explore(family: str) -> str:
    """Return why models of a family have no latent space to explore; empty when they have one."""
    known = {plugin.row.id for plugin in plugins("latentlab.backends")}
    if not family or family in known:
        return ""
    if family == "probe":
        return (
            "A probe reads attributes off images and makes none: it has no latent space to explore."
        )
    return f"A model of family '{family}' has no latent space that this program can explore."


@dataclass(frozen=True)
class ToldModel:
    """A model of a finished run that was read elsewhere.

    Attributes:
        entry: what its file says.
        real: its file without symbolic links.
    """

    entry: Entry
    real: Path


@dataclass
class RunFiles:
    """The models of finished runs, looked up now and then only: a folder may be far away.

    Where somebody watches the folders, and tells, no folder is looked into here any more.

    Attributes:
        roots: folders of runs.
        told: models by file; ``None`` while nobody tells.
    """

    roots: list[Path]
    told: Mapping[Path, ToldModel] | None = None
    _found: Sequence[Path] = ()
    _looked: float = float("-inf")

    def models(self) -> Sequence[Path]:
        """Return the model files."""
        if self.told is not None:
            return list(self.told)
        now = time.monotonic()
        if now - self._looked > LOOK_SECONDS:
            self._found, self._looked = run_model_files(self.roots), now
        return self._found

    def forget(self) -> None:
        """Look again next time: a run ended, or a folder was added."""
        self._looked = float("-inf")
