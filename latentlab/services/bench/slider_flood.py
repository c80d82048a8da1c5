"""Four seconds of dragging a slider, 100 events a second, against a network that takes every core.

The window is a process of its own, as fresh as at a person's start: its heartbeat counts from
before the worker is started and torch imported there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from latentlab.services.bench.fresh import measure_in_window

_WINDOW = "from latentlab.ui.bench_flood import main; main()"


def run(on_progress: Callable[[int, int, str], None]) -> dict[str, Any]:
    """Return the figures of one flood: those of ``measure`` without the long list."""
    figures = measure(on_progress)
    del figures["sequences"]
    return figures


def measure(on_progress: Callable[[int, int, str], None]) -> dict[str, Any]:
    """Return the figures of one flood; times in milliseconds.

    ``heartbeat_p99_ms`` and ``heartbeat_max_ms`` are gaps of a 4 ms timer on the window's thread.
    ``settle_forwards`` counts the forward passes that ended after the slider was let go, until the
    frame of its last value was there. ``frames_shown`` counts the different frames of the drag that
    were painted. ``forward_ms`` is the mean. ``sequences`` are those of the frames that arrived.

    Raises:
        LatentLabError: there is no Qt here, or the window did not come to its end.
    """
    on_progress(0, 1, "Slider flood")
    figures = measure_in_window(_WINDOW, "The slider flood")
    on_progress(1, 1, "Slider flood")
    return figures
