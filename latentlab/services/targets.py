"""Functions named by strings, so that a table of them imports nothing."""

from __future__ import annotations

import importlib
from typing import Any


def load_target(target: str) -> Any:
    """Import and return what ``module:attribute`` names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
