"""An engine without torch for the worker's tests: what it does is said by the picture's name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.requests import PreviewRequest, PreviewResult
from latentlab.services.jobs import JobContext
from latentlab.services.library import ModelLibrary
from latentlab.services.worker_protocol import WorkerSettings

if TYPE_CHECKING:
    from latentlab.services.renderer import Renderer


def wait_for(path: str | Path) -> None:
    """Wait until a file is there; a test that failed meanwhile leaves its folder behind."""
    for _ in range(6000):
        if Path(path).exists():
            return
        time.sleep(0.005)
    raise TimeoutError(path)


class NamedRenderer:
    """``wait PATH``, ``die``, ``exit``, ``error``, ``latents``, or an image of the sequence."""

    def render(self, request: PreviewRequest) -> Iterator[PreviewResult]:
        word, _, rest = request.picture.name.partition(" ")
        latents = None
        if word == "wait":
            Path(f"{rest}.began").touch()
            wait_for(rest)
        elif word == "die":
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
        elif word == "exit":
            os._exit(3)
        elif word == "error":
            raise LatentLabError("The picture is empty: choose another.", "because")
        elif word == "latents":
            latents = request.stored
        images = np.full((1, 64, 64, 3), request.sequence % 256, np.uint8)
        images.flags.writeable = False
        yield PreviewResult(request.channel, request.sequence, images=images, latents=latents)


def build(settings: WorkerSettings) -> JobContext:
    """The engine of ``WorkerSettings.engine``."""
    return JobContext(
        ModelLibrary([], device="cpu"),
        cast("Renderer", NamedRenderer()),
        figures={"priority": _niceness()},
    )


def _niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, "getpriority") else -1


def broken(settings: WorkerSettings) -> JobContext:
    """An engine that cannot be built."""
    raise LatentLabError(f"There is no device '{settings.device}' here: choose another.")


def count_job(
    context: JobContext, *, steps: int, value: Any = None, mark: str = "", gate: str = ""
) -> Generator[Any, None, Any]:
    """Count; touch ``mark`` when closed before the end; wait for ``gate`` after the first step."""
    try:
        for done in range(steps):
            yield done, steps, "counting"
            if gate and done == 0:
                while not Path(gate).exists():
                    yield None
    except GeneratorExit:
        if mark:
            Path(mark).touch()
        raise
    return value


def large_job(context: JobContext, *, array: Any) -> Generator[Any, None, Any]:
    """Return a large array and latents; the argument's sum is in the message."""
    yield 0, 1, str(int(array.sum()))
    large = np.arange(1_000_000, dtype=np.float32).reshape(1000, 1000)
    return {"large": large, "latents": Latents("z", {"z": large[:2], "empty": large[:2, :0]})}


def unpicklable_job(context: JobContext) -> Generator[Any, None, Any]:
    """Return what cannot cross."""
    yield 0, 1, ""
    return lambda: None


def torch_job(context: JobContext) -> Generator[Any, None, Any]:
    """Return what would make the reader import torch."""
    yield 0, 1, ""
    import torch

    return torch.float32


def no_generator_job(context: JobContext) -> int:
    """No job at all."""
    return 1


def where_job(context: JobContext) -> Generator[Any, None, int]:
    """Return the id of the process that does it."""
    yield 0, 1, ""
    return os.getpid()


def lane_job(context: JobContext, *, target: str, **arguments: Any) -> Generator[Any, None, Any]:
    """Do a piece of work in the lane."""
    value = yield from context.lane.run(target, **arguments)
    return value


JOBS = {
    "count": "tests.services.engine:count_job",
    "large": "tests.services.engine:large_job",
    "unpicklable": "tests.services.engine:unpicklable_job",
    "torch": "tests.services.engine:torch_job",
    "where": "tests.services.engine:where_job",
    "lane": "tests.services.engine:lane_job",
    "no_generator": "tests.services.engine:no_generator_job",
}

SETTINGS = WorkerSettings(engine="tests.services.engine:build", jobs=JOBS)
