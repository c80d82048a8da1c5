"""The version of this program."""

from __future__ import annotations

import functools
import importlib.metadata


@functools.cache
def version() -> str:
    """Return the installed version, or ``unknown`` when run from an unpacked folder."""
    try:
        return importlib.metadata.version("latentlab")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
