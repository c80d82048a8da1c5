"""From latents to bytes, one network evaluation a turn.

What is kept or exported is decoded in one fixed micro-batch, because the size of a batch changes
float sums: row i has the same bytes whatever stands beside it. Previews take larger batches.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlab.backends.images import quantise
from latentlab.backends.stepping import Evaluation, evaluations, in_steps
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents, stack
from latentlab.core.row_keys import with_row_keys

MICRO_BATCH = 8

Images = NDArray[np.uint8]
Options = Mapping[str, Any]
RowKeys = Sequence[int]


class HostCopy:
    """Bytes from the device, without stopping it: pinned buffer, non-blocking copy, event wait."""

    def __init__(self) -> None:
        self._buffer = torch.empty(0, dtype=torch.uint8)

    def __call__(self, images: Tensor) -> tuple[Images, float]:
        """Quantise and fetch ``(B, C, H, W)``; also return milliseconds spent waiting."""
        finite = torch.isfinite(images).all()
        levels = quantise(images)
        if images.device.type == "cuda":
            array, waited = self._fetch(levels, finite)
        else:
            start = time.perf_counter()
            fetched = levels.cpu().numpy()
            if not bool(finite):
                raise _not_finite()
            # A tensor's memory may be used again by torch; the result is the asker's.
            array, waited = fetched.copy(), (time.perf_counter() - start) * 1e3
        array.flags.writeable = False
        return array, waited

    def _fetch(self, levels: Tensor, finite: Tensor) -> tuple[Images, float]:
        flat = torch.cat([levels.flatten(), finite.to(torch.uint8).reshape(1)])
        if self._buffer.numel() < flat.numel():
            self._buffer = torch.empty(flat.numel(), dtype=torch.uint8, pin_memory=True)
        target = self._buffer[: flat.numel()]
        target.copy_(flat, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        start = time.perf_counter()
        event.synchronize()
        waited = (time.perf_counter() - start) * 1e3
        if not int(target[-1]):
            raise _not_finite()
        return target[:-1].numpy().reshape(tuple(levels.shape)).copy(), waited


def _not_finite() -> LatentLabError:
    return LatentLabError(
        "The network gave values that are not finite: move the sliders back towards 0, or choose "
        "another checkpoint."
    )


def fixed(array: NDArray[Any]) -> NDArray[Any]:
    """Return exactly ``MICRO_BATCH`` rows in memory of their own: the last row is repeated."""
    missing = MICRO_BATCH - len(array)
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])


def to_tensors(latents: Latents, device: torch.device) -> dict[str, Tensor]:
    """Return the parts on a device."""
    return {name: torch.from_numpy(np.array(a)).to(device) for name, a in latents.items()}


def to_latents(space: str, parts: Mapping[str, Tensor], rows: int) -> Latents:
    """Return the first rows of parts as latents."""
    return Latents(space, {n: t[:rows].detach().cpu().numpy().copy() for n, t in parts.items()})


def sample_exact(backend: Any, space: str, seeds: tuple[int, ...], temperature: float) -> Latents:
    """Draw the prior in the fixed micro-batch: row i depends on ``seeds[i]`` alone, to the bit."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(seeds), MICRO_BATCH):
            chunk = seeds[start : start + MICRO_BATCH]
            padded = chunk + chunk[-1:] * (MICRO_BATCH - len(chunk))
            parts = backend.sample_prior(space, padded, temperature)
            found.append(to_latents(space, parts, len(chunk)))
    return stack(found)


def decoding(
    backend: Any,
    latents: Latents,
    condition: Condition | None,
    options: Options | None,
    keys: RowKeys | None = None,
) -> Iterator[Evaluation]:
    """Yield the evaluations that decode latents in one batch.

    Args:
        backend: the model.
        latents: that fit it.
        condition: of ``decode``.
        options: of ``decode``.
        keys: a number a row, from which a sampler draws the noise that it injects; used by models
            of many steps alone.

    Raises:
        LatentLabError: they do not fit into the device's memory, or the options are wrong.
    """
    try:
        yield from evaluations(
            backend,
            to_tensors(latents, backend.device),
            space=latents.space,
            condition=condition,
            options=with_row_keys(options, keys if in_steps(backend) else None),
        )
    except torch.OutOfMemoryError as error:
        raise LatentLabError(
            "The images do not fit into the device's memory: ask for fewer, or choose the CPU.",
            str(error),
        ) from error


def decoding_fixed(
    backend: Any,
    latents: Latents,
    condition: Condition | None,
    options: Options | None,
    keys: RowKeys | None = None,
) -> Iterator[Evaluation]:
    """Yield what ``decoding`` does for at most ``MICRO_BATCH`` rows, in the fixed micro-batch."""
    full = Latents(latents.space, {name: fixed(array) for name, array in latents.items()})
    padded = None if keys is None else fixed(np.array([int(key) for key in keys], np.int64))
    row_keys = None if padded is None else [int(key) for key in padded]
    yield from decoding(backend, full, condition, options, row_keys)


@dataclass(frozen=True, eq=False)
class ExactTurn:
    """One network evaluation of decoding for keeping.

    Attributes:
        done: images made, or evaluations of a model of many steps.
        total: as ``done``, in all.
        images: uint8 ``(n, H, W, C)``, the next at most ``MICRO_BATCH``, when they are complete.
    """

    done: int
    total: int
    images: Images | None


def decode_turns(
    backend: Any,
    latents: Latents,
    condition: Condition | None = None,
    options: Options | None = None,
    keys: RowKeys | None = None,
) -> Iterator[ExactTurn]:
    """Yield every network evaluation of ``decode_exact``; a job yields to others after each.

    Raises:
        LatentLabError: the latents do not fit the model, or the result is not finite.
    """
    latents.check(backend.spec.space(latents.space))
    fetch, chunks = HostCopy(), -(-latents.batch // MICRO_BATCH)
    for chunk in range(chunks):
        start = chunk * MICRO_BATCH
        rows = latents.rows(start, start + MICRO_BATCH)
        row_keys = None if keys is None else keys[start : start + MICRO_BATCH]
        for turn in decoding_fixed(backend, rows, condition, options, row_keys):
            images = None if turn.images is None else fetch(turn.images)[0][: rows.batch]
            if in_steps(backend):
                yield ExactTurn(chunk * turn.count + turn.index, chunks * turn.count, images)
            else:
                yield ExactTurn(start + rows.batch, latents.batch, images)


def decode_chunks(
    backend: Any,
    latents: Latents,
    condition: Condition | None = None,
    options: Options | None = None,
    keys: RowKeys | None = None,
) -> Iterator[Images]:
    """Yield what ``decode_exact`` returns, at most ``MICRO_BATCH`` images a turn."""
    for turn in decode_turns(backend, latents, condition, options, keys):
        if turn.images is not None:
            yield turn.images


def decode_exact(
    backend: Any,
    latents: Latents,
    condition: Condition | None = None,
    options: Options | None = None,
    keys: RowKeys | None = None,
) -> Images:
    """Decode for keeping: uint8 ``(B, H, W, C)``; row i has the same bytes in every batch.

    Args:
        backend: the model.
        latents: that fit it.
        condition: of ``decode``.
        options: of ``decode``.
        keys: see ``decoding``.

    Raises:
        LatentLabError: the latents do not fit the model, or the result is not finite.
    """
    chunks = list(decode_chunks(backend, latents, condition, options, keys))
    if not chunks:
        channels, height, width = backend.spec.image_shape
        return np.zeros((0, height, width, channels), np.uint8)
    return np.concatenate(chunks)
