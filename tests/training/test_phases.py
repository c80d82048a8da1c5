"""Optimisers that take turns, averages of parts, and weights that depend on data."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from latentlab.core.modelfile import read_model
from latentlab.core.run_events import read_events
from latentlab.core.runs import RunFolder
from latentlab.training.data import open_training
from latentlab.training.family import OptimizerSpec, Phase
from latentlab.training.parallel import Processes
from latentlab.training.phases import Turns
from latentlab.training.run import resume, train
from latentlab.training.sampler import Sampler, derived_seed
from tests.training import tiny_families
from tests.training.tiny_families import FlowTrainer, Gan, GanTrainer


@pytest.fixture(autouse=True)
def _families(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_families.install(monkeypatch.setitem)
    monkeypatch.setattr(FlowTrainer, "initialised", [])


def silent(event) -> None:
    return None


def saved(run_dir: Path, prefix: str) -> dict[str, torch.Tensor]:
    (path,) = RunFolder(run_dir).state.glob("step_*.safetensors")
    below = {n: t for n, t in load_file(path).items() if n.startswith(prefix)}
    return {n[len(prefix) :]: t for n, t in below.items()}


def steps(run_dir: Path) -> dict[int, dict]:
    found = [e for e in read_events(run_dir) if e.kind == "step"]
    kept = ("loss", "losses", "grad_norm", "grad_norms", "learning_rate")
    return {e.step: {n: e.data.get(n) for n in kept} for e in found}


def normal(step: int, repeat: int, stream: str, shape: tuple[int, ...]) -> torch.Tensor:
    parts = ["normal", 3, step, stream, *([repeat] if repeat else [])]
    generator = torch.Generator().manual_seed(derived_seed(*parts))
    return torch.randn((8, *shape), generator=generator)


def by_hand(network: Gan, count: int) -> tuple[Gan, dict[int, dict]]:
    """Train the GAN without the engine: every gradient is asked for by name, nothing is frozen."""
    training, _ = open_training(tiny_families.recipe("tiny_gan").data)
    sampler = Sampler(len(training), 8, 3)
    critic, generator = list(network.critic.parameters()), list(network.generator.parameters())
    optimizers = {
        "critic": torch.optim.Adam(critic, lr=2e-2, betas=(0.5, 0.9)),
        "generator": torch.optim.Adam(generator, lr=1e-2),
    }
    average, told = copy.deepcopy(network), {}

    def images(step: int, repeat: int) -> torch.Tensor:
        indices = sampler.indices(2 * step + repeat)
        pixels = torch.from_numpy(training.read(indices)).permute(0, 3, 1, 2).float() / 127.5 - 1
        flips = torch.from_numpy(sampler.flips(2 * step + repeat))[:, None, None, None]
        return torch.where(flips, pixels.flip(3), pixels).flatten(1)

    def apply(name: str, parameters, loss, step: int) -> float:
        gradients = torch.autograd.grad(loss, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        rate = min(1.0, (step + 1) / 4)
        if step >= 4:
            rate = 0.5 * (1 + np.cos(np.pi * (step - 4) / (count - 4)))
        optimizers[name].param_groups[0]["lr"] = rate * (2e-2 if name == "critic" else 1e-2)
        optimizers[name].step()
        optimizers[name].zero_grad()
        return float(torch.cat([g.flatten() for g in gradients]).norm())

    for step in range(count):
        losses, norms = {}, {}
        for repeat in (0, 1):
            fake = network.critic(network.generator(normal(step, repeat, "z", (5,)))).mean()
            real = network.critic(images(step, repeat)).mean()
            norms["critic"] = apply("critic", critic, fake - real, step)
            losses |= {"critic": (fake - real).item(), "critic.real": real.item()}
        if step % 3 == 0:
            pixels = images(step, 0).requires_grad_(True)
            score = network.critic(pixels).sum()
            (slope,) = torch.autograd.grad(score, pixels, create_graph=True)
            penalty = 3 * slope.square().sum(1).mean()
            norms["critic"] = apply("critic", critic[:-1], penalty, step)
            losses["penalty"] = penalty.item()
        loss = -network.critic(network.generator(normal(step, 0, "z", (5,)))).mean()
        norms["generator"] = apply("generator", generator, loss, step)
        losses["generator"] = loss.item()
        told[step + 1] = {"losses": losses, "grad_norms": norms}
        decay = min(0.9, (1 + step) / (10 + step))
        with torch.no_grad():
            for mine, theirs in zip(
                average.generator.state_dict().values(), network.generator.state_dict().values()
            ):
                if mine.is_floating_point():
                    mine.mul_(decay).add_(theirs, alpha=1 - decay)
    return average, told


def test_a_gan_trains_as_by_hand(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = Gan(5)
    before = copy.deepcopy(network)
    average, told = by_hand(network, 12)
    train(tiny_families.recipe("tiny_gan"), tmp_path, on_event=silent)
    weights, kept = saved(tmp_path, "network."), saved(tmp_path, "average.")
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, rtol=2e-5, atol=2e-6, msg=name)
        if tensor.is_floating_point() and "critic.2.bias" not in name:
            assert not torch.equal(tensor, before.state_dict()[name])
    # The critic is not averaged, and not kept twice.
    assert all(name.startswith("generator.") for name in kept)
    for name, tensor in average.generator.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(kept[f"generator.{name}"], tensor, rtol=2e-5, atol=2e-6)
    seen = steps(tmp_path)
    assert list(seen) == list(range(1, 13))
    last: dict[str, float] = {}
    for step, values in told.items():
        last |= values["losses"]
        # The penalty of a step without one is the newest there is.
        assert seen[step]["losses"] == pytest.approx(last, rel=1e-4, abs=1e-6)
        assert seen[step]["loss"] == seen[step]["losses"]["critic"]
        assert seen[step]["grad_norms"] == pytest.approx(values["grad_norms"], rel=1e-4)
        assert seen[step]["grad_norm"] == seen[step]["grad_norms"]["critic"]
    events = read_events(tmp_path)
    assert next(e for e in events if e.step == 7 and e.kind == "step").data["epoch"] == 14 / 7


def test_what_is_kept_of_a_gan(tmp_path: Path) -> None:
    train(tiny_families.recipe("tiny_gan", output__half=False), tmp_path, on_event=silent)
    weights, kept = saved(tmp_path, "network."), saved(tmp_path, "average.")
    model = read_model(tmp_path / "model.safetensors").weights
    checkpoint = load_file(RunFolder(tmp_path).checkpoint(12))
    for name, tensor in weights.items():
        expected = kept.get(name, tensor).numpy()
        assert np.array_equal(model[name], expected), name
        assert np.array_equal(checkpoint[f"net.{name}"].numpy(), expected), name
    events = read_events(tmp_path)
    last = next(e for e in reversed(events) if e.kind == "checkpoint")
    assert last.data["held_out_loss"] == pytest.approx(
        read_model(tmp_path / "model.safetensors").header.spec.quality["score"]
    )


def test_a_gan_resumes_exactly(tmp_path: Path) -> None:
    train(tiny_families.recipe("tiny_gan"), tmp_path / "whole", on_event=silent)
    # Step 5 has no penalty of its own: its figure must survive too.
    train(tiny_families.recipe("tiny_gan"), tmp_path / "parts", max_steps=5, on_event=silent)
    resume(tmp_path / "parts", max_steps=8, on_event=silent)
    resume(tmp_path / "parts", on_event=silent)
    assert steps(tmp_path / "parts") == steps(tmp_path / "whole")
    for prefix in ("network.", "average.", "optimizer."):
        whole = saved(tmp_path / "whole", prefix)
        parts = saved(tmp_path / "parts", prefix)
        assert whole.keys() == parts.keys()
        assert all(torch.equal(whole[n], parts[n]) for n in whole)


def test_memory_that_runs_out_makes_parts_smaller(tmp_path: Path, monkeypatch) -> None:
    two = tiny_families.recipe("tiny_gan", train__accumulate=4)
    train(two, tmp_path / "asked", on_event=silent)
    monkeypatch.setattr(GanTrainer, "full_at", 3)
    train(tiny_families.recipe("tiny_gan"), tmp_path / "forced", max_steps=4, on_event=silent)
    told = [e.data["message"] for e in read_events(tmp_path / "forced") if e.kind == "warning"]
    assert [m.partition("into ")[2].split()[0] for m in told] == ["2", "4"]
    resume(tmp_path / "forced", on_event=silent)
    # A resume remembers what fitted.
    told = [e.data["message"] for e in read_events(tmp_path / "forced") if e.kind == "warning"]
    assert len(told) == 2
    # The network that trains is the same to the bit; batch norm counted the halves that failed.
    whole, parts = saved(tmp_path / "asked", "network."), saved(tmp_path / "forced", "network.")
    assert all(torch.equal(whole[n], parts[n]) for n in whole if "1.running" not in n)
    assert steps(tmp_path / "forced") == steps(tmp_path / "asked")


def test_what_follows_a_step_is_resumed(tmp_path: Path) -> None:
    recipe = tiny_families.recipe("tiny_adaptive")
    train(recipe, tmp_path / "whole", on_event=silent)
    strength = saved(tmp_path / "whole", "network.strength")[""]
    told = [step["losses"]["critic.real"] for step in steps(tmp_path / "whole").values()]
    assert strength.item() == pytest.approx(0.1 * np.tanh(told).sum(), abs=1e-6)
    assert strength != 0
    weights = saved(tmp_path / "whole", "network.critic.")
    assert max(w.abs().max() for w in weights.values()) == torch.tensor(0.2)
    train(recipe, tmp_path / "cut", max_steps=5, on_event=silent)
    resume(tmp_path / "cut", on_event=silent)
    assert steps(tmp_path / "cut") == steps(tmp_path / "whole")
    again = saved(tmp_path / "cut", "")
    assert all(torch.equal(t, again[n]) for n, t in saved(tmp_path / "whole", "").items())


def test_a_flow_starts_from_its_first_batch(tmp_path: Path) -> None:
    flow = tiny_families.recipe("tiny_flow")
    train(flow, tmp_path / "whole", on_event=silent)
    training, _ = open_training(flow.data)
    (seen,) = FlowTrainer.initialised
    sampler = Sampler(len(training), 8, 3)
    pixels = torch.from_numpy(training.read(sampler.indices(0))).permute(0, 3, 1, 2) / 127.5 - 1
    flips = torch.from_numpy(sampler.flips(0))[:, None, None, None]
    pixels = torch.where(flips, pixels.flip(3), pixels)
    torch.testing.assert_close(seen, pixels)
    noisy = pixels.flatten(1) + 0.01 * normal(0, 0, "initialise", (48,))
    mean, deviation = noisy.mean(0), noisy.std(0, correction=0)
    z = (pixels.flatten(1) + 0.1 * normal(0, 0, "dequantise", (48,)) - mean) / deviation
    expected = 0.5 * z.square().mean() + deviation.log().mean()
    assert steps(tmp_path / "whole")[1]["loss"] == pytest.approx(float(expected), rel=1e-4)
    train(flow, tmp_path / "parts", max_steps=4, on_event=silent)
    resume(tmp_path / "parts", on_event=silent)
    assert len(FlowTrainer.initialised) == 2
    assert steps(tmp_path / "parts") == steps(tmp_path / "whole")
    # The average starts at these weights, not at those before.
    network, average = saved(tmp_path / "whole", "network."), saved(tmp_path / "whole", "average.")
    torch.testing.assert_close(average["log_scale"], network["log_scale"], atol=0.08, rtol=0)


def test_a_warm_start_is_not_initialised_again(tmp_path: Path) -> None:
    train(tiny_families.recipe("tiny_flow", output__half=False), tmp_path / "a", on_event=silent)
    del FlowTrainer.initialised[:]
    still = {"train__learning_rate": 1e-30, "output__half": False}
    model = tmp_path / "a" / "model.safetensors"
    warm = tiny_families.recipe("tiny_flow", 2, **still)
    train(warm, tmp_path / "b", warm_start=model, max_steps=1, on_event=silent)
    resume(tmp_path / "b", on_event=silent)
    assert not FlowTrainer.initialised
    assert np.array_equal(
        saved(tmp_path / "b", "network.")["shift"].numpy(), read_model(model).weights["shift"]
    )


def test_a_state_before_the_first_step_is_still_initialised(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def fail(event) -> None:
        if event.kind == "step":
            raise StopError

    flow = tiny_families.recipe("tiny_flow")
    with pytest.raises(StopError):
        train(flow, tmp_path / "cut", on_event=fail)
    resume(tmp_path / "cut", on_event=silent)
    train(flow, tmp_path / "whole", on_event=silent)
    assert steps(tmp_path / "cut") == steps(tmp_path / "whole")


@pytest.mark.parametrize(
    ("optimizers", "phases", "problem"),
    [
        ([("a", ("nothing",))], [("p", "a", 1)], "no module 'nothing'"),
        ([("a", ("critic",)), ("b", ("",))], [("p", "a", 1)], "two optimizers"),
        ([("a", ("critic",))], [("p", "b", 1)], "names no optimizer"),
        ([("a", ("critic",))], [("p", "a", 4)], "runs at every step"),
        ([("a.b", ("critic",))], [("p", "a.b", 1)], "no dot"),
        ([("a", ("critic",))], [("p", "a", 1), ("p", "a", 1)], "a name of its own"),
    ],
)
def test_phases_that_cannot_be(optimizers, phases, problem) -> None:
    from accelerate import Accelerator

    class Wrong:
        pass

    wrong = Wrong()
    wrong.optimizers = tuple(OptimizerSpec(*o) for o in optimizers)
    wrong.phases = tuple(Phase(n, o, every) for n, o, every in phases)
    table = tiny_families.recipe("tiny_gan").train
    with pytest.raises(ValueError, match=problem):
        Turns(wrong, table, Gan(5), Processes(Accelerator(cpu=True)))


def test_a_phase_freezes_what_it_does_not_train() -> None:
    from accelerate import Accelerator

    network = Gan(5)
    network.generator[3].bias.requires_grad_(False)
    table = tiny_families.recipe("tiny_gan").train
    turns = Turns(GanTrainer({"width": 5}, None), table, network, Processes(Accelerator(cpu=True)))
    with turns.turn(turns.phases[0]):
        assert {n for n, p in network.named_parameters() if p.requires_grad} == {
            n for n, _ in network.named_parameters() if n.startswith("critic")
        }
    assert [n for n, p in network.named_parameters() if not p.requires_grad] == ["generator.3.bias"]
    assert [p.name for p in turns.due(3)] == ["critic", "penalty", "generator"]
    assert [p.name for p in turns.due(4)] == ["critic", "generator"]
    assert turns.batches == 2
