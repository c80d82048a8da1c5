"""The training engine against a plain PyTorch loop, in turns within one run of the real engine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentlab.core.recipe import Recipe, parse_recipe
from latentlab.core.run_events import Event

if TYPE_CHECKING:
    from latentlab.services.bench.plain_loop import PlainLoop

Report = Callable[[int, int, str], None]
PAIRS = 24
STEPS = 8
"""Optimiser steps of a block; two blocks, one of each loop, are a pair."""
WARM_UP = 2
"""Blocks of each that are not counted: they find their memory and their kernels."""
IMAGES = 4096
RESAMPLES = 2000

RECIPE = """
[model]
family = "vae"
latent_dim = 200
width = 32
max_width = 256
observation_scale = 0.25
beta = 4.0

[data]
source = "portraits:count={images},seed=1"
size = 64
channels = 3

[train]
steps = {steps}
batch_size = {batch_size}
ema_decay = 0.999
precision = "bf16"
channels_last = true
log_every = {log_every}
sample_every = 0
sample_count = 9
checkpoint_every_minutes = 0
"""
"""The bundled VAE's network and settings."""


def bench_recipe(steps: int, log_every: int, batch_size: int = 64) -> Recipe:
    """Return the recipe that is measured."""
    text = RECIPE.format(images=IMAGES, steps=steps, log_every=log_every, batch_size=batch_size)
    return parse_recipe(text, "bench", default_id="bench")


class Turns:
    """Lets a plain loop take its turn at every ``step`` event of the engine, and times both.

    Args:
        plain: the loop that takes turns.
        pairs: that are counted.
        on_progress: gets (done, total, message).
    """

    def __init__(self, plain: PlainLoop, pairs: int, on_progress: Report) -> None:
        self.engine_seconds: list[float] = []
        self.plain_seconds: list[float] = []
        self.waited: list[float] = []
        self._plain, self._pairs, self._report = plain, pairs, on_progress
        self._since: float | None = None

    def __call__(self, event: Event) -> None:
        """Take an event; the engine waits meanwhile."""
        if event.kind != "step":
            return
        now = time.perf_counter()
        # The engine also tells its first step and its last.
        if self._since is not None and event.step % STEPS == 0:
            self.engine_seconds.append(now - self._since)
            self.waited.append(float(event.data["data_wait"]))
            self.plain_seconds.append(self._plain.run(STEPS))
            self._report(min(len(self.plain_seconds), self._pairs), self._pairs, "Training")
        self._since = time.perf_counter()


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return the bootstrap interval of the median of ``values``."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(values), (RESAMPLES, len(values)))
    medians = np.median(np.asarray(values)[rows], axis=1)
    low, high = np.quantile(medians, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def run(on_progress: Report) -> dict[str, Any]:
    """Return the throughput of the engine, that of a plain loop, and their ratio.

    Both train the bundled VAE's network with the bundled recipe's settings on images in memory, in
    the same process with the same threads and memory format; a pair is ``STEPS`` steps of each, one
    after the other. ``ratio`` is the median over the pairs of plain seconds to engine seconds, 1
    meaning that events, checks, noise by step and reading ahead cost nothing.
    """
    import torch

    pairs = PAIRS
    recipe = bench_recipe(STEPS * (pairs + WARM_UP + 1), STEPS)
    turns = Turns(_plain_loop(recipe), pairs, on_progress)
    with tempfile.TemporaryDirectory() as folder:
        _train(recipe, Path(folder) / "run", turns)
    engine, plain = turns.engine_seconds[WARM_UP:], turns.plain_seconds[WARM_UP:]
    ratios = [theirs / ours for theirs, ours in zip(plain, engine, strict=True)]
    low, high = interval(ratios)
    images = STEPS * recipe.train.batch_size
    return {
        "ratio": float(np.median(ratios)),
        "ratio_low": low,
        "ratio_high": high,
        "pairs": len(ratios),
        "images_per_s": images / float(np.median(engine)),
        "plain_images_per_s": images / float(np.median(plain)),
        "data_wait": float(np.median(turns.waited[WARM_UP:])),
        "batch_size": recipe.train.batch_size,
        "threads": torch.get_num_threads(),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }


def _plain_loop(recipe: Recipe) -> PlainLoop:
    import torch

    from latentlab.backends.nn.vae import VaeConfig
    from latentlab.services.bench.plain_loop import PlainLoop
    from latentlab.training.data import open_images

    data = open_images(recipe.data, recipe.data.source, None, None)
    images = data.read(np.arange(len(data)))
    settings = recipe.model.settings
    config = VaeConfig(
        image_size=images.shape[1], latent_dim=settings["latent_dim"], width=settings["width"]
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return PlainLoop(config, recipe.train, images, settings["beta"], device)


def _train(recipe: Recipe, run_dir: Path, turns: Turns) -> None:
    from latentlab.training.run import train

    # Not to its end: measuring the model is no part of this.
    train(recipe, run_dir, max_steps=(recipe.train.steps or 0) - 1, on_event=turns)
