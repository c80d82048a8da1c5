"""What a switched picture shows: whose attributes come with the global part, whose with the local.

Ma et al. 2021 (arXiv 2004.11820, section 4.4) show switched images; here the probe reads them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlab.backends.images import to_levels
from latentlab.backends.probe import Probe
from latentlab.core.parts import GLOBAL
from latentlab.data.base import ImageDataset
from latentlab.data.portraits.attributes import EDIT_ATTRIBUTES
from latentlab.evaluation.encode import to_network
from latentlab.evaluation.measure import Progress
from latentlab.latent.metrics import frechet_distance

PAIRS = 1000
CHUNK = 64
ALSO = ("age", "skin_tone", "hair_length", "yaw", "light_direction")
"""What else is read off switched portraits."""
Float = NDArray[np.float64]


def switch_study(
    backend: Any, probe: Probe, held_out: ImageDataset, pairs: int = PAIRS
) -> Generator[Progress, None, dict[str, float]]:
    """Switch held-out images in a ring and measure the pictures X = (global of A, local of B).

    Args:
        backend: a decoupled flow.
        probe: reads attributes and features.
        held_out: portraits; the first ``pairs`` are taken, each is A once and B once.
        pairs: at least 3.

    Returns:
        Figures by name. ``switched_global_<attribute>`` and ``switched_local_<attribute>`` are the
        two slopes of the least-squares fit of what the probe reads in X on what it reads in A and
        in B: 1 and 0 say that the attribute comes with the global part alone. ``frechet_switched``
        is the distance of the X to the held-out images in the probe's features; compare it with
        ``frechet_probe_floor``.
    """
    count = min(pairs, len(held_out))
    names = [name for name in (*EDIT_ATTRIBUTES, *ALSO) if name in probe.columns]
    reader = _Reader(probe, names)
    found: list[dict[str, Tensor]] = []
    for start in range(0, count, CHUNK):
        images = held_out.read(np.arange(start, min(start + CHUNK, count)))
        found.append(_encoded(backend, images))
        reader.read(images)
        yield start + len(images), 2 * count, "encoding images to switch"
    own, real = reader.taken()
    latents = {name: torch.cat([part[name] for part in found]) for name in found[0]}
    for start in range(0, count, CHUNK):
        rows = torch.arange(start, min(start + CHUNK, count))
        parts = {n: a[rows if n == GLOBAL else (rows + 1) % count] for n, a in latents.items()}
        reader.read(to_levels(backend.decode({n: a.to(backend.device) for n, a in parts.items()})))
        yield count + start + len(rows), 2 * count, "reading switched images"
    switched, features = reader.taken()
    figures: dict[str, float] = {}
    for column, name in enumerate(names):
        theirs = own[:, column]
        slopes = shares(theirs, np.roll(theirs, -1), switched[:, column])
        figures[f"switched_global_{name}"], figures[f"switched_local_{name}"] = slopes
    return figures | {"frechet_switched": frechet_distance(features, real)}


class _Reader:
    """Gathers what a probe reads in images: attributes and features."""

    def __init__(self, probe: Probe, names: Sequence[str]) -> None:
        self._probe, self._names = probe, names
        self._rows: list[tuple[Float, Float]] = []

    def read(self, images: NDArray[np.uint8]) -> None:
        """Read images ``(B, H, W, C)``."""
        features = self._probe.features(images).astype(np.float64)
        self._rows.append((self._probe.standardised(images, self._names), features))

    def taken(self) -> tuple[Float, Float]:
        """Return attributes ``(N, names)`` and features ``(N, F)`` so far; begin anew."""
        attributes, features = (np.concatenate(column) for column in zip(*self._rows, strict=True))
        self._rows = []
        return attributes, features


@torch.inference_mode()
def _encoded(backend: Any, images: NDArray[np.uint8]) -> dict[str, Tensor]:
    pixels = to_network(images, backend.device)
    update = deque(backend.encode(pixels, options={"reconstruct": False}), maxlen=1)[0]
    return {name: values.cpu() for name, values in update.latents.items()}


def shares(first: Float, second: Float, mixed: Float) -> tuple[float, float]:
    """Return the slopes of ``mixed`` ``(N,)`` on ``first`` and ``second``, by least squares."""
    columns = np.stack([first, second, np.ones_like(first)], axis=1)
    found = np.linalg.lstsq(columns, mixed, rcond=None)[0]
    return float(found[0]), float(found[1])
