"""What a preset asks of a source: its shape, splits and labels, without decoding its images."""

from __future__ import annotations

from latentlab.core.errors import LatentLabError
from latentlab.core.presets import SourceFacts
from latentlab.data.open import ImageTransform, is_named, splits_of, undecoded
from latentlab.data.views import close

AS_STORED = ImageTransform(size=None, channels=None)
ANY_SIZE = 64


def source_facts(source: str, split: str | None = None) -> SourceFacts:
    """Return what is known of a source.

    Args:
        source: as ``open_dataset`` takes it.
        split: part of it.

    Raises:
        LatentLabError: there is no such source, it is of no known kind, or it holds no images.
    """
    if is_named(source):
        dataset = undecoded(source)
        return SourceFacts(labels=tuple(dataset.labels))
    one_size = True
    try:
        dataset = undecoded(source, split=split, transform=AS_STORED)
    except LatentLabError:
        # Images of different sizes have no size of their own; whatever else is wrong is told again.
        one_size = False
        sized = ImageTransform(size=ANY_SIZE, channels=None)
        dataset = undecoded(source, split=split, transform=sized)
    try:
        if not len(dataset):
            raise LatentLabError(f"'{source}' holds no images: choose another.")
        return SourceFacts(
            image_shape=dataset.image_shape if one_size else None,
            channels=dataset.image_shape[0],
            num_images=len(dataset),
            splits=splits_of(source),
            labels=tuple(dataset.labels),
        )
    finally:
        close(dataset)
