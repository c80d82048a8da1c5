"""The painter: layers from the background to the hat, for a chunk of portraits at a time."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlab.data.portraits import features, hair
from latentlab.data.portraits.attributes import Table
from latentlab.data.portraits.canvas import Canvas, both, ellipse
from latentlab.data.portraits.scene import Scene, build_scene, nuisances

VERSION = 4
"""Rises when the same seed would give other pixels."""
CHUNK_PIXELS = 32 * 64 * 64
"""What is painted at a time: layers of this size stay in a core's cache."""


def _background(scene: Scene, size: int) -> Tensor:
    fall = torch.linspace(1.05, 0.95, size, device=scene.background.device)
    plain = scene.background[:, :, None, None] * fall[None, None, :, None]
    return plain.expand(-1, -1, -1, size).clamp(0, 1).contiguous()


def _shirt(canvas: Canvas, scene: Scene) -> None:
    region = canvas.picture(-1, 1, 0.5, 1)
    shape = ellipse(region.u - scene.pose.x, region.v - 1.12, 0.88, 0.5)
    region.fill(shape, scene.shirt)
    collar = ellipse(region.u - scene.pose.x, region.v - 0.66, 0.34, 0.2)
    region.fill(both(shape, collar.abs() - 0.02), scene.shirt * 0.8)


def _paint(table: Table, draws: NDArray[np.float64], size: int, device: torch.device) -> Tensor:
    scene = build_scene(table, draws, device)
    canvas = Canvas(_background(scene, size), scene.pose)
    _shirt(canvas, scene)
    hair.paint_back(canvas, scene)
    features.paint_head(canvas, scene)
    features.paint_age(canvas, scene)
    features.paint_eyes(canvas, scene)
    features.paint_nose(canvas, scene)
    features.paint_mouth(canvas, scene)
    features.paint_mustache(canvas, scene)
    hair.paint_front(canvas, scene)
    features.paint_glasses(canvas, scene)
    hair.paint_hat(canvas, scene)
    return canvas.images


def render(
    table: Table,
    *,
    size: int = 64,
    seed: int = 0,
    start: int = 0,
    device: torch.device | None = None,
) -> Tensor:
    """Draw portraits ``start``, ``start + 1``, ...; see ``render_rows``."""
    indices = np.arange(start, start + len(table["smiling"]))
    return render_rows(table, indices, size=size, seed=seed, device=device)


@torch.inference_mode()
def render_rows(
    table: Table,
    indices: NDArray[np.integer],
    *,
    size: int = 64,
    seed: int = 0,
    device: torch.device | None = None,
) -> Tensor:
    """Draw portraits: uint8 ``(N, size, size, 3)``.

    Row i is a pure function of (row i of the table, seed, indices[i], size), on one device.

    Args:
        table: float ``(N,)`` by attribute name.
        indices: ``(N,)``: which draw of what varies besides the attributes belongs to each row
            (place, shirt, brows and the like).
        size: pixels of a side, 16 to 1024.
        seed: of those draws.
        device: where to paint; the CPU when not given.
    """
    if not 16 <= size <= 1024:
        raise ValueError(f"size must lie in 16..1024, not {size}")
    target = device or torch.device("cpu")
    draws = nuisances(seed, indices)
    step = max(1, CHUNK_PIXELS // size**2)
    out = torch.empty((len(indices), size, size, 3), dtype=torch.uint8, device=target)
    for first in range(0, len(indices), step):
        rows = slice(first, min(first + step, len(indices)))
        part = {name: values[rows] for name, values in table.items()}
        images = _paint(part, draws[rows], size, target)
        out[rows] = (images * 255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    return out
