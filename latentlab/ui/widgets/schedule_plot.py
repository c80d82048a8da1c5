"""The noise schedule of a diffusion model over time, with the steps of runs on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QEvent, QPoint, QSize, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.errors import LatentLabError
from latentlab.core.spec import DiffusionFacts
from latentlab.ui.icons import icon
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.picture_menu import show_menu
from latentlab.ui.widgets.sampling_text import schedule_title
from latentlab.ui.widgets.schedule_canvas import ScheduleCanvas
from latentlab.ui.widgets.schedule_curves import (
    CURVES,
    PANES,
    Mark,
    ScheduleState,
    reference_schedules,
)
from latentlab.ui.widgets.schedule_files import KINDS, save_schedule, schedule_image
from latentlab.ui.widgets.setting_controls import QuietCombo

__all__ = ["Mark", "SchedulePlot"]


class SchedulePlot(QWidget):
    """Beta, alpha-bar, signal to noise, and the rates of signal and noise.

    Signals:
        time_chosen: a whole time, 0 to T - 1, that a person clicked, dragged or stepped to.
        failed: one sentence and its details: a file could not be written.
        written: a file that was written, as text.
    """

    time_chosen = Signal(int)
    failed = Signal(str, str)
    written = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Noise schedule")
        self.canvas = ScheduleCanvas()
        self.canvas.time_chosen.connect(self.time_chosen)
        self.canvas.curve_clicked.connect(self.toggle_curve)
        self.canvas.menu_wanted.connect(self._show_menu)
        self.canvas.room_changed.connect(self._follow_room)
        self.title = ElidedLabel()
        self.pane = QuietCombo()
        self.pane.setAccessibleName("Chart")
        self.pane.setToolTip("Which chart is shown; a larger plot shows all of them")
        self.pane.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        for one in PANES:
            self.pane.addItem(one.title, one.key)
        self.pane.activated.connect(
            lambda row: self._show(replace(self.state, pane=self.pane.itemData(row)))
        )
        self.curves = QToolButton()
        self.curves.setText("Curves ▾")
        self.curves.setAccessibleName("Curves")
        self.curves.setToolTip("Which curves are drawn, and which schedules they are compared with")
        self.curves.clicked.connect(lambda: self._popup(self.curves_menu(), self.curves))
        self.more = QToolButton()
        self.more.setAccessibleName("Copy or save the plot")
        self.more.setToolTip("Copy or save the plot")
        self.more.setAutoRaise(True)
        self.more.clicked.connect(lambda: self._popup(self.export_menu(), self.more))
        self._build()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(8, 2, 8, 2)
        head.setSpacing(8)
        head.addWidget(self.title, 1)
        for widget in (self.pane, self.curves, self.more):
            head.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self.canvas, 1)
        self.setTabOrder(self.pane, self.curves)
        self._draw_icons()
        self._say()

    def _draw_icons(self) -> None:
        self.more.setIcon(icon("export", self.palette()))

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other icons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "more"):
            self._draw_icons()

    def sizeHint(self) -> QSize:
        """Room for one chart."""
        return QSize(400, 220)

    # What is shown.

    @property
    def state(self) -> ScheduleState:
        """All that is shown."""
        return self.canvas.state

    def set_facts(self, facts: DiffusionFacts | None) -> None:
        """Show the schedule of a model, or none; the curves that were chosen stay."""
        references = self.state.references
        if facts is not None:
            references = tuple(n for n in references if n in reference_schedules(facts))
        marks = self.state.marks if facts == self.state.facts else ()
        self._show(replace(self.state, facts=facts, references=references, marks=marks))

    def set_marks(self, marks: Sequence[Mark]) -> None:
        """Mark the steps of runs; those of one label belong together."""
        self._show(replace(self.state, marks=tuple(marks)))

    def toggle_curve(self, key: str, shown: bool | None = None) -> None:
        """Show or hide a curve; the other way round when it is not said which."""
        hide = key not in self.state.hidden if shown is None else not shown
        self._show(self.state.with_hidden(key, hide))

    def toggle_reference(self, name: str, shown: bool) -> None:
        """Draw another schedule for comparison, or not."""
        rest = [own for own in self.state.references if own != name]
        self._show(replace(self.state, references=tuple([*rest, name] if shown else rest)))

    def _show(self, state: ScheduleState) -> None:
        self.canvas.set_state(state)
        self._say()

    def _say(self) -> None:
        facts = self.state.facts
        for widget in (self.pane, self.curves, self.more):
            widget.setEnabled(facts is not None)
        self.title.setText(
            "Noise schedule"
            if facts is None
            else f"{schedule_title(facts.schedule).capitalize()}, T = {facts.num_timesteps:,}"
        )
        row = self.pane.findData(self.state.pane)
        self.pane.setCurrentIndex(max(0, row))
        self._follow_room()

    def _follow_room(self) -> None:
        """The chooser is there where not all charts are."""
        drawing = self.canvas.painting()
        self.pane.setVisible(bool(drawing.panes) and not drawing.shows_all)

    # Menus and files.

    def curves_menu(self) -> QMenu:
        """Return the menu of what is drawn."""
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        for curve in CURVES:
            action = menu.addAction(curve.title.capitalize() if curve.key != "snr" else "SNR")
            action.setCheckable(True)
            action.setChecked(curve.key not in self.state.hidden)
            action.setToolTip(curve.what)
            action.toggled.connect(lambda on, key=curve.key: self.toggle_curve(key, on))
        if self.state.facts is not None:
            menu.addSection("Compare with")
            for name in reference_schedules(self.state.facts):
                action = menu.addAction(f"{schedule_title(name).capitalize()} schedule")
                action.setCheckable(True)
                action.setChecked(name in self.state.references)
                action.toggled.connect(lambda on, name=name: self.toggle_reference(name, on))
        return menu

    def export_menu(self) -> QMenu:
        """Return the menu of copying and saving."""
        menu = QMenu(self)
        self._add_files(menu)
        return menu

    def _add_files(self, menu: QMenu) -> None:
        menu.addAction("&Copy plot").triggered.connect(self.copy)
        for kind, text in zip(KINDS, ("Save as &PNG…", "Save as &SVG…", "Save numbers as CS&V…")):
            menu.addAction(text).triggered.connect(lambda _=False, kind=kind: self._ask(kind))

    def _popup(self, menu: QMenu, button: QToolButton) -> None:
        show_menu(menu, button.mapToGlobal(QPoint(0, button.height())))

    def _show_menu(self, at: QPoint) -> None:
        if self.state.facts is None:
            return
        menu = self.curves_menu()
        menu.addSeparator()
        self._add_files(menu)
        show_menu(menu, at)

    def copy(self) -> None:
        """Put a picture of the plot onto the clipboard."""
        image = self._for_file(schedule_image)
        QGuiApplication.clipboard().setImage(image)

    def _for_file(self, make: Callable[..., object], *before: object) -> object:
        canvas = self.canvas
        return make(*before, canvas.state, canvas.size(), canvas.font(), canvas.palette())

    def _ask(self, kind: str) -> None:
        suffix = kind.lower()
        path, _ = QFileDialog.getSaveFileName(
            self, f"Save as {kind}", f"schedule.{suffix}", f"{kind} (*.{suffix})"
        )
        if path:
            chosen = Path(path)
            if chosen.suffix.lower() != f".{suffix}":
                chosen = chosen.with_name(f"{chosen.name}.{suffix}")
            self.save(chosen, kind)

    def save(self, path: Path, kind: str) -> None:
        """Write the plot as ``PNG``, ``SVG`` or ``CSV``; say so, or why not."""
        try:
            self._for_file(save_schedule, path, kind)
        except LatentLabError as error:
            self.failed.emit(error.message, error.details)
        else:
            self.written.emit(str(path))
