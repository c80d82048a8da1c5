"""Data sets as latents, at the speed of the network: images are read while it works."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlab.backends.base import EncodeUpdate
from latentlab.backends.stepping import in_steps
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.data.base import ImageDataset

CHUNK = 64
"""Images of 64x64 in one turn: few enough that previews between two turns do not wait long."""
_PIXELS = CHUNK * 64 * 64
_FEWEST, _MOST = 4, 256
_STEPPED = 16
_COARSE = {"steps": 10, "refine": 1}
"""Of the inversion of a data set by a diffusion model: a fifth of the evaluations that a single
photograph gets, for reconstructions of about 20 dB."""
AHEAD = 2
"""Chunks that are read while the network works on another one."""

Progress = tuple[int, int, str]


def chunk_for(backend: Any) -> int:
    """Return how many images a model encodes in one turn: fewer large ones, more on a GPU.

    A model of many steps takes few, and a turn for each of its network evaluations.
    """
    if in_steps(backend):
        return _STEPPED
    _, height, width = backend.spec.image_shape
    pixels = _PIXELS if backend.device.type == "cpu" else 4 * _PIXELS
    return max(_FEWEST, min(_MOST, pixels // (height * width)))


def read_ahead(
    dataset: ImageDataset, chunk: int = CHUNK, ahead: int = AHEAD
) -> Generator[NDArray[np.uint8], None, None]:
    """Yield the images of a data set in order, uint8 ``(n, H, W, C)``, read in one other thread.

    The thread ends with the iterator: at the end, at an error of ``dataset.read`` (raised here in
    its turn), or when the iterator is closed.

    Args:
        dataset: read by one thread at a time, in order.
        chunk: images in one turn.
        ahead: chunks that wait at most.
    """
    starts = iter(range(0, len(dataset), chunk))
    waiting: deque[Future[NDArray[np.uint8]]] = deque()
    pool = ThreadPoolExecutor(1, thread_name_prefix="latentlab-read")

    def read(start: int) -> NDArray[np.uint8]:
        return dataset.read(np.arange(start, min(start + chunk, len(dataset))))

    try:
        while True:
            while len(waiting) < ahead and (start := next(starts, None)) is not None:
                waiting.append(pool.submit(read, start))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def to_network(levels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Return uint8 ``(B, H, W, C)`` as float32 ``(B, C, H, W)`` in [-1, 1] on a device.

    Bytes travel, not floats, and the channels stay last in memory, as networks here want them.
    """
    if not levels.flags.writeable:
        levels = levels.copy()
    pixels = torch.from_numpy(levels).to(device).permute(0, 3, 1, 2)
    return pixels.to(torch.float32).div_(127.5).sub_(1)


def check_encodes(backend: Any, dataset: ImageDataset) -> None:
    """Raise ``LatentLabError`` unless a model can encode the images of a data set."""
    if "encode" not in backend.spec.capabilities:
        raise LatentLabError(
            f"'{backend.spec.id}' cannot take images in, so no direction can be fitted on labelled "
            "ones and no data set be mapped: choose a model that encodes."
        )
    if tuple(dataset.image_shape) != tuple(backend.spec.image_shape):
        raise LatentLabError(
            f"'{dataset.name}' has images {tuple(dataset.image_shape)} (channels, height, width), "
            f"the model {tuple(backend.spec.image_shape)}: open the data at the model's size."
        )


def encode_images(
    backend: Any, dataset: ImageDataset, message: str = "encoding", chunk: int | None = None
) -> Generator[Progress, None, Latents]:
    """Return the latents of all images of a data set (a VAE's posterior means).

    Yields progress between two chunks. The images are read by another thread, which is gone when
    this generator is done or closed, and nothing is decoded where the model can do without.

    Args:
        backend: of the model.
        dataset: N images.
        message: of the reports.
        chunk: images in one turn; ``chunk_for`` when not given.

    Raises:
        LatentLabError: the model cannot encode, or has images of another shape.
    """
    check_encodes(backend, dataset)
    space, count, done = backend.spec.space(), len(dataset), 0
    found: dict[str, NDArray[Any]] = {}
    images = read_ahead(dataset, chunk or chunk_for(backend))
    try:
        for levels in images:
            encoded = yield from _encoded(backend, levels, (done, count, message))
            for name, rows in encoded.items():
                if name not in found:
                    found[name] = np.empty((count, *rows.shape[1:]), rows.dtype)
                found[name][done : done + len(rows)] = rows
            done += len(levels)
            yield done, count, message
    finally:
        # Also when the asker stops in the middle: no thread is left behind.
        images.close()
    return Latents(space.name, found)


def _encoded(
    backend: Any, levels: NDArray[np.uint8], report: Progress
) -> Generator[Progress, None, dict[str, NDArray[Any]]]:
    """Encode some images; yield between the turns of an encoder that takes several."""
    pixels = to_network(levels, backend.device)
    coarse = _COARSE if in_steps(backend) and backend.spec.diffusion is not None else {}
    updates = backend.encode(pixels, options={"reconstruct": False, **coarse})
    done, total, message = report
    last: EncodeUpdate | None = None
    while True:
        # A generator must not yield inside the mode: it would leak into the asker's code.
        with torch.inference_mode():
            update = next(updates, None)
        if update is None:
            break
        last = update
        if update.index < update.count:
            yield done + len(levels) * update.index // update.count, total, message
    if last is None:
        raise RuntimeError("the model gave no latents")
    return {name: values.float().cpu().numpy() for name, values in last.latents.items()}
