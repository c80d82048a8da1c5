"""The diffusion backend through its interface."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from latentlab.backends.checkpoint import backend_from, load_backend
from latentlab.backends.diffusion import DiffusionBackend
from latentlab.backends.diffusion_run import shown
from latentlab.core.denoising import SAMPLERS
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents
from latentlab.core.modelfile import read_model
from latentlab.core.row_keys import stored_keys
from tests.backends.test_solvers_parity import wavy_backend
from tests.diffusion_models import tiny_diffusion, write_tiny

NAMES = [row.id for row in SAMPLERS]
SMILE = Condition(attributes={"smiling": 1.0})
QUICK = {"steps": 4}


@pytest.fixture(scope="module")
def backend() -> DiffusionBackend:
    return tiny_diffusion()


@pytest.fixture(scope="module")
def wavy() -> DiffusionBackend:
    return wavy_backend(attribute_names=("smiling",), image_size=8)


class Counting(torch.nn.Module):
    """Passes calls on and remembers how many rows each had."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network, self.rows = network, []

    def forward(self, x_t, t, condition=None):
        self.rows.append(len(x_t))
        return self.network(x_t, t, condition)


@pytest.fixture
def counted(backend: DiffusionBackend) -> Iterator[Counting]:
    network = backend.network
    backend.network = Counting(network)
    yield backend.network
    backend.network = network


def test_the_spec_says_how_it_was_trained(backend: DiffusionBackend, tmp_path) -> None:
    facts = backend.spec.diffusion
    assert (facts.schedule, facts.num_timesteps, facts.prediction) == ("cosine", 1000, "v")
    assert [space.name for space in backend.spec.spaces] == ["noise", "guided"]
    assert backend.spec.encode_kind == "optimised"
    loaded = load_backend(write_tiny(tmp_path / "mine.safetensors"))
    assert loaded.spec.id == "mine"
    start = backend.sample_prior("noise", [1])
    assert torch.equal(loaded.decode(start, options=QUICK), backend.decode(start, options=QUICK))


def test_a_file_whose_facts_are_not_those_of_its_network_is_refused(tmp_path) -> None:
    stored = read_model(write_tiny(tmp_path / "mine.safetensors"))
    told = stored.header.spec.diffusion.model_copy(update={"num_timesteps": 10})
    spec = stored.header.spec.model_copy(update={"diffusion": told})
    header = stored.header.model_copy(update={"spec": spec})
    with pytest.raises(LatentLabError, match="says of itself \\(diffusion\\)"):
        backend_from(replace(stored, header=header))


def test_guidance_by_hand(backend: DiffusionBackend) -> None:
    """uncond + w (cond - uncond), of the network's own prediction."""
    start = backend.sample_prior("noise", [1, 2])
    told = torch.tensor([[1.0, 0, 0, 1]]).expand(2, -1)
    with torch.no_grad():
        time = torch.full((2,), 999.0)
        free = backend.network(start["noise"], time, torch.zeros_like(told))
        bound = backend.network(start["noise"], time, told)
    for weight in (0.0, 0.4, 1.0, 5.0):
        options = {"guidance": weight, **QUICK}
        step = next(backend.steps(start, condition=SMILE, options=options))
        v = free + weight * (bound - free)
        signal = 1 / math.sqrt(1 + step.sigma**2)
        noise = step.sigma * signal
        torch.testing.assert_close(step.x0, signal * step.x_t - noise * v, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(step.eps, noise * step.x_t + signal * v, rtol=1e-4, atol=1e-5)


def test_guidance_costs_two_evaluations_only_where_it_must(
    backend: DiffusionBackend, counted: Counting
) -> None:
    start = backend.sample_prior("noise", [1, 2, 3])
    for options, condition, rows in (
        ({"guidance": 3.0}, SMILE, 6),
        ({"guidance": 1.0}, SMILE, 3),
        ({"guidance": 0.0}, SMILE, 3),
        ({"guidance": 3.0}, None, 3),
        ({"guidance": 3.0}, Condition(null=True, attributes={"smiling": 1.0}), 3),
    ):
        counted.rows.clear()
        backend.decode(start, condition=condition, options={**QUICK, **options})
        assert counted.rows == [rows] * 4
    nothing = backend.decode(start, condition=SMILE, options={"guidance": 0.0, **QUICK})
    assert torch.equal(nothing, backend.decode(start, options=QUICK))


def test_an_unconditional_model_knows_no_guidance() -> None:
    free = tiny_diffusion(attribute_names=())
    start = free.sample_prior("noise", [1])
    plain = free.decode(start, options=QUICK)
    assert torch.equal(free.decode(start, options={"guidance": 7.0, **QUICK}), plain)
    with pytest.raises(LatentLabError, match="takes no condition"):
        free.decode(start, condition=SMILE, options=QUICK)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_never_depends_on_its_batch(wavy: DiffusionBackend, name: str) -> None:
    options = {"sampler": name, "steps": 6, "eta": 1.0, "guidance": 2.0}
    branch = {"branch": "3:noise=4"}
    start = wavy.sample_prior("noise", [5, 6, 7])
    for given in (options, {**options, **branch}):
        keys = {"row_keys": [50, 60, 70]}
        for own, alone in (({}, {}), (keys, {"row_keys": [60]})):
            whole = wavy.decode(start, condition=SMILE, options={**given, **own})
            parts = {"noise": start["noise"][1:2]}
            one = wavy.decode(parts, condition=SMILE, options={**given, **alone})
            torch.testing.assert_close(one[0], whole[1], rtol=1e-4, atol=1e-5)


def test_noise_without_keys_comes_from_the_rows_themselves(wavy: DiffusionBackend) -> None:
    start = wavy.sample_prior("noise", [5, 5, 6])
    made = wavy.decode(start, options={"sampler": "ddpm", "steps": 6})
    assert torch.equal(made[0], made[1])
    keys = stored_keys(Latents("noise", {"noise": start["noise"].numpy()}))
    keyed = wavy.decode(start, options={"sampler": "ddpm", "steps": 6, "row_keys": keys})
    assert torch.equal(made, keyed)
    other = wavy.decode(start, options={"sampler": "ddpm", "steps": 6, "row_keys": [1, 2, 3]})
    assert not torch.equal(other[0], other[1])


@pytest.mark.parametrize("show", ["x0", "x_t", "eps"])
@pytest.mark.parametrize("name", ["ddim", "heun"])
def test_a_frame_of_a_run_is_a_picture(wavy: DiffusionBackend, name: str, show: str) -> None:
    start = wavy.sample_prior("noise", [1, 2])
    options = {"sampler": name, "steps": 5, "branch": "2:steps=4"}
    steps = list(wavy.steps(start, options=options))
    for index in (1, 2, 3, steps[-1].count):
        frame = wavy.decode(start, options={**options, "stop_at": index, "show": show})
        step = steps[index - 1]
        assert torch.equal(frame, shown(step, show))
        assert frame.abs().max() <= 1
        signal = 1 / math.sqrt(1 + step.sigma**2)
        wanted = {
            "x0": step.x0,
            "eps": step.eps / 3,
            "x_t": step.x_t / (signal + 2 * signal * step.sigma),
        }[show]
        torch.testing.assert_close(frame, wanted.clamp(-1, 1), rtol=1e-4, atol=1e-5)
    watched = list(wavy.steps(start, options={**options, "stop_at": 3, "show": show}))
    assert [s.result is None for s in watched] == [True, True, False]
    assert watched[0].count == steps[0].count


def test_clipping_holds_the_image_where_the_solver_can(wavy: DiffusionBackend) -> None:
    start = wavy.sample_prior("noise", [1])
    for name in NAMES:
        given = {"sampler": name, "steps": 5, "row_keys": [1]}
        held = list(wavy.steps(start, options={**given, "clip": True}))
        free = list(wavy.steps(start, options={**given, "clip": False}))
        assert free[0].x0.abs().max() > 1
        clips = name not in ("euler", "euler_a", "heun")
        assert torch.equal(held[1].x_t, free[1].x_t) != clips, name


def guided(backend: DiffusionBackend, **parts: torch.Tensor) -> dict[str, torch.Tensor]:
    return {**backend.sample_prior("guided", [1, 2]), **parts}


@pytest.mark.parametrize("name", NAMES)
def test_where_nothing_is_known_guided_sampling_is_plain(wavy: DiffusionBackend, name: str) -> None:
    options = {"sampler": name, "steps": 5}
    start = guided(wavy)
    plain = wavy.decode({"noise": start["noise"]}, options=options)
    made = wavy.decode(start, space="guided", options=options)
    # UniPC only predicts in guided runs.
    assert torch.equal(made, plain) == (name != "unipc")
    # A row of which something is known changes nothing of the other.
    start["mask"][1, :, :4] = 1
    beside = wavy.decode(start, space="guided", options=options)
    assert torch.equal(beside[0], made[0])
    assert not torch.equal(beside[1], made[1])


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_known_stands_in_the_result(name: str, prediction: str) -> None:
    backend = wavy_backend(prediction=prediction, schedule="linear", image_size=8, channels=1)
    known = torch.linspace(-0.8, 0.8, 64).reshape(1, 1, 8, 8).expand(2, -1, -1, -1)
    mask = torch.zeros((2, 1, 8, 8))
    mask[:, :, :, :5] = 1
    mask[1] = 0
    start = guided(backend, known=known, mask=mask)
    options = {"sampler": name, "steps": 12}
    steps = list(backend.steps(start, space="guided", options=options))
    made = steps[-1].result
    torch.testing.assert_close(made[0, :, :, :5], known[0, :, :, :5], rtol=0, atol=2e-3)
    for step in steps:
        assert torch.equal(step.x0[0, :, :, :5], known[0, :, :, :5])
    # The other row knows nothing: it is made as ever. (UniPC only predicts in guided runs.)
    if name != "unipc":
        plain = backend.decode({"noise": start["noise"]}, options=options)
        torch.testing.assert_close(made[1], plain[1], rtol=1e-3, atol=1e-3)


def test_guided_runs_are_resumed_to_the_bit(wavy: DiffusionBackend) -> None:
    mask = torch.ones((2, 1, 8, 8))
    mask[:, :, 4:] = 0
    start = guided(wavy, known=torch.full((2, 1, 8, 8), 0.5), mask=mask)
    for name in NAMES:
        given = {"space": "guided", "options": {"sampler": name, "steps": 6}}
        whole = list(wavy.steps(start, **given))
        rest = list(wavy.steps(start, start=whole[2].state, **given))
        assert torch.equal(rest[-1].result, whole[-1].result)


def test_nothing_is_left_in_inference_mode_or_in_diffusers(wavy: DiffusionBackend) -> None:
    from diffusers.schedulers import scheduling_ddpm

    drawn = scheduling_ddpm.randn_tensor
    start = wavy.sample_prior("noise", [1])
    for _ in wavy.steps(start, options={"sampler": "ddpm", "steps": 3}):
        assert not torch.is_inference_mode_enabled()
        assert scheduling_ddpm.randn_tensor is drawn
    for _ in wavy.encode(start["noise"].clamp(-1, 1), options={"steps": 3}):
        assert not torch.is_inference_mode_enabled()


def test_the_prior_of_guided_knows_nothing(backend: DiffusionBackend) -> None:
    plain, parts = (backend.sample_prior(space, [4, 5]) for space in ("noise", "guided"))
    assert torch.equal(parts["noise"], plain["noise"])
    assert not parts["known"].any()
    assert parts["mask"].shape == (2, 1, 16, 16)
    many = backend.sample_prior("noise", range(40))["noise"].double()
    assert abs(float(many.mean())) < 5 / math.sqrt(many.numel())
    assert float(many.var()) == pytest.approx(1, abs=5 * math.sqrt(2 / many.numel()))


def test_a_short_run_is_made_of_whole_evaluations(
    backend: DiffusionBackend, counted: Counting
) -> None:
    start = backend.sample_prior("noise", [1])
    steps = backend.steps(start, options={"steps": 25})
    assert counted.rows == []
    next(steps)
    assert len(counted.rows) == 1
    steps.close()
    backend.decode(start, options={"sampler": "heun", "steps": 3})
    assert len(counted.rows) == 1 + 5


def test_options_that_cannot_be_are_said_before_the_first_step(
    backend: DiffusionBackend,
) -> None:
    start = backend.sample_prior("noise", [1])
    for options, condition, words in (
        ({"steps": 1001}, None, "steps"),
        ({"sampler": "plms"}, None, "sampler"),
        ({}, Condition(attributes={"hat": 1.0}), "no attribute 'hat'"),
        ({"branch": "3:attr.hat=1"}, None, "no attribute 'hat'"),
        ({"task": "super_resolve", "factor": 3}, None, "factor"),
    ):
        with pytest.raises(LatentLabError, match=words):
            backend.steps(start, condition=condition, options=options)
    assert np.isfinite(backend.decode(start, options=QUICK).numpy()).all()
