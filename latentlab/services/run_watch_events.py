"""Follows one events file: first a look at places all over it, then the whole, then what comes.

The file may be written meanwhile, here or elsewhere, be cut, replaced, or gone for a while.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from latentlab.services.run_watch_parse import Batch, Merger
from latentlab.services.run_watch_protocol import Piece

CHUNK = 512 * 1024
"""Bytes that are read and sent at a time."""
COARSE_FROM = 4 * 2**20
"""Files of fewer bytes are read at once."""
MAX_LINE = 32 * 2**20
"""Longer lines are skipped."""
_LOOKS = 1024
_LOOK_BYTES = 4096
_END_BYTES = 256 * 1024
_LOOK_SECONDS = 0.35
_MARK = 64
_FIRST_LINE = 64 * 1024

_Stamp = tuple[int, int, int]


class EventsReader:
    """Reads one events file piece by piece.

    Args:
        path: of the file.

    Attributes:
        merger: what is known of the run's samples and checkpoints.
        offset: bytes that have been read.
        size: of the file when it was last looked at.
    """

    def __init__(self, path: Path) -> None:
        self.merger = Merger()
        self.offset, self.size = 0, 0
        self._path = path
        self._identity = ""
        self._mark = b""
        self._stamp: _Stamp | None = None
        self._skipping = False
        self._restart = True

    @property
    def behind(self) -> bool:
        """Whether the beginning of the file has yet to be read to where its end was."""
        return self._restart or self.offset < self.size

    def poll(self) -> Generator[Piece, None, None]:
        """Yield what came since the last call; nothing while the file is as it was, or gone.

        Stop asking for pieces to give up; the next call goes on from there.
        """
        try:
            found = self._path.stat()
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
            if stamp == self._stamp:
                return
            with self._path.open("rb") as stream:
                self.size = stream.seek(0, os.SEEK_END)
                yield from self._read(stream)
            # Not before the end: whoever gave up half-way comes back for the rest.
            self._stamp = stamp
        except OSError:
            # Gone, or not to be read now: what is known stays.
            self._stamp = None

    def _read(self, stream: BinaryIO) -> Generator[Piece, None, None]:
        if not self._same_file(stream):
            self._begin()
        if self.offset == 0:
            stream.seek(0)
            first = stream.readline(_FIRST_LINE)
            if not first.endswith(b"\n") and len(first) < _FIRST_LINE:
                if self._identity:
                    # The file was emptied: a run begins anew there.
                    self._identity = ""
                    yield self._piece(Batch())
                    self._restart = True
                return
            self._identity = hashlib.blake2b(first, digest_size=16).hexdigest()
            if self.size >= COARSE_FROM:
                yield self._look(stream)
        length = CHUNK
        while True:
            stream.seek(self.offset)
            text = stream.read(length)
            whole = text.rfind(b"\n") + 1
            self.size = max(self.size, self.offset + len(text))
            if not whole and len(text) == length and length < MAX_LINE:
                length *= 2
                continue
            at_end = len(text) < length
            if not whole and not at_end:
                self._skipping, whole = True, len(text)
            length = CHUNK
            if whole:
                self._mark = (self._mark + text[max(whole - _MARK, 0) : whole])[-_MARK:]
                self.offset += whole
            if at_end:
                # What is left is the beginning of a line: nothing more is to be had now.
                self.size = self.offset
            if whole or self._restart:
                yield self._piece(self._taken(text[:whole]))
            if at_end:
                return

    def _taken(self, text: bytes) -> Batch:
        """Parse whole lines, less the rest of one that was too long."""
        skipped = 0
        if self._skipping:
            end = text.find(b"\n") + 1
            if not end:
                return Batch()
            self._skipping, text, skipped = False, text[end:], 1
        batch = self.merger.take(text)
        batch.skipped += skipped
        return batch

    def _piece(self, batch: Batch, coarse: bool = False) -> Piece:
        restart, self._restart = self._restart, False
        return Piece(
            identity=self._identity,
            offset=self.offset,
            size=self.size,
            restart=restart,
            coarse=coarse,
            cut=batch.cut,
            rows=batch.rows(),
            held=batch.held_rows(),
            log=tuple(batch.log),
            starts=tuple(batch.starts),
            total_steps=batch.total_steps,
            skipped=batch.skipped,
        )

    def _begin(self) -> None:
        self.merger = Merger()
        self.offset, self._mark = 0, b""
        self._skipping, self._restart = False, True

    def _same_file(self, stream: BinaryIO) -> bool:
        """Whether what was read is still there: its length, its first and its last bytes."""
        if self.offset == 0:
            return True
        if self.size < self.offset:
            return False
        stream.seek(self.offset - len(self._mark))
        if stream.read(len(self._mark)) != self._mark:
            return False
        stream.seek(0)
        first = stream.readline(_FIRST_LINE)
        return hashlib.blake2b(first, digest_size=16).hexdigest() == self._identity

    def _look(self, stream: BinaryIO) -> Piece:
        """Return rows of lines at evenly spaced places and at the end of the file.

        On a slow share there are fewer places: each costs a journey, and a person waits.
        """
        begin = time.monotonic()
        places = [self.size - _END_BYTES]
        found: dict[int, bytes] = {}
        places += [place * self.size // _LOOKS for place in _spread(_LOOKS)]
        for place in places:
            if time.monotonic() - begin > _LOOK_SECONDS:
                break
            stream.seek(place)
            length = _END_BYTES if place == places[0] else _LOOK_BYTES
            text = stream.read(length)
            # The first line is whole only at the beginning of the file.
            start = text.find(b"\n") + 1 if place else 0
            found[place] = text[start : text.rfind(b"\n") + 1]
        text = b"".join(found[place] for place in sorted(found))
        batch = Merger().take(text)
        batch.log, batch.skipped = [], 0
        return self._piece(batch, coarse=True)


def _spread(count: int) -> list[int]:
    """Return the numbers below a power of two, those far from each other first."""
    order = [0]
    while len(order) < count:
        order = [2 * n for n in order] + [2 * n + 1 for n in order]
    return order
