"""A real, small training run at several moments of its life, and a window over a real worker."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RECIPE = """
[model]
family = "vae"
latent_dim = 8
width = 4
max_width = 16
prior = "fitted"
observation_scale = 0.3
beta = 0.2

[data]
source = "{source}"
size = 16
channels = 3
held_out.count = 8

[train]
steps = 36
batch_size = 16
learning_rate = 1e-2
device = "cpu"
threads = 1
log_every = 4
sample_every = 0
checkpoint_every_minutes = {minutes}
"""
STEPS = (12, 24, 36)


def write_images(folder: Path, count: int = 40) -> None:
    """Red discs and blue squares, a class folder each."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[0:16, 0:16]
    for name in ("disc", "square"):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            middle, size = rng.uniform(5, 11, 2), rng.uniform(3, 6)
            away = np.stack([x - middle[0], y - middle[1]])
            inside = (np.hypot(*away) if name == "disc" else np.abs(away).max(0)) < size
            image = np.full((16, 16, 3), 230, np.uint8)
            image[inside] = (200, 40, 30) if name == "disc" else (30, 60, 200)
            Image.fromarray(image).save(folder / name / f"{number:03}.png")


@dataclass(frozen=True)
class Stages:
    """Copies of one run folder, as the engine left it.

    Attributes:
        first: at its first checkpoint.
        second: at its second one.
        finished: with its model.
        images: what it was trained on.
    """

    first: Path
    second: Path
    finished: Path
    images: Path


def make_stages(folder: Path) -> Stages:
    """Train a run in three pieces, by the real engine."""
    from latentlab.training.run import resume, train

    images = folder / "images"
    write_images(images)
    recipe = folder / "shapes.toml"
    recipe.write_text(RECIPE.format(source=images.as_posix(), minutes=0.0))
    run = folder / "run"
    quiet: Any = lambda _event: None  # noqa: E731
    train(recipe, run, max_steps=STEPS[0], on_event=quiet)
    first = shutil.copytree(run, folder / "first")
    resume(run, max_steps=STEPS[1], on_event=quiet)
    second = shutil.copytree(run, folder / "second")
    resume(run, on_event=quiet)
    return Stages(first, second, run, images)


def go_on(run: Path, stage: Path) -> None:
    """Let a run stand as in a later stage; files come whole, as the engine's do."""
    for path in sorted(stage.rglob("*")):
        target = run / path.relative_to(stage)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        elif not target.exists() or target.read_bytes() != path.read_bytes():
            part = target.with_name(f".{target.name}.part")
            shutil.copyfile(path, part)
            part.replace(target)
