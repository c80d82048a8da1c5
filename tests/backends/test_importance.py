"""Importance-weighted bounds and their maps against the definition in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from latentlab.backends.importance import row_seed, weighted_bound, weighted_map
from latentlab.backends.nn.likelihoods import log_mass, normal_log_density
from latentlab.core.noise import noise
from tests.backends.factories import small_vae


def test_a_bound_is_the_logarithm_of_the_mean_weight() -> None:
    logs = np.random.default_rng(0).normal(-4.0, 2.0, (7, 3))
    found = weighted_bound(torch.from_numpy(logs), 12, bound=True)
    nats = np.log(np.exp(logs).mean(0))
    np.testing.assert_allclose(found.nats.numpy(), nats)
    np.testing.assert_allclose(found.bits_per_dim.numpy(), -nats / math.log(2) / 12)
    assert found.bound
    low = weighted_bound(torch.from_numpy(logs - 5000), 12, bound=False)
    np.testing.assert_allclose(low.nats.numpy(), nats - 5000)


def test_a_map_is_the_average_of_the_draws_maps_by_their_weights() -> None:
    random = np.random.default_rng(1)
    maps, rests = random.normal(-1.0, 0.4, (5, 2, 3, 3)), random.normal(-2.0, 1.0, (5, 2))
    found = weighted_map(torch.from_numpy(maps), torch.from_numpy(rests))
    weights = np.exp(maps.sum((2, 3)) + rests)
    for row in range(2):
        expected = np.average(maps[:, row], axis=0, weights=weights[:, row])
        np.testing.assert_allclose(found.nats[row].numpy(), expected)
        rest = np.log(weights[:, row].mean()) - expected.sum()
        np.testing.assert_allclose(found.rest[row].numpy(), rest)
    single = weighted_map(torch.from_numpy(maps[:1]), torch.from_numpy(rests[:1]))
    np.testing.assert_allclose(single.nats.numpy(), maps[0])
    np.testing.assert_allclose(single.rest.numpy(), rests[0])


def test_the_seed_of_a_row_is_made_of_its_bytes_and_the_seed_alone() -> None:
    row = np.zeros((4, 4, 3), np.uint8)
    other = row.copy()
    other[3, 3, 2] = 1
    seeds = [row_seed(row, 0), row_seed(other, 0), row_seed(row, 1), row_seed(row[:, :, :1], 0)]
    assert len(set(seeds)) == 4
    assert row_seed(row.copy(), 0) == seeds[0]
    assert row_seed(np.asfortranarray(other), 0) == seeds[1]
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("likelihood", ["gaussian", "l1", "bernoulli"])
def test_a_vaes_map_is_the_likelihood_of_each_pixel_given_the_draw(likelihood: str) -> None:
    backend = small_vae(image_size=16, latent_dim=3, likelihood=likelihood)
    network = backend.network
    image = torch.rand((1, 3, 16, 16), generator=torch.Generator().manual_seed(2)) * 2 - 1
    found = backend.log_prob_map(image, options={"samples": 1, "seed": 5})
    mean, logvar = network.encode(image)
    z = mean + torch.from_numpy(noise(5, "log_prob.z", 0, (3,))) * torch.exp(0.5 * logvar)
    raw = network.decode(z)
    for y, x in ((0, 0), (7, 11), (15, 3)):
        pixel = (slice(None), slice(None), slice(y, y + 1), slice(x, x + 1))
        expected = log_mass(image[pixel], raw[pixel], network.log_scale, likelihood)
        torch.testing.assert_close(found.nats[:, y, x], expected)
    rest = normal_log_density(z) - normal_log_density(z, mean, logvar)
    torch.testing.assert_close(found.rest, rest, rtol=1e-4, atol=1e-2)
    empty = backend.log_prob_map(image[:0])
    assert empty.nats.shape == (0, 16, 16)
    assert backend.log_prob(image[:0]).nats.shape == (0,)
