"""The learning rate as a pure function of the step, so that a resume needs no scheduler state."""

from __future__ import annotations

import math

from latentlab.core.recipe import TrainTable


def learning_rate(table: TrainTable, step: int, total_steps: int) -> float:
    """Return the learning rate of a step.

    It rises linearly over ``warmup_steps``, then stays (``constant``), falls linearly to 0
    (``linear``) or follows half a cosine to 0 (``cosine``; Loshchilov and Hutter 2017, eq. 5).

    Args:
        table: the recipe's ``[train]``.
        step: optimiser steps done before this one, from 0.
        total_steps: of the whole run.
    """
    top, warmup = table.learning_rate, min(table.warmup_steps, total_steps)
    if step < warmup:
        return top * (step + 1) / warmup
    if table.schedule == "constant":
        return top
    progress = (step - warmup) / max(1, total_steps - warmup)
    if table.schedule == "linear":
        return top * (1.0 - progress)
    return top * 0.5 * (1.0 + math.cos(math.pi * progress))
