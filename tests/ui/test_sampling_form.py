"""The form of sampling: what it says, and what hand, wheel and keys do to it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QSignalSpy
from PySide6.QtWidgets import QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox

from latentlab.core.denoising import SAMPLERS, Sampling
from latentlab.core.latents import Condition
from latentlab.core.spec import DiffusionFacts
from latentlab.ui.widgets.condition_ranges import attribute_ranges
from latentlab.ui.widgets.sampling_form import SamplingForm
from tests.ui.diffusion_stage import diffusion_spec
from tests.ui.stage import turn_wheel

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def form(qtbot):
    form = SamplingForm()
    form.set_spec(diffusion_spec())
    qtbot.addWidget(form)
    form.resize(420, 70)
    form.show()
    qtbot.waitExposed(form)
    return form


def changes(form):
    """Return a list that takes every (Sampling, Condition) of the form."""
    found = []
    form.changed.connect(lambda sampling, condition: found.append((sampling, condition)))
    return found


def test_a_fresh_form_has_the_defaults(form):
    assert form.values() == (Sampling(), Condition())
    assert form.controls.cost.toolTip() == "25 steps, 25 evaluations of the network"


def test_every_sampler_is_offered_with_its_paper(form):
    box = form.controls.sampler
    assert [box.itemText(row) for row in range(box.count())] == [s.title for s in SAMPLERS]
    for row, sampler in enumerate(SAMPLERS):
        tip = box.itemData(row, Qt.ItemDataRole.ToolTipRole)
        assert sampler.source in tip
        assert sampler.summary in tip


def test_choosing_a_sampler_tells_once_and_says_the_cost(form, qtbot):
    told = changes(form)
    form.controls.sampler.setFocus()
    for _ in range(5):
        qtbot.keyClick(form.controls.sampler, Qt.Key.Key_Down)
    assert [sampling.sampler for sampling, _ in told] == [s.id for s in SAMPLERS[1:6]]
    assert "49 evaluations" in form.controls.cost.toolTip()


def test_eta_and_noise_are_there_only_where_they_do_something(form):
    shown = {}
    for sampler in SAMPLERS:
        form.set_values(Sampling(sampler=sampler.id), Condition())
        controls = form.controls
        shown[sampler.id] = (controls.eta.isVisible(), controls.noise.isVisible())
    assert shown["ddim"] == (True, False)
    assert shown["ddpm"] == shown["euler_a"] == (False, True)
    assert {shown[n] for n in ("dpmpp", "euler", "heun", "unipc")} == {(False, False)}
    form.set_values(Sampling(sampler="ddim", eta=0.5), Condition())
    assert form.controls.noise.isVisible()


def test_a_drag_of_guidance_follows_the_hand_and_ends_once(form, qtbot):
    told, ended = changes(form), QSignalSpy(form.gesture_ended)
    slider = form.controls.guidance.slider
    y = slider.height() // 2
    qtbot.mousePress(slider, LEFT, pos=QPoint(round(slider.x_of(1)), y))
    for guidance in (2, 3, 4):
        qtbot.mouseMove(slider, QPoint(round(slider.x_of(guidance)), y))
    assert ended.count() == 0
    qtbot.mouseRelease(slider, LEFT, pos=QPoint(round(slider.x_of(4)), y))
    assert ended.count() == 1
    assert len(told) == 3
    values = [sampling.guidance for sampling, _ in told]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(4, abs=0.2)
    assert form.controls.guidance.box.value() == values[-1]


def test_wheel_and_keys_step_guidance(form, qtbot):
    slider = form.controls.guidance.slider
    assert not turn_wheel(slider, 1), "without the focus the wheel scrolls what is behind"
    slider.setFocus()
    turn_wheel(slider, 1)
    assert form.values()[0].guidance == 1.1
    turn_wheel(slider, -1, Qt.KeyboardModifier.ShiftModifier)
    assert form.values()[0].guidance == 1.09
    qtbot.keyClick(slider, Qt.Key.Key_PageUp)
    assert form.values()[0].guidance == 2.09
    qtbot.keyClick(slider, Qt.Key.Key_Home)
    assert form.values()[0].guidance == 0
    qtbot.keyClick(slider, Qt.Key.Key_Delete)
    assert form.values()[0].guidance == 1


def test_the_box_reaches_beyond_the_slider(form, qtbot):
    box = form.controls.guidance.box
    box.selectAll()
    qtbot.keyClicks(box, "12.5")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert form.values()[0].guidance == 12.5
    assert box.text() == "12.5"


def test_guidance_that_predicts_twice_is_said(form):
    told = Condition(attributes={"smiling": 1.0})
    said = {}
    for guidance in (0.0, 1.0, 3.0):
        form.set_values(Sampling(guidance=guidance), told)
        said[guidance] = "two predictions each" in form.controls.cost.toolTip()
    assert said == {0.0: False, 1.0: False, 3.0: True}
    form.set_values(Sampling(guidance=3.0), Condition(attributes={"smiling": 1.0}, null=True))
    assert "two predictions" not in form.controls.cost.toolTip()


def test_steps_are_whole_logarithmic_and_end_at_the_models_times(form, qtbot):
    form.set_spec(diffusion_spec(diffusion=DiffusionFacts(
        schedule="linear", num_timesteps=100, prediction="epsilon")))  # fmt: skip
    slider = form.controls.steps.slider
    assert slider.number_at(slider.width() / 2) == pytest.approx(10, abs=1)
    qtbot.keyClick(slider, Qt.Key.Key_End)
    assert form.values()[0].steps == 100
    qtbot.keyClick(slider, Qt.Key.Key_Left)
    sampling = form.values()[0]
    assert sampling.steps == 99
    assert isinstance(sampling.steps, int)
    qtbot.keyClick(slider, Qt.Key.Key_Home)
    assert form.values()[0].steps == 1


def test_double_click_on_a_name_resets(form, qtbot):
    form.set_values(Sampling(sampler="ddpm", steps=7, guidance=5, noise_seed=9), Condition())
    for label in (form.controls.steps.label, form.controls.guidance.label,
                  form.controls.noise_name):  # fmt: skip
        qtbot.mouseDClick(label, LEFT)
    assert form.values()[0] == Sampling(sampler="ddpm")


def test_dice_gives_another_noise_seed(form, qtbot):
    form.set_values(Sampling(sampler="ddpm"), Condition())
    told = changes(form)
    for _ in range(3):
        qtbot.mouseClick(form.controls.dice, LEFT)
    assert len({sampling.noise_seed for sampling, _ in told}) > 1


def test_more_has_spacing_clipping_and_reset(form, qtbot):
    form.set_values(Sampling(sampler="heun", steps=7, start_at=400), Condition())
    qtbot.mouseClick(form.controls.more, LEFT)
    more = form.controls.form
    assert more.isVisible()
    assert "Karras" in more.source.text()
    qtbot.keyClick(more.spacing, Qt.Key.Key_Down)
    qtbot.mouseClick(more.clip, LEFT, pos=QPoint(8, more.clip.height() // 2))
    sampling = form.values()[0]
    assert (sampling.spacing, sampling.clip) == ("leading", False)
    qtbot.mouseClick(more.reset, LEFT)
    assert form.values()[0] == Sampling(start_at=400)
    qtbot.keyClick(more, Qt.Key.Key_Escape)
    assert not more.isVisible()


def test_an_attribute_is_told_by_its_slider(form, qtbot):
    told = changes(form)
    qtbot.mouseClick(form.condition, LEFT)
    rows = form.condition.form.rows
    assert not form.condition.form.switch.isChecked()
    qtbot.keyClick(rows["smiling"].slider, Qt.Key.Key_End)
    assert told[-1][1] == Condition(attributes={"smiling": 1.0})
    assert form.condition.form.switch.isChecked()
    assert "Smiling 1" in form.condition.text()
    qtbot.mouseClick(form.condition.form.switch, LEFT, pos=QPoint(8, 8))
    assert told[-1][1] == Condition(attributes={"smiling": 1.0}, null=True)
    assert "No condition" in form.condition.text()
    qtbot.mouseClick(form.condition.form.switch, LEFT, pos=QPoint(8, 8))
    assert told[-1][1] == Condition(attributes={"smiling": 1.0})
    qtbot.mouseClick(form.condition.form.clear, LEFT)
    assert set(told[-1][1].attributes.values()) == {0.0}
    assert not told[-1][1].null
    form.condition.form.hide()


def test_ranges_are_those_of_the_portraits():
    known = {one.name: one for one in attribute_ranges(diffusion_spec())}
    assert (known["smiling"].low, known["smiling"].high) == (-1.0, 1.0)
    assert (known["wearing_hat"].low, known["wearing_hat"].switch) == (0.0, True)


def test_a_class_is_chosen_or_not_told(form, qtbot):
    form.set_spec(
        diffusion_spec(conditions=("class",), attribute_names=(), class_names=("cat", "dog"))
    )
    assert form.label.isVisible()
    assert not form.condition.isVisible()
    told = changes(form)
    for _ in range(2):
        qtbot.keyClick(form.label, Qt.Key.Key_Down)
    assert told[-1][1] == Condition(class_index=1)
    qtbot.keyClick(form.label, Qt.Key.Key_Home)
    assert told[-1][1] == Condition()


def test_set_values_says_nothing_and_keeps_other_options(form, qtbot):
    told = changes(form)
    given = Sampling(sampler="ddim", eta=0.5, start_at=300, branch="8:noise=4", noise_seed=2**62)
    form.set_values(given, Condition(attributes={"age": -0.5}))
    assert not told
    assert form.values() == (given, Condition(attributes={"age": -0.5}))
    qtbot.keyClick(form.controls.steps.slider, Qt.Key.Key_Right)
    assert form.values()[0] == given.model_copy(update={"steps": 26})


@pytest.mark.parametrize(("sampler", "lines"), [("dpmpp", 2), ("heun", 2), ("ddpm", 3)])
def test_two_lines_in_a_dock_of_420_pixels(form, sampler, lines):
    sampling = Sampling(sampler=sampler, steps=1000, guidance=3)
    form.set_values(sampling, Condition(attributes={"smiling": 0.8}))
    line = form.controls.sampler.sizeHint().height()
    assert form.heightForWidth(420) < (lines + 0.5) * (line + 8)


def test_without_a_diffusion_model_nothing_can_be_chosen(form):
    form.set_spec(None)
    assert not form.controls.sampler.isEnabled()
    form.set_spec(diffusion_spec(conditions=(), attribute_names=()))
    assert form.controls.sampler.isEnabled()
    assert not form.controls.guidance.isEnabled()


def test_every_control_has_a_name(form):
    kinds = (QAbstractSlider, QAbstractSpinBox, QComboBox, QAbstractButton)
    for kind in kinds:
        for widget in form.findChildren(kind):
            said = widget.accessibleName() or getattr(widget, "text", str)()
            assert said or not widget.isVisibleTo(widget.window()), widget
