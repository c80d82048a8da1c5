"""How a diffusion model samples: sampler, steps, guidance, noise and condition, in two lines."""

from __future__ import annotations

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QSizePolicy, QWidget

from latentlab.core.denoising import Sampling
from latentlab.core.latents import Condition
from latentlab.core.spec import ModelSpec
from latentlab.ui.widgets.condition_button import ClassBox, ConditionButton
from latentlab.ui.widgets.sampling_controls import SamplingControls, together
from latentlab.ui.widgets.sampling_flow import GrowingFlow
from latentlab.ui.widgets.sampling_value import ResetName


class SamplingForm(QWidget):
    """Every setting of a run; options that it does not show (``start_at``, ``branch``) stay.

    Signals:
        changed: the new ``Sampling`` and the new ``Condition``, once for each change of a person,
            at once: the receiver joins those of one drag.
        gesture_ended: one drag, or one run of wheel turns or keys, is over.
    """

    changed = Signal(object, object)
    gesture_ended = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Sampling")
        self._condition = Condition()
        self.controls = SamplingControls(self)
        self.controls.changed.connect(lambda _sampling, _name: self._tell())
        self.controls.gesture_ended.connect(self.gesture_ended)
        self.label = ClassBox()
        self.label.chosen.connect(self._choose_class)
        name = ResetName("La&bel")
        name.setBuddy(self.label)
        name.reset_asked.connect(lambda: self._choose_class(None))
        self._label_group = together(name, self.label)
        self.condition = ConditionButton()
        self.condition.changed.connect(self._edit_condition)
        self.condition.gesture_ended.connect(self.gesture_ended)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self._build()
        self.set_spec(None)

    def _build(self) -> None:
        layout = GrowingFlow(self, spacing=8)
        layout.setContentsMargins(8, 4, 8, 4)
        sampler, steps, cost, guidance, eta, noise, more = self.controls.groups
        # The sampler's name stands in its box: its caption is for wider places.
        self.controls.sampler_name.hide()
        for widget in (sampler, steps, cost, guidance, self._label_group, self.condition, more,
                       eta, noise):  # fmt: skip
            layout.addWidget(widget)

    def sizeHint(self) -> QSize:
        """Two lines of a dock."""
        width = 420
        return QSize(width, self.heightForWidth(width))

    def heightForWidth(self, width: int) -> int:
        """As high as the controls need at a width."""
        return self.layout().heightForWidth(width)

    def set_spec(self, spec: ModelSpec | None) -> None:
        """Offer what a model can do."""
        self.controls.set_spec(spec)
        conditions = () if spec is None else spec.conditions
        self._label_group.setVisible("class" in conditions)
        self.label.set_names(spec.class_names if spec is not None else ())
        self.condition.set_spec(spec)
        self.set_values(self.controls.sampling, Condition())

    def set_values(self, sampling: Sampling, condition: Condition) -> None:
        """Show settings: no signal."""
        self._condition = condition
        self.label.set_condition(condition)
        self.condition.set_condition(condition)
        self.controls.set_sampling(sampling, condition)

    def values(self) -> tuple[Sampling, Condition]:
        """Return what is chosen."""
        return self.controls.sampling, self._condition

    def reset(self) -> None:
        """Put all settings of sampling back to their defaults; the condition stays."""
        self.controls.reset()

    def _choose_class(self, index: int | None) -> None:
        new = self._condition.model_copy(update={"class_index": index, "null": False})
        if new != self._condition:
            self._edit_condition(new, "")
            self.gesture_ended.emit()

    def _edit_condition(self, condition: Condition, _name: str) -> None:
        self.set_values(self.controls.sampling, condition)
        self._tell()

    def _tell(self) -> None:
        self.changed.emit(*self.values())
