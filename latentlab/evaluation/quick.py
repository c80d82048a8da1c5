"""Directions fitted in about a second, so that a model has sliders while it trains."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.parts import GLOBAL, is_decoupled, narrowed
from latentlab.core.spec import LatentSpace
from latentlab.data.base import ImageDataset
from latentlab.data.portraits.attributes import ATTRIBUTES, EDIT_ATTRIBUTES
from latentlab.evaluation.encode import chunk_for, to_network
from latentlab.evaluation.factors import Factor, factors, joint_vectors
from latentlab.evaluation.portraits import MIN_DIMENSIONS
from latentlab.latent.directions import flatten, make_direction, mean_difference

COUNT = 1000
"""Images that are encoded."""
MOST = 60
"""Directions of one model; a data set with more labels gives its first ones."""
_FEWEST = 20
_PORTRAITS = ("age", "skin_tone", "hair_length", "yaw", "tilt", "light_direction")
Float = NDArray[np.float64]


def quick_directions(
    backend: Any, dataset: ImageDataset, count: int = COUNT
) -> dict[str, Direction]:
    """Fit a direction for each label of a data set by joint regression; none where it has none.

    Three quarters of the images are fitted on, and the others say how far a slider unit is. A label
    that cannot be fitted is left out: early in training latents may depend on nothing. Of a model
    with a global part and local ones the directions move the global part.

    Args:
        backend: a model that encodes.
        dataset: N images, taken evenly, the same ones at every call.
        count: of them at most.

    Returns:
        By name: a label, or ``<label>_<class>``; for portraits the sliders of a finished model.
    """
    if not dataset.labels or len(dataset) < _FEWEST:
        return {}
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(np.int64))
    fitted = np.arange(len(rows)) % 4 != 3
    columns = {name: column.take(rows[fitted]) for name, column in dataset.labels.items()}
    known = factors(columns)
    wanted = _wanted(known, dataset.name)
    if not wanted:
        return {}
    whole = backend.spec.space()
    space = narrowed(whole, (GLOBAL,)) if is_decoupled(whole) else whole
    if space.size < MIN_DIMENSIONS:
        return {}
    latents = _latents(backend, dataset, rows, space)
    vectors = _vectors(latents[fitted], known)
    found = {}
    for factor, group in wanted:
        if factor.name not in vectors:
            continue
        with contextlib.suppress(LatentLabError):
            found[factor.name] = make_direction(
                factor.name,
                space,
                vectors[factor.name],
                latents[~fitted],
                method="joint regression",
                group=group,
                provenance={
                    "label": factor.label,
                    "column": factor.name,
                    "count": int(factor.seen.sum()),
                    "data": {"name": dataset.name},
                },
            )
    return found


def _wanted(known: Sequence[Factor], data: str) -> list[tuple[Factor, str]]:
    """Return the factors that get a slider, and the heading of each."""
    if data != "portraits":
        # Class folders give each class as a label of its own too: one slider is enough.
        names = {factor.name for factor in known}
        kept = [factor for factor in known if f"class_{factor.name}" not in names]
        return [(factor, factor.label.replace("_", " ")) for factor in kept][:MOST]
    colors = next(spec for spec in ATTRIBUTES if spec.name == "hair_color")
    groups = dict.fromkeys(EDIT_ATTRIBUTES, "attributes") | dict.fromkeys(_PORTRAITS, "more")
    groups |= {f"hair_color_{text}": "hair colour" for text in colors.classes}
    columns = {factor.name: factor for factor in known}
    return [(columns[name], group) for name, group in groups.items() if name in columns]


@torch.inference_mode()
def _latents(
    backend: Any, dataset: ImageDataset, rows: NDArray[np.int64], space: LatentSpace
) -> Float:
    """Return the latents of some images in the parts of ``space``, ``(N, D)``."""
    chunk, found = chunk_for(backend), []
    for start in range(0, len(rows), chunk):
        pixels = to_network(dataset.read(rows[start : start + chunk]), backend.device)
        updates = backend.encode(pixels, options={"reconstruct": False})
        last = deque(updates, maxlen=1)[0]
        parts = {name: values.float().cpu().numpy() for name, values in last.latents.items()}
        found.append(flatten(space, parts))
    return np.concatenate(found)


def _vectors(latents: Float, known: Sequence[Factor]) -> dict[str, Float]:
    """Return a vector ``(D,)`` a factor: what the latent gains with it while the others stay."""
    try:
        return joint_vectors(latents, known)
    except LatentLabError:
        # Labels that are sums of each other: each for itself.
        found = {}
        for factor in known:
            with contextlib.suppress(LatentLabError):
                found[factor.name] = mean_difference(
                    latents[factor.seen], factor.values[factor.seen]
                )
        return found
