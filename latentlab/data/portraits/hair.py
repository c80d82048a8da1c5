"""Hair behind and in front of the face, bangs, and the hat."""

from __future__ import annotations

import torch
from torch import Tensor

from latentlab.data.portraits.canvas import Canvas, Region, both, ellipse, rounded_box
from latentlab.data.portraits.scene import Scene

CROWN_Y = -0.15
"""Centre of the crown's ellipse, in head units."""


def _half_width(scene: Scene, v: Tensor) -> Tensor:
    """Half width of the hair at height ``v``; waves move it."""
    wave = scene["wavy_hair"] * 0.058 * torch.sin(v * 15 + 0.6)
    return scene.half_width + 0.105 + wave


def _crown(scene: Scene, region: Region) -> Tensor:
    """Distance to the outline of the upper head of hair."""
    wave = scene["wavy_hair"] * 0.036 * torch.sin(region.u * 16)
    height = 0.57 + 0.02 * scene["oval_face"] + wave
    return ellipse(region.u, region.v - CROWN_Y, _half_width(scene, region.v), height)


def paint_back(canvas: Canvas, scene: Scene) -> None:
    """Paint the hair behind the face, from the crown down to where ``hair_length`` ends it."""
    region = canvas.head(-1, 1, -1, 1)
    u, v = region.u, region.v
    length = 0.5 * (scene["hair_length"] + 1)
    bottom = -0.02 + 0.86 * length
    half = _half_width(scene, v) + 0.03 * length
    fringe = scene["wavy_hair"] * 0.025 * torch.sin(u * 15)
    # Rounded corners where straight hair ends.
    corner = 0.10 * ((u.abs() / half).clamp_max(1.2) ** 6)
    lower = both(u.abs() - half, v - bottom - fringe + corner)
    region.fill(torch.where(v < CROWN_Y, _crown(scene, region), lower), scene.hair * 0.8)


def paint_front(canvas: Canvas, scene: Scene) -> None:
    """Paint the hair over the forehead and beside the face, and the bangs."""
    region = canvas.head(-1, 1, -1, 0.2)
    u, v = region.u, region.v
    outline = _crown(scene, region)
    side = scene.nuisance["parting"].sign() * 0.12
    wave = scene["wavy_hair"] * 0.022 * torch.sin(u * 16 + 0.5)
    line = -0.44 + 1.15 * (u - side).square() + wave
    beside = both(outline, scene.half_width * 0.9 - u.abs(), v - 0.02)
    region.fill(torch.minimum(both(outline, v - line), beside), scene.hair)
    shown = scene["bangs"] * (1 - scene["wearing_hat"])
    edge = v + 0.205 - 0.016 * torch.sin(u * 26)
    region.fill(both(outline, u.abs() - scene.half_width * 0.95, edge), scene.hair * 0.94, shown)
    for place in (-0.24, 0.0, 0.24):
        strand = both((u - place * (1 + v + 0.4)).abs() - 0.012, v + 0.25, -v - 0.52)
        region.fill(strand, scene.hair * 0.7, shown * 0.7)


def paint_hat(canvas: Canvas, scene: Scene) -> None:
    """Paint the hat: dome, band and brim. It covers the bangs and the crown."""
    region = canvas.head(-1, 1, -1, 0.05)
    u, v, on = region.u, region.v, scene["wearing_hat"]
    dome = both(ellipse(u, v + 0.42, scene.half_width + 0.115, 0.46), v + 0.36)
    region.fill(dome, scene.hat, on)
    region.fill(both(dome, -(v + 0.5)), scene.hat * 0.6, on)
    region.fill(rounded_box(u, v + 0.35, scene.half_width + 0.2, 0.05, 0.045), scene.hat * 0.84, on)
