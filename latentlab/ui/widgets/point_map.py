"""A map of points: a million of them, to look at, choose from, and steer through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QKeyEvent, QMouseEvent, QPainter, QWheelEvent
from PySide6.QtWidgets import QWidget

from latentlab.ui.widgets import map_painter, plot_export
from latentlab.ui.widgets.map_gestures import WHEEL_BASE, Gestures
from latentlab.ui.widgets.map_surface import MapSurface
from latentlab.ui.widgets.point_index import PointIndex
from latentlab.ui.widgets.point_scene import Marker

Tool = Literal["pan", "lasso", "rectangle", "steer"]
TOOLS: tuple[Tool, ...] = ("pan", "lasso", "rectangle", "steer")
REACH = 8.0
"""A point is under the cursor within so many logical pixels."""
_CURSORS = {
    "pan": Qt.CursorShape.ArrowCursor,
    "lasso": Qt.CursorShape.CrossCursor,
    "rectangle": Qt.CursorShape.CrossCursor,
    "steer": Qt.CursorShape.PointingHandCursor,
}


class PointMap(MapSurface):
    """Points on axes. The wheel zooms, a drag pans or does what the tool says.

    Keys: arrows pan, plus and minus zoom, Home or a double click on empty space shows all. Shift
    with arrows moves a cursor (with Control by single pixels), Enter clicks there or sets a corner
    of the lasso or rectangle; twice at one place closes the lasso. Escape ends what is being
    drawn, then clears the selection.

    Signals:
        hovered: the shown point within 8 pixels of the cursor (int) or ``None``, when it changes.
        pointer_moved: (x, y) in data under the cursor, or ``None`` outside the plot.
        clicked: the point or ``None``, and x and y in data.
        double_clicked: a point.
        steered: x, y in data while the tool ``steer`` is dragged; ``True`` when it is let go.
        selection_changed: the chosen points, int64 rising; on every change, whoever made it.
        view_changed: x0, x1, y0, y1 in data.
        menu_asked: the point under the mouse or ``None``, and where on the screen (global).
    """

    hovered = Signal(object)
    pointer_moved = Signal(object)
    clicked = Signal(object, float, float)
    double_clicked = Signal(object)
    steered = Signal(float, float, bool)
    selection_changed = Signal(object)
    menu_asked = Signal(object, QPoint)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("Map of points")
        self._tool: Tool = "pan"
        self._hover: int | None = None
        self._hover_place = (0.0, 0.0)
        self._mouse: QPointF | None = None
        self._gestures = Gestures(self)

    def _moved(self) -> None:
        """Look again what lies under the mouse."""
        if self._mouse is not None and not self._gestures.busy:
            self.point_to(self._mouse)

    # What is shown.

    def set_points(
        self,
        coordinates: NDArray[np.floating],
        keep_view: bool = False,
        index: PointIndex | None = None,
    ) -> None:
        """Show other points ``(N, 2)``; colours and the shown ones stay while N does.

        ``index`` is that of the same points, where it was made elsewhere: a million take longer
        than a frame.

        Raises:
            LatentLabError: another shape, or a number that is not finite.
        """
        had = len(self.selection) > 0
        self._scene.set_points(coordinates, index)
        self.setAccessibleDescription(f"{self.count:,} points")
        self._set_hover(None)
        if keep_view:
            self._extent = self._scene.extent()
            self._redraw()
        else:
            self.fit_view()
        if had:
            self.selection_changed.emit(self.selection)

    def set_colours(
        self, rgb: NDArray[np.uint8] | None, shapes: NDArray[np.uint8] | None = None
    ) -> None:
        """Colour the points by uint8 ``(N, 3)``, or all alike.

        Args:
            rgb: a colour for each point.
            shapes: row of ``marker_shapes.SHAPES`` for each, uint8 ``(N,)``, drawn when markers
                are large enough (``LegendItems.shapes``).

        Raises:
            LatentLabError: another number than that of the points.
        """
        self._scene.set_colours(rgb, shapes)
        self._redraw()

    def set_shown(self, mask: NDArray[np.bool_] | None) -> None:
        """Show the points where ``mask`` ``(N,)`` holds, or all; hidden ones cannot be chosen.

        Raises:
            LatentLabError: another number than that of the points.
        """
        before = self.selection
        self._scene.set_shown(mask)
        self._redraw()
        if len(before) != len(self.selection):
            self.selection_changed.emit(self.selection)
        self._moved()

    # What is chosen and pointed at.

    @property
    def tool(self) -> Tool:
        """What a drag does."""
        return self._tool

    def set_tool(self, tool: Tool) -> None:
        """Choose what a drag does: ``pan``, ``lasso``, ``rectangle`` or ``steer``."""
        if tool not in TOOLS:
            raise ValueError(f"there is no tool '{tool}'; known: {', '.join(TOOLS)}")
        self._gestures.stop()
        self._tool = tool
        self.setCursor(_CURSORS[tool])

    @property
    def selection(self) -> NDArray[np.int64]:
        """The chosen points, int64, rising."""
        return self._scene.selection

    def set_selection(self, points: Sequence[int] | NDArray[np.integer]) -> None:
        """Choose shown points; the others are dimmed. An empty list chooses none."""
        before = self._scene.selection
        self._scene.select(np.asarray(points, np.int64))
        if not np.array_equal(before, self._scene.selection):
            self._redraw()
            self.selection_changed.emit(self._scene.selection)

    def point_at(self, place: QPointF) -> int | None:
        """Return the shown point nearest to a place of this widget, within 8 pixels."""
        if not self._points_on or not self.plot_rect().contains(place):
            return None
        return self._scene.nearest(self._view, place.x(), place.y(), REACH)

    def points_within(self, outline: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the shown points inside a polygon ``(m, 2)`` in pixels of this widget."""
        if not self._points_on:
            return np.zeros(0, np.int64)
        return self._scene.within(self._view, outline)

    def point_to(self, place: QPointF | None) -> None:
        """Tell what is under a place of this widget, as if the mouse were there."""
        inside = place is not None and self.plot_rect().contains(place)
        self.pointer_moved.emit(self.to_data(place) if inside else None)
        self._set_hover(self.point_at(place) if inside else None)

    def _set_hover(self, point: int | None) -> None:
        if point != self._hover:
            self._hover = point
            self._hover_place = (0.0, 0.0) if point is None else self._scene.place(point)
            self.update()
            self.hovered.emit(point)

    # Events.

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin a drag."""
        event.setAccepted(self._gestures.press(event))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the mouse."""
        self._mouse = event.position()
        self._gestures.move(event)
        if self._gestures.busy:
            inside = self.plot_rect().contains(self._mouse)
            self.pointer_moved.emit(self.to_data(self._mouse) if inside else None)
        else:
            self.point_to(self._mouse)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End a drag, or click."""
        self._gestures.release(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Open a point; on empty space show all."""
        if event.button() != Qt.MouseButton.LeftButton or not self.plot_rect().contains(
            event.position()
        ):
            event.ignore()
            return
        self._gestures.stop()
        point = self.point_at(event.position())
        if point is None:
            self.fit_view()
        else:
            self.double_clicked.emit(point)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the cursor."""
        turn = event.angleDelta().y() or event.angleDelta().x()
        if not self.plot_rect().contains(event.position()) or not turn:
            event.ignore()
            return
        self._mouse = event.position()
        self.zoom(WHEEL_BASE ** (turn / 120), event.position())
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Pan, zoom, fit, move the cursor, click."""
        event.setAccepted(self._gestures.key(event))

    def event(self, event: QEvent) -> bool:
        """Keep own keys from the window's shortcuts; take pinches."""
        if event.type() == QEvent.Type.ShortcutOverride and self._gestures.wants(event):
            event.accept()
            return True
        if (
            event.type() == QEvent.Type.NativeGesture
            and event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture
        ):
            self.zoom(max(0.2, 1 + event.value()), event.position())
            return True
        return super().event(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for a menu at the mouse, or at the keyboard's cursor."""
        place, on_screen = QPointF(event.pos()), event.globalPos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            place = self._gestures.cursor or self.plot_rect().center()
            on_screen = self.mapToGlobal(place.toPoint())
        self.menu_asked.emit(self.point_at(place), on_screen)

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is under the mouse any more."""
        self._mouse = None
        self.point_to(None)
        super().leaveEvent(event)

    def markers_in_sight(self, most: int) -> list[Marker] | None:
        """Return what a vector picture draws, in order; ``None`` for more than ``most``."""
        return self._scene.markers(self._view, most)

    def shown_places(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the shown points, rising, and their coordinates ``(k, 2)``."""
        return self._scene.coordinates()

    def _paint_hands(self, painter: QPainter) -> None:
        """Paint the ring, the outline being drawn and the keyboard's cursor."""
        view, palette = self._view, self.palette()
        if self._hover is not None:
            radius = self._scene.width(view) / 2 + 4
            x, y = view.pixels(*self._hover_place)
            map_painter.paint_ring(painter, x, y, radius, palette)
        map_painter.paint_outline(painter, self._gestures.outline(), palette)
        if self._gestures.cursor is not None:
            map_painter.paint_cursor(painter, view, self._gestures.cursor, palette)

    # Files.

    def save_png(self, path: str | Path) -> None:
        """Write what is seen as a PNG at twice its size. See ``plot_export``."""
        plot_export.save_png(self, Path(path))

    def save_svg(self, path: str | Path) -> None:
        """Write what is seen as an SVG. See ``plot_export``."""
        plot_export.save_svg(self, Path(path))

    def save_csv(
        self, path: str | Path, columns: Mapping[str, Sequence[Any]] | None = None
    ) -> None:
        """Write the shown points as a table. See ``plot_export``."""
        plot_export.save_csv(self, Path(path), columns or {})

    def copy_image(self) -> None:
        """Copy what is seen."""
        plot_export.copy_image(self)
