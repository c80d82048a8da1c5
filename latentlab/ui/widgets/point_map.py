"""A map of points: a million of them, to look at, choose from, and steer through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from latentlab.core.errors import LatentLabError
from latentlab.ui.widgets import map_painter, plot_export
from latentlab.ui.widgets.colours import faint, is_dark
from latentlab.ui.widgets.map_gestures import WHEEL_BASE, Gestures
from latentlab.ui.widgets.map_view import MapView, Rect, fitted
from latentlab.ui.widgets.point_scene import Marker, PointScene

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


class TileLayer(Protocol):
    """Something painted under the points."""

    def paint(
        self,
        painter: QPainter,
        to_pixels: Callable[[float, float], QPointF],
        view_rect: Rect,
    ) -> None:
        """Paint in logical pixels; the painter is clipped to the plot."""


class PointMap(QWidget):
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
    view_changed = Signal(float, float, float, float)
    menu_asked = Signal(object, QPoint)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 120)
        self.setAccessibleName("Map of points")
        self._scene = PointScene()
        self._labels = ("", "")
        self._tool: Tool = "pan"
        self._density_on, self._points_on = False, True
        self._density: NDArray[np.float32] | None = None
        self._marker: tuple[float, float] | None = None
        self._tiles: TileLayer | None = None
        self._hover: int | None = None
        self._hover_place = (0.0, 0.0)
        self._mouse: QPointF | None = None
        self._anchor: Literal["fit", "rect", "free"] = "fit"
        self._stale = True
        self._picture: Any = None
        self._ratio = 0.0
        self._gestures = Gestures(self)
        self._view = fitted(None, *self._plot())
        self._take_palette()

    # Geometry.

    def sizeHint(self) -> QSize:
        """Large enough to look at."""
        return QSize(560, 440)

    def _plot(self) -> tuple[float, float, float, float]:
        """Return the plot in logical pixels, on whole device pixels."""
        left, top, right, bottom = map_painter.margins(QFontMetricsF(self.caption_font()))
        ratio = self.devicePixelRatioF()
        edges = (left, top, max(self.width() - right, left + 8), self.height() - bottom)
        x0, y0, x1, y1 = (round(v * ratio) / ratio for v in (*edges[:3], max(edges[3], top + 8)))
        return x0, y0, x1 - x0, y1 - y0

    def caption_font(self):
        """Return the font of axes: a little smaller than the text."""
        font = self.font()
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * 11 / 13)
        else:
            font.setPixelSize(max(9, round(font.pixelSize() * 11 / 13)))
        return font

    def plot_rect(self) -> QRectF:
        """Return where data is drawn, in logical pixels of this widget."""
        view = self._view
        return QRectF(view.left, view.top, view.width, view.height)

    def view_rect(self) -> Rect:
        """Return what is in sight, in data: (x0, x1, y0, y1)."""
        return self._view.rect

    def to_data(self, place: QPointF) -> tuple[float, float]:
        """Return the data at a place of this widget."""
        return self._view.data(place.x(), place.y())

    def to_pixels(self, x: float, y: float) -> QPointF:
        """Return where data stands in this widget, in logical pixels."""
        return QPointF(*self._view.pixels(float(x), float(y)))

    def set_view(self, x0: float, x1: float, y0: float, y1: float) -> None:
        """Show a rectangle of data.

        Raises:
            LatentLabError: an empty one, or numbers that are not finite.
        """
        if not (np.isfinite([x0, x1, y0, y1]).all() and x0 < x1 and y0 < y1):
            raise LatentLabError(
                "A map shows a range from a smaller to a larger number: give finite ends."
            )
        self._anchor = "rect"
        view = self._view
        self._move(MapView(x0, x1, y0, y1, view.left, view.top, view.width, view.height))

    def fit_view(self) -> None:
        """Show all points that are shown."""
        self._anchor = "fit"
        self._move(fitted(self._scene.extent(), *self._plot()))

    def zoom(self, factor: float, place: QPointF | None = None) -> None:
        """Enlarge around a place of this widget, or the middle of the plot."""
        at = self.plot_rect().center() if place is None else place
        view = self._view.zoomed(factor, at.x(), at.y())
        if view.allowed(fitted(self._scene.extent(), *self._plot())):
            self._anchor = "free"
            self._move(view)

    def pan(self, across: float, down: float) -> None:
        """Move what is in sight, in logical pixels."""
        self._anchor = "free"
        self._move(self._view.panned(across, down))

    def _move(self, view: MapView) -> None:
        changed = view.rect != self._view.rect
        self._view = view
        self._redraw()
        if changed:
            self.view_changed.emit(*view.rect)
        if self._mouse is not None and not self._gestures.busy:
            self.point_to(self._mouse)

    def _redraw(self) -> None:
        """Points are drawn again when they are painted next."""
        self._stale = True
        self._density = None
        self.update()

    # What is shown.

    @property
    def count(self) -> int:
        """Number of points."""
        return len(self._scene)

    @property
    def shown_count(self) -> int:
        """Number of points that are shown."""
        return self._scene.shown_count

    def set_points(self, coordinates: NDArray[np.floating], keep_view: bool = False) -> None:
        """Show other points ``(N, 2)``; colours and the shown ones stay while N does.

        Raises:
            LatentLabError: another shape, or a number that is not finite.
        """
        had = len(self.selection) > 0
        self._scene.set_points(coordinates)
        self.setAccessibleDescription(f"{self.count:,} points")
        self._set_hover(None)
        if keep_view:
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
        if self._mouse is not None:
            self.point_to(self._mouse)

    def set_axis_labels(self, x: str, y: str) -> None:
        """Name the axes, with units."""
        self._labels = (x, y)
        self.update()

    def set_density(self, shown: bool) -> None:
        """Show where points are dense, under them."""
        self._density_on = shown
        self.update()

    def set_points_visible(self, visible: bool) -> None:
        """Show or hide all points; hidden ones are still found under the cursor."""
        self._points_on = visible
        self.update()

    def set_marker(self, place: tuple[float, float] | None) -> None:
        """Put the crosshair at (x, y) in data, or away."""
        self._marker = None if place is None else (float(place[0]), float(place[1]))
        self.update()

    def set_tiles(self, layer: TileLayer | None) -> None:
        """Paint a layer under the points; call ``update`` when it changes."""
        self._tiles = layer
        self.update()

    def density_at(self, x: float, y: float) -> float | None:
        """Return the density of points relative to its peak in sight; ``None`` outside."""
        density = self._density_now()
        view = self._view
        across, down = view.pixels(x, y)
        if not self.plot_rect().contains(QPointF(across, down)):
            return None
        cell = map_painter.CELL
        row, column = int((down - view.top) / cell), int((across - view.left) / cell)
        return float(density[min(row, density.shape[0] - 1), min(column, density.shape[1] - 1)])

    def _density_now(self) -> NDArray[np.float32]:
        if self._density is None:
            self._density = self._scene.density(self._view)[0]
        return self._density

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
        if not self.plot_rect().contains(place):
            return None
        return self._scene.nearest(self._view, place.x(), place.y(), REACH)

    def points_within(self, outline: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the shown points inside a polygon ``(m, 2)`` in pixels of this widget."""
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

    def changeEvent(self, event: QEvent) -> None:
        """Follow the palette and the font."""
        if event.type() == QEvent.Type.PaletteChange:
            self._take_palette()
        elif event.type() == QEvent.Type.FontChange:
            self._place()
        super().changeEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit again, keep the rectangle that was set, or keep middle and scale."""
        self._place()
        super().resizeEvent(event)

    def _place(self) -> None:
        if self._anchor == "fit":
            self._move(fitted(self._scene.extent(), *self._plot()))
        elif self._anchor == "rect":
            self._move(self._view.placed(*self._plot()))
        else:
            self._move(self._view.resized(*self._plot()))

    def _take_palette(self) -> None:
        palette = self.palette()
        plain = 0xFF56B4E9 if is_dark(palette) else 0xFF0072B2
        roles = (QPalette.ColorRole.Base, QPalette.ColorRole.WindowText)
        self._scene.set_look(plain, *(palette.color(role).rgb() for role in roles))
        self._redraw()

    # Painting.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the map."""
        painter = QPainter(self)
        self.paint_map(painter)
        if self.hasFocus():
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Highlight), 1))
            painter.drawRect(self.plot_rect().adjusted(-1.5, -1.5, 1.5, 1.5))

    def paint_map(
        self, painter: QPainter, points: Callable[[QPainter], None] | None = None
    ) -> None:
        """Paint everything on another device, for an export.

        Args:
            painter: of a device whose unit is a logical pixel of this widget.
            points: paints the points instead of their raster.
        """
        view, palette = self._view, self.palette()
        painter.setFont(self.caption_font())
        ticks = map_painter.axes_of(view, QFontMetricsF(painter.font()))
        painter.fillRect(QRectF(self.rect()), palette.color(QPalette.ColorRole.Window))
        painter.fillRect(self.plot_rect(), palette.color(QPalette.ColorRole.Base))
        painter.save()
        painter.setClipRect(self.plot_rect())
        map_painter.paint_grid(painter, view, ticks, palette)
        if self._tiles is not None:
            painter.save()
            self._tiles.paint(painter, self.to_pixels, self.view_rect())
            painter.restore()
        if self._density_on and self.shown_count:
            map_painter.paint_density(painter, view, self._density_now(), palette)
        if self._points_on:
            (points or self._paint_own)(painter)
        self._paint_above(painter)
        painter.restore()
        map_painter.paint_axes(painter, view, ticks, self._labels, palette)

    def _paint_own(self, painter: QPainter) -> None:
        self.paint_points(painter, self.devicePixelRatioF())

    def paint_points(self, painter: QPainter, ratio: float) -> None:
        """Paint the raster of the points, ``ratio`` pixels for each logical one."""
        if self._stale or self._ratio != ratio:
            self._picture = map_painter.argb_image(self._scene.render(self._view, ratio))
            self._stale, self._ratio = False, ratio
        size = self._picture.size()
        painter.drawImage(self.plot_rect(), self._picture, QRectF(QPoint(0, 0), size.toSizeF()))

    def markers_in_sight(self, most: int) -> list[Marker] | None:
        """Return what a vector picture draws, in order; ``None`` for more than ``most``."""
        return self._scene.markers(self._view, most)

    def shown_places(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the shown points, rising, and their coordinates ``(k, 2)``."""
        return self._scene.coordinates()

    def _paint_above(self, painter: QPainter) -> None:
        view, palette = self._view, self.palette()
        if self._density_on and self.shown_count:
            map_painter.paint_density_key(painter, view, palette)
        if self._hover is not None:
            radius = self._scene.width(view) / 2 + 4
            x, y = view.pixels(*self._hover_place)
            map_painter.paint_ring(painter, x, y, radius, palette)
        if self._marker is not None:
            map_painter.paint_marker(painter, view, self._marker, palette)
        map_painter.paint_outline(painter, self._gestures.outline(), palette)
        if self._gestures.cursor is not None:
            map_painter.paint_cursor(painter, view, self._gestures.cursor, palette)
        if self.count and not self.shown_count:
            painter.setPen(faint(palette, 0.85))
            text = "No point is shown: turn a class on in the legend."
            painter.drawText(self.plot_rect(), Qt.AlignmentFlag.AlignCenter, text)

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
