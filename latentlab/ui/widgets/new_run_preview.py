"""The data of a new run as the network will get it: images, numbers, labels, damaged files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.requests import Failure
from latentlab.services.data_preview import DataPreview, LabelSummary
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.new_run_grid import PreviewGrid
from latentlab.ui.widgets.notes import ErrorNote

KIND = "preview_data"
COUNT = 24
WAIT_MS = 400
_SHOWN_CLASSES = 12


def label_words(label: LabelSummary) -> str:
    """Return a label in a line: its kind and what there is of it."""
    if label.kind == "continuous":
        span = "" if label.low is None else f", {label.low:.3g} to {label.high:.3g}"
        return f"{label.name}: continuous{span} ({label.known:,} images)"
    named = [f"{name} {count:,}" for name, count in label.classes[:_SHOWN_CLASSES]]
    more = label.num_classes - len(named)
    if more > 0:
        named.append(f"and {more:,} more")
    kind = "yes or no" if label.kind == "binary" else f"{label.num_classes:,} classes"
    return f"{label.name}: {kind} ({', '.join(named)})"


def shape_words(images: NDArray[np.uint8]) -> str:
    """Return size and colour of images, uint8 ``(k, H, W, C)``."""
    _, height, width, channels = images.shape
    return f"{width} × {height} pixels, {'colour' if channels == 3 else 'grey'}"


def _words() -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    label.hide()
    return label


class NewRunPreview(QWidget):
    """Asks the worker for a preview whenever the data settings change, and shows it.

    Args:
        controller: of the window.

    Signals:
        arrived: a ``DataPreview`` of the settings that are wanted now.
        failed: a ``Failure`` about these.
        changed: it began or stopped looking.
    """

    arrived = Signal(object)
    failed = Signal(object)
    changed = Signal()

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Preview of the data")
        self._controller = controller
        self._wanted: tuple[dict[str, Any], int] | None = None
        self._job: Any = None
        self._mark: object = None
        self.preview: DataPreview | None = None
        self.grid = PreviewGrid()
        self.error = ErrorNote()
        self.error.hide()
        self.facts, self.warning, self.damaged = _words(), _words(), _words()
        self.details = QPlainTextEdit()
        self.details.setReadOnly(True)
        self.details.setMaximumHeight(150)
        self.details.hide()
        self.labels_button = self._toggle("La&bels", "The labels of the data and their classes")
        self.skipped_button = self._toggle("Damage&d files", "Files that are left out, and why")
        self.check_button = QPushButton("Chec&k all files")
        self.check_button.setToolTip(
            "Decode every file now. Training then finds them decoded and starts at once."
        )
        self.check_button.clicked.connect(lambda: self._begin(check=True))
        self.again_button = QPushButton("Look a&gain")
        self.again_button.clicked.connect(lambda: self._begin())
        self._progress = self._make_progress()
        self._lay_out()
        self._soon = QTimer(self, singleShot=True, interval=WAIT_MS)
        self._soon.timeout.connect(self._begin)
        controller.job_changed.connect(self._follow_job)

    def _toggle(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setCheckable(True)
        button.setToolTip(tip)
        button.clicked.connect(lambda on, button=button: self._show_details(button, on))
        return button

    def _make_progress(self) -> QWidget:
        box = QWidget()
        self._said = ElidedLabel()
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop looking at the data")
        self.cancel_button.setAccessibleName("Cancel the preview")
        self.cancel_button.clicked.connect(lambda: self.stop())
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(6)
        self._bar.setAccessibleName("Progress of the preview")
        column = QVBoxLayout(box)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        row = QHBoxLayout()
        row.addWidget(self._said, 1)
        row.addWidget(self.cancel_button)
        column.addLayout(row)
        column.addWidget(self._bar)
        box.hide()
        return box

    def _lay_out(self) -> None:
        buttons = QWidget()
        flow = FlowLayout(buttons, spacing=6)
        flow.setContentsMargins(0, 0, 0, 0)
        for button in (
            self.labels_button,
            self.skipped_button,
            self.check_button,
            self.again_button,
        ):
            flow.addWidget(button)
            button.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for part in (self.grid, self.error, self._progress, self.facts, self.warning):
            layout.addWidget(part)
        for part in (self.damaged, buttons, self.details):
            layout.addWidget(part)

    # What is wanted.

    def want(self, data: dict[str, Any] | None, seed: int) -> None:
        """Show these data settings after a short while; ``None`` shows nothing."""
        wanted = None if data is None else (data, seed)
        if wanted == self._wanted:
            return
        self._wanted = wanted
        self._stop_job()
        self._set_stale(True)
        if wanted is None:
            self._soon.stop()
        else:
            self._soon.start()

    def _set_stale(self, stale: bool) -> None:
        """Grey what no longer answers to the settings."""
        self.grid.set_stale(stale)
        for part in (self.facts, self.warning, self.damaged):
            part.setEnabled(not stale)

    @property
    def looking(self) -> bool:
        """Whether a preview is on its way."""
        return self._job is not None or self._soon.isActive()

    def stop(self) -> None:
        """Stop looking; what is shown stays."""
        self._soon.stop()
        self._stop_job()
        self.again_button.setVisible(self.grid.stale)

    def _stop_job(self) -> None:
        job, self._job, self._mark = self._job, None, None
        if job is not None and job in self._controller.jobs:
            self._controller.cancel(job)
        self._progress.hide()
        self.changed.emit()

    def _begin(self, check: bool = False) -> None:
        self._stop_job()
        self.again_button.hide()
        if self._wanted is None:
            return
        data, seed = self._wanted
        mark = self._mark = object()

        def mine(take):
            return lambda value: take(value) if self._mark is mark else None

        arguments = {"data": data, "count": COUNT, "seed": seed, "check": check}
        job = self._controller.run_job(
            KIND,
            "Looking at the data",
            arguments,
            mine(self._take),
            on_failure=mine(self._fail),
            on_progress=mine(self._show),
        )
        # It may be over already.
        self._job = job if job in self._controller.jobs else None
        self._follow_job()
        self.changed.emit()

    def _follow_job(self) -> None:
        job = self._job
        if job is None:
            return
        if job not in self._controller.jobs:
            # Its value comes next, or it was cancelled elsewhere.
            self._job = None
            self._progress.hide()
            self.again_button.setVisible(self.grid.stale)
            self.changed.emit()
            return
        self._bar.setRange(0, max(0, job.total) if job.total > 2 else 0)
        self._bar.setValue(job.done)
        said = job.message or job.title
        counted = f" {job.done:,} of {job.total:,}" if job.total > 2 else ""
        self._said.setText(f"{said[:1].upper()}{said[1:]}{counted}")
        self._progress.show()

    # What comes.

    def _take(self, preview: DataPreview) -> None:
        self._show(preview)
        self.again_button.hide()
        self.changed.emit()

    def _fail(self, failure: Failure) -> None:
        self._progress.hide()
        self.preview = None
        for part in (self.grid, self.facts, self.warning, self.damaged, self.details):
            part.hide()
        for button in (self.labels_button, self.skipped_button, self.check_button):
            button.hide()
        self.error.show_failure(failure)
        self.again_button.show()
        self.failed.emit(failure)
        self.changed.emit()

    def _show(self, preview: DataPreview) -> None:
        self.preview = preview
        self.error.hide()
        names = [
            f"Training image {index:,}{', mirrored' if flipped else ''}"
            for index, flipped in zip(preview.indices, preview.flipped)
        ]
        self.grid.show_images(preview.images, names)
        self._set_stale(False)
        self.grid.show()
        self.facts.setText(
            f"{preview.num_training:,} images to train on, {preview.num_held_out:,} held out; "
            f"{shape_words(preview.images)}. These are the first of the run, as the network "
            "gets them."
        )
        self.facts.show()
        self.warning.setText(f"⚠ {preview.warning}")
        self.warning.setVisible(bool(preview.warning))
        self._show_damaged(preview)
        count = len(preview.labels)
        self.labels_button.setText(f"La&bels ({count})")
        self.labels_button.setVisible(count > 0)
        for button in (self.labels_button, self.skipped_button):
            if button.isChecked():
                self._show_details(button, not button.isHidden())
        self.arrived.emit(preview)

    def _show_damaged(self, preview: DataPreview) -> None:
        count = preview.num_skipped
        files = "file" if count == 1 else "files"
        said = f"⚠ {count:,} {files} cannot be read and will be left out. " if count else ""
        if not preview.complete and count:
            said += f"{preview.checked:,} of {preview.num_files:,} were checked."
        elif not preview.complete:
            said = f"{preview.checked:,} of {preview.num_files:,} files were checked for damage."
        self.damaged.setText(said.strip())
        self.damaged.setVisible(bool(said))
        self.skipped_button.setText(f"Damage&d files ({count:,})")
        self.skipped_button.setVisible(count > 0)
        self.check_button.setVisible(not preview.complete)

    def _show_details(self, button: QPushButton, on: bool) -> None:
        """Show labels or damaged files, one of them at a time."""
        other = self.skipped_button if button is self.labels_button else self.labels_button
        if on:
            other.setChecked(False)
        if on and self.preview is not None:
            labels = button is self.labels_button
            self.details.setAccessibleName("Labels" if labels else "Damaged files")
            self.details.setPlainText(
                "\n".join(map(label_words, self.preview.labels))
                if labels
                else "\n".join(f"{one.name}: {one.reason}" for one in self.preview.skipped)
            )
        self.details.setVisible(on)
