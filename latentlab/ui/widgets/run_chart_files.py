"""Charts of training as a picture, a vector file, or a table."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QPointF, QRectF, QSizeF
from PySide6.QtGui import QFontMetricsF, QImage, QPainter, QPalette
from PySide6.QtSvg import QSvgGenerator

from latentlab.core.modelfile import replace_file
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.run_chart import RunChart
from latentlab.ui.widgets.run_legend import LegendEntry

_SCALE = 2
_MARGIN = 8.0


def _size(charts: Sequence[RunChart], entries: Sequence[LegendEntry]) -> QSizeF:
    width = max(chart.width() for chart in charts) + 2 * _MARGIN
    height = sum(chart.height() for chart in charts) + 2 * _MARGIN
    return QSizeF(width, height + _legend_rows(charts[0], entries, width)[1])


def _legend_rows(
    chart: RunChart, entries: Sequence[LegendEntry], width: float
) -> tuple[list[tuple[QPointF, LegendEntry]], float]:
    """Return where the entries stand, and the height of all."""
    metrics = QFontMetricsF(small_font(chart.font()))
    x, y = _MARGIN, 0.0
    found = []
    for entry in entries:
        wide = metrics.horizontalAdvance(entry.label) + 48
        if x > _MARGIN and x + wide > width:
            x, y = _MARGIN, y + metrics.height() + 4
        found.append((QPointF(x, y), entry))
        x += wide
    return found, y + metrics.height() + 6 if entries else 0.0


def _paint(
    painter: QPainter, size: QSizeF, charts: Sequence[RunChart], entries: Sequence[LegendEntry]
) -> None:
    palette = charts[0].palette()
    painter.fillRect(QRectF(QPointF(), size), palette.color(QPalette.ColorRole.Base))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    placed, height = _legend_rows(charts[0], entries, size.width())
    small = small_font(charts[0].font())
    line = QFontMetricsF(small).height()
    for at, entry in placed:
        middle = at.y() + _MARGIN + line / 2
        if entry.mark is not None:
            painter.setPen(entry.mark.pen(palette))
            painter.drawLine(QPointF(at.x(), middle), QPointF(at.x() + 28, middle))
            entry.mark.paint(painter, QPointF(at.x() + 14, middle), 7, palette)
        painter.setFont(small)
        painter.setPen(palette.color(QPalette.ColorRole.Text))
        painter.drawText(QPointF(at.x() + 33, middle + line * 0.32), entry.label)
    top = _MARGIN + height
    for chart in charts:
        room = QRectF(_MARGIN, top, size.width() - 2 * _MARGIN, chart.height())
        chart.painter_for(room).chart(painter)
        top += chart.height()


def charts_image(charts: Sequence[RunChart], entries: Sequence[LegendEntry]) -> QImage:
    """Return charts below each other with their legend, at twice their size."""
    size = _size(charts, entries)
    image = QImage((size * _SCALE).toSize(), QImage.Format.Format_RGB32)
    painter = QPainter(image)
    painter.scale(_SCALE, _SCALE)
    _paint(painter, size, charts, entries)
    painter.end()
    return image


def charts_svg(charts: Sequence[RunChart], entries: Sequence[LegendEntry]) -> bytes:
    """Return the same as vectors."""
    size = _size(charts, entries)
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setTitle("Training")
    generator.setSize(size.toSize())
    generator.setViewBox(QRectF(QPointF(), size))
    generator.setResolution(charts[0].logicalDpiX())
    painter = QPainter(generator)
    _paint(painter, size, charts, entries)
    painter.end()
    buffer.close()
    return bytes(data.data())


def save_picture(
    charts: Sequence[RunChart], entries: Sequence[LegendEntry], path: Path, kind: str
) -> None:
    """Write charts as ``png`` or ``svg``.

    Raises:
        LatentLabError: the file cannot be written.
    """
    if kind == "svg":
        data = charts_svg(charts, entries)
    else:
        held = QByteArray()
        buffer = QBuffer(held)
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        charts_image(charts, entries).save(buffer, "PNG")
        data = bytes(held.data())
    replace_file(path, lambda target: target.write_bytes(data))


Column = tuple[NDArray[np.int64], NDArray[np.floating]]


def save_table(path: Path, runs: Mapping[str, Mapping[str, Column]]) -> None:
    """Write a row for each step of each run, as CSV; what a step did not tell stays empty.

    Args:
        path: the file.
        runs: by name, series by name: steps and values ``(n,)`` each.

    Raises:
        LatentLabError: the file cannot be written.
    """
    names = list(dict.fromkeys(name for columns in runs.values() for name in columns))

    def write(target: Path) -> None:
        with target.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["run", "step", *names])
            for run, columns in runs.items():
                steps, table = aligned(columns, names)
                for step, row in zip(steps.tolist(), table.tolist()):
                    texts = ("" if math.isnan(v) else f"{v:.9g}" for v in row)
                    writer.writerow([run, step, *texts])

    replace_file(path, write)


def aligned(
    columns: Mapping[str, Column], names: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return all steps ``(n,)`` and the values ``(n, len(names))`` at them, NaN for none."""
    every = [np.asarray(steps) for steps, _ in columns.values()]
    steps = np.unique(np.concatenate(every)) if every else np.zeros(0, np.int64)
    table = np.full((len(steps), len(names)), np.nan)
    for place, name in enumerate(names):
        if name in columns:
            own, values = columns[name]
            table[np.searchsorted(steps, own), place] = values
    return steps, table
