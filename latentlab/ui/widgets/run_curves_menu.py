"""Copying and saving the charts of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, QPoint
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from latentlab.ui.map_background import Background
from latentlab.ui.widgets.picture_menu import show_menu
from latentlab.ui.widgets.run_chart import RunChart
from latentlab.ui.widgets.run_chart_files import Column, charts_image, save_picture, save_table
from latentlab.ui.widgets.run_quantities import series_of

MANY_ROWS = 20_000
"""A table of more rows is written in a thread."""


class CurvesMenu(QObject):
    """Menu and files of the charts.

    Args:
        controller: of the window.
        view: the ``CurvesView``.
    """

    def __init__(self, controller: Any, view: Any) -> None:
        super().__init__(view)
        self._controller = controller
        self._view = view
        self._writing = Background(self)

    def menu(self, parent: QWidget, charts: Sequence[RunChart] | None = None) -> QMenu:
        """Return a menu for some charts, or for all that are shown."""
        menu = QMenu(parent)
        one = charts is not None and len(charts) == 1
        what = "chart" if one else "charts"

        def chosen() -> list[RunChart]:
            return list(self._view.charts.values() if charts is None else charts)

        menu.addAction(f"&Copy {what}").triggered.connect(lambda: self.copy(chosen()))
        for title, suffix in (("Save as &PNG…", "png"), ("Save as &SVG…", "svg"),
                              ("Save numbers as CS&V…", "csv")):  # fmt: skip
            action = menu.addAction(title)
            action.triggered.connect(lambda _=False, suffix=suffix: self._ask(suffix, chosen()))

        def refresh() -> None:
            for action in menu.actions():
                action.setEnabled(bool(chosen()))

        menu.aboutToShow.connect(refresh)
        return menu

    def popup(self, charts: Sequence[RunChart], at: QPoint) -> None:
        """Show the menu of some charts."""
        show_menu(self.menu(self._view, charts), at)

    def copy(self, charts: Sequence[RunChart]) -> None:
        """Put a picture of charts onto the clipboard."""
        QGuiApplication.clipboard().setImage(charts_image(charts, self._view.legend_entries()))
        self._controller.message.emit("The picture is on the clipboard", "")

    def _ask(self, suffix: str, charts: Sequence[RunChart]) -> None:
        name = self._view.runs[0].name if self._view.runs else "training"
        path, _ = QFileDialog.getSaveFileName(
            self._view,
            f"Save as {suffix.upper()}",
            f"{name}.{suffix}",
            f"{suffix.upper()} (*.{suffix})",
        )
        if path:
            chosen = Path(path)
            if chosen.suffix.lower() != f".{suffix}":
                chosen = chosen.with_name(f"{chosen.name}.{suffix}")
            self.save(chosen, suffix, charts)

    def save(self, path: Path, suffix: str, charts: Sequence[RunChart]) -> None:
        """Write charts as ``png``, ``svg`` or ``csv``; say so, or why not."""

        def written(_: object = None) -> None:
            self._controller.message.emit(f"Written: {path.name}", str(path))

        if suffix != "csv":
            with self._controller.reporting():
                save_picture(charts, self._view.legend_entries(), path, suffix)
                written()
            return
        columns = self._columns(charts)
        rows = sum(len(steps) for own in columns.values() for steps, _ in own.values())
        self._writing.run(
            lambda: save_table(path, columns),
            written,
            lambda failure: self._controller.failed.emit(failure.message, failure.details),
            much=rows > MANY_ROWS,
        )

    def _columns(self, charts: Sequence[RunChart]) -> dict[str, dict[str, Column]]:
        """Return copies of the columns of the charts: curves belong to this thread."""
        wanted = {own for own, chart in self._view.charts.items() if chart in charts}
        found: dict[str, dict[str, Column]] = {}
        for run in self._view.runs:
            if run.series is None:
                continue
            curves = run.series.curves
            names = curves.names()
            series = [name for own in names if own in wanted for name in series_of(own, names)]
            kept = [name for name in (*series, "epoch", "time") if name in names]
            name = run.name if run.name not in found else str(run.path)
            found[name] = {
                name: (np.array(curves.steps_of(name)), np.array(curves.column(name)))
                for name in dict.fromkeys(kept)
            }
        return found
