"""A trained network as the model that is stored, with its figures and its picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.backends.checkpoint import state_arrays
from latentlab.core.direction import Direction
from latentlab.core.modelfile import ModelHeader, StoredModel


def stored_model(
    backend: Any,
    quality: dict[str, float],
    directions: dict[str, Direction],
    images: NDArray[np.uint8],
) -> StoredModel:
    """Return a network behind its interface as a model, its weights in half precision.

    Args:
        backend: with ``config``, ``spec`` and ``network``.
        quality: measured figures, for the card.
        directions: by name.
        images: nine samples ``(9, H, W, C)``, which the card shows three by three.
    """
    spec = backend.spec.model_copy(update={"quality": quality})
    header = ModelHeader(config=backend.config.model_dump(mode="json"), spec=spec)
    height, width, channels = images.shape[1:]
    grid = images.reshape(3, 3, height, width, channels).swapaxes(1, 2)
    preview = np.ascontiguousarray(grid.reshape(3 * height, 3 * width, channels))
    return StoredModel(header, state_arrays(backend.network), directions, preview)
