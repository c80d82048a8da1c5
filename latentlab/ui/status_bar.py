"""The status bar: jobs and messages on the left, the machine on the right."""

from __future__ import annotations

import psutil
from PySide6.QtCore import QTimer
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QLabel, QStatusBar, QToolButton, QWidget

from latentlab.services.worker_protocol import WorkerReady
from latentlab.ui.bridge import Bridge
from latentlab.ui.controller import Controller
from latentlab.ui.help import HelpPopup
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.job_list import JobArea

MESSAGE_MS = 8000
_MEMORY_MS = 3000


def megabytes(count: float) -> str:
    """Return bytes as ``310 MB`` or ``1.2 GB``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _resident(pid: int | None) -> int:
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0


class StatusBar(QStatusBar):
    """What happens, and on what.

    Args:
        controller: of the window.
        bridge: to the worker.
    """

    def __init__(
        self, controller: Controller, bridge: Bridge, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName("Status")
        self.setSizeGripEnabled(False)
        self._controller = controller
        self._bridge = bridge
        self._details = ""
        self.jobs = JobArea(controller, self)
        self.message = ElidedLabel()
        self.message.setContentsMargins(8, 0, 0, 0)
        self.details_button = QToolButton()
        self.details_button.setText("Details")
        self.details_button.setAutoRaise(True)
        self.details_button.clicked.connect(self._show_details)
        self.details_button.hide()
        self.device = QLabel("starting…")
        self.device.setToolTip("Where the networks run")
        self.memory = QLabel()
        self.memory.setToolTip("Memory of the window and of the worker")
        self.frame = QLabel()
        self.frame.setToolTip("From the request to the bytes of the last image")
        self.addWidget(self.jobs, 2)
        self.addWidget(self.message, 2)
        self.addWidget(self.details_button)
        for label in (self.device, self.memory, self.frame):
            label.setContentsMargins(4, 0, 8, 0)
            self.addPermanentWidget(label)
        self._fading = QTimer(self)
        self._fading.setSingleShot(True)
        self._fading.timeout.connect(lambda: self.say("", ""))
        self._measuring = QTimer(self)
        self._measuring.timeout.connect(self.measure)
        self._measuring.start(_MEMORY_MS)
        controller.message.connect(self.say)
        controller.canvas_rendered.connect(self._show_frame)
        bridge.worker_changed.connect(self._show_worker)
        self.measure()

    def say(self, sentence: str, details: str = "") -> None:
        """Show a sentence for a while, with its details behind a button."""
        self._details = details
        self.message.setText(sentence)
        self.details_button.setVisible(bool(details))
        if sentence:
            self._fading.start(MESSAGE_MS)

    def _show_details(self) -> None:
        HelpPopup(self.message.text(), self._details, self.window()).show_at(QCursor.pos())

    def measure(self) -> None:
        """Read the memory of both processes."""
        total = _resident(None) + (_resident(pid) if (pid := self._bridge.client.pid) else 0)
        self.memory.setText(megabytes(total))

    def _show_frame(self, _result: object) -> None:
        elapsed = self._controller.last_frame_ms
        if elapsed is not None:
            text = f"{elapsed:.0f} ms" if elapsed < 1000 else f"{elapsed / 1000:.1f} s"
            self.frame.setText(f"last frame {text}")

    def _show_worker(self, event: object) -> None:
        if isinstance(event, WorkerReady) and event.failure is None:
            self.device.setText(event.device)
            self.device.setToolTip(f"Where the networks run; torch {event.torch}")
        else:
            self.device.setText("worker stopped")
        self.measure()
