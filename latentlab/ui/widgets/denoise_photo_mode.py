"""What all pages of ``PhotoPage`` have: a method, controls, one button, and images side by side."""

from __future__ import annotations

import secrets
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition
from latentlab.core.requests import Failure, PreviewResult
from latentlab.core.spec import ModelSpec
from latentlab.ui.icons import icon
from latentlab.ui.widgets.condition_button import ClassBox, ConditionButton
from latentlab.ui.widgets.denoise_photo_state import NOTHING_TOLD, PhotoState
from latentlab.ui.widgets.denoise_photo_view import BesideView
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.images import Images
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.seed_box import SeedBox

_RANDOM_SEEDS = 1_000_000
_WIDE = 680
"""From this width on, in logical pixels, what is made stands beside its controls."""


class ConditionPicker(QWidget):
    """What the model is told: a class, attributes, or nothing at first.

    Args:
        what: for whom it is, for assistive technology.

    Signals:
        changed: the new ``Condition``.
    """

    changed = Signal(object)

    def __init__(self, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._value = NOTHING_TOLD
        self.label = ClassBox()
        self.label.setAccessibleName(f"{what}: label")
        self.label.chosen.connect(self._choose)
        self.button = ConditionButton()
        self.button.setAccessibleDescription(what)
        self.button.changed.connect(lambda condition, _name: self._take(condition))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.label)
        layout.addWidget(self.button)
        self.set_spec(None)

    @property
    def value(self) -> Condition:
        """What is chosen."""
        return self._value

    def set_spec(self, spec: ModelSpec | None) -> None:
        """Offer what a model can be told; hidden where that is nothing."""
        conditions = () if spec is None else spec.conditions
        self.label.setVisible("class" in conditions)
        self.label.set_names(() if spec is None else spec.class_names)
        self.button.set_spec(spec)
        self.setVisible(bool({"class", "attributes"} & set(conditions)))
        self.set_value(NOTHING_TOLD)

    def set_value(self, condition: Condition) -> None:
        """Show a condition: no signal."""
        self._value = condition
        self.label.set_condition(condition)
        self.button.set_condition(condition)

    def _choose(self, index: int | None) -> None:
        nothing = index is None and not self._value.attributes
        self._take(self._value.model_copy(update={"class_index": index, "null": nothing}))

    def _take(self, condition: Condition) -> None:
        self.set_value(condition)
        self.changed.emit(condition)


class NoiseSeed(QWidget):
    """The seed of the noise, and a die.

    Signals:
        changed: the seed.
    """

    changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        name = QLabel("&Noise")
        self.box = SeedBox()
        self.box.setAccessibleName("Seed of the noise")
        self.box.setToolTip("Seed of the noise, a whole number; another one gives another result")
        self.box.edited.connect(self.changed)
        name.setBuddy(self.box)
        self.die = QToolButton()
        self.die.setAutoRaise(True)
        self.die.setAccessibleName("Another noise")
        self.die.setToolTip("Another noise, at random")
        self.die.clicked.connect(self._roll)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (name, self.box, self.die):
            layout.addWidget(widget)
        self._dress()

    @property
    def value(self) -> int:
        """The seed."""
        return self.box.value

    def _roll(self) -> None:
        self.box.set_value(secrets.randbelow(_RANDOM_SEEDS))
        self.changed.emit(self.box.value)

    def _dress(self) -> None:
        self.die.setIcon(icon("dice", self.palette()))

    def changeEvent(self, event) -> None:
        """Follow the palette."""
        if event.type() == event.Type.PaletteChange:
            self._dress()
        super().changeEvent(event)


class ModePage(QWidget):
    """One thing to do with a photograph.

    Args:
        state: of the page.
        channel: name that no other asker of previews uses.
        method: one line: the method and its paper.
        button: text of the one button.
        tip: what it does.
    """

    def __init__(
        self,
        state: PhotoState,
        channel: str,
        method: str,
        button: str,
        tip: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._state = state
        self._controller: Any = state.controller
        self._channel = channel
        self._asked: int | None = None
        self._picture: Picture | None = None
        self._result: Images | None = None
        self.method = ElidedLabel(method)
        self.method.setFont(small_font(self.font()))
        self.method.setAccessibleName("Method")
        self.primary = QPushButton(button)
        self.primary.setToolTip(tip)
        self.primary.clicked.connect(self._begin)
        self.watch = QPushButton("&Watch")
        self.watch.setToolTip("See this run step by step, scrub through it and branch it")
        self.watch.clicked.connect(self._watch)
        self.keep = QPushButton("&Keep")
        self.keep.setToolTip("Put the result into the tray (K on the image)")
        self.view = BesideView(self._controller)
        self.keep.clicked.connect(self.view.keep)
        self.above = QVBoxLayout()
        self.controls = FlowLayout(spacing=8)
        self._lay_out()
        state.changed.connect(self._follow)
        self._controller.preview_rendered.connect(self._take)

    def _lay_out(self) -> None:
        self.above.setSpacing(4)
        self.buttons = buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for widget in (self.primary, self.watch, self.keep):
            widget.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
            buttons.addWidget(widget)
        buttons.addStretch()
        flow = QWidget()
        flow.setLayout(self.controls)
        self.controls.setContentsMargins(0, 0, 0, 0)
        left = QVBoxLayout()
        left.setSpacing(4)
        left.addWidget(self.method)
        left.addLayout(self.above, 1 if self.upper_share else 0)
        left.addWidget(flow)
        left.addLayout(buttons)
        if not self.upper_share:
            # Beside tall images the controls stay together.
            left.addStretch(1)
        self.halves = QBoxLayout(QBoxLayout.Direction.TopToBottom, self)
        self.halves.setContentsMargins(0, 4, 0, 0)
        self.halves.setSpacing(8)
        self.halves.addLayout(left, self.upper_share)
        self.halves.addWidget(self.view, 1)

    upper_share = 0
    """How much of the height the controls take, beside the images' 1; 0 is what they need."""

    # What a page says.

    def make_picture(self) -> Picture:
        """Return the picture that the button asks for.

        Raises:
            LatentLabError: something is missing.
        """
        raise NotImplementedError

    def show_images(self) -> None:
        """Show what there is, beside each other."""
        raise NotImplementedError

    # What all pages do.

    @property
    def picture(self) -> Picture | None:
        """What was asked for."""
        return self._picture

    @property
    def result(self) -> Images | None:
        """What came of it so far, uint8 ``(H, W, C)``."""
        return self._result

    def _follow(self) -> None:
        """Another photograph or another model: what was made is of the old one."""
        self.forget()

    def forget(self) -> None:
        """Let go of the result: it belongs to what is no more."""
        self._picture = self._result = self._asked = None
        self.view.set_busy(False)
        self._refresh()

    def _refresh(self) -> None:
        ready = self._state.photo is not None and self._state.spec is not None
        self.primary.setEnabled(ready)
        self.watch.setEnabled(ready)
        self.keep.setEnabled(self._result is not None)
        if ready:
            self.show_images()
        else:
            self.view.show_images(())

    def _begin(self) -> None:
        try:
            self.ask(self.make_picture())
        except LatentLabError as error:
            self.fail(Failure(error.message, error.details))

    def ask(self, picture: Picture) -> None:
        """Ask for a picture; it appears rough at once and is refined."""
        self._picture, self._result = picture, None
        self.view.set_busy(True)
        # An answer may come before the call returns.
        self._asked = 0
        self._asked = self._controller.request_preview(self._channel, picture)

    def fail(self, failure: Failure) -> None:
        """Say why there is no result, where it would have been."""
        self._picture = self._result = None
        self.view.show_failure(failure)
        self.keep.setEnabled(False)

    def _take(self, result: PreviewResult) -> None:
        if self._asked is None or result.channel != self._channel:
            return
        if result.sequence < self._asked:
            return
        if result.failure is not None:
            self.fail(result.failure)
            return
        if result.images is not None:
            self._result = result.images[0]
            self._refresh()
            self.view.set_busy(not result.final)

    def _watch(self) -> None:
        """Send the run to the timeline."""
        try:
            picture = self._picture or self.make_picture()
            stored = self._controller.store.latents(picture)
        except LatentLabError as error:
            self.fail(Failure(error.message, error.details))
            return
        self._controller.denoise.start(picture, stored)

    def resizeEvent(self, event) -> None:
        """Stand side by side where there is room."""
        super().resizeEvent(event)
        wide = self.width() >= _WIDE
        way = QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom
        if way != self.halves.direction():
            self.halves.setDirection(way)
            self.halves.setStretch(0, 1 if wide else self.upper_share)
