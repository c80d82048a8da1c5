"""The Train panel: runs, what can be done with them, and all that is known of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import (
    QFileDialog,
    QSplitter,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.run_status import RunSummary
from latentlab.core.settings import save_settings
from latentlab.ui.help import TOPIC
from latentlab.ui.widgets.notice_bar import NoticeBar
from latentlab.ui.widgets.run_actions import RUN_ACTIONS, RunCommands, objection
from latentlab.ui.widgets.run_empty import RunsEmpty
from latentlab.ui.widgets.run_list import RunList
from latentlab.ui.widgets.run_marks import RunMarks
from latentlab.ui.widgets.run_toolbar import RunToolbar
from latentlab.ui.widgets.run_view import RunView
from latentlab.ui.widgets.run_view_state import read_view

_WIDE = 720
_LIST_WIDTH = 290
_NARROW_ROWS = 2.6


class TrainPanel(QWidget):
    """Runs and their views; the form of a new run takes their place while it is filled in.

    Args:
        controller: of the window; ``controller.runs`` finds and reads the runs.
    """

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Train")
        self.setProperty(TOPIC, "train")
        self._controller = controller
        self._feed = controller.runs
        self._view = read_view(controller.settings.train_view)
        self._watched: list[Path] = []
        # A run that is to open as soon as it is found.
        self._awaited: Path | None = Path(self._view.run) if self._view.run else None
        self._form: Any = None
        self._by_hand = False
        marks = RunMarks()
        self.toolbar = RunToolbar(controller)
        self.notice = NoticeBar("info")
        self.list = RunList(marks)
        self.view = RunView(controller, marks, self._view)
        self.empty = RunsEmpty()
        self.commands = RunCommands(controller, self)
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self._lay_out()
        self._connect()
        self.list.model.set_overlaid([Path(name) for name in self._view.overlaid])
        self._follow_runs()

    def _lay_out(self) -> None:
        self.splitter.addWidget(self.list)
        self.splitter.addWidget(self.view)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(9)
        pages = QWidget()
        self._pages = QStackedLayout(pages)
        self._pages.setContentsMargins(0, 0, 0, 0)
        for page in (self.splitter, self.empty):
            self._pages.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        layout.addWidget(self.toolbar)
        layout.addWidget(self.notice)
        layout.addWidget(pages, 1)

    def _connect(self) -> None:
        self._feed.runs_changed.connect(self._follow_runs)
        self._feed.run_changed.connect(self._follow_run)
        self.toolbar.new_asked.connect(self.new_run)
        self.toolbar.watch_asked.connect(self.watch_folder)
        self.toolbar.unwatch_asked.connect(self.unwatch_folder)
        self.toolbar.asked.connect(self.act)
        self.empty.new_asked.connect(self.new_run)
        self.empty.watch_asked.connect(self.watch_folder)
        self.list.chosen.connect(self._choose)
        self.list.overlay_changed.connect(self._show_chosen)
        self.list.entered.connect(self._enter)
        self.list.menu_wanted.connect(self.toolbar.popup)
        self.view.view_changed.connect(self._keep_view)
        self.splitter.splitterMoved.connect(self._moved_by_hand)
        self.commands.said.connect(self._say)
        self.commands.duplicate_asked.connect(self.new_run)
        self.commands.done.connect(self._done)
        self._controller.exploring_changed.connect(lambda _path: self.toolbar.follow(self.open_run))
        for action in RUN_ACTIONS:
            if action.key:
                shortcut = QShortcut(QKeySequence(action.key), self.list)
                shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                shortcut.activated.connect(lambda name=action.id: self.act(name))

    # Following.

    @property
    def open_run(self) -> RunSummary | None:
        """How the open run stands."""
        return self.list.model.run(self.list.open)

    def _follow_runs(self) -> None:
        runs = self._feed.runs()
        asked = self.commands.asked(runs)
        self.list.model.set_asked(asked)
        self.list.set_runs(runs)
        if self._awaited is not None and self.list.model.row_of(self._awaited) >= 0:
            awaited, self._awaited = self._awaited, None
            self.list.open_run(awaited)
        elif self._feed.looked and str(self._awaited) == self._view.run:
            # What was open last time is gone.
            self._awaited = None
        self.empty.set_looking(not self._feed.looked)
        if self._form is None:
            self._pages.setCurrentWidget(self.splitter if runs else self.empty)
        self._show_chosen()

    def _follow_run(self, path: Path) -> None:
        self.view.refresh(path)
        if path == self.list.open:
            self.toolbar.follow(self.open_run)

    def _choose(self, _path: Path | None) -> None:
        self._show_chosen()
        self._keep_view()

    def _show_chosen(self) -> None:
        """Show the open run and those that are laid over it, and follow them."""
        found = (self.list.model.run(path) for path in self.list.shown)
        runs = [run for run in found if run is not None]
        paths = [run.path for run in runs]
        before, self._watched = self._watched, paths
        for path in paths:
            if path not in before:
                self._feed.watch(path)
        for path in before:
            if path not in paths:
                self._feed.unwatch(path)
        asked = self.commands.asked(self.list.model.runs)
        self.view.show_runs(runs, asked.get(paths[0], "") if paths else "")
        self.toolbar.follow(self.open_run)
        self._controller.run_actions = self.possible()
        if tuple(map(str, self.list.model.overlaid)) != self._view.overlaid:
            self._keep_view()

    def _keep_view(self) -> None:
        """Keep what was chosen for the next time."""
        if self._awaited is None and self.list.open is not None:
            self._view.run = str(self.list.open)
        if self.list.model.runs:
            self._view.overlaid = tuple(str(path) for path in self.list.model.overlaid)
        self._controller.settings.train_view = self._view.model_dump(mode="json")

    # Doing.

    def possible(self) -> frozenset[str]:
        """Return the ids of what can be done with the open run."""
        run = self.open_run
        has = run is not None and self._feed.checkpoint(run.path) is not None
        return frozenset(a.id for a in RUN_ACTIONS if not objection(a.id, run, has))

    def act(self, action: str) -> None:
        """Do one of ``RUN_ACTIONS`` with the open run."""
        self.notice.hide()
        self.commands.act(action, self.open_run)

    def _done(self, path: Path) -> None:
        # An undone deletion comes back as the open run.
        if self.list.model.row_of(path) < 0:
            self._awaited = path
        self._feed.refresh()
        self._follow_runs()

    def _say(self, sentence: str, undo: Callable[[], object] | None) -> None:
        buttons = (("&Undo", undo),) if undo is not None else ()
        self.notice.say(sentence, "", buttons)

    def _enter(self) -> None:
        self.view.tabs.currentWidget().setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.view.tabs.setFocus(Qt.FocusReason.ShortcutFocusReason)

    # New runs and folders.

    def new_run(self, recipe: str = "", name: str = "") -> None:
        """Show the form of a new run, filled in from a recipe's text if there is one."""
        from latentlab.ui.widgets.new_run import NewRunForm

        if self._form is None:
            self._form = NewRunForm(self._controller)
            self._form.started.connect(self._started)
            self._form.cancelled.connect(self._close_form)
            self._pages.addWidget(self._form)
        if recipe:
            self._form.set_recipe(recipe, name)
        self._pages.setCurrentWidget(self._form)
        self.toolbar.hide()
        self._form.setFocus(Qt.FocusReason.OtherFocusReason)

    def _started(self, path: Path) -> None:
        self._close_form()
        self.open(path)
        self._feed.refresh()

    def _close_form(self) -> None:
        form, self._form = self._form, None
        if form is not None:
            self._pages.removeWidget(form)
            form.hide()
            form.deleteLater()
        self.toolbar.show()
        self._follow_runs()

    def open(self, path: Path) -> None:
        """Open a run; one that is not found yet opens as soon as it is."""
        if self.list.model.row_of(path) >= 0:
            self.list.open_run(path)
        else:
            self._awaited = path

    def watch_folder(self, path: Path | None = None) -> None:
        """Show the runs of one more folder; ask which when none is named."""
        if path is None:
            title = "Watch a folder of training runs"
            chosen = QFileDialog.getExistingDirectory(self, title)
            if not chosen:
                return
            path = Path(chosen)
        with self._controller.reporting():
            self._feed.add_folder(path)
            # The command line lists these runs too, and does not wait until the window closes.
            save_settings(self._controller.settings)
            self.notice.say(f"Watching '{path}': its runs appear in the list.")

    def unwatch_folder(self, path: Path) -> None:
        """Leave the runs of a folder out of the list; nothing is deleted."""
        with self._controller.reporting():
            self._feed.remove_folder(path)
            save_settings(self._controller.settings)
            again = ("&Undo", lambda: self.watch_folder(path))
            self.notice.say(f"'{path}' is no longer watched; its runs stay there.", "", (again,))

    # Shape.

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The list above the run, or beside it where there is room."""
        super().resizeEvent(event)
        wide = self.width() >= _WIDE
        side = Qt.Orientation.Horizontal if wide else Qt.Orientation.Vertical
        if side != self.splitter.orientation():
            self.splitter.setOrientation(side)
            self._by_hand = False
        if not self._by_hand:
            self._share_room()
            # Again when the splitter has its new size.
            QTimer.singleShot(0, self, self._share_room)

    def _moved_by_hand(self, *_: object) -> None:
        self._by_hand = True

    def _share_room(self) -> None:
        if self.splitter.orientation() == Qt.Orientation.Horizontal:
            self.splitter.setSizes([_LIST_WIDTH, max(1, self.width() - _LIST_WIDTH)])
        else:
            row = self.list.view.sizeHintForRow(0)
            first = round(max(44, row) * _NARROW_ROWS)
            self.splitter.setSizes([first, max(1, self.splitter.height() - first)])

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other icons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.notice.recolour()
