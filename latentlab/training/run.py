"""Starting, resuming and finishing a run: the one road for the command line and the window."""

from __future__ import annotations

import importlib
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from latentlab.catalog import TRAINERS
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import replace_file
from latentlab.core.recipe import Recipe, RecipeText, load_recipe
from latentlab.core.registry import plugins
from latentlab.core.run_events import EventWriter, next_attempt
from latentlab.core.runs import RunFolder, RunLock
from latentlab.training.checkpoints import device_name, load_weights
from latentlab.training.data import Part, open_training, unsplit_warning
from latentlab.training.events import Console, OnEvent, Reporter
from latentlab.training.family import FamilyTrainer
from latentlab.training.finish import finish
from latentlab.training.loop import Engine, out_of_memory
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
    """

    run_dir: Path
    step: int
    model: Path | None


def load_trainer(family: str) -> Any:
    """Return the trainer class of a family.

    Raises:
        LatentLabError: there is no such family, or it cannot be trained.
    """
    target = TRAINERS.get(family)
    if target is None:
        known = ", ".join(sorted(TRAINERS))
        rows = {p.row.id: p for p in plugins("latentlab.backends") if p.error is None}
        target = getattr(rows[family].load(), "trainer", None) if family in rows else None
        if target is None:
            raise LatentLabError(
                f"[model] family: '{family}' is not a family that can be trained; known: {known}."
            )
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _accelerator(recipe: Recipe) -> Accelerator:
    from accelerate import Accelerator

    wanted = recipe.train.device
    if recipe.train.threads:
        torch.set_num_threads(recipe.train.threads)
    accelerator = Accelerator(cpu=wanted == "cpu")
    if wanted not in ("auto", accelerator.device.type):
        raise LatentLabError(
            f"train.device is '{wanted}', which this machine does not have: use 'auto'."
        )
    return accelerator


def _check_new(folder: RunFolder) -> None:
    # A start that failed before its first state leaves nothing to lose.
    step = saved_step(folder)
    if step is not None:
        raise LatentLabError(
            f"'{folder.path}' already holds a run at step {step}: resume it or choose another "
            "folder."
        )


def _check_same(stored: Recipe, given: Recipe) -> None:
    mine, theirs = _flat(stored.resolved()), _flat(given.resolved())
    changed = sorted(k for k in mine.keys() | theirs.keys() if mine.get(k) != theirs.get(k))
    if changed:
        raise LatentLabError(
            f"The recipe differs from the one of the run in {', '.join(changed)}: change "
            "recipe.toml in the run folder to go on with other settings, or start another run."
        )


def _flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


@contextmanager
def _reporting(folder: RunFolder, main: bool, on_event: OnEvent) -> Iterator[Reporter]:
    """Give a reporter, and turn what goes wrong into an ``error`` event."""
    if not main:
        yield Reporter(None, on_event)
        return
    with EventWriter(folder, next_attempt(folder)) as writer:
        reporter = Reporter(writer, on_event)
        try:
            yield reporter
        except Exception as error:
            known = error if isinstance(error, LatentLabError) else out_of_memory(error)
            message = known.message if known else f"{type(error).__name__}: {error}"
            try:
                step = saved_step(folder) or 0
                reporter.emit("error", step, message=message, details=traceback.format_exc())
            except LatentLabError:
                # A full disk takes no event either; the sentence itself still reaches the person.
                pass
            if known is None or known is error:
                raise
            raise known from error


def train(
    recipe: Path | Recipe,
    run_dir: Path,
    *,
    resume: bool = False,
    overrides: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
    warm_start: Path | None = None,
    on_event: OnEvent | None = None,
) -> Outcome:
    """Train a recipe in a run folder, up to its end and the measured model.

    Args:
        recipe: a TOML file, or a recipe.
        run_dir: made if it is not there.
        resume: go on with the run in ``run_dir``; a folder without one is started. The recipe must
            be the run's.
        overrides: recipe values by dotted key, for example ``{"train.steps": 500}``.
        max_steps: stop with a checkpoint once so many steps are done, and resume later.
        warm_start: a model file whose weights a new run starts from.
        on_event: called with every event; by default they are printed.

    Raises:
        LatentLabError: a wrong recipe, a folder in use, or a run that cannot go on; then the last
            checkpoint is whole.
    """
    places: RecipeText | None = None
    if isinstance(recipe, Path):
        given = load_recipe(recipe, overrides)
        places = RecipeText(recipe.name, recipe.read_text(encoding="utf-8"))
    else:
        given = recipe
    folder = RunFolder(run_dir)
    if resume and saved_step(folder) is not None:
        _check_same(load_recipe(folder.recipe), given)
    plan = _Plan(given, folder, not resume, max_steps, warm_start, places=places)
    return _run(plan, on_event or Console())


def resume(
    run_dir: Path, *, max_steps: int | None = None, on_event: OnEvent | None = None
) -> Outcome:
    """Go on with the run in a folder; see ``train``."""
    folder = RunFolder(run_dir)
    if not folder.recipe.exists():
        raise LatentLabError(f"'{run_dir}' is not a run folder: it holds no recipe.toml.")
    plan = _Plan(load_recipe(folder.recipe), folder, max_steps=max_steps)
    return _run(plan, on_event or Console())


def finish_run(run_dir: Path, *, on_event: OnEvent | None = None) -> Outcome:
    """Measure the newest saved weights of a stopped run and write its model.

    Raises:
        LatentLabError: no run, no saved state, or the folder is in use.
    """
    folder = RunFolder(run_dir)
    if saved_step(folder) is None:
        raise LatentLabError(f"'{run_dir}' holds no saved state: train it first.")
    return _run(_Plan(load_recipe(folder.recipe), folder, export=True), on_event or Console())


@dataclass(frozen=True)
class _Plan:
    """What a call asked for; see ``train``.

    Attributes:
        recipe: checked.
        folder: of the run.
        fresh: the folder must hold no run yet.
        max_steps: stop there.
        warm_start: weights to begin with.
        export: only measure and write the model.
        places: of the settings in the recipe's file.
    """

    recipe: Recipe
    folder: RunFolder
    fresh: bool = False
    max_steps: int | None = None
    warm_start: Path | None = None
    export: bool = False
    places: RecipeText | None = None


def _trainer(plan: _Plan, training: Part) -> FamilyTrainer:
    """Build the family's trainer; what it refuses is told with its line in the recipe."""
    torch.manual_seed(plan.recipe.train.seed)
    table = plan.recipe.model
    try:
        trainer: FamilyTrainer = load_trainer(table.family)(table.settings, training)
    except LatentLabError as error:
        named = re.match(r"\[model\] (\w+)", error.message)
        if named is None or plan.places is None:
            raise
        place = plan.places.place(("model", named[1]))
        raise LatentLabError(f"{place}: {error.message}", error.details) from error
    return trainer


def _run(plan: _Plan, on_event: OnEvent) -> Outcome:
    if plan.max_steps is not None and plan.max_steps < 1:
        raise LatentLabError(f"A run stops after 1 step or more, not {plan.max_steps}.")
    accelerator = _accelerator(plan.recipe)
    main, folder = bool(accelerator.is_main_process), plan.folder
    with ExitStack() as stack:
        if main:
            stack.enter_context(RunLock(folder))
            if plan.fresh:
                _check_new(folder)
        reporter = stack.enter_context(_reporting(folder, main, on_event))
        interrupts = stack.enter_context(Interrupts())
        if main:
            folder.stop.unlink(missing_ok=True)
            text = plan.recipe.to_toml()
            replace_file(folder.recipe, lambda path: path.write_text(text, "utf-8"))
        engine = _engine(plan, accelerator, reporter)
        if plan.export:
            return _finish(engine, reporter, interrupts)
        return _train(engine, plan.max_steps, reporter, interrupts)


def _engine(plan: _Plan, accelerator: Accelerator, reporter: Reporter) -> Engine:
    """Open the data, build the network, and go to where the run stands."""
    recipe, folder, warm_start = plan.recipe, plan.folder, plan.warm_start
    training, held_out = open_training(recipe.data)
    trainer = _trainer(plan, training)
    stands_at = saved_step(folder)
    if warm_start is not None and stands_at is None:
        load_weights(trainer.network, warm_start)
    engine = Engine(recipe, folder, trainer, training, held_out, accelerator, reporter)
    if stands_at is not None:
        engine.restore()
    accelerator.wait_for_everyone()
    reporter.emit(
        "start",
        engine.step,
        family=recipe.model.family,
        device=device_name(engine.device),
        processes=accelerator.num_processes,
        data=training.name,
        num_images=len(training),
        num_held_out=len(held_out),
        parameters=sum(p.numel() for p in engine.network.parameters()),
        total_steps=engine.total_steps,
        torch_version=torch.__version__,
        warm_start=str(warm_start) if warm_start else None,
    )
    unsplit = unsplit_warning(recipe.data)
    if unsplit is not None:
        reporter.emit("warning", engine.step, message=unsplit)
    for skipped in training.skipped[:20]:
        message = f"'{skipped.name}' is left out: {skipped.reason}"
        reporter.emit("warning", engine.step, message=message)
    if stands_at is None:
        # Shows now, not in an hour, that the folder takes a checkpoint.
        engine.checkpoint()
    return engine


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


def _finish(engine: Engine, reporter: Reporter, interrupts: Interrupts) -> Outcome:
    folder = engine.folder
    if not engine.is_main:
        return Outcome(folder.path, engine.step, None)
    model = finish(engine, reporter, lambda: interrupts.asked or folder.stop.exists())
    if model is None:
        folder.stop.unlink(missing_ok=True)
        reporter.emit("stop", engine.step, message="measuring was given up; finish it later")
    return Outcome(folder.path, engine.step, model)
