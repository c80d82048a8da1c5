"""Where the points of a map stand, and how a map is steered. Pure arithmetic, no Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.direction import Direction, apply_edits
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.plane import Plane, native_plane, plane_of_directions
from latentlab.core.points import PointSet
from latentlab.core.spec import LatentSpace
from latentlab.latent import layouts
from latentlab.ui.widgets.point_index import PointIndex

NATIVE, PICTURE, PCA = "native", "picture", "pca"
TSNE, UMAP, PACMAP = "tsne", "umap", "pacmap"
DIRECTIONS, THREE = "directions", "three"
NEIGHBOUR_METHODS = (TSNE, UMAP, PACMAP)
"""Layouts that a job makes; their empty space has no latent."""

TITLES = {
    NATIVE: "Native axes",
    **layouts.TITLES,
    DIRECTIONS: "Two directions",
    THREE: "Three pictures",
}
"""What a person reads, by method, in the order of the chooser."""

AT_ONCE = 1_000_000
"""Numbers (points times latent width) up to which PCA is done here, within a frame or two."""


SORTED_AT_ONCE = 50_000
"""Points up to which they are sorted for the map within a frame."""


@dataclass(frozen=True)
class LayoutChoice:
    """What a person asked for.

    Attributes:
        method: key of ``TITLES``.
        x: direction along x, for ``directions``.
        y: likewise.
        settings: of the method: perplexity, seed and the like.
    """

    method: str
    x: str = ""
    y: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, eq=False)
class Placed:
    """Points with their places.

    Attributes:
        choice: what was asked for.
        coordinates: float32 ``(N, 2)``.
        plane: where every place has a latent; ``None`` where only the points have one.
        x_label: what stands at the axis.
        y_label: likewise.
        index: of many points, sorted beforehand; ``None`` for few.
        held: parts of the latents that every place of the plane has at their middle.
    """

    choice: LayoutChoice
    coordinates: NDArray[np.float32]
    plane: Plane | None = None
    x_label: str = ""
    y_label: str = ""
    index: PointIndex | None = None
    held: tuple[str, ...] = ()


def is_quick(points: PointSet) -> bool:
    """Whether PCA of these points is done within a frame or two."""
    width = layouts.width_of(points)
    return len(points) * width <= AT_ONCE and width <= 1024


def sorted_points(placed: Placed) -> Placed:
    """Return a layout with its points sorted for the map."""
    return replace(placed, index=PointIndex.build(placed.coordinates))


def middle_of(points: PointSet) -> Latents:
    """Return the mean latent of the points, one row."""
    return Latents(
        points.space,
        {
            name: array.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
            for name, array in points.parts.items()
        },
    )


def in_plane(choice: LayoutChoice, points: PointSet, plane: Plane) -> Placed:
    """Return the points as they project into a plane."""
    return Placed(choice, plane.coordinates(points.parts), plane, plane.x_label, plane.y_label)


def by_components(choice: LayoutChoice, points: PointSet) -> Placed:
    """Return the points along two principal components: of pictures if asked for, or of latents.

    Raises:
        LatentLabError: too few points, or all alike.
    """
    place = layouts.place_by_pictures if choice.method == PICTURE else layouts.place_by_components
    coordinates, plane = place(points)
    return Placed(choice, coordinates, plane, plane.x_label, plane.y_label)


def widened(placed: Placed, points: PointSet, space: LatentSpace) -> Placed:
    """Return a layout of some parts with its plane in the whole space.

    The other parts are held at the middle: 0 where the prior is N(0, 1), or the points' mean.

    Args:
        placed: a layout.
        points: with all parts.
        space: of the points.
    """
    plane = placed.plane
    held = {p.name: p for p in space.parts if plane is not None and p.name not in plane.names}
    if plane is None or not held:
        return placed
    rest = {
        name: np.zeros(points.parts[name].shape[1:])
        if part.kind == "gaussian"
        else points.parts[name].mean(axis=0, dtype=np.float64)
        for name, part in held.items()
    }
    return replace(placed, plane=plane.widened(rest), held=tuple(held))


def without_latents(choice: LayoutChoice, coordinates: NDArray[np.float32]) -> Placed:
    """Return a layout whose empty space has no latent."""
    title = TITLES[choice.method]
    return Placed(choice, coordinates, None, f"{title} 1", f"{title} 2")


def titled(placed: Placed, title_of: Callable[[str], str]) -> Placed:
    """Return a layout whose axes are called what the person calls the directions."""
    if placed.choice.method != DIRECTIONS:
        return placed
    x, y = (f"{title_of(name)} (σ)" for name in (placed.choice.x, placed.choice.y))
    return replace(placed, x_label=x, y_label=y)


def aligned(placed: Placed, before: Placed) -> Placed:
    """Return a layout with its axes turned round where that brings points nearer to their places.

    Principal components have no sign of their own; those of other weights may come mirrored.
    """
    choice, shape = placed.choice, placed.coordinates.shape
    if choice.method not in (PCA, PICTURE) or before.coordinates.shape != shape:
        return placed
    old = before.coordinates - before.coordinates.mean(axis=0)
    signs = np.where((placed.coordinates * old).sum(axis=0) < 0, -1.0, 1.0).astype(np.float32)
    if (signs > 0).all():
        return placed
    plane = placed.plane
    if plane is not None:
        x_axis = {name: signs[0] * array for name, array in plane.x_axis.items()}
        y_axis = {name: signs[1] * array for name, array in plane.y_axis.items()}
        duals = plane.duals and (
            {name: signs[0] * array for name, array in plane.duals[0].items()},
            {name: signs[1] * array for name, array in plane.duals[1].items()},
        )
        plane = replace(plane, x_axis=x_axis, y_axis=y_axis, duals=duals)
    return replace(placed, coordinates=placed.coordinates * signs, plane=plane, index=None)


def place_at_once(
    choice: LayoutChoice,
    points: PointSet,
    space: LatentSpace,
    directions: Mapping[str, Direction],
) -> Placed | None:
    """Return a layout that needs no job; ``None`` when it needs one.

    Args:
        choice: what was asked for; not ``three``, whose plane needs decoded pictures.
        points: what is placed.
        space: of the points.
        directions: by name, for ``directions``.

    Raises:
        LatentLabError: it cannot be made, and why.
    """
    if choice.method == NATIVE:
        plane = native_plane(space)
        if plane is None:
            raise LatentLabError(f"Space '{space.name}' has {space.size} numbers: choose PCA.")
        return in_plane(choice, points, plane)
    if choice.method in (PICTURE, PCA):
        return by_components(choice, points) if is_quick(points) else None
    if choice.method == DIRECTIONS:
        missing = [name for name in (choice.x, choice.y) if name not in directions]
        if missing:
            raise LatentLabError("Choose a direction for x and another one for y.")
        x, y = directions[choice.x], directions[choice.y]
        return in_plane(choice, points, plane_of_directions(middle_of(points), x, y))
    ready = points.coordinates.get(choice.method)
    if ready is not None and not choice.settings:
        return without_latents(choice, ready)
    return None


def first_choice(points: PointSet, space: LatentSpace) -> LayoutChoice:
    """Return the layout that a map opens with: a plane, whose places can all be decoded."""
    if native_plane(space) is not None:
        return LayoutChoice(NATIVE)
    return LayoutChoice(PCA if points.picture_map is None else PICTURE)


def unedited(latents: Latents, edits: Mapping[str, float], known: Mapping[str, Direction]) -> Any:
    """Return decoded latents without their edits; ``None`` when a direction is unknown."""
    try:
        return apply_edits(latents, {name: -amount for name, amount in edits.items()}, known)
    except LatentLabError:
        return None


def steered(plane: Plane, start: Latents, shown: Latents, x: float, y: float) -> Latents:
    """Return latents moved within a plane, what lies outside of it kept.

    Args:
        plane: where the hand moves.
        start: one row: what is moved.
        shown: one row: where it stands now, edits included.
        x: where ``shown`` shall project to.
        y: likewise.

    Returns:
        ``start + (x - x0) * x_axis + (y - y0) * y_axis``, with ``shown`` at (x0, y0) now.
    """
    x0, y0 = plane.coordinates(shown)[0].astype(np.float64)
    parts = {}
    for name, array in start.items():
        step = (x - x0) * np.asarray(plane.x_axis[name], np.float64)
        step = step + (y - y0) * np.asarray(plane.y_axis[name], np.float64)
        parts[name] = (array[:1].astype(np.float64) + step[None]).astype(np.float32)
    return Latents(start.space, parts)
