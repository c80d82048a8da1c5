"""CIFAR-10, the binary version: a folder, or its tar.gz read in memory."""

from __future__ import annotations

import contextlib
import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.data.base import ArrayDataset, ImageDataset
from latentlab.data.files import Readable, cannot_open, natural_key, read_file, starts_with
from latentlab.data.labels import class_columns
from latentlab.data.transforms import DEFAULT_TRANSFORM, ImageTransform
from latentlab.data.views import transformed

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
RECORD_BYTES = 1 + 3 * 32 * 32
MAX_BATCH_BYTES = 2**28
MAX_UNPACKED_BYTES = 2**30
_MAX_SNIFFED_BYTES = 2**28
_BINARY = re.compile(r"(data_batch_\d+|test_batch)\.bin")
_PICKLED = re.compile(r"data_batch_\d+|test_batch|batches\.meta")
_FOLDERS = ("", "cifar-10-batches-bin", "cifar-10-batches-py")
_GZIP = b"\x1f\x8b"


def _refuse_pickles(name: str) -> LatentLabError:
    return LatentLabError(
        f"'{name}' is CIFAR-10's Python version, which is a pickle and is never opened: download "
        "the binary version (cifar-10-binary.tar.gz)."
    )


class _Bounded:
    """A stream that stops with an error after ``limit`` bytes."""

    def __init__(self, stream: Readable, limit: int, name: str) -> None:
        self._stream, self._left, self._name = stream, limit, name

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes."""
        data = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise LatentLabError(f"'{self._name}' unpacks to too much data: download it again.")
        return data


@contextlib.contextmanager
def _opened_tar(path: Path, limit: int) -> Iterator[tarfile.TarFile]:
    """Open a tar or tar.gz for one pass; what goes wrong inside is told in one sentence."""
    try:
        with path.open("rb") as file:
            unpacked: Readable = gzip.GzipFile(fileobj=file) if _is_gzip(path) else file
            bounded = _Bounded(unpacked, limit, path.name)
            with tarfile.open(fileobj=bounded, mode="r|") as archive:  # type: ignore[call-overload]
                yield archive
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        raise LatentLabError(
            f"'{path.name}' is truncated or damaged: download it again.", str(error)
        ) from error
    except OSError as error:
        raise cannot_open(path, error) from error


def _files(archive: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Yield base name and entry of every plain file, in the order of the archive."""
    for member in archive:
        if member.isfile():
            yield member.name.rpartition("/")[2], member


def _is_gzip(path: Path) -> bool:
    return starts_with(path, _GZIP)


def _folder(path: Path) -> Path | None:
    """Return the folder that holds the batches: ``path`` or the official one inside it."""
    for inner in _FOLDERS:
        folder = path / inner
        if folder.is_dir() and any(_is_batch(file.name) for file in folder.glob("*_batch*")):
            return folder
    return None


def _is_batch(name: str) -> bool:
    return bool(_BINARY.fullmatch(name) or _PICKLED.fullmatch(name))


def _wanted(name: str, split: str | None) -> bool:
    if not _BINARY.fullmatch(name):
        return False
    return split is None or name.startswith("test_batch") == (split == "test")


def _from_folder(folder: Path, split: str | None) -> dict[str, bytes]:
    files = [file for file in folder.iterdir() if file.is_file()]
    if not any(_BINARY.fullmatch(file.name) for file in files):
        raise _refuse_pickles(folder.name)
    return {f.name: read_file(f, MAX_BATCH_BYTES) for f in files if _wanted(f.name, split)}


def _from_tar(path: Path, split: str | None) -> dict[str, bytes]:
    found, pickled = {}, False
    with _opened_tar(path, MAX_UNPACKED_BYTES) as archive:
        for name, member in _files(archive):
            pickled = pickled or bool(_PICKLED.fullmatch(name))
            if not _wanted(name, split):
                continue
            stream = archive.extractfile(member)
            data = b"" if stream is None else stream.read(min(member.size, MAX_BATCH_BYTES))
            if len(data) != member.size:
                raise LatentLabError(f"'{name}' in '{path.name}' is truncated: download it again.")
            found[name] = data
    if pickled and not found:
        raise _refuse_pickles(path.name)
    return found


def decode_batch(data: bytes, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images ``(N, 32, 32, 3)`` and labels ``(N,)`` of one batch file.

    A record is one label byte, then 1,024 bytes each of red, green and blue
    (https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version").

    Raises:
        LatentLabError: empty, truncated, or with a label over 9.
    """
    if not data or len(data) % RECORD_BYTES:
        raise LatentLabError(
            f"'{name}' is truncated or not of CIFAR-10's binary version: download it again."
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, RECORD_BYTES)
    if records[:, 0].max() >= len(CLASSES):
        raise LatentLabError(f"'{name}' holds labels over 9: only CIFAR-10 is read.")
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]


def open_cifar(
    path: Path, split: str | None = None, transform: ImageTransform = DEFAULT_TRANSFORM
) -> ImageDataset:
    """Open CIFAR-10: the folder of the binary version, or its ``.tar.gz``.

    Args:
        path: folder or archive.
        split: ``train`` or ``test``; ``None`` means all images.
        transform: applied to each image.

    Raises:
        LatentLabError: no such split, damaged, or the Python version, which is never opened.
    """
    if split not in (None, "train", "test"):
        raise LatentLabError(f"CIFAR-10 has no split '{split}'; it has: train, test.")
    folder = _folder(path) if path.is_dir() else None
    found = _from_tar(path, split) if folder is None else _from_folder(folder, split)
    if not found:
        raise LatentLabError(f"'{path.name}' holds no batches of that split: download it again.")
    batches = [decode_batch(found[name], name) for name in sorted(found, key=natural_key)]
    images = np.concatenate([images for images, _ in batches])
    labels = class_columns(np.concatenate([labels for _, labels in batches]), CLASSES)
    source = "CIFAR-10" if split is None else f"CIFAR-10, split {split}"
    return transformed(ArrayDataset("CIFAR-10", images, labels, source=source), transform)


class CifarReader:
    """Recognises the batches in a folder or archive by their names."""

    def sniff(self, path: Path) -> bool:
        """Whether ``path`` holds CIFAR-10's batches, of whichever version."""
        if path.is_dir():
            return _folder(path) is not None
        if not _is_gzip(path) and not _is_tar(path):
            return False
        try:
            with _opened_tar(path, _MAX_SNIFFED_BYTES) as archive:
                return any(_is_batch(name) for name, _ in _files(archive))
        except LatentLabError:
            return False

    def open(self, path: Path, split: str | None, transform: ImageTransform) -> ImageDataset:
        """Open it: see ``open_cifar``."""
        return open_cifar(path, split, transform)

    def splits(self, path: Path) -> tuple[str, ...]:  # noqa: ARG002 (every copy has both)
        """Return the official splits."""
        return "train", "test"


def _is_tar(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(262)[257:] == b"ustar"
    except OSError:
        return False


reader = CifarReader()
