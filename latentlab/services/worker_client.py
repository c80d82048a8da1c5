"""The asker's side of the worker: starts its process, sends requests, hands events on.

Nothing here blocks the asking thread: a sender thread pickles and writes, a reader thread reads and
calls back. No torch is imported in this process.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import threading
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType
from typing import Any

from latentlab.core.requests import (
    Failure,
    JobProgress,
    JobRequest,
    JobResult,
    PreviewRequest,
    PreviewResult,
)
from latentlab.services.failures import describe_exit, describe_failure
from latentlab.services.spawn import start_process
from latentlab.services.worker_process import worker_main
from latentlab.services.worker_protocol import (
    Event,
    Key,
    Message,
    WorkerDied,
    WorkerReady,
    WorkerSettings,
    failed,
    receive,
    send,
)

__all__ = ["Event", "WorkerClient", "WorkerDied", "WorkerReady", "WorkerSettings"]

_log = logging.getLogger(__name__)
_NOT_RUNNING = Failure("The worker is not running: start it again.")


class _Link:
    """One process of the worker, and the two threads that talk to it.

    Args:
        settings: of the worker.
        take: called with every message, on the reader thread.
        ended: called once with the exit code, on the reader thread.
        undeliverable: called when a request cannot be sent, on the sender thread.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        take: Callable[[Message], None],
        ended: Callable[[_Link, int | None], None],
        undeliverable: Callable[[Key, int, Exception], None],
    ) -> None:
        self._take = take
        self._ended = ended
        self._undeliverable = undeliverable
        self._posted = threading.Condition()
        self._outbox: OrderedDict[Key, tuple[int, Any]] = OrderedDict()
        self._closed = False
        context = multiprocessing.get_context("spawn")
        self._connection, child = context.Pipe()
        # Not a daemon: those may not start the lane's process. It ends by itself when we are gone.
        self.process = context.Process(
            target=worker_main, args=(child, settings), name="latentlab-worker"
        )
        start_process(self.process)
        child.close()
        self._sender = threading.Thread(target=self._write, name="latentlab-sender", daemon=True)
        self._reader = threading.Thread(target=self._read, name="latentlab-events", daemon=True)
        self._sender.start()
        self._reader.start()

    def post(self, key: Key, sequence: int = 0, value: Any = None) -> None:
        """Send soon; what has the same key and still waits here is replaced."""
        with self._posted:
            self._outbox[key] = (sequence, value)
            self._posted.notify()

    def _write(self) -> None:
        while True:
            with self._posted:
                self._posted.wait_for(lambda: self._outbox or self._closed)
                if self._closed and not self._outbox:
                    return
                key, (sequence, value) = self._outbox.popitem(last=False)
            try:
                send(self._connection, key, sequence, value)
            except OSError:
                # The process is gone; the reader finds out and says so.
                return
            except Exception as error:
                self._undeliverable(key, sequence, error)

    def _read(self) -> None:
        while True:
            try:
                message = receive(self._connection)
            except (EOFError, OSError):
                break
            self._take(message)
        self.process.join()
        self._finish_sending()
        self._ended(self, self.process.exitcode)

    def _finish_sending(self) -> None:
        with self._posted:
            self._closed = True
            self._posted.notify()

    def close(self, timeout: float) -> None:
        """Ask the process to end, wait, and end it by force when it does not."""
        self.post(("stop",))
        self._finish_sending()
        self.process.join(timeout)
        for force in (self.process.terminate, self.process.kill):
            if self.process.is_alive():
                force()
                self.process.join(2.0)
        self._sender.join()
        self._reader.join()
        self._connection.close()
        self.process.close()


class WorkerClient:
    """Talks to one worker process, started and stopped here.

    Args:
        on_event: called with every event, one at a time, on the client's reader thread (a refusal
            because no worker runs comes on the asking thread).
        settings: of the worker.
    """

    def __init__(
        self, on_event: Callable[[Event], None], settings: WorkerSettings | None = None
    ) -> None:
        self._on_event = on_event
        self.settings = settings or WorkerSettings()
        self._lock = threading.Lock()
        self._link: _Link | None = None
        self._dead: _Link | None = None
        self._asked: dict[str, PreviewRequest] = {}
        self._shown: dict[str, int] = {}
        self._jobs: dict[str, JobRequest] = {}

    @property
    def running(self) -> bool:
        """Whether there is a worker process."""
        return self._link is not None

    @property
    def pid(self) -> int | None:
        """Id of the worker's process."""
        link = self._link
        return None if link is None else link.process.pid

    def start(self) -> None:
        """Start the worker, unless it runs; returns before torch is imported there."""
        if self._link is not None:
            return
        self._bury()
        with self._lock:
            # Under the lock, so that an early end is not taken for that of an older process.
            self._link = _Link(self.settings, self._take, self._ended, self._undeliverable)
            self._shown.clear()
        atexit.register(self.stop)

    def stop(self, timeout: float = 5.0) -> None:
        """Stop the worker and wait for its end; jobs that ran are reported as cancelled.

        Not to be called from ``on_event``.

        Args:
            timeout: seconds after which the process is ended by force.
        """
        with self._lock:
            link, self._link = self._link, None
        atexit.unregister(self.stop)
        self._bury()
        if link is None:
            return
        link.close(timeout)
        with self._lock:
            jobs, asked = list(self._jobs), list(self._asked.values())
            self._jobs.clear()
            self._asked.clear()
        for job in jobs:
            self._hand_on(JobResult(job, cancelled=True))
        for request in asked:
            failure = Failure("The worker was stopped before this picture was made: try again.")
            self._hand_on(PreviewResult(request.channel, request.sequence, failure=failure))

    def restart(self, settings: WorkerSettings | None = None, timeout: float = 5.0) -> None:
        """Stop and start again; previews that waited are asked for again.

        Args:
            settings: new ones, for example another device.
            timeout: of ``stop``.
        """
        with self._lock:
            waiting = list(self._asked.values())
            self._asked.clear()
        self.stop(timeout)
        self.settings = settings or self.settings
        self.start()
        for request in waiting:
            self.preview(request)

    def __enter__(self) -> WorkerClient:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # Requests.

    def preview(self, request: PreviewRequest) -> None:
        """Ask for images; a request of the channel that has not begun is replaced."""
        with self._lock:
            link = self._link
            if link is not None:
                self._asked[request.channel] = request
                link.post(("preview", request.channel), request.sequence, request)
        if link is None:
            self._hand_on(PreviewResult(request.channel, request.sequence, failure=_NOT_RUNNING))

    def job(self, request: JobRequest) -> None:
        """Start a job; exactly one ``JobResult`` will come.

        Raises:
            ValueError: a job with this id runs already.
        """
        with self._lock:
            if request.job in self._jobs:
                raise ValueError(f"job {request.job} runs already")
            link = self._link
            if link is not None:
                self._jobs[request.job] = request
                link.post(("job", request.job), 0, request)
        if link is None:
            self._hand_on(JobResult(request.job, failure=_NOT_RUNNING))

    def cancel(self, job: str) -> None:
        """Ask a job to end after the step that runs; one that has ended is left alone."""
        with self._lock:
            if self._link is not None and job in self._jobs:
                self._link.post(("cancel", job))

    def pending(self, channel: str) -> bool:
        """Return whether the last image of the channel's newest request is still to come."""
        return channel in self._asked

    # Events.

    def _take(self, message: Message) -> None:
        event = message.value
        if message.error is not None:
            failure = describe_failure(message.error, "Reading the result")
            event = failed(message.key, message.sequence, failure)
        if self._note(event):
            self._hand_on(event)

    def _note(self, event: Event) -> bool:
        """Keep the books; return whether the event is still wanted."""
        with self._lock:
            if isinstance(event, JobResult):
                return self._jobs.pop(event.job, None) is not None
            if isinstance(event, JobProgress):
                return event.job in self._jobs
            if not isinstance(event, PreviewResult):
                return True
            if event.sequence < self._shown.get(event.channel, event.sequence):
                return False
            self._shown[event.channel] = event.sequence
            asked = self._asked.get(event.channel)
            last = event.final or event.failure is not None
            if asked is not None and last and event.sequence >= asked.sequence:
                # Nothing older can come after it.
                del self._asked[event.channel], self._shown[event.channel]
            return True

    def _hand_on(self, event: Event) -> None:
        try:
            self._on_event(event)
        except Exception:
            # The reader must live: without it every later request would wait for ever.
            _log.exception("an event of the worker could not be taken")

    def _undeliverable(self, key: Key, sequence: int, error: Exception) -> None:
        if key[0] in ("preview", "job"):
            failure = describe_failure(error, "Sending the request")
            event = failed(key, sequence, failure)
            if self._note(event):
                self._hand_on(event)

    def _ended(self, link: _Link, exitcode: int | None) -> None:
        with self._lock:
            if self._link is not link:
                return
            self._link, self._dead = None, link
            asked, jobs = list(self._asked.values()), list(self._jobs)
            self._asked.clear()
            self._jobs.clear()
        failure = describe_exit(exitcode, "The worker")
        for request in asked:
            self._hand_on(PreviewResult(request.channel, request.sequence, failure=failure))
        for job in jobs:
            self._hand_on(JobResult(job, failure=failure))
        self._hand_on(WorkerDied(failure, exitcode))

    def _bury(self) -> None:
        """Join the threads of a worker that ended by itself."""
        with self._lock:
            dead, self._dead = self._dead, None
        if dead is not None:
            dead.close(0.0)
