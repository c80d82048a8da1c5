"""Four seconds of dragging a slider, 100 events a second, against a network that takes every core.

The window is a process of its own, as fresh as at a person's start: its heartbeat counts from
before the worker is started and torch imported there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from latentlab.core.errors import LatentLabError

# Not ``-m``: the worker would import the window's module again, Qt and all.
_WINDOW = "from latentlab.ui.bench_flood import main; main()"
_SECONDS = 300


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
    environment = dict(os.environ)
    if sys.platform.startswith("linux") and not (
        environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    ):
        environment.setdefault("QT_QPA_PLATFORM", "offscreen")
    try:
        ended = subprocess.run(
            [sys.executable, "-c", _WINDOW],
            capture_output=True,
            text=True,
            env=environment,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LatentLabError(
            f"The slider flood took more than {_SECONDS} s: close other programs and try again."
        ) from error
    lines = ended.stdout.strip().splitlines()
    if ended.returncode or not lines:
        raise LatentLabError(
            "The slider flood did not run: it needs PySide6 (see `latentlab doctor`).",
            ended.stderr[-4000:],
        )
    on_progress(1, 1, "Slider flood")
    figures: dict[str, Any] = json.loads(lines[-1])
    return figures
