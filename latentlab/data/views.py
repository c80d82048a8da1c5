"""Data sets made of other data sets: some of the images, or all of them transformed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from latentlab.data.base import ArrayDataset, ImageDataset, LabelColumn, SkippedFile
from latentlab.data.transforms import ImageTransform


def item_name(dataset: ImageDataset, index: int) -> str:
    """Return what a sentence calls an image: its file name where there is one."""
    named = getattr(dataset, "item_name", None)
    return str(named(index)) if named is not None else f"image {index}"


def close(dataset: ImageDataset) -> None:
    """Close what a data set holds open, if anything."""
    closer = getattr(dataset, "close", None)
    if closer is not None:
        closer()


class Subset:
    """The images at ``indices`` of a data set."""

    def __init__(self, whole: ImageDataset, indices: NDArray[np.int64]) -> None:
        self.whole, self.indices = whole, indices
        self.name: str = whole.name
        self.source: str = str(getattr(whole, "source", whole.name))
        self.image_shape: tuple[int, int, int] = whole.image_shape
        self.labels: dict[str, LabelColumn] = {
            name: column.take(indices) for name, column in whole.labels.items()
        }
        self.skipped: Sequence[SkippedFile] = whole.skipped

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return the images at ``indices``: uint8 ``(batch, height, width, channels)``."""
        return self.whole.read(self.indices[np.asarray(indices)])

    def item_name(self, index: int) -> str:
        """Return the name of an image."""
        return item_name(self.whole, int(self.indices[index]))

    def close(self) -> None:
        """Close the whole."""
        close(self.whole)

    def describe(self) -> dict[str, object]:
        """Return what the whole says, with the number of images of this part."""
        return self.whole.describe() | {"count": len(self)}


class Transformed:
    """Every image of a data set, transformed when it is read."""

    def __init__(self, whole: ImageDataset, transform: ImageTransform) -> None:
        self.whole, self.transform = whole, transform
        self.name: str = whole.name
        self.source: str = str(getattr(whole, "source", whole.name))
        self.labels: dict[str, LabelColumn] = whole.labels
        self.skipped: Sequence[SkippedFile] = whole.skipped
        channels, height, width = whole.image_shape
        blank = np.zeros((height, width, channels), np.uint8)
        height, width, channels = transform.apply_array(blank).shape
        self.image_shape: tuple[int, int, int] = (channels, height, width)

    def __len__(self) -> int:
        return len(self.whole)

    def read(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return the images at ``indices``: uint8 ``(batch, height, width, channels)``."""
        channels, height, width = self.image_shape
        images = self.whole.read(indices)
        result = np.empty((len(images), height, width, channels), np.uint8)
        for row, image in enumerate(images):
            result[row] = self.transform.apply_array(image)
        return result

    def item_name(self, index: int) -> str:
        """Return the name of an image."""
        return item_name(self.whole, index)

    def close(self) -> None:
        """Close the whole."""
        close(self.whole)

    def describe(self) -> dict[str, object]:
        """Return what the whole says, with the new image shape."""
        return self.whole.describe() | {"image_shape": list(self.image_shape)}


def transformed(dataset: ImageDataset, transform: ImageTransform) -> ImageDataset:
    """Return ``dataset`` itself when the transform changes nothing, or else ``Transformed``."""
    channels, height, width = dataset.image_shape
    same_size = transform.size is None or height == width == transform.size
    uncut = transform.box is None or transform.box >= max(height, width)
    same_channels = transform.channels in (None, channels)
    if same_size and uncut and same_channels and not transform.flip:
        return dataset
    return Transformed(dataset, transform)


def spread_rows(count: int, limit: int | None) -> NDArray[np.int64]:
    """Return at most ``limit`` of ``count`` rows, spread evenly."""
    kept = count if limit is None else min(count, limit)
    return np.arange(kept, dtype=np.int64) * count // max(1, kept)


def limited(dataset: ImageDataset, limit: int | None) -> ImageDataset:
    """Return at most ``limit`` images, spread evenly over the data set.

    Sorted folders hold one class after the other: the first ones would all be of one class.
    """
    if limit is None or limit >= len(dataset):
        return dataset
    indices = spread_rows(len(dataset), limit)
    if isinstance(dataset, ArrayDataset):
        labels = {name: column.take(indices) for name, column in dataset.labels.items()}
        return replace(dataset, images=dataset.images[indices], labels=labels)
    return Subset(dataset, indices)
