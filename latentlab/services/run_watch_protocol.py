"""What passes between the window and the process that watches runs. No torch and no Qt here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latentlab.core.run_status import RunSummary


@dataclass(frozen=True)
class SampleSheet:
    """A sample sheet that is there.

    Attributes:
        step: that it was drawn at.
        path: of the PNG file.
        time: seconds since 1970 when its event says that it was drawn; 0 where none does. A sheet
            of another time under the same path is another picture.
    """

    step: int
    path: Path
    time: float = 0.0


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is there and whole.

    Attributes:
        step: that it was written at.
        path: of the safetensors file.
    """

    step: int
    path: Path


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a run's log.

    Attributes:
        time: seconds since 1970, by the clock of the machine that trained.
        attempt: 1 for the first start, one more at each resume.
        step: optimiser steps done.
        kind: of the event; see ``latentlab.core.run_events.EventKind``.
        message: for a person.
        details: more, for example a traceback; often empty.
    """

    time: float
    attempt: int
    step: int
    kind: str
    message: str
    details: str = ""


@dataclass(frozen=True)
class Rows:
    """Rows of numbers, each step once and ascending.

    Attributes:
        steps: int64 ``(N,)``.
        times: seconds since 1970, float64 ``(N,)``.
        names: of the columns.
        values: float32 ``(len(names), N)``; NaN where a value is not known.
    """

    steps: NDArray[np.int64]
    times: NDArray[np.float64]
    names: tuple[str, ...]
    values: NDArray[np.float32]


def no_rows() -> Rows:
    """Return no rows at all."""
    return Rows(np.empty(0, np.int64), np.empty(0), (), np.empty((0, 0), np.float32))


@dataclass(frozen=True)
class Piece:
    """What was read of an events file since the last piece.

    Attributes:
        identity: tells this file from another one in the same place.
        offset: bytes that have been read.
        size: of the file, in bytes.
        restart: the file is read from its beginning; what came before counts no more.
        coarse: rows from all over the file, to be replaced by the whole.
        cut: rows with a step beyond this one are gone: a later attempt began there.
        rows: of step events, after the cut.
        held: losses on held-out data, after the cut, one column.
        log: new lines of the log; none are ever taken away.
        starts: attempt and step of each start that counts.
        total_steps: of the whole run; 0 when these events do not say.
        skipped: damaged lines.
    """

    identity: str
    offset: int
    size: int
    restart: bool = False
    coarse: bool = False
    cut: int | None = None
    rows: Rows = field(default_factory=no_rows)
    held: Rows = field(default_factory=no_rows)
    log: tuple[LogLine, ...] = ()
    starts: tuple[tuple[int, int], ...] = ()
    total_steps: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class RunFiles:
    """What lies in a run folder beside its events.

    Attributes:
        samples: ordered by step.
        checkpoint: the newest whole one.
        recipe: text of ``recipe.toml``.
        console: the end of ``console.log``.
    """

    samples: tuple[SampleSheet, ...] = ()
    checkpoint: Checkpoint | None = None
    recipe: str = ""
    console: str = ""


@dataclass(frozen=True)
class RunsFound:
    """Which runs a folder holds, as far as it changed.

    Attributes:
        root: the folder.
        changed: runs that are new or stand otherwise.
        removed: runs that are gone.
        whole: the folder has been looked through to its end at least once.
    """

    root: Path
    changed: tuple[RunSummary, ...] = ()
    removed: tuple[Path, ...] = ()
    whole: bool = True


@dataclass(frozen=True)
class Told:
    """Something about one watched run.

    Attributes:
        path: of the run.
        ticket: of the wish to watch it; what belongs to an older wish is stale.
        what: the news.
    """

    path: Path
    ticket: int
    what: Piece | RunFiles


@dataclass(frozen=True)
class Wishes:
    """All that the window wants; each replaces the one before.

    Attributes:
        roots: folders that are runs or hold runs.
        watched: ticket by run.
        shown: someone looks; otherwise everything is looked at less often.
        refresh: a number that grows when everything shall be looked at now.
    """

    roots: tuple[Path, ...] = ()
    watched: tuple[tuple[Path, int], ...] = ()
    shown: bool = True
    refresh: int = 0
