"""Jobs around a map: its points, where they stand, their neighbours and images.

Each is a generator ``job(context, **arguments)``; see ``services.jobs``. Importing this module
imports no torch.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.core.noise import MAX_SEED
from latentlab.core.paths import asset_path
from latentlab.core.plane import Plane
from latentlab.core.pointfile import FORMAT_VERSION, read_points, read_points_header
from latentlab.core.points import PRIOR, PointSet, narrowed_points
from latentlab.core.suggest import did_you_mean
from latentlab.services.directions_data import Context, Step
from latentlab.services.maps_cache import (
    layout_path,
    make_room,
    map_path,
    mark_used,
    read_layout,
    write_layout,
)
from latentlab.services.maps_images import identity, images_of
from latentlab.services.maps_make import Source, check_space, encode_points, sample_points
from latentlab.services.maps_read import probe_of

Metric = Literal["latent", "pixel"]
METRICS: tuple[Metric, ...] = ("latent", "pixel")
MAX_POINTS = 2_000_000
QUICK_NUMBERS = 4_000_000
"""Latent values up to which PCA is done at once, without a process of its own."""
_TURN_NUMBERS = 2**20
_IMAGES_CHUNK = 64


@dataclass(frozen=True)
class MapReady:
    """A points file.

    Attributes:
        path: of the file.
        count: points in it.
        skipped: images that could not be read, by name.
    """

    path: str
    count: int
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class MapLayout:
    """Where points stand.

    Attributes:
        method: of ``latent.layouts.SETTINGS``.
        coordinates: float32 ``(N, 2)``.
        plane: that they lie in; ``None`` where the space between points has no latent.
        settings: that it was made with, the usual ones filled in.
        cached: whether it was there already.
    """

    method: str
    coordinates: NDArray[np.float32]
    plane: Plane | None
    settings: Mapping[str, float]
    cached: bool


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The points nearest to one, itself left out.

    Attributes:
        points: int64 ``(k,)``, the nearest first.
        distances: float64 ``(k,)``: Euclidean over the latent values, or root mean square over the
            pixels, in levels (0 to 255).
        metric: ``latent`` or ``pixel``.
    """

    points: NDArray[np.int64]
    distances: NDArray[np.float64]
    metric: Metric


def bundled_map(model_id: str, fingerprint: str) -> Path | None:
    """Return the points file that came with a model; ``None`` if none of these weights did."""
    path = asset_path("maps", f"{Path(model_id).name}.safetensors")
    if not path.is_file():
        return None
    try:
        header = read_points_header(path)
    except LatentLabError:
        return None
    return path if header.fingerprint == fingerprint else None


def map_points(
    context: Context,
    *,
    model: str,
    source: str = PRIOR,
    split: str | None = None,
    count: int = 5000,
    seed: int = 0,
    attributes: str | None = None,
    reader: str | None = None,
) -> Generator[Step, None, MapReady]:
    """Encode a data set, or sample the prior, into a points file in the cache.

    Args:
        context: of the job.
        model: id or path.
        source: as ``open_dataset`` takes it, or ``prior``.
        split: part of it.
        count: points at most; a larger data set is taken evenly.
        seed: the first of the prior's seeds.
        attributes: a table of labels for images in a folder or zip.
        reader: ``probe`` labels prior samples by what the probe reads off them.

    Raises:
        LatentLabError: the model cannot encode, or the data cannot be opened.
    """
    from latentlab.data.open import is_named

    if not 1 <= count <= MAX_POINTS:
        raise LatentLabError(f"A map has 1 to {MAX_POINTS:,} points, not {count:,}.")
    yield 0, count, "reading the model"
    name = context.library.resolve(model).id
    backend = context.library.backend(model)
    space = backend.spec.space()
    check_space(space)
    mark = [FORMAT_VERSION, name, backend.spec.fingerprint, space.name]
    if source == PRIOR:
        if split is not None or attributes is not None:
            raise LatentLabError("Prior samples have no splits and no table: leave them out.")
        if not 0 <= seed <= MAX_SEED - count:
            raise LatentLabError(f"A seed is a whole number from 0 to {MAX_SEED - count}.")
        read = [] if reader is None else [reader]
        path = map_path(*mark, PRIOR, count, seed, *read)
        known = _kept(path)
        if known is None:
            probe = None if reader is None else probe_of(backend, reader)
            yield from sample_points(backend, name, path, range(seed, seed + count), probe)
    elif reader is not None:
        raise LatentLabError("A data set brings its own labels: map it without a reader.")
    else:
        source = source if is_named(source) else _absolute(source)
        attributes = attributes and _absolute(attributes)
        stamp = yield from identity(context, source, attributes)
        path = map_path(*mark, source, stamp, split, count)
        known = _kept(path)
        if known is None:
            where = Source(source, split, count, attributes, stamp)
            yield from encode_points(context, backend, name, path, where)
    if known is None:
        make_room(path)
    return known or _ready(path)


def _absolute(text: str) -> str:
    """Return the whole path of a file; another process has another folder."""
    path = Path(text).expanduser()
    return str(path.absolute()) if path.exists() else text


def _kept(path: Path) -> MapReady | None:
    """Return the points of the cache, if they are there and sound."""
    try:
        found = _ready(path)
    except LatentLabError:
        return None
    mark_used(path)
    return found


def _ready(path: Path) -> MapReady:
    count = len(read_points(path))
    skipped = read_points_header(path).about.get("skipped")
    return MapReady(str(path), count, tuple(str(skipped).split("\n")) if skipped else ())


def map_layout(
    context: Context,
    *,
    path: str,
    method: str,
    settings: Mapping[str, Any] | None = None,
    parts: Sequence[str] = (),
) -> Generator[Step, None, MapLayout]:
    """Place the points of a file; a layout that was made before is there at once.

    Args:
        context: of the job.
        path: of a points file.
        method: ``picture``, ``pca``, ``tsne``, ``umap`` or ``pacmap``.
        settings: of the method, by the names in ``latent.layouts.SETTINGS``.
        parts: of the latents that count; all when none are given. The plane lies in these.

    Raises:
        LatentLabError: no such method or setting, its package is not installed, or the points are
            too few or all alike.
    """
    from latentlab.latent.components import width_of
    from latentlab.latent.layouts import (
        check_installed,
        place_by_components,
        place_by_pictures,
        settings_of,
    )

    yield 0, 1, "reading the points"
    values = settings_of(method, settings)
    points = narrowed_points(read_points(Path(path)), parts)
    if method in points.coordinates and not settings:
        # The file brings the layout along, made with the usual settings.
        return MapLayout(method, points.coordinates[method], None, values, True)
    kept = layout_path(Path(path), method, values, parts)
    known = read_layout(kept, len(points))
    if known is not None:
        return MapLayout(method, *known, values, True)
    # What was made before needs no package.
    check_installed(method)
    quick = len(points) * width_of(points) <= QUICK_NUMBERS
    found: tuple[NDArray[np.float32], Plane | None]
    if quick and method == "pca":
        found = place_by_components(points)
    elif quick and method == "picture":
        found = place_by_pictures(points)
    else:
        found = yield from context.lane.run(
            "latentlab.latent.layouts:layout_in_lane",
            path=str(path),
            method=method,
            settings=values,
            parts=tuple(parts),
        )
    write_layout(kept, *found)
    return MapLayout(method, *found, values, False)


def map_neighbours(
    context: Context,
    *,
    path: str,
    point: int,
    metric: Metric = "latent",
    count: int = 50,
    parts: Sequence[str] = (),
) -> Generator[Step, None, Neighbours]:
    """Find the points nearest to one, exactly.

    Args:
        context: of the job.
        path: of a points file.
        point: of which one.
        metric: ``latent``, or ``pixel``: between the data set's own images, or the decoded ones of
            prior samples.
        count: neighbours at most; there are one fewer than points.
        parts: of the latents that are compared; all when none are given.

    Raises:
        LatentLabError: no such point or metric, or the images are gone.
    """
    if metric not in METRICS:
        raise LatentLabError(f"There is no distance '{metric}'{did_you_mean(metric, METRICS)}")
    yield 0, 1, "reading the points"
    points = read_points(Path(path))
    _check_points(points, [point])
    if metric == "latent":
        squares = yield from _latent_squares(narrowed_points(points, parts), point)
    else:
        squares = yield from _pixel_squares(context, path, points, point)
    squares[point] = np.inf
    count = min(max(0, count), len(points) - 1)
    nearest = np.argpartition(squares, count)[:count] if count else np.zeros(0, np.int64)
    nearest = nearest[np.lexsort((nearest, squares[nearest]))]
    return Neighbours(nearest.astype(np.int64), np.sqrt(squares[nearest]), metric)


def _check_points(points: PointSet, chosen: Sequence[int]) -> None:
    for point in chosen:
        if not 0 <= point < len(points):
            raise LatentLabError(f"There is no point {point}: this map has {len(points)}.")


def _latent_squares(points: PointSet, point: int) -> Generator[Step, None, NDArray[np.float64]]:
    """Return squared Euclidean distances to a point, ``(N,)``."""
    from latentlab.latent.components import width_of

    size = max(1, _TURN_NUMBERS // width_of(points))
    squares = np.zeros(len(points))
    middle = {name: np.asarray(a[point], np.float32) for name, a in points.parts.items()}
    for start in range(0, len(points), size):
        rows = slice(start, min(start + size, len(points)))
        for name, array in points.parts.items():
            away = np.asarray(array[rows], np.float32) - middle[name]
            flat = away.reshape(len(away), -1)
            squares[rows] += np.einsum("nd,nd->n", flat, flat)
        yield rows.stop, len(points), "comparing latents"
    return squares


def _pixel_squares(
    context: Context, path: str, points: PointSet, point: int
) -> Generator[Step, None, NDArray[np.float64]]:
    """Return mean squared differences of the images' levels to those of a point, ``(N,)``."""
    from latentlab.evaluation.measure import chunk_of

    images = yield from images_of(context, Path(path), points)
    total, message = len(points), "comparing images"
    middle = (yield from images([point], (0, total, message))).astype(np.float32)
    squares = np.zeros(len(points))
    chunk = _IMAGES_CHUNK
    if points.source == PRIOR:
        chunk = chunk_of(context.library.backend(points.model), chunk)
    for start in range(0, len(points), chunk):
        rows = np.arange(start, min(start + chunk, len(points)))
        found = yield from images(rows, (start, total, message))
        away = found.astype(np.float32) - middle
        squares[rows] = np.square(away).reshape(len(rows), -1).mean(axis=1)
        yield int(rows[-1]) + 1, total, message
    return squares


def map_images(
    context: Context, *, path: str, points: Sequence[int]
) -> Generator[Step, None, NDArray[np.uint8]]:
    """Return the images of points, uint8 ``(k, H, W, C)``: the data set's own, or decoded ones.

    Raises:
        LatentLabError: no such point, or the data has changed since it was mapped.
    """
    yield 0, 1, "reading the images"
    found = read_points(Path(path))
    _check_points(found, list(points))
    images = yield from images_of(context, Path(path), found)
    rows = np.asarray(points, np.int64)
    return (yield from images(rows, (0, len(rows), "reading the images")))
