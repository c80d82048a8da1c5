"""The Denoising panel over a real worker and a real network."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest

from latentlab.core.denoising import Branch
from latentlab.core.latents import Condition
from latentlab.core.settings import Settings
from latentlab.ui.app import build_window, start_worker
from tests.diffusion_models import write_tiny

pytestmark = [pytest.mark.gui, pytest.mark.slow]
WAIT_MS = 60_000
STEPS = 8


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_tiny(folder / "tiny.safetensors")
    return folder


@pytest.fixture
def window(models, qapp, qtbot):
    settings = Settings(device="cpu", hint_dismissed=True, library_folders=(str(models),))
    client, relay = start_worker(settings)
    window = build_window(settings, client, relay, ask_unsaved=lambda _window: True)
    said = []
    window.controller.failed.connect(lambda sentence, _details: said.append(sentence))
    window.resize(1200, 800)
    window.show()
    window.controller.open_model("tiny")
    canvas = window.controller.document.canvas
    few = canvas.model_copy(update={"seeds": (0, 1), "options": {"steps": STEPS}})
    window.controller.apply_canvas(few, "Two images")
    window.layout_keeper.show_workspace("denoise")
    model = window.hosts["denoising"].panel.model
    qtbot.waitUntil(lambda: model.complete(""), timeout=WAIT_MS)
    yield window
    window.close()
    window.deleteLater()
    assert not said


def near(one, other) -> bool:
    """Whether images are the same but for rounding in another batch."""
    return int(np.abs(one.astype(int) - other.astype(int)).max()) <= 1


def test_a_run_its_branches_and_what_is_kept_of_them(window, qtbot, tmp_path):
    controller = window.controller
    panel = window.hosts["denoising"].panel
    model = panel.model
    frames = model.frames("")
    assert [one.index for one in frames] == list(range(1, STEPS + 1))
    times = [one.t for one in frames]
    assert times == sorted(times, reverse=True)
    assert frames[0].x_t.shape == (16, 16, 3)

    qtbot.waitUntil(lambda: near(controller.last_images[0], frames[-1].result), timeout=WAIT_MS)

    # A frame is the same image wherever it stands.
    kept = model.frame_picture("", 3, "x0")
    controller.show_picture(kept, "To canvas")
    qtbot.waitUntil(lambda: near(controller.last_images[0], frames[2].x0), timeout=WAIT_MS)
    controller.undo()

    # A branch begins with the state that was remembered: the trunk is not sent again.
    told = Condition(attributes={"smiling": 1.0})
    path = model.branch("", Branch(at=3, guidance=3.0, condition=told))
    qtbot.waitUntil(lambda: model.complete(path), timeout=WAIT_MS)
    assert [one.branch for one in model.frames(path)] == [""] * 3 + [path] * (STEPS - 3)
    assert near(model.frames(path)[3].x_t, frames[3].x_t)
    assert not near(model.frames(path)[-1].result, frames[-1].result)
    inner = model.branch(path, Branch(at=5, sampler="euler_a", noise=4))
    qtbot.waitUntil(lambda: model.complete(inner), timeout=WAIT_MS)
    controller.show_picture(model.frame_picture(inner, STEPS, "eps"), "To canvas")
    wanted = model.frames(inner)[-1].eps
    qtbot.waitUntil(lambda: near(controller.last_images[0], wanted), timeout=WAIT_MS)
    # The canvas shows a frame of what is watched: that stays.
    assert model.complete(inner)

    # Strip and command say the same.
    strip, again = tmp_path / "strip.png", tmp_path / "again.png"
    form = panel.watch.export
    form.rows["x0"].setChecked(True)
    form.write(strip)
    qtbot.waitUntil(strip.exists, timeout=WAIT_MS)
    words = shlex.split(form.command_text())
    words[words.index("--out") + 1] = str(again)
    run = [sys.executable, "-m", "latentlab", *words[1:]]
    subprocess.run(run, check=True, capture_output=True)
    assert again.read_bytes() == strip.read_bytes()


def test_cancel_death_and_a_new_start(window, qtbot):
    controller = window.controller
    model = window.hosts["denoising"].panel.model
    sampling = model.picture.options
    canvas = controller.document.canvas
    long = canvas.model_copy(update={"seeds": (5,), "options": {**sampling, "steps": 500}})
    controller.apply_canvas(long, "Many steps")
    qtbot.waitUntil(lambda: not model.stale and len(model.frames("")) > 2, timeout=WAIT_MS)
    model.cancel()
    qtbot.waitUntil(lambda: not model.running, timeout=WAIT_MS)
    assert 2 < len(model.frames("")) < 500
    model.run_again()
    qtbot.waitUntil(lambda: model.running, timeout=WAIT_MS)
    os.kill(window.bridge.client.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: model.failure("") is not None, timeout=WAIT_MS)
    controller.undo()
    window.bridge.restart()
    # The short run was complete, and still is; another one is made by the new worker.
    assert model.complete("")
    controller.select(1)
    qtbot.waitUntil(lambda: model.picture.seeds == (1,) and model.complete(""), timeout=WAIT_MS)
