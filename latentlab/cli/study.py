"""Commands that measure edits, directions and effects: ``measure``."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import numpy as np
import tyro

from latentlab.cli.common import Json, Machine, Model, Progress, print_json
from latentlab.cli.directions import Source
from latentlab.cli.effects import MeasureEffects
from latentlab.core.errors import LatentLabError

if TYPE_CHECKING:
    from latentlab.core.direction import Direction
    from latentlab.data.base import ImageDataset

Value = TypeVar("Value")


def finish(work: Generator[Any, None, Value], quiet: bool = False) -> Value:
    """Run a generator of progress to its end and return its value."""
    progress = Progress(quiet)
    while True:
        try:
            done, total, message = next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        progress(done, total, message)


def last(work: Iterator[Any], quiet: bool = False) -> Any:
    """Run an iterator of progress whose last item is its value."""
    progress, value = Progress(quiet), None
    for item in work:
        if isinstance(item, tuple):
            progress(*item)
        else:
            value = item
    return value


def open_for(backend: Any, source: str, split: str | None) -> ImageDataset:
    """Open a data set at the size and channels of a model."""
    from latentlab.data.open import ImageTransform, open_dataset

    channels, height, _ = backend.spec.image_shape
    transform = ImageTransform(size=height, channels=channels)
    dataset: ImageDataset = open_dataset(source, split=split, transform=transform)
    return dataset


@dataclass(frozen=True)
class MeasureEdit:
    """Measure what edits of prior samples do, by the bundled probe.

    For each attribute: target is its own mean change at +2 sigma, side the largest mean absolute
    change of another attribute, both in standard deviations of the data; selectivity their ratio.

    Example: latentlab measure edit portraits-vae --json

    The edits of a flow's local parts: latentlab measure edit portraits-flow --parts local
    """

    model: Model
    parts: Annotated[
        tuple[str, ...],
        tyro.conf.arg(
            metavar="PART...",
            help="Measure the model's edits of these parts of the latents: global, local or both.",
        ),
    ] = ()
    samples: Annotated[int, tyro.conf.arg(help="Prior samples.")] = 256
    amount: Annotated[float, tyro.conf.arg(help="Slider units, in sigma.")] = 2.0
    seed: Annotated[int, tyro.conf.arg(help="Of the set of samples.")] = 0
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Print the figures."""
        from latentlab.backends.probe import load_probe
        from latentlab.evaluation.measure import measure_edit

        if self.samples < 2:
            raise LatentLabError("Give --samples 2 or more.")
        backend = self.machine.library().backend(self.model)
        report = last(
            measure_edit(
                backend,
                self._directions(backend),
                load_probe(),
                samples=self.samples,
                amount=self.amount,
                seed=self.seed,
            ),
            self.json,
        ).as_json()
        if self.json:
            print_json(report)
            return 0
        print(
            f"{'attribute':<14} {'target':>7} {'side':>6}  {'selectivity':>11}  worst side effect"
        )
        for name, row in report["attributes"].items():
            print(
                f"{name:<14} {row['target']:>7.2f} {row['side']:>6.2f}  "
                f"{row['selectivity']:>11.1f}  {row['side_attribute']}"
            )
        return 0

    def _directions(self, backend: Any) -> Mapping[str, Direction]:
        """Return the model's directions, those of the chosen parts under their plain names."""
        from latentlab.core.parts import name_in
        from latentlab.data.portraits.attributes import EDIT_ATTRIBUTES

        known: Mapping[str, Direction] = backend.directions
        if not self.parts:
            return known
        space = backend.spec.space()
        named = {name: name_in(name, space, self.parts) for name in EDIT_ATTRIBUTES}
        return {name: known[own] for name, own in named.items() if own in known}


@dataclass(frozen=True)
class MeasureDirection:
    """Read a label off held-out images by a direction: AUC with its 95% interval.

    With --baseline-split, also logistic regression on 200 principal components of the pixels, and
    the paired bootstrap interval of the difference.

    Example: latentlab measure direction runs/faces-vae/model.safetensors smile.safetensors
    --data faces.zip --split test --label smiling --baseline-split train
    """

    model: Model
    direction: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIRECTION")]
    data: Source
    label: Annotated[str, tyro.conf.arg(help="Binary label of the data.")]
    split: Annotated[str | None, tyro.conf.arg(help="Part of the data, for example test.")] = None
    baseline_split: Annotated[
        str | None, tyro.conf.arg(help="Part that the baseline is fitted on.")
    ] = None
    mirror: Annotated[
        bool, tyro.conf.arg(help="Average over each image and its mirror; the baseline too.")
    ] = False
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Print the figures."""
        from latentlab.core.directionfile import load_direction
        from latentlab.evaluation.photos import read_direction

        direction = load_direction(self.direction)
        backend = self.machine.library().backend(self.model)
        dataset = open_for(backend, self.data, self.split)
        base = open_for(backend, self.data, self.baseline_split) if self.baseline_split else None
        work = read_direction(
            backend, direction, dataset, self.label, baseline_data=base, mirror=self.mirror
        )
        reading = finish(work, self.json)
        rows = {
            name: vars(interval)
            for name, interval in vars(reading).items()
            if name != "images" and interval is not None
        }
        if self.json:
            print_json(rows | {"images": reading.images})
            return 0
        for name, row in rows.items():
            print(
                f"{name:<11} {row['value']:.3f}  95% interval {row['low']:.3f} to {row['high']:.3f}"
            )
        return 0


@dataclass(frozen=True)
class MeasurePhotos:
    """Edit photographs along a direction and let an independent classifier judge the result.

    Example: latentlab measure photos runs/faces-vae/model.safetensors smile.safetensors
    --data faces.zip --split test --only neutral --label smiling
    --judge runs/faces-judge/model.safetensors --sheet sheet.png
    """

    model: Model
    direction: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIRECTION")]
    data: Source
    label: Annotated[str, tyro.conf.arg(help="Binary label that the judge reads.")]
    judge: Annotated[Path, tyro.conf.arg(metavar="FILE", help="A trained probe.")]
    split: Annotated[str | None, tyro.conf.arg(help="Part of the data, for example test.")] = None
    only: Annotated[
        str | None, tyro.conf.arg(help="Only images with this binary label, for example neutral.")
    ] = None
    count: Annotated[int, tyro.conf.arg(help="How many photographs.")] = 200
    amount: Annotated[float, tyro.conf.arg(help="Slider units, in sigma.")] = 3.0
    raised_by: Annotated[float, tyro.conf.arg(help="Rise that counts as a success.")] = 0.3
    sheet: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help="PNG: photo, reconstruction, edit.")
    ] = None
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Print the figures and write the sheet."""
        from latentlab.backends.probe import load_probe
        from latentlab.core.directionfile import load_direction
        from latentlab.evaluation.photos import edit_photos

        direction = load_direction(self.direction)
        judge = load_probe(self.judge)
        backend = self.machine.library().backend(self.model)
        dataset = self._chosen(open_for(backend, self.data, self.split))
        work = edit_photos(backend, direction, dataset, judge, self.label, self.amount)
        edits = finish(work, self.json)
        figures = edits.summary(self.raised_by) | {"amount": self.amount}
        if self.sheet is not None:
            from latentlab.services.png import save_png

            shown = slice(0, 24)
            rows = [edits.photos[shown], edits.reconstructions[shown], edits.edited[shown]]
            save_png(self.sheet, np.concatenate(rows), metadata={}, rows=3, scale=1)
        if self.json:
            print_json(figures)
            return 0
        for name, value in figures.items():
            print(f"{name:<36} {value:.3g}")
        return 0

    def _chosen(self, dataset: ImageDataset) -> ImageDataset:
        from latentlab.data.base import ArrayDataset
        from latentlab.evaluation.photos import binary_labels

        if self.count < 1:
            raise LatentLabError("Give --count 1 or more.")
        rows = np.arange(len(dataset))
        if self.only is not None:
            rows = rows[binary_labels(dataset, self.only) == 1]
        rows = rows[: self.count]
        if not len(rows):
            raise LatentLabError("No photograph is left: check --only and --count.")
        labels = {name: column.take(rows) for name, column in dataset.labels.items()}
        return ArrayDataset(dataset.name, dataset.read(rows), labels)


@dataclass(frozen=True)
class Measure:
    """Measure edits, directions and what all sliders do beside.

    Example: latentlab measure edit portraits-vae --json
    """

    what: Annotated[
        Annotated[MeasureEdit, tyro.conf.subcommand("edit", description=MeasureEdit.__doc__)]
        | Annotated[
            MeasureDirection,
            tyro.conf.subcommand("direction", description=MeasureDirection.__doc__),
        ]
        | Annotated[
            MeasurePhotos, tyro.conf.subcommand("photos", description=MeasurePhotos.__doc__)
        ]
        | Annotated[
            MeasureEffects, tyro.conf.subcommand("effects", description=MeasureEffects.__doc__)
        ],
        tyro.conf.arg(name=""),
    ]

    def run(self) -> int:
        """Run what was asked."""
        return self.what.run()
