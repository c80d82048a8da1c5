"""The jobs that run now, as the status bar shows them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, Signal

from latentlab.core.requests import Failure, JobProgress, JobRequest, JobResult
from latentlab.ui.bridge import Bridge

Taker = Callable[[Any], None]


@dataclass(eq=False)
class Job:
    """One job.

    Attributes:
        id: as the worker knows it.
        title: what the status bar says.
        done: how far it is.
        total: of so much.
        message: what it does now.
        cancelling: Cancel was pressed.
        started: ``time.monotonic()`` of its start.
    """

    id: str
    title: str
    done: int = 0
    total: int = 0
    message: str = ""
    cancelling: bool = False
    started: float = field(default_factory=time.monotonic)
    on_result: Taker | None = None
    on_partial: Taker | None = None
    on_failure: Callable[[Failure], None] | None = None

    @property
    def seconds_left(self) -> float | None:
        """Return the time left at the pace so far; ``None`` before anything is done."""
        if not 0 < self.done <= self.total:
            return None
        elapsed = time.monotonic() - self.started
        return elapsed * (self.total - self.done) / self.done


class JobTracker(QObject):
    """Starts jobs and follows them.

    Args:
        bridge: to the worker.
    """

    changed = Signal()
    failed = Signal(object, object)

    def __init__(self, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._jobs: dict[str, Job] = {}
        bridge.job_progressed.connect(self._progress)
        bridge.job_finished.connect(self._finish)

    @property
    def jobs(self) -> list[Job]:
        """The running jobs, the oldest first."""
        return list(self._jobs.values())

    def start(
        self,
        kind: str,
        title: str,
        arguments: Mapping[str, Any],
        on_result: Taker | None = None,
        on_partial: Taker | None = None,
        on_failure: Callable[[Failure], None] | None = None,
    ) -> Job:
        """Start a job; ``on_result`` gets its value on the GUI thread."""
        job = Job(
            uuid.uuid4().hex,
            title,
            on_result=on_result,
            on_partial=on_partial,
            on_failure=on_failure,
        )
        self._jobs[job.id] = job
        self._bridge.job(JobRequest(job.id, kind, arguments, title))
        self.changed.emit()
        return job

    def cancel(self, job: Job | None = None) -> None:
        """Ask a job, or the newest one that runs, to end."""
        running = [j for j in self._jobs.values() if not j.cancelling]
        chosen = job or (running[-1] if running else None)
        if chosen is not None:
            chosen.cancelling = True
            self._bridge.cancel(chosen.id)
            self.changed.emit()

    def abandon(self) -> None:
        """Forget all jobs: the worker is gone."""
        self._jobs.clear()
        self.changed.emit()

    def _progress(self, event: JobProgress) -> None:
        job = self._jobs.get(event.job)
        if job is None:
            return
        job.done, job.total, job.message = event.done, event.total, event.message
        # A job that is being cancelled shows nothing any more.
        if event.partial is not None and job.on_partial and not job.cancelling:
            job.on_partial(event.partial)
        self.changed.emit()

    def _finish(self, event: JobResult) -> None:
        job = self._jobs.pop(event.job, None)
        if job is None:
            return
        self.changed.emit()
        if event.failure is not None:
            if job.on_failure:
                job.on_failure(event.failure)
            self.failed.emit(job, event.failure)
        elif not event.cancelled and not job.cancelling and job.on_result:
            job.on_result(event.value)
