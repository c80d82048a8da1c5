"""The VAE's numbers against closed forms, Monte Carlo and float64."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.distributions import MultivariateNormal, kl_divergence

from latentlab.backends.checkpoint import backend_from, state_arrays
from latentlab.backends.nn.likelihoods import (
    density,
    gaussian_kl,
    gaussian_kl_to,
    log_mass,
    normal_log_density,
)
from latentlab.backends.nn.vae import SIZES, VaeConfig, VaeNetwork
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import ModelHeader, StoredModel, fingerprint
from tests.backends.factories import small_vae

LEVELS = torch.arange(256, dtype=torch.float64) / 127.5 - 1


def as_images(values: torch.Tensor) -> torch.Tensor:
    return values.reshape(-1, 1, 1, 1)


def test_kl_equals_monte_carlo() -> None:
    generator = torch.Generator().manual_seed(0)
    mean = torch.tensor([0.7, -1.2, 0.0, 2.0], dtype=torch.float64)
    logvar = torch.tensor([-1.0, 0.5, 0.0, -3.0], dtype=torch.float64)
    draws = torch.randn((400_000, 4), dtype=torch.float64, generator=generator)
    z = mean + draws * torch.exp(0.5 * logvar)
    ratio = normal_log_density(z, mean, logvar) - normal_log_density(z)
    error = ratio.std() / math.sqrt(len(z))
    assert abs(gaussian_kl(mean, logvar).sum() - ratio.mean()) < 4 * error


def test_kl_to_a_fitted_prior_equals_torch_distributions() -> None:
    generator = torch.Generator().manual_seed(3)
    mean, logvar = torch.randn((2, 5, 4), dtype=torch.float64, generator=generator)
    basis = torch.eye(4).double() + 0.3 * torch.randn((4, 4), generator=generator).double()
    centre = torch.randn(4, dtype=torch.float64, generator=generator)
    posterior = MultivariateNormal(mean, torch.diag_embed(logvar.exp()))
    expected = kl_divergence(posterior, MultivariateNormal(centre, basis @ basis.T))
    found = gaussian_kl_to(mean, logvar, centre, torch.linalg.inv(basis))
    torch.testing.assert_close(found, expected)
    plain = gaussian_kl_to(mean, logvar, torch.zeros(4).double(), torch.eye(4).double())
    torch.testing.assert_close(plain, gaussian_kl(mean, logvar).sum(1))


def test_a_fitted_prior_changes_axes_and_nothing_else() -> None:
    fitted, plain = small_vae(prior="fitted"), small_vae()
    fitted.network.load_state_dict(plain.network.state_dict(), strict=False)
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    white, own = (list(b.encode(images))[-1] for b in (fitted, plain))
    torch.testing.assert_close(white.reconstruction, own.reconstruction)
    raw = fitted.network.prior_mean + white.latents["z"] @ fitted.network.prior_basis.T
    torch.testing.assert_close(raw, own.latents["z"], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(fitted.decode(white.latents), own.reconstruction)


@pytest.mark.parametrize("likelihood", ["gaussian", "l1"])
@pytest.mark.parametrize("scale", [0.003, 0.05, 1.0])
@pytest.mark.parametrize("centre", [-1.1, -0.4031, 0.0, 0.998])
def test_mass_of_all_levels_is_one(likelihood, scale, centre) -> None:
    raw = torch.full((256, 1, 1, 1), centre, dtype=torch.float64)
    log_scale = torch.tensor(math.log(scale), dtype=torch.float64)
    mass = log_mass(as_images(LEVELS), raw, log_scale, likelihood).exp()
    assert mass.sum().item() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("likelihood", ["gaussian", "l1"])
def test_mass_is_density_times_bin_inside_and_finite_far_outside(likelihood) -> None:
    inner = as_images(LEVELS[100:156])
    raw = torch.zeros_like(inner) + 0.05
    log_scale = torch.tensor(math.log(0.2), dtype=torch.float64)
    expected = density(inner, raw, log_scale, likelihood) + math.log(2 / 255)
    torch.testing.assert_close(
        log_mass(inner, raw, log_scale, likelihood), expected, atol=0.01, rtol=0
    )
    far = log_mass(
        as_images(LEVELS[[0, 40, 255]]).float(),
        torch.full((3, 1, 1, 1), 9.0),
        log_scale.float(),
        likelihood,
    )
    assert torch.isfinite(far).all()


def test_gaussian_density_equals_torch_distributions() -> None:
    images, raw = torch.rand(3, 2, 4, 4) * 2 - 1, torch.randn(3, 2, 4, 4)
    log_scale = torch.tensor(-0.7)
    normal = torch.distributions.Normal(raw, log_scale.exp())
    torch.testing.assert_close(
        density(images, raw, log_scale, "gaussian"), normal.log_prob(images).flatten(1).sum(1)
    )
    laplace = torch.distributions.Laplace(raw, log_scale.exp())
    torch.testing.assert_close(
        density(images, raw, log_scale, "l1"), laplace.log_prob(images).flatten(1).sum(1)
    )
    target = (images + 1) / 2
    expected = target * torch.log(torch.sigmoid(raw)) + (1 - target) * torch.log(
        torch.sigmoid(-raw)
    )
    torch.testing.assert_close(
        density(images, raw, log_scale, "bernoulli"),
        expected.flatten(1).sum(1),
        atol=1e-4,
        rtol=1e-4,
    )


def test_importance_bound_is_exact_for_an_exact_posterior_and_rises_otherwise() -> None:
    backend = small_vae(image_size=16, channels=1, latent_dim=2)
    images = torch.rand(3, 1, 16, 16) * 2 - 1
    # A decoder that ignores z makes the prior the true posterior: every weight is then log P(x).
    backend.network.posterior.weight.zero_()
    backend.network.posterior.bias.zero_()
    backend.network.lift[0].weight.zero_()
    raw = backend.network.decode(torch.zeros(3, 2))
    truth = log_mass(images, raw, backend.network.log_scale, "gaussian")
    torch.testing.assert_close(
        backend.log_prob(images, options={"samples": 3}).nats, truth, rtol=1e-5, atol=1e-2
    )
    other = small_vae(image_size=16, channels=1, latent_dim=2)
    # A posterior far from the true one, so that more samples have something to gain.
    other.network.posterior.weight.mul_(20)
    counts = (1, 8, 64, 512)
    bounds = [
        np.mean(
            [
                other.log_prob(images, options={"samples": n, "seed": s}).nats.mean()
                for s in range(4)
            ]
        )
        for n in counts
    ]
    assert bounds == sorted(bounds)
    nats, kl = other.elbo(images)
    assert (nats - kl).mean() < bounds[-1]


def test_elbo_matches_a_float64_evaluation() -> None:
    backend = small_vae(image_size=16)
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    nats, kl = backend.elbo(images, seed=3)
    double = VaeNetwork(backend.config).double().eval()
    double.load_state_dict(
        {
            k: v.double() if v.is_floating_point() else v
            for k, v in backend.network.state_dict().items()
        }
    )
    from latentlab.core.noise import noise

    with torch.no_grad():
        mean, logvar = double.encoder(images.double()), None
        mean, logvar = double.posterior(mean).chunk(2, 1)
        z = mean + torch.from_numpy(noise(3, "elbo.z", 0, (8,))).double() * torch.exp(0.5 * logvar)
        raw = double.decoder(double.lift(z))
        expected = log_mass(images.double(), raw, double.log_scale, "gaussian")
    torch.testing.assert_close(nats.double(), expected, rtol=1e-4, atol=0.05)
    torch.testing.assert_close(kl.double(), gaussian_kl(mean, logvar).sum(1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_shapes_at_every_size(size: int) -> None:
    config = VaeConfig(image_size=size, width=4, latent_dim=2)
    with torch.device("meta"):
        network = VaeNetwork(config)
        images = torch.zeros(2, 3, size, size)
        raw, mean, logvar, _ = network(images, None, torch.zeros(2, 2))
    assert raw.shape == images.shape
    assert mean.shape == logvar.shape == (2, 2)
    assert len(config.level_widths) == int(math.log2(size)) - 2


@pytest.mark.parametrize(
    "values",
    [{"image_size": 48}, {"latent_dim": 0}, {"width": 10**9}, {"channels": 2}, {"extra": 1}],
)
def test_wrong_configurations_are_refused(values) -> None:
    with pytest.raises(ValidationError):
        VaeConfig(**values)


def stored(**changes) -> StoredModel:
    backend = small_vae()
    arrays = state_arrays(backend.network) | changes.pop("weights", {})
    for name in changes.pop("without", ()):
        del arrays[name]
    spec = backend.spec.model_copy(update={"fingerprint": fingerprint(arrays), **changes})
    return StoredModel(ModelHeader(config=backend.config.model_dump(), spec=spec), arrays)


def test_weights_that_do_not_fit_are_one_sentence() -> None:
    assert backend_from(stored()).spec.id == "small-vae"
    wrong = {
        "missing": stored(without=["posterior.bias"]),
        "left over": stored(weights={"surplus": np.zeros(3, np.float32)}),
        "the network needs": stored(weights={"posterior.bias": np.zeros(3, np.float32)}),
        "torch.float32": stored(weights={"posterior.bias": np.zeros(16, np.int64)}),
        "nosuch": stored(family="nosuch"),
        "(image_shape)": stored(image_shape=(3, 64, 64)),
        "(capabilities)": stored(capabilities=("sample", "decode", "encode", "steps")),
    }
    for text, model in wrong.items():
        with pytest.raises(LatentLabError, match=re.escape(text)) as caught:
            backend_from(model)
        assert "\n" not in caught.value.message
