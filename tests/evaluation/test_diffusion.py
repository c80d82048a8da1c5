"""Figures of a diffusion model: stand-ins that draw what is known, read by the real probe."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from latentlab.backends.base import DiffusionStep
from latentlab.backends.diffusion import diffusion_spec
from latentlab.backends.nn.diffusion import DiffusionConfig
from latentlab.backends.probe import load_probe
from latentlab.core.denoising import ROW_KEYS, SAMPLERS
from latentlab.core.latents import Condition
from latentlab.core.noise import noise_rows
from latentlab.data.portraits.attributes import ATTRIBUTES, EDIT_ATTRIBUTES, sample_attributes
from latentlab.data.portraits.dataset import Portraits
from latentlab.data.portraits.render import render_rows
from latentlab.evaluation import diffusion, diffusion_directions
from latentlab.evaluation.diffusion import (
    CONDITIONS,
    GUIDANCE,
    asked_table,
    measure_diffusion,
    measure_obedience,
)
from latentlab.evaluation.diffusion_directions import measured_edits, noise_directions

NAMES = (*EDIT_ATTRIBUTES, "age", "skin_tone", "hair_length")


def ended(work: Generator[Any, None, Any]) -> tuple[Any, list[tuple[int, int, str]]]:
    reports = []
    while True:
        try:
            reports.append(next(work))
        except StopIteration as end:
            return end.value, reports


class Painter:
    """Draws portraits: by its condition above guidance 0, any at all without one."""

    def __init__(self, colours: float = 1.0) -> None:
        config = DiffusionConfig(image_size=32, attribute_names=NAMES)
        self.spec = diffusion_spec(config, id="painter")
        self.device = torch.device("cpu")
        self.colours = colours
        self.asked: list[dict[str, Any]] = []

    def sample_prior(self, space, seeds, temperature=1.0):
        return {"noise": torch.from_numpy(noise_rows(seeds, "prior.noise", (3, 32, 32)))}

    def decode(self, latents, *, space=None, condition=None, options=None):
        keys = np.array(options[ROW_KEYS])
        self.asked.append(dict(options))
        table = sample_attributes(len(keys), int(keys[0]))
        if condition is not None and options.get("guidance", 1) > 0:
            told = {n: np.full(len(keys), v, np.float32) for n, v in condition.attributes.items()}
            table = dict(table) | told
        images = render_rows(table, keys % 10**6, size=32, seed=3).float()
        return self.colours * (images.permute(0, 3, 1, 2) / 127.5 - 1)


def test_conditions_are_balanced_and_independent() -> None:
    table = asked_table(EDIT_ATTRIBUTES)
    assert set(table) == {spec.name for spec in ATTRIBUTES}
    signs = np.stack([np.sign(table[name] - table[name].mean()) for name in EDIT_ATTRIBUTES])
    assert set(np.unique(signs)) == {-1, 1}
    np.testing.assert_array_equal(signs @ signs.T, CONDITIONS * np.eye(8))
    assert set(table["smiling"]) == {np.float32(-0.7), np.float32(0.7)}
    assert set(table["eyeglasses"]) == {0, 1}


def test_a_painter_obeys_as_well_as_the_renderer_and_never_at_guidance_0() -> None:
    found, reports = ended(measure_obedience(Painter(), load_probe(), 160))
    assert found["obeyed_images"] == 160
    assert found["obeyed_drawn"] > 0.97
    for guidance in GUIDANCE[1:]:
        assert found[f"obeyed_at_{guidance:g}"] == pytest.approx(found["obeyed_drawn"], abs=0.02)
        each = [found[f"obeyed_{name}_at_{guidance:g}"] for name in EDIT_ATTRIBUTES]
        assert found[f"obeyed_at_{guidance:g}"] == pytest.approx(np.mean(each))
    assert found["obeyed_at_0"] == pytest.approx(0.5, abs=0.1)
    assert reports[-1][0] == reports[-1][1]


def test_a_model_that_is_told_nothing_obeys_nothing() -> None:
    free = Painter()
    free.spec = free.spec.model_copy(update={"attribute_names": ()})
    assert ended(measure_obedience(free, load_probe(), 32))[0] == {}


def test_samples_like_the_data_are_as_near_as_other_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffusion, "STEP_COUNTS", (10, 25))
    monkeypatch.setattr(diffusion, "GUIDANCE", (1.0,))
    monkeypatch.setattr(diffusion, "SAMPLERS", SAMPLERS[:2])
    held_out, probe = Portraits(300, 2, 32), load_probe()
    good, bad = Painter(), Painter(0.5)
    found, reports = ended(measure_diffusion(good, probe, held_out, 140))
    assert found["frechet_images"] == 140
    floor = found["frechet_probe_floor"]
    cells = [found[f"frechet_{row.id}_{n}"] for row in SAMPLERS[:2] for n in (10, 25)]
    assert found["frechet_probe"] == cells[1]
    assert max(cells) < 1.3 * floor
    asked = {(o["sampler"], o["steps"]) for o in good.asked if "sampler" in o}
    assert asked == {(row.id, n) for row in SAMPLERS[:2] for n in (10, 25)}
    assert all(done <= total for done, total, _ in reports)
    worse, _ = ended(measure_diffusion(bad, probe, held_out, 140))
    assert worse["frechet_probe"] > 2 * floor
    assert worse["frechet_probe_floor"] == floor


@dataclass
class Ruler:
    """Reads one number an attribute off an image: a known linear function of it."""

    weights: torch.Tensor
    fingerprint: str = "f" * 64

    @property
    def columns(self) -> dict[str, Any]:
        return dict.fromkeys(EDIT_ATTRIBUTES)

    def standardised_with_gradient(self, images, columns):
        return images.flatten(1) @ self.weights.T

    def standardised(self, images, columns):
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
        return (pixels.flatten(1) @ self.weights.T).double().numpy()


class Mixer:
    """An image is a fixed orthogonal mixture of its noise, a little of it."""

    def __init__(self, mixture: torch.Tensor) -> None:
        config = DiffusionConfig(image_size=4, widths=(8,), groups=4, mid_attention=False)
        self.spec = diffusion_spec(config, id="mixer")
        self.device, self.mixture = torch.device("cpu"), mixture

    def sample_prior(self, space, seeds, temperature=1.0):
        return {"noise": torch.from_numpy(noise_rows(seeds, "prior.noise", (3, 4, 4)))}

    def decode(self, latents, *, space=None, condition=None, options=None):
        return 0.2 * (latents["noise"].flatten(1) @ self.mixture.T).unflatten(1, (3, 4, 4))

    def steps(self, latents, *, space=None, condition=None, options=None, start=None):
        image = self.decode(latents)
        x = image.detach()
        yield DiffusionStep(1, 1, x, None, image, 0.0, 1.0, x, x, x, "preserving")


def test_directions_are_those_that_the_probe_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    mixture = torch.linalg.qr(torch.randn(48, 48, generator=generator))[0]
    weights = torch.linalg.qr(torch.randn(48, 8, generator=generator))[0].T
    model, ruler = Mixer(mixture), Ruler(weights)
    monkeypatch.setattr(diffusion_directions, "CALIBRATION_SAMPLES", 64)
    for calibrated, near in ((False, 1e-5), (True, 1e-2)):
        found, reports = ended(noise_directions(model, ruler, 20, calibrated=calibrated))
        assert list(found) == list(EDIT_ATTRIBUTES)
        assert reports
        for name, row in zip(EDIT_ATTRIBUTES, weights @ mixture):
            direction = found[name]
            cosine = float(np.vdot(direction.vector["noise"], row.numpy()))
            assert cosine == pytest.approx(1, abs=near)
            # The noise is standard normal along every direction.
            assert direction.scale == pytest.approx(1, abs=0.05)
            assert (direction.space, direction.group) == ("noise", "attributes")
    figures, told = ended(measured_edits(model, ruler, found, 32))[0]
    for name in EDIT_ATTRIBUTES:
        assert figures[f"target_{name}"] == pytest.approx(2 * 0.2, abs=0.03)
        assert figures[f"selectivity_{name}"] > 10
        assert told[name].provenance["target"] == figures[f"target_{name}"]


def test_what_depends_on_nothing_gets_no_direction() -> None:
    weights = torch.zeros(8, 48)
    weights[3, 5] = 1.0
    found, _ = ended(noise_directions(Mixer(torch.eye(48)), Ruler(weights), 4))
    assert list(found) == [EDIT_ATTRIBUTES[3]]
    assert ended(measured_edits(Mixer(torch.eye(48)), Ruler(weights), {}, 4))[0] == ({}, {})


def test_a_condition_of_a_row_names_what_the_model_is_told() -> None:
    table = asked_table(EDIT_ATTRIBUTES)
    found = diffusion.condition_of(table, Painter().spec, 5)
    assert isinstance(found, Condition)
    assert tuple(found.attributes) == NAMES
    assert found.attributes["smiling"] == pytest.approx(float(table["smiling"][5]))
