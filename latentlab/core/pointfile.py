"""Points of a latent space as a file: one safetensors file, its latents read by memory mapping.

Tensors: ``rows`` int64 ``(N,)``; ``part.<name>`` float16 or float32 ``(N, *shape)``; ``label.<i>``
float32 ``(N,)`` and ``visible.<i>`` uint8 ``(N,)``; ``layout.<method>`` float32 ``(N, 2)``;
``picture_map`` float32 ``(k, D)``; ``names`` uint8, the images' names as UTF-8 lines. The metadata
has one key, ``latentlab-points``, holding JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from latentlab.core.errors import LatentLabError
from latentlab.core.labels import LabelColumn
from latentlab.core.latents import Array
from latentlab.core.modelfile import replace_file
from latentlab.core.pictures import strict_json
from latentlab.core.pointheader import (
    TYPES,
    LabelHeader,
    PointsHeader,
    Tensor,
    check_layout,
    check_values,
)
from latentlab.core.points import PointSet

FORMAT_VERSION = 1
MAX_HEADER_BYTES = 16 * 2**20
KEY = "latentlab-points"
_NOT_WHOLE = (
    "'{}' is not a whole points file: it is truncated, damaged or of another kind; map the data "
    "again."
)
_PIECE_BYTES = 2 * 2**20
_PROBED = 2**20
_ROUNDING = 1e-3
_PLACED_BY = "placed_by"


def half_precision(array: Array) -> Array:
    """Return latents ``(N, *shape)`` as float16 where that rounds by less than 1/1000 of their
    spread, as float32 where it does not (latents far from 0, or very large ones).
    """
    array = np.asarray(array, np.float32)
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if not array.size or not np.isfinite(half).all():
        return array
    step = -(-array.size // _PROBED)
    probe = array[::step].astype(np.float64)
    error = np.square(half[::step] - probe).mean()
    return half if error <= (_ROUNDING * probe.std(axis=0).mean()) ** 2 else array


def write_points(
    path: Path,
    points: PointSet,
    *,
    names: Sequence[str] | None = None,
    about: Mapping[str, str | int | None] | None = None,
) -> None:
    """Write points to a file, whole or not at all.

    Args:
        path: of the file.
        points: N of them; parts are stored as they are, float16 or float32.
        names: what the images are called, N of them, if they have names.
        about: how the points were made.

    Raises:
        LatentLabError: they are not sound (see ``read_points``), or the file cannot be written.
    """
    tensors = {"rows": np.ascontiguousarray(points.rows, np.int64)}
    tensors |= {f"part.{n}": np.asarray(a, order="C") for n, a in points.parts.items()}
    for i, column in enumerate(points.labels.values()):
        tensors[f"label.{i}"] = np.ascontiguousarray(column.values, np.float32)
        if column.visible is not None:
            tensors[f"visible.{i}"] = np.ascontiguousarray(column.visible, np.uint8)
    for method, places in points.coordinates.items():
        tensors[f"layout.{method}"] = np.ascontiguousarray(places, np.float32)
    if points.picture_map is not None:
        tensors["picture_map"] = np.ascontiguousarray(points.picture_map, np.float32)
    if names is not None:
        text = "\n".join(" ".join(name.splitlines()) for name in names)
        tensors["names"] = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    found = {n: Tensor(TYPES.get(a.dtype, ""), a.shape) for n, a in tensors.items()}
    try:
        header = _header_of(points, about or {})
        check_layout(header, found)
        check_values(header, tensors)
        for name in points.parts:
            _check_finite(name, iter([tensors[f"part.{name}"]]))
        if names is not None and len(names) != len(points):
            raise ValueError("another number of names than of points")
    except ValidationError as error:
        raise LatentLabError(
            "These points cannot be stored: what is said of them is of the wrong type.", str(error)
        ) from error
    except ValueError as error:
        raise LatentLabError(f"These points cannot be stored: {error}.") from error
    metadata = {KEY: header.model_dump_json()}
    replace_file(path, lambda target: save_file(tensors, target, metadata=metadata))


def _header_of(points: PointSet, about: Mapping[str, str | int | None]) -> PointsHeader:
    return PointsHeader(
        format_version=FORMAT_VERSION,
        model=points.model,
        fingerprint=points.fingerprint,
        space=points.space,
        source=points.source,
        split=points.split,
        parts=tuple(points.parts),
        labels=tuple(
            LabelHeader(name=n, kind=c.kind, classes=c.classes, visible=c.visible is not None)
            for n, c in points.labels.items()
        ),
        layouts=tuple(points.coordinates),
        about=dict(about) | ({_PLACED_BY: ",".join(points.placed_by)} if points.placed_by else {}),
    )


def read_points(path: Path) -> PointSet:
    """Read a points file, strictly.

    Rows, labels and layouts are in memory; the parts are read-only arrays over the mapped file,
    which take no memory of their own. Replacing the file leaves them as they were.

    Raises:
        LatentLabError: there is no such file, it is truncated, damaged, of another kind or of a
            newer format, or it holds numbers that are not finite or classes that do not exist.
    """
    path = Path(path)
    with _sentences(path):
        header, tensors, small = _read(path)
        for name in header.parts:
            _check_finite(name, _pieces(path, tensors[f"part.{name}"]))
        parts = {name: _mapped(path, tensors[f"part.{name}"]) for name in header.parts}
    labels = {}
    for i, label in enumerate(header.labels):
        visible = small[f"visible.{i}"] > 0 if label.visible else None
        values = small[f"label.{i}"]
        labels[label.name] = LabelColumn(label.name, label.kind, values, label.classes, visible)
    return PointSet(
        model=header.model,
        fingerprint=header.fingerprint,
        space=header.space,
        source=header.source,
        rows=small["rows"],
        parts=parts,
        split=header.split,
        labels=labels,
        coordinates={method: small[f"layout.{method}"] for method in header.layouts},
        picture_map=small.get("picture_map"),
        placed_by=_placed_by(header),
    )


def _placed_by(header: PointsHeader) -> tuple[str, ...]:
    named = str(header.about.get(_PLACED_BY) or "").split(",")
    return tuple(name for name in header.parts if name in named)


def read_points_header(path: Path) -> PointsHeader:
    """Read what a points file says of itself, without its arrays; errors as of ``read_points``."""
    path = Path(path)
    with _sentences(path):
        return _read_header(path)[0]


def read_point_names(path: Path) -> list[str] | None:
    """Return what the images of a points file are called, or ``None``; errors as for it."""
    path = Path(path)
    with _sentences(path):
        _, tensors = _read_header(path)
        if "names" not in tensors:
            return None
        found = _mapped(path, tensors["names"]).tobytes().decode("utf-8", "replace").split("\n")
        if len(found) != tensors["rows"].shape[0]:
            raise ValueError("another number of names than of points")
        return found


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """Turn whatever is wrong with a file into one sentence."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise LatentLabError(
                f"There is no points file '{path}': map the data again."
            ) from error
        raise LatentLabError(f"'{path}' cannot be read ({error.strerror or error}).") from error
    except (SafetensorError, ValidationError, TypeError, RecursionError) as error:
        raise LatentLabError(_NOT_WHOLE.format(path.name), str(error)) from error
    except ValueError as error:
        raise LatentLabError(
            f"The points file '{path.name}' is damaged ({error}): map the data again."
        ) from error


def _read_header(path: Path) -> tuple[PointsHeader, dict[str, Tensor]]:
    """Return what the file says, and where its arrays lie; both agree."""
    if path.is_dir():
        raise LatentLabError(f"'{path}' is a folder, not a points file: choose another.")
    # The library checks that the arrays fill the file exactly and do not overlap.
    with safe_open(path, framework="numpy") as stored:
        text = (stored.metadata() or {}).get(KEY)
    if text is None:
        raise LatentLabError(f"'{path.name}' holds no points of a map: choose a points file.")
    values = strict_json(text, f"The description in '{path.name}'", MAX_HEADER_BYTES)
    version = values.get("format_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise LatentLabError(
            f"'{path.name}' was written by a newer LatentLab (points format {version}, this one "
            f"reads {FORMAT_VERSION}): update LatentLab."
        )
    header = PointsHeader.model_validate(values)
    tensors = _places(path)
    check_layout(header, tensors)
    return header, tensors


def _places(path: Path) -> dict[str, Tensor]:
    """Return where every array of a safetensors file lies, by name."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > MAX_HEADER_BYTES:
            raise ValueError(f"a header of {length} bytes")
        rows = strict_json(stream.read(length), f"The header of '{path.name}'", MAX_HEADER_BYTES)
    found = {}
    for name, row in rows.items():
        if name != "__metadata__":
            begin, end = row["data_offsets"]
            found[name] = Tensor(row["dtype"], tuple(row["shape"]), 8 + length + begin, end - begin)
    return found


def _read(path: Path) -> tuple[PointsHeader, dict[str, Tensor], dict[str, Array]]:
    """Return the description, where the arrays lie, and all arrays but parts and names."""
    header, tensors = _read_header(path)
    small = {}
    with safe_open(path, framework="numpy") as stored:
        for name in tensors:
            if name != "names" and not name.startswith("part."):
                small[name] = np.asarray(stored.get_tensor(name))
    check_values(header, small)
    for array in small.values():
        array.flags.writeable = False
    return header, tensors, small


def _mapped(path: Path, tensor: Tensor) -> Array:
    """Return a read-only array over the file; a plain one, since the subclass is slow."""
    if not math.prod(tensor.shape):
        return np.zeros(tensor.shape, tensor.numpy_type)
    found = np.memmap(path, tensor.numpy_type, "r", tensor.start, tensor.shape)
    return np.asarray(found)


def _pieces(path: Path, tensor: Tensor) -> Iterator[Array]:
    """Yield the values of an array a piece at a time, without mapping the file."""
    with path.open("rb") as stream:
        stream.seek(tensor.start)
        left, buffer = tensor.size, bytearray(min(tensor.size, _PIECE_BYTES))
        while left:
            view = memoryview(buffer)[: min(left, len(buffer))]
            if stream.readinto(view) != len(view):
                raise ValueError("its end is missing")
            left -= len(view)
            yield np.frombuffer(view, tensor.numpy_type)


def _check_finite(name: str, pieces: Iterator[Array]) -> None:
    for piece in pieces:
        if piece.dtype == np.float16:
            # All ones in the exponent; much faster than numpy's own test of half precision.
            bits = piece.view(np.uint16)
            sound = not bits.size or int((bits << np.uint16(1)).max()) < 0xF800
        else:
            sound = bool(np.isfinite(piece).all())
        if not sound:
            raise ValueError(f"part '{name}' holds values that are not finite")
