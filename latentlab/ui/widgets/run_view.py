"""An open run: its head, and its curves, samples, log and recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from latentlab.core.run_status import RunSummary
from latentlab.ui.widgets.run_curves_view import CurvesView
from latentlab.ui.widgets.run_header import RunHeader
from latentlab.ui.widgets.run_log import LogView
from latentlab.ui.widgets.run_marks import RunMarks
from latentlab.ui.widgets.run_recipe import RecipeView
from latentlab.ui.widgets.run_samples import SamplesView
from latentlab.ui.widgets.run_view_state import TrainView

TABS = ("curves", "samples", "log", "recipe")


class RunView(QWidget):
    """What is known of one run; others are laid over it or stand beside it.

    Args:
        controller: of the window; ``controller.runs`` is asked for everything.
        marks: colour and marker of each run.
        view: what the person chose; it is changed here.

    Signals:
        view_changed: a choice was made.
    """

    view_changed = Signal()

    def __init__(
        self, controller: Any, marks: RunMarks, view: TrainView, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._marks = marks
        self._view = view
        self._runs: list[RunSummary] = []
        self.header = RunHeader(controller)
        self.curves = CurvesView(controller, view)
        self.samples = SamplesView(controller, view)
        self.log = LogView(controller)
        self.recipe = RecipeView(controller, view, self.header.facts_of, marks.of)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        titles = ("&Curves", "Sa&mples", "&Log", "Rec&ipe")
        for title, page in zip(titles, (self.curves, self.samples, self.log, self.recipe)):
            self.tabs.addTab(page, title)
        self.tabs.setCurrentIndex(TABS.index(view.tab))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.header)
        layout.addWidget(self.tabs, 1)
        self.tabs.currentChanged.connect(self._tab_changed)
        self.header.facts_came.connect(self._facts_came)
        for page in (self.curves, self.samples, self.recipe):
            page.view_changed.connect(self.view_changed)

    def show_runs(self, runs: Sequence[RunSummary], asked: str = "") -> None:
        """Show runs, the open one first; ``asked`` is what was asked of it and not yet done."""
        before = [run.path for run in self._runs]
        self._runs = list(runs)
        self.header.show_run(runs[0] if runs else None, asked)
        self.header.want_facts(runs)
        if [run.path for run in runs] != before:
            self.curves.show_runs([(r.path, r.name, self._marks.of(r.path)) for r in runs])
        self._refresh_page()

    def refresh(self, path: Path) -> None:
        """Take in what came to a run."""
        if path not in [run.path for run in self._runs]:
            return
        if path == self._runs[0].path:
            self.header.show_run(self._runs[0], self.header.asked)
        self.curves.refresh(path)
        self._refresh_page()

    def _facts_came(self) -> None:
        # Perhaps not of all: they are read one wish at a time.
        self.header.want_facts(self._runs)
        if self.tabs.currentWidget() is self.recipe:
            self.recipe.show_runs(self._runs)

    def _refresh_page(self) -> None:
        """Bring the page in front up to date; the others when they come to the front."""
        page = self.tabs.currentWidget()
        if page is not self.curves:
            page.show_runs(self._runs)

    def _tab_changed(self, place: int) -> None:
        self._view.tab = TABS[place]
        self._refresh_page()
        self.view_changed.emit()
