"""The controller's part about small images and arrays of pictures: which are needed, which go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from weakref import WeakMethod

import numpy as np
from numpy.typing import NDArray

from latentlab.core.document import Document, Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.store import DEFAULT_LIMIT

_ROOM = DEFAULT_LIMIT // 8
"""Bytes that may come before it is looked again what can go: the look takes longer than a frame."""


class ArrayActions:
    """Methods of ``Controller``; see there."""

    def thumbnail(
        self, picture: Picture, document: Document | None = None
    ) -> NDArray[np.uint8] | None:
        """Return the first image of a picture, uint8 ``(H, W, C)``, or ask for it.

        What was asked for comes as ``thumbnail_rendered`` with ``thumbnail_key(picture)``; an image
        of older weights is returned until the new one has come. ``document`` is the one that the
        picture stands in, when it is not the current one.
        """
        key = self.thumbnail_key(picture, document)
        image, old = self._thumbnails.get(key), self._thumbnails.outdated(key)
        if (image is None or old) and not self._thumbnails.waits(key):
            # A vector that is gone: no image, as for latents that are gone.
            with suppress(LatentLabError):
                own = self.own_directions(picture, document=document)
                self._thumbnails.ask(key, picture, own)
                self.free_arrays()
        return image

    def thumbnail_outdated(self, key: str) -> bool:
        """Whether the image of a key is of older weights, and should be asked for again."""
        return self._thumbnails.outdated(key) and not self._thumbnails.waits(key)

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
