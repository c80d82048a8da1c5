"""What a direction does that no document knows yet: the canvas's image moved along it."""

from __future__ import annotations

import itertools
from typing import Any

from PySide6.QtWidgets import QWidget

from latentlab.core.direction import Direction, apply_edits
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import stack
from latentlab.core.requests import PreviewResult
from latentlab.ui import edits
from latentlab.ui.widgets.direction_pages.canvas_latents import CanvasLatents, moved_picture
from latentlab.ui.widgets.direction_pages.picture_row import PictureRow

AMOUNTS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
"""Slider units of the images."""
_numbers = itertools.count(1)


def _caption(amount: float) -> str:
    return f"{amount:+.0f} σ".replace("-", "−") if amount else "0"


class DirectionStrip(PictureRow):
    """Seven images from −3 to +3 sigma; they are decoded only while they are in sight.

    Args:
        controller: of the window.
        base: the image that is moved.
    """

    def __init__(self, controller: Any, base: CanvasLatents, parent: QWidget | None = None) -> None:
        super().__init__(controller, [_caption(amount) for amount in AMOUNTS], parent=parent)
        self._base = base
        self._channel = f"direction {next(_numbers)}"
        self._direction: Direction | None = None
        self._batch: Picture | None = None
        self._expected: int | None = None
        self.setAccessibleName("The direction from −3 to +3 σ")
        self.wanted.connect(self._ask)
        base.changed.connect(self.wait)
        controller.preview_rendered.connect(self._take)

    def set_direction(self, direction: Direction | None) -> None:
        """Show another direction."""
        self._direction = direction
        name = "The direction" if direction is None else edits.readable(direction.name)
        self.setAccessibleName(f"{name} from −3 to +3 σ")
        self.wait()

    def _ask(self) -> None:
        direction, one = self._direction, self._base.one()
        if direction is None or one is None:
            return
        like, latents = one
        try:
            known = {direction.name: direction}
            rows = [apply_edits(latents, {direction.name: a}, known) for a in AMOUNTS]
            self._batch = moved_picture(self._controller, like, stack(rows))
        except LatentLabError as error:
            self.show_failure(error.message)
            return
        # An answer may come before the call returns: then its sequence is not known yet.
        self._expected = None
        sequence = self._controller.request_preview(self._channel, self._batch)
        self._expected = sequence

    def _take(self, result: PreviewResult) -> None:
        if result.channel != self._channel or self._expected not in (None, result.sequence):
            return
        if result.failure is not None:
            self.show_failure(result.failure.message)
        elif result.images is not None and self._batch is not None:
            batch = self._batch
            self.show_images(
                result.images,
                lambda place: edits.row_picture(batch, place, self._controller.store),
            )
