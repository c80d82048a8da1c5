"""The bundled flow: on trained weights images and latents come back, and switched parts stay."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from latentlab.backends.checkpoint import load_backend
from latentlab.backends.flow import FlowBackend
from latentlab.backends.images import from_levels
from latentlab.backends.nn.flow import FlowNetwork
from latentlab.core.paths import asset_path
from latentlab.data.portraits.dataset import Portraits

PATH = asset_path("models", "portraits-flow.safetensors")

Pair = tuple[FlowBackend, FlowBackend]


@pytest.fixture(scope="module")
def flows() -> Pair:
    """The model in single and in double precision."""
    single = load_backend(PATH)
    network = FlowNetwork(single.config).double()
    network.load_state_dict(single.network.state_dict())
    return single, FlowBackend(single.config, single.spec, network)


@pytest.fixture(scope="module")
def photos(flows: Pair) -> Tensor:
    size = flows[0].config.image_size
    # Of a seed that no training uses.
    return from_levels(Portraits(16, 977, size).read(range(16)))


def encoded(backend: FlowBackend, images: Tensor, **options: Any) -> dict[str, Tensor]:
    return dict([*backend.encode(images, options=options)][-1].latents)


def test_images_come_back(flows: Pair, photos: Tensor) -> None:
    for backend, most in zip(flows, (1e-4, 1e-9)):
        given = photos.to(backend.dtype)
        back = backend.decode(encoded(backend, given), options={"clamp": False})
        assert (back - given).abs().max() <= most


def test_switched_images_give_back_their_parts(flows: Pair, photos: Tensor) -> None:
    for backend, most in zip(flows, (1e-3, 1e-8)):
        latents = encoded(backend, photos.to(backend.dtype))
        turned = {**latents, "global": latents["global"].roll(1, 0)}
        images = backend.decode(turned, options={"clamp": False})
        back = encoded(backend, images, hold={"global": turned["global"]})
        assert max((back[name] - turned[name]).abs().max() for name in back) <= most
        assert (images - photos).abs().mean() > 0.02, "the global part must matter"


def test_new_images_give_back_their_latents(flows: Pair) -> None:
    for backend, most in zip(flows, (1e-3, 1e-8)):
        drawn = backend.sample_prior("latent", range(8))
        drawn = {name: part.to(backend.dtype) for name, part in drawn.items()}
        images = backend.decode(drawn, options={"clamp": False})
        back = encoded(backend, images, hold={"global": drawn["global"]})
        assert max((back[name] - drawn[name]).abs().max() for name in back) <= most


def test_encoding_is_deterministic_and_parts_are_near_the_prior(
    flows: Pair, photos: Tensor
) -> None:
    first, second = encoded(flows[0], photos), encoded(flows[0], photos)
    for name, part in first.items():
        assert torch.equal(part, second[name])
        assert 0.2 < part.std() < 2
        assert part.mean().abs() < 0.5


def test_the_jacobian_of_trained_couplings_is_numerical(flows: Pair, photos: Tensor) -> None:
    """A random direction through the whole flow: its directional derivatives agree both ways."""
    backend = flows[1]
    network, y = backend.network, photos[:2].double() / 2
    h = network.posterior(y)[0]
    parts, _ = network.encode(y, h)
    nudge = [torch.randn_like(part) for part in parts]
    ends = [network.decode([p + s * 1e-6 * n for p, n in zip(parts, nudge)], h) for s in (-1, 1)]
    slope = (ends[1] - ends[0]) / 2e-6
    again = [network.encode(y + s * 1e-6 * slope, h)[0] for s in (-1, 1)]
    for low, high, wanted in zip(*again, nudge):
        torch.testing.assert_close((high - low) / 2e-6, wanted, rtol=1e-3, atol=1e-3)


def test_the_bound_is_near_the_one_on_the_card(flows: Pair, photos: Tensor) -> None:
    found = flows[0].log_prob(photos)
    assert found.bound
    card = flows[0].spec.quality["bits_per_dim"]
    assert abs(float(found.bits_per_dim.mean()) - card) < 0.25
    better = flows[0].log_prob(photos[:4], options={"samples": 8}).nats.mean()
    assert better > flows[0].log_prob(photos[:4]).nats.mean()
