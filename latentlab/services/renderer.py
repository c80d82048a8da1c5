"""From pictures to pixels.

What is kept or exported is decoded in one fixed micro-batch (see ``services.decoding``); previews
take the quick way, and models of many steps show a rough image first.
"""

from __future__ import annotations

import time
import traceback
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from latentlab.backends.stepping import in_steps
from latentlab.core.direction import Direction, apply_edits
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.requests import Failure, PreviewRequest, PreviewResult
from latentlab.core.row_keys import row_keys
from latentlab.services.decoding import (
    MICRO_BATCH,
    ExactTurn,
    HostCopy,
    Images,
    Options,
    decode_chunks,
    decode_exact,
    decode_turns,
    decoding,
    sample_exact,
)
from latentlab.services.encoding import EncodedUpdate, EncodeTurn, encode_photo, encode_turns, psnr
from latentlab.services.library import ModelLibrary
from latentlab.services.previews import stepped

__all__ = [
    "MICRO_BATCH",
    "EncodeTurn",
    "EncodedUpdate",
    "ExactTurn",
    "Images",
    "Options",
    "Renderer",
    "decode_chunks",
    "decode_exact",
    "decode_turns",
    "encode_photo",
    "encode_turns",
    "psnr",
    "sample_exact",
]

_KEPT_PRIORS = 32


class Renderer:
    """Serves pictures from the models of a library. It lives in one thread.

    Args:
        library: where the models come from.
    """

    def __init__(self, library: ModelLibrary) -> None:
        self.library = library
        self._fetch = HostCopy()
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

    def exact_turns(
        self, picture: Picture, latents: Latents, stored: Latents | None = None
    ) -> Iterator[ExactTurn]:
        """Yield the picture's images for keeping, one network evaluation a turn.

        Args:
            picture: lends its seeds, condition and options.
            latents: what ``latents`` returned for it.
            stored: the latents that ``picture.stored`` names, before its edits.
        """
        backend = self.library.backend(picture.model)
        keys = row_keys(picture, stored if picture.stored and stored is not None else latents)
        return decode_turns(backend, latents, picture.condition, picture.options, keys)

    def exact_chunks(
        self, picture: Picture, latents: Latents, stored: Latents | None = None
    ) -> Iterator[Images]:
        """Yield the picture's images for keeping, at most ``MICRO_BATCH`` a turn."""
        for turn in self.exact_turns(picture, latents, stored):
            if turn.images is not None:
                yield turn.images

    def exact(
        self,
        picture: Picture,
        stored: Latents | None = None,
        directions: Mapping[str, Direction] | None = None,
    ) -> tuple[Images, Latents]:
        """Return the picture's images for keeping, uint8 ``(B, H, W, C)``, and their latents."""
        latents = self.latents(picture, stored, directions)
        return np.concatenate([*self.exact_chunks(picture, latents, stored)]), latents

    def render(self, request: PreviewRequest) -> Iterator[PreviewResult | None]:
        """Yield the results of a request: images, or the reason why there are none.

        A model of many steps has one network evaluation a turn: the first shows its rough image,
        not ``final``, later ones show better images now and then, or ``None``, and the last one is
        ``final``.
        """
        start = time.perf_counter()
        try:
            yield from self._results(request, start)
        except LatentLabError as error:
            failure = Failure(error.message, error.details)
            yield PreviewResult(request.channel, request.sequence, failure=failure)
        except Exception as error:
            failure = Failure(
                f"This picture cannot be made ({type(error).__name__}: {error}).",
                traceback.format_exc(),
            )
            yield PreviewResult(request.channel, request.sequence, failure=failure)

    def _results(self, request: PreviewRequest, start: float) -> Iterator[PreviewResult | None]:
        picture = request.picture
        latents = self.latents(picture, request.stored, request.directions)

        def result(images: Images | None, forward_ms: float, final: bool = True) -> PreviewResult:
            return PreviewResult(
                channel=request.channel,
                sequence=request.sequence,
                images=images,
                latents=latents,
                forward_ms=forward_ms,
                total_ms=(time.perf_counter() - start) * 1e3,
                final=final,
            )

        backend = self.library.backend(picture.model)
        if not request.decode:
            yield result(None, 0.0)
        elif in_steps(backend):
            keys = request.keys or row_keys(picture, request.stored)
            for turn in stepped(backend, latents, picture, keys, exact=request.exact):
                if turn.images is None:
                    yield None
                else:
                    yield result(turn.images, turn.forward_ms, turn.final)
        elif request.exact:
            begin = time.perf_counter()
            images = np.concatenate([*self.exact_chunks(picture, latents, request.stored)])
            images.flags.writeable = False
            yield result(images, (time.perf_counter() - begin) * 1e3)
        else:
            yield result(*self._quick(picture, latents))

    def _quick(self, picture: Picture, latents: Latents) -> tuple[Images, float]:
        """Decode in one batch; return the images and milliseconds in the network."""
        backend = self.library.backend(picture.model)
        latents.check(backend.spec.space(latents.space))
        begin = time.perf_counter()
        (turn,) = decoding(backend, latents, picture.condition, picture.options)
        launched = (time.perf_counter() - begin) * 1e3
        images, waited = self._fetch(turn.preview)
        # On a GPU the network still runs when decode returns; the wait for the bytes is its time.
        on_device = backend.device.type == "cuda"
        return images, launched + (waited if on_device else 0.0)
