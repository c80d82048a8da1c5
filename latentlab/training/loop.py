"""The training loop: one network, one optimiser, exact resume."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import Recipe, TrainTable
from latentlab.core.runs import RunFolder
from latentlab.training.checkpoints import write_checkpoint, write_sheet
from latentlab.training.data import Part, RawBatch, ReadAhead
from latentlab.training.ema import WeightAverage
from latentlab.training.events import RETRY_SECONDS, Reporter, Speed, memory_mb, patiently
from latentlab.training.family import Batch, FamilyTrainer
from latentlab.training.sampler import Sampler, Share, derived_seed, normal_draws
from latentlab.training.schedule import learning_rate
from latentlab.training.signals import Interrupts
from latentlab.training.state import NotFiniteError, load_state, save_state

if TYPE_CHECKING:
    from accelerate import Accelerator

GO_ON, CHECKPOINT, STOP = 0, 1, 2


class _Bfloat16(nn.Module):
    """Runs a network's matrix products in bfloat16 and gives its results in float32."""

    def __init__(self, network: nn.Module, device_type: str) -> None:
        super().__init__()
        self.network = network
        self._device_type = device_type

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the network; losses are then computed in float32."""
        from accelerate.utils.operations import convert_to_fp32

        with torch.autocast(self._device_type, torch.bfloat16):
            result = self.network(*args, **kwargs)
        return convert_to_fp32(result)


def make_optimizer(table: TrainTable, network: nn.Module) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over the trainable parameters."""
    kind = torch.optim.AdamW if table.optimizer == "adamw" else torch.optim.Adam
    parameters = [p for p in network.parameters() if p.requires_grad]
    return kind(
        parameters, lr=table.learning_rate, betas=table.betas, weight_decay=table.weight_decay
    )


@dataclass(frozen=True)
class Figures:
    """What a step measured, still on the device."""

    losses: Mapping[str, Tensor]
    learning_rate: float
    grad_norm: Tensor


class Engine:
    """Trains one network.

    Args:
        recipe: what to do.
        folder: where to leave it.
        trainer: of the family; its network is moved to the device.
        training: images to train on.
        held_out: images for the sample sheets.
        accelerator: places tensors, runs the backward pass, connects processes.
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
        self.total_steps = recipe.train.total_steps(len(training))
        self._accelerator, self._reporter = accelerator, reporter
        self._share = Share(accelerator.process_index, accelerator.num_processes)
        self._sampler = Sampler(
            len(training), recipe.train.batch_size, recipe.train.seed, self._share
        )
        layout = torch.channels_last if recipe.train.channels_last else torch.preserve_format
        placed: Any = trainer.network.to(accelerator.device)
        self.network: nn.Module = placed.to(memory_format=layout)
        decay = recipe.train.ema_decay
        self.average = WeightAverage(self.network, decay) if decay else None
        self._optimizer = make_optimizer(recipe.train, self.network)
        self._speed = Speed(recipe.train.batch_size)
        self._last_checkpoint = time.monotonic()

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

    def restore(self) -> None:
        """Go on from the saved state; ``LatentLabError`` when it cannot be read."""
        self.step = load_state(self.folder, self.network, self._optimizer, self.average)

    def run(self, until: int, interrupts: Interrupts) -> str | None:
        """Train up to step ``until``; return why it stopped before, or ``None``.

        Raises:
            LatentLabError: the run cannot go on; the last checkpoint is whole.
        """
        table = self.recipe.train
        wrapped = self._accelerator.prepare(self.network)
        optimizer = self._accelerator.prepare(self._optimizer)
        if table.precision == "bf16":
            wrapped = _Bfloat16(wrapped, self.device.type)
        self._speed = Speed(table.batch_size)
        flip, workers = self.recipe.data.flip, table.num_workers
        reader = ReadAhead(
            self.training, self._sampler, self.step, until, flip=flip, workers=workers
        )
        with reader as ahead:
            while self.step < until:
                figures = self._update(wrapped, optimizer, self._batch(ahead.next()))
                self.step += 1
                self._speed.step_done()
                if self.step % table.log_every == 0 or self.step in (1, until):
                    self._log(figures, ahead)
                elif self.device.type == "cpu":
                    self._check(figures)
                self._sample_if_due(until)
                due, reason = self._due(interrupts)
                if due != GO_ON and self.step < until:
                    self.checkpoint(must=due == STOP)
                if due == STOP and self.step < until:
                    return reason
        return None

    def _batch(self, raw: RawBatch) -> Batch:
        device, table = self.device, self.recipe.train
        # (B, H, W, C) seen as (B, C, H, W) is channels last as it stands.
        images = torch.from_numpy(raw.images).to(device).permute(0, 3, 1, 2)
        images = images.float().mul_(2.0 / 255.0).sub_(1.0)
        if raw.flips is not None:
            mirror = torch.from_numpy(raw.flips).to(device)[:, None, None, None]
            images = torch.where(mirror, images.flip(3), images)
        layout = torch.channels_last if table.channels_last else torch.contiguous_format
        labels, visible = {}, {}
        for name, column in self.training.labels.items():
            labels[name] = torch.from_numpy(column.values[raw.indices]).to(device)
            seen = np.ones(len(raw.indices), np.bool_)
            if column.visible is not None:
                seen = column.visible[raw.indices]
            visible[name] = torch.from_numpy(seen).to(device)
        return Batch(
            images=images.contiguous(memory_format=layout),
            labels=labels,
            visible=visible,
            step=raw.step,
            total_steps=self.total_steps,
            normal=normal_draws(table.seed, raw.step, table.batch_size, self._share, device),
            epoch=self._sampler.epoch(raw.step),
        )

    def _update(self, wrapped: nn.Module, optimizer: Any, batch: Batch) -> Figures:
        table = self.recipe.train
        # Whatever the network itself draws (dropout) is a function of the step too.
        torch.manual_seed(derived_seed("network", table.seed, batch.step, self._share.rank))
        rate = learning_rate(table, batch.step, self.total_steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        wrapped.train()
        losses = self.trainer.losses(wrapped, batch)
        self._accelerator.backward(losses["loss"])
        limit = table.clip_norm or float("inf")
        grad_norm = self._accelerator.clip_grad_norm_(self.network.parameters(), limit)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.network)
        return Figures({n: v.detach() for n, v in losses.items()}, rate, grad_norm.detach())

    def _check(self, figures: Figures) -> None:
        if not bool(torch.isfinite(figures.losses["loss"]).all()):
            raise NotFiniteError(
                f"The loss is no longer a finite number at step {self.step}: lower "
                "train.learning_rate or set train.clip_norm, then resume from the last checkpoint."
            )

    def _log(self, figures: Figures, ahead: ReadAhead) -> None:
        names = list(figures.losses)
        stacked = torch.stack([figures.losses[n].float() for n in names])
        mean = self._accelerator.reduce(stacked, reduction="mean").tolist()
        losses = dict(zip(names, mean, strict=True))
        loss = losses.pop("loss")
        waited, ahead.waited = ahead.waited, 0.0
        self._reporter.emit(
            "step",
            self.step,
            total_steps=self.total_steps,
            epoch=round(self._sampler.epoch(self.step), 4),
            loss=loss,
            losses=losses,
            learning_rate=figures.learning_rate,
            grad_norm=float(figures.grad_norm),
            **self._speed.measure(self.total_steps - self.step, waited),
            **memory_mb(self.device),
        )
        self._check(figures)

    def _sample_if_due(self, until: int) -> None:
        table = self.recipe.train
        regular = table.sample_every and self.step % table.sample_every == 0
        if not regular and self.step not in (until, self.total_steps):
            return
        before = time.perf_counter()
        if self._accelerator.is_main_process:
            self.sample()
        self._speed.pause(time.perf_counter() - before)

    @torch.no_grad()
    def sample(self) -> None:
        """Write the sample sheet of this step."""
        network = self.kept
        was_training = network.training
        network.eval()
        images = self.trainer.samples(network, self.held_out, self.recipe.train.sample_count)
        network.train(was_training)
        path = self.folder.sample(self.step)
        what = f"The sample sheet of step {self.step}"
        write = partial(write_sheet, path, images)
        if patiently(write, self._reporter, self.step, what, must=False):
            relative = path.relative_to(self.folder.path).as_posix()
            self._reporter.emit("sample", self.step, path=relative)

    def _due(self, interrupts: Interrupts) -> tuple[int, str]:
        minutes = self.recipe.train.checkpoint_every_minutes
        decision, reason = GO_ON, ""
        if self.folder.stop.exists():
            decision, reason = STOP, "a STOP file asked for it"
        elif interrupts.asked:
            decision, reason = STOP, "it was interrupted"
        elif minutes and time.monotonic() - self._last_checkpoint >= 60.0 * minutes:
            decision = CHECKPOINT
        if self._share.processes > 1:
            # The first process decides, so that no two of them part ways.
            from accelerate.utils import broadcast

            decision = int(broadcast(torch.tensor([decision], device=self.device)).item())
        return decision, reason

    def checkpoint(self, must: bool = True) -> None:
        """Write checkpoint and state; the ones before stay whole until these are.

        Args:
            must: otherwise a full disk is lived with, and it is tried again in a minute.

        Raises:
            LatentLabError: weights are not finite, or the files cannot be written.
        """
        before = time.perf_counter()
        saved = True
        if self._accelerator.is_main_process:
            what = f"The checkpoint of step {self.step}"
            saved = patiently(self._save, self._reporter, self.step, what, must=must)
        self._last_checkpoint = time.monotonic()
        if not saved:
            minutes = self.recipe.train.checkpoint_every_minutes
            self._last_checkpoint += RETRY_SECONDS - 60.0 * minutes
        self._speed.pause(time.perf_counter() - before)

    def _save(self, held_out_loss: float | None = None) -> None:
        self._reporter.sync()
        save_state(self.folder, self.step, self.network, self._optimizer, self.average)
        if not self.step:
            return
        best = write_checkpoint(
            self.folder,
            self.trainer,
            self.kept,
            self.recipe,
            self.training.describe(),
            self.step,
            self.device,
            held_out_loss=held_out_loss,
            origin=self._reporter.origin,
        )
        path = self.folder.checkpoint(self.step).relative_to(self.folder.path).as_posix()
        self._reporter.emit(
            "checkpoint", self.step, path=path, held_out_loss=held_out_loss, best=best
        )


def out_of_memory(error: BaseException) -> LatentLabError | None:
    """Return a sentence when an error means that memory ran out."""
    text = str(error).lower()
    exhausted = isinstance(error, MemoryError | torch.OutOfMemoryError)
    if exhausted or (isinstance(error, RuntimeError) and "can't allocate memory" in text):
        return LatentLabError(
            "There is not enough memory for this recipe: lower train.batch_size or data.size, "
            "then resume.",
            str(error),
        )
    return None
