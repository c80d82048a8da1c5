"""Pieces of work for the lane's tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from latentlab.core.errors import LatentLabError


def total(report: Any, *, array: Any) -> dict[str, Any]:
    """Sum an array and say where it was done."""
    report(1, 2, "half")
    report(2, 2, "all")
    return {"sum": float(array.sum()), "pid": os.getpid(), "array": array * 2}


def trace(report: Any, *, path: str, word: str) -> None:
    """Append a word to a file."""
    with Path(path).open("a", encoding="utf-8") as stream:
        stream.write(f"{word}\n")


def fail(report: Any, *, error: Exception) -> None:
    """Raise."""
    raise error


def complain(report: Any) -> None:
    """Raise what a person can mend."""
    raise LatentLabError("The table is empty: choose another.", "rows: 0")


def hang(report: Any, *, path: str) -> None:
    """Start a child, write both process ids, and never end."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    partial = Path(f"{path}.partial")
    partial.write_text(f"{os.getpid()} {child.pid}")
    partial.replace(path)
    report(1, 2, "hanging")
    time.sleep(600)


def vanish(report: Any) -> None:
    """End without a word, as for want of memory."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)


def swallow(report: Any, *, size: int) -> int:
    """Take memory."""
    return int(np.ones(size, np.uint8).sum())


def strange(report: Any) -> Any:
    """Return what cannot cross."""
    return lambda: None
