"""Run folders: where training leaves what it does, and how others follow it. No torch here.

``recipe.toml`` (every default filled in), ``events.jsonl`` (one line an event), ``status.json``
(how the run stands now), ``samples/``, ``checkpoints/``, ``state/`` (what resuming needs),
``model.safetensors`` (at the end), ``STOP`` and ``PAUSE`` (made by whoever wants the run to stop
or to wait), ``console.log`` (what a started process printed) and ``lock`` (the running process).
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from latentlab.core.errors import LatentLabError

_MAX_LOCK_BYTES = 64 * 1024
_MAX_SMALL_BYTES = 2**20
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_STEP = re.compile(r"step_(\d+)\.")


def read_small(path: Path) -> str:
    """Return the text of a small file, which may be anybody's.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger than 1 MiB.
    """
    with path.open("rb") as stream:
        raw = stream.read(_MAX_SMALL_BYTES + 1)
    if len(raw) > _MAX_SMALL_BYTES:
        raise ValueError("too large")
    return raw.decode("utf-8", "replace")


def step_of(path: Path) -> int | None:
    """Return the step in the name of a checkpoint or a sample sheet."""
    found = _STEP.match(path.name)
    return int(found[1]) if found else None


def _by_step(paths: Iterable[Path]) -> list[Path]:
    found = [(step, path) for path in paths if (step := step_of(path)) is not None]
    return [path for _, path in sorted(found)]


@dataclass(frozen=True)
class RunFolder:
    """Names inside a run folder; nothing is created by asking."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.toml"

    @property
    def events(self) -> Path:
        """The events."""
        return self.path / "events.jsonl"

    @property
    def samples(self) -> Path:
        """Folder of the sample sheets."""
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def state(self) -> Path:
        """Folder of what resuming needs."""
        return self.path / "state"

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / "model.safetensors"

    @property
    def stop(self) -> Path:
        """The file whose presence asks the run to stop."""
        return self.path / "STOP"

    @property
    def pause(self) -> Path:
        """The file whose presence keeps the run waiting."""
        return self.path / "PAUSE"

    @property
    def status(self) -> Path:
        """How the run stands now: see ``latentlab.core.run_status``."""
        return self.path / "status.json"

    @property
    def console(self) -> Path:
        """What a process that was started in the background printed."""
        return self.path / "console.log"

    @property
    def lock(self) -> Path:
        """The file that names the running process."""
        return self.path / "lock"

    def sample(self, step: int) -> Path:
        """The sample sheet of a step."""
        return self.samples / f"step_{step:07d}.png"

    def checkpoint(self, step: int) -> Path:
        """The checkpoint of a step."""
        return self.checkpoints / f"step_{step:07d}.safetensors"

    @property
    def best(self) -> Path:
        """Which checkpoint has the smallest held-out loss: ``{"step", "held_out_loss"}``."""
        return self.checkpoints / "best.json"

    def sample_files(self) -> list[Path]:
        """Sample sheets, oldest first."""
        return _by_step(self.samples.glob("step_*.png"))

    def checkpoint_files(self) -> list[Path]:
        """Checkpoints, oldest first."""
        return _by_step(self.checkpoints.glob("step_*.safetensors"))

    def request_stop(self) -> None:
        """Ask the run to stop after its current step, with a checkpoint."""
        try:
            self.stop.touch()
        except OSError as error:
            raise LatentLabError(
                f"'{self.stop}' cannot be written ({error.strerror}): check the folder."
            ) from error


def boot_name() -> str:
    """Return what names this start of this machine; empty where it has no such name."""
    try:
        return _BOOT.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def uptime_at(process: psutil.Process) -> float:
    """Return how long the machine ran when a process began, in seconds, whatever its clock says."""
    return process.create_time() - psutil.boot_time()


def _alive(held: Holder) -> bool:
    """Whether the very process that wrote the lock still runs (a pid may be used again)."""
    try:
        process = psutil.Process(held.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            # It ended, and its parent has not looked yet.
            return False
        if held.boot and held.boot == boot_name():
            # Where the clock was set meanwhile, so was the time at which the process began.
            return abs(uptime_at(process) - held.uptime) < 2.0
        return abs(process.create_time() - held.created) < 2.0
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def alive_since(pid: int, moment: float) -> bool:
    """Whether a process of this machine runs and did so at a moment, in seconds since 1970."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() < moment + 2.0
    except (psutil.NoSuchProcess, ValueError):
        return False
    except psutil.AccessDenied:
        return True


@dataclass(frozen=True)
class Holder:
    """The process that a lock names.

    Attributes:
        pid: of the process.
        host: its machine.
        created: when the process began, seconds since 1970.
        since: when it took the folder, seconds since 1970.
        boot: names the start of its machine, where that has a name.
        uptime: seconds between that start and its own.
    """

    pid: int
    host: str
    created: float
    since: float
    boot: str = ""
    uptime: float = 0.0

    @property
    def here(self) -> bool:
        """Whether it runs, or ran, on this machine."""
        return self.host == socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether it still runs; only a process of this machine can be asked."""
        return self.here and self.pid > 0 and _alive(self)

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on '{self.host}' since {when}"


def holder_of(text: str) -> Holder | None:
    """Return the process that the text of a lock names; ``None`` when it names none."""
    try:
        record = json.loads(text)
        created = float(record["created"])
        since = float(record.get("since", created))
        time.localtime(since)
        boot, uptime = str(record.get("boot", "")), float(record.get("uptime", 0.0))
        return Holder(int(record["pid"]), str(record["host"]), created, since, boot, uptime)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
        return None
    except RecursionError:
        return None


def lock_text(lock: Path) -> str:
    """Return what a lock says; of a file that is no lock, its beginning."""
    with lock.open("rb") as stream:
        return stream.read(_MAX_LOCK_BYTES).decode("utf-8", "replace")


def holder(run_dir: Path) -> int | None:
    """Return the pid of the process that trains in a folder on this machine, if one is alive."""
    try:
        held = holder_of(lock_text(RunFolder(run_dir).lock))
    except OSError:
        return None
    return held.pid if held is not None and held.alive else None


def clean(folder: RunFolder) -> None:
    """Delete the halves of files that a killed process left; the lock must be held."""
    for place in (folder.path, folder.state, folder.checkpoints, folder.samples):
        for pattern in (".*.part", ".tmp*"):
            for leftover in place.glob(pattern):
                try:
                    leftover.unlink()
                except OSError:
                    # It takes room, and harms nothing.
                    continue
