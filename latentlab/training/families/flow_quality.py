"""The figures on a flow's card, measured on held-out images with the weights that are stored."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from latentlab.backends.flow import FlowBackend
from latentlab.backends.images import from_levels
from latentlab.data.base import ImageDataset

CHUNK = 50
MOST_IMAGES = 1000
"""Held-out images that are scored."""


def measure_flow(
    backend: FlowBackend, held_out: ImageDataset
) -> Iterator[tuple[int, int, str] | dict[str, float]]:
    """Yield progress, then the figures by name.

    ``bits_per_dim`` and ``nats`` of the quantised image (of ``data_bits`` bits), one draw an image;
    a decoupled flow's are a bound, and ``kl_nats`` is the part of it that its global part costs.
    ``round_trip``: the largest difference, over images and pixels from -1 to 1, between an image
    and what its latents decode to, not clamped.
    """
    count = min(MOST_IMAGES, len(held_out))
    bits, nats, rest, error = [], [], [], 0.0
    for start in range(0, count, CHUNK):
        images = from_levels(held_out.read(range(start, min(start + CHUNK, count))))
        options = {"samples": 1, "seed": 0}
        score = backend.log_prob(images, options=options)
        bits.append(score.bits_per_dim.cpu().numpy())
        nats.append(score.nats.cpu().numpy())
        if backend.config.global_dim:
            rest.append(backend.log_prob_map(images, options=options).rest.cpu().numpy())
        update = deque(backend.encode(images, options={"reconstruct": False}), maxlen=1)[0]
        back = backend.decode(update.latents, options={"clamp": False}).cpu()
        error = max(error, float((back - images).abs().max()))
        yield start + len(images), count, "measuring likelihood"
    figures = {
        "bits_per_dim": float(np.concatenate(bits).mean()),
        "nats": float(np.concatenate(nats).mean()),
        "data_bits": float(backend.config.bits),
        "held_out_images": float(count),
        "round_trip": error,
    }
    if rest:
        figures["kl_nats"] = -float(np.concatenate(rest).mean())
        figures["global_dim"] = float(backend.config.global_dim)
    yield figures
