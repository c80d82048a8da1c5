"""``torch.compile`` where it works and is faster: tried on steps that are taken back."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from latentlab.core.errors import LatentLabError
from latentlab.training.memory import exhausted
from latentlab.training.parallel import Processes
from latentlab.training.update import Fetch, Updater

WARM, TIMED = 1, 5


@dataclass(frozen=True)
class Compiled:
    """What came of compiling.

    Attributes:
        choice: ``compiled`` or ``eager``.
        eager_ms: time of a step, in milliseconds; ``None`` where it was not measured.
        compiled_ms: likewise.
        compile_seconds: that compiling took.
    """

    choice: str
    eager_ms: float | None = None
    compiled_ms: float | None = None
    compile_seconds: float | None = None

    def record(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        return asdict(self)


class _Past:
    """The state of training at a moment, on the device, to come back to."""

    def __init__(self, updater: Updater) -> None:
        self._updater = updater
        self._networks = [updater.network]
        if updater.average is not None:
            self._networks.append(updater.average.network)
        self._states = [self._copied(network) for network in self._networks]
        self._moments = {
            n: copy.deepcopy(o.state_dict()) for n, o in updater.turns.optimizers.items()
        }
        average, scaler = updater.average, updater.precision.scaler
        self._updates = average.updates if average is not None else 0
        self._scaler = scaler.state_dict() if scaler is not None else {}
        self._losses, self._parts = dict(updater.figures.losses), updater.parts

    @staticmethod
    def _copied(network: nn.Module) -> dict[str, Tensor]:
        return {n: t.detach().clone() for n, t in network.state_dict().items()}

    def restore(self) -> None:
        """Come back; may be done several times."""
        updater = self._updater
        for network, state in zip(self._networks, self._states, strict=True):
            network.load_state_dict(state)
        for name, optimizer in updater.turns.optimizers.items():
            optimizer.zero_grad(set_to_none=True)
            optimizer.load_state_dict(copy.deepcopy(self._moments[name]))
        if updater.average is not None:
            updater.average.updates = self._updates
        if updater.precision.scaler is not None:
            updater.precision.scaler.load_state_dict(self._scaler)
        updater.figures.losses, updater.figures.grad_norms = dict(self._losses), {}
        updater.parts = self._parts


class Compiling:
    """Compiles the modules that a family's losses call, in place, so that names stay.

    Args:
        updater: takes the steps.
        processes: that train together; all compile, or none.
        warn: takes a sentence when it does not work here.
    """

    def __init__(self, updater: Updater, processes: Processes, warn: Callable[[str], None]) -> None:
        self._updater, self._processes, self._warn = updater, processes, warn

    def decide(self, mode: str, step: int, fetch: Fetch, before: str | None) -> Compiled:
        """Compile, or not; training stands where it stood before.

        Args:
            mode: ``on`` or ``measure``.
            step: at which training stands.
            fetch: returns images to try it on.
            before: the choice of an earlier attempt, which a resume follows.
        """
        if mode == "measure" and before == "eager":
            return Compiled("eager")
        measure = mode == "measure" and before is None
        past = _Past(self._updater)
        # Running eagerly once also shows which modules are called from outside.
        eager = self._milliseconds(step, fetch, TIMED if measure else 0)
        past.restore()
        self._compile()
        start = time.perf_counter()
        problem = self._try(step, fetch)
        seconds = round(time.perf_counter() - start, 2)
        if problem is not None:
            past.restore()
            self._undo()
            self._warn(
                "torch.compile does not work here, so training goes on without it, at its usual "
                f"speed ({problem})."
            )
            return Compiled("eager")
        compiled = self._milliseconds(step, fetch, TIMED) if measure else None
        past.restore()
        choice = "compiled"
        if measure and eager is not None and compiled is not None and compiled >= eager:
            choice = "eager"
            self._undo()
        return Compiled(choice, eager if measure else None, compiled, seconds)

    def _steps(self, step: int, fetch: Fetch, count: int) -> None:
        for _ in range(count):
            self._updater.step(step, fetch, all_phases=True)

    def _milliseconds(self, step: int, fetch: Fetch, count: int) -> float | None:
        """Return the time of a step, the slowest process's; ``None`` for no steps."""
        self._steps(step, fetch, WARM)
        if not count:
            return None
        self._wait()
        start = time.perf_counter()
        self._steps(step, fetch, count)
        self._wait()
        spent = 1e3 * (time.perf_counter() - start) / count
        return round(max(row[0] for row in self._processes.gather([spent])), 3)

    def _wait(self) -> None:
        device = next(self._updater.network.parameters()).device
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()

    def _compile(self) -> None:
        for module in self._updater.precision.called.values():
            module.compile()

    def _undo(self) -> None:
        for module in self._updater.precision.called.values():
            module._compiled_call_impl = None
        torch._dynamo.reset()

    def _try(self, step: int, fetch: Fetch) -> str | None:
        """Take a compiled step; return why it failed, in one process or another."""
        problem: str | None = None
        try:
            self._steps(step, fetch, WARM)
        except LatentLabError:
            raise
        except Exception as error:
            if exhausted(error):
                raise
            text = str(error).strip() or type(error).__name__
            problem = text.splitlines()[0][:200]
        told = self._processes.gather([float(problem is not None)])
        if any(flag for (flag,) in told):
            return problem or "another process could not compile"
        return None
