"""What the entanglement view says: matrices, warnings and figures, read off reports. No Qt here."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from latentlab.core.direction import Direction
from latentlab.core.effects import WARNING_SHARE, EditFigures, EffectReport
from latentlab.core.spec import ModelSpec
from latentlab.ui.edits import readable
from latentlab.ui.widgets.labelled_matrix import LabelledMatrix, nice_limit, short_number

PROBE = "probe"
_NBSP = "\N{NO-BREAK SPACE}"
Titler = Callable[[str], str]


def direction_mark(direction: Direction) -> str:
    """Return what is the same for directions that edit alike: space, vector and scale."""
    digest = hashlib.sha256(f"{direction.space} {np.float32(direction.scale)!r}".encode())
    for part in sorted(direction.vector):
        digest.update(part.encode() + np.ascontiguousarray(direction.vector[part]).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Measured:
    """A report, and what it measured.

    Attributes:
        report: the figures.
        marks: ``direction_mark`` by name, of the directions that were measured.
        reader: as it was asked for: ``probe`` or a data source.
        fingerprint: of the weights that were measured.
    """

    report: EffectReport
    marks: Mapping[str, str]
    reader: str = PROBE
    fingerprint: str = ""

    def of_older_weights(self) -> Measured:
        """Return it for other weights: then no direction is the one that was measured."""
        return replace(self, marks=dict.fromkeys(self.marks, ""))

    def changed(self, directions: Mapping[str, Direction]) -> tuple[str, ...]:
        """Return the names whose direction is no longer the one that was measured."""
        return tuple(
            name
            for name, mark in self.marks.items()
            if name not in directions or direction_mark(directions[name]) != mark
        )

    def unmeasured(self, directions: Mapping[str, Direction]) -> tuple[str, ...]:
        """Return the names of directions that came after it."""
        return tuple(name for name in directions if name not in self.marks)


def measured(
    report: EffectReport, directions: Iterable[Direction], reader: str, fingerprint: str = ""
) -> Measured:
    """Return a report with the marks of the directions that it names."""
    known = {d.name: direction_mark(d) for d in directions if d.name in report.directions}
    return Measured(report, known, reader, fingerprint)


@dataclass(frozen=True)
class SideEffect:
    """What an edit moves besides its attribute.

    Attributes:
        direction: its name.
        column: the attribute that it moves besides.
        size: mean absolute change of it, in standard deviations.
        target: mean change of the direction's own attribute.
    """

    direction: str
    column: str
    size: float
    target: float

    @property
    def share(self) -> float:
        """Size / effect; infinite when the slider does not move its own attribute."""
        return self.size / abs(self.target) if self.target else math.inf

    @property
    def warns(self) -> bool:
        """Whether it exceeds half of the effect."""
        return self.share > WARNING_SHARE

    def sentence(self, titler: Titler) -> str:
        """Return it for a person."""
        name, other = titler(self.direction), readable(self.column).lower()
        if self.share > 10:
            return (
                f"{name} moves {other} by {short_number(self.size)} standard deviations, but "
                f"itself by {short_number(self.target)} only."
            )
        return f"{name} moves {other} by {short_number(self.share)} of its own effect."


def side_effects(report: EffectReport) -> list[SideEffect]:
    """Return the worst side effect of every direction and all that warn, the largest first."""
    found = []
    for row, name in enumerate(report.directions):
        figures, target = report.figures(name), report.target_of(name)
        if figures is None or target is None:
            continue
        left_out = {target, *report.hidden.get(target, ())}
        for k, column in enumerate(report.columns):
            effect = SideEffect(name, column, float(report.size[row, k]), figures.target)
            if column not in left_out and (effect.warns or column == figures.side_attribute):
                found.append(effect)
    return sorted(found, key=lambda effect: -effect.share)


def worst_side_effect(report: EffectReport, direction: str) -> SideEffect | None:
    """Return the largest side effect of a direction, if it can be told."""
    figures = report.figures(direction)
    if figures is None:
        return None
    return SideEffect(direction, figures.side_attribute, figures.side, figures.target)


def sigmas(amount: float) -> str:
    """Return slider units as ``+2 σ``."""
    return f"{amount:+g}{_NBSP}σ".replace("-", "−")


def effect_sentence(report: EffectReport, row: int, column: int, titler: Titler) -> str:
    """Return what a cell of the effect matrix says."""
    name, other = titler(report.directions[row]), readable(report.columns[column]).lower()
    own = report.target_of(report.directions[row]) == report.columns[column]
    mean, size = float(report.mean[row, column]), float(report.size[row, column])
    spread = short_number(float(report.error[row, column]))
    said = (
        f"{name} at {sigmas(report.amount)} "
        f"{'changes its own attribute' if own else f'makes {other} change'} by "
        f"{short_number(mean)}{_NBSP}±{_NBSP}{spread} standard deviations"
    )
    if size > 2 * abs(mean) and size >= 0.1:
        said += f" on average, but by {short_number(size)} in size: up in some images, down in "
        return f"{said}others."
    return f"{said}."


def _hidden_cells(report: EffectReport, titler: Titler) -> dict[tuple[int, int], str]:
    found = {}
    for row, name in enumerate(report.directions):
        for other in report.hidden.get(report.target_of(name) or "", ()):
            if other in report.columns:
                found[row, report.columns.index(other)] = (
                    f"{titler(name)} hides {readable(other).lower()}, so it counts as no side "
                    "effect."
                )
    return found


def reliability_notes(report: EffectReport) -> dict[int, str]:
    """Return what is known about the reader, by the index of a column."""
    notes = {}
    for k, column in enumerate(report.columns):
        value = report.reliability.get(column)
        if value is not None:
            judged = "well" if value >= 0.95 else "fairly" if value >= 0.8 else "⚠ poorly"
            notes[k] = f"The reader reads it {judged}: reliability {value:.2f} of 1."
    return notes


def effect_matrix(
    report: EffectReport, titler: Titler, *, sizes: bool = False, limit: float | None = None
) -> LabelledMatrix:
    """Return the measured effects, directions by attributes.

    Args:
        report: the figures.
        titler: what a person calls a direction.
        sizes: mean absolute changes instead of mean changes.
        limit: of the colours; what the values need when not given.
    """
    values = report.size if sizes else report.mean
    rows, columns = len(report.directions), len(report.columns)
    own = np.zeros((rows, columns), bool)
    for row, name in enumerate(report.directions):
        target = report.target_of(name)
        if target is not None:
            own[row, report.columns.index(target)] = True
    what = "mean size of the change" if sizes else "mean change"
    return LabelledMatrix(
        f"Effects at {sigmas(report.amount)}",
        tuple(titler(name) for name in report.directions),
        tuple(readable(name) for name in report.columns),
        values,
        effect_limit(report) if limit is None else limit,
        f"{what}, in standard deviations",
        own,
        _hidden_cells(report, titler),
        {(r, c): effect_sentence(report, r, c, titler) for r, c in np.ndindex(rows, columns)},
        reliability_notes(report),
    )


def effect_limit(*reports: EffectReport) -> float:
    """Return the limit of the colours that reports share."""
    return nice_limit(np.concatenate([report.size.ravel() for report in reports]))


def cosine_matrix(report: EffectReport, titler: Titler) -> LabelledMatrix:
    """Return the cosines between the directions."""
    names = tuple(titler(name) for name in report.directions)
    sentences = {}
    for r, c in np.ndindex(report.cosines.shape):
        value = float(report.cosines[r, c])
        angle = math.degrees(math.acos(min(1.0, max(-1.0, value))))
        meaning = "" if abs(value) > 0.1 else ": nearly at right angles"
        sentences[r, c] = (
            f"{names[r]} is one direction: its cosine with itself is 1."
            if r == c
            else f"{names[r]} and {names[c].lower()} have a cosine of {short_number(value)} "
            f"({angle:.0f}°){meaning}."
        )
    return LabelledMatrix(
        "Cosines between directions",
        names,
        names,
        report.cosines,
        1.0,
        "cosine",
        np.eye(len(names), dtype=bool),
        {},
        sentences,
    )


def report_sentence(report: EffectReport) -> str:
    """Return how a report was measured."""
    reader = "the probe" if report.reader == PROBE else report.reader
    said = (
        f"{reader[:1].upper()}{reader[1:]} read {report.samples} samples, each moved by "
        f"{sigmas(report.amount)}."
    )
    known = {c: v for c in report.columns if (v := report.reliability.get(c)) is not None}
    if known:
        worst = min(known, key=lambda name: known[name])
        said += f" Reliability {known[worst]:.2f} to {max(known.values()):.2f}"
        said += f", least for {readable(worst).lower()}." if known[worst] < 0.95 else "."
    return said


def stale_sentence(changed: Sequence[str], unmeasured: Sequence[str], titler: Titler) -> str:
    """Return why a report is out of date; empty when it is not."""
    if changed:
        return f"⚠ Measured before {_listed(changed, titler)} changed: measure again."
    if unmeasured:
        verb = "has" if len(unmeasured) == 1 else "have"
        return f"{_listed(unmeasured, titler, True)} {verb} not been measured yet."
    return ""


def _listed(names: Sequence[str], titler: Titler, first: bool = False) -> str:
    said = [titler(name).lower() for name in names[:3]]
    if first:
        said[0] = titler(names[0])
    if len(names) > 3:
        return f"{', '.join(said)} and {len(names) - 3} more"
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def probe_objection(spec: ModelSpec) -> str:
    """Return why the probe of the portraits cannot read a model's images; empty when it can."""
    if spec.image_shape[0] != 3:
        return "The probe reads colour portraits, and the images of this model are grey."
    name = spec.provenance.data.get("name")
    if isinstance(name, str) and name and name != "portraits":
        return f"The probe reads portraits, and this model was trained on {name[:60]}."
    return ""


@dataclass(frozen=True)
class FigureRow:
    """One slider before and after.

    Attributes:
        direction: its name.
        before: its figures as it is.
        after: as it would be.
        kept: nothing better was found, or it is locked: it stays as it was.
        locked: it is locked.
    """

    direction: str
    before: EditFigures
    after: EditFigures
    kept: bool = False
    locked: bool = False


def figure_rows(
    names: Sequence[str],
    before: EffectReport,
    after: EffectReport,
    kept: Iterable[str],
    locked: Iterable[str] = (),
) -> list[FigureRow]:
    """Return the figures of sliders before and after; those that cannot be told are left out."""
    held, shut = set(kept), set(locked)
    rows = []
    for name in names:
        old, new = before.figures(name), after.figures(name)
        if old is not None and new is not None:
            rows.append(FigureRow(name, old, new, name in held or name in shut, name in shut))
    return rows


def kept_names(old: Mapping[str, Direction], new: Iterable[Direction]) -> tuple[str, ...]:
    """Return the names of directions that stayed what they were."""
    return tuple(
        d.name for d in new if d.name in old and direction_mark(old[d.name]) == direction_mark(d)
    )
