"""How far a page's job is, and its Cancel; or why it failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from latentlab.core.requests import Failure
from latentlab.ui.map_jobs import NewestJobs
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.notes import ErrorNote

_PATIENCE_MS = 150


class JobLine(QWidget):
    """Runs jobs for a page, one of a kind at a time; shows progress where the result will be.

    Args:
        controller: of the window.

    Signals:
        changed: a job began or ended.
    """

    changed = Signal()

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._jobs = NewestJobs(controller, self)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(6)
        self._bar.setAccessibleName("Progress")
        self._said = ElidedLabel()
        self._cancel = QPushButton("&Cancel")
        self._cancel.setAccessibleName("Cancel")
        self._cancel.clicked.connect(lambda: self.stop())
        self._error = ErrorNote()
        self._error.hide()
        line = QHBoxLayout()
        line.addWidget(self._said, 1)
        line.addWidget(self._cancel)
        self._progress = QWidget()
        column = QVBoxLayout(self._progress)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(line)
        column.addWidget(self._bar)
        self._progress.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._progress)
        layout.addWidget(self._error)
        self._patience = QTimer(self, singleShot=True, interval=_PATIENCE_MS)
        self._patience.timeout.connect(self._follow)
        self._jobs.changed.connect(self._moved)
        controller.job_changed.connect(self._follow)

    @property
    def running(self) -> bool:
        """Whether something runs."""
        return bool(self._jobs.running)

    def runs(self, kind: str) -> bool:
        """Whether a job of this kind runs."""
        return self._jobs.runs(kind)

    @property
    def failure(self) -> Failure | None:
        """What is said of the last job, if it failed."""
        return None if self._error.isHidden() else self._error.failure

    def run(
        self,
        kind: str,
        title: str,
        arguments: Mapping[str, Any],
        on_value: Callable[[Any], None],
        on_failure: Callable[[Failure], None] | None = None,
    ) -> None:
        """Start a job in place of the one of its kind that runs."""
        self.forget()
        failed = self.fail if on_failure is None else on_failure
        self._jobs.run(kind, title, arguments, on_value, failed)

    def stop(self, kind: str | None = None) -> None:
        """Cancel the job of a kind, or all."""
        self._jobs.stop(kind)

    def fail(self, failure: Failure) -> None:
        """Say why there is no result."""
        self._error.show_failure(failure)

    def forget(self) -> None:
        """Take the sentence away."""
        self._error.hide()

    def _moved(self) -> None:
        if self.running and self._progress.isHidden():
            self._patience.start()
        else:
            self._follow()
        self.changed.emit()

    def _follow(self) -> None:
        running = self._jobs.running
        if not running:
            self._patience.stop()
            self._progress.hide()
            return
        if self._patience.isActive():
            return
        job = running[-1]
        self._bar.setRange(0, max(0, job.total))
        self._bar.setValue(job.done)
        said = job.message or job.title
        counted = f" {job.done:,} of {job.total:,}" if job.total > 2 else ""
        self._said.setText(f"{said[:1].upper()}{said[1:]}{counted}")
        self._progress.show()
