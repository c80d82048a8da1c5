"""What a watching window costs a training run: the run with the window awake, and asleep, in turns.

The window, its worker and its watcher are real processes; they are put to sleep and woken by the
system, so that every pair is of one run and one window.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from latentlab.core.errors import LatentLabError
from latentlab.core.run_events import EventTail
from latentlab.core.runs import RunFolder
from latentlab.services.bench.train import bench_recipe, interval

Report = Callable[[int, int, str], None]
PAIRS = 24
SECONDS = 4.0
"""Of a counted stretch, awake or asleep."""
SETTLE_SECONDS = 1.5
"""After a change: the window first takes up what it slept through."""
START_SECONDS = 120.0
BATCH_SIZE = 16
"""Small, so that a stretch has many steps."""
_WINDOW = "from latentlab.ui.bench_attached import main; main()"
_STEPS = 1_000_000


def run(on_progress: Report) -> dict[str, Any]:
    """Return the steps a second of a run beside a window awake and asleep.

    ``cost`` is the median over the pairs of the share of its speed that the run loses while a
    window with the Train panel in front follows it. The run tells every step, and writes a sheet
    of samples every 200.

    Raises:
        LatentLabError: there is no Qt here, or run or window do not start.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        run_dir = Path(home) / "data" / "runs" / "bench"
        with _training(home, run_dir), _window(home, run_dir) as window:
            rates = list(_pairs(run_dir, window, on_progress))
    cost = [1 - awake / asleep for awake, asleep in rates]
    low, high = interval(cost)
    return {
        "cost": float(np.median(cost)),
        "cost_low": low,
        "cost_high": high,
        "pairs": len(cost),
        "steps_per_s_awake": float(np.median([awake for awake, _ in rates])),
        "steps_per_s_asleep": float(np.median([asleep for _, asleep in rates])),
        "batch_size": BATCH_SIZE,
        "cores": psutil.cpu_count(),
    }


def _pairs(
    run_dir: Path, window: psutil.Process, on_progress: Report
) -> Iterator[tuple[float, float]]:
    tail = EventTail(RunFolder(run_dir))
    for pair in range(PAIRS):
        on_progress(pair, PAIRS, "Training beside a window")
        rates: dict[bool, float] = {}
        # Which comes first changes in turns, so that a drift of the machine favours neither.
        for awake in (True, False) if pair % 2 == 0 else (False, True):
            _wake(window) if awake else _sleep(window)
            time.sleep(SETTLE_SECONDS)
            rates[awake] = _rate(tail)
        yield rates[True], rates[False]
    _wake(window)
    on_progress(PAIRS, PAIRS, "Training beside a window")


def _rate(tail: EventTail) -> float:
    """Return the steps a second of the next stretch, by the times that the events carry."""
    tail.poll()
    time.sleep(SECONDS)
    steps = [event for event in tail.poll() if event.kind == "step"]
    if len(steps) < 3:
        raise LatentLabError("The run made no steps: try again on a machine that is less busy.")
    return (steps[-1].step - steps[0].step) / (steps[-1].time - steps[0].time)


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _sleep(window: psutil.Process) -> None:
    for process in _family(window):
        process.suspend()


def _wake(window: psutil.Process) -> None:
    for process in _family(window):
        process.resume()


def _surroundings(home: str) -> dict[str, str]:
    variables = dict(os.environ) | {"LATENTLAB_HOME": home}
    if sys.platform.startswith("linux") and not (
        variables.get("DISPLAY") or variables.get("WAYLAND_DISPLAY")
    ):
        variables.setdefault("QT_QPA_PLATFORM", "offscreen")
    return variables


@contextmanager
def _process(words: list[str], home: str, ready: Callable[[], bool]) -> Iterator[psutil.Process]:
    """Run a program until the body ends; the body starts when ``ready`` says so."""
    with tempfile.TemporaryFile() as said:
        started = psutil.Popen(
            [sys.executable, *words], env=_surroundings(home), stdout=said, stderr=said
        )
        try:
            limit = time.monotonic() + START_SECONDS
            while not ready():
                if started.poll() is not None or time.monotonic() > limit:
                    said.seek(0)
                    text = said.read().decode(errors="replace")
                    raise LatentLabError(f"'{words[-1]}' did not start.", text[-4000:])
                time.sleep(0.2)
            yield started
        finally:
            for process in reversed(_family(started)):
                process.resume()
                process.kill()
            started.wait()


@contextmanager
def _training(home: str, run_dir: Path) -> Iterator[psutil.Process]:
    run_dir.parent.mkdir(parents=True)
    recipe = Path(home) / "bench.toml"
    text = bench_recipe(_STEPS, log_every=1, batch_size=BATCH_SIZE).to_toml()
    recipe.write_text(text.replace("sample_every = 0", "sample_every = 200"), "utf-8")
    words = ["-m", "latentlab", "train", str(recipe), "--run-dir", str(run_dir)]
    tail = EventTail(RunFolder(run_dir))
    with _process(words, home, lambda: any(e.step > 20 for e in tail.poll())) as process:
        yield process


@contextmanager
def _window(home: str, run_dir: Path) -> Iterator[psutil.Process]:
    shown = Path(home) / "shown"
    words = ["-c", _WINDOW, str(run_dir), str(shown)]
    with _process(words, home, shown.exists) as process:
        yield process
