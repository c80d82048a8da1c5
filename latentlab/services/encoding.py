"""From photographs to latents, one turn at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from latentlab.backends.base import EncodeUpdate
from latentlab.backends.images import from_levels
from latentlab.backends.stepping import in_steps
from latentlab.core.document import Option
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents
from latentlab.core.row_keys import stored_keys
from latentlab.services.decoding import (
    Images,
    Options,
    decode_turns,
    fixed,
    to_latents,
)


@dataclass(frozen=True, eq=False)
class EncodedUpdate:
    """Latents of a photograph, and what they decode to.

    Attributes:
        index: turns done, counted from 1.
        count: turns in all.
        latents: one row.
        condition: what the photograph was read to be conditioned on, if anything.
        reconstruction: uint8 ``(H, W, C)``.
        residual_psnr: peak signal-to-noise ratio of the reconstruction's bytes, in dB.
        options: of ``decode``, with which it was decoded.
    """

    index: int
    count: int
    latents: Latents
    condition: Condition | None
    reconstruction: Images
    residual_psnr: float
    options: Mapping[str, Option]


@dataclass(frozen=True, eq=False)
class EncodeTurn:
    """One turn of encoding; ``update`` where there is something to show.

    Attributes:
        done: turns done.
        total: turns in all, of encoding or of decoding what was found.
        message: what is being done.
        update: the latents so far, decoded.
    """

    done: int
    total: int
    message: str
    update: EncodedUpdate | None


def psnr(first: Images, second: Images) -> float:
    """Return the peak signal-to-noise ratio in dB of two uint8 images; ``inf`` when equal."""
    error = np.square(first.astype(np.float64) - second.astype(np.float64)).mean()
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


def encode_turns(
    backend: Any,
    image: Images,
    condition: Condition | None = None,
    options: Options | None = None,
) -> Iterator[EncodeTurn]:
    """Yield every turn of encoding a photograph; a job yields to others after each.

    A model of many steps is asked for one row, and decoded at the end alone; others see the fixed
    micro-batch, and are decoded after each turn.

    Args:
        backend: a model that can encode.
        image: uint8 ``(H, W, C)`` of the model's own size and channels.
        condition: what the photograph shows, for a conditional model.
        options: of the backend's ``encode``.

    Raises:
        LatentLabError: the model cannot encode, or the image is of another shape.
    """
    _check(backend, image)
    stepped = in_steps(backend)
    levels = image[None] if stepped else fixed(image[None])
    given = {"reconstruct": False, **(options or {})} if stepped else options
    batch = from_levels(levels).to(backend.device)
    updates = backend.encode(batch, condition=condition, options=given)
    last: EncodeUpdate | None = None
    while True:
        with torch.inference_mode():
            update = next(updates, None)
        if update is None:
            break
        last = update
        if stepped:
            yield EncodeTurn(update.index, update.count, "Encoding", None)
        else:
            yield from _decoded(backend, update, image)
    if stepped and last is not None:
        yield from _decoded(backend, last, image)


def _check(backend: Any, image: Images) -> None:
    if "encode" not in backend.spec.capabilities:
        raise LatentLabError(
            f"'{backend.spec.id}' cannot take a photograph in: choose a model that can encode."
        )
    channels, height, width = backend.spec.image_shape
    if image.shape != (height, width, channels) or image.dtype != np.uint8:
        raise LatentLabError(
            f"The photograph is {image.shape}; the model needs uint8 {(height, width, channels)}."
        )


def _decoded(backend: Any, update: EncodeUpdate, photo: Images) -> Iterator[EncodeTurn]:
    """Decode the latents of an update, and yield what came of it."""
    space = backend.spec.spaces[0].name
    latents = to_latents(space, update.latents, 1)
    back = dict(update.options)
    keys = stored_keys(latents)
    for turn in decode_turns(backend, latents, update.condition, back or None, keys):
        if turn.images is None:
            yield EncodeTurn(turn.done, turn.total, "Decoding", None)
            continue
        picture = turn.images[0]
        found = EncodedUpdate(
            update.index,
            update.count,
            latents,
            update.condition,
            picture,
            psnr(picture, photo),
            back,
        )
        yield EncodeTurn(update.index, update.count, "Encoding", found)


def encode_photo(
    backend: Any,
    image: Images,
    condition: Condition | None = None,
    options: Options | None = None,
) -> Iterator[EncodedUpdate]:
    """Yield ever better latents of one photograph; see ``encode_turns``."""
    for turn in encode_turns(backend, image, condition, options):
        if turn.update is not None:
            yield turn.update
