"""The controller's part about the arrays of pictures: which are needed, and which may go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from weakref import WeakMethod

from latentlab.core.document import Picture
from latentlab.core.store import DEFAULT_LIMIT

_ROOM = DEFAULT_LIMIT // 8
"""Bytes that may come before it is looked again what can go: the look takes longer than a frame."""


class ArrayActions:
    """Methods of ``Controller``; see there."""

    def hold_pictures(self, holder: Callable[[], Iterable[Picture]]) -> None:
        """Keep the arrays of the pictures that a bound method returns, while its object lives.

        For pictures that stand in no document: in a slot, a well or a queue.
        """
        self._holders().append(WeakMethod(holder))

    def _holders(self) -> list[WeakMethod]:
        return self.__dict__.setdefault("_picture_holders", [])

    def free_arrays(self) -> None:
        """Let go of what was only looked at, once there is much of it; the oldest goes first."""
        limit = self.__dict__.get("_arrays_limit", DEFAULT_LIMIT)
        if self.store.bytes_used <= limit:
            return
        needed = self.history.array_hashes()
        for reference in self._holders():
            holder = reference()
            if holder is not None:
                needed.update(*(picture.array_hashes() for picture in holder()))
        self.store.retain(needed)
        self.__dict__["_arrays_limit"] = max(DEFAULT_LIMIT, self.store.bytes_used + _ROOM)
