"""The images behind the points of a map: a data set's own, or decoded prior samples."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.core.pointfile import read_points_header
from latentlab.core.pointheader import PointsHeader
from latentlab.core.points import PRIOR, PointSet
from latentlab.services.directions_data import Context, Step, opened

if TYPE_CHECKING:
    from latentlab.data.base import ImageDataset

Images = NDArray[np.uint8]
Report = Callable[[int, int, str], None]
Rows = Sequence[int] | NDArray[np.integer]
ReadImages = Callable[[Rows, Step], Generator[Step, None, Images]]
"""Returns the images of some points, uint8 ``(n, H, W, C)``: what a job yields meanwhile is made of
the report that it had got to."""

_MOST_OPEN = 2
_DECODED_BYTES = 256 * 2**20
"""Of the decoded images that are remembered of one map."""
_DECODED: dict[tuple[str, int, int], dict[int, Images]] = {}
_OPEN: dict[tuple[str, int], ImageDataset] = {}
"""Data sets of points files; opening one again would cost a second each time a point is looked at.
"""


@dataclass(frozen=True, eq=False)
class SourceRows:
    """What a data set says of its images before they are decoded; see ``rows_in_lane``."""

    rows: NDArray[np.int64]
    names: list[str] | None


def rows_in_lane(
    report: Report, source: str, split: str | None, count: int, attributes: str | None
) -> SourceRows:
    """List the images of a source, as work of the lane: a folder of many files takes a while."""
    from latentlab.data.open import names_of

    report(0, 1, "listing the images")
    table = None if attributes is None else Path(attributes)
    return SourceRows(*names_of(source, split=split, limit=count, attributes=table))


def source_rows(
    context: Context, source: str, split: str | None, count: int, attributes: str | None
) -> Generator[Step, None, SourceRows]:
    """List the images of a source, files in the lane."""
    arguments = {"source": source, "split": split, "count": count, "attributes": attributes}
    if Path(source).expanduser().exists():
        found: SourceRows = yield from context.lane.run(
            "latentlab.services.maps_images:rows_in_lane", **arguments
        )
        return found
    return rows_in_lane(lambda *_: None, source, split, count, attributes)


def identity_in_lane(report: Report, source: str, attributes: str | None) -> str:
    """Return what tells whether a source has changed, as work of the lane."""
    from latentlab.data.open import identity_of

    report(0, 1, "looking at the files")
    return identity_of(source, attributes=None if attributes is None else Path(attributes))


def identity(context: Context, source: str, attributes: str | None) -> Generator[Step, None, str]:
    """Return what tells whether a source has changed; a folder is walked in the lane."""
    from latentlab.data.open import identity_of

    if Path(source).expanduser().is_dir():
        return (
            yield from context.lane.run(
                "latentlab.services.maps_images:identity_in_lane",
                source=source,
                attributes=attributes,
            )
        )
    return identity_of(source, attributes=None if attributes is None else Path(attributes))


def images_of(context: Context, path: Path, points: PointSet) -> Generator[Step, None, ReadImages]:
    """Return what reads the images of a points file.

    Raises:
        LatentLabError: the data is gone or has changed since, or the model of prior samples has.
    """
    if points.source == PRIOR:
        return _decoder(context, points)
    key = (str(path.absolute()), path.stat().st_mtime_ns)
    dataset = _OPEN.get(key)
    if dataset is None:
        dataset = yield from _dataset(context, read_points_header(path), len(points))
        _OPEN[key] = dataset
        while len(_OPEN) > _MOST_OPEN:
            del _OPEN[next(iter(_OPEN))]

    def read(rows: Rows, _report: Step) -> Generator[Step, None, Images]:
        yield from ()
        return dataset.read(rows)

    return read


def _decoder(context: Context, points: PointSet) -> ReadImages:
    from latentlab.backends.stepping import in_steps
    from latentlab.evaluation.measure import levels_in_turns

    backend: Any = context.library.backend(points.model)
    if backend.spec.fingerprint != points.fingerprint:
        raise LatentLabError(
            f"These points were sampled from other weights than those of '{points.model}': make "
            "the map again."
        )

    def decode(rows: Rows, report: Step) -> Generator[Step, None, Images]:
        at = report or (0, len(rows), "decoding")
        return (yield from levels_in_turns(backend, points.latents(rows), at))

    if not in_steps(backend):
        return decode
    known = _decoded_of((points.fingerprint, len(points), int(points.rows[0])))

    def remember(rows: Rows, report: Step) -> Generator[Step, None, Images]:
        missing = [int(row) for row in rows if int(row) not in known]
        found = {int(row): known[int(row)] for row in rows if int(row) in known}
        if missing:
            images = yield from decode(missing, report)
            found.update(zip(missing, images))
            if (len(known) + len(missing)) * images[0].nbytes > _DECODED_BYTES:
                known.clear()
            known.update(zip(missing, images))
        return np.stack([found[int(row)] for row in rows])

    return remember


def _decoded_of(key: tuple[str, int, int]) -> dict[int, Images]:
    """Return the decoded images of a map by point: of many steps, they are worth their memory."""
    found = _DECODED.pop(key, {})
    _DECODED[key] = found
    while len(_DECODED) > _MOST_OPEN:
        del _DECODED[next(iter(_DECODED))]
    return found


def _dataset(
    context: Context, header: PointsHeader, count: int
) -> Generator[Step, None, ImageDataset]:
    about = header.about
    sizes = [about.get(name) for name in ("channels", "size", "limit")]
    table = about.get("attributes")
    if not all(isinstance(n, int) and n > 0 for n in sizes):
        raise LatentLabError("This map does not say how its images were read: map the data again.")
    channels, size, limit = (int(n) for n in sizes if n is not None)
    changed = LatentLabError(
        f"'{header.source}' has changed since it was mapped: map the data again."
    )
    attributes = None if table is None else str(table)
    if (yield from identity(context, header.source, attributes)) != about.get("identity"):
        raise changed
    shape = (channels, size, size)
    dataset = yield from opened(context.lane, shape, header.source, header.split, limit, attributes)
    if len(dataset) != count:
        raise changed
    return dataset
