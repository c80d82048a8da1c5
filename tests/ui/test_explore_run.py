"""Exploring a run while it trains: checkpoints of the engine, a real worker, a whole window."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton

from latentlab.core.modelfile import read_model, write_model
from latentlab.core.runs import RunFolder
from latentlab.core.session import load_session
from latentlab.core.settings import Settings
from latentlab.services.run_models import step_of
from latentlab.services.worker_client import WorkerClient, WorkerReady, WorkerSettings
from latentlab.ui import run_follower
from latentlab.ui.app import build_window, start_worker
from latentlab.ui.panels.library import ENTRY_ROLE, PREVIEW_ROLE, describe_entry
from latentlab.ui.relay import EventRelay
from latentlab.ui.widgets.images import from_qimage
from tests.ui.effects_stage import make_report
from tests.ui.live_stage import RECIPE, STEPS, Stages, go_on, make_stages
from tests.ui.stage import pixels
from tests.ui.windows import differs

pytestmark = [pytest.mark.gui, pytest.mark.slow]
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def stages(tmp_path_factory) -> Stages:
    return make_stages(tmp_path_factory.mktemp("stages"))


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _home(home, monkeypatch) -> Iterator[Path]:
    """One home for all, emptied after each test: the worker begins with what its home is."""
    monkeypatch.setenv("LATENTLAB_HOME", str(home))
    yield home
    shutil.rmtree(home)
    home.mkdir()


def settings() -> Settings:
    return Settings(device="cpu", animation=False, hint_dismissed=True)


@pytest.fixture(scope="module")
def worker(home) -> Iterator[WorkerClient]:
    """A real worker for all windows: to start one takes longer than most tests."""
    events: SimpleQueue[object] = SimpleQueue()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTLAB_HOME", str(home))
        client = WorkerClient(events.put, WorkerSettings.from_settings(settings()))
        client.start()
    client.ready = events.get(timeout=WAIT_MS / 1000)
    assert isinstance(client.ready, WorkerReady)
    yield client
    client.stop()


@pytest.fixture
def app(worker, qapp, qtbot, monkeypatch):
    """A window that nothing is open in, and looks often."""
    relay = EventRelay()
    relay(worker.ready)
    worker._shown.clear()
    monkeypatch.setattr(worker, "_on_event", relay)
    monkeypatch.setattr(worker, "stop", lambda: None)
    yield from shown(settings(), worker, relay, qtbot, monkeypatch)
    for job in list(worker._jobs):
        worker.cancel(job)
    limit = time.monotonic() + WAIT_MS / 1000
    while (worker._jobs or worker._asked) and time.monotonic() < limit:
        time.sleep(0.01)
    assert not worker._jobs


@pytest.fixture
def own_app(qapp, qtbot, monkeypatch):
    """The same over a worker of its own."""
    yield from shown(settings(), *start_worker(settings()), qtbot, monkeypatch)


def shown(chosen, client, relay, qtbot, monkeypatch):
    monkeypatch.setattr(run_follower, "LOOK_MS", 60)
    monkeypatch.setattr(run_follower, "QUIET_MS", 60)
    window = build_window(chosen, client, relay, ask_unsaved=lambda _window: True)
    window.resize(1280, 800)
    window.show()
    qtbot.waitUntil(window.isActiveWindow)
    yield window
    window.close()
    window.deleteLater()


@pytest.fixture
def run(_home, stages):
    """A run in the own folder, at its first checkpoint."""
    place = _home / "data" / "runs" / "shapes"
    place.parent.mkdir(parents=True)
    return shutil.copytree(stages.first, place)


def at_step(app, qtbot, step: int) -> None:
    """Wait until weights of a step are open, and the canvas shows them."""
    control = app.controller
    qtbot.waitUntil(
        lambda: control.model is not None and control.model.spec.provenance.steps == step,
        timeout=WAIT_MS,
    )
    settle(app, qtbot)


def settle(app, qtbot) -> None:
    """Wait until nothing is on its way to the worker."""
    control = app.controller
    qtbot.waitUntil(
        lambda: not control.jobs and not control._dragging() and not control._thumbnails._asked,
        timeout=WAIT_MS,
    )
    qtbot.wait(30)


def open_everything(app, qtbot) -> None:
    """Have something in every panel that shows images: tray, history, a strip, a map, its card."""
    control = app.controller
    control.select(1)
    control.keep()
    control.select(2)
    control.keep()
    control.set_edit(next(iter(control.directions)), 1.5)
    control.end_merge()
    control.select(None)
    sliders = app.hosts["attributes"].panel
    sliders.toggle_range(sliders.names[1])
    app._bring("attributes")
    qtbot.waitUntil(lambda: sliders.range.view.image(0) is not None, timeout=WAIT_MS)
    app._bring("manifold")
    panel = app.hosts["manifold"].panel
    panel.model.map_source(count=200)
    qtbot.waitUntil(lambda: panel.model.placed is not None, timeout=WAIT_MS)
    panel.tools.layers["tiles"].setChecked(True)
    qtbot.waitUntil(lambda: len(panel.tiles.known) > 8, timeout=WAIT_MS)
    settle(app, qtbot)


def test_newer_weights_reach_every_panel_and_the_document_stays(app, qtbot, run, stages):
    control = app.controller
    control.explore_run(run)
    at_step(app, qtbot, STEPS[0])
    assert control.model_entry.id == "shapes"
    assert control.model_entry.title == "shapes, step 12"
    assert control.directions
    assert app.live.isVisible()
    assert "step 12 of 36" in app.live.text.text()
    open_everything(app, qtbot)
    sliders, mapped = app.hosts["attributes"].panel, app.hosts["manifold"].panel
    card = app.library_panel.model
    row = next(r for r in range(card.rowCount()) if card.index(r).data(ENTRY_ROLE).id == "shapes")

    def seen():
        history = app.history_panel.model
        return {
            "canvas": pixels(app.canvas.view),
            "tray": pixels(app.tray),
            "history": from_qimage(history._picture(history.current).toImage()),
            "strip": np.stack([sliders.range.view.image(i) for i in range(5)]),
            "tiles": from_qimage(mapped.tiles._images[tile]),
            "card": from_qimage(card.index(row).data(PREVIEW_ROLE).toImage()),
        }

    control.select(0)
    tile = mapped.tiles.known[-1]
    before, places = seen(), mapped.model.placed.coordinates.copy()
    vectors = {name: d.vector["z"].copy() for name, d in control.directions.items()}
    document, entries = control.document, control.history.entries
    changes, pictures = [], []
    control.document_changed.connect(changes.append)
    control.canvas_rendered.connect(pictures.append)
    go_on(run, stages.second)
    at_step(app, qtbot, STEPS[1])
    tiles = mapped.tiles
    qtbot.waitUntil(lambda: not tiles._missing() and not tiles._asked, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: not sliders.range._expected, timeout=WAIT_MS)
    qtbot.wait(400)
    settle(app, qtbot)
    after = seen()
    for name, image in before.items():
        assert differs(image, after[name]) > 0.05, name
    assert control.document is document
    assert control.history.entries == entries
    assert control.selection == 0
    assert not changes
    assert all(result.failure is None for result in pictures)
    assert np.array_equal(mapped.model.placed.coordinates, places)
    assert "step 12" in mapped.note._age_text.text()
    assert "step 24" in mapped.note._age_text.text()
    for name, direction in control.directions.items():
        assert direction.fingerprint == control.model.spec.fingerprint
        assert not np.array_equal(direction.vector["z"], vectors[name])
    assert app.top_bar.model.currentText() == "shapes, step 24"
    assert "step 24 of 36" in app.live.text.text()


def test_a_finished_run_is_taken_with_its_directions_and_following_ends(app, qtbot, run, stages):
    control = app.controller
    control.explore_run(run)
    at_step(app, qtbot, STEPS[0])
    name = next(iter(control.directions))
    control.set_edit(name, 1.0)
    canvas = control.document.canvas
    go_on(run, stages.finished)
    qtbot.waitUntil(lambda: control.exploring is None, timeout=WAIT_MS)
    settle(app, qtbot)
    assert control.document.canvas is canvas
    assert control.model_entry.id == "shapes"
    assert control.model_entry.path == run / "model.safetensors"
    assert "psnr_db" in control.model.spec.quality
    assert name in control.directions
    assert app.canvas.view.failure is None
    assert not app.live.isVisible()
    said = describe_entry(control.model_entry)
    assert "Training: 36 steps" in said
    assert said.count("Data: ") == 1
    # Runs of one recipe have one title.
    assert "shapes · VAE · " in said
    # The same picture from the file alone, by the command line's road.
    from latentlab.services.library import ModelLibrary
    from latentlab.services.renderer import Renderer

    library = ModelLibrary(device="cpu")
    assert "shapes" in [entry.id for entry in library.entries()]
    expected = Renderer(library).exact(canvas)[0]
    assert np.abs(control.last_images.astype(int) - expected).max() <= 1


def test_what_is_shown_stays_when_following_stops_and_goes_on_when_asked(app, qtbot, run, stages):
    control = app.controller
    control.explore_run(run)
    at_step(app, qtbot, STEPS[0])
    images = control.last_images
    button = app.live.findChild(QPushButton)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert control.exploring is None
    qtbot.waitUntil(lambda: not control._run_follower()._leaving, timeout=WAIT_MS)
    go_on(run, stages.second)
    for path in run.glob("checkpoints/step_0000012*"):
        path.unlink()
    qtbot.wait(300)
    # The file is gone; the weights are here still.
    control.reroll()
    control.undo()
    settle(app, qtbot)
    assert np.array_equal(control.last_images, images)
    assert "stays as it is" in app.live.text.text()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    at_step(app, qtbot, STEPS[1])
    assert control.exploring == run


def test_a_run_without_a_checkpoint_says_when_the_first_comes(app, qtbot, run, stages):
    control = app.controller
    shutil.rmtree(run / "checkpoints")
    (run / "recipe.toml").write_text(
        (run / "recipe.toml")
        .read_text()
        .replace("checkpoint_every_minutes = 0.0", "checkpoint_every_minutes = 3.0")
    )
    status = json.loads((run / "status.json").read_text())
    far = status | {"state": "training", "host": "elsewhere", "time": 4e9}
    (run / "status.json").write_text(json.dumps(far))
    control.explore_run(run)
    qtbot.waitUntil(lambda: "3 minutes" in app.live.text.text(), timeout=WAIT_MS)
    assert control.document.canvas is None
    go_on(run, stages.first)
    at_step(app, qtbot, STEPS[0])
    assert control.document.canvas.model == "shapes"


def test_damaged_and_vanishing_checkpoints_are_passed_over(app, qtbot, run, stages):
    control = app.controller
    control.explore_run(run)
    at_step(app, qtbot, STEPS[0])
    failures = []
    control.failed.connect(lambda *said: failures.append(said))
    whole = (run / "checkpoints" / "step_0000012.safetensors").read_bytes()
    (run / "checkpoints" / "step_0000030.safetensors").write_bytes(whole[:-40])
    (run / "checkpoints" / "step_0000031.safetensors").write_bytes(b"no model")
    go_on(run, stages.second)
    at_step(app, qtbot, STEPS[1])
    assert control.model_entry.step == STEPS[1]
    assert not failures
    assert app.canvas.view.failure is None


def test_a_run_of_probes_says_that_it_cannot_be_explored(app, qtbot, run):
    recipe = (run / "recipe.toml").read_text().replace('family = "vae"', 'family = "probe"')
    (run / "recipe.toml").write_text(recipe)
    status = json.loads((run / "status.json").read_text()) | {"family": "probe"}
    (run / "status.json").write_text(json.dumps(status))
    app.controller.explore_run(run)
    qtbot.waitUntil(app.notice.isVisible, timeout=WAIT_MS)
    assert "latent space" in app.notice.sentence.text()
    assert app.controller.exploring is None
    app.controller.explore_run(run.parent)
    assert "not a training run" in app.notice.sentence.text()


def test_effects_are_marked_as_of_an_older_step(app, qtbot, run, stages):
    control = app.controller
    control.explore_run(run)
    at_step(app, qtbot, STEPS[0])
    names = tuple(control.directions)[:2]
    square = np.array([[1.0, 0.2], [0.1, 1.0]])
    report = make_report(
        **dict.fromkeys(("mean", "size", "error", "cosines"), square),
        directions=names,
        columns=names,
        hidden={},
        reliability={},
    )
    control.take_effects(report, list(control.directions.values()))
    assert control.effects_outdated == ()
    go_on(run, stages.second)
    at_step(app, qtbot, STEPS[1])
    assert control.effects is report
    assert set(control.effects_outdated) == set(report.directions)
    app._bring("effects")
    assert "Measured at step 12" in app.hosts["effects"].panel.status.text()


def test_a_session_keeps_the_weights_that_it_shows_and_says_when_they_are_gone(
    app, qtbot, run, stages, tmp_path
):
    control = app.controller
    control.explore_run(run)
    at_step(app, qtbot, STEPS[0])
    first = control.model.spec.fingerprint
    control.select(0)
    control.keep()
    go_on(run, stages.second)
    at_step(app, qtbot, STEPS[1])
    second = control.model.spec.fingerprint
    assert control.save_session(tmp_path / "mine.latentlab")
    kept = load_session(tmp_path / "mine.latentlab").history.document
    assert kept.canvas.fingerprint == second
    assert kept.tray[0].picture.fingerprint == second
    # The document itself was not touched.
    assert control.document.canvas.fingerprint == first
    go_on(run, stages.finished)
    qtbot.waitUntil(lambda: control.exploring is None, timeout=WAIT_MS)
    said = []
    control.message.connect(lambda text, _details: said.append(text))
    assert control.load_session(tmp_path / "mine.latentlab")
    assert any("other weights of 'shapes'" in text for text in said)
    settle(app, qtbot)
    assert app.canvas.view.failure is None


def test_a_session_of_a_run_that_trains_opens_the_run(app, qtbot, run, tmp_path):
    control = app.controller
    control.explore_run(run)
    at_step(app, qtbot, STEPS[0])
    control.save_session(tmp_path / "mine.latentlab")
    control.stop_exploring()
    control.library._given.clear()
    control.open_first()
    settle(app, qtbot)
    assert control.load_session(tmp_path / "mine.latentlab")
    at_step(app, qtbot, STEPS[0])
    assert control.exploring == run
    qtbot.waitUntil(lambda: control.rendered_picture == control.document.canvas, timeout=WAIT_MS)
    assert app.canvas.view.failure is None


def test_a_worker_that_starts_anew_gets_the_weights_again(own_app, qtbot, run):
    app, control = own_app, own_app.controller
    control.explore_run(run)
    at_step(app, qtbot, STEPS[0])
    images = control.last_images
    app.bridge.restart()
    control.last_images = None
    qtbot.waitUntil(lambda: control.last_images is not None, timeout=WAIT_MS)
    settle(app, qtbot)
    assert np.array_equal(control.last_images, images)
    assert app.canvas.view.failure is None


def test_rapid_sliders_during_rapid_swaps(app, qtbot, run, stages):
    """Swaps come at random under a slider that never rests; the end is what the file says."""
    control = app.controller
    control.explore_run(run)
    at_step(app, qtbot, STEPS[0])
    name = next(iter(control.directions))
    open_everything(app, qtbot)
    sliders = app.hosts["attributes"].panel
    app._bring("attributes")
    stored = [
        read_model(sorted(s.glob("checkpoints/step_*"))[-1]) for s in (stages.first, stages.second)
    ]
    failures, sizes = [], []
    control.canvas_rendered.connect(lambda r: failures.append(r.failure) if r.failure else None)
    control.failed.connect(lambda *said: failures.append(said))
    rng, step, steps_seen = random.Random(3), 100, set()
    control.model_reloaded.connect(lambda h: steps_seen.add(control.model_entry.step))
    slider = sliders.row(name).slider
    slider.setFocus()
    presses = 0
    while len(steps_seen) < 12:
        if rng.random() < 0.3:
            step += 1
            path = run / "checkpoints" / f"step_{step:07}.safetensors"
            write_model(path, stored[step % 2])
            for old in sorted(run.glob("checkpoints/step_*"))[:-3]:
                old.unlink()
        QTest.keyClick(slider, rng.choice([Qt.Key.Key_Left, Qt.Key.Key_Right]))
        presses += 1
        qtbot.wait(rng.randrange(15))
        sizes.append((len(control._thumbnails._images), len(control.library._given)))
        assert presses < 5000
    at_last = lambda: control.model_entry.step == step  # noqa: E731
    qtbot.waitUntil(at_last, timeout=WAIT_MS)
    settle(app, qtbot)
    assert not failures
    assert {given for _, given in sizes} == {1}
    from latentlab.services.library import ModelLibrary
    from latentlab.services.renderer import Renderer

    library = ModelLibrary([], device="cpu")
    entry = library.add(run / "checkpoints" / f"step_{step:07}.safetensors")
    picture = control.document.canvas.model_copy(update={"model": entry.id})
    expected = Renderer(library).exact(picture)[0]
    assert np.abs(control.last_images.astype(int) - expected).max() <= 1


def test_a_run_that_another_process_trains_is_followed(app, qtbot, run, stages):
    """The engine trains in a process of its own; its checkpoints open one after the other."""
    shutil.rmtree(run)
    recipe = run.parent / "shapes.toml"
    source = stages.images.as_posix()
    text = RECIPE.format(source=source, minutes=0.01).replace("steps = 36", "steps = 100000")
    recipe.write_text(text)
    words = [sys.executable, "-m", "latentlab", "train", str(recipe), "--run-dir", str(run)]
    engine = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    control, seen = app.controller, []
    try:
        qtbot.waitUntil((run / "recipe.toml").is_file, timeout=WAIT_MS)
        control.explore_run(run)
        control.model_reloaded.connect(lambda _header: seen.append(control.model_entry.step))
        qtbot.waitUntil(lambda: len(seen) >= 3, timeout=WAIT_MS)
        name = next(iter(control.directions))
        control.set_edit(name, 2.0)
        RunFolder(run).request_stop()
        engine.wait(60)
        last = step_of(RunFolder(run).checkpoint_files()[-1])
        qtbot.waitUntil(lambda: control.model_entry.step == last, timeout=WAIT_MS)
        settle(app, qtbot)
    finally:
        engine.kill()
        engine.wait()
    assert seen == sorted(set(seen))
    assert app.canvas.view.failure is None
    assert control.exploring == run
    qtbot.waitUntil(lambda: "The run stopped" in app.live.text.text(), timeout=WAIT_MS)
