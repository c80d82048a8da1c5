"""The linear map from latents to pictures, where it is known in closed form."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from latentlab.core.points import PointSet
from latentlab.evaluation.pictures import picture_map

WIDTH, SIDE = 12, 8
RNG = np.random.default_rng(3)
FRAME = np.linalg.qr(RNG.normal(size=(3 * SIDE * SIDE, WIDTH)))[0].T
GAIN = np.array([2.0, 0.0, 1.0, *[0.05] * (WIDTH - 3)])


class LinearDecoder:
    """picture = (z * GAIN) @ FRAME: distances between pictures are known."""

    device = torch.device("cpu")
    spec = SimpleNamespace(capabilities=("sample", "decode"))

    def decode(self, latents: Any, *, space: str | None = None) -> torch.Tensor:
        flat = latents["z"].double().numpy() * GAIN @ FRAME
        return torch.from_numpy(flat).reshape(-1, 3, SIDE, SIDE)


def finished(work: Any) -> Any:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def point_set(count: int, width: int = WIDTH) -> PointSet:
    rows = np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)
    return PointSet("m", "f", "z", "prior", np.arange(count), {"z": rows})


def test_distances_are_those_of_the_pictures() -> None:
    points = point_set(3000)
    found = finished(picture_map(LinearDecoder(), points))
    rows = points.parts["z"].astype(np.float64)
    pairs = (rows[:500] - rows[500:1000]) @ found.T
    pictures = (rows[:500] - rows[500:1000]) * GAIN
    wanted = np.linalg.norm(pictures, axis=1) / np.sqrt(3 * SIDE * SIDE)
    np.testing.assert_allclose(np.linalg.norm(pairs, axis=1), wanted, rtol=0.03)


def test_the_row_that_changes_pictures_most_comes_first() -> None:
    found = finished(picture_map(LinearDecoder(), point_set(2000)))
    assert np.abs(found[0]).argmax() == 0
    assert np.abs(found[1]).argmax() == 2
    assert np.abs(found[:, 1]).max() < 0.01 * np.abs(found[0, 0])


def test_there_is_none_for_a_plane_a_few_points_or_a_picture_of_noise() -> None:
    for points in (point_set(500, 2), point_set(20), point_set(100, 2000)):
        assert finished(picture_map(LinearDecoder(), points)) is None
