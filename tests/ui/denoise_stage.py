"""A model of many steps over the worker of formulas: every frame is known, and comes when asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.denoising import DenoisingFrame, Sampling, parse_path
from latentlab.core.latents import Latents
from latentlab.core.modelfile import ModelHeader, StoredModel, write_model
from latentlab.core.requests import Failure, JobProgress, JobRequest, JobResult
from latentlab.core.settings import Settings
from latentlab.core.spec import DiffusionFacts, LatentSpace, ModelSpec, PartSpec
from latentlab.services.denoise import DenoisingResult
from latentlab.services.library import ModelLibrary
from latentlab.ui.controller import Controller
from latentlab.ui.main_window import MainWindow
from latentlab.ui.theme import ThemeKeeper
from tests.ui.stage import DEPTH, SIZE
from tests.ui.windows import WindowBridge

STEPS = 6
NAMES = ("smiling", "eyeglasses")
_SHADES = {"x_t": 10, "x0": 90, "eps": 170}


def shade(picture: Any, path: str, index: int, show: str) -> int:
    """Level of a frame: another one for each step, quantity, seed, guidance and branch."""
    sampling = Sampling.from_options(picture.options)
    own = 3 * index + 7 * (picture.seeds[0] if picture.seeds else 0) + round(20 * sampling.guidance)
    return (_SHADES[show] + own + 11 * len(path)) % 256


def image(level: int) -> NDArray[np.uint8]:
    found = np.full((SIZE, SIZE, 3), level, np.uint8)
    found[0, 0] = 255 - level
    return found


def count_of(picture: Any, path: str) -> int:
    count = Sampling.from_options(picture.options).steps
    for branch in parse_path(path):
        if branch.steps is not None:
            count = branch.at + branch.steps
    return count


def frame(picture: Any, path: str, index: int) -> DenoisingFrame:
    count = count_of(picture, path)
    images = [image(shade(picture, path, index, show)) for show in ("x_t", "x0", "eps")]
    t = 1000 * (count - index) / count
    result = image(shade(picture, path, index + 1, "x0")) if index == count else None
    return DenoisingFrame(path, index, count, t, 10.0 / index, *images, result)


class StepBridge(WindowBridge):
    """Answers previews at once, and ``denoise`` a step at a time, when ``advance`` says so."""

    def __init__(self) -> None:
        super().__init__()
        self.running: dict[str, tuple[JobRequest, list[DenoisingFrame]]] = {}
        self.asked: list[JobRequest] = []
        self.seconds = 0.01
        self.slow_cancel = False

    def job(self, request: JobRequest) -> None:
        if request.kind != "denoise":
            super().job(request)
            return
        self.asked.append(request)
        picture, frames = request.arguments["picture"], []
        for path in request.arguments["paths"]:
            first = parse_path(path)[-1].at + 1 if path else 1
            frames += [frame(picture, path, k) for k in range(first, count_of(picture, path) + 1)]
        self.running[request.job] = (request, frames)

    def advance(self, steps: int = 1) -> None:
        """Let every running job make some steps; what has made all of them ends."""
        for job, (request, frames) in list(self.running.items()):
            total = len(frames)
            for k in range(min(steps, total)):
                one = frames.pop(0)
                self.job_progressed.emit(JobProgress(job, k + 1, total, "", (one,)))
            if not frames and job in self.running:
                del self.running[job]
                counts = {p: count_of(request.arguments["picture"], p)
                          for p in request.arguments["paths"]}  # fmt: skip
                latents = Latents("z", {"z": np.zeros((1, DEPTH), np.float32)})
                value = DenoisingResult(counts, total, self.seconds, latents)
                self.job_finished.emit(JobResult(job, value=value))

    def finish(self) -> None:
        """Let everything run to its end, also what is asked for meanwhile."""
        for _ in range(100):
            if not self.running:
                return
            self.advance(1000)
        raise AssertionError("runs are asked for again and again")

    def fail(self, sentence: str, details: str = "") -> None:
        """Let all running jobs fail."""
        running, self.running = self.running, {}
        for job in running:
            self.job_finished.emit(JobResult(job, failure=Failure(sentence, details)))

    def cancel(self, job: str) -> None:
        if self.slow_cancel:
            self.cancelled.append(job)
            return
        self.running.pop(job, None)
        super().cancel(job)

    def end_cancelled(self) -> None:
        """Let what was cancelled end, as a worker does after the step that runs."""
        for job in [job for job in self.cancelled if job in self.running]:
            del self.running[job]
            self.job_finished.emit(JobResult(job, cancelled=True))


def write_step_model(folder: Path, name: str = "steps", **spec: Any) -> Path:
    space = LatentSpace(name="z", parts=(PartSpec(name="z", shape=(DEPTH,)),))
    facts = DiffusionFacts(schedule="cosine", num_timesteps=1000, prediction="v")
    header = ModelHeader(
        config={},
        spec=ModelSpec(
            id=name,
            title=name.title(),
            family="diffusion",
            image_shape=(3, SIZE, SIZE),
            spaces=(space,),
            capabilities=("sample", "decode", "encode", "steps"),
            conditions=("attributes",),
            attribute_names=NAMES,
            diffusion=facts,
            **spec,
        ),
    )
    path = folder / f"{name}.safetensors"
    write_model(path, StoredModel(header, {"bias": np.arange(4, dtype=np.float32) + len(name)}, {}))
    return path


def make_step_controller(folder: Path) -> Any:
    """A controller with a model of many steps, and its bridge; no window."""
    from tests.ui.stage import write_formula_model

    write_step_model(folder)
    write_formula_model(folder, "waves")
    bridge = StepBridge()
    controller = Controller(bridge, Settings(), ModelLibrary([folder]))
    bridge.setParent(controller)
    bridge.restarted.connect(controller.worker_restarted)
    return SimpleNamespace(controller=controller, bridge=bridge)


def make_step_window(folder: Path, qapp: Any) -> Any:
    """The whole window with a model of many steps; its canvas makes six steps."""
    from tests.ui.stage import write_formula_model

    write_step_model(folder)
    write_formula_model(folder, "waves")
    bridge = StepBridge()
    settings = Settings(library_folders=(str(folder),), hint_dismissed=True)
    controller = Controller(bridge, settings, ModelLibrary([folder]))
    theme = ThemeKeeper(qapp, "light")
    window = MainWindow(controller, bridge, theme, ask_unsaved=lambda _window: True)
    for part in (theme, bridge, controller):
        part.setParent(window)
    return window


def open_steps(controller: Controller, steps: int = STEPS) -> None:
    """Open the model of many steps, and let the canvas make so many."""
    controller.open_model("steps")
    canvas = controller.document.canvas
    controller.apply_canvas(canvas.model_copy(update={"options": {"steps": steps}}), "Steps")
