"""A direction as a file: one small safetensors file that others can load on their own model.

Whatever describes a direction in a file (its own, a session, a PNG) is read by ``parse_direction``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from safetensors.numpy import save_file

from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array
from latentlab.core.modelfile import DirectionHeader, opened, replace_file
from latentlab.core.pictures import sound_text

MAX_BYTES = 64 * 2**20
MAX_NAME = 200
MAX_PROVENANCE = 2**18
"""Most characters of the JSON that tells how a direction was found."""
_MAX_PARTS = 1000
_KEY = "latentlab-direction"


def plain_values(value: Any) -> Any:
    """Return a value as JSON has it: arrays as lists, unknown objects as text, NaN as nothing."""
    if isinstance(value, Mapping):
        return {str(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return plain_values(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_values(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def direction_header(direction: Direction) -> DirectionHeader:
    """Return all of a direction but its vector."""
    return DirectionHeader(
        name=direction.name,
        space=direction.space,
        scale=direction.scale,
        method=direction.method,
        group=direction.group,
        fingerprint=direction.fingerprint,
        provenance=plain_values(direction.provenance),
    )


def parse_direction(values: Any, vector: Mapping[str, Array], what: str) -> Direction:
    """Return a direction that a file described, strictly.

    Args:
        values: fields of ``DirectionHeader``, or one.
        vector: float array of the part's shape, by part name.
        what: what the sentence calls it, for example "The direction inside 'a.png'".

    Raises:
        LatentLabError: fields missing, unknown or of monstrous size, or a vector that is not
            finite or not of unit length.
    """
    damaged = f"{what} is damaged: choose another file."
    try:
        header = DirectionHeader.model_validate(
            values.model_dump() if isinstance(values, DirectionHeader) else values
        )
        provenance = json.dumps(header.provenance, allow_nan=False)
    except (ValidationError, RecursionError, ValueError, TypeError) as error:
        raise LatentLabError(damaged, str(error)) from error
    texts = (header.name, header.space, header.method, header.group, header.fingerprint, *vector)
    sound = (
        0 < len(header.name) <= MAX_NAME
        and all(sound_text(text) for text in texts)
        and len(provenance) <= MAX_PROVENANCE
        and 1 <= len(vector) <= _MAX_PARTS
        and all(array.dtype.kind == "f" and array.ndim for array in vector.values())
        and sum(array.size for array in vector.values()) * 4 <= MAX_BYTES
    )
    if not sound:
        raise LatentLabError(damaged, "a name, a shape or a size is out of range")
    return Direction(vector=vector, **header.model_dump())


def save_direction(path: Path, direction: Direction) -> None:
    """Write a direction with its name, scale, method, fingerprint and provenance.

    Raises:
        LatentLabError: the file cannot be written.
    """
    header = direction_header(direction)
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
        with opened(path) as stored:
            text = (stored.metadata() or {}).get(_KEY)
            if text is None:
                raise LatentLabError(damaged, "no direction inside")
            vector = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        values = json.loads(text)
    except (ValueError, TypeError, RecursionError, OSError) as error:
        raise LatentLabError(damaged, str(error)) from error
    return parse_direction(values, vector, f"The direction in '{path.name}'")
