"""The networks of the VAE family: stride-2 convolutions, a normalisation, LeakyReLU.

Kingma and Welling 2014 (arXiv 1312.6114) for the model; the convolutional shapes are the common
teaching ones: each level halves the image until it is 4x4, and the decoder mirrors it.
"""

from __future__ import annotations

import itertools
import math
from typing import Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from latentlab.core.families.vae import SIZES
from latentlab.core.spec import Frozen

BOTTOM = 4
GROUPS = 8
"""Most groups of a group norm."""
LOGVAR_RANGE = (-14.0, 8.0)
"""Where the encoder's log-variance is clamped, so that a hostile image cannot overflow it."""


class VaeConfig(Frozen):
    """Everything that decides the shapes and the likelihood of a VAE.

    Attributes:
        variant: ``vae``, or ``autoencoder`` (no noise, no KL term).
        image_size: height and width: 16, 32, 64, 128 or 256.
        channels: 1 (grey) or 3 (colour).
        latent_dim: D.
        width: channels of the first level; each level doubles them.
        max_width: most channels of a level.
        convolutions: convolutions a level; those after the first keep the size.
        norm: after every convolution: ``batch`` (Ioffe and Szegedy 2015) normalises over the images
            of a process's batch; ``group`` (Wu and He 2018, up to 8 groups) over each image alone,
            so that micro-batches and several processes change nothing; ``none``.
        likelihood: ``gaussian`` or ``l1`` (Laplace) on [-1, 1], or ``bernoulli`` on [0, 1].
        prior: ``standard`` is N(0, 1). ``fitted`` is the Gaussian with the moments of the codes of
            the training images, the one that makes the evidence lower bound largest (Hoffman and
            Johnson 2016, "ELBO surgery"); an autoencoder always has it. Latents are then given in
            its principal axes, where it is N(0, 1) again.
        class_names: classes of a class-conditional model.
        attribute_names: attributes of an attribute-conditional model.
    """

    variant: Literal["vae", "autoencoder"] = "vae"
    image_size: int = 64
    channels: Literal[1, 3] = 3
    latent_dim: int = Field(default=200, ge=1, le=4096)
    width: int = Field(default=32, ge=4, le=512)
    max_width: int = Field(default=256, ge=4, le=1024)
    convolutions: int = Field(default=1, ge=1, le=4)
    norm: Literal["batch", "group", "none"] = "batch"
    likelihood: Literal["gaussian", "bernoulli", "l1"] = "gaussian"
    prior: Literal["standard", "fitted"] = "standard"
    class_names: tuple[str, ...] = Field(default=(), max_length=10_000)
    attribute_names: tuple[str, ...] = Field(default=(), max_length=1_000)

    @field_validator("image_size")
    @classmethod
    def _known_size(cls, value: int) -> int:
        if value not in SIZES:
            raise ValueError(f"image_size must be one of {', '.join(map(str, SIZES))}")
        return value

    @property
    def level_widths(self) -> tuple[int, ...]:
        """Channels after each halving, from the image down to 4x4."""
        levels = (self.image_size // BOTTOM).bit_length() - 1
        return tuple(min(self.width << level, self.max_width) for level in range(levels))

    @property
    def has_fitted_prior(self) -> bool:
        """Whether latents go through the axes of a fitted Gaussian."""
        return self.prior == "fitted" or self.variant == "autoencoder"

    @property
    def condition_dim(self) -> int:
        """Numbers in the condition vector: values, then one flag that they are known; or 0."""
        values = len(self.class_names) + len(self.attribute_names)
        return values + 1 if values else 0


def _norm(kind: str, channels: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(math.gcd(channels, GROUPS), channels)
    return nn.Identity()


class _Layers:
    """Builds the layers of one norm; without a norm, convolutions have a bias of their own."""

    def __init__(self, norm: str) -> None:
        self._norm, self._bias = norm, norm == "none"

    def activation(self, channels: int) -> list[nn.Module]:
        return [_norm(self._norm, channels), nn.LeakyReLU(0.2, inplace=True)]

    def lift(self, source: int, target: int) -> nn.Module:
        return nn.Linear(source, target, bias=self._bias)

    def _same(self, channels: int) -> list[nn.Module]:
        convolution = nn.Conv2d(channels, channels, 3, 1, 1, bias=self._bias)
        return [convolution, *self.activation(channels)]

    def down(self, source: int, target: int, convolutions: int) -> list[nn.Module]:
        layers = [nn.Conv2d(source, target, 4, 2, 1, bias=self._bias), *self.activation(target)]
        for _ in range(convolutions - 1):
            layers += self._same(target)
        return layers

    def up(self, source: int, target: int, convolutions: int) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for _ in range(convolutions - 1):
            layers += self._same(source)
        last = nn.ConvTranspose2d(source, target, 4, 2, 1, bias=self._bias)
        return [*layers, last, *self.activation(target)]


class VaeNetwork(nn.Module):
    """Encoder q(z|x, c), decoder p(x|z, c), the scale of the likelihood, and a fitted prior.

    Args:
        config: the shapes.
        fitted: whether to hold the prior that ``config`` asks for; training does without.
    """

    fitted_at_end = ("prior_mean", "prior_basis")
    """State that comes when training is over."""

    def __init__(self, config: VaeConfig, *, fitted: bool = True) -> None:
        super().__init__()
        self.config = config
        widths = config.level_widths
        extra, count = config.condition_dim, config.convolutions
        bottom = widths[-1] * BOTTOM * BOTTOM
        sources = (config.channels + extra, *widths[:-1])
        build = _Layers(config.norm)
        down = [layer for s, t in zip(sources, widths) for layer in build.down(s, t, count)]
        self.encoder = nn.Sequential(*down, nn.Flatten())
        self.posterior = nn.Linear(bottom, 2 * config.latent_dim)
        self.lift = nn.Sequential(
            build.lift(config.latent_dim + extra, bottom),
            nn.Unflatten(1, (widths[-1], BOTTOM, BOTTOM)),
            *build.activation(widths[-1]),
        )
        reverse = widths[::-1]
        self.decoder = nn.Sequential(
            *[layer for s, t in itertools.pairwise(reverse) for layer in build.up(s, t, count)],
            nn.ConvTranspose2d(reverse[-1], config.channels, 4, 2, 1),
        )
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.prior_mean: Tensor
        self.prior_basis: Tensor
        if config.has_fitted_prior and fitted:
            self.register_buffer("prior_mean", torch.zeros(config.latent_dim))
            self.register_buffer("prior_basis", torch.eye(config.latent_dim))

    def encode(self, images: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of q(z|x, c), each ``(B, D)``.

        Args:
            images: ``(B, C, H, W)`` in [-1, 1].
            condition: ``(B, condition_dim)``, when the model is conditional.
        """
        if condition is not None:
            planes = condition[:, :, None, None].expand(-1, -1, *images.shape[2:])
            images = torch.cat([images, planes.to(images.dtype)], dim=1)
        mean, logvar = self.posterior(self.encoder(images)).float().chunk(2, dim=1)
        return mean, logvar.clamp(*LOGVAR_RANGE)

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the likelihood's raw location ``(B, C, H, W)``: see ``likelihoods.location``."""
        if condition is not None:
            z = torch.cat([z, condition.to(z.dtype)], dim=1)
        return self.decoder(self.lift(z)).float()

    def forward(
        self, images: Tensor, condition: Tensor | None, noise: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return raw decoder output, posterior mean and log-variance, and the log scale.

        Args:
            images: ``(B, C, H, W)`` in [-1, 1].
            condition: ``(B, condition_dim)`` or ``None``.
            noise: ``(B, D)`` standard normal for the reparametrised sample (equation 4 of Kingma
                and Welling); ``None`` decodes the mean.
        """
        mean, logvar = self.encode(images, condition)
        z = mean if noise is None else mean + noise * torch.exp(0.5 * logvar)
        return self.decode(z, condition), mean, logvar, self.log_scale
