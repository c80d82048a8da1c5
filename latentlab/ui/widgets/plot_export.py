"""A map as a file or on the clipboard: PNG, SVG, or the table of its points."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QPointF, QRect, QSize, Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter, QPen, QPolygonF

from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import replace_file

if TYPE_CHECKING:
    from latentlab.ui.widgets.point_map import PointMap

SCALE = 2.0
"""Pixels of a PNG for one logical pixel of the window."""
MOST_VECTORS = 20_000
"""Up to so many points in sight are shapes in an SVG; more are one embedded image."""


def image_of(point_map: PointMap, scale: float = SCALE) -> QImage:
    """Return what is seen, at some pixels for each logical pixel, without the focus frame."""
    size = point_map.size() * scale
    image = QImage(size, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(scale)
    with QPainter(image) as painter:
        point_map.paint_map(painter, lambda over: point_map.paint_points(over, scale))
    return image


def copy_image(point_map: PointMap) -> None:
    """Copy what is seen."""
    QGuiApplication.clipboard().setImage(image_of(point_map))


def save_png(point_map: PointMap, path: Path) -> None:
    """Write what is seen, two pixels for each logical one.

    Raises:
        LatentLabError: the file cannot be written.
    """
    image = image_of(point_map)

    def write(target: Path) -> None:
        if not image.save(str(target), "PNG"):
            raise OSError("the image was not taken")

    replace_file(path, write)


def save_svg(point_map: PointMap, path: Path) -> None:
    """Write what is seen as an SVG; up to 20,000 points in sight are shapes in it.

    Raises:
        LatentLabError: the file cannot be written.
    """
    from PySide6.QtSvg import QSvgGenerator

    def write(target: Path) -> None:
        generator = QSvgGenerator()
        generator.setFileName(str(target))
        generator.setSize(QSize(point_map.width(), point_map.height()))
        generator.setViewBox(QRect(0, 0, point_map.width(), point_map.height()))
        generator.setTitle(point_map.accessibleName())
        # Font sizes in points then mean the same as on this screen.
        generator.setResolution(point_map.logicalDpiX())
        painter = QPainter()
        if not painter.begin(generator):
            raise OSError("the folder does not take it")
        try:
            point_map.paint_map(painter, lambda over: _paint_vectors(point_map, over))
        finally:
            painter.end()

    replace_file(path, write)


def _paint_vectors(point_map: PointMap, painter: QPainter) -> None:
    """Paint each point in sight as a shape, or all as an image when there are too many."""
    marks = point_map.markers_in_sight(MOST_VECTORS)
    if marks is None:
        point_map.paint_points(painter, SCALE)
        return
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for mark in marks:
        pen = QPen(QColor.fromRgb(mark.outline), 1.0)
        pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
        painter.setPen(pen if mark.outlined else Qt.PenStyle.NoPen)
        painter.setBrush(QColor.fromRgb(mark.fill))
        if mark.corners is None:
            painter.drawEllipse(QPointF(mark.x, mark.y), mark.radius, mark.radius)
        else:
            corners = mark.corners + np.array([mark.x, mark.y])
            painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in corners.tolist()]))
    painter.restore()


def save_csv(point_map: PointMap, path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write a row for each shown point: its number, x, y, and the columns of the owner.

    Args:
        point_map: the map.
        path: the file.
        columns: N values each, by the name that stands in the first line.

    Raises:
        LatentLabError: a column of another length, or the file cannot be written.
    """
    for name, values in columns.items():
        if len(values) != point_map.count:
            raise LatentLabError(
                f"The map has {point_map.count} points, but column '{name}' has {len(values)} "
                "values: give one for each point."
            )
    points, places = point_map.shown_places()
    chosen = [[values[point] for point in points.tolist()] for values in columns.values()]

    def write(target: Path) -> None:
        with target.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["point", "x", "y", *columns])
            for row, (point, (x, y)) in enumerate(zip(points.tolist(), places.tolist())):
                writer.writerow([point, f"{x:.9g}", f"{y:.9g}", *(own[row] for own in chosen)])

    replace_file(path, write)
