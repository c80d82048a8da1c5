"""The diffusion model that benchmarks run: the bundled one, or its size with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from latentlab.core.document import Picture
from latentlab.core.requests import PreviewRequest, PreviewResult
from latentlab.services.bench.evaluations import ENGINE, EvaluationCounter, counted
from latentlab.services.jobs import JobContext, build_context
from latentlab.services.library import ModelLibrary
from latentlab.services.renderer import Renderer
from latentlab.services.worker_protocol import WorkerSettings

if TYPE_CHECKING:
    from latentlab.backends.nn.diffusion import DiffusionConfig, DiffusionNetwork

BUNDLED = "portraits-diffusion"
STAND_IN = "stand-in-diffusion"
STEPS = 25


def model_name(folder: Path) -> str:
    """Return the id of the model, made in ``folder`` where none is bundled.

    Untrained weights take as long as trained ones: the figures are of time and order alone.
    """
    from latentlab.backends.checkpoint import state_arrays
    from latentlab.backends.diffusion import diffusion_spec
    from latentlab.backends.nn.diffusion import DiffusionConfig
    from latentlab.core.modelfile import ModelHeader, StoredModel, fingerprint, write_model

    bundled = [entry.id for entry in ModelLibrary([]).entries() if entry.bundled]
    if BUNDLED in bundled:
        return BUNDLED
    config = DiffusionConfig(patch=2, attribute_names=("smiling", "eyeglasses"))
    arrays = state_arrays(_network(config))
    spec = diffusion_spec(config, id=STAND_IN, fingerprint=fingerprint(arrays))
    header = ModelHeader(config=config.model_dump(mode="json"), spec=spec)
    write_model(folder / f"{STAND_IN}.safetensors", StoredModel(header, arrays))
    return STAND_IN


def _network(config: DiffusionConfig) -> DiffusionNetwork:
    """Return a network of random weights, without the zeros that would make every picture alike."""
    import torch

    from latentlab.backends.nn.diffusion import DiffusionNetwork

    network = DiffusionNetwork(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.add_(0.02 * torch.randn(tensor.shape, generator=generator))
    return network


def run_picture(model: str, *seeds: int, **options: float | int | str) -> Picture:
    """Return the picture of a run."""
    return Picture(model=model, space="noise", seeds=seeds, options={"steps": STEPS, **options})


def worker_settings(folder: Path) -> WorkerSettings:
    """Return settings of a worker whose evaluations are counted in ``folder``."""
    return WorkerSettings(folders=(str(folder),), engine=ENGINE)


class _CountedRenderer(Renderer):
    """A renderer whose results say how many evaluations there were."""

    def __init__(self, library: ModelLibrary, counter: EvaluationCounter) -> None:
        super().__init__(library)
        self._counter = counter

    def render(self, request: PreviewRequest) -> Iterator[PreviewResult | None]:
        """Yield the results of a request."""
        return counted(super().render(request), self._counter)


def build(settings: WorkerSettings) -> JobContext:
    """Return the worker's engine; see ``WorkerSettings.engine``."""
    context = build_context(settings)
    folder = Path((settings.folders or (".",))[0])
    counter = EvaluationCounter(folder)
    made = (folder / f"{STAND_IN}.safetensors").exists()
    backend = context.library.backend(STAND_IN if made else BUNDLED)
    backend.network.register_forward_hook(lambda *_: counter.add())
    return JobContext(context.library, _CountedRenderer(context.library, counter))
