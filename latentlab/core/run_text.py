"""What happens in a run, in words: one line an event. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from latentlab.core.run_events import Event


def duration(seconds: float) -> str:
    """Return a time for people: ``42 s``, ``3 min 05 s``, ``2 h 07 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _number(value: Any) -> float | None:
    """Return a finite number; files of other versions, or damaged ones, hold anything."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _figures(values: Any) -> str:
    if not isinstance(values, Mapping):
        return ""
    numbers = ((name, _number(value)) for name, value in values.items())
    return "  ".join(f"{name} {value:.5g}" for name, value in numbers if value is not None)


def describe(event: Event) -> str:
    """Return an event as one line."""
    data = event.data
    if event.kind == "step":
        loss, rate = _number(data.get("loss")), _number(data.get("images_per_second"))
        left = _number(data.get("seconds_left"))
        parts = [
            f"step {event.step}/{data.get('total_steps', '?')}",
            "loss not finite" if loss is None else f"loss {loss:.5g}",
            _figures(data.get("losses")),
            "" if rate is None else f"{rate:.0f} img/s",
            "" if left is None else f"{duration(left)} left",
        ]
        return "  ".join(part for part in parts if part)
    if event.kind == "progress":
        return f"{data.get('message', '')} ({data.get('done', '?')}/{data.get('total', '?')})"
    if event.kind == "start" and "family" in data:
        return (
            f"{data['family']} on {data.get('device', '?')}, {data.get('num_images', '?')} images "
            f"of {data.get('data', '?')}, steps {event.step} to {data.get('total_steps', '?')}"
        )
    if event.kind == "finish":
        quality = _figures(data.get("quality"))
        return f"finished at step {event.step}: {data.get('path', '')}  {quality}".rstrip()
    said = data.get("message") or data.get("path") or ""
    return f"{event.kind} at step {event.step}" + (f": {said}" if said else "")
