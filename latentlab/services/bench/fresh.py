"""Benchmarks of the window run in a process of their own, as fresh as at a person's start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from latentlab.core.errors import LatentLabError

_SECONDS = 300


def measure_in_window(statement: str, title: str, **environment: str) -> dict[str, Any]:
    """Run Python code that opens a window and prints its figures as one line of JSON.

    Not ``-m``: the worker would import the window's module again, Qt and all.

    Args:
        statement: the code.
        title: what messages call the benchmark.
        environment: variables that it runs with.

    Raises:
        LatentLabError: there is no Qt here, or the window did not come to its end.
    """
    variables = dict(os.environ) | environment
    if sys.platform.startswith("linux") and not (
        variables.get("DISPLAY") or variables.get("WAYLAND_DISPLAY")
    ):
        variables.setdefault("QT_QPA_PLATFORM", "offscreen")
    try:
        ended = subprocess.run(
            [sys.executable, "-c", statement],
            capture_output=True,
            text=True,
            env=variables,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LatentLabError(
            f"{title} took more than {_SECONDS} s: close other programs and try again."
        ) from error
    lines = ended.stdout.strip().splitlines()
    if ended.returncode or not lines:
        said = ended.stderr.strip().splitlines()
        reason = said[-1][:300] if said else "it needs PySide6 (see `latentlab doctor`)"
        raise LatentLabError(f"{title} did not run: {reason}", ended.stderr[-4000:])
    figures: dict[str, Any] = json.loads(lines[-1])
    return figures
