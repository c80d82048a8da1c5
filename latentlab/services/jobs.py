"""The kinds of long work, and what a job is given. Torch is imported when a context is built.

A job is ``def job(context, **arguments)``: a generator that yields (done, total, message) or (done,
total, message, partial), or ``None`` while it waits for something outside, and returns its value.
What it yields and returns can cross to another process, and importing its class needs no torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentlab.core.errors import LatentLabError
from latentlab.core.requests import JobProgress, JobRequest
from latentlab.services.failures import describe_failure, is_out_of_memory
from latentlab.services.lane import CpuLane
from latentlab.services.targets import load_target
from latentlab.services.worker_protocol import WorkerSettings

if TYPE_CHECKING:
    from latentlab.services.library import ModelLibrary
    from latentlab.services.renderer import Renderer

JOBS: dict[str, str] = {
    "open_model": "latentlab.services.photo:open_model_job",
    "encode_photo": "latentlab.services.photo:encode_photo_job",
    "export_png": "latentlab.services.photo:export_png_job",
    "export_latents": "latentlab.services.photo:export_latents_job",
    "import_latents": "latentlab.services.photo:import_latents_job",
    "store_directions": "latentlab.services.photo:store_directions_job",
    "label_names": "latentlab.services.directions:label_names",
    "fit_label_directions": "latentlab.services.directions:fit_label_directions",
    "fit_group_direction": "latentlab.services.directions_groups:fit_group_direction",
    "difference_direction": "latentlab.services.directions_groups:difference_direction",
    "picture_latents": "latentlab.services.directions_groups:picture_latents",
    "principal_component_directions": (
        "latentlab.services.directions_axes:principal_component_directions"
    ),
    "map_points": "latentlab.services.maps:map_points",
    "map_layout": "latentlab.services.maps:map_layout",
    "map_neighbours": "latentlab.services.maps:map_neighbours",
    "map_images": "latentlab.services.maps:map_images",
    "measure_effects": "latentlab.services.directions_effects:measure_effects",
    "orthogonalise_directions": "latentlab.services.directions_effects:orthogonalise_directions",
    "look_at_run": "latentlab.services.run_models:look_at_run",
    "dimension_directions": "latentlab.services.directions_axes:dimension_directions",
    "sample_film": "latentlab.services.film:sample_film_job",
    "denoise": "latentlab.services.denoise:denoise_job",
    "export_denoising": "latentlab.services.denoise_export:export_denoising_job",
    "preview_data": "latentlab.services.data_preview:preview_data",
    "fit_photo": "latentlab.services.photo_denoise:fit_photo_job",
    "sample_portrait": "latentlab.services.photo_denoise:sample_portrait_job",
    "invert_photo": "latentlab.services.photo_denoise:invert_photo_job",
    "read_condition": "latentlab.services.photo_denoise:read_condition_job",
    "likelihood_image": "latentlab.services.likelihood:likelihood_image_job",
    "likelihood_data": "latentlab.services.likelihood:likelihood_data_job",
    "switch_matrix": "latentlab.services.switch:switch_matrix_job",
    "switch_check": "latentlab.services.switch:switch_check_job",
    "switch_mix": "latentlab.services.switch:switch_mix_job",
    "export_switch": "latentlab.services.switch_export:export_switch_job",
}
"""Job function by kind, as ``module:function``."""

_WAIT_SECONDS = 0.02


@dataclass(eq=False)
class JobContext:
    """What a job works with.

    Attributes:
        library: the models.
        renderer: of these models.
        lane: runs what cannot yield, in a process of its own.
        figures: what the engine says about itself, for ``WorkerReady``.
    """

    library: ModelLibrary
    renderer: Renderer
    lane: CpuLane = field(default_factory=CpuLane)
    figures: Mapping[str, Any] = field(default_factory=dict)


def build_context(settings: WorkerSettings) -> JobContext:
    """Import torch and return the context that serves real models.

    Raises:
        LatentLabError: there is no such device here.
    """
    from latentlab.services.device import choose_device, set_threads
    from latentlab.services.library import ModelLibrary
    from latentlab.services.renderer import Renderer

    set_threads(settings.threads)
    choose_device(settings.device)
    folders = None if settings.folders is None else [Path(name) for name in settings.folders]
    roots = [Path(name) for name in settings.run_roots]
    library = ModelLibrary(folders, device=settings.device, run_roots=roots)
    return JobContext(library, Renderer(library))


def start_job(
    context: JobContext, request: JobRequest, jobs: Mapping[str, str] | None = None
) -> Generator[Any, None, Any]:
    """Return the generator of a job.

    Args:
        context: given to the job.
        request: what to do.
        jobs: further kinds beside ``JOBS``.

    Raises:
        LatentLabError: no such kind.
    """
    target = {**JOBS, **(jobs or {})}.get(request.kind)
    if target is None:
        raise LatentLabError(f"There is no job '{request.kind}'; known: {', '.join(JOBS)}.")
    steps = load_target(target)(context, **request.arguments)
    if not isinstance(steps, Generator):
        raise TypeError(f"{target} is no generator")
    return steps


def run_job(
    request: JobRequest,
    on_progress: Callable[[JobProgress], None] | None = None,
    context: JobContext | None = None,
) -> Any:
    """Do a job in this process, as the command line does, and return its value.

    Args:
        request: what to do.
        on_progress: gets every report.
        context: what to work with; a new one when not given.

    Raises:
        LatentLabError: the job failed for a reason that a person can mend.
    """
    own = context is None
    context = context or build_context(WorkerSettings())
    try:
        steps = start_job(context, request)
        try:
            return _follow(steps, request.job, on_progress)
        finally:
            steps.close()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        failure = describe_failure(error)
        raise LatentLabError(failure.message, failure.details) from error
    finally:
        if own:
            context.lane.stop()


def _follow(
    steps: Generator[Any, None, Any],
    job: str,
    on_progress: Callable[[JobProgress], None] | None,
) -> Any:
    while True:
        try:
            progress = next(steps)
        except StopIteration as stop:
            return stop.value
        if progress is None:
            time.sleep(_WAIT_SECONDS)
        elif on_progress is not None:
            on_progress(JobProgress(job, *progress))
