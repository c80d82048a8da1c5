"""What resuming needs, as safetensors and JSON: weights, average, optimiser moments, position.

Version 1 had one optimiser (``optimizer.<index>.<moment>``) and is still read. Version 2 names
them (``optimizer.<name>.<index>.<moment>``) and keeps what the engine itself remembers.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import replace_file
from latentlab.core.runs import RunFolder
from latentlab.training.ema import WeightAverage

STATE_VERSION = 2


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
    engine: Mapping[str, Any] | None = None,
) -> None:
    """Write the state of a run; the one before it stays whole until this one is.

    Args:
        folder: the run.
        step: optimiser steps done.
        network: that is trained.
        optimizers: by name.
        average: of the weights.
        engine: what the engine remembers besides, in JSON's types.

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
    record = {
        "version": STATE_VERSION,
        "step": step,
        "tensors": target.name,
        "average_updates": average.updates if average is not None else 0,
        "optimizers": sorted(optimizers),
        "optimizer": values,
        "engine": dict(engine or {}),
        "torch_version": torch.__version__,
    }
    text = json.dumps(record, indent=1)
    # From this rename on, the new state counts.
    replace_file(folder.state / "state.json", lambda path: path.write_text(text, "utf-8"))
    for old in folder.state.glob("step_*.safetensors"):
        if old != target:
            with contextlib.suppress(OSError):
                # Somebody reads it (Windows): it goes with the next state.
                old.unlink()


def saved_step(folder: RunFolder) -> int | None:
    """Return the step of the saved state; ``None`` when there is none."""
    record = _record(folder)
    return None if record is None else int(record["step"])


def _record(folder: RunFolder) -> dict[str, Any] | None:
    path = folder.state / "state.json"
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text("utf-8"))
        if int(record["version"]) > STATE_VERSION:
            raise LatentLabError(f"'{path}' was written by a newer LatentLab: update LatentLab.")
        int(record["step"]), str(record["tensors"]), int(record["average_updates"])
        record["optimizer"].items()
        record.setdefault("engine", {}).items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, error) from error
    return dict(record)


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
) -> tuple[int, dict[str, Any]]:
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
    path = folder.state / Path(str(record["tensors"])).name
    try:
        tensors = load_file(path)
        network.load_state_dict(_below(tensors, "network."))
        if average is not None:
            average.load(_below(tensors, "average."), int(record["average_updates"]))
        if record.get("optimizers", sorted(optimizers)) != sorted(optimizers):
            raise ValueError(f"it has the optimizers {', '.join(record['optimizers'])}")
        moments, values = _below(tensors, "optimizer."), dict(record["optimizer"])
        for name, optimizer in optimizers.items():
            # The first version had one optimiser, without a name.
            below = f"{name}." if int(record["version"]) > 1 else ""
            _load_moments(optimizer, _below(moments, below), _below(values, below))
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, IndexError) as error:
        raise _damaged(path, error) from error
    return int(record["step"]), dict(record["engine"])


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
                entry[name] = torch.empty_like(parameters[index]).copy_(value)
            elif isinstance(value, Tensor):
                # A copy: the file stays mapped, and its room taken, while one tensor of it is used.
                entry[name] = value.clone()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
