"""What a run needs before its first step: the family, the device, and the processes in step."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from latentlab.catalog import TRAINERS
from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import Recipe
from latentlab.core.registry import plugins
from latentlab.training.data import Part
from latentlab.training.family import FamilyTrainer
from latentlab.training.parallel import Processes

if TYPE_CHECKING:
    from accelerate import Accelerator

T = TypeVar("T")
WAIT = timedelta(hours=6)
"""Longest time that processes wait for one another; one that ends is noticed at once."""


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


def make_accelerator(recipe: Recipe) -> Accelerator:
    """Return the device of a recipe, connected with the other processes if there are some.

    Raises:
        LatentLabError: this machine does not have the device.
    """
    wanted = recipe.train.device
    if wanted == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        reason = "no usable GPU or driver" if built else "a PyTorch without GPU support"
        raise _no_device(wanted, reason)
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise _no_device(wanted, "no Apple GPU that PyTorch can use")
    from accelerate import Accelerator, InitProcessGroupKwargs

    if recipe.train.threads:
        torch.set_num_threads(recipe.train.threads)
    # The others wait while the first draws a long sheet or measures: never to be cut short.
    patience = InitProcessGroupKwargs(timeout=WAIT)
    accelerator = Accelerator(cpu=wanted == "cpu", kwargs_handlers=[patience])
    if wanted not in ("auto", accelerator.device.type):
        raise _no_device(wanted, f"'{accelerator.device.type}' for training")
    return accelerator


def _no_device(wanted: str, reason: str) -> LatentLabError:
    return LatentLabError(
        f"train.device is '{wanted}', which this machine does not have (it has {reason}): set "
        "train.device to 'auto' or 'cpu'."
    )


def build_trainer(recipe: Recipe, training: Part) -> FamilyTrainer:
    """Build the family's trainer.

    Args:
        recipe: checked.
        training: images to train on.

    Raises:
        LatentLabError: a setting that the family does not take; a ``SettingError`` names it.
    """
    torch.manual_seed(recipe.train.seed)
    table = recipe.model
    trainer: FamilyTrainer = load_trainer(table.family)(table.settings, training)
    return trainer


def together(accelerator: Accelerator, act: Callable[[], T]) -> T | None:
    """Do something in the first process; when it fails there, it fails in all of them.

    Otherwise the others would wait for ever for a process that has ended.

    Returns:
        What ``act`` returned; ``None`` in the other processes.

    Raises:
        RefusedError: in the other processes.
    """
    result: T | None = None
    problem: Exception | None = None
    if accelerator.is_main_process:
        try:
            result = act()
        except Exception as error:
            problem = error
    Processes(accelerator).agree(problem)
    return result
