"""Combinations of directions, and what they would do, told from what the directions do."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.direction import Direction
from latentlab.core.effects import EditFigures
from latentlab.core.errors import LatentLabError
from latentlab.core.spec import LatentSpace
from latentlab.evaluation.effects import prior_samples
from latentlab.evaluation.measure import Progress, changes_of
from latentlab.evaluation.readers import ImageReader
from latentlab.latent.directions import (
    calibrate,
    flat_parts,
    least_side_effects,
    make_direction,
)

Float = NDArray[np.float64]

METHOD = "orthogonalised"
WANTED_TARGET = 0.9
"""Share of its effect that a direction keeps where it is chosen: other samples find less."""
MIXTURES = (0.25, 0.5, 0.75, 1.0)
RIDGES = (1e-6, 0.01, 0.1, 1.0)
TRIED = 3
"""Combinations of a direction that are measured: those that are best where effects add up."""


@dataclass(eq=False)
class Meter:
    """Progress over all measurements of the work."""

    total: int
    done: int = 0


@dataclass(frozen=True, eq=False)
class World:
    """What all rounds share; ``first`` has the effect of each direction as it came in."""

    backend: Any
    reader: ImageReader
    space: LatentSpace
    spread: Float
    targets: Mapping[str, str]
    samples: int
    amount: float
    chunk: int
    meter: Meter
    units: Mapping[str, float]
    first: dict[str, float] = field(default_factory=dict)

    def others(self, name: str) -> list[int]:
        """Return the columns that are side effects of a direction."""
        target = self.targets[name]
        left_out = {target, *self.reader.hidden.get(target, ())}
        return [k for k, column in enumerate(self.reader.columns) if column not in left_out]

    def target(self, name: str) -> int:
        """Return the column that a direction is meant to move."""
        return self.reader.columns.index(self.targets[name])

    def made(self, name: str, vector: Float) -> Direction:
        """Return a vector as a direction, its unit as many deviations as the old one's was."""
        found = make_direction(name, self.space, vector, self.spread, method=METHOD)
        # What moves some parts alone says nothing of the others.
        moving = {part: array for part, array in found.vector.items() if array.any()}
        return replace(found, vector=moving, scale=found.scale * self.units[name])

    def reach(self, direction: Direction) -> Float:
        """Return 1 for the numbers of the parts that a direction moves, else 0: ``(D,)``."""
        ones = {part: np.ones(array.shape) for part, array in direction.vector.items()}
        return flat_parts(self.space, ones)

    def measured(
        self, directions: Sequence[Direction], seed: int
    ) -> Generator[Progress, None, Float]:
        """Return the changes ``(M, N, K)`` on a set of prior samples."""
        drawn = prior_samples(self.backend, self.space.name, seed, self.samples)
        columns = self.reader.columns
        steps = changes_of(
            self.backend,
            self.reader,
            directions,
            columns,
            drawn,
            self.samples,
            self.amount,
            self.chunk,
        )
        start = self.meter.done
        while True:
            try:
                done, _, message = next(steps)
            except StopIteration as end:
                changes: Float = end.value
                return changes
            self.meter.done = start + done
            yield min(self.meter.done, self.meter.total), self.meter.total, message

    def figures(self, name: str, changes: Float) -> EditFigures:
        """Return target and side of one direction from its changes ``(N, K)``."""
        size = np.abs(changes).mean(axis=0)
        worst = max(self.others(name), key=lambda k: size[k])
        effect, side = float(changes[:, self.target(name)].mean()), float(size[worst])
        ratio = effect / side if side > 0 else float("inf")
        return EditFigures(effect, side, self.reader.columns[worst], ratio)


def combinations(
    world: World, name: str, bases: Sequence[Direction], moves: Float, changes: Float
) -> list[Float]:
    """Return the vectors ``(D,)`` that are most likely to move one attribute alone.

    Solutions, and mixtures of them with the direction as it is, are told by what they would do if
    effects simply added up.
    """
    target, others = world.target(name), world.others(name)
    effects = changes.mean(axis=1)[:, [target, *others]] / world.amount
    # Moves are their own combinations, so that both ways give weights of the directions.
    found = [calibrate(np.eye(len(moves)), effects, [0], ridge=ridge)[0] for ridge in RIDGES]
    for ridge in RIDGES:
        try:
            found.append(least_side_effects(changes, target, others, ridge=ridge))
        except LatentLabError:
            return []
    along = world.spread @ moves.T
    gram = np.cov(along, rowvar=False).reshape(len(moves), len(moves))

    def sized(weights: Float) -> Float:
        """Return weights whose combination is one slider unit long."""
        deviation = np.sqrt(max(float(weights @ gram @ weights), 0.0))
        square = max(float(np.square(weights @ moves).sum()), 1e-30)
        return np.asarray(weights * world.units[name] * deviation / square)

    own = np.array([float(base.name == name) for base in bases])
    tried = [sized(weights) for weights in found if np.isfinite(weights).all() and weights.any()]
    wanted = -np.inf
    if own.any():
        tried = [sized((1 - t) * sized(own) + t * weights) for weights in tried for t in MIXTURES]
        now = world.figures(name, changes[int(own.argmax())])
        wanted = WANTED_TARGET * world.first.get(name, now.target)
    told = [world.figures(name, np.tensordot(weights, changes, axes=1)) for weights in tried]
    order = sorted(range(len(tried)), key=lambda i: told[i].selectivity, reverse=True)
    keeping = [i for i in order if told[i].target >= wanted]
    return [tried[i] @ moves for i in (keeping or order)[:TRIED]]
