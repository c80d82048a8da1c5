"""What a person waits for: the window, the first image, and the image of a moved slider."""

from __future__ import annotations

import json
import statistics
import time
from typing import Any

import psutil
from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QApplication

from latentlab.core.requests import PreviewResult
from latentlab.core.settings import Settings
from latentlab.ui.app import build_window, start_worker

MOVES = 120
_GIVE_UP_MS = 120_000


class Watcher(QObject):
    """Notes when the window and the canvas are painted, and moves a slider when they have been."""

    def __init__(self, window: Any) -> None:
        super().__init__()
        self.window, self.controller = window, window.controller
        self.born = psutil.Process().create_time()
        self.figures: dict[str, Any] = {}
        self.totals: list[float] = []
        self.forwards: list[float] = []
        self._result: PreviewResult | None = None
        self._asked = 0.0
        self._moves = -1
        window.installEventFilter(self)
        self.surface = window.canvas.view
        self.surface.installEventFilter(self)
        self.controller.canvas_rendered.connect(self._rendered)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Look at paints after they are done: the note is made in the next turn of the loop."""
        if event.type() == QEvent.Type.Paint:
            if watched is self.window:
                self._note("window_painted_ms")
            elif self._result is not None:
                QTimer.singleShot(0, self, self._painted)
        return False

    def _note(self, name: str) -> None:
        self.figures.setdefault(name, round((time.time() - self.born) * 1e3))

    def _rendered(self, result: PreviewResult) -> None:
        if result.failure is not None:
            raise RuntimeError(result.failure.message)
        self._result = result

    def _painted(self) -> None:
        result, self._result = self._result, None
        if result is None:
            return
        self._note("first_image_ms")
        if self._moves < 0:
            self._moves = 0
            self.controller.show_row(0)
            return
        if self._asked:
            self.totals.append((time.perf_counter() - self._asked) * 1e3)
            self.forwards.append(result.forward_ms)
        self._moves += 1
        if self._moves > MOVES:
            QApplication.exit()
            return
        name = next(iter(self.controller.directions))
        self._asked = time.perf_counter()
        self.controller.set_edit(name, 0.02 * self._moves, "bench")

    def report(self) -> dict[str, Any]:
        """Return the figures; see ``services.bench.window``."""
        overhead = [total - forward for total, forward in zip(self.totals, self.forwards)]
        medians = {
            "slider_to_paint_ms": self.totals,
            "forward_ms": self.forwards,
            "overhead_ms": overhead,
        }
        return self.figures | {
            name: round(statistics.median(values), 2) for name, values in medians.items()
        }


def main() -> None:
    """Print the figures as one line of JSON."""
    settings = Settings(hint_dismissed=True)
    client, relay = start_worker(settings)
    application = QApplication([])
    window = build_window(settings, client, relay)
    watcher = Watcher(window)
    QTimer.singleShot(_GIVE_UP_MS, application.exit)
    window.show()
    window.start()
    try:
        application.exec()
    finally:
        client.stop()
    if len(watcher.totals) < MOVES:
        raise SystemExit("the window did not come to its end")
    print(json.dumps(watcher.report()))
