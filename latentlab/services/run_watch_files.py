"""What lies in a run folder, and which runs lie in a folder of runs; looked at again and again.

Most looks find nothing new, so each begins with a stat of what would have changed.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from latentlab.core.run_status import ACTIVE, SILENT_SECONDS, RunSummary, summary
from latentlab.core.runs import RunFolder
from latentlab.services.run_watch_parse import Merger
from latentlab.services.run_watch_protocol import Checkpoint, RunFiles, RunsFound, SampleSheet

MAX_RUNS = 20_000
"""Children of a folder that are looked at."""
_PIECE = 200
_MAX_TEXT = 2**20
_CONSOLE = 64 * 1024
_MAX_HEADER = 64 * 2**20
_NAME = re.compile(r"step_(\d{1,15})\.(?:png|safetensors)")

_Stamp = tuple[int, int, int] | None


def stamp_of(path: Path) -> _Stamp:
    """Return what changes with a file or folder; ``None`` when it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


class FilesReader:
    """Looks at the sample sheets, checkpoints, recipe and console of one run."""

    def __init__(self, run_dir: Path) -> None:
        self._folder = RunFolder(run_dir)
        self._stamps: dict[Path, _Stamp] = {}
        self._settled: dict[Path, bool] = {}
        self._names: dict[Path, frozenset[str]] = {}
        self._told: RunFiles | None = None
        self._whole: dict[tuple[Path, _Stamp], bool] = {}
        self._texts: dict[Path, str] = {}

    def poll(self, merger: Merger, known: bool) -> RunFiles | None:
        """Return what is there, or ``None`` when it is what was returned last.

        Args:
            merger: tells which sheets and checkpoints belong to the run's history.
            known: the whole history has been read; until then all files in the folders count.
        """
        folder = self._folder
        samples = self._files(folder.samples, merger.samples, known)
        drawn = merger.drawn if known else {}
        sheets = (SampleSheet(s, folder.samples / name, drawn.get(s, 0.0)) for s, name in samples)
        found = RunFiles(
            tuple(sheets),
            self._checkpoint(merger, known),
            self._text(folder.recipe, _MAX_TEXT),
            self._text(folder.console, _CONSOLE),
        )
        if found == self._told:
            return None
        self._told = found
        return found

    def _changed(self, path: Path) -> bool:
        """Whether a file or folder may have changed since the last call."""
        before, now = self._stamps.get(path), stamp_of(path)
        # Two changes within one tick of the file system's clock look like one.
        settled = now is None or time.time_ns() - now[2] > 3_000_000_000
        same = path in self._stamps and before == now and self._settled.get(path, False)
        self._stamps[path], self._settled[path] = now, settled
        return not same

    def _files(self, folder: Path, told: dict[int, str], known: bool) -> list[tuple[int, str]]:
        if self._changed(folder):
            try:
                self._names[folder] = frozenset(path.name for path in folder.iterdir())
            except OSError:
                self._names[folder] = frozenset()
        names = self._names[folder]
        if known and told:
            return sorted((step, name) for step, name in told.items() if name in names)
        matches = (_NAME.fullmatch(name) for name in names)
        return sorted((int(m[1]), m[0]) for m in matches if m)

    def _checkpoint(self, merger: Merger, known: bool) -> Checkpoint | None:
        folder = self._folder
        for step, name in reversed(self._files(folder.checkpoints, merger.checkpoints, known)):
            if self._is_whole(folder.checkpoints / name):
                return Checkpoint(step, folder.checkpoints / name)
        if merger.model is not None and self._is_whole(folder.model):
            return Checkpoint(merger.model[0], folder.model)
        return None

    def _is_whole(self, path: Path) -> bool:
        key = (path, stamp_of(path))
        if key not in self._whole:
            self._whole = {k: v for k, v in self._whole.items() if k[0] != path}
            self._whole[key] = is_whole(path)
        return self._whole[key]

    def _text(self, path: Path, length: int) -> str:
        """Return the end of a text file."""
        if self._changed(path):
            try:
                with path.open("rb") as stream:
                    size = stream.seek(0, os.SEEK_END)
                    stream.seek(max(size - length, 0))
                    text = stream.read(length).decode("utf-8", "replace")
            except OSError:
                text = ""
            self._texts[path] = text.replace("\0", "")
        return self._texts[path]


def is_whole(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says; its tensors are not read."""
    from latentlab.services.run_watch_parse import parse_lines

    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(size - 8, _MAX_HEADER):
                return False
            records, _ = parse_lines(stream.read(length).replace(b"\n", b" "))
    except OSError:
        return False
    try:
        entries = [e for name, e in records[0].items() if name != "__metadata__"]
        end = max((int(entry["data_offsets"][1]) for entry in entries), default=0)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
        return False
    return bool(size == 8 + length + end)


class Heartbeats:
    """Judges runs of other machines by whether their status moves, whatever their clocks say."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[float, float, bool]] = {}
        self._host = socket.gethostname()

    def judge(self, run: RunSummary) -> RunSummary:
        """Return the summary with the state that was observed."""
        status = run.status
        if status.state not in ACTIVE or status.host == self._host:
            self._seen.pop(run.path, None)
            return run
        now = time.monotonic()
        last, since, moved = self._seen.get(run.path, (status.time, now, False))
        if status.time != last:
            since, moved = now, True
        self._seen[run.path] = (status.time, since, moved)
        if now - since >= SILENT_SECONDS:
            return replace(run, state="interrupted")
        return replace(run, state=status.state) if moved else run

    def forget(self, path: Path) -> None:
        """Drop what is known of a run."""
        self._seen.pop(path, None)


class RunsReader:
    """Looks at the runs of one folder.

    Args:
        root: a run itself, or holds runs as its direct children.
    """

    def __init__(self, root: Path) -> None:
        self.runs: dict[Path, RunSummary] = {}
        self._root = root
        self._stamps: dict[Path, tuple[_Stamp, _Stamp]] = {}
        self._beats = Heartbeats()

    def poll(self, whole: bool) -> Iterator[RunsFound]:
        """Yield what changed since the last call, in pieces.

        Args:
            whole: look at every child; otherwise at the runs that were active alone.
        """
        if not whole:
            active = [path for path, run in self.runs.items() if run.active]
            yield from self._look(active, "interim")
            return
        children = self._children()
        if children is not None:
            yield from self._look([self._root, *children], "whole")
        elif not self.runs:
            yield RunsFound(self._root)

    def _look(self, paths: Iterable[Path], kind: str) -> Iterator[RunsFound]:
        paths = list(paths)
        changed: list[RunSummary] = []
        removed: list[Path] = []
        for path in paths:
            run, before = self._summary(path), self.runs.get(path)
            if run is not None and run != before:
                self.runs[path] = run
                changed.append(run)
            elif run is None and before is not None and kind == "whole":
                removed.append(path)
            if len(changed) >= _PIECE:
                yield RunsFound(self._root, tuple(changed), (), whole=False)
                changed = []
        if kind == "whole":
            there = set(paths)
            removed += [path for path in self.runs if path not in there]
        for path in removed:
            del self.runs[path]
            self._stamps.pop(path, None)
            self._beats.forget(path)
        if changed or removed or kind == "whole":
            yield RunsFound(self._root, tuple(changed), tuple(removed), whole=kind == "whole")

    def _children(self) -> list[Path] | None:
        """Return the folders in the folder; ``None`` while a share does not answer."""
        found: list[Path] = []
        try:
            with os.scandir(self._root) as entries:
                for entry in entries:
                    if not entry.name.startswith(".") and entry.is_dir():
                        found.append(Path(entry.path))
                    if len(found) >= MAX_RUNS:
                        break
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError:
            # Not there for now: what is known of the runs stays.
            return None
        return sorted(found)

    def _summary(self, path: Path) -> RunSummary | None:
        """Return how a run stands, from what is known when its files are as they were."""
        folder = RunFolder(path)
        stamps = (stamp_of(folder.recipe), stamp_of(folder.status))
        known = self.runs.get(path)
        if known is not None and self._stamps.get(path) == stamps:
            if known.status.state not in ACTIVE:
                return known
        elif stamps[0] is None:
            return None
        self._stamps[path] = stamps
        try:
            run = summary(path)
        except OSError:
            return None
        return None if run is None else self._beats.judge(run)
