"""The CPU lane: work that cannot yield step by step, one piece at a time, in its own process.

A support vector machine, t-SNE or an import holds its thread until it is done. Here such work can
be watched, cancelled (its process is ended) and kept from taking all memory, and nothing waits for
it.
The function is ``module:function``, called as ``function(report, **arguments)``, where
``report(done, total, message)`` may be called at any time.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import psutil

from latentlab.core.errors import LatentLabError
from latentlab.core.requests import Failure
from latentlab.services.failures import describe_exit, describe_failure
from latentlab.services.priority import lower_priority, wait_politely
from latentlab.services.scheduler import PROGRESS_INTERVAL
from latentlab.services.spawn import start_process
from latentlab.services.targets import load_target
from latentlab.services.worker_protocol import Message, receive, send

Report = Callable[[int, int, str], None]
Progress = tuple[int, int, str]
_NICENESS = 10
_END_SECONDS = 2.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LaneResult:
    """The end of a piece of work: a value, a failure, or neither when it was cancelled."""

    value: Any = None
    failure: Failure | None = None
    cancelled: bool = False


class LaneTask:
    """A piece of work that was asked for.

    Args:
        target: ``module:function``.
        arguments: picklable keyword arguments.
        on_progress: called with (done, total, message), on the lane's thread.
        on_done: called once with the result, on the lane's thread.
    """

    def __init__(
        self,
        target: str,
        arguments: Mapping[str, Any],
        on_progress: Callable[[Progress], None] | None = None,
        on_done: Callable[[LaneResult], None] | None = None,
    ) -> None:
        self.target = target
        self.arguments = arguments
        self.progress: Progress | None = None
        self._on_progress = on_progress
        self._on_done = on_done
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._cancelled = False
        self._result: LaneResult | None = None
        self._done = threading.Event()

    @property
    def done(self) -> bool:
        """Whether the result is there."""
        return self._done.is_set()

    def result(self, timeout: float | None = None) -> LaneResult:
        """Wait for the result; ``TimeoutError`` after ``timeout`` seconds."""
        if not self._done.wait(timeout) or self._result is None:
            raise TimeoutError(self.target)
        return self._result

    def cancel(self) -> None:
        """End the work and all processes that it started; one that has ended is left alone."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                _kill_tree(self._process)

    # What follows is called by the lane, on its thread.

    def run(self, memory_limit: int | None) -> LaneResult:
        """Do the work in a process of its own."""
        try:
            result = self._work(memory_limit)
        except Exception as error:
            result = LaneResult(failure=describe_failure(error, "This work"))
        return LaneResult(cancelled=True) if self._cancelled else result

    def finish(self, result: LaneResult) -> None:
        """Keep the result and say so."""
        self._result = result
        try:
            if self._on_done is not None:
                self._on_done(result)
        finally:
            self._done.set()

    def _work(self, memory_limit: int | None) -> LaneResult:
        context = multiprocessing.get_context("spawn")
        connection, child = context.Pipe()
        process = context.Process(
            target=_lane_main, args=(child, memory_limit), name="latentlab-lane", daemon=True
        )
        with connection:
            with child, self._lock:
                if self._cancelled:
                    return LaneResult(cancelled=True)
                start_process(process)
                self._process = process
            try:
                result = self._talk(connection)
                # It ends by itself now, one way or the other.
                process.join(_END_SECONDS)
            finally:
                self._clear(process)
        exitcode = process.exitcode
        process.close()
        return result or LaneResult(failure=describe_exit(exitcode, "This work"))

    def _clear(self, process: SpawnProcess) -> None:
        with self._lock:
            self._process = None
            if process.is_alive():
                _kill_tree(process)
        process.join()

    def _talk(self, connection: Connection) -> LaneResult | None:
        """Send the work and take reports; ``None`` when the process ended without a result."""
        try:
            send(connection, ("work", self.target), 0, self.arguments)
            while True:
                message = receive(connection)
                if message.error is not None:
                    return LaneResult(failure=describe_failure(message.error, "Reading the result"))
                if message.key[0] == "result":
                    result: LaneResult = message.value
                    return result
                self.progress = message.value
                if self._on_progress is not None and not self._cancelled:
                    self._on_progress(message.value)
        except (EOFError, OSError):
            return None


class CpuLane:
    """Does one piece of work after another; its thread lives only while there is some.

    Args:
        memory_limit: bytes that a piece of work may take beside its libraries (on Linux; other
            systems do not enforce it).
    """

    def __init__(self, memory_limit: int | None = None) -> None:
        self._memory_limit = memory_limit
        self._lock = threading.Lock()
        self._waiting: deque[LaneTask] = deque()
        self._current: LaneTask | None = None
        self._thread: threading.Thread | None = None

    def submit(
        self,
        target: str,
        arguments: Mapping[str, Any] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        on_done: Callable[[LaneResult], None] | None = None,
    ) -> LaneTask:
        """Queue a piece of work; see ``LaneTask``."""
        task = LaneTask(target, arguments or {}, on_progress, on_done)
        with self._lock:
            self._waiting.append(task)
            if self._thread is None:
                atexit.register(self.stop)
                self._thread = threading.Thread(
                    target=self._loop, name="latentlab-lane", daemon=True
                )
                self._thread.start()
        return task

    def run(self, target: str, **arguments: Any) -> Generator[Progress | None, None, Any]:
        """Do the work as part of a job: ``value = yield from context.lane.run(...)``.

        Raises:
            LatentLabError: the work failed; the details hold the traceback.
        """
        task = self.submit(target, arguments)
        shown: Progress | None = None
        try:
            while not task.done:
                progress = task.progress
                yield None if progress is shown else progress
                shown = progress
        finally:
            task.cancel()
        result = task.result()
        if result.failure is not None:
            raise LatentLabError(result.failure.message, result.failure.details)
        if result.cancelled:
            raise LatentLabError("The work was cancelled: start it again.")
        return result.value

    def stop(self) -> None:
        """Cancel everything and wait for its end. Not to be called from a callback."""
        with self._lock:
            waiting, thread = list(self._waiting), self._thread
            self._waiting.clear()
            if self._current is not None:
                self._current.cancel()
        for task in waiting:
            self._finish(task, LaneResult(cancelled=True))
        if thread is not None:
            thread.join()

    def _loop(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = self._current = None
                    atexit.unregister(self.stop)
                    return
                task = self._current = self._waiting.popleft()
            self._finish(task, task.run(self._memory_limit))

    def _finish(self, task: LaneTask, result: LaneResult) -> None:
        try:
            task.finish(result)
        except Exception:
            # The rest of the queue must not wait for ever.
            _log.exception("the result of a piece of work could not be taken")


def _kill_tree(process: SpawnProcess) -> None:
    """End a process and everything that it started."""
    try:
        found = psutil.Process(process.pid)
        family = [*found.children(recursive=True), found]
    except psutil.NoSuchProcess:
        return
    for member in family:
        with contextlib.suppress(psutil.Error):
            member.kill()


# The child.


def _lane_main(connection: Connection, memory_limit: int | None) -> None:
    """Do one piece of work and send its result."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lower_priority(_NICENESS)
    wait_politely()
    try:
        message = receive(connection)
    except (EOFError, OSError):
        return
    watcher = threading.Thread(target=_watch, args=(connection,), daemon=True)
    watcher.start()
    sending = threading.Lock()

    def put(kind: str, value: Any) -> None:
        try:
            with sending:
                send(connection, (kind,), 0, value)
        except OSError:
            _leave()

    result = _do(message, memory_limit, put)
    try:
        put("result", result)
    except Exception as error:
        put("result", LaneResult(failure=describe_failure(error, "Sending the result")))


def _do(message: Message, memory_limit: int | None, put: Callable[[str, Any], None]) -> LaneResult:
    reported = float("-inf")

    def report(done: int, total: int, text: str = "") -> None:
        nonlocal reported
        now = time.monotonic()
        if now - reported >= PROGRESS_INTERVAL or done >= total:
            reported = now
            put("progress", (done, total, text))

    try:
        if message.error is not None:
            raise message.error
        function = load_target(message.key[1])
        with _limited(memory_limit):
            return LaneResult(function(report, **message.value))
    except Exception as error:
        return LaneResult(failure=describe_failure(error, "This work"))


def _watch(connection: Connection) -> None:
    """End this process, and what it started, when the one that asked is gone."""
    with contextlib.suppress(EOFError, OSError):
        connection.recv_bytes()
    _leave()


def _leave() -> None:
    """End this process and all that it started: nobody waits for it any more."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.kill()
    os._exit(0)


@contextlib.contextmanager
def _limited(memory_limit: int | None) -> Iterator[None]:
    """Let allocations fail beyond ``memory_limit`` bytes more than are mapped now."""
    if memory_limit is None or sys.platform == "win32":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = psutil.Process().memory_info().vms + memory_limit
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    # macOS refuses limits below what is mapped, in its own way of counting.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
