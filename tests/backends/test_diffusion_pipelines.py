"""The same pictures as the pipelines of ``diffusers``, given the same noise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from latentlab.backends.diffusion import DiffusionBackend
from latentlab.backends.diffusion_run import noise_key
from latentlab.core.noise import noise
from tests.diffusion_models import tiny_diffusion

SEEDS = [5, 6]
STEPS = 10


@pytest.fixture(scope="module")
def backend() -> DiffusionBackend:
    return tiny_diffusion(attribute_names=(), schedule="linear", prediction="epsilon")


def draws(backend: DiffusionBackend, first: int) -> Iterator[torch.Tensor]:
    """The noise of steps, as ours draws it, from the first one that injects some."""
    for index in range(first, STEPS):
        rows = [noise(noise_key(0, s), "sampler", index, backend.spec.image_shape) for s in SEEDS]
        yield torch.from_numpy(np.stack(rows))


def run(pipeline: object, module: object, scheduler: object, monkeypatch, queue, **options):
    for place in (module, scheduler):
        monkeypatch.setattr(place, "randn_tensor", lambda *_a, **_k: next(queue))
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(
        batch_size=len(SEEDS), num_inference_steps=STEPS, output_type="np", **options
    ).images
    monkeypatch.undo()
    return torch.from_numpy(images).permute(0, 3, 1, 2) * 2 - 1


def ours(backend: DiffusionBackend, start: dict, **options: object) -> torch.Tensor:
    given = {"steps": STEPS, "spacing": "leading", "row_keys": SEEDS, **options}
    return backend.decode(start, options=given)


def test_ddpm_is_the_pipeline(backend: DiffusionBackend, monkeypatch) -> None:
    from diffusers import DDPMPipeline, DDPMScheduler
    from diffusers.pipelines.ddpm import pipeline_ddpm
    from diffusers.schedulers import scheduling_ddpm

    betas = backend.config.noise_schedule().betas
    pipeline = DDPMPipeline(backend.network.unet, DDPMScheduler(trained_betas=betas))
    start = backend.sample_prior("noise", SEEDS)
    queue = iter([start["noise"], *draws(backend, 0)])
    theirs = run(pipeline, pipeline_ddpm, scheduling_ddpm, monkeypatch, queue)
    assert theirs.std() > 0.05
    assert (ours(backend, start, sampler="ddpm") - theirs).abs().max() <= 1e-5


@pytest.mark.parametrize("eta", [0.0, 0.6])
def test_ddim_is_the_pipeline(backend: DiffusionBackend, eta: float, monkeypatch) -> None:
    from diffusers import DDIMPipeline, DDIMScheduler
    from diffusers.pipelines.ddim import pipeline_ddim
    from diffusers.schedulers import scheduling_ddim

    betas = backend.config.noise_schedule().betas
    pipeline = DDIMPipeline(backend.network.unet, DDIMScheduler(trained_betas=betas))
    start = backend.sample_prior("noise", SEEDS)
    queue = iter([start["noise"], *draws(backend, 0)])
    theirs = run(pipeline, pipeline_ddim, scheduling_ddim, monkeypatch, queue, eta=eta)
    assert theirs.std() > 0.05
    assert (ours(backend, start, sampler="ddim", eta=eta) - theirs).abs().max() <= 1e-5
