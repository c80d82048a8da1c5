"""How a chart of training is drawn: the same on the screen, in a PNG and in an SVG."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pyqtgraph.functions import arrayToQPolygonF
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPalette, QPen, QPolygonF

from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.map_axes import ticks_of
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.run_chart_state import (
    ChartLine,
    ChartState,
    Flag,
    cursor_text,
    readings,
    value_range,
)
from latentlab.ui.widgets.run_marks import Mark
from latentlab.ui.widgets.run_scale import Scale

_MIDDLE = Qt.AlignmentFlag.AlignVCenter
_RIGHT, _LEFT = Qt.AlignmentFlag.AlignRight, Qt.AlignmentFlag.AlignLeft
_WARNING, _ERROR = "#d55e00", "#c4314b"
_CLIP = 1e7
_THICK = ((0.0, 0.0), (0.8, 0.0), (0.0, 0.8))
"""Where a thin line is drawn again to look thick: Qt takes twenty times as long for a wide pen."""


class ChartPainter:
    """Paints a chart into a rectangle.

    Args:
        state: what is shown.
        room: where, in logical pixels.
        font: of the title.
        palette: light or dark.
    """

    def __init__(self, state: ChartState, room: QRectF, font: QFont, palette: QPalette) -> None:
        self.state = state
        self.room = room
        self.palette = palette
        self.small = small_font(font)
        self.bold = QFont(self.small)
        self.bold.setBold(True)
        metrics = QFontMetricsF(self.small)
        self.line_height = metrics.height()
        left = metrics.horizontalAdvance("−0.0000") + 8
        self.plot = room.adjusted(left, self.line_height + 6, -8, -(self.line_height + 6))
        first, last = state.view
        self.x = Scale(first, last if last > first else first + 1, self.plot.left(),
                       self.plot.right())  # fmt: skip
        ranged = state.y_range or value_range(state.lines, state.log)
        self.y = None
        if ranged is not None and self.plot.height() > 10:
            self.y = Scale(*ranged, self.plot.bottom(), self.plot.top(), state.log)

    def chart(self, painter: QPainter) -> None:
        """Paint all but the readout."""
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.room, self.palette.color(QPalette.ColorRole.Base))
        self._title(painter)
        if self.y is None:
            self._nothing(painter)
        else:
            self._grid(painter)
            painter.setClipRect(self.plot.adjusted(0, -1, 0, 1))
            self._flags(painter, lines=True)
            for line in self.state.lines:
                self._line(painter, line)
            painter.setClipping(False)
            self._flags(painter, lines=False)
        painter.restore()

    def readout(self, painter: QPainter) -> None:
        """Paint what the lines have at the cursor, if it is anywhere."""
        if self.y is not None and math.isfinite(self.state.cursor):
            painter.save()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._readout(painter)
            painter.restore()

    def _title(self, painter: QPainter) -> None:
        ink = self.palette.color(QPalette.ColorRole.Text)
        painter.setFont(self.bold)
        painter.setPen(ink)
        line = QRectF(self.room.left() + 8, self.room.top() + 2, self.room.width() - 16,
                      self.line_height)  # fmt: skip
        painter.drawText(line, _LEFT | _MIDDLE, self.state.title)
        used = QFontMetricsF(self.bold).horizontalAdvance(self.state.title) + 6
        painter.setFont(self.small)
        painter.setPen(faint(self.palette, 0.75))
        note = self.state.unit
        if self.y is not None and (power := self.y.ticks(self._most_y()).note):
            note = f"{note} {power}".strip()
        painter.drawText(line.adjusted(used, 0, 0, 0), _LEFT | _MIDDLE, note)
        if self.state.log and self.y is not None and self._has_unshowable():
            text = "values of 0 or less are left out"
            if QFontMetricsF(self.small).horizontalAdvance(f"{note}{text}") < line.width() - used:
                painter.drawText(line, _RIGHT | _MIDDLE, text)

    def _has_unshowable(self) -> bool:
        return any(bool(np.any(one.line.low <= 0)) for one in self.state.lines)

    def _nothing(self, painter: QPainter) -> None:
        painter.setFont(self.small)
        painter.setPen(faint(self.palette, 0.8))
        text = "No values yet."
        if self.state.log and any(np.isfinite(one.line.low).any() for one in self.state.lines):
            text = (
                "All values are 0 or less, which a logarithmic axis cannot show: use a linear one."
            )
        elif not self.state.lines:
            text = "Nothing is ticked in the legend."
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(self.plot, int(flags), text)

    def _most_y(self) -> int:
        return max(2, int(self.plot.height() / (2.4 * self.line_height)))

    def _grid(self, painter: QPainter) -> None:
        assert self.y is not None
        painter.setFont(self.small)
        grid = QPen(self.palette.color(QPalette.ColorRole.Mid), 1)
        grid.setCosmetic(True)
        ink = faint(self.palette, 0.8)
        ticks = self.y.ticks(self._most_y())
        for value, text in zip(ticks.values, ticks.texts):
            at = float(self.y.place(value))
            painter.setPen(grid)
            painter.drawLine(QLineF(self.plot.left(), at, self.plot.right(), at))
            painter.setPen(ink)
            box = QRectF(self.room.left(), at - 10, self.plot.left() - self.room.left() - 5, 20)
            painter.drawText(box, _RIGHT | _MIDDLE, text)
        self._x_ticks(painter, ink)

    def _x_ticks(self, painter: QPainter, ink: QColor) -> None:
        divisor, name = self.state.x_unit
        metrics = QFontMetricsF(self.small)
        most = max(2, int(self.plot.width() / max(60.0, metrics.horizontalAdvance("000000") * 2)))
        ticks = ticks_of(self.x.low / divisor, self.x.high / divisor, most)
        label = f"{name} {ticks.note}".strip()
        top = self.plot.bottom() + 3
        wide = metrics.horizontalAdvance(label)
        painter.setPen(ink)
        row = QRectF(self.plot.left(), top, self.plot.width(), self.line_height)
        painter.drawText(row, _RIGHT | _MIDDLE, label)
        edge = row.right() - wide - 8
        for value, text in zip(ticks.values, ticks.texts):
            at = float(self.x.place(value * divisor))
            half = metrics.horizontalAdvance(text) / 2
            painter.drawLine(QLineF(at, self.plot.bottom(), at, self.plot.bottom() + 3))
            if at + half < edge:
                painter.drawText(QRectF(at - 60, top, 120, self.line_height),
                                 Qt.AlignmentFlag.AlignCenter, text)  # fmt: skip

    def _polyline(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> list[QPolygonF]:
        """Return pixels of a line, in pieces where values are missing."""
        assert self.y is not None
        places, levels = self.x.place(x), np.clip(self.y.place(y), -_CLIP, _CLIP)
        known = np.isfinite(places) & np.isfinite(levels)
        edges = np.flatnonzero(np.diff(known.astype(np.int8), prepend=0, append=0))
        pieces = []
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist()):
            pieces.append(arrayToQPolygonF(places[begin:end], levels[begin:end]))
        return pieces

    def _line(self, painter: QPainter, one: ChartLine) -> None:
        line, pen = one.line, one.mark.pen(self.palette, one.width)
        if one.points:
            self._points(painter, one, pen)
            return
        # The smallest and the largest value of each pixel in turn: no spike is lost.
        x = np.repeat(line.x, 2)
        y = np.stack([line.low, line.high], axis=1).reshape(-1)
        spread = bool(np.any(line.low < line.high))
        if not spread:
            x, y = line.x, line.low
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if len(line.smooth_x):
            faded = QColor(pen.color())
            faded.setAlpha(70)
            painter.setPen(QPen(faded, 1.0))
            for piece in self._polyline(x, y):
                painter.drawPolyline(piece)
            x, y = line.smooth_x, line.smooth_y
        elif spread:
            # Up and down in every pixel: a wider pen takes Qt twenty times as long.
            pen.setWidthF(1.0)
        pieces = self._polyline(x, y)
        for piece in pieces:
            if piece.size() == 1:
                one.mark.paint(painter, piece.at(0), 6, self.palette)
            else:
                _stroke(painter, piece, pen)
        if pieces and one.end_label:
            self._end_label(painter, pieces[-1].at(pieces[-1].size() - 1), one)

    def _end_label(self, painter: QPainter, at: QPointF, one: ChartLine) -> None:
        painter.setFont(self.small)
        painter.setPen(one.mark.colour(self.palette))
        box = QRectF(min(at.x(), self.plot.right()) - 144, at.y() - 16, 140, 14)
        painter.drawText(box, _RIGHT | _MIDDLE, one.end_label)

    def _points(self, painter: QPainter, one: ChartLine, pen: QPen) -> None:
        pen.setWidthF(1.0)
        pen.setStyle(Qt.PenStyle.DotLine)
        known = np.isfinite(one.line.high)
        for piece in self._polyline(one.line.x[known], one.line.high[known]):
            painter.setPen(pen)
            painter.drawPolyline(piece)
            if piece.size() <= self.plot.width() / 4:
                for at in piece:
                    one.mark.paint(painter, at, 7, self.palette)

    def _flags(self, painter: QPainter, lines: bool) -> None:
        for flag in self.state.flags:
            at = float(self.x.place(flag.place))
            if not self.plot.left() - 0.5 <= at <= self.plot.right() + 0.5:
                continue
            if lines:
                self._flag_line(painter, flag, at)
            else:
                self._flag_sign(painter, flag, at)

    def _flag_line(self, painter: QPainter, flag: Flag, at: float) -> None:
        if flag.kind in ("checkpoint", "best"):
            return
        colour = {"warning": QColor(_WARNING), "error": QColor(_ERROR)}.get(
            flag.kind, flag.mark.colour(self.palette)
        )
        colour.setAlpha(170)
        painter.setPen(QPen(colour, 1, Qt.PenStyle.DashLine))
        painter.drawLine(QLineF(at, self.plot.top(), at, self.plot.bottom()))

    def _flag_sign(self, painter: QPainter, flag: Flag, at: float) -> None:
        bottom, top = self.plot.bottom(), self.plot.top()
        painter.setFont(self.small)
        if flag.kind in ("checkpoint", "best"):
            colour = flag.mark.colour(self.palette)
            painter.setPen(QPen(colour, 1.2))
            painter.setBrush(colour if flag.kind == "best" else Qt.BrushStyle.NoBrush)
            size = 4.0 if flag.kind == "best" else 3.0
            corners = (QPointF(at, bottom - 2 * size), QPointF(at - size, bottom),
                       QPointF(at + size, bottom))  # fmt: skip
            painter.drawPolygon(QPolygonF(corners))
        else:
            sign = "↻" if flag.kind == "attempt" else "⚠"
            painter.setPen(faint(self.palette, 0.9))
            left = at + 2 if at + 16 <= self.plot.right() else at - 14
            painter.drawText(QRectF(left, top - 1, 16, self.line_height), _LEFT, sign)

    # The readout.

    def _readout(self, painter: QPainter) -> None:
        at = float(self.x.place(self.state.cursor))
        if not self.plot.left() <= at <= self.plot.right():
            return
        painter.setPen(QPen(faint(self.palette, 0.6), 1))
        painter.drawLine(QLineF(at, self.plot.top(), at, self.plot.bottom()))
        texts = readings(self.state)
        rows = [(line.mark, text) for line, text in texts]
        head = cursor_text(self.state)
        notes = [flag.text for flag in self.state.flags
                 if abs(float(self.x.place(flag.place)) - at) <= 4][:2]  # fmt: skip
        self._readout_box(painter, at, head, rows, notes)
        assert self.y is not None
        for line, _ in texts:
            found = line.read(self.state.cursor)
            if found is not None and self.x.low <= found[0] <= self.x.high:
                level = float(self.y.place(found[1]))
                if self.plot.top() <= level <= self.plot.bottom():
                    place = QPointF(float(self.x.place(found[0])), level)
                    line.mark.paint(painter, place, 7, self.palette)

    def _readout_box(
        self,
        painter: QPainter,
        at: float,
        head: str,
        rows: list[tuple[Mark, str]],
        notes: list[str],
    ) -> None:
        metrics = QFontMetricsF(self.small)
        most = max(1, int(self.plot.height() / self.line_height) - 1 - len(notes))
        rows = rows[:most]
        widths = [metrics.horizontalAdvance(text) + 16 for _, text in rows]
        widths += [metrics.horizontalAdvance(text) for text in (head, *notes)]
        width = min(max(widths) + 12, self.plot.width())
        height = self.line_height * (1 + len(rows) + len(notes)) + 4
        left = at + 8 if at + 8 + width <= self.plot.right() else at - 8 - width
        left = min(max(left, self.plot.left()), self.plot.right() - width)
        box = QRectF(left, self.plot.top() + 1, width, height)
        ground = QColor(self.palette.color(QPalette.ColorRole.Window))
        ground.setAlpha(238)
        painter.setPen(QPen(self.palette.color(QPalette.ColorRole.Mid), 1))
        painter.setBrush(ground)
        painter.drawRect(box)
        painter.setFont(self.small)
        line = QRectF(box.left() + 6, box.top() + 2, box.width() - 12, self.line_height)
        ink = self.palette.color(QPalette.ColorRole.Text)
        painter.setPen(faint(self.palette, 0.8))
        painter.drawText(line, _LEFT | _MIDDLE, head)
        for mark, text in rows:
            line.translate(0, self.line_height)
            mark.paint(painter, QPointF(line.left() + 5, line.center().y()), 8, self.palette)
            painter.setPen(ink)
            painter.drawText(line.adjusted(16, 0, 0, 0), _LEFT | _MIDDLE, text)
        for text in notes:
            line.translate(0, self.line_height)
            painter.setPen(faint(self.palette, 0.8))
            painter.drawText(line, _LEFT | _MIDDLE, text)


def _stroke(painter: QPainter, line: QPolygonF, pen: QPen) -> None:
    """Draw a line of hundreds of points as wide as its pen, roughly."""
    if pen.widthF() <= 1.2:
        painter.setPen(pen)
        painter.drawPolyline(line)
        return
    thin = QPen(pen)
    thin.setWidthF(1.0)
    painter.setPen(thin)
    for right, down in _THICK:
        painter.translate(right, down)
        painter.drawPolyline(line)
        painter.translate(-right, -down)
