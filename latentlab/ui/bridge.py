"""Between the worker's client and the window: events become signals on the GUI thread."""

from __future__ import annotations

import threading
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


class _Restarted:
    """Comes after everything that the old worker sent."""


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
    restarted = Signal()
    _arrived = Signal(object)

    def __init__(self, client: Any, relay: EventRelay, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.client = client
        self._relay = relay
        self._restart: threading.Thread | None = None
        self._waiting: list[PreviewRequest | JobRequest] = []
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
        elif isinstance(event, _Restarted):
            self._go_on()
        else:
            self.worker_changed.emit(event)

    @property
    def restarting(self) -> bool:
        """Whether the worker is on its way; requests wait meanwhile."""
        return self._restart is not None

    def preview(self, request: PreviewRequest) -> None:
        """Ask for images; a newer request of the same channel replaces one that waits."""
        if self.restarting:
            self._waiting.append(request)
        else:
            self.client.preview(request)

    def job(self, request: JobRequest) -> None:
        """Start long work."""
        if self.restarting:
            self._waiting.append(request)
        else:
            self.client.job(request)

    def restart(self, settings: Any = None) -> None:
        """Start the worker anew, with other settings, without holding up this thread.

        ``restarted`` tells when requests reach it again; jobs that ran are cancelled.
        """
        if self.restarting:
            return

        def work() -> None:
            self.client.restart(settings)
            self._arrived.emit(_Restarted())

        self._restart = threading.Thread(target=work, name="latentlab-restart")
        self._restart.start()

    def _go_on(self) -> None:
        if self._restart is not None:
            self._restart.join()
            self._restart = None
        self.restarted.emit()
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            if isinstance(request, PreviewRequest):
                self.client.preview(request)
            else:
                self.client.job(request)

    def cancel(self, job: str) -> None:
        """Ask a job to end; its result says ``cancelled``."""
        self.client.cancel(job)

    def stop(self) -> None:
        """Stop the worker and wait for its end; nothing arrives any more."""
        self._relay.disconnect()
        if self._restart is not None:
            self._restart.join()
            self._restart = None
        self.client.stop()
