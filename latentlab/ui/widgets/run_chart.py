"""One chart of training: zoom and move along x together with its neighbours, read off values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from latentlab.ui.widgets.run_chart_paint import ChartPainter
from latentlab.ui.widgets.run_chart_state import (
    ChartLine,
    ChartState,
    Flag,
    cursor_text,
    readings,
    value_range,
)

Source = Callable[[float, float, int], Sequence[ChartLine]]
_STEP = 1.25
_LEAST_DRAG = 5
_NO_RANGE = (0.0, 1.0)


class RunChart(QWidget):
    """Draws the lines that a source gives for the view, at the resolution of its pixels.

    Drag to zoom into a stretch; Ctrl+wheel zooms around the mouse, with Shift along y; Shift+drag
    moves; a double click or Home shows everything. Arrow keys move, + and - zoom, Ctrl+arrows
    move the readout.

    Args:
        title: a few words.
        unit: of y.
        source: gives the lines between two places for a number of pixels.

    Signals:
        view_asked: both ends of x that a person wants to see.
        fit_asked: everything is to be seen.
        hovered: place of the readout, NaN for none.
        menu_wanted: where, on the screen.
    """

    view_asked = Signal(float, float)
    fit_asked = Signal()
    hovered = Signal(float)
    menu_wanted = Signal(QPoint)

    def __init__(
        self, title: str, unit: str, source: Source, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.state = ChartState(title, unit)
        self._source = source
        self._stale = True
        self._picture: QPixmap | None = None
        self._picture_of: object = None
        self._pressed: QPointF | None = None
        self._dragged: QPointF | None = None
        self._moving: tuple[float, float] | None = None
        self.setAccessibleName(f"Chart: {title}")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(self.fontMetrics().height() * 8)

    def sizeHint(self) -> QSize:
        """Wide and low."""
        return QSize(320, self.fontMetrics().height() * 10)

    # What is shown.

    def invalidate(self) -> None:
        """The numbers changed: ask for them again before the next painting."""
        self._stale = True
        self.update()

    def set_view(self, first: float, last: float) -> None:
        """Show a stretch of x."""
        if (first, last) != self.state.view:
            self.state = replace(self.state, view=(first, last))
            self.invalidate()

    def set_options(
        self,
        *,
        log: bool,
        x_unit: tuple[float, str],
        flags: Sequence[Flag],
        unit: str | None = None,
    ) -> None:
        """Change the axes and what is marked along x."""
        unit = self.state.unit if unit is None else unit
        if log != self.state.log:
            self.state = replace(self.state, y_range=None)
        self.state = replace(self.state, log=log, x_unit=x_unit, flags=tuple(flags), unit=unit)
        self.invalidate()

    def set_cursor(self, place: float) -> None:
        """Put the readout somewhere, or nowhere with NaN."""
        self.state = replace(self.state, cursor=place)
        self.update()

    def fit_y(self) -> None:
        """Let y fit what is in sight."""
        self.state = replace(self.state, y_range=None)
        self.update()

    def current_state(self) -> ChartState:
        """Return all that is shown, with the numbers of this view."""
        if self._stale:
            first, last = self.state.view
            pixels = max(16, round(self.width() * self.devicePixelRatioF()))
            lines = tuple(self._source(first, last, pixels))
            self.state = replace(self.state, lines=lines)
            self._stale, self._picture = False, None
            self._describe()
        return self.state

    def painter_for(self, room: QRectF) -> ChartPainter:
        """Return what paints this chart into a rectangle."""
        return ChartPainter(self.current_state(), room, self.font(), self.palette())

    def _describe(self) -> None:
        said = "No values yet"
        if self.state.lines:
            place = self.state.cursor if math.isfinite(self.state.cursor) else self.state.view[1]
            at = replace(self.state, cursor=place)
            said = "; ".join([cursor_text(at), *(text for _, text in readings(at))])
        self.setAccessibleDescription(said)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the chart, the stretch that is being chosen, and the focus."""
        painter = QPainter(self)
        drawing = self.painter_for(QRectF(self.rect()))
        painter.drawPixmap(0, 0, self._drawn(drawing))
        drawing.readout(painter)
        if self._pressed is not None and self._dragged is not None and self._moving is None:
            left, right = sorted((self._pressed.x(), self._dragged.x()))
            chosen = QRectF(left, drawing.plot.top(), right - left, drawing.plot.height())
            colour = QColor(self.palette().color(QPalette.ColorRole.Highlight))
            colour.setAlpha(60)
            painter.fillRect(chosen.intersected(drawing.plot), colour)
        if self.hasFocus():
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Highlight), 1))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def _drawn(self, drawing: ChartPainter) -> QPixmap:
        """Return the chart without its readout: drawn once, shown until something changes."""
        state = self.state
        looks = (self.palette().cacheKey(), self.font().key(), self.devicePixelRatioF())
        # Lines are made anew whenever their numbers or the view changed.
        known = (id(state.lines), state.flags, state.view, state.log, state.y_range, state.unit,
                 state.x_unit, self.size(), looks)  # fmt: skip
        if self._picture is None or self._picture_of != known:
            ratio = self.devicePixelRatioF()
            picture = QPixmap(self.size() * ratio)
            picture.setDevicePixelRatio(ratio)
            inner = QPainter(picture)
            drawing.chart(inner)
            inner.end()
            self._picture, self._picture_of = picture, known
        return self._picture

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Other pixels need other numbers."""
        super().resizeEvent(event)
        self.invalidate()

    def changeEvent(self, event: QEvent) -> None:
        """Another palette: draw again."""
        super().changeEvent(event)
        self.update()

    # Mouse.

    def _place(self, x: float) -> float:
        return self.painter_for(QRectF(self.rect())).x.value(x)

    def _zoom(self, factor: float, around: float) -> None:
        first, last = self.state.view
        self.view_asked.emit(around - (around - first) * factor, around + (last - around) * factor)

    def _zoom_y(self, factor: float, share: float = 0.5) -> None:
        """Zoom y around a share of the height, from the bottom."""
        state = self.current_state()
        now = state.y_range or value_range(state.lines, state.log)
        if now is None:
            return
        low, high = (math.log10(v) for v in now) if state.log else now
        around = low + share * (high - low)
        low, high = around - (around - low) * factor, around + (high - around) * factor
        if state.log:
            low, high = 10.0 ** max(low, -300.0), 10.0 ** min(high, 300.0)
        if high > low and math.isfinite(high - low):
            self.state = replace(self.state, y_range=(low, high))
            self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom with Ctrl; the wheel alone scrolls the charts."""
        # With Alt or Shift some systems turn the wheel sideways.
        turn = event.angleDelta().y() or event.angleDelta().x()
        if not event.modifiers() & Qt.KeyboardModifier.ControlModifier or not turn:
            event.ignore()
            return
        factor = _STEP ** (-turn / 120)
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            plot = self.painter_for(QRectF(self.rect())).plot
            share = (plot.bottom() - event.position().y()) / max(1.0, plot.height())
            self._zoom_y(factor, min(max(share, 0.0), 1.0))
        else:
            self._zoom(factor, self._place(event.position().x()))
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin to choose a stretch, or to move."""
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if event.button() == Qt.MouseButton.MiddleButton or (
            event.button() == Qt.MouseButton.LeftButton and shift
        ):
            self._pressed, self._moving = event.position(), self.state.view
        elif event.button() == Qt.MouseButton.LeftButton:
            self._pressed, self._moving = event.position(), None
        self._dragged = None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the mouse with the readout, the stretch, or the view."""
        at = event.position()
        if self._pressed is not None and self._moving is not None:
            first, last = self._moving
            plot = self.painter_for(QRectF(self.rect())).plot
            delta = (self._pressed.x() - at.x()) * (last - first) / max(1.0, plot.width())
            self.view_asked.emit(first + delta, last + delta)
            return
        if self._pressed is not None:
            self._dragged = at
            self.update()
        self.hovered.emit(self._place(at.x()))
        self._describe()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Show the stretch that was chosen."""
        pressed, moving = self._pressed, self._moving
        self._pressed = self._dragged = self._moving = None
        chosen = pressed is not None and moving is None
        if chosen and abs(event.position().x() - pressed.x()) >= _LEAST_DRAG:
            ends = sorted((self._place(pressed.x()), self._place(event.position().x())))
            self.view_asked.emit(*ends)
        self.update()

    def mouseDoubleClickEvent(self, _event: QMouseEvent) -> None:
        """Show everything."""
        self._pressed = None
        self.fit_y()
        self.fit_asked.emit()

    def leaveEvent(self, event: QEvent) -> None:
        """Take the readout away."""
        super().leaveEvent(event)
        self.hovered.emit(math.nan)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu."""
        self.menu_wanted.emit(event.globalPos())

    # Keys.

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move, zoom, fit, and move the readout."""
        first, last = self.state.view
        span, key = last - first, event.key()
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        side = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(key)
        level = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1}.get(key)
        if side is not None and control:
            at = self.state.cursor if math.isfinite(self.state.cursor) else (first + last) / 2
            self.hovered.emit(min(max(at + side * span / 100, first), last))
            self._describe()
        elif side is not None:
            self.view_asked.emit(first + side * span / 10, last + side * span / 10)
        elif level is not None and control:
            self._zoom_y(_STEP**-level)
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self._zoom(1 / _STEP, (first + last) / 2)
        elif key == Qt.Key.Key_Minus:
            self._zoom(_STEP, (first + last) / 2)
        elif key == Qt.Key.Key_Home:
            self.fit_y()
            self.fit_asked.emit()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """The readout of the keys goes with the focus."""
        super().focusOutEvent(event)
        self.hovered.emit(math.nan)
