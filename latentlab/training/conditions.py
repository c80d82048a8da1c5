"""Conditions: what a model is told about an image, as one vector, left out now and then."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from latentlab.core.recipe_errors import SettingError
from latentlab.data.base import ImageDataset
from latentlab.training.family import Batch


def condition_width(classes: Sequence[str], attributes: Sequence[str]) -> int:
    """Return the numbers in a condition vector: values, then one flag that they are known; or 0."""
    values = len(classes) + len(attributes)
    return values + 1 if values else 0


def condition_names(
    condition: str | tuple[str, ...], dataset: ImageDataset
) -> dict[str, tuple[str, ...]]:
    """Return ``class_names`` or ``attribute_names`` of a ``condition`` setting, or nothing.

    Raises:
        SettingError: the data set has no such labels.
    """
    if condition == "none":
        return {}
    if condition == "class":
        if "class" not in dataset.labels or not dataset.labels["class"].classes:
            raise SettingError("model.condition", "this data set has no classes; use 'none'.")
        return {"class_names": dataset.labels["class"].classes}
    unknown = [n for n in condition if n not in dataset.labels or dataset.labels[n].classes]
    if unknown:
        raise SettingError(
            "model.condition",
            f"'{unknown[0]}' is not a numeric label of this data set; it has "
            f"{', '.join(n for n, c in dataset.labels.items() if not c.classes) or 'none'}.",
        )
    return {"attribute_names": tuple(condition)}


def condition_vectors(
    batch: Batch,
    classes: Sequence[str],
    attributes: Sequence[str],
    dropout: float,
    *,
    label: str = "class",
    stream: str = "condition_dropout",
) -> Tensor | None:
    """Return the condition of every row, ``(B, width)``, or ``None`` where there is none to give.

    A vector holds a one-hot class, then the attributes (0 where unknown), then a 1 that says that
    they are known. A row without its condition is all zeros, so that one network learns to do
    without (Ho and Salimans 2022, arXiv 2207.12598, section 3.2).

    Args:
        batch: gives labels and draws.
        classes: names of the classes of the categorical label ``label``; none leaves it out.
        attributes: names of numeric labels.
        dropout: share of rows without their condition, 0 to 1.
        label: the categorical label.
        stream: of the draws that decide.
    """
    width = condition_width(classes, attributes)
    if not width:
        return None
    vector = batch.images.new_zeros(len(batch.images), width)
    if classes:
        index = batch.labels[label].long().clamp_min(0)
        vector[torch.arange(len(index), device=index.device), index] = 1.0
    for offset, name in enumerate(attributes, len(classes)):
        vector[:, offset] = batch.labels[name].nan_to_num()
    vector[:, -1] = 1.0
    uniform = torch.special.ndtr(batch.normal(stream, ()))
    return vector * (uniform >= dropout)[:, None]
