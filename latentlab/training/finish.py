"""The end of a run: the weights to keep, measured as they will be stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from latentlab.core.modelfile import ModelHeader, StoredModel, write_model
from latentlab.training.checkpoints import completed
from latentlab.training.ema import half_rounded
from latentlab.training.events import Reporter, patiently
from latentlab.training.loop import Engine


def finish(
    engine: Engine,
    reporter: Reporter,
    stop_asked: Callable[[], bool],
    model_step: int | None = None,
) -> Path | None:
    """Measure the network of a run as it stands and write ``model.safetensors``.

    Args:
        engine: of the run.
        reporter: takes progress and the ``finish`` event.
        stop_asked: true when the measuring should be given up.
        model_step: of the weights, where they are not the newest.

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
    stored = _measured(engine, network, reporter, stop_asked)
    if stored is None:
        return None
    data = engine.training.describe() | {"held_out": engine.held_out.describe()}
    of_step = step if model_step is None else model_step
    model = completed(stored, recipe, data, of_step, engine.device, reporter.origin)
    header: list[ModelHeader] = []

    def write() -> None:
        header[:] = [write_model(folder.model, model)]

    patiently(write, reporter, step, "The model", must=True)
    spec = header[0].spec
    reporter.emit(
        "finish",
        step,
        model_step=of_step,
        path=folder.model.relative_to(folder.path).as_posix(),
        quality=dict(spec.quality),
        fingerprint=spec.fingerprint,
    )
    return folder.model


def _measured(
    engine: Engine, network: nn.Module, reporter: Reporter, stop_asked: Callable[[], bool]
) -> StoredModel | None:
    """Return the family's measured model; ``None`` when it was given up."""
    stored: StoredModel | None = None
    for item in engine.trainer.finish(network, engine.held_out, engine.device):
        if isinstance(item, StoredModel):
            stored = item
            continue
        reporter.progress(engine.step, *item)
        if stop_asked():
            return None
    if stored is None:
        raise TypeError(f"{type(engine.trainer).__name__}.finish ended without a model")
    return stored
