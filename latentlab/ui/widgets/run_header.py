"""The head of an open run: what trains on what, how far it is, and what can be done."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from latentlab.core.run_status import RunSummary
from latentlab.ui.icons import icon
from latentlab.ui.map_background import Background
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.run_facts import start_facts
from latentlab.ui.widgets.run_text import (
    STATE_ICONS,
    STATE_WORDS,
    duration,
    family_name,
    figure,
    megabytes,
    parameters,
    state_sentence,
    steps_text,
)


class RunHeader(QWidget):
    """State in a sentence; then what it is, and its pace.

    Args:
        controller: of the window.

    Signals:
        facts_came: more is known of some runs: see ``facts_of``.
    """

    facts_came = Signal()

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("The open run")
        self._controller = controller
        self._run: RunSummary | None = None
        self.asked = ""
        self._facts: dict[Path, Mapping[str, Any]] = {}
        self._reading = Background(self)
        self.sign = QLabel()
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.sentence.setTextFormat(Qt.TextFormat.PlainText)
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.sentence.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.facts = QLabel()
        self.facts.setWordWrap(True)
        self.facts.setTextFormat(Qt.TextFormat.PlainText)
        self.facts.setFont(small_font(self.font()))
        self.facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.facts.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.sign, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.sentence, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self.facts)

    def show_run(self, run: RunSummary | None, asked: str = "") -> None:
        """Show how a run stands; ``asked`` is what was asked of it and not yet done."""
        self._run, self.asked = run, asked
        if run is None:
            return
        self.sign.setPixmap(icon(STATE_ICONS[run.state], self.palette()).pixmap(16, 16))
        sentence = state_sentence(run, asked)
        self.sentence.setText(sentence)
        # The list says that a run trains: room for the curves.
        plain = run.state == "training" and sentence == STATE_WORDS["training"]
        self.sentence.setVisible(not plain)
        self.sign.setVisible(not plain)
        self._say()
        self.want_facts([run])

    def want_facts(self, runs: Sequence[RunSummary]) -> None:
        """Read what these runs said when they started, where it is not known yet."""
        paths = tuple(
            run.path
            for run in runs
            # A run that has just begun may not have said it yet: look again.
            if run.path not in self._facts or (run.active and not self._facts[run.path])
        )
        if not paths or self._reading.title:
            return
        self._reading.run(
            lambda: {path: start_facts(path) for path in paths},
            self._take,
            lambda _failure: None,
            much=True,
            title="reading",
        )

    def _take(self, facts: Mapping[Path, Mapping[str, Any]]) -> None:
        self._facts.update(facts)
        self._say()
        self.facts_came.emit()

    def _say(self) -> None:
        if self._run is not None:
            facts = self._facts.get(self._run.path, {})
            curves = self._controller.runs.curves(self._run.path)
            parts = [*what_parts(self._run, facts), *pace_parts(self._run, curves)]
            # Lines break between facts, not inside them.
            self.facts.setText(
                " · ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts)
            )
            self.facts.setAccessibleName(", ".join(parts))

    def facts_of(self, path: Path) -> Mapping[str, Any]:
        """Return what is known of the start of a run."""
        return self._facts.get(path, {})


def what_parts(run: RunSummary, facts: Mapping[str, Any]) -> list[str]:
    """Return family, size, data, device and processes."""
    status = run.status
    parts = []
    family = status.family or str(facts.get("family", ""))
    if family:
        parts.append(family_name(family))
    if isinstance(count := facts.get("parameters"), int | float):
        parts.append(f"{parameters(count)} parameters")
    source = str(facts.get("data") or "")
    if source:
        images = facts.get("num_images")
        many = f" ({images:,} images)" if isinstance(images, int) else ""
        parts.append(f"{source}{many}")
    device = status.device or str(facts.get("device", ""))
    if device:
        where = device
        if status.processes > 1:
            where += f" × {status.processes} processes"
        if run.active and status.host not in ("", socket.gethostname()):
            where += f" on {status.host}"
        parts.append(where)
    return parts


def pace_parts(run: RunSummary, curves: Any) -> list[str]:
    """Return steps, pace, time left, memory and the wait for data."""
    status = run.status
    parts = [steps_text(status)]
    if status.loss is not None:
        parts.append(f"loss {figure(status.loss)}")
    if run.state == "training":
        if status.images_per_second is not None:
            parts.append(figure(status.images_per_second, "img/s"))
        if status.seconds_left is not None:
            parts.append(f"{duration(status.seconds_left)} left")
    if curves is not None:
        for name, word in (("memory_mb", "memory"), ("device_memory_mb", "device")):
            value = curves.last(name)
            if value is not None:
                parts.append(f"{megabytes(value)} {word}")
        wait = curves.last("data_wait")
        if wait is not None:
            parts.append(f"{100 * wait:.0f} % waiting for data")
    return parts
