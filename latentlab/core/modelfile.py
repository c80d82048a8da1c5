"""The model file: one safetensors file whose metadata says everything about the model.

Tensors are named ``net.<state dict name>``, ``direction.<name>.<part>`` and ``preview`` (uint8
``(H, W, C)``). The metadata has one key, ``latentlab``, holding JSON.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array
from latentlab.core.spec import Frozen, ModelSpec

FORMAT_VERSION = 2
"""Version 2 says more about how a model was made; files of version 1 are read as they are."""
MAX_HEADER_BYTES = 32 * 2**20
_KEY = "latentlab"


class DirectionHeader(Frozen):
    """A direction without its vector."""

    name: str
    space: str
    scale: float
    method: str
    group: str = ""
    fingerprint: str = ""
    provenance: dict[str, Any] = Field(default_factory=dict)


class ModelHeader(Frozen):
    """What can be read of a model file without reading its weights."""

    format_version: int = Field(default=FORMAT_VERSION, ge=1)
    config: dict[str, Any]
    spec: ModelSpec
    directions: tuple[DirectionHeader, ...] = ()
    extra: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class StoredModel:
    """A model file in memory.

    Attributes:
        header: the metadata.
        weights: arrays by state-dict name.
        directions: by name.
        preview: uint8 ``(H, W, C)`` picture for the card, if there is one.
    """

    header: ModelHeader
    weights: Mapping[str, Array]
    directions: Mapping[str, Direction] = field(default_factory=dict)
    preview: Array | None = None


def fingerprint(weights: Mapping[str, Array]) -> str:
    """Return the SHA-256 of names, dtypes, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def replace_file(path: Path, write: Any) -> None:
    """Write ``path`` through a temporary neighbour, then rename: it is whole or not there.

    Args:
        path: the file to make or replace.
        write: called with the temporary path.

    Raises:
        LatentLabError: ``path`` is a folder, the folder is not writable, or the disk is full.
    """
    if not path.name or path.is_dir():
        raise LatentLabError(f"'{path}' is a folder: name the file to write in it.")
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        candidate = path.with_name(f".{path.name[:80]}.{uuid.uuid4().hex}.part")
        # Not tempfile: its files are readable by their owner alone, and stay so after the rename.
        candidate.touch(exist_ok=False)
        temporary = candidate
        mode = candidate.stat().st_mode
        write(temporary)
        # safetensors puts a file of its own in this place, again for its owner alone.
        temporary.chmod(mode)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        _rename(temporary, path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LatentLabError(
            f"'{path}' could not be written ({reason}): free some space or choose another folder."
        ) from error
    finally:
        # Gone after the rename; whatever stopped the writing, half a file is not left behind.
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the machine write through the names in a folder, where it can: new ones, renames."""
    if os.name == "nt":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        # Some shares know no such thing; files themselves are written through by then.
        return
    finally:
        os.close(handle)


def _rename(temporary: Path, path: Path) -> None:
    """Rename over ``path``; Windows refuses while somebody reads the old file for a moment."""
    for wait in (0.02, 0.1, 0.5) if os.name == "nt" else ():
        try:
            temporary.replace(path)
            return
        except PermissionError:
            time.sleep(wait)
    temporary.replace(path)


def write_model(path: Path, model: StoredModel) -> ModelHeader:
    """Write a model file and return its header, with the fingerprint of what was stored.

    Raises:
        LatentLabError: the file cannot be written.
    """
    weights = {name: np.asarray(array, order="C") for name, array in model.weights.items()}
    mark = fingerprint(weights)
    # JSON has no word for a figure that is not finite, and such a file could not be read again.
    quality = {n: v for n, v in model.header.spec.quality.items() if math.isfinite(v)}
    spec = model.header.spec.model_copy(update={"fingerprint": mark, "quality": quality})
    rows = tuple(
        DirectionHeader(
            name=d.name,
            space=d.space,
            scale=d.scale,
            method=d.method,
            group=d.group,
            fingerprint=d.fingerprint or mark,
            provenance=dict(d.provenance),
        )
        for d in model.directions.values()
    )
    header = model.header.model_copy(update={"spec": spec, "directions": rows})
    tensors = {f"net.{name}": array for name, array in weights.items()}
    for direction in model.directions.values():
        for part, vector in direction.vector.items():
            tensors[f"direction.{direction.name}.{part}"] = np.asarray(vector, order="C")
    if model.preview is not None:
        tensors["preview"] = np.asarray(model.preview, order="C")
    metadata = {_KEY: header.model_dump_json()}
    replace_file(path, lambda target: save_file(tensors, target, metadata=metadata))
    return header


def _check_readable(path: Path) -> None:
    if not path.exists():
        raise LatentLabError(f"There is no file '{path}': check the name.")
    if not path.is_file():
        raise LatentLabError(f"'{path}' is not a file: choose a .safetensors model file.")
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
    length = int.from_bytes(start, "little")
    if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
        raise LatentLabError(
            f"'{path.name}' is not a whole safetensors file ({size} bytes): "
            "it is truncated or of another kind; choose or download it again."
        )


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Give an open safetensors file (numpy); what is wrong with it, then or later, is one sentence.

    Raises:
        LatentLabError: missing, not readable, truncated, or of another kind.
    """
    try:
        _check_readable(path)
        with safe_open(path, framework="numpy") as stored:
            yield stored
    except OSError as error:
        raise LatentLabError(f"'{path}' cannot be read ({error.strerror or error}).") from error
    except SafetensorError as error:
        raise LatentLabError(
            f"'{path.name}' is not a whole safetensors file: it is truncated, damaged or of "
            "another kind; choose or download it again.",
            str(error),
        ) from error


def _header(path: Path, metadata: Mapping[str, str] | None) -> ModelHeader:
    text = (metadata or {}).get(_KEY)
    if text is None:
        raise LatentLabError(
            f"'{path.name}' holds tensors but no LatentLab model: import it from its own format."
        )
    try:
        version = json.loads(text).get("format_version")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise LatentLabError(
                f"'{path.name}' was written by a newer LatentLab (format {version}, this one "
                f"reads {FORMAT_VERSION}): update LatentLab."
            )
        return ModelHeader.model_validate_json(text)
    except (ValidationError, ValueError, AttributeError, RecursionError) as error:
        raise LatentLabError(
            f"The description inside '{path.name}' is damaged: choose or download it again.",
            str(error),
        ) from error


def read_header(path: Path) -> ModelHeader:
    """Read what the file says about itself, without its weights.

    Raises:
        LatentLabError: not a whole LatentLab model file.
    """
    with opened(path) as stored:
        return _header(path, stored.metadata())


def read_preview(path: Path) -> Array | None:
    """Read the card's picture, uint8 ``(H, W, C)``, if the file has one.

    Raises:
        LatentLabError: not a whole safetensors file, or its ``preview`` is not such a picture.
    """
    with opened(path) as stored:
        present = "preview" in stored.keys()  # noqa: SIM118 (not a mapping)
        return _preview(path, {"preview": _tensor(path, stored, "preview")} if present else {})


def read_directions(path: Path) -> dict[str, Direction]:
    """Read the directions that come with a model, without its weights.

    Raises:
        LatentLabError: not a whole LatentLab model file, or a direction is damaged.
    """
    with opened(path) as stored:
        header = _header(path, stored.metadata())
        names = [n for n in stored.keys() if n.startswith("direction.")]  # noqa: SIM118
        return _directions(header, {name: _tensor(path, stored, name) for name in names}, path)


def _preview(path: Path, tensors: Mapping[str, Array]) -> Array | None:
    found = tensors.get("preview")
    if found is None or (
        found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] in (1, 3) and found.size
    ):
        return found
    raise LatentLabError(
        f"The picture inside '{path.name}' is {found.dtype} {found.shape}, not uint8 (H, W, 1 or "
        "3): the file is damaged; choose or download it again."
    )


def _directions(
    header: ModelHeader, tensors: Mapping[str, Array], path: Path
) -> dict[str, Direction]:
    directions: dict[str, Direction] = {}
    spaces = {space.name: space for space in header.spec.spaces}
    for row in header.directions:
        if row.name in directions or row.space not in spaces:
            raise LatentLabError(
                f"Direction '{row.name}' inside '{path.name}' is there twice or moves in a space "
                "that the model does not have: the file is damaged; choose or download it again."
            )
        prefix = f"direction.{row.name}."
        vector = {n[len(prefix) :]: a for n, a in tensors.items() if n.startswith(prefix)}
        directions[row.name] = Direction(vector=vector, **row.model_dump())
        directions[row.name].check(spaces[row.space])
    return directions


def _tensor(path: Path, stored: Any, name: str) -> Array:
    try:
        return np.asarray(stored.get_tensor(name))
    except TypeError as error:
        # numpy knows no bfloat16 and no 8-bit floats, and no model file holds them.
        raise LatentLabError(
            f"Tensor '{name}' in '{path.name}' is of a type that model files do not use "
            "(bfloat16 or 8-bit): import the file from its own format.",
            str(error),
        ) from error


def _tensors(path: Path, stored: Any) -> dict[str, Array]:
    tensors: dict[str, Array] = {}
    for name in stored.keys():  # noqa: SIM118 (not a mapping)
        array = _tensor(path, stored, name)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise LatentLabError(
                f"Tensor '{name}' in '{path.name}' holds values that are not finite: "
                "the training run broke; choose another checkpoint."
            )
        tensors[name] = array
    return tensors


def read_model(path: Path) -> StoredModel:
    """Read a model file, strictly.

    Raises:
        LatentLabError: not a whole LatentLab model file, weights that are not finite, or weights
            that do not match the fingerprint in the header.
    """
    with opened(path) as stored:
        header = _header(path, stored.metadata())
        tensors = _tensors(path, stored)
    weights = {name[4:]: array for name, array in tensors.items() if name.startswith("net.")}
    if fingerprint(weights) != header.spec.fingerprint:
        raise LatentLabError(
            f"The weights in '{path.name}' are not the ones that it describes: "
            "the file was changed or damaged; choose or download it again."
        )
    directions = _directions(header, tensors, path)
    return StoredModel(header, weights, directions, _preview(path, tensors))
