"""Run folders: where training leaves what it does, and how others follow it. No torch here.

``recipe.toml`` (every default filled in), ``events.jsonl`` (one line an event), ``status.json``
(how the run stands now), ``samples/``, ``checkpoints/``, ``state/`` (what resuming needs),
``model.safetensors`` (at the end), ``STOP`` and ``PAUSE`` (made by whoever wants the run to stop
or to wait), ``console.log`` (what a started process printed) and ``lock`` (the running process).
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from latentlab.core.errors import LatentLabError

STALE_SECONDS = 180.0
"""A lock of another machine whose run told nothing for so long may be taken over."""
_MAX_LOCK_BYTES = 64 * 1024
_STEP = re.compile(r"step_(\d+)\.")


def step_of(path: Path) -> int | None:
    """Return the step in the name of a checkpoint or a sample sheet."""
    found = _STEP.match(path.name)
    return int(found[1]) if found else None


def _by_step(paths: Iterable[Path]) -> list[Path]:
    found = [(step, path) for path in paths if (step := step_of(path)) is not None]
    return [path for _, path in sorted(found)]


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

    @property
    def best(self) -> Path:
        """Which checkpoint has the smallest held-out loss: ``{"step", "held_out_loss"}``."""
        return self.checkpoints / "best.json"

    def sample_files(self) -> list[Path]:
        """Sample sheets, oldest first."""
        return _by_step(self.samples.glob("step_*.png"))

    def checkpoint_files(self) -> list[Path]:
        """Checkpoints, oldest first."""
        return _by_step(self.checkpoints.glob("step_*.safetensors"))

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


@dataclass(frozen=True)
class Holder:
    """The process that a lock names.

    Attributes:
        pid: of the process.
        host: its machine.
        created: when the process began, seconds since 1970.
        since: when it took the folder, seconds since 1970.
    """

    pid: int
    host: str
    created: float
    since: float

    @property
    def here(self) -> bool:
        """Whether it runs, or ran, on this machine."""
        return self.host == socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether it still runs; only a process of this machine can be asked."""
        return self.here and self.pid > 0 and _alive(self.pid, self.created)

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on '{self.host}' since {when}"


def _holder_of(text: str) -> Holder | None:
    try:
        record = json.loads(text)
        created = float(record["created"])
        since = float(record.get("since", created))
        time.localtime(since)
        return Holder(int(record["pid"]), str(record["host"]), created, since)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
        return None
    except RecursionError:
        return None


class RunLock:
    """Holds a run folder for this process; use as a context manager.

    Args:
        folder: of the run; it is made.
        take_over: also take it from a process on another machine that fell silent.

    Raises:
        LatentLabError: another process that is alive, or one on another machine, holds it.
    """

    def __init__(self, folder: RunFolder, take_over: bool = False) -> None:
        self._path, self._status = folder.lock, folder.status
        self._folder, self._take_over = folder.path, take_over
        self._mine = ""

    def __enter__(self) -> RunLock:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for _ in range(20):
                if self._take():
                    return self
                self._drop_stale()
        except FileExistsError as error:
            raise LatentLabError(
                f"'{self._folder}' is a file, not a folder: choose another run folder."
            ) from error
        except OSError as error:
            raise LatentLabError(
                f"The run folder '{self._folder}' cannot be written ({error.strerror}): "
                "choose another one."
            ) from error
        raise LatentLabError(
            f"The run folder '{self._folder}' is being taken by another process: try again."
        )

    def _take(self) -> bool:
        pid = os.getpid()
        record = {"pid": pid, "host": socket.gethostname(), "since": round(time.time(), 3)}
        record["created"] = psutil.Process(pid).create_time()
        text = json.dumps(record)
        try:
            stream = self._path.open("x", encoding="utf-8")
        except FileExistsError:
            return False
        try:
            with stream:
                stream.write(text)
        except OSError:
            # The disk is full; an empty lock would stand in everybody's way.
            self._path.unlink(missing_ok=True)
            raise
        self._mine = text
        return True

    def _drop_stale(self) -> None:
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
            age = time.time() - self._path.stat().st_mtime
        except FileNotFoundError:
            return
        held = _holder_of(text)
        if held is None and abs(age) < 1.0:
            # Perhaps its owner is just writing it.
            time.sleep(0.15)
            return
        if held is not None:
            self._refuse(held)
        self._remove(text)

    def _refuse(self, held: Holder) -> None:
        """Raise when the folder is, or may be, in use."""
        where = f"The run folder '{self._folder}'"
        if held.alive:
            raise LatentLabError(
                f"{where} is in use by {held}: stop that run first or choose another folder."
            )
        if held.here:
            return
        silent = time.time() - _last_word(self._status, held.since)
        if silent < STALE_SECONDS:
            raise LatentLabError(
                f"{where} is in use by {held}, which was at work {max(silent, 0):.0f} s ago: stop "
                "that run first or choose another folder."
            )
        if not self._take_over:
            raise LatentLabError(
                f"{where} was taken by {held}, which has told nothing for {silent / 60:.0f} min: "
                f"if it is gone, start with --take-over or delete '{self._path}'."
            )

    def _remove(self, text: str) -> None:
        """Delete the lock if it still says ``text``; one process at a time may do so."""
        guard = self._path.with_name(".lock.part")
        try:
            guard.touch(exist_ok=False)
        except FileExistsError:
            if time.time() - guard.stat().st_mtime > 10.0:
                guard.unlink(missing_ok=True)
            time.sleep(0.15)
            return
        try:
            if self._path.read_text(encoding="utf-8", errors="replace") == text:
                self._path.unlink()
        finally:
            guard.unlink(missing_ok=True)

    def taken_by(self) -> Holder | None:
        """Return the process that took the folder away from this one, if one did."""
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        return None if text == self._mine else _holder_of(text)

    def __exit__(self, *_: object) -> None:
        try:
            if self._path.read_text(encoding="utf-8", errors="replace") == self._mine:
                self._path.unlink(missing_ok=True)
        except OSError:
            # A folder that is gone needs no lock; a lock that stays names a process that ended.
            pass


def _last_word(status: Path, since: float) -> float:
    """Return when a run last said anything, seconds since 1970."""
    try:
        return max(float(json.loads(status.read_text("utf-8"))["time"]), since)
    except (OSError, ValueError, KeyError, TypeError):
        return since


def holder(run_dir: Path) -> int | None:
    """Return the pid of the process that trains in a folder on this machine, if one is alive."""
    try:
        with RunFolder(run_dir).lock.open("rb") as stream:
            held = _holder_of(stream.read(_MAX_LOCK_BYTES).decode("utf-8", "replace"))
    except OSError:
        return None
    return held.pid if held is not None and held.alive else None


def clean(folder: RunFolder) -> None:
    """Delete the halves of files that a killed process left; the lock must be held."""
    for place in (folder.path, folder.state, folder.checkpoints, folder.samples):
        for pattern in (".*.part", ".tmp*"):
            for leftover in place.glob(pattern):
                try:
                    leftover.unlink()
                except OSError:
                    # It takes room, and harms nothing.
                    continue
