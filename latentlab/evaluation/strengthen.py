"""Edits that do too little are turned towards the direction that changes their attribute most."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.backends.probe import Probe
from latentlab.core.spec import LatentSpace
from latentlab.evaluation.measure import (
    Progress,
    decoded_levels,
    edit_figures,
    paired_changes,
    prior_latents,
    prior_seeds,
)
from latentlab.latent.directions import flatten, make_direction, unit

Float = NDArray[np.float64]

SEED = 900_002
"""Set of prior samples for strengthening; no measurement uses it."""
STEEPEST_SAMPLES = 4096
JUDGED_SAMPLES = 256
AMOUNT = 2.0
WANTED_TARGET = 1.05
"""Change of the attribute at ``AMOUNT`` slider units, in standard deviations, that is enough."""
WANTED_SELECTIVITY = 4.0
TURNS = (0.25, 0.5, 0.75)
CHUNK = 64


def steepest(
    backend: Any, probe: Probe, space: LatentSpace, columns: Sequence[str]
) -> Generator[Progress, None, Float]:
    """Return the mean gradient of every reading over prior samples, ``(K, D)``.

    For z ~ N(0, I), E[grad f(z)] = Cov(z, f(z)) (Stein 1981, lemma 1): decoding and reading samples
    is enough, and no backend has to be differentiable.
    """
    seeds = prior_seeds(SEED, STEEPEST_SAMPLES)
    rows, readings = [], []
    for start in range(0, len(seeds), CHUNK):
        latents = prior_latents(backend, space.name, seeds[start : start + CHUNK])
        rows.append(flatten(space, latents.parts))
        readings.append(probe.standardised(decoded_levels(backend, latents), columns))
        yield start + latents.batch, len(seeds), "reading prior samples"
    z, values = np.concatenate(rows), np.concatenate(readings)
    return (values - values.mean(0)).T @ (z - z.mean(0)) / len(z)


def strengthened(
    backend: Any,
    probe: Probe,
    space: LatentSpace,
    vectors: Mapping[str, Float],
    held_out: Float,
) -> Generator[Progress, None, dict[str, Float]]:
    """Turn the vectors whose attribute changes too little towards its steepest direction.

    A vector is turned no further than its attribute needs, and only as long as it stays selective.

    Args:
        backend: of the model; its prior must be N(0, I).
        probe: reads the attributes.
        space: that the vectors lie in.
        vectors: ``(D,)`` by name; each name is a column of the probe.
        held_out: posterior means ``(N, D)`` that set the slider unit.
    """
    names = list(vectors)
    gradients = yield from steepest(backend, probe, space, names)
    chosen = {name: unit(vector) for name, vector in vectors.items()}
    waiting = dict(zip(names, gradients))
    for turn in (0.0, *TURNS):
        tried = {
            name: unit((1 - turn) * unit(vectors[name]) + turn * unit(gradient))
            for name, gradient in waiting.items()
        }
        if not tried:
            break
        directions = [
            make_direction(name, space, vector, held_out, method="strengthened")
            for name, vector in tried.items()
        ]
        changes = yield from paired_changes(
            backend,
            probe,
            directions,
            names,
            seeds=prior_seeds(SEED + 1, JUDGED_SAMPLES),
            amount=AMOUNT,
        )
        for row, name in enumerate(tried):
            figures = edit_figures(name, changes[row], names, set())
            if turn == 0.0 or figures.selectivity >= WANTED_SELECTIVITY:
                chosen[name] = tried[name]
            if figures.target >= WANTED_TARGET or figures.selectivity < WANTED_SELECTIVITY:
                del waiting[name]
    return chosen
