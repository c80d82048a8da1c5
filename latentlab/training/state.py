"""What resuming needs, as safetensors and JSON: weights, average, optimiser moments, position.

Version 1 had one optimiser (``optimizer.<index>.<moment>``) and is still read. Version 2 names
them (``optimizer.<name>.<index>.<moment>``) and keeps what the engine itself remembers.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import replace_file, sync_folder
from latentlab.core.runs import RunFolder, read_small
from latentlab.core.spec import Frozen
from latentlab.training.ema import WeightAverage

STATE_VERSION = 2
_Count = Annotated[int, Field(ge=0, le=2**53)]


class ScalerMemory(Frozen):
    """The state of ``torch.amp.GradScaler``, by its own names."""

    scale: Annotated[float, Field(gt=0)]
    growth_factor: Annotated[float, Field(gt=1, allow_inf_nan=False)]
    backoff_factor: Annotated[float, Field(gt=0, lt=1)]
    growth_interval: Annotated[int, Field(ge=1, lt=2**31)]
    growth_tracker: Annotated[int, Field(ge=0, lt=2**31, alias="_growth_tracker")]


class EngineMemory(Frozen):
    """What the engine remembers besides weights and moments.

    Attributes:
        parts: micro-batches of a step.
        scaler: of losses in half precision.
        losses: the newest, where phases do not run at every step.
        grad_norms: likewise.
        initialised: whether weights that depend on data are set; a state of the first version is
            one of a network without such weights.
        compiled: what was measured to be faster, ``compiled`` or ``eager``.
    """

    parts: Annotated[int, Field(ge=1, le=2**53)] = 1
    scaler: ScalerMemory | None = None
    losses: dict[str, float] = {}
    grad_norms: dict[str, float] = {}
    initialised: bool = True
    compiled: Literal["compiled", "eager"] | None = None


class _Record(Frozen):
    """``state.json``."""

    version: _Count
    step: _Count
    tensors: str
    average_updates: _Count
    optimizers: tuple[str, ...] | None = None
    optimizer: dict[str, int | float | bool | None] = {}
    engine: EngineMemory = EngineMemory()
    torch_version: str = ""


class NotFiniteError(LatentLabError):
    """The run left the numbers: a loss or a weight is infinite or not a number."""


def _copy(tensor: Tensor) -> Tensor:
    # Contiguous and owned: safetensors takes neither channels-last strides nor shared memory.
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _moments(
    optimizers: Mapping[str, torch.optim.Optimizer],
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for optimizer_name, optimizer in optimizers.items():
        for index, entry in optimizer.state_dict()["state"].items():
            for name, value in entry.items():
                key = f"{optimizer_name}.{index}.{name}"
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{key}"] = _copy(value)
                else:
                    values[key] = value
    return tensors, values


def save_state(
    folder: RunFolder,
    step: int,
    network: nn.Module,
    optimizers: Mapping[str, torch.optim.Optimizer],
    average: WeightAverage | None,
    engine: EngineMemory | None = None,
) -> None:
    """Write the state of a run; the one before it stays whole until this one is.

    Args:
        folder: the run.
        step: optimiser steps done.
        network: that is trained.
        optimizers: by name.
        average: of the weights.
        engine: what the engine remembers besides.

    Raises:
        NotFiniteError: a weight is not finite; nothing is written.
        LatentLabError: it cannot be written.
    """
    tensors = {f"network.{n}": _copy(t) for n, t in network.state_dict().items()}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise NotFiniteError(
                f"Weights are no longer finite at step {step} ({name.partition('.')[2]}): "
                "lower train.learning_rate or set train.clip_norm, then resume."
            )
    if average is not None:
        tensors |= {f"average.{n}": _copy(t) for n, t in average.state().items()}
    moments, values = _moments(optimizers)
    tensors |= moments
    target = folder.state / f"step_{step:07d}.safetensors"
    replace_file(target, lambda path: save_file(tensors, path))
    # A machine that loses power must not know the new record and not the tensors that it names,
    # nor have let the old ones go before it knows it.
    sync_folder(folder.state)
    record = _Record(
        version=STATE_VERSION,
        step=step,
        tensors=target.name,
        average_updates=average.updates if average is not None else 0,
        optimizers=tuple(sorted(optimizers)),
        optimizer=values,
        engine=engine or EngineMemory(),
        torch_version=torch.__version__,
    )
    text = json.dumps(record.model_dump(by_alias=True), indent=1)
    # From this rename on, the new state counts.
    replace_file(folder.state / "state.json", lambda path: path.write_text(text, "utf-8"))
    sync_folder(folder.state)
    for old in folder.state.glob("step_*.safetensors"):
        if old != target:
            with contextlib.suppress(OSError):
                # Somebody reads it (Windows): it goes with the next state.
                old.unlink()


def saved_step(folder: RunFolder) -> int | None:
    """Return the step of the saved state; ``None`` when there is none."""
    record = _record(folder)
    return None if record is None else record.step


def _record(folder: RunFolder) -> _Record | None:
    path = folder.state / "state.json"
    if not path.exists():
        return None
    try:
        record = json.loads(read_small(path))
        version = record["version"]
        if isinstance(version, int) and version > STATE_VERSION:
            raise LatentLabError(f"'{path}' was written by a newer LatentLab: update LatentLab.")
        return _Record.model_validate(record)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> LatentLabError:
    return LatentLabError(
        f"The saved state '{path}' is damaged: start the run anew in another folder, from its "
        "newest checkpoint if there is one (--warm-start).",
        str(error),
    )


def load_state(
    folder: RunFolder,
    network: nn.Module,
    optimizers: Mapping[str, torch.optim.Optimizer],
    average: WeightAverage | None,
) -> tuple[int, EngineMemory]:
    """Put the saved state back; return its step and what the engine remembered.

    Args:
        folder: the run.
        network: takes the weights.
        optimizers: take their moments.
        average: takes the moving average.

    Raises:
        LatentLabError: there is no state, or it is damaged or of another network.
    """
    record = _record(folder)
    if record is None:
        raise LatentLabError(f"'{folder.path}' holds no saved state: nothing to go on from.")
    path = folder.state / Path(record.tensors).name
    try:
        tensors = load_file(path)
        network.load_state_dict(_below(tensors, "network."))
        if average is not None:
            averaged = _below(tensors, "average.")
            if averaged:
                average.load(averaged, record.average_updates)
            else:
                # The recipe was changed to have an average: it begins here.
                average.restart()
        names = tuple(sorted(optimizers))
        if record.optimizers not in (None, names):
            raise ValueError(f"it has the optimizers {', '.join(record.optimizers or ())}")
        moments, values = _below(tensors, "optimizer."), record.optimizer
        for name, optimizer in optimizers.items():
            # The first version had one optimiser, without a name.
            below = f"{name}." if record.version > 1 else ""
            _load_moments(optimizer, _below(moments, below), _below(values, below))
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, IndexError) as error:
        raise _damaged(path, error) from error
    return record.step, record.engine


T = TypeVar("T")


def _below(values: Mapping[str, T], prefix: str) -> dict[str, T]:
    return {n[len(prefix) :]: t for n, t in values.items() if n.startswith(prefix)}


def _load_moments(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], values: Mapping[str, Any]
) -> None:
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*tensors.items(), *values.items()]:
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, entry in state.items():
        for name, value in entry.items():
            if isinstance(value, Tensor) and name != "step":
                # The layout of the parameter, so that the same kernel gives the same sums.
                if index < 0 or value.shape != parameters[index].shape:
                    raise ValueError(f"moment {name} {index} is of another parameter")
                entry[name] = torch.empty_like(parameters[index]).copy_(value)
            elif isinstance(value, Tensor):
                # A copy: the file stays mapped, and its room taken, while one tensor of it is used.
                entry[name] = value.clone()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
