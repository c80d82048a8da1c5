"""The part of a network's shape that its data set decides."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from latentlab.core.families.base import FamilySettings
from latentlab.core.recipe_errors import SettingError
from latentlab.data.base import ImageDataset


def square_shapes(
    read: FamilySettings, config: type[BaseModel], dataset: ImageDataset, called: str
) -> dict[str, Any]:
    """Return the fields of ``config`` for a family of square images.

    Args:
        read: settings of the family, with ``image_sizes``.
        config: of the network.
        dataset: gives size and channels.
        called: what a person calls the family, with its article, for example ``a VAE``.

    Raises:
        SettingError: images of another size.
    """
    channels, height, width = dataset.image_shape
    sizes = read.image_sizes or ()
    if height != width or height not in sizes:
        raise SettingError(
            "data.size",
            f"{called} works on square images of {', '.join(map(str, sizes))} pixels, not "
            f"{width} x {height}: set data.size to one of these.",
        )
    shapes = read.model_dump(include=set(config.model_fields))
    return shapes | {"image_size": height, "channels": channels}
