"""The map that a person made last, so that it opens again at once."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

from latentlab.core import pointfile
from latentlab.core.errors import LatentLabError
from latentlab.core.pointfile import read_points_header
from latentlab.core.points import PointSet
from latentlab.services.maps_cache import SUFFIX, maps_folder

MOST_LOOKED_AT = 40
"""Files whose headers are read: more would be felt."""


def newest_map(model: str, fingerprint: str) -> Path | None:
    """Return the points file of these weights that was made last, or ``None``."""
    found = []
    for path in maps_folder().glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime_ns, path))
    for _, path in sorted(found, reverse=True)[:MOST_LOOKED_AT]:
        # Layouts lie in the same folder: they are no points files.
        with contextlib.suppress(LatentLabError):
            header = read_points_header(path)
            if (header.model, header.fingerprint) == (model, fingerprint):
                return path
    return None


def read_map(path: Path, fingerprint: str, spaces: Collection[str]) -> PointSet:
    """Return the points of a file.

    Args:
        path: of the points file.
        fingerprint: of the weights that they must be of; empty for any.
        spaces: names of the model's spaces.

    Raises:
        LatentLabError: it cannot be read, is of other weights, or is empty.
    """
    points = pointfile.read_points(path)
    if points.fingerprint != (fingerprint or points.fingerprint) or points.space not in spaces:
        raise LatentLabError(
            "This map was made with other weights of the model: map the data again."
        )
    if len(points) == 0:
        raise LatentLabError("This map holds no points: map the data again.")
    return points
