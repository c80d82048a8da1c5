"""Noise schedules: closed forms of their papers, and the betas of ``diffusers``."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from diffusers import DDPMScheduler

from latentlab.core.errors import LatentLabError
from latentlab.core.noise_schedule import SCHEDULES, noise_schedule


@pytest.mark.parametrize(
    ("name", "theirs"), [("linear", "linear"), ("cosine", "squaredcos_cap_v2")]
)
@pytest.mark.parametrize("count", [10, 1000])
def test_betas_equal_those_of_diffusers(name: str, theirs: str, count: int) -> None:
    mine = noise_schedule(name, count, beta_start=3e-4, beta_end=0.03)
    other = DDPMScheduler(count, 3e-4, 0.03, beta_schedule=theirs)
    np.testing.assert_allclose(mine.betas, other.betas.double().numpy(), rtol=2e-6)
    # Theirs is a product in float32.
    np.testing.assert_allclose(
        mine.alphas_cumprod, other.alphas_cumprod.double().numpy(), rtol=1e-3, atol=1e-9
    )


def test_linear_is_evenly_spaced() -> None:
    betas = noise_schedule("linear").betas
    assert (betas[0], betas[-1], len(betas)) == (1e-4, 0.02, 1000)
    np.testing.assert_allclose(np.diff(betas), (0.02 - 1e-4) / 999)


def test_cosine_is_equation_17_of_nichol_and_dhariwal() -> None:
    found = noise_schedule("cosine", 1000)

    def f(t: int) -> float:
        return math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2

    for t in (1, 2, 250, 500, 900, 998):
        assert found.alphas_cumprod[t - 1] == pytest.approx(f(t) / f(0), rel=1e-9)
    assert found.betas.max() == 0.999


def test_offset_cosine_turns_at_an_even_pace_between_its_rates() -> None:
    found = noise_schedule("offset_cosine", 101)
    assert found.signal_rate[[0, -1]] == pytest.approx([0.95, 0.02])
    angles = np.arctan2(found.noise_rate, found.signal_rate)
    np.testing.assert_allclose(np.diff(angles), np.diff(angles)[0], rtol=1e-9)
    middle = (math.acos(0.95) + math.acos(0.02)) / 2
    assert found.noise_rate[50] == pytest.approx(math.sin(middle))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("count", [1, 2, 50, 1000])
def test_what_holds_of_every_schedule(name: str, count: int) -> None:
    found = noise_schedule(name, count)
    assert (found.name, found.num_timesteps) == (name, count)
    for array in (found.betas, found.alphas_cumprod, found.snr, found.sigma):
        assert array.shape == (count,)
        assert array.dtype == np.float64
        assert np.isfinite(array).all()
    assert ((found.betas > 0) & (found.betas < 1)).all()
    np.testing.assert_allclose(found.signal_rate**2 + found.noise_rate**2, 1, rtol=1e-12)
    np.testing.assert_allclose(found.snr, found.sigma**-2.0)
    assert (np.diff(found.snr) < 0).all()
    # The chain of single steps ends where one jump does (Ho et al. 2020, equations 2 and 4).
    variance, signal = 0.0, 1.0
    for beta in found.betas:
        variance, signal = (1 - beta) * variance + beta, signal * math.sqrt(1 - beta)
    assert signal == pytest.approx(found.signal_rate[-1], rel=1e-9)
    assert variance == pytest.approx(found.noise_rate[-1] ** 2, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("sine", {}, "no schedule 'sine': choose linear, cosine, offset_cosine"),
        ("cosine", {"num_timesteps": 0}, "1 to 100000 steps"),
        ("linear", {"beta_start": 0.5, "beta_end": 0.1}, "0 < start"),
        ("linear", {"beta_end": 1.0}, "below 1|end < 1"),
        ("linear", {"num_timesteps": 100_000}, "without a trace of the image"),
        ("linear", {"beta_start": 0.9, "beta_end": 0.99}, "without a trace of the image"),
        ("linear", {"beta_start": 1e-12}, "without noise"),
    ],
)
def test_wrong_schedules_are_one_sentence(name: str, options: dict, words: str) -> None:
    with pytest.raises(LatentLabError, match=words):
        noise_schedule(name, **options)


def test_no_torch_is_needed() -> None:
    code = "import sys, latentlab.core.noise_schedule; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
