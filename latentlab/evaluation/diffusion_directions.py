"""Edits of a diffusion model's noise, found by descending through sampler and probe.

The mean gradient of what the probe reads by the noise, E[df/dz], is the best linear direction of f:
for standard normal z it equals E[z f(z)] (Stein 1981), what regression on the noise would find, and
a hundred gradients tell it better than thousands of readings, each of which is one number about
3,072. Every gradient counts by its direction alone: a reading near 0 or 1 has hardly a slope, and
the few samples on the edge would outweigh all others (measured: target and selectivity of nearly
all edits rise).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlab.backends.probe import Probe
from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.data.portraits.attributes import EDIT_ATTRIBUTES
from latentlab.evaluation.diffusion import Drawn, fast
from latentlab.evaluation.measure import (
    EditReport,
    Progress,
    measure_edit,
    paired_changes,
    prior_latents,
    prior_seeds,
)
from latentlab.evaluation.portraits import annotated, edit_quality
from latentlab.latent.directions import calibrate, flatten, make_direction

METHOD = "mean gradient"
GRADIENT_SEED, CALIBRATION_SEED = 900_003, 900_004
"""Sets of prior samples; no measurement uses them."""
STEPS = 10
"""Of the sampler that is descended through; more steps lead to nearly the same images."""
BATCH = 16
CALIBRATION_SAMPLES = 64
AMOUNT = 2.0
UNIT_SAMPLES = 4000
"""Draws that say how far a slider unit is."""

Float = NDArray[np.float64]
Fitted = Generator[Progress, None, dict[str, Direction]]


def noise_directions(
    backend: Any, probe: Probe, samples: int, *, calibrated: bool = True
) -> Fitted:
    """Fit directions of the noise of a model of portraits, without a condition.

    Args:
        backend: of the model.
        probe: reads the images.
        samples: gradients that are averaged; less than a batch gives rough sliders in seconds.
        calibrated: also take off, by ``calibrate``, what they do to each other on average.

    Returns:
        The eight edits by name. A direction whose gradient vanishes is left out: early in
        training images may depend on nothing.
    """
    space = backend.spec.space()
    names = [name for name in EDIT_ATTRIBUTES if name in probe.columns]
    gradients = yield from _gradients(backend, probe, names, samples)
    moving = [i for i, row in enumerate(gradients) if np.isfinite(row).all() and row.any()]
    names, gradients = [names[i] for i in moving], gradients[moving]
    held_out = _unit_draws(backend)
    if calibrated and len(names) > 1:
        gradients = yield from _calibrated(backend, probe, names, gradients, held_out)
    about = {"probe": {"fingerprint": probe.fingerprint}, "count": samples, "seed": GRADIENT_SEED}
    return {
        name: make_direction(
            name,
            space,
            vector,
            held_out,
            method=METHOD,
            group="attributes",
            provenance=about,
        )
        for name, vector in zip(names, gradients)
    }


def measured_edits(
    backend: Any, probe: Probe, directions: Mapping[str, Direction], samples: int
) -> Generator[Progress, None, tuple[dict[str, float], dict[str, Direction]]]:
    """Measure what the eight edits do to prior samples of the default sampler.

    Returns:
        ``target_<attribute>`` and ``selectivity_<attribute>``, as other families have them; and
        the directions with these figures in their provenance.
    """
    report: EditReport | None = None
    if any(name in EDIT_ATTRIBUTES for name in directions):
        for item in measure_edit(Drawn(backend, {}), directions, probe, samples=max(2, samples)):
            if isinstance(item, EditReport):
                report = item
            else:
                yield item
    return edit_quality(report), annotated(directions, report)


def _unit_draws(backend: Any) -> Float:
    space = backend.spec.space()
    latents = prior_latents(backend, space.name, prior_seeds(CALIBRATION_SEED + 1, UNIT_SAMPLES))
    return flatten(space, latents.parts)


def _gradients(
    backend: Any, probe: Probe, names: Sequence[str], samples: int
) -> Generator[Progress, None, Float]:
    """Return the mean unit gradient of every reading by the noise, ``(len(names), D)``."""
    space = backend.spec.space()
    total = np.zeros((len(names), space.size))
    seeds = prior_seeds(GRADIENT_SEED, samples)
    for start in range(0, samples, BATCH):
        rows = seeds[start : start + BATCH]
        noise = backend.sample_prior(space.name, rows)["noise"].detach().clone()
        with torch.enable_grad():
            noise.requires_grad_(True)
            read = probe.standardised_with_gradient(_decoded(backend, noise), names)
            for column in range(len(names)):
                (slope,) = torch.autograd.grad(
                    read[:, column].sum(), noise, retain_graph=column + 1 < len(names)
                )
                flat = slope.double().flatten(1)
                length = flat.norm(dim=1, keepdim=True)
                total[column] += torch.where(length > 0, flat / length, 0).sum(0).cpu().numpy()
        yield start + len(rows), samples, "descending through the sampler"
    return total / samples


def _decoded(backend: Any, noise: Tensor) -> Tensor:
    """Return the images of noise with their gradient: ``decode``, outside inference mode."""
    images: Tensor | None = None
    # Clipping would cut the gradient off; the images hardly differ.
    options = {"sampler": "ddim", "steps": STEPS, "clip": False}
    with fast(noise.device):
        for step in backend.steps({"noise": noise}, options=options):
            images = step.result
    if images is None:
        raise LatentLabError("The sampler gave no image: choose another model.")
    return images.float()


def _calibrated(
    backend: Any, probe: Probe, names: Sequence[str], gradients: Float, held_out: Float
) -> Generator[Progress, None, Float]:
    space = backend.spec.space()
    directions = [
        make_direction(n, space, v, held_out, method=METHOD) for n, v in zip(names, gradients)
    ]
    changes = yield from paired_changes(
        Drawn(backend, {"steps": STEPS}),
        probe,
        directions,
        names,
        seeds=prior_seeds(CALIBRATION_SEED, CALIBRATION_SAMPLES),
        amount=AMOUNT,
    )
    moves = np.stack(
        [flatten(space, {k: v[None] for k, v in d.vector.items()})[0] * d.scale for d in directions]
    )
    return calibrate(moves, changes.mean(axis=1) / AMOUNT, range(len(names)))
