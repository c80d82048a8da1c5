"""The denoising panel: a picture of a diffusion model, step by step."""

from __future__ import annotations

from itertools import count
from typing import Any

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QHBoxLayout, QTabWidget, QToolButton, QVBoxLayout, QWidget

from latentlab.core.denoising import Sampling
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition
from latentlab.ui.denoise_tree import setting_of, source_title
from latentlab.ui.icons import icon
from latentlab.ui.widgets.denoise_photo import PhotoPage
from latentlab.ui.widgets.denoise_watch import WatchPage
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.image_mime import has_picture, read_pictures
from latentlab.ui.widgets.sampling_form import SamplingForm


class DenoisingPanel(QWidget):
    """Settings above, the run or a photograph below.

    Args:
        controller: of the window.
    """

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Denoising")
        self.setAcceptDrops(True)
        self._controller = controller
        self.model = controller.denoise
        self._spec: Any = None
        self._gestures = count()
        self._gesture = next(self._gestures)
        self.form = SamplingForm()
        self.source = ElidedLabel()
        self.again = self._button("again", "&Run again", "Make the frames that are missing")
        self.canvas = self._button(
            "canvas", "&Follow the canvas", "Denoise the picture that is selected on the canvas"
        )
        self.schedule = self._button("schedule", "S&chedule", "Show the noise schedule")
        self.schedule.setCheckable(True)
        self.watch = WatchPage(controller)
        self.photo = PhotoPage(controller)
        self.tabs = QTabWidget()
        self._lay_out()
        self._connect()
        self._follow()

    def _button(self, name: str, text: str, tip: str) -> QToolButton:
        button = QToolButton(text=text)
        button.setObjectName(name)
        button.setAutoRaise(True)
        button.setToolTip(tip)
        button.setAccessibleDescription(tip)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        return button

    def _lay_out(self) -> None:
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setAccessibleName("What is denoised")
        self.tabs.addTab(self.watch, "&Watch")
        self.tabs.addTab(self.photo, "P&hotograph")
        line = QHBoxLayout()
        line.setContentsMargins(8, 0, 8, 0)
        line.setSpacing(4)
        line.addWidget(self.source, 1)
        for button in (self.again, self.canvas, self.schedule):
            line.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.form)
        layout.addLayout(line)
        layout.addWidget(self.tabs, 1)
        self._recolour()

    def _connect(self) -> None:
        model, controller = self.model, self._controller
        self.photo.use_settings(lambda: self.form.values()[0])
        self.form.changed.connect(self._restart)
        self.form.gesture_ended.connect(self._end_gesture)
        self.again.clicked.connect(model.run_again)
        self.canvas.clicked.connect(model.follow_canvas)
        self.schedule.clicked.connect(lambda on: self.watch.show_schedule(on))
        model.run_changed.connect(self._follow)
        model.progress_changed.connect(self._follow_progress)
        model.watch_asked.connect(lambda: self.tabs.setCurrentWidget(self.watch))
        controller.model_changed.connect(self._follow)

    # Following.

    def _follow(self, *_: object) -> None:
        model = self.model
        picture = model.picture
        if model.spec is not self._spec:
            self._spec = model.spec
            self.form.set_spec(model.spec)
        if picture is not None:
            setting = setting_of(picture, "")
            self.form.set_values(setting.sampling, setting.condition)
        self.form.setEnabled(picture is not None)
        self._follow_progress()

    def _follow_progress(self) -> None:
        model = self.model
        picture = model.picture
        self.canvas.setVisible(model.pinned)
        idle = picture is not None and bool(model.missing) and not model.running
        # Where nothing is here yet, the page itself has a button to begin with.
        begun = any(model.own_frames(path) or model.failure(path) for path in model.paths)
        self.again.setVisible(idle and begun)
        self.source.setText("" if picture is None else self._said())
        self.schedule.setChecked(self.watch.schedule_shown)

    def _said(self) -> str:
        model = self.model
        name = source_title(model.picture)
        said = name[:1].upper() + name[1:]
        if model.follows:
            selection = self._controller.selection
            which = "" if selection is None else f", image {selection + 1}"
            said += f" of the canvas{which}"
            said += ", with settings of its own" if model.pinned else ""
        branches = len(model.paths) - 1
        return said + (f", {branches} branch{'es' * (branches > 1)}" if branches else "")

    def _restart(self, sampling: Sampling, condition: Condition) -> None:
        self.model.restart(sampling, condition, merge_key=f"denoise settings {self._gesture}")

    def _end_gesture(self) -> None:
        self._gesture = next(self._gestures)
        self._controller.end_merge()

    # In sight or not.

    def showEvent(self, event) -> None:
        """A run that is quick starts by itself when it is in sight."""
        super().showEvent(event)
        self.model.set_watched(True)

    def hideEvent(self, event) -> None:
        """Nothing starts by itself out of sight."""
        self.model.set_watched(False)
        super().hideEvent(event)

    def resizeEvent(self, event) -> None:
        """The schedule may have found room, or lost it."""
        super().resizeEvent(event)
        self.schedule.setChecked(self.watch.schedule_shown)

    # Drops.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take pictures of ours."""
        if has_picture(event.mimeData()):
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()

    def dropEvent(self, event: QDropEvent) -> None:
        """Denoise the picture that was dropped."""
        if not has_picture(event.mimeData()):
            return
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        with self._controller.reporting():
            dropped = read_pictures(event.mimeData(), self._controller.store)
            if len(dropped.pictures) > 1:
                raise LatentLabError("Drop one picture: a run is watched of one at a time.")
            self.model.start(dropped.pictures[0])

    # Looks.

    def _recolour(self) -> None:
        for button, name in ((self.again, "resume"), (self.schedule, "measure")):
            button.setIcon(icon(name, self.palette()))
            button.setIconSize(QSize(14, 14))
        self.canvas.setIcon(icon("newest", self.palette()))
        self.canvas.setIconSize(QSize(14, 14))

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other icons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "canvas"):
            self._recolour()
