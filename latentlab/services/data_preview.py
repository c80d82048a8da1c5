"""The job that shows a recipe's data as training will see it. Importing this needs no torch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from latentlab.core.errors import LatentLabError
from latentlab.core.labels import LabelColumn, LabelKind
from latentlab.core.presets import SourceFacts
from latentlab.core.recipe import DataTable
from latentlab.data.base import ArrayDataset, ImageDataset, SkippedFile
from latentlab.services.directions_data import Context

if TYPE_CHECKING:
    from latentlab.training.data import Part

Report = Callable[[int, int, str], None]
Step = tuple[int, int, str] | tuple[int, int, str, Any] | None
MOST_IMAGES = 64
MOST_SKIPPED = 200
"""Skipped files that are named; the others are only counted."""
MOST_CLASSES = 50
"""Classes of a label that are named, the most frequent first."""
CHECK_SECONDS = 4.0
"""Files are decoded for so long to find damaged ones, when not all of them are asked for."""
_DRAWN_AT_ONCE = 500_000
_IN_LANE = "latentlab.services.data_preview:"


@dataclass(frozen=True)
class LabelSummary:
    """What there is of one label among all images.

    Attributes:
        name: of the label.
        kind: binary, continuous or categorical.
        known: images that have it.
        classes: name and number of images of each class, in the data's order; empty where the
            label is continuous.
        num_classes: how many there are; ``classes`` leaves the rare ones of very many out.
        low: smallest value of a continuous label; ``None`` otherwise.
        high: largest value.
    """

    name: str
    kind: LabelKind
    known: int
    classes: tuple[tuple[str, int], ...] = ()
    num_classes: int = 0
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class DataPreview:
    """A recipe's data.

    Attributes:
        images: uint8 ``(k, H, W, C)``: the first images of the first step, cropped, brought to size
            and mirrored as the network gets them.
        indices: their places among the training images, int64 ``(k,)``.
        flipped: bool ``(k,)``: which are mirrored.
        num_training: images that are trained on.
        num_held_out: images that are only measured on.
        labels: that are trained with.
        splits: parts that the data comes with.
        warning: a sentence where the splits are not kept apart; empty otherwise.
        skipped: files that cannot be read, the first ``MOST_SKIPPED``.
        num_skipped: all of them.
        checked: files that were decoded to find the damaged ones.
        num_files: of the training source.
        facts: of the source as it is stored, for presets; ``None`` for one that is drawn.
    """

    images: NDArray[np.uint8]
    indices: NDArray[np.int64]
    flipped: NDArray[np.bool_]
    num_training: int
    num_held_out: int
    labels: tuple[LabelSummary, ...]
    splits: tuple[str, ...]
    warning: str
    skipped: tuple[SkippedFile, ...]
    num_skipped: int
    checked: int
    num_files: int
    facts: SourceFacts | None = None

    @property
    def complete(self) -> bool:
        """Whether every file was decoded."""
        return self.checked >= self.num_files


def summarise(column: LabelColumn) -> LabelSummary:
    """Return what there is of a label."""
    values = column.values[np.isfinite(column.values)]
    if column.kind == "continuous":
        low, high = (float(values.min()), float(values.max())) if len(values) else (None, None)
        return LabelSummary(column.name, column.kind, len(values), low=low, high=high)
    codes, counts = np.unique(values.astype(np.int64), return_counts=True)
    most = np.sort(np.argsort(-counts, kind="stable")[:MOST_CLASSES])
    classes = tuple((column.class_name(int(codes[i])), int(counts[i])) for i in most)
    return LabelSummary(column.name, column.kind, len(values), classes, len(codes))


def preview_data(
    context: Context,
    *,
    data: Mapping[str, Any],
    count: int = 25,
    seed: int = 0,
    check: bool = False,
) -> Generator[Step, None, DataPreview]:
    """Show a recipe's data; the first look at files comes as a partial result.

    Args:
        context: of the job.
        data: the recipe's table ``[data]``.
        count: images to show.
        seed: of the run: it decides the order and the mirroring.
        check: decode all files into the cache, where training finds them; otherwise damaged files
            are looked for only ``CHECK_SECONDS`` long.

    Raises:
        LatentLabError: a wrong table, or data that cannot be opened.
    """
    table = _table(data)
    arguments: dict[str, Any] = {"data": table.model_dump()}
    arguments |= {"count": max(1, min(count, MOST_IMAGES)), "seed": seed}
    yield 0, 1, "looking at the data"
    if not _reads_files(table):
        return look(lambda *_: None, **arguments)
    if not check:
        first: DataPreview = yield from context.lane.run(f"{_IN_LANE}look", **arguments)
        if first.complete:
            return first
        yield 0, first.num_files, "looking for damaged files", first
    whole: DataPreview = yield from context.lane.run(
        f"{_IN_LANE}look_closer", **arguments, whole=check
    )
    return whole


def _table(data: Mapping[str, Any]) -> DataTable:
    try:
        return DataTable.model_validate(dict(data))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise LatentLabError(f"data.{key}: {first['msg']}.") from error


def _reads_files(table: DataTable) -> bool:
    """Whether opening the data may take long: files, or the labels of very many portraits."""
    from latentlab.data.open import is_named

    sources = [table.source, *filter(None, [table.held_out.source])]
    if not all(is_named(source) for source in sources):
        return True
    asked = table.source.partition("count=")[2].partition(",")[0]
    return asked.isdecimal() and int(asked[:18]) > _DRAWN_AT_ONCE


def look(report: Report, *, data: Mapping[str, Any], count: int, seed: int) -> DataPreview:
    """Look at the data without decoding more than is shown; see ``preview_data``.

    Args:
        report: called with (done, total, message).
        data: the table ``[data]``.
        count: images to show.
        seed: of the run.
    """
    report(0, 1, "looking at the files")
    return _look(_table(data), count, seed, _open_undecoded)


def look_closer(
    report: Report, *, data: Mapping[str, Any], count: int, seed: int, whole: bool
) -> DataPreview:
    """Look at the data and decode the files, all of them or as many as a few seconds allow.

    Args:
        report: called with (done, total, message).
        data: the table ``[data]``.
        count: images to show.
        seed: of the run.
        whole: decode all into the cache.
    """
    from latentlab.training.data import open_images

    table = _table(data)
    if whole:
        progress = partial(_report_images, report)
        found = _look(table, count, seed, partial(open_images, on_progress=progress))
        return replace(found, checked=found.num_files)
    found = _look(table, count, seed, _open_undecoded)
    damaged, checked = _damaged(table, report)
    known = {file.name: file for file in (*found.skipped, *damaged)}
    skipped = tuple(known.values())
    return replace(
        found,
        skipped=skipped[:MOST_SKIPPED],
        num_skipped=max(len(skipped), found.num_skipped),
        checked=checked,
    )


def _report_images(report: Report, done: int, total: int) -> None:
    report(done, total, "reading images")


def _open_undecoded(
    table: DataTable, source: str, split: str | None, limit: int | None
) -> ImageDataset:
    from latentlab.data.open import ImageTransform, undecoded

    transform = ImageTransform(table.size, table.channels, table.crop, table.box)
    found = undecoded(source, split=split, transform=transform, limit=limit)
    if not len(found):
        raise LatentLabError(f"'{source}' holds no images: choose other data or another split.")
    return found


def _look(table: DataTable, count: int, seed: int, opener: Any) -> DataPreview:
    from latentlab.data.facts import source_facts
    from latentlab.data.open import splits_of
    from latentlab.data.views import close
    from latentlab.training.data import open_training, unsplit_warning

    training, held_out = open_training(table, opener)
    try:
        images, indices, flipped, damaged = _first_images(training, table, count, seed)
        skipped = tuple({file.name: file for file in (*training.skipped, *damaged)}.values())
        whole = training.whole
        num_files = len(whole) + len(training.skipped)
        decoded = isinstance(whole, ArrayDataset) or not _is_files(table)
        return DataPreview(
            images,
            indices,
            flipped,
            len(training),
            len(held_out),
            tuple(summarise(column) for column in training.labels.values()),
            splits_of(table.source),
            unsplit_warning(table) or "",
            skipped[:MOST_SKIPPED],
            len(skipped),
            num_files if decoded else len(images) + len(skipped),
            num_files,
            source_facts(table.source) if _is_files(table) else None,
        )
    finally:
        for part in (training, held_out):
            close(part.whole)


def _is_files(table: DataTable) -> bool:
    from latentlab.data.open import is_named

    return not is_named(table.source)


def _first_images(
    training: Part, table: DataTable, count: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_], list[SkippedFile]]:
    """Return the first readable images of the first step, their places, flips, and the others."""
    from latentlab.data.views import item_name
    from latentlab.training.sampler import Sampler

    # Every batch size begins with the same images; more than are shown, as some may be damaged.
    sampler = Sampler(len(training), min(len(training), 3 * count), seed)
    order = sampler.indices(0)
    flips = sampler.flips(0) if table.flip else np.zeros(len(order), np.bool_)
    kept: list[int] = []
    images: list[NDArray[np.uint8]] = []
    damaged: list[SkippedFile] = []
    for place, index in enumerate(order):
        if len(kept) == count:
            break
        try:
            image = training.read([int(index)])[0]
        except (LatentLabError, OSError, ValueError) as error:
            name = item_name(training.whole, int(training.indices[index]))
            damaged.append(SkippedFile(name, getattr(error, "message", str(error))))
            continue
        images.append(image[:, ::-1] if flips[place] else image)
        kept.append(place)
    if not kept:
        raise LatentLabError(
            f"None of the first {len(order)} images of '{table.source}' can be read: "
            f"{damaged[0].reason}"
        )
    return np.stack(images), order[kept], flips[kept], damaged


def _damaged(table: DataTable, report: Report) -> tuple[list[SkippedFile], int]:
    """Decode files for a few seconds; return those that cannot be read, and how many were seen."""
    from latentlab.data.cache import DecodedImages
    from latentlab.data.views import close

    dataset = _open_undecoded(table, table.source, table.split, table.limit)
    end = time.monotonic() + CHECK_SECONDS
    decoded = DecodedImages(dataset, partial(_report_checked, report))
    try:
        # Closing ends the threads that read ahead.
        with contextlib.closing(cast(Generator[Any], iter(decoded))) as batches:
            for _images in batches:
                if time.monotonic() > end:
                    break
    except LatentLabError:
        # None can be read: the look itself says so.
        pass
    finally:
        close(dataset)
    return decoded.skipped, len(decoded.kept) + len(decoded.skipped)


def _report_checked(report: Report, done: int, total: int) -> None:
    report(done, total, "looking for damaged files")
