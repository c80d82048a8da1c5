"""The switch over a real tiny flow in this process: jobs go at once, or step by step when held."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.requests import Failure, JobProgress, JobRequest, JobResult, PreviewRequest
from latentlab.core.settings import Settings
from latentlab.services.jobs import JobContext, start_job
from latentlab.services.library import ModelLibrary
from latentlab.services.renderer import Renderer
from latentlab.ui.controller import Controller
from tests.flow_models import write_tiny
from tests.ui.windows import WindowBridge

SIDE = 16


class FlowBridge(WindowBridge):
    """Serves previews and jobs of real models; ``held`` keeps both waiting."""

    def __init__(self, library: ModelLibrary) -> None:
        super().__init__()
        self.context = JobContext(library, Renderer(library))
        self.asked: list[JobRequest] = []
        self.previews: list[PreviewRequest] = []
        self.log: list[str] = []
        # A job of a matrix goes so many turns and no further.
        self.stop_after: int | None = None

    def preview(self, request: PreviewRequest) -> None:
        if not request.channel.startswith("thumb:") and request.channel != "canvas":
            self.previews.append(request)
            self.log.append(request.channel)
        super().preview(request)

    def _answer(self, request: PreviewRequest) -> None:
        for result in self.context.renderer.render(request):
            if result is not None:
                self.preview_arrived.emit(result)

    def job(self, request: JobRequest) -> None:
        self.jobs.append(request)
        self.asked.append(request)
        self.log.append(request.kind)
        if not self.held:
            self.do_jobs()

    def do_jobs(self) -> None:
        """Do what waits, and what that asks for."""
        while self.jobs:
            self._do(self.jobs.pop(0))

    def release(self) -> None:
        """Answer previews first, then jobs, as the worker does."""
        self.held = False
        super().release()
        self.do_jobs()

    def cancel(self, job: str) -> None:
        self.jobs = [request for request in self.jobs if request.job != job]
        super().cancel(job)

    def _do(self, request: JobRequest) -> None:
        work = start_job(self.context, request)
        turns = 0
        try:
            while True:
                progress = next(work)
                if progress is not None:
                    self.job_progressed.emit(JobProgress(request.job, *progress))
                turns += request.kind == "switch_matrix"
                if turns and turns == self.stop_after:
                    return
        except StopIteration as stop:
            self.job_finished.emit(JobResult(request.job, value=stop.value))
        except LatentLabError as error:
            failure = Failure(error.message, error.details)
            self.job_finished.emit(JobResult(request.job, failure=failure))

    def kinds(self) -> list[str]:
        """Return what was asked for, the models' opening left out."""
        return [one.kind for one in self.asked if one.kind != "open_model"]


def make_switch(folder: Path, **config: Any) -> Any:
    """A controller with ``tiny-flow`` open, its bridge, and a model without parts beside it."""
    from tests.ui.stage import write_formula_model

    write_tiny(folder / "tiny-flow.safetensors", **config)
    write_formula_model(folder, "waves")
    library = ModelLibrary([folder], device="cpu")
    bridge = FlowBridge(library)
    controller = Controller(bridge, Settings(), ModelLibrary([folder]))
    bridge.setParent(controller)
    bridge.restarted.connect(controller.worker_restarted)
    controller.open_model("tiny-flow")
    return SimpleNamespace(controller=controller, bridge=bridge, library=library)


def sample(*seeds: int, **values: Any) -> Picture:
    """Prior samples of the flow."""
    return Picture(model="tiny-flow", space="latent", seeds=seeds, **values)


def photo(seed: int = 3, side: int = SIDE) -> np.ndarray:
    """A smooth photograph, uint8 ``(side, side, 3)``."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [np.sin(rng.uniform(2, 5) * x + rng.uniform(2, 5) * y + k) for k in range(3)]
    return (128 + 70 * np.stack(waves, -1)).astype(np.uint8)
