"""Image folders and zips: class folders, split folders and attribute tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.data.base import ImageDataset, LabelColumn, SkippedFile
from latentlab.data.files import Files, is_image_name, is_zip, natural_key, open_files, printable
from latentlab.data.labels import (
    MAX_CSV_BYTES,
    class_columns,
    decode_table,
    read_attributes_csv,
)
from latentlab.data.transforms import (
    DEFAULT_TRANSFORM,
    Header,
    ImageTransform,
    load_image,
    read_header,
)

TABLES = ("attributes.csv", "labels.csv")
SPLITS = frozenset(
    {"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval"}
)
"""Folder names that are splits and not classes."""
MAX_PROBED = 256
"""Headers that are read to find out the size and colour of images."""


class FileImages:
    """Image files that are decoded when they are read.

    Args:
        files: where they are.
        names: which of them, in the order of the data set.
        transform: applied to each.
        labels: one value for each name.
        source: what provenance says.

    Raises:
        LatentLabError: there is no image, none can be read, or sizes differ and none is asked for.
    """

    def __init__(
        self,
        files: Files,
        names: Sequence[str],
        transform: ImageTransform,
        labels: dict[str, LabelColumn],
        source: str,
    ) -> None:
        if not names:
            raise LatentLabError(
                f"'{source}' holds no images: choose a folder or zip of JPEG or PNG files."
            )
        self.name, self.source, self.labels = files.title, source, labels
        self.skipped: Sequence[SkippedFile] = ()
        self._files, self._names = files, tuple(names)
        self.image_shape, self.transform = _probe(files, self._names, transform)

    def __len__(self) -> int:
        return len(self._names)

    def item_name(self, index: int) -> str:
        """Return the file name of an image."""
        return printable(self._names[index])

    def read(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return the images at ``indices``: uint8 ``(batch, height, width, channels)``.

        Raises:
            LatentLabError: one of them cannot be read; the message names it.
        """
        channels, height, width = self.image_shape
        rows = np.asarray(indices, dtype=np.int64)
        images = np.empty((len(rows), height, width, channels), np.uint8)
        for row, index in enumerate(rows):
            name = self._names[index]
            image = load_image(self._files.read(name), self.transform, name=name)
            if image.shape != images.shape[1:]:
                raise LatentLabError(
                    f"'{printable(name)}' is {image.shape[1]}x{image.shape[0]} pixels and others "
                    f"are {width}x{height}: give a size."
                )
            images[row] = image
        return images

    def close(self) -> None:
        """Close the zip, if any; reading again opens it again."""
        self._files.close()

    def describe(self) -> dict[str, object]:
        """Return name, source, number of files and image shape."""
        return {
            "name": self.name,
            "source": self.source,
            "count": len(self),
            "image_shape": list(self.image_shape),
        }


def _probe(
    files: Files, names: Sequence[str], transform: ImageTransform
) -> tuple[tuple[int, int, int], ImageTransform]:
    """Return the image shape, and the transform with its channels settled.

    Where size or channels are to be kept, the headers of images spread over the set decide: colour
    if one has colour; one size for all, or an error.
    """
    if transform.size is not None and transform.channels is not None:
        return (transform.channels, transform.size, transform.size), transform
    headers = _headers(files, names)
    channels = transform.channels or (1 if all(h.grey for _, h in headers) else 3)
    settled = replace(transform, channels=channels)
    if transform.size is not None:
        return (channels, transform.size, transform.size), settled
    shapes = {_cut_size(header, transform.box): name for name, header in headers}
    if len(shapes) > 1:
        (size, name), (other_size, other) = sorted(shapes.items())[:2]
        raise LatentLabError(
            f"Images have different sizes ('{printable(name)}' {size[0]}x{size[1]}, "
            f"'{printable(other)}' {other_size[0]}x{other_size[1]}): give a size."
        )
    width, height = next(iter(shapes))
    return (channels, height, width), settled


def _cut_size(header: Header, box: int | None) -> tuple[int, int]:
    limit = box or max(header.width, header.height)
    return min(limit, header.width), min(limit, header.height)


def _headers(files: Files, names: Sequence[str]) -> list[tuple[str, Header]]:
    """Return the headers of up to ``MAX_PROBED`` readable images."""
    step = max(1, len(names) // MAX_PROBED)
    found, reason = [], ""
    # When all of the chosen ones are damaged, the others are tried one by one.
    others = [name for index, name in enumerate(names) if index % step]
    for group in (names[::step], others):
        for name in group:
            try:
                found.append((name, read_header(files.read(name), name)))
            except LatentLabError as error:
                reason = reason or error.message
            if found and group is others:
                break
        if found:
            return found
    raise none_left(files.title, len(names), reason)


def none_left(title: str, count: int, reason: str) -> LatentLabError:
    """Return the sentence for a data set of which no image can be read."""
    return LatentLabError(f"None of the {count} images of '{title}' can be read. {reason}".strip())


def _common_folder(names: Sequence[str]) -> str:
    """Return the folder that holds all names: ``""`` or with a ``/`` at its end."""
    paths = [name.split("/")[:-1] for name in names]
    low, high = min(paths), max(paths)
    depth = 0
    while depth < min(len(low), len(high)) and low[depth] == high[depth]:
        depth += 1
    return "".join(f"{part}/" for part in low[:depth])


def _tops(names: Sequence[str], base: str) -> list[str]:
    """Return the folders right below ``base``, in natural order."""
    found = {n[len(base) :].partition("/")[0] for n in names if "/" in n[len(base) :]}
    return sorted(found, key=natural_key)


def _split_folders(names: Sequence[str], common: str) -> dict[str, str]:
    """Return folder by split name: the folders below ``common``, and the ones on the way to it."""
    parts = common.split("/")[:-1]
    folders = {part: "".join(f"{p}/" for p in parts[: i + 1]) for i, part in enumerate(parts)}
    return folders | {top: f"{common}{top}/" for top in _tops(names, common)}


def _by_split(names: Sequence[str], common: str) -> bool:
    """Whether all images lie in folders below ``common`` that are called like splits."""
    tops = _tops(names, common)
    loose = any("/" not in name[len(common) :] for name in names)
    return bool(tops) and not loose and all(top.lower() in SPLITS for top in tops)


def _select(names: list[str], split: str | None, title: str) -> tuple[list[str], list[str]]:
    """Return the images of a split, and the folders that hold classes (one for each split)."""
    common = _common_folder(names)
    tops = _tops(names, common)
    by_split = _by_split(names, common)
    folders = _split_folders(names, common)
    bases = [f"{common}{top}/" for top in tops] if by_split else [common]
    if split is None:
        return names, bases
    matches = [n for n in folders if n == split] or [
        n for n in folders if n.casefold() == split.casefold()
    ]
    if not matches:
        known = ", ".join(printable(top) for top in tops[:10]) or "none"
        raise LatentLabError(f"'{title}' has no split '{split}'; its folders are: {known}.")
    base = folders[matches[-1]]
    # Classes are numbered over all splits, so that a class that one split lacks shifts nothing.
    return [n for n in names if n.startswith(base)], bases if base in bases else [base]


def _class_labels(
    names: Sequence[str], bases: Sequence[str], every: Sequence[str]
) -> dict[str, LabelColumn]:
    """Return labels from class folders, or nothing where images do not lie in two or more."""

    def class_of(name: str) -> str | None:
        base = next((b for b in bases if name.startswith(b)), None)
        first, slash, _ = name[len(base or "") :].partition("/")
        return printable(first) if base is not None and slash else None

    found = [class_of(name) for name in names]
    if None in found:
        return {}
    classes = sorted({c for c in map(class_of, every) if c is not None}, key=natural_key)
    if len(classes) < 2:
        return {}
    place = {name: index for index, name in enumerate(classes)}
    return class_columns(np.array([place[c] for c in found if c is not None]), classes)


def _table_labels(
    files: Files, everything: Sequence[str], images: Sequence[str], chosen: Sequence[str]
) -> dict[str, LabelColumn]:
    """Return labels from the table that lies beside or above the chosen images, if there is one."""
    folder = _common_folder(chosen)
    present = set(everything)
    while True:
        for table in (folder + name for name in TABLES):
            if table in present:
                below = [name[len(folder) :] for name in images if name.startswith(folder)]
                text = decode_table(files.read(table, MAX_CSV_BYTES), table)
                return _take(read_attributes_csv(text, below, title=table), below, chosen, folder)
        if not folder:
            return {}
        folder = folder[:-1].rpartition("/")[0]
        folder += "/" if folder else ""


def _take(
    labels: dict[str, LabelColumn], names: Sequence[str], chosen: Sequence[str], folder: str
) -> dict[str, LabelColumn]:
    """Return the labels of the chosen images; ``names`` are relative to ``folder``."""
    place = {name: index for index, name in enumerate(names)}
    rows = np.array([place[name[len(folder) :]] for name in chosen], dtype=np.int64)
    return {name: column.take(rows) for name, column in labels.items()}


def open_folder(
    path: Path,
    split: str | None = None,
    transform: ImageTransform = DEFAULT_TRANSFORM,
    attributes: Path | None = None,
) -> FileImages:
    """Open a folder or zip of images.

    Images are in natural order. Where each lies in one of two or more class folders, its class is a
    label; a table ``attributes.csv`` or ``labels.csv`` gives more labels, and wins over a class
    folder of the same name.

    Args:
        path: the folder or zip.
        split: only the images below this folder, for example ``train``; ``None`` means all.
        transform: applied to each image.
        attributes: another table; its first column names files relative to ``path``.

    Raises:
        LatentLabError: no images, no such split, a damaged zip or table.
    """
    files = open_files(path)
    try:
        everything = files.names()
        images = [name for name in everything if is_image_name(name)]
        source = files.title if split is None else f"{files.title}, split {split}"
        if not images:
            return FileImages(files, images, transform, {}, source)
        chosen, bases = _select(images, split, files.title)
        labels = _class_labels(chosen, bases, images)
        if attributes is not None:
            table = read_attributes_csv(attributes, images)
            labels |= _take(table, images, chosen, "")
        else:
            labels |= _table_labels(files, everything, images, chosen)
        return FileImages(files, chosen, transform, labels, source)
    except BaseException:
        files.close()
        raise


class FolderReader:
    """Any folder or zip that no other reader knows."""

    last_resort = True

    def sniff(self, path: Path) -> bool:
        """Whether ``path`` is a folder or a zip."""
        return path.is_dir() or is_zip(path)

    def open(
        self,
        path: Path,
        split: str | None,
        transform: ImageTransform,
        attributes: Path | None = None,
    ) -> ImageDataset:
        """Open it: see ``open_folder``."""
        return open_folder(path, split, transform, attributes)

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the folders that are called like splits, where all images lie in such ones."""
        files = open_files(path)
        try:
            names = [name for name in files.names() if is_image_name(name)]
        finally:
            files.close()
        common = _common_folder(names) if names else ""
        return tuple(_tops(names, common)) if _by_split(names, common) else ()


reader = FolderReader()
