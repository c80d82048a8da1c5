"""Edits refined by gradient: turned until they change their attribute and little else.

A direction found from labels is straight where the decoder bends, and what it does to other
attributes differs from sample to sample: no combination of fitted directions takes that off. Here
the measured effect itself is descended, through the decoder and the probe (as Jahanian et al. 2020,
arXiv 1907.07171, learn a walk by the loss of its images).
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlab.backends.base import DecodesWithGradient
from latentlab.backends.probe import Probe
from latentlab.core.noise import permutation
from latentlab.core.spec import LatentSpace
from latentlab.evaluation.measure import (
    Progress,
    edit_figures,
    paired_changes,
    prior_latents,
    prior_seeds,
)
from latentlab.latent.directions import flat_parts, flatten, make_direction, unit

Float = NDArray[np.float64]

SEED = 900_002
"""Set of prior samples that is descended on; no measurement uses it."""
POOL = 2048
JUDGED_SAMPLES = 256
BATCH = 128
STEPS = 150
LEARNING_RATE = 0.03
AMOUNT = 2.0
WANTED_TARGET = 1.15
"""Change of the attribute at ``AMOUNT`` slider units, in standard deviations, that is enough."""
SHORTFALL_WEIGHT = 2.0
PEAK = 6
"""Order of the mean that stands for the largest side effect: smooth, and near the maximum."""


@dataclass(frozen=True, eq=False)
class _Ground:
    """What all attributes share.

    Attributes:
        latents: prior samples ``(N, D)``, of all parts of the space.
        readings: ``(N, K)`` of them.
        covariance: of the data, ``(d, d)``, in the parts that move.
        moving: int64 ``(d,)``: where these parts are among the D numbers.
    """

    latents: Tensor
    readings: Tensor
    covariance: Tensor
    moving: Tensor


class _Reader:
    """Readings of decoded latents, in standard deviations of the data, with their gradient."""

    def __init__(self, backend: Any, probe: Probe, space: str, columns: Sequence[str]) -> None:
        self._backend, self._probe = backend, probe
        self.space: LatentSpace = backend.spec.space(space)
        self._columns = list(columns)

    def __call__(self, flat: Tensor) -> Tensor:
        """Return readings ``(B, K)`` of latents ``(B, D)``."""
        parts: dict[str, Tensor] = {}
        start = 0
        for part in self.space.parts:
            shape = tuple(n or 1 for n in part.shape)
            parts[part.name] = flat[:, start : start + part.size].reshape(len(flat), *shape)
            start += part.size
        images = self._backend.decode_with_gradient(parts, space=self.space.name)
        return self._probe.standardised_with_gradient(images, self._columns)


def refined(
    backend: Any,
    probe: Probe,
    space: LatentSpace,
    vectors: Mapping[str, Float],
    held_out: Float,
    hidden: Mapping[str, Collection[str]] | None = None,
) -> Generator[Progress, None, dict[str, Float]]:
    """Return the vectors ``(D,)``, each turned to where its edit is most selective.

    Minimises, over unit vectors u, (mean_k side_k^p)^(1/p) / target + c * max(0, wanted - target),
    where target and side_k are the mean paired change of the attribute and the mean absolute one of
    another, when prior samples move by ``AMOUNT`` standard deviations of the data along u. What is
    not better on other samples is left as it was.

    Args:
        backend: of the model; one whose decoding gives no gradient leaves the vectors as they are.
        probe: reads the attributes.
        space: that the vectors lie in: all of one, or some of its parts (``core.parts.narrowed``);
            the others stay as the samples have them.
        vectors: by name; each name is a column of the probe.
        held_out: posterior means ``(N, D)`` that set the slider unit.
        hidden: attributes that moving an attribute hides, by name: no side effects.
    """
    names = list(vectors)
    if not isinstance(backend, DecodesWithGradient) or len(names) < 2:
        return {name: unit(vector) for name, vector in vectors.items()}
    reader = _Reader(backend, probe, space.name, names)
    ground = yield from _ground(backend, reader, space, held_out)
    tried: dict[str, Float] = {}
    for done, name in enumerate(names):
        left_out = {name, *(hidden or {}).get(name, ())}
        others = [k for k, other in enumerate(names) if other not in left_out]
        for step, found in enumerate(_descend(reader, ground, vectors[name], done, others), 1):
            tried[name] = found
            yield done * STEPS + step, len(names) * STEPS, f"refining {name}"
    return (yield from _better(backend, probe, space, vectors, tried, held_out, hidden or {}))


def _ground(
    backend: Any, reader: _Reader, parts: LatentSpace, held_out: Float
) -> Generator[Progress, None, _Ground]:
    seeds, space = prior_seeds(SEED, POOL), reader.space
    rows, readings = [], []
    for start in range(0, POOL, BATCH):
        latents = prior_latents(backend, space.name, seeds[start : start + BATCH])
        flat = torch.from_numpy(flatten(space, latents.parts)).float().to(backend.device)
        with torch.no_grad():
            readings.append(reader(flat))
        rows.append(flat)
        yield start + len(flat), POOL, "reading prior samples"
    covariance = torch.from_numpy(np.cov(held_out, rowvar=False)).float().to(backend.device)
    ones = {part.name: np.ones(tuple(n or 1 for n in part.shape)) for part in parts.parts}
    moving = torch.from_numpy(np.flatnonzero(flat_parts(space, ones))).to(backend.device)
    return _Ground(torch.cat(rows), torch.cat(readings), covariance, moving)


def _descend(
    reader: _Reader, ground: _Ground, vector: Float, target: int, others: Sequence[int]
) -> Iterator[Float]:
    """Take ``STEPS`` steps of Adam and yield the unit vector ``(D,)`` after each."""
    weights = torch.from_numpy(unit(vector)).float().to(ground.latents.device).requires_grad_(True)
    optimiser = torch.optim.Adam([weights], lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.02, STEPS)
    rounds = POOL // BATCH
    order = np.zeros(0, np.int64)
    for step in range(STEPS):
        if step % rounds == 0:
            order = permutation(SEED, "refine", step // rounds, POOL)
        start = (step % rounds) * BATCH
        rows = torch.from_numpy(np.array(order[start : start + BATCH])).to(weights.device)
        with torch.enable_grad():
            way = weights / weights.norm()
            scale = (way @ ground.covariance @ way).sqrt()
            moved = ground.latents[rows].index_add(
                1, ground.moving, (AMOUNT * scale * way).expand(len(rows), -1)
            )
            changes = reader(moved) - ground.readings[rows]
            effect = changes[:, target].mean()
            sides = changes[:, list(others)].abs().mean(dim=0)
            peak = sides.pow(PEAK).mean().pow(1 / PEAK)
            loss = peak / effect.clamp(min=0.1)
            loss = loss + SHORTFALL_WEIGHT * torch.relu(WANTED_TARGET - effect)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        yield unit(weights.detach().cpu().double().numpy())


def _better(
    backend: Any,
    probe: Probe,
    space: LatentSpace,
    before: Mapping[str, Float],
    after: Mapping[str, Float],
    held_out: Float,
    hidden: Mapping[str, Collection[str]],
) -> Generator[Progress, None, dict[str, Float]]:
    """Return, of each vector, the one that does better on samples that were not descended on."""
    names = list(before)
    pairs = [(name, vectors[name]) for vectors in (before, after) for name in names]
    changes = yield from paired_changes(
        backend,
        probe,
        [make_direction(name, space, vector, held_out, method="refined") for name, vector in pairs],
        names,
        seeds=prior_seeds(SEED + 1, JUDGED_SAMPLES),
        amount=AMOUNT,
    )
    chosen: dict[str, Float] = {}
    for row, name in enumerate(names):
        old, new = (
            edit_figures(name, changes[i], names, set(hidden.get(name, ())))
            for i in (row, row + len(names))
        )
        strong = new.target >= min(old.target, 1.0)
        better = strong and (new.selectivity > old.selectivity or old.target < 1.0)
        chosen[name] = unit(after[name] if better else before[name])
    return chosen
