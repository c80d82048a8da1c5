"""Between the worker's client and the window: events become signals on the GUI thread."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from latentlab.core.requests import (
    JobProgress,
    JobRequest,
    JobResult,
    PreviewRequest,
    PreviewResult,
)
from latentlab.ui.relay import EventRelay


class Bridge(QObject):
    """Owns the worker's client.

    Args:
        client: a started ``WorkerClient``, whose events go to ``relay``.
        relay: where its events come from.
    """

    preview_arrived = Signal(object)
    job_progressed = Signal(object)
    job_finished = Signal(object)
    worker_changed = Signal(object)
    _arrived = Signal(object)

    def __init__(self, client: Any, relay: EventRelay, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.client = client
        self._relay = relay
        # Events come on the client's reader thread; the queue brings them to this one.
        self._arrived.connect(self._dispatch, Qt.ConnectionType.QueuedConnection)
        relay.connect(self._arrived.emit)

    def _dispatch(self, event: Any) -> None:
        if isinstance(event, PreviewResult):
            self.preview_arrived.emit(event)
        elif isinstance(event, JobProgress):
            self.job_progressed.emit(event)
        elif isinstance(event, JobResult):
            self.job_finished.emit(event)
        else:
            self.worker_changed.emit(event)

    def preview(self, request: PreviewRequest) -> None:
        """Ask for images; a newer request of the same channel replaces one that waits."""
        self.client.preview(request)

    def job(self, request: JobRequest) -> None:
        """Start long work."""
        self.client.job(request)

    def cancel(self, job: str) -> None:
        """Ask a job to end; its result says ``cancelled``."""
        self.client.cancel(job)

    def stop(self) -> None:
        """Stop the worker and wait for its end; nothing arrives any more."""
        self._relay.disconnect()
        self.client.stop()
