"""Jobs on pictures picked by hand: the direction between groups, differences, arithmetic."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.parts import narrowed
from latentlab.core.spec import LatentSpace
from latentlab.services.directions_data import (
    OWN_GROUP,
    Context,
    EncodedData,
    Item,
    Made,
    Step,
    flat_vectors,
    moved_parts,
    no_method,
    picture_rows,
    points_data,
    spread_data,
)

if TYPE_CHECKING:
    from latentlab.latent.directions import Method

Float = NDArray[np.float64]
Points = NDArray[np.integer] | Sequence[int]

QUICK_NUMBERS = 10**6
"""Latent values up to which a mean difference is taken at once."""
GROUP_METHODS = ("mean difference", "logistic", "linear svm")


def fit_group_direction(
    context: Context,
    *,
    model: str,
    name: str,
    positive: tuple[Item, ...] = (),
    negative: tuple[Item, ...] = (),
    method: Method = "mean difference",
    orthogonal_to: tuple[Direction, ...] = (),
    path: str | None = None,
    positive_points: Points = (),
    negative_points: Points = (),
    directions: Mapping[str, Direction] | None = None,
    parts: tuple[str, ...] = (),
) -> Made:
    """Return the direction from one group of pictures to another, as a tuple of one.

    Args:
        context: of the job.
        model: id or path.
        name: of the direction.
        positive: pictures that show it, edits included; one is enough for ``mean difference``.
        negative: pictures that do not.
        method: one of ``GROUP_METHODS``; classifiers need ``MIN_EACH`` pictures in each group.
        orthogonal_to: directions that the new one leaves alone.
        path: a points file, for ``positive_points`` and for the slider unit.
        positive_points: points of it that belong to the group too.
        negative_points: likewise.
        directions: the person's own, which the pictures' edits may name.
        parts: of the latents that the direction moves; all when none are given.

    Raises:
        LatentLabError: an empty group, too few pictures for a classifier, or groups that are alike.
    """
    from latentlab.latent.crossval import MIN_EACH
    from latentlab.latent.directions import make_direction

    if method not in GROUP_METHODS:
        raise no_method(method, GROUP_METHODS)
    backend = context.library.backend(model)
    yield 0, 2, "taking the pictures"
    sides = [
        _group(context, backend, items, directions or {}, path, points, parts)
        for items, points in ((positive, positive_points), (negative, negative_points))
    ]
    space, counts = _one_space(sides), [len(rows) for _, rows in sides]
    if method != "mean difference" and min(counts) < MIN_EACH:
        raise LatentLabError(
            f"A classifier needs at least {MIN_EACH} pictures in each group; there are "
            f"{counts[0]} and {counts[1]}: add more, or choose 'mean difference'."
        )
    others = flat_vectors(backend.spec.space(space.name), orthogonal_to, space)
    groups = [rows for _, rows in sides]
    vector, figure = yield from _told_apart(context, name, groups, method, others)
    yield 1, 2, "fitted"
    spread = spread_data(backend, space, path)
    direction = make_direction(
        name,
        space,
        vector,
        spread.latents,
        method=method,
        fingerprint=backend.spec.fingerprint,
        group=OWN_GROUP,
        provenance=_group_source(counts, figure, spread, orthogonal_to) | moved_parts(space, parts),
    )
    return (direction,)


def _told_apart(
    context: Context, name: str, groups: Sequence[Float], method: Method, others: Sequence[Float]
) -> Generator[Step, None, tuple[Float, Any]]:
    """Return the unit vector from the second of two groups ``(n, D)`` to the first, and its AUC.

    A quick fit is done at once, a slow one in the lane.
    """
    from latentlab.latent.crossval import FitTask, fit_tasks

    latents = np.concatenate(groups)
    on = np.repeat([1.0, 0.0], [len(rows) for rows in groups])
    task = FitTask(name, np.arange(len(on)), on, method, True)
    if latents.size > QUICK_NUMBERS or method != "mean difference":
        found = yield from context.lane.run(
            "latentlab.latent.crossval:fit_tasks", latents=latents, tasks=[task], others=others
        )
    else:
        found = fit_tasks(lambda *_: None, latents, [task], None, others)
    ((vector, figure),) = found
    return vector, figure


def _group_source(
    counts: Sequence[int], figure: Any, spread: EncodedData, orthogonal_to: Sequence[Direction]
) -> dict[str, Any]:
    from latentlab.evaluation.vectors import evidence_of

    found: dict[str, Any] = {
        "data": {"name": "groups picked by hand", "positive": counts[0], "negative": counts[1]},
        "count": sum(counts),
        "scale_of": dict(spread.about),
    }
    if orthogonal_to:
        found["orthogonal_to"] = [direction.name for direction in orthogonal_to]
    return found | dict(evidence_of(figure, True))


def _group(
    context: Context,
    backend: Any,
    items: tuple[Item, ...],
    directions: Mapping[str, Direction],
    path: str | None,
    points: Points,
    parts: Sequence[str] = (),
) -> tuple[LatentSpace, Float]:
    """Return the latents of one group, ``(n, D)``, and their space."""
    from latentlab.latent.directions import flatten

    chosen = np.asarray(points, np.int64)
    found: list[tuple[LatentSpace, Float]] = []
    if len(items):
        latents = picture_rows(context, _own_items(context, backend, items), directions)
        space: LatentSpace = narrowed(backend.spec.space(latents.space), parts)
        found.append((space, flatten(space, latents.parts)))
    if len(chosen):
        if path is None:
            raise LatentLabError("Points need the file that they are in: choose a map first.")
        data = points_data(backend, path, rows=chosen, parts=parts)
        found.append((data.space, data.latents))
    if not found:
        raise LatentLabError("Both groups need at least one picture: add one to the empty group.")
    return _one_space(found), np.concatenate([rows for _, rows in found])


def _own_items(context: Context, backend: Any, items: tuple[Item, ...]) -> tuple[Item, ...]:
    mark = backend.spec.fingerprint
    for picture, _ in items:
        if context.library.backend(picture.model).spec.fingerprint != mark:
            raise LatentLabError(
                f"A picture is of '{picture.model}', not of '{backend.spec.id}': use pictures of "
                "one model."
            )
    return items


def _one_space(sides: Sequence[tuple[LatentSpace, Float]]) -> LatentSpace:
    names = {space.name for space, _ in sides}
    if len(names) > 1:
        raise LatentLabError(
            f"These pictures lie in different spaces ({', '.join(sorted(names))}): use pictures of "
            "one space."
        )
    return sides[0][0]


def difference_direction(
    context: Context,
    *,
    model: str,
    name: str,
    start: Item,
    end: Item,
    path: str | None = None,
    directions: Mapping[str, Direction] | None = None,
    parts: tuple[str, ...] = (),
) -> Made:
    """Return the direction from one picture to another in some parts, as a tuple of one.

    ``provenance["distance"]`` is how many slider units lead from the one to the other. A picture
    of several images stands for their mean.
    """
    from latentlab.latent.directions import make_direction

    backend = context.library.backend(model)
    yield 0, 1, "taking the pictures"
    sides = [
        _group(context, backend, (item,), directions or {}, None, (), parts)
        for item in (start, end)
    ]
    space = _one_space(sides)
    step = sides[1][1].mean(axis=0) - sides[0][1].mean(axis=0)
    if not np.abs(step).max() > 0:
        raise LatentLabError(
            "The two pictures have the same latent"
            f"{' in these parts' * bool(parts)}: choose two that differ."
        )
    spread = spread_data(backend, space, path)
    found = make_direction(
        name,
        space,
        step,
        spread.latents,
        method="difference",
        fingerprint=backend.spec.fingerprint,
        group=OWN_GROUP,
        provenance={
            "data": {"name": "two pictures"},
            "count": sum(len(rows) for _, rows in sides),
            "scale_of": dict(spread.about),
        }
        | moved_parts(space, parts),
    )
    units = float(np.linalg.norm(step)) / found.scale
    return (replace(found, provenance=dict(found.provenance) | {"distance": units}),)


def picture_latents(
    context: Context,
    *,
    pictures: tuple[Item, ...],
    directions: Mapping[str, Direction] | None = None,
) -> Generator[Step, None, tuple[Latents, ...]]:
    """Return the latents of each picture, edits included."""
    found = []
    for done, item in enumerate(pictures):
        yield done, len(pictures), "taking the pictures"
        found.append(picture_rows(context, (item,), directions or {}))
    return tuple(found)


def combine(
    plus: Sequence[Latents], minus: Sequence[Latents] = (), parts: Collection[str] = ()
) -> Latents:
    """Return sum(plus) - sum(minus): A - B + C on latents, one row.

    With ``parts``, in these alone; the others are those of the last of ``plus``.

    Latents of several rows stand for their mean, which is steadier than one example (Radford et al.
    2016, arXiv 1511.06434, section 6.3.2).

    Raises:
        LatentLabError: nothing to add, other spaces, or parts that are tokens.
    """
    if not plus:
        raise LatentLabError("Vector arithmetic needs at least one picture to add.")
    shapes = [{name: array.shape[1:] for name, array in one.items()} for one in (*plus, *minus)]
    if any(one.space != plus[0].space for one in (*plus, *minus)) or shapes.count(shapes[0]) < len(
        shapes
    ):
        raise LatentLabError("Only pictures of one latent space can be added: choose others.")
    found = {}
    for name, array in plus[0].items():
        if array.dtype.kind != "f":
            raise LatentLabError("Tokens cannot be added: choose a model of continuous latents.")
        moves = not parts or name in parts
        added = sum(one[name].astype(np.float64).mean(axis=0) for one in plus[0 if moves else -1 :])
        taken = (one[name].astype(np.float64).mean(axis=0) for one in (minus if moves else ()))
        found[name] = np.asarray(added - sum(taken, 0.0), np.float32)[None]
    return Latents(plus[0].space, found)
