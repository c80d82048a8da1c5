"""The controller's part about the run that is watched step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from latentlab.ui.denoise_model import DenoiseModel


class DenoiseActions:
    """Part of the controller: see ``ui.controller``."""

    _denoise: DenoiseModel | None = None

    @property
    def watched_run(self) -> DenoiseModel | None:
        """The watched run, if anybody has asked for one yet."""
        return self._denoise

    @property
    def denoise(self) -> DenoiseModel:
        """The watched run; nothing is denoised before somebody looks or asks."""
        if self._denoise is None:
            # The window's first paint does not wait for it.
            from latentlab.ui.denoise_model import DenoiseModel

            self._denoise = DenoiseModel(self, self)
        return self._denoise
