"""Three pictures that span a plane: their latents come from the worker, edits included."""

from __future__ import annotations

from itertools import count
from typing import Any

from PySide6.QtCore import QObject, Signal

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.plane import plane_of_three
from latentlab.core.requests import Failure, PreviewResult

SLOTS = ("A", "B", "C")
_CHANNEL = "map-corner-"


class ThreePictures(QObject):
    """Asks for the latents of A, B and C, and makes a plane of them.

    Args:
        controller: of the window.

    Signals:
        changed: another picture stands in a slot.
        found: the ``Plane``.
        failed: a ``Failure``.
    """

    changed = Signal()
    found = Signal(object)
    failed = Signal(object)

    def __init__(self, controller: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.pictures: dict[str, Picture] = {}
        self._latents: dict[str, Latents] = {}
        self._asked: dict[str, str] = {}
        self._wanted = False
        self._count = count()
        controller.preview_rendered.connect(self._take)
        controller.model_reloaded.connect(lambda *_: self._latents.clear())
        controller.hold_pictures(self._held)

    def _held(self) -> tuple[Picture, ...]:
        return tuple(self.pictures.values())

    @property
    def missing(self) -> list[str]:
        """The slots without a picture."""
        return [slot for slot in SLOTS if slot not in self.pictures]

    def clear(self) -> None:
        """Forget all three."""
        self.pictures, self._latents, self._asked, self._wanted = {}, {}, {}, False
        self.changed.emit()

    def put(self, slot: str, picture: Picture | None) -> None:
        """Put a picture of one image into a slot, or empty it."""
        if picture is None:
            self.pictures.pop(slot, None)
        else:
            self.pictures[slot] = picture
        self._latents.pop(slot, None)
        self._asked = {channel: s for channel, s in self._asked.items() if s != slot}
        self.changed.emit()

    def ask(self) -> None:
        """Make the plane as soon as all latents are there; ``found`` tells."""
        self._wanted = True
        for slot in SLOTS:
            if slot in self.pictures and slot not in self._latents:
                # A channel of its own: an answer about an older picture is told by it.
                channel = f"{_CHANNEL}{slot}-{next(self._count)}"
                self._asked[channel] = slot
                self._controller.request_preview(channel, self.pictures[slot], decode=False)
        self._finish()

    def _take(self, result: PreviewResult) -> None:
        slot = self._asked.pop(result.channel, None)
        if slot is None or not self._wanted:
            return
        if result.failure is not None:
            self._wanted = False
            self.failed.emit(result.failure)
        elif result.latents is not None:
            self._latents[slot] = result.latents
            self._finish()

    def _finish(self) -> None:
        if not self._wanted or any(slot not in self._latents for slot in SLOTS):
            return
        self._wanted = False
        try:
            self.found.emit(plane_of_three(*(self._latents[slot] for slot in SLOTS)))
        except LatentLabError as error:
            self.failed.emit(Failure(error.message, error.details))
