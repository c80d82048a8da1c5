"""Training as a process of its own that outlives whoever started it. No torch here.

Its words go to ``console.log`` in the run folder. Nothing but the run folder connects it with the
window: a process that could not even start leaves its reason in ``status.json``.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from latentlab.core.errors import LatentLabError
from latentlab.core.run_status import RunStatus, read_status, write_status
from latentlab.core.runs import RunFolder
from latentlab.services.failures import describe_exit

NICENESS = 10
"""Training steps back behind the window and everything else that a person waits for."""
MAX_CONSOLE_BYTES = 8 * 2**20
_TAIL_BYTES = 64 * 1024
_PREFIX = "latentlab: "


def command(words: Sequence[str]) -> list[str]:
    """Return the command line that runs ``latentlab`` with these words in this Python."""
    return [sys.executable, "-m", "latentlab", *words]


def environment() -> dict[str, str]:
    """Return this process's environment, with threads that wait politely and text as UTF-8."""
    found = dict(os.environ)
    found.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    found.setdefault("PYTHONIOENCODING", "utf-8")
    return found


def creation(detached: bool) -> dict[str, Any]:
    """Return what ``subprocess.Popen`` needs on this system.

    Args:
        detached: the process goes on when this one, its terminal or its session ends.
    """
    if sys.platform == "win32":
        flags = subprocess.BELOW_NORMAL_PRIORITY_CLASS | subprocess.CREATE_NEW_PROCESS_GROUP
        flags |= subprocess.DETACHED_PROCESS if detached else subprocess.CREATE_NO_WINDOW
        return {"creationflags": flags}
    return {"start_new_session": detached}


def step_back(pid: int) -> None:
    """Lower the priority of a process that was started a moment ago, before it has threads."""
    if sys.platform != "win32":
        with contextlib.suppress(psutil.Error, OSError, ValueError):
            process = psutil.Process(pid)
            process.nice(max(NICENESS, int(process.nice())))


def launch(folder: RunFolder, words: Sequence[str], status: RunStatus) -> int:
    """Start ``latentlab`` for a run, apart from this process, and return its pid.

    Args:
        folder: of the run; it exists.
        words: after ``latentlab``.
        status: how the run stands; it becomes ``starting``.

    Raises:
        LatentLabError: the folder cannot be written, or no process can be started.
    """
    own = os.getpid()
    mark = {"state": "starting", "host": socket.gethostname(), "message": ""}
    # Written before the process is there: it may say more itself at any moment after.
    status = status.model_copy(update={**mark, "pid": own, "time": time.time()})
    write_status(folder, status)
    try:
        with _console(folder.console, words) as stream:
            begin = stream.tell()
            process = subprocess.Popen(
                command(words),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environment(),
                **creation(detached=True),
            )
    except OSError as error:
        sentence = f"The training process could not be started ({error.strerror})."
        write_status(folder, status.model_copy(update={"state": "failed", "message": sentence}))
        raise LatentLabError(f"{sentence} Check the run folder '{folder.path}'.") from error
    step_back(process.pid)
    said = read_status(folder.path)
    if said is None or said.pid == own:
        write_status(folder, status.model_copy(update={"pid": process.pid, "time": time.time()}))
    reaper = threading.Thread(
        target=_reap, args=(folder, process, begin), name="latentlab-reaper", daemon=True
    )
    reaper.start()
    return process.pid


def _console(path: Path, words: Sequence[str]) -> BinaryIO:
    """Open ``console.log`` at its end; a huge one keeps its end alone."""
    if path.exists() and path.stat().st_size > MAX_CONSOLE_BYTES:
        path.write_bytes(_tail(path))
    # Unbuffered: what is written here stands before the process's own words.
    stream = path.open("ab", buffering=0)
    stream.seek(0, os.SEEK_END)
    at = time.strftime("%Y-%m-%d %H:%M:%S")
    stream.write(f"[{at}] latentlab {' '.join(words)}\n".encode())
    return stream


def _reap(folder: RunFolder, process: subprocess.Popen[bytes], begin: int) -> None:
    """Wait for the end of a process, so that nothing of it stays, and see that it is told."""
    code = process.wait()
    with contextlib.suppress(LatentLabError, OSError):
        settle(folder, process.pid, code, begin)


def settle(folder: RunFolder, pid: int, code: int, begin: int = 0) -> None:
    """Write how a run stands whose process ended before it said so itself.

    Args:
        folder: of the run.
        pid: of the process.
        code: that it ended with.
        begin: where its words begin in ``console.log``, in bytes.
    """
    status = read_status(folder.path)
    if status is None or status.pid != pid or status.host != socket.gethostname():
        return
    if status.state != "starting":
        return
    message = ""
    if code == 0:
        state = "finished" if folder.model.exists() else "stopped"
    else:
        state, message = "failed", _reason(folder.console, code, begin)
    changed = {"state": state, "message": message, "time": time.time()}
    write_status(folder, status.model_copy(update=changed))


def _reason(console: Path, code: int, begin: int) -> str:
    """Return why a process ended, in one sentence."""
    lines = [line for line in console_tail(console, begin=begin).splitlines() if line.strip()]
    if code < 0:
        return describe_exit(code, "Training").message
    if not lines:
        return f"Training ended at once with exit code {code}: start it again."
    last = lines[-1].strip()
    if last.startswith(_PREFIX):
        return last.removeprefix(_PREFIX)
    return f"Training could not start ({last}): see console.log in the run folder."


def console_tail(console: Path, lines: int = 20, begin: int = 0) -> str:
    """Return the last lines of a ``console.log``; empty when there is none.

    Args:
        console: the file.
        lines: at most so many.
        begin: leave out what stands before this byte.
    """
    try:
        text = _tail(console, begin).decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _tail(path: Path, begin: int = 0) -> bytes:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(min(begin, size), size - _TAIL_BYTES))
        return stream.read()


def kill_tree(pid: int) -> list[psutil.Process]:
    """End a process and all that it started, at once; return those that were there."""
    try:
        root = psutil.Process(pid)
        family = [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return []
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    return family
