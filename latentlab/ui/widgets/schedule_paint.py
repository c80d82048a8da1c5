"""How the plot of a noise schedule is drawn: the same on the screen, in a PNG and in an SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pyqtgraph.functions import arrayToQPolygonF
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPalette, QPen, QPolygonF

from latentlab.core.noise_schedule import NoiseSchedule
from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.map_axes import ticks_of
from latentlab.ui.widgets.marker_shapes import corners_of
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.run_marks import DASHES, Mark
from latentlab.ui.widgets.run_scale import Scale, padded
from latentlab.ui.widgets.sampling_text import schedule_title
from latentlab.ui.widgets.schedule_curves import (
    CURVES,
    Curve,
    Pane,
    ScheduleState,
    numbers_text,
    own_schedule,
    plain_time,
    readings,
    schedule_of,
    thinned,
    value_at,
    values_of,
)
from latentlab.ui.widgets.schedule_curves import Mark as Step

EMPTY = "How fast noise takes over, step by step, is drawn here for a diffusion model."
_LEAST = (230.0, 104.0)
"""Width and height that a chart needs to be read."""
_MIDDLE, _LEFT = Qt.AlignmentFlag.AlignVCenter, Qt.AlignmentFlag.AlignLeft
_RIGHT = Qt.AlignmentFlag.AlignRight
_RUN_SLOTS = (4, 3, 5, 6, 1, 2)
_MOST_ROWS = 3


def run_colour(place: int, palette: QPalette) -> QColor:
    """Return the colour of a run by its place among the others: ink for the first."""
    if place == 0:
        return palette.color(QPalette.ColorRole.Text)
    return Mark(_RUN_SLOTS[(place - 1) % len(_RUN_SLOTS)]).colour(palette)


def paint_run(painter: QPainter, place: int, at: QPointF, size: float, palette: QPalette) -> None:
    """Draw the marker of a run; its shape tells it apart as well as its colour."""
    corners = corners_of(place, size) + np.array([at.x(), at.y()])
    painter.setPen(QPen(palette.color(QPalette.ColorRole.Base), 1.2))
    painter.setBrush(run_colour(place, palette))
    painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in corners.tolist()]))


@dataclass(frozen=True)
class PlacedPane:
    """A chart and where it stands.

    Attributes:
        pane: what it shows.
        room: all of it.
        plot: between the axes.
        x: time.
        y: the quantity.
    """

    pane: Pane
    room: QRectF
    plot: QRectF
    x: Scale
    y: Scale


class SchedulePainter:
    """Paints a schedule into a rectangle.

    Args:
        state: what is shown.
        room: where, in logical pixels.
        font: of the window; text is a little smaller.
        palette: light or dark.
    """

    def __init__(self, state: ScheduleState, room: QRectF, font: QFont, palette: QPalette) -> None:
        self.state, self.room, self.palette = state, room, palette
        self.font = small_font(font)
        self.metrics = QFontMetricsF(self.font)
        self.line = self.metrics.height()
        self.legend: list[tuple[QRectF, Curve]] = []
        """Where the entries of the legend stand, once it was drawn."""
        self.numbers = self._place_numbers()
        self.panes = [] if state.facts is None else self._arrange()

    # Where things stand.

    def _place_numbers(self) -> list[tuple[QRectF, Step, str]]:
        """Return where the numbers of the steps that are looked at stand, as many as fit."""
        left, most = self.room.left() + 8, 1 if self.room.height() < 180 else _MOST_ROWS
        width = self.room.width() - 16
        x, row = 0.0, 0
        found = []
        steps = [(f"{m.label}: " if m.label else "", m) for m in self.state.currents]
        needs = [name + numbers_text(mark.t, mark.sigma) for name, mark in steps]
        # Two steps are told in the same words, or they could not be compared.
        short = any(self.metrics.horizontalAdvance(text) + 14 > width for text in needs)
        for name, mark in steps:
            text = name + numbers_text(mark.t, mark.sigma, short)
            need = self.metrics.horizontalAdvance(text) + 14
            if x and x + need > width:
                x, row = 0.0, row + 1
            if row >= most:
                break
            if need > width:
                # The run's own numbers before its name.
                text = numbers_text(mark.t, mark.sigma, short)
                need = self.metrics.horizontalAdvance(text) + 14
            box = QRectF(left + x, self.room.top() + 1 + row * self.line, need, self.line)
            found.append((box, mark, text))
            x += need + 16
        return found

    def _arrange(self) -> list[PlacedPane]:
        wanted = self.state.panes
        if not wanted:
            return []
        below = max((box.bottom() - self.room.top() for box, _, _ in self.numbers), default=0.0)
        area = self.room.adjusted(0, below + 2, 0, 0)
        columns = max(1, min(len(wanted), int(area.width() // _LEAST[0])))
        rows = max(1, min(len(wanted), int(area.height() // _LEAST[1])))
        if columns * rows >= len(wanted):
            # All at once: below each other where that gives the better shape.
            across = columns if area.width() / area.height() > 2.2 or rows == 1 else 1
            while math.ceil(len(wanted) / across) > rows:
                across += 1
            rows = math.ceil(len(wanted) / across)
        else:
            across = columns
            wanted = wanted[: columns * rows]
        width, height = area.width() / across, area.height() / rows
        found = []
        for place, pane in enumerate(wanted):
            corner = area.topLeft() + QPointF(place % across * width, place // across * height)
            found.append(self._placed(pane, QRectF(corner.x(), corner.y(), width, height)))
        return found

    @property
    def shows_all(self) -> bool:
        """Whether there is room for every chart."""
        return len(self.panes) == len(self.state.panes)

    def _placed(self, pane: Pane, room: QRectF) -> PlacedPane:
        left = self.metrics.horizontalAdvance("0.0001") + 8
        plot = room.adjusted(left, self.line + 9, -10, -(2 * self.line + 5))
        last = max(1, self._schedule().num_timesteps - 1)
        x = Scale(0.0, float(last), plot.left(), plot.right())
        y = Scale(*self._range(pane), plot.bottom(), plot.top(), pane.log)
        return PlacedPane(pane, room, plot, x, y)

    def _range(self, pane: Pane) -> tuple[float, float]:
        if pane.range is not None:
            return pane.range
        schedules = [self._schedule(), *self._references().values()]
        known = [values_of(s, c.key) for s in schedules for c in self.state.curves(pane.key)]
        low, high = min(float(v.min()) for v in known), max(float(v.max()) for v in known)
        return padded(max(low, -pane.most), min(high, pane.most), pane.log)

    def _schedule(self) -> NoiseSchedule:
        assert self.state.facts is not None
        return own_schedule(self.state.facts)

    def _references(self) -> dict[str, NoiseSchedule]:
        assert self.state.facts is not None
        times = self.state.facts.num_timesteps
        return {name: schedule_of(name, times) for name in self.state.references}

    def time_at(self, place: QPointF) -> float | None:
        """Return the time under a place; ``None`` beside the charts."""
        for one in self.panes:
            if one.room.contains(place):
                return min(max(one.x.value(place.x()), 0.0), one.x.high)
        return None

    # Drawing.

    def chart(self, painter: QPainter) -> None:
        """Paint all but the readout."""
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self.font)
        painter.fillRect(self.room, self.palette.color(QPalette.ColorRole.Base))
        if not self.panes:
            painter.setPen(faint(self.palette, 0.8))
            text = EMPTY if self.state.facts is None else "No curve is ticked: choose some."
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.room.adjusted(12, 0, -12, 0), int(flags), text)
        self._numbers(painter)
        self.legend = []
        for one in self.panes:
            self._pane(painter, one)
        painter.restore()

    def _numbers(self, painter: QPainter) -> None:
        """Write the numbers of the steps that are looked at."""
        for box, mark, text in self.numbers:
            place = self.state.labels.index(mark.label)
            paint_run(painter, place, QPointF(box.left() + 4, box.center().y()), 9, self.palette)
            painter.setPen(self.palette.color(QPalette.ColorRole.Text))
            painter.drawText(box.adjusted(14, 0, 4, 0), _LEFT | _MIDDLE, text)

    def _pane(self, painter: QPainter, one: PlacedPane) -> None:
        self._title(painter, one)
        self._axes(painter, one)
        painter.save()
        painter.setClipRect(one.plot.adjusted(-1, -1, 1, 1))
        self._reference_lines(painter, one)
        schedule = self._schedule()
        for curve in self.state.curves(one.pane.key):
            pen = Mark(curve.slot, curve.line).pen(self.palette, 1.8)
            self._line(painter, one, schedule, curve, pen)
        self._ticks(painter, one)
        painter.restore()
        self._currents(painter, one)

    def _title(self, painter: QPainter, one: PlacedPane) -> None:
        """Write the legend: each entry is a piece of its line and its name."""
        x, top = one.room.left() + 8, one.room.top() + 1
        for curve in (c for c in CURVES if c.pane == one.pane.key):
            shown = curve.key not in self.state.hidden
            text = f"{curve.title}, {one.pane.unit}" if one.pane.unit else curve.title
            width = 22 + self.metrics.horizontalAdvance(text)
            box = QRectF(x, top, width, self.line + 2)
            middle = box.center().y()
            pen = Mark(curve.slot, curve.line).pen(self.palette, 1.8)
            pen.setColor(pen.color() if shown else faint(self.palette, 0.3))
            painter.setPen(pen)
            painter.drawLine(QLineF(x, middle, x + 18, middle))
            ink = self.palette.color(QPalette.ColorRole.Text)
            painter.setPen(ink if shown else faint(self.palette, 0.55))
            font = QFont(self.font)
            font.setStrikeOut(not shown)
            painter.setFont(font)
            painter.drawText(box.adjusted(22, 0, 4, 0), _LEFT | _MIDDLE, text)
            painter.setFont(self.font)
            self.legend.append((box, curve))
            x += width + 10

    def _axes(self, painter: QPainter, one: PlacedPane) -> None:
        plot, grid = one.plot, QPen(self.palette.color(QPalette.ColorRole.Mid), 1)
        ink = faint(self.palette, 0.8)
        ticks = one.y.ticks(max(2, int(plot.height() / (2.0 * self.line))))
        for value, text in zip(ticks.values, ticks.texts):
            at = float(one.y.place(value))
            painter.setPen(grid)
            painter.drawLine(QLineF(plot.left(), at, plot.right(), at))
            painter.setPen(ink)
            box = QRectF(one.room.left(), at - 10, plot.left() - one.room.left() - 5, 20)
            painter.drawText(box, _RIGHT | _MIDDLE, text)
        top = plot.bottom() + 2
        most = max(2, int(plot.width() / (self.metrics.horizontalAdvance("0000") * 2.2)))
        for value, text in zip(*_whole(ticks_of(0.0, one.x.high, most))):
            at = float(one.x.place(value))
            painter.drawLine(QLineF(at, plot.bottom(), at, plot.bottom() + 3))
            painter.drawText(QRectF(at - 40, top, 80, self.line), Qt.AlignmentFlag.AlignCenter,
                             text)  # fmt: skip
        row = QRectF(plot.left(), top + self.line, plot.width(), self.line)
        painter.drawText(row, Qt.AlignmentFlag.AlignCenter, "time t")
        painter.setPen(faint(self.palette, 0.72))
        painter.drawText(row, _LEFT | _MIDDLE, "image")
        painter.drawText(row, _RIGHT | _MIDDLE, "noise")

    def _line(
        self, painter: QPainter, one: PlacedPane, schedule: NoiseSchedule, curve: Curve, pen: QPen
    ) -> None:
        times, values = thinned(values_of(schedule, curve.key))
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(arrayToQPolygonF(one.x.place(times), one.y.place(values)))

    def _reference_lines(self, painter: QPainter, one: PlacedPane) -> None:
        """Draw other schedules thinly: of the first curve of each chart."""
        curve = self.state.curves(one.pane.key)[0]
        for place, (name, schedule) in enumerate(self._references().items()):
            pen = QPen(faint(self.palette, 0.75), 1.0)
            if DASHES[place + 1]:
                pen.setDashPattern([2 * length for length in DASHES[place + 1]])
            self._line(painter, one, schedule, curve, pen)
            share = 0.32 + 0.3 * place
            t = share * one.x.high
            level = float(one.y.place(value_at(values_of(schedule, curve.key), t)))
            text = schedule_title(name)
            wide = self.metrics.horizontalAdvance(text) + 4
            box = QRectF(float(one.x.place(t)) - wide / 2, level - self.line / 2, wide, self.line)
            ground = QColor(self.palette.color(QPalette.ColorRole.Base))
            ground.setAlpha(215)
            painter.fillRect(box, ground)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _ticks(self, painter: QPainter, one: PlacedPane) -> None:
        """Draw the steps of each run as ticks on the time axis, a row for each run."""
        for mark in self.state.marks:
            place = self.state.labels.index(mark.label)
            if place >= 6:
                continue
            at, low = float(one.x.place(mark.t)), one.plot.bottom() - 6.0 * place
            painter.setPen(QPen(run_colour(place, self.palette), 1.2))
            painter.drawLine(QLineF(at, low, at, low - 5))

    def _currents(self, painter: QPainter, one: PlacedPane) -> None:
        schedule = self._schedule()
        for mark in self.state.currents:
            place = self.state.labels.index(mark.label)
            at = float(one.x.place(min(max(mark.t, 0.0), one.x.high)))
            line = QColor(run_colour(place, self.palette))
            line.setAlpha(150)
            painter.setPen(QPen(line, 1))
            painter.drawLine(QLineF(at, one.plot.top(), at, one.plot.bottom()))
            for curve in self.state.curves(one.pane.key):
                level = float(one.y.place(value_at(values_of(schedule, curve.key), mark.t)))
                level = min(max(level, one.plot.top()), one.plot.bottom())
                paint_run(painter, place, QPointF(at, level), 9, self.palette)

    # The readout.

    def readout(self, painter: QPainter) -> None:
        """Paint the numbers of the time under the mouse, if it is anywhere."""
        t = self.state.cursor
        if not self.panes or not math.isfinite(t):
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self.font)
        for one in self.panes:
            at = float(one.x.place(t))
            painter.setPen(QPen(faint(self.palette, 0.6), 1, Qt.PenStyle.DashLine))
            painter.drawLine(QLineF(at, one.plot.top(), at, one.plot.bottom()))
        self._readout_box(painter, self.panes[0], t)
        painter.restore()

    def _readout_box(self, painter: QPainter, one: PlacedPane, t: float) -> None:
        rows = readings(self.state, t)
        room = self.room.adjusted(0, 1, 0, -1)
        most = max(1, int(room.height() / self.line) - 1)
        rows, head = rows[:most], f"t {plain_time(t)}"
        wide = max(self.metrics.horizontalAdvance(text) for _, text in rows) + 34
        height = self.line * (1 + len(rows)) + 4
        at = float(one.x.place(t))
        left = at + 8 if at + 8 + wide <= room.right() else at - 8 - wide
        left = max(left, room.left())
        top = min(one.plot.top() + 1, room.bottom() - height)
        box = QRectF(left, max(room.top(), top), wide, height)
        ground = QColor(self.palette.color(QPalette.ColorRole.Window))
        ground.setAlpha(240)
        painter.setPen(QPen(self.palette.color(QPalette.ColorRole.Mid), 1))
        painter.setBrush(ground)
        painter.drawRect(box)
        ink = self.palette.color(QPalette.ColorRole.Text)
        line = QRectF(box.left() + 6, box.top() + 2, box.width() - 12, self.line)
        painter.setPen(faint(self.palette, 0.8))
        painter.drawText(line, _LEFT | _MIDDLE, head)
        for curve, text in rows:
            line.translate(0, self.line)
            if curve is not None:
                painter.setPen(Mark(curve.slot, curve.line).pen(self.palette, 1.8))
                middle = line.center().y()
                painter.drawLine(QLineF(line.left(), middle, line.left() + 16, middle))
            painter.setPen(ink)
            painter.drawText(line.adjusted(20, 0, 0, 0), _LEFT | _MIDDLE, text)


def _whole(ticks: object) -> tuple[list[float], list[str]]:
    """Return the ticks at whole times."""
    values = [v for v in ticks.values if v == round(v)]  # type: ignore[attr-defined]
    return values, [f"{v:.0f}" for v in values]
