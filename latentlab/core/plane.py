"""A plane through a latent space: two numbers stand for a latent, so that a map can be decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array, Latents
from latentlab.core.spec import LatentSpace

Float = NDArray[np.float64]


def _flat(parts: Mapping[str, Array], names: tuple[str, ...]) -> Float:
    return np.concatenate([np.asarray(parts[n], np.float64).reshape(-1) for n in names])


@dataclass(frozen=True, eq=False)
class Plane:
    """latent = origin + x * x_axis + y * y_axis.

    Attributes:
        space: name of the latent space.
        origin: array of the part's shape, by part name.
        x_axis: likewise: what one unit of x adds.
        y_axis: likewise for y.
        x_label: what stands at the axis, with its unit.
        y_label: likewise.
        duals: what reads x and y off a latent less the origin, each an array by part name, where
            that is not the nearest point of the plane.
    """

    space: str
    origin: Mapping[str, Array]
    x_axis: Mapping[str, Array]
    y_axis: Mapping[str, Array]
    x_label: str = "x"
    y_label: str = "y"
    duals: tuple[Mapping[str, Array], Mapping[str, Array]] | None = None

    def __post_init__(self) -> None:
        axes = self._axes()
        gram = axes @ axes.T
        if not np.isfinite(gram).all() or np.linalg.det(gram) <= 1e-12 * gram[0, 0] * gram[1, 1]:
            raise LatentLabError(
                "The two axes of this plane are one line: choose directions that differ, or three "
                "pictures that do not lie on a line."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The parts, in a fixed order."""
        return tuple(sorted(self.origin))

    def _axes(self) -> Float:
        return np.stack([_flat(self.x_axis, self.names), _flat(self.y_axis, self.names)])

    def latents(self, points: Array) -> Latents:
        """Return the latents of points ``(n, 2)``, as float32 rows."""
        points = np.asarray(points, np.float64).reshape(-1, 2)
        parts = {}
        for name in self.names:
            origin = np.asarray(self.origin[name], np.float64)
            ways = [np.asarray(axis[name], np.float64) for axis in (self.x_axis, self.y_axis)]
            moved = points @ np.stack([way.reshape(-1) for way in ways])
            rows = origin.reshape(1, -1) + moved
            parts[name] = rows.reshape(len(points), *origin.shape).astype(np.float32)
        return Latents(self.space, parts)

    def widened(self, rest: Mapping[str, Array]) -> Plane:
        """Return the plane in a space of more parts: along it, these stay as they are.

        Args:
            rest: an array of the part's shape, by the names of the other parts.
        """
        still = {name: np.zeros(np.shape(array)) for name, array in rest.items()}
        return replace(
            self,
            origin=dict(rest) | dict(self.origin),
            x_axis=still | dict(self.x_axis),
            y_axis=still | dict(self.y_axis),
            duals=self.duals and (still | dict(self.duals[0]), still | dict(self.duals[1])),
        )

    def coordinates(self, parts: Mapping[str, Array], chunk: int = 65_536) -> NDArray[np.float32]:
        """Return where latents ``(n, *shape)`` stand in the plane, ``(n, 2)``.

        By the duals; without them, the nearest point of the plane, by least squares, so that the
        axes need not be orthogonal.
        """
        axes = self._axes()
        if self.duals is None:
            solve = np.linalg.solve(axes @ axes.T, axes)
        else:
            solve = np.stack([_flat(dual, self.names) for dual in self.duals])
        origin = _flat(self.origin, self.names)
        count = len(parts[self.names[0]])
        found = np.empty((count, 2), np.float32)
        for start in range(0, count, chunk):
            rows = slice(start, min(start + chunk, count))
            flat = [np.asarray(parts[n][rows], np.float64) for n in self.names]
            joined = np.concatenate([array.reshape(len(array), -1) for array in flat], axis=1)
            found[rows] = (joined - origin) @ solve.T
        return found


def native_plane(space: LatentSpace) -> Plane | None:
    """Return the plane that a space of two numbers is; ``None`` for a larger one."""
    parts = [part for part in space.parts if part.dtype == "float32"]
    if space.size != 2 or len(parts) != 1 or len(space.parts) != 1:
        return None
    part = parts[0]
    shape = tuple(n or 1 for n in part.shape)

    def filled(x: float, y: float) -> dict[str, Array]:
        return {part.name: np.array([x, y]).reshape(shape)}

    return Plane(
        space.name,
        filled(0, 0),
        filled(1, 0),
        filled(0, 1),
        f"{part.name}[0]",
        f"{part.name}[1]",
    )


def plane_of_directions(origin: Latents, x: Direction, y: Direction) -> Plane:
    """Return the plane through row 0 of ``origin`` along two directions, in slider units (sigma).

    Raises:
        LatentLabError: they move in another space, or along one line.
    """
    for direction in (x, y):
        if direction.space != origin.space:
            raise LatentLabError(
                f"Direction '{direction.name}' moves in space '{direction.space}', not in "
                f"'{origin.space}': choose another one."
            )

    def axis(direction: Direction) -> dict[str, Array]:
        zero = {name: np.zeros(array.shape[1:]) for name, array in origin.items()}
        moved = {n: direction.scale * v.astype(np.float64) for n, v in direction.vector.items()}
        return zero | moved

    start = {name: np.asarray(array[0], np.float64) for name, array in origin.items()}
    return Plane(origin.space, start, axis(x), axis(y), f"{x.name} (σ)", f"{y.name} (σ)")


def plane_of_three(a: Latents, b: Latents, c: Latents) -> Plane:
    """Return the plane with row 0 of ``a`` at (0, 0), of ``b`` at (1, 0) and of ``c`` at (0, 1).

    Raises:
        LatentLabError: other spaces, or three latents on a line.
    """
    if not a.space == b.space == c.space:
        raise LatentLabError("Three pictures of one latent space make a plane: choose others.")
    origin = {name: np.asarray(array[0], np.float64) for name, array in a.items()}

    def axis(to: Latents) -> dict[str, Array]:
        return {n: np.asarray(array[0], np.float64) - origin[n] for n, array in to.items()}

    return Plane(a.space, origin, axis(b), axis(c), "A to B", "A to C")
