"""The canvas's strip on a diffusion model: options of the picture, undo, sessions, commands."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtWidgets import QLabel

from latentlab.cli import main
from latentlab.core.denoising import SAMPLERS, Sampling
from latentlab.core.latents import Condition, Latents
from latentlab.services.commands import command_for, export_picture
from latentlab.services.library import ModelLibrary
from latentlab.ui.panels.attributes import AttributesPanel
from latentlab.ui.panels.canvas import CanvasPanel
from latentlab.ui.panels.library import describe_entry
from latentlab.ui.widgets.picture_details import picture_facts
from latentlab.ui.widgets.sampling_form import SamplingForm
from latentlab.ui.widgets.sampling_text import evaluations
from latentlab.ui.widgets.schedule_plot import SchedulePlot
from tests.diffusion_models import tiny_diffusion, write_tiny
from tests.ui.diffusion_stage import FACTS, NAMES, diffusion_controller, diffusion_spec
from tests.ui.stage import FormulaBridge, make_controller, picture

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def bridge() -> FormulaBridge:
    return FormulaBridge()


@pytest.fixture
def controller(tmp_path, qtbot, bridge):
    return diffusion_controller(tmp_path, bridge)


@pytest.fixture
def strip(controller, qtbot):
    panel = CanvasPanel(controller)
    qtbot.addWidget(panel)
    panel.resize(560, 500)
    panel.show()
    qtbot.waitExposed(panel)
    return panel.strip


def options(controller) -> dict[str, object]:
    return controller.document.canvas.options


def labels(controller) -> list[str]:
    return [entry.label for entry in controller.history.entries]


def test_other_families_see_nothing_of_it(tmp_path, qtbot, bridge):
    controller = make_controller(tmp_path, bridge)
    panel = CanvasPanel(controller)
    qtbot.addWidget(panel)
    panel.show()
    controller.open_model("waves")
    groups = (*panel.strip.sampling.groups, panel.strip.frame, panel.strip.branch)
    assert not any(group.isVisible() for group in groups)
    assert panel.strip.temperature.isVisible()


def test_no_window_flashes_while_the_controls_are_made(tmp_path, qtbot, qapp, bridge):
    shown: list[str] = []

    class Watch(QObject):
        def eventFilter(self, watched, event):
            if event.type() == QEvent.Type.Show and watched.isWidgetType() and watched.isWindow():
                shown.append(type(watched).__name__)
            return False

    watch = Watch()
    qapp.installEventFilter(watch)
    controller = diffusion_controller(tmp_path, bridge)
    given = controller.document.canvas.model_copy(update={"options": {"sampler": "ddpm"}})
    controller.show_picture(given, "DDPM")
    panel, form, plot = CanvasPanel(controller), SamplingForm(), SchedulePlot()
    for widget in (panel, form, plot):
        qtbot.addWidget(widget)
    form.set_spec(diffusion_spec())
    form.set_values(Sampling(sampler="ddim", eta=1), Condition())
    plot.set_facts(FACTS)
    qapp.removeEventFilter(watch)
    assert shown == []


def test_a_drag_of_guidance_is_one_step_of_the_history(controller, strip, qtbot, bridge):
    slider = strip.sampling.guidance.slider
    before, asked = len(labels(controller)), len(bridge.requests)
    y = slider.height() // 2
    qtbot.mousePress(slider, LEFT, pos=QPoint(round(slider.x_of(1)), y))
    for guidance in (2, 3, 5):
        qtbot.mouseMove(slider, QPoint(round(slider.x_of(guidance)), y))
    qtbot.mouseRelease(slider, LEFT, pos=QPoint(round(slider.x_of(5)), y))
    now = options(controller)["guidance"]
    assert now == pytest.approx(5, abs=0.2)
    assert len(labels(controller)) == before + 1
    assert labels(controller)[-1] == f"Guidance {now:.4g}"
    assert len(bridge.requests) == asked + 3, "the picture follows while the hand moves"
    controller.undo()
    assert options(controller) == {}
    assert strip.sampling.guidance.number == 1


def test_each_choice_has_its_label(controller, strip, qtbot):
    strip.sampling.sampler.setFocus()
    for _ in range(2):
        qtbot.keyClick(strip.sampling.sampler, Qt.Key.Key_Down)
    assert options(controller) == {"sampler": "ddpm"}
    qtbot.keyClick(strip.sampling.steps.slider, Qt.Key.Key_Home)
    qtbot.mouseClick(strip.sampling.dice, LEFT)
    seed = options(controller)["noise_seed"]
    assert labels(controller)[-4:] == [
        "Sampler DDIM",
        "Sampler DDPM",
        "1 step",
        f"Noise seed {seed}",
    ]


def test_reroll_keeps_the_settings(controller, strip, qtbot):
    qtbot.keyClick(strip.sampling.steps.slider, Qt.Key.Key_End)
    seeds = controller.document.canvas.seeds
    qtbot.mouseClick(strip.reroll, LEFT)
    assert controller.document.canvas.seeds != seeds
    assert options(controller) == {"steps": 1000}


def test_reroll_of_a_corrupted_photograph_begins_with_pure_noise(controller, strip, bridge):
    bridge.held = True
    noise = Latents("noise", {"noise": np.ones((1, 3, 12, 12), np.float32)})
    stored = controller.store.put_latents(noise)
    base = controller.document.canvas
    for space, extra in (("noise", {"start_at": 400}), ("guided", {"task": "colourise"})):
        given = {"sampler": "ddim", "stop_at": 3, **extra}
        changed = {"seeds": (), "stored": stored, "space": space, "options": given}
        controller.show_picture(base.model_copy(update=changed), "Photograph")
        controller.reroll()
        now = controller.document.canvas
        assert (now.space, now.options, now.stored) == ("noise", {"sampler": "ddim"}, {})


def test_the_condition_is_told_undone_and_said(controller, strip, qtbot):
    qtbot.mouseClick(strip.attributes, LEFT)
    row = strip.attributes.form.rows["smiling"]
    for _ in range(3):
        qtbot.keyClick(row.slider, Qt.Key.Key_Right)
    assert controller.document.canvas.condition == Condition(attributes={"smiling": 0.3})
    assert labels(controller)[-1] == "Condition Smiling 0.3"
    assert "Smiling 0.3" in strip.attributes.text()
    assert "two predictions" not in strip.sampling.cost.toolTip()
    controller.set_options(controller.sampling.model_copy(update={"guidance": 3.0}))
    assert "two predictions" in strip.sampling.cost.toolTip()
    qtbot.mouseClick(strip.attributes.form.switch, LEFT, pos=QPoint(8, 8))
    assert controller.document.canvas.condition.null
    assert labels(controller)[-1] == "No condition"
    controller.undo()
    controller.undo()
    controller.undo()
    assert controller.document.canvas.condition == Condition()
    assert row.number == 0
    strip.attributes.form.hide()


def test_a_drag_of_an_attribute_is_one_step(controller, strip, qtbot):
    qtbot.mouseClick(strip.attributes, LEFT)
    slider = strip.attributes.form.rows["age"].slider
    before, y = len(labels(controller)), slider.height() // 2
    qtbot.mousePress(slider, LEFT, pos=QPoint(round(slider.x_of(0)), y))
    for value in (0.2, 0.4, 0.6):
        qtbot.mouseMove(slider, QPoint(round(slider.x_of(value)), y))
    qtbot.mouseRelease(slider, LEFT, pos=QPoint(round(slider.x_of(0.6)), y))
    assert len(labels(controller)) == before + 1
    strip.attributes.form.hide()


def test_a_kept_frame_and_a_branch_are_said_and_left(controller, strip, qtbot):
    shown = {"stop_at": 8, "show": "x_t", "branch": "5:guidance=3", "steps": 20}
    canvas = controller.document.canvas
    controller.show_picture(canvas.model_copy(update={"options": shown}), "Kept")
    assert "Step 8" in strip.frame.text()
    assert "5:guidance=3" in strip.branch.text()
    qtbot.mouseClick(strip.frame, LEFT)
    assert options(controller) == {"branch": "5:guidance=3", "steps": 20}
    assert labels(controller)[-1] == "The result"
    assert not strip.frame.isVisible()
    qtbot.mouseClick(strip.branch, LEFT)
    assert options(controller) == {"steps": 20}


def test_options_of_nobody_are_left_to_the_worker_and_can_be_replaced(controller, strip, qtbot):
    canvas = controller.document.canvas
    controller.show_picture(canvas.model_copy(update={"options": {"sampler": "magic"}}), "Odd")
    assert strip.sampling.sampling.sampler == "dpmpp"
    qtbot.keyClick(strip.sampling.steps.slider, Qt.Key.Key_Right)
    assert options(controller) == {"steps": 26}


def test_a_session_keeps_settings_and_condition(controller, strip, qtbot, tmp_path):
    changed = {"sampler": "ddpm", "steps": 12, "noise_seed": 2**62, "guidance": 2.5}
    canvas = controller.document.canvas
    told = Condition(attributes={"smiling": 0.5})
    made = canvas.model_copy(update={"options": changed, "condition": told})
    controller.show_picture(made, "Mine")
    controller.save_session(tmp_path / "mine.latentlab")
    controller.show_picture(picture(5), "Other")
    assert strip.sampling.steps.number == 25
    controller.open_file(tmp_path / "mine.latentlab")
    assert controller.document.canvas.options == changed
    assert strip.sampling.noise.value == 2**62
    assert (strip.sampling.steps.number, strip.sampling.guidance.number) == (12, 2.5)
    assert "Smiling 0.5" in strip.attributes.text()


def test_details_say_how_a_picture_was_sampled():
    told = Condition(attributes={"smiling": 0.5})
    facts = dict(picture_facts(picture(5, options={"sampler": "heun", "steps": 9}, condition=told)))
    assert facts["Sampling"].startswith("Heun, 9 steps")
    assert facts["Condition"] == "Smiling 0.5"
    assert "Sampling" not in dict(picture_facts(picture(5)))
    by_default = dict(picture_facts(picture(5), diffusion_spec()))
    assert by_default["Sampling"] == "DPM-Solver++ 2M, 25 steps, guidance 1"


def test_a_model_without_sliders_says_where_its_attributes_are(tmp_path, qtbot, bridge):
    controller = diffusion_controller(tmp_path, bridge, known={})
    panel = AttributesPanel(controller)
    qtbot.addWidget(panel)
    said = [label.text() for label in panel.findChildren(QLabel)]
    assert any("told attributes" in text and "strip" in text for text in said)


def test_the_card_says_how_the_model_was_trained_and_what_it_is_told(controller):
    said = describe_entry(controller.model_entry)
    assert "Diffusion: cosine schedule, 1,000 times, predicts the velocity v" in said
    assert "Is told: eyeglasses, wearing hat, smiling, age" in said


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return write_tiny(
        tmp_path_factory.mktemp("tiny") / "tiny.safetensors", attribute_names=NAMES[:3]
    )


@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("start_at", [None, 0, 400, 999])
def test_the_evaluations_that_are_said_are_those_of_the_backend(spacing, start_at):
    backend = tiny_diffusion()
    noise = backend.sample_prior("noise", [1])
    said, done = {}, {}
    for one in SAMPLERS:
        for steps in (1, 7):
            sampling = Sampling(sampler=one.id, steps=steps, spacing=spacing, start_at=start_at)
            said[one.id, steps] = evaluations(sampling, 1000)
            done[one.id, steps] = len(list(backend.steps(noise, options=sampling.to_options())))
    assert said == done


@pytest.mark.parametrize("sampler", ["heun", "ddpm"])
def test_the_command_of_what_the_strip_chose_makes_the_same_bytes(
    tiny, tmp_path, qtbot, bridge, sampler, monkeypatch
):
    library = ModelLibrary([tiny.parent], device="cpu")
    controller = make_controller(tmp_path, bridge)
    controller.library = library
    controller.open_model("tiny")
    panel = CanvasPanel(controller)
    qtbot.addWidget(panel)
    panel.show()
    strip = panel.strip
    controller.set_sampling(seed=7, count=2)
    plain = controller.document.canvas
    while strip.sampling.sampler.currentData() != sampler:
        qtbot.keyClick(strip.sampling.sampler, Qt.Key.Key_Down)
    strip.sampling.steps.box.selectAll()
    qtbot.keyClicks(strip.sampling.steps.box, "4")
    qtbot.keyClick(strip.sampling.steps.box, Qt.Key.Key_Return)
    qtbot.keyClick(strip.sampling.guidance.slider, Qt.Key.Key_PageUp)
    qtbot.keyClick(strip.attributes.form.rows["smiling"].slider, Qt.Key.Key_Right)
    chosen = controller.document.canvas
    assert chosen.options == {"sampler": sampler, "steps": 4, "guidance": 2.0}
    outs = [tmp_path / name for name in ("window.png", "command.png", "plain.png")]
    export_picture(library, outs[0], chosen)
    words = shlex.split(command_for(chosen, entry=library.resolve("tiny"), platform="linux"))
    words[words.index("--out") + 1] = str(outs[1])
    assert main(words[1:]) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    export_picture(library, outs[2], plain.model_copy(update={"options": {"steps": 4}}))
    assert outs[2].read_bytes() != outs[1].read_bytes()
