"""A cold start on the first bundled model, then a slider dragged on one face."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from typing import Any

from latentlab.services.bench.fresh import measure_in_window

_WINDOW = "from latentlab.ui.bench_window import main; main()"


def run(on_progress: Callable[[int, int, str], None]) -> dict[str, Any]:
    """Return the figures of one start; times in milliseconds.

    ``window_painted_ms`` and ``first_image_ms`` count from the start of the process.
    ``slider_to_paint_ms`` is the median from the change of a slider to the end of the paint that
    shows its image, ``forward_ms`` the median time in the network of the same frames, and
    ``overhead_ms`` the median of their difference.

    Raises:
        LatentLabError: there is no Qt here, or the window did not come to its end.
    """
    on_progress(0, 1, "Window")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        # The clock starts here: a process only knows its own start to the second on some systems.
        surroundings = {"LATENTLAB_HOME": home, "LATENTLAB_BENCH_BORN": repr(time.time())}
        figures = measure_in_window(_WINDOW, "The window benchmark", **surroundings)
    on_progress(1, 1, "Window")
    return figures
