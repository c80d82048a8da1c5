"""What a new run would take on this device, measured over its first steps."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QElapsedTimer, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.requests import Failure
from latentlab.ui.widgets.tips import plain_tip

WAIT_MS = 600
_POLL_MS = 100
_KEPT = 24
_NONE = "–"
_FIGURES = ("Parameters", "Memory", "Time")
_WHY = (
    "Measured on this device: a few steps of exactly this recipe in a process of its own; nothing "
    "is left on the disk."
)


def count_words(number: float) -> str:
    """Return a large number with two or three significant digits: 850, 12.3 k, 3.4 M."""
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            value = number / size
            return f"{value:.3g}{letter}" if value < 999.5 else f"{value:.0f}{letter}"
    return f"{number:.0f}"


def megabytes_words(number: float) -> str:
    """Return megabytes: 850 MB, 3.4 GB."""
    return f"{number / 1000:.2g} GB" if number >= 995 else f"{max(1, round(number))} MB"


def seconds_words(seconds: float) -> str:
    """Return a time with one or two units: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if hours < 10 and minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def figure_words(found: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return parameters, memory and time of an estimate as they are shown."""
    device = found.get("device_memory_mb")
    memory = megabytes_words(float(found.get("memory_mb") or 0))
    if device:
        memory = f"{megabytes_words(float(device))} on the device, {memory} beside it"
    total = found.get("seconds_total")
    where = {"cpu": "CPU", "cuda": "GPU", "mps": "GPU"}.get(str(found.get("device")), "it")
    time = _NONE if total is None else f"{seconds_words(float(total))} ({where})"
    return count_words(float(found.get("parameters") or 0)), memory, time


def further_words(found: Mapping[str, Any]) -> str:
    """Return what else an estimate says, in a line."""
    steps, pace = int(found.get("total_steps") or 0), float(found.get("seconds_per_step") or 0)
    parts = [f"{steps:,} steps of {pace * 1000:.3g} ms"] if pace < 1 else []
    parts = parts or [f"{steps:,} steps of {pace:.3g} s"]
    parts.append(f"{count_words(float(found.get('images_per_second') or 0))} images/s")
    if (checkpoint := found.get("checkpoint_mb")) is not None:
        parts.append(f"{megabytes_words(float(checkpoint))} a checkpoint")
    if (wait := float(found.get("data_wait") or 0)) >= 0.02:
        parts.append(f"{wait:.0%} of the time waiting for data")
    return ", ".join(parts)


class NewRunEstimate(QWidget):
    """Parameters, memory and time of a recipe; measures it by itself when it stands still.

    One measurement runs at a time in all windows of this process.

    Signals:
        changed: there are other figures, or none.
    """

    changed = Signal()
    _running: weakref.ref[NewRunEstimate] | None = None

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("What the run takes")
        self._text: str | None = None
        self._why_not = ""
        self._process: Any = None
        self._measured = ""
        self._known: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self._clock = QElapsedTimer()
        self.failure: Failure | None = None
        self.figures: Mapping[str, Any] | None = None
        self._values = {name: QLabel(_NONE) for name in _FIGURES}
        self._further, self._note = QLabel(), QLabel()
        self.measure_button = QPushButton("Meas&ure")
        self.measure_button.setToolTip(_WHY)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setAccessibleName("Cancel the measurement")
        self._bar = QProgressBar()
        self._lay_out()
        self._soon = QTimer(self, singleShot=True, interval=WAIT_MS)
        self._soon.timeout.connect(self.measure)
        self._poll = QTimer(self, interval=_POLL_MS)
        self._poll.timeout.connect(self._look)
        self.measure_button.clicked.connect(lambda: self.measure(asked=True))
        self.cancel_button.clicked.connect(lambda: self.cancel())
        self._follow()

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(0)
        for column, (name, value) in enumerate(self._values.items()):
            caption = QLabel(name)
            caption.setForegroundRole(caption.palette().ColorRole.PlaceholderText)
            value.setWordWrap(True)
            value.setAccessibleName(name)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            value.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            grid.addWidget(caption, 0, column)
            grid.addWidget(value, 1, column, Qt.AlignmentFlag.AlignTop)
            grid.setColumnStretch(column, 2 if name == "Memory" else 1)
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(6)
        # How long it takes is not known.
        self._bar.setRange(0, 0)
        self._bar.setAccessibleName("Progress of the measurement")
        for label in (self._further, self._note):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self._further.setForegroundRole(self._further.palette().ColorRole.PlaceholderText)
        row = QHBoxLayout()
        row.addWidget(self._note, 1)
        row.addWidget(self.measure_button, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.cancel_button, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(grid)
        layout.addWidget(self._further)
        layout.addLayout(row)
        layout.addWidget(self._bar)

    # What is wanted.

    def want(self, text: str | None, why_not: str = "") -> None:
        """Take the recipe to measure; ``None`` says that there is none, and why."""
        if text == self._text and why_not == self._why_not:
            return
        self._text, self._why_not = text, why_not
        self.cancel()
        self.failure = None
        if text is not None and text in self._known:
            self._show(text)
        elif text is not None and self.isVisible():
            self._soon.start()
        self._follow()

    @property
    def stale(self) -> bool:
        """Whether the figures are those of another recipe."""
        return self.figures is not None and self._measured != self._text

    @property
    def measuring(self) -> bool:
        """Whether a measurement runs."""
        return self._process is not None

    def measure(self, asked: bool = False) -> None:
        """Begin to measure, unless there is nothing to measure or another form measures.

        Args:
            asked: a person pressed the button.
        """
        if self._text is None or self.measuring or (not asked and not self.isVisible()):
            return
        other = self._running() if self._running is not None else None
        if other is not None and other.measuring:
            if not asked:
                self._soon.start()
                return
            other.cancel()
        from latentlab.services.launcher import EstimateProcess

        self.failure = None
        NewRunEstimate._running = weakref.ref(self)
        self._process = EstimateProcess(self._text)
        self._clock.start()
        self._poll.start()
        self._look()

    def cancel(self) -> None:
        """Stop measuring; the button stays."""
        self._soon.stop()
        self._poll.stop()
        process, self._process = self._process, None
        if process is not None:
            process.cancel()
        self._follow()

    def _look(self) -> None:
        process = self._process
        if process is None:
            return
        found = process.poll()
        if found is None:
            self._follow()
            return
        self._process = None
        self._poll.stop()
        if isinstance(found, Failure):
            self.failure = found
        elif self._text is not None:
            self._known[self._text] = found
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
            self._show(self._text)
        self._follow()
        self.changed.emit()

    def _show(self, text: str) -> None:
        self.figures, self._measured = self._known[text], text
        for label, words in zip(self._values.values(), figure_words(self.figures)):
            label.setText(words)
        self._further.setText(further_words(self.figures))
        self.changed.emit()

    def _follow(self) -> None:
        """Enable, grey and show what fits the state."""
        measuring = self.measuring
        for label in (*self._values.values(), self._further):
            label.setEnabled(self.figures is not None and not self.stale)
        self._further.setVisible(self.figures is not None)
        self.cancel_button.setVisible(measuring)
        self._bar.setVisible(measuring)
        fresh = self.figures is not None and not self.stale
        self.measure_button.setVisible(self._text is not None and not measuring and not fresh)
        said = self._words()
        self._note.setText(said)
        self._note.setVisible(bool(said))
        details = self.failure.details if self.failure is not None else ""
        self._note.setToolTip(plain_tip(details) if said.startswith("⚠") else "")

    def _words(self) -> str:
        """Return what there is to say beside the figures."""
        if self.measuring:
            seconds = self._clock.elapsed() // 1000
            return f"Measuring the first steps on this device, {seconds}\N{NO-BREAK SPACE}s"
        if self._text is None:
            return self._why_not
        if self.failure is not None:
            return f"⚠ {self.failure.message}"
        return "These are figures of other settings." if self.stale else ""

    def showEvent(self, event: QShowEvent) -> None:
        """Measure when it can be seen."""
        super().showEvent(event)
        if self._text is not None and (self.figures is None or self.stale) and not self.failure:
            self._soon.start()

    def hideEvent(self, event: QHideEvent) -> None:
        """A form that is not seen measures nothing."""
        super().hideEvent(event)
        self.cancel()
