"""Lines of events as columns of numbers, with the attempts of a run merged. No torch here.

A batch of lines is parsed at once, and only when something in it is damaged line by line: a million
events take a few seconds of one core.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from latentlab.services.run_curves import HELD_OUT, STEP_NAMES
from latentlab.services.run_watch_log import KEPT, log_line
from latentlab.services.run_watch_protocol import LogLine, Rows, no_rows

MAX_PARTS = 64
"""Parts of the loss that are kept."""
_MAX_STEP = 2**53
_BLANK = b" \t\r\n\0"


def parse_lines(text: bytes) -> tuple[list[dict[str, Any]], int]:
    """Return the records of whole lines, and how many lines are damaged."""
    lines = [line for line in text.split(b"\n") if line]
    try:
        records = from_json(b"[" + b",".join(lines) + b"]")
        # Two records on one line, or one on two, would parse as well.
        if len(records) == len(lines) and all(type(r) is dict for r in records):
            return records, 0
    except (ValueError, RecursionError):
        pass
    found, skipped = [], 0
    for line in lines:
        line = line.strip(_BLANK)
        if not line:
            continue
        try:
            record = from_json(line)
        except (ValueError, RecursionError):
            record = None
        if type(record) is dict:
            found.append(record)
        else:
            skipped += 1
    return found, skipped


def _whole(value: Any) -> int | None:
    """Return a whole number that can be a step or an attempt."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not 0 <= value <= _MAX_STEP:
        return None
    return value


def _real(value: Any) -> float:
    """Return a finite number, or NaN."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            found = float(value)
        except OverflowError:
            return math.nan
        return found if math.isfinite(found) else math.nan
    return math.nan


def _column(values: Sequence[Any], dtype: type = np.float32) -> NDArray[Any]:
    """Return values as numbers; what is none, or not finite, is NaN."""
    column: NDArray[Any]
    if set(map(type, values)) <= {float, int, type(None)}:
        try:
            with np.errstate(all="ignore"):
                column = np.array(values, np.float64).astype(dtype)
            column[~np.isfinite(column)] = np.nan
            return column
        except (OverflowError, TypeError, ValueError):
            pass
    with np.errstate(all="ignore"):
        column = np.array([_real(v) for v in values], np.float64).astype(dtype)
    column[~np.isfinite(column)] = np.nan
    return column


def _rows(steps: list[int], records: list[Mapping[str, Any]]) -> Rows:
    """Return step events as columns; a column without any value is left out."""
    if not steps:
        return no_rows()
    names, columns = [], []
    for name in STEP_NAMES:
        values = [record.get(name) for record in records]
        if any(value is not None for value in values):
            names.append(name)
            columns.append(_column(values))
    losses = [record.get("losses") for record in records]
    parts = [part if type(part) is dict else {} for part in losses]
    for part in list(dict.fromkeys(n for p in parts for n in p))[:MAX_PARTS]:
        names.append(f"losses/{part[:100]}")
        columns.append(_column([p.get(part) for p in parts]))
    times = _column([record.get("time") for record in records], np.float64)
    table: NDArray[Any] = np.stack(columns) if columns else np.empty((0, len(steps)), np.float32)
    return Rows(np.array(steps, np.int64), times, tuple(names), table)


def _held(found: list[tuple[int, float, float]]) -> Rows:
    if not found:
        return no_rows()
    steps, times, values = zip(*found)
    row = np.array([values], np.float32)
    return Rows(np.array(steps, np.int64), np.array(times, np.float64), (HELD_OUT,), row)


@dataclass
class Batch:
    """What a batch of events adds; see ``Piece`` for the attributes."""

    cut: int | None = None
    steps: list[int] = field(default_factory=list)
    records: list[Mapping[str, Any]] = field(default_factory=list)
    held: list[tuple[int, float, float]] = field(default_factory=list)
    log: list[LogLine] = field(default_factory=list)
    starts: list[tuple[int, int]] = field(default_factory=list)
    total_steps: int = 0
    skipped: int = 0

    def rows(self) -> Rows:
        """The step events."""
        return _rows(self.steps, self.records)

    def held_rows(self) -> Rows:
        """The losses on held-out data."""
        return _held(self.held)


class Merger:
    """Makes one history of a run's events, whatever is in them.

    An attempt replaces what earlier ones did beyond the step it began at; what an earlier attempt
    writes after a later one has begun is left out. Within an attempt steps ascend: an event that
    goes back counts only when the next one goes on from there, so that one damaged number neither
    hides what follows nor takes away what was before.

    Attributes:
        samples: file name by step.
        drawn: when a sheet was drawn by step, seconds since 1970.
        checkpoints: file name by step.
        model: file name of the finished model with its step.
    """

    def __init__(self) -> None:
        self.samples: dict[int, str] = {}
        self.drawn: dict[int, float] = {}
        self.checkpoints: dict[int, str] = {}
        self.model: tuple[int, str] | None = None
        self._attempt, self._step = 0, -1
        self._held_step = -1
        self._pending: tuple[int, int, Mapping[str, Any]] | None = None
        self._batch = Batch()

    def take(self, text: bytes) -> Batch:
        """Return what whole lines add to the history."""
        records, skipped = parse_lines(text)
        self._batch = batch = Batch(skipped=skipped)
        if not self._take_plain(records):
            for record in records:
                self._take(record)
        last = batch.records[-1] if batch.records else {}
        batch.total_steps = _whole(last.get("total_steps")) or batch.total_steps
        return batch

    def _take_plain(self, records: list[dict[str, Any]]) -> bool:
        """Take a batch of nothing but further steps of the attempt, which most are."""
        if self._pending or not records:
            return False
        attempt, step = self._attempt, self._step
        steps = []
        for record in records:
            at = record.get("step")
            if record.get("kind") != "step" or record.get("attempt") != attempt:
                return False
            if type(at) is not int or not step < at <= _MAX_STEP:
                return False
            steps.append(at)
            step = at
        self._batch.steps, self._batch.records, self._step = steps, list(records), step
        return True

    def _take(self, record: Mapping[str, Any]) -> None:
        kind, at = record.get("kind"), _real(record.get("time"))
        attempt, step = _whole(record.get("attempt")), _whole(record.get("step"))
        if not isinstance(kind, str) or attempt is None or step is None:
            self._batch.skipped += 1
            return
        if kind == "step":
            self._take_step(attempt, step, record)
            return
        if math.isnan(at):
            at = 0.0
        self._batch.log.append(log_line(kind, at, attempt, step, record))
        if len(self._batch.log) > 2 * KEPT:
            del self._batch.log[:-KEPT]
        if attempt < self._attempt:
            return
        if kind == "start":
            self._start(attempt, step, record)
        elif kind == "sample":
            self._note(self.samples, step, record)
            self.drawn[step] = at
        elif kind == "checkpoint":
            self._note(self.checkpoints, step, record)
            self._hold_out(step, at, _real(record.get("held_out_loss")))
        elif kind == "finish" and (name := _file_name(record)):
            self.model = (step, name)

    def _take_step(self, attempt: int, step: int, record: Mapping[str, Any]) -> None:
        pending, self._pending = self._pending, None
        if attempt < self._attempt:
            self._pending = pending
        elif attempt == self._attempt and step > self._step:
            self._append(step, record)
        elif pending and attempt == pending[0] and step > pending[1]:
            self._cut(pending[1] - 1)
            self._attempt = attempt
            self._append(pending[1], pending[2])
            self._append(step, record)
        else:
            self._pending = (attempt, step, record)

    def _append(self, step: int, record: Mapping[str, Any]) -> None:
        self._step = step
        self._batch.steps.append(step)
        self._batch.records.append(record)

    def _start(self, attempt: int, step: int, record: Mapping[str, Any]) -> None:
        self._pending = None
        self._cut(step)
        self._attempt = attempt
        self._batch.starts.append((attempt, step))
        self._batch.total_steps = _whole(record.get("total_steps")) or self._batch.total_steps

    def _cut(self, step: int) -> None:
        """Take away what lies beyond a step."""
        batch = self._batch
        if step < max(self._step, self._held_step):
            batch.cut = step if batch.cut is None else min(batch.cut, step)
        kept = sum(1 for s in batch.steps if s <= step)
        del batch.steps[kept:], batch.records[kept:]
        batch.held = [row for row in batch.held if row[0] <= step]
        batch.starts = [start for start in batch.starts if start[1] <= step]
        for files in (self.samples, self.drawn, self.checkpoints):
            for gone in [s for s in files if s > step]:
                files.pop(gone)
        self._step, self._held_step = min(self._step, step), min(self._held_step, step)
        self.model = None

    def _note(self, files: dict[int, str], step: int, record: Mapping[str, Any]) -> None:
        if name := _file_name(record):
            files[step] = name

    def _hold_out(self, step: int, at: float, loss: float) -> None:
        if step > self._held_step and not math.isnan(loss):
            self._held_step = step
            self._batch.held.append((step, at, loss))


def _file_name(record: Mapping[str, Any]) -> str:
    """Return the name of an event's file; its folder is known, and no other is ever looked at."""
    path = record.get("path")
    if not isinstance(path, str) or len(path) > 1000 or "\0" in path:
        return ""
    name = path.replace("\\", "/").rpartition("/")[2]
    return "" if name in ("", ".", "..") or ":" in name else name
