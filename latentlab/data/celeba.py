"""CelebA in its official layout: aligned faces, 40 attributes and the official partition."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from latentlab.core.errors import LatentLabError
from latentlab.data.base import ImageDataset, LabelColumn
from latentlab.data.files import Files, FolderFiles, ZipFiles, is_image_name, is_zip, read_file
from latentlab.data.folder import FileImages
from latentlab.data.labels import decode_table
from latentlab.data.transforms import DEFAULT_TRANSFORM, ImageTransform

IMAGES = "img_align_celeba"
ATTRIBUTES = "list_attr_celeba.txt"
PARTITION = "list_eval_partition.txt"
MAX_LIST_BYTES = 2**28
MAX_ATTRIBUTES = 1000
_SPLITS = {"train": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}


def _find(path: Path, name: str) -> Path | None:
    """Return a list file in ``path``, in its official folders, or beside or above the images."""
    for folder in (path, path.parent, path.parent.parent):
        for inner in ("", "Anno", "Eval"):
            if (folder / inner / name).is_file():
                return folder / inner / name
        if folder == folder.parent:
            break
    return None


def _find_images(path: Path) -> Path | None:
    """Return the folder or zip of aligned faces that ``path`` is or holds."""
    if path.name in (IMAGES, f"{IMAGES}.zip"):
        inner = path / IMAGES
        return inner if inner.is_dir() else path
    if not path.is_dir():
        return None
    for folder in (path, path / "Img"):
        for name in (IMAGES, f"{IMAGES}.zip"):
            if (folder / name).exists():
                return _find_images(folder / name)
    return None


def _lines(path: Path) -> list[str]:
    return decode_table(read_file(path, MAX_LIST_BYTES), path.name).splitlines()


def _unsound(path: Path, line: int, why: str) -> LatentLabError:
    return LatentLabError(f"'{path.name}' {why} at line {line}: download it again.")


def read_celeba_attributes(path: Path, names: Sequence[str]) -> dict[str, LabelColumn]:
    """Read ``list_attr_celeba.txt``: a count, the attribute names, then a file and -1 or 1 a line.

    Args:
        path: of the list.
        names: of the image files, without folders; unlisted ones get NaN.

    Returns:
        A binary column for each attribute, named in lower case.

    Raises:
        LatentLabError: truncated, not UTF-8, rows of another length, or other values than -1 and 1.
    """
    lines = _lines(path)
    if len(lines) < 3 or not lines[0].strip().isdecimal():
        raise LatentLabError(f"'{path.name}' is empty or truncated: download it again.")
    titles = [title.lower() for title in lines[1].split()]
    if not 1 <= len(titles) <= MAX_ATTRIBUTES or len(set(titles)) != len(titles):
        raise _unsound(path, 2, "has no names, or doubled ones,")
    rows = [line.split() for line in lines[2:] if line.strip()]
    if len(rows) != int(lines[0].strip()[:18]):
        raise LatentLabError(
            f"'{path.name}' holds {len(rows)} rows and states {lines[0].strip()[:18]}: download it "
            "again."
        )
    place = {name: index for index, name in enumerate(names)}
    table = np.full((len(titles), len(names)), np.nan, np.float32)
    for line, row in enumerate(rows, start=3):
        if len(row) != len(titles) + 1:
            raise _unsound(path, line, f"has {len(row) - 1} values for {len(titles)} attributes")
        if not set(row[1:]) <= {"-1", "1"}:
            raise _unsound(path, line, "holds values other than -1 and 1")
        index = place.get(row[0])
        if index is not None:
            table[:, index] = [cell == "1" for cell in row[1:]]
    return {title: LabelColumn(title, "binary", table[i]) for i, title in enumerate(titles)}


def read_partition(path: Path, split: str) -> set[str]:
    """Return the file names of a split (``train``, ``val`` or ``test``).

    Raises:
        LatentLabError: no such split, or lines that are not a file name and 0, 1 or 2.
    """
    if split not in _SPLITS:
        raise LatentLabError(f"CelebA has no split '{split}'; it has: train, val, test.")
    chosen = set()
    for number, line in enumerate(_lines(path), start=1):
        cells = line.split()
        if cells and (len(cells) != 2 or cells[1] not in ("0", "1", "2")):
            raise _unsound(path, number, "is not understood")
        if cells and int(cells[1]) == _SPLITS[split]:
            chosen.add(cells[0])
    return chosen


def open_celeba(
    path: Path, split: str | None = None, transform: ImageTransform = DEFAULT_TRANSFORM
) -> ImageDataset:
    """Open CelebA: the folder with ``img_align_celeba`` (or its zip) and the list files.

    Files are 178x218 pixels; the default transform cuts the middle 178x178, and one with ``box``
    148 the tight crop around the face.

    Args:
        path: the folder, the folder of images, or ``img_align_celeba.zip``.
        split: ``train``, ``val`` or ``test``; ``None`` means all images.
        transform: applied to each image.

    Raises:
        LatentLabError: files are missing or damaged, or there is no such split.
    """
    images, attributes = _find_images(path), _find(path, ATTRIBUTES)
    if images is None or attributes is None:
        missing = ATTRIBUTES if images is not None else IMAGES
        raise LatentLabError(f"'{path.name}' lacks {missing}: download CelebA's official files.")
    files: Files = FolderFiles(images) if images.is_dir() else ZipFiles(images)
    try:
        names = [name for name in files.names() if is_image_name(name)]
        if split is not None:
            partition = _find(path, PARTITION)
            if partition is None:
                raise LatentLabError(f"'{path.name}' lacks {PARTITION}: download it for splits.")
            chosen = read_partition(partition, split)
            names = [name for name in names if name.rpartition("/")[2] in chosen]
        labels = read_celeba_attributes(attributes, [name.rpartition("/")[2] for name in names])
        source = "CelebA" if split is None else f"CelebA, split {split}"
        return FileImages(files, names, transform, labels, source)
    except BaseException:
        files.close()
        raise


class CelebaReader:
    """Recognises the aligned faces with their list of attributes."""

    def sniff(self, path: Path) -> bool:
        """Whether ``path`` holds the aligned faces, with the list in, beside or above them."""
        images = _find_images(path)
        if images is None or not (images.is_dir() or is_zip(images)):
            return False
        return _find(path, ATTRIBUTES) is not None

    def open(self, path: Path, split: str | None, transform: ImageTransform) -> ImageDataset:
        """Open it: see ``open_celeba``."""
        return open_celeba(path, split, transform)

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the official splits, where the list of them is there."""
        return () if _find(path, PARTITION) is None else ("train", "val", "test")

    def related(self, path: Path) -> list[Path]:
        """Return the list files that are read with ``path``, which may lie outside it."""
        found = [_find(path, ATTRIBUTES), _find(path, PARTITION)]
        return [file for file in found if file is not None]


reader = CelebaReader()
