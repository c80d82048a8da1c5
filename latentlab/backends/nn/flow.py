"""The network of the flow family: a multi-scale flow, plain or conditioned on an encoded z.

Dinh et al. 2017 (arXiv 1605.08803), Kingma and Dhariwal 2018 (arXiv 1807.03039); decoupled: Ma et
al. 2021, "Decoupling Global and Local Representations via Invertible Generative Flows" (arXiv
2004.11820). Inside, an image is ``y`` in [-0.5, 0.5]: of level k of 2^bits it is any number of the
bin [k, k + 1) / 2^bits - 0.5.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from latentlab.backends.nn.flow_config import FlowConfig
from latentlab.backends.nn.flow_couplings import FlowStep
from latentlab.backends.nn.flow_encoder import GlobalEncoder
from latentlab.backends.nn.flow_layers import reduce_terms, squeeze, standard_terms, unsqueeze
from latentlab.backends.nn.flow_scales import MultiScaleFlow, spread

__all__ = [
    "FlowConfig",
    "FlowNetwork",
    "bin_position",
    "from_centre",
    "levels_of",
    "local_terms",
    "to_centre",
]


def to_centre(images: Tensor, bits: int) -> Tensor:
    """Return y of images ``(B, C, H, W)`` in [-1, 1], at the centre of their bin.

    The level is a real number, (x + 1) / 2 (2^bits - 1), so that ``from_centre`` undoes it exactly.
    """
    top = 2.0**bits
    return (images + 1) * ((top - 1) / (2 * top)) + (0.5 / top - 0.5)


def from_centre(y: Tensor, bits: int) -> Tensor:
    """Return images ``(B, C, H, W)`` of y, not clamped: the inverse of ``to_centre``."""
    top = 2.0**bits
    return (y - (0.5 / top - 0.5)) * (2 * top / (top - 1)) - 1


def levels_of(images: Tensor, bits: int) -> Tensor:
    """Return the level 0 .. 2^bits - 1 of images in [-1, 1], as whole floating-point numbers.

    The 8-bit level is rounded to, its lower bits are dropped (Kingma and Dhariwal 2018).
    """
    eight = ((images + 1) * 127.5).round().clamp(0, 255)
    return torch.floor(eight / 2 ** (8 - bits))


def bin_position(levels: Tensor, u: Tensor, bits: int) -> Tensor:
    """Return y for levels and a place u in [0, 1) within their bins."""
    return (levels + u) / 2**bits - 0.5


def local_terms(parts: list[Tensor], size: int, by_position: bool = False) -> Tensor:
    """Return log N(0, 1) of the local parts in nats: ``(B,)``, or ``(B, size, size)`` by pixel."""
    terms = [standard_terms(part, by_position) for part in parts]
    return torch.stack([spread(t, size) for t in terms] if by_position else terms).sum(0)


def _steps(modules: nn.ModuleList) -> list[FlowStep]:
    """Return the steps of a list of them."""
    return cast(list[FlowStep], list(modules))


class GlobalPrior(nn.Module):
    """A flow between z and the standard normal global part (the prior of Ma et al. 2021).

    Args:
        config: the shapes.
    """

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        steps = [
            FlowStep(config.global_dim, config.prior_hidden, couplings=4, kernel=1)
            for _ in range(config.prior_steps)
        ]
        self.steps = nn.ModuleList(steps)

    def encode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the global part ``(B, D)`` of z, and the log-determinant ``(B,)``."""
        x, total = z[:, :, None, None], z.new_zeros(len(z))
        for step in _steps(self.steps):
            x, log_det = step.encode(x)
            total = total + log_det
        return x[:, :, 0, 0], total

    def decode(self, part: Tensor) -> Tensor:
        """Return z ``(B, D)`` of a global part."""
        x = part[:, :, None, None]
        for step in reversed(_steps(self.steps)):
            x = step.decode(x)
        return x[:, :, 0, 0]

    def initialise(self, z: Tensor) -> None:
        """Set every ActNorm by a first batch."""
        x = z[:, :, None, None]
        for step in _steps(self.steps):
            x = step.initialise(x)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return what ``encode`` returns."""
        return self.encode(z)


class Dequantiser(nn.Module):
    """q(u|x): noise within the bins, made of standard noise by a flow that sees the image.

    Variational dequantisation (Ho et al. 2019, "Flow++", arXiv 1902.00275, section 3.1).

    Args:
        config: the shapes.
    """

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        channels, hidden = 4 * config.channels, config.dequantiser_hidden
        self.look = nn.Conv2d(channels, hidden, 3, padding=1)
        steps = [
            FlowStep(channels, hidden, couplings=2, context=hidden, activation=config.activation)
            for _ in range(config.dequantiser_steps)
        ]
        self.steps = nn.ModuleList(steps)

    def _context(self, y: Tensor) -> Tensor:
        return functional.elu(self.look(squeeze(2 * y)).to(y.dtype))

    def forward(
        self, y: Tensor, noise: Tensor, *, by_position: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return u ``(B, C, H, W)`` in (0, 1) and log q(u|x), ``(B,)`` or ``(B, H, W)``.

        Args:
            y: the image at the centres of its bins.
            noise: standard normal, of the shape of ``y``.
            by_position: give log q by pixel.
        """
        size, context = y.shape[-1], self._context(y)
        terms = [standard_terms(noise, by_position)]
        x = squeeze(noise)
        for step in _steps(self.steps):
            x, log_det = step.encode(x, by_position=by_position, context=context)
            terms.append(-(spread(log_det, size) if by_position else log_det))
        raw = unsqueeze(x)
        slope = functional.logsigmoid(raw) + functional.logsigmoid(-raw)
        terms.append(-reduce_terms(slope, by_position))
        return torch.sigmoid(raw), torch.stack(terms).sum(0)

    def initialise(self, y: Tensor, noise: Tensor) -> None:
        """Set every ActNorm by a first batch."""
        x, context = squeeze(noise), self._context(y)
        for step in _steps(self.steps):
            x = step.initialise(x, context=context)


class FlowNetwork(nn.Module):
    """A flow; with ``global_dim`` also q(z|x), whose z conditions every coupling.

    Training calls ``flow``, ``encoder``, ``prior`` and ``dequantiser`` as modules; each encodes.

    Args:
        config: the shapes.

    Attributes:
        flow: y and h to local parts and log-determinant.
        encoder: y to mean and log-variance of z; ``None`` in a plain flow.
        prior: z to the standard normal global part; ``None`` where z is that itself.
        dequantiser: y and noise to u and log q(u|x); ``None`` where u is uniform.
    """

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        self.flow = MultiScaleFlow(config)
        self.encoder: GlobalEncoder | None = None
        self.prior: GlobalPrior | None = None
        self.dequantiser: Dequantiser | None = None
        if config.global_dim:
            self.encoder = GlobalEncoder(
                config.channels,
                config.image_size,
                config.encoder,
                config.encoder_blocks,
                config.encoder_planes,
                config.global_dim,
                config.encoder_norm,
            )
            if config.global_prior == "flow":
                self.prior = GlobalPrior(config)
        if config.dequantisation == "variational":
            self.dequantiser = Dequantiser(config)

    def encode(
        self, y: Tensor, h: Tensor | None = None, *, by_position: bool = False
    ) -> tuple[list[Tensor], Tensor]:
        """Return the local parts of ``y`` and the log-determinant; see ``MultiScaleFlow.encode``.

        log p(y|h) is ``local_terms`` of the parts plus the log-determinant.
        """
        return self.flow.encode(y, h, by_position=by_position)

    def decode(self, parts: list[Tensor], h: Tensor | None = None) -> Tensor:
        """Return ``y`` ``(B, C, H, W)`` of local parts, the finest first."""
        return self.flow.decode(parts, h)

    def posterior(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of q(z|x), each ``(B, D)``; y is at the bins' centres."""
        if self.encoder is None:
            raise ValueError("a plain flow has no global part")
        mean, logvar = self.encoder(y)
        return mean, logvar

    def part_of(self, z: Tensor) -> Tensor:
        """Return the standard normal global part ``(B, D)`` of z."""
        part: Tensor = z if self.prior is None else self.prior.encode(z)[0]
        return part

    def z_of(self, part: Tensor) -> Tensor:
        """Return z ``(B, D)``, which the couplings see, of a global part."""
        return part if self.prior is None else self.prior.decode(part)

    @torch.no_grad()
    def initialise(self, y: Tensor, h: Tensor | None = None, noise: Tensor | None = None) -> None:
        """Set every ActNorm by a first batch (Kingma and Dhariwal 2018, section 3.1).

        Args:
            y: dequantised images.
            h: z of them, of a decoupled flow.
            noise: standard normal, of the shape of ``y``, where there is a ``dequantiser``.
        """
        self.flow.initialise(y, h)
        if self.prior is not None and h is not None:
            self.prior.initialise(h)
        if self.dequantiser is not None and noise is not None:
            self.dequantiser.initialise(y, noise)

    def forward(self, y: Tensor, h: Tensor | None = None) -> tuple[list[Tensor], Tensor]:
        """Return what ``encode`` returns."""
        return self.encode(y, h)
