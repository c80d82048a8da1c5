"""A matrix with names on both sides, as a heat map, a table and a file show it. No Qt here."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from latentlab.core.effects import Float

_STEPS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def short_number(value: float) -> str:
    """Return a number with at most two significant digits, none beyond the hundredths."""
    if not math.isfinite(value):
        return "?"
    text = f"{value:.1f}" if abs(value) >= 0.995 else f"{value:.2f}"
    if abs(value) >= 9.95:
        text = f"{value:.0f}"
    if not text.strip("-0."):
        return "0"
    return text.replace("-", "−")


def nice_limit(values: Float, smallest: float = 0.1) -> float:
    """Return a round number that no finite value exceeds in size.

    Args:
        values: of any shape.
        smallest: the result is at least this.
    """
    finite = np.abs(values[np.isfinite(values)])
    top = max(float(finite.max(initial=0.0)), smallest)
    power = 10.0 ** math.floor(math.log10(top))
    return next(step * power for step in _STEPS if step * power >= top * (1 - 1e-9))


@dataclass(frozen=True, eq=False)
class LabelledMatrix:
    """M rows and K columns.

    Attributes:
        title: what it is, in a few words.
        rows: M names, for a person.
        columns: K names, for a person.
        values: ``(M, K)``.
        limit: values from ``-limit`` to ``limit`` have colours of their own.
        unit: what the colour bar says.
        own: ``(M, K)``: cells with an outline, such as the one that a row is about.
        reasons: why a cell counts for nothing, by (row, column): it is hatched.
        sentences: what a cell says, by (row, column).
        column_notes: what is known about a column, by its index.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: Float
    limit: float
    unit: str
    own: NDArray[np.bool_] | None = None
    reasons: Mapping[tuple[int, int], str] = field(default_factory=dict)
    sentences: Mapping[tuple[int, int], str] = field(default_factory=dict)
    column_notes: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.rows), len(self.columns))
        if self.values.shape != shape:
            raise ValueError(f"{shape} names for values of shape {self.values.shape}")

    def is_own(self, row: int, column: int) -> bool:
        """Whether a cell has an outline."""
        return self.own is not None and bool(self.own[row, column])

    def sentence(self, row: int, column: int) -> str:
        """Return what a cell says."""
        said = self.sentences.get((row, column))
        if said is None:
            number = short_number(float(self.values[row, column]))
            said = f"{self.rows[row]}, {self.columns[column].lower()}: {number}"
        reason = self.reasons.get((row, column), "")
        return f"{said} {reason}".strip()

    def strongest(self, count: int = 5) -> list[str]:
        """Return the sentences of the largest values beside the outlined ones."""
        size = np.nan_to_num(np.abs(self.values))
        places = [
            (int(r), int(c))
            for r, c in np.ndindex(size.shape)
            if not self.is_own(r, c) and (r, c) not in self.reasons
        ]
        places.sort(key=lambda place: -size[place])
        return [self.sentence(*place) for place in places[:count]]

    def as_table(self, separator: str = "\t") -> str:
        """Return it as text: a header, then a line a row, in full precision."""
        text = io.StringIO()
        writer = csv.writer(text, delimiter=separator, lineterminator="\n")
        writer.writerow([self.title, *self.columns])
        for name, values in zip(self.rows, self.values):
            writer.writerow([name, *(f"{value:.6g}" for value in values)])
        return text.getvalue()
