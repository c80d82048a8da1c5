"""The process that watches runs, so that neither slow disks nor long files hold up the window.

Each folder and each watched run has a thread of its own: a share that hangs holds up nothing else.
It ends by itself when the window's process is gone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from latentlab.services.priority import lower_priority
from latentlab.services.run_watch_events import EventsReader
from latentlab.services.run_watch_files import FilesReader, RunsReader
from latentlab.services.run_watch_protocol import RunFiles, Told, Wishes
from latentlab.services.worker_protocol import receive, send

NICENESS = 5
"""Of whoever has told the first: what follows may wait for training, the first look may not."""
_HIDDEN_SECONDS = 10.0
_ACTIVE_SECONDS = 0.5
_IDLE_SECONDS = 3.0
_WHOLE_SECONDS = 3.0
_SHARE = 0.03
"""Of the time at most that looking at folders may take."""
_FILES_SECONDS = 2.0
_log = logging.getLogger(__name__)


class _Outlet:
    """Sends to the window, one message at a time; waits while the window is busy."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def put(self, value: Any) -> None:
        try:
            with self._lock:
                send(self._connection, ("runs",), 0, value)
        except OSError:
            os._exit(0)


class _Watcher:
    """A thread that looks at something until it is ended."""

    def __init__(self, outlet: _Outlet, shared: _Shared) -> None:
        self._outlet, self._shared = outlet, shared
        self._wake = threading.Event()
        self._polite = False
        self.ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def end(self) -> None:
        self.ended = True
        self._wake.set()

    def _step_back(self) -> None:
        """Leave the cores to others from now on."""
        if not self._polite:
            self._polite = True
            self._shared.step_back()

    def _run(self) -> None:
        while not self.ended:
            woken = self._wake.is_set()
            self._wake.clear()
            try:
                rest = self._turn(woken)
            except Exception:
                # The files are anybody's: what one of them makes fail is looked at again, later.
                _log.exception("a run or a folder of runs could not be looked at")
                rest = _HIDDEN_SECONDS
            self._wake.wait(rest)

    def _turn(self, woken: bool) -> float:
        """Look; return the seconds until the next look."""
        raise NotImplementedError


class _Shared:
    """What all threads look at."""

    def __init__(self) -> None:
        self.shown = True
        self.parsing = threading.Lock()
        self._lock = threading.Lock()
        self._lowered = False

    def step_back(self) -> None:
        """Lower the priority of the asking thread; where threads have none, of the process."""
        with self._lock:
            if sys.platform.startswith("linux") or not self._lowered:
                self._lowered = True
                lower_priority(NICENESS)


class _RootWatcher(_Watcher):
    def __init__(self, outlet: _Outlet, shared: _Shared, root: Path) -> None:
        super().__init__(outlet, shared)
        self._root = root
        self._reader = RunsReader(root)
        self._next_whole = 0.0

    def _turn(self, woken: bool) -> float:
        begin = time.monotonic()
        whole = woken or begin >= self._next_whole
        for found in self._reader.poll(whole):
            if self.ended:
                return 0.0
            if found.changed or found.removed or woken or self._next_whole == 0.0:
                self._outlet.put(found)
        self._step_back()
        now = time.monotonic()
        rest = (now - begin) / _SHARE
        if whole:
            # Of a large folder on a slow share the whole is looked at less often.
            self._next_whole = now + max(_WHOLE_SECONDS, rest)
            rest = 0.0
        if not self._shared.shown:
            return max(_HIDDEN_SECONDS, rest)
        active = any(run.active for run in self._reader.runs.values())
        return max(2 * _ACTIVE_SECONDS if active else _WHOLE_SECONDS, rest)


class _RunWatcher(_Watcher):
    def __init__(self, outlet: _Outlet, shared: _Shared, path: Path, ticket: int) -> None:
        super().__init__(outlet, shared)
        self._path, self.ticket = path, ticket
        self._events = EventsReader(path / "events.jsonl")
        self._files = FilesReader(path)
        self._next_files = 0.0
        self._pause = _ACTIVE_SECONDS

    def _turn(self, woken: bool) -> float:
        begin = time.monotonic()
        # Files first: a long events file must not keep the samples from being seen.
        if self._next_files == 0.0:
            self._tell_files()
        moved = self._read()
        if self.ended:
            return 0.0
        if moved or woken or time.monotonic() >= self._next_files:
            self._tell_files()
        if not self._shared.shown:
            return _HIDDEN_SECONDS
        if moved:
            self._pause = _ACTIVE_SECONDS
        else:
            spent = time.monotonic() - begin
            self._pause = max(min(1.2 * self._pause, _IDLE_SECONDS), spent / _SHARE)
        return self._pause

    def _read(self) -> bool:
        moved = False
        pieces = self._events.poll()
        while not self.ended:
            # One long file at a time: the first look at another one comes in between.
            lock = self._shared.parsing if moved else contextlib.nullcontext()
            with lock:
                piece = next(pieces, None)
            if piece is None:
                break
            moved = True
            self._outlet.put(Told(self._path, self.ticket, piece))
            self._step_back()
        pieces.close()
        return moved

    def _tell_files(self) -> None:
        known = not self._events.behind
        files: RunFiles | None = self._files.poll(self._events.merger, known)
        self._next_files = time.monotonic() + _FILES_SECONDS
        if files is not None and not self.ended:
            self._outlet.put(Told(self._path, self.ticket, files))


class _Process:
    """Starts and ends threads as the window wishes."""

    def __init__(self, connection: Connection) -> None:
        self._outlet = _Outlet(connection)
        self._shared = _Shared()
        self._roots: dict[Path, _RootWatcher] = {}
        self._runs: dict[Path, _RunWatcher] = {}
        self._refresh = 0

    def obey(self, wishes: Wishes) -> None:
        """Do what is wished now."""
        everyone = wishes.refresh != self._refresh or (wishes.shown and not self._shared.shown)
        self._refresh, self._shared.shown = wishes.refresh, wishes.shown
        watched = dict(wishes.watched)
        for path in [p for p, w in self._runs.items() if watched.get(p) != w.ticket]:
            self._runs.pop(path).end()
        for root in [r for r in self._roots if r not in wishes.roots]:
            self._roots.pop(root).end()
        if everyone:
            for watcher in [*self._runs.values(), *self._roots.values()]:
                watcher.wake()
        for path, ticket in watched.items():
            if path not in self._runs:
                self._runs[path] = _RunWatcher(self._outlet, self._shared, path, ticket)
                self._runs[path].start()
        for root in wishes.roots:
            if root not in self._roots:
                self._roots[root] = _RootWatcher(self._outlet, self._shared, root)
                self._roots[root].start()


def watch_main(connection: Connection) -> None:
    """Watch until the window is gone: the target of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = _Process(connection)
    while True:
        try:
            message = receive(connection)
        except (EOFError, OSError):
            os._exit(0)
        if isinstance(message.value, Wishes):
            process.obey(message.value)
