"""What a model family brings to the training engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from latentlab.core.modelfile import StoredModel
from latentlab.data.base import ImageDataset


@dataclass(frozen=True)
class Batch:
    """One process's share of a global batch.

    Attributes:
        images: float32 ``(B, C, H, W)`` in [-1, 1].
        labels: float32 ``(B,)`` by label name; NaN where unknown.
        visible: bool ``(B,)`` by label name, for labels that cannot always be read.
        step: optimiser steps done before this batch, counted from 0.
        total_steps: of the whole run.
        normal: ``normal(stream, shape)`` draws N(0, 1) of ``(B, *shape)`` on the device, a pure
            function of (seed, step, sample, stream): the same however many processes there are.
        epoch: passes over the data so far, as a fraction.
    """

    images: Tensor
    labels: Mapping[str, Tensor]
    visible: Mapping[str, Tensor]
    step: int
    total_steps: int
    normal: Callable[[str, tuple[int, ...]], Tensor]
    epoch: float = 0.0


class FamilyTrainer(Protocol):
    """Networks, losses and samples of one family.

    Built as ``Trainer(model_config, dataset)`` where ``model_config`` is the ``[model]`` table of
    the recipe (without ``family``) and ``dataset`` gives image shape and labels. A wrong setting
    raises ``LatentLabError``.
    """

    network: nn.Module

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return scalars by name; ``loss`` is minimised, the others are logged.

        ``network`` is ``self.network`` as the engine wrapped it (data parallel, compiled).
        """
        ...

    def samples(self, network: nn.Module, dataset: ImageDataset, count: int) -> NDArray[np.uint8]:
        """Return ``(count, H, W, C)`` images that show progress, from fixed seeds."""
        ...

    def finish(
        self, network: nn.Module, held_out: ImageDataset, device: torch.device
    ) -> Iterator[tuple[int, int, str] | StoredModel]:
        """Measure the network and yield progress ``(done, total, message)``, then the model.

        ``network`` holds the weights to keep (the moving average where there is one), already
        rounded to the precision that is stored.
        """
        ...
