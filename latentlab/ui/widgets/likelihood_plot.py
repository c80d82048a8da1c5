"""The histogram of likelihoods: read off, hide, copy, save."""

from __future__ import annotations

import math

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from latentlab.core.likelihood import figure
from latentlab.services.likelihood_draw import (
    ALPHA,
    Box,
    HistogramData,
    HistogramDrawing,
    Ink,
    Stroke,
    Text,
    layout_histogram,
    legend_text,
)
from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.run_marks import Mark

EMPTY = "How many images of a data set have which bits/dim is drawn here, once it is scored."
_SIDES = {"l": Qt.AlignmentFlag.AlignLeft, "m": Qt.AlignmentFlag.AlignHCenter,
          "r": Qt.AlignmentFlag.AlignRight}  # fmt: skip
_KEYS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}


class LikelihoodPlot(QWidget):
    """Draws a histogram; the mouse, or Left and Right, read it off; H hides the last set.

    Signals:
        toggled: place of the data set whose entry in the legend was clicked.
        menu_wanted: where, on the screen.
    """

    toggled = Signal(int)
    menu_wanted = Signal(QPoint)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Histogram of likelihoods")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(self.fontMetrics().height() * 11)
        self.data = HistogramData((), ())
        self._bin: int | None = None

    def sizeHint(self) -> QSize:
        """Wide and low."""
        return QSize(360, self.fontMetrics().height() * 14)

    def show_data(self, data: HistogramData) -> None:
        """Show other numbers."""
        self.data = data
        self._describe()
        self.update()

    def drawing(self) -> HistogramDrawing:
        """Return where everything stands now."""
        metrics = QFontMetricsF(small_font(self.font()))
        room = Box(4, 4, self.width() - 4, self.height() - 4)
        return layout_histogram(self.data, room, metrics.height(), metrics.horizontalAdvance)

    # What is read off.

    def readout(self) -> str:
        """Return the numbers of the bin that is looked at; empty for none."""
        drawing, at = self.drawing(), self._bin
        if drawing.counted is None or at is None or at >= len(drawing.counted.edges) - 1:
            return ""
        low, high = drawing.counted.edges[at : at + 2]
        said = [f"{figure(low, 4)} to {figure(high, 4)}"]
        for place, share in zip(drawing.drawn, drawing.counted.shares):
            said.append(f"{self.data.titles[place]} {share[at]:.1f} %")
        return ": ".join([said[0], ", ".join(said[1:])])

    def _describe(self) -> None:
        if not any(len(values) for values in self.data.values):
            self.setAccessibleDescription(EMPTY)
            return
        said = [legend_text(*pair) for pair in zip(self.data.titles, self.data.values)]
        if self.data.mark is not None:
            said.append(f"{self.data.mark_title} {figure(self.data.mark, 4)}")
        self.setAccessibleDescription(". ".join([*filter(None, [self.readout()]), *said]))

    def _look_at(self, place: int | None) -> None:
        if place != self._bin:
            self._bin = place
            self._describe()
            self.update()

    # Painting.

    def _ink(self, ink: Ink) -> QColor:
        palette = self.palette()
        if ink in ("first", "second"):
            return Mark(0 if ink == "first" else 1).colour(palette)
        if ink == "faint":
            return faint(palette, 0.8)
        role = {"ink": palette.ColorRole.Text, "grid": palette.ColorRole.Mid}.get(ink)
        return palette.color(role or palette.ColorRole.Base)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the histogram, the readout and the focus."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.palette().color(self.palette().ColorRole.Base))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(small_font(self.font()))
        drawing = self.drawing()
        if drawing.counted is None and not self.data.titles:
            painter.setPen(faint(self.palette(), 0.8))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(12, 0, -12, 0), int(flags), EMPTY)
        else:
            self._shade(painter, drawing)
            for shape in drawing.shapes:
                if isinstance(shape, Text):
                    self._text(painter, shape)
                else:
                    self._stroke(painter, shape)
            self._paint_readout(painter, drawing)
        if self.hasFocus():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(self.palette().color(self.palette().ColorRole.Highlight), 1))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def _shade(self, painter: QPainter, drawing: HistogramDrawing) -> None:
        """Lay a band behind the bin that is looked at."""
        if drawing.counted is None or self._bin is None:
            return
        edges, plot = drawing.counted.edges, drawing.plot
        if self._bin + 1 < len(edges):
            span = (plot.right - plot.left) / (drawing.high - drawing.low)
            left = plot.left + (edges[self._bin] - drawing.low) * span
            width = (edges[self._bin + 1] - edges[self._bin]) * span
            colour = QColor(self.palette().color(self.palette().ColorRole.Highlight))
            colour.setAlpha(50)
            painter.fillRect(QRectF(left, plot.top, width, plot.bottom - plot.top), colour)

    def _text(self, painter: QPainter, shape: Text) -> None:
        painter.setPen(self._ink(shape.ink))
        flags = _SIDES[shape.anchor] | Qt.AlignmentFlag.AlignVCenter
        left = {"l": 0.0, "m": -1000.0, "r": -2000.0}[shape.anchor]
        painter.save()
        painter.translate(shape.x, shape.y)
        if shape.upright:
            painter.rotate(-90)
        painter.drawText(QRectF(left, -20, 2000, 40), int(flags), shape.text)
        painter.restore()

    def _stroke(self, painter: QPainter, shape: Stroke) -> None:
        colour = self._ink(shape.ink)
        pen = QPen(colour, shape.width)
        if shape.dash:
            pen.setDashPattern([length / shape.width for length in shape.dash])
        points = QPolygonF([QPointF(x, y) for x, y in shape.points])
        if shape.filled:
            ground = QColor(colour)
            ground.setAlphaF(ALPHA)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ground)
            painter.drawPolygon(points)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(points)

    def _paint_readout(self, painter: QPainter, drawing: HistogramDrawing) -> None:
        text = self.readout()
        if not text:
            return
        metrics = QFontMetricsF(painter.font())
        width = min(metrics.horizontalAdvance(text) + 12, self.width() - 8.0)
        box = QRectF(drawing.plot.left + 4, drawing.plot.top, width, metrics.height() + 4)
        ground = QColor(self.palette().color(self.palette().ColorRole.ToolTipBase))
        painter.fillRect(box, ground)
        painter.setPen(self.palette().color(self.palette().ColorRole.ToolTipText))
        cut = metrics.elidedText(text, Qt.TextElideMode.ElideRight, width - 8)
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), cut)

    # Mouse and keys.

    def _legend_at(self, place: QPointF) -> int | None:
        boxes = self.drawing().legend
        found = (at for at, box in enumerate(boxes) if box.contains(place.x(), place.y()))
        return next(found, None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Hide or show a data set by its legend."""
        place = self._legend_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and place is not None:
            self.toggled.emit(place)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Read off the bin under the mouse."""
        over = self._legend_at(event.position()) is not None
        shape = Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor
        self.setCursor(shape)
        self.setToolTip("Click to hide or show" if over else "")
        drawing, at = self.drawing(), event.position()
        if drawing.counted is None or not drawing.plot.contains(at.x(), at.y()):
            self._look_at(None)
            return
        edges = drawing.counted.edges
        share = (drawing.value_at(at.x()) - edges[0]) / (edges[-1] - edges[0])
        place = math.floor(share * (len(edges) - 1))
        self._look_at(place if 0 <= place < len(edges) - 1 else None)

    def leaveEvent(self, event: QEvent) -> None:
        """Take the readout away."""
        super().leaveEvent(event)
        self._look_at(None)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu."""
        self.menu_wanted.emit(event.globalPos())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Read off the next bin; H hides the last data set, or shows it again."""
        drawing = self.drawing()
        if event.key() in _KEYS and drawing.counted is not None:
            last = len(drawing.counted.edges) - 2
            step = _KEYS[Qt.Key(event.key())]
            start = last // 2 if self._bin is None else self._bin + step
            self._look_at(min(max(start, 0), last))
        elif event.key() == Qt.Key.Key_H and self.data.titles:
            self.toggled.emit(len(self.data.titles) - 1)
        else:
            super().keyPressEvent(event)
