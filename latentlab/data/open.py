"""One way to open any data set: a named source, a folder or a file, told by its content."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import PIL
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.core.paths import cache_folder
from latentlab.core.registry import Plugin, plugins
from latentlab.data.base import ArrayDataset, ImageDataset, LabelColumn
from latentlab.data.cache import OnProgress, cached, content_key, in_memory
from latentlab.data.files import Stamp, cannot_open, is_image_name, printable, starts_with, walk
from latentlab.data.transforms import DEFAULT_TRANSFORM, ImageTransform
from latentlab.data.views import close, item_name, limited, spread_rows, transformed

__all__ = [
    "DatasetReader",
    "ImageTransform",
    "identity_of",
    "is_named",
    "labels_of",
    "names_of",
    "open_dataset",
    "splits_of",
    "undecoded",
]

GROUP = "latentlab.datasets"
READER_VERSION = 1
"""Raised when a reader gives other pixels or labels for the same files: caches are made again."""
DEFAULT_COUNT = 20_000
"""Images of a named source whose count is not given."""


class DatasetReader(Protocol):
    """Reads one kind of data set from the disk: what a row of ``latentlab.datasets`` gives.

    Optional: ``related(path) -> list[Path]``, files outside ``path`` that are read with it;
    ``splits(path) -> tuple[str, ...]``, the splits that its makers gave it; and
    ``last_resort = True`` for a reader that takes whatever no other one knows.
    """

    def sniff(self, path: Path) -> bool:
        """Whether ``path`` is of this kind, by a quick look at its content; never raises."""
        ...

    def open(self, path: Path, split: str | None, transform: ImageTransform) -> ImageDataset:
        """Open it; ``LatentLabError`` says what is wrong."""
        ...


def open_dataset(
    source: str,
    *,
    split: str | None = None,
    transform: ImageTransform = DEFAULT_TRANSFORM,
    limit: int | None = None,
    cache_dir: Path | None = None,
    use_cache: bool = True,
    on_progress: OnProgress | None = None,
    attributes: Path | None = None,
) -> ImageDataset:
    """Open a data set.

    Args:
        source: ``portraits``, ``portraits:count=5000,seed=7,start=0`` (or another named source), or
            the path of a folder or file. The content tells the kind.
        split: part of the source, for example ``train``; ``None`` means all of it.
        transform: applied to each image.
        limit: at most so many images, spread evenly over a file source.
        cache_dir: where decoded images are kept; the person's cache folder when not given.
        use_cache: keep decoded images on the disk (memory-mapped); otherwise in memory.
        on_progress: called with the images decoded and their number; may raise to stop.
        attributes: a table of labels for a folder or zip of images.

    Returns:
        The images; files that could not be read are in ``skipped``.

    Raises:
        LatentLabError: there is no such source, it is of no known kind, or it holds no images.
    """
    if limit is not None and limit < 1:
        raise LatentLabError(f"A limit is at least 1 image, not {limit}.")
    name, _, settings = source.partition(":")
    named = _named(name)
    if named is not None:
        if split is not None or attributes is not None:
            raise LatentLabError(f"'{name}' has no splits and no table: leave them out.")
        return _open_named(source, settings, named, transform, limit)
    path = _existing(source)
    reader = _recognise(path)
    extra = _table(reader, path, attributes)

    def opened() -> ImageDataset:
        return limited(reader.open(path, split, transform, **extra), limit)

    if not use_cache:
        dataset = opened()
        return dataset if isinstance(dataset, ArrayDataset) else in_memory(dataset, on_progress)
    key = content_key(*_identity(reader, path, attributes), split, limit, asdict(transform))
    return cached(opened, cache_dir or cache_folder() / "images", key, on_progress)


def undecoded(
    source: str,
    *,
    split: str | None = None,
    transform: ImageTransform = DEFAULT_TRANSFORM,
    limit: int | None = None,
) -> ImageDataset:
    """Open a data set whose images are decoded when they are read; nothing is cached.

    Images that cannot be decoded are among them: reading one raises. ``views.close`` closes it.

    Args, errors: as for ``open_dataset``.
    """
    if is_named(source):
        return open_dataset(source, split=split, transform=transform, limit=limit)
    path = _existing(source)
    return limited(_recognise(path).open(path, split, transform), limit)


def labels_of(
    source: str, *, split: str | None = None, attributes: Path | None = None
) -> dict[str, LabelColumn]:
    """Return the labels of a data set by name, without decoding its images.

    Args, errors: as for ``open_dataset``.
    """
    if is_named(source):
        return dict(open_dataset(source, split=split, attributes=attributes).labels)
    path = _existing(source)
    reader = _recognise(path)
    extra = _table(reader, path, attributes)
    dataset = reader.open(path, split, DEFAULT_TRANSFORM, **extra)
    try:
        return dict(dataset.labels)
    finally:
        close(dataset)


def is_named(source: str) -> bool:
    """Whether a source is one of ours, such as ``portraits:count=5000``, and no file or folder."""
    return _named(source.partition(":")[0]) is not None


def identity_of(source: str, *, attributes: Path | None = None) -> str:
    """Return a key that changes when a source's files do; a named source never changes.

    Raises:
        LatentLabError: there is no such source, or it is of no known kind.
    """
    if is_named(source):
        return content_key(READER_VERSION, source)
    path = _existing(source)
    return content_key(*_identity(_recognise(path), path, attributes))


def _identity(reader: DatasetReader, path: Path, attributes: Path | None) -> list[object]:
    files = [_stamps(file) for file in (path, *_related(reader, path, attributes))]
    return [READER_VERSION, PIL.__version__, type(reader).__qualname__, files]


def names_of(
    source: str,
    *,
    split: str | None = None,
    limit: int | None = None,
    attributes: Path | None = None,
) -> tuple[NDArray[np.int64], list[str] | None]:
    """Return which images of a source ``open_dataset`` gives, without decoding them.

    Args, errors: as for ``open_dataset``. Images that cannot be decoded are still among them.

    Returns:
        Rows in the whole source, and the images' names; ``None`` where they have none.
    """
    if is_named(source):
        return np.arange(len(open_dataset(source, limit=limit)), dtype=np.int64), None
    path = _existing(source)
    reader = _recognise(path)
    dataset = reader.open(path, split, DEFAULT_TRANSFORM, **_table(reader, path, attributes))
    try:
        rows = spread_rows(len(dataset), limit)
        if not hasattr(dataset, "item_name"):
            return rows, None
        return rows, [item_name(dataset, int(row)) for row in rows]
    finally:
        close(dataset)


def _table(reader: DatasetReader, path: Path, attributes: Path | None) -> dict[str, Any]:
    """Return the argument of a reader that takes a table of labels."""
    if attributes is None:
        return {}
    if "attributes" not in inspect.signature(reader.open).parameters:
        raise LatentLabError(f"'{path.name}' comes with its own labels: leave the table out.")
    return {"attributes": attributes}


def splits_of(source: str) -> tuple[str, ...]:
    """Return the splits that a data set comes with; none for a named source or an unknown one."""
    if is_named(source):
        return ()
    try:
        path = _existing(source)
        splits = getattr(_recognise(path), "splits", None)
        return () if splits is None else tuple(splits(path))
    except LatentLabError:
        return ()


def _related(reader: DatasetReader, path: Path, attributes: Path | None) -> list[Path]:
    """Return the files outside ``path`` that are read with it."""
    related = getattr(reader, "related", None)
    found = [] if related is None else list(related(path))
    return found if attributes is None else [*found, attributes]


def _named(name: str) -> Callable[..., ImageDataset] | None:
    """Return the maker of a named source: a row of the group that does not read files."""
    for row in plugins(GROUP):
        if row.row.id == name and row.error is None:
            made = row.load()
            return None if hasattr(made, "sniff") else cast(Callable[..., ImageDataset], made)
    return None


def _open_named(
    source: str,
    settings: str,
    maker: Callable[..., ImageDataset],
    transform: ImageTransform,
    limit: int | None,
) -> ImageDataset:
    """Make a named source; its settings are whole numbers."""
    known = [name for name in inspect.signature(maker).parameters if name != "size"]
    values: dict[str, int] = {}
    for pair in filter(None, settings.split(",")):
        key, _, value = (piece.strip() for piece in pair.partition("="))
        if key not in known or key in values or not value.isascii() or not value.isdecimal():
            example = ",".join(f"{name}={i}" for i, name in enumerate(known, start=1))
            raise LatentLabError(
                f"'{printable(source)}' is not understood at '{printable(pair)}': write it like "
                f"'{source.partition(':')[0]}:{example}'."
            )
        values[key] = int(value[:18])
    if "count" in known:
        count = values.get("count", DEFAULT_COUNT)
        values["count"] = min(count, limit or count)
    return transformed(maker(**values, size=transform.size or 64), transform)


def _existing(source: str) -> Path:
    if not source.strip():
        raise LatentLabError("The source is empty: name a folder, a file or 'portraits'.")
    try:
        path = Path(source).expanduser().absolute()
        path.stat()
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, FileNotFoundError):
            raise LatentLabError(
                f"There is no '{printable(source)}': give a folder, a file or 'portraits'."
            ) from error
        problem = error if isinstance(error, OSError | ValueError) else ValueError(str(error))
        raise cannot_open(Path(source.replace("\0", "")), problem) from error
    return path


def _recognise(path: Path) -> DatasetReader:
    """Return the reader that knows ``path``; the ones of last resort are asked last."""
    readers, disabled = [], []
    for row in plugins(GROUP):
        try:
            made = row.load()
        except LatentLabError as error:
            disabled.append(error.message)
            continue
        if hasattr(made, "sniff"):
            readers.append(cast(DatasetReader, made))
    for reader in sorted(readers, key=lambda r: bool(getattr(r, "last_resort", False))):
        try:
            if reader.sniff(path):
                return reader
        except Exception as error:
            # One faulty plugin must not keep the others from being asked.
            disabled.append(f"{type(reader).__qualname__}: {type(error).__name__}: {error}")
    raise LatentLabError(_unknown(path, plugins(GROUP)), "\n".join(disabled))


def _unknown(path: Path, rows: tuple[Plugin, ...]) -> str:
    name = printable(path.name)
    if starts_with(path, *(bytes((0x80, protocol)) for protocol in range(2, 6))):
        return f"'{name}' is a pickle, which is never opened: convert it to images first."
    if path.is_file() and not path.stat().st_size:
        return f"'{name}' is empty: choose another file."
    if is_image_name(path.name):
        return f"'{name}' is one file, not a data set: give the folder that holds it."
    kinds = ", ".join(row.row.title for row in rows if row.error is None)
    return f"'{name}' is no data set that is known here; known: {kinds}."


def _stamps(path: Path) -> list[Stamp]:
    """Return what tells whether a file, or any file below a folder, has changed."""
    if path.is_dir():
        return [Stamp(str(path), 0, 0), *sorted(walk(path))]
    try:
        info = path.stat()
    except OSError as error:
        raise cannot_open(path, error) from error
    return [Stamp(str(path), info.st_size, info.st_mtime_ns)]
