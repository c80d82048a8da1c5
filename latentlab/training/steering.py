"""What a run should do next: go on, leave a checkpoint, wait, or stop."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from latentlab.core.runs import RunFolder
from latentlab.training.parallel import Processes
from latentlab.training.signals import Interrupts

GO_ON, CHECKPOINT, PAUSE, STOP = 0, 1, 2, 3
LOOK_SECONDS = 0.5
"""Longest time between two looks for STOP and PAUSE."""
AGREE_SECONDS = 0.25
"""Time between two moments at which several processes agree on what to do."""


@dataclass
class _Look:
    """How often to look at files: looking takes at most 2 % of the time."""

    cost: float = 1e-5
    due: float = 0.0

    def done(self, began: float, ended: float) -> None:
        # One slow look (a busy machine) must not make the run deaf; a slow disk shows every time.
        self.cost = min(ended - began, 2.0 * self.cost)
        self.due = ended + min(LOOK_SECONDS, 50.0 * self.cost)


class Steering:
    """Watches the run folder, the signals and the clock; all processes decide the same.

    Args:
        folder: the run.
        interrupts: signals that this process got.
        processes: that train together.
        checkpoint_seconds: between two checkpoints; 0 means none.
    """

    def __init__(
        self,
        folder: RunFolder,
        interrupts: Interrupts,
        processes: Processes,
        checkpoint_seconds: float,
    ) -> None:
        self._stop, self._pause = str(folder.stop), str(folder.pause)
        self._interrupts, self._processes = interrupts, processes
        self._checkpoint_seconds = checkpoint_seconds
        self._look = _Look()
        self._files = GO_ON
        self._agree_at = 0
        self._agreed = (0, time.monotonic())
        self.checkpoint_due = float("inf")
        """When the next regular checkpoint is due, on the monotonic clock."""
        self.saved()

    def saved(self, again_in: float | None = None) -> None:
        """Note that a checkpoint was written, or is to be tried again in some seconds."""
        wait = self._checkpoint_seconds if again_in is None else again_in
        if self._checkpoint_seconds:
            self.checkpoint_due = time.monotonic() + wait

    def decide(self, step: int) -> tuple[int, str]:
        """Return what to do after ``step`` steps, and why where that is to stop."""
        if self._processes.count == 1:
            return self._alone()
        if step < self._agree_at:
            return GO_ON, ""
        decision, reason = self._alone() if self._processes.is_main else self._signalled()
        told = self._processes.gather([decision, self._next(step)])
        self._agree_at = int(told[0][1])
        decided = max(int(row[0]) for row in told)
        if decided == STOP and not reason:
            reason = "one of the processes was interrupted"
        return decided, reason

    def wait(self, step: int) -> tuple[int, str]:
        """Let some time pass at a step and return what to do then."""
        time.sleep(AGREE_SECONDS)
        self._look.due, self._agree_at = 0.0, step
        return self.decide(step)

    def _next(self, step: int) -> int:
        """Return the step of the next agreement, from the speed since the last one."""
        before, since = self._agreed
        now = time.monotonic()
        self._agreed = (step, now)
        a_step = (now - since) / max(step - before, 1)
        return step + min(max(int(AGREE_SECONDS / max(a_step, 1e-6)), 1), 1000)

    def _signalled(self) -> tuple[int, str]:
        return (STOP, "it was interrupted") if self._interrupts.asked else (GO_ON, "")

    def _alone(self) -> tuple[int, str]:
        now = time.monotonic()
        if now >= self._look.due:
            self._files = self._seen()
            self._look.done(now, time.monotonic())
        if self._files == STOP:
            return STOP, "it was asked to stop"
        if self._interrupts.asked:
            return STOP, "it was interrupted"
        if self._files == PAUSE:
            return PAUSE, ""
        return (CHECKPOINT, "") if now >= self.checkpoint_due else (GO_ON, "")

    def _seen(self) -> int:
        if os.path.exists(self._stop):  # noqa: PTH110 (called at every step)
            return STOP
        return PAUSE if os.path.exists(self._pause) else GO_ON  # noqa: PTH110
