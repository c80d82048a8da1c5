"""Autosaved sessions: one file for each running program, found again after a crash."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from latentlab.core.errors import LatentLabError
from latentlab.core.paths import state_folder
from latentlab.core.session import Session, save_session

_NAME = re.compile(r"autosave-(\d{1,10})-(\d{1,15})\.latentlab")


@dataclass(frozen=True)
class Recoverable:
    """A session that a program left behind when it ended without saving.

    Attributes:
        path: the session file; ``load_session`` opens it.
        pid: the process that wrote it.
        saved_at: when it was last written, in seconds since the epoch.
    """

    path: Path
    pid: int
    saved_at: float

    def discard(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)


def _started(pid: int) -> int | None:
    """Return when a process started, in whole seconds, or ``None`` when there is none."""
    try:
        return int(psutil.Process(pid).create_time())
    except (psutil.Error, OverflowError, ValueError):
        return None


def autosave_folder() -> Path:
    """Return the folder of the autosaved sessions."""
    return state_folder() / "autosave"


class AutosaveFile:
    """This process's autosaved session.

    The name holds the process id and its start time, because process ids are used again.

    Args:
        folder: where it goes; the state folder when not given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        pid = os.getpid()
        started = _started(pid) or int(time.time())
        self.path = (folder or autosave_folder()) / f"autosave-{pid}-{started}.latentlab"

    def write(self, session: Session) -> None:
        """Write the session: whole, or not at all; ``LatentLabError`` when that fails."""
        save_session(self.path, session)

    def clear(self) -> None:
        """Delete the file: the work is saved, or the program ends as it should."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise LatentLabError(
                f"The autosaved session '{self.path}' cannot be deleted ({error.strerror})."
            ) from error


def recoverable(folder: Path | None = None) -> list[Recoverable]:
    """Return autosaved sessions whose process is gone, the newest first."""
    found: list[Recoverable] = []
    folder = folder or autosave_folder()
    for path in folder.glob("autosave-*.latentlab") if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        pid, started = int(match[1]), int(match[2])
        running = _started(pid)
        # The clock of a process's start is rounded differently on some systems.
        if running is not None and abs(running - started) <= 2:
            continue
        found.append(Recoverable(path, pid, path.stat().st_mtime))
    return sorted(found, key=lambda item: item.saved_at, reverse=True)
