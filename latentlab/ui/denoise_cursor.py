"""Which step of which branch is looked at, and which two are compared."""

from __future__ import annotations

from typing import Any

from latentlab.core.denoising import DenoisingFrame


class RunCursor:
    """The place in the watched run.

    Args:
        model: the ``DenoiseModel``; its ``selection_changed`` tells of every move.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._path = ""
        self._index: int | None = None
        self._pair: tuple[str, str] | None = None
        self._told: Any = None

    @property
    def path(self) -> str:
        """The selected run or branch."""
        return self._path if self._path in self._model.paths else ""

    @property
    def last(self) -> int:
        """The last place of the selected path that can be looked at; 0 when there is none."""
        return self.last_of(self.path)

    def last_of(self, path: str) -> int:
        """Return the newest step of a path, or the place of its result."""
        frames = self._model.frames(path)
        if not frames:
            return 0
        return frames[-1].index + (frames[-1].result is not None)

    @property
    def index(self) -> int:
        """The selected step, counted from 1; one more than there are steps is the result."""
        last = self.last
        return last if self._index is None else max(min(self._index, last), min(1, last))

    @property
    def newest(self) -> bool:
        """Whether the newest step is looked at, whichever comes."""
        return self._index is None

    @property
    def pair(self) -> tuple[str, str] | None:
        """The paths A and B that are compared, or ``None``."""
        if self._pair is None or not set(self._pair) <= set(self._model.paths):
            return None
        return self._pair

    @property
    def time(self) -> float | None:
        """Time t of the selected step; ``None`` for the result."""
        frame = self.frame(self.path, self.index)
        return None if frame is None else frame.t

    def frame(self, path: str, index: int) -> DenoisingFrame | None:
        """Return the frame of a step, or the nearest that was kept; ``None`` for the result."""
        frames = self._model.frames(path)
        if not frames or index > frames[-1].index:
            return None
        return min(frames, key=lambda one: abs(one.index - index))

    def at_time(self, path: str, time: float | None) -> int:
        """Return the step of a path that is nearest to a time; its result for ``None``."""
        frames = self._model.frames(path)
        if not frames or time is None:
            return self.last_of(path)
        return min(frames, key=lambda one: (abs(one.t - time), one.index)).index

    # Moves.

    def select(self, path: str, index: int | None) -> None:
        """Go to a step; ``None`` is the newest, and stays so. The last place is the newest too."""
        self._path = path
        self._index = None if index is not None and index >= self.last_of(path) > 0 else index
        self._tell()

    def step_by(self, delta: int) -> None:
        """Go some steps on."""
        frames = self._model.frames(self.path)
        if not frames:
            return
        places = [one.index for one in frames]
        if frames[-1].result is not None:
            places.append(frames[-1].index + 1)
        now = min(range(len(places)), key=lambda k: abs(places[k] - self.index))
        self.select(self.path, places[min(max(0, now + delta), len(places) - 1)])

    def step_branch(self, delta: int) -> None:
        """Go to the branch above or below, at the same time."""
        paths = self._model.paths
        if paths:
            place = min(max(0, paths.index(self.path) + delta), len(paths) - 1)
            self.select(paths[place], self.at_time(paths[place], self.time))

    def compare(self, a: str, b: str) -> None:
        """Look at two paths side by side."""
        self._pair = (a, b)
        self._tell()

    def stop_comparing(self) -> None:
        """Look at one path."""
        self._pair = None
        self._tell()

    def use_as(self, letter: str, path: str) -> None:
        """Make a path A or B; the other one stays, or is the selected one."""
        now = self.pair or (self.path, self.path)
        a, b = (path, now[1]) if letter == "A" else (now[0], path)
        if a == b:
            others = [one for one in self._model.paths if one != path]
            if not others:
                return
            a, b = (path, others[0]) if letter == "A" else (others[0], path)
        self.compare(a, b)

    def follow_newest(self) -> None:
        """Stay at the newest step: another picture is denoised."""
        self._index = None

    def keep_place(self, before: int, after: int) -> None:
        """Stay at about the same time in a run of another number of steps."""
        if self._index is not None and before != after:
            self._index = max(1, round(self._index * after / max(1, before)))

    def settle(self) -> None:
        """Tell when what is selected is another step now."""
        if self._now() != self._told:
            self._tell()

    def _now(self) -> tuple[Any, ...]:
        return self.path, self.index, self.pair

    def _tell(self) -> None:
        self._told = self._now()
        self._model.selection_changed.emit()
