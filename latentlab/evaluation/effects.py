"""The effect matrix: what every slider does to every attribute, read off decoded images.

Everything here is a generator that yields ``(done, total, message)`` between two turns of work.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.direction import Direction
from latentlab.core.effects import EffectReport
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.noise import permutation
from latentlab.core.points import PointSet
from latentlab.evaluation.measure import Progress, changes_of, prior_latents, prior_seeds
from latentlab.evaluation.readers import ImageReader, LabelReader
from latentlab.latent.directions import flat_vector

Float = NDArray[np.float64]
Update = Progress | tuple[int, int, str, EffectReport]
"""Progress, sometimes with the report of the samples so far."""
Samples = Callable[[slice], Latents]

CHUNK = 8
"""Samples decoded in one turn: previews wait no longer than that takes."""
MAX_AMOUNT = 100.0


def prior_samples(backend: Any, space: str, seed: int, count: int) -> Samples:
    """Return the prior samples of measurement ``seed``, by rows."""
    seeds = prior_seeds(seed, count)
    return lambda rows: prior_latents(backend, space, seeds[rows])


def point_samples(points: PointSet, seed: int, count: int) -> Samples:
    """Return ``count`` of the encoded points, drawn for measurement ``seed``, by rows.

    Only these are read, however many points there are.

    Raises:
        LatentLabError: there are not so many.
    """
    if count > len(points):
        raise LatentLabError(
            f"There are {len(points)} points to measure on, not {count}: ask for fewer samples."
        )
    chosen = permutation(seed, "effects", 0, len(points))[:count]
    return lambda rows: points.latents(chosen[rows])


def check_measurement(backend: Any, directions: Sequence[Direction], amount: float) -> None:
    """Raise ``LatentLabError`` unless the directions can be measured together."""
    if not directions:
        raise LatentLabError("Choose at least one direction to measure.")
    if not 0 < abs(amount) <= MAX_AMOUNT:
        raise LatentLabError(
            f"Directions cannot be measured at {amount} slider units: use 2, or up to "
            f"{MAX_AMOUNT:g}."
        )
    names = [direction.name for direction in directions]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise LatentLabError(f"Two directions are called '{twice}': give one another name.")
    for direction in directions:
        if direction.space != directions[0].space:
            raise LatentLabError(
                f"'{direction.name}' and '{directions[0].name}' move in different spaces: measure "
                "those of one space."
            )
        direction.check(backend.spec.space(direction.space))


def targets_of(directions: Sequence[Direction], reader: ImageReader) -> dict[str, str]:
    """Return what each direction is meant to move, by name, where the reader reads it.

    A direction says it by its name, by the label that it was fitted on, or by another name that
    the label has in the reader's data.
    """
    aliases = reader.aliases if isinstance(reader, LabelReader) else {}
    found = {}
    for direction in directions:
        meant = [
            direction.name,
            direction.provenance.get("column"),
            direction.provenance.get("label"),
        ]
        for name in meant:
            column = aliases.get(name, name) if isinstance(name, str) else None
            if column in reader.columns:
                found[direction.name] = column
                break
    return found


def cosines_of(backend: Any, directions: Sequence[Direction]) -> Float:
    """Return the cosine between every two directions, ``(M, M)``."""
    space = backend.spec.space(directions[0].space)
    flat = np.stack([flat_vector(space, direction) for direction in directions])
    flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray((flat @ flat.T).clip(-1, 1))


def report_of(
    backend: Any,
    directions: Sequence[Direction],
    reader: ImageReader,
    changes: Float,
    *,
    amount: float,
    seed: int,
    targets: Mapping[str, str] | None = None,
) -> EffectReport:
    """Return the report of changes ``(M, N, K)`` of all the reader's columns."""
    samples = changes.shape[1]
    hidden = dict(reader.hidden)
    return EffectReport(
        directions=tuple(direction.name for direction in directions),
        columns=reader.columns,
        mean=changes.mean(axis=1),
        size=np.abs(changes).mean(axis=1),
        error=changes.std(axis=1, ddof=1) / np.sqrt(samples),
        cosines=cosines_of(backend, directions),
        amount=amount,
        samples=samples,
        seed=seed,
        reader=reader.name,
        targets=targets_of(directions, reader) if targets is None else targets,
        hidden={name: tuple(hidden[name]) for name in hidden if hidden[name]},
        reliability=dict(reader.reliability),
    )


def measure_effects(
    backend: Any,
    directions: Sequence[Direction],
    reader: ImageReader,
    *,
    samples: int = 128,
    amount: float = 2.0,
    seed: int = 0,
    points: PointSet | None = None,
    chunk: int = CHUNK,
) -> Generator[Update, None, EffectReport]:
    """Move samples along each direction and report what each attribute does.

    Every sample is decoded as it is and moved by ``amount`` slider units; the paired change of each
    column is in standard deviations of the reader's readings of data.

    Args:
        backend: of the model.
        directions: M of one space, of different names.
        reader: reads K columns.
        samples: N, at least 2.
        amount: slider units.
        seed: of the set of samples.
        points: encoded data to move; prior samples when not given.
        chunk: samples decoded in one turn.

    Raises:
        LatentLabError: directions that cannot be measured together, or too few samples.
    """
    check_measurement(backend, directions, amount)
    if samples < 2:
        raise LatentLabError("Effects are measured on 2 samples or more.")
    space = directions[0].space
    if points is None:
        drawn = prior_samples(backend, space, seed, samples)
    else:
        drawn = point_samples(points, seed, samples)
    columns, count = reader.columns, len(directions)
    changes = np.empty((count, samples, len(columns)))
    steps = changes_of(backend, reader, directions, columns, drawn, samples, amount, chunk, changes)
    report, shown = partial(report_of, backend, directions, reader, amount=amount, seed=seed), 8
    for done, total, message in steps:
        rows = done // (count + 1)
        # Between two turns all directions have moved the same samples; within one, some have not.
        if rows >= 2 * shown and done % (chunk * (count + 1)) == 0 and rows < samples:
            # What is known so far, at 16, 32, 64 ... samples.
            shown = rows
            yield done, total, message, report(changes[:, :rows])
        else:
            yield done, total, message
    return report(changes)
