"""Pictures of models of many steps, as previews: rough at once, then better, one step a turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from latentlab.backends.stepping import Evaluation
from latentlab.core.document import Picture
from latentlab.core.latents import Latents
from latentlab.services.decoding import (
    MICRO_BATCH,
    HostCopy,
    Images,
    RowKeys,
    decoding,
    decoding_fixed,
)

LARGEST_PASS = 32
"""Rows of one network evaluation: whoever waits for a turn waits no longer than for these."""
LARGEST_GPU_PASS = 256
SHOW_SECONDS = 0.1
"""Between two images of one preview: as many as a person sees, and no flood."""


@dataclass(frozen=True, eq=False)
class SteppedTurn:
    """One network evaluation of a preview.

    Attributes:
        images: uint8 ``(B, H, W, C)``, when there is something to show.
        final: whether they are the result.
        forward_ms: time in the network so far.
    """

    images: Images | None
    final: bool
    forward_ms: float


@dataclass(eq=False)
class _Chunk:
    """Some rows of a preview, and how far they are."""

    rows: int
    turns: Iterator[Evaluation]
    at: Evaluation | None = None


def stepped(
    backend: Any,
    latents: Latents,
    picture: Picture,
    keys: RowKeys,
    *,
    exact: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[SteppedTurn]:
    """Yield every network evaluation of a picture of a model of many steps.

    The first image follows the first evaluation of every row, later ones come at most every
    ``SHOW_SECONDS``, and the last is the result.

    Args:
        backend: the model.
        latents: of the picture, edits included.
        picture: lends its condition and options.
        keys: a number a row, for noise that the sampler injects.
        exact: decode in the fixed micro-batch, for bytes that are kept; otherwise up to
            ``LARGEST_PASS`` rows at once.
        clock: seconds.

    Raises:
        LatentLabError: the latents do not fit, or the result is not finite.
    """
    latents.check(backend.spec.space(latents.space))
    chunks = _chunks(backend, latents, picture, keys, exact)
    # On a GPU the network still runs when its call returns; the wait for the bytes is its time.
    on_device = backend.device.type == "cuda"
    fetch, forward, shown, final = HostCopy(), 0.0, float("-inf"), False
    while not final:
        for chunk in chunks:
            begin = clock()
            chunk.at = next(chunk.turns)
            forward += (clock() - begin) * 1e3
            if chunk is not chunks[-1]:
                yield SteppedTurn(None, False, forward)
        final = all(chunk.at is not None and chunk.at.images is not None for chunk in chunks)
        images = None
        if final or clock() - shown >= SHOW_SECONDS:
            images, waited = _fetched(chunks, fetch, final)
            forward += waited if on_device else 0.0
            shown = clock()
        yield SteppedTurn(images, final, forward)


def _chunks(
    backend: Any, latents: Latents, picture: Picture, keys: RowKeys, exact: bool
) -> list[_Chunk]:
    largest = LARGEST_PASS if backend.device.type == "cpu" else LARGEST_GPU_PASS
    size, decode = (MICRO_BATCH, decoding_fixed) if exact else (largest, decoding)
    found = []
    for start in range(0, latents.batch, size):
        rows, row_keys = latents.rows(start, start + size), keys[start : start + size]
        turns = decode(backend, rows, picture.condition, picture.options, row_keys)
        found.append(_Chunk(rows.batch, turns))
    return found


def _fetched(chunks: list[_Chunk], fetch: HostCopy, final: bool) -> tuple[Images, float]:
    """Return the bytes of all rows and milliseconds spent waiting for them."""
    found, waited = [], 0.0
    for chunk in chunks:
        if chunk.at is None:
            raise RuntimeError("a row was never begun")
        images = chunk.at.images if final else chunk.at.preview
        if images is None:
            raise RuntimeError("a row ended before the others")
        with torch.inference_mode():
            array, milliseconds = fetch(images)
        found.append(array[: chunk.rows])
        waited += milliseconds
    images_together = found[0] if len(found) == 1 else np.concatenate(found)
    images_together.flags.writeable = False
    return images_together, waited
