"""The thin strip under the canvas: seed, number of images, temperature, condition."""

from __future__ import annotations

from itertools import count

from PySide6.QtWidgets import QLabel, QToolButton, QWidget

from latentlab.core.denoising import Sampling
from latentlab.core.document import Picture
from latentlab.core.latents import Condition
from latentlab.core.spec import ModelSpec
from latentlab.ui.edits import batch_of
from latentlab.ui.widgets.condition_button import ClassBox, ConditionButton
from latentlab.ui.widgets.hand_slider import EditBurst
from latentlab.ui.widgets.quiet import QuietDoubleSpinBox, QuietSlider, QuietSpinBox
from latentlab.ui.widgets.sampling_controls import SamplingControls, together
from latentlab.ui.widgets.sampling_flow import GrowingFlow
from latentlab.ui.widgets.sampling_text import frame_words
from latentlab.ui.widgets.seed_box import SeedBox

MAX_COUNT = 64
MAX_TEMPERATURE = 1.5
_STEPS = 100


class SamplingStrip(QWidget):
    """What the canvas samples; it follows the document.

    Args:
        controller: of the window.
    """

    def __init__(self, controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Sampling")
        self._controller = controller
        self._following = False
        self._gestures = count()
        self._gesture = next(self._gestures)
        self._burst = EditBurst(self)
        self._burst.ended.connect(self._end_gesture)
        self._build()
        controller.document_changed.connect(self._follow)
        controller.model_changed.connect(self._take_model)
        self._take_model()
        self._follow()

    def _build(self) -> None:
        layout = GrowingFlow(self, spacing=8)
        layout.setContentsMargins(8, 4, 8, 4)
        layout.addWidget(self._build_seed())
        layout.addWidget(self._build_count())
        layout.addWidget(self._build_temperature())
        self.label = ClassBox()
        self.label.chosen.connect(self._choose_label)
        self._label_group = together(self._caption("&Label", self.label), self.label)
        self.attributes = ConditionButton()
        self.attributes.changed.connect(self._set_condition)
        self.attributes.gesture_ended.connect(self._end_gesture)
        self.sampling = SamplingControls(self)
        self.sampling.changed.connect(self._set_options)
        self.sampling.gesture_ended.connect(self._end_gesture)
        self.frame = self._button("", "Show the result of the run", self._leave_frame)
        self.branch = self._button("", "Leave the branch: show the run itself", self._leave_branch)
        sampler, steps, _, guidance, eta, noise, more = self.sampling.groups
        self.sampling.make_compact()
        for widget in (sampler, steps, guidance, self._label_group, self.attributes, more,
                       eta, noise, self.frame, self.branch):  # fmt: skip
            layout.addWidget(widget)

    def _caption(self, text: str, buddy: QWidget) -> QLabel:
        label = QLabel(text)
        label.setBuddy(buddy)
        return label

    def _button(self, text: str, tip: str, act) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.clicked.connect(lambda: act())
        return button

    def _build_seed(self) -> QWidget:
        self.seed = SeedBox()
        self.seed.setAccessibleName("Seed")
        self.seed.setToolTip(
            "Seed of the first image: a whole number from 0 to 2^63 - 1. The same seed always "
            "gives the same image."
        )
        self.seed.edited.connect(lambda seed: self._set("seed", seed=seed))
        control = self._controller
        self.previous = self._button("◀", "Previous seed ( [ )", lambda: control.step_seed(-1))
        self.next = self._button("▶", "Next seed ( ] )", lambda: control.step_seed(1))
        self.reroll = self._button("Reroll", "Reroll: random seeds ( R )", control.reroll)
        for button in (self.previous, self.next):
            button.setFixedWidth(22)
            button.setAutoRaise(True)
        caption = self._caption("&Seed", self.seed)
        return together(caption, self.seed, self.previous, self.next, self.reroll)

    def _build_count(self) -> QWidget:
        self.count = QuietSpinBox()
        self.count.setRange(1, MAX_COUNT)
        self.count.setAccessibleName("Number of images")
        self.count.setToolTip(f"How many images: 1 to {MAX_COUNT}, with seeds in a row")
        self.count.valueChanged.connect(lambda value: self._set("count", count=value))
        return together(self._caption("&Images", self.count), self.count)

    def _build_temperature(self) -> QWidget:
        tip = (
            "Temperature: factor on the prior's standard deviation. 1 samples the prior itself; "
            "below 1 images are more usual, above 1 more unusual."
        )
        self.temperature = QuietSlider()
        self.temperature.setRange(0, round(MAX_TEMPERATURE * _STEPS))
        self.temperature.setSingleStep(5)
        self.temperature.setPageStep(25)
        self.temperature.setFixedWidth(64)
        self.temperature.setAccessibleName("Temperature")
        self.temperature_box = QuietDoubleSpinBox()
        self.temperature_box.setRange(0, 10)
        self.temperature_box.setSingleStep(0.05)
        self.temperature_box.setAccessibleName("Temperature, as a number")
        self.temperature.setValue(_STEPS)
        self.temperature_box.setValue(1)
        for widget in (self.temperature, self.temperature_box):
            widget.setToolTip(tip)
        self.temperature.valueChanged.connect(self._slid)
        self.temperature.sliderReleased.connect(self._end_gesture)
        self.temperature_box.valueChanged.connect(
            lambda value: self._set("temperature", temperature=round(value, 2))
        )
        caption = self._caption("Tem&p.", self.temperature_box)
        return together(caption, self.temperature, self.temperature_box)

    # From the person to the document.

    def _slid(self, value: int) -> None:
        self._set("temperature", temperature=value / _STEPS)

    def _set(self, what: str, **values: object) -> None:
        if self._following:
            return
        if not self.temperature.isSliderDown():
            self._burst.touch()
        self._controller.set_sampling(merge_key=f"{what} {self._gesture}", **values)

    def _end_gesture(self) -> None:
        self._gesture = next(self._gestures)
        self._controller.end_merge()

    def _set_condition(self, condition: Condition, name: str) -> None:
        if not self._following:
            self._controller.set_condition(condition, f"condition {name} {self._gesture}")

    def _choose_label(self, index: int | None) -> None:
        canvas = self._controller.document.canvas
        if canvas is not None:
            update = {"class_index": index, "null": False}
            self._controller.set_condition(canvas.condition.model_copy(update=update))

    def _set_options(self, sampling: Sampling, name: str) -> None:
        if not self._following:
            if name == "noise_seed":
                self._burst.touch()
            self._controller.set_options(sampling, f"sampling {name} {self._gesture}")

    def _leave_frame(self) -> None:
        update = {"stop_at": None, "show": "x0"}
        self._controller.set_options(self._controller.sampling.model_copy(update=update))

    def _leave_branch(self) -> None:
        update = {"branch": "", "stop_at": None, "show": "x0"}
        self._controller.set_options(self._controller.sampling.model_copy(update=update))

    # From the document to the controls.

    def _take_model(self, *_: object) -> None:
        """Show the choosers that the model understands."""
        model = self._controller.model
        spec: ModelSpec | None = None if model is None else model.spec
        conditions = () if spec is None else spec.conditions
        self.label.set_names(spec.class_names if spec is not None else ())
        self._label_group.setVisible("class" in conditions)
        self.attributes.set_spec(spec)
        self.sampling.set_spec(spec)
        self._follow()

    def _follow(self, *_: object) -> None:
        """Show the document's values."""
        picture: Picture | None = self._controller.document.canvas
        model = self._controller.model
        able = model is not None and "sample" in model.spec.capabilities
        self.setEnabled(picture is not None and able)
        if picture is None:
            return
        self._following = True
        if picture.seeds and self.seed.value != picture.seeds[0]:
            self.seed.set_value(picture.seeds[0])
        batch = self._batch(picture)
        self.count.setMaximum(max(MAX_COUNT, batch))
        self.count.setValue(batch)
        if not self.temperature.isSliderDown():
            self.temperature.setValue(round(picture.temperature * _STEPS))
        self.temperature_box.setValue(picture.temperature)
        for widget in (self.temperature, self.temperature_box):
            widget.setEnabled(not picture.stored)
        self.label.set_condition(picture.condition)
        self.attributes.set_condition(picture.condition)
        self._follow_options(picture)
        self._following = False

    def _batch(self, picture: Picture) -> int:
        if picture.seeds:
            return len(picture.seeds)
        known = all(key in self._controller.store for key in picture.stored.values())
        return batch_of(picture, self._controller.store) if known else 1

    def _follow_options(self, picture: Picture) -> None:
        """Show how a diffusion model samples; of the other families nothing."""
        model = self._controller.model
        able = model is not None and model.spec.diffusion is not None
        self.sampling.set_visible(able)
        sampling = self._controller.sampling if able else Sampling()
        if able:
            self.sampling.set_sampling(sampling, picture.condition)
        words = frame_words(sampling)
        self.frame.setVisible(bool(words))
        self.frame.setText(f"{', '.join(words).capitalize()} ✕")
        self.branch.setVisible(bool(sampling.branch))
        self.branch.setText(f"Branch {sampling.branch} ✕")
