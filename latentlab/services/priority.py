"""Manners of background processes: the window gets a core at once, waiting keeps none busy."""

from __future__ import annotations

import contextlib
import os
import sys

import psutil


def lower_priority(niceness: int) -> None:
    """Lower the priority of this process; call it before any other thread is started.

    On Linux the value belongs to a thread and is inherited by those that it starts.

    Args:
        niceness: 0 (no change) to 19 (only what nobody else wants).
    """
    if niceness <= 0:
        return
    with contextlib.suppress(OSError, psutil.Error):
        if sys.platform == "win32":
            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            os.nice(niceness)


def wait_politely() -> None:
    """Let threads of OpenMP sleep where they wait for each other; call it before torch is imported.

    They spin otherwise, and on a busy machine for the one that has no core. Measured, 20
    convolutions on 2 cores beside two other programs: 375 to 640 ms, sleeping 55 ms.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
