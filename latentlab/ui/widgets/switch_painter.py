"""How a picture matrix is drawn: heads with letters, cells, and the row and column in hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PySide6.QtCore import QLineF, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPalette, QPen

from latentlab.core.document import Picture
from latentlab.ui.widgets.colours import faint, is_dark, surround
from latentlab.ui.widgets.images import Images
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.switch_geometry import GAP, HEAD_GAP, LETTER, Place, SwitchGeometry
from latentlab.ui.widgets.thumbnail import paint_image

_CENTRE = Qt.AlignmentFlag.AlignCenter
_NOTE_FROM = 44.0
"""A cell of this size or more has room for its note."""
_WAITING = 0.45


@dataclass(frozen=True, eq=False)
class Head:
    """A source, or an amount, that a row or a column stands for.

    Attributes:
        id: its own.
        mark: a letter or a number beside it.
        name: for a person.
        image: uint8 ``(H, W, C)``, once it is here.
        picture: what it stands for, if it is a picture.
        tip: what the tooltip says.
    """

    id: str
    mark: str
    name: str
    image: Images | None = None
    picture: Picture | None = None
    tip: str = ""


@dataclass(frozen=True, eq=False)
class Cell:
    """One picture of the matrix.

    Attributes:
        image: uint8 ``(H, W, C)``, once it is here.
        text: what it is, for a person.
        note: a figure in its corner, such as the error of a reconstruction.
        waiting: what is shown is not what it will be.
        tip: more than ``text``, for the tooltip.
    """

    image: Images | None
    text: str
    note: str = ""
    waiting: bool = False
    tip: str = ""


class MatrixContent(Protocol):
    """What a picture matrix shows."""

    rows: Sequence[Head]
    columns: Sequence[Head]
    row_text: str
    column_text: str
    image_size: tuple[int, int]
    diagonal: bool
    head_size: tuple[float, float] | None
    """Width beside the rows and height above the columns, in logical pixels; ``None``: a cell."""

    def cell(self, row: int, column: int) -> Cell:
        """Return a cell."""
        ...

    def picture(self, row: int, column: int) -> Picture | None:
        """Return the picture of a cell, once it can be told."""
        ...


def row_colour(palette: QPalette) -> QColor:
    """Return the colour of what comes from the row."""
    return QColor("#56B4E9" if is_dark(palette) else "#0072B2")


def column_colour(palette: QPalette) -> QColor:
    """Return the colour of what comes from the column."""
    return QColor("#E69F00" if is_dark(palette) else "#C05500")


def qrect(box: tuple[float, float, float, float]) -> QRectF:
    """Return a box of the geometry as Qt has it."""
    return QRectF(*box)


class SwitchPainter:
    """Draws one matrix.

    Args:
        content: what is drawn.
        geometry: where.
        font: of captions.
        palette: light or dark.
        ratio: device pixels for one logical pixel.
    """

    def __init__(
        self,
        content: MatrixContent,
        geometry: SwitchGeometry,
        font: QFont,
        palette: QPalette,
        ratio: float,
    ) -> None:
        self.content, self.geometry, self.palette, self.ratio = content, geometry, palette, ratio
        self.font = small_font(font)
        self.metrics = QFontMetricsF(self.font)

    # Images.

    def _image(self, painter: QPainter, box: QRectF, image: Images | None, dim: bool) -> None:
        if image is None:
            painter.fillRect(box, surround(self.palette))
            return
        painter.setOpacity(_WAITING if dim else 1.0)
        paint_image(painter, box.toRect(), image, self.ratio)
        painter.setOpacity(1.0)

    def cells(self, painter: QPainter, seen: QRectF) -> None:
        """Draw the cells that are in sight; the painter is moved by the scrolling."""
        for row in range(self.geometry.rows):
            for column in range(self.geometry.columns):
                box = qrect(self.geometry.box((row, column)))
                if not box.intersects(seen):
                    continue
                cell = self.content.cell(row, column)
                self._image(painter, box, cell.image, cell.waiting)
                if self.content.diagonal and row == column:
                    self._diagonal(painter, box)
                if cell.note and cell.image is not None and box.height() >= _NOTE_FROM:
                    self._note(painter, box, cell.note)

    def _diagonal(self, painter: QPainter, box: QRectF) -> None:
        """A frame of dots: a source made again out of its own parts."""
        painter.setPen(QPen(faint(self.palette, 0.8), 1, Qt.PenStyle.DotLine))
        painter.drawRect(box.adjusted(-1.5, -1.5, 0.5, 0.5))

    def _note(self, painter: QPainter, box: QRectF, text: str) -> None:
        painter.setFont(self.font)
        width = self.metrics.horizontalAdvance(text) + 8
        if width > box.width():
            return
        height = self.metrics.height()
        plate = QRectF(box.right() - width, box.bottom() - height, width, height)
        painter.fillRect(plate, QColor(0, 0, 0, 170))
        painter.setPen(QColor("white"))
        painter.drawText(plate, _CENTRE, text)

    # Heads.

    def row_heads(self, painter: QPainter, chosen: int | None) -> None:
        """Draw the sources of the rows; the painter is moved by the scrolling."""
        for row, head in enumerate(self.content.rows):
            box = qrect(self.geometry.box((row, -1)))
            self._head(painter, box, head)
            wide = LETTER - 2 if head.picture is not None else LETTER + box.width() - 4
            letter = QRectF(box.left() - LETTER, box.top(), wide, box.height())
            self._mark(painter, letter, head.mark, row == chosen, row_colour(self.palette))
            if row == chosen:
                self._edge(painter, box, row_colour(self.palette), below=False)

    def column_heads(self, painter: QPainter, chosen: int | None) -> None:
        """Draw the sources of the columns; the painter is moved by the scrolling."""
        for column, head in enumerate(self.content.columns):
            box = qrect(self.geometry.box((-1, column)))
            self._head(painter, box, head)
            letter = QRectF(box.left(), box.top() - LETTER, box.width(), LETTER - 2)
            colour = column_colour(self.palette)
            self._mark(painter, letter, head.mark, column == chosen, colour)
            if column == chosen:
                self._edge(painter, box, colour, below=True)

    def _head(self, painter: QPainter, box: QRectF, head: Head) -> None:
        if head.picture is not None:
            self._image(painter, box, head.image, False)

    def _mark(
        self, painter: QPainter, box: QRectF, text: str, chosen: bool, colour: QColor
    ) -> None:
        font = QFont(self.font)
        font.setBold(chosen)
        painter.setFont(font)
        painter.setPen(colour if chosen else faint(self.palette, 0.85))
        painter.drawText(box, _CENTRE, text)

    def _edge(self, painter: QPainter, box: QRectF, colour: QColor, *, below: bool) -> None:
        bar = QRectF(box.left(), box.bottom() + 2, box.width(), 3)
        if not below:
            bar = QRectF(box.right() + 2, box.top(), 3, box.height())
        painter.fillRect(bar, colour)

    # What is in hand.

    def row_band(self, painter: QPainter, row: int) -> None:
        """Draw a band behind a row; the painter is moved by the scrolling."""
        x, y, _, height = self.geometry.box((row, 0))
        band = QRectF(x, y, self.geometry.cells_width, height).adjusted(-HEAD_GAP, -3, 3, 3)
        self._band(painter, band, row_colour(self.palette))

    def column_band(self, painter: QPainter, column: int) -> None:
        """Draw a band behind a column; the painter is moved by the scrolling."""
        x, y, width, _ = self.geometry.box((0, column))
        band = QRectF(x, y, width, self.geometry.cells_height).adjusted(-3, -HEAD_GAP, 3, 3)
        self._band(painter, band, column_colour(self.palette))

    def _band(self, painter: QPainter, band: QRectF, colour: QColor) -> None:
        soft = QColor(colour)
        soft.setAlpha(150)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(soft)
        painter.drawRoundedRect(band, 3, 3)
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def ring(self, painter: QPainter, place: Place, focused: bool) -> None:
        """Draw a frame around the chosen picture; a bold one where the keys go."""
        box = qrect(self.geometry.box(place)).adjusted(-1, -1, 1, 1)
        painter.setPen(QPen(self.palette.color(QPalette.ColorRole.Window), 4))
        painter.drawRect(box)
        accent = self.palette.color(QPalette.ColorRole.Highlight)
        painter.setPen(QPen(accent if focused else faint(self.palette, 0.9), 2))
        painter.drawRect(box)

    def drop_mark(self, painter: QPainter, gap: int, across: float, down: float) -> None:
        """Draw where a source would go, between two rows and two columns."""
        geometry, accent = self.geometry, self.palette.color(QPalette.ColorRole.Highlight)
        x = geometry.cells_left + gap * (geometry.width + GAP) - GAP / 2 - across
        y = geometry.cells_top + gap * (geometry.height + GAP) - GAP / 2 - down
        painter.setPen(QPen(accent, 3))
        top, left = geometry.top + LETTER, geometry.left + LETTER
        painter.drawLine(QLineF(x, top, x, geometry.cells_top + geometry.cells_height))
        painter.drawLine(QLineF(left, y, geometry.cells_left + geometry.cells_width, y))

    # The corner.

    def corner(self, painter: QPainter) -> None:
        """Say what comes from the row and what from the column, with arrows along them."""
        box = qrect(self.geometry.box((-1, -1)))
        painter.setFont(self.font)
        line = self.metrics.height()
        if box.width() < 40 or box.height() < 2.2 * line:
            return
        painter.setPen(QPen(faint(self.palette, 0.4), 1))
        painter.drawLine(QLineF(box.topLeft() + QPointF(0, 0), box.bottomRight()))
        cut = Qt.TextElideMode.ElideRight
        room = box.width() - 4
        painter.setPen(column_colour(self.palette))
        upper = QRectF(box.left() + 2, box.top(), room, line)
        right = Qt.AlignmentFlag.AlignRight
        text = self.metrics.elidedText(self.content.column_text, cut, room - 14)
        painter.drawText(upper, right, f"{text} ↓")
        painter.setPen(row_colour(self.palette))
        lower = QRectF(box.left() + 2, box.bottom() - line, room, line)
        text = self.metrics.elidedText(self.content.row_text, cut, room - 14)
        painter.drawText(lower, Qt.AlignmentFlag.AlignLeft, f"{text} →")


def seen_rect(rect: QRect, across: int, down: int) -> QRectF:
    """Return the part of all cells that a clip of the viewport shows."""
    return QRectF(rect.translated(across, down))
