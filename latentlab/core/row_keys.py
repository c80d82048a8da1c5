"""What the noise that a sampler injects is drawn from, row by row: never the batch, never edits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from latentlab.core.denoising import ROW_KEYS
from latentlab.core.document import Picture
from latentlab.core.latents import Latents
from latentlab.core.noise import MAX_SEED

_NOISE = "noise"


def stored_keys(stored: Latents) -> tuple[int, ...]:
    """Return a key for each row of stored latents, 0 to 2**63 - 1, by the row's bytes alone.

    What is known of a picture beside its noise (a mask, pixels) is left aside, so that the noise
    stays while a mask is painted.
    """
    names = [_NOISE] if _NOISE in stored else sorted(stored)
    keys = []
    for row in range(stored.batch):
        digest = hashlib.blake2b(digest_size=8)
        for name in names:
            digest.update(np.ascontiguousarray(stored[name][row]).tobytes())
        keys.append(int.from_bytes(digest.digest(), "little") & MAX_SEED)
    return tuple(keys)


def row_keys(picture: Picture, stored: Latents | None = None) -> tuple[int, ...]:
    """Return a key for each image of a picture, 0 to 2**63 - 1.

    Args:
        picture: made of seeds, which are the keys, or of stored latents.
        stored: the latents that ``picture.stored`` names, before the picture's edits.
    """
    return picture.seeds if stored is None or not picture.stored else stored_keys(stored)


def with_row_keys(
    options: Mapping[str, Any] | None, keys: Sequence[int] | None
) -> Mapping[str, Any] | None:
    """Return options of ``decode`` with the keys of the rows, if there are any."""
    return options if keys is None else {**(options or {}), ROW_KEYS: tuple(keys)}
