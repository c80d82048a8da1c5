"""The controls of a diffusion model's sampling, in groups that a form or a strip lays out."""

from __future__ import annotations

import secrets

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QWidget,
)

from latentlab.core.denoising import SAMPLERS, Sampling, sampler
from latentlab.core.latents import Condition
from latentlab.core.spec import ModelSpec
from latentlab.ui.icons import icon
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.sampling_slider import NumberRange
from latentlab.ui.widgets.sampling_text import (
    CLIP_TIP,
    ETA_TIP,
    GUIDANCE_TIP,
    NO_GUIDANCE_TIP,
    NOISE_TIP,
    SPACINGS,
    STEPS_TIP,
    cost_text,
    sampler_tip,
    short_cost,
    takes_noise,
)
from latentlab.ui.widgets.sampling_value import NamedNumber, ResetName
from latentlab.ui.widgets.seed_box import SeedBox
from latentlab.ui.widgets.setting_controls import QuietCombo

DEFAULTS = Sampling()
MOST_STEPS = 1000
RANDOM_SEEDS = 1_000_000
_GUIDANCE = NumberRange(
    0, 8, DEFAULTS.guidance, step=0.1, page=1, ticks=tuple(range(9)), box_high=50
)
_ETA = NumberRange(0, 1, DEFAULTS.eta, step=0.05, page=0.25, ticks=(0, 0.5, 1))
_OWN = ("sampler", "steps", "guidance", "eta", "spacing", "clip", "noise_seed")


def steps_range(num_timesteps: int) -> NumberRange:
    """Return the numbers of steps that a model with so many times can take."""
    most = max(1, min(num_timesteps, MOST_STEPS))
    ticks = tuple(n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if n <= most)
    default = min(DEFAULTS.steps, most)
    return NumberRange(1, most, default, step=1, fine=1, page=5, log=True, ticks=ticks)


def together(*widgets: QWidget) -> QWidget:
    """Return widgets that stay together when a row wraps."""
    box = QWidget()
    layout = QHBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    return box


class MoreForm(QFrame):
    """The settings that are seldom needed; it goes away with the next click beside it, or Esc.

    Signals:
        edited: name of a setting and its value, when a person changed it.
        reset_asked: everything back to its default.
    """

    edited = Signal(str, object)
    reset_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName("More settings of sampling")
        self.spacing = QuietCombo()
        self.spacing.setAccessibleName("Spacing of the times")
        for row, (name, what) in enumerate(SPACINGS.items()):
            self.spacing.addItem(name, name)
            self.spacing.setItemData(row, what, Qt.ItemDataRole.ToolTipRole)
        self.spacing.activated.connect(
            lambda row: self.edited.emit("spacing", self.spacing.itemData(row))
        )
        self.clip = QCheckBox("&Clip the predicted image")
        self.clip.setToolTip(CLIP_TIP)
        self.clip.clicked.connect(lambda on: self.edited.emit("clip", on))
        self.source = QLabel()
        self.source.setWordWrap(True)
        self.source.setMinimumWidth(260)
        self.source.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.reset = QPushButton("&Reset all")
        self.reset.setToolTip("Sampler, steps, guidance and all others back to their defaults")
        self.reset.setAutoDefault(False)
        self.reset.clicked.connect(self.reset_asked)
        form = QFormLayout(self)
        form.setContentsMargins(12, 12, 12, 12)
        form.addRow("&Spacing", self.spacing)
        form.addRow(self.clip)
        form.addRow(self.source)
        form.addRow(self.reset)

    def set_sampling(self, sampling: Sampling) -> None:
        """Follow the document: no signal."""
        self.spacing.setCurrentIndex(self.spacing.findData(sampling.spacing))
        self.spacing.setToolTip(SPACINGS[sampling.spacing])
        self.clip.setChecked(sampling.clip)
        self.source.setText(sampler_tip(sampler(sampling.sampler)))

    def show_under(self, widget: QWidget) -> None:
        """Open below a widget, or above it where there is no room, all of it on the screen."""
        self.adjustSize()
        place = widget.mapToGlobal(QPoint(0, widget.height()))
        room = (widget.screen() or QGuiApplication.primaryScreen()).availableGeometry()
        y = place.y()
        if y + self.height() > room.bottom():
            y = max(room.top(), y - widget.height() - self.height())
        self.move(min(max(place.x(), room.left()), max(0, room.right() - self.width())), y)
        self.show()
        self.spacing.setFocus()


class SamplingControls(QObject):
    """Sampler, steps, guidance, eta, noise seed and the rest.

    Signals:
        changed: the new ``Sampling`` and the name of what changed (empty for several), when a
            person changed it; at once.
        gesture_ended: one drag, or one run of wheel turns or keys, is over.
    """

    changed = Signal(object, str)
    gesture_ended = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._sampling = DEFAULTS
        self._condition = Condition()
        self._times = MOST_STEPS
        self._visible = True
        self._compact = False
        self.sampler = self._make_sampler()
        self.sampler_name = ResetName("Samp&ler")
        self.sampler_name.setBuddy(self.sampler)
        self.sampler_name.reset_asked.connect(lambda: self._set("sampler", DEFAULTS.sampler))
        self._steps_tip = STEPS_TIP.format(most=MOST_STEPS)
        self.steps = NamedNumber("Step&s", steps_range(MOST_STEPS), self._steps_tip, 50)
        self.guidance = NamedNumber("&Guidance", _GUIDANCE, GUIDANCE_TIP, 50)
        self.eta = NamedNumber("Et&a", _ETA, ETA_TIP, 48)
        for name, control in (("steps", self.steps), ("guidance", self.guidance),
                              ("eta", self.eta)):  # fmt: skip
            control.edited.connect(lambda value, name=name: self._set(name, value))
            control.gesture_ended.connect(self.gesture_ended)
        self.cost = QLabel()
        self.cost.setFont(small_font(parent.font()))
        self.cost.setAccessibleName("What a run costs")
        self._noise_group = self._make_noise(parent)
        self.form = MoreForm(parent)
        self.form.edited.connect(self._set)
        self.form.reset_asked.connect(self.reset)
        self.more = QToolButton()
        self.more.setAccessibleName("More settings of sampling")
        self.more.setToolTip("Spacing of the times, clipping, the sampler's paper, reset")
        self.more.clicked.connect(lambda: self.form.show_under(self.more))
        self._sampler_group = together(self.sampler_name, self.sampler)
        self._draw_icons(parent)
        parent.installEventFilter(self)
        self.set_spec(None)
        self.set_sampling(DEFAULTS, Condition())

    def _make_sampler(self) -> QuietCombo:
        box = QuietCombo()
        box.setAccessibleName("Sampler")
        box.setSizeAdjustPolicy(QuietCombo.SizeAdjustPolicy.AdjustToContents)
        for row, one in enumerate(SAMPLERS):
            box.addItem(one.title, one.id)
            box.setItemData(row, sampler_tip(one), Qt.ItemDataRole.ToolTipRole)
        box.activated.connect(lambda row: self._set("sampler", box.itemData(row)))
        return box

    def _make_noise(self, parent: QWidget) -> QWidget:
        self.noise = SeedBox()
        self.noise.setAccessibleName("Noise seed")
        self.noise.setToolTip(NOISE_TIP)
        self.noise.setFixedWidth(self.noise.fontMetrics().horizontalAdvance("000000") + 26)
        self.noise.edited.connect(lambda seed: self._set("noise_seed", seed))
        self.noise_name = ResetName("N&oise")
        self.noise_name.setToolTip(NOISE_TIP)
        self.noise_name.setBuddy(self.noise)
        self.noise_name.reset_asked.connect(lambda: self._set("noise_seed", DEFAULTS.noise_seed))
        self.dice = QToolButton(parent)
        self.dice.setToolTip("Another noise seed, at random")
        self.dice.setAccessibleName("Another noise seed, at random")
        self.dice.setAutoRaise(True)
        self.dice.clicked.connect(self._roll)
        return together(self.noise_name, self.noise, self.dice)

    def _draw_icons(self, parent: QWidget) -> None:
        self.dice.setIcon(icon("dice", parent.palette()))
        self.more.setIcon(icon("more", parent.palette()))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Another palette has other icons."""
        if event.type() == QEvent.Type.PaletteChange and isinstance(watched, QWidget):
            self._draw_icons(watched)
        return False

    @property
    def groups(self) -> tuple[QWidget, ...]:
        """What is to be laid out, in reading order."""
        return (
            self._sampler_group,
            self.steps,
            self.cost,
            self.guidance,
            self.eta,
            self._noise_group,
            self.more,
        )

    def make_compact(self) -> None:
        """Leave out what a narrow place has no room for; the tooltip of the steps says the cost."""
        self.sampler_name.hide()
        self.cost.setParent(self.parent())
        self.cost.hide()
        self._compact = True

    @property
    def sampling(self) -> Sampling:
        """What is chosen."""
        return self._sampling

    def set_spec(self, spec: ModelSpec | None) -> None:
        """Offer what a model can do; without a diffusion model nothing can be chosen."""
        facts = None if spec is None else spec.diffusion
        for widget in self.groups:
            widget.setEnabled(facts is not None)
        if spec is None or facts is None:
            return
        self._times = facts.num_timesteps
        self.steps.set_range(steps_range(facts.num_timesteps))
        self._steps_tip = STEPS_TIP.format(most=min(facts.num_timesteps, MOST_STEPS))
        self.guidance.setEnabled(bool(spec.conditions))
        self.guidance.set_tip(GUIDANCE_TIP if spec.conditions else NO_GUIDANCE_TIP)

    def set_visible(self, visible: bool) -> None:
        """Show or hide everything."""
        self._visible = visible
        for widget in self.groups:
            widget.setVisible(visible and not (widget is self.cost and self._compact))
        self._show_noise()

    def _show_noise(self) -> None:
        """Show eta and the noise seed where the sampler takes them."""
        takes_eta = sampler(self._sampling.sampler).noise == "eta"
        self.eta.setVisible(self._visible and takes_eta)
        self._noise_group.setVisible(self._visible and takes_noise(self._sampling))

    def set_sampling(self, sampling: Sampling, condition: Condition) -> None:
        """Follow the document: no signal.

        Args:
            sampling: what is to be shown.
            condition: what the model is told: it decides what an evaluation costs.
        """
        self._sampling, self._condition = sampling, condition
        row = sampler(sampling.sampler)
        self.sampler.setCurrentIndex(self.sampler.findData(row.id))
        self.sampler.setToolTip(sampler_tip(row))
        self.steps.set_number(sampling.steps)
        self.guidance.set_number(sampling.guidance)
        self.eta.set_number(sampling.eta)
        self._show_noise()
        if self.noise.value != sampling.noise_seed:
            self.noise.set_value(sampling.noise_seed)
        self.form.set_sampling(sampling)
        said = cost_text(sampling, condition, self._times)
        self.cost.setText(short_cost(sampling, condition, self._times))
        self.cost.setToolTip(said)
        self.steps.set_tip(f"{said}.\n{self._steps_tip}")
        self.cost.setAccessibleDescription(said)

    def reset(self) -> None:
        """Everything back to its default; which frame is shown, and where a run begins, stays."""
        values = {name: getattr(DEFAULTS, name) for name in _OWN}
        values["steps"] = int(self.steps.values.default)
        self._take(self._sampling.model_copy(update=values), "")
        self.gesture_ended.emit()

    def _roll(self) -> None:
        self._set("noise_seed", secrets.randbelow(RANDOM_SEEDS))
        self.gesture_ended.emit()

    def _set(self, name: str, value: object) -> None:
        if name == "steps":
            value = round(float(value))
        self._take(self._sampling.model_copy(update={name: value}), name)
        if name in ("sampler", "spacing", "clip"):
            self.gesture_ended.emit()

    def _take(self, sampling: Sampling, name: str) -> None:
        if sampling != self._sampling:
            self.set_sampling(sampling, self._condition)
            self.changed.emit(sampling, name)
