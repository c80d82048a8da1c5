"""A heat map as a picture, a file, or a table on the clipboard."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QPointF, QRectF, QSizeF
from PySide6.QtGui import QFont, QImage, QPainter, QPalette
from PySide6.QtSvg import QSvgGenerator

from latentlab.core.modelfile import replace_file
from latentlab.ui.widgets.labelled_matrix import LabelledMatrix
from latentlab.ui.widgets.matrix_paint import GAP, MatrixPainter, measure_matrix

_MARGIN = 12.0
_SCALE = 2
KINDS = ("PNG", "SVG", "CSV")


def _drawing(
    matrix: LabelledMatrix, font: QFont, palette: QPalette
) -> tuple[MatrixPainter, QSizeF]:
    geometry = measure_matrix(matrix, font)
    width = geometry.label + max(geometry.cells_width, 120.0)
    height = geometry.line * 2 + GAP + geometry.head + geometry.cells_height + geometry.foot
    size = QSizeF(width + 2 * _MARGIN, height + 2 * _MARGIN)
    return MatrixPainter(matrix, geometry, font, palette), size


def matrix_image(matrix: LabelledMatrix, font: QFont, palette: QPalette) -> QImage:
    """Return the whole matrix with its title and colour bar, at twice its size."""
    drawing, size = _drawing(matrix, font, palette)
    image = QImage((size * _SCALE).toSize(), QImage.Format.Format_RGB32)
    image.fill(palette.color(QPalette.ColorRole.Window))
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
    painter.scale(_SCALE, _SCALE)
    drawing.everything(painter, QPointF(_MARGIN, _MARGIN))
    painter.end()
    return image


def matrix_svg(matrix: LabelledMatrix, font: QFont, palette: QPalette) -> bytes:
    """Return the same as vectors."""
    drawing, size = _drawing(matrix, font, palette)
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setTitle(matrix.title)
    generator.setSize(size.toSize())
    generator.setViewBox(QRectF(QPointF(), size))
    painter = QPainter(generator)
    painter.fillRect(QRectF(QPointF(), size), palette.color(QPalette.ColorRole.Window))
    drawing.everything(painter, QPointF(_MARGIN, _MARGIN))
    painter.end()
    buffer.close()
    return bytes(data.data())


def _png(image: QImage) -> bytes:
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return bytes(data.data())


def save_matrix(
    matrix: LabelledMatrix, path: Path, kind: str, font: QFont, palette: QPalette
) -> None:
    """Write a matrix to a file.

    Args:
        matrix: what is written.
        path: of the file.
        kind: ``PNG``, ``SVG`` or ``CSV``.
        font: of the names.
        palette: light or dark.

    Raises:
        LatentLabError: the file cannot be written.
    """
    if kind == "CSV":
        data = matrix.as_table(",").encode()
    else:
        picture = matrix_svg if kind == "SVG" else matrix_image
        made = picture(matrix, font, palette)
        data = made if isinstance(made, bytes) else _png(made)
    replace_file(path, lambda temporary: temporary.write_bytes(data))
