"""The jobs that make frames: one at a time, the newest wish first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.requests import Failure
from latentlab.ui.denoise_frames import RunFrames
from latentlab.ui.denoise_tree import source_title

PATIENCE_MS = 400
"""What is made while a slider is dragged goes on so long before a newer wish ends it: otherwise
nothing would ever be seen."""


@dataclass(eq=False)
class _Work:
    run: RunFrames
    paths: tuple[str, ...]
    job: Any = None
    superseded: bool = False
    frames: int = 0
    begun: float = field(default_factory=time.monotonic)

    @property
    def patience(self) -> int:
        """Milliseconds that it may still go on when it is superseded."""
        return round(PATIENCE_MS - 1000 * (time.monotonic() - self.begun))


class RunWork(QObject):
    """What is on its way. While something else still ends, a new wish waits, and the newest wins.

    Args:
        controller: of the window.

    ``paces`` are seconds a step, by model.

    Signals:
        arrived: a ``RunFrames`` and its new frames.
        ended: the ``RunFrames``, the paths, and a ``DenoisingResult``, a ``Failure``, or ``None``
            when it was cancelled.
        progressed: the job went on.
    """

    arrived = Signal(object, object)
    ended = Signal(object, object, object)
    progressed = Signal()

    def __init__(self, controller: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._works: list[_Work] = []
        self.superseded = False
        self.paces: dict[str, float] = {}
        self._patience = QTimer(self, singleShot=True)
        self._patience.timeout.connect(self._lose_patience)
        self._gone = QTimer(self, singleShot=True, interval=0)
        self._gone.timeout.connect(self._sweep)
        controller.job_changed.connect(self._look)

    @property
    def waits(self) -> bool:
        """Whether something that nobody wants any more is still to end."""
        return any(work.superseded for work in self._works)

    @property
    def job(self) -> Any:
        """The newest job, as the status bar shows it, or ``None``."""
        return self._works[-1].job if self._works else None

    def busy_with(self, run: RunFrames) -> bool:
        """Whether frames of a run are on their way."""
        return any(work.run is run and not work.superseded for work in self._works)

    def makes(self, run: RunFrames, path: str) -> bool:
        """Whether a path is being made."""
        return any(
            work.run is run and path in work.paths and not work.superseded for work in self._works
        )

    def start(self, run: RunFrames, base: Picture, paths: Sequence[str]) -> bool:
        """Make paths of a run; return false while something else is still to end."""
        if self.waits:
            return False
        work = _Work(run, tuple(paths))
        controller = self._controller
        self._works.append(work)
        try:
            arguments = {
                "picture": base,
                "stored": controller.store.latents(base),
                "directions": controller.own_directions(base),
                "paths": work.paths,
            }
        except LatentLabError as error:
            self._end(work, Failure(error.message, error.details))
            return True
        work.job = controller.run_job(
            "denoise",
            f"Denoising {source_title(base)}",
            arguments,
            on_value=lambda value: self._end(work, value),
            on_failure=lambda failure: self._end(work, failure),
            on_progress=lambda frames: self._arrive(work, frames),
        )
        return True

    def leave(self, run: RunFrames | None, gently: bool = False) -> None:
        """Give up work on other runs; ``gently``, once something of it was seen."""
        for work in self._works:
            if work.run is run or (work.superseded and gently):
                continue
            work.superseded = True
            if gently:
                self._lose_patience()
            else:
                self._cancel(work)

    def _lose_patience(self) -> None:
        """End what is superseded, has had its time, and has shown something."""
        waiting = [one for one in self._works if one.superseded]
        for work in waiting:
            if work.frames and work.patience <= 0:
                self._cancel(work)
            elif work.frames:
                self._patience.start(max(1, work.patience))

    def cancel(self) -> None:
        """Stop, because a person asks for it."""
        for work in self._works:
            self._cancel(work)

    def _cancel(self, work: _Work) -> None:
        if work.job is not None and not work.job.cancelling:
            self._controller.cancel(work.job)

    def _arrive(self, work: _Work, frames: Any) -> None:
        if work in self._works and frames:
            work.frames += len(frames)
            self.arrived.emit(work.run, tuple(frames))
            if work.superseded:
                self._lose_patience()

    def _end(self, work: _Work, end: Any) -> None:
        if work in self._works:
            self._works.remove(work)
            pace = getattr(end, "seconds_per_step", None)
            if pace is not None:
                # The best that was seen: what else the machine does now is not the run's cost.
                name = work.run.picture.model
                self.paces[name] = min(pace, self.paces.get(name, pace))
            self.superseded = work.superseded
            self.ended.emit(work.run, work.paths, end)

    def _look(self) -> None:
        """A job that was cancelled ends without a word: look when everybody has been told."""
        running = self._controller.jobs
        if any(work.job is not None and work.job not in running for work in self._works):
            self._gone.start()
        if self._works:
            self.progressed.emit()

    def _sweep(self) -> None:
        running = self._controller.jobs
        for work in [one for one in self._works if one.job is not None]:
            if work.job not in running:
                self._end(work, None)
