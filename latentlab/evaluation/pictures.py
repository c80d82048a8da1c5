"""What latents change in the picture: a linear map under which distances are those of pictures.

All axes of a latent space may spread alike (a whitened prior, a GAN's z), and then neither
principal components nor neighbours of the bare latents say anything. Distances on a latent manifold
are properly those of its pictures (Arvanitidis et al. 2018, arXiv 1710.11379); here the decoder's
metric, averaged over the data, is that of the least-squares linear decoder.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from latentlab.backends.stepping import in_steps
from latentlab.core.parts import GLOBAL, decouples
from latentlab.core.points import PointSet

Float = NDArray[np.float64]

MAX_WIDTH = 1024
"""Wider latents, for example a diffusion's noise, have no such map: they are pictures already, and
each takes many network evaluations to decode."""
ROWS = 50
SIDE = 16
"""Pictures are compared at so many pixels a side: what a person sees from afar."""
FEWEST = 64
_LEAST_IMAGES, _IMAGES_A_WIDTH = 1024, 4
_CHUNK = 64
_RIDGE = 1e-2


def picture_map(
    backend: Any, points: PointSet
) -> Generator[tuple[int, int, str], None, NDArray[np.float32] | None]:
    """Return ``PointSet.picture_map`` of points, ``(k, D)``; ``None`` where there is none to find.

    Pictures y of some points are fitted by their latents z, argmin_W |Y - Z W|^2 + ridge |W|^2, and
    turned to the principal components V of what is fitted: row i is (W v_i) / sqrt(number of
    pixels), so that distances are root mean square changes of the picture, on the [-1, 1] scale.
    Of latents with a global part and local ones, the global part is fitted alone: the map is zero
    for the others.

    Args:
        backend: decodes the points.
        points: latents of one of its spaces.
    """
    sizes = {name: math.prod(points.parts[name].shape[1:]) for name in sorted(points.parts)}
    apart = decouples(sizes)
    names = [GLOBAL] if apart else list(sizes)
    width = sum(sizes[name] for name in names)
    if not 2 < width <= MAX_WIDTH or len(points) < FEWEST or in_steps(backend):
        return None
    count = min(len(points), max(_LEAST_IMAGES, _IMAGES_A_WIDTH * width))
    chosen = np.unique(np.linspace(0, len(points) - 1, count).round().astype(np.int64))
    rows, pictures = [], []
    for start in range(0, len(chosen), _CHUNK):
        yield start, len(chosen), "comparing pictures"
        latents = points.latents(chosen[start : start + _CHUNK])
        flat = [latents[name].reshape(latents.batch, -1).astype(np.float64) for name in names]
        rows.append(np.concatenate(flat, axis=1))
        pictures.append(_small_pictures(backend, latents))
    found = _fitted(np.concatenate(rows), np.concatenate(pictures))
    if found is None or not apart:
        return found
    columns = {name: np.zeros((len(found), size), np.float32) for name, size in sizes.items()}
    return np.concatenate([*(columns | {GLOBAL: found}).values()], axis=1)


def _small_pictures(backend: Any, latents: Any) -> Float:
    """Return decoded pictures ``(B, pixels)`` at no more than ``SIDE`` pixels a side."""
    parts = {n: torch.from_numpy(np.array(a)).to(backend.device) for n, a in latents.items()}
    with torch.inference_mode():
        images = backend.decode(parts, space=latents.space).float()
        size = (min(SIDE, images.shape[2]), min(SIDE, images.shape[3]))
        small = torch.nn.functional.adaptive_avg_pool2d(images, size)
    return np.asarray(small.flatten(1).cpu().numpy(), np.float64)


def _fitted(latents: Float, pictures: Float) -> NDArray[np.float32] | None:
    centred = latents - latents.mean(axis=0)
    gram = centred.T @ centred
    ridge = _RIDGE * np.trace(gram) / len(gram)
    weights = np.linalg.solve(
        gram + ridge * np.eye(len(gram)), centred.T @ (pictures - pictures.mean(axis=0))
    )
    seen = centred @ weights
    values, vectors = np.linalg.eigh(seen.T @ seen)
    order = np.argsort(values)[::-1][: min(ROWS, latents.shape[1])]
    if not np.isfinite(values).all() or values[order[0]] <= 0:
        return None
    found = (weights @ vectors[:, order]).T / math.sqrt(pictures.shape[1])
    largest = np.abs(found).argmax(axis=1)
    # The sign is fixed, so that the same points always lie the same way.
    signs = np.sign(found[np.arange(len(found)), largest])
    return np.asarray(found * signs[:, None], np.float32)
