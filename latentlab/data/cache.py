"""Decoded images on the disk: a memory-mapped uint8 array with its labels, made once.

An entry is ``KEY.json``, which names and describes the arrays, and the arrays. The JSON is written
last and renamed into place, so that an entry is whole or not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from latentlab.core.errors import LatentLabError
from latentlab.data.base import ArrayDataset, ImageDataset, LabelColumn, LabelKind, SkippedFile
from latentlab.data.files import printable
from latentlab.data.folder import none_left
from latentlab.data.views import close, item_name

OnProgress = Callable[[int, int], None]
FORMAT_VERSION = 1
MAX_JSON_BYTES = 256 * 2**20
MAX_MEMORY_BYTES = 8 * 2**30
"""Most bytes of decoded images that are kept in memory when there is no cache."""
_CHUNK = 32
_CHUNK_BYTES = 8 * 2**20
_HEADER_BYTES = 128
_CHECKED_BYTES = 65_536
_ABANDONED_SECONDS = 3600
_KEY = re.compile(r"[0-9a-f]{16,64}")


class _Column(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    kind: LabelKind
    classes: list[str]
    visible: bool


class _Entry(BaseModel):
    """What ``KEY.json`` says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: int = Field(ge=FORMAT_VERSION, le=FORMAT_VERSION)
    token: str = Field(pattern="^[0-9a-f]{16}$")
    name: str
    source: str
    shape: list[int] = Field(min_length=4, max_length=4)
    images_digest: str
    labels_digest: str
    columns: list[_Column]
    skipped: list[tuple[str, str]] = Field(strict=False)


class DecodedImages:
    """Decodes a whole data set in threads, in order, and collects what cannot be read.

    After iterating, ``kept`` holds the indices that were read and ``skipped`` the others.
    """

    def __init__(self, dataset: ImageDataset, on_progress: OnProgress | None = None) -> None:
        self.dataset, self._on_progress = dataset, on_progress
        self.kept: list[int] = []
        self.skipped: list[SkippedFile] = list(dataset.skipped)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Yield uint8 ``(rows, H, W, C)``; Pillow decodes without holding Python's lock."""
        count = len(self.dataset)
        channels, height, width = self.dataset.image_shape
        chunk = min(_CHUNK, max(1, _CHUNK_BYTES // (channels * height * width)))
        starts = iter(range(0, count, chunk))
        done = 0
        workers = min(8, os.cpu_count() or 1)
        waiting: list[Future[tuple[list[int], list[SkippedFile], NDArray[np.uint8]]]] = []
        pool = ThreadPoolExecutor(workers, thread_name_prefix="latentlab-decode")
        try:
            while True:
                for start in starts:
                    waiting.append(pool.submit(self._read, start, min(start + chunk, count)))
                    if len(waiting) > 2 * workers:
                        break
                if not waiting:
                    break
                kept, skipped, images = waiting.pop(0).result()
                self.kept += kept
                self.skipped += skipped
                done += len(kept) + len(skipped)
                if self._on_progress is not None:
                    self._on_progress(done, count)
                if len(images):
                    yield images
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        if not self.kept:
            reason = self.skipped[0].reason if self.skipped else ""
            raise none_left(self.dataset.name, count, reason)

    def _read(
        self, start: int, stop: int
    ) -> tuple[list[int], list[SkippedFile], NDArray[np.uint8]]:
        with contextlib.suppress(LatentLabError):
            return list(range(start, stop)), [], self.dataset.read(range(start, stop))
        # One of them is damaged: read them one by one to know which.
        kept, skipped, rows = [], [], []
        for index in range(start, stop):
            try:
                rows.append(self.dataset.read([index])[0])
                kept.append(index)
            except LatentLabError as error:
                skipped.append(SkippedFile(item_name(self.dataset, index), error.message))
        return kept, skipped, np.stack(rows) if rows else np.empty((0,), np.uint8)

    def labels(self) -> dict[str, LabelColumn]:
        """Return the labels of the images that were read."""
        rows = np.array(self.kept, dtype=np.int64)
        return {name: column.take(rows) for name, column in self.dataset.labels.items()}


def in_memory(dataset: ImageDataset, on_progress: OnProgress | None = None) -> ArrayDataset:
    """Decode all images into memory; what cannot be read is in ``skipped``.

    Raises:
        LatentLabError: no image can be read, or they take more than ``MAX_MEMORY_BYTES``.
    """
    channels, height, width = dataset.image_shape
    if len(dataset) * channels * height * width > MAX_MEMORY_BYTES:
        raise LatentLabError(
            f"'{dataset.name}' needs more than {MAX_MEMORY_BYTES // 2**30} GiB of memory: use the "
            "cache, a smaller size or a limit."
        )
    decoded = DecodedImages(dataset, on_progress)
    try:
        images = np.concatenate(list(decoded))
    finally:
        close(dataset)
    return ArrayDataset(
        dataset.name, images, decoded.labels(), tuple(decoded.skipped), _source(dataset)
    )


def cached(
    dataset_factory: Callable[[], ImageDataset],
    cache_dir: Path,
    key: str,
    on_progress: OnProgress | None = None,
) -> ArrayDataset:
    """Return a data set from the cache, decoding it first when it is not there or damaged.

    Args:
        dataset_factory: opens the data set; called only when there is no sound entry.
        cache_dir: is created when needed.
        key: hexadecimal hash of all that the images depend on.
        on_progress: called with the images done and their number; may raise to stop.

    Raises:
        LatentLabError: no image can be read, or the disk is full or may not be written; nothing
            is left behind then.
    """
    if not _KEY.fullmatch(key):
        raise ValueError("a cache key is 16 to 64 hexadecimal digits")
    found = _load(cache_dir, key)
    if found is not None:
        return found
    broken = _leftovers(cache_dir, key)
    dataset = dataset_factory()
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _Writer(cache_dir, key).write(dataset, on_progress)
    except OSError as error:
        raise LatentLabError(
            f"The image cache cannot be written ({error.strerror or error}): free some space in "
            f"'{cache_dir}', or set LATENTLAB_HOME to another disk."
        ) from error
    finally:
        close(dataset)
    for path in broken:
        _remove(path)
    found = _load(cache_dir, key)
    if found is None:
        raise LatentLabError(
            f"The image cache in '{cache_dir}' changed while it was written: try again."
        )
    return found


def _source(dataset: ImageDataset) -> str:
    return str(getattr(dataset, "source", dataset.name))


def _remove(path: Path) -> None:
    # Windows does not delete a file that another process has mapped; it is only space.
    with contextlib.suppress(OSError):
        path.unlink()


def _leftovers(cache_dir: Path, key: str) -> list[Path]:
    """Return files of an unsound entry: the ones that it names, and those of killed processes.

    Another process may be writing the same entry right now: its files are young.
    """
    found = []
    with contextlib.suppress(OSError, ValueError):
        token = _Entry.model_validate_json((cache_dir / f"{key}.json").read_bytes()).token
        found = list(_array_paths(cache_dir, key, token))
    for path in cache_dir.glob(f"{key}-*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                found.append(path)
    return found


def _array_paths(cache_dir: Path, key: str, token: str) -> tuple[Path, Path]:
    stem = f"{key}-{token}"
    return cache_dir / f"{stem}.images.npy", cache_dir / f"{stem}.labels.npy"


def _images_digest(path: Path) -> str:
    """Hash the first and the last 64 KiB: reading all of a large entry would take too long."""
    with path.open("rb") as stream:
        digest = hashlib.sha256(stream.read(_CHECKED_BYTES))
        stream.seek(max(0, path.stat().st_size - _CHECKED_BYTES))
        digest.update(stream.read(_CHECKED_BYTES))
    return digest.hexdigest()


def _load(cache_dir: Path, key: str) -> ArrayDataset | None:
    """Return an entry, or ``None`` when it is missing, truncated or damaged in any way."""
    path = cache_dir / f"{key}.json"
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            return None
        entry = _Entry.model_validate_json(path.read_bytes())
        images_path, labels_path = _array_paths(cache_dir, key, entry.token)
        count, height, width, channels = entry.shape
        if images_path.stat().st_size != _HEADER_BYTES + count * height * width * channels:
            return None
        if _images_digest(images_path) != entry.images_digest:
            return None
        stored = labels_path.read_bytes()
        if hashlib.sha256(stored).hexdigest() != entry.labels_digest:
            return None
        images = np.load(images_path, mmap_mode="r", allow_pickle=False)
        table = np.load(io.BytesIO(stored), allow_pickle=False)
    except (OSError, ValueError, ValidationError, RecursionError):
        return None
    if images.shape != tuple(entry.shape) or images.dtype != np.uint8 or images.ndim != 4:
        return None
    if table.shape != (2, len(entry.columns), count) or table.dtype != np.float32:
        return None
    skipped = tuple(SkippedFile(name, reason) for name, reason in entry.skipped)
    labels = {c.name: _label(c, table[:, i]) for i, c in enumerate(entry.columns)}
    return ArrayDataset(entry.name, np.asarray(images), labels, skipped, entry.source)


def _label(column: _Column, rows: NDArray[np.float32]) -> LabelColumn:
    visible = rows[1] > 0 if column.visible else None
    return LabelColumn(column.name, column.kind, rows[0], tuple(column.classes), visible)


def _npy_header(shape: tuple[int, ...]) -> bytes:
    """Return a .npy header of version 1.0 with a length that does not depend on the shape.

    The number of images is known only after the damaged ones are skipped; the header is then
    written again over the first one.
    """
    text = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode("latin1")
    room = _HEADER_BYTES - 10
    return b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little") + text.ljust(room - 1) + b"\n"


class _Writer:
    """Writes one entry under a token of its own, so that two processes do not collide."""

    def __init__(self, cache_dir: Path, key: str) -> None:
        self.cache_dir, self.key = cache_dir, key
        self.token = secrets.token_hex(8)
        self.images_path, self.labels_path = _array_paths(cache_dir, key, self.token)
        self.json_partial = cache_dir / f"{key}-{self.token}.json.partial"

    def write(self, dataset: ImageDataset, on_progress: OnProgress | None) -> None:
        """Decode and write everything; after any failure nothing of it is left."""
        channels, height, width = dataset.image_shape
        self._check_space(len(dataset) * channels * height * width)
        decoded = DecodedImages(dataset, on_progress)
        try:
            with self.images_path.open("xb") as stream:
                stream.write(_npy_header((len(dataset), height, width, channels)))
                for images in decoded:
                    stream.write(np.ascontiguousarray(images, dtype=np.uint8).data)
                shape = (len(decoded.kept), height, width, channels)
                stream.seek(0)
                stream.write(_npy_header(shape))
                _to_disk(stream)
            labels = decoded.labels()
            table = _label_table(labels, len(decoded.kept))
            with self.labels_path.open("xb") as stream:
                stream.write(table)
                _to_disk(stream)
            entry = self._entry(dataset, decoded, labels, shape, table)
            self._commit(entry)
        except BaseException:
            self._remove_all()
            raise

    def _check_space(self, needed: int) -> None:
        if shutil.disk_usage(self.cache_dir).free < needed:
            raise LatentLabError(
                f"The image cache needs {max(1, needed // 2**20)} MiB in '{self.cache_dir}', where "
                "less is free: free some space, or set LATENTLAB_HOME to another disk."
            )

    def _entry(
        self,
        dataset: ImageDataset,
        decoded: DecodedImages,
        labels: dict[str, LabelColumn],
        shape: tuple[int, ...],
        table: bytes,
    ) -> _Entry:
        columns = [
            _Column(name=n, kind=c.kind, classes=list(c.classes), visible=c.visible is not None)
            for n, c in labels.items()
        ]
        return _Entry(
            version=FORMAT_VERSION,
            token=self.token,
            name=printable(dataset.name),
            source=printable(_source(dataset)),
            shape=list(shape),
            images_digest=_images_digest(self.images_path),
            labels_digest=hashlib.sha256(table).hexdigest(),
            columns=columns,
            skipped=[(file.name, file.reason) for file in decoded.skipped],
        )

    def _remove_all(self) -> None:
        for path in (self.images_path, self.labels_path, self.json_partial):
            _remove(path)

    def _commit(self, entry: _Entry) -> None:
        if _load(self.cache_dir, self.key) is not None:
            # Another process was faster, and its arrays may be mapped already.
            self._remove_all()
            return
        with self.json_partial.open("xb") as stream:
            stream.write(entry.model_dump_json().encode())
            _to_disk(stream)
        self.json_partial.replace(self.cache_dir / f"{self.key}.json")


def _to_disk(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _label_table(labels: dict[str, LabelColumn], count: int) -> bytes:
    """Return values and visibility as the bytes of a float32 .npy ``(2, num_labels, count)``."""
    table = np.ones((2, len(labels), count), np.float32)
    for index, column in enumerate(labels.values()):
        table[0, index] = column.values
        if column.visible is not None:
            table[1, index] = column.visible
    stream = io.BytesIO()
    np.save(stream, table, allow_pickle=False)
    return stream.getvalue()


def content_key(*parts: object) -> str:
    """Return a cache key of plain values: strings, numbers, ``None`` and lists of them."""
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]
