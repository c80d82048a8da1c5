"""The run, watched: a large image, a timeline with a tree of branches, and the schedule."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QMenu,
    QSizePolicy,
    QSplitter,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from latentlab.ui.denoise_tree import QUANTITIES, last_branch, parent_of, setting_of, steps_left
from latentlab.ui.widgets.denoise_branch import BranchPopover
from latentlab.ui.widgets.denoise_empty import DenoiseEmpty
from latentlab.ui.widgets.denoise_export import ExportPopover
from latentlab.ui.widgets.denoise_menus import branch_menu, fill_samplers, frame_menu, rows_menu
from latentlab.ui.widgets.denoise_player import StepControls
from latentlab.ui.widgets.denoise_state import WatchState
from latentlab.ui.widgets.denoise_timeline import DenoiseTimeline
from latentlab.ui.widgets.denoise_view import DenoiseView
from latentlab.ui.widgets.notes import ErrorNote
from latentlab.ui.widgets.picture_menu import show_menu
from latentlab.ui.widgets.quiet import own_key
from latentlab.ui.widgets.schedule_plot import Mark, SchedulePlot

_WIDE, _HIGH = 720, 620
_TALL = 440
_MARK_MS = 40
_Key = Qt.Key
_KEYS = (
    _Key.Key_Left, _Key.Key_Right, _Key.Key_Up, _Key.Key_Down, _Key.Key_Home, _Key.Key_End,
    _Key.Key_K, _Key.Key_B, _Key.Key_F, _Key.Key_A, _Key.Key_Space, _Key.Key_Delete,
    _Key.Key_F2, _Key.Key_Return, _Key.Key_Enter,
)  # fmt: skip


class WatchPage(QWidget):
    """Watches ``controller.denoise``.

    Args:
        controller: of the window.
    """

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Watch")
        self._controller = controller
        self._model = controller.denoise
        self.state = WatchState.read(controller.settings)
        self.view = DenoiseView(controller)
        self.controls = StepControls(controller, self.state)
        self.timeline = DenoiseTimeline(controller)
        self.schedule = SchedulePlot()
        self.error = ErrorNote()
        self.empty = DenoiseEmpty(controller)
        self.popover = BranchPopover(self)
        self.export = ExportPopover(controller, self.state, self)
        self._marking = QTimer(self, singleShot=True, interval=_MARK_MS)
        self._lay_out()
        self._connect()
        self._take_state()
        self._follow()

    def _lay_out(self) -> None:
        self._large = QWidget()
        self._stack = QStackedLayout(self._large)
        for page in (self.view, self.error, self.empty):
            self._stack.addWidget(page)
        top = QWidget()
        self._pair = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._pair.setContentsMargins(0, 0, 0, 0)
        self._pair.setSpacing(8)
        for part in (self._large, self.schedule):
            # Side by side they need more than a narrow dock has: that is asked for by nobody.
            part.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
            part.setMinimumWidth(160)
        self._pair.addWidget(self._large, 3)
        self._pair.addWidget(self.schedule, 2)
        column = QVBoxLayout(top)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self._pair, 1)
        column.addWidget(self.controls)
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.addWidget(top)
        self.splitter.addWidget(self.timeline)
        self._moved = False
        self.splitter.splitterMoved.connect(self._by_hand)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 8)
        layout.addWidget(self.splitter, 1)

    def _connect(self) -> None:
        model = self._model
        for signal in (model.run_changed, model.progress_changed, model.selection_changed):
            signal.connect(self._follow)
        model.frames_added.connect(self._frame_came)
        samplers = QMenu(self)
        samplers.aboutToShow.connect(lambda: fill_samplers(samplers, self._controller))
        self.controls.buttons["compare"].setMenu(samplers)
        self._marking.timeout.connect(self._mark)
        self.controls.asked.connect(self._do)
        self.controls.show_chosen.connect(self.set_show)
        self.controls.state_changed.connect(self._keep_state)
        self.timeline.show_chosen.connect(self.set_show)
        for widget in (self.timeline, self.view):
            widget.menu_asked.connect(self._open_menu)
        self.popover.chosen.connect(lambda parent, branch: model.branch(parent, branch))
        self.schedule.time_chosen.connect(self._go_to_time)
        self.schedule.failed.connect(self._controller.failed)
        self.schedule.written.connect(
            lambda path: self._controller.message.emit("Written: the schedule", path)
        )

    # What a person likes.

    def _take_state(self) -> None:
        self.timeline.set_rows(self.state.rows)
        self.timeline.set_fitted(self.state.fitted)
        self.set_show(self.state.show)
        self._fit_schedule()

    def _keep_state(self) -> None:
        self.state.write(self._controller.settings)

    def _rows_changed(self) -> None:
        self.timeline.set_rows(self.state.rows)
        self.timeline.set_fitted(self.state.fitted)
        self._keep_state()

    def set_show(self, show: str) -> None:
        """Show ``x_t``, ``x0`` or ``eps`` large."""
        self.state.show = show
        self.view.set_show(show)
        self.timeline.show_now = show
        self.timeline.viewport().update()
        self.controls.set_show(show)
        self._keep_state()

    @property
    def schedule_shown(self) -> bool:
        """Whether the schedule plot is there; by itself where there is room."""
        if self.state.schedule is None:
            return self.width() >= _WIDE or self.height() >= _HIGH
        return self.state.schedule

    def show_schedule(self, shown: bool) -> None:
        """Show the schedule plot, or not."""
        self.state.schedule = shown
        self._keep_state()
        self._fit_schedule()

    def _fit_schedule(self) -> None:
        wide = self.width() >= _WIDE
        directions = QBoxLayout.Direction
        self._pair.setDirection(directions.LeftToRight if wide else directions.TopToBottom)
        self.schedule.setVisible(self.schedule_shown)

    def resizeEvent(self, event) -> None:
        """The schedule stands beside the image where there is room, else below it."""
        super().resizeEvent(event)
        self._fit_schedule()
        if not self._moved:
            room = self.splitter.height()
            line = round(room * (0.46 if room > _TALL else 0.38))
            self.splitter.setSizes([room - line, line])

    def _by_hand(self, *_: object) -> None:
        self._moved = True

    # Following.

    def _follow(self, *_: object) -> None:
        model = self._model
        path = model.selected[0]
        failure = model.failure(path)
        if failure is not None and not model.own_frames(path):
            if self.error.failure is not failure:
                self.error.show_failure(failure)
            self._stack.setCurrentWidget(self.error)
        elif model.frames(path) or (model.running and model.paths):
            self._stack.setCurrentWidget(self.view)
        else:
            self.empty.follow()
            self._stack.setCurrentWidget(self.empty)
        something = model.running or any(model.own_frames(path) for path in model.paths)
        for part in (self.controls, self.timeline):
            part.setVisible(something)
        facts = None if model.spec is None else model.spec.diffusion
        if facts != self.schedule.state.facts:
            self.schedule.set_facts(facts)
        self._mark_soon()

    def _frame_came(self, _path: str) -> None:
        if self._stack.currentWidget() is not self.view:
            self._follow()
        self._mark_soon()

    def _mark_soon(self) -> None:
        """The plot costs more than a frame: it follows at a pace of its own."""
        if not self._marking.isActive():
            self._marking.start()

    def _mark(self) -> None:
        """Mark the steps of the selected run on the schedule, and the selected one."""
        if not self.schedule.isVisible():
            return
        cursor, marks = self._model.cursor, []
        path, index = self._model.selected
        for one in dict.fromkeys((path, *(cursor.pair or ()))):
            now = cursor.frame(one, index if one == path else cursor.at_time(one, cursor.time))
            label = self._model.title(one)
            for frame in self._model.frames(one):
                marks.append(Mark(label, frame.t, frame.sigma, frame is now))
        self.schedule.set_marks(marks)

    def _go_to_time(self, time: int) -> None:
        path = self._model.selected[0]
        if self._model.frames(path):
            self.controls.stop()
            self._model.select(path, self._model.cursor.at_time(path, float(time)))

    # What is asked for.

    def _do(self, name: str) -> None:
        acts = {
            "branch": self.ask_branch,
            "compare": self.toggle_compare,
            "keep": self.keep,
            "rows": lambda: self._under("rows", rows_menu(self.state, self._rows_changed, self)),
            "export": lambda: self.export.show_under(self.controls.buttons["export"]),
        }
        acts[name]()

    def _under(self, name: str, menu: Any) -> None:
        button = self.controls.buttons[name]
        show_menu(menu, button.mapToGlobal(QPoint(0, button.height())))

    def ask_branch(self) -> None:
        """Ask what shall be different from the selected step on."""
        model = self._model
        path, index = model.selected
        frames, here = model.frames(path), model.picture
        if not frames or here is None:
            return
        self.controls.stop()
        step = min(index, model.count(path))
        keep = step - 1
        while path and keep < last_branch(path).at:
            path = parent_of(path)
        frame = model.cursor.frame(path, step)
        time = "" if frame is None else f", t = {frame.t:.0f}"
        stays = "nothing before it" if keep == 0 else f"the {keep} steps before it stay"
        setting = setting_of(here, path)
        left = steps_left(here, path, model.count(path), keep)
        title = f"From step {step} of {model.count(path)}{time} on; {stays}."
        self.popover.set_step(title, path, keep, setting, left, model.spec)
        shown = self.timeline.frame_rect(path, self.timeline.show_now, step)
        place = self.timeline.viewport().mapToGlobal(shown.bottomLeft())
        if not self.timeline.viewport().rect().intersects(shown):
            button = self.controls.buttons["branch"]
            place = button.mapToGlobal(QPoint(0, button.height()))
        self.popover.show_at(place)

    def toggle_compare(self) -> None:
        """Compare the selected branch with its parent, or another sampler; or stop comparing."""
        model = self._model
        if model.cursor.pair is not None:
            model.cursor.stop_comparing()
            return
        path = model.selected[0]
        if path:
            model.cursor.compare(parent_of(path), path)
        elif len(model.paths) > 1:
            model.cursor.compare("", model.paths[1])
        else:
            model.compare_samplers()

    def keep(self) -> None:
        """Keep the frame that is shown in the tray."""
        path, index = self._model.selected
        if self._model.frames(path):
            with self._controller.reporting():
                picture = self._model.frame_picture(path, index, self.state.show)
                self._controller.keep_picture(picture)

    def to_canvas(self) -> None:
        """Put the frame that is shown on the canvas."""
        path, index = self._model.selected
        if self._model.frames(path):
            with self._controller.reporting():
                picture = self._model.frame_picture(path, index, self.state.show)
                self._controller.show_picture(picture, "To canvas")

    def _open_menu(self, path: str, show: str, index: int, at: QPoint) -> None:
        def rename() -> None:
            self.timeline.edit_title(path)

        if show not in QUANTITIES:
            show_menu(branch_menu(self._controller, path, rename, self), at)
            return
        shown = self.timeline.shown_picture((path, show, index))
        if shown is not None:
            menu = frame_menu(self._controller, shown, path, self.ask_branch, rename, self)
            show_menu(menu, at)

    # Keys.

    def event(self, event: QEvent) -> bool:
        """Take the keys of the page before the shortcuts of the window."""
        if own_key(event, _KEYS):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Step, play, keep, branch, compare."""
        model, path = self._model, self._model.selected[0]
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        acts = {
            _Key.Key_Left: lambda: self.controls.step_by(-1),
            _Key.Key_Right: lambda: self.controls.step_by(1),
            _Key.Key_Up: lambda: model.cursor.step_branch(-1),
            _Key.Key_Down: lambda: model.cursor.step_branch(1),
            _Key.Key_Home: lambda: model.select(path, 1),
            _Key.Key_End: lambda: model.select(path, None),
            _Key.Key_K: self.keep,
            _Key.Key_F: lambda: model.fold(path, path not in model.folded),
            _Key.Key_Space: self.controls.toggle,
            _Key.Key_Delete: lambda: model.remove(path),
            _Key.Key_F2: lambda: self.timeline.edit_title(path),
            _Key.Key_Return: self.to_canvas,
            _Key.Key_Enter: self.to_canvas,
        }
        act = acts.get(Qt.Key(event.key()))
        if event.key() == _Key.Key_B or (event.key() == _Key.Key_A and shift):
            letter = "A" if event.key() == _Key.Key_A else "B"
            act = (lambda: model.cursor.use_as(letter, path)) if shift else self.ask_branch
        if act is None or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            event.ignore()
            return
        if event.key() in (_Key.Key_Home, _Key.Key_End):
            self.controls.stop()
        if not event.isAutoRepeat() or event.key() in (_Key.Key_Left, _Key.Key_Right):
            act()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """The window shows the image without its edits while Space is held: not from here."""
        if event.key() != _Key.Key_Space:
            super().keyReleaseEvent(event)
