"""What a model's card says about its making, in words. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentlab.core.run_text import duration
from latentlab.core.spec import Provenance


def _text(values: Mapping[str, Any], *names: str) -> str:
    """Return the first text of a provenance, which anybody may have written."""
    for name in names:
        value = values.get(name)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())[:200]
    return ""


def _data(known: Provenance) -> str:
    name, count = _text(known.data, "name", "source"), known.data.get("count")
    if not name:
        return ""
    images = f", {count:,} images" if isinstance(count, int) else ""
    return f"Data: {name}{images}"


def _training(known: Provenance) -> str:
    parts = [f"{known.steps:,} steps"]
    if known.images_seen:
        parts.append(f"{known.images_seen:,} images seen")
    if known.seconds_trained > 0:
        parts.append(duration(known.seconds_trained))
    where = f" on {known.device}" if known.device else ""
    if known.processes > 1:
        where += f" ({known.processes} processes)"
    return f"Training: {', '.join(parts)}{where}, seed {known.seed}"


def _program(known: Provenance) -> str:
    parts = []
    if known.program_version:
        parts.append(f"LatentLab {known.program_version}")
    if known.revision:
        revision, changed, _ = known.revision.partition("+")
        parts.append(f"revision {revision[:12]}{' with changes' if changed else ''}")
    if known.torch_version:
        parts.append(f"PyTorch {known.torch_version}")
    return f"Program: {', '.join(parts)}" if parts else ""


def making(known: Provenance) -> list[str]:
    """Return lines on data, training, program and date; none for what is not known."""
    lines = [_data(known)]
    if known.steps > 0:
        lines.append(_training(known))
    lines.append(_program(known))
    lines.append(f"Made: {known.created[:40]}" if known.created else "")
    return [line for line in lines if line]
