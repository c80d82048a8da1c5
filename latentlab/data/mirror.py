"""A data set together with its mirror images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latentlab.data.base import ImageDataset, LabelColumn, SkippedFile


class Mirrored:
    """``dataset``, then every image of it mirrored left to right, with the same labels.

    Only for labels that a mirror leaves alone (smiling, not yaw). Directions fitted on both are not
    led astray by the side that a light or a fringe is on.
    """

    def __init__(self, dataset: ImageDataset) -> None:
        self._dataset = dataset
        self.name: str = dataset.name
        self.image_shape: tuple[int, int, int] = dataset.image_shape
        self.skipped: Sequence[SkippedFile] = dataset.skipped
        self.shown = twice = np.tile(np.arange(len(dataset)), 2)
        """Which image of the whole each row shows, int64 ``(2 N,)``."""
        self.labels: dict[str, LabelColumn] = {
            name: column.take(twice) for name, column in dataset.labels.items()
        }

    def __len__(self) -> int:
        return 2 * len(self._dataset)

    def read(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return the images at ``indices``: uint8 ``(batch, height, width, channels)``."""
        rows = np.asarray(indices, np.int64)
        half = len(self._dataset)
        images = self._dataset.read(rows % half)
        mirrored = rows >= half
        images[mirrored] = images[mirrored][:, :, ::-1]
        return images

    def describe(self) -> dict[str, object]:
        """Return what the data set says, and that it is mirrored."""
        return self._dataset.describe() | {"count": len(self), "mirrored": True}
