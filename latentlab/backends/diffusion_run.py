"""Walking a planned run of denoising, one evaluation of the network at a time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from latentlab.backends.base import DiffusionStep
from latentlab.backends.conditions import condition_vector
from latentlab.backends.diffusion_plan import DiffusionState, Settings, Stretch, root_of
from latentlab.backends.guided import guide, known_rows
from latentlab.backends.nn.diffusion import DiffusionConfig, split_prediction
from latentlab.core.denoising import Sampling, Show, Task, parse_path
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents
from latentlab.core.noise import MAX_SEED, noise
from latentlab.core.row_keys import stored_keys

INJECTED = "sampler"
"""Stream of the noise that samplers inject; the index is that of the step."""
REDRAWN = "branch"
"""Stream of the noise of a new x_t; the index is that of the branching point."""
TRAVELLED = "travel"
"""Stream of the noise with which a run goes back; the index is that of the step."""


def noise_key(seed: int, row_key: int) -> int:
    """Return the seed of a row's injected noise: of the run's own seed and the row's key."""
    digest = hashlib.blake2b(f"{seed}:{row_key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") & MAX_SEED


def shown(step: DiffusionStep, show: Show) -> Tensor:
    """Return what of a step a person looks at, ``(B, C, H, W)`` in [-1, 1].

    ``x0`` is the predicted image. ``eps`` is the predicted noise, 3 standard deviations being 1.
    ``x_t`` is divided by signal rate + 2 noise rate: 2 standard deviations of noise are 1 at the
    start, and the image is itself at the end.
    """
    if show == "x0":
        return step.preview
    if show == "eps":
        return (step.eps / 3).clamp(-1, 1)
    return (step.x_t * (math.sqrt(1 + step.sigma**2) / (1 + 2 * step.sigma))).clamp(-1, 1)


@dataclass(frozen=True)
class Guide:
    """What is known of the images of a run in the space ``guided``.

    Attributes:
        known: ``(B, C, H, W)``.
        mask: ``(B, 1, H, W)``.
        task: how it is known.
        factor: side of a block.
    """

    known: Tensor
    mask: Tensor
    task: Task
    factor: int


class Denoiser:
    """The network with a condition and classifier-free guidance.

    Ho and Salimans 2022 (arXiv 2207.12598): uncond + w (cond - uncond), both in one evaluation of
    2 B rows; weight 0, or no condition, is one of the unconditional prediction, weight 1 one of
    the conditional. A model without conditions knows no guidance.

    Args:
        network: ``(x_t, t, condition) -> prediction``.
        config: of the network.
        settings: condition and weight.
        batch: rows B.
        device: of the network.

    Raises:
        LatentLabError: the model does not have the condition.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        config: DiffusionConfig,
        settings: Settings,
        batch: int,
        device: torch.device,
    ) -> None:
        self._network, self._kind = network, config.prediction
        self._weight = settings.guidance
        given = settings.condition or Condition()
        told = condition_vector(config, given, batch)
        self._both = False
        if told is not None:
            named = given.class_index is not None or bool(given.attributes)
            is_given = named and not given.null
            self._both = is_given and settings.guidance not in (0, 1)
            nothing = torch.zeros_like(told)
            if self._both:
                told = torch.cat([nothing, told])
            elif settings.guidance == 0:
                told = nothing
            told = told.to(device)
        self._told = told

    def __call__(self, x_t: Tensor, time: Tensor) -> Tensor:
        """Return the prediction ``(B, C, H, W)`` after guidance.

        Args:
            x_t: ``(B, C, H, W)`` at variance 1.
            time: one number, on the device.
        """
        if not self._both:
            alone: Tensor = self._network(x_t, time.expand(len(x_t)), self._told)
            return alone
        twice = torch.cat([x_t, x_t])
        free, bound = self._network(twice, time.expand(len(twice)), self._told).chunk(2)
        guided: Tensor = free + self._weight * (bound - free)
        return guided

    def split(self, output: Tensor, x_t: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """Return the predicted image and noise of a prediction at x_t."""
        signal = 1 / math.sqrt(1 + sigma**2)
        return split_prediction(self._kind, output, x_t, signal, signal * sigma)


def as_prediction(kind: str, x0: Tensor, eps: Tensor, sigma: float) -> Tensor:
    """Return an image and its noise in a parametrisation of a network."""
    if kind == "epsilon":
        return eps
    signal = 1 / math.sqrt(1 + sigma**2)
    return x0 if kind == "x0" else signal * eps - (signal * sigma) * x0


class Run:
    """A planned run over given latents.

    Args:
        network: of the model.
        config: of the model.
        device: of the model.
        sampling: options, branches among them.
        stretches: the plan.
        start: x_T, or x_t at variance 1, ``(B, C, H, W)``, on the device.
        row_keys: of the rows' injected noise; ``None`` makes them of the rows of ``start``.
        guide: what is known of the images, if anything.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        config: DiffusionConfig,
        device: torch.device,
        sampling: Sampling,
        stretches: Sequence[Stretch],
        start: Tensor,
        row_keys: Sequence[int] | None,
        guide: Guide | None,
    ) -> None:
        if row_keys is not None and len(row_keys) != len(start):
            raise LatentLabError(
                f"There are {len(row_keys)} keys of noise for {len(start)} rows: give one a row."
            )
        self._network, self._config, self._device = network, config, device
        self._sampling, self._stretches = sampling, stretches
        self._root = root_of(sampling)
        self._start, self._row_keys, self._guide = start, row_keys, guide
        if guide is not None:
            for stretch in stretches:
                stretch.solver.only_predict()
        self.count = stretches[-1].count
        self._stop = sampling.stop_at or self.count
        if self._stop > self.count:
            raise LatentLabError(
                f"This run has {self.count} steps: choose a frame from 1 to {self.count}."
            )
        # Conditions that the model does not have are found before the first step.
        self._denoisers = [
            Denoiser(network, config, s.settings, len(start), device) for s in stretches
        ]

    def steps(self, state: DiffusionState | None = None) -> Iterator[DiffusionStep]:
        """Yield the steps from the beginning, or those after ``state``.

        Gradients are kept where they are asked for: by latents that require them.
        """
        quiet = not (torch.is_grad_enabled() and self._start.requires_grad)
        number, index, x, x0 = 0, 0, self._start, None
        if state is not None:
            number, index, x, x0 = self._resumed(state)
        for place in range(number, len(self._stretches)):
            stretch = self._stretches[place]
            last = place + 1 == len(self._stretches)
            stop = self.count if last else self._stretches[place + 1].first
            if state is None or place > number:
                with torch.inference_mode(quiet):
                    x = self._entered(place, x, x0)
            times = torch.tensor(stretch.solver.times, dtype=torch.float32).to(self._device)
            while index < stop:
                # A generator must not yield inside the mode: it would leak into the asker's code.
                with torch.inference_mode(quiet):
                    step = self._step(place, index, x, times)
                x, x0, index = step.state.x, step.state.x0, step.index
                yield step
                if index >= self._stop:
                    return

    def _resumed(self, state: DiffusionState) -> tuple[int, int, Tensor, Tensor]:
        depth = len(parse_path(state.path))
        if (
            state.sampling != self._root
            or depth >= len(self._stretches)
            or self._stretches[depth].path != state.path
            or state.x.shape != self._start.shape
        ):
            raise LatentLabError("This step belongs to another run: start the run anew.")
        beyond = self._stretches[depth + 1 :]
        if beyond and state.index > beyond[0].first:
            raise LatentLabError(
                f"The branch leaves after step {beyond[0].first}, and this is step {state.index}: "
                "go on from an earlier step."
            )
        self._stretches[depth].solver.restore(state.history)
        x, x0 = state.x.to(self._device), state.x0.to(self._device)
        return depth, state.index, x, x0

    def _entered(self, place: int, x: Tensor, x0: Tensor | None) -> Tensor:
        """Return x where a stretch begins."""
        stretch = self._stretches[place]
        solver, seed = stretch.solver, stretch.redraw
        if stretch.first == 0:
            # A branch at the start of a branch at the start begins with that one's noise.
            seeds = [s.redraw for s in self._stretches[: place + 1] if s.redraw is not None]
            if not seeds or not stretch.whole:
                return solver.start(self._start, whole=stretch.whole)
            return solver.start(self._rows(seeds[-1], REDRAWN, 0))
        if seed is not None and x0 is not None:
            sigma = solver.sigmas[0]
            around = (x0 + sigma * self._rows(seed, REDRAWN, stretch.first)) / math.sqrt(
                1 + sigma**2
            )
            return solver.start(around, whole=False)
        parent = self._stretches[place - 1]
        before, sigma = parent.solver, parent.solver.sigmas[parent.call_on(stretch.first)]
        # Heun may begin with less noise than there is.
        if solver is before or (before.scaling, sigma) == (solver.scaling, solver.sigmas[0]):
            return x
        x_t = x / math.sqrt(1 + sigma**2) if before.scaling == "exploding" else x
        return solver.start(x_t, whole=False)

    def _step(self, place: int, index: int, x: Tensor, times: Tensor) -> DiffusionStep:
        stretch = self._stretches[place]
        solver, denoiser = stretch.solver, self._denoisers[place]
        call = stretch.call(index)
        sigma = solver.sigmas[call]
        if call != stretch.call_on(index):
            x = self._back(stretch, index, x)
        x_t = solver.at_variance_one(x, call)
        output = denoiser(x_t, times[call])
        x0, eps = denoiser.split(output, x_t, sigma)
        if solver.takes != self._config.prediction:
            output = as_prediction(solver.takes, x0, eps, sigma)
        if self._guide is not None:
            known = self._guide
            x, new = guide(
                x, x0, solver.signal(call), known.known, known.mask, known.task, known.factor
            )
            x_t = x_t + (new - x0) / math.sqrt(1 + sigma**2)
            x0 = new
            held = as_prediction(solver.takes, x0, eps, sigma)
            # Of a row of which nothing is known, not even rounding may differ.
            output = torch.where(known_rows(known.mask), held, output)
        seed = stretch.settings.seed
        after = solver.step(
            output, call, x, lambda: self._rows(seed, INJECTED, index), stretch.settings.eta
        )
        preview = x0.clamp(-1, 1)
        state = DiffusionState(
            self._root,
            stretch.path,
            index + 1,
            after,
            preview if self._sampling.clip else x0,
            solver.history(),
        )
        step = DiffusionStep(
            index=index + 1,
            count=self.count,
            preview=preview,
            state=state,
            result=None,
            t=solver.times[call],
            sigma=sigma,
            x_t=x_t,
            x0=x0,
            eps=eps,
            scaling=solver.scaling,
        )
        return self._ended(step, after)

    def _back(self, stretch: Stretch, index: int, x: Tensor) -> Tensor:
        """Return x at the noise level of an earlier call, by the forward process.

        Lugmayr et al. 2022 (arXiv 2201.09865), section 4.2; x preserves the variance.
        """
        solver = stretch.solver
        now = solver.sigma_after(stretch.call(index - 1))
        then = solver.sigmas[stretch.call(index)]
        fresh = self._rows(stretch.settings.seed, TRAVELLED, index)
        spread = math.sqrt(max(0.0, then**2 - now**2))
        return (x * math.sqrt(1 + now**2) + spread * fresh) / math.sqrt(1 + then**2)

    def _ended(self, step: DiffusionStep, after: Tensor) -> DiffusionStep:
        """Return the step with its result, where the run is over or shall be looked at."""
        if step.index < self._stop:
            return step
        asked = self._sampling.stop_at is not None
        result = shown(step, self._sampling.show) if asked else after.clamp(-1, 1)
        return replace(step, result=result)

    def _rows(self, seed: int, stream: str, index: int) -> Tensor:
        """Draw standard normal noise ``(B, C, H, W)``; row i depends on its own key alone."""
        if self._row_keys is None:
            rows = self._start.detach().cpu().contiguous().numpy()
            self._row_keys = stored_keys(Latents("noise", {"noise": rows}))
        shape = self._start.shape[1:]
        keys = (noise_key(seed, int(key)) for key in self._row_keys)
        drawn = torch.from_numpy(np.stack([noise(key, stream, index, shape) for key in keys]))
        return to_device(drawn, self._device)


def to_device(array: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device, in the layout of the network, without stopping a GPU."""
    array = array.to(torch.float32).contiguous(memory_format=torch.channels_last)
    if device.type == "cuda" and array.device.type == "cpu":
        return array.pin_memory().to(device, non_blocking=True)
    return array.to(device)
