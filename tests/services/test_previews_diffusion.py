"""A real diffusion model, tiny: exact rows for every sampler, previews, maps of its noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentlab.backends.images import quantise
from latentlab.core.denoising import SAMPLERS
from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.latents import Condition, Latents
from latentlab.core.pictures import stored_hashes
from latentlab.core.requests import PreviewRequest, PreviewResult
from latentlab.services import previews
from latentlab.services.renderer import MICRO_BATCH, Renderer, encode_photo
from tests.diffusion_models import tiny_diffusion, write_tiny
from tests.services.models import library
from tests.services.stepped_models import stairs_library

STEPS = 5


@pytest.fixture(scope="module")
def backend() -> Any:
    return tiny_diffusion()


@pytest.fixture
def renderer(backend: Any) -> Renderer:
    return Renderer(stairs_library(backend))


def picture(*seeds: int, **values: Any) -> Picture:
    options = {"steps": STEPS, **values.pop("options", {})}
    return Picture(model="tiny-diffusion", space="noise", seeds=seeds, options=options, **values)


def shown(renderer: Renderer, what: Picture, **changes: Any) -> list[PreviewResult]:
    results = renderer.render(PreviewRequest("canvas", 1, what, **changes))
    found = [result for result in results if result is not None]
    assert [result.failure for result in found] == [None] * len(found)
    return found


@pytest.mark.parametrize("sampler", [row.id for row in SAMPLERS])
def test_a_kept_row_has_the_same_bytes_in_every_batch(renderer: Renderer, sampler: str) -> None:
    options = {"sampler": sampler, "eta": 1.0, "guidance": 2.0}
    condition = Condition(attributes={"smiling": 1.0})
    seeds = tuple(range(MICRO_BATCH + 3))

    def exact(*chosen: int) -> Any:
        return renderer.exact(picture(*chosen, options=options, condition=condition))[0]

    together = exact(*seeds)
    assert len({image.tobytes() for image in together}) == len(seeds)
    for row in (0, MICRO_BATCH, MICRO_BATCH + 2):
        assert np.array_equal(exact(seeds[row])[0], together[row])
    assert np.array_equal(exact(*seeds[5:]), together[5:])
    (*_, last) = shown(renderer, picture(*seeds, options=options, condition=condition), exact=True)
    assert np.array_equal(last.images, together)


@pytest.mark.parametrize("row", SAMPLERS, ids=lambda row: row.id)
def test_noise_is_injected_by_the_rows_keys(renderer: Renderer, row: Any) -> None:
    eta = 1.0 if row.noise == "eta" else 0.0
    what = picture(3, 4, options={"sampler": row.id, "eta": eta})
    plain = shown(renderer, what)[-1].images
    same = shown(renderer, what, keys=(3, 4))[-1].images
    other = shown(renderer, what, keys=(3, 5))[-1].images
    assert plain is not None
    assert other is not None
    assert np.array_equal(plain, same)
    assert np.array_equal(plain[0], other[0])
    assert np.array_equal(plain[1], other[1]) == (row.noise == "never")


def test_moving_a_slider_leaves_the_injected_noise(backend: Any, renderer: Renderer) -> None:
    vector = np.zeros(backend.spec.image_shape, np.float32)
    vector[0, 0, 0] = 1.0
    backend.directions["corner"] = Direction("corner", "noise", {"noise": vector}, 1.0, "test")
    base = renderer.base_latents(picture(7))
    stored = Latents("noise", {"noise": base["noise"]})
    kept = picture(stored=stored_hashes(stored), options={"sampler": "ddpm"})
    # So small a move changes the picture by little, new noise by much.
    still, moved = (
        shown(renderer, what, stored=stored)[-1].images
        for what in (kept, kept.model_copy(update={"edits": {"corner": 1e-4}}))
    )
    again = shown(renderer, kept, stored=stored, keys=(1,))[-1].images
    assert still is not None
    assert moved is not None
    assert again is not None
    assert np.abs(still.astype(int) - moved).mean() < 0.2
    assert np.abs(still.astype(int) - again).mean() > 2


def test_the_first_image_is_the_predicted_one(backend: Any, renderer: Renderer) -> None:
    first, *_, last = shown(renderer, picture(1, 2))
    noise = {"noise": torch.from_numpy(np.array(last.latents["noise"]))}  # type: ignore[index]
    with torch.inference_mode():
        steps = list(backend.steps(noise, options={"steps": STEPS, "row_keys": (1, 2)}))
    assert (first.final, last.final) == (False, True)
    assert np.array_equal(first.images, quantise(steps[0].preview).numpy())
    assert np.array_equal(last.images, quantise(steps[-1].result).numpy())


def test_a_frame_of_noise_is_not_announced_by_a_picture(
    backend: Any, renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "SHOW_SECONDS", 0.0)
    what = picture(1, options={"stop_at": 3, "show": "x_t", "steps": 10})
    found = [result.images for result in shown(renderer, what)]
    assert len(found) == 3
    away = [np.abs(image.astype(int) - found[-1]).mean() for image in found]
    # x_t changes little by little from its noise; predicted pictures would look otherwise.
    assert away[0] > away[1] > away[2] == 0
    assert away[0] < 40


def test_a_photograph_is_inverted_and_comes_back(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny.safetensors")
    models = library(tmp_path)
    backend = models.backend("tiny")
    image = shown(Renderer(models), picture(5).model_copy(update={"model": "tiny"}))[-1].images
    assert image is not None
    (update,) = encode_photo(backend, image[0], None, {"steps": 10})
    assert update.residual_psnr > 25
    assert update.options["sampler"] == "ddim"
