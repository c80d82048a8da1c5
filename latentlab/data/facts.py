"""What a preset asks of a source: its shape, splits and labels, without decoding its images."""

from __future__ import annotations

from latentlab.core.errors import LatentLabError
from latentlab.core.presets import SourceFacts, chosen_splits
from latentlab.data.base import ImageDataset
from latentlab.data.open import ImageTransform, is_named, splits_of, undecoded
from latentlab.data.views import close

AS_STORED = ImageTransform(size=None, channels=None)
SIZED = ImageTransform(channels=None)


def source_facts(source: str) -> SourceFacts:
    """Return what is known of a source.

    Raises:
        LatentLabError: there is no such source, it is of no known kind, or it holds no images.
    """
    if is_named(source):
        return SourceFacts(labels=tuple(undecoded(source).labels))
    splits = splits_of(source)
    chosen = chosen_splits(splits)
    dataset, one_size = _opened(source, chosen[0] if chosen else None)
    try:
        if not len(dataset):
            raise LatentLabError(f"'{source}' holds no images: choose another.")
        shape = dataset.image_shape
        return SourceFacts(
            image_shape=shape if one_size else None,
            num_images=len(dataset),
            splits=splits,
            labels=tuple(dataset.labels),
            channels=shape[0],
        )
    finally:
        close(dataset)


def _opened(source: str, split: str | None) -> tuple[ImageDataset, bool]:
    """Return the images as they are stored where they have one size, and whether they have."""
    try:
        return undecoded(source, split=split, transform=AS_STORED), True
    except LatentLabError:
        # Images of different sizes have none of their own; whatever else is wrong is told again.
        return undecoded(source, split=split, transform=SIZED), False
