"""The buttons above the runs: what applies can be pressed, the rest says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QMenu, QToolButton, QWidget

from latentlab.core.run_status import RunSummary
from latentlab.ui.icons import icon
from latentlab.ui.widgets.picture_menu import show_menu
from latentlab.ui.widgets.run_actions import RUN_ACTIONS, RunAction, objection

_BY_ID = {action.id: action for action in RUN_ACTIONS}
_BUTTONS = ("pause", "stop", "resume", "duplicate", "delete", "explore")


class RunToolbar(QWidget):
    """New run, what can be done with the open run, and a menu with everything.

    Args:
        controller: of the window.

    Signals:
        new_asked: a new run is wanted.
        watch_asked: a folder of runs is to be watched.
        asked: id of one of ``RUN_ACTIONS``.
        unwatch_asked: a watched folder is to be forgotten.
    """

    new_asked = Signal()
    watch_asked = Signal()
    asked = Signal(str)
    unwatch_asked = Signal(object)

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Training runs")
        self._controller = controller
        self._run: RunSummary | None = None
        self._has_checkpoint = False
        self.new = QToolButton(self, text="&New run")
        self.new.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.new.setToolTip("Set up a training run, or open a recipe")
        self.new.clicked.connect(lambda: self.new_asked.emit())
        self.buttons: dict[str, QToolButton] = {}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        row.addWidget(self.new)
        row.addSpacing(6)
        for name in _BUTTONS:
            button = QToolButton(self)
            button.setAutoRaise(True)
            button.clicked.connect(lambda _=False, name=name: self.asked.emit(self._now(name)))
            self.buttons[name] = button
            row.addWidget(button)
        self.buttons["explore"].setCheckable(True)
        row.addStretch()
        self.more = QToolButton(self)
        self.more.setAutoRaise(True)
        self.more.setAccessibleName("More about this run")
        self.more.setToolTip("Everything that can be done, and watched folders")
        self.more.clicked.connect(self._open_menu)
        row.addWidget(self.more)
        self.follow(None)
        self.recolour()

    def _now(self, name: str) -> str:
        """Return what a button does now: one button pauses and continues."""
        paused = self._run is not None and self._run.state == "paused"
        return "proceed" if name == "pause" and paused else name

    def follow(self, run: RunSummary | None) -> None:
        """Enable what can be done with a run."""
        self._run = run
        self._has_checkpoint = (
            run is not None and self._controller.runs.checkpoint(run.path) is not None
        )
        exploring = run is not None and self._controller.exploring == run.path
        for name, button in self.buttons.items():
            action = _BY_ID[self._now(name)]
            why_not = objection(action.id, run, self._has_checkpoint)
            if name == "explore":
                button.setChecked(exploring)
                why_not = "" if exploring else why_not
            title = action.title.replace("&", "").rstrip("…")
            button.setEnabled(not why_not)
            button.setAccessibleName(title)
            button.setToolTip(f"{title}: {why_not or action.tip}")
            button.setIcon(icon(action.icon, self.palette()))
            button.setIconSize(QSize(18, 18))

    def recolour(self) -> None:
        """Draw the icons anew."""
        self.new.setIcon(icon("plus", self.palette()))
        self.more.setIcon(icon("more", self.palette()))
        self.follow(self._run)

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other icons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self.buttons:
            self.recolour()

    def menu(self) -> QMenu:
        """Return the menu of the open run, and of the watched folders."""
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        for action in RUN_ACTIONS:
            self._add(menu, action)
        menu.addSeparator()
        watch = menu.addAction(icon("watch", self.palette()), "&Watch a folder…")
        watch.setToolTip("Show the runs of another folder too, for example on a shared disk")
        watch.triggered.connect(lambda: self.watch_asked.emit())
        folders = self._controller.settings.run_folders
        if folders:
            forget = menu.addMenu("S&top watching")
            for folder in folders:
                action = forget.addAction(folder.replace("&", "&&"))
                action.triggered.connect(
                    lambda _=False, folder=folder: self.unwatch_asked.emit(Path(folder))
                )
        return menu

    def _add(self, menu: QMenu, action: RunAction) -> None:
        why_not = objection(action.id, self._run, self._has_checkpoint)
        exploring = self.buttons["explore"].isChecked()
        if action.separator:
            menu.addSeparator()
        title = action.title
        if action.id == "explore" and exploring:
            title, why_not = "Stop e&xploring", ""
        found = menu.addAction(icon(action.icon, self.palette()), title)
        if action.key:
            found.setText(f"{title}\t{action.key}")
        found.setEnabled(not why_not)
        found.setToolTip(why_not or action.tip)
        found.triggered.connect(lambda: self.asked.emit(action.id))

    def _open_menu(self) -> None:
        self.popup(self.more.mapToGlobal(self.more.rect().bottomLeft()))

    def popup(self, at: QPoint) -> None:
        """Show the menu."""
        show_menu(self.menu(), at)
