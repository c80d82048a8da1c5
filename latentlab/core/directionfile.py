"""A direction as a file: one small safetensors file that others can load on their own model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import DirectionHeader, replace_file

MAX_BYTES = 64 * 2**20
_KEY = "latentlab-direction"


def save_direction(path: Path, direction: Direction) -> None:
    """Write a direction with its name, scale, method, fingerprint and provenance.

    Raises:
        LatentLabError: the file cannot be written.
    """
    header = DirectionHeader(
        name=direction.name,
        space=direction.space,
        scale=direction.scale,
        method=direction.method,
        group=direction.group,
        fingerprint=direction.fingerprint,
        provenance=dict(direction.provenance),
    )
    tensors = {name: np.asarray(array, order="C") for name, array in direction.vector.items()}
    metadata = {_KEY: header.model_dump_json()}
    replace_file(path, lambda target: save_file(tensors, target, metadata=metadata))


def load_direction(path: Path) -> Direction:
    """Read a direction.

    Raises:
        LatentLabError: not a whole direction file, or a vector that is not finite or not of unit
            length.
    """
    path = Path(path)
    if not path.is_file():
        raise LatentLabError(f"There is no direction file '{path}': check the name.")
    damaged = (
        f"'{path.name}' is not a whole direction file: it is truncated, damaged or of another "
        "kind; make it again with `latentlab direction`."
    )
    try:
        if path.stat().st_size > MAX_BYTES:
            raise LatentLabError(damaged, f"larger than {MAX_BYTES} bytes")
        with safe_open(path, framework="numpy") as stored:
            text = (stored.metadata() or {}).get(_KEY)
            vector = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        if text is None:
            raise LatentLabError(damaged, "no direction inside")
        header = DirectionHeader.model_validate_json(text)
    except (SafetensorError, ValidationError, json.JSONDecodeError, OSError) as error:
        raise LatentLabError(damaged, str(error)) from error
    return Direction(vector=vector, **header.model_dump())
