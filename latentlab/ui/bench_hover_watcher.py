"""Hovers over points one after another, and notes when each decoded image is painted."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, QTimer
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

from latentlab.core.requests import PreviewResult
from latentlab.ui.bench_flood import Heartbeat
from latentlab.ui.map_pointer import CHANNEL

MOVES = 150
POINTS = 5000
_PAUSE_MS = 25


class HoverWatcher(QObject):
    """Maps prior samples, starts a t-SNE of them, and moves the mouse from point to point.

    Args:
        window: what is watched.

    Attributes:
        problem: why nothing can be measured; empty while it can.
    """

    def __init__(self, window: Any) -> None:
        super().__init__()
        self.window, self.controller = window, window.controller
        self.problem = ""
        self._panel = window.hosts["manifold"].panel
        self._totals: list[float] = []
        self._forwards: list[float] = []
        self._reports = 0
        self._moved = 0.0
        self._forward: float | None = None
        self._job: Any = None
        self._order = np.random.default_rng(0).permutation(POINTS)
        self._heartbeat = Heartbeat(self)
        self._panel.model.points_changed.connect(lambda: QTimer.singleShot(500, self, self._begin))
        self._panel.model.failed.connect(self._failed)
        self._panel.card.installEventFilter(self)
        self.controller.preview_rendered.connect(self._rendered)
        self.controller.canvas_rendered.connect(self._first)
        self.controller.failed.connect(lambda sentence, _details: self._give_up(sentence))

    @property
    def complete(self) -> bool:
        """Whether all moves were measured."""
        return len(self._totals) >= MOVES

    def _first(self, _result: object) -> None:
        self.controller.canvas_rendered.disconnect(self._first)
        self.window.hosts["manifold"].parentWidget().raise_()
        self._panel.model.map_source("prior", count=POINTS)

    def _begin(self) -> None:
        points = self._panel.model.points
        if points is None or len(points) != POINTS or self._job is not None:
            return
        arguments = {
            "path": str(self._panel.model.path),
            "method": "tsne",
            "settings": {"seed": 1234},
        }
        self._job = self.controller.run_job(
            "map_layout", "t-SNE", arguments, self._over, on_failure=self._failed
        )
        self.controller.job_changed.connect(self._told)
        QTimer.singleShot(1500, self, self._start)

    def _told(self) -> None:
        self._reports += 1

    def _over(self, _layout: object) -> None:
        if not self.complete:
            self._give_up("the t-SNE ended before the mouse had moved enough")

    def _failed(self, failure: Any) -> None:
        if failure is not None:
            self._give_up(failure.message)

    def _give_up(self, problem: str) -> None:
        # An exception in a slot would only be printed: the loop would turn for ever.
        self.problem = problem
        QApplication.exit()

    def _start(self) -> None:
        self._reports = 0
        self._heartbeat.start()
        self._move()

    def _move(self) -> None:
        """Put the cursor on the next point."""
        if self.complete:
            self._heartbeat.stop()
            self.controller.cancel(self._job)
            QApplication.exit()
            return
        point = int(self._order[len(self._totals)])
        point_map = self._panel.map
        at = point_map.to_pixels(*self._panel.model.placed.coordinates[point])
        none = Qt.MouseButton.NoButton
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            QPointF(at),
            point_map.mapToGlobal(QPointF(at)),
            none,
            none,
            Qt.KeyboardModifier.NoModifier,
        )
        self._forward = None
        self._moved = time.perf_counter()
        QApplication.sendEvent(point_map, event)

    def _rendered(self, result: PreviewResult) -> None:
        if result.channel == CHANNEL and self._moved:
            self._forward = result.forward_ms

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Look at paints of the card after they are done: in the next turn of the loop."""
        if event.type() == QEvent.Type.Paint and self._forward is not None:
            QTimer.singleShot(0, self, self._painted)
        return super().eventFilter(watched, event)

    def _painted(self) -> None:
        if self._forward is None:
            return
        self._totals.append((time.perf_counter() - self._moved) * 1e3)
        self._forwards.append(self._forward)
        self._forward = None
        QTimer.singleShot(_PAUSE_MS, self, self._move)

    def report(self) -> dict[str, Any]:
        """Return the figures; see ``services.bench.hover``."""
        overhead = [total - forward for total, forward in zip(self._totals, self._forwards)]
        gaps = np.array(self._heartbeat.gaps)
        return {
            "hover_to_paint_ms": round(statistics.median(self._totals), 2),
            "forward_ms": round(statistics.median(self._forwards), 2),
            "overhead_ms": round(statistics.median(overhead), 2),
            "overhead_p95_ms": round(float(np.percentile(overhead, 95)), 2),
            "heartbeat_p99_ms": round(float(np.percentile(gaps, 99)), 2),
            "heartbeat_max_ms": round(float(gaps.max()), 2),
            "moves": len(self._totals),
            "points": POINTS,
            "tsne_reports": self._reports,
        }
