"""The ``train`` command."""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from latentlab.cli.common import Json, Many, overrides_of, print_json
from latentlab.core.errors import LatentLabError, RefusedError

if TYPE_CHECKING:
    from latentlab.training.estimate import Estimate
    from latentlab.training.run import Outcome


@dataclass(frozen=True)
class Train:
    """Train a model from a recipe, or go on with a run that stopped.

    Example: latentlab train recipes/portraits-vae.toml --run-dir runs/portraits-vae
    """

    recipe: Annotated[
        Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE", help="A TOML file.")
    ] = None
    run_dir: Annotated[
        Path | None,
        tyro.conf.arg(metavar="DIR", help="Run folder; the recipe's name in your runs if none."),
    ] = None
    resume: Annotated[bool, tyro.conf.arg(help="Go on with the run in the folder.")] = False
    finish: Annotated[
        bool, tyro.conf.arg(help="Measure and write the model of a stopped run as it stands.")
    ] = False
    best: Annotated[
        bool, tyro.conf.arg(help="With --finish: of the best checkpoint, not of the newest.")
    ] = False
    estimate: Annotated[
        bool, tyro.conf.arg(help="Only train the first steps and say what the whole would take.")
    ] = False
    set_: Annotated[
        Many, tyro.conf.arg(name="set", metavar="KEY=VALUE", help="For example train.steps=500.")
    ] = ()
    max_steps: Annotated[int | None, tyro.conf.arg(help="Stop with a checkpoint there.")] = None
    warm_start: Annotated[
        Path | None,
        tyro.conf.arg(metavar="FILE", help="Model whose weights a new run starts from."),
    ] = None
    take_over: Annotated[
        bool, tyro.conf.arg(help="Take the folder from a machine that fell silent.")
    ] = False
    background: Annotated[
        bool, tyro.conf.arg(help="As a process of its own, which outlives this terminal.")
    ] = False
    json: Json = False

    def run(self) -> int:
        """Train, and say where the model is."""
        try:
            self._check()
            if self.background:
                return self._background()
            return self._estimate() if self.estimate else self._train()
        except RefusedError:
            return _let_the_first_tell()
        except LatentLabError as error:
            if _rank() == 0:
                raise
            if not _connected() and os.environ.get("LOCAL_RANK", "0") != "0":
                return _let_the_first_tell()
            where = f"process {_rank()} on '{socket.gethostname()}'"
            print(f"latentlab: {where}: {error.message}", file=sys.stderr, flush=True)
            return 2

    def _check(self) -> None:
        if self.best and not self.finish:
            raise LatentLabError("--best chooses what --finish writes: give both.")
        if self.finish and (self.resume or self.max_steps is not None or self.set_):
            raise LatentLabError(
                "--finish measures a run as it stands: leave --resume, --max-steps and --set out."
            )
        if self.warm_start is not None and (self.recipe is None or self.finish):
            raise LatentLabError("--warm-start begins a new run: name its recipe.")

    def _background(self) -> int:
        from latentlab.cli.train_background import train_in_background

        if self.estimate:
            raise LatentLabError("--estimate takes a few seconds: leave --background out.")
        options = [] if self.max_steps is None else ["--max-steps", str(self.max_steps)]
        options += ["--best"] * self.best + ["--take-over"] * self.take_over
        if self.resume:
            options += [word for text in self.set_ for word in ("--set", text)]
        return train_in_background(
            self._folder().absolute(),
            recipe=self.recipe,
            overrides=overrides_of(self.set_),
            warm_start=self.warm_start,
            resume=self.resume,
            finish=self.finish,
            options=tuple(options),
            as_json=self.json,
        )

    def _train(self) -> int:
        from latentlab.core.recipe import load_recipe
        from latentlab.training.run import finish_run, resume, train

        quiet = (lambda _event: None) if self.json else None
        folder, take_over = self._folder(), self.take_over
        if self.recipe is not None:
            # What is wrong with it is said before a folder is named that will not be made.
            load_recipe(self.recipe, overrides_of(self.set_))
        if self.run_dir is None and not self.json and _rank() == 0:
            print(f"The run folder is {folder}", flush=True)
        if self.finish:
            outcome = finish_run(folder, best=self.best, take_over=take_over, on_event=quiet)
        elif self.recipe is None:
            if not self.resume:
                raise LatentLabError("Name a recipe, or a run folder with --run-dir and --resume.")
            outcome = resume(
                folder,
                overrides=overrides_of(self.set_),
                max_steps=self.max_steps,
                take_over=take_over,
                on_event=quiet,
            )
        else:
            outcome = train(
                self.recipe,
                folder,
                resume=self.resume,
                overrides=overrides_of(self.set_),
                max_steps=self.max_steps,
                warm_start=self.warm_start,
                take_over=take_over,
                on_event=quiet,
            )
        if _rank() == 0:
            self._tell(outcome)
        return _leave(0)

    def _tell(self, outcome: Outcome) -> None:
        from latentlab.core.runs import RunFolder

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
            print(
                f"Stopped at step {outcome.step}; go on with --run-dir {outcome.run_dir} --resume."
            )
        elif outcome.already:
            print(
                f"This run is finished, with {outcome.step} steps: the model is {outcome.model}\n"
                f"Train it longer with --resume --set train.steps={2 * outcome.step}."
            )
        else:
            print(f"The model is {outcome.model}")

    def _estimate(self) -> int:
        from latentlab.core.recipe import load_recipe
        from latentlab.core.runs import RunFolder
        from latentlab.training.estimate import estimate

        path = self.recipe or RunFolder(self._folder()).recipe
        recipe = load_recipe(path, overrides_of(self.set_))
        if self.json:
            print_json(asdict(estimate(recipe)))
            return 0
        figures = estimate(
            recipe, on_progress=lambda line: print(line, file=sys.stderr, flush=True)
        )
        for line in _estimate_lines(figures):
            print(line)
        return 0

    def _folder(self) -> Path:
        from latentlab.core.paths import runs_folder

        if self.run_dir is not None:
            return self.run_dir
        if self.recipe is None:
            raise LatentLabError("Name a recipe, or the run folder with --run-dir.")
        return runs_folder() / self.recipe.stem


def _estimate_lines(figures: Estimate) -> list[str]:
    from latentlab.core.run_text import duration

    memory = f"{figures.memory_mb:.0f} MiB"
    if figures.device_memory_mb is not None:
        memory += f", on the GPU {figures.device_memory_mb:.0f} MiB"
    return [
        f"device      {figures.device}",
        f"images      {figures.num_images} to train on, {figures.num_held_out} held out",
        f"parameters  {figures.parameters / 1e6:.3g} million",
        f"speed       {figures.seconds_per_step:.3g} s a step, "
        f"{figures.images_per_second:.3g} images a second",
        f"waiting     {100 * figures.data_wait:.0f} % of the time for images",
        f"time        {duration(figures.seconds_total)} for {figures.total_steps} steps",
        f"memory      {memory}",
        f"disk        {figures.checkpoint_mb:.3g} MiB a checkpoint, "
        f"{figures.state_mb:.3g} MiB to resume",
    ]


def _rank() -> int:
    """Return the number of this process among those that torchrun started."""
    text = os.environ.get("RANK", "0")
    return int(text) if text.isdigit() else 0


def _connected() -> bool:
    """Whether the processes of the run know one another already."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.distributed.is_initialized()


def _leave(code: int) -> int:
    """Return an exit code; a process that trained with others ends with it at once.

    Threads of its process group may still run while the interpreter takes itself apart, which
    aborts the process now and then: torchrun would take a run that is done for one that failed.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ and _connected():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _let_the_first_tell() -> int:
    """Wait for the end, and return the exit code.

    The first process of the machine found the same and says so: torchrun ends the others as soon
    as one has ended, and that one must have spoken.
    """
    time.sleep(10.0)
    return 2
