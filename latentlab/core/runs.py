"""Run folders: where training leaves what it does, and how others follow it. No torch here.

``recipe.toml`` (every default filled in), ``events.jsonl`` (one line an event), ``status.json``
(how the run stands now), ``samples/``, ``checkpoints/``, ``state/`` (what resuming needs),
``model.safetensors`` (at the end), ``STOP`` and ``PAUSE`` (made by whoever wants the run to stop
or to wait), ``console.log`` (what a started process printed) and ``lock`` (the running process).
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

from latentlab.core.errors import LatentLabError


@dataclass(frozen=True)
class RunFolder:
    """Names inside a run folder; nothing is created by asking."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.toml"

    @property
    def events(self) -> Path:
        """The events."""
        return self.path / "events.jsonl"

    @property
    def samples(self) -> Path:
        """Folder of the sample sheets."""
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def state(self) -> Path:
        """Folder of what resuming needs."""
        return self.path / "state"

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / "model.safetensors"

    @property
    def stop(self) -> Path:
        """The file whose presence asks the run to stop."""
        return self.path / "STOP"

    @property
    def pause(self) -> Path:
        """The file whose presence keeps the run waiting."""
        return self.path / "PAUSE"

    @property
    def status(self) -> Path:
        """How the run stands now: see ``latentlab.core.run_status``."""
        return self.path / "status.json"

    @property
    def console(self) -> Path:
        """What a process that was started in the background printed."""
        return self.path / "console.log"

    @property
    def lock(self) -> Path:
        """The file that names the running process."""
        return self.path / "lock"

    def sample(self, step: int) -> Path:
        """The sample sheet of a step."""
        return self.samples / f"step_{step:07d}.png"

    def checkpoint(self, step: int) -> Path:
        """The checkpoint of a step."""
        return self.checkpoints / f"step_{step:07d}.safetensors"

    def sample_files(self) -> list[Path]:
        """Sample sheets, oldest first."""
        return sorted(self.samples.glob("step_*.png"))

    def checkpoint_files(self) -> list[Path]:
        """Checkpoints, oldest first."""
        return sorted(self.checkpoints.glob("step_*.safetensors"))

    def request_stop(self) -> None:
        """Ask the run to stop after its current step, with a checkpoint."""
        try:
            self.stop.touch()
        except OSError as error:
            raise LatentLabError(
                f"'{self.stop}' cannot be written ({error.strerror}): check the folder."
            ) from error


def _alive(pid: int, created: float) -> bool:
    """Whether the very process that wrote the lock still runs (a pid may be used again)."""
    try:
        process = psutil.Process(pid)
        # One that ended, and whose parent has not looked yet, does nothing any more.
        ended = process.status() == psutil.STATUS_ZOMBIE
        return not ended and abs(process.create_time() - created) < 2.0
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def alive_since(pid: int, moment: float) -> bool:
    """Whether a process of this machine runs and did so at a moment, in seconds since 1970."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() < moment + 2.0
    except (psutil.NoSuchProcess, ValueError):
        return False
    except psutil.AccessDenied:
        return True


class RunLock:
    """Holds a run folder for this process; use as a context manager.

    Raises:
        LatentLabError: another process that is alive, or one on another machine, holds it.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._path = folder.lock
        self._folder = folder.path

    def __enter__(self) -> RunLock:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for _ in range(3):
                if self._take():
                    return self
                self._drop_stale()
        except OSError as error:
            raise LatentLabError(
                f"The run folder '{self._folder}' cannot be written ({error.strerror}): "
                "choose another one."
            ) from error
        raise LatentLabError(f"The run folder '{self._folder}' is being taken by another process.")

    def _take(self) -> bool:
        pid = os.getpid()
        holder = {"pid": pid, "host": socket.gethostname()}
        holder["created"] = psutil.Process(pid).create_time()
        try:
            with self._path.open("x", encoding="utf-8") as stream:
                json.dump(holder, stream)
        except FileExistsError:
            return False
        return True

    def _drop_stale(self) -> None:
        try:
            holder = json.loads(self._path.read_text(encoding="utf-8"))
            pid, host = int(holder["pid"]), str(holder["host"])
            created = float(holder["created"])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):
            pid, host, created = 0, socket.gethostname(), 0.0
        if host != socket.gethostname():
            raise LatentLabError(
                f"The run folder '{self._folder}' is in use by process {pid} on '{host}': wait for "
                f"it or, when it is gone, delete '{self._path}'."
            )
        if pid > 0 and _alive(pid, created):
            raise LatentLabError(
                f"The run folder '{self._folder}' is in use by process {pid}: "
                "stop that one first or choose another folder."
            )
        self._path.unlink(missing_ok=True)

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


def holder(run_dir: Path) -> int | None:
    """Return the pid of the process that trains in a folder on this machine, if one is alive."""
    try:
        record = json.loads(RunFolder(run_dir).lock.read_text(encoding="utf-8"))
        pid = int(record["pid"])
        if record["host"] == socket.gethostname() and _alive(pid, float(record["created"])):
            return pid
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None
