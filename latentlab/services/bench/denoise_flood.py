"""Four seconds of dragging a slider of one panel while another denoises a long run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from latentlab.services.bench.evaluations import FOLDER, MODEL
from latentlab.services.bench.fresh import measure_in_window

_WINDOW = "from latentlab.ui.bench_denoise import main; main()"


def run(on_progress: Callable[[int, int, str], None]) -> dict[str, Any]:
    """Return the figures of one flood without the long list; see ``measure``."""
    figures = measure(on_progress)
    del figures["sequences"]
    return figures


def measure(on_progress: Callable[[int, int, str], None]) -> dict[str, Any]:
    """Return the figures of one flood; times in milliseconds.

    As ``slider_flood``, but the slider's pictures are those of a diffusion model, each of 25 steps
    and shown rough after its first, and a run of 1,000 steps is denoised meanwhile.
    ``settle_evaluations`` counts the evaluations of the network, for anybody, that ended between
    the release of the slider and the rough image of its last value. ``run_steps`` counts the steps
    of the long run that arrived, ``run_steps_dragging`` those of them while the slider moved, and
    ``final_ms`` is how long after the release the last picture was done.

    Raises:
        LatentLabError: there is no Qt here, or the window did not come to its end.
    """
    from latentlab.services.bench.denoise_model import model_name

    on_progress(0, 1, "Slider flood beside denoising")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        model = model_name(Path(folder))
        figures = measure_in_window(
            _WINDOW, "The slider flood beside denoising", **{FOLDER: folder, MODEL: model}
        )
    on_progress(1, 1, "Slider flood beside denoising")
    return {"model": model, **figures}
