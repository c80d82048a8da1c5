"""The images that are scored: of a data set, of the model itself, or faded. No torch at import.

What a score is held against: the length of the same image when it is compressed.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from latentlab.core.errors import LatentLabError
from latentlab.core.likelihood import FADED_CONTRAST, DataChoice
from latentlab.core.points import PRIOR
from latentlab.services.directions_data import Context, Step, opened
from latentlab.services.maps_images import source_rows

Images = NDArray[np.uint8]
_COMPRESSION = 9


class Readable(Protocol):
    """Images that can be read by their place, uint8 ``(n, H, W, C)``."""

    def __len__(self) -> int: ...

    def read(self, indices: Sequence[int] | NDArray[np.integer]) -> Images:
        """Return some images."""
        ...


@dataclass(frozen=True, eq=False)
class Named:
    """Images, and what they are called.

    Attributes:
        images: all of them.
        rows: int64 ``(N,)``: see ``core.likelihood.Scores``.
        names: likewise.
    """

    images: Readable
    rows: NDArray[np.int64]
    names: tuple[str, ...] | None


class Faded:
    """Every image of a data set with less contrast."""

    def __init__(self, whole: Readable) -> None:
        self.whole = whole

    def __len__(self) -> int:
        return len(self.whole)

    def read(self, indices: Sequence[int] | NDArray[np.integer]) -> Images:
        """Return some images."""
        return faded(self.whole.read(indices))


class Samples:
    """Images of seeds 0 to ``count`` - 1, decoded as those that are kept."""

    def __init__(self, backend: Any, count: int) -> None:
        self._backend, self._count = backend, count

    def __len__(self) -> int:
        return self._count

    def read(self, indices: Sequence[int] | NDArray[np.integer]) -> Images:
        """Return the samples of some seeds."""
        from latentlab.services.decoding import decode_exact, sample_exact

        seeds = tuple(int(index) for index in indices)
        latents = sample_exact(self._backend, self._backend.spec.spaces[0].name, seeds, 1.0)
        return decode_exact(self._backend, latents, None, None)


def faded(images: Images) -> Images:
    """Return images ``(B, H, W, C)`` with less contrast, about the mean colour of each."""
    values = images.astype(np.float64)
    middle = values.mean(axis=(1, 2), keepdims=True)
    levels = middle + FADED_CONTRAST * (values - middle)
    return np.asarray(levels.round(), np.uint8)


def compressed_bits(image: Images, bits: int = 8) -> float:
    """Return the bits/dim of an image as a PNG: the data of its pixels, nothing else.

    Args:
        image: uint8 ``(H, W, C)``, C being 1 or 3.
        bits: of the levels that the model sees; the others are cut off.
    """
    levels = np.ascontiguousarray(image >> (8 - bits))
    stream = io.BytesIO()
    pixels = levels[..., 0] if levels.shape[-1] == 1 else levels
    Image.fromarray(pixels).save(stream, format="PNG", compress_level=_COMPRESSION)
    data, at, size = stream.getvalue(), 8, 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        size += length if kind == b"IDAT" else 0
        at += length + 12
    return 8.0 * size / image.size


def images_to_score(
    context: Context, backend: Any, data: DataChoice
) -> Generator[Step, None, Named]:
    """Return the images of a choice; files are read in the lane.

    Raises:
        LatentLabError: the data cannot be opened, or has images of another shape.
    """
    data.check()
    if data.source == PRIOR:
        rows = np.arange(data.count, dtype=np.int64)
        found = Named(Samples(backend, data.count), rows, None)
    else:
        found = yield from _of_source(context, backend, data)
    return Named(Faded(found.images), found.rows, found.names) if data.faded else found


def _of_source(context: Context, backend: Any, data: DataChoice) -> Generator[Step, None, Named]:
    from latentlab.data.open import is_named
    from latentlab.services.maps_make import readable

    named = is_named(data.source)
    source = data.source if named else str(Path(data.source).expanduser().absolute())
    shape = tuple(backend.spec.image_shape)
    dataset = yield from opened(context.lane, shape, source, data.split, data.count, None)
    if tuple(dataset.image_shape) != shape:
        raise LatentLabError(
            f"'{dataset.name}' has images {tuple(dataset.image_shape)} (channels, height, width), "
            f"the model {shape}: choose other data."
        )
    listed = yield from source_rows(context, source, data.split, data.count, None)
    rows, names = readable(listed, dataset)
    return Named(dataset, rows, None if names is None else tuple(names))
