"""Invertible layers of the flow family; each works on any ``(B, C, H, W)``, also ``(B, 2, 1, 1)``.

Dinh et al. 2017 (arXiv 1605.08803), Kingma and Dhariwal 2018 (arXiv 1807.03039), Ma et al. 2021
(arXiv 2004.11820). ``encode`` goes from image to latent and gives the logarithm of the absolute
Jacobian determinant beside it, ``(B,)`` in nats, or with ``by_position`` as a map ``(B, H, W)``
that sums to it; ``decode`` is its inverse.
"""

# ruff: noqa: ARG002 (every layer takes h, so that they can stand in one list)

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SMALLEST_DEVIATION = 1e-4
"""Of a channel that ActNorm is initialised on; a channel that never varies stays finite."""

Matrices = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def reduce_terms(values: Tensor, by_position: bool) -> Tensor:
    """Return terms ``(B, C, H, W)`` summed by row ``(B,)``, or by position ``(B, H, W)``."""
    return values.sum(1) if by_position else values.sum((1, 2, 3))


def _constant(value: Tensor, like: Tensor, by_position: bool) -> Tensor:
    """Return a term that every position of ``like`` has."""
    batch, _, height, width = like.shape
    if by_position:
        return value.expand(batch, height, width)
    return (value * (height * width)).expand(batch)


def standard_terms(latents: Tensor, by_position: bool = False) -> Tensor:
    """Return log N(0, 1) of ``(B, C, H, W)``: by row ``(B,)`` or by position ``(B, H, W)``."""
    return reduce_terms(-0.5 * (latents.square() + math.log(2 * math.pi)), by_position)


def squeeze(x: Tensor) -> Tensor:
    """Return 2x2 pixels as channels: ``(B, 4 C, H / 2, W / 2)`` (Dinh et al. 2017, 3.6)."""
    if not len(x):
        # Left as it is by torch.
        return x.reshape(0, 4 * x.shape[1], x.shape[2] // 2, x.shape[3] // 2)
    return functional.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)


def unsqueeze(x: Tensor) -> Tensor:
    """Return what ``squeeze`` made ``x`` ``(B, C, H, W)`` of."""
    if not len(x):
        return x.reshape(0, x.shape[1] // 4, x.shape[2] * 2, x.shape[3] * 2)
    return functional.pixel_shuffle(x, 2)


class FlowLayer(nn.Module):
    """An invertible layer. Calling it encodes."""

    def encode(
        self, x: Tensor, h: Tensor | None = None, *, by_position: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the latent of ``x`` ``(B, C, H, W)`` and its log-determinant."""
        raise NotImplementedError

    def decode(self, z: Tensor, h: Tensor | None = None) -> Tensor:
        """Return what ``encode`` made ``z`` of."""
        raise NotImplementedError

    def initialise(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """Set what depends on data from a first batch; return what ``encode`` then gives."""
        return self.encode(x, h)[0]

    def forward(
        self, x: Tensor, h: Tensor | None = None, *, by_position: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return what ``encode`` returns."""
        return self.encode(x, h, by_position=by_position)


class _Held(FlowLayer):
    """A layer that keeps what follows from its weights, while they rest, outside training."""

    def __init__(self) -> None:
        super().__init__()
        self._held: tuple[Any, Matrices] | None = None

    def train(self, mode: bool = True) -> _Held:
        self._held = None
        super().train(mode)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> _Held:
        self._held = None
        super()._apply(fn, recurse)
        return self

    def _hold(self, make: Callable[[], Matrices]) -> Matrices:
        parameters = list(self.parameters())
        learns = torch.is_grad_enabled() and any(p.requires_grad for p in parameters)
        if self.training or learns or any(p.is_inference() for p in parameters):
            # The log-determinant is that of the weights as they are: none may be rounded.
            with torch.autocast(parameters[0].device.type, enabled=False):
                return make()
        key = tuple((p.data_ptr(), p._version) for p in parameters)
        if self._held is None or self._held[0] != key:
            # Tensors of inference mode could never be part of a gradient.
            with torch.inference_mode(False), torch.no_grad():
                self._held = key, make()
        return self._held[1]


class ActNorm(FlowLayer):
    """A scale and a shift a channel: (x + bias) exp(log_scale) (Kingma and Dhariwal 2018).

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))

    def encode(
        self, x: Tensor, h: Tensor | None = None, *, by_position: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the normalised ``x`` and its log-determinant; ``h`` is not used."""
        scale = torch.exp(self.log_scale)[:, None, None]
        z = (x + self.bias[:, None, None]) * scale
        return z, _constant(self.log_scale.sum(), x, by_position)

    def decode(self, z: Tensor, h: Tensor | None = None) -> Tensor:
        """Return what ``encode`` made ``z`` of."""
        return z * torch.exp(-self.log_scale)[:, None, None] - self.bias[:, None, None]

    @torch.no_grad()
    def initialise(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """Give every channel of ``x`` mean 0 and standard deviation 1 (section 3.1)."""
        deviation, mean = torch.std_mean(x, (0, 2, 3), correction=0)
        self.bias.copy_(-mean)
        self.log_scale.copy_(-torch.log(deviation.clamp_min(SMALLEST_DEVIATION)))
        return self.encode(x)[0]


class InvertibleConv1x1(_Held):
    """An invertible 1x1 convolution W = P L (U + diag(s)) (Kingma and Dhariwal 2018, section 3.2).

    P is fixed; L is lower triangular with a unit diagonal, U strictly upper triangular, and the
    sign of s is fixed, so that log|det W| is a sum. It begins as a random rotation.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.permutation: Tensor
        self.sign: Tensor
        self.register_buffer("permutation", torch.arange(channels))
        self.register_buffer("sign", torch.ones(channels))
        self.lower = nn.Parameter(torch.zeros(channels, channels))
        self.upper = nn.Parameter(torch.zeros(channels, channels))
        self.log_diagonal = nn.Parameter(torch.zeros(channels))
        if not self.lower.is_meta:
            self._rotate()

    @torch.no_grad()
    def _rotate(self) -> None:
        rotation = nn.init.orthogonal_(torch.empty_like(self.lower))
        pivots, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.permutation.copy_(pivots.argmax(1))
        self.sign.copy_(diagonal.sign())
        self.log_diagonal.copy_(diagonal.abs().log())
        self.lower.copy_(lower.tril(-1))
        self.upper.copy_(upper.triu(1))

    def is_sound(self) -> bool:
        """Whether the fixed part, which a file may hold too, is a permutation and signs."""
        places = torch.arange(len(self.permutation), device=self.permutation.device)
        sorted_places = self.permutation.sort().values
        return torch.equal(sorted_places, places) and bool((self.sign.abs() == 1).all())

    def _triangles(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        diagonal = self.sign.to(dtype) * torch.exp(self.log_diagonal.to(dtype))
        unit = torch.eye(len(diagonal), dtype=dtype, device=diagonal.device)
        lower = self.lower.to(dtype).tril(-1) + unit
        return lower, self.upper.to(dtype).triu(1) + torch.diag(diagonal)

    def weight(self, dtype: torch.dtype | None = None) -> Tensor:
        """Return W ``(C, C)``, by default in the type of the parameters."""
        lower, upper = self._triangles(dtype or self.lower.dtype)
        return (lower @ upper)[self.permutation]

    def inverse(self) -> Tensor:
        """Return the inverse of W ``(C, C)`` in float64."""
        lower, upper = self._triangles(torch.float64)
        unit = torch.eye(len(lower), dtype=torch.float64, device=lower.device)
        half = torch.linalg.solve_triangular(lower, unit, upper=False, unitriangular=True)
        whole = torch.linalg.solve_triangular(upper, half, upper=True)
        return whole[:, self.permutation]

    def _matrices(self) -> Matrices:
        nothing = torch.zeros_like(self.log_diagonal)
        back = nothing if self.training else self.inverse().to(self.lower.dtype)
        return self.weight(), nothing, back, nothing, self.log_diagonal.sum()

    def encode(
        self, x: Tensor, h: Tensor | None = None, *, by_position: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return W x at every position and its log-determinant; ``h`` is not used."""
        weight, bias, _, _, log_det = self._hold(self._matrices)
        return _mix(x, weight, bias), _constant(log_det, x, by_position)

    def decode(self, z: Tensor, h: Tensor | None = None) -> Tensor:
        """Return what ``encode`` made ``z`` of; the inverse is kept outside training."""
        back = self.inverse().to(z.dtype) if self.training else self._hold(self._matrices)[2]
        return _mix(z, back, None)


def _mix(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return weight x + bias at every position, in full precision whatever surrounds it."""
    with torch.autocast(x.device.type, enabled=False):
        return functional.conv2d(x, weight[:, :, None, None], bias)


class Mixing(_Held):
    """ActNorm followed by an invertible 1x1 convolution, done as one convolution.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ActNorm(channels)
        self.conv = InvertibleConv1x1(channels)

    def _matrices(self) -> Matrices:
        kind = self.norm.bias.dtype
        # Outside training there is time for float64, and float32 then decodes what it encoded.
        exact = kind if self.training else torch.float64
        shift, log_scale = self.norm.bias.to(exact), self.norm.log_scale.to(exact)
        weight = self.conv.weight(exact) * torch.exp(log_scale)
        log_det = log_scale.sum() + self.conv.log_diagonal.to(exact).sum()
        ways = [weight, weight @ shift, weight, shift, log_det]
        if not self.training:
            ways[2] = torch.exp(-log_scale)[:, None] * self.conv.inverse()
            ways[3] = -shift
        first, second, third, fourth, fifth = (way.to(kind) for way in ways)
        return first, second, third, fourth, fifth

    def encode(
        self, x: Tensor, h: Tensor | None = None, *, by_position: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the normalised and mixed ``x`` and its log-determinant; ``h`` is not used."""
        weight, bias, _, _, log_det = self._hold(self._matrices)
        return _mix(x, weight, bias), _constant(log_det, x, by_position)

    def decode(self, z: Tensor, h: Tensor | None = None) -> Tensor:
        """Return what ``encode`` made ``z`` of."""
        if self.training:
            return self.norm.decode(self.conv.decode(z))
        _, _, weight, bias, _ = self._hold(self._matrices)
        return _mix(z, weight, bias)

    def initialise(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """Set the ActNorm by ``x``; return what ``encode`` then gives."""
        self.norm.initialise(x)
        return self.encode(x)[0]
