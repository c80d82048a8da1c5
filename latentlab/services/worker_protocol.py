"""What passes between the window's process and the worker's: events, settings, messages.

Both ends are our own processes, started by us; nothing read from a file or a network comes here.
Arrays travel as raw bytes beside the pickled message (pickle protocol 5), so that the window's
thread is never held up by a copy, and arrive as read-only views of those bytes.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from latentlab.core.requests import Failure, JobProgress, JobResult, PreviewResult
from latentlab.core.settings import Settings

# Below this, a system call of its own costs more than the copy.
_SMALL_BUFFER = 2048

Key = tuple[str, ...]
"""What a message is about: ``("preview", channel)``, ``("job", id)``, ``("cancel", id)`` ..."""


@dataclass(frozen=True)
class WorkerSettings:
    """How the worker is set up.

    Attributes:
        folders: searched for models; the person's model folder when ``None``.
        run_roots: folders of training runs, whose finished models are known.
        device: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.
        threads: CPU threads of the networks; ``None`` leaves torch's own choice.
        niceness: how far the worker steps back behind the window, 0 to 19.
        engine: ``module:function`` that takes these settings and returns a ``JobContext``.
        jobs: further rows for ``services.jobs.JOBS``.
    """

    folders: tuple[str, ...] | None = None
    device: str = "auto"
    threads: int | None = None
    niceness: int = 5
    engine: str = "latentlab.services.jobs:build_context"
    jobs: Mapping[str, str] = field(default_factory=dict)
    run_roots: tuple[str, ...] = ()

    @classmethod
    def from_settings(cls, settings: Settings) -> WorkerSettings:
        """Return what a person's settings mean for the worker."""
        folders = tuple(str(folder) for folder in settings.model_folders())
        roots = tuple(str(root) for root in settings.run_roots())
        device, threads = settings.device, settings.threads
        return cls(folders=folders, device=device, threads=threads, run_roots=roots)


@dataclass(frozen=True)
class WorkerReady:
    """The worker has imported torch and serves requests.

    Attributes:
        pid: of its process.
        device: for a person, for example ``cpu, 2 threads``.
        threads: CPU threads of the networks.
        torch: version of torch.
        memory: bytes by name: ``process``, ``available`` ...
        figures: what the engine says about itself.
        failure: why no request can be served, if so; every request gets it as its answer.
    """

    pid: int
    device: str = ""
    threads: int = 0
    torch: str = ""
    memory: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None


@dataclass(frozen=True)
class WorkerDied:
    """The worker ended by itself; all that waited has got a failure. It can be started again.

    Attributes:
        failure: the sentence to show.
        exitcode: of the process; a negative one is the signal that killed it.
    """

    failure: Failure
    exitcode: int | None = None


Event = PreviewResult | JobProgress | JobResult | WorkerReady | WorkerDied


def failed(key: Key, sequence: int, failure: Failure) -> PreviewResult | JobResult:
    """Return the result that tells the asker of ``key`` about a failure."""
    if key[0] == "preview":
        return PreviewResult(key[1], sequence, failure=failure)
    return JobResult(key[1], failure=failure)


@dataclass(frozen=True)
class Message:
    """One message; ``error`` stands in for a ``value`` that could not be rebuilt here."""

    key: Key
    sequence: int
    value: Any = None
    error: Exception | None = None


def send(connection: Connection, key: Key, sequence: int, value: Any) -> None:
    """Send a message whole; one thread at a time.

    Raises:
        OSError: the other side is gone.
        Exception: ``value`` cannot be pickled; nothing has been sent.
    """
    buffers: list[pickle.PickleBuffer] = []

    def keep_inside(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < _SMALL_BUFFER:
            return True
        buffers.append(buffer)
        return False

    body = pickle.dumps(value, protocol=5, buffer_callback=keep_inside)
    connection.send_bytes(pickle.dumps((key, sequence, len(buffers)), protocol=5))
    connection.send_bytes(body)
    for buffer in buffers:
        # Connections of Windows know only one-dimensional bytes.
        connection.send_bytes(buffer.raw())


class _Reader(pickle.Unpickler):
    """Refuses torch: reading such a value would import it, and stall the window for 235 ms."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "torch":
            raise pickle.UnpicklingError(f"{module}.{name} must not cross to another process")
        return super().find_class(module, name)


def receive(connection: Connection) -> Message:
    """Wait for a message.

    Raises:
        EOFError, OSError: the other side is gone.
    """
    key, sequence, count = pickle.loads(connection.recv_bytes())
    body = connection.recv_bytes()
    buffers = [connection.recv_bytes() for _ in range(count)]
    try:
        return Message(key, sequence, _Reader(io.BytesIO(body), buffers=buffers).load())
    except Exception as error:
        return Message(key, sequence, error=error)
