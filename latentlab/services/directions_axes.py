"""Jobs that make directions without labels: principal components, single dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.parts import chosen_parts, name_in, narrowed
from latentlab.core.spec import LatentSpace
from latentlab.core.suggest import did_you_mean
from latentlab.services.directions_data import (
    Context,
    Made,
    points_data,
    source_of,
    spread_data,
)

Float = NDArray[np.float64]

COMPONENTS_GROUP = "principal components"
DIMENSIONS_GROUP = "dimensions"
MAX_COMPONENTS = 64
SMALLEST_UNIT = 1e-6
"""A slider unit is positive, even along what never varies."""


def principal_component_directions(
    context: Context, *, model: str, path: str, count: int = 10, parts: tuple[str, ...] = ()
) -> Made:
    """Return the axes along which the pictures of a points file vary most: ``PC 1``, ``PC 2`` ...

    With ``parts``, the axes of these parts of the latents: ``PC 1 (local)``.

    Where it is not known what the latents change in the picture, it is the latents that vary most.
    ``provenance["share"]`` is an axis's share of the whole variance; the slider unit is the
    deviation along it.
    """
    backend = context.library.backend(model)
    yield 0, 1, "reading the points"
    data = points_data(backend, path, rows=np.zeros(1, np.int64), parts=parts)
    space = backend.spec.space(data.space.name)
    points = int(data.about["count"])
    most = min(MAX_COMPONENTS, data.space.size, points - 1)
    if not 1 <= count <= most:
        raise LatentLabError(
            f"These points have 1 to {most} principal components here, not {count}."
        )
    method, found = yield from context.lane.run(
        "latentlab.services.directions_axes:components_in_lane",
        path=path,
        count=count,
        parts=chosen_parts(space, parts) if parts else (),
    )
    return tuple(
        Direction(
            name=name_in(f"PC {i + 1}", space, parts),
            space=data.space.name,
            vector=vector,
            scale=max(deviation, SMALLEST_UNIT),
            method=method,
            fingerprint=backend.spec.fingerprint,
            group=COMPONENTS_GROUP,
            provenance=source_of(data, (), parts) | {"count": points, "share": share},
        )
        for i, (vector, deviation, share) in enumerate(found)
    )


def components_in_lane(
    report: Callable[[int, int, str], None],
    path: str,
    count: int,
    parts: tuple[str, ...] = (),
) -> tuple[str, list[tuple[dict[str, Any], float, float]]]:
    """Return the method, and of each component its unit vector by part, deviation and share."""
    from latentlab.core.pointfile import read_points
    from latentlab.core.points import narrowed_points
    from latentlab.latent.components import (
        by_part,
        picture_components,
        principal_components,
        scores,
    )

    points = narrowed_points(read_points(Path(path)), parts)
    found, method = None, "principal component"
    if points.picture_map is not None and count <= len(points.picture_map):
        found = picture_components(points)
    if found is not None and count <= len(found.axes):
        method = "principal component of the pictures"
    else:
        found = principal_components(points, count, report)
    # One slider unit is the deviation of the points along the axis, whatever the axis is for.
    axes = found.axes[:count] / np.linalg.norm(found.axes[:count], axis=1, keepdims=True)
    found = replace(found, axes=axes, shares=found.shares[:count])
    deviations = scores(points, found).std(axis=0, dtype=np.float64)
    rows = [
        (by_part(points, axis), float(deviation), float(share))
        for axis, deviation, share in zip(axes, deviations, found.shares)
    ]
    return method, rows


def _by_part(space: LatentSpace, vector: Float) -> dict[str, Any]:
    from latentlab.latent.directions import unflatten

    return unflatten(space, vector)


def dimension_directions(
    context: Context,
    *,
    model: str,
    part: str,
    indices: tuple[int, ...],
    path: str | None = None,
    space: str | None = None,
) -> Made:
    """Return one direction a dimension of a part: ``z[17]``.

    The slider unit is the dimension's deviation over the points of ``path``; without them it is 1
    for a part with an N(0, 1) prior, and the deviation of prior samples for another one.
    """
    backend = context.library.backend(model)
    yield 0, 1, "taking the dimensions"
    found: LatentSpace = backend.spec.space(space)
    names = [known.name for known in found.parts]
    if part not in names:
        raise LatentLabError(f"There is no part '{part}'{did_you_mean(part, names)}")
    size = found.part(part).size
    wrong = [index for index in indices if not 0 <= index < size]
    if wrong or not indices:
        asked = f"not {wrong[0]}" if wrong else "and at least one must be named"
        raise LatentLabError(f"Part '{part}' has dimensions 0 to {size - 1}, {asked}.")
    moving, spread = narrowed(found, (part,)), None
    if path is not None or found.part(part).kind != "gaussian":
        spread = spread_data(backend, moving, path)
    made = []
    for index in indices:
        vector = np.zeros(size)
        vector[index] = 1.0
        scale = 1.0 if spread is None else float(spread.latents[:, index].std())
        made.append(
            Direction(
                name=f"{part}[{index}]",
                space=found.name,
                vector=_by_part(moving, vector),
                scale=max(scale, SMALLEST_UNIT),
                method="dimension",
                fingerprint=backend.spec.fingerprint,
                group=DIMENSIONS_GROUP,
                provenance={"scale_of": {"source": "N(0, 1)"} if spread is None else spread.about},
            )
        )
    return tuple(made)
