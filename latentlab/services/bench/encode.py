"""Encoding a data set against the bare network, in turns within one run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from latentlab.data.base import ArrayDataset, ImageDataset
from latentlab.data.cache import cached, content_key
from latentlab.data.views import Subset

MODEL = "portraits-vae"
IMAGES = 10_000
ROUNDS = 16
"""Each takes another part of the images, both ways; which way comes first changes in turns."""
_BLOCK = 500
Report = Callable[[int, int, str], None]


def run(on_progress: Report) -> dict[str, Any]:
    """Return images per second of ``encode_images``, of the bare network, and their ratio.

    The images lie in the image cache, memory-mapped, at the model's size. The bare network encodes
    floats that are in memory already, in the same chunks and memory format, on the same threads.
    ``ratio`` is the median over the rounds of a round's own ratio: 1 means that reading the images
    and keeping the latents costs nothing.
    """
    from latentlab.services.library import ModelLibrary

    backend = ModelLibrary().backend(MODEL)
    with tempfile.TemporaryDirectory() as folder:
        return measure(backend, images_on_disk(Path(folder), backend.spec), on_progress)


def images_on_disk(folder: Path, spec: Any, count: int = IMAGES) -> ImageDataset:
    """Return a memory-mapped data set of random images of a model's size."""
    channels, height, width = spec.image_shape
    rng = np.random.default_rng(0)

    def made() -> ImageDataset:
        blocks = [
            rng.integers(0, 256, (min(_BLOCK, count - start), height, width, channels), np.uint8)
            for start in range(0, count, _BLOCK)
        ]
        return ArrayDataset("random images", np.concatenate(blocks))

    return cached(made, folder, content_key("bench", "encode", count))


def measure(
    backend: Any, dataset: ImageDataset, on_progress: Report, rounds: int = ROUNDS
) -> dict[str, Any]:
    """Return the figures of one run over a data set; see ``run``."""
    import torch

    from latentlab.evaluation.encode import chunk_for

    ways = (_whole, _bare)
    parts = [Subset(dataset, rows) for rows in np.array_split(np.arange(len(dataset)), rounds)]
    # Not counted: the first pass finds its memory and its kernels.
    for way in ways:
        way(backend, Subset(dataset, np.arange(min(_BLOCK, len(dataset)))))
    rates: list[dict[Any, float]] = []
    for turn, part in enumerate(parts):
        on_progress(turn, rounds, "Encoding")
        order = ways if turn % 2 == 0 else ways[::-1]
        rates.append({way: len(part) / way(backend, part) for way in order})
    on_progress(rounds, rounds, "Encoding")
    ratios = [rate[_whole] / rate[_bare] for rate in rates]
    return {
        "images_per_s": median(rate[_whole] for rate in rates),
        "network_images_per_s": median(rate[_bare] for rate in rates),
        "ratio": median(ratios),
        "ratio_least": min(ratios),
        "ratio_most": max(ratios),
        "images": len(dataset),
        "rounds": rounds,
        "chunk": chunk_for(backend),
        "image_shape": list(dataset.image_shape),
        "threads": torch.get_num_threads(),
        "device": str(backend.device),
    }


def _whole(backend: Any, part: ImageDataset) -> float:
    """Encode a part as jobs do; return seconds."""
    from latentlab.evaluation.encode import encode_images

    start = time.perf_counter()
    for _ in encode_images(backend, part):
        pass
    return time.perf_counter() - start


def _bare(backend: Any, part: ImageDataset) -> float:
    """Run the network on floats that are there already; return its seconds."""
    import torch

    from latentlab.evaluation.encode import chunk_for, read_ahead, to_network

    chunks = [to_network(levels, backend.device) for levels in read_ahead(part, chunk_for(backend))]
    with torch.inference_mode():
        start = time.perf_counter()
        for pixels in chunks:
            backend.network.encode(pixels)
        if backend.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start
