"""The controls under the sample sheets: one slider over all of training, and a player."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QSlider,
    QSpinBox,
    QStyle,
    QStyleOptionSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.ui.icons import icon
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.run_view_state import TrainView

_ICONS = {
    "previous": "previous",
    "next": "next",
    "loop": "loop",
    "newest": "newest",
    "export": "film",
}


class JumpSlider(QSlider):
    """A slider that goes to where it is clicked."""

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go there, and drag on from there."""
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        part = QStyle.SubControl.SC_SliderHandle
        handle = self.style().subControlRect(QStyle.ComplexControl.CC_Slider, option, part, self)
        if event.button() == Qt.MouseButton.LeftButton and not handle.contains(
            event.position().toPoint()
        ):
            room = self.width() - handle.width()
            at = round(event.position().x()) - handle.width() // 2
            self.setValue(
                QStyle.sliderValueFromPosition(self.minimum(), self.maximum(), at, max(1, room))
            )
        super().mousePressEvent(event)


class SamplePlayer(QWidget):
    """Slider, play, pace and switches.

    Args:
        view: what the person chose; it is changed here.

    Signals:
        moved: place of the sheet to show.
        view_changed: a switch or the pace.
        export_asked: a film is wanted.
    """

    moved = Signal(int)
    view_changed = Signal()
    export_asked = Signal()

    def __init__(self, view: TrainView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = view
        self._ready = True
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._tick)
        self.slider = JumpSlider(Qt.Orientation.Horizontal, self)
        self.slider.setAccessibleName("Step of training")
        self.slider.setToolTip("All sheets of the run; arrow keys step through them")
        self.step = QLabel()
        self.buttons: dict[str, QToolButton] = {}
        self.fps = QSpinBox(self)
        self.fps.setRange(1, 60)
        self.fps.setValue(view.fps)
        self.fps.setSuffix(" /s")
        self.fps.setAccessibleName("Sheets per second")
        self.fps.setToolTip("Sheets per second while playing")
        self._lay_out()
        self.slider.valueChanged.connect(self._slid)
        self.fps.valueChanged.connect(self._take)
        self.set_range(0)

    def _button(self, name: str, tip: str, checkable: bool = False) -> QToolButton:
        button = QToolButton(self)
        button.setAutoRaise(True)
        button.setCheckable(checkable)
        button.setAccessibleName(tip.partition(":")[0].partition(" (")[0])
        button.setToolTip(tip)
        self.buttons[name] = button
        return button

    def _lay_out(self) -> None:
        previous = self._button("previous", "Previous sheet (,)")
        play = self._button("play", "Play (Space)")
        after = self._button("next", "Next sheet (.)")
        loop = self._button("loop", "Loop: play again from the start", True)
        newest = self._button("newest", "Follow: show the newest sheet as it comes", True)
        smooth = self._button("smooth", "Smooth: smooth enlarged pixels", True)
        smooth.setText("Smooth")
        export = self._button("export", "Export as a film: GIF, WebP or MP4")
        loop.setChecked(self._view.loop)
        newest.setChecked(self._view.follow)
        smooth.setChecked(self._view.smooth_images)
        previous.clicked.connect(lambda: self.step_by(-1))
        after.clicked.connect(lambda: self.step_by(1))
        play.clicked.connect(self.toggle)
        export.clicked.connect(lambda: self.export_asked.emit())
        for button in (loop, newest, smooth):
            button.toggled.connect(self._take)
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.slider, 1)
        line.addWidget(self.step)
        row = QWidget(self)
        flow = FlowLayout(row, spacing=2)
        flow.setContentsMargins(0, 0, 0, 0)
        for widget in (previous, play, after, self.fps, loop, newest, smooth, export):
            flow.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(line)
        layout.addWidget(row)
        self.recolour()

    # What is shown.

    @property
    def place(self) -> int:
        """Place of the sheet."""
        return self.slider.value()

    @property
    def playing(self) -> bool:
        """Whether it plays."""
        return self._timer.isActive()

    def set_range(self, count: int, place: int | None = None) -> None:
        """Let the slider go over ``count`` sheets, and go to a place without telling anyone."""
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(0, count - 1))
        self.slider.setPageStep(max(1, count // 10))
        if place is not None:
            self.slider.setValue(place)
        self.slider.blockSignals(False)
        self.setEnabled(count > 0)
        if count < 2:
            self.stop()

    def say_step(self, text: str) -> None:
        """Say which step is shown."""
        self.step.setText(text)
        self.slider.setAccessibleDescription(text)

    def set_ready(self, ready: bool) -> None:
        """Whether the sheet that was asked for is shown: playing waits for it."""
        self._ready = ready

    # Playing.

    def toggle(self) -> None:
        """Play or pause; at the end, from the start."""
        if self.playing:
            self.stop()
        elif self.slider.maximum() > 0:
            self._unfollow()
            if self.place == self.slider.maximum():
                self.slider.setValue(0)
            self._timer.start(round(1000 / self._view.fps))
            self.recolour()

    def stop(self) -> None:
        """Pause."""
        self._timer.stop()
        self.recolour()

    def step_by(self, delta: int) -> None:
        """Go some sheets on."""
        self.stop()
        self.slider.setValue(self.place + delta)

    def _tick(self) -> None:
        if not self._ready:
            return
        if self.place < self.slider.maximum():
            self.slider.setValue(self.place + 1)
        elif self._view.loop:
            self.slider.setValue(0)
        else:
            self.stop()

    def _slid(self, place: int) -> None:
        if place != self.slider.maximum():
            self._unfollow()
        self.moved.emit(place)

    def _unfollow(self) -> None:
        """What is chosen by hand stays, also when a new sheet comes."""
        if self._view.follow:
            self.buttons["newest"].setChecked(False)

    def _take(self, *_: object) -> None:
        self._view.loop = self.buttons["loop"].isChecked()
        self._view.smooth_images = self.buttons["smooth"].isChecked()
        self._view.fps = self.fps.value()
        follow = self.buttons["newest"].isChecked()
        if follow != self._view.follow:
            self._view.follow = follow
            if follow:
                self.stop()
                self.slider.setValue(self.slider.maximum())
        if self.playing:
            self._timer.start(round(1000 / self._view.fps))
        self.view_changed.emit()

    def recolour(self) -> None:
        """Draw the icons anew."""
        names = {**_ICONS, "play": "pause" if self.playing else "play"}
        for name, picture in names.items():
            self.buttons[name].setIcon(icon(picture, self.palette()))
            self.buttons[name].setIconSize(QSize(16, 16))
        word = "Pause" if self.playing else "Play"
        self.buttons["play"].setToolTip(f"{word} (Space)")
        self.buttons["play"].setAccessibleName(word)

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other icons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self.buttons:
            self.recolour()
