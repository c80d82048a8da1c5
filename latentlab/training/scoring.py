"""How well a network does on images that it never trains on."""

from __future__ import annotations

import math

import numpy as np
from torch import nn

from latentlab.training.batches import Batches
from latentlab.training.data import Part, part_of
from latentlab.training.family import Alternates, FamilyTrainer, Scores

MAX_IMAGES = 512
"""Held-out images that a checkpoint is judged by."""


def held_out_loss(
    trainer: FamilyTrainer,
    network: nn.Module,
    batches: Batches,
    held_out: Part,
    max_images: int,
    rows: int,
) -> float | None:
    """Return the family's score or, where it has none, the mean of its ``loss``.

    Args:
        trainer: of the family.
        network: in evaluation mode; called without gradients.
        batches: makes them, with the same draws each time.
        held_out: the images; the first ones are taken.
        max_images: at most so many.
        rows: at most so many at a time.

    Returns:
        ``None`` where a family has several losses and no score.
    """
    count = min(max_images, len(held_out))
    if isinstance(trainer, Scores):
        chosen = part_of(held_out, np.arange(count, dtype=np.int64), None)
        score = trainer.score(network, chosen)
        return None if score is None else float(score)
    if isinstance(trainer, Alternates):
        return None
    parts = []
    for batch in batches.held_out(held_out, count, rows):
        loss = trainer.losses(network, batch)["loss"]
        parts.append(float(loss) * len(batch.images))
    return math.fsum(parts) / count
