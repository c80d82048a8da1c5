"""What it looks like when memory runs out."""

from __future__ import annotations

import gc

import torch

from latentlab.core.errors import LatentLabError


def exhausted(error: BaseException) -> bool:
    """Whether an error means that the memory of the device or of the machine ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in text or "out of memory" in text
    )


def out_of_memory(error: BaseException) -> LatentLabError | None:
    """Return a sentence when an error means that memory ran out."""
    return too_large(str(error)) if exhausted(error) else None


def too_large(details: str = "") -> LatentLabError:
    """Return the sentence for a recipe that does not fit into memory."""
    return LatentLabError(
        "There is not enough memory for this recipe: lower train.batch_size or data.size, "
        "then resume.",
        details,
    )


def release(device: torch.device) -> None:
    """Give cached memory back after a failure."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
