"""The VAE family: autoencoder, VAE, beta-VAE, conditional VAE.

Kingma and Welling 2014 (arXiv 1312.6114); beta: Higgins et al. 2017; conditional: Sohn et al. 2015;
importance-weighted bound and active units: Burda et al. 2016 (arXiv 1509.00519).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from latentlab.backends.base import EncodeUpdate, LogProb, LogProbMap, Parts
from latentlab.backends.conditions import condition_vector
from latentlab.backends.importance import weighted_bound, weighted_map
from latentlab.backends.nn.likelihoods import (
    gaussian_kl,
    gaussian_kl_to,
    location,
    log_mass,
    log_mass_terms,
    normal_log_density,
)
from latentlab.backends.nn.vae import VaeConfig, VaeNetwork
from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition
from latentlab.core.noise import noise, noise_rows
from latentlab.core.spec import Capability, ConditionKind, LatentSpace, ModelSpec, PartSpec

LOG_PROB_SAMPLES = 64
LOG_PROB_CHUNK = 256


def vae_spec(config: VaeConfig, **identity: Any) -> ModelSpec:
    """Return the spec that a configuration implies; ``identity`` adds id, title, provenance."""
    deterministic = config.variant == "autoencoder"
    part = PartSpec(
        name="z",
        shape=(config.latent_dim,),
        kind="learned" if deterministic else "gaussian",
        interpolation="linear" if deterministic else "spherical",
    )
    capabilities: tuple[Capability, ...] = ("sample", "decode", "encode")
    conditions: list[ConditionKind] = []
    if config.class_names:
        conditions.append("class")
    if config.attribute_names:
        conditions.append("attributes")
    return ModelSpec(
        family="vae",
        image_shape=(config.channels, config.image_size, config.image_size),
        spaces=(LatentSpace(name="z", parts=(part,)),),
        capabilities=capabilities if deterministic else (*capabilities, "log_prob"),
        encode_kind="amortised",
        conditions=tuple(conditions),
        class_names=config.class_names,
        attribute_names=config.attribute_names,
        **identity,
    )


class VaeBackend:
    """A VAE behind the common interface.

    Args:
        config: shapes and likelihood.
        spec: identity, provenance and quality.
        network: weights; made anew (random) when not given.
        directions: edits that come with the model.
    """

    trainer = "latentlab.training.families.vae:VaeTrainer"

    def __init__(
        self,
        config: VaeConfig,
        spec: ModelSpec,
        network: VaeNetwork | None = None,
        directions: Mapping[str, Direction] | None = None,
    ) -> None:
        self.config = config
        self.spec = spec
        self.directions = dict(directions or {})
        self.network = network or VaeNetwork(config)
        self.network.eval().requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._whiten = self._inverse_basis() if config.has_fitted_prior else None

    def _inverse_basis(self) -> Tensor:
        inverse, info = torch.linalg.inv_ex(self.network.prior_basis.double())
        if int(info) or not bool(torch.isfinite(inverse).all()):
            raise LatentLabError(
                f"The prior of '{self.spec.id}' is degenerate: train or download the model again."
            )
        return inverse.float()

    @classmethod
    def parse_config(cls, values: Mapping[str, Any]) -> VaeConfig:
        """Validate a configuration read from a file (pydantic's ``ValidationError`` if wrong)."""
        return VaeConfig.model_validate(dict(values))

    @classmethod
    def implied_spec(cls, config: VaeConfig) -> ModelSpec:
        """Return the spec that a configuration implies, without an identity of its own."""
        return vae_spec(config, id="")

    @classmethod
    def build_network(cls, config: VaeConfig) -> VaeNetwork:
        """Return an untrained network; on the meta device it takes no memory."""
        return VaeNetwork(config)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.log_scale.device

    def to(self, device: torch.device) -> None:
        """Move the weights."""
        self.network.to(device)
        if self._whiten is not None:
            self._whiten = self._whiten.to(device)

    def _to_network(self, z: Tensor) -> Tensor:
        """Return latents in the network's own axes."""
        if self._whiten is None:
            return z
        return self.network.prior_mean + z @ self.network.prior_basis.T

    def _from_network(self, z: Tensor) -> Tensor:
        """Return what the network encoded in the axes of the prior."""
        return z if self._whiten is None else (z - self.network.prior_mean) @ self._whiten.T

    def _kl(self, mean: Tensor, logvar: Tensor) -> Tensor:
        if self._whiten is None:
            return gaussian_kl(mean, logvar).sum(1)
        return gaussian_kl_to(mean, logvar, self.network.prior_mean, self._whiten)

    def _condition(self, condition: Condition | None, batch: int) -> Tensor | None:
        vector = condition_vector(self.config, condition, batch)
        return None if vector is None else vector.to(self.device)

    def sample_prior(self, space: str, seeds: Sequence[int], temperature: float = 1.0) -> Parts:
        """Draw z ``(len(seeds), D)`` from N(0, temperature^2)."""
        self.spec.space(space)
        draws = torch.from_numpy(noise_rows(seeds, "prior.z", (self.config.latent_dim,)))
        return {"z": draws.to(self.device) * temperature}

    @torch.inference_mode()
    def decode(
        self,
        latents: Parts,
        *,
        space: str | None = None,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Return the likelihood's mean image ``(B, C, H, W)`` in [-1, 1]; there are no options."""
        if options:
            raise LatentLabError(f"A VAE has no decoding option '{next(iter(options))}'.")
        return self.decode_with_gradient(latents, space=space, condition=condition)

    def decode_with_gradient(
        self, latents: Parts, *, space: str | None = None, condition: Condition | None = None
    ) -> Tensor:
        """Return what ``decode`` does, with its gradient by the latents."""
        self.spec.space(space)
        z = latents["z"].to(self.device, torch.float32)
        raw = self.network.decode(self._to_network(z), self._condition(condition, len(z)))
        return location(raw, self.config.likelihood)

    @torch.inference_mode()
    def encode(
        self,
        images: Tensor,
        *,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Iterator[EncodeUpdate]:
        """Yield once: the posterior mean of ``images`` ``(B, C, H, W)`` in [-1, 1].

        ``options["sample_seed"]`` asks for a sample of the posterior instead;
        ``options["reconstruct"]``, if false, leaves the decoder out.
        """
        images = images.to(self.device, torch.float32)
        vector = self._condition(condition, len(images))
        mean, logvar = self.network.encode(images, vector)
        seed = (options or {}).get("sample_seed")
        z = mean
        if seed is not None and self.config.variant == "vae":
            draws = [noise(int(seed), "posterior.z", i, mean.shape[1:]) for i in range(len(mean))]
            z = mean + torch.stack([*map(torch.from_numpy, draws)]).to(mean) * (0.5 * logvar).exp()
        latents = {"z": self._from_network(z)}
        if not (options or {}).get("reconstruct", True):
            yield EncodeUpdate(1, 1, latents, condition, None, None)
            return
        reconstruction = location(self.network.decode(z, vector), self.config.likelihood)
        residual = (reconstruction - images).square().flatten(1).mean(1)
        yield EncodeUpdate(1, 1, latents, condition, reconstruction, residual)

    @torch.inference_mode()
    def elbo(
        self, images: Tensor, *, condition: Condition | None = None, seed: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return log-likelihood of the 8-bit image by one posterior sample, and KL: each ``(B,)``.

        Their difference is the evidence lower bound in nats (Kingma and Welling, equation 3).
        """
        images = images.to(self.device, torch.float32)
        vector = self._condition(condition, len(images))
        mean, logvar = self.network.encode(images, vector)
        draw = torch.from_numpy(noise(seed, "elbo.z", 0, mean.shape[1:])).to(mean)
        z = mean + draw * torch.exp(0.5 * logvar)
        raw = self.network.decode(z, vector)
        nats = log_mass(images, raw, self.network.log_scale, self.config.likelihood)
        return nats, self._kl(mean, logvar)

    @torch.inference_mode()
    def log_prob(
        self,
        images: Tensor,
        *,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> LogProb:
        """Return the importance-weighted bound of Burda et al. 2016, equation 8.

        ``options``: ``samples`` (default 64), ``seed`` (default 0), and ``first`` (default 0), the
        number of the first draw. The bound rises with the number of samples towards log P(x).
        """
        rows = [
            torch.cat([placed + rest for placed, rest in self._draw(image, condition, options)])
            for image in images.to(self.device, torch.float32)
        ]
        weights = torch.stack(rows, 1) if rows else torch.zeros((1, 0), device=self.device)
        return weighted_bound(weights, math.prod(self.spec.image_shape), bound=True)

    @torch.inference_mode()
    def log_prob_map(
        self,
        images: Tensor,
        *,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> LogProbMap:
        """Return the terms of ``log_prob`` by pixel; ``options`` are the same.

        What a pixel has is log P(pixel|z), averaged over the draws of z by their weights; ``rest``
        is minus the KL term, and what the weighting gains.
        """
        found = []
        for image in images.to(self.device, torch.float32):
            drawn = list(self._draw(image, condition, options, by_position=True))
            maps, rests = (torch.cat(values)[:, None] for values in zip(*drawn, strict=True))
            found.append(weighted_map(maps, rests))
        height, width = self.spec.image_shape[1:]
        if not found:
            empty = torch.zeros((0, height, width), device=self.device)
            return LogProbMap(empty, empty.sum((1, 2)))
        return LogProbMap(torch.cat([f.nats for f in found]), torch.cat([f.rest for f in found]))

    def _draw(
        self,
        image: Tensor,
        condition: Condition | None,
        options: Mapping[str, Any] | None,
        *,
        by_position: bool = False,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the log weights of draws for one image: log P(x|z), and the rest ``(K,)``.

        The first is ``(K,)``, or ``(K, H, W)`` with ``by_position``.
        """
        if self.config.variant == "autoencoder":
            raise LatentLabError("An autoencoder has no density: train a VAE to read log_prob.")
        asked = {"samples": LOG_PROB_SAMPLES, "seed": 0, "first": 0, **(options or {})}
        seed, begin = int(asked["seed"]), int(asked["first"])
        end = begin + int(asked["samples"])
        mean, logvar = self.network.encode(image[None], self._condition(condition, 1))
        for start in range(begin, end, LOG_PROB_CHUNK):
            indices = range(start, min(start + LOG_PROB_CHUNK, end))
            draws = [noise(seed, "log_prob.z", i, mean.shape[1:]) for i in indices]
            eps = torch.stack([*map(torch.from_numpy, draws)]).to(mean)
            z = mean + eps * torch.exp(0.5 * logvar)
            raw = self.network.decode(z, self._condition(condition, len(z)))
            target = image.expand(len(z), -1, -1, -1)
            terms = log_mass_terms(target, raw, self.network.log_scale, self.config.likelihood)
            rest = self._prior_log_density(z) - normal_log_density(z, mean, logvar)
            yield (terms.sum(1) if by_position else terms.flatten(1).sum(1)), rest

    def _prior_log_density(self, z: Tensor) -> Tensor:
        """Return the log-density of the prior at ``z`` ``(B, D)`` in the network's own axes."""
        density = normal_log_density(self._from_network(z))
        if self._whiten is None:
            return density
        return density + torch.linalg.slogdet(self._whiten).logabsdet
