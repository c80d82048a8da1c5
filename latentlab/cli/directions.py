"""Commands that make directions: ``direction``, and ``labels``, which they can be made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from latentlab.cli.common import Json, Machine, Many, Model, print_json
from latentlab.cli.working import Work, file_or_name, working
from latentlab.core.errors import LatentLabError

if TYPE_CHECKING:
    from latentlab.core.direction import Direction as Found

Source = Annotated[
    str,
    tyro.conf.arg(metavar="SOURCE", help="Folder, zip, data file, or portraits:count=5000,seed=3."),
]
Split = Annotated[str | None, tyro.conf.arg(help="Part of the data, for example train.")]
Table = Annotated[
    Path | None,
    tyro.conf.arg(metavar="CSV", help="Labels of your own images; its first column names files."),
]
Method = Literal["logistic", "linear svm", "mean difference", "joint regression", "regression"]
Parts = Annotated[
    tuple[str, ...],
    tyro.conf.arg(
        metavar="PART...",
        help="Parts of the latent that move: global, local (all of them), local_1, or all.",
    ),
]
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_DIMENSION = re.compile(r"(?P<part>[^\[\]]+)\[(?P<index>\d{1,9})\]")


@dataclass(frozen=True)
class Direction:
    """Find directions, and write each to a file: of labels, groups, components, dimensions.

    Say one of --label, --positive with --negative, --pca, --dimension and --difference. A direction
    of several labels, of a label with classes, or of several components is a file each in a folder.

    Example: latentlab direction portraits-vae --data portraits:count=4000,seed=5 --label smiling
    --label eyeglasses --orthogonal-to age --out mine

    Own images: latentlab direction portraits-vae --data photos/ --attributes mine.csv --label happy
    --out happy.safetensors

    By hand: latentlab direction portraits-vae --positive a.png b.png 12 --negative c.png 3,4
    --name mine --out mine.safetensors

    Without labels: latentlab direction portraits-vae --data portraits:count=2000 --pca 5 --out pca;
    latentlab direction portraits-vae --dimension "z[17]" --out z17.safetensors;
    latentlab direction portraits-vae --difference a.png b.png --name ab --out ab.safetensors

    In some parts of the latent: latentlab direction portraits-flow --data portraits:count=4000
    --label smiling --parts global --out global.safetensors
    """

    model: Model
    out: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help="The file, or the folder of several, to write."),
    ] = None
    data: Annotated[
        str | None,
        tyro.conf.arg(metavar="SOURCE", help="Folder, zip, portraits:count=5000,seed=3, or prior."),
    ] = None
    label: Annotated[
        Many, tyro.conf.arg(metavar="LABEL", help="Of the data; may be repeated.")
    ] = ()
    positive: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="PICTURE...", help="Photographs, PNGs, files of latents, or seeds."),
    ] = ()
    negative: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="PICTURE...", help="Pictures without it.")
    ] = ()
    pca: Annotated[int | None, tyro.conf.arg(help="So many principal components.")] = None
    dimension: Annotated[
        Many, tyro.conf.arg(metavar="PART[I]", help="One dimension, such as z[17].")
    ] = ()
    difference: Annotated[
        tuple[str, str] | None, tyro.conf.arg(metavar="A B", help="From picture A to picture B.")
    ] = None
    split: Split = None
    attributes: Table = None
    count: Annotated[int | None, tyro.conf.arg(help="At most so many images; all if none.")] = None
    held_out: Annotated[
        str | None,
        tyro.conf.arg(metavar="SOURCE", help="Sets the scale of 1 sigma; the data itself if none."),
    ] = None
    method: Annotated[
        Method | None,
        tyro.conf.arg(
            help="logistic for labels, mean difference for groups if none; joint regression holds "
            "the other labels fixed."
        ),
    ] = None
    orthogonal_to: Annotated[
        Many,
        tyro.conf.arg(metavar="NAME|FILE", help="Direction to leave alone; may be repeated."),
    ] = ()
    mirror: Annotated[bool, tyro.conf.arg(help="Fit on mirrored images too.")] = False
    parts: Parts = ()
    name: Annotated[str | None, tyro.conf.arg(help="Of a single direction.")] = None
    store: Annotated[bool, tyro.conf.arg(help="Put them into the model's file, too.")] = False
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Find and write the directions."""
        self._check()
        with working(self.machine, self.json) as work:
            found = self._found(work)
            if self.name is not None and len(found) == 1:
                found = [replace(found[0], name=self.name)]
            paths = [] if self.out is None else write_directions(self.out, found)
            if self.store:
                work.run(
                    "store_directions", model=self.model, directions={d.name: d for d in found}
                )
        return report_directions(found, paths, self.json)

    def _check(self) -> None:
        ways = {
            "--label": bool(self.label),
            "--positive": bool(self.positive or self.negative),
            "--pca": self.pca is not None,
            "--dimension": bool(self.dimension),
            "--difference": self.difference is not None,
        }
        given = [name for name, there in ways.items() if there]
        if len(given) > 1 or (not given and self.data is None):
            raise LatentLabError(f"Say how to find it: give exactly one of {', '.join(ways)}.")
        if (not given or given[0] in ("--label", "--pca")) and self.data is None:
            raise LatentLabError(f"{given[0]} needs images: give --data SOURCE.")
        if self.out is None and not self.store:
            raise LatentLabError("Say where the direction goes: give --out PATH or --store.")
        self._check_options(given[0] if given else "--label")

    def _check_options(self, way: str) -> None:
        """Refuse what a way to find directions would not listen to."""
        asked = {
            "--method": self.method is not None,
            "--orthogonal-to": bool(self.orthogonal_to),
            "--mirror": self.mirror,
            "--held-out": self.held_out is not None,
            "--parts": bool(self.parts),
        }
        heeded = {
            "--label": set(asked),
            "--positive": {"--method", "--orthogonal-to", "--parts"},
            "--pca": {"--parts"},
            "--difference": {"--parts"},
        }
        for name, there in asked.items():
            if there and name not in heeded.get(way, ()):
                raise LatentLabError(f"{way} takes no {name}: leave it out.")

    def _found(self, work: Work) -> list[Found]:
        others = file_or_name(work, self.model, self.orthogonal_to)
        if self.positive or self.negative:
            return self._groups(work, others)
        if self.difference is not None:
            start, end = (work.picture(self.model, text) for text in self.difference)
            return [
                *work.run(
                    "difference_direction",
                    model=self.model,
                    name=self.name or "difference",
                    start=start,
                    end=end,
                    path=self._points(work),
                    parts=self.parts,
                )
            ]
        if self.dimension:
            return self._dimensions(work)
        if self.pca is not None:
            path = self._points(work)
            kind = "principal_component_directions"
            found = work.run(kind, model=self.model, path=path, count=self.pca, parts=self.parts)
            return [*found]
        return [
            *work.run(
                "fit_label_directions",
                model=self.model,
                source=self.data,
                labels=self.label,
                split=self.split,
                method=self.method or "logistic",
                count=self.count,
                orthogonal_to=others,
                attributes=None if self.attributes is None else str(self.attributes),
                held_out=self.held_out,
                mirror=self.mirror,
                parts=self.parts,
            )
        ]

    def _groups(self, work: Work, others: tuple[Found, ...]) -> list[Found]:
        groups = [
            tuple(work.picture(self.model, text) for text in side)
            for side in (self.positive, self.negative)
        ]
        return [
            *work.run(
                "fit_group_direction",
                model=self.model,
                name=self.name or "mine",
                positive=groups[0],
                negative=groups[1],
                method=self.method or "mean difference",
                orthogonal_to=others,
                path=self._points(work),
                parts=self.parts,
            )
        ]

    def _dimensions(self, work: Work) -> list[Found]:
        found: list[Found] = []
        for text in self.dimension:
            match = _DIMENSION.fullmatch(text)
            if match is None:
                raise LatentLabError(f"'{text}' is no dimension: write it like z[17].")
            found += work.run(
                "dimension_directions",
                model=self.model,
                part=match["part"],
                indices=(int(match["index"]),),
                path=self._points(work),
            )
        return found

    def _points(self, work: Work) -> str | None:
        """Return the points file of the data, which sets the unit; ``None`` without data."""
        from latentlab.services.maps import MAX_POINTS

        if self.data is None:
            return None
        ready = work.run(
            "map_points",
            model=self.model,
            source=self.data,
            split=self.split,
            count=MAX_POINTS if self.count is None else self.count,
            attributes=None if self.attributes is None else str(self.attributes),
        )
        return str(ready.path)


def write_directions(out: Path, directions: Sequence[Found], *, folder: bool = False) -> list[Path]:
    """Write one direction as the file ``out``, several (with ``folder``, any) into that folder.

    Raises:
        LatentLabError: several for one file, a file that cannot be written, or two of one name.
    """
    from latentlab.core.directionfile import save_direction

    if len(directions) == 1 and not folder and not out.is_dir():
        save_direction(out, directions[0])
        return [out]
    check_folder(out)
    paths = [out / f"{name}.safetensors" for name in _file_names(directions)]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LatentLabError(f"'{out}' cannot be made ({error.strerror or error}).") from error
    for path, direction in zip(paths, directions):
        save_direction(path, direction)
    return paths


def check_folder(out: Path) -> None:
    """Raise ``LatentLabError`` if a path is, or would be, one file."""
    if out.suffix == ".safetensors" or out.is_file():
        raise LatentLabError(f"Directions are a file each, and '{out}' is one file: name a folder.")


def _file_names(directions: Sequence[Found]) -> list[str]:
    """Return a name for each file, no two alike, nor alike but for their case."""
    found: dict[str, str] = {}
    for i, direction in enumerate(directions):
        name = plain = _UNSAFE.sub("-", direction.name).strip("-.")[:80] or f"direction-{i}"
        number = 1
        while name.casefold() in found:
            number += 1
            name = f"{plain}-{number}"
        found[name.casefold()] = name
    return list(found.values())


def report_directions(directions: Sequence[Found], paths: Sequence[Path], as_json: bool) -> int:
    """Print what was found and where it is; return 0."""
    rows = [
        {"name": d.name, "method": d.method, "scale": d.scale} | dict(d.provenance)
        for d in directions
    ]
    for row, path in zip(rows, paths):
        row["out"] = path
    if as_json:
        print_json(rows[0] if len(rows) == 1 else {"directions": rows})
        return 0
    for direction, row in zip(directions, rows):
        print(f"{direction.name} ({direction.method}), 1 sigma = {direction.scale:.3g}")
        for key, value in row.items():
            if key not in ("name", "method", "scale", "out"):
                print(f"  {key}: {_words(value)}")
        if "out" in row:
            print(f"in {row['out']}")
    return 0


def _words(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_words(item) for item in value)
    return str(value)


@dataclass(frozen=True)
class Labels:
    """List the labels of a data set, that directions can be found of.

    Example: latentlab labels photos.zip --attributes mine.csv
    """

    data: Annotated[Source, tyro.conf.Positional]
    split: Split = None
    attributes: Table = None
    json: Json = False

    def run(self) -> int:
        """Print the labels."""
        with working(Machine(), self.json) as work:
            rows = work.run(
                "label_names",
                source=self.data,
                split=self.split,
                attributes=None if self.attributes is None else str(self.attributes),
            )
        if self.json:
            keys = ("name", "kind", "classes", "known")
            print_json({"labels": [dict(zip(keys, row)) for row in rows]})
            return 0
        if not rows:
            raise LatentLabError(
                f"'{self.data}' has no labels: put images into class folders, or give --attributes."
            )
        for name, kind, classes, known in rows:
            more = f": {', '.join(classes[:10])}{' ...' if len(classes) > 10 else ''}"
            print(f"{name:<20} {kind:<12} {known:>7} images{more if classes else ''}")
        return 0
