"""Stepping back: background processes leave a core to the window at once."""

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
