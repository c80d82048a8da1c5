"""Several processes that train as one: what they exchange, and how they agree.

Gradients are averaged by one all-reduce a phase, after its (accumulated) backward pass, instead of
by ``DistributedDataParallel``. DDP hooks into one forward and one backward pass of one wrapped
module; a GAN calls its networks several times a phase, some of them frozen, gradient penalties go
through the backward pass twice, and micro-batches need the hooks switched off and on. A reduction
of the finished gradients is exact in all these cases, and every process takes the very same update.
What it gives up is that DDP sends the first gradients while the last are still computed: the
networks here have a few million parameters, whose exchange is short beside their step (measured in
docs/benchmarks.md).

What is not the same as on one process, by design: batch norm sees the rows of its own process, and
dropout draws by process. Running statistics are averaged over the processes whenever the run is
saved, sampled or measured, and every process goes on from that mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from latentlab.core.errors import LatentLabError, RefusedError

if TYPE_CHECKING:
    from accelerate import Accelerator

SLOTS = 64
"""Logged values that travel with the gradients; more are an error of the family."""
FINE, EXHAUSTED, FAILED = 0.0, 1.0, 1e6


class Processes:
    """The processes of a run, through Accelerate's process group.

    Args:
        accelerator: of this process.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self.count: int = accelerator.num_processes
        self.rank: int = accelerator.process_index
        self.is_main: bool = accelerator.is_main_process
        self._device: torch.device = accelerator.device

    def gather(self, values: Sequence[float]) -> list[list[float]]:
        """Return the values of every process, in the order of the processes."""
        if self.count == 1:
            return [list(values)]
        mine = torch.tensor(values, dtype=torch.float64, device=self._device)
        if self._device.type == "mps":
            mine = mine.float()
        found = [torch.empty_like(mine) for _ in range(self.count)]
        torch.distributed.all_gather(found, mine)
        return [other.tolist() for other in found]

    def _text_from(self, rank: int, text: str) -> str:
        data = text.encode()
        sizes = self.gather([len(data)])
        buffer = torch.zeros(int(sizes[rank][0]), dtype=torch.uint8, device=self._device)
        if self.rank == rank:
            buffer.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        torch.distributed.broadcast(buffer, rank)
        return bytes(buffer.tolist()).decode()

    def agree(self, error: Exception | None) -> None:
        """Raise on every process when one of them has an error.

        The first process raises the sentence that a person reads, the one that has the error
        raises the error, and the others a ``RefusedError``.
        """
        if self.count == 1:
            if error is not None:
                raise error
            return
        failed = [r for r, (flag,) in enumerate(self.gather([float(error is not None)])) if flag]
        if not failed:
            return
        first = failed[0]
        known = isinstance(error, LatentLabError)
        text = error.message if isinstance(error, LatentLabError) else f"{error!r}"
        text = self._text_from(first, text or " ")
        if self.is_main:
            raise (error or LatentLabError(f"Process {first} of {self.count}: {text}"))
        if error is not None and not known:
            raise error
        raise RefusedError(text)

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Run a body in which processes do not talk; an error of one ends them all.

        The error that is raised is that of ``agree``.
        """
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        self.agree(failure)

    def check_same(self, value: float, sentence: str) -> None:
        """Raise the sentence on every process when they do not hold the same value."""
        if len({tuple(row) for row in self.gather([value])}) > 1:
            self.agree(LatentLabError(sentence))

    @torch.no_grad()
    def spread(self, *modules: nn.Module) -> None:
        """Give every process the weights and buffers of the first."""
        if self.count == 1:
            return
        for module in modules:
            for tensor in [*module.parameters(), *module.buffers()]:
                whole = tensor.detach().contiguous()
                torch.distributed.broadcast(whole, 0)
                tensor.copy_(whole)

    @torch.no_grad()
    def average_buffers(self, *modules: nn.Module) -> None:
        """Give every process the mean of all processes' floating-point buffers.

        Whole-number buffers count the same steps everywhere and stay.
        """
        found = {id(b): b for m in modules for b in m.buffers() if b.is_floating_point()}
        if self.count == 1 or not found:
            return
        buffers = list(found.values())
        flat = torch.cat([b.reshape(-1).float() for b in buffers])
        torch.distributed.all_reduce(flat)
        flat.div_(self.count)
        for buffer, part in zip(buffers, flat.split([b.numel() for b in buffers]), strict=True):
            buffer.copy_(part.view(buffer.shape))


def parted(error: BaseException) -> LatentLabError | None:
    """Return a sentence when an error means that another process of the run is gone."""
    text = str(error)
    # Not in every build of torch.
    kind = getattr(torch.distributed, "DistError", ())
    broken = isinstance(error, kind) or (
        isinstance(error, RuntimeError) and ("gloo" in text or "NCCL" in text)
    )
    if not broken:
        return None
    return LatentLabError(
        "Another process of this run ended: look at what it said, then resume from the last "
        "checkpoint.",
        text,
    )


class Exchange:
    """Averages gradients, logged values and trouble over the processes, in one message.

    Args:
        processes: of the run.
        parameters: whose gradients are averaged.
    """

    def __init__(self, processes: Processes, parameters: Sequence[nn.Parameter]) -> None:
        self._processes, self._parameters = processes, parameters
        self._buffer: Tensor | None = None
        self._views: list[Tensor] = []

    def _prepare(self) -> Tensor:
        if self._buffer is None:
            sizes = [p.numel() for p in self._parameters]
            extra = len(sizes) + SLOTS + 1
            device = self._parameters[0].device
            self._buffer = torch.zeros(sum(sizes) + extra, device=device)
            parts = self._buffer.split([*sizes, extra])[:-1]
            # In the layout of the parameter, so that a copy is a plain one.
            self._views = [
                part.as_strided(p.size(), p.stride())
                for part, p in zip(parts, self._parameters, strict=True)
            ]
        return self._buffer

    @torch.no_grad()
    def average(self, values: Sequence[Tensor], trouble: float) -> tuple[list[Tensor], Tensor]:
        """Replace the gradients by their means over the processes.

        Args:
            values: scalars, the same number on every process that is not in trouble.
            trouble: ``FINE``, ``EXHAUSTED`` or ``FAILED``; gradients are zero unless ``FINE``.

        Returns:
            The means of the values, and a scalar that is 0 when every process is fine, less than
            ``FAILED / processes`` when only memory ran out somewhere.
        """
        if len(values) > SLOTS:
            raise ValueError(f"a family logs at most {SLOTS} values a phase, not {len(values)}")
        buffer = self._prepare()
        count, tail = len(self._parameters), len(self._parameters) + SLOTS + 1
        end = buffer[-tail:]
        end.zero_()
        end[-1] = trouble
        if trouble == FINE and values:
            end[count : count + len(values)] = torch.stack([v.float() for v in values])
        absent = self._write(trouble == FINE, end[:count])
        torch.distributed.all_reduce(buffer)
        buffer.div_(self._processes.count)
        if trouble == FINE:
            self._read(absent, end[:count])
        return list(end[count : count + len(values)].clone()), end[-1].clone()

    def _write(self, fine: bool, present: Tensor) -> list[int]:
        """Fill the buffer; return which parameters have no gradient here."""
        gradients = [p.grad for p in self._parameters]
        absent = [i for i, g in enumerate(gradients) if g is None or not fine]
        with_gradient = [(v, g) for v, g in zip(self._views, gradients) if g is not None and fine]
        if with_gradient:
            torch._foreach_copy_([v for v, _ in with_gradient], [g for _, g in with_gradient])
        present.fill_(1.0)
        for index in absent:
            self._views[index].zero_()
            present[index] = 0.0
        return absent

    def _read(self, absent: list[int], present: Tensor) -> None:
        missing = set(absent)
        pairs = [
            (p.grad, v)
            for i, (p, v) in enumerate(zip(self._parameters, self._views, strict=True))
            if i not in missing and p.grad is not None
        ]
        if pairs:
            torch._foreach_copy_([g for g, _ in pairs], [v for _, v in pairs])
        for index in absent:
            # Another process may have used what this one did not.
            if float(present[index]) > 0:
                self._parameters[index].grad = self._views[index].clone()
