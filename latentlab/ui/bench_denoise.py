"""The window of the benchmark ``denoise_flood``: a slider of one panel, a run in another."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.noise import noise
from latentlab.core.requests import JobRequest, PreviewRequest, PreviewResult
from latentlab.services.bench.evaluations import (
    ENGINE,
    FOLDER,
    MODEL,
    CountedResult,
    EvaluationCounter,
)
from latentlab.services.worker_protocol import WorkerSettings
from latentlab.ui.bench_flood import Flood, flood

_SLIDER = "slider"
_STEPS, _RUN_STEPS = 25, 1000
_SHAPE = (3, 32, 32)


class DenoiseFlood(Flood):
    """A slider that moves the noise of a diffusion model, while a long run is denoised.

    Args:
        folder: of the model and of the counter.
        model: its id.
    """

    channel = "strip"

    def __init__(self, folder: Path, model: str) -> None:
        self._model = model
        vector = noise(0, "bench", 0, _SHAPE)
        vector /= np.linalg.norm(vector)
        self._direction = Direction(_SLIDER, "noise", {"noise": vector}, 10.0, "random")
        self._counter = EvaluationCounter(folder)
        self._at_release = self._settled_at = self._settle_evaluations = 0
        self._final_ms = 0.0
        self._run_steps: list[float] = []
        super().__init__(WorkerSettings(folders=(str(folder),), engine=ENGINE))
        self.bridge.job_progressed.connect(self._progress)
        self.bridge.job_finished.connect(self._start_run)

    def picture(self, value: float) -> Picture:
        """Return the picture of the slider at ``value``."""
        options = {"steps": _STEPS}
        return Picture(
            model=self._model, space="noise", seeds=(0,), edits={_SLIDER: value}, options=options
        )

    def request(self, value: float) -> PreviewRequest:
        """Return what the slider asks for; the direction is the person's own."""
        own = {_SLIDER: self._direction}
        return PreviewRequest(self.channel, self._sequence, self.picture(value), directions=own)

    def let_go(self) -> None:
        """Note how many evaluations there were."""
        self._at_release = self._counter.value

    def _start_run(self, *_: object) -> None:
        """Denoise a long run, again and again."""
        picture = Picture(
            model=self._model, space="noise", seeds=(7,), options={"steps": _RUN_STEPS}
        )
        job = f"run {time.perf_counter()}"
        self.bridge.job(JobRequest(job, "denoise", {"picture": picture}, title="Denoising"))

    def _progress(self, event: Any) -> None:
        if event.partial is not None:
            self._run_steps.append(time.perf_counter())

    def _take(self, result: PreviewResult) -> None:
        begun = bool(self._first)
        last = bool(self._released) and result.sequence == self._sequence
        if last and isinstance(result, CountedResult) and not self._settled:
            self._settle_evaluations = result.evaluations - self._at_release
        if last and result.final:
            self._final_ms = (time.perf_counter() - self._released) * 1e3
        if last and self._settled:
            # A better image of what is settled.
            if result.images is not None:
                self.view.show_frame(result.sequence, result.images[0])
            self._leave(result)
            return
        super()._take(result)
        if not begun and self._first:
            self._start_run()

    def settled(self) -> None:
        """The rough image is there; its last one is waited for."""

    def _leave(self, result: PreviewResult) -> None:
        if result.final or result.failure is not None:
            self.end_soon()

    def figures(self) -> dict[str, Any]:
        """Return what was measured; see ``services.bench.denoise_flood``."""
        dragging = [at for at in self._run_steps if self._drag_began <= at <= self._released]
        return super().figures() | {
            "settle_evaluations": self._settle_evaluations,
            "run_steps": len(self._run_steps),
            "run_steps_dragging": len(dragging),
            "final_ms": round(self._final_ms, 1),
        }


def main() -> None:
    """Print the figures as one line of JSON."""
    folder, model = Path(os.environ[FOLDER]), os.environ[MODEL]
    print(json.dumps(flood(lambda: DenoiseFlood(folder, model))))
