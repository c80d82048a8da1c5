"""Ctrl-C and the end of a machine's lease ask a run to stop with a checkpoint."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupts:
    """Turns SIGINT and SIGTERM into a request; use as a context manager.

    A second signal acts as usual. Outside the main thread, where Python takes no signals, nothing
    is changed.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self.asked = True
        known = signal.Signals(number)
        signal.signal(known, self._before.pop(known, signal.SIG_DFL))

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
