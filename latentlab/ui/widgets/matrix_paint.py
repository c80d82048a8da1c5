"""Where the parts of a heat map stand and how they are drawn, on a widget and in a file."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetricsF, QPainter, QPalette, QPen

from latentlab.ui.palette import contrast
from latentlab.ui.widgets.colours import faint, is_dark
from latentlab.ui.widgets.diverging import STEPS, diverging, diverging_colour
from latentlab.ui.widgets.labelled_matrix import LabelledMatrix, short_number

GAP = 6.0
BAR_HEIGHT = 8.0
_CELL_WIDTH = (15.0, 56.0)
_CELL_HEIGHT = (15.0, 32.0)
_MOST_HEAD = 150.0
_LABEL_SHARE = 0.4
_HATCH = 5.0


def small_font(font: QFont) -> QFont:
    """Return the font of captions."""
    small = QFont(font)
    if font.pointSizeF() > 0:
        small.setPointSizeF(font.pointSizeF() * 11 / 13)
    else:
        small.setPixelSize(max(9, round(font.pixelSize() * 11 / 13)))
    return small


@dataclass(frozen=True)
class MatrixGeometry:
    """Sizes in logical pixels; the cells begin at (``label``, ``head``).

    Attributes:
        label: width of the row names.
        head: height of the column names.
        cell_width: of a cell.
        cell_height: of a cell.
        rows: M.
        columns: K.
        turned: column names stand upright, read from below.
        line: height of a line of captions.
    """

    label: float
    head: float
    cell_width: float
    cell_height: float
    rows: int
    columns: int
    turned: bool
    line: float

    @property
    def cells_width(self) -> float:
        """Width of all cells."""
        return self.cell_width * self.columns

    @property
    def cells_height(self) -> float:
        """Height of all cells."""
        return self.cell_height * self.rows

    @property
    def foot(self) -> float:
        """Height of the colour bar with its numbers and its unit."""
        return GAP + BAR_HEIGHT + 2 * self.line + 4

    def cell(self, row: int, column: int) -> QRectF:
        """Return where a cell is, from the corner of the cells."""
        left, top = round(column * self.cell_width), round(row * self.cell_height)
        right, bottom = (
            round((column + 1) * self.cell_width),
            round((row + 1) * self.cell_height),
        )
        return QRectF(left, top, right - left, bottom - top)


def measure_matrix(
    matrix: LabelledMatrix, font: QFont, width: float | None = None, height: float | None = None
) -> MatrixGeometry:
    """Return the sizes for a room; without one, those of a picture with all its names.

    Cells shrink to a smallest size; what is larger than the room scrolls.
    """
    metrics = QFontMetricsF(font)
    small = QFontMetricsF(small_font(font))
    rows, columns = max(len(matrix.rows), 1), max(len(matrix.columns), 1)
    label = max((metrics.horizontalAdvance(name) for name in matrix.rows), default=0) + 2 * GAP
    longest = max((small.horizontalAdvance(name) for name in matrix.columns), default=0)
    if width is not None:
        label = min(label, max(72.0, width * _LABEL_SHARE))
    room = _CELL_WIDTH[1] * columns if width is None else width - label
    cell_width = min(max(room / columns, _CELL_WIDTH[0]), _CELL_WIDTH[1])
    turned = longest + GAP > cell_width
    head = (longest if width is None else min(longest, _MOST_HEAD)) + 2 * GAP
    if not turned:
        head = small.height() + GAP
    foot = GAP + BAR_HEIGHT + 2 * small.height() + 4
    high = _CELL_HEIGHT[1] * rows if height is None else height - head - foot
    smallest = max(_CELL_HEIGHT[0], metrics.height())
    cell_height = min(max(high / rows, smallest), max(_CELL_HEIGHT[1], smallest))
    return MatrixGeometry(
        label, head, cell_width, cell_height, len(matrix.rows), len(matrix.columns),
        turned, small.height(),
    )  # fmt: skip


def _ink_on(colour: QColor) -> QColor:
    black, white = "#000000", "#ffffff"
    name = colour.name()
    return QColor(black if contrast(black, name) >= contrast(white, name) else white)


class MatrixPainter:
    """Draws the parts of a heat map.

    Args:
        matrix: what is drawn.
        geometry: where.
        font: of the row names.
        palette: light or dark.
        dim: draw it as out of date: the colours half gone.
    """

    def __init__(
        self,
        matrix: LabelledMatrix,
        geometry: MatrixGeometry,
        font: QFont,
        palette: QPalette,
        dim: bool = False,
    ) -> None:
        self.matrix = matrix
        self.geometry = geometry
        self.font = font
        self.small = small_font(font)
        self.palette = palette
        self.dark = is_dark(palette)
        self.dim = dim
        self._numbers = self._fitting_numbers()

    def _fitting_numbers(self) -> list[list[str]]:
        """The text of every cell, if all of them have the room: some alone would mislead."""
        full = [[short_number(float(v)) for v in row] for row in self.matrix.values]
        # A narrow cell has .41 in place of 0.41.
        brief = [[text.replace("0.", ".") for text in row] for row in full]
        measure = QFontMetricsF(self.small).horizontalAdvance
        for texts, margin in ((full, 4), (brief, 2)):
            widest = max((measure(text) for row in texts for text in row), default=0.0)
            if widest <= self.geometry.cell_width - margin:
                return texts
        return []

    @property
    def _text(self) -> QColor:
        return self.palette.color(QPalette.ColorRole.WindowText)

    def colour(self, row: int, column: int) -> QColor:
        """Return the colour of a cell."""
        if (row, column) in self.matrix.reasons:
            return self.palette.color(QPalette.ColorRole.Button)
        value = float(self.matrix.values[row, column])
        colour = diverging_colour(value, self.matrix.limit, self.dark)
        if not self.dim:
            return colour
        # Grey of the same lightness, halfway to the ground.
        grey = QColor.fromHsl(0, 0, colour.lightness())
        ground = self.palette.color(QPalette.ColorRole.Window)
        mixed = [(a + b) // 2 for a, b in zip(grey.getRgb()[:3], ground.getRgb()[:3])]
        return QColor(*mixed)

    def cells(self, painter: QPainter) -> None:
        """Draw the cells; the painter's origin is their corner."""
        for row in range(self.geometry.rows):
            for column in range(self.geometry.columns):
                self._cell(painter, row, column)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for row in range(self.geometry.rows):
            for column in range(self.geometry.columns):
                if self.matrix.is_own(row, column):
                    painter.setPen(QPen(self._text, 2))
                    box = self.geometry.cell(row, column)
                    painter.drawRect(box.adjusted(1, 1, -1, -1))

    def _cell(self, painter: QPainter, row: int, column: int) -> None:
        box = self.geometry.cell(row, column)
        colour = self.colour(row, column)
        painter.fillRect(box, colour)
        if (row, column) in self.matrix.reasons:
            self._hatch(painter, box)
        else:
            text = self._numbers[row][column] if self._numbers else ""
            painter.setFont(self.small)
            painter.setPen(_ink_on(colour))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
        painter.setPen(QPen(self.palette.color(QPalette.ColorRole.Window), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(box.adjusted(0, 0, -1, -1))

    def _hatch(self, painter: QPainter, box: QRectF) -> None:
        """Slanted lines, drawn one by one so that a vector file has them too."""
        painter.save()
        painter.setClipRect(box, Qt.ClipOperation.IntersectClip)
        painter.setPen(QPen(faint(self.palette, 0.45), 1))
        x = box.left() - box.height()
        while x < box.right():
            painter.drawLine(QLineF(x, box.bottom(), x + box.height(), box.top()))
            x += _HATCH
        painter.restore()

    def row_names(self, painter: QPainter, marked: int | None = None) -> None:
        """Draw the names on the left; the origin is the corner of the first one."""
        painter.setFont(self.font)
        metrics = QFontMetricsF(self.font)
        for row, name in enumerate(self.matrix.rows):
            cell = self.geometry.cell(row, 0)
            box = QRectF(0, cell.top(), self.geometry.label - GAP, cell.height())
            if row == marked:
                ground = self.palette.color(QPalette.ColorRole.Highlight)
                ground.setAlpha(48)
                painter.fillRect(QRectF(0, cell.top(), self.geometry.label, cell.height()), ground)
            painter.setPen(self._text)
            text = metrics.elidedText(name, Qt.TextElideMode.ElideRight, box.width())
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)

    def column_names(self, painter: QPainter) -> None:
        """Draw the names above; the origin is above the corner of the cells."""
        painter.setFont(self.small)
        painter.setPen(self._text)
        metrics = QFontMetricsF(self.small)
        head = self.geometry.head
        for column, name in enumerate(self.matrix.columns):
            cell = self.geometry.cell(0, column)
            painter.save()
            if self.geometry.turned:
                text = metrics.elidedText(name, Qt.TextElideMode.ElideRight, head - GAP)
                painter.translate(cell.center().x(), head - GAP / 2)
                painter.rotate(-90)
                box = QRectF(0, -metrics.height() / 2, head, metrics.height())
                flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
                painter.drawText(box, flags, text)
            else:
                box = QRectF(cell.left(), 0, cell.width(), head)
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, name)
            painter.restore()

    def bar(self, painter: QPainter, width: float) -> None:
        """Draw the colour bar, its ends and its unit; the origin is its corner."""
        ramp = diverging(self.dark)
        for x in range(round(width)):
            level = ramp[min(STEPS - 1, int(x / width * STEPS))]
            colour = QColor(*(int(v) for v in level))
            painter.fillRect(QRectF(x, 0, 1, BAR_HEIGHT), colour)
        painter.setPen(QPen(self.palette.color(QPalette.ColorRole.Mid), 1))
        painter.setBrush(QBrush(Qt.BrushStyle.NoBrush))
        painter.drawRect(QRectF(0, 0, width - 1, BAR_HEIGHT))
        painter.setFont(self.small)
        painter.setPen(faint(self.palette))
        metrics = QFontMetricsF(self.small)
        limit = self.matrix.limit
        line = QRectF(0, BAR_HEIGHT + 1, width, metrics.height())
        sides = ((-limit, Qt.AlignmentFlag.AlignLeft), (0.0, Qt.AlignmentFlag.AlignHCenter))
        for value, side in (*sides, (limit, Qt.AlignmentFlag.AlignRight)):
            sign = "+" if value > 0 else ""
            painter.drawText(line, side | Qt.AlignmentFlag.AlignTop, sign + short_number(value))
        # The unit may be longer than the bar: it has the room below the row names too.
        left = self.geometry.label
        below = line.translated(0, metrics.height()).adjusted(-left, 0, 0, 0)
        unit = metrics.elidedText(self.matrix.unit, Qt.TextElideMode.ElideRight, below.width())
        painter.drawText(below, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop, unit)

    def everything(self, painter: QPainter, at: QPointF) -> None:
        """Draw title, names, cells and colour bar from a corner, for a file."""
        geometry = self.geometry
        painter.setFont(self.font)
        painter.setPen(self._text)
        title = QFontMetricsF(self.font).height()
        painter.drawText(QPointF(at.x(), at.y() + title - 4), self.matrix.title)
        painter.translate(at.x(), at.y() + title + GAP)
        painter.save()
        painter.translate(geometry.label, 0)
        self.column_names(painter)
        painter.translate(0, geometry.head)
        self.cells(painter)
        painter.translate(0, geometry.cells_height + GAP)
        self.bar(painter, max(geometry.cells_width, 120.0))
        painter.restore()
        painter.translate(0, geometry.head)
        self.row_names(painter)
