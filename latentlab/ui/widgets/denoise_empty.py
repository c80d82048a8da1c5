"""What stands where a run would be: what the panel does, one button, one picture."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QWidget

from latentlab.ui.icons import icon
from latentlab.ui.widgets.job_list import time_left
from latentlab.ui.widgets.notes import EmptyState

_TEXT = (
    "A diffusion model turns noise into a picture in many small steps. Here every step is shown: "
    "the noisy picture, the picture that the network predicts, and the noise that it predicts. "
    "Leave the run at any step with other noise, guidance or sampler, and compare."
)
_BUTTON = "&Denoise the picture of the canvas"
_ICON_SIDE = 64


class DenoiseEmpty(EmptyState):
    """Follows the watched run.

    Args:
        controller: of the window.
    """

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__("", _TEXT, _BUTTON, self._begin, parent=parent)
        self._controller = controller
        self._draw()
        self.follow()

    def _begin(self) -> None:
        self._controller.denoise.run_again()

    def follow(self) -> None:
        """Speak of what there is."""
        model, controller = self._controller.denoise, self._controller
        if model.picture is None:
            text = "Put a picture of this model onto the canvas, or drop one here."
            self.say("There is no picture to denoise", text)
            self.set_button("")
            return
        needed = model.seconds_needed
        about = "" if needed is None else f" (about {time_left(needed)})"
        self.say("Watch a picture appear", _TEXT)
        same = controller.denoise.follows
        self.set_button((_BUTTON if same else "&Denoise this picture") + about)

    def changeEvent(self, event: QEvent) -> None:
        """Draw the picture anew in another palette."""
        if event.type() == QEvent.Type.PaletteChange:
            self._draw()
        super().changeEvent(event)

    def _draw(self) -> None:
        self.set_picture(icon("denoising", self.palette()).pixmap(_ICON_SIDE, _ICON_SIDE))
