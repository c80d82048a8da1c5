"""What is known about a direction, in words: tooltips, details and warnings of the sliders."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from latentlab.core.direction import Direction
from latentlab.core.parts import moved_text
from latentlab.ui.edits import readable
from latentlab.ui.effects_model import SideEffect

_FIGURES = (
    ("accuracy", "Accuracy", "{:.3f}"),
    ("target", "Target at +2 σ", "{:.2f}"),
    ("side", "Largest side effect", "{:.2f}"),
    ("selectivity", "Selectivity (target / side)", "{:.1f}"),
)
_MOST_NAMES = 6
RESET_HINT = "Double-click the name, or press Delete on the slider, to reset."


def _number(value: object) -> float | None:
    """Return a finite number of a provenance, which anybody may have written."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def fit_quality(provenance: Mapping[str, Any]) -> str:
    """Return the AUC or correlation on rows not fitted, with its interval; empty if not known."""
    held_out = provenance.get("folds") == "held-out images"
    rows = "held-out images" if held_out else "cross-validated"
    for key, label in (("auc", "AUC"), ("correlation", "Correlation")):
        value = _number(provenance.get(key))
        if value is None:
            continue
        text = f"{label} ({rows}): {value:.3f}"
        ends = provenance.get("interval")
        if isinstance(ends, (list, tuple)) and len(ends) == 2:
            low, high = (_number(end) for end in ends)
            if low is not None and high is not None:
                level = _number(provenance.get("level")) or 0.95
                text += f", {100 * level:.3g} % interval {low:.3f} to {high:.3f}"
        return text
    return ""


def _data_lines(provenance: Mapping[str, Any]) -> list[str]:
    """Return how many images of which data a direction was fitted on."""
    data = provenance.get("data")
    count = _number(provenance.get("count"))
    source = data if isinstance(data, str) else ""
    if isinstance(data, Mapping):
        source = str(data.get("source") or data.get("name") or "")
        count = _number(data.get("count")) if count is None else count
    lines = [] if count is None else [f"Fitted on: {count:,.0f} images"]
    return [*lines, f"Data: {source[:80]}"] if source else lines


def describe_direction(
    direction: Direction,
    fitted_elsewhere: bool,
    *,
    title: str = "",
    warning: str = "",
    locked: bool = False,
) -> str:
    """Return what is known about a direction, a line each.

    Args:
        direction: which.
        fitted_elsewhere: on other weights than the current model's.
        title: what a person calls it, where that is not its name.
        warning: about its side effect, see ``known_side_effect``.
        locked: others are kept orthogonal to it.
    """
    known = direction.provenance
    own = readable(direction.name)
    lines = [f"{title} (named {direction.name})" if title and title != own else own]
    lines.append(f"Found by: {direction.method or 'unknown'}")
    lines.append(f"1 σ = {direction.scale:.3g} latent units in space {direction.space}")
    moved = moved_text(direction.vector)
    lines += [f"Moves: {moved}"] if moved else []
    quality = fit_quality(known)
    lines += [quality] if quality else []
    for key, label, form in _FIGURES:
        value = _number(known.get(key))
        if value is not None:
            lines.append(f"{label}: {form.format(value)}")
    lines += _data_lines(known)
    others = known.get("orthogonal_to")
    if isinstance(others, (list, tuple)) and others:
        names = ", ".join(readable(str(name)).lower() for name in others[:_MOST_NAMES])
        more = " and more" if len(others) > _MOST_NAMES else ""
        lines.append(f"Orthogonal to: {names}{more}")
    if locked:
        lines.append("Locked: others are kept orthogonal to it when they are made.")
    if warning:
        lines.append(f"⚠ {warning}")
    if fitted_elsewhere:
        lines.append(
            f"⚠ Fitted elsewhere: on weights {direction.fingerprint[:8]}…, not on this model's. "
            "Its effect and its scale may differ here: refit it."
        )
    lines.append(RESET_HINT)
    return "\n".join(lines)


def known_side_effect(direction: Direction, title: str) -> str:
    """Return the warning that a direction brings along from when it was made, or nothing.

    Args:
        direction: with ``target``, ``side`` and ``side_attribute`` in its provenance.
        title: what a person calls it.
    """
    target = _number(direction.provenance.get("target"))
    side = _number(direction.provenance.get("side"))
    which = direction.provenance.get("side_attribute")
    if target is None or side is None or not isinstance(which, str):
        return ""
    found = SideEffect(title, which[:80], side, target)
    return found.sentence(lambda name: name) if found.warns else ""
