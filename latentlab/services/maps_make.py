"""Making the points of a map: a data set encoded, or the prior sampled, into a points file."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array
from latentlab.core.pointfile import half_precision, write_points
from latentlab.core.points import PRIOR, PointSet
from latentlab.core.spec import LatentSpace
from latentlab.services.directions_data import Context, Step, opened
from latentlab.services.maps_images import SourceRows, source_rows
from latentlab.services.maps_read import PROBE, read_labels

if TYPE_CHECKING:
    from latentlab.data.base import ImageDataset

MOST_SKIPPED = 1000
"""Names of unreadable images that a points file keeps."""
MAX_NUMBERS = 2**30
"""Latent values of all points together: 4 GiB while they are made, 2 GiB in the file."""
_PRIOR_CHUNK = 256


@dataclass(frozen=True)
class Source:
    """Where images come from: the arguments of ``open_dataset``, and what tells of changes."""

    source: str
    split: str | None
    count: int
    attributes: str | None
    identity: str


def check_space(space: LatentSpace) -> None:
    """Raise ``LatentLabError`` unless the latents of a space are numbers."""
    for part in space.parts:
        if part.dtype != "float32":
            raise LatentLabError(
                f"Part '{part.name}' holds tokens, which have no place on a map: choose another "
                "model."
            )


def check_size(space: LatentSpace, count: int) -> None:
    """Raise ``LatentLabError`` unless so many points fit into memory."""
    if count * space.size > MAX_NUMBERS:
        raise LatentLabError(
            f"{count:,} points of {space.size:,} latent numbers each do not fit into memory: map "
            f"at most {MAX_NUMBERS // space.size:,}."
        )


def sample_points(
    backend: Any, model: str, path: Path, seeds: range, probe: Any = None
) -> Generator[Step, None, None]:
    """Sample the prior, one point a seed, and write the points file.

    With a ``probe`` the samples are decoded, and labelled by what it reads.
    """
    import torch

    from latentlab.evaluation.pictures import picture_map

    space = backend.spec.space()
    check_size(space, len(seeds))
    found: dict[str, Array] = {}
    for start in range(0, len(seeds), _PRIOR_CHUNK):
        yield start, len(seeds), "sampling the prior"
        chunk = seeds[start : start + _PRIOR_CHUNK]
        with torch.inference_mode():
            parts = backend.sample_prior(space.name, list(chunk))
        rows = {name: part.float().cpu().numpy() for name, part in parts.items()}
        _fill(found, rows, start, len(seeds))
    points = PointSet(
        model=model,
        fingerprint=backend.spec.fingerprint,
        space=space.name,
        source=PRIOR,
        rows=np.arange(seeds.start, seeds.stop, dtype=np.int64),
        parts={name: half_precision(array) for name, array in found.items()},
    )
    points = replace(points, picture_map=(yield from picture_map(backend, points)))
    about: dict[str, Any] = {"limit": len(seeds)}
    if probe is not None:
        points = replace(points, labels=(yield from read_labels(backend, points, probe)))
        about["reader"] = PROBE
    write_points(path, points, about=about)


def _fill(found: dict[str, Array], rows: Mapping[str, Array], start: int, count: int) -> None:
    for name, array in rows.items():
        if name not in found:
            found[name] = np.empty((count, *array.shape[1:]), np.float32)
        found[name][start : start + len(array)] = array


def encode_points(
    context: Context, backend: Any, model: str, path: Path, where: Source
) -> Generator[Step, None, None]:
    """Encode a data set and write the points file.

    Raises:
        LatentLabError: the model cannot encode, or the data cannot be opened.
    """
    from latentlab.evaluation.encode import check_encodes, encode_images
    from latentlab.evaluation.pictures import picture_map

    if "encode" not in backend.spec.capabilities:
        raise LatentLabError(
            f"'{model}' cannot take images in, so no data set can be mapped: map prior samples, or "
            "choose a model that encodes."
        )
    shape = backend.spec.image_shape
    arguments = (where.source, where.split, where.count, where.attributes)
    dataset = yield from opened(context.lane, shape, *arguments)
    check_encodes(backend, dataset)
    check_size(backend.spec.space(), len(dataset))
    listed = yield from source_rows(context, *arguments)
    rows, names = readable(listed, dataset)
    latents = yield from encode_images(backend, dataset, "encoding images")
    points = PointSet(
        model=model,
        fingerprint=backend.spec.fingerprint,
        space=latents.space,
        source=where.source,
        rows=rows,
        parts={name: half_precision(array) for name, array in latents.items()},
        split=where.split,
        labels=dataset.labels,
    )
    points = replace(points, picture_map=(yield from picture_map(backend, points)))
    yield len(dataset), len(dataset), "writing the points"
    skipped = [skip.name for skip in dataset.skipped][:MOST_SKIPPED]
    about = {
        "limit": where.count,
        "attributes": where.attributes,
        "identity": where.identity,
        "channels": shape[0],
        "size": shape[1],
        "skipped": "\n".join(skipped) or None,
    }
    write_points(path, points, names=names, about=about)


def readable(listed: SourceRows, dataset: ImageDataset) -> tuple[Array, Sequence[str] | None]:
    """Return rows and names of the images that could be decoded."""
    rows, names = listed.rows, listed.names
    if names is not None and len(rows) != len(dataset):
        lost = {skip.name for skip in dataset.skipped}
        kept = [place for place, name in enumerate(names) if name not in lost]
        rows, names = rows[kept], [names[place] for place in kept]
    if len(rows) != len(dataset):
        # Changed while it was read, or names that stand twice: the order is all that is known.
        return np.arange(len(dataset), dtype=np.int64), None
    return rows, names
