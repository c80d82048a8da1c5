"""Opening and looking at a training run of 1,000,000 events."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from latentlab.core.runs import RunFolder
from latentlab.services.bench.fresh import measure_in_window

EVENTS = 1_000_000
PARTS = ("reconstruction", "kl", "perceptual", "adversarial", "gradient_penalty")
RUN = "long"
OTHER = "other"
_WINDOW = "from latentlab.ui.bench_runs import main; main()"
_BLOCK = 10_000
_RECIPE = '[model]\nfamily = "vae"\n\n[data]\nsource = "portraits"\n'


def run(on_progress: Callable[[int, int, str], None]) -> dict[str, Any]:
    """Return the figures of one run with two attempts and five parts of the loss.

    ``first_curve_ms`` is from opening the run to the first painted curve while the watching process
    runs already, ``first_curve_cold_ms`` the same when the Train panel is seen for the first time;
    ``complete_s`` is until every event has been read and painted. ``gap_*`` are gaps between the
    turns of a 4 ms timer on the window's thread from opening to then, ``paint_ms`` how long one
    painting of all charts takes. ``pan_*`` and ``zoom_*`` are frames (a mouse or wheel event and
    the paint of all visible charts after it) over the whole curve and over 2,000 steps,
    ``series_*_ms`` the numbers of one curve for 1,500 pixels. ``memory_mb`` is what the window's
    process grew by, ``watcher_memory_mb`` the whole of the process that reads.

    Raises:
        LatentLabError: there is no Qt here, or the window did not come to its end.
    """
    on_progress(0, 2, "Writing events")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        runs = Path(home) / "data" / "runs"
        write_run(runs / OTHER, 100)
        size = write_run(runs / RUN)
        on_progress(1, 2, "Watching runs")
        figures = measure_in_window(_WINDOW, "The benchmark of events", LATENTLAB_HOME=home)
    on_progress(2, 2, "Watching runs")
    return {"events": EVENTS, "file_mb": round(size / 1e6), **figures}


def write_run(run_dir: Path, count: int = EVENTS) -> int:
    """Write a run of ``count`` step events in two attempts; return the bytes of its events."""
    folder = RunFolder(run_dir)
    run_dir.mkdir(parents=True)
    folder.recipe.write_text(_RECIPE, "utf-8")
    first, back = count * 55 // 100, count * 50 // 100
    last = back + count - first
    with folder.events.open("w", encoding="utf-8", newline="\n") as stream:
        for attempt, begin, end in ((1, 0, first), (2, back, last)):
            start = {"kind": "start", "time": 1.76e9 + begin, "attempt": attempt, "step": begin}
            stream.write(json.dumps(start | {"family": "vae", "device": "cuda"}) + "\n")
            for low in range(begin, end, _BLOCK):
                stream.writelines(
                    _lines(attempt, low, min(low + _BLOCK, end), back + count - first)
                )
        return stream.tell()


def _lines(attempt: int, begin: int, end: int, total: int) -> Iterator[str]:
    """Yield step events after ``begin`` up to ``end``, as training writes them."""
    rng = np.random.default_rng((attempt, begin))
    steps = np.arange(begin + 1, end + 1)
    noise = rng.lognormal(0.0, 0.15, (len(PARTS), len(steps)))
    parts = noise * (0.05 + np.exp(-steps / (0.15 * total))) / np.arange(1, 6)[:, None]
    table = [steps, parts.sum(0), *parts, rng.lognormal(0, 0.3, len(steps))]
    for step, loss, *values, norm in zip(*(column.tolist() for column in table)):
        record = {
            "kind": "step",
            "time": round(1.76e9 + 0.31 * step + 4e4 * attempt, 3),
            "attempt": attempt,
            "step": step,
            "total_steps": total,
            "epoch": round(step / 781.25, 4),
            "loss": loss,
            "losses": dict(zip(PARTS, values)),
            "learning_rate": 2e-4 * min(1.0, step / 2000),
            "grad_norm": norm,
            "images_per_second": round(820.0 + norm, 2),
            "seconds_left": round(0.31 * (total - step), 1),
            "data_wait": 0.0123,
            "memory_mb": 2210.4,
        }
        yield json.dumps(record) + "\n"
