"""Many draws for an image: taken in turns, between which previews come, to the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from latentlab.core.likelihood import DataChoice
from latentlab.services.jobs import JobContext
from latentlab.services.likelihood import DRAWS, likelihood_data_job, likelihood_image_job
from latentlab.services.renderer import Renderer
from tests.flow_models import write_tiny
from tests.services.models import library, write_vae

KINDS = ("flow", "vae")
SAMPLES = 2 * DRAWS + 3


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("models")
    write_tiny(folder / "flow.safetensors")
    write_vae(folder / "vae.safetensors", "vae", image_size=16)
    models = library(folder)
    context = JobContext(models, Renderer(models))
    yield context
    context.lane.stop()


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)


def turns_and_value(work: Any) -> tuple[int, Any]:
    turns = 0
    while True:
        try:
            next(work)
        except StopIteration as stop:
            return turns, stop.value
        turns += 1


def pixels(levels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(levels.astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1


@pytest.mark.parametrize("model", KINDS)
def test_one_image_takes_a_turn_for_some_draws(model: str, context: Any, photo: np.ndarray):
    few, _ = turns_and_value(likelihood_image_job(context, model=model, photo=photo, samples=DRAWS))
    many, found = turns_and_value(
        likelihood_image_job(context, model=model, photo=photo, samples=SAMPLES, seed=4)
    )
    # Two more for the score, two more for the map.
    assert many == few + 4
    backend, options = context.library.backend(model), {"samples": SAMPLES, "seed": 4}
    whole = backend.log_prob(pixels(photo[None]), options=options)
    places = backend.log_prob_map(pixels(photo[None]), options=options)
    assert found.nats == pytest.approx(float(whole.nats[0]), rel=1e-5)
    assert found.bits == pytest.approx(float(whole.bits_per_dim[0]), rel=1e-5)
    wanted = -places.nats[0].numpy() / (3 * np.log(2))
    assert found.places == pytest.approx(wanted, rel=1e-3, abs=1e-4)
    assert found.places.mean() + found.rest == pytest.approx(found.bits, rel=1e-5)


@pytest.mark.parametrize("model", KINDS)
def test_a_data_set_does_too(model: str, context: Any):
    data = DataChoice("prior", count=3)
    turns, scores = turns_and_value(
        likelihood_data_job(context, model=model, data=data, samples=SAMPLES, seed=4)
    )
    few, _ = turns_and_value(
        likelihood_data_job(context, model=model, data=data, samples=DRAWS, seed=4)
    )
    assert turns >= few + 2
    backend = context.library.backend(model)
    whole = backend.log_prob(pixels(scores.images), options={"samples": SAMPLES, "seed": 4})
    assert scores.nats == pytest.approx(whole.nats.numpy(), rel=1e-5)


@pytest.mark.parametrize("model", KINDS)
def test_draws_are_counted_on(model: str, context: Any, photo: np.ndarray):
    backend, image = context.library.backend(model), pixels(photo[None])
    both = [
        backend.log_prob(image, options={"samples": 1, "first": first}).nats.double()
        for first in (0, 1)
    ]
    whole = backend.log_prob(image, options={"samples": 2}).nats.double()
    assert both[0] != both[1]
    wanted = torch.logaddexp(*both) - np.log(2)
    assert whole.numpy() == pytest.approx(wanted.numpy(), rel=1e-6)
