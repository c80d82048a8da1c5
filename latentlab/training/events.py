"""What a run tells: events on the disk, and a line now and then on the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psutil
import torch
from safetensors import SafetensorError

from latentlab.core.errors import LatentLabError
from latentlab.core.run_events import Event, EventKind, EventWriter
from latentlab.core.run_text import describe
from latentlab.core.runs import Holder
from latentlab.training.origin import Origin
from latentlab.training.status import StatusKeeper

OnEvent = Callable[[Event], None]


class Reporter:
    """Writes events and passes them on; the processes of a run but the first stay silent.

    Args:
        writer: ``None`` for a process that stays silent.
        on_event: called with every event.
        status: takes note of every event.
        origin: of the models that the run leaves.
        lost: returns the process that took the run folder away, if one did.
    """

    def __init__(
        self,
        writer: EventWriter | None,
        on_event: OnEvent,
        status: StatusKeeper | None = None,
        origin: Origin | None = None,
        lost: Callable[[], Holder | None] = lambda: None,
    ) -> None:
        self._writer, self._on_event, self._status = writer, on_event, status
        self.origin = origin or Origin()
        self._lost = lost
        self._full = False
        self._last_progress = 0.0

    def emit(self, kind: EventKind, step: int, **data: Any) -> None:
        """Tell an event; one that finds no room on the disk waits in memory.

        Raises:
            LatentLabError: another process took the run folder.
        """
        self.origin.take(kind)
        if self._writer is None:
            return
        self.check()
        self._tell(self._writer.write(kind, step, **data))
        failure, failed = self._writer.failure, self._full
        self._full = failure is not None
        if failure is not None and not failed:
            message = (
                f"Events cannot be written ({failure.strerror or failure}): they are kept in "
                "memory until there is room; free some space."
            )
            self._tell(self._writer.write("warning", step, message=message))
        elif failed and failure is None:
            message = "There is room again: the events that waited are written."
            self._tell(self._writer.write("warning", step, message=message))

    def _tell(self, event: Event) -> None:
        if self._status is not None:
            self._status.take(event)
        self._on_event(event)

    def check(self) -> None:
        """Raise ``LatentLabError`` when another process took the run folder."""
        taken = self._lost()
        if taken is not None:
            if self._writer is not None:
                self._writer.abandon()
            self._writer = None
            raise LatentLabError(
                f"The run folder was taken over by {taken}: this process stops and leaves the "
                "run to that one."
            )

    def sync(self) -> None:
        """Have the events so far written through to the disk; see ``check``."""
        self.check()
        if self._writer is not None:
            self._writer.sync()

    def progress(self, step: int, done: int, total: int, message: str) -> None:
        """Tell how far the work after the last step is, at most once a second."""
        now = time.monotonic()
        if done >= total or now - self._last_progress >= 1.0:
            self._last_progress = now
            self.emit("progress", step, done=done, total=total, message=message)


RETRY_SECONDS = 60.0
"""A regular checkpoint that found no room is tried again after so long."""
_WAITS = (1.0, 4.0, 10.0)


def patiently(
    write: Callable[[], None], reporter: Reporter, step: int, what: str, *, must: bool
) -> bool:
    """Write a file of a run, and live with a disk that is full or a share that is away.

    Args:
        write: raises ``LatentLabError`` from an ``OSError`` when it finds no room.
        reporter: takes a warning for each time that it does not.
        step: of the run.
        what: is written, for the warning.
        must: try a few times over some seconds, then give up; otherwise go on without.

    Returns:
        Whether it was written.

    Raises:
        LatentLabError: it must be written and cannot be, or something else is wrong.
    """
    waits = iter(_WAITS if must else ())
    while True:
        try:
            write()
            return True
        except LatentLabError as error:
            if not isinstance(error.__cause__, OSError | SafetensorError):
                raise
            pause = next(waits, None)
            if must and pause is None:
                raise
            again = f"It is tried again in {pause:.0f} s." if pause else "Training goes on without."
            reporter.emit("warning", step, message=f"{what}: {error.message} {again}")
            if pause is None:
                return False
            time.sleep(pause)


class Speed:
    """Images a second and the time left, over the time that was spent on steps.

    Args:
        batch_size: global.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._steps, self._since, self._paused = 0, time.perf_counter(), 0.0
        self._seconds_per_step: float | None = None

    def step_done(self) -> None:
        """Count a step."""
        self._steps += 1

    def pause(self, seconds: float) -> None:
        """Leave out time that went into samples and checkpoints."""
        self._paused += seconds

    def measure(self, steps_left: int, waited: float) -> dict[str, float]:
        """Return the figures since the last call.

        Args:
            steps_left: of the run.
            waited: seconds spent waiting for images since the last call.
        """
        now = time.perf_counter()
        spent = max(now - self._since - self._paused, 1e-9)
        latest = spent / max(self._steps, 1)
        before = self._seconds_per_step
        # Smoothed, so that the time left does not jump with every busy moment of the machine.
        self._seconds_per_step = latest if before is None else 0.8 * before + 0.2 * latest
        rate = self._steps * self._batch_size / spent
        self._steps, self._since, self._paused = 0, now, 0.0
        return {
            "images_per_second": round(rate, 2),
            "seconds_left": round(steps_left * self._seconds_per_step, 1),
            "data_wait": round(min(waited / spent, 1.0), 4),
        }


def memory_mb(device: torch.device) -> dict[str, float]:
    """Return the memory of this process and, on CUDA, the most that tensors took there, in MiB."""
    figures = {"memory_mb": round(psutil.Process().memory_info().rss / 2**20, 1)}
    if device.type == "cuda":
        figures["device_memory_mb"] = round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    return figures


class Console:
    """Prints events; step and progress lines at most every two seconds."""

    def __init__(self, interval: float = 2.0) -> None:
        self._interval, self._last = interval, -interval

    def __call__(self, event: Event) -> None:
        """Print one event, or leave it out."""
        now = time.monotonic()
        last = event.kind == "step" and event.step == event.data["total_steps"]
        if event.kind in ("step", "progress") and not last:
            if now - self._last < self._interval:
                return
            self._last = now
        try:
            print(describe(event), flush=True)
        except OSError:
            # The terminal was closed, or the disk of a log is full: no reason to stop training.
            return
