"""Parts of pictures switched: what a matrix costs, and when the row under the hand is there."""

from __future__ import annotations

import queue
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from latentlab.core.document import Picture, Switch
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.pictures import stored_hashes
from latentlab.core.requests import JobProgress, JobRequest, JobResult, PreviewRequest
from latentlab.core.switching import all_cells, cell_latents
from latentlab.services.bench.evaluations import CountedResult, EvaluationCounter
from latentlab.services.bench.train import interval
from latentlab.services.worker_client import WorkerClient, WorkerReady

Report = Callable[[int, int, str], None]

PAIRS = 16
"""Matrices of each way; which comes first changes in turns."""
SIDE = 8
"""Sources of a matrix."""
LARGE = 16
"""Sources of the matrix that is made while a row is asked for."""
ASKED = 6
_GIVE_UP_SECONDS = 120.0


def run(on_progress: Report) -> dict[str, Any]:
    """Return the figures of switching; times in milliseconds, waits in evaluations.

    ``ratio`` is the median over pairs of a matrix of 8 sources, bytes of all 64 cells included, to
    the bare calls of the network that make as many images; ``ratio_round_trip`` likewise with what
    is measured at the diagonal, to the bare calls with these two more.

    ``row_evaluations`` is the largest number of evaluations of the worker's decoder from asking for
    the preview of a row, while a matrix of 16 sources is made, to its images; ``cells_evaluations``
    the largest from asking the job for a row to the last of its cells.
    """
    from latentlab.services.bench.switch_model import model_name, worker_settings
    from latentlab.services.library import ModelLibrary

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        model, total = model_name(folder), 2 * PAIRS + ASKED
        library = ModelLibrary([folder])
        figures: dict[str, Any] = {"model": model, "device": str(library.device())}
        figures |= matrices(library, model, lambda done: on_progress(done, total, "Matrices"))
        asker = Asker(folder, model, worker_settings(folder))
        try:
            figures |= asker.figures(lambda n: on_progress(2 * PAIRS + n, total, "Worker"))
        finally:
            asker.client.stop()
    return figures


# The matrix.


def matrices(
    library: Any, model: str, on_progress: Callable[[int], None], pairs: int = PAIRS
) -> dict[str, Any]:
    """Return the ratios of a matrix to the bare calls of the network; see ``run``."""
    import torch

    from latentlab.services.bench.switch_model import sample_switch
    from latentlab.services.renderer import Renderer

    renderer, switch = Renderer(library), sample_switch(model, SIDE)
    bare = Bare(renderer, switch)
    figures: dict[str, Any] = {}
    for place, round_trip in enumerate((False, True)):
        ours, theirs = [], []
        for pair in range(pairs + 1):
            on_progress(place * pairs + min(pair, pairs - 1))
            spent: dict[bool, float] = {}
            for is_ours in (False, True) if pair % 2 else (True, False):
                begin = time.perf_counter()
                if is_ours:
                    _matrix(renderer, switch, round_trip)
                else:
                    bare(round_trip)
                spent[is_ours] = (time.perf_counter() - begin) * 1e3
            # The first pair finds its memory and its kernels.
            if pair:
                ours.append(spent[True])
                theirs.append(spent[False])
        ratios = [a / b for a, b in zip(ours, theirs)]
        low, high = interval(ratios)
        end = "_round_trip" if round_trip else ""
        figures |= {f"ratio{end}": median(ratios), f"ratio{end}_low": low, f"ratio{end}_high": high}
        figures |= {f"matrix{end}_ms": median(ours), f"bare{end}_ms": median(theirs)}
    return {**figures, "pairs": pairs, "threads": torch.get_num_threads()}


def _matrix(renderer: Any, switch: Switch, round_trip: bool) -> Any:
    from latentlab.services.switch import matrix_turns, sources_of

    turns = matrix_turns(sources_of(renderer, switch, {}), round_trip=round_trip)
    while True:
        try:
            next(turns)
        except StopIteration as stop:
            return stop.value


class Bare:
    """The calls of a flow's network that a matrix needs, on batches that are there already.

    Args:
        renderer: of the model.
        switch: the matrix.
    """

    def __init__(self, renderer: Any, switch: Switch) -> None:
        from latentlab.services.decoding import MICRO_BATCH, to_tensors
        from latentlab.services.switch import sources_of

        sources = sources_of(renderer, switch, {})
        self.backend = sources.backend
        cells = all_cells(SIDE)
        latents = cell_latents(switch, sources.latents, cells, sources.space)
        self._batches = [
            to_tensors(latents.rows(start, start + MICRO_BATCH), self.backend.device)
            for start in range(0, len(cells), MICRO_BATCH)
        ]

    def __call__(self, round_trip: bool) -> None:
        """Make the images, and perhaps encode one batch of them again."""
        import torch

        network = self.backend.network
        with torch.inference_mode():
            for parts in self._batches:
                self._decode(parts)
            if round_trip:
                y = self._decode(self._batches[0])
                network.encode(y, network.z_of(self._batches[0]["global"]))
        if self.backend.device.type == "cuda":
            torch.cuda.synchronize()

    def _decode(self, parts: Any) -> Any:
        network = self.backend.network
        local = [value for name, value in parts.items() if name != "global"]
        return network.decode(local, network.z_of(parts["global"]))


# The worker.


class Asker:
    """Asks a real worker for rows, and counts the evaluations of its decoder meanwhile.

    Args:
        folder: of the model and of the counter.
        model: its id.
        settings: of the worker.
    """

    def __init__(self, folder: Path, model: str, settings: Any) -> None:
        self.counter = EvaluationCounter(folder)
        self._model = model
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._number = 0
        self.client = WorkerClient(self._events.put, settings)
        self.client.start()
        ready = self._events.get(timeout=_GIVE_UP_SECONDS)
        if isinstance(ready, WorkerReady) and ready.failure is not None:
            raise LatentLabError(ready.failure.message, ready.failure.details)

    def figures(self, on_progress: Callable[[int], None], asked: int = ASKED) -> dict[str, Any]:
        """Return what a row takes; see ``run``."""
        from latentlab.services.bench.switch_model import sample_switch

        small, large = sample_switch(self._model, SIDE), sample_switch(self._model, LARGE)
        # Not counted: the first loads the model, and finds its memory and its kernels.
        value, _ = self.job(small, cells=())
        rows, cells = [], []
        for number in range(asked):
            on_progress(number)
            rows.append(self.preview_during(large, small, value.latents, number % SIDE))
            wanted = [(number % SIDE, j) for j in range(SIDE)]
            cells.append(self.job(small, cells=wanted)[1])
        return {
            "row_evaluations": max(evaluations for evaluations, _ in rows),
            "row_ms": median(milliseconds for _, milliseconds in rows),
            "cells_evaluations": max(cells),
        }

    def _ask(self, switch: Switch, **arguments: Any) -> str:
        self._number += 1
        given = {"switch": switch, "stored": {}, "round_trip": False, **arguments}
        self.client.job(JobRequest(f"switch {self._number}", "switch_matrix", given))
        return f"switch {self._number}"

    def job(self, switch: Switch, **arguments: Any) -> tuple[Any, int]:
        """Do a job; return its value, and the evaluations until the last of its cells."""
        before = self.counter.value
        self._ask(switch, **arguments)
        while True:
            event = self._events.get(timeout=_GIVE_UP_SECONDS)
            if isinstance(event, JobResult):
                if event.failure is not None:
                    raise LatentLabError(event.failure.message, event.failure.details)
                return event.value, self.counter.value - before

    def preview_during(
        self, large: Switch, small: Switch, latents: dict[str, Latents], row: int
    ) -> tuple[int, float]:
        """Return evaluations and milliseconds from asking for a row to its images.

        A large matrix is being made meanwhile, and is cancelled then.
        """
        # Many times over, so that it is not done before the row is asked for.
        job = self._ask(large, cells=all_cells(LARGE) * 8)
        while not self._is_partial(self._events.get(timeout=_GIVE_UP_SECONDS)):
            pass
        request = self._row(small, latents, row)
        before, begin = self.counter.value, time.perf_counter()
        self.client.preview(request)
        found: tuple[int, float] | None = None
        while True:
            event = self._events.get(timeout=_GIVE_UP_SECONDS)
            if isinstance(event, CountedResult):
                if event.failure is not None:
                    raise LatentLabError(event.failure.message, event.failure.details)
                found = event.evaluations - before, (time.perf_counter() - begin) * 1e3
                self.client.cancel(job)
            elif isinstance(event, JobResult):
                if found is None:
                    raise LatentLabError("The matrix was there before the row: no wait was seen.")
                return found

    @staticmethod
    def _is_partial(event: Any) -> bool:
        return isinstance(event, JobProgress) and event.partial is not None

    def _row(self, switch: Switch, latents: dict[str, Latents], row: int) -> PreviewRequest:
        names = [part for part in next(iter(latents.values())) if part != "global"]
        ids = [source.id for source in switch.sources]
        parts = {name: np.concatenate([latents[one][name] for one in ids]) for name in names}
        parts["global"] = np.repeat(latents[ids[row]]["global"], len(ids), axis=0)
        rows = Latents(switch.space, parts)
        picture = Picture(model=self._model, space=switch.space, stored=stored_hashes(rows))
        return PreviewRequest("switch", self._number, picture, rows)
