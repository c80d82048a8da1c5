"""Events of the worker, kept until the window is there to take them. No Qt here.

The worker process is started before Qt is imported, so that torch and the model load meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class EventRelay:
    """Called with every event, from any thread; hands them on in order once it is connected."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Any] = []
        self._receiver: Callable[[Any], None] | None = None

    def __call__(self, event: Any) -> None:
        """Hand an event on, or keep it."""
        with self._lock:
            if self._receiver is None:
                self._waiting.append(event)
            else:
                self._receiver(event)

    def connect(self, receiver: Callable[[Any], None]) -> None:
        """Send all events to ``receiver`` from now on, those that waited first."""
        with self._lock:
            self._receiver = receiver
            for event in self._waiting:
                receiver(event)
            self._waiting.clear()

    def disconnect(self) -> None:
        """Drop all events from now on: the window goes away."""
        with self._lock:
            self._receiver = _drop


def _drop(_event: Any) -> None:
    """Take an event that nobody wants any more."""
