"""A line above the canvas: which step of which run is shown, and whether newer ones follow."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from latentlab.core.run_status import ACTIVE
from latentlab.services.run_models import RunLook
from latentlab.ui.icons import icon


def minutes_text(minutes: float) -> str:
    """Return a time to wait: ``30 seconds``, ``a minute``, ``3 minutes``."""
    if minutes < 0.95:
        return f"{max(1, round(60 * minutes))} seconds"
    return "a minute" if minutes < 1.5 else f"{minutes:.3g} minutes"


def waiting_text(name: str, look: RunLook) -> str:
    """Return when the first weights of a run can be seen."""
    if look.state not in ACTIVE:
        return f"{name} left no checkpoint before it ended: resume it to explore it."
    if look.state == "paused":
        return f"{name} has no checkpoint yet and is paused: continue it."
    if not look.checkpoint_minutes:
        return f"{name} writes its first checkpoint when it stops or ends; it opens by itself."
    wait = minutes_text(look.checkpoint_minutes)
    return f"{name} has no checkpoint yet; the first comes within {wait} and opens by itself."


def following_text(name: str, step: int, look: RunLook | None) -> str:
    """Return which step is shown, and where the run is."""
    said = f"{name}, step {step:,}"
    if look is None:
        return said
    total = f" of {look.total_steps:,}" if look.total_steps else ""
    if look.state == "measuring":
        return f"{said}{total}. The finished model opens as soon as it is measured."
    if look.state not in ACTIVE:
        ended = {"failed": "failed", "interrupted": "was interrupted"}.get(look.state, "stopped")
        return f"{said}{total}. The run {ended}."
    if look.state == "paused":
        return f"{said}{total}. The run is paused."
    if look.step > step:
        return f"{said}. The run is at step {look.step:,}{total}."
    return f"{said}{total}"


class LiveBar(QFrame):
    """Shown while a run is followed, or while the model on the canvas is one of its checkpoints.

    Args:
        controller: of the window.
    """

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.setAutoFillBackground(True)
        self.setBackgroundRole(self.backgroundRole().AlternateBase)
        self._sign = QLabel()
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setToolTip("Newer weights of the run open by themselves, in every panel")
        self.button = QPushButton()
        self.button.clicked.connect(self._press)
        line = QHBoxLayout(self)
        line.setContentsMargins(8, 4, 8, 4)
        line.setSpacing(8)
        line.addWidget(self._sign)
        line.addWidget(self.text, 1)
        line.addWidget(self.button)
        self.recolour()
        for signal in (
            controller.exploring_changed,
            controller.run_looked,
            controller.model_changed,
            controller.model_reloaded,
        ):
            signal.connect(self._follow)
        self._follow()

    def recolour(self) -> None:
        """Draw the icon anew, for another palette."""
        self._sign.setPixmap(icon("explore", self.palette()).pixmap(16, 16))

    def _follow(self, *_: object) -> None:
        controller, entry = self._controller, self._controller.model_entry
        run, look = controller.exploring, controller.run_look
        shown = controller.explored_entry
        if run is None:
            stays = entry is not None and entry.step is not None
            self.setVisible(stays)
            if stays:
                text = f"{entry.run.name}, step {entry.step:,}, stays as it is."
                self._say(text, "&Follow again", "Open newer weights of this run as they come")
            return
        if shown is not None and shown.step is not None:
            text = following_text(run.name, shown.step, look)
        elif look is not None and shown is None:
            text = waiting_text(run.name, look)
        else:
            text = f"Looking for the newest weights of {run.name}…"
        here = shown is not None and entry is not None and entry.id == shown.id
        if shown is not None and not here:
            text += " Another model is on the canvas."
        self._say(text, "&Stop following", "Stay at the weights that are here")
        self.show()

    def _say(self, text: str, button: str, tip: str) -> None:
        self.text.setText(text)
        self.setAccessibleName(text)
        self.button.setText(button)
        self.button.setToolTip(tip)

    def _press(self) -> None:
        controller = self._controller
        if controller.exploring is not None:
            controller.stop_exploring()
        elif controller.model_entry is not None and controller.model_entry.run is not None:
            controller.explore_run(controller.model_entry.run)
