"""Hands on a map: mouse and keys become pans, zooms, clicks, outlines and steering."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent

from latentlab.ui.widgets.hand_slider import EditBurst

DRAG = 4.0
"""Pixels after which a press is a drag and no click."""
WHEEL_BASE = 1.2
_PAN_STEP = 48.0
_CURSOR_STEP = 8.0
_ZOOM_STEP = 1.25
_ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_ZOOMS = {
    Qt.Key.Key_Plus: _ZOOM_STEP,
    Qt.Key.Key_Equal: _ZOOM_STEP,
    Qt.Key.Key_Minus: 1 / _ZOOM_STEP,
}
_SHIFT = Qt.KeyboardModifier.ShiftModifier
_CONTROL = Qt.KeyboardModifier.ControlModifier
_ALT = Qt.KeyboardModifier.AltModifier


class Gestures:
    """Keeps what a hand is doing; the map is told the outcome.

    Args:
        owner: the ``PointMap``.
    """

    def __init__(self, owner: Any) -> None:
        self._map = owner
        self._doing = ""
        self._pressed = QPointF()
        self._last = QPointF()
        self._dragged = False
        self.path: list[QPointF] = []
        self.cursor: QPointF | None = None
        self._rest = EditBurst(owner)
        self._rest.ended.connect(self._steer_rested)

    @property
    def busy(self) -> bool:
        """Whether a drag or an outline is under way."""
        return bool(self._doing or self.path)

    def outline(self) -> list[QPointF]:
        """Return the corners of the lasso or rectangle that is being drawn, in pixels."""
        path = self.path
        if self.cursor is not None and path and not self._doing:
            path = [*path, self.cursor]
        if self._map.tool == "rectangle" and len(path) >= 2:
            a, b = path[0], path[-1]
            return [a, QPointF(b.x(), a.y()), b, QPointF(a.x(), b.y())]
        return path

    def stop(self) -> None:
        """Forget what was being done."""
        self._doing, self.path, self._dragged = "", [], False
        self._map.update()

    # Mouse.

    def press(self, event: QMouseEvent) -> bool:
        """Begin; return whether the button means something here."""
        place = event.position()
        tool = self._map.tool
        if event.button() == Qt.MouseButton.MiddleButton:
            tool = "pan"
        elif event.button() != Qt.MouseButton.LeftButton:
            return False
        if not self._map.plot_rect().contains(place):
            return False
        self.cursor = None
        self._doing, self._dragged = tool, False
        self._pressed = self._last = place
        self.path = [place] if tool in ("lasso", "rectangle") else []
        if tool == "steer":
            self._steer(place, False)
        return True

    def move(self, event: QMouseEvent) -> None:
        """Follow the mouse, with or without a button."""
        place = event.position()
        if self.cursor is not None:
            self.cursor = None
            self._map.update()
        if not self._doing:
            return
        step, self._last = place - self._last, place
        away = place - self._pressed
        if not self._dragged and max(abs(away.x()), abs(away.y())) < DRAG:
            if self._doing == "pan":
                self._last = self._pressed
            return
        self._dragged = True
        if self._doing == "pan":
            self._map.pan(step.x(), step.y())
        elif self._doing == "steer":
            self._steer(place, False)
        else:
            self.path = [*self.path[:1], place] if self._doing == "rectangle" else self.path
            if self._doing == "lasso":
                self.path.append(place)
            self._map.update()

    def release(self, event: QMouseEvent) -> None:
        """End: a click, a selection, or the end of steering."""
        button = event.button()
        if not self._doing or button not in (
            Qt.MouseButton.LeftButton,
            Qt.MouseButton.MiddleButton,
        ):
            return
        doing, dragged, place = self._doing, self._dragged, event.position()
        outline = self.outline()
        self.stop()
        if doing == "steer":
            self._steer(place, True)
        elif dragged and doing in ("lasso", "rectangle"):
            self._choose(outline, event.modifiers())
        elif not dragged and button == Qt.MouseButton.LeftButton:
            self._click(place)
        self._map.point_to(place)

    def _steer(self, place: QPointF, released: bool) -> None:
        self._map.steered.emit(*self._map.to_data(self._inside(place)), released)

    def _inside(self, place: QPointF) -> QPointF:
        box: QRectF = self._map.plot_rect()
        return QPointF(
            min(max(place.x(), box.left()), box.right()),
            min(max(place.y(), box.top()), box.bottom()),
        )

    def _click(self, place: QPointF) -> None:
        self._map.clicked.emit(self._map.point_at(place), *self._map.to_data(place))

    def _choose(self, outline: list[QPointF], modifiers: Qt.KeyboardModifier) -> None:
        corners = np.array([(p.x(), p.y()) for p in outline], np.float64).reshape(-1, 2)
        found = self._map.points_within(corners)
        before = self._map.selection
        if modifiers & _SHIFT:
            found = np.union1d(before, found)
        elif modifiers & (_ALT | _CONTROL):
            found = np.setdiff1d(before, found)
        self._map.set_selection(found)

    # Keys.

    def wants(self, event: QKeyEvent) -> bool:
        """Whether a key is used here, so that no shortcut of the window takes it."""
        key = event.key()
        if key == Qt.Key.Key_Escape:
            return self.busy or self.cursor is not None or len(self._map.selection) > 0
        if event.modifiers() & _CONTROL and key not in _ARROWS:
            return False
        return key in _ARROWS or key in _ZOOMS or key in (*_ENTER, Qt.Key.Key_Home)

    def key(self, event: QKeyEvent) -> bool:
        """Do what a key means; return whether it means something."""
        key, modifiers = event.key(), event.modifiers()
        if key in _ARROWS:
            self._arrow(_ARROWS[Qt.Key(key)], modifiers)
        elif key in _ZOOMS and not modifiers & _CONTROL:
            self._map.zoom(_ZOOMS[Qt.Key(key)], self.cursor)
        elif key == Qt.Key.Key_Home:
            self._map.fit_view()
        elif key in _ENTER and self.cursor is not None:
            self._enter(modifiers)
        elif key == Qt.Key.Key_Escape:
            return self._escape()
        else:
            return False
        return True

    def _arrow(self, way: tuple[int, int], modifiers: Qt.KeyboardModifier) -> None:
        if not modifiers & _SHIFT:
            self._map.pan(-way[0] * _PAN_STEP, -way[1] * _PAN_STEP)
            return
        size = 1.0 if modifiers & _CONTROL else _CURSOR_STEP
        start = self.cursor or self._map.plot_rect().center()
        step = QPointF(way[0] * size, way[1] * size) if self.cursor is not None else QPointF()
        self.cursor = self._inside(start + step)
        self._map.point_to(self.cursor)
        if self._map.tool == "steer":
            self._rest.touch()
            self._steer(self.cursor, False)
        self._map.update()

    def _steer_rested(self) -> None:
        if self.cursor is not None and self._map.tool == "steer":
            self._steer(self.cursor, True)

    def _enter(self, modifiers: Qt.KeyboardModifier) -> None:
        """Click at the keyboard's cursor, or set a corner; at the same place twice: close."""
        place = QPointF(self.cursor)
        tool = self._map.tool
        if tool == "steer":
            self._steer(place, False)
            self._rest.touch()
            self._rest.end()
        elif tool == "pan":
            self._click(place)
        elif (tool == "rectangle" and self.path) or (self.path and place == self.path[-1]):
            self.path.append(place)
            outline = self.outline()
            self.stop()
            self._choose(outline, modifiers)
        else:
            self.path.append(place)
            self._map.update()

    def _escape(self) -> bool:
        if self.busy:
            self.stop()
        elif len(self._map.selection):
            self._map.set_selection(np.zeros(0, np.int64))
        elif self.cursor is not None:
            self.cursor = None
            self._map.update()
        else:
            return False
        return True
