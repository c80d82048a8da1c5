"""Refining edits by gradient, in a world where the best direction is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from latentlab.backends.base import DecodesWithGradient
from latentlab.backends.probe import load_probe
from latentlab.core.noise import noise_rows
from latentlab.core.spec import LatentSpace, PartSpec
from latentlab.data.portraits.dataset import Portraits
from latentlab.evaluation import measure, refine
from tests.backends.factories import small_vae

DIM = 6
SPACE = LatentSpace(name="z", parts=(PartSpec(name="z", shape=(DIM,)),))
NAMES = ["first", "second"]


class BentModel:
    """Its image is its latent; ``second`` is read along a bend that no straight fit sees."""

    device = torch.device("cpu")
    spec = SimpleNamespace(capabilities=("sample", "decode"), space=lambda _name: SPACE)

    def sample_prior(self, space: str, seeds: Sequence[int]) -> Mapping[str, torch.Tensor]:
        return {"z": torch.from_numpy(noise_rows(seeds, "test", (DIM,)))}

    def decode_with_gradient(self, latents: Any, **_: Any) -> torch.Tensor:
        return latents["z"]


class BentProbe:
    """first = z0; second = |z1| + z2: moving along z1 changes it both ways."""

    def standardised_with_gradient(
        self, images: torch.Tensor, columns: Sequence[str]
    ) -> torch.Tensor:
        read = {"first": images[:, 0], "second": images[:, 1].abs() + images[:, 2]}
        return torch.stack([read[name] for name in columns], dim=1)

    def standardised(self, images: Any, columns: Sequence[str]) -> np.ndarray:
        tensor = torch.from_numpy(np.asarray(images, np.float64))
        return self.standardised_with_gradient(tensor, columns).numpy()


@pytest.fixture(autouse=True)
def images_are_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "decoded_levels", lambda _backend, latents: latents["z"])


def finished(work: Any) -> Any:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def test_what_a_straight_fit_cannot_see_is_taken_off() -> None:
    held_out = np.random.default_rng(0).normal(size=(4000, DIM))
    start = {"first": np.array([1, 0.6, 0, 0, 0, 0]), "second": np.array([0.3, 0, 1, 0, 0, 0])}
    found = finished(refine.refined(BentModel(), BentProbe(), SPACE, start, held_out))
    # Only z0 moves `first`; z1 and z2 move `second`. For `second`, z2 is the straight way.
    first, second = found["first"], found["second"]
    assert np.linalg.norm(first) == pytest.approx(1)
    assert first[0] > 0.8
    assert np.abs(first[1:3]).max() < 0.1
    assert second[2] > 0.8
    assert abs(second[0]) < 0.05


def test_only_the_chosen_parts_are_turned() -> None:
    """The other part stays as the samples have it, and no vector reaches into it."""
    whole = LatentSpace(
        name="z", parts=(PartSpec(name="held", shape=(3,)), PartSpec(name="z", shape=(3,)))
    )

    class TwoParts(BentModel):
        spec = SimpleNamespace(capabilities=("sample", "decode"), space=lambda _name: whole)

        def sample_prior(self, space: str, seeds: Sequence[int]) -> Mapping[str, torch.Tensor]:
            rows = torch.from_numpy(noise_rows(seeds, "test", (DIM,)))
            return {"held": rows[:, :3], "z": rows[:, 3:]}

        def decode_with_gradient(self, latents: Any, **_: Any) -> torch.Tensor:
            return latents["z"] + 0 * latents["held"]

    held_out = np.random.default_rng(0).normal(size=(4000, 3))
    start = {"first": np.array([1, 0.6, 0]), "second": np.array([0.3, 0, 1])}
    parts = whole.model_copy(update={"parts": whole.parts[1:]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refine, "_better", lambda *args: iter_of(args[4]))
        found = finished(refine.refined(TwoParts(), BentProbe(), parts, start, held_out))
    assert found["first"].shape == (3,)
    assert found["first"][0] > 0.8
    assert np.abs(found["first"][1:]).max() < 0.1
    assert abs(found["second"][0]) < 0.05


def iter_of(value: Any) -> Any:
    yield 0, 1, "judging"
    return value


def test_a_model_without_a_gradient_keeps_its_vectors() -> None:
    start = {"first": np.array([2.0, 0.6, 0, 0, 0, 0]), "second": np.array([0, 0, 1.0, 0, 0, 0])}
    plain = type("Plain", (), {"device": torch.device("cpu")})()
    found = finished(refine.refined(plain, BentProbe(), SPACE, start, np.eye(DIM)))
    np.testing.assert_allclose(found["first"], start["first"] / np.linalg.norm(start["first"]))


def test_what_is_not_better_on_other_samples_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    start = {"first": np.array([1.0, 0, 0, 0, 0, 0]), "second": np.array([0, 0, 1.0, 0, 0, 0])}
    worse = np.array([0.5, 0.5, 0.5, 0, 0, 0])
    monkeypatch.setattr(refine, "_descend", lambda *_args: iter([worse]))
    held_out = np.random.default_rng(0).normal(size=(500, DIM))
    found = finished(refine.refined(BentModel(), BentProbe(), SPACE, start, held_out))
    np.testing.assert_allclose(found["first"], start["first"])
    np.testing.assert_allclose(found["second"], start["second"])


def test_the_gradient_of_a_reading_is_that_of_the_probe() -> None:
    """Against finite differences of ``standardised``, on renders."""
    probe = load_probe()
    images = torch.from_numpy(Portraits(3, 5).read([0, 1, 2])).permute(0, 3, 1, 2) / 127.5 - 1
    images = images.clamp(-0.98, 0.98).requires_grad_(True)
    columns = ["smiling", "eyeglasses", "hair_color_brown"]
    read = probe.standardised_with_gradient(images, columns)
    np.testing.assert_allclose(
        read.detach().numpy(), probe.standardised(images.detach(), columns), atol=2e-3
    )
    read[:, 0].sum().backward()
    way = images.grad / images.grad.norm()
    with torch.no_grad():
        plus, minus = (
            probe.standardised(images + sign * 0.05 * way, columns)[:, 0].sum() for sign in (1, -1)
        )
    assert (plus - minus) / 0.1 == pytest.approx(float(images.grad.norm()), rel=0.1)


def test_a_vae_decodes_the_same_with_its_gradient() -> None:
    backend = small_vae()
    assert isinstance(backend, DecodesWithGradient)
    z = backend.sample_prior("z", [1, 2])["z"].clone().requires_grad_(True)
    images = backend.decode_with_gradient({"z": z})
    torch.testing.assert_close(images.detach(), backend.decode({"z": z.detach()}))
    images.square().sum().backward()
    assert float(z.grad.norm()) > 0
