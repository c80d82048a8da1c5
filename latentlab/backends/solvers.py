"""The solvers of ``diffusers`` on a model's own noise schedule, one network evaluation a call.

A whole run visits the times that the scheduler itself chooses, and is equal to the scheduler's own
loop. Other runs (branches, runs from the middle) are given their noise levels: the solvers over
sigma take them as they are, DDPM and DDIM as the respaced chain of Nichol and Dhariwal 2021
(arXiv 2102.09672, section 4), whose alpha-bars are those of the levels.

Where the rule of ``diffusers`` fails, the levels are given too: the additional time -1 of spacing
``trailing`` (T = 1000: 61, 103, 121 ... steps), times that come twice (T steps of the multistep
solvers), and time 0 as the only one (one step with ``linspace`` or ``leading``). Heun's correction
is wild where the first sigma is in the thousands, as that of the cosine schedule is: there it
begins at the last time whose sigma is at most 40, where the signal is a fortieth of the noise.

Clipping of the predicted image: DDPM and DDIM by ``clip_sample``; DPM-Solver++ and UniPC by
``thresholding`` with ``sample_max_value`` 1, which is clamping (the percentile that it would sort
for is left out); Euler, Euler ancestral and Heun take predictions as they are.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from latentlab.backends.solvers_times import (
    Floats,
    Levels,
    falls,
    levels_of,
    sigma_table,
    spread,
)
from latentlab.core.denoising import SamplerName, Spacing, sampler
from latentlab.core.families.diffusion import Prediction
from latentlab.core.noise_schedule import NoiseSchedule

Draw = Callable[[], Tensor]
"""Makes the standard normal noise of a call, ``(B, C, H, W)``."""

HISTORY = (
    "_step_index",
    "model_outputs",
    "timestep_list",
    "lower_order_nums",
    "this_order",
    "last_sample",
    "prev_derivative",
    "dt",
    "sample",
    "is_scale_input_called",
)
"""Attributes of a scheduler that its steps change."""

_WILD, _TAME = 200.0, 40.0
"""A first sigma beyond which Heun fails, and the one that it begins with instead."""
_CHAINS = ("ddpm", "ddim")
MULTISTEP = ("dpmpp", "unipc")
"""Samplers that remember the step before; ``diffusers`` spaces their times in another way."""
_CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "ddpm": ("DDPMScheduler", {"variance_type": "fixed_small"}),
    "ddim": ("DDIMScheduler", {"set_alpha_to_one": True}),
    "dpmpp": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "solver_order": 2, "solver_type": "midpoint"},
    ),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {"solver_order": 2}),
}
_PREDICTIONS = {"epsilon": "epsilon", "x0": "sample", "v": "v_prediction"}


@dataclass(frozen=True)
class Rules:
    """What all solvers of a run have in common.

    Attributes:
        schedule: of training.
        prediction: what the network gives.
        spacing: of the times.
        clip: whether predicted images are held within [-1, 1], where the solver can.
    """

    schedule: NoiseSchedule
    prediction: Prediction
    spacing: Spacing
    clip: bool

    @cached_property
    def sigmas(self) -> Floats:
        """Noise over signal at every time."""
        return sigma_table(self.schedule)


def solver_prediction(name: str, prediction: Prediction) -> Prediction:
    """Return what a solver is given: Euler ancestral takes no images, so it is given v of them.

    By v an image comes back to the last digits at every sigma, by its noise it would not.
    """
    return "v" if name == "euler_a" and prediction == "x0" else prediction


def build_scheduler(name: str, rules: Rules) -> Any:
    """Return the scheduler of ``diffusers`` on our schedule, without times yet."""
    import diffusers

    class_name, config = _CLASSES[name]
    clip: dict[str, Any] = {}
    if name in _CHAINS:
        clip = {"clip_sample": rules.clip, "clip_sample_range": 1.0}
    elif name in MULTISTEP:
        clip = {"thresholding": rules.clip, "sample_max_value": 1.0}
    scheduler = getattr(diffusers, class_name)(
        num_train_timesteps=rules.schedule.num_timesteps,
        trained_betas=rules.schedule.betas,
        prediction_type=_PREDICTIONS[solver_prediction(name, rules.prediction)],
        timestep_spacing=rules.spacing,
        **config,
        **clip,
    )
    if name in MULTISTEP:
        # With a largest value of 1 the percentile cannot matter: it would be sorted for in vain.
        scheduler._threshold_sample = _clamp
    return scheduler


def _clamp(images: Tensor) -> Tensor:
    return images.clamp(-1, 1)


def _step_with_noise(scheduler: Any, draw: Draw) -> Callable[..., tuple[Tensor, ...]]:
    """Return the scheduler's ``step`` with noise that is given.

    Nothing of ``diffusers`` is changed: the same code runs over a copy of its module's names, in
    which ``randn_tensor`` is ours.
    """
    step: Any = type(scheduler).step
    if "randn_tensor" not in step.__code__.co_names:
        raise RuntimeError(f"{type(scheduler).__name__} draws its noise in an unknown way")
    names = {**step.__globals__, "randn_tensor": lambda *_args, **_kwargs: draw()}
    copied = types.FunctionType(
        step.__code__, names, step.__name__, step.__defaults__, step.__closure__
    )
    return types.MethodType(copied, scheduler)


class Solver:
    """A solver on its levels. It changes while it walks; ``history`` and ``restore`` carry that.

    Args:
        name: of a sampler.
        rules: of the run.
        scheduler: with its times.
        levels: that it visits.
        stride: of DDIM in a whole run: it steps to T // steps times below the one it is at.

    Attributes:
        times: float, of each call: what the network is told.
        sigmas: noise over signal of each call.
        scaling: of ``x``: variance ``preserving`` or ``exploding``.
        calls: network evaluations in all: as many as levels; Heun has 2 N - 1.
    """

    def __init__(
        self, name: SamplerName, rules: Rules, scheduler: Any, levels: Levels, stride: int | None
    ) -> None:
        self.name = name
        self.levels = levels
        self.scheduler = scheduler
        self.scaling: Literal["preserving", "exploding"] = sampler(name).scaling
        self.takes = solver_prediction(name, rules.prediction)
        per_call = [0, *(i for i in range(1, len(levels.times)) for _ in range(2))]
        self._level = per_call if name == "heun" else list(range(len(levels.times)))
        self.times = [levels.times[i] for i in self._level]
        self.sigmas = [levels.sigmas[i] for i in self._level]
        self.calls = len(self.times)
        self._arguments = scheduler.timesteps
        self._ends = _ends(levels, rules.sigmas, stride)
        if name in _CHAINS:
            # Plain numbers index faster, and DDPM compares them with its own.
            self._arguments = [int(time) for time in scheduler.timesteps]
        else:
            scheduler.set_begin_index(0)
        if name == "euler_a":
            _keep_real(scheduler.sigmas)

    @classmethod
    def whole(cls, name: SamplerName, rules: Rules, steps: int) -> Solver:
        """Return the solver of a whole run of ``steps`` steps, 1 to T."""
        scheduler = build_scheduler(name, rules)
        scheduler.set_timesteps(steps)
        times = scheduler.timesteps.double().numpy()
        times = np.append(times[:1], times[1::2]) if name == "heun" else times
        last = rules.schedule.num_timesteps - 1
        if len(times) != steps or not falls(times) or (times[0] == 0 and last):
            given = spread(last, steps, rules.spacing, past_zero=name in MULTISTEP)
            return cls.along(name, rules, levels_of(rules.sigmas, given))
        if name == "heun" and rules.sigmas[int(times[0])] > _WILD:
            return cls.along(name, rules, levels_of(rules.sigmas, times))
        levels = levels_of(rules.sigmas, times)
        stride = rules.schedule.num_timesteps // steps if name == "ddim" else None
        return cls(name, rules, scheduler, levels, stride)

    @classmethod
    def along(cls, name: SamplerName, rules: Rules, levels: Levels) -> Solver:
        """Return the solver of a run over levels of ours."""
        if name in _CHAINS:
            return cls(name, rules, _chain(name, rules, levels), levels, None)
        if name == "heun":
            levels = _tamed(rules, levels)
        scheduler = build_scheduler(name, rules)
        scheduler.set_timesteps(min(2, rules.schedule.num_timesteps))
        times = torch.tensor(levels.times, dtype=torch.float32)
        sigmas = torch.tensor([*levels.sigmas, 0.0], dtype=torch.float32)
        if name == "heun":
            times = torch.cat([times[:1], times[1:].repeat_interleave(2)])
            sigmas = torch.cat([sigmas[:1], sigmas[1:-1].repeat_interleave(2), sigmas[-1:]])
        scheduler.timesteps, scheduler.sigmas = times, sigmas
        scheduler.num_inference_steps = len(levels.times)
        return cls(name, rules, scheduler, levels, None)

    def start(self, noise: Tensor, *, whole: bool = True) -> Tensor:
        """Return the solver's first x.

        Args:
            noise: ``(B, C, H, W)``, standard normal, or x_t at variance 1.
            whole: it is noise, scaled as the scheduler asks; else x_t.
        """
        if self.scaling == "preserving":
            return noise
        if whole:
            return noise * float(self.scheduler.init_noise_sigma)
        return noise * math.sqrt(1 + self.sigmas[0] ** 2)

    def at_variance_one(self, x: Tensor, call: int) -> Tensor:
        """Return x before a call, as the network is given it."""
        if self.scaling == "preserving":
            return x
        # The scheduler sets its own counter at its first call alone.
        scaled: Tensor = self.scheduler.scale_model_input(x, self._arguments[call])
        return scaled

    def signal(self, call: int) -> float:
        """Return the factor on the image within x: 1 where the variance explodes."""
        return 1.0 if self.scaling == "exploding" else 1 / math.sqrt(1 + self.sigmas[call] ** 2)

    def only_predict(self) -> None:
        """Leave UniPC's corrector out, for runs whose x is moved between steps.

        The corrector goes on from the x of the step before, and would undo the movement.
        """
        if self.name == "unipc":
            self.scheduler.disable_corrector = list(range(self.calls))

    def sigma_after(self, call: int) -> float:
        """Return noise over signal of x after a call, as the solver means it."""
        return self._ends[self._level[call]]

    def steps_left(self, call: int) -> int:
        """Return how many levels are left before a call, its own among them."""
        return len(self.levels.times) - self._level[call]

    def rest(self, call: int) -> Levels:
        """Return the levels that are left before a call."""
        return self.levels.from_on(self._level[call])

    def step(self, output: Tensor, call: int, x: Tensor, draw: Draw, eta: float) -> Tensor:
        """Return x after a call.

        Args:
            output: of the network, as ``takes`` says, after guidance.
            call: counted from 0.
            x: before it.
            draw: the noise of this call; asked only where noise is injected.
            eta: of DDIM.
        """
        time = self._arguments[call]
        if self.name == "ddim":
            share = self._eta(time, eta)
            noise = draw() if share > 0 else None
            after: Tensor = self.scheduler.step(
                output, time, x, eta=share, variance_noise=noise, return_dict=False
            )[0]
            return after
        step = self.scheduler.step
        if self.name in ("ddpm", "euler_a"):
            last = call + 1 == self.calls
            step = _step_with_noise(self.scheduler, (lambda: x.new_zeros(())) if last else draw)
        return step(output, time, x, return_dict=False)[0]

    def _eta(self, time: int, eta: float) -> float:
        """Return eta, or a hair less where rounding would ask for the root of less than 0."""
        if eta == 0:
            return 0.0
        scheduler = self.scheduler
        before = time - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
        if before < 0:
            return 0.0  # the last step injects nothing
        variance = scheduler._get_variance(time, before)
        while 1 - scheduler.alphas_cumprod[before] - (eta * variance**0.5) ** 2 < 0:
            eta *= 1 - 2**-22
        return eta

    def history(self) -> dict[str, Any]:
        """Return what the steps so far have left in the scheduler; later steps do not change it.

        The schedulers replace their tensors and never write into them, so that lists alone are
        copied.
        """
        found = vars(self.scheduler)
        return {
            name: list(found[name]) if isinstance(found[name], list) else found[name]
            for name in HISTORY
            if name in found
        }

    def restore(self, history: Mapping[str, Any]) -> None:
        """Put back what ``history`` gave."""
        own = vars(self.scheduler)
        for name in HISTORY:
            own.pop(name, None)
        for name, value in history.items():
            own[name] = list(value) if isinstance(value, list) else value


def _ends(levels: Levels, sigmas: Floats, stride: int | None) -> list[float]:
    if stride is None:
        return [*levels.sigmas[1:], 0.0]
    times = [int(time) - stride for time in levels.times]
    return [float(sigmas[time]) if time >= 0 else 0.0 for time in times]


def _keep_real(sigmas: Tensor) -> None:
    """Move sigmas of Euler ancestral by a millionth where rounding would give it a root below 0."""
    for index in range(len(sigmas) - 1):
        before, after = sigmas[index], sigmas[index + 1]
        for _ in range(100):
            up = (after**2 * (before**2 - after**2) / before**2) ** 0.5
            if after**2 - up**2 >= 0:
                break
            before *= 1 - 2**-20


def _tamed(rules: Rules, levels: Levels) -> Levels:
    """Return as many levels, from a sigma on with which Heun can begin."""
    count = len(levels.times)
    if levels.sigmas[0] <= _WILD:
        return levels
    first = int(np.searchsorted(rules.sigmas, _TAME, side="right")) - 1
    if count > first + 1:
        return levels_of(rules.sigmas, np.linspace(first, 0, count))
    return levels_of(rules.sigmas, spread(first, count, rules.spacing))


def _chain(name: str, rules: Rules, levels: Levels) -> Any:
    """Return a DDPM or DDIM scheduler whose chain is made of the levels alone."""
    count = len(levels.times)
    kept = 1 / (1 + np.array(levels.sigmas[::-1]) ** 2)
    betas = 1 - kept / np.append(1.0, kept[:-1])
    own = NoiseSchedule("respaced", count, betas, kept)
    scheduler = build_scheduler(name, replace(rules, schedule=own, spacing="leading"))
    scheduler.set_timesteps(count)
    scheduler.alphas_cumprod = torch.from_numpy(kept).float()
    return scheduler
