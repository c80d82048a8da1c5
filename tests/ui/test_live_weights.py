"""Newer weights of an explored run in the window, over the worker of formulas: no picture goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt

from latentlab.core.latents import Latents
from latentlab.core.modelfile import read_header
from latentlab.core.requests import Failure, JobResult
from latentlab.services.library import Entry, RunModel
from latentlab.services.run_models import RunLook
from latentlab.ui.widgets.live_bar import following_text, minutes_text, waiting_text
from tests.ui.stage import directions, pixels, write_formula_model
from tests.ui.windows import differs

pytestmark = pytest.mark.gui


@pytest.fixture
def run(tmp_path):
    run = tmp_path / "runs" / "faces"
    (run / "checkpoints").mkdir(parents=True)
    (run / "recipe.toml").write_text("")
    return run


def model_of(run, step, finished=False) -> RunModel:
    path = write_formula_model(run / "checkpoints", f"step_{step:07}")
    header = read_header(path)
    mark = f"{step:064}"
    spec = header.spec.model_copy(update={"fingerprint": mark})
    known = {n: replace(d, fingerprint=mark) for n, d in directions().items()}
    header = header.model_copy(update={"spec": spec})
    entry = Entry("faces", path, header, content=mark, run=run, step=None if finished else step)
    picture = np.full((12, 12, 3), step % 256, np.uint8)
    return RunModel(entry, known, picture, finished)


def answer(window, model, state="training", **values) -> None:
    """Answer the look that is on its way."""
    step = 0 if model is None or model.entry.step is None else model.entry.step
    finished = model is not None and model.finished
    fields = {"step": step, "total_steps": 900, "checkpoint_minutes": 3.0, "finished": finished}
    window.bridge.finish_jobs("look_at_run", RunLook(state, **(fields | values), model=model))


def learn(window, factor: float) -> None:
    """Let the formulas decode otherwise, as other weights do."""
    bridge = window.bridge
    old = type(bridge).latents

    def latents(request):
        found = old(bridge, request)
        return Latents(found.space, {n: factor * a for n, a in found.items()})

    bridge.latents = latents


def explore(window, run, step=100):
    window.controller.explore_run(run)
    answer(window, model_of(run, step))


def test_every_picture_stays_until_its_new_one_is_here(window, qtbot, run):
    control = window.controller
    explore(window, run)
    control.select(1)
    control.keep()
    control.set_edit("smiling", 2.0)
    control.end_merge()
    sliders = window.hosts["attributes"].panel
    window._bring("attributes")
    sliders.toggle_range("eyeglasses")
    qtbot.waitUntil(lambda: sliders.range.view.image(0) is not None)
    qtbot.wait(250)
    parts = {"canvas": window.canvas.view, "tray": window.tray, "strip": sliders.range.view}
    before = {name: pixels(widget) for name, widget in parts.items()}
    steps = pixels(window.history_panel.view)
    document = control.document
    window.bridge.held = True
    learn(window, -1.0)
    control._run_follower().look()
    answer(window, model_of(run, 200))
    qtbot.wait(250)
    for name, widget in parts.items():
        assert differs(before[name], pixels(widget)) == 0, name
    assert differs(steps, pixels(window.history_panel.view)) == 0
    # Two rounds: the strip asks for latents first.
    for _ in range(3):
        window.bridge.release()
        qtbot.wait(60)
    window.bridge.held = False
    window.bridge.release()
    qtbot.wait(250)
    for name, widget in parts.items():
        assert differs(before[name], pixels(widget)) > 0.2, name
    assert differs(steps, pixels(window.history_panel.view)) > 0.1
    assert control.document is document


def test_a_drag_goes_on_through_a_swap(window, qtbot, run):
    explore(window, run)
    control, sliders = window.controller, window.hosts["attributes"].panel
    window._bring("attributes")
    slider = sliders.row("smiling").slider
    middle = slider.rect().center()
    qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=middle)
    qtbot.mouseMove(slider, middle + (slider.rect().topRight() - middle) / 4)
    value, count = control.document.canvas.edits["smiling"], len(control.history.entries)
    control._run_follower().look()
    answer(window, model_of(run, 200))
    assert sliders.row("smiling").slider is slider
    qtbot.mouseMove(slider, middle + (slider.rect().topRight() - middle) / 2)
    qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton)
    assert control.document.canvas.edits["smiling"] > value
    assert len(control.history.entries) == count


def test_cards_and_titles_follow_without_losing_their_place(window, run):
    explore(window, run)
    panel, bar = window.library_panel, window.top_bar.model
    index = panel.view.currentIndex()
    assert index.data() == "faces, step 100"
    resets = []
    panel.model.modelReset.connect(lambda: resets.append(1))
    window.controller._run_follower().look()
    answer(window, model_of(run, 200))
    assert panel.view.currentIndex() == index
    assert index.data() == "faces, step 200"
    assert bar.currentText() == "faces, step 200"
    assert not resets


def test_the_line_says_where_the_run_is_and_ends_with_it(window, qtbot, run):
    control, live = window.controller, window.live
    assert not live.isVisible()
    control.explore_run(run)
    assert live.isVisible()
    answer(window, None)
    assert "within 3 minutes" in live.text.text()
    control._run_follower().look()
    answer(window, model_of(run, 100), step=150)
    assert "step 100" in live.text.text()
    assert "150 of 900" in live.text.text()
    control._run_follower().look()
    window.bridge.finish_jobs("look_at_run", RunLook("measuring", 900, 900, 3.0, False))
    assert "measured" in live.text.text()
    said = []
    control.message.connect(lambda text, _details: said.append(text))
    control._run_follower().look()
    answer(window, model_of(run, 900, finished=True), "finished")
    assert control.exploring is None
    assert not live.isVisible()
    assert said == ["faces has finished: this is the model that it left."]
    assert not control._run_follower()._timer.isActive()


def test_what_the_worker_took_in_late_is_shown(window, run):
    control = window.controller
    explore(window, run)
    control._run_follower().look()
    job = next(job for job in window.bridge.jobs if job.kind == "look_at_run")
    window.bridge.cancel = lambda _job: None
    control.stop_exploring()
    model = model_of(run, 200)
    look = RunLook("training", 200, 900, 3.0, False, model)
    window.bridge.job_finished.emit(JobResult(job.job, value=look))
    assert control.model_entry.step == 200
    assert control.exploring is None


def test_a_worker_that_fails_once_is_asked_again(window, qtbot, run, monkeypatch):
    from latentlab.ui import run_follower

    monkeypatch.setattr(run_follower, "QUIET_MS", 10)
    explore(window, run)
    control = window.controller
    control._run_follower().look()
    job = next(job for job in window.bridge.jobs if job.kind == "look_at_run")
    window.bridge.jobs.clear()
    window.bridge.job_finished.emit(JobResult(job.job, failure=Failure("The worker died.")))
    qtbot.waitUntil(lambda: bool(window.bridge.jobs))
    answer(window, model_of(run, 200))
    assert control.model_entry.step == 200
    assert not window.notice.isVisible()


def test_directions_of_ones_own_say_that_they_were_fitted_elsewhere(window, run):
    explore(window, run)
    control = window.controller
    own = replace(control.directions["smiling"], name="mine")
    control.add_directions([own], "Add mine")
    rows = window.hosts["attributes"].panel.list.rows
    window._bring("attributes")
    assert not rows["mine"].facts.fitted_elsewhere
    control._run_follower().look()
    answer(window, model_of(run, 200))
    rows = window.hosts["attributes"].panel.list.rows
    assert rows["mine"].facts.fitted_elsewhere
    assert not rows["smiling"].facts.fitted_elsewhere
    # A checkpoint is replaced by the next one: nothing is stored in it.
    control.store_direction("mine")
    assert "still being trained" in window.notice.sentence.text()


def test_times_are_told_in_plain_words():
    assert minutes_text(0.5) == "30 seconds"
    assert minutes_text(1.0) == "a minute"
    assert minutes_text(10) == "10 minutes"
    look = RunLook("stopped", 10, 100, 3.0, False)
    assert "left no checkpoint" in waiting_text("faces", look)
    assert following_text("faces", 10, look) == "faces, step 10 of 100. The run stopped."
    assert "paused" in following_text("faces", 10, replace(look, state="paused"))
