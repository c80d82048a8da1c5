"""The events of a run: written one flushed line each, followed by anyone. No torch here."""

from __future__ import annotations

import errno
import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, Literal

from latentlab.core.errors import LatentLabError
from latentlab.core.runs import RunFolder

EventKind = Literal[
    "start",
    "step",
    "sample",
    "checkpoint",
    "pause",
    "continue",
    "progress",
    "warning",
    "error",
    "stop",
    "finish",
]
_FIELDS = ("kind", "time", "attempt", "step")


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
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or not all(name in record for name in _FIELDS):
                raise ValueError("not an event")
            kind, at, attempt, step = (record.pop(name) for name in _FIELDS)
            return cls(str(kind), float(at), int(attempt), int(step), record)
        except (TypeError, OverflowError, RecursionError) as error:
            raise ValueError("not an event") from error


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value


MAX_PENDING = 20_000


class EventWriter:
    """Appends events to a run's file, each line flushed; use as a context manager.

    An event that cannot be written (the disk is full, a share is away) waits in memory, in order,
    and goes to the file, whole and once, when there is room again. Should very many wait, every
    second step event is let go.

    Args:
        folder: the run.
        attempt: of this process; see ``next_attempt``.

    Raises:
        LatentLabError: the file cannot be opened.
    """

    def __init__(self, folder: RunFolder, attempt: int) -> None:
        self.attempt = attempt
        self.failure: OSError | None = None
        self._path = folder.events
        self._pending: list[Event] = []
        self._stream: FileIO | None = None
        self._end: int | None = None
        self._abandoned = False
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            self._open()
            # A killed process may have left half a line; what follows must not join it.
            if _ends_torn(self._path):
                self._append(b"\n")
        except OSError as error:
            self._release()
            raise LatentLabError(
                f"'{self._path}' cannot be written ({error.strerror}): "
                "free some space or choose another run folder."
            ) from error

    @property
    def waiting(self) -> int:
        """The number of events that are not in the file yet."""
        return len(self._pending)

    def write(self, kind: EventKind, step: int, **data: Any) -> Event:
        """Append an event, or keep it for later (see ``failure``), and return it."""
        event = Event(kind, round(time.time(), 3), self.attempt, step, data)
        self._pending.append(event)
        self.flush()
        if len(self._pending) > MAX_PENDING:
            thin = [e for e in self._pending if e.kind == "step"][::2]
            dropped = set(map(id, thin))
            self._pending = [e for e in self._pending if id(e) not in dropped]
        return event

    def flush(self) -> bool:
        """Write the events that wait; return whether none is left."""
        if self._abandoned:
            return True
        try:
            if self._stream is None:
                self._open()
            while self._pending:
                self._append(self._pending[0].to_json().encode() + b"\n")
                del self._pending[0]
            self.failure = None
        except OSError as error:
            # Opened anew next time: a share that went away leaves the old handle useless.
            self.failure = error
            self._release()
        return not self._pending

    def sync(self) -> None:
        """Have the machine write through what it still holds, as far as it can."""
        try:
            if self.flush() and self._stream is not None:
                os.fsync(self._stream.fileno())
        except OSError as error:
            self.failure = error

    def _open(self) -> None:
        stream = FileIO(self._path, "ab")
        try:
            end = stream.seek(0, os.SEEK_END)
            if self._end is not None and self._is_mine(self._end, end):
                # Half a line that could not be taken back when the disk was full.
                end = stream.truncate(self._end)
        except OSError:
            stream.close()
            raise
        self._stream, self._end = stream, end

    def _is_mine(self, start: int, end: int) -> bool:
        """Whether the file ends in the beginning of the line that waits."""
        if not self._pending or end <= start:
            return False
        line = self._pending[0].to_json().encode() + b"\n"
        with self._path.open("rb") as stream:
            stream.seek(start)
            # Anything else is what another process wrote that took the run over.
            return end - start < len(line) and line.startswith(stream.read(end - start))

    def abandon(self) -> None:
        """Write nothing any more, not even what waits: the file is another process's now."""
        self._pending.clear()
        self._release()
        self._abandoned = True

    def _append(self, line: bytes) -> None:
        """Write a line whole, or leave the file as it was and raise."""
        assert self._stream is not None
        assert self._end is not None
        written = 0
        try:
            written = self._stream.write(line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            if written:
                self._stream.truncate(self._end)
            raise
        self._end += written

    def _release(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.close()
            except OSError as error:
                self.failure = error

    def close(self) -> None:
        """Write what still can be written and close the file."""
        self.flush()
        self._release()

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


def _line_start(path: Path, last_bytes: int) -> int:
    """Return where the first line begins of which no byte lies before the last so many."""
    try:
        with path.open("rb") as stream:
            begin = stream.seek(0, os.SEEK_END) - last_bytes
            if begin <= 0:
                return 0
            stream.seek(begin - 1)
            return begin - 1 + len(stream.readline())
    except OSError:
        return 0


class EventTail:
    """Follows the events of a run while it is written, perhaps by another machine.

    Only whole lines are taken; damaged ones are counted in ``skipped``. Events come as written,
    with those that a killed attempt wrote after its last checkpoint: see ``merge_attempts``.

    Args:
        folder: of the run.
        last_bytes: begin so near the end of the file; its start when not given.
    """

    def __init__(self, folder: RunFolder, last_bytes: int | None = None) -> None:
        self.skipped = 0
        self._path = folder.events
        self._offset = 0 if last_bytes is None else _line_start(self._path, last_bytes)

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
