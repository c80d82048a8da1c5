"""Pan, zoom and hover over a map of 1,000,000 points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from latentlab.services.bench.fresh import measure_in_window

_WINDOW = "from latentlab.ui.bench_map import main; main()"


def run(on_progress: Callable[[int, int, str], None]) -> dict[str, Any]:
    """Return the figures of one map of 900 by 700 pixels; times in milliseconds.

    A frame is a mouse or wheel event and the whole paint after it. ``pan_*`` and ``zoom_*`` are
    over all points in sight or fewer, with every point drawn; ``density_*`` is a pan with the
    density layer; ``hover_*`` is a mouse move until the point under it is known and told.

    Raises:
        LatentLabError: there is no Qt here, or the window did not come to its end.
    """
    on_progress(0, 1, "Map")
    figures = measure_in_window(_WINDOW, "The map benchmark")
    on_progress(1, 1, "Map")
    return figures
