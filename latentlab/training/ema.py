"""The moving average of the weights that a run keeps."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from latentlab.core.recipe import TrainTable


def decay_at(decay: float, updates: int) -> float:
    """Return the decay of update number ``updates`` (from 0).

    It begins low, min(decay, (1 + n) / (10 + n)), so that a short run is not an average of its
    first, useless weights (the rule of TensorFlow's ``ExponentialMovingAverage``).
    """
    return min(decay, (1 + updates) / (10 + updates))


def decay_of(table: TrainTable) -> float:
    """Return the decay of a step of a recipe, 0 where nothing is averaged.

    A half-life of N images is a decay of 0.5 ** (batch_size / N) a step (Karras et al. 2020, arXiv
    1912.04958, appendix B).
    """
    if not table.ema_half_life:
        return table.ema_decay
    return float(0.5 ** (table.batch_size / table.ema_half_life))


def belongs(name: str, modules: Sequence[str]) -> bool:
    """Whether a dotted name is one of ``modules`` or lies in one; ``""`` holds everything."""
    return any(not m or name == m or name.startswith(f"{m}.") for m in modules)


def copy_of(network: nn.Module, modules: Sequence[str]) -> nn.Module:
    """Return a network whose ``modules`` are copies, and whose others are those of ``network``."""
    shared: dict[int, object] = {}
    for name, module in network.named_modules():
        inside = belongs(name, modules)
        leads_there = any(m.startswith(f"{name}.") for m in modules) or not name
        if not inside and not leads_there:
            shared[id(module)] = module
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if not belongs(name, modules):
            shared[id(tensor)] = tensor
    copied: nn.Module = copy.deepcopy(network, shared)
    return copied


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return dict([*network.named_parameters(), *network.named_buffers()])


class WeightAverage:
    """An exponential moving average of a network, its running statistics included.

    Batch norm's running mean and variance are averaged like weights, so that they belong to the
    averaged network; whole-number buffers (batch counters) are copied.

    Args:
        network: where the average starts.
        decay: 0 to 1, 1 excluded.
        modules: names of the submodules to average; the others are shared with ``network``.
    """

    def __init__(self, network: nn.Module, decay: float, modules: Sequence[str] = ("",)) -> None:
        self.decay = decay
        self.updates = 0
        self.network = copy_of(network, modules)
        """The averaged network, in evaluation mode."""
        theirs, mine = _tensors(network), _tensors(self.network)
        own = [n for n in mine if mine[n] is not theirs[n]]
        for name in own:
            mine[name].requires_grad_(False)
        for name, module in self.network.named_modules():
            if belongs(name, modules):
                module.eval()
        # Found once: a walk over the modules at every step would cost more than the average.
        floating = [n for n in own if mine[n].is_floating_point()]
        whole = [n for n in own if not mine[n].is_floating_point()]
        self._mine, self._theirs = [mine[n] for n in floating], [theirs[n] for n in floating]
        self._copied = [(mine[n], theirs[n]) for n in whole]
        self._own = frozenset(own)

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights after a step into the average."""
        share = 1.0 - decay_at(self.decay, self.updates)
        torch._foreach_lerp_(self._mine, self._theirs, share)
        for mine, theirs in self._copied:
            mine.copy_(theirs)
        self.updates += 1

    @torch.no_grad()
    def restart(self) -> None:
        """Begin again at the weights as they are."""
        torch._foreach_copy_(self._mine, self._theirs)
        for mine, theirs in self._copied:
            mine.copy_(theirs)
        self.updates = 0

    def state(self) -> dict[str, Tensor]:
        """Return what is averaged, by name in the network's state."""
        return {n: t for n, t in self.network.state_dict().items() if n in self._own}

    def load(self, state: Mapping[str, Tensor], updates: int) -> None:
        """Take up an average that was saved after so many updates.

        Raises:
            RuntimeError: it is that of another network.
        """
        mine = self.network.state_dict()
        whole = {n: state[n] if n in self._own and n in state else mine[n] for n in mine}
        missing = [n for n in self._own & mine.keys() if n not in state]
        if missing or not state.keys() <= mine.keys():
            raise RuntimeError("the average is that of another network")
        self.network.load_state_dict(whole)
        self.updates = updates


def half_rounded(network: nn.Module) -> nn.Module:
    """Return a copy whose floating-point state went through float16 and back.

    A tensor with values beyond float16's range (65,504) keeps its precision.
    """
    rounded = copy.deepcopy(network)
    with torch.no_grad():
        for tensor in rounded.state_dict().values():
            if tensor.is_floating_point():
                coarse = tensor.half().to(tensor.dtype)
                if bool(torch.isfinite(coarse).all()):
                    tensor.copy_(coarse)
    return rounded
