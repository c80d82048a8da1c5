"""The controls under the large image: one slider over all steps, a player, and what is shown."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from latentlab.ui.denoise_tree import QUANTITIES, caption
from latentlab.ui.icons import icon
from latentlab.ui.widgets.denoise_state import WatchState
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.quiet import QuietSpinBox
from latentlab.ui.widgets.run_player import JumpSlider

_TIPS = {
    "x_t": "x_t: the noisy picture before the step",
    "x0": "x0: the picture that the network predicts at the step",
    "eps": "eps: the noise that the network predicts, black and white being 3 standard deviations",
}
_BUTTONS = (
    ("previous", "previous", "", "Previous step (Left)"),
    ("play", "play", "", "Play all steps (Space)"),
    ("next", "next", "", "Next step (Right)"),
    ("branch", "branch", "&Branch here", "Branch here: go on differently from this step (B)"),
    ("compare", "compare", "&Compare", "Compare: two samplers on the same noise, or two branches"),
    ("keep", "keep", "", "Keep this frame in the tray (K)"),
    ("rows", "rows", "", "View: rows of the timeline, fit, loop"),
    ("export", "export", "", "Export: strip, film, command"),
)


class StepControls(QWidget):
    """Slider, player and buttons of the watched run.

    Args:
        controller: of the window.
        state: what the person chose; it is changed here.

    Signals:
        asked: ``branch``, ``compare``, ``keep``, ``rows`` or ``export``.
        show_chosen: ``x_t``, ``x0`` or ``eps``.
        state_changed: a switch or the pace.
    """

    asked = Signal(str)
    show_chosen = Signal(str)
    state_changed = Signal()

    def __init__(self, controller: Any, state: WatchState, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Steps")
        self._model, self._state = controller.denoise, state
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._tick)
        self.slider = JumpSlider(Qt.Orientation.Horizontal, self)
        self.slider.setAccessibleName("Step")
        self.slider.setToolTip("All steps of the selected run; Left, Right, Home and End")
        self.shows: dict[str, QToolButton] = {}
        self.buttons: dict[str, QToolButton] = {}
        self.pace = QuietSpinBox()
        self._build()
        self.slider.valueChanged.connect(self._slid)
        for signal in (self._model.selection_changed, self._model.run_changed):
            signal.connect(self.follow)
        self._model.frames_added.connect(self.follow)
        self.follow()

    def _build(self) -> None:
        self.pace.setRange(1, 60)
        self.pace.setValue(self._state.fps)
        self.pace.setSuffix(" /s")
        self.pace.setAccessibleName("Steps per second")
        self.pace.setToolTip("Steps per second while playing")
        self.pace.valueChanged.connect(self._set_pace)
        chosen = QButtonGroup(self)
        shows = QWidget()
        line = QHBoxLayout(shows)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(0)
        for show, word in QUANTITIES.items():
            button = QToolButton(text=word)
            button.setCheckable(True)
            button.setChecked(show == self._state.show)
            button.setToolTip(_TIPS[show])
            button.setAccessibleDescription(_TIPS[show])
            button.clicked.connect(lambda _=False, show=show: self.show_chosen.emit(show))
            chosen.addButton(button)
            line.addWidget(button)
            self.shows[show] = button
        row = QWidget(self)
        flow = FlowLayout(row, spacing=4)
        flow.setContentsMargins(0, 0, 0, 0)
        flow.addWidget(shows)
        for name, _icon, text, tip in _BUTTONS:
            button = self._button(name, text, tip)
            flow.addWidget(button)
            if name == "next":
                flow.addWidget(self.pace)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.slider)
        layout.addWidget(row)
        self.recolour()

    def _button(self, name: str, text: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setAutoRaise(not text)
        button.setText(text)
        beside = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        button.setToolButtonStyle(beside if text else Qt.ToolButtonStyle.ToolButtonIconOnly)
        button.setToolTip(tip)
        button.setAccessibleName(tip.partition(":")[0].partition(" (")[0])
        button.setCheckable(name == "compare")
        acts = {
            "previous": lambda: self.step_by(-1),
            "next": lambda: self.step_by(1),
            "play": self.toggle,
        }
        button.clicked.connect(acts.get(name, lambda: self.asked.emit(name)))
        if name == "compare":
            button.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        self.buttons[name] = button
        return button

    # Following.

    def follow(self, *_: object) -> None:
        """Show what is selected."""
        path, index = self._model.selected
        frames = self._model.frames(path)
        self.slider.blockSignals(True)
        # Over all steps: while it runs, the handle tells how far it is.
        last = self._model.count(path) + 1 if frames else 1
        self.slider.setRange(1, max(last, self._model.cursor.last))
        self.slider.setPageStep(max(1, self.slider.maximum() // 10))
        self.slider.setValue(max(1, index))
        self.slider.blockSignals(False)
        frame = self._model.cursor.frame(path, index)
        said = caption(frame, self._model.count(path)) if frames else ""
        self.slider.setAccessibleDescription(said)
        self.buttons["compare"].setChecked(self._model.cursor.pair is not None)
        for widget in (self.slider, *self.buttons.values()):
            widget.setEnabled(bool(frames))
        if not frames:
            self.stop()

    def set_show(self, show: str) -> None:
        """Follow a choice made elsewhere: no signal."""
        self.shows[show].setChecked(True)

    # Playing.

    @property
    def playing(self) -> bool:
        """Whether it plays."""
        return self._timer.isActive()

    def toggle(self) -> None:
        """Play or pause; at the end, from the start."""
        if self.playing:
            self.stop()
        elif self._model.cursor.last > 1:
            path, index = self._model.selected
            if index >= self._model.cursor.last:
                self._model.select(path, 1)
            self._timer.start(round(1000 / self._state.fps))
            self.recolour()

    def stop(self) -> None:
        """Pause."""
        if self.playing:
            self._timer.stop()
            self.recolour()

    def step_by(self, delta: int) -> None:
        """Go some steps on."""
        self.stop()
        self._model.cursor.step_by(delta)

    def _tick(self) -> None:
        path, index = self._model.selected
        if index < self._model.cursor.last:
            self._model.cursor.step_by(1)
        elif self._model.running and not self._model.complete(path):
            return
        elif self._state.loop:
            self._model.select(path, 1)
        else:
            self.stop()

    def _slid(self, value: int) -> None:
        self.stop()
        self._model.select(self._model.selected[0], value)

    def _set_pace(self, value: int) -> None:
        self._state.fps = value
        if self.playing:
            self._timer.start(round(1000 / value))
        self.state_changed.emit()

    def hideEvent(self, event) -> None:
        """Nothing plays out of sight."""
        self.stop()
        super().hideEvent(event)

    # Looks.

    def recolour(self) -> None:
        """Draw the icons anew."""
        for name, picture, _text, _tip in _BUTTONS:
            shown = "pause" if name == "play" and self.playing else picture
            self.buttons[name].setIcon(icon(shown, self.palette()))
            self.buttons[name].setIconSize(QSize(16, 16))
        word = "Pause" if self.playing else "Play"
        self.buttons["play"].setAccessibleName(word)
        self.buttons["play"].setToolTip(f"{word} all steps (Space)")

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other icons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self.buttons:
            self.recolour()
