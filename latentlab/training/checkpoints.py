"""Files that a run leaves: checkpoints that can be opened while it trains, and sample sheets."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
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
from latentlab.core.modelfile import StoredModel, opened, read_model, replace_file, write_model
from latentlab.core.recipe import Recipe
from latentlab.core.runs import RunFolder, read_small
from latentlab.core.spec import ModelSpec, Provenance
from latentlab.training.ema import half_rounded
from latentlab.training.origin import Origin


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
    recipe: Recipe,
    data: Mapping[str, Any],
    step: int,
    device: torch.device,
    origin: Origin | None = None,
) -> Provenance:
    """Return where a run's weights came from."""
    known = origin or Origin()
    return Provenance(
        images_seen=step * (known.images_per_step or recipe.train.batch_size),
        seconds_trained=round(known.seconds, 1),
        processes=known.processes,
        program_version=known.program_version,
        revision=known.revision,
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
    model: StoredModel,
    recipe: Recipe,
    data: Mapping[str, Any],
    step: int,
    device: torch.device,
    origin: Origin | None = None,
) -> StoredModel:
    """Return a family's model with the run's id, title, provenance and storage precision."""
    spec: ModelSpec = model.header.spec
    note = spec.provenance.note
    made = provenance(recipe, data, step, device, origin).model_copy(update={"note": note})
    title = recipe.output.title or spec.title
    new = {"id": recipe.output.id or spec.id, "title": title, "provenance": made}
    header = model.header.model_copy(update={"spec": spec.model_copy(update=new)})
    weights = dict(model.weights)
    if recipe.output.half:
        weights = {name: _exact_half(array) for name, array in weights.items()}
    return StoredModel(header, weights, model.directions, model.preview)


@dataclass(frozen=True)
class Best:
    """The checkpoint with the smallest held-out loss.

    Attributes:
        step: of the checkpoint.
        held_out_loss: there.
    """

    step: int
    held_out_loss: float


def best_checkpoint(folder: RunFolder) -> Best | None:
    """Return the best checkpoint, if one was found out and its file is there."""
    try:
        record = json.loads(read_small(folder.best))
        best = Best(int(record["step"]), float(record["held_out_loss"]))
        known = math.isfinite(best.held_out_loss) and folder.checkpoint(best.step).is_file()
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return best if known else None


def write_checkpoint(
    folder: RunFolder,
    trainer: object,
    network: nn.Module,
    recipe: Recipe,
    data: Mapping[str, Any],
    step: int,
    device: torch.device,
    *,
    held_out_loss: float | None = None,
    origin: Origin | None = None,
) -> bool:
    """Write the weights to keep at a step: a model file where the family can, else its tensors.

    Of the older ones the last few stay (``train.keep_checkpoints``), and the best.

    Returns:
        Whether it has the smallest held-out loss so far, and is therefore kept.

    Raises:
        LatentLabError: it cannot be written.
    """
    path = folder.checkpoint(step)
    if isinstance(trainer, Snapshots):
        rounded = half_rounded(network) if recipe.output.half else network
        model = trainer.snapshot(rounded)
        write_model(path, completed(model, recipe, data, step, device, origin))
    else:
        arrays = state_arrays(network, half=False)
        tensors = {f"net.{name}": array for name, array in arrays.items()}
        replace_file(path, lambda target: save_file(tensors, target))
    best = recipe.train.keep_best and _note_best(folder, step, held_out_loss)
    _let_go(folder, recipe.train.keep_checkpoints)
    return best


def _note_best(folder: RunFolder, step: int, held_out_loss: float | None) -> bool:
    if held_out_loss is None or not math.isfinite(held_out_loss):
        return False
    before = best_checkpoint(folder)
    # The same step again, after a resume: it is as good as it was.
    if before is not None and before.step != step and before.held_out_loss <= held_out_loss:
        return False
    text = json.dumps({"step": step, "held_out_loss": held_out_loss})
    replace_file(folder.best, lambda target: target.write_text(text, "utf-8"))
    return True


def _let_go(folder: RunFolder, keep: int) -> None:
    """Delete older checkpoints; the newest and the best stay."""
    if not keep:
        return
    best = best_checkpoint(folder)
    for old in folder.checkpoint_files()[:-keep]:
        if best is not None and old == folder.checkpoint(best.step):
            continue
        try:
            old.unlink(missing_ok=True)
        except OSError:
            # Somebody reads it (Windows); it goes with the next checkpoint.
            continue


def load_checkpoint(network: nn.Module, path: Path) -> None:
    """Put the weights of a checkpoint back into a network of its run.

    Raises:
        LatentLabError: the file is damaged or of another network.
    """
    with opened(path) as stored:
        names = [name for name in stored.keys() if name.startswith("net.")]  # noqa: SIM118
        weights = {name[4:]: np.asarray(stored.get_tensor(name)) for name in names}
    for name in getattr(network, "fitted_at_end", ()):
        weights.pop(name, None)
    network.load_state_dict(check_state(network, weights, path.name))


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
