"""Sliders that do one thing: combinations of directions, solved for by what they measurably do.

Everything here is a generator that yields ``(done, total, message)`` between two turns of work.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.direction import Direction
from latentlab.core.effects import EditFigures, Orthogonalised
from latentlab.core.errors import LatentLabError
from latentlab.core.suggest import did_you_mean
from latentlab.evaluation.combinations import (
    METHOD,
    TRIED,
    WANTED_TARGET,
    Meter,
    World,
    combinations,
)
from latentlab.evaluation.effects import (
    CHUNK,
    check_measurement,
    report_of,
    targets_of,
)
from latentlab.evaluation.measure import Progress
from latentlab.evaluation.readers import ImageReader
from latentlab.latent.directions import (
    flat_vector,
    orthogonalise,
    unit,
)

Float = NDArray[np.float64]

SOLVE_SEED = 900_030
"""First of the sets of prior samples that are solved on; no measurement uses them."""
ROUNDS = 2
KEPT_TARGET = 0.85
"""A new direction keeps at least this share of the change of its attribute."""


def is_better(new: EditFigures, old: EditFigures) -> bool:
    """Whether an edit is more selective and keeps its effect, or has one for the first time."""
    if old.target <= 0:
        return new.target > 0
    return new.target >= KEPT_TARGET * old.target and new.selectivity > old.selectivity


def orthogonalised(
    backend: Any,
    directions: Sequence[Direction],
    reader: ImageReader,
    spread: Float,
    *,
    names: Sequence[str] = (),
    locked: Sequence[str] = (),
    samples: int = 128,
    amount: float = 2.0,
    seed: int = 0,
    chunk: int = CHUNK,
) -> Generator[Progress, None, Orthogonalised]:
    """Replace directions by combinations that move their own attribute and little else.

    Every round measures the directions on prior samples of its own, solves for combinations, and
    measures these on other samples; a combination is taken where it is more selective there and
    keeps ``KEPT_TARGET`` of the effect. Before and after are measured on a last set, which nothing
    was solved or chosen on; what is not better there either stays as it was.

    Args:
        backend: of the model.
        directions: of one space; all of them may be combined, those of some parts of the latents
            with such alone.
        reader: reads the attributes.
        spread: latents ``(N, D)`` that set the slider unit.
        names: of the directions to replace; all that are not locked and whose attribute is read,
            when none are given.
        locked: names of directions that stay, and that the new ones are orthogonal to.
        samples: of each set.
        amount: slider units.
        seed: of the set that before and after are measured on.
        chunk: samples decoded in one turn.

    Raises:
        LatentLabError: unknown names, an attribute that the reader does not read, or none to spare.
    """
    check_measurement(backend, directions, amount)
    targets = targets_of(directions, reader)
    chosen = _chosen(directions, reader, targets, names, locked)
    space = backend.spec.space(directions[0].space)
    free = len(directions) - len(set(locked))
    sets = ROUNDS * (free + 1 + (TRIED + 1) * len(chosen) + 1) + len(directions) + len(chosen) + 1
    meter = Meter(samples * sets)
    units = {d.name: d.scale / float((spread @ flat_vector(space, d)).std()) for d in directions}
    world = World(backend, reader, space, spread, targets, samples, amount, chunk, meter, units)
    fixed = [flat_vector(space, d) for d in directions if d.name in locked]
    own = {d.name: d for d in directions}
    found: dict[str, Direction] = {}
    for number in range(ROUNDS):
        start = [found.get(d.name, d) for d in directions if d.name not in locked]
        better = yield from _round(world, start, chosen, own | found, fixed, number)
        if not better:
            break
        found |= better
    return (yield from _judged(world, directions, chosen, found, locked, seed))


def _chosen(
    directions: Sequence[Direction],
    reader: ImageReader,
    targets: Mapping[str, str],
    names: Sequence[str],
    locked: Sequence[str],
) -> list[str]:
    known = [direction.name for direction in directions]
    for name in (*names, *locked):
        if name not in known:
            raise LatentLabError(f"There is no direction '{name}'{did_you_mean(name, known)}")
    for name in names:
        if name in locked:
            raise LatentLabError(f"'{name}' is locked: unlock it to orthogonalise it.")
        if name not in targets:
            raise LatentLabError(
                f"The {reader.name} does not read '{name}', so what it does beside cannot be told"
                f"{did_you_mean(name, reader.columns)}"
            )
    chosen = list(dict.fromkeys(names)) or [n for n in known if n in targets and n not in locked]
    if not chosen:
        raise LatentLabError(
            f"The {reader.name} reads none of these directions' attributes: choose directions of "
            f"{', '.join(reader.columns[:5])}."
        )
    for name in chosen:
        hidden = {targets[name], *reader.hidden.get(targets[name], ())}
        if hidden.issuperset(reader.columns):
            raise LatentLabError(
                f"The {reader.name} reads nothing beside '{name}', so there are no side effects to "
                "take off: measure with data of more labels."
            )
    return chosen


def _round(
    world: World,
    start: Sequence[Direction],
    chosen: Sequence[str],
    now: Mapping[str, Direction],
    fixed: Sequence[Float],
    number: int,
) -> Generator[Progress, None, dict[str, Direction]]:
    """Return the combinations that do better than what is now, on samples not solved on."""
    bases = _free(world, start, fixed)
    if not bases:
        return {}
    changes = yield from world.measured(bases, SOLVE_SEED + 2 * number)
    moves = np.stack([flat_vector(world.space, d) * d.scale for d in bases])
    tried: list[Direction] = []
    for name in chosen:
        # A direction of some parts is made of such alone, and goes on moving only these.
        reach = world.reach(now[name])
        own = [i for i, move in enumerate(moves) if not move[reach == 0].any()]
        apart = _within(fixed, reach)
        near = [bases[i] for i in own]
        for vector in combinations(world, name, near, moves[own], changes[own]) if near else ():
            clean = orthogonalise(vector, apart) if apart else unit(vector)
            tried.append(world.made(name, clean))
    judged = [*(now[name] for name in chosen), *tried]
    results = yield from world.measured(judged, SOLVE_SEED + 2 * number + 1)
    current = {n: world.figures(n, results[i]) for i, n in enumerate(chosen)}
    for name, figures in current.items():
        world.first.setdefault(name, figures.target)
    best: dict[str, tuple[EditFigures, Direction]] = {}
    for direction, rows in zip(tried, results[len(chosen) :]):
        name, figures = direction.name, world.figures(direction.name, rows)
        if (
            not is_better(figures, current[name])
            or figures.target < WANTED_TARGET * world.first[name]
        ):
            continue
        if name not in best or figures.selectivity > best[name][0].selectivity:
            best[name] = (figures, direction)
    return {name: direction for name, (_, direction) in best.items()}


def _within(vectors: Sequence[Float], reach: Float) -> list[Float]:
    """Return vectors ``(D,)`` cut down to some parts, without those that do not move them."""
    cut = [vector * reach for vector in vectors]
    return [vector for vector in cut if np.abs(vector).max() > 0]


def _free(world: World, directions: Sequence[Direction], fixed: Sequence[Float]) -> list[Direction]:
    """Return directions without what they share with the locked ones."""
    if not fixed:
        return list(directions)
    found = []
    for direction in directions:
        try:
            apart = _within(fixed, world.reach(direction))
            rest = orthogonalise(flat_vector(world.space, direction), apart)
        except LatentLabError:
            # Nothing of its own is left; it cannot help the others either.
            continue
        found.append(world.made(direction.name, rest))
    return found


def _judged(
    world: World,
    directions: Sequence[Direction],
    chosen: Sequence[str],
    found: Mapping[str, Direction],
    locked: Sequence[str],
    seed: int,
) -> Generator[Progress, None, Orthogonalised]:
    """Measure before and after on the last set; what is not better there stays as it was."""
    new = [found[name] for name in chosen if name in found]
    changes = yield from world.measured([*directions, *new], seed)
    before = changes[: len(directions)]
    rows = {d.name: changes[len(directions) + i] for i, d in enumerate(new)}
    after, result = before.copy(), []
    for i, direction in enumerate(directions):
        old = direction
        if old.name in chosen and old.name in world.targets:
            was = world.figures(old.name, before[i])
            now = world.figures(old.name, rows[old.name]) if old.name in rows else None
            if now is not None and is_better(now, was):
                after[i] = rows[old.name]
                old = _described(found[old.name], old, directions, locked, was, now)
            else:
                old = _kept(old)
        result.append(old)
    reports = [
        report_of(
            world.backend,
            of,
            world.reader,
            rows_,
            amount=world.amount,
            seed=seed,
            targets=world.targets,
        )
        for of, rows_ in ((directions, before), (result, after))
    ]
    return Orthogonalised(tuple(result), *reports)


def _described(
    new: Direction,
    old: Direction,
    directions: Sequence[Direction],
    locked: Sequence[str],
    was: EditFigures,
    now: EditFigures,
) -> Direction:
    """Return the new direction with its origin: what it was made of and what that changed."""
    origin = {
        "from": [direction.name for direction in directions],
        "method": old.method,
        "before": vars(was).copy(),
    }
    provenance = dict(old.provenance) | vars(now) | {METHOD: origin}
    # What was cross-validated was the old vector.
    for key in ("auc", "correlation", "interval", "level", "folds"):
        provenance.pop(key, None)
    if locked:
        provenance["orthogonal_to"] = list(locked)
    return replace(
        new, group=old.group, fingerprint=old.fingerprint, provenance=provenance, method=METHOD
    )


def _kept(old: Direction) -> Direction:
    note = {"kept": "the original: no combination was more selective with as much effect"}
    return replace(old, provenance=dict(old.provenance) | {METHOD: note})
