"""Directions are data: a unit vector over the parts of one space, with its scale and its origin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array, Latents, read_only
from latentlab.core.spec import LatentSpace
from latentlab.core.suggest import did_you_mean

MAX_EDIT = 1e6
"""Largest amount of an edit, in slider units: beyond it float32 latents may overflow."""


@dataclass(frozen=True, eq=False)
class Direction:
    """An edit of one space.

    Moving by ``amount`` slider units adds ``amount * scale * vector`` to the latent; one unit is
    one standard deviation of the encoded data along the vector.

    Attributes:
        name: for example ``smiling``.
        space: the space that it moves in.
        vector: float32 array of the part's shape, by part name; of norm 1 over all parts together.
        scale: one slider unit, in latent units.
        method: how it was found, for example ``mean difference``.
        fingerprint: of the weights that it was fitted on.
        group: the heading that a panel shows it under.
        provenance: data set, count, seed, cross-validated AUC and the like.
    """

    name: str
    space: str
    vector: Mapping[str, Array]
    scale: float
    method: str
    fingerprint: str = ""
    group: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        vector = {
            name: read_only(np.asarray(array, np.float32)) for name, array in self.vector.items()
        }
        object.__setattr__(self, "vector", vector)
        norm = math.sqrt(sum(float(np.square(a, dtype=np.float64).sum()) for a in vector.values()))
        if not math.isfinite(norm) or abs(norm - 1) > 1e-3:
            raise LatentLabError(f"Direction '{self.name}' is not a unit vector: fit it again.")
        if not math.isfinite(self.scale) or self.scale <= 0:
            raise LatentLabError(f"Direction '{self.name}' has no positive scale: fit it again.")

    def check(self, space: LatentSpace) -> None:
        """Raise ``LatentLabError`` unless it moves in ``space``, with parts of its shapes."""
        known = {part.name: part.shape for part in space.parts}
        fits = self.space == space.name and all(
            name in known
            and len(known[name]) == array.ndim
            and all(want in (None, have) for want, have in zip(known[name], array.shape))
            for name, array in self.vector.items()
        )
        if not fits:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in self.vector.items())
            raise LatentLabError(
                f"Direction '{self.name}' moves in space '{self.space}' ({shapes}), which is not "
                f"space '{space.name}' of this model: fit it on this model."
            )


def apply_edits(
    latents: Latents, edits: Mapping[str, float], known: Mapping[str, Direction]
) -> Latents:
    """Return ``latents`` moved along named directions, summed in float64.

    Args:
        latents: rows of one space.
        edits: slider value by direction name, in standard deviations.
        known: the directions of the model, by name.

    Raises:
        LatentLabError: an amount is not finite or absurd, a direction is unknown, belongs to
            another space, or has other shapes.
    """
    parts = {name: array.astype(np.float64) for name, array in latents.items()}
    moved = False
    for name in sorted(edits):
        if edits[name] == 0:
            continue
        if not abs(edits[name]) <= MAX_EDIT:
            raise LatentLabError(f"'{name}' cannot move by {edits[name]}: use -100 to 100.")
        direction = known.get(name)
        if direction is None:
            raise LatentLabError(
                f"There is no direction '{name}' for this model{did_you_mean(name, sorted(known))}"
            )
        if direction.space != latents.space:
            raise LatentLabError(
                f"Direction '{name}' moves in space '{direction.space}', not '{latents.space}'."
            )
        for part, vector in direction.vector.items():
            if part not in parts or parts[part].shape[1:] != vector.shape:
                raise LatentLabError(
                    f"Direction '{name}' has a part '{part}' of shape {vector.shape}, which these "
                    "latents do not have: fit it on this model."
                )
            parts[part] += edits[name] * direction.scale * vector.astype(np.float64)
        moved = True
    if not moved:
        return latents
    return Latents(latents.space, {name: a.astype(np.float32) for name, a in parts.items()})
