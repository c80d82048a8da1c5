"""Latents as files, beside the PNG files of ``services.png``. No torch here."""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as save_arrays

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array, Latents
from latentlab.core.modelfile import opened, replace_file
from latentlab.core.pictures import parse_picture, strict_json
from latentlab.services.png import (
    PngRecord,
    compose_grid,
    png_metadata,
    read_png_metadata,
    save_png,
)

MAX_BYTES = 2 * 2**30
MAX_META_BYTES = 2**20
_FORMAT = "latentlab-latents"
_META = "latentlab"
_DTYPES = ("float32", "float64", "float16", "int64", "int32")

__all__ = [
    "LatentsFile",
    "PngRecord",
    "compose_grid",
    "load_latents",
    "png_metadata",
    "read_png_metadata",
    "save_latents",
    "save_png",
]


@dataclass(frozen=True, eq=False)
class LatentsFile:
    """Latents read from a file.

    Attributes:
        latents: as stored, floats as float32; ``space`` is empty when the file does not name it.
        picture: what they were exported from, if the file says so.
    """

    latents: Latents
    picture: Picture | None


def _meta(latents: Latents, picture: Picture | None) -> str:
    values: dict[str, Any] = {"format": _FORMAT, "version": 1, "space": latents.space}
    if picture is not None:
        values["picture"] = picture.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(values, allow_nan=False)


def npz_bytes(arrays: Mapping[str, Array]) -> bytes:
    """Return what ``numpy.savez`` writes, for any part names, with a fixed date."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
    return stream.getvalue()


def save_latents(path: Path, latents: Latents, picture: Picture | None = None) -> None:
    """Write latents as ``.safetensors`` or ``.npz`` (by the suffix), whole or not at all.

    Args:
        path: the file to make or replace.
        latents: one array ``(B, *part shape)`` for each part.
        picture: what they belong to.

    Raises:
        LatentLabError: another suffix, or the file cannot be written.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in latents.items()}
    text = _meta(latents, picture)
    if path.suffix == ".safetensors":
        data = save_arrays(arrays, {_META: text})
    elif path.suffix == ".npz":
        data = npz_bytes({_META: np.frombuffer(text.encode(), np.uint8), **arrays})
    else:
        raise LatentLabError(
            f"Latents cannot be written as '{path.suffix}': use .safetensors or .npz."
        )
    replace_file(path, lambda target: target.write_bytes(data))


def _damaged(path: Path, details: str = "") -> LatentLabError:
    return LatentLabError(
        f"'{path.name}' is not a whole latents file: it is truncated, damaged or of another kind; "
        "choose another.",
        details,
    )


def _read_safetensors(path: Path) -> tuple[dict[str, Array], str | None]:
    with opened(path) as stored:
        arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        return arrays, (stored.metadata() or {}).get(_META)


def _check_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Raise ``ValueError`` unless the array's declared size is the member's real size."""
    with archive.open(info) as stream:
        major = np.lib.format.read_magic(stream)[0]
        read = np.lib.format.read_array_header_1_0 if major == 1 else None
        read = np.lib.format.read_array_header_2_0 if major == 2 else read
        if read is None:
            raise ValueError("an array of an unknown version")
        shape, _, dtype = read(stream)
        if dtype.hasobject or math.prod(shape) * dtype.itemsize > info.file_size:
            raise ValueError("an array that is not what its size says")


def _read_npz(path: Path) -> tuple[dict[str, Array], str | None]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > MAX_BYTES or len(members) > 1000:
            raise ValueError("it would unpack to more than the limit")
        for member in members:
            _check_member(archive, member)
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: np.asarray(stored[name]) for name in stored.files}
    meta = arrays.pop(_META, None)
    return arrays, None if meta is None else meta.astype(np.uint8).tobytes().decode()


def _read(path: Path) -> tuple[dict[str, Array], str | None]:
    """Return the arrays of a file and its own description."""
    try:
        if not path.is_file():
            raise LatentLabError(f"There is no latents file '{path}': check the name.")
        if path.stat().st_size > MAX_BYTES:
            raise LatentLabError(f"'{path.name}' is over {MAX_BYTES} bytes: choose another.")
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        if path.suffix == ".npz":
            return _read_npz(path)
    except OSError as error:
        raise LatentLabError(f"'{path}' cannot be read ({error.strerror or error}).") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, MemoryError) as error:
        raise _damaged(path, str(error)) from error
    except (ValueError, KeyError, TypeError, NotImplementedError, RuntimeError) as error:
        raise _damaged(path, str(error)) from error
    raise LatentLabError(
        f"'{path.name}' is no latents file: choose a .safetensors, an .npz, or a PNG of LatentLab."
    )


def _from_png(path: Path) -> LatentsFile:
    record = read_png_metadata(path)
    if record is None or record.stored is None:
        raise LatentLabError(
            f"'{path.name}' holds no latents: choose a PNG that LatentLab made of latents, or a "
            ".safetensors or .npz file."
        )
    return LatentsFile(record.stored, record.picture)


def _part(name: str, array: Array, path: Path) -> Array:
    if array.dtype.name not in _DTYPES or array.ndim == 0:
        raise LatentLabError(
            f"'{name}' in '{path.name}' is {array.dtype} {array.shape}; latents are numbers of "
            "shape (batch, ...): choose another file."
        )
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)


def load_latents(path: Path) -> LatentsFile:
    """Read latents from ``.safetensors``, ``.npz`` (never pickle), or a PNG that holds them.

    Any file whose arrays are named after the parts will do; one of ours says more. Shapes are
    checked when the latents are used: ``Latents.check``.

    Raises:
        LatentLabError: not such a file, truncated, too large, or values that are not finite.
    """
    path = Path(path)
    if path.suffix.lower() == ".png":
        return _from_png(path)
    arrays, text = _read(path)
    if not arrays:
        raise LatentLabError(f"'{path.name}' holds no arrays: choose another file.")
    parts = {name: _part(name, array, path) for name, array in arrays.items()}
    if any(a.dtype.kind == "f" and not np.isfinite(a).all() for a in parts.values()):
        raise LatentLabError(
            f"'{path.name}' holds values that are not finite: choose other latents."
        )
    if text is None:
        return LatentsFile(Latents("", parts), None)
    what = f"The description inside '{path.name}'"
    values = strict_json(text, what, MAX_META_BYTES)
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        raise _damaged(path, "its description is of another kind")
    picture = values.get("picture")
    return LatentsFile(
        Latents(str(values.get("space", "")), parts),
        None if picture is None else parse_picture(picture, f"The picture inside '{path.name}'"),
    )
