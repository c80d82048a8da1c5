"""What a model family brings to the training engine.

A family with one network and one loss gives ``network``, ``losses``, ``samples`` and ``finish``,
and nothing else. What other families need is optional, each a small protocol of its own:

- ``Alternates``: several optimisers that take turns (the two networks of a GAN, lazy
  regularisation, a critic that trains more often than its generator);
- ``Averages``: only some submodules have a moving average (a GAN's generator);
- ``Follows``: something of its own after every step, from the means of the global batch (the
  strength of ADA's augmentation, a running mean of path lengths, weights that are clipped);
- ``Initialises``: initial weights that depend on the first batch (a flow's ActNorm);
- ``Scores``: a held-out score of its own, where ``losses`` tells nothing about quality;
- ``latentlab.training.checkpoints.Snapshots``: checkpoints that can be opened.

What the engine promises in turn: images, their order, flips and all draws of ``Batch.normal`` are
pure functions of (seed, step), whatever the number of processes, of micro-batches or of resumes.
``losses`` may be called several times a step, each time with some rows of the global batch: means
over rows are then weighted so that loss and gradient are those of the whole batch. What depends on
the other rows of a batch (batch norm) sees the rows of its own micro-batch and process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from latentlab.core.modelfile import StoredModel
from latentlab.data.base import ImageDataset


@dataclass(frozen=True)
class Batch:
    """Some rows of a global batch: one process's share, or a micro-batch of it.

    Attributes:
        images: float32 ``(B, C, H, W)`` in [-1, 1].
        labels: float32 ``(B,)`` by label name; NaN where unknown.
        visible: bool ``(B,)`` by label name, for labels that cannot always be read.
        step: optimiser steps done before this batch, counted from 0.
        total_steps: of the whole run.
        normal: ``normal(stream, shape)`` draws N(0, 1) of ``(B, *shape)`` on the device, a pure
            function of (seed, step, sample, stream): the same however many processes there are.
            Repeats of a phase draw anew; two phases that name the same stream get the same draws.
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

        ``network`` is ``self.network`` as the engine wrapped it: what is called through it, or
        through its submodules (``network.generator(z)``), runs in the recipe's precision and
        compiled, and gives float32. Read its attributes; set none.

        Every scalar is a mean over rows, so that the engine can put micro-batches and processes
        together.
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


@dataclass(frozen=True)
class OptimizerSpec:
    """One optimiser of a family; kind, schedule and weight decay are the recipe's.

    Attributes:
        name: in events and in the saved state; no dot.
        modules: names of the submodules of ``network`` that it trains; ``""`` is all of it. A
            parameter belongs to one optimiser at most; one that belongs to none is never trained.
        learning_rate_scale: times the recipe's learning rate.
        betas: decay of the two moments; ``None`` means the recipe's.
    """

    name: str
    modules: tuple[str, ...] = ("",)
    learning_rate_scale: float = 1.0
    betas: tuple[float, float] | None = None


@dataclass(frozen=True)
class Phase:
    """One turn of an optimiser within a step.

    Attributes:
        name: ``losses`` gets it; events show its loss under this name. No dot.
        optimizer: the name of the one whose modules it trains; everything else is frozen.
        every: it runs at steps 0, every, 2 every, ... (lazy regularisation; the family scales its
            loss by ``every`` itself: Karras et al. 2020, arXiv 1912.04958, appendix B).
        repeats: updates a step, each on images and draws of its own (the n_critic of Arjovsky et
            al. 2017, arXiv 1701.07875, algorithm 1).
    """

    name: str
    optimizer: str
    every: int = 1
    repeats: int = 1


@runtime_checkable
class Alternates(Protocol):
    """A family trainer with several optimisers.

    A step runs the phases in their order. Its ``losses(network, batch, phase)`` returns the
    scalars of one phase; in it, the gradient of ``loss`` reaches the modules of the phase's
    optimiser alone. A step's ``loss`` and ``grad_norm`` in the events are those of the first phase.
    """

    optimizers: tuple[OptimizerSpec, ...]
    phases: tuple[Phase, ...]


@runtime_checkable
class Averages(Protocol):
    """A family trainer whose moving average covers some submodules of ``network`` only.

    Samples, checkpoints and ``finish`` get a network in which these are averaged and the others
    are as they train.
    """

    averaged: tuple[str, ...]


@runtime_checkable
class Follows(Protocol):
    """A family trainer that changes more than gradients do."""

    def after_step(self, network: nn.Module, losses: Mapping[str, Tensor], step: int) -> None:
        """Change buffers or weights of ``network`` in place, after every step.

        Called without gradients, before the moving average. What must outlive a resume is a buffer
        of the network: an attribute of the trainer is forgotten (Karras et al. 2020, arXiv
        2006.06676, section 3.2: the probability p that follows the sign of the critic's outputs).

        Args:
            network: that is trained.
            losses: what ``losses`` gave, by the names that events show: scalars on the device,
                means over the global batch, the same in every process. Those of a phase that was
                not due are of the step when it last was.
            step: optimiser steps done before this one.
        """
        ...


@runtime_checkable
class Initialises(Protocol):
    """A family trainer whose initial weights depend on data."""

    def initialise(self, network: nn.Module, batch: Batch) -> None:
        """Set the weights of ``network`` in place from the whole global first batch.

        Called once before step 0, without gradients, on every process alike; never after a resume
        nor when a run starts from the weights of another.
        """
        ...


@runtime_checkable
class Scores(Protocol):
    """A family trainer with a held-out score of its own."""

    def score(self, network: nn.Module, held_out: ImageDataset) -> float | None:
        """Return how badly ``network`` does on held-out images; smaller is better.

        ``network`` is the one that is kept, in evaluation mode; any draws come from fixed seeds.
        ``None`` means that it cannot be told.
        """
        ...
