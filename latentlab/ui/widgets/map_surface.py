"""The ground of a map: where data lies, its axes, and the layers one over the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetricsF, QPainter, QPaintEvent, QPalette, QPen, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from latentlab.core.errors import LatentLabError
from latentlab.ui.widgets import map_painter
from latentlab.ui.widgets.colours import faint, is_dark
from latentlab.ui.widgets.map_view import MapView, Rect, fitted
from latentlab.ui.widgets.point_scene import PointScene


class TileLayer(Protocol):
    """Something painted under the points."""

    def paint(
        self,
        painter: QPainter,
        to_pixels: Callable[[float, float], QPointF],
        view_rect: Rect,
    ) -> None:
        """Paint in logical pixels; the painter is clipped to the plot."""


class MapSurface(QWidget):
    """Points on axes, with what lies under and over them; ``PointMap`` adds the hands.

    Signals:
        view_changed: x0, x1, y0, y1 in data.
    """

    view_changed = Signal(float, float, float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 120)
        self._scene = PointScene()
        self._labels = ("", "")
        self._density_on, self._points_on = False, True
        self._density: NDArray[np.float32] | None = None
        self._marker: tuple[float, float] | None = None
        self._tiles: TileLayer | None = None
        self._anchor: Literal["fit", "rect", "free"] = "fit"
        self._stale = True
        self._picture: Any = None
        self._ratio = 0.0
        self._extent: Rect | None = None
        self._view = self._home()
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

    def caption_font(self) -> QFont:
        """Return the font of axes: a little smaller than the text."""
        font = QFont(self.font())
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
        self._extent = self._scene.extent()
        self._move(self._home())

    def _home(self) -> MapView:
        """Return the view of what was there when all was shown last."""
        return fitted(self._extent, *self._plot())

    def zoom(self, factor: float, place: QPointF | None = None) -> None:
        """Enlarge around a place of this widget, or the middle of the plot."""
        at = self.plot_rect().center() if place is None else place
        view = self._view.zoomed(factor, at.x(), at.y())
        beyond = view.too_fine() if factor > 1 else view.too_wide(self._home())
        if not beyond:
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
        self._moved()

    def _moved(self) -> None:
        """Something else may lie under the mouse now."""

    def _redraw(self) -> None:
        """Points are drawn again when they are painted next."""
        self._stale = True
        self._density = None
        self.update()

    # Layers.

    @property
    def count(self) -> int:
        """Number of points."""
        return len(self._scene)

    @property
    def shown_count(self) -> int:
        """Number of points that are shown."""
        return self._scene.shown_count

    def set_axis_labels(self, x: str, y: str) -> None:
        """Name the axes, with units."""
        self._labels = (x, y)
        self.update()

    def set_density(self, shown: bool) -> None:
        """Show where points are dense, under them."""
        self._density_on = shown
        self.update()

    def set_points_visible(self, visible: bool) -> None:
        """Show or hide all points; while they are hidden, none is hit."""
        self._points_on = visible
        self._moved()
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
            self._move(self._home())
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
            points: paints the points instead of their raster; what a hand is doing is left out
                then.
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
        if points is None:
            self._paint_hands(painter)
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

    def _paint_hands(self, painter: QPainter) -> None:
        """Paint what a hand is doing."""

    def _paint_above(self, painter: QPainter) -> None:
        """Paint what lies over the points."""
        view, palette = self._view, self.palette()
        if self._density_on and self.shown_count:
            map_painter.paint_density_key(painter, view, palette)
        if self._marker is not None:
            map_painter.paint_marker(painter, view, self._marker, palette)
        if self.count and not self.shown_count:
            painter.setPen(faint(palette, 0.85))
            text = "No point is shown: turn a class on in the legend."
            painter.drawText(self.plot_rect(), Qt.AlignmentFlag.AlignCenter, text)
