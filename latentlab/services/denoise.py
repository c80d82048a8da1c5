"""A denoising run that is watched: job ``denoise``. Importing this module imports no torch.

The run is one row in a batch of its own, so that every frame comes as soon as one evaluation of
the network allows. What is kept or exported is computed in the fixed micro-batch instead (see
``services.renderer``), in which sums are rounded otherwise: a kept frame may differ from the
watched one by a level of 255, and is the same to the bit as the one of an exported strip or film.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentlab.core.denoising import DenoisingFrame, Sampling, parse_path
from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.pictures import check_stored
from latentlab.core.row_keys import row_keys
from latentlab.core.run_text import duration

if TYPE_CHECKING:
    from latentlab.backends.base import DiffusionStep
    from latentlab.services.denoise_runs import Runs, StateCache
    from latentlab.services.jobs import JobContext
    from latentlab.services.renderer import Renderer

Progress = tuple[int, int, str] | tuple[int, int, str, tuple[DenoisingFrame, ...]]

_CACHES: weakref.WeakKeyDictionary[JobContext, StateCache] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class DenoisingResult:
    """What came of a run and its branches.

    Attributes:
        counts: steps of the whole run by path, those before a branch included.
        evaluations: of the network, steps that only led to a branching point included.
        seconds_per_step: of one evaluation, conversion to pixels included.
        latents: one row, edits included.
    """

    counts: Mapping[str, int]
    evaluations: int
    seconds_per_step: float
    latents: Latents


class FrameMaker:
    """Makes frames of steps: the first image of the batch, as it is shown.

    The pixels are those of ``decode`` with ``stop_at`` and ``show``, because both come from
    ``backends.diffusion_run.shown``.
    """

    def __init__(self) -> None:
        from latentlab.services.decoding import HostCopy

        self._fetch = HostCopy()

    def __call__(self, path: str, step: DiffusionStep) -> DenoisingFrame:
        """Return the frame of a step of the run ``path``.

        Raises:
            LatentLabError: the network gave values that are not finite.
        """
        import torch

        from latentlab.backends.diffusion_run import shown

        images = [shown(step, "x_t"), shown(step, "x0"), shown(step, "eps")]
        images += [] if step.result is None else [step.result]
        # One copy for all: on a GPU each would wait for the device.
        with torch.inference_mode():
            levels, _ = self._fetch(torch.cat([image[:1] for image in images]))
        x_t, x0, eps, *result = levels
        return DenoisingFrame(
            branch=path,
            index=step.index,
            count=step.count,
            t=step.t,
            sigma=step.sigma,
            x_t=x_t,
            x0=x0,
            eps=eps,
            result=result[0] if result else None,
        )


def runs_of(
    renderer: Renderer,
    picture: Picture,
    stored: Latents | None,
    directions: Mapping[str, Direction] | None,
    cache: StateCache,
    rows: int = 1,
) -> tuple[Runs, Latents]:
    """Return the runs of a picture, and its one row of latents, edits included.

    Raises:
        LatentLabError: the model makes no steps, or the picture is none of exactly one image.
    """
    from latentlab.services.denoise_runs import Runs, check_steps

    backend: Any = renderer.library.backend(picture.model)
    check_steps(backend)
    check_stored(picture, stored)
    latents = renderer.latents(picture, stored, directions)
    if latents.batch != 1:
        raise LatentLabError(
            f"This picture has {latents.batch} images: choose one of them to denoise step by step."
        )
    (key,) = row_keys(picture, stored)
    sampling = Sampling.from_options(picture.options)
    return Runs(backend, latents, key, picture.condition, sampling, cache, rows), latents


class Estimate:
    """How many evaluations some runs take: guessed until a run has said it.

    Args:
        sampling: of the picture.
        paths: of the runs that are made.
    """

    def __init__(self, sampling: Sampling, paths: Sequence[str]) -> None:
        self._sampling, self._paths = sampling, paths
        self.counts: dict[str, int] = {}

    def _count(self, path: str) -> int:
        if path in self.counts:
            return self.counts[path]
        if not path:
            return self._sampling.steps
        branch = parse_path(path)[-1]
        if branch.steps is not None:
            return branch.at + branch.steps
        return self._count(path.rpartition("/")[0])

    @property
    def total(self) -> int:
        """Steps of all runs, shared ones counted once."""
        ats = [parse_path(path)[-1].at if path else 0 for path in self._paths]
        return sum(max(self._count(path) - at, 1) for path, at in zip(self._paths, ats))


def _cache(context: JobContext) -> StateCache:
    from latentlab.services.denoise_runs import StateCache

    return _CACHES.setdefault(context, StateCache())


def denoise_job(
    context: JobContext,
    *,
    picture: Picture,
    stored: Latents | None = None,
    directions: Mapping[str, Direction] | None = None,
    paths: Sequence[str] = ("",),
) -> Generator[Progress, None, DenoisingResult]:
    """Denoise a picture of one image; each turn is one evaluation of the network.

    A turn that made a frame carries it as partial, a tuple of one ``DenoisingFrame``. A branch
    sends the frames of its own steps alone, and begins at once where the states of the run that it
    leaves are still remembered.

    Args:
        context: of the job.
        picture: its options ``branch``, ``stop_at`` and ``show`` are left aside.
        stored: the latents that ``picture.stored`` names.
        directions: the person's own that the picture's edits name.
        paths: runs to make, in this order; the empty one is the run itself.

    Raises:
        LatentLabError: not a model with steps, not one image, or a path that cannot be.
    """
    yield 0, 1, "Reading the model"
    runs, latents = runs_of(context.renderer, picture, stored, directions, _cache(context))
    runs.check(paths)
    estimate = Estimate(Sampling.from_options(picture.options), paths)
    maker, begin, done, busy = FrameMaker(), time.monotonic(), 0, 0.0
    for path in paths:
        turn = time.perf_counter()
        for step in runs.steps(path):
            if step is None:
                busy += time.perf_counter() - turn
                yield done, max(done + 1, estimate.total), "Going back to the branching point"
            else:
                estimate.counts[path] = step.count
                frame = maker(path, step)
                busy += time.perf_counter() - turn
                done += 1
                total = max(done, estimate.total)
                left = duration((time.monotonic() - begin) / done * (total - done))
                yield done, total, f"Step {step.index} of {step.count}, {left} left", (frame,)
            # What others did in between is none of its time.
            turn = time.perf_counter()
    return DenoisingResult(
        estimate.counts, runs.evaluations, busy / max(runs.evaluations, 1), latents
    )
