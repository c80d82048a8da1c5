"""Axes through the points of a map: along which latents spread most, or pictures change most.

Points of any number are read a few million values at a time. No torch here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.core.plane import Plane
from latentlab.core.points import PointSet
from latentlab.latent.layout_engines import Places, Report

Float = NDArray[np.float64]

CHUNK_NUMBERS = 2**22
"""Latent values that are read in one turn."""
_EXACT_WIDTH = 1024
_MORE_THAN_ASKED = 10
_MOST_TURNS = 12
_TOLERANCE, _ROUGH = 1e-5, 1e-3
_KEPT_NUMBERS = 2**28


@dataclass(frozen=True, eq=False)
class Components:
    """The axes along which points spread most.

    Attributes:
        mean: ``(D,)``.
        axes: ``(k, D)``, orthonormal, the one with the largest variance first; the largest entry of
            each is positive, so that the same points always lie the same way.
        shares: ``(k,)``, of the whole variance, 0 to 1.
        duals: ``(k, D)``, what reads the place along an axis off a latent less the mean, where the
            axes are not orthonormal.
    """

    mean: Float
    axes: Float
    shares: Float
    duals: Float | None = None


def width_of(points: PointSet) -> int:
    """Return the latent values of one point, over all parts."""
    return sum(math.prod(array.shape[1:]) for array in points.parts.values())


def rows_a_turn(points: PointSet) -> int:
    """Return how many points are read at a time, a few million values of them."""
    return max(1, CHUNK_NUMBERS // width_of(points))


def flat_chunks(points: PointSet, dtype: Any = np.float64) -> Iterator[Any]:
    """Yield the points as new arrays ``(n, D)``, the parts in the order of their names."""
    size = rows_a_turn(points)
    for start in range(0, len(points), size):
        rows = [
            np.array(points.parts[name][start : start + size], dtype)
            for name in sorted(points.parts)
        ]
        flat = [array.reshape(len(array), -1) for array in rows]
        yield flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1)


def quiet(_done: int, _total: int, _message: str) -> None:
    """Take a report that nobody wants."""


def principal_components(points: PointSet, count: int = 2, report: Report = quiet) -> Components:
    """Find the principal components of points of any number, read a few million values at a time.

    Up to 1,024 latent values they are the eigenvectors of the covariance. For wider latents, block
    Krylov iteration (Musco and Musco 2015, arXiv 1504.05477) goes on until they stand still.

    Args:
        points: N of them.
        count: components; there are at most N - 1, and as many as latent values.
        report: called with (done, total, message).

    Raises:
        LatentLabError: too few points, or points that are all alike.
    """
    width = width_of(points)
    if len(points) < 3 or width < 2:
        raise LatentLabError("A map by PCA needs three points and two latent numbers: map more.")
    count = min(count, width, len(points) - 1)
    find = _from_covariance if width <= _EXACT_WIDTH else _from_krylov
    mean, variances, axes, total = find(points, count, report)
    if not total > 0:
        raise LatentLabError("All points of this map are alike: map other data.")
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    return Components(mean, axes * signs[:, None], np.maximum(variances, 0) / total)


def _from_covariance(
    points: PointSet, count: int, report: Report
) -> tuple[Float, Float, Float, float]:
    number, width = len(points), width_of(points)
    # Sums of many points are float64, whatever their products are.
    dtype = np.float64 if number * width <= CHUNK_NUMBERS else np.float32
    # Near the mean, so that nothing is lost when its square is taken off in the end.
    shift = next(flat_chunks(points)).mean(axis=0).astype(dtype)
    total, square, done = np.zeros(width), np.zeros((width, width)), 0
    for rows in flat_chunks(points, dtype):
        rows -= shift
        total += rows.sum(axis=0, dtype=np.float64)
        square += rows.T @ rows
        done += len(rows)
        report(done, number, "finding the axes")
    mean = total / number
    square -= number * np.outer(mean, mean)
    variances, vectors = np.linalg.eigh(square)
    order = slice(None, -count - 1, -1)
    return mean + shift, variances[order], vectors[:, order].T, float(np.trace(square))


def _from_krylov(points: PointSet, count: int, report: Report) -> tuple[Float, Float, Float, float]:
    number, width = len(points), width_of(points)
    sums = (rows.sum(axis=0, dtype=np.float64) for rows in flat_chunks(points, np.float32))
    mean = np.sum([*sums], axis=0) / number
    around = mean.astype(np.float32)

    def centred() -> Iterator[NDArray[np.float32]]:
        for rows in flat_chunks(points, np.float32):
            rows -= around
            yield rows

    kept = [*centred()] if number * width <= _KEPT_NUMBERS else None
    total = sum(float(np.vdot(rows, rows)) for rows in kept or centred())
    wide = min(count + _MORE_THAN_ASKED, number, width)
    block = np.random.default_rng(0).standard_normal((width, wide))
    basis, images = np.zeros((width, 0)), np.zeros((width, 0))
    tolerance = _TOLERANCE if count <= 2 else _ROUGH
    for turn in range(_MOST_TURNS):
        report(turn, _MOST_TURNS, "finding the axes")
        # Against all earlier blocks; twice is enough (Kahan and Parlett).
        for _ in range(2):
            block = np.linalg.qr(block - basis @ (basis.T @ block))[0]
        narrow, image = block.astype(np.float32), np.zeros_like(block)
        for rows in kept or centred():
            image += rows.T @ (rows @ narrow)
        basis, images = np.hstack([basis, block]), np.hstack([images, image])
        inner = basis.T @ images
        variances, inside = np.linalg.eigh((inner + inner.T) / 2)
        best, variances = inside[:, : -count - 1 : -1], variances[: -count - 1 : -1]
        axes = basis @ best
        away = np.linalg.norm(images @ best - axes * variances, axis=0)
        if (away <= tolerance * max(variances[0], 1e-300)).all() or basis.shape[1] + wide > width:
            break
        block = image
    return mean, variances, axes.T, total


def by_part(points: PointSet, vector: Float) -> dict[str, Float]:
    """Return a flat vector ``(D,)`` by part, in the parts' shapes."""
    parts, start = {}, 0
    for name in sorted(points.parts):
        shape = points.parts[name].shape[1:]
        stop = start + math.prod(shape)
        parts[name] = vector[start:stop].reshape(shape)
        start = stop
    return parts


def components_plane(points: PointSet, found: Components, labels: Sequence[str]) -> Plane:
    """Return the plane of the first two components through the mean, labelled x and y."""
    middle, x, y = (by_part(points, row) for row in (found.mean, *found.axes[:2]))
    duals = None
    if found.duals is not None:
        duals = (by_part(points, found.duals[0]), by_part(points, found.duals[1]))
    return Plane(points.space, middle, x, y, labels[0], labels[1], duals)


def axis_label(component: int, share: float) -> str:
    """Return what stands at the axis of a component, counted from 0."""
    percent = 100 * share
    return f"PC {component + 1} ({percent:.{0 if percent >= 9.95 else 1}f}% of variance)"


def scores(points: PointSet, found: Components) -> Places:
    """Return where the points stand along components, float32 ``(N, k)``."""
    axes, middle = found.axes.T.astype(np.float32), found.mean @ found.axes.T
    rows = [rows @ axes - middle for rows in flat_chunks(points, np.float32)]
    return np.concatenate(rows).astype(np.float32)


def picture_components(points: PointSet) -> Components:
    """Return the ways through the latents along which the picture changes most.

    u = M z, M being the picture map, is turned to its principal components over the points. Axis i
    is how the latents go with u_i, Cov(z, u_i) / std(u_i): one unit is one standard deviation of
    the points, and changes no other u. ``shares`` are of the change that is linear in the latents.

    Raises:
        LatentLabError: too few points, or points that do not know how they change the picture.
    """
    turn = points.picture_map
    if turn is None or len(turn) < 2 or len(points) < 3:
        raise LatentLabError(
            "How these latents change the picture is not known: choose PCA, or map the data again."
        )
    # Cov(z, u) alone is needed, which stays small however wide the latents are.
    matrix = turn.astype(np.float64)
    total = np.sum([rows.sum(axis=0) for rows in flat_chunks(points)], axis=0)
    mean, together = total / len(points), np.zeros(turn.T.shape)
    for rows in flat_chunks(points):
        rows -= mean
        together += rows.T @ (rows @ matrix.T)
    together /= len(points)
    inner = matrix @ together
    variances, vectors = np.linalg.eigh((inner + inner.T) / 2)
    kept = slice(None, None, -1)
    variances, turned = variances[kept], vectors[:, kept]
    if not variances[1] > 1e-12 * variances[0]:
        raise LatentLabError("The pictures of this map change in one way only: choose PCA.")
    sound = variances > 1e-12 * variances[0]
    variances, matrix = variances[sound], turned.T[sound] @ matrix
    signs = np.sign(matrix[np.arange(len(matrix)), np.abs(matrix).argmax(axis=1)])
    sizes = (signs / np.sqrt(variances))[:, None]
    axes = (turned.T[sound] @ together.T) * sizes
    return Components(mean, axes, variances / variances.sum(), matrix * sizes)


def picture_label(component: int, share: float) -> str:
    """Return what stands at the axis of a component of the picture, counted from 0."""
    return f"Picture PC {component + 1} (σ; {100 * share:.0f}% of the change)"
