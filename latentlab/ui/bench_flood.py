"""The window of the slider-flood benchmark: a slider, a view, and the real road to the worker."""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QSlider, QVBoxLayout, QWidget

from latentlab.core.document import Picture
from latentlab.core.requests import PreviewRequest, PreviewResult
from latentlab.services.worker_client import WorkerClient, WorkerReady, WorkerSettings
from latentlab.ui.bridge import Bridge
from latentlab.ui.relay import EventRelay

EVENTS = 400
_EVENT_SECONDS = 0.01
_HEARTBEAT_MS = 4
_BEFORE_MS = 100
_AFTER_MS = 200
_GIVE_UP_MS = 240_000
_ENGINE = "latentlab.services.bench.convolutions:build"


class Heartbeat(QObject):
    """Gaps between the turns of a 4 ms timer on this thread, in milliseconds."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.gaps: list[float] = []
        self._last = 0.0
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)

    def start(self) -> None:
        """Begin."""
        self._last = time.perf_counter()
        self._timer.start(_HEARTBEAT_MS)

    def stop(self) -> None:
        """End."""
        self._timer.stop()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.gaps.append((now - self._last) * 1e3)
        self._last = now


class FrameView(QWidget):
    """Paints the newest frame and remembers which ones were really painted."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(256, 256)
        self.painted: set[int] = set()
        self._sequence = -1
        self._bytes: NDArray[np.uint8] | None = None
        self._image = QImage()

    def show_frame(self, sequence: int, image: NDArray[np.uint8]) -> None:
        """Show uint8 ``(H, W, 3)``; the bytes are used where they are."""
        height, width, _ = image.shape
        self._sequence, self._bytes = sequence, image
        self._image = QImage(image.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002, D102
        painter = QPainter(self)
        painter.drawImage(self.rect(), self._image)
        painter.end()
        if self._bytes is not None:
            self.painted.add(self._sequence)


class Flood(QWidget):
    """Starts the worker, drags the slider, and waits for the last frame.

    Args:
        settings: of the worker.
    """

    channel = "canvas"

    def __init__(self, settings: WorkerSettings) -> None:
        super().__init__()
        self.setWindowTitle("Slider flood")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(-300, 300)
        self.view = FrameView()
        layout = QVBoxLayout(self)
        layout.addWidget(self.view)
        layout.addWidget(self.slider)
        relay = EventRelay()
        self.bridge = Bridge(WorkerClient(relay, settings), relay, self)
        self.heartbeat = Heartbeat(self)
        self.ready: WorkerReady | None = None
        self.forward_ms: list[float] = []
        self.sequences: list[int] = []
        self.failure = ""
        self._sequence = 0
        self._began = self._first = self._drag_began = self._released = self._settled = 0.0
        self._arrived_before_release = self._beats_before_drag = 0
        self._sent = self._first_sequence = 0
        self._hand = QTimer(self)
        self._hand.setTimerType(Qt.TimerType.PreciseTimer)
        self._hand.timeout.connect(self._move)
        self.slider.valueChanged.connect(self._ask)
        self.bridge.preview_arrived.connect(self._take)
        self.bridge.worker_changed.connect(self._worker_changed)

    def begin(self) -> None:
        """Start the heartbeat, and the worker a little later."""
        self._began = time.perf_counter()
        self.heartbeat.start()
        QTimer.singleShot(_BEFORE_MS, self._start_worker)

    def _start_worker(self) -> None:
        self.bridge.client.start()
        # It stood at 0: this asks for the first frame.
        self.slider.setValue(-300)

    def picture(self, value: float) -> Picture:
        """Return what the slider shows at -3 to 3."""
        return Picture(model="convolutions", space="z", seeds=(0,), edits={"x": value})

    def _ask(self, value: int) -> None:
        self._sequence += 1
        self.bridge.preview(self.request(value / 100))

    def request(self, value: float) -> PreviewRequest:
        """Return what is asked for when the slider stands at ``value``."""
        return PreviewRequest(self.channel, self._sequence, self.picture(value))

    def _move(self) -> None:
        """Move the slider by as many events as are due."""
        due = int((time.perf_counter() - self._drag_began) / _EVENT_SECONDS) + 1
        while self._sent < min(due, EVENTS):
            self._sent += 1
            # There and back, never the same value twice in a row.
            step = self._sent % EVENTS
            self.slider.setValue(-300 + 3 * min(step, EVENTS - step) + (step % 2))
        if self._sent == EVENTS:
            self._hand.stop()
            self._released = time.perf_counter()
            self._arrived_before_release = len(self.sequences)
            self.let_go()

    def let_go(self) -> None:
        """The hand has just left the slider."""

    def _take(self, result: PreviewResult) -> None:
        now = time.perf_counter()
        if result.failure is not None or result.images is None:
            self._give_up(str(result.failure))
            return
        self.view.show_frame(result.sequence, result.images[0])
        if not self._first:
            self._first = self._drag_began = now
            self._sent = 0
            self._first_sequence = self._sequence
            self._beats_before_drag = len(self.heartbeat.gaps)
            self._hand.start(int(_EVENT_SECONDS * 1e3))
            return
        self.sequences.append(result.sequence)
        self.forward_ms.append(result.forward_ms)
        if self._released and result.sequence == self._sequence:
            self._settled = now
            self.settled()

    def settled(self) -> None:
        """The last frame is there."""
        self.end_soon()

    def end_soon(self) -> None:
        """End when a heart that stopped now would have been noticed."""
        QTimer.singleShot(_AFTER_MS, self._end)

    def _worker_changed(self, event: Any) -> None:
        if isinstance(event, WorkerReady) and event.failure is None:
            self.ready = event
        else:
            self._give_up(str(event.failure))

    def _give_up(self, reason: str) -> None:
        self.failure = reason
        self._end()

    def _end(self) -> None:
        self.heartbeat.stop()
        self._hand.stop()
        QApplication.quit()

    def figures(self) -> dict[str, Any]:
        """Return what was measured; see ``services.bench.slider_flood``."""
        gaps = np.array(self.heartbeat.gaps)
        asked = self._sequence - self._first_sequence
        drag = slice(self._beats_before_drag, None)
        return {
            "heartbeat_p99_ms": round(float(np.percentile(gaps, 99)), 2),
            "heartbeat_max_ms": round(float(gaps.max()), 2),
            "settle_forwards": len(self.sequences) - self._arrived_before_release,
            "frames_shown": sum(shown > self._first_sequence for shown in self.view.painted),
            "settle_ms": round((self._settled - self._released) * 1e3, 1),
            "events": asked,
            "forwards": len(self.sequences),
            "coalesced": asked - len(self.sequences),
            "sequences": self.sequences,
            "last_sequence": self._sequence,
            "forward_ms": round(statistics.mean(self.forward_ms), 1),
            "forward_p10_ms": round(float(np.percentile(self.forward_ms, 10)), 1),
            "forward_p90_ms": round(float(np.percentile(self.forward_ms, 90)), 1),
            "heartbeat_p50_ms": round(float(np.median(gaps)), 2),
            "heartbeats": len(gaps),
            "startup_max_ms": round(float(gaps[: self._beats_before_drag].max()), 2),
            "drag_max_ms": round(float(gaps[drag].max()), 2),
            "first_frame_s": round(self._first - self._began, 2),
            "device": self.ready.device if self.ready else "",
            "threads": self.ready.threads if self.ready else 0,
            **(self.ready.figures if self.ready else {}),
        }


def flood(make: Callable[[], Flood]) -> dict[str, Any]:
    """Run one flood in this process, whose ``QApplication`` is made here, and return its figures.

    Args:
        make: returns the window.

    Raises:
        RuntimeError: the worker failed, or the last frame never came.
    """
    application = QApplication(sys.argv[:1])
    window = make()
    window.show()
    limit = QTimer(window)
    limit.setSingleShot(True)
    limit.timeout.connect(lambda: window._give_up("the last frame never came"))
    limit.start(_GIVE_UP_MS)
    # What lives as long as the window is not looked through by the garbage collector again.
    gc.collect()
    gc.freeze()
    window.begin()
    try:
        application.exec()
    finally:
        window.bridge.stop()
    if window.failure:
        raise RuntimeError(window.failure)
    return window.figures()


def main() -> None:
    """Print the figures as one line of JSON."""
    print(json.dumps(flood(lambda: Flood(WorkerSettings(engine=_ENGINE)))))


if __name__ == "__main__":
    main()
