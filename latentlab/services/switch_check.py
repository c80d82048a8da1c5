"""Whether what was switched comes back: pictures are encoded again. Everything in micro-batches.

An exact encoder (``spec.encode_kind``) decodes with ``clamp`` false to images outside [-1, 1], and
encodes them again; see ``backends.base.Encodes``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array, Latents, stack
from latentlab.core.switching import Cell, cell_latents
from latentlab.services.decoding import MICRO_BATCH, fixed, to_tensors
from latentlab.services.encoding import psnr
from latentlab.services.switch import Images, RoundTrip, Sources, SwitchCheck

GLOBAL = "global"
"""The part that an encoder of global parts estimates."""


@runtime_checkable
class EncodesGlobal(Protocol):
    """An exact encoder of all parts but one, which it estimates."""

    def encode_global(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation ``(B, D)`` of part ``global``, in its own units."""
        ...


def encodes_exactly(sources: Sources) -> bool:
    """Whether the latents of these pictures come back, but for rounding."""
    spec = sources.backend.spec
    exact = "encode" in spec.capabilities and spec.encode_kind == "exact"
    # What is encoded are latents of the first space.
    return exact and sources.space.name == spec.spaces[0].name


def round_trips(
    sources: Sources, images: Mapping[str, Images], photos: Mapping[str, Images]
) -> Iterator[dict[str, RoundTrip]]:
    """Yield what is measured so far, by id: at most a micro-batch more a turn.

    Args:
        sources: of the matrix.
        images: pictures of those to measure, uint8 ``(H, W, C)``, by id.
        photos: photographs, likewise; of some of them.

    Raises:
        LatentLabError: a photograph is of another size than the model's.
    """
    places = [i for i, source in enumerate(sources.switch.sources) if source.id in images]
    found: dict[str, RoundTrip] = {}
    for chunk in _chunks(sources, [(i, i) for i in places]):
        errors: list[float | None] = [None] * len(chunk)
        if encodes_exactly(sources):
            latents = cell_latents(sources.switch, sources.latents, chunk, sources.space)
            again = _encoded_again(sources, chunk, latents)[1]
            errors = [*_largest(again, latents, _exact_parts(sources))]
        for (i, _), error in zip(chunk, errors):
            source = sources.switch.sources[i]
            photo = None if source.picture.edits else photos.get(source.id)
            found[source.id] = _trip(images[source.id], photo, error)
        yield dict(found)


def _trip(image: Images, photo: Images | None, error: float | None) -> RoundTrip:
    if photo is None:
        return RoundTrip(latent_error=error)
    if photo.shape != image.shape:
        raise LatentLabError(
            f"The photograph is {photo.shape}; the model needs uint8 {image.shape}: open it again."
        )
    level = int(np.abs(image.astype(np.int16) - photo.astype(np.int16)).max())
    return RoundTrip(psnr(image, photo), level, error)


def checks(sources: Sources, cells: Sequence[Cell]) -> Iterator[tuple[SwitchCheck, ...]]:
    """Yield what is checked so far, in the order of the cells: at most a micro-batch more a turn.

    Raises:
        LatentLabError: the model does not encode exactly.
    """
    if not encodes_exactly(sources):
        raise LatentLabError(
            f"'{sources.switch.model}' does not encode exactly, so that no switched picture can "
            "be checked: choose a flow."
        )
    found: tuple[SwitchCheck, ...] = ()
    for chunk in _chunks(sources, cells):
        latents = cell_latents(sources.switch, sources.latents, chunk, sources.space)
        images, again = _encoded_again(sources, chunk, latents)
        errors = _largest(again, latents, _exact_parts(sources))
        shifts = _shifts(sources, chunk, images, latents)
        found += tuple(
            SwitchCheck(cell, error, *shift) for cell, error, shift in zip(chunk, errors, shifts)
        )
        yield found


def _chunks(sources: Sources, cells: Sequence[Cell]) -> Iterator[tuple[Cell, ...]]:
    """Yield cells in their order, at most a micro-batch that is told the same."""
    chunk: tuple[Cell, ...] = ()
    for cell in cells:
        alike = not chunk or sources.told(chunk[0][0]) == sources.told(cell[0])
        if chunk and (not alike or len(chunk) == MICRO_BATCH):
            yield chunk
            chunk = ()
        chunk = (*chunk, cell)
    if chunk:
        yield chunk


def _estimated(sources: Sources) -> tuple[str, ...]:
    """Return names of the parts that the encoder only estimates."""
    names = [part.name for part in sources.space.parts]
    estimates = isinstance(sources.backend, EncodesGlobal)
    return (GLOBAL,) if estimates and GLOBAL in names else ()


def _exact_parts(sources: Sources) -> tuple[str, ...]:
    estimated = _estimated(sources)
    return tuple(part.name for part in sources.space.parts if part.name not in estimated)


@torch.inference_mode()
def _encoded_again(
    sources: Sources, cells: Sequence[Cell], latents: Latents
) -> tuple[Tensor, dict[str, Array]]:
    """Return the unclamped images of a micro-batch, and its exact parts encoded from them."""
    backend, (condition, options) = sources.backend, sources.told(cells[0][0])
    full = Latents(latents.space, {name: fixed(array) for name, array in latents.items()})
    parts = to_tensors(full, backend.device)
    images = backend.decode(
        parts, space=latents.space, condition=condition, options={**options, "clamp": False}
    )
    hold = {name: parts[name] for name in _estimated(sources)}
    asked: dict[str, Any] = {"reconstruct": False, **({"hold": hold} if hold else {})}
    *_, last = backend.encode(images, condition=condition, options=asked)
    rows = latents.batch
    again = {name: last.latents[name][:rows].cpu().numpy() for name in _exact_parts(sources)}
    return images, again


@np.errstate(invalid="ignore", over="ignore")
def _largest(
    again: Mapping[str, Array], latents: Latents, names: Sequence[str]
) -> tuple[float, ...]:
    """Return the largest difference of each row, over the named parts."""
    rows = [
        np.abs(again[name].astype(np.float64) - latents[name]).reshape(latents.batch, -1).max(1)
        for name in names
    ]
    return tuple(_or_infinite(value) for value in np.max(rows, axis=0))


def _or_infinite(value: float) -> float:
    """Return a figure; where a picture overflowed, nothing of it came back."""
    return float(value) if np.isfinite(value) else float("inf")


@np.errstate(invalid="ignore", over="ignore")
@torch.inference_mode()
def _shifts(
    sources: Sources, cells: Sequence[Cell], images: Tensor, latents: Latents
) -> list[tuple[float | None, float | None]]:
    """Return ``global_shift_sigma`` and ``apart_sigma`` of each cell."""
    if not _estimated(sources):
        return [(None, None)] * len(cells)
    mean, sigma = (t[: len(cells)].double().cpu().numpy() for t in _posterior(sources, images))
    ids = [source.id for source in sources.switch.sources]
    rows, columns = (
        stack([sources.latents[ids[cell[side]]] for cell in cells])[GLOBAL] for side in (0, 1)
    )
    shift = _rms((mean - latents[GLOBAL]) / sigma)
    apart = _rms((rows.astype(np.float64) - columns) / sigma)
    return [(_or_infinite(a), _or_infinite(b)) for a, b in zip(shift, apart)]


def _posterior(sources: Sources, images: Tensor) -> tuple[Tensor, Tensor]:
    backend: EncodesGlobal = sources.backend
    return backend.encode_global(images)


def _rms(values: Array) -> Array:
    return np.asarray(np.sqrt(np.square(values).mean(axis=1)))
