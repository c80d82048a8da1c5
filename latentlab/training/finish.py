"""The end of a run: the weights to keep, measured as they will be stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from latentlab.core.modelfile import StoredModel, write_model
from latentlab.training.checkpoints import completed
from latentlab.training.ema import half_rounded
from latentlab.training.events import Reporter
from latentlab.training.loop import Engine


def finish(engine: Engine, reporter: Reporter, stop_asked: Callable[[], bool]) -> Path | None:
    """Measure the network of a run as it stands and write ``model.safetensors``.

    Args:
        engine: of the run.
        reporter: takes progress and the ``finish`` event.
        stop_asked: true when the measuring should be given up.

    Returns:
        The model file, or ``None`` when it was given up.

    Raises:
        LatentLabError: the file cannot be written.
    """
    recipe, folder, step = engine.recipe, engine.folder, engine.step
    network = half_rounded(engine.kept) if recipe.output.half else engine.kept
    network.eval()
    # Noise that the family draws without naming a seed is the same at every finish.
    torch.manual_seed(recipe.train.seed)
    stored: StoredModel | None = None
    for item in engine.trainer.finish(network, engine.held_out, engine.device):
        if isinstance(item, StoredModel):
            stored = item
            continue
        reporter.progress(step, *item)
        if stop_asked():
            return None
    if stored is None:
        raise TypeError(f"{type(engine.trainer).__name__}.finish ended without a model")
    data = engine.training.describe() | {"held_out": engine.held_out.describe()}
    header = write_model(folder.model, completed(stored, recipe, data, step, engine.device))
    reporter.emit(
        "finish",
        step,
        path=folder.model.relative_to(folder.path).as_posix(),
        quality=dict(header.spec.quality),
        fingerprint=header.spec.fingerprint,
    )
    return folder.model
