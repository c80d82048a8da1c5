"""A chunk of images, and shapes painted on them by their signed distances."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Window = tuple[slice, slice]


def ellipse(u: Tensor, v: Tensor, rx: Tensor | float, ry: Tensor | float) -> Tensor:
    """Return the distance to an ellipse at the origin: negative inside.

    First order (the level set function over the length of its gradient), so that edges are one
    pixel wide all around, whatever the ratio of the radii.
    """
    x, y = u / rx, v / ry
    norm = torch.sqrt(x.square() + y.square() + 1e-8)
    gradient = torch.sqrt((x / rx).square() + (y / ry).square() + 1e-8)
    return norm * (norm - 1) / gradient


def rounded_box(
    u: Tensor, v: Tensor, half_width: Tensor | float, half_height: Tensor | float, radius: float
) -> Tensor:
    """Return the distance to a box at the origin with rounded corners: negative inside."""
    a, b = u.abs() - (half_width - radius), v.abs() - (half_height - radius)
    outside = torch.sqrt(a.clamp_min(0).square() + b.clamp_min(0).square() + 1e-12)
    return outside + torch.maximum(a, b).clamp_max(0) - radius


def both(first: Tensor, *others: Tensor) -> Tensor:
    """Return the distance to what lies inside all shapes."""
    for other in others:
        first = torch.maximum(first, other)
    return first


@dataclass(frozen=True)
class Pose:
    """Where the heads stand: tensors ``(N, 1, 1)`` that broadcast over pixels.

    Attributes:
        x: centre, in half image widths to the right of the middle.
        y: centre, in half image heights below the middle.
        cos: cosine of the tilt.
        sin: sine of the tilt.
        zoom: image units for one head unit.
    """

    x: Tensor
    y: Tensor
    cos: Tensor
    sin: Tensor
    zoom: Tensor


class Canvas:
    """Square images ``(N, 3, size, size)`` in [0, 1]; the picture spans -1 to 1 on both axes.

    Args:
        background: the first layer, ``(N, 3, size, size)``.
        pose: of the heads.
    """

    def __init__(self, background: Tensor, pose: Pose) -> None:
        self.images = background
        self.size = background.shape[-1]
        self.pose = pose
        self.axis = (torch.arange(self.size, device=background.device) + 0.5) / self.size * 2 - 1

    def window(self, left: float, right: float, top: float, bottom: float) -> Window:
        """Return the pixels of a rectangle given in picture units."""

        def pixel(value: float) -> int:
            return round(min(max((value + 1) / 2, 0.0), 1.0) * self.size)

        return slice(pixel(top), pixel(bottom)), slice(pixel(left), pixel(right))

    def picture(self, left: float, right: float, top: float, bottom: float) -> Region:
        """Return a rectangle in picture coordinates."""
        window = self.window(left, right, top, bottom)
        u = self.axis[window[1]][None, None, :]
        v = self.axis[window[0]][None, :, None]
        return Region(self, window, u, v, self.size / 2)

    def head(self, left: float, right: float, top: float, bottom: float) -> Region:
        """Return a rectangle of the picture in head coordinates (tilted, shifted, scaled)."""
        window = self.window(left, right, top, bottom)
        pose = self.pose
        x = self.axis[window[1]][None, None, :] - pose.x
        y = self.axis[window[0]][None, :, None] - pose.y
        u = (x * pose.cos + y * pose.sin) / pose.zoom
        v = (y * pose.cos - x * pose.sin) / pose.zoom
        return Region(self, window, u, v, pose.zoom * self.size / 2)


@dataclass(frozen=True)
class Region:
    """A window of the canvas with coordinates ``u`` (right) and ``v`` (down), ``(N, h, w)``."""

    canvas: Canvas
    window: Window
    u: Tensor
    v: Tensor
    pixels_per_unit: Tensor | float

    def coverage(self, distance: Tensor, softness: float = 1.0) -> Tensor:
        """Return how much of each pixel a shape covers, 0 to 1; the edge is one pixel wide."""
        return (0.5 - distance * (self.pixels_per_unit / softness)).clamp_(0, 1)

    def paint(self, alpha: Tensor, color: Tensor) -> None:
        """Blend a colour, ``(N, 3)`` or ``(N, 3, h, w)``, over the window by ``alpha``."""
        rows, columns = self.window
        target = self.canvas.images[:, :, rows, columns]
        color = color[:, :, None, None] if color.ndim == 2 else color
        target.lerp_(color.expand_as(target), alpha[:, None])

    def fill(
        self, distance: Tensor, color: Tensor, opacity: Tensor | float = 1.0, softness: float = 1.0
    ) -> None:
        """Paint a shape."""
        self.paint(self.coverage(distance, softness) * opacity, color)
