"""The one interface behind which every family stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from latentlab.core.latents import Condition
from latentlab.core.spec import ModelSpec

Parts = Mapping[str, Tensor]
"""Latents on a device: tensors ``(B, *part shape)`` by part name."""


@dataclass(frozen=True)
class EncodeUpdate:
    """One turn of ``encode``; the last one is complete.

    Attributes:
        index: turns done, counted from 1.
        count: turns in all.
        latents: parts ``(B, ...)``, the best so far.
        condition: what the image was read to be conditioned on, if anything.
        reconstruction: decoded images ``(B, C, H, W)`` in [-1, 1]; ``None`` where
            ``options["reconstruct"]`` is false and they were not needed.
        residual: mean squared error per image, ``(B,)``, on the [-1, 1] scale; ``None`` likewise.
        options: of ``decode`` that lead from ``latents`` back to the images; a picture of them
            keeps these.
    """

    index: int
    count: int
    latents: Parts
    condition: Condition | None
    reconstruction: Tensor | None
    residual: Tensor | None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LogProb:
    """A log-density in nats.

    Attributes:
        nats: ``(B,)``.
        bits_per_dim: ``(B,)``, of the 8-bit image: -nats / (ln 2 * C * H * W) where the density is
            over 8-bit levels.
        bound: true when it is a lower bound, false when it is exact.
    """

    nats: Tensor
    bits_per_dim: Tensor
    bound: bool


@dataclass(frozen=True)
class LogProbMap:
    """A log-density in nats, by where in the image its terms belong.

    Attributes:
        nats: ``(B, H, W)``, summed over channels.
        rest: ``(B,)``: what belongs to no place (the KL term of a latent without one). The map's
            sum and this are ``LogProb.nats`` of the same draws.
    """

    nats: Tensor
    rest: Tensor


@dataclass(frozen=True)
class Step:
    """One step of a model that makes its images in many.

    Attributes:
        index: steps done with this one, counted from 1, in the whole run.
        count: steps of the whole run.
        preview: images ``(B, C, H, W)`` in [-1, 1]: what the result is expected to be.
        state: after this step: all that is needed to go on or branch from here, a multistep
            solver's history too. It holds tensors and stays in its process.
        result: images ``(B, C, H, W)`` in [-1, 1] with the last step, else ``None``.
    """

    index: int
    count: int
    preview: Tensor
    state: Any
    result: Tensor | None


@dataclass(frozen=True)
class DiffusionStep(Step):
    """One evaluation of a diffusion model's network, and the solver's step by it.

    ``preview`` is the predicted image, held within [-1, 1].

    Attributes:
        t: time that the network was told, 0 to T - 1; solvers may ask between whole times.
        sigma: noise over signal at this time.
        x_t: ``(B, C, H, W)`` before the step, at variance 1 whatever the solver's own scaling.
        x0: ``(B, C, H, W)``: the predicted image after guidance, not clipped.
        eps: ``(B, C, H, W)``: the predicted noise, so that x_t = (x0 + sigma eps) / sqrt(1 +
            sigma^2).
        scaling: of the solver's own state: variance ``preserving`` or ``exploding``.
    """

    t: float
    sigma: float
    x_t: Tensor
    x0: Tensor
    eps: Tensor
    scaling: Literal["preserving", "exploding"]


@runtime_checkable
class Backend(Protocol):
    """A model. Images are float32 ``(B, C, H, W)`` in [-1, 1]; the batch axis comes first."""

    spec: ModelSpec

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        ...

    def to(self, device: torch.device) -> None:
        """Move the weights."""
        ...

    def sample_prior(self, space: str, seeds: Sequence[int], temperature: float = 1.0) -> Parts:
        """Draw one latent for each seed; row i depends on ``seeds[i]`` alone.

        Args:
            space: name of a space of the spec.
            seeds: 0 to 2**63 - 1 each.
            temperature: factor on the prior's standard deviation.
        """
        ...

    def decode(
        self,
        latents: Parts,
        *,
        space: str | None = None,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Return images ``(B, C, H, W)`` in [-1, 1] for latents of ``space`` (or the first)."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """Image to latent; ``spec.encode_kind`` says how."""

    def encode(
        self,
        images: Tensor,
        *,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Iterator[EncodeUpdate]:
        """Yield ever better latents for ``images`` ``(B, C, H, W)`` in [-1, 1].

        Every encoder takes ``options["reconstruct"]``: false says that only the latents are wanted,
        as for a whole data set, so that no decoder need run. It changes no latent.

        An exact encoder of several parts takes ``options["hold"]``, tensors ``(B, *shape)`` by part
        name: these stay as they are, and the other parts are found so that all together decode to
        ``images``, which may then lie outside [-1, 1].
        """
        ...


@runtime_checkable
class StepsToImage(Protocol):
    """Decoding in steps that can be watched, left and taken up again; ``decode`` does the same."""

    def steps(
        self,
        latents: Parts,
        *,
        space: str | None = None,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
        start: Any = None,
    ) -> Iterator[Step]:
        """Yield every step of decoding ``latents``.

        Args:
            latents: of ``space``, or the first.
            space: name of a space of the spec.
            condition: of the whole run.
            options: of ``decode``.
            start: the ``state`` of a step of a run with the same latents: the steps after it
                follow, equal to the bit where condition and options are the same. With others it
                is a branch: of a diffusion model, ``options["branch"]`` has one more part than the
                run that the state is of.
        """
        ...


@runtime_checkable
class ScoresLogProb(Protocol):
    """Density of images."""

    def log_prob(
        self,
        images: Tensor,
        *,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> LogProb:
        """Return the log-density of ``images`` ``(B, C, H, W)`` in [-1, 1].

        ``options``: ``samples`` draws for each image; ``seed`` of the draws; ``first`` (default 0),
        the number of the first, so that many can be taken some at a time. Others are the family's.
        """
        ...


@runtime_checkable
class MapsLogProb(Protocol):
    """Density of images, by place."""

    def log_prob_map(
        self,
        images: Tensor,
        *,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> LogProbMap:
        """Return where the log-density of ``images`` ``(B, C, H, W)`` in [-1, 1] comes from."""
        ...


@runtime_checkable
class DecodesWithGradient(Protocol):
    """Decoding through which a loss on images reaches the latents."""

    def decode_with_gradient(
        self, latents: Parts, *, space: str | None = None, condition: Condition | None = None
    ) -> Tensor:
        """Return what ``decode`` does, ``(B, C, H, W)``, with its gradient by ``latents``."""
        ...
