"""Run folders: where training leaves what it does, and how others follow it. No torch here.

``recipe.toml`` (every default filled in), ``events.jsonl`` (one line an event), ``samples/``,
``checkpoints/``, ``state/`` (what resuming needs), ``model.safetensors`` (at the end), ``STOP``
(made by whoever wants the run to stop) and ``lock`` (the running process).
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

import psutil

from latentlab.core.errors import LatentLabError

EventKind = Literal[
    "start", "step", "sample", "checkpoint", "progress", "warning", "error", "stop", "finish"
]
_FIELDS = ("kind", "time", "attempt", "step")


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


@dataclass(frozen=True)
class Event:
    """One line of ``events.jsonl``.

    Attributes:
        kind: what happened.
        time: seconds since 1970.
        attempt: 1 for the first start of the run, one more at each resume.
        step: optimiser steps done.
        data: the rest; a step event has ``loss``, ``losses`` (by part), ``learning_rate``,
            ``grad_norm``, ``images_per_second``, ``seconds_left``, ``memory_mb`` and
            ``data_wait`` (share of the time spent waiting for images).
    """

    kind: str
    time: float
    attempt: int
    step: int
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the line, without its end; numbers that are not finite become null."""
        record = {n: getattr(self, n) for n in _FIELDS} | dict(self.data)
        return json.dumps(_finite(record), allow_nan=False)

    @classmethod
    def from_json(cls, line: str | bytes) -> Event:
        """Read a line; ``ValueError`` when it is not a whole event."""
        record = json.loads(line)
        if not isinstance(record, dict) or not all(name in record for name in _FIELDS):
            raise ValueError("not an event")
        kind, at, attempt, step = (record.pop(name) for name in _FIELDS)
        return cls(str(kind), float(at), int(attempt), int(step), record)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value


class EventWriter:
    """Appends events to a run's file, each line flushed; use as a context manager.

    Args:
        folder: the run.
        attempt: of this process; see ``next_attempt``.

    Raises:
        LatentLabError: the file cannot be written (also from ``write``).
    """

    def __init__(self, folder: RunFolder, attempt: int) -> None:
        self.attempt = attempt
        self._path = folder.events
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            # A killed process may have left half a line; what follows must not join it.
            torn = self._path.exists() and _ends_torn(self._path)
            self._stream: TextIO = self._path.open("a", encoding="utf-8", newline="\n")
            if torn:
                self._stream.write("\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> LatentLabError:
        return LatentLabError(
            f"'{self._path}' cannot be written ({error.strerror}): "
            "free some space or choose another run folder."
        )

    def write(self, kind: EventKind, step: int, **data: Any) -> Event:
        """Append an event and return it."""
        event = Event(kind, round(time.time(), 3), self.attempt, step, data)
        try:
            self._stream.write(event.to_json() + "\n")
            self._stream.flush()
        except OSError as error:
            raise self._unwritable(error) from error
        return event

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _ends_torn(path: Path) -> bool:
    with path.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) == 0:
            return False
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"


class EventTail:
    """Follows the events of a run while it is written, perhaps by another machine.

    Only whole lines are taken; damaged ones are counted in ``skipped``. Events come as written,
    with those that a killed attempt wrote after its last checkpoint: see ``merge_attempts``.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.skipped = 0
        self._path = folder.events
        self._offset = 0

    def poll(self) -> list[Event]:
        """Return the events that came since the last call; none while there is no file.

        A file that became shorter is another run in the same place: it is read from its start.
        """
        try:
            with self._path.open("rb") as stream:
                if stream.seek(0, os.SEEK_END) < self._offset:
                    self._offset = 0
                stream.seek(self._offset)
                text = stream.read()
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        events = []
        for line in whole.splitlines():
            if not line.strip():
                continue
            try:
                events.append(Event.from_json(line))
            except (ValueError, TypeError):
                self.skipped += 1
        return events


def merge_attempts(events: Iterable[Event]) -> list[Event]:
    """Return one history: an attempt replaces what earlier ones did beyond the step it began at."""
    kept: list[Event] = []
    for event in events:
        if event.kind == "start":
            kept = [
                e
                for e in kept
                if e.step <= event.step or e.kind not in ("step", "sample", "checkpoint")
            ]
        kept.append(event)
    return kept


def read_events(run_dir: Path) -> list[Event]:
    """Return a run's history, each step once; empty when there is none yet."""
    return merge_attempts(EventTail(RunFolder(run_dir)).poll())


def next_attempt(folder: RunFolder) -> int:
    """Return the number of the attempt that starts now."""
    return 1 + max((e.attempt for e in EventTail(folder).poll()), default=0)


def _alive(pid: int, created: float) -> bool:
    """Whether the very process that wrote the lock still runs (a pid may be used again)."""
    try:
        return abs(psutil.Process(pid).create_time() - created) < 2.0
    except psutil.NoSuchProcess:
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
