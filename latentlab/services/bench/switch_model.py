"""The flow that benchmarks of switching run: the bundled one, or one of random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latentlab.core.document import Picture, Switch, SwitchSource
from latentlab.core.requests import PreviewRequest, PreviewResult
from latentlab.services.bench.evaluations import EvaluationCounter, counted
from latentlab.services.jobs import JobContext, build_context
from latentlab.services.library import ModelLibrary
from latentlab.services.renderer import Renderer
from latentlab.services.worker_protocol import WorkerSettings

BUNDLED = "portraits-flow"
STAND_IN = "stand-in-flow"
SPACE = "latent"
_ENGINE = "latentlab.services.bench.switch_model:build"


def model_name(folder: Path) -> str:
    """Return the id of the model, made in ``folder`` where none is bundled.

    Untrained weights take as long as trained ones: the figures are of time and order alone.
    """
    from latentlab.backends.checkpoint import state_arrays
    from latentlab.backends.flow import flow_spec
    from latentlab.backends.nn.flow import FlowNetwork
    from latentlab.backends.nn.flow_config import FlowConfig
    from latentlab.core.modelfile import ModelHeader, StoredModel, fingerprint, write_model

    if BUNDLED in [entry.id for entry in ModelLibrary([]).entries() if entry.bundled]:
        return BUNDLED
    # The shape of the bundled recipe.
    config = FlowConfig(
        bits=5,
        global_dim=48,
        global_maps=(48, 64, 96),
        global_prior="flow",
        steps=(6, 8, 8),
        hidden=(64, 112, 144),
        couplings=1,
        encoder=(32, 64, 96),
        encoder_planes=16,
        encoder_norm="group",
    )
    arrays = state_arrays(FlowNetwork(config))
    spec = flow_spec(config, id=STAND_IN, fingerprint=fingerprint(arrays))
    header = ModelHeader(config=config.model_dump(mode="json"), spec=spec)
    write_model(folder / f"{STAND_IN}.safetensors", StoredModel(header, arrays))
    return STAND_IN


def sample_switch(model: str, count: int) -> Switch:
    """Return a matrix of samples, seeds 0 to ``count - 1``."""
    pictures = [Picture(model=model, space=SPACE, seeds=(seed,)) for seed in range(count)]
    sources = tuple(SwitchSource(id=str(n), picture=one) for n, one in enumerate(pictures))
    return Switch(model=model, space=SPACE, sources=sources, by_row=(), pair=())


def worker_settings(folder: Path) -> WorkerSettings:
    """Return settings of a worker whose decoder's evaluations are counted in ``folder``."""
    return WorkerSettings(folders=(str(folder),), engine=_ENGINE)


class _CountedRenderer(Renderer):
    """A renderer whose results say how many evaluations there were."""

    def __init__(self, library: ModelLibrary, counter: EvaluationCounter) -> None:
        super().__init__(library)
        self._counter = counter

    def render(self, request: PreviewRequest) -> Iterator[PreviewResult | None]:
        """Yield the results of a request."""
        return counted(super().render(request), self._counter)


def count_decoding(backend: Any, counter: EvaluationCounter) -> None:
    """Let a counter count every time that a model decodes a batch."""
    decode = backend.decode

    def counting(*arguments: Any, **named: Any) -> Any:
        images = decode(*arguments, **named)
        counter.add()
        return images

    backend.decode = counting


def build(settings: WorkerSettings) -> JobContext:
    """Return the worker's engine; see ``WorkerSettings.engine``."""
    context = build_context(settings)
    folder = Path((settings.folders or (".",))[0])
    counter = EvaluationCounter(folder)
    made = (folder / f"{STAND_IN}.safetensors").exists()
    count_decoding(context.library.backend(STAND_IN if made else BUNDLED), counter)
    return JobContext(context.library, _CountedRenderer(context.library, counter))
