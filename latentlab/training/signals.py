"""Ctrl-C, a closed terminal and the end of a lease ask a run to stop with a checkpoint."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupts:
    """Turns SIGINT, SIGTERM, SIGHUP and SIGBREAK into a request; use as a context manager.

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
            for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
                number = getattr(signal, name, None)
                # What nohup and shells have set to be ignored stays so.
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
