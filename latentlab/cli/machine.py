"""Commands about this machine: ``doctor``, ``models``, ``bench``, ``gui``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from latentlab.cli.common import Json, Many, Progress, print_json
from latentlab.core.errors import LatentLabError

if TYPE_CHECKING:
    from latentlab.core.spec import DiffusionFacts, ModelSpec
    from latentlab.services.library import Entry


@dataclass(frozen=True)
class Doctor:
    """Say what this machine offers and what is wrong; exit with 2 if something is.

    Example: latentlab doctor
    """

    json: Json = False

    def run(self) -> int:
        """Print the report."""
        from latentlab.services.device import doctor

        report = doctor()
        if self.json:
            print_json(report)
        else:
            for key, value in report.items():
                print(f"{key:<10} {_words(key, value)}")
        return 2 if report["problems"] else 0


def _words(key: str, value: Any) -> str:
    if key == "memory":
        return ", ".join(f"{name} {size / 2**30:.1f} GiB" for name, size in value.items())
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_words('', item)}" for name, item in value.items())
    if isinstance(value, list):
        return "; ".join(map(str, value)) or "none"
    return (
        {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    )


@dataclass(frozen=True)
class Models:
    """List the models that can be opened, or say how one of them was made and what it can do.

    Example: latentlab models portraits-vae
    """

    model: Annotated[
        str | None, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL", help="Id or model file.")
    ] = None
    recipe: Annotated[
        bool, tyro.conf.arg(help="Print the recipe that made MODEL, ready to train again.")
    ] = False
    json: Json = False

    def run(self) -> int:
        """Print one row a model, or one model's card."""
        from latentlab.services.library import ModelLibrary

        if self.model is not None:
            return self._card(ModelLibrary().resolve(self.model))
        if self.recipe:
            raise LatentLabError("--recipe prints the recipe of one model: name it.")
        rows = [entry.row() for entry in ModelLibrary().entries()]
        if self.json:
            print_json(rows)
            return 0
        for row in rows:
            if "error" in row:
                print(f"{row['id']:<20} {row['error']}")
                continue
            channels, height, width = row["image_shape"]
            can = ", ".join(row["capabilities"])
            print(f"{row['id']:<20} {row['family']:<9} {width}x{height}x{channels}  {can}")
        if not rows:
            print("No models here: train one with `latentlab train`.")
        return 0

    def _card(self, entry: Entry) -> int:
        from latentlab.core.recipe import dump_toml

        if entry.header is None:
            raise LatentLabError(entry.error or f"'{entry.id}' cannot be opened.")
        known = entry.header.spec.provenance
        if self.recipe:
            if not known.recipe:
                raise LatentLabError(f"'{entry.id}' does not say by which recipe it was made.")
            print(dump_toml(known.recipe), end="")
            return 0
        if self.json:
            print_json(entry.row() | {"provenance": known.model_dump(mode="json")})
            return 0
        print("\n".join([*_card_lines(entry.header.spec, entry), str(entry.path)]))
        return 0


def _card_lines(spec: ModelSpec, entry: Entry) -> list[str]:
    from latentlab.core.card import making
    from latentlab.core.card_figures import (
        distance_table,
        obedience_table,
        parts_line,
        parts_table,
        plain_lines,
        switch_table,
    )

    channels, height, width = spec.image_shape
    lines = [f"{entry.title} ({entry.id})"]
    lines.append(f"{spec.family}, {width}x{height}x{channels}")
    lines.append(f"{entry.parameters:,} parameters")
    lines += _told(spec)
    if spec.diffusion is not None:
        lines += _noise(spec.diffusion)
    lines += plain_lines(spec.quality)
    lines += parts_line(spec.quality)
    for make in (distance_table, obedience_table, switch_table, parts_table):
        table = make(spec.quality)
        lines += ["", *table, ""] if table else []
    lines += making(spec.provenance)
    return [*lines, spec.provenance.note] if spec.provenance.note else lines


def _told(spec: ModelSpec) -> list[str]:
    """Return what a conditional model is told."""
    names = {"class": spec.class_names, "attributes": spec.attribute_names}
    return [
        f"is told {kind}: {', '.join(names[kind])}" for kind in spec.conditions if kind in names
    ]


def _noise(facts: DiffusionFacts) -> list[str]:
    """Return how a diffusion model was trained."""
    betas = f", beta {facts.beta_start:.3g} to {facts.beta_end:.3g}"
    schedule = facts.schedule.replace("_", " ") + (betas if facts.schedule == "linear" else "")
    predicts = {"epsilon": "the noise (epsilon)", "x0": "the image (x0)", "v": "the velocity (v)"}
    return [
        f"noise schedule: {schedule}, T = {facts.num_timesteps:,}",
        f"predicts {predicts[facts.prediction]}",
    ]


@dataclass(frozen=True)
class Bench:
    """Measure speed on this machine; compare figures only within one run.

    Example: latentlab bench --only slider_flood --json
    """

    only: Annotated[Many, tyro.conf.arg(metavar="NAME", help="A benchmark; may be repeated.")] = ()
    json: Json = False

    def run(self) -> int:
        """Run the benchmarks and print their figures."""
        from latentlab.services.bench.registry import BENCHMARKS, run

        unknown = [name for name in self.only if name not in BENCHMARKS]
        if unknown:
            raise LatentLabError(
                f"There is no benchmark '{unknown[0]}'; known: {', '.join(BENCHMARKS)}."
            )
        report = run(self.only or tuple(BENCHMARKS), Progress())
        if self.json:
            # One benchmark alone: its figures are the top level, with the machine beside them.
            alone = len(self.only) == 1
            print_json(report.pop(self.only[0]) | report if alone else report)
            return 0
        for name, figures in report.items():
            print(name)
            for key, value in figures.items():
                shown = f"{value:.3g}" if isinstance(value, float) else value
                print(f"  {key:<24} {shown}")
        return 0


@dataclass(frozen=True)
class Gui:
    """Open the window.

    Example: latentlab gui portraits-vae
    """

    open: Annotated[
        str | None,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="MODEL|FILE", help="Model, session or picture to open."),
    ] = None

    def run(self) -> int:
        """Start the window and return when it is closed."""
        from latentlab.services.device import qt_problem

        problem = qt_problem()
        if problem:
            raise LatentLabError(problem)
        try:
            from latentlab.ui.app import run_app

            # Qt itself is imported in there, after the worker has been started.
            return run_app(self.open)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] not in (
                "PySide6",
                "shiboken6",
                "pyqtgraph",
                "superqt",
            ):
                raise
            raise LatentLabError(
                f"The window needs {error.name}, which is not installed: "
                "install it with `pip install PySide6-Essentials pyqtgraph superqt`."
            ) from error
