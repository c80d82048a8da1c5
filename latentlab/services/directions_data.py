"""What jobs on directions need of data: labelled images as latents, and how far a unit goes.

Importing this module imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.labels import LabelColumn
from latentlab.core.latents import Latents
from latentlab.core.parts import chosen_parts, narrowed
from latentlab.core.pictures import check_stored
from latentlab.core.points import PRIOR
from latentlab.core.spec import LatentSpace
from latentlab.core.suggest import did_you_mean
from latentlab.services.lane import CpuLane
from latentlab.services.library import ModelLibrary

if TYPE_CHECKING:
    from latentlab.data.base import ImageDataset
    from latentlab.services.renderer import Renderer

Float = NDArray[np.float64]
Step = tuple[int, int, str] | None
Made = Generator[Step, None, tuple[Direction, ...]]
Item = tuple[Picture, Latents | None]
"""A picture and the latents that ``picture.stored`` names."""

OWN_GROUP = "my directions"
"""The heading of directions that a person finds."""
SAMPLES = 1000
"""Samples of a model that the probe reads, unless more are asked for."""
SPREAD_POINTS = 10_000
"""Points of a map that set a slider unit."""
SPREAD_NUMBERS = 2**24
"""Latent values that do so at most."""
PRIOR_SAMPLES = 2048
"""Prior samples that set a slider unit where no encoded data is known."""
PRIOR_SEED = 900_010
"""Set of these; no measurement uses it."""


class Context(Protocol):
    """What a job is given: see ``services.jobs``."""

    @property
    def library(self) -> ModelLibrary:
        """The models."""
        ...

    @property
    def renderer(self) -> Renderer:
        """The renderer of those models."""
        ...

    @property
    def lane(self) -> CpuLane:
        """Runs what cannot yield."""
        ...


@dataclass(frozen=True, eq=False)
class EncodedData:
    """Images as latents of a model's first space.

    Attributes:
        space: of the latents.
        latents: ``(N, D)``, all parts in the space's order.
        labels: of N values, by name.
        about: what provenance says of the data.
        images: which image each row shows, int64 ``(N,)``; ``None``: every row another one.
    """

    space: LatentSpace
    latents: Float
    labels: Mapping[str, LabelColumn] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    images: NDArray[np.int64] | None = None


def open_in_lane(
    report: Callable[[int, int, str], None], source: str, split: str | None, **options: Any
) -> None:
    """Decode a data set's images into the cache, as work of the CPU process lane.

    Args:
        report: called with (done, total, message).
        source: as ``open_dataset`` takes it.
        split: part of it.
        options: as ``dataset_options`` gives them.
    """
    from latentlab.data.open import open_dataset

    open_dataset(
        source,
        split=split,
        on_progress=lambda done, total: report(done, total, "reading images"),
        **options,
    )


def labels_in_lane(
    report: Callable[[int, int, str], None], source: str, split: str | None, attributes: str | None
) -> dict[str, LabelColumn]:
    """Return a data set's labels: a folder of many files takes a while to list."""
    from latentlab.data.open import labels_of

    report(0, 1, "reading the labels")
    table = None if attributes is None else Path(attributes)
    return labels_of(source, split=split, attributes=table)


def dataset_options(
    shape: tuple[int, int, int], count: int | None, attributes: str | None
) -> dict[str, Any]:
    """Return how a data set is opened for a model of images ``(C, H, W)``."""
    from latentlab.data.transforms import ImageTransform

    options: dict[str, Any] = {
        "transform": ImageTransform(size=shape[1], channels=shape[0]),
        "limit": count,
    }
    return options if attributes is None else options | {"attributes": Path(attributes)}


def opened(
    lane: CpuLane,
    shape: tuple[int, int, int],
    source: str,
    split: str | None = None,
    count: int | None = None,
    attributes: str | None = None,
) -> Generator[Step, None, ImageDataset]:
    """Open a data set at a model's size; a file's images are decoded in the lane the first time.

    Raises:
        LatentLabError: there is no such data set, split or table.
    """
    from latentlab.data.open import is_named, open_dataset

    if shape[1] != shape[2]:
        raise LatentLabError(f"This model makes {shape[2]}x{shape[1]} images: no data set fits it.")
    options = dataset_options(shape, count, attributes)
    yield 0, 1, "opening the images"
    if not is_named(source) and Path(source).expanduser().exists():
        yield from lane.run(
            "latentlab.services.directions_data:open_in_lane",
            source=source,
            split=split,
            **options,
        )
    dataset: ImageDataset = open_dataset(source, split=split, **options)
    return dataset


def encoded_data(
    context: Context,
    model: str,
    source: str,
    split: str | None = None,
    count: int | None = None,
    attributes: str | None = None,
    mirror: bool = False,
    parts: Sequence[str] = (),
) -> Generator[Step, None, EncodedData]:
    """Encode a data set, or take its points from the cache, where maps keep them.

    Args:
        context: of the job.
        model: id or path.
        source: as ``open_dataset`` takes it, or ``prior``: the model's own samples, labelled by
            what the probe reads off them.
        split: part of it.
        count: at most so many images.
        attributes: a table of labels for images in a folder or zip.
        mirror: encode every image's mirror too.
        parts: of the latents; all when none are given.

    Raises:
        LatentLabError: the model cannot encode, or the data cannot be opened.
    """
    from latentlab.services.maps import MAX_POINTS, map_points

    backend = context.library.backend(model)
    if source == PRIOR:
        if mirror:
            raise LatentLabError("Samples are latents already: they have no mirrored ones.")
        ready = yield from map_points(
            context,
            model=model,
            split=split,
            attributes=attributes,
            count=SAMPLES if count is None else count,
            reader="probe",
        )
        return points_data(backend, ready.path, parts=parts)
    if mirror:
        return (yield from _mirrored(context, backend, source, split, count, attributes, parts))
    if "encode" not in backend.spec.capabilities:
        raise LatentLabError(
            f"'{backend.spec.id}' cannot take images in, so no direction can be fitted on labelled "
            "ones: choose a model that encodes, or pick groups of its own samples by hand."
        )
    ready = yield from map_points(
        context,
        model=model,
        source=source,
        split=split,
        count=MAX_POINTS if count is None else count,
        attributes=attributes,
    )
    found = points_data(backend, ready.path, parts=parts)
    about = dict(found.about) | ({} if attributes is None else {"attributes": attributes})
    return replace(found, about=about)


def _mirrored(
    context: Context,
    backend: Any,
    source: str,
    split: str | None,
    count: int | None,
    attributes: str | None,
    parts: Sequence[str],
) -> Generator[Step, None, EncodedData]:
    from latentlab.data.mirror import Mirrored
    from latentlab.evaluation.encode import encode_images
    from latentlab.latent.directions import flatten

    shape = backend.spec.image_shape
    views = Mirrored((yield from opened(context.lane, shape, source, split, count, attributes)))
    latents = yield from encode_images(backend, views, "encoding images")
    space = narrowed(backend.spec.space(), parts)
    about = dict(views.describe()) | ({} if split is None else {"split": split})
    return EncodedData(space, flatten(space, latents.parts), views.labels, about, views.shown)


def points_data(
    backend: Any,
    path: str,
    rows: NDArray[np.int64] | None = None,
    limit: int | None = None,
    parts: Sequence[str] = (),
) -> EncodedData:
    """Return the points of a file as encoded data.

    Args:
        backend: of the model that encoded them.
        path: of the points file.
        rows: only these points; all when not given.
        limit: at most so many, spread evenly.
        parts: of the latents; all when none are given.

    Raises:
        LatentLabError: they are of another model, or of weights that have changed since, or there
            is no such point.
    """
    from latentlab.core.pointfile import read_points
    from latentlab.latent.directions import flatten

    points = read_points(Path(path))
    if points.fingerprint != backend.spec.fingerprint:
        raise LatentLabError(
            f"These points were encoded by other weights than those of '{backend.spec.id}': make "
            "the map again."
        )
    space = backend.spec.space(points.space)
    points.latents([0]).check(space)
    space = narrowed(space, parts)
    named = Path(points.source)
    name = named.name if named.is_absolute() else points.source.partition(":")[0]
    about = {"name": name, "source": points.source, "count": len(points)}
    if points.split is not None:
        about["split"] = points.split
    if rows is None and limit is not None and limit < len(points):
        rows = np.arange(limit, dtype=np.int64) * len(points) // limit
    if rows is None:
        return EncodedData(space, flatten(space, points.parts), points.labels, about)
    if len(rows) and (rows.min() < 0 or rows.max() >= len(points)):
        raise LatentLabError("Some of these points are not on the map: select them again.")
    labels = {name: column.take(rows) for name, column in points.labels.items()}
    return EncodedData(space, flatten(space, points.latents(rows).parts), labels, about)


def spread_data(backend: Any, space: LatentSpace, path: str | None = None) -> EncodedData:
    """Return latents whose deviation along a direction is one slider unit.

    They are the points of ``path``, or else of the map that comes with the model, or else prior
    samples; of wide latents fewer.

    Args:
        backend: of the model.
        space: of the latents, or some parts of it (see ``core.parts.narrowed``).
        path: of a points file.

    Raises:
        LatentLabError: the points of ``path`` lie in another space.
    """
    from latentlab.services.maps import bundled_map

    limit = max(2, min(SPREAD_POINTS, SPREAD_NUMBERS // space.size))
    parts = [part.name for part in space.parts]
    if path is not None:
        found = points_data(backend, path, limit=limit, parts=parts)
        if found.space.name == space.name:
            return found
        raise LatentLabError(
            f"These points lie in space '{found.space.name}', not in '{space.name}': choose others."
        )
    bundled = bundled_map(backend.spec.id, backend.spec.fingerprint)
    if bundled is not None:
        found = points_data(backend, str(bundled), limit=limit, parts=parts)
        if found.space.name == space.name:
            return found
    return _prior_data(backend, space)


def _prior_data(backend: Any, space: LatentSpace) -> EncodedData:
    from latentlab.evaluation.measure import prior_latents, prior_seeds
    from latentlab.latent.directions import flatten

    count = max(2, min(PRIOR_SAMPLES, SPREAD_NUMBERS // backend.spec.space(space.name).size))
    latents = prior_latents(backend, space.name, prior_seeds(PRIOR_SEED, count))
    rows = flatten(space, latents.parts)
    return EncodedData(space, rows, about={"source": PRIOR, "count": count})


def picture_rows(
    context: Context, items: tuple[Item, ...], directions: Mapping[str, Direction]
) -> Latents:
    """Return the latents of pictures, edits included, in one batch.

    Args:
        context: of the job.
        items: pictures of one model and space.
        directions: the person's own, beside those of the model.
    """
    from latentlab.core.latents import stack

    found = []
    for picture, stored in items:
        check_stored(picture, stored)
        found.append(context.renderer.latents(picture, stored, directions))
    return stack(found)


def no_method(method: str, known: Sequence[str]) -> LatentLabError:
    """Return the error of an unknown method."""
    return LatentLabError(f"There is no method '{method}'{did_you_mean(method, known)}")


def flat_vectors(
    space: LatentSpace, directions: Sequence[Direction], parts: LatentSpace | None = None
) -> list[Float]:
    """Return directions as ``(D,)`` each; ``LatentLabError`` if one is of another space.

    Args:
        space: of the model.
        directions: any.
        parts: some of its parts: the vectors are cut down to these, and those that move none of
            them are left out.
    """
    from latentlab.latent.directions import flat_vector

    for direction in directions:
        direction.check(space)
    found = [flat_vector(parts or space, direction) for direction in directions]
    return [vector for vector in found if np.abs(vector).max() > 0]


def moved_parts(space: LatentSpace, parts: Sequence[str]) -> dict[str, Any]:
    """Return what provenance says of the parts that a direction moves; nothing for all."""
    return {"parts": list(chosen_parts(space, parts))} if parts else {}


def source_of(
    data: EncodedData, orthogonal_to: Sequence[Direction] = (), parts: Sequence[str] = ()
) -> dict[str, Any]:
    """Return what provenance says of the data, of what was left alone, and of what moves."""
    found: dict[str, Any] = {"data": dict(data.about)} | moved_parts(data.space, parts)
    if orthogonal_to:
        found["orthogonal_to"] = [direction.name for direction in orthogonal_to]
    return found
