"""Runs against the bare loop of each scheduler: the same noise, the same network."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch import Tensor

from latentlab.backends.diffusion import DiffusionBackend, diffusion_spec
from latentlab.backends.nn.diffusion import DiffusionConfig
from latentlab.core.denoising import SAMPLERS
from latentlab.core.latents import Condition
from latentlab.core.noise import noise
from tests.backends.diffusion_bare import Wavy, bare_loop
from tests.diffusion_models import tiny_diffusion

NAMES = [row.id for row in SAMPLERS]
SEEDS = [11, 12]


def wavy_backend(**config: object) -> DiffusionBackend:
    shapes = DiffusionConfig(
        **{"image_size": 4, "channels": 1, "widths": (8,), "mid_attention": False, **config}
    )
    return DiffusionBackend(shapes, diffusion_spec(shapes, id="wavy"), Wavy())


def injected(index: int, seed: int, keys: list[int], shape: torch.Size) -> Tensor:
    """The noise of a step, by the documented rule, drawn again."""
    rows = []
    for key in keys:
        digest = hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).digest()
        own = int.from_bytes(digest, "little") & (2**63 - 1)
        rows.append(noise(own, "sampler", index, shape[1:]))
    return torch.from_numpy(np.stack(rows))


def compare(
    backend: DiffusionBackend,
    name: str,
    steps: int,
    monkeypatch: pytest.MonkeyPatch,
    *,
    condition: Condition | None = None,
    eta: float = 0.0,
    spacing: str = "trailing",
    clip: bool = True,
    times: list[float] | None = None,
) -> None:
    start = backend.sample_prior("noise", SEEDS)
    x = start["noise"]
    options = {
        "sampler": name,
        "steps": steps,
        "spacing": spacing,
        "clip": clip,
        "eta": eta,
        "noise_seed": 5,
        "row_keys": SEEDS,
    }
    ours = backend.decode(start, condition=condition, options=options)
    from latentlab.backends.conditions import condition_vector

    vector = condition_vector(backend.config, condition, len(x))
    with torch.no_grad():
        theirs = bare_loop(
            name,
            lambda inputs, t: backend.network(inputs, t, vector),
            x,
            steps,
            betas=backend.config.noise_schedule().betas,
            prediction=backend.config.prediction,
            spacing=spacing,
            clip=clip,
            eta=eta,
            noises=lambda index: injected(index, 5, SEEDS, x.shape),
            times=times,
            monkeypatch=monkeypatch,
        )
    monkeypatch.undo()
    assert torch.isfinite(theirs).all()
    assert theirs.std() > 0.05
    assert (ours - theirs.clamp(-1, 1)).abs().max() <= 1e-5


def heun_times(schedule: str, steps: int, spacing: str) -> list[float] | None:
    """Heun begins with a sigma of at most 40 where the schedule ends in the thousands."""
    if schedule != "cosine":
        return None
    if spacing == "linspace":
        return list(np.linspace(982, 0, steps).round()) if steps > 1 else [982.0]
    return [982.0, *(np.round(983 - np.arange(1, steps) * 983 / steps) - 1)]


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
@pytest.mark.parametrize("schedule", ["linear", "cosine", "offset_cosine"])
@pytest.mark.parametrize("name", NAMES)
def test_every_sampler_is_the_bare_loop(
    name: str, schedule: str, prediction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = wavy_backend(schedule=schedule, prediction=prediction)
    # Of 3 steps by the cosine schedule, the scheduler of Euler ancestral makes nan itself.
    counts = (1, 2, 7, 25) if (name, schedule) == ("euler_a", "cosine") else (1, 2, 3, 7, 25)
    for steps in counts:
        times = heun_times(schedule, steps, "trailing") if name == "heun" else None
        compare(backend, name, steps, monkeypatch, times=times)


@pytest.mark.parametrize("spacing", ["leading", "linspace"])
@pytest.mark.parametrize("name", NAMES)
def test_every_spacing_is_the_bare_loop(
    name: str, spacing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = wavy_backend(schedule="linear", prediction="v")
    for steps in (2, 7, 40):
        compare(backend, name, steps, monkeypatch, spacing=spacing, clip=False)


@pytest.mark.parametrize("name", NAMES)
def test_as_many_steps_as_times_are_the_bare_loop(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = wavy_backend(schedule="linear", prediction="v", num_timesteps=60)
    compare(backend, name, 59, monkeypatch)
    compare(backend, name, 60, monkeypatch)


def test_a_run_of_999_steps_is_the_bare_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    compare(wavy_backend(schedule="linear", prediction="v"), "ddim", 999, monkeypatch)


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_ddim_with_eta_is_the_bare_loop(eta: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for schedule in ("linear", "offset_cosine"):
        compare(wavy_backend(schedule=schedule), "ddim", 10, monkeypatch, eta=eta)


@pytest.mark.parametrize("name", NAMES)
def test_a_real_network_with_a_condition_is_the_bare_loop(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = tiny_diffusion(schedule="offset_cosine")
    condition = Condition(attributes={"smiling": 1.0, "age": -0.5})
    compare(backend, name, 6, monkeypatch, condition=condition)


def test_thresholding_at_one_is_clamping() -> None:
    from diffusers import DPMSolverMultistepScheduler

    images = 3 * torch.randn((4, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    scheduler = DPMSolverMultistepScheduler(thresholding=True, sample_max_value=1.0)
    assert torch.equal(scheduler._threshold_sample(images), images.clamp(-1, 1))
