"""From pictures to pixels, and from photographs to latents.

What is kept or exported is decoded in one fixed micro-batch, because the size of a batch changes
float sums: row i has the same bytes whatever stands beside it. Previews take the quick way.
"""

from __future__ import annotations

import time
import traceback
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlab.backends.base import EncodeUpdate
from latentlab.backends.images import from_levels, quantise
from latentlab.core.direction import Direction, apply_edits
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents, stack
from latentlab.core.requests import Failure, PreviewRequest, PreviewResult
from latentlab.services.library import ModelLibrary

MICRO_BATCH = 8
_KEPT_PRIORS = 32

Images = NDArray[np.uint8]
Options = Mapping[str, Any]


class _HostCopy:
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


def _fixed(array: NDArray[Any]) -> NDArray[Any]:
    """Return exactly ``MICRO_BATCH`` rows in memory of their own: the last row is repeated."""
    missing = MICRO_BATCH - len(array)
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])


def _to_tensors(latents: Latents, device: torch.device) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(a)).to(device) for name, a in latents.items()}


def _to_latents(space: str, parts: Mapping[str, Tensor], rows: int) -> Latents:
    return Latents(space, {n: t[:rows].detach().cpu().numpy().copy() for n, t in parts.items()})


def sample_exact(backend: Any, space: str, seeds: tuple[int, ...], temperature: float) -> Latents:
    """Draw the prior in the fixed micro-batch: row i depends on ``seeds[i]`` alone, to the bit."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(seeds), MICRO_BATCH):
            chunk = seeds[start : start + MICRO_BATCH]
            padded = chunk + chunk[-1:] * (MICRO_BATCH - len(chunk))
            parts = backend.sample_prior(space, padded, temperature)
            found.append(_to_latents(space, parts, len(chunk)))
    return stack(found)


def decode_exact(
    backend: Any,
    latents: Latents,
    condition: Condition | None = None,
    options: Options | None = None,
) -> Images:
    """Decode for keeping: uint8 ``(B, H, W, C)``; row i has the same bytes in every batch.

    Raises:
        LatentLabError: the latents do not fit the model, or the result is not finite.
    """
    chunks = list(decode_chunks(backend, latents, condition, options))
    if not chunks:
        channels, height, width = backend.spec.image_shape
        return np.zeros((0, height, width, channels), np.uint8)
    return np.concatenate(chunks)


def decode_chunks(
    backend: Any,
    latents: Latents,
    condition: Condition | None = None,
    options: Options | None = None,
) -> Iterator[Images]:
    """Yield what ``decode_exact`` returns, at most ``MICRO_BATCH`` images a turn."""
    latents.check(backend.spec.space(latents.space))
    fetch = _HostCopy()
    for start in range(0, latents.batch, MICRO_BATCH):
        rows = latents.rows(start, start + MICRO_BATCH)
        full = Latents(rows.space, {name: _fixed(array) for name, array in rows.items()})
        # A generator must not yield inside the mode: it would leak into the asker's code.
        with torch.inference_mode():
            images = fetch(_decode(backend, full, condition, options))[0]
        yield images[: rows.batch]


def _decode(
    backend: Any, latents: Latents, condition: Condition | None, options: Options | None
) -> Tensor:
    try:
        images: Tensor = backend.decode(
            _to_tensors(latents, backend.device),
            space=latents.space,
            condition=condition,
            options=options,
        )
    except torch.OutOfMemoryError as error:
        raise LatentLabError(
            "The images do not fit into the device's memory: ask for fewer, or choose the CPU.",
            str(error),
        ) from error
    return images


@dataclass(frozen=True, eq=False)
class EncodedUpdate:
    """One turn of encoding a photograph.

    Attributes:
        index: turns done, counted from 1.
        count: turns in all.
        latents: one row.
        condition: what the photograph was read to be conditioned on, if anything.
        reconstruction: uint8 ``(H, W, C)``.
        residual_psnr: peak signal-to-noise ratio of the reconstruction's bytes, in dB.
    """

    index: int
    count: int
    latents: Latents
    condition: Condition | None
    reconstruction: Images
    residual_psnr: float


def psnr(first: Images, second: Images) -> float:
    """Return the peak signal-to-noise ratio in dB of two uint8 images; ``inf`` when equal."""
    error = np.square(first.astype(np.float64) - second.astype(np.float64)).mean()
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


def _encoded(backend: Any, update: EncodeUpdate, photo: Images) -> EncodedUpdate:
    space = backend.spec.spaces[0].name
    latents = _to_latents(space, update.latents, 1)
    picture = decode_exact(backend, latents, update.condition)[0]
    return EncodedUpdate(
        update.index, update.count, latents, update.condition, picture, psnr(picture, photo)
    )


def encode_photo(
    backend: Any,
    image: Images,
    condition: Condition | None = None,
    options: Options | None = None,
) -> Iterator[EncodedUpdate]:
    """Yield ever better latents of one photograph, in the fixed micro-batch.

    Args:
        backend: a model that can encode.
        image: uint8 ``(H, W, C)`` of the model's own size and channels.
        condition: what the photograph shows, for a conditional model.
        options: of the backend's ``encode``.

    Raises:
        LatentLabError: the model cannot encode, or the image is of another shape.
    """
    if "encode" not in backend.spec.capabilities:
        raise LatentLabError(
            f"'{backend.spec.id}' cannot take a photograph in: choose a model that can encode."
        )
    channels, height, width = backend.spec.image_shape
    if image.shape != (height, width, channels) or image.dtype != np.uint8:
        raise LatentLabError(
            f"The photograph is {image.shape}; the model needs uint8 {(height, width, channels)}."
        )
    batch = from_levels(_fixed(image[None])).to(backend.device)
    updates = backend.encode(batch, condition=condition, options=options)
    while True:
        with torch.inference_mode():
            update = next(updates, None)
        if update is None:
            return
        yield _encoded(backend, update, image)


class Renderer:
    """Serves pictures from the models of a library. It lives in one thread.

    Args:
        library: where the models come from.
    """

    def __init__(self, library: ModelLibrary) -> None:
        self.library = library
        self._fetch = _HostCopy()
        self._priors: OrderedDict[tuple[Any, ...], Latents] = OrderedDict()

    def base_latents(self, picture: Picture, stored: Latents | None = None) -> Latents:
        """Return the latents of a picture before its edits.

        Raises:
            LatentLabError: unknown model or space, stored latents missing or of another shape.
        """
        backend = self.library.backend(picture.model)
        try:
            space = backend.spec.space(picture.space)
        except KeyError as error:
            known = ", ".join(s.name for s in backend.spec.spaces)
            raise LatentLabError(
                f"'{picture.model}' has no space '{picture.space}'; it has: {known}."
            ) from error
        if picture.stored:
            if stored is None:
                raise LatentLabError(
                    "The latents of this picture are no longer here: open the file again."
                )
            stored.check(space)
            return stored
        if not picture.seeds:
            raise LatentLabError("This picture has neither seeds nor latents: sample it again.")
        key = (backend.spec.fingerprint, space.name, picture.seeds, picture.temperature)
        known_latents = self._priors.get(key)
        if known_latents is None:
            known_latents = sample_exact(backend, space.name, picture.seeds, picture.temperature)
            self._priors[key] = known_latents
            while len(self._priors) > _KEPT_PRIORS:
                self._priors.popitem(last=False)
        self._priors.move_to_end(key)
        return known_latents

    def latents(
        self,
        picture: Picture,
        stored: Latents | None = None,
        directions: Mapping[str, Direction] | None = None,
    ) -> Latents:
        """Return the latents that a picture decodes, edits included.

        ``directions`` are the person's own: they stand beside the model's, and win by name.
        """
        base = self.base_latents(picture, stored)
        known = self.library.backend(picture.model).directions
        return apply_edits(base, picture.edits, {**known, **(directions or {})})

    def exact_chunks(self, picture: Picture, latents: Latents) -> Iterator[Images]:
        """Yield the picture's images for keeping, at most ``MICRO_BATCH`` a turn."""
        backend = self.library.backend(picture.model)
        return decode_chunks(backend, latents, picture.condition, picture.options)

    def exact(
        self,
        picture: Picture,
        stored: Latents | None = None,
        directions: Mapping[str, Direction] | None = None,
    ) -> tuple[Images, Latents]:
        """Return the picture's images for keeping, uint8 ``(B, H, W, C)``, and their latents."""
        latents = self.latents(picture, stored, directions)
        return np.concatenate([*self.exact_chunks(picture, latents)]), latents

    def render(self, request: PreviewRequest) -> Iterator[PreviewResult]:
        """Yield the results of a request: images, or the reason why there are none."""
        start = time.perf_counter()
        try:
            yield self._result(request, start)
        except LatentLabError as error:
            failure = Failure(error.message, error.details)
            yield PreviewResult(request.channel, request.sequence, failure=failure)
        except Exception as error:
            failure = Failure(
                f"This picture cannot be made ({type(error).__name__}: {error}).",
                traceback.format_exc(),
            )
            yield PreviewResult(request.channel, request.sequence, failure=failure)

    def _result(self, request: PreviewRequest, start: float) -> PreviewResult:
        picture = request.picture
        latents = self.latents(picture, request.stored, request.directions)
        begin = time.perf_counter()
        if request.exact:
            images = np.concatenate([*self.exact_chunks(picture, latents)])
            images.flags.writeable = False
            forward_ms = (time.perf_counter() - begin) * 1e3
        else:
            images, forward_ms = self._quick(picture, latents)
        return PreviewResult(
            channel=request.channel,
            sequence=request.sequence,
            images=images,
            latents=latents,
            forward_ms=forward_ms,
            total_ms=(time.perf_counter() - start) * 1e3,
        )

    def _quick(self, picture: Picture, latents: Latents) -> tuple[Images, float]:
        """Decode in one batch; return the images and milliseconds in the network."""
        backend = self.library.backend(picture.model)
        latents.check(backend.spec.space(latents.space))
        with torch.inference_mode():
            begin = time.perf_counter()
            decoded = _decode(backend, latents, picture.condition, picture.options)
            launched = (time.perf_counter() - begin) * 1e3
            images, waited = self._fetch(decoded)
        # On a GPU the network still runs when decode returns; the wait for the bytes is its time.
        on_device = backend.device.type == "cuda"
        return images, launched + (waited if on_device else 0.0)
