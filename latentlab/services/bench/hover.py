"""Looking under the cursor on a map while a t-SNE runs beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

from latentlab.services.bench.fresh import measure_in_window

_WINDOW = "from latentlab.ui.bench_hover import main; main()"


def run(on_progress: Callable[[int, int, str], None]) -> dict[str, Any]:
    """Return the figures of hovering over prior samples of the first bundled model; milliseconds.

    ``hover_to_paint_ms`` is the median from the move of the mouse to the end of the paint that
    shows the decoded image, ``forward_ms`` the median time in the network of the same images,
    ``overhead_ms`` and ``overhead_p95_ms`` of their difference; ``heartbeat_p99_ms`` and
    ``heartbeat_max_ms`` are gaps between the turns of a 4 ms timer on the window's thread
    meanwhile; ``tsne_reports`` counts what the t-SNE said while the mouse moved.

    Raises:
        LatentLabError: there is no Qt or no openTSNE here, or the window did not come to its end.
    """
    on_progress(0, 1, "Hover")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        figures = measure_in_window(_WINDOW, "The hover benchmark", LATENTLAB_HOME=home)
    on_progress(1, 1, "Hover")
    return figures
