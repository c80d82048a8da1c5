"""Maps on the disk: points and layouts below the cache folder, the least recently used let go.

When a file was last used stands in its access time, set by hand, because many file systems do not
keep it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array
from latentlab.core.modelfile import replace_file
from latentlab.core.paths import cache_folder
from latentlab.core.plane import Plane
from latentlab.data.cache import content_key

MAX_BYTES = 2 * 2**30
"""Of all maps together; the newest one is kept whatever its size."""
LAYOUT_VERSION = 1
"""Raised when a method places the same points elsewhere."""
SUFFIX = ".safetensors"
_ABANDONED_SECONDS = 3600
_KEY = "latentlab-layout"
_PLANE = ("origin", "x_axis", "y_axis")
_DUALS = ("x_dual", "y_dual")


def maps_folder() -> Path:
    """Return where maps are kept."""
    return cache_folder() / "maps"


def map_path(*parts: object) -> Path:
    """Return the file of points that plain values decide: strings, numbers, lists of them."""
    return maps_folder() / f"{content_key(*parts)}{SUFFIX}"


def mark_used(path: Path) -> None:
    """Say that a file is used now; when it was written stays, since that names its layouts."""
    with contextlib.suppress(OSError):
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


def make_room(keep: Path, limit: int = MAX_BYTES) -> None:
    """Remove the least recently used files of a folder until all take at most ``limit`` bytes.

    Args:
        keep: a file of that folder; it stays.
        limit: bytes.
    """
    found = []
    for path in keep.parent.glob("*"):
        with contextlib.suppress(OSError):
            info = path.stat()
            if path.suffix == SUFFIX:
                found.append((info.st_atime_ns, info.st_size, path))
            elif time.time() - info.st_mtime > _ABANDONED_SECONDS:
                # Of a process that was killed while it wrote.
                path.unlink()
    size = sum(row[1] for row in found)
    for _, taken, path in sorted(found):
        if size <= limit:
            return
        if path != keep:
            # Windows does not remove what a window has mapped: it goes next time.
            with contextlib.suppress(OSError):
                path.unlink()
                size -= taken


def layout_path(
    points: Path, method: str, settings: Mapping[str, float], parts: Sequence[str] = ()
) -> Path:
    """Return the file of a layout of a points file as it is now.

    Raises:
        LatentLabError: there is no such points file.
    """
    try:
        info = points.stat()
    except OSError as error:
        raise LatentLabError(f"There is no points file '{points}': map the data again.") from error
    identity = [str(points.absolute()), info.st_size, info.st_mtime_ns]
    chosen = [sorted(parts)] if parts else []
    return map_path("layout", LAYOUT_VERSION, identity, method, sorted(settings.items()), *chosen)


def write_layout(path: Path, coordinates: NDArray[np.float32], plane: Plane | None) -> None:
    """Keep a layout; a full disk only means that it is made again next time."""
    tensors: dict[str, Array] = {"coordinates": np.ascontiguousarray(coordinates, np.float32)}
    about = None
    if plane is not None:
        about = {"space": plane.space, "x_label": plane.x_label, "y_label": plane.y_label}
        arrays = [plane.origin, plane.x_axis, plane.y_axis, *(plane.duals or ())]
        for field, parts in zip((*_PLANE, *_DUALS), arrays):
            for name, array in parts.items():
                tensors[f"{field}.{name}"] = np.ascontiguousarray(array, np.float64)
    metadata = {_KEY: json.dumps(about)}
    with contextlib.suppress(LatentLabError):
        replace_file(path, lambda target: save_file(tensors, target, metadata=metadata))
        make_room(path)


def read_layout(path: Path, count: int) -> tuple[NDArray[np.float32], Plane | None] | None:
    """Return a kept layout of ``count`` points, or ``None`` when there is no sound one."""
    try:
        with safe_open(path, framework="numpy") as stored:
            about: Any = json.loads((stored.metadata() or {})[_KEY])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        coordinates = tensors["coordinates"]
        if coordinates.shape != (count, 2) or coordinates.dtype != np.float32:
            return None
        if not all(np.isfinite(array).all() for array in tensors.values()):
            return None
        plane = None
        if about is not None:
            origin, x, y = (_parts(tensors, field) for field in _PLANE)
            along, up = (_parts(tensors, field) for field in _DUALS)
            labels = about["x_label"], about["y_label"]
            plane = Plane(about["space"], origin, x, y, *labels, (along, up) if along else None)
    except (OSError, SafetensorError, LatentLabError, ValueError, KeyError, TypeError):
        return None
    mark_used(path)
    return coordinates, plane


def _parts(tensors: Mapping[str, Array], field: str) -> dict[str, Array]:
    start = f"{field}."
    return {n.removeprefix(start): a for n, a in tensors.items() if n.startswith(start)}
