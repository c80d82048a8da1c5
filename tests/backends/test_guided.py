"""Restoration by null-space projection, against closed forms of a Gaussian data set."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from latentlab.backends.guided import guide, project_x0
from latentlab.core.errors import LatentLabError
from latentlab.core.noise_schedule import noise_schedule

C, H, W = 3, 8, 8
N = C * H * W
TASKS = ("inpaint", "colourise", "super_resolve")


def draws(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """A prediction, what is known and a mask, each of two rows."""
    generator = torch.Generator().manual_seed(seed)
    x0, known = torch.randn(2, 2, C, H, W, generator=generator, dtype=torch.float64)
    mask = torch.ones(2, 1, H, W, dtype=torch.float64)
    mask[0, :, 2:6, 2:6] = 0
    mask[1, :, :, 5:] = 0
    return x0, known, mask


@cache
def measure(task: str, factor: int = 2) -> np.ndarray:
    """The matrix A of a task, written out: ``(M, N)``."""
    if task == "inpaint":
        return np.eye(N)
    if task == "colourise":
        return np.kron(np.ones((1, C)) / C, np.eye(H * W))
    rows = []
    for c in range(C):
        for y in range(0, H, factor):
            for x in range(0, W, factor):
                row = np.zeros((C, H, W))
                row[c, y : y + factor, x : x + factor] = 1 / factor**2
                rows.append(row.ravel())
    return np.stack(rows)


@pytest.mark.parametrize("task", TASKS)
def test_the_projection_is_the_papers_with_the_pseudo_inverse(task: Any) -> None:
    x0, known, _ = draws()
    mask = torch.ones(2, 1, H, W, dtype=torch.float64)
    found = project_x0(x0, known, mask, task, 2)
    a = measure(task)
    inverse = np.linalg.pinv(a)
    for row in range(2):
        x, y = x0[row].numpy().ravel(), a @ known[row].numpy().ravel()
        wanted = inverse @ y + (np.eye(N) - inverse @ a) @ x
        assert np.allclose(found[row].numpy().ravel(), wanted, atol=1e-12)
        assert np.allclose(a @ found[row].numpy().ravel(), y, atol=1e-12)


@pytest.mark.parametrize("task", TASKS)
def test_projecting_twice_is_projecting_once_and_the_unknown_stays(task: Any) -> None:
    x0, known, mask = draws()
    once = project_x0(x0, known, mask, task, 2)
    assert torch.allclose(project_x0(once, known, mask, task, 2), once, atol=1e-14)
    unseen = (mask == 0).expand_as(x0)
    assert torch.equal(once[unseen], x0[unseen])
    assert not torch.equal(once, x0)
    nothing = torch.zeros_like(mask)
    assert torch.equal(project_x0(x0, known, nothing, task, 2), x0)
    x_t = torch.randn_like(x0)
    moved, kept = guide(x_t, x0, 0.3, known, nothing, task, 2)
    assert torch.equal(moved, x_t)
    assert torch.equal(kept, x0)


def test_a_block_is_known_only_as_a_whole() -> None:
    x0, known, _ = draws()
    mask = torch.ones(2, 1, H, W, dtype=torch.float64)
    mask[:, :, 0, 0] = 0
    found = project_x0(x0, known, mask, "super_resolve", 4)
    assert torch.equal(found[:, :, :4, :4], x0[:, :, :4, :4])
    assert torch.allclose(
        found[:, :, 4:, 4:].mean(dim=(2, 3)), known[:, :, 4:, 4:].mean(dim=(2, 3)), atol=1e-14
    )


def test_what_does_not_divide_into_blocks_is_one_sentence() -> None:
    x0, known, mask = draws()
    with pytest.raises(LatentLabError, match="blocks of 3: choose another"):
        project_x0(x0, known, mask, "super_resolve", 3)
    with pytest.raises(LatentLabError, match="no restoration 'blur'"):
        project_x0(x0, known, mask, "blur", 2)  # type: ignore[arg-type]


# A Gaussian data set: denoiser, conditional mean and the mean that sampling reaches are all exact.


@cache
def gaussian() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, covariance and one draw of smooth colour images as one vector."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:H, 0:W].reshape(2, -1)
    apart = (y[:, None] - y) ** 2 + (x[:, None] - x) ** 2
    near = 0.15 * np.exp(-apart / (2 * 2.5**2)) + 1e-3 * np.eye(H * W)
    colours = np.array([[1, 0.7, 0.6], [0.7, 1, 0.8], [0.6, 0.8, 1]])
    covariance, mean = np.kron(colours, near), 0.2 * rng.normal(size=N)
    return mean, covariance, mean + np.linalg.cholesky(covariance) @ rng.normal(size=N)


def restored_mean(task: Any, mask: np.ndarray, steps: int = 50, *, move: bool = True) -> np.ndarray:
    """The mean that DDIM reaches over all noises: everything is affine, so that of zero noise."""
    mean, covariance, truth = gaussian()
    values, vectors = np.linalg.eigh(covariance)
    kept = noise_schedule("cosine").alphas_cumprod
    times = np.arange(1000, 0, -1000 // steps) - 1
    known, seen = (torch.tensor(a.reshape(1, -1, H, W)) for a in (truth, mask))
    x = np.zeros(N)
    for t, before in zip(times, [*kept[times[1:]], 1.0]):
        signal, spread = kept[t] ** 0.5, (1 - kept[t]) ** 0.5
        gain = signal * values / (kept[t] * values + 1 - kept[t])
        x0 = mean + vectors @ (gain * (vectors.T @ (x - signal * mean)))
        both = (torch.tensor(a.reshape(1, C, H, W)) for a in (x, x0))
        moved, new = guide(*both, signal, known, seen, task, 2)
        x, x0 = (moved.numpy().ravel() if move else x), new.numpy().ravel()
        x = before**0.5 * x0 + (1 - before) ** 0.5 * (x - signal * x0) / spread
    return x


@pytest.mark.parametrize(
    ("task", "near"), [("inpaint", 0.08), ("colourise", 0.005), ("super_resolve", 0.02)]
)
def test_of_a_gaussian_data_set_the_conditional_mean_is_reached(task: Any, near: float) -> None:
    mean, covariance, truth = gaussian()
    mask = np.ones((H, W))
    a = measure(task)
    if task == "inpaint":
        mask[2:6, 2:6] = 0
        a = a[np.tile(mask.ravel() == 1, C)]
    wanted = mean + covariance @ a.T @ np.linalg.solve(a @ covariance @ a.T, a @ (truth - mean))
    away = np.linalg.norm(mean - wanted)
    found = restored_mean(task, mask)
    assert np.allclose(a @ found, a @ truth, atol=1e-12)
    assert np.linalg.norm(found - wanted) < near * away
    # The plain way, which changes the prediction alone, stays much further away.
    plain = restored_mean(task, mask, move=False)
    assert np.linalg.norm(plain - wanted) > 2 * np.linalg.norm(found - wanted)


def test_where_nothing_is_known_the_mean_of_all_is_reached() -> None:
    found = restored_mean("inpaint", np.zeros((H, W)))
    assert np.abs(found - gaussian()[0]).max() < 2e-3
