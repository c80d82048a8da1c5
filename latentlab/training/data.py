"""The images of a run: opened, divided into training and held-out, read ahead."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.core.noise import permutation
from latentlab.core.recipe import DataTable
from latentlab.core.recipe_errors import SettingError
from latentlab.data.base import ArrayDataset, ImageDataset, LabelColumn, SkippedFile
from latentlab.training.sampler import Sampler

if TYPE_CHECKING:
    from torch import Tensor


class Part:
    """Some images of a data set, with some of its labels; itself an ``ImageDataset``."""

    def __init__(
        self, whole: ImageDataset, indices: NDArray[np.int64], labels: dict[str, LabelColumn]
    ) -> None:
        self.whole, self.indices, self.labels = whole, indices, labels
        self.name: str = whole.name
        self.image_shape: tuple[int, int, int] = whole.image_shape
        self.skipped: Sequence[SkippedFile] = whole.skipped

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return the images at ``indices``: uint8 ``(batch, height, width, channels)``."""
        return self.whole.read(self.indices[np.asarray(indices)])

    def describe(self) -> dict[str, object]:
        """Return what the whole says, with the number of images of this part."""
        return self.whole.describe() | {"count": len(self)}


MAX_REMEMBERED_BYTES = 4 * 2**30


class Remembered(Part):
    """A data set that draws its images: each is drawn once, then kept in memory (up to 4 GiB)."""

    def __init__(self, whole: ImageDataset) -> None:
        super().__init__(whole, np.arange(len(whole), dtype=np.int64), whole.labels)
        channels, height, width = whole.image_shape
        rows = min(len(whole), MAX_REMEMBERED_BYTES // (channels * height * width))
        # Pages of zeros cost nothing until they are written.
        self._images = np.zeros((rows, height, width, channels), np.uint8)
        self._known = np.zeros(rows, np.bool_)

    def read(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return the images at ``indices``: uint8 ``(batch, height, width, channels)``."""
        wanted = np.asarray(indices, dtype=np.int64)
        kept = wanted < len(self._known)
        missing = np.unique(wanted[kept][~self._known[wanted[kept]]])
        if len(missing):
            self._images[missing] = self.whole.read(missing)
            self._known[missing] = True
        images = np.empty((len(wanted), *self._images.shape[1:]), np.uint8)
        images[kept] = self._images[wanted[kept]]
        if not kept.all():
            images[~kept] = self.whole.read(wanted[~kept])
        return images


def part_of(
    whole: ImageDataset, indices: NDArray[np.int64] | None, labels: Sequence[str] | None
) -> Part:
    """Return a part of a data set; ``None`` means all images, or all labels.

    Raises:
        LatentLabError: a label that the data set does not have.
    """
    names = list(whole.labels) if labels is None else list(labels)
    for name in names:
        if name not in whole.labels:
            known = ", ".join(whole.labels) or "none"
            raise SettingError(
                "data.labels", f"'{whole.name}' has no label '{name}'; it has: {known}."
            )
    if indices is None:
        everything = np.arange(len(whole), dtype=np.int64)
        return Part(whole, everything, {n: whole.labels[n] for n in names})
    return Part(whole, indices, {n: whole.labels[n].take(indices) for n in names})


def open_images(
    table: DataTable,
    source: str,
    split: str | None,
    limit: int | None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ImageDataset:
    """Open a source at the size of a recipe.

    Args:
        table: of the recipe.
        source: as ``open_dataset`` takes it.
        split: part of it.
        limit: at most so many images.
        on_progress: called with the images decoded and their number.

    Raises:
        LatentLabError: there is no such source, or it holds no images.
    """
    from latentlab.data.open import ImageTransform, open_dataset

    transform = ImageTransform(table.size, table.channels, table.crop, table.box)
    dataset: ImageDataset = open_dataset(
        source, split=split, transform=transform, limit=limit, on_progress=on_progress
    )
    if not len(dataset):
        raise LatentLabError(f"'{source}' holds no images: check data.source and data.split.")
    return dataset if isinstance(dataset, ArrayDataset) else Remembered(dataset)


def unsplit_warning(table: DataTable) -> str | None:
    """Return a sentence where a recipe trains on all splits of a data set, the test one too."""
    from latentlab.data.open import splits_of

    splits = () if table.split is not None else splits_of(table.source)
    if len(splits) < 2:
        return None
    return (
        f"'{table.source}' comes in splits ({', '.join(splits)}) and all of them are trained on: "
        "set data.split to keep the others for tests."
    )


def _check_apart(table: DataTable) -> None:
    """Raise where the held-out images of a recipe are among its training images."""
    held = table.held_out
    if held.source not in (None, table.source) or (held.source is None and held.split is None):
        return
    if table.split is None or table.split == held.split or held.split is None:
        raise LatentLabError(
            "The held-out images would be among the training images: give data.split and "
            "data.held_out.split different splits."
        )


Opener = Callable[[DataTable, str, str | None, int | None], ImageDataset]
"""Opens table, source, split, limit: ``open_images``, or what looks without decoding."""


def open_training(table: DataTable, opener: Opener | None = None) -> tuple[Part, Part]:
    """Open training and held-out images; no image is in both.

    Args:
        table: of the recipe.
        opener: opens each source; ``open_images`` when not given.

    Raises:
        LatentLabError: a source cannot be opened, lacks a label, the two differ in image shape, or
            one holds the other.
    """
    _check_apart(table)
    opened = opener or open_images
    whole = opened(table, table.source, table.split, table.limit)
    held = table.held_out
    if held.source is None and held.split is None:
        count = min(held.count, len(whole) // 10)
        if count < 1:
            raise LatentLabError(
                f"'{table.source}' has {len(whole)} images, too few to hold some out: use at "
                "least 10, or name others in [data.held_out]."
            )
        order = permutation(0, "held_out", 0, len(whole))
        held_part = part_of(whole, np.sort(order[:count]), table.labels)
        return part_of(whole, np.sort(order[count:]), table.labels), held_part
    other = opened(table, held.source or table.source, held.split, held.count)
    if other.image_shape != whole.image_shape:
        raise LatentLabError(
            f"Held-out images are {other.image_shape} (channels, height, width) and training "
            f"images {whole.image_shape}: set data.size and data.channels."
        )
    chosen = np.arange(min(held.count, len(other)), dtype=np.int64)
    return part_of(whole, None, table.labels), part_of(other, chosen, table.labels)


@dataclass(frozen=True)
class RawBatch:
    """Images and labels of one process at one step, on the CPU.

    Attributes:
        step: batches before it.
        indices: of the images, in the training data.
        images: uint8 ``(rows, H, W, C)``.
        flips: bool ``(rows,)``: which to mirror.
        pinned: the images in memory that a GPU copies from by itself.
    """

    step: int
    indices: NDArray[np.int64]
    images: NDArray[np.uint8]
    flips: NDArray[np.bool_] | None
    pinned: Tensor | None = None


def _pinned(images: NDArray[np.uint8]) -> Tensor:
    import torch

    return torch.from_numpy(images).pin_memory()


RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0)
"""Waits before images that could not be read are tried again: a network disk may come back."""


class ReadAhead:
    """Reads the batches of coming steps in threads; use as a context manager.

    Args:
        dataset: training images.
        sampler: says which ones.
        start: first batch.
        stop: batch after the last.
        flip: draw flips.
        workers: threads; at most ``workers + 1`` batches wait.
        pin: keep the images in pinned memory, for a CUDA device.
        warn: called by ``next`` with a sentence when reading had to be tried again.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        sampler: Sampler,
        start: int,
        stop: int,
        *,
        flip: bool = False,
        workers: int = 1,
        pin: bool = False,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.waited = 0.0
        self._dataset, self._sampler, self._flip, self._pin = dataset, sampler, flip, pin
        self._next, self._stop = start, stop
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="latentlab-read")
        self._waiting: deque[Future[RawBatch]] = deque()
        self._depth = workers + 1
        self._warn, self._warnings = warn, SimpleQueue[str]()
        self._closing = threading.Event()

    def _fill(self) -> None:
        while len(self._waiting) < self._depth and self._next < self._stop:
            indices = self._sampler.indices(self._next)
            self._waiting.append(self._pool.submit(self._read, self._next, indices))
            self._next += 1

    def _read(self, step: int, indices: NDArray[np.int64]) -> RawBatch:
        flips = self._sampler.flips(step) if self._flip else None
        images = self._patiently(indices)
        return RawBatch(step, indices, images, flips, _pinned(images) if self._pin else None)

    def _patiently(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        for seconds in RETRY_SECONDS:
            try:
                return self._dataset.read(indices)
            except (OSError, LatentLabError) as error:
                self._warnings.put(
                    f"The images of '{self._dataset.name}' cannot be read just now ({error}): "
                    f"trying again in {seconds:g} s."
                )
            if self._closing.wait(seconds):
                break
        return self._dataset.read(indices)

    def _tell(self) -> None:
        while not self._warnings.empty():
            sentence = self._warnings.get()
            if self._warn is not None:
                self._warn(sentence)

    def next(self) -> RawBatch:
        """Return the next batch; ``waited`` counts the seconds that this took.

        Raises:
            LatentLabError: the images can no longer be read, however often it was tried.
        """
        self._fill()
        before = time.perf_counter()
        coming = self._waiting.popleft()
        while not wait((coming,), timeout=0.2).done:
            self._tell()
        self._tell()
        try:
            batch = coming.result()
        except (OSError, ValueError, IndexError, LatentLabError) as error:
            raise LatentLabError(
                f"The images of '{self._dataset.name}' can no longer be read "
                f"({type(error).__name__}: {error}): bring the data back, then resume the run."
            ) from error
        self.waited += time.perf_counter() - before
        self._fill()
        return batch

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
