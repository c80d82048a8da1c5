"""From an image to its noise: DDIM run backwards.

A step of DDIM without injected noise is x_s = a x_t + b eps(x_t, t) (Song et al. 2021, arXiv
2010.02502, equation 12), so that x_t = (x_s - b eps(x_t, t)) / a. Where x_t is not known yet, the
noise is predicted at x_s and s instead (Song et al. 2021, section 4.3; Dhariwal and Nichol 2021,
arXiv 2105.05233, appendix F); of the image itself, at the first t. ``refine`` repeats the step with
the x_t that was found, a fixed point of which is the exact inverse (Pan et al. 2023, "Effective
Real Image Editing with Accelerated Iterative Diffusion Inversion", arXiv 2309.04907).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field, FiniteFloat
from torch import Tensor

from latentlab.backends.base import EncodeUpdate
from latentlab.backends.diffusion_plan import Settings, first_solver
from latentlab.backends.diffusion_run import Denoiser
from latentlab.core.denoising import Sampling, Spacing, read_options
from latentlab.core.latents import Condition
from latentlab.core.spec import Frozen

if TYPE_CHECKING:
    from latentlab.backends.diffusion import DiffusionBackend


class Inversion(Frozen):
    """The options of ``encode`` of a diffusion model.

    Attributes:
        steps: of DDIM, 1 to the model's number of times.
        guidance: weight of the condition; above 1 inversion soon fails, 1 follows it.
        refine: further evaluations a step.
        spacing: of the times.
        reconstruct: whether to decode the noise at the end.
    """

    steps: int = Field(50, ge=1, le=1000)
    guidance: FiniteFloat = Field(1.0, ge=0, le=50)
    refine: int = Field(1, ge=0, le=20)
    spacing: Spacing = "trailing"
    reconstruct: bool = True

    @classmethod
    def from_options(cls, options: Mapping[str, Any] | None) -> Inversion:
        """Read options.

        Raises:
            LatentLabError: an option that does not exist, or a value that it cannot have.
        """
        return read_options(cls, dict(options or {}), "Inversion")

    @property
    def sampling(self) -> Sampling:
        """How the noise is made an image again."""
        own = self.model_dump(include={"steps", "guidance", "spacing"})
        return Sampling.model_validate({**own, "sampler": "ddim", "clip": False})


def invert(
    backend: DiffusionBackend,
    images: Tensor,
    condition: Condition | None,
    settings: Inversion,
) -> Iterator[EncodeUpdate]:
    """Yield after every evaluation of the network.

    The ``latents`` of an update are x_t at variance 1, and its ``options`` those of ``decode`` that
    lead from there back to the image: ``start_at`` before the last update, whose latents are x_T.
    The ``reconstruction`` before the last update is the image that the network predicts at x_t.

    Args:
        backend: the model.
        images: ``(B, C, H, W)`` in [-1, 1].
        condition: what the images show.
        settings: of the inversion.
    """
    sampling = settings.sampling
    solver = first_solver(backend.rules(sampling), sampling, "ddim")
    follow = Settings("ddim", settings.guidance, 0.0, 0, condition)
    denoiser = Denoiser(backend.network, backend.config, follow, len(images), backend.device)
    times = torch.tensor(solver.times, dtype=torch.float32).to(backend.device)
    options = sampling.to_options()
    turns = 1 + settings.refine
    count = solver.calls * turns
    x = images
    for done, call in enumerate(reversed(range(solver.calls))):
        sigma, after = solver.sigmas[call], solver.sigma_after(call)
        guess = x
        for turn in range(turns):
            known = call + 1 if turn == 0 and call + 1 < solver.calls else call
            with torch.inference_mode():
                output = denoiser(guess, times[known])
                x0, eps = denoiser.split(output, guess, solver.sigmas[known])
                guess = _before(x, eps, sigma, after)
            index = done * turns + turn + 1
            if index < count:
                at = {} if call == 0 else {"start_at": round(solver.times[call])}
                yield _update(index, count, guess, condition, {**options, **at}, x0, images)
        x = guess
    yield _last(backend, images, x, count, condition, settings)


def _before(after: Tensor, eps: Tensor, sigma: float, sigma_after: float) -> Tensor:
    """Return x_t by x_s = a x_t + b eps: the state that a step of DDIM brings to ``after``."""
    signal, signal_after = 1 / math.sqrt(1 + sigma**2), 1 / math.sqrt(1 + sigma_after**2)
    # a = signal_after / signal, and b = signal_after (sigma_after - sigma).
    return (after / signal_after - (sigma_after - sigma) * eps) * signal


def _update(
    index: int,
    count: int,
    x: Tensor,
    condition: Condition | None,
    options: Mapping[str, Any],
    picture: Tensor | None,
    images: Tensor,
) -> EncodeUpdate:
    residual = None
    if picture is not None:
        picture = picture.clamp(-1, 1)
        residual = (picture - images).square().flatten(1).mean(1)
    return EncodeUpdate(index, count, {"noise": x}, condition, picture, residual, options)


def _last(
    backend: DiffusionBackend,
    images: Tensor,
    x: Tensor,
    count: int,
    condition: Condition | None,
    settings: Inversion,
) -> EncodeUpdate:
    options = settings.sampling.to_options()
    picture = None
    if settings.reconstruct:
        picture = backend.decode({"noise": x}, condition=condition, options=options)
    return _update(count, count, x, condition, options, picture, images)
