"""A small form at a step: what shall be different from there on."""

from __future__ import annotations

import secrets

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QFrame,
    QLabel,
    QPushButton,
    QToolButton,
    QWidget,
)

from latentlab.core.denoising import Branch
from latentlab.core.latents import Condition
from latentlab.core.spec import ModelSpec
from latentlab.ui.denoise_tree import Setting
from latentlab.ui.icons import icon
from latentlab.ui.widgets.condition_button import ClassBox, ConditionButton
from latentlab.ui.widgets.sampling_controls import RANDOM_SEEDS, SamplingControls, together
from latentlab.ui.widgets.seed_box import SeedBox

_NOISE_TIP = (
    "The noise of this step is drawn again around the predicted image, and so is what the sampler "
    "adds later. Another seed, another picture with the same coarse features."
)


class BranchPopover(QFrame):
    """What a branch changes; it goes away with the next click beside it, or Esc.

    Signals:
        chosen: path of the parent and the ``Branch``.
    """

    chosen = Signal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName("Branch here")
        self._parent_path, self._keep = "", 0
        self._before: Setting | None = None
        self._left = 1
        self._condition = Condition()
        self._by_hand = False
        self.title = QLabel()
        self.title.setWordWrap(True)
        self.title.setMinimumWidth(300)
        self.noise = QCheckBox("&New noise, seed")
        self.noise.setToolTip(_NOISE_TIP)
        self.seed = SeedBox()
        self.seed.setAccessibleName("Seed of the new noise")
        self.seed.setToolTip("A whole number from 0 to 2^63 - 1")
        self.dice = QToolButton()
        self.dice.setAutoRaise(True)
        self.dice.setToolTip("Another seed, at random")
        self.dice.setAccessibleName("Another seed, at random")
        self.controls = SamplingControls(self)
        self.label = ClassBox()
        self.condition = ConditionButton()
        self.go = QPushButton("&Go")
        self.go.setDefault(True)
        self.go.setToolTip("Make this branch (Enter)")
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setContentsMargins(12, 12, 12, 12)
        form.setVerticalSpacing(6)
        form.addRow(self.title)
        form.addRow(together(self.noise, self.seed, self.dice))
        sampler, steps, cost, guidance, eta, noise, more = self.controls.groups
        for hidden in (cost, noise, more):
            hidden.setParent(self)
            hidden.hide()
        self.controls.steps.label.setText("S&teps left")
        self._eta = eta
        for widget in (sampler, steps, guidance, eta):
            form.addRow(widget)
        self._class_row = together(QLabel("&Label"), self.label)
        self._class_row.findChild(QLabel).setBuddy(self.label)
        form.addRow(self._class_row)
        form.addRow(self.condition)
        self.note = QLabel()
        form.addRow(self.note)
        form.addRow(self.go)

    def _connect(self) -> None:
        self.noise.clicked.connect(self._noise_clicked)
        self.seed.edited.connect(lambda _seed: self._noise_wanted(True))
        self.dice.clicked.connect(self._roll)
        self.controls.changed.connect(lambda *_: self._setting_changed())
        self.label.chosen.connect(self._choose_class)
        self.condition.changed.connect(lambda condition, _name: self._tell(condition))
        self.go.clicked.connect(self._go)

    # What is asked for.

    def set_step(
        self, title: str, parent: str, keep: int, before: Setting, left: int, spec: ModelSpec | None
    ) -> None:
        """Begin with what holds so far, and new noise.

        Args:
            title: what is said of the step.
            parent: path that is left.
            keep: of its steps.
            before: what holds there.
            left: steps that the parent has left.
            spec: of the model.
        """
        self._parent_path, self._keep, self._before, self._left = parent, keep, before, left
        self.title.setText(title)
        self.controls.set_spec(spec)
        self.condition.set_spec(spec)
        conditions = () if spec is None else spec.conditions
        self.label.set_names(spec.class_names if spec is not None else ())
        self._class_row.setVisible("class" in conditions)
        sampling = before.sampling.model_copy(update={"steps": max(1, left)})
        self.controls.set_sampling(sampling, before.condition)
        self._show_condition(before.condition)
        self._by_hand = False
        self.noise.setChecked(True)
        self.seed.set_value(secrets.randbelow(RANDOM_SEEDS))
        self.dice.setIcon(icon("dice", self.palette()))
        self._follow()

    def branch(self) -> Branch | None:
        """Return what is chosen; ``None`` when nothing is different."""
        if self._before is None:
            return None
        before, now = self._before.sampling, self.controls.sampling
        changes: dict[str, object] = {}
        if self.noise.isChecked():
            changes["noise"] = self.seed.value
        for name in ("sampler", "guidance", "eta"):
            if getattr(now, name) != getattr(before, name):
                changes[name] = getattr(now, name)
        if now.steps != max(1, self._left):
            changes["steps"] = now.steps
        if self._condition != self._before.condition:
            changes["condition"] = _told(self._condition)
        return Branch(at=self._keep, **changes) if changes else None

    def _go(self) -> None:
        branch = self.branch()
        if branch is not None:
            self.hide()
            self.chosen.emit(self._parent_path, branch)

    # Following the hand.

    def _noise_clicked(self) -> None:
        self._by_hand = True
        self._follow()

    def _noise_wanted(self, by_hand: bool) -> None:
        self._by_hand = self._by_hand or by_hand
        self.noise.setChecked(True)
        self._follow()

    def _roll(self) -> None:
        self.seed.set_value(secrets.randbelow(RANDOM_SEEDS))
        self._noise_wanted(True)

    def _setting_changed(self) -> None:
        """One change at a time: the noise stays unless it was asked for by hand."""
        if not self._by_hand:
            self.noise.setChecked(False)
            if self.branch() is None:
                self.noise.setChecked(True)
        self._follow()

    def _choose_class(self, index: int | None) -> None:
        self._tell(self._condition.model_copy(update={"class_index": index, "null": False}))

    def _tell(self, condition: Condition) -> None:
        self._show_condition(condition)
        self._setting_changed()

    def _show_condition(self, condition: Condition) -> None:
        self._condition = condition
        self.label.set_condition(condition)
        self.condition.set_condition(condition)

    def _follow(self) -> None:
        able = self.branch() is not None
        self.go.setEnabled(able)
        self.note.setText("" if able else "Change something: it is the same run so far.")
        self.note.setVisible(not able)
        if self.isVisible():
            self.adjustSize()

    def show_at(self, place: QPoint) -> None:
        """Open near a place, all of it on the screen."""
        self.adjustSize()
        room = self.screen().availableGeometry()
        x = min(max(place.x(), room.left()), max(room.left(), room.right() - self.width()))
        y = min(max(place.y(), room.top()), max(room.top(), room.bottom() - self.height()))
        self.move(x, y)
        self.show()
        self.go.setFocus()


def _told(condition: Condition) -> Condition:
    """Return a condition that a path can name; nothing at all is said as such."""
    if condition.null or (condition.class_index is None and not condition.attributes):
        return Condition(null=True)
    return condition
