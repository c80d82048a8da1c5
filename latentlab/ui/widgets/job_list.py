"""The jobs that run: the newest in the status bar, all of them in a list above it."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QProgressBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.ui.icons import icon
from latentlab.ui.job_tracker import Job
from latentlab.ui.widgets.elided_label import ElidedLabel

SHOW_AFTER_MS = 150


def time_left(seconds: float) -> str:
    """Return a time as a person says it: ``3 s``, ``2 min``, ``1 h 5 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def describe(job: Job) -> str:
    """Return the line of a job: what, how far, how long still."""
    if job.cancelling:
        return f"{job.title}: cancelling…"
    parts = [job.title]
    if job.total > 1:
        parts.append(f"{job.done}/{job.total}")
    left = job.seconds_left
    if left is not None and job.total > 1 and job.done < job.total:
        parts.append(f"{time_left(left)} left")
    return ", ".join(parts)


class JobRow(QWidget):
    """One job with its progress and Cancel.

    Args:
        controller: of the window.
    """

    def __init__(self, controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.job: Job | None = None
        self.label = ElidedLabel()
        self.label.setMinimumWidth(240)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedSize(96, 10)
        self.cancel = QToolButton()
        self.cancel.setAutoRaise(True)
        self.cancel.setToolTip("Cancel (Esc)")
        self.cancel.clicked.connect(lambda: controller.cancel(self.job))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.label, 1)
        layout.addWidget(self.bar)
        layout.addWidget(self.cancel)
        self.recolour()

    def recolour(self) -> None:
        """Draw the icon anew, for another palette."""
        self.cancel.setIcon(icon("close", self.palette()))

    def follow(self, job: Job) -> None:
        """Show a job."""
        self.job = job
        self.label.setText(describe(job))
        known = job.total > 1
        self.bar.setRange(0, job.total if known else 0)
        if known:
            self.bar.setValue(job.done)
        self.bar.setAccessibleName(f"Progress: {job.title}")
        self.cancel.setAccessibleName(f"Cancel: {job.title}")
        self.cancel.setEnabled(not job.cancelling)


class JobArea(QWidget):
    """The newest job, and a button that lists the others.

    Args:
        controller: of the window.
    """

    def __init__(self, controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Running jobs")
        self._controller = controller
        self.row = JobRow(controller)
        self.more = QToolButton()
        self.more.setToolTip("All running jobs")
        self.more.clicked.connect(self._toggle_list)
        self.list = QFrame(self, Qt.WindowType.Popup)
        self.list.setFrameShape(QFrame.Shape.StyledPanel)
        self.list.setAccessibleName("All running jobs")
        self._rows = QVBoxLayout(self.list)
        self._rows.setContentsMargins(12, 8, 12, 8)
        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(SHOW_AFTER_MS)
        self._delay.timeout.connect(self._reveal)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 0, 0, 0)
        layout.addWidget(self.row, 1)
        layout.addWidget(self.more)
        controller.job_changed.connect(self._follow)
        self.hide()

    def _reveal(self) -> None:
        self.setVisible(bool(self._controller.jobs))

    def _follow(self) -> None:
        jobs = self._controller.jobs
        if not jobs:
            self._delay.stop()
            self.hide()
            self.list.hide()
            return
        # What is over at once never flickers in the status bar.
        if self.isHidden() and not self._delay.isActive():
            self._delay.start()
        self.row.follow(jobs[-1])
        self.more.setText(f"{len(jobs)} jobs")
        self.more.setAccessibleName(f"{len(jobs)} jobs: show all")
        self.more.setVisible(len(jobs) > 1)
        self._follow_list(jobs)

    def _follow_list(self, jobs: list[Job]) -> None:
        while self._rows.count() > len(jobs):
            self._rows.takeAt(self._rows.count() - 1).widget().deleteLater()
        while self._rows.count() < len(jobs):
            self._rows.addWidget(JobRow(self._controller))
        for place, job in enumerate(jobs):
            self._rows.itemAt(place).widget().follow(job)

    def _toggle_list(self) -> None:
        if self.list.isVisible():
            self.list.hide()
            return
        self.list.setMinimumWidth(420)
        self.list.adjustSize()
        corner = self.mapToGlobal(QPoint(0, -self.list.sizeHint().height() - 4))
        self.list.move(corner)
        self.list.show()

    def recolour(self) -> None:
        """Draw the icons anew, for another palette."""
        for row in self.findChildren(JobRow):
            row.recolour()
