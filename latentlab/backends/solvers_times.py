"""Which times a solver visits, and how noisy they are. No ``diffusers`` here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from latentlab.core.denoising import Spacing
from latentlab.core.errors import LatentLabError
from latentlab.core.noise_schedule import NoiseSchedule

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Levels:
    """Noise levels that a run visits, the noisiest first; it ends without noise, sigma 0.

    Attributes:
        times: of each level, T - 1 to 0; some solvers visit times between whole ones.
        sigmas: noise over signal at each.
    """

    times: tuple[float, ...]
    sigmas: tuple[float, ...]

    def from_on(self, start: int) -> Levels:
        """Return the levels from number ``start`` on."""
        return Levels(self.times[start:], self.sigmas[start:])


def sigma_table(schedule: NoiseSchedule) -> Floats:
    """Return noise over signal at every time, ``(T,)``, of the precision that ``diffusers`` has.

    Their sigmas are steep at the noisy end of the cosine schedule, where rounding counts.
    """
    kept = torch.cumprod(1 - torch.tensor(schedule.betas, dtype=torch.float32), dim=0)
    return (((1 - kept) / kept) ** 0.5).double().numpy()


def levels_of(
    table: Floats, times: Sequence[float] | Floats, first_sigma: float | None = None
) -> Levels:
    """Return the levels of falling times; sigma is linear between whole times.

    Args:
        table: ``sigma_table`` of the schedule.
        times: falling.
        first_sigma: of the first one, where it is known better than by its time.
    """
    sigmas = np.interp(np.asarray(times, np.float64), np.arange(len(table)), table).tolist()
    if first_sigma is not None:
        sigmas[0] = first_sigma
    return Levels(tuple(float(time) for time in times), tuple(sigmas))


def spread(first: float, count: int, spacing: Spacing, *, past_zero: bool = False) -> Floats:
    """Return ``count`` falling times that begin with ``first``, spaced like a run from there.

    From T - 1 on they are those that ``diffusers`` chooses for a whole run, where its rule gives
    as many distinct times that begin there; where a run has uniform times, they are its own rest.

    Args:
        first: the first time.
        count: at most ``first`` + 1.
        spacing: ``trailing`` ends a step above 0, ``leading`` goes in whole equal steps to 0, and
            ``linspace`` divides evenly down to 0.
        past_zero: ``leading`` and ``linspace`` end one step earlier, as the multistep solvers do.

    Raises:
        LatentLabError: there are not so many times.
    """
    if count > first + 1:
        raise LatentLabError(
            f"Only {int(first) + 1} steps fit below time {first:.4g}: ask for fewer steps."
        )
    more = int(past_zero and count + 1 <= first + 1)
    below = 0
    if spacing == "trailing":
        times, below = (first + 1) * (1 - np.arange(count) / count), 1
    elif spacing == "linspace":
        times = np.linspace(first, 0, count + more)[:count]
    else:
        stride = (first + 1) // (count + more)
        times = stride * np.arange(count + more - 1, more - 1, -1.0)
    for found in (times.round() - below, times - below):
        found[0] = first
        if falls(found):
            break
    return found


def falls(times: Sequence[float] | Floats) -> bool:
    """Whether every time is lower than the one before it, and none below 0."""
    array = np.asarray(times, np.float64)
    return bool((np.diff(array) < 0).all() and array[-1] >= 0)
