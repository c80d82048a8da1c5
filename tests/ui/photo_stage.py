"""The photograph page over a real tiny diffusion model, answered at once or when asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from latentlab.core.errors import LatentLabError
from latentlab.core.requests import Failure, JobRequest, JobResult, PreviewRequest, PreviewResult
from latentlab.core.settings import Settings
from latentlab.services.jobs import JobContext, start_job
from latentlab.services.library import ModelLibrary
from latentlab.services.renderer import Renderer
from latentlab.ui.controller import Controller
from tests.diffusion_models import write_tiny
from tests.ui.windows import WindowBridge

SIDE = 16


class RealBridge(WindowBridge):
    """Serves previews and jobs of real models in this process; ``held`` keeps jobs waiting."""

    def __init__(self, library: ModelLibrary) -> None:
        super().__init__()
        self.context = JobContext(library, Renderer(library))
        self.held_jobs = False

    def _answer(self, request: PreviewRequest) -> None:
        try:
            images, latents = self.context.renderer.exact(request.picture, request.stored)
            result = PreviewResult(request.channel, request.sequence, images, latents)
        except LatentLabError as error:
            failure = Failure(error.message, error.details)
            result = PreviewResult(request.channel, request.sequence, failure=failure)
        self.preview_arrived.emit(result)

    def job(self, request: JobRequest) -> None:
        self.jobs.append(request)
        if not self.held_jobs:
            self.do_jobs()

    def do_jobs(self) -> None:
        waiting, self.jobs = self.jobs, []
        for request in waiting:
            self.job_finished.emit(self._done(request))

    def _done(self, request: JobRequest) -> JobResult:
        work = start_job(self.context, request)
        try:
            while True:
                next(work)
        except StopIteration as stop:
            return JobResult(request.job, value=stop.value)
        except LatentLabError as error:
            return JobResult(request.job, failure=Failure(error.message, error.details))


def photo_controller(folder: Path) -> Any:
    """A controller with ``tiny`` (three attributes) open, and ``grey``, which has one channel."""
    write_tiny(folder / "tiny.safetensors")
    write_tiny(folder / "grey.safetensors", channels=1, attribute_names=())
    library = ModelLibrary([folder], device="cpu")
    controller = Controller(RealBridge(library), Settings(), ModelLibrary([folder]))
    controller.open_model("tiny")
    canvas = controller.document.canvas
    controller.apply_canvas(canvas.model_copy(update={"options": {"steps": 4}}), "Steps")
    return controller


def photo(side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(3).integers(60, 200, (side, side, 3), dtype=np.uint8)
