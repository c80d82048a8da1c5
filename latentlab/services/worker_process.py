"""The worker's process: its main thread computes, a second thread takes requests in.

The reader is there before torch is imported, so that requests never fill the pipe; what comes
meanwhile is coalesced like everything else.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator, Iterator
from multiprocessing.connection import Connection
from typing import Any

from latentlab.core.errors import LatentLabError
from latentlab.core.requests import (
    Failure,
    JobProgress,
    JobRequest,
    JobResult,
    PreviewRequest,
    PreviewResult,
)
from latentlab.services.failures import describe_failure
from latentlab.services.jobs import JobContext, start_job
from latentlab.services.priority import lower_priority, wait_politely
from latentlab.services.scheduler import Scheduler
from latentlab.services.targets import load_target
from latentlab.services.worker_protocol import (
    Event,
    Key,
    Message,
    WorkerReady,
    WorkerSettings,
    failed,
    receive,
    send,
)


class _Worker:
    """Everything in the child."""

    def __init__(self, connection: Connection, settings: WorkerSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._sending = threading.Lock()
        self._context: JobContext | None = None
        self._broken: Failure | None = None
        self._serving = threading.Event()
        self.scheduler = Scheduler(self.emit, self.render, self.start_job)

    # Results.

    def emit(self, event: Event) -> None:
        """Send an event; an exception means that it cannot cross, and nothing was sent."""
        if isinstance(event, PreviewResult):
            self._send(("preview", event.channel), event.sequence, event)
        elif isinstance(event, (JobProgress, JobResult)):
            self._send(("job", event.job), 0, event)
        else:
            self._send(("worker", "ready"), 0, event)

    def _send(self, key: Key, sequence: int, value: Any) -> None:
        try:
            with self._sending:
                send(self._connection, key, sequence, value)
        except OSError:
            # The window's process is gone; nobody wants anything of this one any more.
            os._exit(0)

    # Requests.

    def read(self) -> None:
        """Take requests until the other side stops or is gone."""
        while True:
            try:
                message = receive(self._connection)
            except (EOFError, OSError):
                os._exit(0)
            if message.key[0] == "stop":
                if not self._serving.is_set():
                    # Torch is still being imported: there is nothing to put in order.
                    os._exit(0)
                self.scheduler.stop()
                return
            self._take(message)

    def _take(self, message: Message) -> None:
        if message.error is not None:
            failure = describe_failure(message.error, "Reading the request")
            self.emit(failed(message.key, message.sequence, failure))
        elif message.key[0] == "preview":
            self.scheduler.preview(message.value)
        elif message.key[0] == "job":
            self.scheduler.job(message.value)
        elif message.key[0] == "cancel":
            self.scheduler.cancel(message.key[1])

    # Work.

    def serve(self) -> None:
        """Import torch, say so, and take turns until the end."""
        try:
            self._context = load_target(self._settings.engine)(self._settings)
        except Exception as error:
            # Every request gets it as its answer, where the image would be.
            self._broken = describe_failure(error, "Starting the worker")
        self.emit(_ready(self._context, self._settings, self._broken))
        self._serving.set()
        try:
            self.scheduler.run()
        finally:
            if self._context is not None:
                self._context.lane.stop()

    def _working(self) -> JobContext:
        if self._broken is not None:
            raise LatentLabError(self._broken.message, self._broken.details)
        if self._context is None:
            raise RuntimeError("the worker is not ready")
        return self._context

    def render(self, request: PreviewRequest) -> Iterator[PreviewResult | None]:
        """Start a preview."""
        return self._working().renderer.render(request)

    def start_job(self, request: JobRequest) -> Generator[Any, None, Any]:
        """Start a job."""
        return start_job(self._working(), request, self._settings.jobs)


def _ready(
    context: JobContext | None, settings: WorkerSettings, failure: Failure | None
) -> WorkerReady:
    if context is None or "torch" not in sys.modules:
        figures = {} if context is None else context.figures
        return WorkerReady(os.getpid(), figures=figures, failure=failure)
    import torch

    from latentlab.services.device import choose_device, describe_device, memory_bytes

    device = choose_device(settings.device)
    return WorkerReady(
        os.getpid(),
        device=describe_device(device),
        threads=torch.get_num_threads(),
        torch=str(torch.__version__),
        memory=memory_bytes(device),
        figures=context.figures,
        failure=failure,
    )


def worker_main(connection: Connection, settings: WorkerSettings) -> None:
    """Run the worker until the window's process stops it or is gone."""
    # Ctrl+C in a terminal reaches both processes; the asker decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lower_priority(settings.niceness)
    wait_politely()
    worker = _Worker(connection, settings)
    reader = threading.Thread(target=worker.read, name="latentlab-requests", daemon=True)
    reader.start()
    worker.serve()
    # Everything is in order here; taking torch apart would only take half a second.
    os._exit(0)
