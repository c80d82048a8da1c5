"""What the worker does next. Pure Python: no torch, no process, no thread of its own.

*Previews* have one slot a channel: the newest request replaces one that waits, and channels take
turns; channels named ``group:...`` share the turn of their group, so that a hundred thumbnails do
not hold up the canvas. What runs is never stopped by a newer request before it has shown an image:
stopping it shows one frame in 400, letting it end shows every frame that the hardware can make.

A preview of many steps takes one turn a step. Until it has shown an image it goes before
everything else; after that it is *refined*. Refining and *jobs*, which are generators that take
turns one step at a time, share the time that is left evenly, so that neither waits for the other.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from latentlab.core.requests import (
    Failure,
    JobProgress,
    JobRequest,
    JobResult,
    PreviewRequest,
    PreviewResult,
)
from latentlab.services.failures import describe_failure

PROGRESS_INTERVAL = 0.03
IDLE_SECONDS = 0.02

_MOST_OWED = 1.0

Emit = Callable[[PreviewResult | JobProgress | JobResult], None]
Render = Callable[[PreviewRequest], Iterator[PreviewResult | None]]
StartJob = Callable[[JobRequest], Generator[Any, None, Any]]


@dataclass(eq=False)
class _Slot:
    """One channel. ``waiting`` and ``queue`` are guarded by the lock; the rest is the worker's."""

    waiting: PreviewRequest | None = None
    queue: _Turns | None = None
    request: PreviewRequest | None = None
    running: Iterator[PreviewResult | None] | None = None
    delivered: bool = False


class _Turns:
    """Channels that wait for a turn: groups in turn, and the channels of a group in turn."""

    def __init__(self) -> None:
        self._groups: dict[str, deque[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def add(self, channel: str, first: bool = False) -> None:
        """Queue a channel; ``first``: before the others of its group."""
        waiting = self._groups.setdefault(channel.partition(":")[0], deque())
        if first:
            waiting.appendleft(channel)
        else:
            waiting.append(channel)

    def take(self) -> str:
        """Return the next channel of the next group, whose turn is over then."""
        group = next(iter(self._groups))
        waiting = self._groups.pop(group)
        channel = waiting.popleft()
        if waiting:
            self._groups[group] = waiting
        return channel

    def holds(self, channel: str) -> bool:
        """Whether the group of a channel has one here."""
        return channel.partition(":")[0] in self._groups

    def take_group(self, channel: str) -> Iterable[str]:
        """Take out the whole group of a channel, in order."""
        return self._groups.pop(channel.partition(":")[0], ())

    def drop(self, channel: str) -> None:
        """Take a channel out, wherever it stands."""
        group = channel.partition(":")[0]
        waiting = self._groups[group]
        waiting.remove(channel)
        if not waiting:
            del self._groups[group]


@dataclass(eq=False)
class _Job:
    request: JobRequest
    steps: Generator[Any, None, Any] | None = None
    cancelled: bool = False
    reported: float = float("-inf")


class Scheduler:
    """Decides whose turn it is. Requests may come from any thread; turns are taken on one.

    Args:
        emit: gets every result; it may raise when a result cannot be sent.
        render: starts a preview: an iterator whose last result must be ``final``; ``None`` is a
            turn that has nothing to show.
        start_job: returns the generator of a job. It yields (done, total, message[, partial]), or
            ``None`` while it waits for something outside, and returns the job's value.
        progress_interval: seconds between two reports of a job that carry nothing to show.
        clock: seconds, for the shares of refining and jobs.
    """

    def __init__(
        self,
        emit: Emit,
        render: Render,
        start_job: StartJob,
        progress_interval: float = PROGRESS_INTERVAL,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._emit = emit
        self._render = render
        self._start_job = start_job
        self._progress_interval = progress_interval
        self._changed = threading.Condition()
        self._slots: dict[str, _Slot] = {}
        self._clock = clock
        self._first = _Turns()
        self._refining = _Turns()
        self._owed = 0.0
        """Seconds by which jobs had more than refining; only the worker's thread touches it."""
        self._jobs: dict[str, _Job] = {}
        self._job_turns: deque[str] = deque()
        self._cancelled: deque[str] = deque()
        self._stopping = False
        self.coalesced: Counter[str] = Counter()
        """Requests by channel that a newer one replaced before they began."""

    def preview(self, request: PreviewRequest) -> None:
        """Ask for a preview; it replaces one of its channel that waits."""
        with self._changed:
            slot = self._slots.setdefault(request.channel, _Slot())
            if slot.waiting is not None:
                self.coalesced[request.channel] += 1
            slot.waiting = request
            self._queue(request.channel, slot)
            self._changed.notify_all()

    def _queue(self, channel: str, slot: _Slot, first: bool = False) -> None:
        """Let a channel wait where its next turn belongs; it may wait elsewhere already.

        Of a group that is being refined, one is finished before the next begins: a hundred
        thumbnails of many steps come one after another, not all at the end.
        """
        group = ":" in channel
        shown = slot.delivered and slot.waiting is None
        behind = shown or (group and self._refining.holds(channel))
        queue = self._refining if behind else self._first
        if slot.queue is not queue:
            if slot.queue is not None:
                slot.queue.drop(channel)
            slot.queue = queue
            queue.add(channel, first)
        if group and behind:
            for other in self._first.take_group(channel):
                self._slots[other].queue = self._refining
                self._refining.add(other)

    def job(self, request: JobRequest) -> None:
        """Start a job."""
        with self._changed:
            if request.job not in self._jobs:
                self._jobs[request.job] = _Job(request)
                self._job_turns.append(request.job)
                self._changed.notify_all()

    def cancel(self, job: str) -> None:
        """End a job after the step that runs; one that has ended is left alone."""
        with self._changed:
            if job in self._jobs:
                self._cancelled.append(job)
                self._changed.notify_all()

    def stop(self) -> None:
        """Make ``run`` end after the step that runs."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def run(self) -> None:
        """Take turns until ``stop``; then close what runs and report its jobs as cancelled."""
        idle = 0
        while self._wait(idle):
            idle = 0 if self.turn() else idle + 1
        for slot in self._slots.values():
            self._close_preview(slot)
        for job in list(self._jobs.values()):
            self._end(job)

    def _wait(self, idle: int) -> bool:
        """Wait for work; ``idle`` turns in a row found only jobs that wait. False: stop."""
        with self._changed:
            if self._jobs and idle >= len(self._jobs) and not self._stopping:
                if not self._first and not self._refining and not self._cancelled:
                    self._changed.wait(IDLE_SECONDS)
            else:
                self._changed.wait_for(self._has_work)
            return not self._stopping

    def _has_work(self) -> bool:
        queued = bool(self._first or self._refining)
        return queued or self._stopping or bool(self._cancelled or self._jobs)

    def turn(self) -> bool:
        """Take one turn; return whether anything moved."""
        with self._changed:
            cancelled = self._cancelled.popleft() if self._cancelled else None
            refining = channel = None
            if cancelled is None:
                refining = self._refining if self._owed >= 0 or not self._jobs else None
                queue = self._first or refining
                if queue:
                    channel = queue.take()
                    self._slots[channel].queue = None
        if cancelled is not None:
            if cancelled in self._jobs:
                self._end(self._jobs[cancelled])
            return True
        begin = self._clock()
        if channel is None:
            moved = self._next_job_turn()
            # A job that waits for something outside leaves its share to the others.
            self._owe(self._clock() - begin if moved else _MOST_OWED)
            return moved
        refined = queue is refining
        self._preview_turn(channel, self._slots[channel])
        if refined and self._jobs:
            self._owe(begin - self._clock())
        return True

    def _owe(self, seconds: float) -> None:
        """Count a turn of a job, or of refining (negative)."""
        self._owed = min(max(self._owed + seconds, -_MOST_OWED), _MOST_OWED)

    # Previews.

    def _preview_turn(self, channel: str, slot: _Slot) -> None:
        with self._changed:
            newer = slot.waiting
            begin = newer is not None and (slot.running is None or slot.delivered)
            if begin:
                slot.waiting = None
        try:
            if begin:
                self._close_preview(slot)
                slot.request, slot.delivered = newer, False
            self._preview_step(slot)
        except Exception as error:
            self._fail_preview(slot, describe_failure(error, "This picture"))
        with self._changed:
            if slot.running is not None or slot.waiting is not None:
                self._queue(channel, slot, first=slot.waiting is None)
            else:
                del self._slots[channel]

    def _preview_step(self, slot: _Slot) -> None:
        if slot.request is None:
            return
        if slot.running is None:
            slot.running = iter(self._render(slot.request))
        try:
            result = next(slot.running)
        except StopIteration:
            raise RuntimeError("the renderer ended before its last image") from None
        if result is None:
            return
        self._emit(result)
        slot.delivered = True
        if result.final or result.failure is not None:
            slot.request = None
            self._close_preview(slot)

    def _fail_preview(self, slot: _Slot, failure: Failure) -> None:
        request = slot.request
        slot.running, slot.request = None, None
        if request is not None:
            self._emit(PreviewResult(request.channel, request.sequence, failure=failure))

    def _close_preview(self, slot: _Slot) -> None:
        running, slot.running = slot.running, None
        if isinstance(running, Generator):
            running.close()

    # Jobs.

    def _next_job_turn(self) -> bool:
        with self._changed:
            if not self._job_turns:
                return False
            self._job_turns.rotate(-1)
            job = self._jobs[self._job_turns[-1]]
        result: JobResult | None = None
        moved = True
        try:
            moved = self._job_step(job)
        except StopIteration as stop:
            result = JobResult(job.request.job, value=stop.value)
        except Exception as error:
            failure = describe_failure(error, job.request.title or "This job")
            result = JobResult(job.request.job, failure=failure)
        if result is not None:
            self._finish(job, result)
        return moved

    def _job_step(self, job: _Job) -> bool:
        if job.steps is None:
            job.steps = self._start_job(job.request)
        progress = next(job.steps)
        if progress is None:
            return False
        done, total, message, *rest = progress
        partial = rest[0] if rest else None
        now = time.monotonic()
        # A job of many short steps must not drown the window in reports.
        if partial is not None or now - job.reported >= self._progress_interval:
            job.reported = now
            self._emit(JobProgress(job.request.job, done, total, message, partial))
        return True

    def _end(self, job: _Job) -> None:
        """Close a job before its end."""
        result = JobResult(job.request.job, cancelled=True)
        try:
            if job.steps is not None:
                job.steps.close()
        except Exception as error:
            failure = describe_failure(error, job.request.title or "This job")
            result = JobResult(job.request.job, failure=failure)
        self._finish(job, result)

    def _finish(self, job: _Job, result: JobResult) -> None:
        if job.steps is not None:
            job.steps.close()
        with self._changed:
            del self._jobs[job.request.job]
            self._job_turns.remove(job.request.job)
        try:
            self._emit(result)
        except Exception as error:
            failure = describe_failure(error, "Sending the result")
            self._emit(JobResult(job.request.job, failure=failure))
