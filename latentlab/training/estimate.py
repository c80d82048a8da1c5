"""What a recipe takes on this machine, measured over its first real steps."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import Recipe
from latentlab.core.run_events import Event, EventWriter
from latentlab.core.runs import RunFolder
from latentlab.training.checkpoints import device_name
from latentlab.training.data import Part, open_training
from latentlab.training.events import Reporter
from latentlab.training.loop import Engine
from latentlab.training.memory import out_of_memory, too_large
from latentlab.training.peak import peak_memory
from latentlab.training.setup import build_trainer, make_accelerator
from latentlab.training.signals import Interrupts

if TYPE_CHECKING:
    from accelerate import Accelerator

WARM_STEPS = 2
MIN_STEPS = 3
OnProgress = Callable[[str], None]


@dataclass(frozen=True)
class Estimate:
    """What a recipe takes on this machine.

    Attributes:
        parameters: numbers that are trained.
        total_steps: of the whole run.
        timed_steps: over which the speed was measured, after the first ones.
        seconds_per_step: without samples, checkpoints and the measuring at the end.
        images_per_second: of training images.
        seconds_total: ``total_steps`` at this speed.
        memory_mb: the most that this process took, in MiB.
        device_memory_mb: the most that tensors took on the GPU, in MiB.
        checkpoint_mb: one checkpoint, in MiB.
        state_mb: what resuming needs, in MiB; it is there once.
        data_wait: share of the time spent waiting for images.
        device: that it was measured on.
        num_images: to train on.
        num_held_out: kept apart.
    """

    parameters: int
    total_steps: int
    timed_steps: int
    seconds_per_step: float
    images_per_second: float
    seconds_total: float
    memory_mb: float
    device_memory_mb: float | None
    checkpoint_mb: float
    state_mb: float
    data_wait: float
    device: str
    num_images: int
    num_held_out: int


def estimate(
    recipe: Recipe, seconds: float = 5.0, on_progress: OnProgress = lambda _line: None
) -> Estimate:
    """Train the first steps of a recipe in a temporary folder and tell what the whole will take.

    Args:
        recipe: as it would be trained; data, device and network are the real ones.
        seconds: to spend on timed steps, of which there are at least three.
        on_progress: called with a line now and then.

    Raises:
        LatentLabError: the recipe cannot be trained, or does not fit in memory.
    """
    try:
        accelerator = make_accelerator(recipe)
        on_progress("opening the images")
        training, held_out = open_training(recipe.data)
        with tempfile.TemporaryDirectory(prefix="latentlab-estimate-") as place:
            folder = RunFolder(Path(place))
            with EventWriter(folder, 1) as writer, Interrupts() as interrupts:
                watch = _Watch(seconds, on_progress, interrupts)
                reporter = Reporter(writer, watch)
                engine = _engine(recipe, folder, training, held_out, accelerator, reporter)
                on_progress(f"{len(training)} images; the first steps")
                engine.run(engine.total_steps, interrupts)
                if watch.steps < MIN_STEPS:
                    raise LatentLabError("The measurement was interrupted: start it again.")
                if not folder.checkpoint(engine.step).exists():
                    engine.checkpoint()
            return _figures(recipe, engine, folder, watch)
    except Exception as error:
        told = isinstance(error, LatentLabError) and error.message == too_large().message
        if not told and out_of_memory(error) is None:
            raise
        raise LatentLabError(
            "This recipe does not fit in the memory of this machine: lower train.batch_size, "
            "data.size or the width of the network.",
            str(error),
        ) from error


class _Watch:
    """Times the steps and asks the run to stop when they were enough."""

    def __init__(self, seconds: float, on_progress: OnProgress, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self.steps, self.spent, self.waited = 0, 0.0, 0.0
        self._seconds, self._on_progress = seconds, on_progress
        self._last: tuple[int, float] | None = None
        self._told = time.perf_counter()

    def __call__(self, event: Event) -> None:
        """Take a step event: by then the device has done the step."""
        if event.kind != "step":
            return
        now = time.perf_counter()
        if self._last is not None:
            steps, spent = event.step - self._last[0], now - self._last[1]
            self.steps, self.spent = self.steps + steps, self.spent + spent
            self.waited += float(event.data.get("data_wait") or 0.0) * spent
            self._tell(event.step, now)
        if self._last is not None or event.step >= WARM_STEPS:
            self._last = (event.step, now)
        if self.steps >= MIN_STEPS and self.spent >= self._seconds:
            self._interrupts.asked = True

    def _tell(self, step: int, now: float) -> None:
        if now - self._told >= 1.0 or self.steps <= 1:
            self._told = now
            self._on_progress(f"step {step}: {self.spent / self.steps:.3g} s a step")


def _engine(
    recipe: Recipe,
    folder: RunFolder,
    training: Part,
    held_out: Part,
    accelerator: Accelerator,
    reporter: Reporter,
) -> Engine:
    on_cpu = accelerator.device.type == "cpu"
    # A step event waits for the device: on a GPU not every step, which would slow it down.
    changes: dict[str, Any] = {"log_every": 1 if on_cpu else 5, "sample_every": 0, "trackers": ()}
    changes |= {"checkpoint_every_minutes": 0.0, "keep_checkpoints": 1}
    wanted = WARM_STEPS + MIN_STEPS + 10
    if recipe.train.total_steps(len(training)) < wanted:
        changes |= {"steps": wanted, "images_seen": None, "epochs": None}
    short = recipe.model_copy(update={"train": recipe.train.model_copy(update=changes)})
    trainer = build_trainer(recipe, training)
    return Engine(short, folder, trainer, training, held_out, accelerator, reporter)


def _figures(recipe: Recipe, engine: Engine, folder: RunFolder, watch: _Watch) -> Estimate:
    total = recipe.train.total_steps(len(engine.training))
    per_step = watch.spent / watch.steps
    on_gpu = engine.device.type == "cuda"
    peak = torch.cuda.max_memory_allocated(engine.device) if on_gpu else None
    return Estimate(
        parameters=sum(p.numel() for p in engine.network.parameters()),
        total_steps=total,
        timed_steps=watch.steps,
        seconds_per_step=per_step,
        images_per_second=engine.images_per_step / per_step,
        seconds_total=total * per_step,
        memory_mb=round(peak_memory() / 2**20, 1),
        device_memory_mb=None if peak is None else round(peak / 2**20, 1),
        checkpoint_mb=_megabytes(folder.checkpoints),
        state_mb=_megabytes(folder.state),
        data_wait=round(min(watch.waited / watch.spent, 1.0), 4),
        device=device_name(engine.device),
        num_images=len(engine.training),
        num_held_out=len(engine.held_out),
    )


def _megabytes(folder: Path) -> float:
    return round(sum(f.stat().st_size for f in folder.glob("*.safetensors")) / 2**20, 3)
