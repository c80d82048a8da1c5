"""Starting, resuming and finishing a run: the one road for the command line and the window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import read_header
from latentlab.core.recipe import Recipe, RecipeText, load_recipe, recipe_places
from latentlab.core.recipe_errors import placed
from latentlab.core.run_events import read_events
from latentlab.core.runs import RunFolder
from latentlab.training.attempt import Plan, reporting, write_recipe
from latentlab.training.checkpoints import (
    best_checkpoint,
    device_name,
    load_checkpoint,
    load_weights,
)
from latentlab.training.data import open_training, unsplit_warning
from latentlab.training.events import Console, OnEvent, Reporter
from latentlab.training.finish import finish
from latentlab.training.loop import Engine
from latentlab.training.parallel import Processes
from latentlab.training.setup import build_trainer, make_accelerator
from latentlab.training.signals import Interrupts
from latentlab.training.state import saved_step

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        run_dir: the run folder.
        step: optimiser steps done.
        model: the finished model; ``None`` when the run stopped before its end.
        already: it was finished before, and nothing was done.
    """

    run_dir: Path
    step: int
    model: Path | None
    already: bool = False


_LENGTHS = frozenset({"train.steps", "train.images_seen", "train.epochs"})


def _check_same(stored: Recipe, given: Recipe) -> None:
    mine, theirs = _flat(stored.resolved()), _flat(given.resolved())
    differ = {k for k in mine.keys() | theirs.keys() if mine.get(k) != theirs.get(k)}
    # A run may become longer; everything else would make its history a lie.
    changed = sorted(differ - _LENGTHS)
    if changed:
        raise LatentLabError(
            f"The recipe differs from the one of the run in {', '.join(changed)}: change "
            "recipe.toml in the run folder to go on with other settings, or start another run."
        )


def _check_network(folder: RunFolder, recipe: Recipe) -> None:
    """Raise where recipe.toml was changed into one of another network than the saved one."""
    files = folder.checkpoint_files()
    try:
        stored = read_header(files[-1]).spec.provenance.recipe.get("model") if files else None
    except LatentLabError:
        return
    if not isinstance(stored, Mapping):
        return
    now = {n: v for n, v in recipe.resolved()["model"].items() if n in stored}
    changed = [n for n, v in now.items() if v != stored[n]]
    if changed:
        name, value = changed[0], stored[changed[0]]
        raise LatentLabError(
            f"[model] {name} in '{folder.recipe}' is {now[name]!r}, but the run was trained with "
            f"{value!r}: put it back, or start another run."
        )


def _flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def train(
    recipe: Path | Recipe,
    run_dir: Path,
    *,
    resume: bool = False,
    overrides: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
    warm_start: Path | None = None,
    take_over: bool = False,
    on_event: OnEvent | None = None,
) -> Outcome:
    """Train a recipe in a run folder, up to its end and the measured model.

    Args:
        recipe: a TOML file, or a recipe.
        run_dir: made if it is not there.
        resume: go on with the run in ``run_dir``; a folder without one is started, and of a
            finished one the outcome is returned. The recipe must be the run's, but for its length.
        overrides: recipe values by dotted key, for example ``{"train.steps": 500}``.
        max_steps: stop with a checkpoint once so many steps are done, and resume later.
        warm_start: a model file whose weights a new run starts from.
        take_over: also take the folder from a process on another machine that fell silent.
        on_event: called with every event; by default they are printed.

    Raises:
        LatentLabError: a wrong recipe, a folder in use, or a run that cannot go on; then the last
            checkpoint is whole.
    """
    places: RecipeText | None = None
    if isinstance(recipe, Path):
        given = load_recipe(recipe, overrides)
        places = recipe_places(recipe, overrides)
    else:
        given = recipe
    folder = RunFolder(run_dir)
    if resume and saved_step(folder) is not None:
        stored = load_recipe(folder.recipe)
        _check_same(stored, given)
        if stored == given and (done := finished(folder)) is not None:
            return done
    plan = Plan(
        given,
        folder,
        fresh=not resume,
        max_steps=max_steps,
        warm_start=warm_start,
        take_over=take_over,
        places=places,
    )
    return _run(plan, on_event or Console())


def resume(
    run_dir: Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
    take_over: bool = False,
    on_event: OnEvent | None = None,
) -> Outcome:
    """Go on with the run in a folder; see ``train``."""
    folder = _existing(run_dir)
    stored = load_recipe(folder.recipe)
    given = load_recipe(folder.recipe, overrides)
    _check_same(stored, given)
    if stored == given and (done := finished(folder)) is not None:
        return done
    places = recipe_places(folder.recipe, overrides)
    plan = Plan(given, folder, max_steps=max_steps, take_over=take_over, places=places)
    return _run(plan, on_event or Console())


def finish_run(
    run_dir: Path,
    *,
    best: bool = False,
    take_over: bool = False,
    on_event: OnEvent | None = None,
) -> Outcome:
    """Measure saved weights of a stopped run and write its model.

    Args:
        run_dir: of the run.
        best: those of the checkpoint with the smallest held-out loss, instead of the newest.
        take_over: see ``train``.
        on_event: called with every event; by default they are printed.

    Raises:
        LatentLabError: no run, no saved state, no best checkpoint, or the folder is in use.
    """
    folder = _existing(run_dir)
    if saved_step(folder) is None:
        raise LatentLabError(f"'{run_dir}' holds no saved state: train it first.")
    if best and best_checkpoint(folder) is None:
        raise LatentLabError(
            f"'{run_dir}' knows no best checkpoint (train.keep_best was off, or nothing was "
            "measured on held-out images yet): leave --best out to take the newest."
        )
    plan = Plan(load_recipe(folder.recipe), folder, export=True, best=best, take_over=take_over)
    return _run(plan, on_event or Console())


def _existing(run_dir: Path) -> RunFolder:
    folder = RunFolder(run_dir)
    if run_dir.is_file():
        raise LatentLabError(f"'{run_dir}' is a file, not a run folder: check the name.")
    if not folder.recipe.exists():
        raise LatentLabError(f"'{run_dir}' is not a run folder: it holds no recipe.toml.")
    return folder


def finished(folder: RunFolder) -> Outcome | None:
    """Return the outcome of a run that was trained to its end and measured."""
    step = saved_step(folder)
    turns = [e for e in read_events(folder.path) if e.kind in ("start", "stop", "error", "finish")]
    totals = [e.data.get("total_steps") for e in turns if e.kind == "start"]
    if step is None or not totals or turns[-1].kind != "finish" or not folder.model.is_file():
        return None
    whole = isinstance(totals[-1], int) and step >= totals[-1]
    return Outcome(folder.path, step, folder.model, already=True) if whole else None


def _run(plan: Plan, on_event: OnEvent) -> Outcome:
    if plan.max_steps is not None and plan.max_steps < 1:
        raise LatentLabError(f"A run stops after 1 step or more, not {plan.max_steps}.")
    accelerator = make_accelerator(plan.recipe)
    with reporting(plan, accelerator, on_event) as reporter, Interrupts() as interrupts:
        engine = _engine(plan, accelerator, reporter)
        if plan.export:
            return _finish(engine, reporter, interrupts, plan.best)
        return _train(engine, plan.max_steps, reporter, interrupts)


def _engine(plan: Plan, accelerator: Accelerator, reporter: Reporter) -> Engine:
    """Open the data, build the network, and go to where the run stands."""
    recipe, folder, warm_start = plan.recipe, plan.folder, plan.warm_start
    with Processes(accelerator).agreed(), placed(plan.places):
        training, held_out = open_training(recipe.data)
        trainer = build_trainer(recipe, training)
        stands_at = saved_step(folder)
        if warm_start is not None and stands_at is None:
            load_weights(trainer.network, warm_start)
    engine = Engine(recipe, folder, trainer, training, held_out, accelerator, reporter)
    reporter.origin.images_per_step = engine.images_per_step
    engine.initialised = warm_start is not None
    if stands_at is not None:
        if not plan.export and engine.total_steps < stands_at:
            raise LatentLabError(
                f"The run is at step {stands_at}, beyond the {engine.total_steps} steps of the "
                "recipe: give it more, or write its model with --finish."
            )
        with Processes(accelerator).agreed():
            _check_network(folder, recipe)
            engine.restore()
    # A process that was killed between state and checkpoint left none; the first process looks.
    missing = stands_at is None or (stands_at > 0 and not _is_kept(folder, stands_at))
    missing = bool(Processes(accelerator).gather([float(missing)])[0][0])
    if accelerator.is_main_process:
        write_recipe(plan)
    _announce(engine, plan, reporter)
    if missing and not plan.export:
        # Shows now, not in an hour, that the folder takes a checkpoint.
        engine.checkpoint()
    return engine


def _is_kept(folder: RunFolder, step: int) -> bool:
    """Whether the checkpoint of a step is there and was told, with its held-out loss."""
    if not folder.checkpoint(step).exists():
        return False
    return any(e.kind == "checkpoint" and e.step == step for e in read_events(folder.path))


def _announce(engine: Engine, plan: Plan, reporter: Reporter) -> None:
    """Tell that the run starts, and what to know about its data."""
    reporter.emit(
        "start",
        engine.step,
        family=plan.recipe.model.family,
        device=device_name(engine.device),
        processes=reporter.origin.processes,
        data=engine.training.name,
        num_images=len(engine.training),
        num_held_out=len(engine.held_out),
        parameters=sum(p.numel() for p in engine.network.parameters()),
        total_steps=engine.total_steps,
        torch_version=torch.__version__,
        warm_start=str(plan.warm_start) if plan.warm_start else None,
    )
    unsplit = unsplit_warning(plan.recipe.data)
    if unsplit is not None:
        reporter.emit("warning", engine.step, message=unsplit)
    for skipped in engine.training.skipped[:20]:
        message = f"'{skipped.name}' is left out: {skipped.reason}"
        reporter.emit("warning", engine.step, message=message)


def _train(
    engine: Engine, max_steps: int | None, reporter: Reporter, interrupts: Interrupts
) -> Outcome:
    until = engine.total_steps if max_steps is None else min(max_steps, engine.total_steps)
    folder = engine.folder
    reason: str | None = None
    if engine.step < until:
        reason = engine.run(until, interrupts)
        if reason is None:
            engine.checkpoint()
    if reason is None and engine.step < engine.total_steps:
        reason = f"{max_steps} steps were asked for"
    if reason is not None:
        folder.stop.unlink(missing_ok=True)
        reporter.emit("stop", engine.step, message=reason)
        return Outcome(folder.path, engine.step, None)
    return _finish(engine, reporter, interrupts)


def _finish(
    engine: Engine, reporter: Reporter, interrupts: Interrupts, best: bool = False
) -> Outcome:
    folder, step = engine.folder, engine.step
    if not engine.is_main:
        return Outcome(folder.path, step, None)
    chosen = best_checkpoint(folder) if best else None
    if chosen is not None:
        load_checkpoint(engine.kept, folder.checkpoint(chosen.step))
        step = chosen.step
    model = finish(engine, reporter, lambda: interrupts.asked or folder.stop.exists(), step)
    if model is None:
        folder.stop.unlink(missing_ok=True)
        reporter.emit("stop", engine.step, message="measuring was given up; finish it later")
    return Outcome(folder.path, step, model)
