"""What every data set offers: labelled uint8 images, read by index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from latentlab.core.labels import LabelColumn, LabelKind

__all__ = ["ArrayDataset", "ImageDataset", "LabelColumn", "LabelKind", "SkippedFile"]


@dataclass(frozen=True)
class SkippedFile:
    """A file that could not be read, and why, in one sentence."""

    name: str
    reason: str


@runtime_checkable
class ImageDataset(Protocol):
    """Images of one size with their labels. Reading is a pure function of the index."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)``."""
        ...

    @property
    def labels(self) -> dict[str, LabelColumn]:
        """Labels by name."""
        ...

    @property
    def skipped(self) -> Sequence[SkippedFile]:
        """Files that were left out."""
        ...

    def __len__(self) -> int: ...

    def read(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return the images at ``indices``: uint8 ``(batch, height, width, channels)``."""
        ...

    def describe(self) -> dict[str, object]:
        """Return what a model's provenance says about its data: name, source, count, settings."""
        ...


@dataclass(frozen=True)
class ArrayDataset:
    """Images that are already in memory (or memory-mapped), uint8 ``(num_images, H, W, C)``."""

    name: str
    images: NDArray[np.uint8]
    labels: dict[str, LabelColumn] = field(default_factory=dict)
    skipped: tuple[SkippedFile, ...] = ()
    source: str = ""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)``."""
        _, height, width, channels = self.images.shape
        return channels, height, width

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return the images at ``indices``: uint8 ``(batch, height, width, channels)``."""
        return np.ascontiguousarray(self.images[np.asarray(indices)])

    def describe(self) -> dict[str, object]:
        """Return name, source, number of images and image shape."""
        return {
            "name": self.name,
            "source": self.source,
            "count": len(self),
            "image_shape": list(self.image_shape),
        }
