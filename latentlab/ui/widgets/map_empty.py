"""What stands where a map would be: what a map is for, and one button to begin."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QWidget

from latentlab.core.modelfile import ModelHeader
from latentlab.ui.icons import icon
from latentlab.ui.map_model import PRIOR_COUNT
from latentlab.ui.widgets.notes import EmptyState

_TEXT = (
    "Each point is an image. Hover to see it decoded, click to put it onto the canvas, select many "
    "to compare them. Map samples of the model's prior, or choose a data set above; a folder or "
    "zip of images can be dropped here."
)
_ICON_SIDE = 48


class MapEmpty(EmptyState):
    """Follows the model.

    Args:
        begin: what the button does.
    """

    def __init__(self, begin: Callable[[], object], parent: QWidget | None = None) -> None:
        super().__init__("", _TEXT, "Map", begin, parent=parent)
        self.can_sample = False

    def follow(self, header: ModelHeader | None, waits: bool) -> None:
        """Speak of a model; ``waits``: its points are being made."""
        self.can_sample = header is not None and "sample" in header.spec.capabilities
        self._draw()
        if header is None:
            self.say("No model is open", "Choose a model in the library on the left.")
            self.set_button("")
            return
        name = header.spec.title or header.spec.id
        self.say(f"Mapping {name}…" if waits else f"No map of {name} yet", _TEXT)
        begin = f"Map {PRIOR_COUNT:,} &prior samples" if self.can_sample else "&Choose a data set…"
        self.set_button("" if waits else begin)

    def changeEvent(self, event: QEvent) -> None:
        """Draw the picture anew in another palette."""
        if event.type() == QEvent.Type.PaletteChange:
            self._draw()
        super().changeEvent(event)

    def _draw(self) -> None:
        self.set_picture(icon("map", self.palette()).pixmap(_ICON_SIDE, _ICON_SIDE))
