"""Jobs that score images by a model's likelihood: the one of the canvas, or a data set.

Each is a generator ``job(context, **arguments)``; see ``services.jobs``. Importing this module
imports no torch. Everything is scored without a condition, as what is not known of a data set.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.likelihood import (
    MAX_SAMPLES,
    DataChoice,
    Float,
    ImageLikelihood,
    ScoreChunk,
    Scores,
    ranked,
)
from latentlab.services.directions_data import Context
from latentlab.services.likelihood_images import Images, Named, compressed_bits, images_to_score

Progress = tuple[int, int, str] | tuple[int, int, str, Any] | None
STRIP = 48
"""Extreme images of each end, and of each score, that come with a data set's scores."""
DRAWS = 16
"""Draws that are taken in one turn."""
_BERNOULLI = (
    "This model takes levels for probabilities (a Bernoulli likelihood): its bits/dim are no "
    "density of images of many levels, and compare only with each other."
)


def check_scores(backend: Any) -> None:
    """Raise ``LatentLabError`` unless a model has a likelihood."""
    if "log_prob" not in backend.spec.capabilities:
        raise LatentLabError(
            f"'{backend.spec.id}' cannot tell how likely an image is: choose a VAE or a flow."
        )


def level_bits(backend: Any) -> int:
    """Return the bits of the levels that a model sees: 8 unless its configuration says fewer."""
    bits = getattr(getattr(backend, "config", None), "bits", 8)
    return bits if isinstance(bits, int) and 1 <= bits <= 8 else 8


def caveat_of(backend: Any) -> str:
    """Return what a model's numbers are not; empty when there is nothing to say."""
    likelihood = getattr(getattr(backend, "config", None), "likelihood", "")
    return _BERNOULLI if likelihood == "bernoulli" else ""


def _options(samples: int, seed: int) -> dict[str, int]:
    if not 1 <= samples <= MAX_SAMPLES:
        raise LatentLabError(f"Draw 1 to {MAX_SAMPLES:,} samples for an image, not {samples:,}.")
    return {"samples": samples, "seed": seed}


def _in_turns(options: Mapping[str, int]) -> list[dict[str, int]]:
    """Return the options of each turn, which together take all draws."""
    samples = options["samples"]
    return [
        {**options, "first": first, "samples": min(DRAWS, samples - first)}
        for first in range(0, samples, DRAWS)
    ]


def _score(
    backend: Any, levels: Images, options: Mapping[str, int]
) -> Generator[None, None, tuple[Float, Float, bool]]:
    """Return nats and bits/dim ``(B,)`` of uint8 ``(B, H, W, C)``, and whether they are a bound.

    The logarithm of the mean over all draws, whatever their number in one turn.
    """
    from latentlab.evaluation.encode import to_network

    pixels = to_network(levels, backend.device)
    total, bound = np.full(len(levels), -np.inf), True
    for place, asked in enumerate(_in_turns(options)):
        if place:
            yield
        found = backend.log_prob(pixels, options=asked)
        bound = bool(found.bound)
        weights = found.nats.double().cpu().numpy() + math.log(asked["samples"])
        total = np.logaddexp(total, weights)
    nats = total - math.log(options["samples"])
    if not np.isfinite(nats).all():
        raise LatentLabError(
            f"'{backend.spec.id}' gives no finite likelihood for an image: its weights are damaged,"
            " or the image is far outside what it was trained on."
        )
    return nats, -nats / (math.log(2) * levels[0].size), bound


def likelihood_image_job(
    context: Context,
    *,
    model: str,
    picture: Picture | None = None,
    stored: Latents | None = None,
    directions: Mapping[str, Direction] | None = None,
    photo: Images | None = None,
    samples: int = 1,
    seed: int = 0,
) -> Generator[Progress, None, ImageLikelihood]:
    """Score one image: a picture, decoded to the bytes that are kept, or a photograph.

    Args:
        context: of the job.
        model: id or path.
        picture: of one image, when there is no photograph.
        stored: the latents that ``picture.stored`` names.
        directions: the person's own that its edits name.
        photo: uint8 ``(H, W, C)`` of the model's own size.
        samples: draws.
        seed: of the draws.

    Raises:
        LatentLabError: the model has no likelihood, or the image is of another shape.
    """
    yield 0, 2, "Reading the model"
    backend: Any = context.library.backend(model)
    check_scores(backend)
    options = _options(samples, seed)
    image = photo
    if image is None:
        if picture is None:
            raise LatentLabError("There is no picture to score: sample one first.")
        images, _ = context.renderer.exact(picture, stored, directions)
        if len(images) != 1:
            raise LatentLabError("Score one image at a time: select one of the grid.")
        image = images[0]
    channels, height, width = backend.spec.image_shape
    if image.shape != (height, width, channels) or image.dtype != np.uint8:
        raise LatentLabError(
            f"The image is {image.shape}; '{backend.spec.id}' scores {(height, width, channels)}."
        )
    yield 1, 2, "Scoring the image"
    nats, bits, bound = yield from _score(backend, image[None], options)
    places, rest = yield from _places(backend, image, options)
    yield 2, 2, "Ready"
    return ImageLikelihood(
        np.array(image),
        photo is not None,
        float(nats[0]),
        float(bits[0]),
        compressed_bits(image, level_bits(backend)),
        bound,
        samples,
        seed,
        places,
        rest,
        caveat_of(backend),
    )


def _places(
    backend: Any, image: Images, options: Mapping[str, int]
) -> Generator[None, None, tuple[Float | None, float]]:
    """Return bits per channel of each pixel, ``(H, W)``, and bits/dim that belong to none.

    What each turn says is averaged by the weights of its draws; see ``backends.importance``.
    """
    from latentlab.backends.base import MapsLogProb
    from latentlab.evaluation.encode import to_network

    pixels = to_network(image[None], backend.device)
    if not isinstance(backend, MapsLogProb):
        return None, 0.0
    nats, total = np.zeros(image.shape[:2]), -math.inf
    for asked in _in_turns(options):
        yield
        found = backend.log_prob_map(pixels, options=asked)
        placed = found.nats[0].double().cpu().numpy()
        weight = placed.sum() + float(found.rest[0]) + math.log(asked["samples"])
        total = float(np.logaddexp(total, weight))
        nats = nats + math.exp(weight - total) * (placed - nats)
    rest = total - math.log(options["samples"]) - float(nats.sum())
    return -nats / (math.log(2) * image.shape[-1]), -rest / (math.log(2) * image.size)


def likelihood_data_job(
    context: Context,
    *,
    model: str,
    data: DataChoice,
    samples: int = 1,
    seed: int = 0,
) -> Generator[Progress, None, Scores]:
    """Score a data set; what was scored so far comes as ``ScoreChunk``.

    Args:
        context: of the job.
        model: id or path.
        data: which images.
        samples: draws for each image.
        seed: of the draws.

    Raises:
        LatentLabError: the model has no likelihood, or the data cannot be opened.
    """
    yield 0, data.count, "Reading the model"
    entry = context.library.resolve(model)
    backend: Any = context.library.backend(model)
    check_scores(backend)
    options = _options(samples, seed)
    named = yield from images_to_score(context, backend, data)
    total, depth = len(named.images), level_bits(backend)
    nats, bits, complexity = (np.zeros(total) for _ in range(3))
    bound, chunk = True, chunk_of(backend, samples)
    for start in range(0, total, chunk):
        rows = slice(start, min(start + chunk, total))
        levels = named.images.read(range(rows.start, rows.stop))
        nats[rows], bits[rows], bound = yield from _score(backend, levels, options)
        complexity[rows] = [compressed_bits(image, depth) for image in levels]
        found = ScoreChunk(total, bits[rows].copy(), complexity[rows].copy())
        yield rows.stop, total, f"Scoring {data.title}", found
    shown = _extremes(bits, complexity)
    return Scores(
        data,
        entry.id,
        backend.spec.fingerprint,
        nats,
        bits,
        complexity,
        named.rows,
        named.names,
        bound,
        samples,
        seed,
        shown,
        _read(named, shown, chunk),
        caveat_of(backend),
    )


def chunk_of(backend: Any, samples: int) -> int:
    """Return how many images are scored at once: previews wait no longer than for one turn."""
    from latentlab.evaluation.encode import chunk_for

    most = chunk_for(backend)
    return max(1, (most // 4 if backend.device.type == "cpu" else most) // min(samples, DRAWS))


def _extremes(bits: Float, complexity: Float) -> NDArray[np.int64]:
    """Return the images at both ends of both scores."""
    orders = [ranked(values) for values in (bits, bits - complexity)]
    ends = [end for order in orders for end in (order[:STRIP], order[-STRIP:])]
    return np.unique(np.concatenate(ends))


def _read(named: Named, shown: NDArray[np.int64], chunk: int) -> Images:
    return np.concatenate(
        [named.images.read(shown[at : at + chunk]) for at in range(0, len(shown), chunk)]
    )
