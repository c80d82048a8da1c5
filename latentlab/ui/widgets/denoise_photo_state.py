"""The photograph that the pages of ``PhotoPage`` share, and pictures made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from latentlab.core.denoising import Sampling
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents
from latentlab.core.noise_schedule import NoiseSchedule, noise_schedule
from latentlab.core.requests import Failure
from latentlab.core.spec import ModelSpec
from latentlab.services.photo_denoise import FittedPhoto
from latentlab.ui.map_jobs import NewestJobs
from latentlab.ui.widgets.images import Images

_OF_ONE_RUN = ("start_at", "branch", "stop_at", "show", "task", "factor", "travel")
"""Options of a picture that are not settings of sampling."""
NOTHING_TOLD = Condition(null=True)


class PhotoState(QObject):
    """A photograph at the size of the current model.

    Args:
        controller: of the window.

    Signals:
        changed: another photograph, another model, or one of them is gone.
        failed: a ``Failure``: the photograph cannot be used.
        busy_changed: a photograph is being read, or no longer.
    """

    changed = Signal()
    failed = Signal(object)
    busy_changed = Signal(bool)

    def __init__(self, controller: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.controller = controller
        self.photo: FittedPhoto | None = None
        self._source: tuple[str, dict[str, Any]] | None = None
        self._portraits = 0
        self._shape: tuple[int, ...] | None = None
        self._settings: Callable[[], Sampling] | None = None
        self._jobs = NewestJobs(controller, self)
        self._jobs.changed.connect(lambda: self.busy_changed.emit(self.busy))
        controller.model_changed.connect(self._follow)
        self._follow(controller.model)

    # What is there.

    @property
    def spec(self) -> ModelSpec | None:
        """Of the current model, if it is a diffusion model."""
        model = self.controller.model
        return None if model is None or model.spec.diffusion is None else model.spec

    @property
    def schedule(self) -> NoiseSchedule | None:
        """Of the current model."""
        spec = self.spec
        if spec is None or spec.diffusion is None:
            return None
        facts = spec.diffusion
        return noise_schedule(
            facts.schedule,
            facts.num_timesteps,
            beta_start=facts.beta_start,
            beta_end=facts.beta_end,
        )

    @property
    def busy(self) -> bool:
        """Whether a photograph is being read."""
        return bool(self._jobs.running)

    def use_settings(self, settings: Callable[[], Sampling]) -> None:
        """Ask this for the sampler and its steps; otherwise they are those of the canvas."""
        self._settings = settings

    def sampling(self) -> dict[str, Any]:
        """Return the options of sampling that a person chose, as ``Picture.options`` has them."""
        if self._settings is not None:
            options = self._settings().to_options()
        else:
            canvas = self.controller.document.canvas
            here = canvas is not None and self.spec is not None
            same = here and canvas.model == self.controller.model_entry.id
            options = dict(canvas.options) if same else {}
        return {name: value for name, value in options.items() if name not in _OF_ONE_RUN}

    # Photographs.

    def load(self, photo: Path | Images) -> None:
        """Take a file, or uint8 ``(H, W, C)``."""
        source = str(photo.absolute()) if isinstance(photo, Path) else np.array(photo)
        self._run("fit_photo", {"photo": source}, "Reading the photograph")

    def load_portrait(self) -> None:
        """Take the next of the sample portraits."""
        index, self._portraits = self._portraits, self._portraits + 1
        self._run("sample_portrait", {"index": index}, "Drawing a portrait")

    def load_canvas(self) -> None:
        """Take the picture of the canvas, or the selected one of its grid."""
        images = self.controller.last_images
        if images is None:
            message = "There is no picture on the canvas yet: sample one first."
            self.failed.emit(Failure(message))
            return
        row = min(self.controller.selection or 0, len(images) - 1)
        self.load(images[row])

    def _run(self, kind: str, arguments: dict[str, Any], title: str) -> None:
        if self.spec is None:
            self.failed.emit(Failure("Open a diffusion model first, then choose a photograph."))
            return
        self._source = (kind, arguments)
        given = {"model": self.controller.model_entry.id, **arguments}
        self._jobs.run(kind, title, given, self._take, self.failed.emit)

    def _take(self, photo: FittedPhoto) -> None:
        self.photo = photo
        self.changed.emit()

    def _follow(self, _header: object) -> None:
        """Fit the same photograph to another model."""
        spec = self.spec
        shape = None if spec is None else spec.image_shape
        if shape == self._shape:
            self.changed.emit()
            return
        self._shape, self.photo = shape, None
        self.changed.emit()
        if shape is not None and self._source is not None:
            self._run(*self._source, "Fitting the photograph")

    # Pictures.

    def picture(
        self,
        latents: Latents,
        options: dict[str, Any],
        *,
        condition: Condition = NOTHING_TOLD,
        compare: bool = False,
        name: str = "",
    ) -> Picture:
        """Return the picture of latents, which are put into the store.

        Args:
            latents: one row.
            options: of ``decode``, beside those of sampling.
            condition: what the model is told.
            compare: whether the canvas shows the photograph beside it.
            name: of the picture.

        Raises:
            LatentLabError: the model is gone.
        """
        spec = self.spec
        if spec is None or self.photo is None:
            raise LatentLabError("Open a diffusion model first, then choose a photograph.")
        store = self.controller.store
        return Picture(
            model=self.controller.model_entry.id,
            fingerprint=spec.fingerprint,
            space=latents.space,
            stored=store.put_latents(latents),
            photo=store.put(self.photo.image) if compare else None,
            condition=condition,
            options=Sampling.from_options({**self.sampling(), **options}).to_options(),
            name=name,
        )
