"""What a map paints around its points: axes, density, marker, rings and outlines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPalette, QPen, QPolygonF

from latentlab.ui.widgets.colours import faint, is_dark
from latentlab.ui.widgets.map_axes import Ticks, ticks_of
from latentlab.ui.widgets.map_density import CELL
from latentlab.ui.widgets.map_view import MapView
from latentlab.ui.widgets.point_raster import Pixels

_TICK = 4.0
_KEY_TICKS = (0.0, 0.1, 0.5, 1.0)
_STRONGEST = 0.62
Role = QPalette.ColorRole


def margins(metrics: QFontMetricsF) -> tuple[float, float, float, float]:
    """Return the room for axes in logical pixels: left, top, right, bottom."""
    line = metrics.height()
    left = line + metrics.horizontalAdvance("−0.000") + _TICK + 10
    return left, 8.0, 14.0, 2 * line + _TICK + 10


def axes_of(view: MapView, metrics: QFontMetricsF) -> tuple[Ticks, Ticks]:
    """Return the ticks of both axes, as many as there is room for."""
    across = int(np.clip(view.width / (metrics.horizontalAdvance("−0.000") + 28), 2, 9))
    up = int(np.clip(view.height / (metrics.height() * 2.6), 2, 9))
    return ticks_of(view.x0, view.x1, across), ticks_of(view.y0, view.y1, up)


def argb_image(pixels: Pixels) -> QImage:
    """Return a view of uint32 ``(H, W)`` pixels, multiplied by their opacity, without a copy.

    The rows may belong to a wider array. The caller keeps it alive while the image is in use.
    """
    height, width = pixels.shape
    whole = pixels if pixels.base is None else pixels.base
    first = (pixels.ctypes.data - whole.ctypes.data) // 4
    image = QImage(
        whole.reshape(-1)[first:].data,
        width,
        height,
        pixels.strides[0],
        QImage.Format.Format_ARGB32_Premultiplied,
    )
    image.source_array = pixels
    return image


def paint_grid(
    painter: QPainter, view: MapView, ticks: tuple[Ticks, Ticks], palette: QPalette
) -> None:
    """Paint the light grid, one device pixel wide."""
    painter.setPen(QPen(faint(palette, 0.13), 0))
    right, bottom = view.left + view.width, view.top + view.height
    for value in ticks[0].values:
        x = round(view.pixels(value, 0.0)[0]) + 0.5
        painter.drawLine(QPointF(x, view.top), QPointF(x, bottom))
    for value in ticks[1].values:
        y = round(view.pixels(0.0, value)[1]) + 0.5
        painter.drawLine(QPointF(view.left, y), QPointF(right, y))


def paint_axes(
    painter: QPainter,
    view: MapView,
    ticks: tuple[Ticks, Ticks],
    labels: tuple[str, str],
    palette: QPalette,
) -> None:
    """Paint the frame, the ticks, their numbers and the labels of the axes."""
    metrics = QFontMetricsF(painter.font())
    line = metrics.height()
    right, bottom = view.left + view.width, view.top + view.height
    painter.setPen(QPen(faint(palette, 0.45), 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(QRectF(view.left - 0.5, view.top - 0.5, view.width + 1, view.height + 1))
    for value in ticks[0].values:
        x = round(view.pixels(value, 0.0)[0]) + 0.5
        painter.drawLine(QPointF(x, bottom), QPointF(x, bottom + _TICK))
    for value in ticks[1].values:
        y = round(view.pixels(0.0, value)[1]) + 0.5
        painter.drawLine(QPointF(view.left - _TICK, y), QPointF(view.left, y))
    painter.setPen(faint(palette, 0.85))
    taken = -np.inf
    for value, text in zip(ticks[0].values, ticks[0].texts):
        wide = metrics.horizontalAdvance(text) + 2
        x = min(max(view.pixels(value, 0.0)[0], wide / 2), right + 14 - wide / 2)
        box = QRectF(x - wide / 2, bottom + _TICK + 1, wide, line)
        # A very narrow plot writes at fewer of its ticks.
        if box.left() > taken + 4:
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
            taken = box.right()
    for value, text in zip(ticks[1].values, ticks[1].texts):
        y = view.pixels(0.0, value)[1]
        box = QRectF(0, y - line / 2, view.left - _TICK - 3, line)
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
    _paint_labels(painter, view, [_named(n, t.note) for n, t in zip(labels, ticks)], metrics)


def _named(label: str, note: str) -> str:
    return f"{label} ({note})" if label and note else label or note


def _paint_labels(
    painter: QPainter, view: MapView, labels: Sequence[str], metrics: QFontMetricsF
) -> None:
    line = metrics.height()
    elide = Qt.TextElideMode.ElideMiddle
    below = QRectF(view.left, view.top + view.height + _TICK + line + 3, view.width, line)
    text = metrics.elidedText(labels[0], elide, view.width)
    painter.drawText(below, Qt.AlignmentFlag.AlignCenter, text)
    painter.save()
    painter.translate(2, view.top + view.height)
    painter.rotate(-90)
    text = metrics.elidedText(labels[1], elide, view.height)
    painter.drawText(QRectF(0, 0, view.height, line), Qt.AlignmentFlag.AlignCenter, text)
    painter.restore()


def density_colour(palette: QPalette) -> QColor:
    """Return the colour of the density layer: the accent, light enough for a dark ground."""
    accent = palette.color(Role.Highlight)
    if not is_dark(palette):
        return accent
    return QColor.fromHsl(max(accent.hslHue(), 0), accent.hslSaturation(), 170)


def _density_pixels(part: NDArray[np.float32], colour: QColor) -> Pixels:
    # The square root lets sparse regions be seen; the key is painted through the same line.
    opacity = np.sqrt(np.clip(part, 0, 1)) * _STRONGEST
    channels = [np.rint(opacity * v).astype(np.uint32) for v in (255, *colour.getRgb()[:3])]
    return channels[0] << 24 | channels[1] << 16 | channels[2] << 8 | channels[3]


def paint_density(
    painter: QPainter, view: MapView, density: NDArray[np.float32], palette: QPalette
) -> None:
    """Paint a density relative to its peak as a soft layer."""
    pixels = np.ascontiguousarray(_density_pixels(density, density_colour(palette)))
    rows, columns = density.shape
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
    target = QRectF(view.left, view.top, columns * CELL, rows * CELL)
    painter.drawImage(target, argb_image(pixels), QRectF(0, 0, columns, rows))
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)


def paint_density_key(painter: QPainter, view: MapView, palette: QPalette) -> None:
    """Paint the scale of the density into the lower right corner."""
    metrics = QFontMetricsF(painter.font())
    line, title = metrics.height(), "density, part of the peak"
    wide = max(132.0, metrics.horizontalAdvance(title))
    box = QRectF(0, 0, wide + 20, 2 * line + 22)
    box.moveBottomRight(QPointF(view.left + view.width - 6, view.top + view.height - 6))
    if box.left() < view.left or box.top() < view.top:
        return
    back = palette.color(Role.Base)
    back.setAlphaF(0.86)
    painter.fillRect(box, back)
    # Opacity grows evenly along the bar, density with its square.
    ramp = np.linspace(0, 1, 128, dtype=np.float32)[None] ** 2
    pixels = np.ascontiguousarray(_density_pixels(ramp, density_colour(palette)))
    bar = QRectF(box.left() + 10, box.top() + line + 6, wide, 9)
    painter.fillRect(bar, palette.color(Role.Base))
    painter.drawImage(bar, argb_image(pixels), QRectF(0, 0, 128, 1))
    painter.setPen(faint(palette, 0.85))
    painter.drawText(
        QRectF(bar.left(), box.top() + 2, wide, line), Qt.AlignmentFlag.AlignCenter, title
    )
    for part in _KEY_TICKS:
        text = f"{part:g}"
        x = bar.left() + part**0.5 * wide
        room = metrics.horizontalAdvance(text)
        left = min(max(x - room / 2, bar.left()), bar.right() - room)
        painter.drawText(QPointF(left, bar.bottom() + 1 + metrics.ascent()), text)


def paint_marker(
    painter: QPainter, view: MapView, place: tuple[float, float], palette: QPalette
) -> None:
    """Paint the crosshair of the canvas; beyond an edge, an arrow that points to it."""
    x, y = view.pixels(*place)
    colour, base = palette.color(Role.WindowText), palette.color(Role.Base)
    right, bottom = view.left + view.width, view.top + view.height
    inside_x = min(max(x, view.left + 9), right - 9)
    inside_y = min(max(y, view.top + 9), bottom - 9)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if view.left <= x <= right and view.top <= y <= bottom:
        for width, shade in ((4.0, base), (1.6, colour)):
            painter.setPen(QPen(shade, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(QPointF(x, y), 7, 7)
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                painter.drawLine(QPointF(x + 4 * dx, y + 4 * dy), QPointF(x + 13 * dx, y + 13 * dy))
    else:
        painter.translate(inside_x, inside_y)
        painter.rotate(float(np.degrees(np.arctan2(y - inside_y, x - inside_x))))
        painter.setPen(QPen(base, 1.5))
        painter.setBrush(colour)
        painter.drawPolygon(QPolygonF([QPointF(8, 0), QPointF(-5, -6), QPointF(-5, 6)]))
    painter.restore()


def paint_ring(painter: QPainter, x: float, y: float, radius: float, palette: QPalette) -> None:
    """Paint the ring around the point under the cursor."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for width, role in ((4.0, Role.Base), (2.0, Role.Highlight)):
        painter.setPen(QPen(palette.color(role), width))
        painter.drawEllipse(QPointF(x, y), radius, radius)
    painter.restore()


def paint_outline(painter: QPainter, corners: Sequence[QPointF], palette: QPalette) -> None:
    """Paint a lasso or rectangle that is being drawn."""
    if len(corners) < 2:
        return
    colour = palette.color(Role.Highlight)
    fill = QColor(colour)
    fill.setAlphaF(0.12)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(colour, 1.5))
    painter.setBrush(fill)
    painter.drawPolygon(QPolygonF(list(corners)), Qt.FillRule.OddEvenFill)
    painter.restore()


def paint_cursor(painter: QPainter, view: MapView, place: QPointF, palette: QPalette) -> None:
    """Paint the keyboard's crosshair over the whole plot."""
    painter.setPen(QPen(palette.color(Role.Highlight), 1, Qt.PenStyle.DashLine))
    x, y = round(place.x()) + 0.5, round(place.y()) + 0.5
    painter.drawLine(QPointF(x, view.top), QPointF(x, view.top + view.height))
    painter.drawLine(QPointF(view.left, y), QPointF(view.left + view.width, y))
