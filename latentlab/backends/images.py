"""Between the images of a model, float in [-1, 1], and 8-bit levels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def quantise(images: Tensor) -> Tensor:
    """Return images ``(B, C, H, W)`` in [-1, 1] as uint8 ``(B, H, W, C)``, on their own device.

    The value is round((x + 1) * 127.5), cut to 0..255: what a person sees, or exports.
    """
    levels = ((images.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255)
    return levels.to(torch.uint8).contiguous()


def to_levels(images: Tensor) -> NDArray[np.uint8]:
    """Return images ``(B, C, H, W)`` in [-1, 1] as uint8 ``(B, H, W, C)``; see ``quantise``."""
    return quantise(images).cpu().numpy()


def from_levels(images: NDArray[np.uint8]) -> Tensor:
    """Return uint8 ``(B, H, W, C)`` as float32 ``(B, C, H, W)`` in [-1, 1], on the CPU."""
    pixels = torch.from_numpy(np.array(images, dtype=np.float32))
    return (pixels / 127.5 - 1).permute(0, 3, 1, 2).contiguous()
