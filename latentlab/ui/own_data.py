"""The data that a model was made from, for offering it again."""

from __future__ import annotations

from pathlib import Path

from latentlab.core.spec import ModelSpec

_PORTRAITS = "portraits"


def probe_reads(spec: ModelSpec | None) -> bool:
    """Whether the bundled probe can read a model's own samples: those of portraits, in colour."""
    return (
        spec is not None
        and spec.provenance.data.get("name") == _PORTRAITS
        and spec.image_shape[0] == 3
        and "sample" in spec.capabilities
    )


def own_source(spec: ModelSpec | None) -> str:
    """Return the source that a model was trained on, if it can be opened here; else nothing.

    The recipe holds the source as it was given; ``data["source"]`` only describes it. Whoever made
    the file wrote both, so a place on the network is not looked for.
    """
    if spec is None:
        return ""
    data = spec.provenance.recipe.get("data")
    given = data.get("source") if isinstance(data, dict) else None
    source = given if isinstance(given, str) else str(spec.provenance.data.get("source", ""))
    if source.partition(":")[0] == _PORTRAITS:
        return source
    if not source or source.startswith(("\\\\", "//")):
        return ""
    try:
        return source if Path(source).exists() else ""
    except (OSError, ValueError):
        return ""
