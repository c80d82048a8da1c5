"""Runs to take pictures of: written as training writes them, with invented numbers."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
from PIL import Image

from latentlab.core.presets import preset_recipe
from latentlab.core.run_events import Event
from latentlab.core.run_status import RunState, RunStatus, write_status
from latentlab.core.runs import RunFolder

_TOTAL, _EVERY, _SHEETS = 8000, 20, 400
_SHEET = (8, 4, 16)
"""Columns, rows and pixels of an image on a sheet."""


def _loss(step: int, seed: int) -> float:
    noise = np.random.default_rng((seed, step)).normal()
    return (0.4 + 0.1 * seed) + 2.2 * math.exp(-step / 900) + 0.04 * float(noise)


def _sheet(path: Path, step: int) -> None:
    """Write discs that come out of the noise as training goes on."""
    columns, rows, size = _SHEET
    noise = np.random.default_rng(1).normal(size=(rows * size, columns * size, 3))
    y, x = np.mgrid[0 : rows * size, 0 : columns * size] / size % 1 - 0.5
    disc = np.clip((0.36 - np.hypot(x, y)) * 12, -1, 1)[..., None] * np.array([0.9, 0.5, 0.3])
    known = 1 - math.exp(-step / 1500)
    image = 127.5 + 110 * (known * disc + (1 - known) * 0.6 * noise)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(path)


def _run(root: Path, name: str, state: RunState, steps: int, seed: int, message: str) -> None:
    folder = RunFolder(root / name)
    folder.path.mkdir(parents=True)
    recipe = preset_recipe("vae", "quick", "portraits:count=20000,seed=1")
    folder.recipe.write_text(recipe.to_toml(), "utf-8")
    begin = time.time() - steps
    events = [Event("start", begin, 1, 0, {
        "family": "vae", "device": "cpu", "data": "portraits", "num_images": 18_000,
        "parameters": 1_204_000, "total_steps": _TOTAL,
    })]  # fmt: skip
    for step in range(_EVERY, steps + 1, _EVERY):
        loss, at = _loss(step, seed), begin + step
        events.append(Event("step", at, 1, step, {
            "total_steps": _TOTAL, "epoch": step * 64 / 18_000, "loss": loss,
            "losses": {"reconstruction": 0.8 * loss, "kl": 0.2 * loss},
            "learning_rate": 1e-3 * min(1.0, step / 400), "grad_norm": 0.3 + 40 / step,
            "images_per_second": 512 + 9 * math.sin(step), "seconds_left": _TOTAL - step,
            "data_wait": 0.04, "memory_mb": 905,
        }))  # fmt: skip
        if step % _SHEETS == 0:
            _sheet(folder.sample(step), step)
            events.append(Event("sample", at, 1, step, {"path": folder.sample(step).name}))
            held_out = {"held_out_loss": loss + 0.06, "best": step == steps // _SHEETS * _SHEETS}
            path = {"path": folder.checkpoint(step).name}
            events.append(Event("checkpoint", at, 1, step, path | held_out))
    if message:
        events.append(Event("error", begin + steps, 1, steps, {"message": message}))
    text = "".join(event.to_json() + "\n" for event in events)
    folder.events.write_text(text, "utf-8")
    write_status(folder, RunStatus(
        state=state, step=steps, total_steps=_TOTAL, time=time.time(), host="workstation",
        family="vae", device="cpu", loss=_loss(steps, seed), images_per_second=512,
        seconds_left=_TOTAL - steps, message=message,
    ))  # fmt: skip


def write_runs(root: Path) -> None:
    """Write a run that trains elsewhere, a finished one and one that failed."""
    reason = "The loss is not a number since step 2,400: lower learning_rate or set clip_norm."
    _run(root, "faces-high-rate", "failed", 2400, 3, reason)
    _run(root, "faces-small", "finished", _TOTAL, 1, "")
    _run(root, "faces-wide", "training", 5200, 0, "")
