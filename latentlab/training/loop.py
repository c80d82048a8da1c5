"""The training loop: steps, what is told about them, and what is kept of them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from latentlab.core.recipe import Recipe
from latentlab.core.runs import RunFolder
from latentlab.training.batches import Batches
from latentlab.training.checkpoints import write_checkpoint, write_sheet
from latentlab.training.compiling import Compiling
from latentlab.training.data import Part, RawBatch, ReadAhead
from latentlab.training.ema import WeightAverage, decay_of
from latentlab.training.events import RETRY_SECONDS, Reporter, Speed, memory_mb, patiently
from latentlab.training.family import Averages, FamilyTrainer, Initialises
from latentlab.training.memory import out_of_memory
from latentlab.training.parallel import Processes
from latentlab.training.phases import Turns
from latentlab.training.precision import Precision, determinism
from latentlab.training.sampler import Share, derived_seed
from latentlab.training.scoring import MAX_IMAGES, held_out_loss
from latentlab.training.signals import Interrupts
from latentlab.training.state import load_state, save_state
from latentlab.training.steering import CHECKPOINT, GO_ON, PAUSE, STOP, Steering
from latentlab.training.trackers import Trackers
from latentlab.training.update import Figures, Updater

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Engine", "out_of_memory"]


class _Reading:
    """Gives the images of a step, the same ones however often they are asked for."""

    def __init__(self, ahead: ReadAhead, per_step: int, step: int) -> None:
        self.ahead, self._per_step = ahead, per_step
        self._step, self._wanted, self._raws = step, step, list[RawBatch]()

    def at(self, step: int) -> None:
        """Go on to a step; nothing is read yet."""
        self._wanted = step

    def fetch(self, repeat: int) -> RawBatch:
        """Return the batch of a repeat.

        Raises:
            LatentLabError: the images can no longer be read.
        """
        while self._step < self._wanted:
            # A phase that is not due leaves batches unread.
            while len(self._raws) < self._per_step:
                self._raws.append(self.ahead.next())
            self._step, self._raws = self._step + 1, []
        while len(self._raws) <= repeat:
            self._raws.append(self.ahead.next())
        return self._raws[repeat]


class Engine:
    """Trains the networks of one family.

    Args:
        recipe: what to do.
        folder: where to leave it.
        trainer: of the family; its network is moved to the device.
        training: images to train on.
        held_out: images for the sample sheets and the held-out loss.
        accelerator: the device, the processes and the trackers.
        reporter: takes the events.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        trainer: FamilyTrainer,
        training: Part,
        held_out: Part,
        accelerator: Accelerator,
        reporter: Reporter,
    ) -> None:
        self.recipe, self.folder, self.trainer = recipe, folder, trainer
        self.training, self.held_out = training, held_out
        self.step = 0
        self.initialised = False
        """Whether weights that depend on data are set; a warm start has them from elsewhere."""
        self._accelerator, self._reporter = accelerator, reporter
        self._processes = Processes(accelerator)
        table = recipe.train
        layout = torch.channels_last if table.channels_last else torch.preserve_format
        placed: Any = trainer.network.to(accelerator.device)
        self.network: nn.Module = placed.to(memory_format=layout)
        modules = trainer.averaged if isinstance(trainer, Averages) else ("",)
        decay = decay_of(table)
        self.average = WeightAverage(self.network, decay, modules) if decay else None
        self._turns = Turns(trainer, table, self.network, self._processes)
        self.total_steps = table.total_steps(len(training))
        if table.steps is None:
            self.total_steps = math.ceil(self.total_steps / self._turns.batches)
        share = Share(self._processes.rank, self._processes.count)
        self._batches = Batches(
            training,
            table,
            recipe.data.flip,
            self.total_steps,
            share,
            self.device,
            self._turns.batches,
        )
        self._updater = Updater(
            table,
            self.network,
            trainer,
            self._turns,
            self._batches,
            self.average,
            Precision(table, self.device),
            self._processes,
            self.total_steps,
            self._warn,
        )
        self._speed = Speed(table.batch_size * self._turns.batches)
        self._steering: Steering | None = None
        self._compiled: str | None = None
        self._news: dict[str, Any] = {}

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        device: torch.device = self._accelerator.device
        return device

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files."""
        return bool(self._accelerator.is_main_process)

    @property
    def kept(self) -> nn.Module:
        """The network whose weights are kept: the moving average, where there is one."""
        return self.network if self.average is None else self.average.network

    @property
    def images_per_step(self) -> int:
        """Training images that all processes together see in a step."""
        return self.recipe.train.batch_size * self._turns.batches

    def _warn(self, sentence: str) -> None:
        self._reporter.emit("warning", self.step, message=sentence)

    def restore(self) -> None:
        """Go on from the saved state; ``LatentLabError`` when it cannot be read."""
        self.step, past = load_state(
            self.folder, self.network, self._turns.optimizers, self.average
        )
        self.initialised, self._compiled = past.initialised, past.compiled
        self._updater.restore(past)

    def _initialise(self) -> None:
        """Set the weights that depend on data, and let all processes begin alike."""
        if not self.initialised:
            if isinstance(self.trainer, Initialises):
                torch.manual_seed(derived_seed("initialise", self.recipe.train.seed))
                with torch.no_grad(), self._processes.agreed():
                    self.network.train()
                    self.trainer.initialise(self.network, self._batches.first())
            if self.average is not None:
                self.average.restart()
            self.initialised = True
        self._processes.check_same(
            self.step,
            "The processes do not stand at the same step: give all of them the same run folder, "
            "on a disk that they share.",
        )
        kept = [self.average.network] if self.average is not None else []
        self._processes.spread(self.network, *kept)

    def run(self, until: int, interrupts: Interrupts) -> str | None:
        """Train up to step ``until``; return why it stopped before, or ``None``.

        Raises:
            LatentLabError: the run cannot go on; the last checkpoint is whole.
        """
        table = self.recipe.train
        per_step = self._turns.batches
        with ExitStack() as stack:
            stack.enter_context(determinism(table, self.device))
            with self._processes.agreed():
                trackers = Trackers(
                    self._accelerator, self.recipe, self.folder, self.step, self._warn
                )
            stack.callback(trackers.close)
            self._initialise()
            self._steering = Steering(
                self.folder, interrupts, self._processes, 60.0 * table.checkpoint_every_minutes
            )
            ahead = ReadAhead(
                self.training,
                self._batches.sampler,
                self.step * per_step,
                until * per_step,
                flip=self.recipe.data.flip,
                workers=table.num_workers,
                pin=self.device.type == "cuda",
                warn=self._warn,
            )
            reading = _Reading(stack.enter_context(ahead), per_step, self.step)
            self.network.train()
            self._compile(reading)
            self._speed = Speed(table.batch_size * per_step)
            return self._steps(until, reading, trackers, self._steering)

    def _compile(self, reading: _Reading) -> None:
        mode = self.recipe.train.compile
        if mode == "off":
            return
        compiling = Compiling(self._updater, self._processes, self._warn)
        found = compiling.decide(mode, self.step, reading.fetch, self._compiled)
        if mode == "measure":
            self._compiled = found.choice
        self._news["compile"] = found.record()

    def _steps(
        self, until: int, reading: _Reading, trackers: Trackers, steering: Steering
    ) -> str | None:
        every = self.recipe.train.log_every
        on_cpu = self.device.type == "cpu"
        while self.step < until:
            reading.at(self.step)
            told = self.step + 1 in (1, until) or (self.step + 1) % every == 0
            figures = self._updater.step(self.step, reading.fetch, norms=told)
            self.step += 1
            self._speed.step_done()
            if told:
                self._log(figures, reading.ahead, trackers)
            elif on_cpu:
                # On a GPU this would wait for the device.
                self._updater.check(self.step)
            self._sample_if_due(until)
            if self.step < until and (reason := self._obey(steering)) is not None:
                return reason
        return None

    def _obey(self, steering: Steering) -> str | None:
        """Do what is asked for after a step; return why to stop, if so."""
        decision, reason = steering.decide(self.step)
        if decision == GO_ON:
            return None
        if decision == CHECKPOINT:
            self.checkpoint(must=False)
            return None
        self.checkpoint()
        if decision == PAUSE:
            decision, reason = self._pause(steering)
        return reason if decision == STOP else None

    def _pause(self, steering: Steering) -> tuple[int, str]:
        """Wait until the PAUSE file is gone or the run is asked to stop."""
        before = time.perf_counter()
        self._reporter.emit("pause", self.step, message="it was asked to wait")
        decision, reason = PAUSE, ""
        while decision == PAUSE:
            decision, reason = steering.wait(self.step)
            self._reporter.check()
        if decision != STOP:
            self._reporter.emit("continue", self.step)
        self._speed.pause(time.perf_counter() - before)
        return decision, reason

    def _log(self, figures: Figures, ahead: ReadAhead, trackers: Trackers) -> None:
        losses, norms = figures.losses, figures.grad_norms
        values = [v.float().reshape(()) for v in [*losses.values(), *norms.values()]]
        # One transfer for all of them.
        numbers = torch.stack(values).tolist()
        told = dict(zip(losses, numbers))
        grad_norms = dict(zip(norms, numbers[len(losses) :]))
        loss = told[figures.main]
        if not self._turns.alternates:
            del told["loss"]
        waited, ahead.waited = ahead.waited, 0.0
        first = self._turns.phases[0].optimizer
        data: dict[str, Any] = {
            "total_steps": self.total_steps,
            "epoch": round(self._batches.epoch(self.step), 4),
            "loss": loss,
            "losses": told,
            "learning_rate": figures.learning_rate,
            "grad_norm": grad_norms.get(first),
            **({"grad_norms": grad_norms} if len(grad_norms) > 1 else {}),
            **self._speed.measure(self.total_steps - self.step, waited),
            **memory_mb(self.device),
        }
        trackers.log(data, self.step)
        self._reporter.emit("step", self.step, **data, **self._news)
        self._news = {}
        self._updater.check(self.step)

    def _sample_if_due(self, until: int) -> None:
        table = self.recipe.train
        regular = table.sample_every and self.step % table.sample_every == 0
        if not regular and self.step not in (until, self.total_steps):
            return
        before = time.perf_counter()
        self._processes.average_buffers(self.network, self.kept)
        with self._processes.agreed():
            if self.is_main:
                self.sample()
        self._speed.pause(time.perf_counter() - before)

    @contextmanager
    def _evaluating(self) -> Iterator[nn.Module]:
        """Give the network to keep in evaluation mode, without gradients."""
        network, training = self.kept, self.network.training
        network.eval()
        try:
            with torch.no_grad():
                yield network
        finally:
            # Submodules that are not averaged are those that train.
            self.network.train(training)

    def sample(self) -> None:
        """Write the sample sheet of this step."""
        with self._evaluating() as network:
            count = self.recipe.train.sample_count
            images = self.trainer.samples(network, self.held_out, count)
        path = self.folder.sample(self.step)
        what = f"The sample sheet of step {self.step}"
        write = partial(write_sheet, path, images)
        if patiently(write, self._reporter, self.step, what, must=False):
            relative = path.relative_to(self.folder.path).as_posix()
            self._reporter.emit("sample", self.step, path=relative)

    def held_out_loss(self, max_images: int = MAX_IMAGES) -> float | None:
        """Return the loss of the network to keep on held-out images, or the family's own score.

        Images and draws are the same each time, whatever the step.

        Returns:
            The mean over at most ``max_images`` images; ``None`` for a family whose losses say
            nothing about quality (``Alternates`` without ``Scores``).
        """
        rows = max(1, self._batches.rows // self._updater.parts)
        with self._evaluating() as network:
            return held_out_loss(
                self.trainer, network, self._batches, self.held_out, max_images, rows
            )

    def checkpoint(self, must: bool = True) -> None:
        """Write checkpoint and state; the ones before stay whole until these are.

        Args:
            must: otherwise a full disk is lived with, and it is tried again in a minute.

        Raises:
            LatentLabError: weights are not finite, or the files cannot be written.
        """
        before = time.perf_counter()
        saved = True
        self._processes.average_buffers(self.network, self.kept)
        with self._processes.agreed():
            if self.is_main:
                what = f"The checkpoint of step {self.step}"
                saved = patiently(self._save, self._reporter, self.step, what, must=must)
        if self._steering is not None:
            self._steering.saved(None if saved else RETRY_SECONDS)
        self._speed.pause(time.perf_counter() - before)

    def _save(self) -> None:
        self._reporter.sync()
        known = {"initialised": self.initialised, "compiled": self._compiled}
        memory = self._updater.memory().model_copy(update=known)
        moments = self._turns.optimizers
        save_state(self.folder, self.step, self.network, moments, self.average, memory)
        if not self.step:
            return
        loss = self.held_out_loss()
        best = write_checkpoint(
            self.folder,
            self.trainer,
            self.kept,
            self.recipe,
            self.training.describe(),
            self.step,
            self.device,
            held_out_loss=loss,
            origin=self._reporter.origin,
        )
        path = self.folder.checkpoint(self.step).relative_to(self.folder.path).as_posix()
        self._reporter.emit("checkpoint", self.step, path=path, held_out_loss=loss, best=best)
