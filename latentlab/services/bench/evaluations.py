"""Counting the evaluations of a worker's network, seen from the process that asks. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from latentlab.core.requests import PreviewResult

FOLDER = "LATENTLAB_BENCH_FOLDER"
"""Environment variable: where the model and the counter of a benchmark's window are."""
MODEL = "LATENTLAB_BENCH_MODEL"
"""Environment variable: the model's id."""
ENGINE = "latentlab.services.bench.denoise_model:build"
"""Of a worker whose evaluations are counted."""
_FILE = "evaluations.bin"


class EvaluationCounter:
    """A number in a file that two processes share; one of them counts.

    Args:
        folder: where the file is, or is made.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / _FILE
        if not path.exists():
            path.write_bytes(bytes(8))
        self._number = np.memmap(path, np.int64, mode="r+", shape=(1,))

    def add(self) -> None:
        """Count one more."""
        self._number[0] += 1

    @property
    def value(self) -> int:
        """Evaluations that have ended."""
        return int(self._number[0])


@dataclass(frozen=True, eq=False)
class CountedResult(PreviewResult):
    """A result that knows its place.

    Attributes:
        evaluations: of the worker's network, for anybody, that had ended when it was sent.
    """

    evaluations: int = 0


def counted(
    results: Iterator[PreviewResult | None], counter: EvaluationCounter
) -> Iterator[PreviewResult | None]:
    """Yield results with the number of evaluations so far."""
    for result in results:
        if result is None:
            yield None
            continue
        values = {field.name: getattr(result, field.name) for field in fields(PreviewResult)}
        yield CountedResult(**values, evaluations=counter.value)
