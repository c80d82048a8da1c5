"""Small real model files for the tests of the services."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from latentlab.backends.checkpoint import state_arrays
from latentlab.core.direction import Direction
from latentlab.core.latents import Array
from latentlab.core.modelfile import ModelHeader, StoredModel, write_model
from latentlab.services.library import ModelLibrary
from tests.backends.factories import small_vae


def unit(index: int, size: int = 8) -> Array:
    vector = np.zeros(size, np.float32)
    vector[index] = 0.6
    vector[(index + 1) % size] = 0.8
    return vector


def write_vae(
    path: Path,
    model_id: str = "small-vae",
    *,
    preview: Array | None = None,
    bump: float = 0.0,
    **changes: Any,
) -> ModelHeader:
    """Write a VAE with two directions; ``bump`` changes the weights, ``changes`` the network."""
    backend = small_vae(**changes)
    weights = state_arrays(backend.network)
    first = sorted(name for name in weights if name.endswith("weight"))[0]
    weights[first] = weights[first] + np.float16(bump)
    size = backend.spec.spaces[0].size
    directions = {
        name: Direction(name, "z", {"z": unit(i, size)}, scale=1.5, method="test")
        for i, name in enumerate(("smiling", "eyeglasses"))
    }
    spec = backend.spec.model_copy(update={"id": model_id, "title": model_id.title()})
    header = ModelHeader(config=backend.config.model_dump(mode="json"), spec=spec)
    return write_model(path, StoredModel(header, weights, directions, preview))


def library(folder: Path, **options: Any) -> ModelLibrary:
    """A library of one folder, on the CPU."""
    return ModelLibrary([folder], device="cpu", **options)
