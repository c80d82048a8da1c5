"""The drawn part of the plot of a noise schedule: a time is chosen with mouse or keys."""

from __future__ import annotations

import math
from dataclasses import replace

from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from latentlab.ui.widgets.schedule_curves import (
    Curve,
    ScheduleState,
    neighbour,
    numbers_text,
    plain_time,
    readings,
)
from latentlab.ui.widgets.schedule_paint import EMPTY, SchedulePainter

_JUMPS = 20


class ScheduleCanvas(QWidget):
    """Draws a schedule. Click or drag for a time; Left and Right go to the next step of the run
    (with Shift by single times), Page keys further, Home and End to the ends.

    Signals:
        time_chosen: a whole time.
        curve_clicked: key of a curve whose legend was clicked.
        menu_wanted: where, on the screen.
        room_changed: there may be room for other charts now.
    """

    time_chosen = Signal(int)
    curve_clicked = Signal(str)
    menu_wanted = Signal(QPoint)
    room_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.state = ScheduleState()
        self._chosen: float | None = None
        self._dragging = False
        self.legend: list[tuple[QRectF, Curve]] = []
        self.setAccessibleName("Noise schedule")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._describe()

    def sizeHint(self) -> QSize:
        """Room for one chart."""
        return QSize(400, 190)

    def minimumSizeHint(self) -> QSize:
        """One small chart can still be read."""
        return QSize(200, 96)

    def set_state(self, state: ScheduleState) -> None:
        """Show something else."""
        before = self.state
        if state == before:
            return
        if (state.currents, state.facts) != (before.currents, before.facts):
            # The keys go on from the step that is looked at.
            self._chosen = None
        self.state = state
        self._describe()
        self.update()

    def painting(self) -> SchedulePainter:
        """Return what paints the plot as it is now."""
        return SchedulePainter(self.state, QRectF(self.rect()), self.font(), self.palette())

    def _describe(self) -> None:
        state = self.state
        if state.facts is None:
            self.setAccessibleDescription(EMPTY)
            return
        said = [f"{m.label} {numbers_text(m.t, m.sigma)}".strip() for m in state.currents]
        if self._chosen is not None or not said:
            t = self.place
            said.insert(0, "; ".join([f"t {plain_time(t)}", *(x for _, x in readings(state, t))]))
        self.setAccessibleDescription(". ".join(said))

    @property
    def place(self) -> float:
        """The time that the keys go on from."""
        if self._chosen is not None:
            return self._chosen
        found = next((mark.t for mark in self.state.currents), None)
        last = 0 if self.state.facts is None else self.state.facts.num_timesteps - 1
        return float(last) if found is None else min(max(found, 0.0), float(last))

    def _choose(self, t: float) -> None:
        if self.state.facts is None:
            return
        whole = min(max(round(t), 0), self.state.facts.num_timesteps - 1)
        if self._chosen is None or whole != round(self._chosen):
            self._chosen = float(whole)
            self._describe()
            self.time_chosen.emit(whole)

    # Painting.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the plot, the readout, and the focus."""
        painter = QPainter(self)
        drawing = self.painting()
        drawing.chart(painter)
        drawing.readout(painter)
        self.legend = drawing.legend
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Highlight), 1))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Tell that the room changed."""
        super().resizeEvent(event)
        self.room_changed.emit()

    # Mouse.

    def _legend_at(self, event: QMouseEvent) -> Curve | None:
        return next((curve for box, curve in self.legend if box.contains(event.position())), None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a time, or toggle a curve by its legend."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        curve = self._legend_at(event)
        if curve is not None:
            self.curve_clicked.emit(curve.key)
            return
        t = self.painting().time_at(event.position())
        if t is not None:
            self._dragging = True
            self._chosen = None
            self._choose(t)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the mouse with the readout, and with the time while it is held."""
        drawing = self.painting()
        t = drawing.time_at(event.position())
        if self._dragging and t is not None:
            self._choose(t)
        curve = None if self._dragging else self._legend_at(event)
        shape = Qt.CursorShape.PointingHandCursor if curve else Qt.CursorShape.ArrowCursor
        self.setCursor(shape)
        if curve is not None:
            QToolTip.showText(
                event.globalPosition().toPoint(), f"{curve.what} Click to hide.", self
            )
        over = any(one.plot.contains(event.position()) for one in drawing.panes)
        self._hover(float(round(t)) if over and t is not None else math.nan)

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        """Let go."""
        self._dragging = False

    def leaveEvent(self, event: QEvent) -> None:
        """Take the readout away."""
        super().leaveEvent(event)
        self._hover(math.nan)

    def _hover(self, t: float) -> None:
        if t != self.state.cursor and not (math.isnan(t) and math.isnan(self.state.cursor)):
            self.state = replace(self.state, cursor=t)
            self.update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu."""
        self.menu_wanted.emit(event.globalPos())

    # Keys.

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go to other times."""
        if self.state.facts is None:
            event.ignore()
            return
        key, last = event.key(), self.state.facts.num_timesteps - 1
        single = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        side = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(key, 0)
        page = {Qt.Key.Key_PageUp: 1, Qt.Key.Key_PageDown: -1}.get(key, 0)
        if side:
            here = self.place
            self._choose(here + side if single else neighbour(self.state, here, side))
        elif page:
            self._choose(self.place + page * max(1, last // _JUMPS))
        elif key == Qt.Key.Key_Home:
            self._choose(0)
        elif key == Qt.Key.Key_End:
            self._choose(last)
        else:
            super().keyPressEvent(event)
