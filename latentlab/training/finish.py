"""The end of a run: the weights to keep, measured as they will be stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from latentlab.core.modelfile import StoredModel, write_model
from latentlab.core.recipe import Recipe
from latentlab.core.runs import RunFolder
from latentlab.training.checkpoints import completed
from latentlab.training.data import Part
from latentlab.training.ema import half_rounded
from latentlab.training.events import Reporter
from latentlab.training.family import FamilyTrainer


def finish(
    recipe: Recipe,
    folder: RunFolder,
    trainer: FamilyTrainer,
    network: nn.Module,
    training: Part,
    held_out: Part,
    step: int,
    device: torch.device,
    reporter: Reporter,
    stop_asked: Callable[[], bool],
) -> Path | None:
    """Measure the network and write ``model.safetensors``.

    Args:
        recipe: of the run.
        folder: of the run.
        trainer: of the family.
        network: the weights to keep, on ``device``.
        training: what it was trained on, for the provenance.
        held_out: what it is measured on.
        step: of the weights.
        device: where to compute.
        reporter: takes progress and the ``finish`` event.
        stop_asked: true when the measuring should be given up.

    Returns:
        The model file, or ``None`` when it was given up.

    Raises:
        LatentLabError: the file cannot be written.
    """
    stored: StoredModel | None = None
    network = half_rounded(network) if recipe.output.half else network
    network.eval()
    # Noise that the family draws without naming a seed is the same at every finish.
    torch.manual_seed(recipe.train.seed)
    for item in trainer.finish(network, held_out, device):
        if isinstance(item, StoredModel):
            stored = item
            continue
        reporter.progress(step, *item)
        if stop_asked():
            return None
    if stored is None:
        raise TypeError(f"{type(trainer).__name__}.finish ended without a model")
    data = training.describe() | {"held_out": held_out.describe()}
    header = write_model(folder.model, completed(stored, recipe, data, step, device))
    reporter.emit(
        "finish",
        step,
        path=folder.model.relative_to(folder.path).as_posix(),
        quality=dict(header.spec.quality),
        fingerprint=header.spec.fingerprint,
    )
    return folder.model
