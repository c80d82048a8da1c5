"""Files that a run leaves: checkpoints that can be opened while it trains, and sample sheets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save_file
from torch import nn

from latentlab.backends.checkpoint import check_state, state_arrays
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array
from latentlab.core.modelfile import StoredModel, read_model, replace_file, write_model
from latentlab.core.recipe import Recipe
from latentlab.core.runs import RunFolder
from latentlab.core.spec import ModelSpec, Provenance
from latentlab.training.ema import half_rounded


@runtime_checkable
class Snapshots(Protocol):
    """A family trainer whose checkpoints are whole model files, to be explored while it trains."""

    def snapshot(self, network: nn.Module) -> StoredModel:
        """Return ``network`` as a model, without measuring it."""
        ...


def device_name(device: torch.device) -> str:
    """Return a device for people and provenance: ``cpu``, or the GPU's product name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def provenance(
    recipe: Recipe, data: Mapping[str, Any], step: int, device: torch.device
) -> Provenance:
    """Return where a run's weights came from."""
    return Provenance(
        data=dict(data),
        recipe=recipe.resolved(),
        steps=step,
        seed=recipe.train.seed,
        torch_version=torch.__version__,
        device=device_name(device),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _exact_half(array: Array) -> Array:
    """Return float16 where it holds the very same values, else the array itself."""
    if array.dtype not in (np.float32, np.float64):
        return array
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.array_equal(half.astype(array.dtype), array) else array


def completed(
    model: StoredModel, recipe: Recipe, data: Mapping[str, Any], step: int, device: torch.device
) -> StoredModel:
    """Return a family's model with the run's id, title, provenance and storage precision."""
    spec: ModelSpec = model.header.spec
    note = spec.provenance.note
    origin = provenance(recipe, data, step, device).model_copy(update={"note": note})
    title = recipe.output.title or spec.title
    new = {"id": recipe.output.id or spec.id, "title": title, "provenance": origin}
    header = model.header.model_copy(update={"spec": spec.model_copy(update=new)})
    weights = dict(model.weights)
    if recipe.output.half:
        weights = {name: _exact_half(array) for name, array in weights.items()}
    return StoredModel(header, weights, model.directions, model.preview)


def write_checkpoint(
    folder: RunFolder,
    trainer: object,
    network: nn.Module,
    recipe: Recipe,
    data: Mapping[str, Any],
    step: int,
    device: torch.device,
) -> Path:
    """Write the weights to keep at a step: a model file where the family can, else its tensors.

    Raises:
        LatentLabError: it cannot be written.
    """
    path = folder.checkpoint(step)
    if isinstance(trainer, Snapshots):
        rounded = half_rounded(network) if recipe.output.half else network
        model = completed(trainer.snapshot(rounded), recipe, data, step, device)
        write_model(path, model)
    else:
        arrays = state_arrays(network, half=False)
        tensors = {f"net.{name}": array for name, array in arrays.items()}
        replace_file(path, lambda target: save_file(tensors, target))
    keep = recipe.train.keep_checkpoints
    for old in folder.checkpoint_files()[:-keep] if keep else ():
        old.unlink(missing_ok=True)
    return path


def load_weights(network: nn.Module, path: Path) -> None:
    """Put the weights of a model file into a network, strictly.

    Raises:
        LatentLabError: the file is not a model, or its weights do not fit.
    """
    try:
        # What a family fits at the end of a run (see ``fitted_at_end``) is no weight to start from.
        fitted = getattr(network, "fitted_at_end", ())
        stored = read_model(path).weights
        weights = {name: array for name, array in stored.items() if name not in fitted}
        network.load_state_dict(check_state(network, weights, path.name))
    except LatentLabError as error:
        raise LatentLabError(f"Cannot start from '{path}': {error}", error.details) from error


def sheet(images: NDArray[np.uint8]) -> Image.Image:
    """Return images ``(count, H, W, C)``, C being 1 or 3, as one nearly square sheet."""
    count, height, width, channels = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    canvas = np.zeros((rows * height, columns * width, channels), np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * height, i % columns * width
        canvas[top : top + height, left : left + width] = image
    return Image.fromarray(canvas[:, :, 0] if channels == 1 else canvas)


def write_sheet(path: Path, images: NDArray[np.uint8]) -> None:
    """Write a sheet of images as PNG; ``LatentLabError`` when it cannot be written."""
    replace_file(path, lambda target: sheet(images).save(target, format="PNG"))
