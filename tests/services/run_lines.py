"""Run folders as training writes them, and as it never would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from latentlab.core.run_status import RunStatus, write_status
from latentlab.core.runs import RunFolder


def line(kind: str = "step", attempt: Any = 1, step: Any = 1, at: Any = 100.0, **data: Any) -> str:
    return json.dumps({"kind": kind, "time": at, "attempt": attempt, "step": step, **data}) + "\n"


def steps(first: int, last: int, attempt: int = 1, **data: Any) -> str:
    values = ({"loss": n / 10, "losses": {"kl": n / 100}} | data for n in range(first, last + 1))
    return "".join(
        line(attempt=attempt, step=n, at=1e9 + n, **v)
        for n, v in zip(range(first, last + 1), values)
    )


def save(path: Path, size: int = 64) -> Path:
    """Write a safetensors file by its specification."""
    header = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\1" * size)
    return path


def make_run(path: Path, **status: Any) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    RunFolder(path).recipe.write_text("x = 1")
    if status:
        write_status(RunFolder(path), RunStatus(**({"state": "finished"} | status)))
    return path
