"""The map that a person made last, so that it opens again at once."""

from __future__ import annotations

import contextlib
from pathlib import Path

from latentlab.core.errors import LatentLabError
from latentlab.core.pointfile import read_points_header
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
