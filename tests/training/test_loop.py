"""Precision, micro-batches, memory, held-out loss, pauses, and data that stutters."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from latentlab import catalog
from latentlab.core.errors import LatentLabError
from latentlab.core.run_events import read_events
from latentlab.core.runs import RunFolder
from latentlab.data.base import ArrayDataset
from latentlab.training import data, state
from latentlab.training.data import open_training
from latentlab.training.precision import Precision, determinism
from latentlab.training.run import resume, train
from latentlab.training.sampler import derived_seed
from tests.training import tiny
from tests.training.tiny_plain import PlainNetwork, PlainTrainer, losses, silent, told, weights

CPU = torch.device("cpu")


@pytest.fixture
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlainTrainer, "rows", [])
    monkeypatch.setitem(catalog.TRAINERS, "tiny", "tests.training.tiny_plain:PlainTrainer")


@pytest.mark.usefixtures("_plain")
@pytest.mark.parametrize("parts", [2, 3, 8, 100])
def test_micro_batches_give_the_same_result(tmp_path: Path, parts: int) -> None:
    train(tiny.recipe(10), tmp_path / "whole", on_event=silent)
    del PlainTrainer.rows[:]
    train(tiny.recipe(10, train__accumulate=parts), tmp_path / "parts", on_event=silent)
    assert sum(PlainTrainer.rows[:parts][: min(parts, 8)]) == 8
    assert max(PlainTrainer.rows[: min(parts, 8)]) == -(-8 // parts)
    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "whole"), rel=1e-5)
    whole = weights(tmp_path / "whole")
    for name, tensor in weights(tmp_path / "parts").items():
        torch.testing.assert_close(tensor, whole[name], rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("_plain")
def test_memory_for_one_row_is_the_least(tmp_path: Path, monkeypatch) -> None:
    train(tiny.recipe(10), tmp_path / "whole", on_event=silent)
    monkeypatch.setattr(PlainTrainer, "full_at", 2)
    train(tiny.recipe(10), tmp_path / "rows", on_event=silent)
    assert [m.partition("into ")[2].split()[0] for m in told(tmp_path / "rows")] == ["2", "4", "8"]
    assert losses(tmp_path / "rows") == pytest.approx(losses(tmp_path / "whole"), rel=1e-5)
    monkeypatch.setattr(PlainTrainer, "full_at", 1)
    with pytest.raises(LatentLabError, match="not enough memory for this recipe"):
        train(tiny.recipe(10), tmp_path / "none", on_event=silent)
    assert told(tmp_path / "none", "error")[0].startswith("There is not enough memory")


def test_batch_norm_keeps_two_rows(tmp_path: Path) -> None:
    train(tiny.recipe(3, train__accumulate=8), tmp_path, on_event=silent)
    assert json.loads((tmp_path / "state/state.json").read_text())["engine"]["parts"] == 4


@pytest.mark.usefixtures("_plain")
def test_clipping_bounds_the_gradient(tmp_path: Path) -> None:
    free = {"train__clip_norm": 0.0, "train__schedule": "constant", "train__log_every": 4}
    train(tiny.recipe(9, **free), tmp_path / "free", on_event=silent)
    train(
        tiny.recipe(9, **free | {"train__clip_norm": 1e-9}), tmp_path / "clipped", on_event=silent
    )
    norms = [
        [e.data["grad_norm"] for e in read_events(tmp_path / name) if e.kind == "step"]
        for name in ("free", "clipped")
    ]
    # The norm is that before clipping, told at the same steps either way.
    assert norms[0][0] == norms[1][0]
    assert len(norms[0]) == len(norms[1]) == 4
    moved = [
        float((weights(tmp_path / n)["network.body.0.weight"] - start).abs().max())
        for n in ("free", "clipped")
        for start in [_initial_weight()]
    ]
    # Adam's epsilon is 1e-8: gradients a tenth of it hardly move anything.
    assert moved[1] < 0.2 * moved[0]


def _initial_weight() -> torch.Tensor:
    torch.manual_seed(3)
    return PlainNetwork().body[0].weight.detach()


@pytest.mark.usefixtures("_plain")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_and_resumes(tmp_path: Path, precision: str) -> None:
    half = tiny.recipe(12, train__precision=precision)
    train(tiny.recipe(12), tmp_path / "plain", on_event=silent)
    train(half, tmp_path / "whole", on_event=silent)
    train(half, tmp_path / "parts", max_steps=5, on_event=silent)
    resume(tmp_path / "parts", on_event=silent)
    plain, whole = losses(tmp_path / "plain"), losses(tmp_path / "whole")
    assert losses(tmp_path / "parts") == whole
    assert whole != plain
    assert whole == pytest.approx(plain, rel=0.02)
    assert all(t.dtype == torch.float32 for t in weights(tmp_path / "whole").values())


@pytest.mark.usefixtures("_plain")
def test_a_loss_scale_that_overflows_is_lowered(tmp_path: Path, monkeypatch) -> None:
    large = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    init = Precision.__init__

    def start_large(self, table, device) -> None:
        init(self, table, device)
        self.scaler = large

    monkeypatch.setattr(Precision, "__init__", start_large)
    train(tiny.recipe(30, train__precision="fp16"), tmp_path, max_steps=3, on_event=silent)
    record = json.loads((tmp_path / "state/state.json").read_text())
    assert record["engine"]["scaler"]["scale"] == 2.0**117
    # Three steps were left out, and none of them is an error.
    assert torch.equal(weights(tmp_path)["network.body.0.weight"], _initial_weight())
    assert list(losses(tmp_path)) == [1, 2, 3]
    resume(tmp_path, max_steps=4, on_event=silent)
    record = json.loads((tmp_path / "state/state.json").read_text())
    assert record["engine"]["scaler"]["scale"] == 2.0**116


def test_what_is_called_through_the_entrance_runs_in_half_precision() -> None:
    class Twins(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(4, 4), nn.Linear(4, 4)
            self.seen: list[torch.dtype] = []
            for part in (self.left, self.right):
                part.register_forward_hook(lambda _m, _i, out: self.seen.append(out.dtype))

        def forward(self, x):
            return {"both": (self.left(x), self.right(x))}

        def swapped(self, x):
            return self.left(self.right(x))

    network = Twins()
    table = tiny.recipe(train__precision="bf16").train
    precision = Precision(table, CPU)
    entrance = precision.entrance(network)
    x = torch.randn(2, 4)
    results = [*entrance(x)["both"], entrance.left(x), entrance.swapped(x)]
    assert all(r.dtype == torch.float32 for r in results)
    assert network.seen == [torch.bfloat16] * 5
    assert entrance.left is entrance.left
    assert entrance.left.weight is network.left.weight
    assert list(precision.called.values()) == [network, network.left]
    network.left(x)
    assert network.seen[-1] == torch.float32
    with pytest.raises(AttributeError):
        _ = entrance.middle
    plain = Precision(tiny.recipe().train, CPU)
    assert plain.entrance(network) is network


def test_deterministic_algorithms_for_a_run_only(tmp_path: Path) -> None:
    def flags() -> tuple:
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.deterministic,
            torch.utils.deterministic.fill_uninitialized_memory,
        )

    before, seen = flags(), []
    exact = tiny.recipe(5, train__deterministic=True)
    train(exact, tmp_path / "a", on_event=lambda e: seen.append(flags()) if e.kind == "step" else 0)
    assert set(seen) == {(True, True, False)}
    assert flags() == before
    train(exact, tmp_path / "b", on_event=silent)
    assert all(
        torch.equal(t, weights(tmp_path / "b")[n]) for n, t in weights(tmp_path / "a").items()
    )
    sentence = r"set train\.deterministic to false"
    with pytest.raises(LatentLabError, match=sentence), determinism(exact.train, CPU):
        # What PyTorch raises for an operation of this kind.
        raise RuntimeError("put_ does not have a deterministic implementation")
    assert flags() == before


def test_held_out_loss_is_the_loss_of_what_is_kept(tmp_path: Path) -> None:
    from accelerate import Accelerator

    from latentlab.training.events import Reporter
    from latentlab.training.loop import Engine

    recipe = tiny.recipe(8)
    train(recipe, tmp_path, max_steps=8, on_event=silent)
    training, held_out = open_training(recipe.data)
    trainer = tiny.TinyTrainer({"width": 5}, training)
    accelerator = Accelerator(cpu=True)
    folder = RunFolder(tmp_path)
    engine = Engine(
        recipe, folder, trainer, training, held_out, accelerator, Reporter(None, silent)
    )
    engine.restore()
    generator = torch.Generator()
    seed = derived_seed("held_out", 3)
    for count in (6, 512):
        rows = min(count, len(held_out))
        pixels = torch.from_numpy(held_out.read(np.arange(rows))).permute(0, 3, 1, 2).float()
        images = pixels / 127.5 - 1
        generator.manual_seed(derived_seed("normal", seed, 0, "noise"))
        noisy = images + 0.1 * torch.randn(rows, 3, 4, 4, generator=generator)
        with torch.no_grad():
            expected = float((engine.kept.eval()(noisy) - images).square().mean())
        engine.network.train()
        assert engine.held_out_loss(count) == pytest.approx(expected, rel=1e-5)
        assert engine.network.training
    events = [e for e in read_events(tmp_path) if e.kind == "checkpoint"]
    assert events[-1].data["held_out_loss"] == pytest.approx(engine.held_out_loss(), rel=1e-6)


def test_a_disk_that_stutters_is_tried_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(data, "RETRY_SECONDS", (0.01, 0.02, 0.03))
    train(tiny.recipe(12), tmp_path / "smooth", on_event=silent)
    read, calls = ArrayDataset.read, []

    def stutter(self, indices):
        calls.append(len(calls))
        if 5 <= calls[-1] < 8:
            raise OSError(5, "Input/output error")
        return read(self, indices)

    monkeypatch.setattr(ArrayDataset, "read", stutter)
    train(tiny.recipe(12), tmp_path / "rough", on_event=silent)
    assert losses(tmp_path / "rough") == losses(tmp_path / "smooth")
    assert len(told(tmp_path / "rough")) == 3
    assert "Input/output error" in told(tmp_path / "rough")[0]
    assert "trying again in 0.01 s" in told(tmp_path / "rough")[0]

    def gone(self, indices):
        raise LatentLabError("The disk is away.")

    monkeypatch.setattr(ArrayDataset, "read", gone)
    with pytest.raises(LatentLabError, match=r"can no longer be read .*The disk is away"):
        train(tiny.recipe(12), tmp_path / "gone", on_event=silent)
    # Batches that are read ahead are tried again too.
    assert len(told(tmp_path / "gone")) >= 3


def test_pause_and_stop_while_paused(tmp_path: Path, monkeypatch) -> None:
    from latentlab.training import steering

    monkeypatch.setattr(steering, "AGREE_SECONDS", 0.01)
    folder, looks = RunFolder(tmp_path), []
    wait = steering.Steering.wait

    def watched(self, step):
        looks.append(folder.checkpoint_files()[-1].stem)
        if len(looks) == 3:
            folder.pause.unlink()
        if len(looks) == 6:
            folder.request_stop()
        return wait(self, step)

    monkeypatch.setattr(steering.Steering, "wait", watched)

    def pause(event) -> None:
        if event.kind == "step" and event.step in (4, 9):
            folder.pause.touch()

    # Otherwise files are looked for a few times a second, and some quick steps may follow.
    monkeypatch.setattr(steering, "LOOK_SECONDS", 0.0)
    assert train(tiny.recipe(30), tmp_path, on_event=pause).step == 9
    kinds = [e.kind for e in read_events(tmp_path) if e.kind in ("pause", "continue", "stop")]
    assert kinds == ["pause", "continue", "pause", "stop"]
    assert looks == ["step_0000004"] * 3 + ["step_0000009"] * 3
    folder.pause.unlink()
    monkeypatch.setattr(steering.Steering, "wait", wait)
    resume(tmp_path, on_event=silent)
    train(tiny.recipe(30), tmp_path / "whole", on_event=silent)
    assert losses(tmp_path) == losses(tmp_path / "whole")


def test_a_long_pause_does_not_make_processes_deaf(tmp_path: Path, monkeypatch) -> None:
    from latentlab.training import steering
    from latentlab.training.signals import Interrupts

    class Two:
        count, is_main = 2, True

        def gather(self, values):
            return [list(values), [steering.GO_ON, 0.0]]

    monkeypatch.setattr(steering, "AGREE_SECONDS", 1e-4)
    folder = RunFolder(tmp_path)
    steers = steering.Steering(folder, Interrupts(), Two(), 0.0)
    folder.pause.touch()
    assert steers.decide(50)[0] == steering.PAUSE
    for _ in range(300):
        assert steers.wait(50)[0] == steering.PAUSE
    folder.pause.unlink()
    assert steers.wait(50)[0] == steering.GO_ON
    folder.request_stop()
    for step in range(51, 200):
        time.sleep(1e-3)
        if steers.decide(step)[0] == steering.STOP:
            return
    raise AssertionError("300 looks while it waited must not put off the next one")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_gpu_trains_and_resumes(tmp_path: Path, precision: str) -> None:
    fast = {"train__device": "cuda", "train__precision": precision, "train__deterministic": True}
    recipe = tiny.recipe(12, **fast, train__accumulate=2)
    train(recipe, tmp_path / "whole", on_event=silent)
    train(recipe, tmp_path / "parts", max_steps=5, on_event=silent)
    resume(tmp_path / "parts", on_event=silent)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    step = next(e for e in read_events(tmp_path / "whole") if e.kind == "step")
    assert step.data["device_memory_mb"] > 0


def test_a_state_of_the_first_version_goes_on(tmp_path: Path) -> None:
    train(tiny.recipe(12), tmp_path / "whole", on_event=silent)
    run_dir = tmp_path / "old"
    train(tiny.recipe(12), run_dir, max_steps=6, on_event=silent)
    (path,) = RunFolder(run_dir).state.glob("step_*.safetensors")
    old = {n.replace("optimizer.main.", "optimizer."): t for n, t in load_file(path).items()}
    save_file(old, path)
    record_path = RunFolder(run_dir).state / "state.json"
    record = json.loads(record_path.read_text())
    del record["engine"], record["optimizers"]
    record_path.write_text(json.dumps(record | {"version": 1}))
    resume(run_dir, on_event=silent)
    assert losses(run_dir) == losses(tmp_path / "whole")


def test_the_state_of_other_optimizers_is_refused(tmp_path: Path) -> None:
    train(tiny.recipe(12), tmp_path, max_steps=2, on_event=silent)
    network = tiny.TinyNetwork(5)
    other = {"critic": torch.optim.Adam(network.parameters())}
    with pytest.raises(LatentLabError, match="damaged"):
        state.load_state(RunFolder(tmp_path), network, other, None)
