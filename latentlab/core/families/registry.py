"""Which families there are, and the settings of each. No torch here."""

from __future__ import annotations

import difflib
import importlib
from typing import cast

from latentlab import catalog
from latentlab.core.errors import LatentLabError
from latentlab.core.families.base import ModelTable
from latentlab.core.registry import plugins

GROUP = "latentlab.backends"


def known_families() -> tuple[str, ...]:
    """Return the ids of the families that can be named in a recipe: built-in ones first."""
    plugged = (p.row.id for p in plugins(GROUP) if p.error is None)
    return tuple(dict.fromkeys((*catalog.TRAINERS, *plugged)))


def family_title(family: str) -> str:
    """Return the name of a family that a person reads."""
    rows = {row.id: row.title for row in catalog.FAMILIES}
    rows |= {p.row.id: p.row.title for p in plugins(GROUP) if p.row.id not in rows}
    return rows.get(family, family)


def model_table(family: str) -> type[ModelTable]:
    """Return the ``[model]`` table of a family: its settings, or a table that takes any key.

    Nothing is imported for a built-in family but its settings; a plugged-in backend is loaded and
    asked for ``settings``, a class or ``module:attribute``.

    Raises:
        LatentLabError: there is no such family, or its plugin cannot be used.
    """
    for row in catalog.FAMILIES:
        if row.id == family:
            return _imported(row.settings)
    if family in catalog.TRAINERS:
        return ModelTable
    for plugin in plugins(GROUP):
        if plugin.row.id == family and plugin.error is None:
            found = getattr(plugin.load(), "settings", None)
            if isinstance(found, str):
                found = _imported(found)
            if isinstance(found, type) and issubclass(found, ModelTable):
                return found
            return ModelTable
    raise LatentLabError(unknown_family(family))


def _imported(target: str) -> type[ModelTable]:
    module, _, attribute = target.partition(":")
    return cast("type[ModelTable]", getattr(importlib.import_module(module), attribute))


def unknown_family(family: str) -> str:
    """Return the sentence about a family that does not exist, with the nearest match."""
    known = known_families()
    close = difflib.get_close_matches(family.casefold(), known, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"There is no family {family[:40]!r}; {hint}known: {', '.join(known)}."
