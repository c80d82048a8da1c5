"""The numbers of denoising runs as ``.npz``. No torch at import."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from latentlab.core.document import Picture
from latentlab.core.latents import Array
from latentlab.services.export import npz_bytes

if TYPE_CHECKING:
    from latentlab.backends.base import DiffusionStep


class RunArrays:
    """Every step of every run, as float32.

    In the file, ``run.x_t``, ``run.x0`` and ``run.eps`` are ``(steps, C, H, W)``, ``run.t``,
    ``run.sigma`` and ``run.index`` ``(steps,)``, and ``run.result`` is ``(C, H, W)``. Branches are
    called ``branch1``, ``branch2`` ...; ``about``, UTF-8 as uint8, is JSON: the command, the
    picture, and the path of each.
    """

    def __init__(self) -> None:
        self._steps: dict[str, list[dict[str, Array]]] = {}

    def add(self, path: str, step: DiffusionStep) -> int:
        """Take in the first row of a step; return its bytes."""
        values = {"x_t": step.x_t, "x0": step.x0, "eps": step.eps}
        row = {name: value[0].float().cpu().numpy().copy() for name, value in values.items()}
        row["t"], row["sigma"] = (np.array([v], np.float32) for v in (step.t, step.sigma))
        row["index"] = np.array([step.index], np.int64)
        if step.result is not None:
            row["result"] = step.result[0].float().cpu().numpy().copy()
        self._steps.setdefault(path, []).append(row)
        return sum(array.nbytes for array in row.values())

    def data(self, picture: Picture, command: str) -> bytes:
        """Return the file: the same bytes for the same runs."""
        arrays: dict[str, Array] = {}
        names: dict[str, str] = {}
        for number, (path, steps) in enumerate(self._steps.items()):
            name = names[path] = f"branch{number}" if number else "run"
            for key in ("x_t", "x0", "eps"):
                arrays[f"{name}.{key}"] = np.stack([step[key] for step in steps])
            for key in ("t", "sigma", "index"):
                arrays[f"{name}.{key}"] = np.concatenate([step[key] for step in steps])
            arrays[f"{name}.result"] = steps[-1]["result"]
        about = {
            "command": command,
            "picture": picture.model_dump(mode="json", exclude_defaults=True),
            "paths": {name: path for path, name in names.items()},
        }
        text = json.dumps(about, allow_nan=False).encode()
        return npz_bytes({"about": np.frombuffer(text, np.uint8), **arrays})
