"""Couplings of the flow family, and the steps and split priors that are made of them.

Dinh et al. 2017 (arXiv 1605.08803), Kingma and Dhariwal 2018 (arXiv 1807.03039), Ma et al. 2021
(arXiv 2004.11820). See ``flow_layers`` for ``encode`` and ``decode``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from latentlab.backends.nn.flow_layers import (
    ActNorm,
    FlowLayer,
    InvertibleConv1x1,
    Mixing,
    reduce_terms,
)

Activation = Literal["elu", "relu"]
Half = Literal["last", "first", "odd", "even"]
LOG_SCALE_LIMIT = 2.0
"""Bound of a coupling's log scale: what is encoded can be decoded in float32."""
HALVES: dict[int, Sequence[Half]] = {1: ("last",), 2: ("last", "first")}
"""Which channels move in the couplings of a step, by their number; four are two pairs."""


class CouplingNet(nn.Module):
    """What a coupling computes of the channels that it keeps: 3x3, 1x1, 3x3 convolutions.

    The last one starts at zero, so that a new coupling changes nothing.

    Args:
        source: channels that it sees.
        target: channels that it gives.
        hidden: channels between.
        condition_dim: length of the vector that is added, through a linear layer, to every
            position of the middle (Ma et al. 2021, section 3.3); 0 for none.
        kernel: side of the first and last convolution, 3 or 1.
        activation: ``elu`` or ``relu``.
    """

    def __init__(
        self,
        source: int,
        target: int,
        hidden: int,
        condition_dim: int = 0,
        kernel: int = 3,
        activation: Activation = "elu",
    ) -> None:
        super().__init__()
        margin = kernel // 2
        self.enter = nn.Conv2d(source, hidden, kernel, padding=margin)
        self.middle = nn.Conv2d(hidden, hidden, 1, bias=not condition_dim)
        self.condition = nn.Linear(condition_dim, hidden) if condition_dim else None
        self.leave = nn.Conv2d(hidden, target, kernel, padding=margin)
        self._act = functional.elu if activation == "elu" else functional.relu
        nn.init.zeros_(self.leave.weight)
        if self.leave.bias is not None:
            nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """Return ``(B, target, H, W)`` for ``x`` ``(B, source, H, W)``.

        ``h`` is a vector ``(B, D)``, the same at every position, or a map ``(B, D, H, W)``.
        """
        inner = self._act(self.enter(x), inplace=True)
        inner = self.middle(inner)
        if self.condition is not None:
            if h is None:
                raise ValueError("this coupling is conditional: it needs h")
            at = h[:, :, None, None] if h.dim() == 2 else h
            weight = self.condition.weight[:, :, None, None]
            inner = inner + functional.conv2d(at, weight, self.condition.bias)
        found: Tensor = self.leave(self._act(inner, inplace=True))
        return found


class AffineCoupling(FlowLayer):
    """Scales and shifts some channels by what the others say (Dinh et al. 2017, equations 7-8).

    z_moved = x_moved exp(s(x_kept, h)) + t(x_kept, h), with s held within +-2 by a tanh.

    Args:
        channels: C, at least 2.
        hidden: channels of the coupling net.
        condition_dim: length of ``h``; 0 for none.
        half: which channels move: the ``last`` or ``first`` ones, or those of ``odd`` or ``even``
            index.
        moved: how many move, with ``last`` and ``first``; half of them by default.
        context: channels of a map that the net sees beside those kept.
        kernel: see ``CouplingNet``.
        activation: see ``CouplingNet``.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        condition_dim: int = 0,
        *,
        half: Half = "last",
        moved: int | None = None,
        context: int = 0,
        kernel: int = 3,
        activation: Activation = "elu",
    ) -> None:
        super().__init__()
        if half in ("odd", "even") and channels % 2:
            half = "last" if half == "odd" else "first"
        self.moved = channels // 2 if moved is None else moved
        self.kept = channels - self.moved
        self._half: Half = half
        self.net = CouplingNet(
            self.kept + context, 2 * self.moved, hidden, condition_dim, kernel, activation
        )

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the channels that stay and those that move."""
        if self._half == "last":
            return x[:, : self.kept], x[:, self.kept :]
        if self._half == "first":
            return x[:, self.moved :], x[:, : self.moved]
        even, odd = x[:, 0::2], x[:, 1::2]
        return (even, odd) if self._half == "odd" else (odd, even)

    def _join(self, kept: Tensor, moved: Tensor) -> Tensor:
        if self._half == "last":
            return torch.cat([kept, moved], 1)
        if self._half == "first":
            return torch.cat([moved, kept], 1)
        pair = (kept, moved) if self._half == "odd" else (moved, kept)
        return torch.stack(pair, 2).flatten(1, 2)

    def _affine(
        self, kept: Tensor, h: Tensor | None, context: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        seen = kept if context is None else torch.cat([kept, context], 1)
        raw = self.net(seen, h).to(kept.dtype)
        shift, raw_scale = raw[:, : self.moved], raw[:, self.moved :]
        return shift, LOG_SCALE_LIMIT * torch.tanh(raw_scale / LOG_SCALE_LIMIT)

    def encode(
        self,
        x: Tensor,
        h: Tensor | None = None,
        *,
        by_position: bool = False,
        context: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the coupled ``x`` and its log-determinant.

        Args:
            x: ``(B, C, H, W)``.
            h: ``(B, condition_dim)``.
            by_position: give the log-determinant as a map.
            context: ``(B, context, H, W)``.
        """
        kept, moved = self._split(x)
        shift, log_scale = self._affine(kept, h, context)
        z = torch.addcmul(shift, moved, torch.exp(log_scale))
        return self._join(kept, z), reduce_terms(log_scale, by_position)

    def decode(
        self, z: Tensor, h: Tensor | None = None, *, context: Tensor | None = None
    ) -> Tensor:
        """Return what ``encode`` made ``z`` of."""
        kept, moved = self._split(z)
        shift, log_scale = self._affine(kept, h, context)
        return self._join(kept, (moved - shift) * torch.exp(-log_scale))


class FlowStep(FlowLayer):
    """ActNorm, invertible 1x1 convolution, couplings (Kingma and Dhariwal 2018, figure 2a).

    Args:
        channels: C, at least 2.
        hidden: channels of the coupling nets.
        condition_dim: length of ``h``; 0 for none.
        couplings: 1 (Glow: the last half moves), 2 (then the first half too), or 4: after another
            ActNorm also the odd channels, then the even ones (the unit of Ma et al. 2021).
        context: channels of a map that every coupling sees.
        kernel: see ``CouplingNet``.
        activation: see ``CouplingNet``.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        condition_dim: int = 0,
        *,
        couplings: int = 1,
        context: int = 0,
        kernel: int = 3,
        activation: Activation = "elu",
    ) -> None:
        super().__init__()

        def coupling(half: Half) -> AffineCoupling:
            return AffineCoupling(
                channels,
                hidden,
                condition_dim,
                half=half,
                context=context,
                kernel=kernel,
                activation=activation,
            )

        self.mixing = Mixing(channels)
        layers: list[nn.Module] = [coupling(half) for half in HALVES[min(couplings, 2)]]
        if couplings == 4:
            layers += [ActNorm(channels), coupling("odd"), coupling("even")]
        self.layers = nn.ModuleList(layers)

    def encode(
        self,
        x: Tensor,
        h: Tensor | None = None,
        *,
        by_position: bool = False,
        context: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the latent of ``x`` and its log-determinant; see ``AffineCoupling.encode``."""
        z, log_det = self.mixing.encode(x, by_position=by_position)
        for layer in self.layers:
            if isinstance(layer, AffineCoupling):
                z, more = layer.encode(z, h, by_position=by_position, context=context)
            else:
                z, more = layer(z, by_position=by_position)
            log_det = log_det + more
        return z, log_det

    def decode(
        self, z: Tensor, h: Tensor | None = None, *, context: Tensor | None = None
    ) -> Tensor:
        """Return what ``encode`` made ``z`` of."""
        for layer in reversed(self.layers):
            if isinstance(layer, AffineCoupling):
                z = layer.decode(z, h, context=context)
            elif isinstance(layer, FlowLayer):
                z = layer.decode(z)
        return self.mixing.decode(z)

    @torch.no_grad()
    def initialise(
        self, x: Tensor, h: Tensor | None = None, *, context: Tensor | None = None
    ) -> Tensor:
        """Set every ActNorm by ``x``; return what ``encode`` then gives."""
        z = self.mixing.initialise(x)
        for layer in self.layers:
            if isinstance(layer, AffineCoupling):
                z = layer.encode(z, h, context=context)[0]
            elif isinstance(layer, ActNorm):
                z = layer.initialise(z)
        return z


class SplitPrior(FlowLayer):
    """Makes the channels that are split off standard normal given those that stay.

    A 1x1 convolution, an affine map of the last ``moved`` channels by all others (the conditional
    Gaussian of Kingma and Dhariwal 2018, section 2), and an ActNorm on them.

    Args:
        channels: C.
        moved: channels that are split off: the last ones of what ``encode`` gives.
        hidden: channels of the coupling net.
        condition_dim: length of ``h``; 0 for none.
        activation: see ``CouplingNet``.
    """

    def __init__(
        self,
        channels: int,
        moved: int,
        hidden: int,
        condition_dim: int = 0,
        activation: Activation = "elu",
    ) -> None:
        super().__init__()
        self.kept = channels - moved
        self.conv = InvertibleConv1x1(channels)
        self.coupling = AffineCoupling(
            channels, hidden, condition_dim, moved=moved, activation=activation
        )
        self.norm = ActNorm(moved)

    def encode(
        self, x: Tensor, h: Tensor | None = None, *, by_position: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return ``x`` with its last channels made standard normal, and its log-determinant."""
        z, first = self.conv.encode(x, by_position=by_position)
        z, second = self.coupling.encode(z, h, by_position=by_position)
        moved, third = self.norm.encode(z[:, self.kept :], by_position=by_position)
        return torch.cat([z[:, : self.kept], moved], 1), first + second + third

    def decode(self, z: Tensor, h: Tensor | None = None) -> Tensor:
        """Return what ``encode`` made ``z`` of."""
        moved = self.norm.decode(z[:, self.kept :])
        joined = torch.cat([z[:, : self.kept], moved], 1)
        return self.conv.decode(self.coupling.decode(joined, h))

    @torch.no_grad()
    def initialise(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """Set the ActNorm by ``x``; return what ``encode`` then gives."""
        z = self.coupling.encode(self.conv.encode(x)[0], h)[0]
        return torch.cat([z[:, : self.kept], self.norm.initialise(z[:, self.kept :])], 1)
