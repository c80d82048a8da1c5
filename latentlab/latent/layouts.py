"""Where the points of a map stand: principal components, t-SNE, UMAP, PaCMAP.

The neighbour methods are work for the CPU process lane: ``layout_in_lane`` gets the path of a
points file, so that no latents pass through a pipe. No torch here.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.core.plane import Plane
from latentlab.core.pointfile import read_points
from latentlab.core.points import PointSet
from latentlab.core.suggest import did_you_mean
from latentlab.latent.layout_engines import ENGINES, Places, Report, few_threads

Float = NDArray[np.float64]

NARROW = 50
"""Wider latents are reduced to so many principal components before neighbours are looked for."""
CHUNK_NUMBERS = 2**22
"""Latent values that are read in one turn."""
_EXACT_WIDTH = 1024
_MORE_THAN_ASKED = 10
_MOST_TURNS = 12
_TOLERANCE, _ROUGH = 1e-5, 1e-3
_KEPT_NUMBERS = 2**28


@dataclass(frozen=True)
class Setting:
    """A number that a method takes: its usual value and its range."""

    usual: float
    low: float
    high: float

    @property
    def whole(self) -> bool:
        """Whether only whole numbers make sense."""
        return isinstance(self.usual, int)


_SEED = Setting(0, 0, 2**31 - 1)
_LATENT_DISTANCE = Setting(0, 0, 1)
"""1 compares bare latents; 0 compares pictures, where the points know how (``picture_map``)."""
SETTINGS: dict[str, dict[str, Setting]] = {
    "picture": {},
    "pca": {},
    "tsne": {
        "perplexity": Setting(30.0, 2.0, 500.0),
        "iterations": Setting(750, 250, 10_000),
        "latent_distance": _LATENT_DISTANCE,
        "seed": _SEED,
    },
    "umap": {
        "n_neighbors": Setting(15, 2, 500),
        "min_dist": Setting(0.1, 0.0, 1.0),
        "latent_distance": _LATENT_DISTANCE,
        "seed": _SEED,
    },
    "pacmap": {
        "n_neighbors": Setting(10, 2, 500),
        "latent_distance": _LATENT_DISTANCE,
        "seed": _SEED,
    },
}
"""What each method takes, under the names that its makers use."""
_MODULES = {"tsne": "openTSNE", "umap": "umap", "pacmap": "pacmap"}
TITLES = {
    "picture": "Picture PCA",
    "pca": "PCA",
    "tsne": "t-SNE",
    "umap": "UMAP",
    "pacmap": "PaCMAP",
}
FEWEST = 10
"""Points that a neighbour method needs."""


def settings_of(method: str, settings: Mapping[str, Any] | None) -> dict[str, float]:
    """Return all settings of a method, the usual ones where none are given.

    Raises:
        LatentLabError: no such method or setting, a value out of range, or the method's package is
            not installed.
    """
    if method not in SETTINGS:
        raise LatentLabError(f"There is no method '{method}'{did_you_mean(method, SETTINGS)}")
    known = SETTINGS[method]
    found: dict[str, float] = {name: setting.usual for name, setting in known.items()}
    for name, value in (settings or {}).items():
        if name not in known:
            raise LatentLabError(
                f"{TITLES[method]} has no setting '{name}'{did_you_mean(name, tuple(known))}"
            )
        setting = known[name]
        sound = isinstance(value, int | float) and setting.low <= value <= setting.high
        if not sound or (setting.whole and value != int(value)):
            kind = "a whole number" if setting.whole else "a number"
            raise LatentLabError(
                f"The setting '{name}' of {TITLES[method]} is {kind} from {setting.low:g} to "
                f"{setting.high:g}, not {value}."
            )
        found[name] = int(value) if setting.whole else float(value)
    module = _MODULES.get(method)
    if module is not None and importlib.util.find_spec(module) is None:
        raise LatentLabError(
            f"{TITLES[method]} needs the package '{module}': install it with "
            '`pip install "latentlab[manifold]"`.'
        )
    return found


# Principal components.


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


def _quiet(_done: int, _total: int, _message: str) -> None:
    """Take a report that nobody wants."""


def principal_components(points: PointSet, count: int = 2, report: Report = _quiet) -> Components:
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


def components_plane(points: PointSet, found: Components, labels: Sequence[str]) -> Plane:
    """Return the plane of the first two components through the mean, labelled x and y."""

    def by_part(vector: Float) -> dict[str, Float]:
        parts, start = {}, 0
        for name in sorted(points.parts):
            shape = points.parts[name].shape[1:]
            stop = start + math.prod(shape)
            parts[name] = vector[start:stop].reshape(shape)
            start = stop
        return parts

    x, y = found.axes[:2]
    duals = None if found.duals is None else (by_part(found.duals[0]), by_part(found.duals[1]))
    middle = by_part(found.mean)
    return Plane(points.space, middle, by_part(x), by_part(y), labels[0], labels[1], duals)


def axis_label(component: int, share: float) -> str:
    """Return what stands at the axis of a component, counted from 0."""
    percent = 100 * share
    return f"PC {component + 1} ({percent:.{0 if percent >= 9.95 else 1}f}% of variance)"


def place_by_components(points: PointSet, report: Report = _quiet) -> tuple[Places, Plane]:
    """Return the points in the plane of their first two principal components, and the plane."""
    with few_threads():
        found = principal_components(points, 2, report)
    labels = [axis_label(k, share) for k, share in enumerate(found.shares)]
    return scores(points, found), components_plane(points, found, labels)


def scores(points: PointSet, found: Components) -> Places:
    """Return where the points stand along components, float32 ``(N, k)``."""
    axes, middle = found.axes.T.astype(np.float32), found.mean @ found.axes.T
    rows = [rows @ axes - middle for rows in flat_chunks(points, np.float32)]
    return np.concatenate(rows).astype(np.float32)


# What changes pictures most.


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
    width, number = turn.shape[1], len(points)
    total, square = np.zeros(width), np.zeros((width, width))
    for rows in flat_chunks(points):
        total += rows.sum(axis=0)
        square += rows.T @ rows
    mean = total / number
    covariance = square / number - np.outer(mean, mean)
    matrix = turn.astype(np.float64)
    variances, vectors = np.linalg.eigh(matrix @ covariance @ matrix.T)
    kept = slice(None, None, -1)
    variances, matrix = variances[kept], vectors[:, kept].T @ matrix
    if not variances[1] > 1e-12 * variances[0]:
        raise LatentLabError("The pictures of this map change in one way only: choose PCA.")
    sound = variances > 1e-12 * variances[0]
    signs = np.sign(matrix[np.arange(len(matrix)), np.abs(matrix).argmax(axis=1)])
    duals = (matrix * (signs / np.sqrt(np.maximum(variances, 1e-300)))[:, None])[sound]
    shares = variances[sound] / variances[sound].sum()
    return Components(mean, duals @ covariance, shares, duals)


def place_by_pictures(points: PointSet) -> tuple[Places, Plane]:
    """Return the points in the plane that changes pictures most, in deviations, and the plane."""
    found = picture_components(points)
    labels = [picture_label(k, share) for k, share in enumerate(found.shares[:2])]
    plane = components_plane(points, found, labels)
    return plane.coordinates(points.parts), plane


def picture_label(component: int, share: float) -> str:
    """Return what stands at the axis of a component of the picture, counted from 0."""
    return f"Picture PC {component + 1} (σ; {100 * share:.0f}% of the change)"


# Layouts that keep neighbours together. Their empty space has no latent.


def layout_in_lane(
    report: Report, path: str, method: str, settings: Mapping[str, float]
) -> tuple[Places, Plane | None]:
    """Place the points of a file, as work of the CPU process lane.

    Args:
        report: called with (done, total, message).
        path: of the points file.
        method: of ``SETTINGS``.
        settings: as ``settings_of`` gives them.

    Returns:
        float32 ``(N, 2)``, and the plane that they lie in, if the method has one.
    """
    points = read_points(Path(path))
    if method == "pca":
        return place_by_components(points, report)
    if method == "picture":
        return place_by_pictures(points)
    return place_by_neighbours(points, method, settings, report), None


def narrowed(points: PointSet, report: Report = _quiet) -> Places:
    """Return the points as float32 ``(N, D)``; wide ones by their first 50 components."""
    if width_of(points) <= NARROW:
        return np.concatenate([*flat_chunks(points, np.float32)])
    return scores(points, principal_components(points, NARROW, report))


def seen(points: PointSet) -> Places:
    """Return the points as float32 ``(N, k)``, their distances like those of their pictures."""
    turn = np.asarray(points.picture_map, np.float32).T
    return np.concatenate([rows @ turn for rows in flat_chunks(points, np.float32)])


def place_by_neighbours(
    points: PointSet, method: str, settings: Mapping[str, float], report: Report = _quiet
) -> Places:
    """Return the places of points, float32 ``(N, 2)``, the same for the same seed.

    Args:
        points: N of them.
        method: ``tsne`` (van der Maaten and Hinton 2008, by openTSNE), ``umap`` (McInnes et al.
            2018, arXiv 1802.03426) or ``pacmap`` (Wang et al. 2021, arXiv 2012.04456).
        settings: as ``settings_of`` gives them.
        report: called with (done, total, message).

    Raises:
        LatentLabError: too few points, or points that are all alike.
    """
    if len(points) < FEWEST:
        raise LatentLabError(
            f"{TITLES[method]} needs at least {FEWEST} points, not {len(points)}: map more."
        )
    as_seen = points.picture_map is not None and not settings.get("latent_distance")
    with few_threads():
        rows = seen(points) if as_seen else narrowed(points, report)
    if not np.ptp(rows, axis=0).any():
        raise LatentLabError("All points of this map are alike: map other data.")
    found = np.asarray(ENGINES[method](rows, settings, report), np.float64)
    return (found - found.mean(axis=0)).astype(np.float32)
