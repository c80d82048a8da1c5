"""Events of a run as lines of its log, in words. No torch here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from latentlab.services.run_watch_protocol import LogLine

KEPT = 10_000
"""Lines that are kept, beside older warnings and errors."""
KEPT_ALARMS = 100_000
_ALARMS = ("warning", "error")
_LONGEST = 2_000
_LONGEST_DETAILS = 20_000


class LogBook:
    """The last lines of a log, and every warning and error of before."""

    def __init__(self) -> None:
        self._recent: list[LogLine] = []
        self._alarms: list[LogLine] = []
        self._whole: list[LogLine] | None = None

    def add(self, lines: Iterable[LogLine]) -> None:
        """Put lines at the end; a report of progress takes the place of the one before it."""
        for line in lines:
            self._whole = None
            last = self._recent[-1] if self._recent else None
            if last and line.kind == last.kind == "progress" and line.attempt == last.attempt:
                self._recent[-1] = line
            else:
                self._recent.append(line)
        # Cut now and then, not at every line.
        surplus = len(self._recent) - KEPT
        if surplus > KEPT // 10:
            gone, self._recent = self._recent[:surplus], self._recent[surplus:]
            self._alarms += [line for line in gone if line.kind in _ALARMS]
            del self._alarms[:-KEPT_ALARMS]

    def lines(self) -> list[LogLine]:
        """Return all lines in the order in which they were written."""
        if self._whole is None:
            surplus = max(len(self._recent) - KEPT, 0)
            old = [line for line in self._recent[:surplus] if line.kind in _ALARMS]
            self._whole = [*self._alarms, *old, *self._recent[surplus:]]
        return list(self._whole)


def log_line(kind: str, at: float, attempt: int, step: int, data: Mapping[str, Any]) -> LogLine:
    """Return the line that tells about an event, whatever is in it."""
    words = _WORDS.get(kind, _told)(step, data)
    details = data.get("details")
    more = details[:_LONGEST_DETAILS] if isinstance(details, str) else ""
    return LogLine(at, attempt, step, kind[:40], words[:_LONGEST], more)


def _text(data: Mapping[str, Any], name: str) -> str:
    """Return a value as text; empty when it is not there."""
    value = data.get(name)
    return "" if value is None else str(value)[:_LONGEST].replace("\0", "")


def _file(data: Mapping[str, Any]) -> str:
    return _text(data, "path").replace("\\", "/").rpartition("/")[2]


def _number(value: Any) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return ""
    try:
        return f"{float(value):.3g}" if math.isfinite(value) else ""
    except OverflowError:
        return ""


def _told(_step: int, data: Mapping[str, Any]) -> str:
    return _text(data, "message")


def _start(step: int, data: Mapping[str, Any]) -> str:
    words = f"Resumed at step {step:,}" if step else "Started"
    about = [("", "family"), (" on ", "device"), (", images of ", "data")]
    words += "".join(f"{': ' if not i else p}{_text(data, n)}" for i, (p, n) in enumerate(about)
                     if data.get(n))  # fmt: skip
    total = data.get("total_steps")
    return f"{words}, {total:,} steps in all" if isinstance(total, int) and total else words


def _sample(_step: int, data: Mapping[str, Any]) -> str:
    return f"Sample sheet {_file(data)}".rstrip()


def _checkpoint(_step: int, data: Mapping[str, Any]) -> str:
    words = f"Checkpoint {_file(data)}".rstrip()
    held_out = _number(data.get("held_out_loss"))
    words += f", loss on held-out images {held_out}" if held_out else ""
    return f"{words}, the best so far" if data.get("best") is True else words


def _pause(_step: int, data: Mapping[str, Any]) -> str:
    return _text(data, "message") or "Paused"


def _continue(_step: int, data: Mapping[str, Any]) -> str:
    return _text(data, "message") or "Continued"


def _progress(_step: int, data: Mapping[str, Any]) -> str:
    done, total = _number(data.get("done")), _number(data.get("total"))
    return f"{_text(data, 'message')} ({done} of {total})" if total else _text(data, "message")


def _stop(_step: int, data: Mapping[str, Any]) -> str:
    reason = _text(data, "message")
    return f"Stopped: {reason}" if reason else "Stopped"


def _finish(_step: int, data: Mapping[str, Any]) -> str:
    words = f"Finished: {_file(data)}" if data.get("path") else "Finished"
    quality = data.get("quality")
    figures = quality.items() if isinstance(quality, Mapping) else ()
    told = [f"{str(name)[:60]} {_number(value)}" for name, value in figures if _number(value)]
    return f"{words}; {', '.join(told[:12])}" if told else words


_WORDS = {
    "start": _start,
    "sample": _sample,
    "checkpoint": _checkpoint,
    "pause": _pause,
    "continue": _continue,
    "progress": _progress,
    "stop": _stop,
    "finish": _finish,
}
