"""The flow family: plain, with an exact density, or decoupled into a global and local parts.

Dinh et al. 2017 (arXiv 1605.08803), Kingma and Dhariwal 2018 (arXiv 1807.03039), Ma et al. 2021
(arXiv 2004.11820). A model has one space, ``latent``: the part ``global`` ``(D,)`` of a decoupled
flow, and ``local_1`` .. ``local_S``, one a scale, the finest first, as many numbers as the image
has. Every part is N(0, 1) under the prior. See ``flow_score`` for densities.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from latentlab.backends.base import EncodeUpdate, LogProb, LogProbMap, Parts
from latentlab.backends.conditions import condition_vector
from latentlab.backends.flow_score import Draws, log_weights
from latentlab.backends.images import to_levels
from latentlab.backends.importance import row_seed, weighted_bound, weighted_map
from latentlab.backends.nn.flow import FlowConfig, FlowNetwork, from_centre, to_centre
from latentlab.backends.nn.flow_layers import InvertibleConv1x1
from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition
from latentlab.core.noise import noise_rows
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec

SPACE = "latent"
GLOBAL = "global"
MOST_SAMPLES = 10_000
"""Draws of one density."""


def local_name(scale: int) -> str:
    """Return the name of a local part; scales count from 1, the finest."""
    return f"local_{scale}"


def flow_spec(config: FlowConfig, **identity: Any) -> ModelSpec:
    """Return the spec that a configuration implies; ``identity`` adds id, title, provenance."""
    parts = [PartSpec(name=GLOBAL, shape=(config.global_dim,))] if config.global_dim else []
    for scale, shape in enumerate(config.local_shapes, 1):
        parts.append(PartSpec(name=local_name(scale), shape=shape))
    return ModelSpec(
        family="flow",
        image_shape=(config.channels, config.image_size, config.image_size),
        spaces=(LatentSpace(name=SPACE, parts=tuple(parts)),),
        capabilities=("sample", "decode", "encode", "log_prob"),
        encode_kind="exact",
        **identity,
    )


class FlowBackend:
    """A normalizing flow behind the common interface.

    Args:
        config: shapes, data and dequantisation.
        spec: identity, provenance and quality.
        network: weights; made anew (random) when not given.
        directions: edits that come with the model.
    """

    trainer = "latentlab.training.families.flow:FlowTrainer"

    def __init__(
        self,
        config: FlowConfig,
        spec: ModelSpec,
        network: FlowNetwork | None = None,
        directions: Mapping[str, Direction] | None = None,
    ) -> None:
        self.config = config
        self.spec = spec
        self.directions = dict(directions or {})
        self.network = network or FlowNetwork(config)
        self.network.eval().requires_grad_(False)
        convolutions = [m for m in self.network.modules() if isinstance(m, InvertibleConv1x1)]
        if not all(convolution.is_sound() for convolution in convolutions):
            raise LatentLabError(
                f"The weights of '{spec.id}' cannot be inverted: train or download the model again."
            )
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._locals = [local_name(scale) for scale in range(1, config.levels + 1)]

    @classmethod
    def parse_config(cls, values: Mapping[str, Any]) -> FlowConfig:
        """Validate a configuration read from a file (pydantic's ``ValidationError`` if wrong)."""
        return FlowConfig.model_validate(dict(values))

    @classmethod
    def implied_spec(cls, config: FlowConfig) -> ModelSpec:
        """Return the spec that a configuration implies, without an identity of its own."""
        return flow_spec(config, id="")

    @classmethod
    def build_network(cls, config: FlowConfig) -> FlowNetwork:
        """Return an untrained network; on the meta device it takes no memory."""
        return FlowNetwork(config)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, in which everything is computed."""
        return next(self.network.parameters()).dtype

    def to(self, device: torch.device) -> None:
        """Move the weights."""
        self.network.to(device)

    def _here(self, values: Tensor) -> Tensor:
        return values.to(self.device, self.dtype)

    def sample_prior(self, space: str, seeds: Sequence[int], temperature: float = 1.0) -> Parts:
        """Draw every part ``(len(seeds), ...)`` from N(0, temperature^2).

        Below 1 the images are smoother and likelier (Kingma and Dhariwal 2018, section 6).
        """
        drawn = {}
        for part in self.spec.space(space).parts:
            shape = [int(length or 1) for length in part.shape]
            rows = torch.from_numpy(noise_rows(seeds, f"prior.{part.name}", shape))
            drawn[part.name] = rows.to(self.device) * temperature
        return drawn

    @torch.inference_mode()
    def decode(
        self,
        latents: Parts,
        *,
        space: str | None = None,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Return images ``(B, C, H, W)`` in [-1, 1].

        ``options["clamp"]``, if false, asks for what the flow gives, which may lie outside
        [-1, 1] and is what ``encode`` inverts; otherwise it is cut to [-1, 1], and what overflowed
        is grey.
        """
        asked = {"clamp": True, **(options or {})}
        if unknown := sorted(asked.keys() - {"clamp"}):
            raise LatentLabError(f"A flow has no decoding option '{unknown[0]}'.")
        images = self._images(latents, space, condition)
        return images.nan_to_num(0.0, 1.0, -1.0).clamp(-1, 1) if asked["clamp"] else images

    def decode_with_gradient(
        self, latents: Parts, *, space: str | None = None, condition: Condition | None = None
    ) -> Tensor:
        """Return what ``decode`` does, with its gradient by the latents."""
        return self._images(latents, space, condition).clamp(-1, 1)

    def _images(self, latents: Parts, space: str | None, condition: Condition | None) -> Tensor:
        self.spec.space(space)
        condition_vector(self.config, condition, 1)
        h = self._h(latents)
        y = self.network.decode([self._here(latents[name]) for name in self._locals], h)
        return from_centre(y, self.config.bits)

    def _h(self, latents: Parts) -> Tensor | None:
        """Return z, which the couplings see, of latents."""
        if not self.config.global_dim:
            return None
        return self.network.z_of(self._here(latents[GLOBAL]))

    @torch.inference_mode()
    def encode(
        self,
        images: Tensor,
        *,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Iterator[EncodeUpdate]:
        """Yield once: the latents that ``decode`` makes ``images`` ``(B, C, H, W)`` of again.

        The global part is that of the mean of q(z|x), the local parts are what the flow, given it,
        inverts exactly; nothing is drawn. Images may lie outside [-1, 1].

        ``options["hold"]`` are parts ``(B, ...)`` that are given: with ``global`` held, the local
        parts are those from which that global part makes the images; a local part that is held
        stands in the place of the image's own. ``options["reconstruct"]``, if false, leaves the
        decoder out.
        """
        asked = dict(options or {})
        images = self._here(images)
        condition_vector(self.config, condition, len(images))
        latents = self._encode(images, self._held(asked.get("hold"), len(images)))
        if not asked.get("reconstruct", True):
            yield EncodeUpdate(1, 1, latents, condition, None, None)
            return
        reconstruction = self.decode(latents)
        residual = (reconstruction - images).square().flatten(1).mean(1)
        yield EncodeUpdate(1, 1, latents, condition, reconstruction, residual)

    def _held(self, given: Parts | None, batch: int) -> dict[str, Tensor]:
        space = self.spec.space(SPACE)
        held = {}
        for name, value in (given or {}).items():
            if name not in {part.name for part in space.parts}:
                raise LatentLabError(f"There is no part '{name}' to hold in this model.")
            if tuple(value.shape) != (batch, *space.part(name).shape):
                raise LatentLabError(f"The held part '{name}' does not fit the images.")
            held[name] = self._here(value)
        return held

    def _encode(self, images: Tensor, held: Mapping[str, Tensor]) -> dict[str, Tensor]:
        y = to_centre(images, self.config.bits)
        latents: dict[str, Tensor] = {}
        h = None
        if self.config.global_dim:
            part = held.get(GLOBAL)
            if part is None:
                h = self.network.posterior(y)[0]
                part = self.network.part_of(h)
            # Through the part, as when it is decoded: then the way back is the same to the bit.
            h = self.network.z_of(part)
            latents[GLOBAL] = part
        own = dict(zip(self._locals, self.network.encode(y, h)[0], strict=True))
        return latents | {name: held.get(name, own[name]).contiguous() for name in self._locals}

    def encode_global(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of q(global|x), each ``(B, D)``, in the part's units.

        Where the prior is a flow, the deviation is that of its tangent at the mean.

        Raises:
            LatentLabError: a plain flow.
        """
        if not self.config.global_dim:
            raise LatentLabError("This flow has no global part: choose a decoupled one.")
        with torch.no_grad():
            y = to_centre(self._here(images), self.config.bits)
            mean, logvar = self.network.posterior(y)
        sigma = torch.exp(0.5 * logvar)
        if self.network.prior is None:
            return mean, sigma
        with torch.inference_mode(False), torch.enable_grad():
            at = mean.clone().requires_grad_()
            part = self.network.part_of(at)
            rows = [
                torch.autograd.grad(part[:, d].sum(), at, retain_graph=True)[0]
                for d in range(part.shape[1])
            ]
        tangent = torch.stack(rows, 1)
        return part.detach(), (tangent * sigma[:, None]).square().sum(2).sqrt()

    @torch.inference_mode()
    def log_prob(
        self,
        images: Tensor,
        *,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> LogProb:
        """Return the log-density of ``images`` ``(B, C, H, W)`` in [-1, 1] at 2^bits levels.

        A plain flow with uniform dequantisation: the exact density of the dequantised image, in
        units of its bins; its mean over draws bounds the log-probability of the levels from below.
        A decoupled flow, or variational dequantisation: the evidence lower bound.

        ``options``: ``samples`` (default 1): with more, the logarithm of the mean over draws
        (Burda et al. 2016, equation 8), which rises towards log P(x); ``seed`` (default 0);
        ``first`` (default 0), the number of the first draw. A row's draws depend on its own bytes,
        their numbers and the seed alone.
        """
        drawn = self._draw(images, condition, options, by_position=False)
        weights = torch.stack([placed + rest for placed, rest in drawn])
        bound = bool(self.config.global_dim) or self.config.dequantisation == "variational"
        return weighted_bound(weights, math.prod(self.spec.image_shape), bound=bound)

    @torch.inference_mode()
    def log_prob_map(
        self,
        images: Tensor,
        *,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> LogProbMap:
        """Return the terms of ``log_prob`` by pixel; ``options`` are the same.

        A latent, and the log scale of every layer, belongs to a position of its map and is spread
        evenly over the pixels that this position covers; ``rest`` is minus the KL term.
        """
        drawn = self._draw(images, condition, options, by_position=True)
        maps, rests = zip(*drawn, strict=True)
        return weighted_map(torch.stack(maps), torch.stack(rests))

    def _draw(
        self,
        images: Tensor,
        condition: Condition | None,
        options: Mapping[str, Any] | None,
        *,
        by_position: bool,
    ) -> list[tuple[Tensor, Tensor]]:
        """Return the log weights of every draw: what belongs to pixels, and the rest."""
        asked = {"samples": 1, "seed": 0, "first": 0, **(options or {})}
        count, first = int(asked["samples"]), int(asked["first"])
        if not 1 <= count <= MOST_SAMPLES:
            raise LatentLabError(f"A density takes 1 to {MOST_SAMPLES} samples, not {count}.")
        condition_vector(self.config, condition, len(images))
        images = self._here(images)
        seeds = [row_seed(row, int(asked["seed"])) for row in to_levels(images)]
        return [
            log_weights(self.network, images, Draws(seeds, index), by_position=by_position)
            for index in range(first, first + count)
        ]
