"""The flow of the paper at its own size, with random weights: what a switch on a CPU takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import psutil

from latentlab.backends.nn.flow import FlowConfig
from latentlab.services.bench.train import interval

Report = Callable[[int, int, str], None]

PAPER = FlowConfig(
    image_size=32,
    steps=(6, 6, 4),
    hidden=(512, 512, 512),
    splits=2,
    couplings=4,
    bottom_steps=2,
    bottom_hidden=24,
    global_dim=64,
    encoder=(48, 96, 96),
    encoder_blocks=2,
    encoder_planes=8,
    global_prior="flow",
    prior_steps=2,
    prior_hidden=256,
)
"""Ma et al. 2021 (arXiv 2004.11820), CIFAR-10, Glow: 51.9 million parameters."""
ENCODED, DECODED = 2, 4
"""A switch of two images: their latents, and the four ways to put them together."""
TURNS = 5
COUPLED = 0.2
"""Size of what a coupling adds, of inputs of size 1."""


def run(on_progress: Report) -> dict[str, Any]:
    """Return seconds an image of encoding two images and of decoding four, and peak memory.

    The weights are random, those of the couplings' last layers too, and the images are noise:
    neither changes the time. ``encode_s`` is from the images to all parts of both, ``decode_s``
    from the parts of the four to their images, each the median over the turns, with the bootstrap
    interval of the median; ``*_image_s`` is the same by image. ``switch_s`` is both together,
    ``switch_processor_s`` the processor time of it, which other work beside it hardly changes.
    ``weights_mib`` are the weights, ``peak_mib`` the most memory that the process took beyond what
    it held before the network was made. ``round_trip`` is the largest error of an encoded and
    decoded image, on pixels from -1 to 1.
    """
    import torch

    from latentlab.backends.flow import FlowBackend, flow_spec
    from latentlab.training.peak import peak_memory

    before = psutil.Process().memory_info().rss
    torch.manual_seed(0)
    backend = FlowBackend(PAPER, flow_spec(PAPER, id="flow-paper"))
    for name, weights in backend.network.named_parameters():
        if name.endswith("leave.weight"):
            # Zero in a new network, whose couplings would do nothing.
            weights.normal_(0.0, COUPLED / weights[0].numel() ** 0.5)
    images = torch.rand((ENCODED, *backend.spec.image_shape)) * 2 - 1
    encode, decode, work = [], [], []
    for turn in range(TURNS + 1):
        on_progress(turn, TURNS + 1, "Encoding two images, decoding four")
        begin, worked = time.perf_counter(), time.process_time()
        (update,) = backend.encode(images, options={"reconstruct": False})
        middle = time.perf_counter()
        backend.decode(_switched(update.latents))
        end = time.perf_counter()
        # The first turn finds its memory and its kernels.
        if turn:
            encode.append(middle - begin)
            decode.append(end - middle)
            work.append(time.process_time() - worked)
    on_progress(TURNS + 1, TURNS + 1, "Encoding two images, decoding four")
    parameters = [parameter.numel() for parameter in backend.network.parameters()]
    return {
        "parameters": sum(parameters),
        **_seconds("encode", encode, ENCODED),
        **_seconds("decode", decode, DECODED),
        "switch_s": median(a + b for a, b in zip(encode, decode)),
        "switch_processor_s": median(work),
        "round_trip": float(_round_trip(backend, images)),
        "weights_mib": sum(parameters) * 4 / 2**20,
        "peak_mib": (peak_memory() - before) / 2**20,
        "turns": TURNS,
        "threads": torch.get_num_threads(),
        "device": str(backend.device),
    }


def _seconds(name: str, spent: list[float], images: int) -> dict[str, float]:
    low, high = interval(spent)
    return {
        f"{name}_s": median(spent),
        f"{name}_s_low": low,
        f"{name}_s_high": high,
        f"{name}_image_s": median(spent) / images,
    }


def _switched(latents: Any) -> dict[str, Any]:
    """Return the four ways to put the parts of two images together."""
    rows, columns = [0, 0, 1, 1], [0, 1, 0, 1]
    return {name: part[rows if name == "global" else columns] for name, part in latents.items()}


def _round_trip(backend: Any, images: Any) -> Any:
    """Return the largest error of images that were encoded and decoded."""
    (update,) = backend.encode(images, options={"reconstruct": False})
    return (backend.decode(update.latents, options={"clamp": False}) - images).abs().max()
