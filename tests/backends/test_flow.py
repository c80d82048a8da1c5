"""The flow backend: what it encodes it decodes, what is held stays, densities are closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from latentlab.backends.checkpoint import backend_from, state_arrays
from latentlab.backends.flow import FlowBackend
from latentlab.backends.nn.flow import (
    FlowConfig,
    FlowNetwork,
    bin_position,
    from_centre,
    levels_of,
    to_centre,
)
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import ModelHeader, StoredModel
from tests.flow_models import EVERY, KINDS, doubled, smooth_images, tiny_flow


@pytest.fixture(scope="module", params=KINDS)
def flow(request: pytest.FixtureRequest) -> FlowBackend:
    return tiny_flow(**KINDS[request.param])


def encoded(backend: FlowBackend, images: Tensor, **options: Any) -> dict[str, Tensor]:
    return dict([*backend.encode(images, options=options)][-1].latents)


def unclamped(backend: FlowBackend, latents: dict[str, Tensor]) -> Tensor:
    return backend.decode(latents, options={"clamp": False})


def test_parts_are_the_declared_ones_and_as_many_numbers_as_the_image(flow: FlowBackend) -> None:
    parts = flow.spec.spaces[0].parts
    names = [part.name for part in parts]
    wanted = ["global"] if flow.config.global_dim else []
    assert names == [*wanted, *(f"local_{s}" for s in range(1, flow.config.levels + 1))]
    sizes = [part.size for part in parts if part.name != "global"]
    assert sum(sizes) == math.prod(flow.spec.image_shape)
    sides = [part.shape[1] for part in parts if part.name != "global"]
    assert sides == [8 >> level for level in range(flow.config.levels)]


def test_parts_of_a_prior_sample_are_standard_normal_and_share_no_draws() -> None:
    backend = tiny_flow()
    drawn = backend.sample_prior("latent", range(400))
    for part in drawn.values():
        assert abs(float(part.mean())) < 0.06
        assert abs(float(part.std()) - 1) < 0.06
    first = torch.stack([part.flatten(1)[:, 0] for part in drawn.values()])
    assert (torch.corrcoef(first) - torch.eye(len(first))).abs().max() < 0.2


def test_images_come_back_within_single_and_double_precision(flow: FlowBackend) -> None:
    images = smooth_images(4, flow.config)
    wild = 3 * torch.randn(4, *flow.spec.image_shape, generator=torch.Generator().manual_seed(1))
    for backend, most in ((flow, 1e-4), (doubled(flow), 1e-9)):
        for given in (images.to(backend.dtype), wild.to(backend.dtype)):
            latents = encoded(backend, given)
            back = unclamped(backend, latents)
            assert back.dtype == backend.dtype
            assert (back - given).abs().max() <= most
        again = encoded(backend, images.to(backend.dtype))
        once = encoded(backend, images.to(backend.dtype), reconstruct=False)
        assert all(torch.equal(again[name], once[name]) for name in again)


def test_prior_samples_come_back_with_the_global_part_held(flow: FlowBackend) -> None:
    drawn = dict(flow.sample_prior("latent", [1, 2, 3]))
    images = unclamped(flow, drawn)
    hold = {name: part for name, part in drawn.items() if name == "global"}
    back = encoded(flow, images, hold=hold)
    for name, part in drawn.items():
        assert (back[name] - part).abs().max() < 1e-3
    if hold:
        assert torch.equal(back["global"], drawn["global"])
        assert not torch.allclose(encoded(flow, images)["global"], drawn["global"], atol=0.05)


def test_a_recombined_image_gives_back_its_local_parts() -> None:
    backend = tiny_flow()
    a, b = smooth_images(2, backend.config)
    first, second = encoded(backend, a[None]), encoded(backend, b[None])
    switched = {**second, "global": first["global"]}
    image = unclamped(backend, switched)
    assert (image - b).abs().max() > 0.05, "the global part must matter"
    back = encoded(backend, image, hold={"global": first["global"]})
    for name in ("local_1", "local_2", "local_3"):
        assert (back[name] - second[name]).abs().max() < 1e-3
        held = encoded(backend, b[None], hold={name: first[name]})
        assert torch.equal(held[name], first[name])
        assert torch.equal(held["global"], second["global"])


def test_nothing_is_encoded_and_decoded_to_nothing(flow: FlowBackend) -> None:
    nothing = encoded(flow, smooth_images(2, flow.config)[:0])
    assert flow.decode(nothing).shape == (0, *flow.spec.image_shape)


def test_what_cannot_be_held_is_told() -> None:
    backend = tiny_flow()
    images = smooth_images(2, backend.config)
    with pytest.raises(LatentLabError, match="no part 'z'"):
        encoded(backend, images, hold={"z": torch.zeros(2, 6)})
    with pytest.raises(LatentLabError, match="'global' does not fit"):
        encoded(backend, images, hold={"global": torch.zeros(1, 6)})
    with pytest.raises(LatentLabError, match="no decoding option 'psi'"):
        backend.decode(encoded(backend, images), options={"psi": 1})
    with pytest.raises(LatentLabError, match="no global part"):
        tiny_flow(global_dim=0).encode_global(images)
    for count in (0, 10**6):
        with pytest.raises(LatentLabError, match="1 to 10000 samples"):
            backend.log_prob(images, options={"samples": count})


def test_decode_clamps_unless_asked_and_overflow_is_grey() -> None:
    backend = tiny_flow()
    drawn = dict(backend.sample_prior("latent", range(4), temperature=3.0))
    raw = unclamped(backend, drawn)
    assert raw.abs().max() > 1
    assert torch.equal(backend.decode(drawn), raw.clamp(-1, 1))
    drawn["local_1"] = torch.full_like(drawn["local_1"], math.nan)
    assert not backend.decode(drawn).any()


def test_the_gradient_of_decode_is_its_slope() -> None:
    backend = doubled(tiny_flow(**EVERY))
    latents = {n: p.double() for n, p in backend.sample_prior("latent", [3], 0.3).items()}
    part = latents["global"].clone().requires_grad_()
    backend.decode_with_gradient(latents | {"global": part}).sum().backward()
    step = torch.zeros_like(part)
    step[0, 1] = 1e-6
    ends = [backend.decode(latents | {"global": latents["global"] + s * step}) for s in (-1, 1)]
    slope = (ends[1] - ends[0]).sum() / 2e-6
    assert abs(float(slope - part.grad[0, 1])) < 1e-4 * max(1.0, abs(float(slope)))


def test_levels_and_bins() -> None:
    every = torch.arange(256.0) / 127.5 - 1
    for bits in (1, 3, 5, 8):
        levels = levels_of(every, bits)
        assert levels.tolist() == [k // 2 ** (8 - bits) for k in range(256)]
        y = bin_position(levels, torch.full_like(levels, 0.5), bits)
        assert y.min() == 0.5 / 2**bits - 0.5
        assert y.max() == 0.5 - 0.5 / 2**bits
        ends = to_centre(torch.tensor([-1.0, 1.0]), bits)
        torch.testing.assert_close(ends, torch.stack([y.min(), y.max()]))
        wide = torch.linspace(-3, 3, 50, dtype=torch.float64)
        torch.testing.assert_close(from_centre(to_centre(wide, bits), bits), wide)
    torch.testing.assert_close(to_centre(every, 8), bin_position(torch.arange(256), 0.5, 8))


@pytest.mark.parametrize("prior", ["standard", "flow"])
def test_the_deviation_of_the_global_part_is_that_of_its_draws(prior: str) -> None:
    backend = doubled(tiny_flow(global_prior=prior))
    images = smooth_images(2, backend.config).double()
    mean, sigma = backend.encode_global(images)
    torch.testing.assert_close(mean, encoded(backend, images)["global"])
    centre, logvar = backend.network.posterior(to_centre(images, 8))
    # Small draws stay where the prior's flow is straight.
    small = 1e-3
    generator = torch.Generator().manual_seed(0)
    eps = torch.randn((4000, 2, 6), generator=generator, dtype=torch.float64)
    z = centre + small * eps * torch.exp(0.5 * logvar)
    drawn = backend.network.part_of(z.flatten(0, 1)).view(4000, 2, 6)
    torch.testing.assert_close(drawn.std(0) / small, sigma, rtol=0.06, atol=0)


def test_a_new_network_starts_with_standard_parts() -> None:
    config = FlowConfig(**{"image_size": 16, "steps": (2, 2), "hidden": (8, 8), "global_dim": 4})
    torch.manual_seed(0)
    network = FlowNetwork(config)
    images = smooth_images(32, config)
    y = bin_position(levels_of(images, 8), torch.rand_like(images), 8)
    network.initialise(y, torch.randn(32, 4))
    for part in network.encode(y, torch.randn(32, 4))[0]:
        deviation, mean = torch.std_mean(part, (0, 2, 3), correction=0)
        assert mean.abs().max() < 1e-4
        # What is split off is normalised last; what stays, before its last rotation.
        assert (deviation.square().mean() - 1).abs() < 1e-3


HOSTILE: tuple[dict[str, Any], ...] = (
    {"image_size": 10**6},
    {"image_size": 20},
    {"hidden": (10**6, 8, 8)},
    {"steps": (10**6, 1, 1)},
    {"steps": (64, 64, 64), "couplings": 4, "splits": 2},
    {"steps": (1,) * 50, "hidden": (8,) * 50},
    {"steps": (1, 1)},
    {"steps": (), "hidden": ()},
    {"bits": 9},
    {"bits": 0},
    {"channels": 2},
    {"channels": 1, "bottom_steps": 1},
    {"global_dim": 10**6},
    {"global_dim": 1, "global_prior": "flow"},
    {"global_dim": 4, "encoder": (8,) * 6},
    {"encoder": (10**6,)},
    {"unknown": 1},
)


@pytest.mark.parametrize("changes", HOSTILE, ids=str)
def test_shapes_that_cannot_be_or_mean_harm_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FlowConfig(**{"steps": (1, 1, 1), "hidden": (8, 8, 8), **changes})


@pytest.mark.parametrize(("name", "value"), [("permutation", 99), ("permutation", 0), ("sign", 0)])
def test_weights_that_cannot_be_inverted_are_refused(name: str, value: float) -> None:
    backend = tiny_flow()
    arrays = state_arrays(backend.network, half=False)
    key = next(key for key in arrays if key.endswith(f"conv.{name}"))
    arrays[key] = np.full_like(arrays[key], value)
    header = ModelHeader(config=backend.config.model_dump(), spec=backend.spec)
    with pytest.raises(LatentLabError, match="cannot be inverted"):
        backend_from(StoredModel(header, arrays))


def test_the_configuration_of_the_paper_has_its_size() -> None:
    from latentlab.services.bench.flow_paper import PAPER

    with torch.device("meta"):
        network = FlowNetwork(PAPER)
    assert PAPER.local_shapes == ((6, 16, 16), (12, 8, 8), (48, 4, 4))
    count = sum(parameter.numel() for parameter in network.parameters())
    assert round(count / 1e6, 1) == 51.9
