"""The curves of one run, or of several laid over each other, as charts with one common x."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QScrollArea, QVBoxLayout, QWidget

from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.run_chart import RunChart
from latentlab.ui.widgets.run_chart_state import ChartLine, Flag
from latentlab.ui.widgets.run_curves_bar import CurvesBar, chosen_charts
from latentlab.ui.widgets.run_curves_menu import CurvesMenu
from latentlab.ui.widgets.run_legend import LegendEntry, RunLegend
from latentlab.ui.widgets.run_marks import Mark
from latentlab.ui.widgets.run_quantities import (
    HELD_OUT,
    LOSS,
    PART,
    Quantity,
    factor_of,
    is_noisy,
    quantities,
    series_of,
    series_title,
)
from latentlab.ui.widgets.run_series import Line, RunSeries
from latentlab.ui.widgets.run_view_state import TrainView

_TWO_COLUMNS = 600
_FLAGS = {"checkpoint": "checkpoint", "warning": "warning", "error": "error"}
_MANY_FLAGS = 300
_RUN = "run:"


@dataclass
class Shown:
    """A run that is drawn.

    Attributes:
        path: its folder.
        name: what a person reads.
        mark: how it is drawn.
        series: its numbers; ``None`` while there are none.
        flags: what happened, by step.
    """

    path: Path
    name: str
    mark: Mark
    series: RunSeries | None = None
    flags: tuple[tuple[float, str, str], ...] = ()


class CurvesView(QWidget):
    """Charts, legend and controls.

    Args:
        controller: of the window.
        view: what the person chose; it is changed here.

    Signals:
        view_changed: a choice was made.
    """

    view_changed = Signal()

    def __init__(self, controller: Any, view: TrainView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Curves")
        self._controller = controller
        self._view = view
        self._runs: list[Shown] = []
        self._range: tuple[float, float] | None = None
        self._hidden_runs: set[str] = set()
        self._offered: list[Quantity] = []
        self.charts: dict[str, RunChart] = {}
        self.bar = CurvesBar(view, self)
        self.legend = RunLegend(self)
        self.status = ElidedLabel()
        self.status.hide()
        self._stack = QWidget()
        self._grid = QGridLayout(self._stack)
        self.scroll = QScrollArea()
        self.menu = CurvesMenu(controller, self)
        self.bar.more.setMenu(self.menu.menu(self.bar.more))
        self._lay_out()
        self.bar.charts_changed.connect(self._charts_changed)
        self.bar.axes_changed.connect(self._axes_changed)
        self.bar.fit_asked.connect(self.fit)
        self.legend.toggled.connect(self._toggle)

    def _lay_out(self) -> None:
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(6)
        self.scroll.setWidgetResizable(True)
        self.scroll.setFrameShape(QFrame.Shape.NoFrame)
        self.scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll.setWidget(self._stack)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.bar)
        layout.addWidget(self.legend)
        layout.addWidget(self.status)
        layout.addWidget(self.scroll, 1)

    # What is shown.

    @property
    def runs(self) -> list[Shown]:
        """The runs that are drawn, the open one first; those hidden in the legend left out."""
        return [run for run in self._runs if str(run.path) not in self._hidden_runs]

    def show_runs(self, runs: Sequence[tuple[Path, str, Mark]]) -> None:
        """Draw other runs, the open one first."""
        before = [run.path for run in self._runs]
        self._runs = [
            Shown(path, name, replace(mark, line=place))
            for place, (path, name, mark) in enumerate(runs)
        ]
        self._hidden_runs &= {str(run.path) for run in self._runs}
        if before[:1] != [run.path for run in self._runs][:1]:
            self._range = None
        for run in self._runs:
            self._read(run)
        self._rebuild()

    def refresh(self, path: Path) -> None:
        """Take in what came to a run."""
        for run in self._runs:
            if run.path == path:
                self._read(run)
                self._rebuild()

    def _read(self, run: Shown) -> None:
        feed = self._controller.runs
        curves = feed.curves(run.path)
        if curves is None or not len(curves.steps):
            run.series, run.flags = None, ()
            return
        run.series = RunSeries(curves, self._view.axis, run.series)
        found = []
        for line in feed.log(run.path):
            if line.kind in _FLAGS:
                best = line.kind == "checkpoint" and "best" in line.message.lower()
                kind = "best" if best else _FLAGS[line.kind]
                found.append((float(line.step), kind, f"{line.kind}: {line.message}"))
            elif line.kind == "start" and line.attempt > 1:
                text = f"resumed, start {line.attempt}"
                found.append((float(line.step), "attempt", text))
        run.flags = tuple(found[-_MANY_FLAGS:])

    def _names(self) -> list[str]:
        """Return the series of all shown runs."""
        found: dict[str, None] = {}
        for run in self.runs:
            if run.series is not None:
                found |= dict.fromkeys(run.series.curves.names())
        return list(found)

    def _rebuild(self) -> None:
        """Make the charts that are wanted, and bring them up to date."""
        names = self._names()
        offered = quantities(names)
        if offered != self._offered:
            self._offered = offered
            self.bar.offer_charts(offered)
        wanted = chosen_charts(self._view, offered)
        order = [quantity for quantity in offered if quantity.id in wanted]
        if [q.id for q in order] != list(self.charts):
            self._make_charts(order)
        self._fill_legend(names)
        self._say_status()
        self._update_charts()

    def _make_charts(self, order: Sequence[Quantity]) -> None:
        kept = {q.id: self.charts.pop(q.id) for q in order if q.id in self.charts}
        for chart in self.charts.values():
            self._grid.removeWidget(chart)
            chart.hide()
            chart.deleteLater()
        self.charts = {q.id: kept.get(q.id) or self._make_chart(q) for q in order}
        self._place_charts()

    def _make_chart(self, quantity: Quantity) -> RunChart:
        def source(first: float, last: float, pixels: int) -> list[ChartLine]:
            return self._lines(quantity.id, first, last, pixels)

        chart = RunChart(quantity.title, quantity.unit, source, self._stack)
        chart.view_asked.connect(self._look_at)
        chart.fit_asked.connect(self.fit)
        chart.hovered.connect(self._hover)
        chart.menu_wanted.connect(lambda at, chart=chart: self._chart_menu(chart, at))
        return chart

    def _place_charts(self) -> None:
        columns = 2 if self.width() >= _TWO_COLUMNS and len(self.charts) > 1 else 1
        for chart in self.charts.values():
            self._grid.removeWidget(chart)
        previous: QWidget = self.bar.more
        for place, chart in enumerate(self.charts.values()):
            self._grid.addWidget(chart, place // columns, place % columns)
            chart.show()
            QWidget.setTabOrder(previous, chart)
            previous = chart
        self._columns = columns

    _columns = 1

    def resizeEvent(self, event: QResizeEvent) -> None:
        """One column of charts, or two."""
        super().resizeEvent(event)
        columns = 2 if self.width() >= _TWO_COLUMNS and len(self.charts) > 1 else 1
        if columns != self._columns:
            self._place_charts()

    def _fill_legend(self, names: list[str]) -> None:
        entries = []
        several = len(self._runs) > 1
        if several:
            entries = [LegendEntry(f"{_RUN}{r.path}", r.name, r.mark) for r in self._runs]
        if LOSS in self.charts:
            for name in series_of(LOSS, names):
                mark = None if several else self._series_mark(name, names)
                entries.append(LegendEntry(name, series_title(name), mark))
        hidden = {entry.key for entry in entries if not self._ticked(entry.key)}
        self.legend.show_entries(entries, hidden)

    def legend_entries(self) -> list[LegendEntry]:
        """Return what the legend of a picture says: all that is drawn."""
        return [
            entry
            for entry in self.legend.entries
            if self._ticked(entry.key) and entry.mark is not None
        ]

    def _ticked(self, key: str) -> bool:
        if key.startswith(_RUN):
            return key.removeprefix(_RUN) not in self._hidden_runs
        # Parts have charts of their own: their sizes differ too much for one axis.
        return self._view.legend.get(key, not key.startswith(PART))

    def _toggle(self, key: str, shown: bool) -> None:
        if key.startswith(_RUN):
            path = key.removeprefix(_RUN)
            self._hidden_runs = self._hidden_runs - {path} if shown else self._hidden_runs | {path}
        else:
            self._view.legend = {**self._view.legend, key: shown}
            self.view_changed.emit()
        self._rebuild()

    def _series_mark(self, name: str, names: list[str]) -> Mark:
        """Return how a series of a single run is drawn in the chart of the loss."""
        base = self._runs[0].mark if self._runs else Mark(0)
        place = series_of(LOSS, names).index(name)
        return Mark(base.slot + place, line=place)

    def _lines(self, chart: str, first: float, last: float, pixels: int) -> list[ChartLine]:
        found = []
        names, several = self._names(), len(self._runs) > 1
        wanted = series_of(chart, names)
        for run in self.runs:
            known = [] if run.series is None else run.series.curves.names()
            for name in wanted:
                if name not in known or (chart == LOSS and not self._ticked(name)):
                    continue
                found.append(self._chart_line(run, name, chart, several, (first, last, pixels)))
        # What was chosen first lies on top.
        return found[::-1]

    def _chart_line(
        self, run: Shown, name: str, chart: str, several: bool, sight: tuple[float, float, int]
    ) -> ChartLine:
        assert run.series is not None
        series, factor = run.series, factor_of(name)
        points = name == HELD_OUT
        smoothing = self._view.smoothing if is_noisy(name) else 0.0
        line = series.line(name, *sight, smoothing)
        if factor != 1.0:
            line = Line(line.x, line.low * factor, line.high * factor, line.smooth_x,
                        line.smooth_y * factor)  # fmt: skip

        def read(place: float) -> tuple[float, float] | None:
            found = series.nearest(name, place)
            return None if found is None else (found[0], found[1] * factor)

        mark, label, end = run.mark, series_title(name), ""
        if several:
            label = f"{run.name}: {label}" if chart == LOSS and name != LOSS else run.name
            end = series_title(name) if chart == LOSS and name.startswith(PART) else ""
        elif chart == LOSS:
            mark = self._series_mark(name, self._names())
        else:
            label = ""
        width = 1.1 if end else 1.6
        return ChartLine(f"{run.path}{name}", label, mark, line, read, width, points, end)

    def _say_status(self) -> None:
        feed, texts = self._controller.runs, []
        for run in self.runs:
            share = feed.progress(run.path)
            if 0 < share < 1:
                texts.append(f"Reading {run.name}: {100 * share:.0f} %")
            elif run.series is None:
                texts.append(f"{run.name} has no values yet")
        self.status.setText(" · ".join(texts))
        self.status.setVisible(bool(texts))

    # The view.

    def extent(self) -> tuple[float, float]:
        """Return the first and last x of all shown runs."""
        found = [run.series.extent for run in self.runs if run.series is not None]
        known = [extent for extent in found if extent is not None]
        if not known:
            return 0.0, 1.0
        first, last = min(low for low, _ in known), max(high for _, high in known)
        return first, last if last > first else first + 1.0

    def fit(self) -> None:
        """Show everything."""
        self._range = None
        for chart in self.charts.values():
            chart.fit_y()
        self._update_charts()

    def _look_at(self, first: float, last: float) -> None:
        """Show a stretch, as far as there is anything."""
        begin, end = self.extent()
        whole = end - begin
        span = min(max(last - first, whole * 1e-6), whole * 1.5)
        middle = min(max((first + last) / 2, begin), end)
        self._range = (middle - span / 2, middle + span / 2)
        self._update_charts()

    def _hover(self, place: float) -> None:
        for chart in self.charts.values():
            chart.set_cursor(place)

    def x_unit(self) -> tuple[float, str]:
        """Return what one unit of the labels along x is, and its name."""
        if self._view.axis == "epochs":
            return 1.0, "epochs"
        if self._view.axis == "steps":
            return 1.0, "step"
        last = self.extent()[1]
        for seconds, unit in ((172_800.0, "d"), (7200.0, "h"), (300.0, "min")):
            if last >= seconds:
                return {"d": 86_400.0, "h": 3600.0, "min": 60.0}[unit], f"training time, {unit}"
        return 1.0, "training time, s"

    def _update_charts(self) -> None:
        view = self._range or self.extent()
        unit, flags = self.x_unit(), self._flags()
        for chart in self.charts.values():
            chart.set_view(*view)
            chart.set_options(log=self._view.log, x_unit=unit, flags=flags)

    def _flags(self) -> list[Flag]:
        found = []
        for run in self.runs:
            for step, kind, text in run.flags:
                if run.series is not None:
                    place = run.series.place_of(step)
                    if math.isfinite(place):
                        said = f"{run.name}, {text}" if len(self._runs) > 1 else text
                        found.append(Flag(place, kind, said, run.mark))
        return found

    def _charts_changed(self) -> None:
        self._rebuild()
        # The ticks of the menu follow, also after "the usual ones".
        self.bar.offer_charts(self._offered)
        self.view_changed.emit()

    def _axes_changed(self) -> None:
        changed = any(r.series is not None and r.series.axis != self._view.axis for r in self._runs)
        if changed:
            self._range = None
            for run in self._runs:
                self._read(run)
        self._update_charts()
        self.view_changed.emit()

    def _chart_menu(self, chart: RunChart, at: QPoint) -> None:
        self.menu.popup([chart], at)
