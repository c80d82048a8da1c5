"""Against closed forms: of the forward process, of its posterior, and of a Gaussian data set."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from latentlab.backends.diffusion import DiffusionBackend, diffusion_spec
from latentlab.backends.nn.diffusion import DiffusionConfig
from latentlab.backends.solvers import Rules, Solver
from latentlab.core.denoising import SAMPLERS
from latentlab.core.noise_schedule import noise_schedule

MEAN, SPREAD = 0.1, 0.25


class Gaussian(nn.Module):
    """The exact network of images whose numbers are N(MEAN, SPREAD^2), each on its own.

    E[x0 | x_t] = MEAN + a s^2 / (a^2 s^2 + n^2) (x_t - a MEAN), with signal a and noise rate n.
    """

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.kind = config.prediction
        self.sigma = torch.from_numpy(config.noise_schedule().sigma)
        self.nothing = nn.Parameter(torch.zeros(1))

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        low = t.double().floor().long()
        share = t.double() - low
        high = (low + 1).clamp_max(len(self.sigma) - 1)
        sigma = (1 - share) * self.sigma[low] + share * self.sigma[high]
        sigma = sigma[:, None, None, None]
        a = 1 / torch.sqrt(1 + sigma**2)
        n = sigma * a
        off = x_t.double() - a * MEAN
        variance = (a * SPREAD) ** 2 + n**2
        image = MEAN + a * SPREAD**2 / variance * off
        eps = n / variance * off
        found = {"x0": image, "epsilon": eps, "v": a * eps - n * image}
        return found[self.kind].float()


def gaussian(**changes: object) -> DiffusionBackend:
    config = DiffusionConfig(
        **{"image_size": 16, "channels": 3, "widths": (8,), "mid_attention": False, **changes}
    )
    return DiffusionBackend(config, diffusion_spec(config, id="gaussian"), Gaussian(config))


@pytest.mark.parametrize("schedule", ["linear", "cosine", "offset_cosine"])
@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
def test_ddim_of_a_gaussian_data_set_is_its_closed_form(schedule: str, prediction: str) -> None:
    backend = gaussian(schedule=schedule, prediction=prediction)
    start = backend.sample_prior("noise", [1, 2])
    made = backend.decode(start, options={"sampler": "ddim", "steps": 20, "clip": False})
    own = noise_schedule(schedule)
    times = [*range(999, 0, -50)]
    signal = [*own.signal_rate[times], 1.0]
    rate = [*own.noise_rate[times], 0.0]
    # x_s - a_s mu = (a_s a_t s^2 + n_s n_t) / (a_t^2 s^2 + n_t^2) (x_t - a_t mu), step by step.
    factor = 1.0
    for i in range(20):
        variance = (signal[i] * SPREAD) ** 2 + rate[i] ** 2
        factor *= (signal[i + 1] * signal[i] * SPREAD**2 + rate[i + 1] * rate[i]) / variance
    expected = MEAN + factor * (start["noise"].double() - signal[0] * MEAN)
    assert expected.abs().max() < 1
    assert (made - expected).abs().max() < (2e-5 if schedule != "cosine" else 5e-4)


ENOUGH = {"ddpm": 500, "euler_a": 500, "ddim": 250, "euler": 250, "heun": 100}


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("name", [row.id for row in SAMPLERS])
def test_every_sampler_reaches_the_known_distribution(name: str, schedule: str) -> None:
    steps = ENOUGH.get(name, 80)
    backend = gaussian(schedule=schedule, image_size=32)
    start = backend.sample_prior("noise", range(3))
    options = {"sampler": name, "steps": steps, "clip": False, "row_keys": list(range(3))}
    made = backend.decode(start, options=options).double()
    count = made.numel()
    assert made.mean() == pytest.approx(MEAN, abs=5 * SPREAD / math.sqrt(count) + 0.003)
    # The last step gives the mean of what the noise that is left could hide, and each step of
    # those that inject noise likewise: the spread comes out a little too small.
    assert made.std() == pytest.approx(SPREAD, rel=0.05)
    # Still normal: the fourth moment of N(0, 1) is 3.
    kurtosis = (((made - made.mean()) / made.std()) ** 4).mean()
    assert kurtosis == pytest.approx(3, abs=5 * math.sqrt(96 / count) + 0.1)


def test_second_order_is_nearer_to_the_exact_map_than_first() -> None:
    """The probability flow of a Gaussian keeps (x - mu) / sqrt(s^2 + sigma^2) (Karras, eq. 1)."""
    backend = gaussian(schedule="linear")
    start = backend.sample_prior("noise", [1])

    def error(name: str, steps: int) -> float:
        made = list(backend.steps(start, options={"sampler": name, "steps": steps, "clip": False}))
        x = [step.x_t.double() * math.sqrt(1 + step.sigma**2) - MEAN for step in made]
        # Up to the last evaluation: the step to sigma 0 is of first order with all.
        widths = [math.sqrt(SPREAD**2 + step.sigma**2) for step in made]
        return float((x[-1] / widths[-1] - x[0] / widths[0]).abs().mean())

    assert error("heun", 40) < error("euler", 40) / 4
    assert error("dpmpp", 40) < error("ddim", 40) / 4
    assert error("unipc", 40) < error("ddim", 40) / 4


def test_the_forward_process_has_its_closed_form() -> None:
    schedule = noise_schedule("offset_cosine", 12)
    generator = torch.Generator().manual_seed(0)
    count = 200_000
    x = torch.full((count,), 0.7, dtype=torch.float64)
    for t, beta in enumerate(schedule.betas):
        draw = torch.randn(count, dtype=torch.float64, generator=generator)
        x = math.sqrt(1 - beta) * x + math.sqrt(beta) * draw
        rate = schedule.noise_rate[t]
        assert float(x.mean()) == pytest.approx(
            schedule.signal_rate[t] * 0.7, abs=5 * rate / math.sqrt(count)
        )
        assert float(x.var()) == pytest.approx(rate**2, rel=5 * math.sqrt(2 / count))
        assert schedule.snr[t] == pytest.approx(schedule.signal_rate[t] ** 2 / rate**2)


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
def test_a_step_of_ddpm_is_the_posterior_of_ho(prediction: str) -> None:
    """Equations 6 and 7 of Ho et al. 2020."""
    schedule = noise_schedule("linear", 100)
    generator = torch.Generator().manual_seed(2)
    shape = (2, 1, 4, 4)
    image = torch.rand(shape, dtype=torch.float64, generator=generator) * 2 - 1
    eps = torch.randn(shape, dtype=torch.float64, generator=generator)
    rules = Rules(schedule, prediction, "trailing", False)
    for call, t in ((0, 99), (40, 59), (98, 1), (99, 0)):
        solver = Solver.whole("ddpm", rules, 100)
        a, n = schedule.signal_rate[t], schedule.noise_rate[t]
        x = a * image + n * eps
        given = {"epsilon": eps, "x0": image, "v": a * eps - n * image}[prediction].float()
        kept = schedule.alphas_cumprod[t]
        before = schedule.alphas_cumprod[t - 1] if t else 1.0
        beta = schedule.betas[t]
        mean = (
            math.sqrt(before) * beta / (1 - kept) * image
            + math.sqrt(1 - beta) * (1 - before) / (1 - kept) * x
        )
        variance = (1 - before) / (1 - kept) * beta
        for draw in (0.0, 1.0):
            noise = torch.full(shape, draw)
            after = solver.step(given, call, x.float(), lambda made=noise: made, 0.0)
            expected = mean + draw * math.sqrt(variance)
            torch.testing.assert_close(after.double(), expected, rtol=1e-4, atol=2e-5)


def test_ddim_with_eta_one_keeps_the_variance_of_ddpm() -> None:
    """Song et al. 2021, equation 16: eta 1 is the variance of Ho's posterior."""
    schedule = noise_schedule("linear", 100)
    rules = Rules(schedule, "v", "trailing", False)
    solver, zero = Solver.whole("ddim", rules, 100), torch.zeros((1, 1, 1, 1))
    for call, t in ((10, 89), (60, 39), (98, 1)):
        one = solver.step(zero, call, zero, lambda: torch.ones((1, 1, 1, 1)), 1.0)
        kept, before = schedule.alphas_cumprod[t], schedule.alphas_cumprod[t - 1]
        variance = (1 - before) / (1 - kept) * schedule.betas[t]
        assert float(one) == pytest.approx(math.sqrt(variance), rel=1e-4)


def test_a_step_says_what_its_parts_are() -> None:
    backend = gaussian(schedule="linear")
    start = backend.sample_prior("noise", [3])
    schedule = noise_schedule("linear")
    for name in ("ddim", "euler", "heun"):
        for step in backend.steps(start, options={"sampler": name, "steps": 6}):
            rate = math.sqrt(1 + step.sigma**2)
            whole = (step.x0 + step.sigma * step.eps) / rate
            torch.testing.assert_close(step.x_t, whole, rtol=1e-4, atol=1e-5)
            assert torch.equal(step.preview, step.x0.clamp(-1, 1))
            low = schedule.sigma[math.floor(step.t)]
            assert low * 0.999 <= step.sigma <= schedule.sigma[math.ceil(step.t)] * 1.001
            assert step.scaling == ("preserving" if name == "ddim" else "exploding")
            assert np.isfinite(step.sigma)
