"""A map of points under test: what it told, a hand on it, and brute force beside it."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

from latentlab.ui.widgets.point_map import REACH, PointMap
from tests.ui.stage import turn_wheel

LEFT = Qt.MouseButton.LeftButton
NONE = Qt.KeyboardModifier.NoModifier


class Log:
    """What a map told."""

    def __init__(self, point_map: PointMap) -> None:
        self.hovers, self.pointers, self.clicks, self.doubles = [], [], [], []
        self.steers, self.selections, self.views, self.menus = [], [], [], []
        point_map.hovered.connect(self.hovers.append)
        point_map.pointer_moved.connect(self.pointers.append)
        point_map.clicked.connect(lambda *a: self.clicks.append(a))
        point_map.double_clicked.connect(self.doubles.append)
        point_map.steered.connect(lambda *a: self.steers.append(a))
        point_map.selection_changed.connect(self.selections.append)
        point_map.view_changed.connect(lambda *a: self.views.append(a))
        point_map.menu_asked.connect(lambda *a: self.menus.append(a))


def make_map(qtbot) -> PointMap:
    """A map on the screen."""
    found = PointMap()
    qtbot.addWidget(found)
    found.resize(620, 460)
    found.show()
    qtbot.waitExposed(found)
    return found


def some_points(count: int = 2000, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 2)).astype(np.float32) * (3, 1.5)


def on_screen(point_map: PointMap, places: np.ndarray) -> np.ndarray:
    """Every point through ``to_pixels``, in float64."""
    found = [point_map.to_pixels(float(x), float(y)) for x, y in places]
    return np.array([(p.x(), p.y()) for p in found]).reshape(-1, 2)


def send(point_map, kind, place, button=Qt.MouseButton.NoButton, modifiers=NONE) -> None:
    """A mouse event at a place between pixels, too."""
    held = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseButtonRelease else button
    changed = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else button
    at = QPointF(*place)
    screen = point_map.mapToGlobal(at)
    QApplication.sendEvent(point_map, QMouseEvent(kind, at, screen, changed, held, modifiers))


def drag(point_map, places, modifiers=NONE, button=LEFT) -> None:
    send(point_map, QEvent.Type.MouseButtonPress, places[0], button, modifiers)
    for place in places[1:]:
        send(point_map, QEvent.Type.MouseMove, place, button, modifiers)
    send(point_map, QEvent.Type.MouseButtonRelease, places[-1], button, modifiers)


def hover(point_map, place) -> None:
    send(point_map, QEvent.Type.MouseMove, place)


def nearest(screen: np.ndarray, place, shown=None) -> int | None:
    distance = np.hypot(*(screen - np.asarray(place)).T)
    if shown is not None:
        distance = np.where(shown, distance, np.inf)
    return int(distance.argmin()) if distance.min() <= REACH else None


def even_odd(screen: np.ndarray, polygon) -> np.ndarray:
    """Points inside, one edge and one point at a time."""
    found = []
    ends = [*polygon[1:], polygon[0]]
    for number, (x, y) in enumerate(screen.tolist()):
        odd = False
        for (ax, ay), (bx, by) in zip(polygon, ends):
            if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
                odd = not odd
        if odd:
            found.append(number)
    return np.array(found, np.int64)


def zoom_to(point_map: PointMap, zoom: int) -> None:
    rect = point_map.plot_rect()
    at = QPointF(rect.left() + 0.45 * rect.width(), rect.top() + 0.55 * rect.height())
    for _ in range(zoom):
        turn_wheel(point_map, 1, at=at)
