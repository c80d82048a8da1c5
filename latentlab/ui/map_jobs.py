"""Long work of which only the newest of a kind counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

NEIGHBOURS = 50
"""Points that are looked for."""


class NewestJobs(QObject):
    """Starts jobs; a newer one of the same kind cancels the older one, whose end is not told.

    Args:
        controller: of the window.

    Signals:
        changed: a job began or ended.
        ended: the kind of a job that ended, whatever came of it, after its value was taken.
    """

    changed = Signal()
    ended = Signal(str)

    def __init__(self, controller: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._jobs: dict[str, Any] = {}
        self._marks: dict[str, object] = {}
        controller.job_changed.connect(self._moved)

    @property
    def running(self) -> list[Any]:
        """The jobs that run."""
        return list(self._jobs.values())

    def runs(self, kind: str) -> bool:
        """Whether a job of this kind runs."""
        return kind in self._jobs

    def run(
        self,
        kind: str,
        title: str,
        arguments: Mapping[str, Any],
        found: Callable[[Any], None],
        failed: Callable[[Any], None],
        on_progress: Callable[[Any], None] | None = None,
    ) -> None:
        """Start a job in place of the one of its kind that runs.

        Args:
            kind: of the job.
            title: for the status bar.
            arguments: of the job.
            found: gets its value.
            failed: gets its failure.
            on_progress: gets each partial result.
        """
        self.stop(kind)
        mark = self._marks[kind] = object()

        def wanted(take: Callable[[Any], None]) -> Callable[[Any], None]:
            return lambda value: take(value) if self._marks.get(kind) is mark else None

        job = self._controller.run_job(
            kind,
            title,
            dict(arguments),
            wanted(found),
            on_failure=wanted(failed),
            on_progress=None if on_progress is None else wanted(on_progress),
        )
        if job in self._controller.jobs:
            self._jobs[kind] = job
        self.changed.emit()

    def stop(self, kind: str | None = None) -> None:
        """Cancel the job of a kind, or all."""
        for name in tuple(self._jobs) if kind is None else (kind,):
            self._marks.pop(name, None)
            job = self._jobs.pop(name, None)
            if job is not None and job in self._controller.jobs:
                self._controller.cancel(job)
                self.changed.emit()

    def _moved(self) -> None:
        running = self._controller.jobs
        over = [kind for kind, job in self._jobs.items() if job not in running]
        for kind in over:
            del self._jobs[kind]
        if over:
            self.changed.emit()
            # The tracker tells of the end first and hands the value on then.
            QTimer.singleShot(0, self, lambda: [self.ended.emit(kind) for kind in over])


def ask_neighbours(model: Any, point: int, metric: str) -> None:
    """Look for the points of a ``MapModel`` that are nearest to one; it tells of them."""
    points, path = model.points, model.path
    if points is None:
        return
    count = min(NEIGHBOURS, len(points))
    arguments = {"path": str(path), "point": int(point), "metric": metric, "count": count}
    if model.parts:
        arguments["parts"] = model.parts
    title = "Nearest neighbours" + (" by pixels" if metric == "pixel" else "")

    def found(neighbours: Any) -> None:
        if model.path == path:
            model.neighbours_found.emit(neighbours)

    model.jobs.run("map_neighbours", title, arguments, found, lambda _failure: None)


def skipped_text(names: Sequence[str]) -> tuple[str, str]:
    """Return what is said of images that a map left out, and its details."""
    images = "image was" if len(names) == 1 else "images were"
    return f"{len(names)} {images} left out: they cannot be read", "\n".join(names)
