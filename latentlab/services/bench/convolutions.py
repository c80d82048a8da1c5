"""A stand-in for a large model: real convolutions, as many as fill a frame's time.

They run on the CPU with every thread that torch has, so that the window has to fight for its core.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from latentlab.backends.images import quantise
from latentlab.core.requests import PreviewRequest, PreviewResult
from latentlab.services.device import set_threads
from latentlab.services.jobs import JobContext
from latentlab.services.library import ModelLibrary
from latentlab.services.renderer import Renderer
from latentlab.services.worker_protocol import WorkerSettings

TARGET_MS = 50.0
_SIZE = 128
_CHANNELS = 32
_MAX_DEPTH = 2000


class Convolutions:
    """Renders the sum of a picture's edits through a deep network; one image ``(128, 128, 3)``.

    Args:
        target_ms: how long a frame should take; the depth is chosen for it here and now.
    """

    def __init__(self, target_ms: float = TARGET_MS) -> None:
        self._random = torch.Generator().manual_seed(0)
        self._start = torch.randn(1, _CHANNELS, _SIZE, _SIZE, generator=self._random)
        self._colours = self._layer(3)
        self._layers: list[nn.Conv2d] = []
        self._grow(8)
        for _ in range(3):
            self._grow(round(len(self._layers) * target_ms / self._frame_ms()))
        self.figures = {"layers": len(self._layers)}

    def _layer(self, outputs: int) -> nn.Conv2d:
        layer = nn.Conv2d(_CHANNELS, outputs, 3, padding=1)
        with torch.no_grad():
            bound = (9 * _CHANNELS) ** -0.5
            layer.weight.normal_(0.0, bound * 2**0.5, generator=self._random)
        return layer

    def _grow(self, depth: int) -> None:
        depth = min(max(depth, 1), _MAX_DEPTH)
        del self._layers[depth:]
        while len(self._layers) < depth:
            self._layers.append(self._layer(_CHANNELS))

    def _frame_ms(self) -> float:
        times = []
        for _ in range(8):
            begin = time.perf_counter()
            self._decode(0.0)
            times.append((time.perf_counter() - begin) * 1e3)
        # The first ones allocate memory and pick kernels.
        return statistics.mean(times[2:])

    def _decode(self, amount: float) -> Tensor:
        with torch.inference_mode():
            image = self._start + amount
            for layer in self._layers:
                image = torch.nn.functional.leaky_relu_(layer(image), 0.2)
            return torch.tanh(self._colours(image))

    def render(self, request: PreviewRequest) -> Iterator[PreviewResult]:
        """Yield one frame."""
        begin = time.perf_counter()
        image = self._decode(sum(request.picture.edits.values()))
        forward_ms = (time.perf_counter() - begin) * 1e3
        images = quantise(image).numpy().copy()
        images.flags.writeable = False
        yield PreviewResult(
            request.channel,
            request.sequence,
            images=images,
            forward_ms=forward_ms,
            total_ms=(time.perf_counter() - begin) * 1e3,
        )


def build(settings: WorkerSettings) -> JobContext:
    """Return the worker's engine: see ``WorkerSettings.engine``."""
    set_threads(settings.threads)
    network = Convolutions()
    # It does the one thing that previews ask of a renderer.
    renderer = cast(Renderer, network)
    return JobContext(ModelLibrary([], device="cpu"), renderer, figures=network.figures)
