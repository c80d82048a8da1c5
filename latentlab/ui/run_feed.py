"""Training runs as the window sees them: found, watched, and read without holding it up."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication

from latentlab.core.errors import LatentLabError
from latentlab.core.requests import Failure
from latentlab.core.run_status import RunSummary
from latentlab.core.settings import Settings
from latentlab.services.run_curves import Curves
from latentlab.services.run_watch import News, RunWatcher
from latentlab.services.run_watch_log import LogBook
from latentlab.services.run_watch_protocol import (
    Checkpoint,
    LogLine,
    Piece,
    RunFiles,
    RunsFound,
    SampleSheet,
    Told,
    Wishes,
)

__all__ = ["Checkpoint", "Curves", "LogLine", "RunFeed", "SampleSheet"]

_log = logging.getLogger(__name__)
TURN_SECONDS = 0.004
"""What one turn of the loop may spend on news."""
_WAITING = 32
_TELL_MS = 100
_PROGRESS_SECONDS = 1.0
_LOOK_MS = 2000


class _Watched:
    """What is known of one run."""

    def __init__(self, ticket: int) -> None:
        self.ticket = ticket
        self.wanted = 1
        self.identity = ""
        self.curves = Curves()
        self.log = LogBook()
        self.files = RunFiles()
        self.progress = 0.0
        self.skipped = 0
        self.told = 0.0

    def take(self, what: Piece | RunFiles) -> bool:
        """Add news; return whether there is more to see than how far reading is."""
        if isinstance(what, RunFiles):
            self.files = what
            return True
        before = self.curves.version
        if what.restart:
            self.log, self.skipped = LogBook(), 0
        self.curves.take(what)
        self.log.add(what.log)
        self.skipped += what.skipped
        self.progress = min(what.offset / what.size, 1.0) if what.size else 1.0
        return self.curves.version != before


class RunFeed(QObject):
    """Finds runs and follows those that are watched; belongs to the window's thread.

    The process that looks starts when the feed is first asked for anything.

    Args:
        settings: their ``run_folders`` are watched beside the person's own runs folder.

    Signals:
        runs_changed: runs came, went or stand otherwise: see ``runs``.
        run_changed: path of a watched run with more to show; at most ten times a second a run,
            and once a second while nothing but ``progress`` and ``log`` move.
        failed: a sentence and its details: runs cannot be watched for now. Said once.
    """

    runs_changed = Signal()
    run_changed = Signal(Path)
    failed = Signal(str, str)
    _arrived = Signal()

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._found: dict[Path, dict[Path, RunSummary]] = {}
        self._listed: list[RunSummary] | None = None
        self._looked: set[Path] = set()
        self._unseen: dict[Path, set[Path]] = {}
        self._watched: dict[Path, _Watched] = {}
        self._tickets = 0
        self._refresh = 0
        self._shown = True
        self._stopped = False
        self._changed: set[Path] = set()
        self._runs_changed = False
        self._room = threading.Condition()
        self._news: deque[News] = deque()
        self._watcher = RunWatcher(self._receive)
        self._arrived.connect(self._take_turn, Qt.ConnectionType.QueuedConnection)
        self._teller = self._timer(_TELL_MS, self._tell, single=True)
        self._looker = self._timer(_LOOK_MS, self._look_around)
        self._started = False

    def _timer(self, milliseconds: int, work: Any, single: bool = False) -> QTimer:
        timer = QTimer(self)
        timer.setInterval(milliseconds)
        timer.setSingleShot(single)
        timer.timeout.connect(work)
        return timer

    # What is known.

    def runs(self) -> list[RunSummary]:
        """Return the runs of all folders, the newest status first."""
        self._start()
        if self._listed is None:
            found: dict[Path, RunSummary] = {}
            for runs in self._found.values():
                found.update(runs)
            self._listed = sorted(found.values(), key=lambda run: -run.status.time)
        return list(self._listed)

    def run(self, path: Path) -> RunSummary | None:
        """Return how one run stands; ``None`` when it is not found (yet)."""
        path = path.absolute()
        return next((runs[path] for runs in self._found.values() if path in runs), None)

    @property
    def looked(self) -> bool:
        """Whether every folder has been looked through once: an empty list is then the truth."""
        return self._looked >= set(self._roots())

    @property
    def pid(self) -> int | None:
        """Id of the process that looks, while there is one."""
        return self._watcher.pid

    def curves(self, path: Path) -> Curves | None:
        """Return the curves of a watched run; the same object as long as it is watched."""
        watched = self._watched.get(path.absolute())
        return watched and watched.curves

    def samples(self, path: Path) -> list[SampleSheet]:
        """Return the sample sheets that are there, ordered by step, attempts merged."""
        watched = self._watched.get(path.absolute())
        return list(watched.files.samples) if watched else []

    def checkpoint(self, path: Path) -> Checkpoint | None:
        """Return the newest whole checkpoint (of a run that kept none, the finished model)."""
        watched = self._watched.get(path.absolute())
        return watched.files.checkpoint if watched else None

    def log(self, path: Path) -> list[LogLine]:
        """Return the last 10,000 lines, and every warning and error of before."""
        watched = self._watched.get(path.absolute())
        return watched.log.lines() if watched else []

    def recipe(self, path: Path) -> str:
        """Return the text of the recipe; empty until it has been read."""
        watched = self._watched.get(path.absolute())
        return watched.files.recipe if watched else ""

    def console(self, path: Path) -> str:
        """Return the end of what the process printed: why a run did not start stands there."""
        watched = self._watched.get(path.absolute())
        return watched.files.console if watched else ""

    def skipped(self, path: Path) -> int:
        """Return how many lines of the events are damaged."""
        watched = self._watched.get(path.absolute())
        return watched.skipped if watched else 0

    def progress(self, path: Path) -> float:
        """Return the share of the events that has been read, 0 to 1."""
        watched = self._watched.get(path.absolute())
        return watched.progress if watched else 0.0

    # What is wanted.

    def watch(self, path: Path) -> None:
        """Read a run and follow it, until ``unwatch`` has been called as often."""
        path = path.absolute()
        if path in self._watched:
            self._watched[path].wanted += 1
            return
        self._tickets += 1
        self._watched[path] = _Watched(self._tickets)
        self._start()
        self._wish()

    def unwatch(self, path: Path) -> None:
        """Follow a run no more; what was read of it is dropped."""
        path = path.absolute()
        watched = self._watched.get(path)
        if watched is None:
            return
        watched.wanted -= 1
        if watched.wanted <= 0:
            del self._watched[path]
            self._changed.discard(path)
            self._wish()

    def add_folder(self, path: Path) -> None:
        """Look for runs in one more folder, from now on.

        Raises:
            LatentLabError: there is no such folder.
        """
        path = path.expanduser().absolute()
        if not path.is_dir():
            raise LatentLabError(f"'{path}' is not a folder: choose one that holds training runs.")
        if path not in self._roots():
            self._settings.run_folders = (*self._settings.run_folders, str(path))
            self._start()
            self._wish()

    def remove_folder(self, path: Path) -> None:
        """Look there no more; nothing in the folder is touched."""
        path = path.expanduser().absolute()
        names = self._settings.run_folders
        self._settings.run_folders = tuple(n for n in names if Path(n).absolute() != path)
        if path not in self._roots() and self._found.pop(path, None) is not None:
            self._note_runs()
        self._wish()

    def refresh(self) -> None:
        """Look at everything now."""
        self._refresh += 1
        self._start()
        self._wish()

    def stop(self) -> None:
        """End the process and wait for it; nothing changes any more."""
        self._stopped = True
        self._teller.stop()
        self._looker.stop()
        with self._room:
            self._news.clear()
            self._room.notify_all()
        self._watcher.stop()

    # Wishes.

    def _roots(self) -> tuple[Path, ...]:
        roots = (root.expanduser().absolute() for root in self._settings.run_roots())
        return tuple(dict.fromkeys(roots))

    def _start(self) -> None:
        if not self._started and not self._stopped:
            self._started = True
            self._looker.start()
            self._wish()

    def _wish(self) -> None:
        if self._started and not self._stopped:
            watched = tuple((path, run.ticket) for path, run in self._watched.items())
            self._watcher.wish(Wishes(self._roots(), watched, self._shown, self._refresh))

    def _look_around(self) -> None:
        """Let the process rest while nobody can see the window."""
        windows = QGuiApplication.topLevelWindows()
        shown = not windows or any(window.isExposed() for window in windows)
        if shown != self._shown:
            self._shown = shown
            self._wish()

    # News.

    def _receive(self, news: News) -> None:
        """Take news on the watcher's thread; wait while the window has enough of them."""
        with self._room:
            self._room.wait_for(lambda: self._stopped or len(self._news) < _WAITING)
            if self._stopped:
                return
            self._news.append(news)
            first = len(self._news) == 1
        if first:
            self._arrived.emit()

    def _take_turn(self) -> None:
        end = time.perf_counter() + TURN_SECONDS
        while self._news and not self._stopped:
            try:
                self._take(self._news[0])
            except Exception:
                # One run's news must not keep those of all others waiting for ever.
                _log.exception("news of a run could not be taken")
            with self._room:
                self._news.popleft()
                more = bool(self._news)
                self._room.notify_all()
            if more and time.perf_counter() >= end:
                # Other events of the window come first.
                self._arrived.emit()
                return

    def _take(self, news: News) -> None:
        if news is None:
            # Another process looks, which does not know what is listed here.
            self._unseen = {root: set(runs) for root, runs in self._found.items()}
        elif isinstance(news, Failure):
            self.failed.emit(news.message, news.details)
        elif isinstance(news, RunsFound):
            self._take_found(news)
        elif isinstance(news, Told):
            watched = self._watched.get(news.path)
            if watched is not None and watched.ticket == news.ticket:
                late = time.monotonic() - watched.told > _PROGRESS_SECONDS
                if watched.take(news.what) or late:
                    self._changed.add(news.path)
                    self._tell_soon()

    def _take_found(self, found: RunsFound) -> None:
        if found.root not in self._roots():
            return
        runs = self._found.setdefault(found.root, {})
        gone = set(found.removed)
        if found.root in self._unseen:
            self._unseen[found.root] -= {run.path for run in found.changed}
            gone |= self._unseen.pop(found.root) if found.whole else set()
        if found.whole:
            self._looked.add(found.root)
        for path in gone:
            runs.pop(path, None)
        runs.update((run.path, run) for run in found.changed)
        self._note_runs()

    def _note_runs(self) -> None:
        self._listed, self._runs_changed = None, True
        self._tell_soon()

    def _tell_soon(self) -> None:
        if not self._teller.isActive() and not self._stopped:
            self._teller.start()

    def _tell(self) -> None:
        changed, self._changed = self._changed, set()
        runs, self._runs_changed = self._runs_changed, False
        if runs:
            self.runs_changed.emit()
        for path in changed:
            if path in self._watched:
                self._watched[path].told = time.monotonic()
                self.run_changed.emit(path)
