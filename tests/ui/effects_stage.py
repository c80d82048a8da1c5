"""Reports on the formula model that tests of the effects panel stand on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from latentlab.core.direction import Direction
from latentlab.core.effects import EffectReport
from latentlab.core.requests import Failure, JobProgress, JobResult
from tests.ui.stage import DEPTH, NAMES, FormulaBridge

COLUMNS = ("zebra", "smiling", "eyeglasses", "wearing_hat", "mustache", "bangs")


def make_report(scale: float = 1.0, side: float = 0.7, **values) -> EffectReport:
    """Five directions of the formula model, six columns; smiling moves eyeglasses by ``side``."""
    rows = len(NAMES)
    mean = np.full((rows, len(COLUMNS)), 0.05)
    for row, name in enumerate(NAMES):
        mean[row, COLUMNS.index(name)] = 1.0 * scale
    mean[NAMES.index("smiling"), COLUMNS.index("eyeglasses")] = -side
    mean[NAMES.index("wearing_hat"), COLUMNS.index("bangs")] = -0.9
    cosines = np.eye(rows)
    cosines[0, 1] = cosines[1, 0] = 0.42
    known = {
        "directions": NAMES,
        "columns": COLUMNS,
        "mean": mean,
        "size": np.abs(mean) + 0.01,
        "error": np.full(mean.shape, 0.02),
        "cosines": cosines,
        "amount": 2.0,
        "samples": 64,
        "seed": 0,
        "reader": "portraits probe",
        "hidden": {"wearing_hat": ("bangs",)},
        "reliability": dict(zip(COLUMNS, (0.99, 0.97, 0.9, 0.98, 0.6, 1.0))),
    }
    return EffectReport(**(known | values))


@dataclass(frozen=True)
class Found:
    """What the job that untangles gives back."""

    directions: tuple[Direction, ...]
    before: EffectReport
    after: EffectReport


def turned(direction: Direction, part: float = 0.3) -> Direction:
    """The direction turned a little towards the last dimension."""
    vector = np.array(direction.vector["z"], np.float64)
    vector[DEPTH - 1] += part
    vector /= np.linalg.norm(vector)
    return replace(direction, vector={"z": vector.astype(np.float32)}, method="untangled")


def answer(bridge: FormulaBridge, value) -> None:
    """End the newest job with a value, or with a failure."""
    job = bridge.jobs[-1].job
    if isinstance(value, Failure):
        bridge.job_finished.emit(JobResult(job, failure=value))
    else:
        bridge.job_finished.emit(JobResult(job, value=value))


def tell(bridge: FormulaBridge, done: int, total: int, partial=None) -> None:
    """Let the newest job say how far it is."""
    bridge.job_progressed.emit(JobProgress(bridge.jobs[-1].job, done, total, "reading", partial))
