"""Asks the worker for newer weights of a training run, again and again, without a word."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from latentlab.core.requests import JobRequest, JobResult
from latentlab.core.run_status import ACTIVE
from latentlab.services.library import RunModel
from latentlab.services.run_models import RunLook

LOOK_MS = 2000
"""Between two looks at a run that trains: a folder is listed, which costs little."""
QUIET_MS = 10_000
"""Likewise, at one that nobody works on."""
_numbers = itertools.count(1)


class RunFollower(QObject):
    """Looks at one run at a time. Files are read by the worker: a folder may be far away.

    Args:
        bridge: to the worker.

    Signals:
        looked: a ``RunLook``, with newer weights where there are some.
        failed: a ``Failure``; looking goes on.
        came_late: a ``RunModel`` that the worker had taken in when following was stopped.
    """

    looked = Signal(object)
    failed = Signal(object)
    came_late = Signal(object)

    def __init__(self, bridge: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self.run: Path | None = None
        self.name = ""
        self._known: tuple[str, int] = ("", -1)
        self._job = ""
        self._leaving: set[str] = set()
        self._again = False
        self._wait_ms = LOOK_MS
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.look)
        bridge.job_finished.connect(self._finish)

    def start(self, run: Path, name: str, known: RunModel | None = None) -> None:
        """Follow a run; what was followed before is followed no more.

        Args:
            run: its folder.
            name: id of its model in the library.
            known: the weights that are here already.
        """
        self.stop()
        self.run, self.name = run, name
        self.take(known)
        self.look()

    def stop(self) -> None:
        """Follow nothing; what the worker has taken in already is told by ``came_late``."""
        if self._job:
            self._leaving.add(self._job)
            self._bridge.cancel(self._job)
        self.run, self._job, self._again = None, "", False
        self._known = ("", -1)
        self._timer.stop()

    def take(self, model: RunModel | None) -> None:
        """Ask only for newer weights than these."""
        if model is not None:
            steps = model.entry.header.spec.provenance.steps if model.entry.header else -1
            step = steps if model.entry.step is None else model.entry.step
            self._known = (str(model.entry.path), step)

    def look(self) -> None:
        """Look now; once more afterwards, if a look is on its way."""
        if self.run is None:
            return
        if self._job:
            self._again = True
            return
        self._again = False
        self._timer.stop()
        self._job = f"look-{next(_numbers)}"
        known, step = self._known
        arguments = {"model": self.name, "run": str(self.run), "known": known, "known_step": step}
        self._bridge.job(JobRequest(self._job, "look_at_run", arguments, f"Reading {self.name}"))

    def _finish(self, result: JobResult) -> None:
        if result.job in self._leaving:
            self._leaving.discard(result.job)
            if isinstance(result.value, RunLook) and result.value.model is not None:
                self.came_late.emit(result.value.model)
            return
        if not self._job or result.job != self._job:
            return
        self._job = ""
        if isinstance(result.value, RunLook):
            look = result.value
            self._wait_ms = LOOK_MS if look.state in ACTIVE else QUIET_MS
            self.take(look.model)
            self.looked.emit(look)
        elif result.failure is not None:
            self._wait_ms = QUIET_MS
            self.failed.emit(result.failure)
        if self.run is not None and not self._job:
            self._timer.start(0 if self._again else self._wait_ms)
