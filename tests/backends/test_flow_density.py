"""Densities of flows on two numbers: they integrate to 1, and samples follow them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from latentlab.backends.nn.flow_couplings import FlowStep
from latentlab.backends.nn.flow_layers import standard_terms
from tests.flow_models import perturb

MEANS = torch.tensor([[-1.5, -0.5], [1.2, 1.0], [0.9, -1.3]], dtype=torch.float64)
SPREADS = torch.tensor([[0.5, 0.35], [0.4, 0.6], [0.3, 0.3]], dtype=torch.float64)
SHARES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


class PlaneFlow(nn.Module):
    """Steps on points: each is a position of a map ``(1, 2, N, 1)``."""

    def __init__(self, steps: int, couplings: int = 2, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.steps = nn.ModuleList(
            FlowStep(2, 24, couplings=couplings, kernel=1) for _ in range(steps)
        )

    def encode(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Latents ``(N, 2)`` of points ``(N, 2)``, and the log-density ``(N,)``."""
        x, total = points.T[None, :, :, None], 0
        for step in self.steps:
            x, log_det = step(x, by_position=True)
            total = total + log_det
        return x[0, :, :, 0].T, (standard_terms(x, True) + total)[0, :, 0]

    def decode(self, z: Tensor) -> Tensor:
        x = z.T[None, :, :, None]
        for step in reversed(self.steps):
            x = step.decode(x)
        return x[0, :, :, 0].T


def grid(half: float, cells: int) -> tuple[Tensor, float]:
    """Centres of square cells over [-half, half]^2, and a cell's area."""
    width = 2 * half / cells
    line = (torch.arange(cells, dtype=torch.float64) + 0.5) * width - half
    return torch.cartesian_prod(line, line), width**2


def mixture() -> torch.distributions.Distribution:
    parts = torch.distributions.Independent(torch.distributions.Normal(MEANS, SPREADS), 1)
    return torch.distributions.MixtureSameFamily(torch.distributions.Categorical(SHARES), parts)


@pytest.mark.parametrize("couplings", [1, 2, 4])
def test_the_density_of_a_flow_integrates_to_one(couplings: int) -> None:
    flow = PlaneFlow(3, couplings, seed=couplings)
    perturb(flow, 1, 0.6 / couplings**0.5)
    flow = flow.double().eval().requires_grad_(False)
    x = torch.randn(1, 2, 2000, 1, dtype=torch.float64)
    for step in flow.steps:
        x = step.initialise(x)
    wide = float(flow.decode(torch.randn(4000, 2, dtype=torch.float64)).abs().max())
    points, area = grid(1.5 * wide, 500)
    density = flow.encode(points)[1].exp()
    assert density.max() > 1.5 * density[density > 1e-3].median(), "it must not be flat"
    assert abs(float(density.sum() * area) - 1) < 1e-4


@pytest.fixture(scope="module")
def fitted() -> PlaneFlow:
    """A flow fitted by its likelihood to draws of ``mixture``."""
    flow = PlaneFlow(4)
    torch.manual_seed(3)
    data = mixture().sample((4096,)).float()
    x = data[:512].T[None, :, :, None]
    for step in flow.steps:
        x = step.initialise(x)
    optimizer = torch.optim.Adam(flow.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-2, total_steps=300)
    for index in range(300):
        rows = data[torch.arange(256) + 256 * (index % 16)]
        loss = -flow.encode(rows)[1].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return flow.double().eval().requires_grad_(False)


def test_a_fitted_flow_has_the_likelihood_of_the_mixture(fitted: PlaneFlow) -> None:
    torch.manual_seed(11)
    fresh = mixture().sample((20000,))
    true, found = mixture().log_prob(fresh), fitted.encode(fresh)[1]
    # Their mean difference is a Kullback-Leibler divergence: not below 0, and small.
    divergence = float((true - found).mean())
    moments = torch.distributions.MultivariateNormal(fresh.mean(0), torch.cov(fresh.T))
    plain = float((true - moments.log_prob(fresh)).mean())
    assert -0.01 < divergence < plain / 3
    points, area = grid(12.0, 600)
    assert abs(float(fitted.encode(points)[1].exp().sum() * area) - 1) < 1e-4


def test_samples_of_a_fitted_flow_follow_its_density(fitted: PlaneFlow) -> None:
    count, cells = 40000, 12
    z = torch.from_numpy(np.random.default_rng(5).standard_normal((count, 2)))
    drawn = fitted.decode(z)
    assert (fitted.encode(drawn)[0] - z).abs().max() < 1e-9
    half, fine = 4.0, 40
    points, area = grid(half, cells * fine)
    mass = (fitted.encode(points)[1].exp() * area).reshape(cells, fine, cells, fine).sum((1, 3))
    edges = np.linspace(-half, half, cells + 1)
    counted, _, _ = np.histogram2d(*drawn.numpy().T, bins=(edges, edges))
    expected = mass.numpy() * count
    used = expected > 20
    assert used.sum() > 20
    statistic = ((counted - expected)[used] ** 2 / expected[used]).sum()
    freedom = int(used.sum())
    # Pearson's statistic has mean `freedom` and variance 2 `freedom` when they agree.
    assert abs(statistic - freedom) < 5 * math.sqrt(2 * freedom)
    # They find the mixture too: the three bumps have their shares.
    nearest = torch.cdist(drawn, MEANS).argmin(1)
    shares = torch.bincount(nearest, minlength=3) / count
    truth = torch.bincount(torch.cdist(mixture().sample((count,)), MEANS).argmin(1), minlength=3)
    assert (shares - truth / count).abs().max() < 0.05
