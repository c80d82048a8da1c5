"""What a person waits for on a map of a million points: frames of pans and zooms, and hover."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication

from latentlab.core.labels import LabelColumn
from latentlab.ui.widgets.label_colours import colours_of
from latentlab.ui.widgets.point_map import PointMap

POINTS = 1_000_000
SIZE = (900, 700)
CLASSES = 10
FRAMES = 120
HOVERS = 400
_NONE, _LEFT = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton


def clusters(count: int = POINTS) -> tuple[Any, Any]:
    """Return points ``(count, 2)`` in ten overlapping clusters, and the cluster of each."""
    rng = np.random.default_rng(7)
    middles = rng.normal(size=(CLASSES, 2)) * 3
    owner = rng.integers(0, CLASSES, count)
    return (middles[owner] + rng.normal(size=(count, 2))).astype(np.float32), owner


class Hand:
    """Sends a map what a hand does, and takes the time until it is painted."""

    def __init__(self, point_map: PointMap) -> None:
        self._map = point_map

    def mouse(self, kind: QEvent.Type, place: QPointF, button: Qt.MouseButton) -> None:
        """Send a mouse event; ``button`` is the one that is held or changed."""
        held = _NONE if kind == QEvent.Type.MouseButtonRelease else button
        changed = _NONE if kind == QEvent.Type.MouseMove else button
        on_screen = self._map.mapToGlobal(place)
        none = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(self._map, QMouseEvent(kind, place, on_screen, changed, held, none))

    def wheel(self, place: QPointF, notches: float) -> None:
        """Turn the wheel."""
        event = QWheelEvent(
            place,
            self._map.mapToGlobal(place),
            QPoint(),
            QPoint(0, round(120 * notches)),
            _NONE,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(self._map, event)

    def frames(self, steps: Iterable[Callable[[], None]]) -> list[float]:
        """Return the milliseconds of each step with the paint that follows."""
        taken = []
        for step in steps:
            begin = time.perf_counter()
            step()
            self._map.repaint()
            taken.append(1e3 * (time.perf_counter() - begin))
        return taken

    def drag(self, frames: int) -> list[float]:
        """Drag the map around in a circle."""
        middle = self._map.plot_rect().center()
        angles = np.linspace(0, 2 * np.pi, frames + 1)
        places = [middle + QPointF(60 * np.cos(a), 60 * np.sin(a)) for a in angles]
        move = QEvent.Type.MouseMove
        self.mouse(QEvent.Type.MouseButtonPress, places[0], _LEFT)
        taken = self.frames(lambda p=p: self.mouse(move, p, _LEFT) for p in places[1:])
        self.mouse(QEvent.Type.MouseButtonRelease, places[-1], _LEFT)
        return taken

    def zooms(self, frames: int) -> list[float]:
        """Zoom in by a factor of 100 and out again, where points are dense."""
        place = self._map.to_pixels(*self._densest())
        half = frames // 2
        notches = np.log(100) / np.log(1.2) / half
        ways = [notches] * half + [-notches] * half
        return self.frames(lambda n=n: self.wheel(place, n) for n in ways)

    def _densest(self) -> tuple[float, float]:
        x0, x1, y0, y1 = self._map.view_rect()
        places = [(x, y) for x in np.linspace(x0, x1, 40) for y in np.linspace(y0, y1, 40)]
        return max(places, key=lambda p: self._map.density_at(*p) or 0.0)

    def hovers(self, count: int) -> list[float]:
        """Move over the map, half of it where points are dense, without a button."""
        rng = np.random.default_rng(3)
        box, dense = self._map.plot_rect(), self._map.to_pixels(*self._densest())
        taken = []
        for number in range(count):
            across, down = rng.random(2)
            place = QPointF(box.left() + across * box.width(), box.top() + down * box.height())
            if number % 2:
                place = dense + QPointF(*(rng.normal(size=2) * 20))
            begin = time.perf_counter()
            self.mouse(QEvent.Type.MouseMove, place, _NONE)
            taken.append(1e3 * (time.perf_counter() - begin))
        return taken


def _summary(name: str, taken: list[float], frames: bool = True) -> dict[str, float]:
    median, late = (float(v) for v in np.percentile(taken, (50, 95)))
    found = {f"{name}_median_ms": round(median, 2), f"{name}_p95_ms": round(late, 2)}
    return found | ({f"{name}_frames_per_s": round(1e3 / median, 1)} if frames else {})


def measure(count: int = POINTS, frames: int = FRAMES, hovers: int = HOVERS) -> dict[str, Any]:
    """Return the figures of one map; an application runs already."""
    places, owner = clusters(count)
    column = LabelColumn("cluster", "categorical", owner.astype(np.float32))
    rgb, items = colours_of(column)
    point_map = PointMap()
    point_map.resize(*SIZE)
    begin = time.perf_counter()
    point_map.set_points(places)
    point_map.set_colours(rgb, items.shapes)
    built = 1e3 * (time.perf_counter() - begin)
    point_map.show()
    QApplication.processEvents()
    hand = Hand(point_map)
    hand.drag(3)
    point_map.fit_view()
    figures: dict[str, Any] = {"points": count, "size": list(SIZE), "set_points_ms": round(built)}
    figures |= _summary("pan", hand.drag(frames))
    point_map.fit_view()
    figures |= _summary("zoom", hand.zooms(frames))
    point_map.fit_view()
    figures |= _summary("hover", hand.hovers(hovers), frames=False)
    point_map.set_density(True)
    figures |= _summary("density", hand.drag(frames // 2))
    point_map.close()
    return figures


def main() -> None:
    """Print the figures as one line of JSON."""
    application = QApplication([])
    print(json.dumps(measure()), flush=True)
    application.quit()
