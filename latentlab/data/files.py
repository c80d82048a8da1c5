"""Files of a folder or a zip, read in memory: nothing is ever extracted to the disk."""

from __future__ import annotations

import os
import re
import stat
import threading
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from latentlab.core.errors import LatentLabError

MAX_FILE_BYTES = 256 * 2**20
"""Largest image file."""
MAX_FILES = 5_000_000
"""Most files of a folder or zip."""
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".jp2", ".avif"}
)
_DIGITS = re.compile(r"(\d+)")


class Stamp(NamedTuple):
    """What tells whether a file has changed: name with ``/``, bytes, and mtime in nanoseconds."""

    name: str
    size: int
    mtime_ns: int


class Readable(Protocol):
    """A stream of bytes: a file, an unpacked gzip, or one with a limit."""

    def read(self, size: int = -1, /) -> bytes:
        """Read up to ``size`` bytes."""
        ...


class Files(Protocol):
    """Named files that can be read by several threads at once."""

    title: str

    def names(self) -> list[str]:
        """Return all file names, relative, with ``/``, in natural order."""
        ...

    def read(self, name: str, limit: int = MAX_FILE_BYTES) -> bytes:
        """Return one file; ``LatentLabError`` when it cannot be read or is over ``limit``."""
        ...

    def close(self) -> None:
        """Close what is open; reading again opens it again."""
        ...


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key by which ``img2`` comes before ``img10``."""
    key = []
    for piece in _DIGITS.split(name.casefold()):
        # Digits are compared as text by length, because int() refuses very long ones.
        digits = piece.lstrip("0") if piece.isdecimal() else ""
        key.append((0, len(digits), digits) if piece.isdecimal() else (1, 0, piece))
    return (*key, (2, 0, name))


def is_image_name(name: str) -> bool:
    """Whether a name ends as image files do, and is neither hidden nor of a Mac's archive."""
    parts = name.split("/")
    hidden = (part.startswith(".") and part not in (".", "..") for part in parts)
    if any(hidden) or "__MACOSX" in parts:
        return False
    return os.path.splitext(parts[-1])[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122


def printable(name: str) -> str:
    """Return a name that can be printed and kept, whatever bytes the disk had."""
    return name.encode("utf-8", "replace").decode("utf-8")


def cannot_open(path: Path, error: OSError | ValueError) -> LatentLabError:
    """Return the sentence for a file that the system does not open."""
    name = printable(path.name or str(path))
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return LatentLabError(f"There is no '{name}': check the path.")
    if isinstance(error, PermissionError):
        return LatentLabError(f"'{name}' may not be read: change its permissions.")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return LatentLabError(f"'{name}' cannot be opened ({reason}): check the path.")


def read_file(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """Return a plain file's bytes.

    Raises:
        LatentLabError: missing, a folder, a device, not allowed, or over ``limit`` bytes.
    """
    try:
        info = path.stat()
        if stat.S_ISDIR(info.st_mode):
            raise LatentLabError(f"'{printable(path.name)}' is a folder: choose a file.")
        if not stat.S_ISREG(info.st_mode):
            raise LatentLabError(f"'{printable(path.name)}' is not a plain file: choose another.")
        with path.open("rb") as stream:
            data = stream.read(limit + 1) if info.st_size <= limit else b""
    except (OSError, ValueError) as error:
        raise cannot_open(path, error) from error
    if info.st_size > limit or len(data) > limit:
        raise _too_large(path.name, limit)
    return data


def _too_large(name: str, limit: int) -> LatentLabError:
    return LatentLabError(
        f"'{printable(name)}' is larger than {limit // 2**20} MiB: use a smaller file."
    )


def starts_with(path: Path, *magics: bytes) -> bool:
    """Whether a plain file begins with one of ``magics``; false when it cannot be read."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.read(max(map(len, magics))).startswith(magics)
    except (OSError, ValueError):
        return False


def is_zip(path: Path) -> bool:
    """Whether a file's first bytes are a zip's."""
    return starts_with(path, b"PK\x03\x04", b"PK\x05\x06")


def walk(root: Path) -> Iterator[Stamp]:
    """Yield every file below a folder, linked folders too, each folder once.

    Raises:
        LatentLabError: a folder may not be read, or there are more than ``MAX_FILES`` files.
    """
    waiting, seen, count = [(root, "")], set(), 0
    while waiting:
        folder, prefix = waiting.pop()
        try:
            info = folder.stat()
            # A link that leads back up would never end.
            if (info.st_dev, info.st_ino) in seen:
                continue
            seen.add((info.st_dev, info.st_ino))
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as error:
            raise cannot_open(folder, error) from error
        for entry in found:
            if entry.is_dir():
                waiting.append((Path(entry.path), f"{prefix}{entry.name}/"))
                continue
            count += 1
            if count > MAX_FILES:
                raise LatentLabError(
                    f"'{root.name}' holds more than {MAX_FILES} files: choose a smaller folder."
                )
            yield _stamp(entry, prefix + entry.name)


def _stamp(entry: os.DirEntry[str], name: str) -> Stamp:
    try:
        info = entry.stat()
    except OSError:
        # A dead link is listed, so that reading it names it among the skipped.
        return Stamp(name, -1, 0)
    return Stamp(name, info.st_size, info.st_mtime_ns)


class FolderFiles:
    """The files below a folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.title = root, root.resolve().name or str(root)

    def names(self) -> list[str]:
        """Return all file names below the folder, relative, with ``/``, in natural order."""
        return sorted((stamp.name for stamp in walk(self.root)), key=natural_key)

    def read(self, name: str, limit: int = MAX_FILE_BYTES) -> bytes:
        """Return one file; ``LatentLabError`` when it cannot be read or is over ``limit``."""
        return read_file(self.root / name, limit)

    def close(self) -> None:
        """Nothing stays open."""


class ZipFiles:
    """The files in a zip.

    Raises:
        LatentLabError: it cannot be opened, is damaged, or holds more than ``MAX_FILES`` files.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.title = path, path.name
        self._lock = threading.Lock()
        self._zip: zipfile.ZipFile | None = None
        with self._lock:
            entries = self._opened().infolist()
        if len(entries) > MAX_FILES:
            raise LatentLabError(f"'{self.title}' holds more than {MAX_FILES} files: split it.")
        self._names = sorted({e.filename for e in entries if not e.is_dir()}, key=natural_key)

    def _opened(self) -> zipfile.ZipFile:
        if self._zip is None:
            try:
                self._zip = zipfile.ZipFile(self.path)
            except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
                raise LatentLabError(
                    f"'{self.title}' is a damaged or truncated zip: copy or download it again.",
                    str(error),
                ) from error
            except (OSError, ValueError) as error:
                raise cannot_open(self.path, error) from error
        return self._zip

    def names(self) -> list[str]:
        """Return all file names in the zip, in natural order."""
        return list(self._names)

    def read(self, name: str, limit: int = MAX_FILE_BYTES) -> bytes:
        """Return one file; ``LatentLabError`` when it cannot be read or is over ``limit``.

        The size that the zip states is not believed: at most ``limit`` bytes are unpacked.
        """
        try:
            # zipfile counts its open members without a lock; decoding is what runs in parallel.
            with self._lock, self._opened().open(name) as member:
                data = member.read(limit + 1)
        except RuntimeError as error:
            reason = "needs a password" if "password" in str(error) else "cannot be unpacked"
            raise LatentLabError(f"'{printable(name)}' {reason}: unpack the zip first.") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, ValueError) as error:
            raise LatentLabError(
                f"'{printable(name)}' is damaged inside '{self.title}': copy it again.", str(error)
            ) from error
        if len(data) > limit:
            raise _too_large(name, limit)
        return data

    def close(self) -> None:
        """Close the zip; reading again opens it again."""
        with self._lock:
            if self._zip is not None:
                self._zip.close()
                self._zip = None


def open_files(path: Path) -> FolderFiles | ZipFiles:
    """Return the files of a folder or a zip."""
    return FolderFiles(path) if path.is_dir() else ZipFiles(path)
