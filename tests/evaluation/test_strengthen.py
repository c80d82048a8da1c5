"""Steepest directions against a closed form, and how far a weak edit is turned."""

from __future__ import annotations

import numpy as np
import pytest

from latentlab.core.latents import Latents
from latentlab.core.noise import noise_rows
from latentlab.core.spec import LatentSpace, PartSpec
from latentlab.evaluation import measure, strengthen

SPACE = LatentSpace(name="z", parts=(PartSpec(name="z", shape=(6,)),))
NAMES = ["first", "second"]
GRADIENTS = np.array([[0.9, 0.3, 0, 0, 0, 0.0], [0, 0, 0.8, 0, -0.5, 0]])


class LinearProbe:
    """Reads a linear function of what stands for the image: the latent itself."""

    def standardised(self, images: np.ndarray, columns) -> np.ndarray:
        return images @ GRADIENTS[[NAMES.index(c) for c in columns]].T


@pytest.fixture(autouse=True)
def images_are_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    def prior(_backend, space, seeds) -> Latents:
        return Latents(space, {"z": noise_rows(seeds, "test", (6,))})

    def levels(_backend, latents) -> np.ndarray:
        return latents["z"].astype(np.float64)

    for module in (measure, strengthen):
        monkeypatch.setattr(module, "prior_latents", prior)
        monkeypatch.setattr(module, "decoded_levels", levels)


def finished(work):
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def test_covariance_with_the_latents_is_the_mean_gradient() -> None:
    found = finished(strengthen.steepest(None, LinearProbe(), SPACE, NAMES))
    np.testing.assert_allclose(found, GRADIENTS, atol=0.07)


def test_only_weak_edits_are_turned_and_no_further_than_needed() -> None:
    held_out = np.random.default_rng(0).normal(size=(4000, 6))
    strong = GRADIENTS[0] / np.linalg.norm(GRADIENTS[0])
    weak = np.array([0, 0, 0.25, 1.0, 0, 0])
    vectors = {"first": strong, "second": weak}
    found = finished(strengthen.strengthened(None, LinearProbe(), SPACE, vectors, held_out))
    np.testing.assert_allclose(found["first"], strong, atol=1e-9)
    reach = {name: 2 * GRADIENTS[i] @ found[name] for i, name in enumerate(NAMES)}
    assert 2 * GRADIENTS[1] @ (weak / np.linalg.norm(weak)) < strengthen.WANTED_TARGET
    assert reach["second"] > strengthen.WANTED_TARGET
    cosine = found["second"] @ GRADIENTS[1] / np.linalg.norm(GRADIENTS[1])
    assert cosine < 0.99, "it stops where the target is reached"
