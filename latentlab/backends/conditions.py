"""Conditions by name as the vectors that networks take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition


class Conditional(Protocol):
    """A configuration that says what a network can be told."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes of a class-conditional model."""
        ...

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Attributes of an attribute-conditional model."""
        ...

    @property
    def condition_dim(self) -> int:
        """Numbers in the condition vector: values, then one flag that they are known; or 0."""
        ...


def condition_vector(
    config: Conditional, condition: Condition | Sequence[Condition | None] | None, batch: int
) -> Tensor | None:
    """Return ``(batch, condition_dim)``, or ``None`` for an unconditional model.

    Without a condition, or with a null one, all entries are 0: the model was trained to take that
    as unknown. Otherwise the last entry is 1, and attributes that are not named are 0.

    Args:
        config: of the model.
        condition: of all rows, or a sequence with one for each.
        batch: rows.

    Raises:
        LatentLabError: the condition names a class or attribute that the model does not have.
    """
    if isinstance(condition, Sequence):
        rows = [condition_vector(config, one, 1) for one in condition]
        known = [row for row in rows if row is not None]
        return torch.cat(known) if known else None
    given = condition or Condition()
    if not config.condition_dim:
        if not given.null and (given.class_index is not None or given.attributes):
            raise LatentLabError("This model takes no condition: leave the label empty.")
        return None
    vector = torch.zeros(config.condition_dim)
    if given.null or (given.class_index is None and not given.attributes):
        return vector.expand(batch, -1)
    if given.class_index is not None:
        if not 0 <= given.class_index < len(config.class_names):
            raise LatentLabError(
                f"There is no class {given.class_index}: choose 0 to {len(config.class_names) - 1}."
            )
        vector[given.class_index] = 1.0
    for name, value in given.attributes.items():
        if name not in config.attribute_names:
            known_names = ", ".join(config.attribute_names)
            raise LatentLabError(f"There is no attribute '{name}'; the model has {known_names}.")
        vector[len(config.class_names) + config.attribute_names.index(name)] = value
    vector[-1] = 1.0
    return vector.expand(batch, -1)
