"""The frames of one run and its branches, as many as memory allows. No Qt here."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, field

from latentlab.core.denoising import DenoisingFrame
from latentlab.core.document import Picture
from latentlab.core.requests import Failure
from latentlab.ui.denoise_tree import last_branch, parent_of, under

MAX_BYTES = 192 * 2**20
"""Of the images of all runs that are kept."""


def frame_bytes(frame: DenoisingFrame) -> int:
    """Return the bytes of a frame's images."""
    result = 0 if frame.result is None else frame.result.nbytes
    return frame.x_t.nbytes + frame.x0.nbytes + frame.eps.nbytes + result


@dataclass(eq=False)
class RunFrames:
    """What has come of one picture's run.

    Attributes:
        key: the same for runs with the same frames.
        picture: of the run itself.
        done: paths that are complete.
        failures: why a path has no frames, or no more.
        stopped: the person cancelled it: it goes on when asked to.
        every: of the steps of a branch, each so many are kept.
        serial: rises with every run that was asked for.
    """

    key: str
    picture: Picture
    done: set[str] = field(default_factory=set)
    failures: dict[str, Failure] = field(default_factory=dict)
    stopped: bool = False
    every: int = 1
    serial: int = 0
    _own: dict[str, list[DenoisingFrame]] = field(default_factory=dict)
    _joined: dict[str, list[DenoisingFrame]] = field(default_factory=dict)
    bytes_used: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing has come yet."""
        return not self._own

    def add(self, frame: DenoisingFrame) -> None:
        """Take a frame; one of the same step is replaced."""
        own = self._own.setdefault(frame.branch, [])
        place = bisect_left(own, frame.index, key=lambda one: one.index)
        if place < len(own) and own[place].index == frame.index:
            self.bytes_used -= frame_bytes(own.pop(place))
        elif 1 < place == len(own) and own[-1].index % self.every:
            # Between those that stay, only the newest is kept.
            self.bytes_used -= frame_bytes(own.pop())
            place -= 1
        own.insert(place, frame)
        self.bytes_used += frame_bytes(frame)
        self._forget_joined(frame.branch)

    def frames(self, path: str) -> list[DenoisingFrame]:
        """Return all frames on the way to the end of a path, those of its parents included."""
        known = self._joined.get(path)
        if known is None:
            known = list(self._own.get(path, ()))
            if path:
                at = last_branch(path).at
                trunk = [one for one in self.frames(parent_of(path)) if one.index <= at]
                known = trunk + known
            self._joined[path] = known
        return known

    def own(self, path: str) -> list[DenoisingFrame]:
        """Return the frames that belong to a branch itself."""
        return self._own.get(path, [])

    def thin(self) -> None:
        """Let go of every second frame; the first and the newest of a branch stay."""
        self.every *= 2
        for path, own in self._own.items():
            last = len(own) - 1
            kept = [
                one
                for place, one in enumerate(own)
                if place in (0, last) or one.index % self.every == 0
            ]
            self.bytes_used -= sum(map(frame_bytes, own)) - sum(map(frame_bytes, kept))
            self._own[path] = kept
        self._joined.clear()

    def _forget_joined(self, path: str) -> None:
        for other in [other for other in self._joined if under(other, path)]:
            del self._joined[other]


class RunShelf:
    """The runs that were watched last, so that undo shows them at once.

    Args:
        limit: bytes of all images.
    """

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self._limit = limit
        self._runs: OrderedDict[str, RunFrames] = OrderedDict()

    def get(self, key: str, picture: Picture) -> RunFrames:
        """Return the run of a key, a new one if it is not here."""
        run = self._runs.setdefault(key, RunFrames(key, picture))
        self._runs.move_to_end(key)
        return run

    def trim(self, current: RunFrames) -> None:
        """Let the oldest runs go, then frames of the current one, until there is room."""
        used = sum(run.bytes_used for run in self._runs.values())
        for key, run in list(self._runs.items()):
            if used <= self._limit:
                return
            if run is not current:
                used -= run.bytes_used
                del self._runs[key]
        while current.bytes_used > self._limit and current.every < 2**20:
            current.thin()

    def clear(self) -> None:
        """Forget all runs."""
        self._runs.clear()
