"""What the worker does next. Pure Python: no torch, no process, no thread of its own.

*Previews* have one slot a channel: the newest request replaces one that waits, and channels take
turns; channels named ``group:...`` share the turn of their group, so that a hundred thumbnails do
not hold up the canvas. What runs is never stopped by a newer request: stopping it shows one frame
in 400, letting it end shows every frame that the hardware can make. *Jobs* are generators; when no
preview waits, they take turns, one step at a time.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
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

Emit = Callable[[PreviewResult | JobProgress | JobResult], None]
Render = Callable[[PreviewRequest], Iterator[PreviewResult]]
StartJob = Callable[[JobRequest], Generator[Any, None, Any]]


@dataclass(eq=False)
class _Slot:
    """One channel. ``waiting`` and ``queued`` are guarded by the lock; the rest is the worker's."""

    waiting: PreviewRequest | None = None
    queued: bool = False
    request: PreviewRequest | None = None
    running: Iterator[PreviewResult] | None = None
    delivered: bool = False


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
        render: starts a preview; its last result must be ``final``.
        start_job: returns the generator of a job. It yields (done, total, message[, partial]), or
            ``None`` while it waits for something outside, and returns the job's value.
        progress_interval: seconds between two reports of a job that carry nothing to show.
    """

    def __init__(
        self,
        emit: Emit,
        render: Render,
        start_job: StartJob,
        progress_interval: float = PROGRESS_INTERVAL,
    ) -> None:
        self._emit = emit
        self._render = render
        self._start_job = start_job
        self._progress_interval = progress_interval
        self._changed = threading.Condition()
        self._slots: dict[str, _Slot] = {}
        self._groups: dict[str, deque[str]] = {}
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

    def _queue(self, channel: str, slot: _Slot) -> None:
        if not slot.queued:
            slot.queued = True
            self._groups.setdefault(channel.partition(":")[0], deque()).append(channel)

    def _next_channel(self) -> str:
        """Take the next channel of the next group, whose turn is over then."""
        group = next(iter(self._groups))
        waiting = self._groups.pop(group)
        channel = waiting.popleft()
        if waiting:
            self._groups[group] = waiting
        return channel

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
                if not self._groups and not self._cancelled:
                    self._changed.wait(IDLE_SECONDS)
            else:
                self._changed.wait_for(
                    lambda: self._stopping or self._groups or self._cancelled or self._jobs
                )
            return not self._stopping

    def turn(self) -> bool:
        """Take one turn; return whether anything moved."""
        with self._changed:
            cancelled = self._cancelled.popleft() if self._cancelled else None
            channel = None
            if cancelled is None and self._groups:
                channel = self._next_channel()
                self._slots[channel].queued = False
        if cancelled is not None:
            if cancelled in self._jobs:
                self._end(self._jobs[cancelled])
            return True
        if channel is not None:
            self._preview_turn(channel, self._slots[channel])
            return True
        return self._next_job_turn()

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
                self._queue(channel, slot)
            else:
                del self._slots[channel]

    def _preview_step(self, slot: _Slot) -> None:
        if slot.request is None:
            return
        if slot.running is None:
            slot.running = iter(self._render(slot.request))
        result = next(slot.running, None)
        if result is None:
            raise RuntimeError("the renderer ended before its last image")
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
