"""The latent of the image that a person looks at: what strips of unsaved directions start from."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from latentlab.core.document import Picture
from latentlab.core.latents import Latents
from latentlab.core.requests import PreviewResult

_REST_MS = 150


class CanvasLatents(QObject):
    """Follows the canvas and its selection, edits included, without a request of its own.

    Args:
        controller: of the window.

    Signals:
        changed: the image is another one, and the hand rests.
    """

    changed = Signal()

    def __init__(self, controller: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._latents: Latents | None = None
        self._picture: Picture | None = None
        self._rest = QTimer(self, singleShot=True, interval=_REST_MS)
        self._rest.timeout.connect(self.changed)
        controller.canvas_rendered.connect(self._take)
        controller.selection_changed.connect(lambda _row: self._rest.start())

    def _take(self, result: PreviewResult) -> None:
        if result.latents is None or not result.final:
            return
        self._latents, self._picture = result.latents, self._controller.rendered_picture
        self._rest.start()

    def one(self) -> tuple[Picture, Latents] | None:
        """Return the picture that lends its condition and options, and one row of latents.

        ``None`` while the canvas has no images yet; they are asked for then.
        """
        canvas = self._controller.document.canvas
        if canvas is None:
            return None
        if self._latents is None or self._picture is None or self._picture.model != canvas.model:
            self._controller.render_canvas()
            return None
        row = min(self._controller.selection or 0, self._latents.batch - 1)
        return self._picture, self._latents.rows(row)


def moved_picture(controller: Any, like: Picture, latents: Latents) -> Picture:
    """Return the picture of latents, decoded as ``like`` is; they are put into the store."""
    update = {
        "space": latents.space,
        "seeds": (),
        "stored": controller.store.put_latents(latents),
        "photo": None,
        "photo_path": None,
        "edits": {},
        "name": "",
    }
    return like.model_copy(update=update)
