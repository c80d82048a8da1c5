"""The status file of a run, kept up to date by a thread of its own. No torch here."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from latentlab.core.errors import LatentLabError
from latentlab.core.run_events import Event
from latentlab.core.run_status import RunState, RunStatus, write_status
from latentlab.core.runs import RunFolder

INTERVAL = 2.0
HEARTBEAT = 10.0
_STATES: dict[str, RunState] = {
    "start": "training",
    "step": "training",
    "continue": "training",
    "pause": "paused",
    "progress": "measuring",
    "stop": "stopped",
    "error": "failed",
    "finish": "finished",
}


def after(status: RunStatus, event: Event) -> RunStatus:
    """Return what a status becomes when something happened.

    ``sample``, ``checkpoint`` and ``warning`` change no state; progress before the run started
    belongs to the start.
    """
    data = event.data
    new: dict[str, Any] = {"step": event.step, "attempt": event.attempt}
    if event.kind in _STATES and not (event.kind == "progress" and status.state == "starting"):
        new["state"] = _STATES[event.kind]
    if event.kind in ("start", "step") and "total_steps" in data:
        new["total_steps"] = int(data["total_steps"])
    if event.kind == "start":
        new |= {n: data[n] for n in ("family", "device", "processes") if n in data}
    if event.kind == "step":
        for name in ("loss", "images_per_second", "seconds_left"):
            value = data.get(name)
            new[name] = value if value is not None and math.isfinite(value) else None
    if event.kind in _STATES:
        new["message"] = str(data.get("message") or "")
    if event.kind == "finish":
        new["seconds_left"] = 0.0
    return status.model_copy(update=new)


class StatusKeeper:
    """Writes ``status.json`` at every change of state, every two seconds while something happens,
    and every ten when nothing does; use as a context manager.

    Training never waits for it, and a status that cannot be written stops nothing.

    Args:
        folder: the run.
        attempt: of this process.
        before: how the run stood; its step, loss and family stay until they are known anew.
        lost: asked now and then; true once another process took the folder, which is then
            left alone.
        interval: seconds between two writings while something happens.
        heartbeat: seconds between two writings while nothing does.
    """

    def __init__(
        self,
        folder: RunFolder,
        attempt: int,
        before: RunStatus | None = None,
        lost: Callable[[], bool] = lambda: False,
        interval: float = INTERVAL,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        first = before or RunStatus(state="starting")
        new = {"state": "starting", "attempt": attempt, "message": ""}
        new |= {"pid": os.getpid(), "host": socket.gethostname()}
        new |= {"images_per_second": None, "seconds_left": None}
        self._status = first.model_copy(update=new)
        self._folder, self._lost = folder, lost
        self._interval, self._heartbeat = interval, heartbeat
        self._changed, self._urgent = threading.Event(), threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._keep, name="latentlab-status", daemon=True)

    @property
    def status(self) -> RunStatus:
        """How the run stands."""
        return self._status

    def take(self, event: Event) -> None:
        """Take note of an event."""
        before, self._status = self._status, after(self._status, event)
        self._note(self._status.state != before.state)

    def say(self, **changes: Any) -> None:
        """Change fields of the status that no event tells."""
        before, self._status = self._status, self._status.model_copy(update=changes)
        self._note(self._status.state != before.state)

    def _note(self, urgent: bool) -> None:
        self._changed.set()
        if urgent:
            self._urgent.set()

    def _keep(self) -> None:
        self._write()
        while not self._ended:
            # Between two writings at least the interval passes, unless the state changes.
            if not self._urgent.wait(self._interval):
                waited = self._interval
                while waited < self._heartbeat and not self._changed.is_set():
                    step = min(self._interval, self._heartbeat - waited)
                    if self._urgent.wait(step):
                        break
                    waited += step
            self._write()

    def _write(self) -> None:
        self._urgent.clear()
        self._changed.clear()
        status = self._status.model_copy(update={"time": round(time.time(), 3)})
        try:
            if not self._lost():
                write_status(self._folder, status)
        except (LatentLabError, OSError):
            # The disk is full or the share is away: the next writing may succeed.
            return

    def __enter__(self) -> StatusKeeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._urgent.set()
        # On a share that hangs, the thread may still be writing: it is left behind.
        self._thread.join(timeout=10.0)
        if not self._thread.is_alive():
            self._write()
