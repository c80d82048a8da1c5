"""The plot of a noise schedule as a picture, a vector file, or a table."""

from __future__ import annotations

import csv
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QPointF, QRectF, QSize
from PySide6.QtGui import QFont, QImage, QPainter, QPalette
from PySide6.QtSvg import QSvgGenerator

from latentlab.core.modelfile import replace_file
from latentlab.ui.widgets.schedule_curves import ScheduleState, table
from latentlab.ui.widgets.schedule_paint import SchedulePainter

_SCALE = 2
KINDS = ("PNG", "SVG", "CSV")


def schedule_image(state: ScheduleState, size: QSize, font: QFont, palette: QPalette) -> QImage:
    """Return the plot at twice its size."""
    image = QImage(size * _SCALE, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    painter.scale(_SCALE, _SCALE)
    SchedulePainter(state, QRectF(QPointF(), size), font, palette).chart(painter)
    painter.end()
    return image


def _png(image: QImage) -> bytes:
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return bytes(data.data())


def schedule_svg(state: ScheduleState, size: QSize, font: QFont, palette: QPalette) -> bytes:
    """Return the plot as vectors."""
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setTitle("Noise schedule")
    generator.setSize(size)
    generator.setViewBox(QRectF(QPointF(), size))
    painter = QPainter(generator)
    SchedulePainter(state, QRectF(QPointF(), size), font, palette).chart(painter)
    painter.end()
    buffer.close()
    return bytes(data.data())


def save_schedule(
    path: Path, kind: str, state: ScheduleState, size: QSize, font: QFont, palette: QPalette
) -> None:
    """Write the plot, or a row of numbers for each time.

    Args:
        path: of the file.
        kind: ``PNG``, ``SVG`` or ``CSV``.
        state: what is shown.
        size: of the plot, in logical pixels.
        font: of the window.
        palette: light or dark.

    Raises:
        LatentLabError: the file cannot be written.
    """

    def write(target: Path) -> None:
        if kind == "CSV":
            with target.open("w", encoding="utf-8", newline="") as stream:
                header, rows = table(state, state.labels)
                csv.writer(stream, lineterminator="\n").writerows([header, *rows])
        elif kind == "SVG":
            target.write_bytes(schedule_svg(state, size, font, palette))
        else:
            target.write_bytes(_png(schedule_image(state, size, font, palette)))

    replace_file(path, write)
