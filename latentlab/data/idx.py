"""MNIST and Fashion-MNIST: the idx files of Yann LeCun's page, plain or gzipped."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.data.base import ArrayDataset, ImageDataset
from latentlab.data.files import Readable, cannot_open, starts_with
from latentlab.data.labels import class_columns
from latentlab.data.transforms import DEFAULT_TRANSFORM, ImageTransform
from latentlab.data.views import transformed

MAX_BYTES = 2**30
"""Largest idx file, unpacked."""
FASHION_CLASSES = (
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle_boot"),
)
_GZIP = b"\x1f\x8b"
_PREFIXES = {"train": "train", "test": "t10k"}
_NAME = re.compile(r"(train|t10k)-(images[-.]idx3|labels[-.]idx1)-ubyte(\.gz)?")
_UNSIGNED_BYTE = 8
_PIECE = 2**20


class _Header(NamedTuple):
    """Dimensions that a file states, and bytes that the header takes."""

    shape: tuple[int, ...]
    length: int


def _read_exactly(stream: Readable, count: int) -> bytes:
    """Read up to ``count`` bytes in pieces: memory grows with the data, not with the header."""
    pieces = bytearray()
    while len(pieces) < count:
        piece = stream.read(min(_PIECE, count - len(pieces)))
        if not piece:
            break
        pieces += piece
    return bytes(pieces)


def _read_header(stream: Readable, name: str) -> _Header:
    magic = _read_exactly(stream, 4)
    if len(magic) < 4:
        raise LatentLabError(f"'{name}' is empty or truncated: download it again.")
    if magic[:2] != b"\0\0" or not 1 <= magic[3] <= 4:
        raise LatentLabError(f"'{name}' is not an idx file: choose an MNIST file.")
    if magic[2] != _UNSIGNED_BYTE:
        raise LatentLabError(f"'{name}' does not hold bytes: images and labels are unsigned bytes.")
    sizes = _read_exactly(stream, 4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise LatentLabError(f"'{name}' is truncated: download it again.")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    return _Header(shape, 4 + len(sizes))


def read_idx(path: Path, limit: int = MAX_BYTES) -> NDArray[np.uint8]:
    """Return an idx file of unsigned bytes, plain or gzipped, as an array of its dimensions.

    Source: http://yann.lecun.com/exdb/mnist, "the IDX file format".

    Raises:
        LatentLabError: wrong magic number or type, truncated, longer than its header states, or
            over ``limit`` bytes.
    """
    zipped = starts_with(path, _GZIP)
    try:
        # Opened apart from gzip, so that both are closed.
        with path.open("rb") as file:
            if zipped:
                with gzip.GzipFile(fileobj=file) as stream:
                    return _read_body(stream, path, None, limit)
            return _read_body(file, path, path.stat().st_size, limit)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise LatentLabError(
            f"'{path.name}' is truncated or damaged: download it again.", str(error)
        ) from error
    except OSError as error:
        raise cannot_open(path, error) from error


def _read_body(
    stream: Readable, path: Path, file_size: int | None, limit: int
) -> NDArray[np.uint8]:
    header = _read_header(stream, path.name)
    # Python's integers, because a stated product can pass 64 bits.
    expected = 1
    for size in header.shape:
        expected *= size
    if expected > limit:
        raise LatentLabError(
            f"'{path.name}' states {expected} bytes of data: it is damaged; download it again."
        )
    if file_size is not None and file_size < header.length + expected:
        raise LatentLabError(f"'{path.name}' is truncated: download it again.")
    data = _read_exactly(stream, expected + 1)
    if len(data) < expected:
        raise LatentLabError(f"'{path.name}' is truncated: download it again.")
    if len(data) > expected:
        raise LatentLabError(f"'{path.name}' is longer than its header states: download it again.")
    return np.frombuffer(data, np.uint8).reshape(header.shape)


def _read_images(path: Path) -> NDArray[np.uint8]:
    images = read_idx(path)
    if images.ndim != 3:
        raise LatentLabError(f"'{path.name}' holds labels or something else: give the images file.")
    if not images.size:
        raise LatentLabError(f"'{path.name}' holds no images: download it again.")
    return images


def _read_labels(path: Path, count: int) -> NDArray[np.uint8]:
    labels = read_idx(path)
    if labels.ndim != 1:
        raise LatentLabError(f"'{path.name}' does not hold labels: download it again.")
    if len(labels) != count:
        raise LatentLabError(
            f"'{path.name}' holds {len(labels)} labels for {count} images: take both from one set."
        )
    return labels


def _labels_path(images: Path) -> Path | None:
    """Return the labels file beside an images file, gzipped or not, if there is one."""
    name = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    if name == images.name.removesuffix(".gz"):
        return None
    found = [images.with_name(name), images.with_name(name + ".gz")]
    return next((path for path in found if path.is_file()), None)


def _named_files(folder: Path) -> dict[str, Path]:
    """Return the images file of each split (``train``, ``test``) in a folder."""
    found = {}
    for split, prefix in _PREFIXES.items():
        for ending in ("-idx3-ubyte", ".idx3-ubyte", "-idx3-ubyte.gz", ".idx3-ubyte.gz"):
            path = folder / f"{prefix}-images{ending}"
            if split not in found and path.is_file():
                found[split] = path
    return found


def _class_names(path: Path, highest: int) -> tuple[str, ...]:
    fashion = any("fashion" in part.lower() for part in path.absolute().parts[-3:])
    if fashion and highest < len(FASHION_CLASSES):
        return FASHION_CLASSES
    return tuple(str(digit) for digit in range(max(10, highest + 1)))


def open_idx(
    path: Path, split: str | None = None, transform: ImageTransform = DEFAULT_TRANSFORM
) -> ImageDataset:
    """Open the folder with the four files, or one images file with the labels beside it.

    The classes are those of Fashion-MNIST where the folder or file name says ``fashion``.

    Args:
        path: folder or file.
        split: ``train`` or ``test``; ``None`` means all images.
        transform: applied to each image.

    Raises:
        LatentLabError: no such split, or a file that is not what its header states.
    """
    if path.is_dir():
        files = _named_files(path)
        if split is not None and split not in files:
            raise LatentLabError(
                f"'{path.name}' has no split '{split}'; it has: {', '.join(files) or 'none'}."
            )
        chosen = list(files.values()) if split is None else [files[split]]
        if not chosen:
            raise LatentLabError(f"'{path.name}' has labels but no images file: download it again.")
    elif split is not None:
        raise LatentLabError(f"'{path.name}' is one file without splits: leave the split out.")
    else:
        chosen = [path]
    parts = [_read_images(file) for file in chosen]
    if len({part.shape[1:] for part in parts}) > 1:
        raise LatentLabError(f"The images of '{path.name}' differ in size: give a split.")
    label_files = [_labels_path(file) for file in chosen]
    columns = {}
    if None not in label_files:
        pairs = zip(label_files, parts, strict=True)
        labels = np.concatenate([_read_labels(f, len(part)) for f, part in pairs if f is not None])
        columns = class_columns(labels, _class_names(path, int(labels.max())))
    images = np.concatenate(parts)[:, :, :, None] if len(parts) > 1 else parts[0][:, :, :, None]
    name = path.resolve().name
    source = name if split is None else f"{name}, split {split}"
    return transformed(ArrayDataset(name, images, columns, source=source), transform)


class IdxReader:
    """Recognises idx files by their first bytes, and folders that hold the official names."""

    def sniff(self, path: Path) -> bool:
        """Whether ``path`` is an idx file or a folder of the official ones."""
        if path.is_dir():
            return any(_NAME.fullmatch(file.name) for file in path.glob("*-ubyte*"))
        if _NAME.fullmatch(path.name):
            return path.is_file()
        magics = tuple(bytes((0, 0, _UNSIGNED_BYTE, rank)) for rank in (1, 3))
        if starts_with(path, *magics):
            return True
        if not starts_with(path, _GZIP):
            return False
        try:
            with gzip.open(path) as stream:
                return stream.read(4) in magics
        except (OSError, EOFError, zlib.error):
            return False

    def open(self, path: Path, split: str | None, transform: ImageTransform) -> ImageDataset:
        """Open it: see ``open_idx``."""
        return open_idx(path, split, transform)

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the splits that a folder holds."""
        return tuple(_named_files(path)) if path.is_dir() else ()

    def related(self, path: Path) -> list[Path]:
        """Return the files beside ``path`` that are read with it."""
        labels = None if path.is_dir() else _labels_path(path)
        return [] if labels is None else [labels]


reader = IdxReader()
