"""The ``train`` command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from latentlab.cli.common import Json, Many, parse_pairs, print_json
from latentlab.core.errors import LatentLabError


@dataclass(frozen=True)
class Train:
    """Train a model from a recipe, or go on with a run that stopped.

    Example: latentlab train recipes/portraits-vae.toml --run-dir runs/portraits-vae
    """

    recipe: Annotated[
        Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE", help="A TOML file.")
    ] = None
    run_dir: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR", help="Run folder; runs/<recipe name> if none.")
    ] = None
    resume: Annotated[bool, tyro.conf.arg(help="Go on with the run in the folder.")] = False
    finish: Annotated[
        bool, tyro.conf.arg(help="Measure and write the model of a stopped run as it stands.")
    ] = False
    set_: Annotated[
        Many, tyro.conf.arg(name="set", metavar="KEY=VALUE", help="For example train.steps=500.")
    ] = ()
    max_steps: Annotated[int | None, tyro.conf.arg(help="Stop with a checkpoint there.")] = None
    warm_start: Annotated[
        Path | None,
        tyro.conf.arg(metavar="FILE", help="Model whose weights a new run starts from."),
    ] = None
    json: Json = False

    def run(self) -> int:
        """Train, and say where the model is."""
        from latentlab.core.runs import RunFolder
        from latentlab.training.run import finish_run, resume, train

        quiet = (lambda _event: None) if self.json else None
        folder = self._folder()
        if self.finish:
            outcome = finish_run(folder, on_event=quiet)
        elif self.recipe is None:
            if not self.resume:
                raise LatentLabError("Name a recipe, or a run folder with --run-dir and --resume.")
            outcome = resume(folder, max_steps=self.max_steps, on_event=quiet)
        else:
            outcome = train(
                self.recipe,
                folder,
                resume=self.resume,
                overrides=_overrides(self.set_),
                max_steps=self.max_steps,
                warm_start=self.warm_start,
                on_event=quiet,
            )
        if self.json:
            print_json(
                {
                    "run_dir": outcome.run_dir,
                    "step": outcome.step,
                    "model": outcome.model,
                    "events": RunFolder(outcome.run_dir).events,
                }
            )
        elif outcome.model is None:
            print(f"Stopped at step {outcome.step}; go on with --run-dir {folder} --resume.")
        else:
            print(f"The model is {outcome.model}")
        return 0

    def _folder(self) -> Path:
        if self.run_dir is not None:
            return self.run_dir
        if self.recipe is None:
            raise LatentLabError("Name the run folder with --run-dir.")
        return Path("runs") / self.recipe.stem


def _overrides(texts: tuple[str, ...]) -> dict[str, object]:
    import tomllib

    found: dict[str, object] = {}
    for key, text in parse_pairs(texts, "--set").items():
        try:
            found[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            found[key] = text
    return found
