"""Watches paints: of the window, of the first image, and of the image of each moved slider."""

from __future__ import annotations

import statistics
import time
from typing import Any

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QApplication

from latentlab.core.requests import PreviewResult

MOVES = 120


class Watcher(QObject):
    """Notes when the window and the canvas are painted, and moves a slider when they have been.

    Args:
        window: what is watched.
        born: ``time.time()`` of the program's start.

    Attributes:
        problem: why the window cannot be measured; empty while it can.
    """

    def __init__(self, window: Any, born: float) -> None:
        super().__init__()
        self.window, self.controller = window, window.controller
        self.born = born
        self.problem = ""
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
        self.controller.failed.connect(lambda sentence, _details: self._give_up(sentence))

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
            self._give_up(result.failure.message)
        else:
            self._result = result

    def _give_up(self, problem: str) -> None:
        # An exception in a slot would only be printed: the loop would turn for ever.
        self.problem = problem
        QApplication.exit()

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
        name = next(iter(self.controller.directions), None)
        if name is None:
            self._give_up("The bundled model has no directions: no slider can be moved.")
            return
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
