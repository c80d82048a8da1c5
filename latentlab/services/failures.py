"""Any exception as one sentence that a person can act on, with the traceback as details."""

from __future__ import annotations

import signal
import sys
import traceback

from latentlab.core.errors import LatentLabError
from latentlab.core.requests import Failure

# Torch's CPU and MPS allocators raise a plain RuntimeError.
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, on the CPU or on a GPU. Torch is not imported for it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error).lower() for words in _MEMORY_WORDS
    )


def describe_failure(error: BaseException, what: str = "This") -> Failure:
    """Return an exception as a result.

    Args:
        error: what was raised.
        what: the subject of the sentence for errors that nobody foresaw.
    """
    if isinstance(error, LatentLabError):
        return Failure(error.message, error.details)
    details = "".join(traceback.format_exception(error))
    if is_out_of_memory(error):
        return Failure(
            "There is not enough memory: ask for fewer or smaller images, or close other programs.",
            details,
        )
    text = " ".join(str(error).split())[:300]
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return Failure(f"{what} failed ({reason}).", details)


def describe_exit(exitcode: int | None, what: str) -> Failure:
    """Return why a process is gone that should still be there."""
    if exitcode is not None and exitcode < 0:
        try:
            name = signal.Signals(-exitcode).name
        except ValueError:
            name = f"signal {-exitcode}"
        hint = ", perhaps because memory ran out" if name == "SIGKILL" else ""
        return Failure(f"{what} was ended by {name}{hint}: start it again.")
    hint = ", perhaps because memory ran out" if sys.platform == "win32" else ""
    return Failure(f"{what} ended unexpectedly with exit code {exitcode}{hint}: start it again.")
