from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import read_model
from latentlab.core.run_events import EventTail, read_events
from latentlab.core.runs import RunFolder, holder
from latentlab.training import data, events, state
from latentlab.training.run import finish_run, resume, train
from tests.training import tiny

REPOSITORY = Path(__file__).parents[2]


def losses(run_dir: Path) -> dict[int, tuple]:
    rows = [e for e in read_events(run_dir) if e.kind == "step"]
    values = {e.step: (e.data["loss"], e.data["losses"], e.data["grad_norm"]) for e in rows}
    assert len(values) == len(rows), "a step is shown twice"
    return values


def kinds(run_dir: Path) -> list[str]:
    return [e.kind for e in read_events(run_dir)]


def silent(event) -> None:
    return None


def same_weights(a: Path, b: Path) -> bool:
    first, second = read_model(a).weights, read_model(b).weights
    return first.keys() == second.keys() and all(np.array_equal(first[n], second[n]) for n in first)


def test_a_run_leaves_its_folder(tmp_path: Path) -> None:
    seen = []
    outcome = train(tiny.recipe(12, train__sample_every=5), tmp_path / "run", on_event=seen.append)
    folder = RunFolder(tmp_path / "run")
    assert outcome.model == folder.model
    assert outcome.step == 12
    assert [e.step for e in seen if e.kind == "step"] == list(range(1, 13))
    assert kinds(folder.path) == [e.kind for e in seen]
    assert seen[-1].kind == "finish"
    assert seen[-1].data["quality"]["mean_squared_error"] > 0
    assert [p.stem for p in folder.sample_files()] == [f"step_00000{n}" for n in ("05", "10", "12")]
    with Image.open(folder.sample(5)) as picture:
        assert picture.size == (8, 8)
    assert not folder.lock.exists()
    stored = read_model(folder.model)
    assert stored.header.spec.provenance.steps == 12
    assert stored.header.spec.provenance.recipe["train"]["seed"] == 3
    assert stored.weights["inner.weight"].dtype == np.float16
    step = next(e for e in seen if e.kind == "step")
    assert {"learning_rate", "images_per_second", "seconds_left", "memory_mb", "data_wait"} <= set(
        step.data
    )


def test_the_model_is_measured_on_its_stored_weights(tmp_path: Path) -> None:
    train(tiny.recipe(12), tmp_path, on_event=silent)
    stored = read_model(tmp_path / "model.safetensors")
    network = tiny.TinyNetwork(5).eval()
    network.load_state_dict({n: torch.from_numpy(a).float() for n, a in stored.weights.items()})
    # The held-out images, found again without the engine: those that no step ever read.
    from latentlab.training.data import open_training

    training, held_out = open_training(tiny.recipe(12).data)
    assert not set(training.indices) & set(held_out.indices)
    assert len(training) + len(held_out) == 70
    images = torch.from_numpy(tiny.memory_images().images[held_out.indices]).permute(0, 3, 1, 2)
    images = images / 127.5 - 1
    with torch.no_grad():
        error = (network(images) - images).square().mean().item()
    assert stored.header.spec.quality["mean_squared_error"] == pytest.approx(error, rel=1e-5)


def test_stopped_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    train(tiny.recipe(30), tmp_path / "whole", on_event=silent)
    stopped = train(tiny.recipe(30), tmp_path / "parts", max_steps=11, on_event=silent)
    assert stopped.model is None
    assert kinds(tmp_path / "parts")[-1] == "stop"
    resume(tmp_path / "parts", max_steps=17, on_event=silent)
    train(tiny.recipe(30), tmp_path / "parts", resume=True, on_event=silent)
    whole = losses(tmp_path / "whole")
    assert list(whole) == list(range(1, 31))
    assert losses(tmp_path / "parts") == whole
    names = ("whole/model.safetensors", "parts/model.safetensors")
    assert same_weights(tmp_path / names[0], tmp_path / names[1])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    train(tiny.recipe(30), tmp_path / "whole", on_event=silent)
    run_dir = tmp_path / "killed"
    train(tiny.recipe(30), run_dir, max_steps=7, on_event=silent)
    command = [sys.executable, "-m", "tests.training.tiny", str(run_dir), "30", "0", "0.03"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.split() == [b"step", b"13"]:
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.wait() == -signal.SIGKILL
    assert RunFolder(run_dir).lock.exists()
    with RunFolder(run_dir).events.open("ab") as stream:
        stream.write(b'{"kind": "step", "time": 17')
    resume(run_dir, on_event=silent)
    raw = [e for e in EventTail(RunFolder(run_dir)).poll() if e.kind == "step"]
    assert [e.attempt for e in raw if e.step == 13] == [2, 3]
    assert losses(run_dir) == losses(tmp_path / "whole")
    assert same_weights(run_dir / "model.safetensors", tmp_path / "whole" / "model.safetensors")


def test_stop_file(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)

    def ask(event) -> None:
        if event.kind == "step" and event.step == 7:
            folder.request_stop()

    outcome = train(tiny.recipe(30), tmp_path, on_event=ask)
    # The file is looked for a few times a second, so some of these quick steps may follow.
    step = outcome.step
    assert 7 <= step < 30
    assert outcome.model is None
    assert not folder.stop.exists()
    assert state.saved_step(folder) == step
    assert folder.checkpoint(step).exists()
    assert read_model(folder.checkpoint(step)).header.spec.provenance.steps == step
    assert resume(tmp_path, on_event=silent).step == 30


def test_interrupt_stops_with_a_checkpoint(tmp_path: Path) -> None:
    def interrupt(event) -> None:
        if event.kind == "step" and event.step == 4:
            signal.raise_signal(signal.SIGINT)

    # A shell's background job starts with Ctrl+C ignored.
    started_with = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert train(tiny.recipe(30), tmp_path, on_event=interrupt).step == 4
        assert state.saved_step(RunFolder(tmp_path)) == 4
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, started_with)


def test_a_stopped_run_can_be_finished(tmp_path: Path) -> None:
    train(tiny.recipe(30), tmp_path, max_steps=9, on_event=silent)
    outcome = finish_run(tmp_path, on_event=silent)
    assert outcome.model is not None
    stored = read_model(outcome.model)
    assert stored.header.spec.provenance.steps == 9
    kept = read_model(RunFolder(tmp_path).checkpoint(9)).weights
    assert all(np.array_equal(kept[n], a) for n, a in stored.weights.items())


def test_not_a_number_stops_and_keeps_the_last_checkpoint(tmp_path: Path, monkeypatch) -> None:
    train(tiny.recipe(30), tmp_path, max_steps=6, on_event=silent)
    good = RunFolder(tmp_path).checkpoint(6).read_bytes()
    monkeypatch.setattr(tiny.TinyTrainer, "nan_at", 13)
    with pytest.raises(LatentLabError, match=r"no longer a finite number at step 14"):
        resume(tmp_path, on_event=silent)
    history = read_events(tmp_path)
    assert history[-1].kind == "error"
    assert "step 14" in history[-1].data["message"]
    assert next(e for e in history if e.step == 14).data["loss"] is None
    assert state.saved_step(RunFolder(tmp_path)) == 6
    assert RunFolder(tmp_path).checkpoint(6).read_bytes() == good
    monkeypatch.setattr(tiny.TinyTrainer, "nan_at", None)
    assert resume(tmp_path, on_event=silent).step == 30
    assert list(losses(tmp_path)) == list(range(1, 31))


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    network = tiny.TinyNetwork(5)
    optimizer = torch.optim.Adam(network.parameters())
    state.save_state(RunFolder(tmp_path), 1, network, {"main": optimizer}, None)
    with torch.no_grad():
        network.outer.bias[0] = math.inf
    with pytest.raises(state.NotFiniteError, match=r"outer\.bias"):
        state.save_state(RunFolder(tmp_path), 2, network, {"main": optimizer}, None)
    assert state.saved_step(RunFolder(tmp_path)) == 1


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path, monkeypatch) -> None:
    train(tiny.recipe(30), tmp_path, max_steps=6, on_event=silent)

    def full(tensors, path, metadata=None) -> None:
        Path(path).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(state, "save_file", full)
        patch.setattr(events, "_WAITS", (0.01, 0.02))
        with pytest.raises(LatentLabError, match="No space left on device"):
            resume(tmp_path, max_steps=9, on_event=silent)
    assert kinds(tmp_path)[-1] == "error"
    assert state.saved_step(RunFolder(tmp_path)) == 6
    assert len(list(RunFolder(tmp_path).state.iterdir())) == 2
    assert resume(tmp_path, on_event=silent).step == 30


def test_vanished_data(tmp_path: Path, monkeypatch) -> None:
    from latentlab.data.base import ArrayDataset

    def gone(self, indices):
        raise FileNotFoundError(2, "No such file", "photo.jpg")

    monkeypatch.setattr(ArrayDataset, "read", gone)
    monkeypatch.setattr(data, "RETRY_SECONDS", (0.01, 0.02))
    with pytest.raises(LatentLabError, match="can no longer be read"):
        train(tiny.recipe(), tmp_path, on_event=silent)
    assert kinds(tmp_path)[-1] == "error"


def test_a_second_start_is_refused(tmp_path: Path) -> None:
    train(tiny.recipe(), tmp_path, max_steps=2, on_event=silent)
    with pytest.raises(LatentLabError, match="already holds a run at step 2"):
        train(tiny.recipe(), tmp_path, on_event=silent)
    refused = []

    def start_again(event) -> None:
        if event.kind == "step" and not refused:
            assert holder(tmp_path) == os.getpid()
            with pytest.raises(
                LatentLabError, match=f"in use by process {os.getpid()} on "
            ) as caught:
                resume(tmp_path, on_event=silent)
            refused.append(caught.value)

    assert resume(tmp_path, on_event=start_again).step == 30
    assert refused


def test_a_stale_lock_is_taken_over(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        gone.wait()
    import socket

    record = {"pid": gone.pid, "host": socket.gethostname(), "created": time.time()}
    RunFolder(tmp_path).lock.write_text(json.dumps(record))
    assert train(tiny.recipe(3), tmp_path, on_event=silent).step == 3
    record |= {"pid": os.getpid(), "created": time.time() - 1e6}
    RunFolder(tmp_path).lock.write_text(json.dumps(record))
    assert finish_run(tmp_path, on_event=silent).model is not None
    record["host"] = "elsewhere"
    RunFolder(tmp_path).lock.write_text(json.dumps(record))
    with pytest.raises(LatentLabError, match="'elsewhere'"):
        finish_run(tmp_path, on_event=silent)


def test_another_recipe_does_not_resume(tmp_path: Path) -> None:
    train(tiny.recipe(30), tmp_path, max_steps=2, on_event=silent)
    with pytest.raises(LatentLabError, match=r"differs .* train\.learning_rate:"):
        train(tiny.recipe(30, train__learning_rate=0.5), tmp_path, resume=True, on_event=silent)


def test_warm_start(tmp_path: Path) -> None:
    train(tiny.recipe(9), tmp_path / "a", on_event=silent)
    model = tmp_path / "a" / "model.safetensors"
    still = {"train__learning_rate": 1e-30, "train__ema_decay": 0.0}
    train(tiny.recipe(1, **still), tmp_path / "b", warm_start=model, on_event=silent)
    old, new = read_model(model).weights, read_model(tmp_path / "b/model.safetensors").weights
    assert np.array_equal(old["inner.weight"], new["inner.weight"])
    wider = tiny.recipe(1, model__width=6)
    with pytest.raises(LatentLabError, match=r"Cannot start from .*inner\.weight"):
        train(wider, tmp_path / "c", warm_start=model, on_event=silent)


def test_bf16_and_channels_last_train(tmp_path: Path) -> None:
    fast = {"train__precision": "bf16", "train__channels_last": True}
    train(tiny.recipe(30, **fast), tmp_path / "fast", on_event=silent)
    train(tiny.recipe(30), tmp_path / "plain", on_event=silent)
    fast_losses, plain = losses(tmp_path / "fast"), losses(tmp_path / "plain")
    assert fast_losses != plain
    assert fast_losses[30][0] == pytest.approx(plain[30][0], rel=0.05)


def test_unknown_family_and_label(tmp_path: Path) -> None:
    with pytest.raises(LatentLabError, match=r"no label 'hat'.*bright"):
        train(tiny.recipe(data__labels=["hat"]), tmp_path, on_event=silent)
    file = tmp_path / "faces.toml"
    file.write_text(tiny.recipe(3).to_toml().replace('"tiny"', '"nothing"', 1))
    with pytest.raises(LatentLabError, match=r"faces\.toml, line 2: there is no family 'nothing'"):
        train(file, tmp_path, on_event=silent)
    assert kinds(tmp_path) == ["error"]
    # Starts that failed stand in nobody's way.
    assert train(tiny.recipe(3), tmp_path, on_event=silent).step == 3


def test_a_run_on_every_split_says_so(tmp_path: Path) -> None:
    for name in ("train/1.png", "test/2.png"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(path)
    source = str(tmp_path / "set")
    train(tiny.recipe(2, data__source=source), tmp_path / "run", on_event=silent)
    told = [e.data["message"] for e in read_events(tmp_path / "run") if e.kind == "warning"]
    assert len(told) == 1
    assert "comes in splits (test, train)" in told[0]
    with pytest.raises(LatentLabError, match="after 1 step or more"):
        train(tiny.recipe(2), tmp_path / "other", max_steps=0, on_event=silent)
    assert not (tmp_path / "other").exists()
