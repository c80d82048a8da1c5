"""Plugins: built-in rows and third-party entry points, found by the same road."""

from __future__ import annotations

import importlib
import importlib.metadata
from dataclasses import dataclass
from typing import Any

from latentlab.catalog import BUILTIN, Row
from latentlab.core.errors import LatentLabError


@dataclass(frozen=True)
class Plugin:
    """A family, panel, importer or data set kind that may be used.

    ``error`` is set, and ``load`` raises it, when the row is disabled; it says why in one sentence.
    """

    row: Row
    builtin: bool
    error: str | None = None

    def load(self) -> Any:
        """Import and return the object behind the row.

        Raises:
            LatentLabError: it cannot be imported; the message names it and the reason.
        """
        if self.error:
            raise LatentLabError(self.error)
        module_name, _, attribute = self.row.target.partition(":")
        try:
            return getattr(importlib.import_module(module_name), attribute)
        except Exception as error:
            raise LatentLabError(
                f"'{self.row.title}' ({self.row.target}) cannot be used: "
                f"{type(error).__name__}: {error}."
            ) from error


def plugins(group: str) -> tuple[Plugin, ...]:
    """Return the rows of a group: the built-ins in catalog order, then entry points by name.

    Nothing is imported. An entry point that repeats a known id is a disabled row.
    """
    rows = [Plugin(row, builtin=True) for row in BUILTIN[group]]
    known = {plugin.row.id for plugin in rows}
    found = importlib.metadata.entry_points(group=group)
    for entry in sorted(found, key=lambda e: (e.name, e.value)):
        error = None
        if entry.name in known:
            error = f"The plugin '{entry.name}' ({entry.value}) repeats a known id: rename it."
        known.add(entry.name)
        row = Row(id=entry.name, title=entry.name, target=entry.value)
        rows.append(Plugin(row, builtin=False, error=error))
    return tuple(rows)


def plugin(group: str, plugin_id: str) -> Plugin:
    """Return the usable row ``plugin_id`` of a group; ``LatentLabError`` names the known ones."""
    rows = plugins(group)
    for found in rows:
        if found.row.id == plugin_id and found.error is None:
            return found
    known = ", ".join(p.row.id for p in rows)
    raise LatentLabError(f"There is no '{plugin_id}' in {group}; known: {known}.")
