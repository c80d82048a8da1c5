"""How runs stand, told in one small file a run, so that a hundred of them are listed at once.

The training process rewrites ``status.json`` at most every two seconds. Whoever looks judges
whether it is still there: by its process on the same machine, by the file's age on another one.
"""

from __future__ import annotations

import json
import socket
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from latentlab.core.modelfile import replace_file
from latentlab.core.runs import RunFolder, alive_since, holder
from latentlab.core.spec import Frozen

RunState = Literal[
    "starting", "training", "paused", "measuring", "stopped", "failed", "finished", "interrupted"
]
ACTIVE: tuple[RunState, ...] = ("starting", "training", "paused", "measuring")
SILENT_SECONDS = 60.0
"""A process on another machine that wrote nothing for so long is taken to be gone."""
MAX_RUNS = 1000
MAX_STATUS_BYTES = 2**20
_Count = Annotated[int, Field(ge=0, le=2**53)]
_Real = Annotated[float, Field(allow_inf_nan=False, ge=-1e300, le=1e300)]
_Moment = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e13)]


class RunStatus(Frozen):
    """What the training process says about itself.

    Attributes:
        state: ``interrupted`` is never written: it is what a vanished process leaves behind.
        attempt: 1 for the first start of the run, one more at each resume.
        step: optimiser steps done.
        total_steps: of the whole run; 0 while it is not known.
        time: seconds since 1970 when this was written.
        pid: of the process.
        host: its machine.
        family: of the model.
        device: that it trains on.
        processes: that train together.
        loss: the newest; ``None`` before the first and when it is not finite.
        images_per_second: over the last steps.
        seconds_left: to the end of training.
        message: a sentence for ``failed`` and ``stopped``, what is being done for ``measuring``.
    """

    state: RunState
    attempt: _Count = 1
    step: _Count = 0
    total_steps: _Count = 0
    time: _Moment = 0.0
    pid: _Count = 0
    host: str = ""
    family: str = ""
    device: str = ""
    processes: _Count = 1
    loss: _Real | None = None
    images_per_second: _Real | None = None
    seconds_left: _Real | None = None
    message: str = ""


@dataclass(frozen=True)
class RunSummary:
    """A run folder and how it stands.

    Attributes:
        path: of the folder.
        state: of the status, or ``interrupted`` when its process is gone.
        status: as it was written; a run whose folder has a recipe alone counts as stopped.
        made: when its recipe was written, seconds since 1970.
    """

    path: Path
    state: RunState
    status: RunStatus
    made: float = 0.0

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.path.name

    @property
    def active(self) -> bool:
        """Whether a process works on it."""
        return self.state in ACTIVE


def write_status(folder: RunFolder, status: RunStatus) -> None:
    """Write how a run stands; ``LatentLabError`` when it cannot be written."""
    text = status.model_dump_json()
    replace_file(folder.status, lambda path: path.write_text(text, "utf-8"))


def read_status(run_dir: Path) -> RunStatus | None:
    """Return what a run last said; ``None`` when it said nothing that can be read."""
    try:
        with RunFolder(run_dir).status.open("rb") as stream:
            text = stream.read(MAX_STATUS_BYTES + 1)
        if len(text) > MAX_STATUS_BYTES:
            return None
        return RunStatus.model_validate(json.loads(text))
    except (OSError, ValueError, ValidationError, RecursionError):
        # The folder may be anybody's: whatever stands there, it only says nothing.
        return None


def summary(run_dir: Path) -> RunSummary | None:
    """Return how a run stands; ``None`` when the folder is not a run."""
    try:
        recipe = RunFolder(run_dir).recipe.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(recipe.st_mode):
        return None
    status = read_status(run_dir) or RunStatus(state="stopped")
    state: RunState = status.state
    if state in ACTIVE:
        if status.host == socket.gethostname():
            alive = holder(run_dir) is not None
            if not alive and state == "starting":
                # Importing its libraries takes a process seconds before it holds the folder.
                alive = status.pid > 0 and alive_since(status.pid, status.time)
        else:
            alive = time.time() - status.time < SILENT_SECONDS
        state = status.state if alive else "interrupted"
    return RunSummary(run_dir, state, status, recipe.st_mtime)


def find_runs(roots: Iterable[Path]) -> list[RunSummary]:
    """Return the runs in folders, the newest status first.

    Args:
        roots: each is a run itself, or holds runs as its direct children. One that is not there,
            or cannot be read, holds none.
    """
    found: dict[Path, RunSummary] = {}
    for root in roots:
        for path in [root, *_children(root)]:
            if path not in found and (run := summary(path)) is not None:
                found[path] = run
    return sorted(found.values(), key=lambda run: -run.status.time)


def _children(root: Path) -> list[Path]:
    try:
        names = (p for p in root.iterdir() if not p.name.startswith(".") and p.is_dir())
        return sorted(names)[:MAX_RUNS]
    except OSError:
        return []
