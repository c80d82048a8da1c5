"""The controller's part about how a picture is sampled: options of ``decode``, and condition."""

from __future__ import annotations

from latentlab.core.denoising import Sampling
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition
from latentlab.ui.widgets.sampling_text import condition_label, sampling_label


class SamplingActions:
    """Methods of ``Controller``; see there."""

    @property
    def sampling(self) -> Sampling:
        """How the canvas is sampled by a diffusion model; defaults where it says nothing sound."""
        canvas = self.document.canvas
        try:
            return Sampling.from_options({} if canvas is None else canvas.options)
        except LatentLabError:
            # The worker says what is wrong where the image would be.
            return Sampling()

    def set_options(self, sampling: Sampling, merge_key: str | None = None) -> None:
        """Sample the canvas in another way; see ``apply`` for the merge key."""
        canvas = self.document.canvas
        if canvas is not None:
            picture = canvas.model_copy(update={"options": sampling.to_options()})
            self.apply_canvas(picture, sampling_label(self.sampling, sampling), merge_key)

    def set_condition(self, condition: Condition, merge_key: str | None = None) -> None:
        """Tell the model something else beside the canvas's latents."""
        canvas = self.document.canvas
        if canvas is not None:
            spec = None if self.model is None else self.model.spec
            label = condition_label(canvas.condition, condition, spec)
            picture = canvas.model_copy(update={"condition": condition})
            self.apply_canvas(picture, label, merge_key)
