"""The moving average of the weights that a run keeps."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def decay_at(decay: float, updates: int) -> float:
    """Return the decay of update number ``updates`` (from 0).

    It begins low, min(decay, (1 + n) / (10 + n)), so that a short run is not an average of its
    first, useless weights (the rule of TensorFlow's ``ExponentialMovingAverage``).
    """
    return min(decay, (1 + updates) / (10 + updates))


class WeightAverage:
    """An exponential moving average of a network, its running statistics included.

    Batch norm's running mean and variance are averaged like weights, so that they belong to the
    averaged network; whole-number buffers (batch counters) are copied.

    Args:
        network: where the average starts.
        decay: 0 to 1, 1 excluded.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._average = AveragedModel(
            network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True
        )
        self._average.requires_grad_(False)
        self._average.eval()

    @property
    def network(self) -> nn.Module:
        """The averaged network, in evaluation mode."""
        module: nn.Module = self._average.module
        return module

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take the weights after a step into the average."""
        # The first update of AveragedModel copies; ours starts from the initial weights instead.
        self._average.n_averaged.fill_(1)
        self._average.multi_avg_fn = get_ema_multi_avg_fn(decay_at(self.decay, self.updates))
        self._average.update_parameters(network)
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            if not mine.is_floating_point():
                mine.copy_(theirs)
        self.updates += 1

    def load(self, state: Mapping[str, Tensor], updates: int) -> None:
        """Take up an average that was saved after so many updates."""
        self.network.load_state_dict(state)
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
