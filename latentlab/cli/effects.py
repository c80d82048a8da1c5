"""Commands on what sliders do: ``measure effects``, ``orthogonalise``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from latentlab.cli.common import Json, Machine, Many, Model, print_json
from latentlab.cli.directions import Split, Table, check_folder, write_directions
from latentlab.cli.working import Work, named_directions, working

if TYPE_CHECKING:
    from latentlab.core.direction import Direction
    from latentlab.core.effects import EditFigures, EffectReport

CLOSE = 0.3
"""Cosines from here on are printed."""
Names = Annotated[
    Many, tyro.conf.arg(metavar="NAME", help="Only this direction; may be repeated; all if none.")
]


@dataclass(frozen=True)
class Measuring:
    """What is measured, and how."""

    reader: Annotated[
        str,
        tyro.conf.arg(metavar="probe|SOURCE", help="The probe, or data whose labels are read."),
    ] = "probe"
    split: Split = None
    attributes: Table = None
    direction: Annotated[
        Many, tyro.conf.arg(metavar="FILE", help="Direction file beside the model's own.")
    ] = ()
    samples: Annotated[int, tyro.conf.arg(help="Prior samples.")] = 128
    amount: Annotated[float, tyro.conf.arg(help="Slider units, in sigma.")] = 2.0
    seed: Annotated[int, tyro.conf.arg(help="Of the set of samples.")] = 0

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the jobs."""
        return {
            "reader": self.reader,
            "split": self.split,
            "attributes": None if self.attributes is None else str(self.attributes),
            "samples": self.samples,
            "amount": self.amount,
            "seed": self.seed,
        }


def one_space(directions: dict[str, Direction]) -> tuple[Direction, ...]:
    """Return the directions of the first one's space: only these can be measured together."""
    space = next((d.space for d in directions.values()), "")
    return tuple(d for d in directions.values() if d.space == space)


def report_json(report: EffectReport) -> dict[str, Any]:
    """Return a report as plain values."""
    figures = {name: report.figures(name) for name in report.directions}
    return {
        "directions": list(report.directions),
        "columns": list(report.columns),
        "mean": report.mean.tolist(),
        "size": report.size.tolist(),
        "error": report.error.tolist(),
        "cosines": report.cosines.tolist(),
        "figures": {
            name: vars(found) | {"warns": found.warns} for name, found in figures.items() if found
        },
        "amount": report.amount,
        "samples": report.samples,
        "seed": report.seed,
        "reader": report.reader,
        "reliability": dict(report.reliability),
    }


def print_report(report: EffectReport) -> None:
    """Print the matrix, the cosines that matter, and warnings."""
    width = max(len(name) for name in report.directions) + 1
    print(
        f"mean change at {report.amount:+g} sigma, in standard deviations of the data; "
        f"{report.samples} samples, read by the {report.reader}"
    )
    print(f"{'':<{width}}" + " ".join(f"{name[:8]:>8}" for name in report.columns))
    for name, row in zip(report.directions, report.mean):
        print(f"{name:<{width}}" + " ".join(f"{value:>8.2f}" for value in row))
    errors = report.error
    print(f"standard errors: {errors.min():.2f} to {errors.max():.2f}")
    pairs = [
        (report.cosines[i, j], first, second)
        for i, first in enumerate(report.directions)
        for j, second in enumerate(report.directions[:i])
        if abs(report.cosines[i, j]) >= CLOSE
    ]
    for cosine, first, second in sorted(pairs, key=lambda pair: -abs(pair[0])):
        print(f"cosine of {first} and {second}: {cosine:.2f}")
    for name in report.directions:
        found = report.figures(name)
        if found is not None and found.warns:
            print(
                f"warning: {name} moves {found.side_attribute} by {found.side:.2f}, more than half "
                f"of its own effect of {found.target:.2f}"
            )


@dataclass(frozen=True)
class MeasureEffects:
    """Measure what every slider does to every attribute, and warn of side effects.

    The attributes are read by the bundled probe, or by classifiers of the labels of a data set.

    Example: latentlab measure effects portraits-vae --name smiling --name eyeglasses

    Own data: latentlab measure effects portraits-vae --reader photos.zip
    --direction happy.safetensors
    """

    model: Model
    name: Names = ()
    measuring: tyro.conf.OmitArgPrefixes[Measuring] = field(default_factory=Measuring)
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Print the report."""
        with working(self.machine, self.json) as work:
            known = named_directions(work, self.model, self.measuring.direction, self.name)
            report = work.run(
                "measure_effects",
                model=self.model,
                directions=one_space(known),
                **self.measuring.settings(),
            )
        if self.json:
            print_json(report_json(report))
        else:
            print_report(report)
        return 0


@dataclass(frozen=True)
class Orthogonalise:
    """Make sliders move their own attribute and little else, and print before and after.

    What they do is measured, combinations are solved for, and these are measured on other samples:
    a slider that cannot be bettered stays as it is. Locked ones stay, and the others are made
    orthogonal to them.

    Example: latentlab orthogonalise portraits-vae --name smiling --name mustache --lock age
    --out better
    """

    model: Model
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FOLDER", help="Where the new directions go.")
    ] = None
    name: Names = ()
    lock: Annotated[
        Many, tyro.conf.arg(metavar="NAME", help="Stays as it is; may be repeated.")
    ] = ()
    store: Annotated[bool, tyro.conf.arg(help="Put them into the model's file, too.")] = False
    measuring: tyro.conf.OmitArgPrefixes[Measuring] = field(default_factory=Measuring)
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Print the figures and write what is better."""
        if self.out is not None:
            check_folder(self.out)
        with working(self.machine, self.json) as work:
            known = named_directions(work, self.model, self.measuring.direction)
            found = work.run(
                "orthogonalise_directions",
                model=self.model,
                directions=one_space(known),
                names=self.name,
                locked=self.lock,
                **self.measuring.settings(),
            )
            # One that was made so before, and stays as it is, is of the same method.
            new = [
                d
                for d in found.directions
                if known[d.name] is not d and "kept" not in d.provenance["orthogonalised"]
            ]
            paths = self._keep(work, new)
        rows = {
            name: (found.before.figures(name), found.after.figures(name))
            for name in found.before.directions
        }
        changed = [direction.name for direction in new]
        if self.json:
            print_json(
                {
                    "changed": changed,
                    "out": paths,
                    "before": report_json(found.before),
                    "after": report_json(found.after),
                }
            )
            return 0
        _print_figures(rows, changed)
        for path in paths:
            print(f"in {path}")
        return 0

    def _keep(self, work: Work, new: list[Direction]) -> list[Path]:
        if not new:
            return []
        if self.store:
            work.run("store_directions", model=self.model, directions={d.name: d for d in new})
        if self.out is None:
            return []
        return write_directions(self.out, new, folder=True)


def _print_figures(
    rows: dict[str, tuple[EditFigures | None, EditFigures | None]], changed: list[str]
) -> None:
    width = max(16, *map(len, rows)) if rows else 16
    print(f"{'direction':<{width}} {'target':>14}  {'selectivity':>14}  worst side effect after")
    for name, (before, after) in rows.items():
        if before is None or after is None:
            continue
        kept = "" if name in changed else "  (as it was)"
        print(
            f"{name:<{width}} {before.target:>5.2f} -> {after.target:>5.2f}  "
            f"{before.selectivity:>5.1f} -> {after.selectivity:>5.1f}  {after.side_attribute}{kept}"
        )
