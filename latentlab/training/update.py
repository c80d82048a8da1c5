"""One step of training: gradients of every phase, put together and applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import TrainTable
from latentlab.training.batches import Batches, row_bounds
from latentlab.training.data import RawBatch
from latentlab.training.ema import WeightAverage
from latentlab.training.family import Batch, FamilyTrainer, Follows, Phase
from latentlab.training.memory import exhausted, release, too_large
from latentlab.training.parallel import EXHAUSTED, FAILED, FINE, Processes
from latentlab.training.phases import Optimisation, Turns
from latentlab.training.precision import Precision
from latentlab.training.sampler import derived_seed, seed_device
from latentlab.training.schedule import learning_rate
from latentlab.training.state import EngineMemory, NotFiniteError, ScalerMemory

Fetch = Callable[[int], RawBatch]
Losses = Callable[..., dict[str, Tensor]]
WATCHED_STEPS = 100
"""Steps after which several GPUs no longer wait for one another's word on trouble."""
LEAST_SCALE = 2.0**-14


@dataclass
class Figures:
    """What the newest step measured, still on the device.

    Attributes:
        losses: by name: the mean over the global batch. With several phases the loss of each goes
            by the phase's name, the rest by ``phase.name``; the newest of a phase that does not
            run at every step.
        main: the name whose loss stands for the step.
        learning_rate: of the schedule.
        grad_norms: by optimiser, before clipping; empty where nobody asked.
    """

    losses: dict[str, Tensor] = field(default_factory=dict)
    main: str = "loss"
    learning_rate: float = 0.0
    grad_norms: dict[str, Tensor] = field(default_factory=dict)


class Updater:
    """Takes the steps of a run.

    Args:
        table: the recipe's ``[train]``.
        network: that is trained.
        trainer: of the family.
        turns: its optimisers.
        batches: makes its batches.
        average: of the weights.
        precision: of the network.
        processes: that train together.
        total_steps: of the run.
        warn: takes a sentence when memory ran out and the step is done in smaller parts.
    """

    def __init__(
        self,
        table: TrainTable,
        network: nn.Module,
        trainer: FamilyTrainer,
        turns: Turns,
        batches: Batches,
        average: WeightAverage | None,
        precision: Precision,
        processes: Processes,
        total_steps: int,
        warn: Callable[[str], None],
    ) -> None:
        self.network, self.turns, self.average = network, turns, average
        self._table, self._batches = table, batches
        self._losses: Losses = trainer.losses
        self._follow = trainer.after_step if isinstance(trainer, Follows) else None
        self.precision, self._processes = precision, processes
        self._total_steps, self._warn = total_steps, warn
        norms = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
        # Batch norm needs two rows to have a variance at all.
        self._most_parts = max(1, batches.rows // 2) if norms and batches.rows > 1 else batches.rows
        self.parts = min(table.accumulate, self._most_parts)
        """Micro-batches of a step."""
        watch = table.compile != "off"
        self.entrance = precision.entrance(network, watch=watch)
        self.figures = Figures()
        self._device = next(network.parameters()).device
        self._steps_watched = 0

    def step(
        self, step: int, fetch: Fetch, *, norms: bool = True, all_phases: bool = False
    ) -> Figures:
        """Take the step after ``step`` steps.

        Args:
            step: done before.
            fetch: returns the images of a repeat, the same ones each time.
            norms: measure gradient norms even where nothing is clipped.
            all_phases: run also those that are not due.

        Raises:
            LatentLabError: there is not enough memory for one row, or images cannot be read.
        """
        rate = learning_rate(self._table, step, self._total_steps)
        self.figures.learning_rate = rate
        phases = self.turns.phases if all_phases else self.turns.due(step)
        for phase in phases:
            for repeat in range(phase.repeats):
                with self.turns.turn(phase) as mine:
                    mine.set_rate(rate)
                    values = self._gradients(step, phase, repeat, mine, fetch)
                    self._apply(mine, norms)
                self._note(phase, values)
        if self._follow is not None:
            with torch.no_grad():
                self._follow(self.network, self.figures.losses, step)
        if self.average is not None:
            self.average.update()
        self._steps_watched += 1
        return self.figures

    def _note(self, phase: Phase, values: Mapping[str, Tensor]) -> None:
        if not self.turns.alternates:
            self.figures.losses = dict(values)
            return
        self.figures.main = self.turns.phases[0].name
        for name, value in values.items():
            key = phase.name if name == "loss" else f"{phase.name}.{name}"
            self.figures.losses[key] = value

    def _gradients(
        self, step: int, phase: Phase, repeat: int, mine: Optimisation, fetch: Fetch
    ) -> dict[str, Tensor]:
        """Fill the gradients of a phase; with fewer rows at a time when memory runs out."""
        while True:
            trouble = FINE
            failure: Exception | None = None
            values: dict[str, Tensor] = {}
            try:
                values = self._backward(step, phase, repeat, fetch)
            except Exception as error:
                if exhausted(error):
                    # The error itself is let go of: its frames hold the tensors that filled up.
                    trouble, failure = EXHAUSTED, LatentLabError(str(error))
                elif self._processes.count == 1:
                    raise
                else:
                    trouble, failure = FAILED, error
            if self._processes.count > 1:
                values, trouble = self._exchange(mine, values, trouble, failure)
            if trouble == FINE:
                return values
            mine.optimizer.zero_grad(set_to_none=True)
            self._back_off(step, str(failure or ""))

    def _exchange(
        self,
        mine: Optimisation,
        values: dict[str, Tensor],
        trouble: float,
        failure: Exception | None,
    ) -> tuple[dict[str, Tensor], float]:
        on_gpu = self._device.type != "cpu"
        if on_gpu and self._steps_watched >= WATCHED_STEPS and failure is not None:
            raise failure
        means, told = mine.exchange.average(list(values.values()), trouble)
        if on_gpu and self._steps_watched >= WATCHED_STEPS:
            # To read it would make the host wait for the device at every step. A process that
            # fails now ends, and torchrun ends the others.
            return dict(zip(values, means)), FINE
        worst = float(told)
        if worst >= FAILED / self._processes.count:
            self._processes.agree(failure if trouble == FAILED else None)
        return dict(zip(values, means)), FINE if worst == FINE else EXHAUSTED

    def _backward(self, step: int, phase: Phase, repeat: int, fetch: Fetch) -> dict[str, Tensor]:
        raw = fetch(repeat)
        self._seed(step, phase, repeat)
        bounds = row_bounds(self._batches.rows, self.parts)
        draws = self._batches.draws(step, repeat, keep=len(bounds) > 1)
        total: dict[str, Tensor] = {}
        for rows in bounds:
            values = self._call(self._batches.part(raw, step, draws, rows), phase)
            share = (rows.stop - rows.start) / self._batches.rows
            loss = values["loss"] if len(bounds) == 1 else values["loss"] * share
            scaler = self.precision.scaler
            (loss if scaler is None else scaler.scale(loss)).backward()
            for name, value in values.items():
                value = value.detach()
                if len(bounds) > 1:
                    value = value * share + total.get(name, 0.0)
                total[name] = value
        return total

    def _call(self, batch: Batch, phase: Phase) -> dict[str, Tensor]:
        if self.turns.alternates:
            return self._losses(self.entrance, batch, phase.name)
        return self._losses(self.entrance, batch)

    def _seed(self, step: int, phase: Phase, repeat: int) -> None:
        """Make what the network itself draws (dropout) a function of the step too."""
        parts: list[Any] = ["network", self._table.seed, step, self._processes.rank]
        if self.turns.alternates:
            parts += [phase.name, repeat]
        seed_device(derived_seed(*parts), self._device)

    def _back_off(self, step: int, details: str) -> None:
        release(self._device)
        if self.parts >= self._most_parts:
            raise too_large(details)
        self.parts = min(2 * self.parts, self._most_parts)
        self._warn(
            f"Memory ran out at step {step + 1}: from here on a batch is divided into {self.parts} "
            "parts, one after the other (train.accumulate), which gives the same result more "
            "slowly; batch norm alone sees fewer images at a time."
        )

    def _apply(self, mine: Optimisation, norms: bool) -> None:
        limit, scaler = self._table.clip_norm, self.precision.scaler
        if scaler is not None:
            scaler.unscale_(mine.optimizer)
        if limit or norms:
            gradients = mine.gradients()
            norm = torch.nn.utils.get_total_norm(gradients)
            self.figures.grad_norms[mine.name] = norm
            if limit:
                torch.nn.utils.clip_grads_with_norm_(mine.parameters, limit, norm)
        if scaler is None:
            mine.optimizer.step()
        else:
            # Leaves the step out where a gradient overflowed, and lowers the scale.
            scaler.step(mine.optimizer)
            scaler.update()
        mine.optimizer.zero_grad(set_to_none=True)

    def memory(self) -> EngineMemory:
        """Return what a resume needs besides weights and moments."""
        scaler, figures = self.precision.scaler, self.figures
        # The newest figures of phases that do not run at every step.
        lazy = any(phase.every > 1 for phase in self.turns.phases)
        return EngineMemory(
            parts=self.parts,
            scaler=None if scaler is None else ScalerMemory.model_validate(scaler.state_dict()),
            losses={n: float(v) for n, v in figures.losses.items()} if lazy else {},
            grad_norms={n: float(v) for n, v in figures.grad_norms.items()} if lazy else {},
        )

    def restore(self, memory: EngineMemory) -> None:
        """Take up what ``memory`` gave before."""
        self.parts = min(max(self.parts, memory.parts), self._most_parts)
        if self.precision.scaler is not None and memory.scaler is not None:
            self.precision.scaler.load_state_dict(memory.scaler.model_dump(by_alias=True))
        device, figures = self._device, self.figures
        figures.losses = {n: torch.tensor(v, device=device) for n, v in memory.losses.items()}
        figures.grad_norms = {
            n: torch.tensor(v, device=device) for n, v in memory.grad_norms.items()
        }

    def check(self, step: int) -> None:
        """Raise ``NotFiniteError`` when a loss of the newest step is not a number."""
        bad = [n for n, v in self._losses_to_check() if not bool(torch.isfinite(v).all())]
        scaler = self.precision.scaler
        if bad or (scaler is not None and scaler.get_scale() < LEAST_SCALE):
            what = "The gradients are" if not bad else "The loss is"
            if self.turns.alternates and bad:
                what = f"The loss '{bad[0]}' is"
            raise NotFiniteError(
                f"{what} no longer a finite number at step {step}: lower "
                "train.learning_rate or set train.clip_norm, then resume from the last checkpoint."
            )

    def _losses_to_check(self) -> Sequence[tuple[str, Tensor]]:
        if not self.turns.alternates:
            return [("loss", self.figures.losses["loss"])]
        names = {phase.name for phase in self.turns.phases}
        return [(n, v) for n, v in self.figures.losses.items() if n in names]
