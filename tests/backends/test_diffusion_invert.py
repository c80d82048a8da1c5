"""DDIM inversion: there and back."""

from __future__ import annotations

import pytest
import torch

from latentlab.backends.base import EncodeUpdate
from latentlab.backends.diffusion import DiffusionBackend
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition
from tests.diffusion_models import tiny_diffusion

SMILE = Condition(attributes={"smiling": 1.0})


@pytest.fixture(scope="module")
def backend() -> DiffusionBackend:
    found = tiny_diffusion(schedule="offset_cosine")
    # Smooth enough for the fixed points to be found soon, as a trained network is.
    found.network.unet.conv_out.weight.data.mul_(0.3)
    return found


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    small = torch.rand((2, 3, 4, 4), generator=generator) * 1.6 - 0.8
    return torch.nn.functional.interpolate(small, size=16, mode="bilinear")


def last(backend: DiffusionBackend, images: torch.Tensor, **options: object) -> EncodeUpdate:
    condition = options.pop("condition", None)
    return list(backend.encode(images, condition=condition, options=options))[-1]


def test_refining_brings_the_round_trip_ever_nearer(
    backend: DiffusionBackend, images: torch.Tensor
) -> None:
    errors = [
        float(last(backend, images, steps=8, refine=r, condition=SMILE).residual.mean())
        for r in (0, 1, 2, 4)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 100


def test_the_fixed_point_is_the_exact_inverse_of_every_spacing(
    backend: DiffusionBackend, images: torch.Tensor
) -> None:
    # 7 steps do not divide 1000 times: the steps of DDIM do not quite meet their times.
    for spacing in ("trailing", "linspace"):
        found = last(backend, images, steps=7, refine=7, spacing=spacing)
        assert float(found.residual.max()) < 1e-4, spacing


def test_the_fixed_point_is_the_inverse_of_a_guided_run(
    backend: DiffusionBackend, images: torch.Tensor
) -> None:
    found = last(backend, images, steps=7, refine=9, guidance=2.0, condition=SMILE)
    assert found.options["guidance"] == 2
    assert float(found.residual.max()) < 1e-4


def test_the_updates_count_evaluations_and_lead_back(
    backend: DiffusionBackend, images: torch.Tensor
) -> None:
    given = {"steps": 5, "refine": 2, "guidance": 1.5}
    updates = list(backend.encode(images, condition=SMILE, options=given))
    assert [u.index for u in updates] == list(range(1, 16))
    assert {u.count for u in updates} == {15}
    assert [u.options.get("start_at") for u in updates[2::3]] == [199, 399, 599, 799, None]
    assert updates[-1].options == {
        "sampler": "ddim", "steps": 5, "guidance": 1.5, "clip": False,
    }  # fmt: skip
    for update in updates[2::3]:
        back = backend.decode(update.latents, condition=SMILE, options=update.options)
        assert (back - images).square().mean() < 1e-2
    again = backend.decode(updates[-1].latents, condition=SMILE, options=updates[-1].options)
    assert torch.equal(again, updates[-1].reconstruction)
    expected = (again - images).square().flatten(1).mean(1)
    torch.testing.assert_close(updates[-1].residual, expected)
    assert updates[-1].condition == SMILE


def test_plain_inversion_by_hand(backend: DiffusionBackend, images: torch.Tensor) -> None:
    """Song et al. 2021, section 4.3, with the noise of the state that is known."""
    schedule = backend.config.noise_schedule()
    vector = torch.zeros((2, backend.config.condition_dim))
    x, times, known = images, [249, 499, 749, 999], [249, 249, 499, 749]
    a_before, n_before = 1.0, 0.0
    for t, told in zip(times, known):
        a_told, n_told = schedule.signal_rate[told], schedule.noise_rate[told]
        with torch.no_grad():
            v = backend.network(x, torch.full((2,), told), vector)
        eps = n_told * x + a_told * v
        a, n = schedule.signal_rate[t], schedule.noise_rate[t]
        x = a * ((x - n_before * eps) / a_before) + n * eps
        a_before, n_before = a, n
    found = last(backend, images, steps=4, refine=0)
    torch.testing.assert_close(found.latents["noise"], x.float(), rtol=1e-4, atol=1e-4)


def test_wrong_options_are_said_in_a_sentence(
    backend: DiffusionBackend, images: torch.Tensor
) -> None:
    for words, options in {
        "no option 'speed'": {"speed": 1},
        "The option steps cannot be 0": {"steps": 0},
        "refine cannot be -1": {"refine": -1},
    }.items():
        with pytest.raises(LatentLabError, match=words):
            last(backend, images, **options)
    with pytest.raises(LatentLabError, match="no attribute 'hat'"):
        last(backend, images, steps=2, condition=Condition(attributes={"hat": 1.0}))
