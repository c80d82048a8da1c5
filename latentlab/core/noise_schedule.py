"""Noise schedules of diffusion models as plain arrays, float64. No torch here.

A schedule says how an image becomes noise over T steps: q(x_t | x_0) is normal with mean
``signal_rate[t] * x_0`` and standard deviation ``noise_rate[t]`` (Ho et al. 2020, arXiv 2006.11239,
equation 4; step t of the paper, counted from 1, is index t - 1 here).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError

ScheduleName = Literal["linear", "cosine", "offset_cosine"]
SCHEDULES: tuple[str, ...] = get_args(ScheduleName)
MOST_TIMESTEPS = 100_000
COSINE_OFFSET = 0.008
"""s of Nichol and Dhariwal 2021, equation 17: so that the first steps still add some noise."""
LARGEST_BETA = 0.999
LEAST_NOISE, LEAST_SIGNAL = 1e-7, 1e-30
"""Shares of the variance, of the noise at the first time and of the image at the last: samplers
compute in float32, for which less is nothing."""
MAX_SIGNAL, MIN_SIGNAL = 0.95, 0.02
"""Signal rates at the two ends of the offset cosine schedule."""


@dataclass(frozen=True)
class NoiseSchedule:
    """How much signal and noise there is at each of T steps; all arrays are float64 ``(T,)``.

    Attributes:
        name: ``linear``, ``cosine`` or ``offset_cosine``.
        num_timesteps: T.
        betas: variance that each step adds, 0 to 1.
        alphas_cumprod: share of the variance that is still the image's: prod (1 - beta).
    """

    name: str
    num_timesteps: int
    betas: NDArray[np.float64]
    alphas_cumprod: NDArray[np.float64]

    @property
    def signal_rate(self) -> NDArray[np.float64]:
        """Factor of the image in x_t: sqrt(alphas_cumprod)."""
        return np.sqrt(self.alphas_cumprod)

    @property
    def noise_rate(self) -> NDArray[np.float64]:
        """Standard deviation of the noise in x_t: sqrt(1 - alphas_cumprod)."""
        return np.sqrt(1.0 - self.alphas_cumprod)

    @property
    def snr(self) -> NDArray[np.float64]:
        """Ratio of the variances of signal and noise."""
        return self.alphas_cumprod / (1.0 - self.alphas_cumprod)

    @property
    def sigma(self) -> NDArray[np.float64]:
        """Noise per unit of signal (Karras et al. 2022, arXiv 2206.00364): noise / signal rate."""
        return self.noise_rate / self.signal_rate


def noise_schedule(
    name: str,
    num_timesteps: int = 1000,
    *,
    beta_start: float = 1e-4,
    beta_end: float = 0.02,
) -> NoiseSchedule:
    """Return a schedule.

    Args:
        name: ``linear`` has evenly spaced betas (Ho et al. 2020); ``cosine`` is equation 17 of
            Nichol and Dhariwal 2021 (arXiv 2102.09672) with betas of at most 0.999;
            ``offset_cosine`` turns at an even pace from a signal rate of 0.95 to one of 0.02, the
            noise being the sine (the DDIM example of Keras).
        num_timesteps: T, 1 to 100,000.
        beta_start: first beta of ``linear``.
        beta_end: last beta of ``linear``.

    Raises:
        LatentLabError: an unknown name, numbers out of range, or a schedule on which nothing can be
            computed in float32: its first time has no noise, or its last no signal.
    """
    if not 1 <= num_timesteps <= MOST_TIMESTEPS:
        raise LatentLabError(f"A noise schedule has 1 to {MOST_TIMESTEPS} steps.")
    if name == "linear":
        if not 0.0 < beta_start <= beta_end < 1.0:
            raise LatentLabError("Betas rise between 0 and 1: choose 0 < start <= end < 1.")
        betas = np.linspace(beta_start, beta_end, num_timesteps)
    elif name == "cosine":
        edges = np.arange(num_timesteps + 1) / num_timesteps
        angle = (edges + COSINE_OFFSET) / (1.0 + COSINE_OFFSET) * math.pi / 2
        kept = np.cos(angle) ** 2
        betas = np.minimum(1.0 - kept[1:] / kept[:-1], LARGEST_BETA)
    elif name == "offset_cosine":
        angles = np.linspace(math.acos(MAX_SIGNAL), math.acos(MIN_SIGNAL), num_timesteps)
        kept = np.cos(angles) ** 2
        betas = 1.0 - kept / np.concatenate([[1.0], kept[:-1]])
    else:
        raise LatentLabError(f"There is no schedule '{name}': choose {', '.join(SCHEDULES)}.")
    betas = np.asarray(betas, np.float64)
    kept = np.cumprod(1.0 - betas)
    if 1.0 - kept[0] < LEAST_NOISE:
        raise LatentLabError("This noise schedule begins without noise: choose larger betas.")
    if kept[-1] < LEAST_SIGNAL:
        raise LatentLabError(
            "This noise schedule ends without a trace of the image: choose smaller betas or fewer "
            "time steps."
        )
    return NoiseSchedule(name, num_timesteps, betas, np.asarray(kept, np.float64))
