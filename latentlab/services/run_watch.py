"""Watching runs from the window: starts the process that looks, and hands on what it tells.

No torch and no Qt here. Nothing blocks the asking thread: one thread starts and starts again, and
reads; another one writes.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from latentlab.core.requests import Failure
from latentlab.services.failures import describe_exit
from latentlab.services.run_watch_process import watch_main
from latentlab.services.run_watch_protocol import RunsFound, Told, Wishes
from latentlab.services.spawn import start_process
from latentlab.services.worker_protocol import receive, send

News = Told | RunsFound | Failure | None
"""What is told; ``None`` when the process works again after a ``Failure``."""

_DEATHS = 3
_QUICK_SECONDS = 60.0
_BACK_OFF = (0.2, 1.0, 3.0, 30.0)
_END_SECONDS = 2.0
_log = logging.getLogger(__name__)


class RunWatcher:
    """Has folders and runs watched by a process of its own.

    A process that dies is started again, with the same wishes; only when it keeps dying a
    ``Failure`` is told.

    Args:
        on_news: called with all that is found, one at a time, on the watcher's thread. It may wait:
            the process then waits too.
    """

    def __init__(self, on_news: Callable[[News], None]) -> None:
        self._on_news = on_news
        self._changed = threading.Condition()
        self._wishes = Wishes()
        self._unsent = False
        self._stopping = False
        self._connection: Connection | None = None
        self._process: SpawnProcess | None = None
        self._threads: list[threading.Thread] = []

    @property
    def pid(self) -> int | None:
        """Id of the process, while there is one."""
        process = self._process
        return None if process is None else process.pid

    def wish(self, wishes: Wishes) -> None:
        """Have this watched from now on, and nothing else; the first wish starts the process."""
        with self._changed:
            if self._stopping:
                return
            self._wishes, self._unsent = wishes, True
            self._changed.notify_all()
            if not self._threads:
                atexit.register(self.stop)
                for work, name in ((self._look_after, "reader"), (self._write, "writer")):
                    thread = threading.Thread(target=work, name=f"latentlab-runs-{name}")
                    thread.daemon = True
                    self._threads.append(thread)
                    thread.start()

    def stop(self) -> None:
        """End the process and wait for its end; it holds nothing that could be lost.

        Not to be called from ``on_news``.
        """
        with self._changed:
            self._stopping = True
            if self._process is not None:
                self._process.kill()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        atexit.unregister(self.stop)

    # The threads.

    def _look_after(self) -> None:
        deaths: list[float] = []
        while True:
            exitcode = self._serve(bool(deaths))
            if self._stopping:
                return
            now = time.monotonic()
            deaths = [at for at in deaths if now - at < _QUICK_SECONDS] + [now]
            _log.warning("the process that watches runs ended with %s", exitcode)
            if len(deaths) == _DEATHS:
                self._hand_on(describe_exit(exitcode, "The process that watches training runs"))
            pause = _BACK_OFF[min(len(deaths), len(_BACK_OFF)) - 1]
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, pause)
                if self._stopping:
                    return

    def _serve(self, again: bool) -> int | None:
        """Start a process and read from it until it ends; return its exit code."""
        context = multiprocessing.get_context("spawn")
        connection, child = context.Pipe()
        process = context.Process(
            target=watch_main, args=(child,), name="latentlab-runs", daemon=True
        )
        with connection:
            with child, self._changed:
                if self._stopping:
                    return None
                try:
                    start_process(process)
                except OSError:
                    _log.exception("the process that watches runs cannot be started")
                    return None
                self._process, self._connection, self._unsent = process, connection, True
                self._changed.notify_all()
            self._read(connection, again)
            with self._changed:
                self._process = self._connection = None
                process.kill()
        process.join(_END_SECONDS)
        exitcode = process.exitcode
        # One that hangs in a dead share ends when the share answers.
        with contextlib.suppress(ValueError):
            process.close()
        return exitcode

    def _read(self, connection: Connection, again: bool) -> None:
        while True:
            try:
                message = receive(connection)
            except (EOFError, OSError):
                return
            if message.error is not None:
                _log.error("what the watching process told cannot be read: %s", message.error)
                continue
            if again:
                again = False
                self._hand_on(None)
            self._hand_on(message.value)

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopping or (self._unsent and self._connection is not None)
                )
                if self._stopping:
                    return
                connection, wishes, self._unsent = self._connection, self._wishes, False
            if connection is not None:
                # The process is gone: the next one is sent the wishes anew.
                with contextlib.suppress(OSError, ValueError):
                    send(connection, ("wishes",), 0, wishes)

    def _hand_on(self, news: News) -> None:
        if self._stopping:
            return
        try:
            self._on_news(news)
        except Exception:
            # The reader must live: without it nothing would ever be told again.
            _log.exception("news of a run could not be taken")
