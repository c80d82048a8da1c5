"""The curves of a run as columns of numbers, with a pyramid that keeps every peak at any zoom.

Rows are added at the end, or taken away there when a later attempt replaces them; both cost as much
as the rows that change. No torch and no Qt here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latentlab.services.run_table import Table
from latentlab.services.run_watch_protocol import Piece

Series = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

STEP_NAMES = (
    "loss",
    "learning_rate",
    "grad_norm",
    "images_per_second",
    "seconds_left",
    "memory_mb",
    "device_memory_mb",
    "data_wait",
    "epoch",
)
"""Columns of step events beside ``time`` and ``losses/<part>``."""
HELD_OUT = "held_out_loss"


class Curves:
    """What the events of one run say in numbers. Belongs to one thread.

    Until a long file has been read, points from all over it stand in for the rest: see ``coarse``.

    Attributes:
        version: grows with every change that can be seen.
        coarse: whether the points are a first look at a file that is still being read.
        complete: whether all that is in the file has been read.
        starts: attempt and first step (the one that it began at) of each start, in order.
        total_steps: of the whole run, as its events say; 0 while it is not known.
    """

    def __init__(self) -> None:
        self.version = 0
        self.coarse = False
        self.complete = False
        self.total_steps = 0
        self._identity = ""
        self._clear()

    def _clear(self) -> None:
        self.starts: tuple[tuple[int, int], ...] = ()
        self._rows, self._held = Table(), Table()
        self._next: tuple[Table, Table] | None = None
        self._next_starts: list[tuple[int, int]] = []

    # What a view asks for.

    @property
    def steps(self) -> NDArray[np.int64]:
        """Steps of the step events, ascending, int64 ``(N,)``; read-only, valid until a change."""
        return self._rows.steps

    def __len__(self) -> int:
        return len(self._rows)

    def names(self) -> list[str]:
        """Return the columns that hold anything: ``loss`` first, parts of the loss next."""
        found = self._rows.names()
        order = ["loss", *(n for n in found if n.startswith("losses/"))]
        order += [name for name in STEP_NAMES[1:] if name in found]
        kept = [name for name in order if name in found]
        if len(self._held):
            kept.insert(1 if kept[:1] == ["loss"] else 0, HELD_OUT)
        return [*kept, "time"] if len(self._rows) else kept

    def _table(self, name: str) -> Table:
        return self._held if name == HELD_OUT else self._rows

    def steps_of(self, name: str) -> NDArray[np.int64]:
        """Return the steps that ``column(name)`` belongs to; held-out losses have their own."""
        return self._table(name).steps

    def column(self, name: str) -> NDArray[np.floating]:
        """Return a column, ``(N,)``: float64 for ``time``, float32 for the rest.

        A value that was not told or not finite is NaN. The view is read-only and holds until the
        next change; of a long run it is a copy. A name that is not there gives NaN throughout.
        """
        return self._table(name).column(name)

    def last(self, name: str) -> float | None:
        """Return a column's value of the last row, ``None`` when it has none that is finite."""
        value = self._table(name).last(name)
        return None if np.isnan(value) else value

    def series(self, name: str, first_step: float, last_step: float, buckets: int) -> Series:
        """Return what a curve looks like between two steps, at most ``buckets`` + 3 points.

        The range is widened by a row on either side, and to whole buckets, so that a line goes on
        beyond the view. Buckets do not move while the view does.

        Args:
            name: a column.
            first_step: of the view.
            last_step: of the view.
            buckets: points that are of use, for example pixels.

        Returns:
            x, lowest and highest value, float64 ``(n,)`` each; x is the middle of its bucket's
            steps. Where there are no more rows than ``buckets`` each row is its own, with
            ``low == high``. NaN where no value is known.
        """
        x, (low, high, *_) = self._table(name).summaries(name, first_step, last_step, buckets)
        return x, low.astype(np.float64), high.astype(np.float64)

    def means(
        self, name: str, first_step: float, last_step: float, buckets: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return x and the mean value of the buckets that ``series`` would give."""
        x, (*_, total, count) = self._table(name).summaries(name, first_step, last_step, buckets)
        return x, np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def memory_bytes(self) -> int:
        """Return what the arrays take."""
        tables = [self._rows, self._held, *(self._next or ())]
        return sum(table.memory_bytes() for table in tables)

    # What the watcher brings.

    def take(self, piece: Piece) -> None:
        """Add what was read; the cost is that of the piece alone.

        A piece that ``restart``s begins the file anew: what was shown stays until the new reading
        is complete when it is the same file, and is dropped when it is another one.
        """
        if piece.restart:
            self._begin(piece)
        if piece.coarse:
            self._take_coarse(piece)
            return
        rows, held = self._next or (self._rows, self._held)
        if piece.cut is not None:
            rows.cut(piece.cut)
            held.cut(piece.cut)
            self._next_starts = [s for s in self._next_starts if s[1] <= piece.cut]
        rows.append(piece.rows)
        held.append(piece.held)
        self._next_starts.extend(piece.starts)
        self.total_steps = piece.total_steps or self.total_steps
        caught_up = piece.offset >= piece.size
        if self._next is not None and caught_up:
            (self._rows, self._held), self._next = self._next, None
            self.coarse = False
        if self._next is None:
            self.version += 1
            self.starts = tuple(self._next_starts)
            self.complete = self.complete or caught_up

    def _begin(self, piece: Piece) -> None:
        if piece.identity != self._identity or not self.complete:
            self._clear()
            self.version += 1
            self.coarse = self.complete = False
            self.total_steps = 0
        self._identity = piece.identity
        self._next_starts = []
        if len(self._rows):
            self._next = Table(), Table()

    def _take_coarse(self, piece: Piece) -> None:
        if self.complete:
            # The whole is shown already: its reader was started anew.
            return
        self._clear()
        self.version += 1
        self._rows.append(piece.rows)
        self._held.append(piece.held)
        self.total_steps = piece.total_steps or self.total_steps
        self.coarse = True
        self._next = Table(), Table()
