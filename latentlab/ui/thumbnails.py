"""Small images of pictures, made once by the worker and kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.requests import PreviewRequest, PreviewResult
from latentlab.core.store import ArrayStore
from latentlab.ui.bridge import Bridge
from latentlab.ui.edits import row_picture

PREFIX = "thumb:"
MAX_BYTES = 64 * 2**20


class Thumbnails(QObject):
    """The first image of each picture, by a key that says what it shows.

    Where the weights of a model change, its images stay until newer ones have come.

    Args:
        bridge: to the worker.
        store: the arrays of the pictures.
    """

    arrived = Signal(str, object)

    def __init__(self, bridge: Bridge, store: ArrayStore, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._store = store
        self._images: OrderedDict[str, NDArray[np.uint8]] = OrderedDict()
        self._bytes = 0
        self._asked: set[str] = set()
        self._model_of: dict[str, str] = {}
        self._outdated: set[str] = set()
        bridge.preview_arrived.connect(self._take)

    def get(self, key: str) -> NDArray[np.uint8] | None:
        """Return uint8 ``(H, W, C)``, if it is here."""
        image = self._images.get(key)
        if image is not None:
            self._images.move_to_end(key)
        return image

    def outdated(self, key: str) -> bool:
        """Whether an image is of weights that are gone: it should be asked for again."""
        return key in self._outdated

    def outdate(self, model: str) -> None:
        """Count all images of a model as old; those on their way are of its new weights already.

        The worker tells of new weights between the images of the old ones and those of the new.
        """
        self._outdated |= {key for key in self._images if self._model_of.get(key) == model}

    def waits(self, key: str) -> bool:
        """Whether an image was asked for and is still to come."""
        return key in self._asked

    def ask(self, key: str, picture: Picture, directions: Mapping[str, Direction]) -> None:
        """Ask for an image: ``arrived`` tells the key and the image.

        Args:
            key: ``picture_key``, and more where the same picture can have other images.
            picture: its first image is made.
            directions: the person's own that its edits name.
        """
        try:
            one = row_picture(picture, 0, self._store)
            stored: Latents | None = self._store.latents(one)
        except LatentLabError:
            return
        self._asked.add(key)
        self._model_of[key] = picture.model
        self._bridge.preview(PreviewRequest(PREFIX + key, 1, one, stored, directions=directions))

    def put(self, key: str, model: str, image: NDArray[np.uint8]) -> None:
        """Keep an image that was made for another reason."""
        self._model_of[key] = model
        self._keep(key, image)

    def forget_requests(self) -> None:
        """Ask again for what is missing: the worker started anew."""
        self._asked.clear()

    def _keep(self, key: str, image: NDArray[np.uint8]) -> None:
        self._outdated.discard(key)
        known = self._images.pop(key, None)
        self._bytes -= 0 if known is None else known.nbytes
        image = np.ascontiguousarray(image)
        self._images[key] = image
        self._bytes += image.nbytes
        while self._bytes > MAX_BYTES and len(self._images) > 1:
            gone, old = self._images.popitem(last=False)
            self._bytes -= old.nbytes
            self._outdated.discard(gone)
            if gone not in self._asked:
                self._model_of.pop(gone, None)
        self.arrived.emit(key, image)

    def _take(self, result: PreviewResult) -> None:
        if not result.channel.startswith(PREFIX):
            return
        key = result.channel.removeprefix(PREFIX)
        if not result.final:
            # A rough image of a model of many steps is not kept.
            return
        self._asked.discard(key)
        if result.images is not None:
            self._keep(key, np.array(result.images[0]))
