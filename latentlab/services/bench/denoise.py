"""Denoising that is watched: what previews cost, when the first one comes, when Cancel works."""

from __future__ import annotations

import queue
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from latentlab.core.denoising import SAMPLERS
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.requests import JobProgress, JobRequest, JobResult, PreviewRequest
from latentlab.services.bench.evaluations import CountedResult, EvaluationCounter
from latentlab.services.bench.train import interval
from latentlab.services.worker_client import WorkerClient, WorkerReady

if TYPE_CHECKING:
    from torch import Tensor

Report = Callable[[int, int, str], None]

PAIRS = 24
"""Runs of each loop of the default sampler; which comes first changes in turns."""
OTHER_PAIRS = 6
ASKED = 8
"""Previews, grids and cancelled jobs that are looked at."""
GRID = 12
_GIVE_UP_SECONDS = 120.0
_EQUAL = tuple(row.id for row in SAMPLERS if row.noise != "always" and row.id != "heun")
"""Samplers whose two loops make the same picture: they inject no noise, and our Heun begins where
its correction holds, with other sigmas than the bare one."""


def run(on_progress: Report) -> dict[str, Any]:
    """Return the figures of watched denoising; times in milliseconds, waits in evaluations.

    ``ratio`` is the median over pairs of a run of 25 steps of one image, its predicted image
    quantised to bytes at every step, to the bare loop of ``diffusers`` without any; the same for
    every sampler as ``ratio_<sampler>``. ``difference`` is the largest between the two results, of
    the samplers that are meant to give the same.

    ``first_evaluations`` is the largest number of evaluations of the worker's network from asking
    for a picture of 25 steps to its first image, ``grid_evaluations`` likewise for 12 images, and
    ``cancel_evaluations`` the largest number that ended after Cancel was sent.
    """
    from latentlab.services.bench.denoise_model import model_name, worker_settings
    from latentlab.services.library import ModelLibrary

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        model = model_name(folder)
        backend = ModelLibrary([folder]).backend(model)
        total = PAIRS + OTHER_PAIRS * (len(SAMPLERS) - 1) + 3 * ASKED
        figures: dict[str, Any] = {"model": model, "device": str(backend.device)}
        figures |= loops(backend, on_progress, total)
        asker = Asker(folder, model, worker_settings(folder))
        try:
            before = total - 3 * ASKED
            figures |= asker.figures(lambda done: on_progress(before + done, total, "Worker"))
        finally:
            asker.client.stop()
    return figures


# The loop.


def loops(
    backend: Any,
    on_progress: Report,
    total: int,
    pairs: int = PAIRS,
    other_pairs: int = OTHER_PAIRS,
    steps: int = 25,
) -> dict[str, Any]:
    """Return the ratios of our loop with previews to the bare one; see ``run``."""
    import torch

    figures: dict[str, Any] = {}
    done, difference = 0, 0.0
    for place, row in enumerate(SAMPLERS):
        ratios, ours_ms, bare_ms, gap = [], [], [], 0.0
        for pair in range((other_pairs if place else pairs) + 1):
            on_progress(done, total, f"Loops, {row.title}")
            ways = (watched, bare) if pair % 2 else (bare, watched)
            noise = torch.from_numpy(_noise(backend, pair)).to(backend.device)
            spent, found = {}, {}
            for way in ways:
                begin = time.perf_counter()
                found[way] = way(backend, noise, row.id, steps)
                spent[way] = (time.perf_counter() - begin) * 1e3
            # The first pair finds its memory and its kernels.
            if not pair:
                continue
            done += 1
            ratios.append(spent[watched] / spent[bare])
            ours_ms.append(spent[watched] / steps)
            bare_ms.append(spent[bare] / steps)
            gap = max(gap, float((found[watched] - found[bare]).abs().max()))
        difference = max(difference, gap) if row.id in _EQUAL else difference
        if not place:
            low, high = interval(ratios)
            figures |= {"ratio": median(ratios), "ratio_low": low, "ratio_high": high}
            figures |= {"step_ms": median(ours_ms), "bare_step_ms": median(bare_ms)}
            figures["pairs"] = len(ratios)
        figures[f"ratio_{row.id}"] = median(ratios)
    return {**figures, "difference": difference, "threads": torch.get_num_threads()}


def _noise(backend: Any, seed: int) -> Any:
    from latentlab.core.noise import noise_rows

    return noise_rows((seed,), "prior.noise", backend.spec.image_shape)


def watched(backend: Any, noise: Tensor, sampler: str, steps: int) -> Tensor:
    """Denoise by our loop; the predicted image becomes bytes at every step."""
    import torch

    from latentlab.services.decoding import HostCopy

    fetch, options = HostCopy(), {"sampler": sampler, "steps": steps, "clip": False}
    result: Tensor | None = None
    run_steps = backend.steps({"noise": noise}, options={**options, "row_keys": (0,)})
    while True:
        with torch.inference_mode():
            step = next(run_steps, None)
            if step is None:
                break
            fetch(step.preview)
        result = step.result
    if result is None:
        raise RuntimeError("the run ended before its last step")
    _settle(backend)
    return result


def bare(backend: Any, noise: Tensor, sampler: str, steps: int) -> Tensor:
    """Denoise by the loop that everybody writes around a scheduler of ``diffusers``."""
    import torch

    from latentlab.backends.solvers import Rules, build_scheduler

    schedule = backend.config.noise_schedule()
    rules = Rules(schedule, backend.config.prediction, "trailing", clip=False)
    width = backend.config.condition_dim
    with torch.inference_mode():
        scheduler = build_scheduler(sampler, rules)
        scheduler.set_timesteps(steps, device=backend.device)
        condition = torch.zeros(1, width, device=backend.device) if width else None
        x = noise.contiguous(memory_format=torch.channels_last) * scheduler.init_noise_sigma
        for time_step in scheduler.timesteps:
            scaled = scheduler.scale_model_input(x, time_step)
            output = backend.network(scaled, time_step.expand(len(x)), condition)
            x = scheduler.step(output, time_step, x, return_dict=False)[0]
    _settle(backend)
    clamped: Tensor = x.clamp(-1, 1)
    return clamped


def _settle(backend: Any) -> None:
    if backend.device.type == "cuda":
        import torch

        torch.cuda.synchronize()


# The worker.


class Asker:
    """Asks a real worker, and counts the evaluations of its network meanwhile.

    Args:
        folder: of the model and of the counter.
        model: its id.
        settings: of the worker.
    """

    def __init__(self, folder: Path, model: str, settings: Any) -> None:
        self.counter = EvaluationCounter(folder)
        self._model = model
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._sequence = 0
        self.client = WorkerClient(self._events.put, settings)
        self.client.start()
        ready = self._next()
        if isinstance(ready, WorkerReady) and ready.failure is not None:
            raise LatentLabError(ready.failure.message, ready.failure.details)

    def figures(self, on_progress: Callable[[int], None]) -> dict[str, Any]:
        """Return what previews, grids and Cancel take; see ``run``."""
        # Not counted: the first finds its memory and its kernels.
        self.preview(1)
        singles, grids, cancels = [], [], []
        for place in range(ASKED):
            on_progress(3 * place)
            singles.append(self.preview(1))
            grids.append(self.preview(GRID))
            cancels.append(self.cancel(after=2 + place))
        return {
            "first_evaluations": max(one["evaluations"] for one in singles),
            "first_ms": median(one["first_ms"] for one in singles),
            "last_ms": median(one["last_ms"] for one in singles),
            "images_shown": median(one["images"] for one in singles),
            "grid_evaluations": max(one["evaluations"] for one in grids),
            "grid_first_ms": median(one["first_ms"] for one in grids),
            "grid_last_ms": median(one["last_ms"] for one in grids),
            "cancel_evaluations": max(evaluations for evaluations, _ in cancels),
            "cancel_ms": median(milliseconds for _, milliseconds in cancels),
        }

    def _next(self) -> Any:
        return self._events.get(timeout=_GIVE_UP_SECONDS)

    def _picture(self, count: int, **options: int) -> Picture:
        from latentlab.services.bench.denoise_model import run_picture

        self._sequence += 1
        first = self._sequence * 1000
        return run_picture(self._model, *range(first, first + count), **options)

    def preview(self, count: int) -> dict[str, float]:
        """Ask for ``count`` images; return the evaluations until the first and the times."""
        picture = self._picture(count)
        before, begin = self.counter.value, time.perf_counter()
        self.client.preview(PreviewRequest("bench", self._sequence, picture))
        first, images = None, 0
        while True:
            result = self._next()
            if not isinstance(result, CountedResult) or result.failure is not None:
                raise LatentLabError(f"The worker made no picture: {result}.")
            images += 1
            now = (time.perf_counter() - begin) * 1e3
            first = first or (result.evaluations - before, now)
            if result.final:
                return {
                    "evaluations": first[0],
                    "first_ms": first[1],
                    "last_ms": now,
                    "images": images,
                }

    def cancel(self, after: int) -> tuple[int, float]:
        """Cancel a run of 1,000 steps after some; return evaluations and milliseconds to its end.

        Args:
            after: reports of steps.
        """
        job = f"denoise {self._sequence}"
        picture = self._picture(1, steps=1000)
        self.client.job(JobRequest(job, "denoise", {"picture": picture}))
        seen, before, begin = 0, 0, 0.0
        while True:
            event = self._next()
            if isinstance(event, JobResult):
                if not event.cancelled:
                    raise LatentLabError(f"The run was not cancelled: {event.failure}.")
                return self.counter.value - before, (time.perf_counter() - begin) * 1e3
            seen += isinstance(event, JobProgress) and event.partial is not None
            if seen == after and not begin:
                before, begin = self.counter.value, time.perf_counter()
                self.client.cancel(job)
