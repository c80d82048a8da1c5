"""Opens a run in the Train panel, and watches the window's heartbeat and what is painted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, Qt, QTimer, Signal
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication

from latentlab.services.bench.events import OTHER

PANEL = "train"
_BEAT_MS = 4
_QUIET_MS = 2500
_FRAMES = 60
_SHORT_STEPS = 2000
_PIXELS = 1500
_NONE, _LEFT = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton


class Hand:
    """Sends a chart what a hand does, and takes the time until all charts are painted."""

    def __init__(self, charts: Callable[[], Iterable[Any]]) -> None:
        self._charts = charts

    def _paint(self) -> None:
        for chart in self._charts():
            if not chart.visibleRegion().isEmpty():
                chart.repaint()

    def _frames(self, steps: Iterable[Callable[[], None]]) -> list[float]:
        taken = []
        for step in steps:
            begin = time.perf_counter()
            step()
            self._paint()
            taken.append(1e3 * (time.perf_counter() - begin))
        return taken

    def paints(self, count: int) -> list[float]:
        """Return the milliseconds of paints with fresh numbers."""
        charts = list(self._charts())
        return self._frames([lambda: [c.invalidate() for c in charts]] * count)

    def pan(self, chart: Any, frames: int) -> list[float]:
        """Move the view left and right with the middle button."""
        middle = QPointF(chart.rect().center())
        places = [
            middle + QPointF(60 * np.sin(angle), 0) for angle in np.linspace(0, 6.283, frames + 1)
        ]
        self._mouse(chart, QEvent.Type.MouseButtonPress, places[0])
        move = QEvent.Type.MouseMove
        taken = self._frames(lambda p=p: self._mouse(chart, move, p) for p in places[1:])
        self._mouse(chart, QEvent.Type.MouseButtonRelease, places[-1])
        return taken

    def _mouse(self, chart: Any, kind: QEvent.Type, place: QPointF) -> None:
        button = Qt.MouseButton.MiddleButton
        held = _NONE if kind == QEvent.Type.MouseButtonRelease else button
        changed = _NONE if kind == QEvent.Type.MouseMove else button
        none = Qt.KeyboardModifier.NoModifier
        event = QMouseEvent(kind, place, chart.mapToGlobal(place), changed, held, none)
        QApplication.sendEvent(chart, event)

    def zoom(self, chart: Any, frames: int) -> list[float]:
        """Zoom in with the wheel, and out again."""
        place = QPointF(chart.rect().center())
        ways = [120] * (frames // 2) + [-120] * (frames // 2)
        return self._frames(lambda n=n: self._wheel(chart, place, n) for n in ways)

    def _wheel(self, chart: Any, place: QPointF, turn: int) -> None:
        control, phase = Qt.KeyboardModifier.ControlModifier, Qt.ScrollPhase.NoScrollPhase
        at = chart.mapToGlobal(place)
        event = QWheelEvent(place, at, QPoint(), QPoint(0, turn), _NONE, control, phase, False)
        QApplication.sendEvent(chart, event)


class RunsWatcher(QObject):
    """Opens the run cold, closes it, opens it again, and measures the charts when it is read.

    Args:
        window: of the program.
        run_dir: the run.

    Attributes:
        figures: see ``services.bench.events``.
        problem: why the window cannot be measured; empty while it can.

    Signals:
        ended: all is measured, or there is a problem.
    """

    ended = Signal()

    def __init__(self, window: Any, run_dir: Path) -> None:
        super().__init__()
        self.figures: dict[str, Any] = {}
        self.problem = ""
        self._window, self._run = window, run_dir
        self._gaps: list[float] = []
        self._beat_at = self._asked = 0.0
        self._step: Callable[[], None] = lambda: None
        self._beat = QTimer(self)
        self._beat.setTimerType(Qt.TimerType.PreciseTimer)
        self._beat.setInterval(_BEAT_MS)
        self._beat.timeout.connect(self._turn)

    def start(self) -> None:
        """Begin when the window is there and quiet."""
        QTimer.singleShot(_QUIET_MS, self, self._open_cold)

    @property
    def _panel(self) -> Any:
        return self._window.hosts[PANEL].panel

    @property
    def _charts(self) -> dict[str, Any]:
        return self._panel.view.curves.charts

    @property
    def _feed(self) -> Any:
        return self._window.controller.runs

    def _painted(self) -> bool:
        """Whether a curve has been painted: numbers are asked for by the paint alone."""
        chart = self._charts.get("loss")
        return chart is not None and any(len(line.line.x) > 1 for line in chart.state.lines)

    def _turn(self) -> None:
        now = time.perf_counter()
        self._gaps.append(1e3 * (now - self._beat_at))
        self._beat_at = now
        try:
            self._step()
        except Exception as error:
            # An exception in a slot would only be printed: the loop would turn for ever.
            self.problem = f"{type(error).__name__}: {error}"
            self._end()

    def _open_cold(self) -> None:
        self._window.controller.settings.train_view = {"run": str(self._run)}
        self._asked = self._beat_at = time.perf_counter()
        self._step = self._wait_cold
        self._beat.start()
        self._window.hosts[PANEL].parentWidget().raise_()

    def _wait_cold(self) -> None:
        if self._window.hosts[PANEL].panel is not None and self._painted():
            self._note("first_curve_cold_ms")
            self._step = lambda: None
            self._panel.list.open_run(self._run.with_name(OTHER))
            QTimer.singleShot(_QUIET_MS, self, self._open)

    def _open(self) -> None:
        self.figures["memory_before_mb"] = _memory()
        self._gaps.clear()
        self._asked = self._beat_at = time.perf_counter()
        self._step = self._wait_first
        self._panel.list.open_run(self._run)

    def _wait_first(self) -> None:
        if self._painted():
            self._note("first_curve_ms")
            self._step = self._wait_whole

    def _wait_whole(self) -> None:
        curves = self._feed.curves(self._run)
        chart = self._charts.get("loss")
        if curves.complete and chart is not None and chart.state.view[1] >= curves.steps[-1]:
            self.figures["complete_s"] = round(time.perf_counter() - self._asked, 2)
            self._step = lambda: None
            QTimer.singleShot(500, self, self._finish)

    def _note(self, name: str) -> None:
        self.figures[name] = round(1e3 * (time.perf_counter() - self._asked))

    def _finish(self) -> None:
        self._beat.stop()
        try:
            self._measure()
        except Exception as error:
            self.problem = f"{type(error).__name__}: {error}"
            self.figures.clear()
        self._end()

    def _end(self) -> None:
        self._beat.stop()
        self._step = lambda: None
        self.ended.emit()

    def _measure(self) -> None:
        before = self.figures.pop("memory_before_mb")
        curves = self._feed.curves(self._run)
        self.figures |= {
            "gap_max_ms": round(max(self._gaps), 1),
            "gap_p99_ms": round(float(np.percentile(self._gaps, 99)), 1),
            "memory_mb": round(_memory() - before),
            "columns_mb": round(curves.memory_bytes() / 2**20),
            "watcher_memory_mb": round(_memory(self._feed.pid)),
            "charts": sum(not c.visibleRegion().isEmpty() for c in self._charts.values()),
        }
        last = int(curves.steps[-1])
        short = (last / 2, last / 2 + _SHORT_STEPS)
        for name, view in (("whole", (0, last)), ("short", short)):
            self.figures[f"series_{name}_ms"] = _median_of_series(curves, *view)
            self._measure_view(name, view)

    def _measure_view(self, name: str, view: tuple[float, float]) -> None:
        chart = self._charts["loss"]
        hand = Hand(lambda: self._charts.values())
        chart.view_asked.emit(*view)
        self.figures[f"paint_{name}_ms"] = round(statistics.median(hand.paints(10)), 1)
        for kind, taken in (("pan", hand.pan(chart, _FRAMES)), ("zoom", hand.zoom(chart, _FRAMES))):
            median, late = (float(v) for v in np.percentile(taken, (50, 95)))
            self.figures[f"{kind}_{name}_p95_ms"] = round(late, 1)
            self.figures[f"{kind}_{name}_frames_per_s"] = round(1e3 / median, 1)
            chart.view_asked.emit(*view)


def _median_of_series(curves: Any, first: float, last: float) -> float:
    taken = []
    for shift in range(50):
        begin = time.perf_counter()
        curves.series("loss", first + shift, last + shift, _PIXELS)
        taken.append(1e3 * (time.perf_counter() - begin))
    return round(statistics.median(taken), 3)


def _memory(pid: int | None = None) -> float:
    """Return what a process holds, in MiB."""
    return float(psutil.Process(pid).memory_info().rss / 2**20)
