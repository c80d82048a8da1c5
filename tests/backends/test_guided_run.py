"""Restorations by the diffusion backend: what is known is kept, by every sampler."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from latentlab.core.denoising import SAMPLERS
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition
from latentlab.core.restoration import (
    Restoration,
    colourise,
    inpaint,
    start_noise,
    super_resolve,
    uncrop,
)
from tests.diffusion_models import tiny_diffusion

SHAPE = (3, 16, 16)


@pytest.fixture(scope="module")
def backend() -> Any:
    return tiny_diffusion()


def photo() -> np.ndarray:
    return np.random.default_rng(4).integers(60, 200, (16, 16, 3), dtype=np.uint8)


def painted() -> np.ndarray:
    mask = np.zeros((16, 16), np.uint8)
    mask[4:12, 4:12] = 255
    return mask


def parts(known: Restoration, seed: int = 3) -> dict[str, Tensor]:
    latents = known.latents(start_noise(seed, SHAPE))
    return {name: torch.from_numpy(np.array(array)) for name, array in latents.items()}


def restored(backend: Any, known: Restoration, **options: Any) -> np.ndarray:
    with torch.inference_mode():
        images = backend.decode(
            parts(known),
            space="guided",
            condition=Condition(null=True),
            options={"steps": 6, **known.options(), **options},
        )
    return ((images[0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).byte().numpy()


KINDS = {
    "inpaint": lambda: inpaint(photo(), painted()),
    "uncrop": lambda: uncrop(photo(), 0.5),
    "colourise": lambda: colourise(photo()),
    "super_resolve": lambda: super_resolve(photo(), 4),
}


@pytest.mark.parametrize("name", [row.id for row in SAMPLERS])
@pytest.mark.parametrize("kind", ["inpaint", "uncrop"])
def test_known_pixels_come_back_as_they_are(backend: Any, kind: str, name: str) -> None:
    known = KINDS[kind]()
    image = restored(backend, known, sampler=name)
    # The noise that DDPM and Euler ancestral leave at their last step is none.
    assert known.psnr(image) > 48
    here = known.mask[0] == 1
    assert np.abs(image[~here].astype(int) - photo()[~here]).max() > 20


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("travel", [0, 2])
def test_every_kind_is_held_to_what_is_known(backend: Any, kind: str, travel: int) -> None:
    known = KINDS[kind]()
    image = restored(backend, known, sampler="ddim", eta=0.85, travel=travel, clip=False)
    # Where the image would have to leave black and white, it cannot agree.
    inside = ((image > 0) & (image < 255)).all(axis=2)
    assert inside.mean() > 0.3
    seen = replace(known, mask=known.mask * inside)
    assert math.isnan(seen.psnr(image)) or seen.psnr(image) > 48


def test_a_seed_stands_for_the_noise_of_a_prior_sample(backend: Any) -> None:
    drawn = backend.sample_prior("guided", [3])["noise"][0].numpy()
    assert np.array_equal(start_noise(3, SHAPE), drawn)


def test_an_empty_mask_is_plain_sampling(backend: Any) -> None:
    nothing = inpaint(photo(), np.full((16, 16), 255, np.uint8))
    noise = parts(nothing)["noise"]
    for options in ({}, {"sampler": "ddim", "eta": 1.0}, {"sampler": "heun"}):
        with torch.inference_mode():
            plain = backend.decode({"noise": noise}, options={"steps": 6, **options})
            guided = backend.decode(parts(nothing), space="guided", options={"steps": 6, **options})
        assert torch.allclose(plain, guided, atol=2e-6)


def test_going_back_repeats_every_five_steps_but_the_last(backend: Any) -> None:
    known = KINDS["inpaint"]()
    options = {"steps": 12, "sampler": "ddim", "travel": 1}
    steps = list(backend.steps(parts(known), space="guided", options=options))
    times = [step.t for step in steps]
    assert len(times) == steps[0].count == 5 + 5 + 5 + 5 + 2
    assert times[:5] == times[5:10]
    assert times[10:15] == times[15:20]
    assert times[4] > times[10] > times[20]
    # x_t has the variance of its time again: where pixels are known it is theirs and the noise's.
    again, here = steps[5], torch.from_numpy(known.mask[0] == 1)
    signal = 1 / (1 + again.sigma**2) ** 0.5
    left = (again.x_t - signal * parts(known)["known"])[0][:, here]
    assert left.std().item() == pytest.approx(signal * again.sigma, rel=0.15)


def test_a_run_that_goes_back_is_taken_up_and_branched_anywhere(backend: Any) -> None:
    known = KINDS["inpaint"]()
    options = {"steps": 12, "sampler": "ddpm", "travel": 1}
    steps = list(backend.steps(parts(known), space="guided", options=options))
    for place in (4, 5, 12):
        rest = backend.steps(
            parts(known), space="guided", options=options, start=steps[place - 1].state
        )
        assert torch.equal(list(rest)[-1].result, steps[-1].result)
        branch = {**options, "branch": f"{place}:guidance=2"}
        after = list(backend.steps(parts(known), space="guided", options=branch))
        assert after[place - 1].t == steps[place - 1].t
        assert all(a.t > b.t for a, b in zip(after[place - 1 :], after[place:]))
        assert after[-1].result is not None


def test_only_samplers_without_history_go_back(backend: Any) -> None:
    with pytest.raises(LatentLabError, match="Only DDIM and DDPM can go back"):
        restored(backend, KINDS["inpaint"](), sampler="dpmpp", travel=1)
