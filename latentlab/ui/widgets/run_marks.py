"""Colour, marker and dash of each run: the same wherever it is shown, told by more than colour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPalette, QPen, QPixmap, QPolygonF

from latentlab.ui.palette import contrast
from latentlab.ui.widgets.colours import OKABE_ITO
from latentlab.ui.widgets.marker_shapes import SHAPES, corners_of

# Strong ones first; yellow, which is weak on white, last.
_ORDER = (4, 5, 2, 6, 0, 1, 3)
DASHES: tuple[tuple[float, ...], ...] = ((), (6, 3), (2, 2), (8, 3, 2, 3))
"""Dash patterns in widths of the line; the first is solid."""
_CONTRAST = 3.0


@dataclass(frozen=True)
class Mark:
    """How one thing is drawn.

    Attributes:
        slot: its place among the others; colour and marker follow from it.
        line: row of ``DASHES``; lines that are drawn together have different ones.
    """

    slot: int
    line: int = 0

    @property
    def shape(self) -> int:
        """Row of ``SHAPES``."""
        return self.slot % len(SHAPES)

    @property
    def shape_name(self) -> str:
        """The marker in words."""
        return SHAPES[self.shape][0]

    @property
    def dash(self) -> tuple[float, ...]:
        """The pattern of its lines."""
        return DASHES[self.line % len(DASHES)]

    def colour(self, palette: QPalette) -> QColor:
        """Return its colour, at a contrast of at least 3 to 1 with the ground of plots."""
        base = palette.color(QPalette.ColorRole.Base)
        colour = QColor(OKABE_ITO[_ORDER[self.slot % len(_ORDER)]])
        dark = base.lightness() < 128
        for _ in range(12):
            if contrast(colour.name(), base.name()) >= _CONTRAST:
                break
            colour = colour.lighter(112) if dark else colour.darker(112)
        return colour

    def pen(self, palette: QPalette, width: float = 1.6) -> QPen:
        """Return the pen of its lines."""
        pen = QPen(self.colour(palette), width)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        if self.dash:
            pen.setDashPattern(list(self.dash))
        return pen

    def paint(
        self, painter: QPainter, middle: QPointF, size: float, palette: QPalette, full: bool = True
    ) -> None:
        """Draw its marker around a place; only the outline when it is not ``full``."""
        colour = self.colour(palette)
        corners = corners_of(self.shape, size)
        polygon = QPolygonF([QPointF(x + middle.x(), y + middle.y()) for x, y in corners.tolist()])
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(colour, 1.4))
        painter.setBrush(colour if full else Qt.BrushStyle.NoBrush)
        painter.drawPolygon(polygon)
        painter.restore()

    def line_picture(self, palette: QPalette, ratio: float = 2.0) -> QPixmap:
        """Return a short piece of its line with its marker, for legends."""
        width, height = 26, 14
        pixmap = QPixmap(round(width * ratio), round(height * ratio))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(self.pen(palette))
        room = QRectF(0, 0, width, height)
        painter.drawLine(QPointF(1, room.center().y()), QPointF(width - 1, room.center().y()))
        self.paint(painter, room.center(), 8, palette)
        painter.end()
        return pixmap


class RunMarks:
    """Gives every run a mark of its own for as long as the window is open."""

    def __init__(self) -> None:
        self._slots: dict[Path, int] = {}

    def of(self, path: Path) -> Mark:
        """Return the mark of a run."""
        if path not in self._slots:
            used = set(self._slots.values())
            free = (slot for slot in range(len(used) + 1) if slot not in used)
            self._slots[path] = next(free)
        return Mark(self._slots[path])

    def keep_only(self, paths: Iterable[Path]) -> None:
        """Forget runs that are gone, so that their marks are free."""
        known = set(paths)
        self._slots = {path: slot for path, slot in self._slots.items() if path in known}
