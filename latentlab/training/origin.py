"""What a run knows about itself, for the models that it leaves. No torch here."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from latentlab.core.run_events import Event
from latentlab.core.version import revision, version

_WORK = ("step", "sample", "checkpoint", "pause", "stop")


def seconds_trained(events: Iterable[Event]) -> float:
    """Return the wall time that a run's attempts spent on training, without pauses.

    Args:
        events: as written, of all attempts; see ``EventTail``.
    """
    total = 0.0
    since: dict[int, float] = {}
    for event in events:
        if event.kind in ("start", "continue"):
            since[event.attempt] = event.time
        elif event.kind in _WORK and event.attempt in since:
            total += max(event.time - since[event.attempt], 0.0)
            since[event.attempt] = event.time
            if event.kind == "pause":
                del since[event.attempt]
    return total


@dataclass
class Origin:
    """Program, processes and the time spent on training.

    Attributes:
        seconds_before: trained by earlier attempts.
        processes: that train together.
        images_per_step: of all processes.
        program_version: of LatentLab.
        revision: git revision of the program, ``""`` outside a checkout.
    """

    seconds_before: float = 0.0
    processes: int = 1
    images_per_step: int = 0
    program_version: str = field(default_factory=version)
    revision: str = field(default_factory=revision)
    _since: float | None = None
    _spent: float = 0.0

    def take(self, kind: str) -> None:
        """Let the clock run, or stop it, by the kind of an event; measuring is no training."""
        now = time.monotonic()
        if kind in ("start", "continue") and self._since is None:
            self._since = now
        elif kind in ("pause", "progress", "stop") and self._since is not None:
            self._spent += now - self._since
            self._since = None

    @property
    def seconds(self) -> float:
        """Wall time spent on training so far, by all attempts."""
        running = 0.0 if self._since is None else time.monotonic() - self._since
        return self.seconds_before + self._spent + running
