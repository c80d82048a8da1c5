"""Which images and which random numbers a step uses: pure functions of (seed, step).

Everything is drawn for the global batch and then cut for the process, so that a run is the same
after a resume and on another number of processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.core.noise import permutation, uniform

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Share:
    """Which part of a global batch belongs to this process."""

    rank: int = 0
    processes: int = 1

    def slice(self, batch_size: int) -> slice:
        """Return the rows of this process in a global batch."""
        rows = batch_size // self.processes
        return slice(self.rank * rows, (self.rank + 1) * rows)


class Sampler:
    """The order of the images.

    Args:
        num_images: of the training data.
        batch_size: global.
        seed: of the run.
        share: this process's part.

    Raises:
        LatentLabError: there are fewer images than a batch, or the batch cannot be shared evenly.
    """

    def __init__(
        self, num_images: int, batch_size: int, seed: int, share: Share | None = None
    ) -> None:
        self.share = share or Share()
        if num_images < batch_size:
            raise LatentLabError(
                f"A batch of {batch_size} needs at least as many training images, and there are "
                f"{num_images}: lower train.batch_size or use more data."
            )
        if batch_size % self.share.processes:
            raise LatentLabError(
                f"train.batch_size is {batch_size}, which {self.share.processes} processes cannot "
                "share evenly: choose a multiple."
            )
        self.num_images, self.batch_size, self.seed = num_images, batch_size, seed
        self._epoch = -1
        self._order: NDArray[np.int64] = np.zeros(0, np.int64)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one pass; the images left over wait for another order."""
        return self.num_images // self.batch_size

    def epoch(self, step: int) -> float:
        """Return the passes over the data before ``step``."""
        return step / self.steps_per_epoch

    def indices(self, step: int) -> NDArray[np.int64]:
        """Return the image indices of this process at ``step`` (from 0)."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._order = permutation(self.seed, "order", epoch, self.num_images)
            self._epoch = epoch
        whole = self._order[batch * self.batch_size : (batch + 1) * self.batch_size]
        return whole[self.share.slice(self.batch_size)]

    def flips(self, step: int) -> NDArray[np.bool_]:
        """Return which images of this process are mirrored at ``step``."""
        draws = uniform(self.seed, "flip", step, (self.batch_size,)) < 0.5
        return draws[self.share.slice(self.batch_size)]


def derived_seed(*parts: object) -> int:
    """Return 63 bits that depend on all ``parts``."""
    text = "|".join(str(part) for part in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_device(seed: int, device: torch.device) -> None:
    """Seed what a network draws by itself (dropout), on the CPU and on its device.

    ``torch.manual_seed`` seeds every kind of device and, where CUDA is not in use, remembers a
    stack trace at each call: 1 ms and some memory a step.
    """
    import torch

    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


Normal = Callable[[str, tuple[int, ...]], "Tensor"]


class Draws:
    """The normal draws of one global batch, cut into rows.

    The same device kind gives the same draws; CPU and CUDA differ from each other.

    Args:
        seed: of the run.
        step: optimiser steps before it.
        batch_size: global.
        device: where the draws are made.
        repeat: of a phase that runs several times a step, from 0.
        keep: remember what was drawn, for the next micro-batch.
    """

    def __init__(
        self,
        seed: int,
        step: int,
        batch_size: int,
        device: torch.device,
        repeat: int = 0,
        keep: bool = False,
    ) -> None:
        self._parts: tuple[object, ...] = ("normal", seed, step)
        self._repeat = (repeat,) if repeat else ()
        self._batch_size, self._device = batch_size, device
        self._kept: dict[tuple[str, tuple[int, ...]], Tensor] | None = {} if keep else None

    def rows(self, rows: slice) -> Normal:
        """Return ``Batch.normal`` for some rows: N(0, 1) float32 of ``(rows, *shape)``."""

        def normal(stream: str, shape: tuple[int, ...]) -> Tensor:
            return self._whole(stream, tuple(shape))[rows]

        return normal

    def _whole(self, stream: str, shape: tuple[int, ...]) -> Tensor:
        if self._kept is not None and (stream, shape) in self._kept:
            return self._kept[stream, shape]
        import torch

        generator = torch.Generator(self._device)
        generator.manual_seed(derived_seed(*self._parts, stream, *self._repeat))
        draws = torch.randn((self._batch_size, *shape), generator=generator, device=self._device)
        if self._kept is not None:
            self._kept[stream, shape] = draws
        return draws


def normal_draws(
    seed: int, step: int, batch_size: int, share: Share, device: torch.device
) -> Normal:
    """Return ``Batch.normal`` of a step for a process's share; see ``Draws``."""
    return Draws(seed, step, batch_size, device).rows(share.slice(batch_size))
