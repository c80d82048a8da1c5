"""Densities of a flow's images, by row and by pixel, against closed forms and Jacobians."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from latentlab.backends.flow import FlowBackend, flow_spec
from latentlab.backends.images import to_levels
from latentlab.backends.importance import row_seed
from latentlab.backends.nn.flow import (
    FlowConfig,
    bin_position,
    levels_of,
    to_centre,
)
from latentlab.core.noise import noise, uniform
from tests.flow_models import KINDS, doubled, smooth_images, tiny_flow

GREY: dict[str, Any] = {
    "image_size": 4,
    "channels": 1,
    "steps": (1, 1),
    "hidden": (8, 8),
    "encoder": (8,),
}


@pytest.fixture(scope="module", params=KINDS)
def flow(request: pytest.FixtureRequest) -> FlowBackend:
    return tiny_flow(**KINDS[request.param])


def rotation_only(bits: int, **changes: Any) -> FlowBackend:
    """A plain flow as it is made: couplings do nothing, so that y is N(0, 1) turned."""
    shapes = {"steps": (2, 2), "hidden": (8, 8), "image_size": 8, "bits": bits, **changes}
    config = FlowConfig(**shapes)
    torch.manual_seed(2)
    return FlowBackend(config, flow_spec(config, id="rotation"))


@pytest.mark.parametrize(("bits", "splits"), [(8, 1), (5, 2), (1, 1)])
def test_the_density_of_a_rotation_is_a_closed_form(bits: int, splits: int) -> None:
    backend = rotation_only(bits, splits=splits)
    images = smooth_images(2, backend.config)
    k = np.floor((np.rint((images.double().numpy() + 1) * 127.5)) / 2 ** (8 - bits))
    for seed in (0, 9):
        rows = [
            uniform(row_seed(row, seed), "log_prob.dequantise", 0, (3, 8, 8))
            for row in to_levels(images)
        ]
        y = (k + np.stack(rows)) / 2**bits - 0.5
        nats = (-0.5 * (y**2 + math.log(2 * math.pi)) - bits * math.log(2)).sum((1, 2, 3))
        found = backend.log_prob(images, options={"seed": seed})
        np.testing.assert_allclose(found.nats.numpy(), nats, rtol=1e-5)
        bits_per_dim = -nats / math.log(2) / (3 * 8 * 8)
        np.testing.assert_allclose(found.bits_per_dim.numpy(), bits_per_dim, rtol=1e-5)
        assert not found.bound


def jacobian_log_det(backend: FlowBackend, y: Tensor, h: Tensor | None) -> Tensor:
    """log|det| of one row's local parts by y, by central differences in float64."""
    columns = []
    for index in range(y.numel()):
        step = torch.zeros(y.numel(), dtype=y.dtype)
        step[index] = 1e-6
        ends = [
            torch.cat([p.flatten() for p in backend.network.encode(y + s * step.view_as(y), h)[0]])
            for s in (-1, 1)
        ]
        columns.append((ends[1] - ends[0]) / 2e-6)
    return torch.linalg.slogdet(torch.stack(columns, 1)).logabsdet


@pytest.mark.parametrize("splits", [1, 2])
def test_a_plain_log_prob_is_the_change_of_variables(splits: int) -> None:
    backend = doubled(tiny_flow(**GREY, global_dim=0, splits=splits))
    images = smooth_images(2, backend.config).double()
    found = backend.log_prob(images, options={"seed": 4})
    for row in range(2):
        seed = row_seed(to_levels(images)[row], 4)
        u = torch.from_numpy(uniform(seed, "log_prob.dequantise", 0, (1, 4, 4)))[None]
        y = bin_position(levels_of(images[row : row + 1], 8), u.double(), 8)
        parts = torch.cat([part.flatten() for part in backend.network.encode(y)[0]])
        gaussian = torch.distributions.Normal(0.0, 1.0).log_prob(parts).sum()
        nats = gaussian + jacobian_log_det(backend, y, None) - 16 * 8 * math.log(2)
        assert abs(float(nats - found.nats[row])) < 1e-6


@pytest.mark.parametrize("prior", ["standard", "flow"])
def test_a_decoupled_log_prob_is_the_evidence_lower_bound(prior: str) -> None:
    backend = doubled(tiny_flow(**GREY, global_prior=prior))
    images = smooth_images(2, backend.config).double()
    network = backend.network
    found = backend.log_prob(images)
    placed = backend.log_prob_map(images)
    assert found.bound
    for row in range(2):
        seed = row_seed(to_levels(images)[row], 0)
        x = images[row : row + 1]
        u = torch.from_numpy(uniform(seed, "log_prob.dequantise", 0, (1, 4, 4)))[None].double()
        mean, logvar = network.posterior(to_centre(x, 8))
        eps = torch.from_numpy(noise(seed, "log_prob.global", 0, (6,)))[None].double()
        posterior = torch.distributions.Normal(mean, torch.exp(0.5 * logvar))
        z = mean + eps * posterior.stddev
        part, log_det = z, torch.zeros(())
        if network.prior is not None:
            part = network.part_of(z)
            jacobian = torch.autograd.functional.jacobian(network.part_of, z)[0, :, 0]
            log_det = torch.linalg.slogdet(jacobian).logabsdet
            assert (network.z_of(part) - z).abs().max() < 1e-9
        normal = torch.distributions.Normal(0.0, 1.0)
        rest = normal.log_prob(part).sum() + log_det - posterior.log_prob(z).sum()
        y = bin_position(levels_of(x, 8), u, 8)
        parts = torch.cat([p.flatten() for p in network.encode(y, z)[0]])
        nats = normal.log_prob(parts).sum() + jacobian_log_det(backend, y, z)
        nats = nats - 16 * 8 * math.log(2)
        assert abs(float(nats + rest - found.nats[row])) < 1e-6
        assert abs(float(rest - placed.rest[row])) < 1e-9


def test_variational_dequantisation_has_the_density_of_its_noise() -> None:
    backend = doubled(tiny_flow(**GREY, dequantisation="variational"))
    dequantiser = backend.network.dequantiser
    assert dequantiser is not None
    images = smooth_images(1, backend.config).double()
    centre = to_centre(images, 8)
    eps = torch.randn((1, 1, 4, 4), dtype=torch.float64)
    u, log_q = dequantiser(centre, eps)
    assert 0 < u.min() < u.max() < 1
    jacobian = torch.autograd.functional.jacobian(lambda e: dequantiser(centre, e)[0], eps)
    volume = torch.linalg.slogdet(jacobian.reshape(16, 16)).logabsdet
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(eps).sum() - volume
    assert abs(float(log_q - expected)) < 1e-9
    placed = dequantiser(centre, eps, by_position=True)[1]
    assert abs(float(placed.sum() - expected)) < 1e-9
    assert not torch.allclose(dequantiser(-centre, eps)[0], u), "it must see the image"
    # Its own draws, in the bound of the image.
    row = noise(row_seed(to_levels(images)[0], 0), "log_prob.dequantise", 0, (1, 4, 4))
    u, log_q = dequantiser(centre, torch.from_numpy(row)[None].double())
    uniform_twin = tiny_flow(**GREY)
    state = {n: t for n, t in backend.network.state_dict().items() if "dequantiser" not in n}
    uniform_twin.network.double().load_state_dict(state)
    seed = row_seed(to_levels(images)[0], 0)
    eps = torch.from_numpy(noise(seed, "log_prob.global", 0, (6,)))[None].double()
    mean, logvar = backend.network.posterior(centre)
    y = bin_position(levels_of(images, 8), u, 8)
    parts, log_det = backend.network.encode(y, mean + eps * torch.exp(0.5 * logvar))
    gaussian = torch.distributions.Normal(0.0, 1.0).log_prob(
        torch.cat([p.flatten() for p in parts])
    )
    nats = gaussian.sum() + log_det - log_q - 16 * 8 * math.log(2)
    rest = uniform_twin.log_prob_map(images).rest
    assert abs(float(nats + rest - backend.log_prob(images).nats)) < 1e-6


@pytest.mark.parametrize("kind", ["decoupled", "every-layer"])
def test_more_draws_raise_the_bound(kind: str) -> None:
    backend = tiny_flow(**KINDS[kind])
    images = smooth_images(2, backend.config)
    means = []
    for count in (1, 16):
        options = [{"samples": count, "seed": seed} for seed in range(16 // count)]
        means.append(np.mean([backend.log_prob(images, options=o).nats.mean() for o in options]))
    assert means[1] - means[0] > 0.5


def test_the_map_adds_up(flow: FlowBackend) -> None:
    images = smooth_images(3, flow.config)
    for options in ({}, {"samples": 5, "seed": 2}):
        placed = flow.log_prob_map(images, options=options)
        assert placed.nats.shape == (3, *flow.spec.image_shape[1:])
        total = placed.nats.double().sum((1, 2)) + placed.rest
        found = flow.log_prob(images, options=options)
        torch.testing.assert_close(total.float(), found.nats, rtol=1e-5, atol=1e-2)
    others = [flow.log_prob(images, options={"seed": seed}).nats for seed in range(2)]
    assert not torch.equal(*others)


def test_a_rows_draws_are_its_own(flow: FlowBackend) -> None:
    images = smooth_images(5, flow.config)
    whole = flow.log_prob(images).nats
    alone = torch.cat([flow.log_prob(image[None]).nats for image in images])
    turned = flow.log_prob(images.flip(0)).nats.flip(0)
    torch.testing.assert_close(alone, whole, rtol=1e-6, atol=1e-2)
    torch.testing.assert_close(turned, whole, rtol=1e-6, atol=1e-2)
    empty = flow.log_prob(images[:0])
    assert empty.nats.shape == empty.bits_per_dim.shape == (0,)


def test_the_map_of_one_level_is_what_each_position_has() -> None:
    backend = rotation_only(8, steps=(1,), hidden=(8,))
    norm = backend.network.get_submodule("flow.levels.0.0.steps.0.mixing.norm")
    norm.log_scale.copy_(torch.linspace(-0.5, 1.0, 12))
    images = smooth_images(1, backend.config)
    seed = row_seed(to_levels(images)[0], 0)
    u = torch.from_numpy(uniform(seed, "log_prob.dequantise", 0, (3, 8, 8)))[None]
    part = backend.network.encode(bin_position(levels_of(images, 8), u, 8))[0][0]
    position = torch.distributions.Normal(0.0, 1.0).log_prob(part[0]).sum(0)
    position = (position + norm.log_scale.sum()) / 4
    placed = backend.log_prob_map(images)
    expected = position.repeat_interleave(2, 0).repeat_interleave(2, 1) - 3 * 8 * math.log(2)
    torch.testing.assert_close(placed.nats[0], expected)
    assert abs(float(placed.rest)) < 1e-3
