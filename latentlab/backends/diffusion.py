"""The diffusion family: an image is what is left when noise is taken away, step by step.

Ho et al. 2020 (arXiv 2006.11239), Nichol and Dhariwal 2021 (arXiv 2102.09672), Song et al. 2021
(arXiv 2010.02502), Karras et al. 2022 (arXiv 2206.00364); networks and schedulers of ``diffusers``.
See ``core.denoising`` for the options, ``solvers`` for the samplers, ``diffusion_plan`` for
branches, ``diffusion_invert`` for the way back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from latentlab.backends.base import DiffusionStep, EncodeUpdate, Parts
from latentlab.backends.diffusion_invert import Inversion, invert
from latentlab.backends.diffusion_plan import DiffusionState, plan
from latentlab.backends.diffusion_run import Guide, Run, to_device
from latentlab.backends.nn.diffusion import DiffusionConfig, DiffusionNetwork
from latentlab.backends.solvers import Rules
from latentlab.core.denoising import GUIDED, ROW_KEYS, Sampling, parse_path
from latentlab.core.direction import Direction
from latentlab.core.latents import Condition
from latentlab.core.noise import noise_rows
from latentlab.core.spec import ConditionKind, DiffusionFacts, LatentSpace, ModelSpec, PartSpec

NOISE = "noise"
"""Space of the noise that an image is made from, and its part."""


def diffusion_spec(config: DiffusionConfig, **identity: Any) -> ModelSpec:
    """Return the spec that a configuration implies; ``identity`` adds id, title, provenance."""
    size, channels = config.image_size, config.channels
    start = PartSpec(name=NOISE, shape=(channels, size, size))
    known = PartSpec(
        name="known", shape=(channels, size, size), kind="learned", interpolation="linear"
    )
    mask = PartSpec(name="mask", shape=(1, size, size), kind="learned", interpolation="step")
    conditions: list[ConditionKind] = []
    if config.class_names:
        conditions.append("class")
    if config.attribute_names:
        conditions.append("attributes")
    return ModelSpec(
        family="diffusion",
        image_shape=(channels, size, size),
        spaces=(
            LatentSpace(name=NOISE, parts=(start,)),
            LatentSpace(name=GUIDED, parts=(start, known, mask)),
        ),
        capabilities=("sample", "decode", "encode", "steps"),
        encode_kind="optimised",
        conditions=tuple(conditions),
        class_names=config.class_names,
        attribute_names=config.attribute_names,
        diffusion=DiffusionFacts(
            schedule=config.schedule,
            num_timesteps=config.num_timesteps,
            beta_start=config.beta_start,
            beta_end=config.beta_end,
            prediction=config.prediction,
        ),
        **identity,
    )


class DiffusionBackend:
    """A diffusion model behind the common interface.

    Args:
        config: shapes, schedule and prediction.
        spec: identity, provenance and quality.
        network: weights; made anew (random) when not given.
        directions: edits that come with the model.
    """

    trainer = "latentlab.training.families.diffusion:DiffusionTrainer"

    def __init__(
        self,
        config: DiffusionConfig,
        spec: ModelSpec,
        network: torch.nn.Module | None = None,
        directions: Mapping[str, Direction] | None = None,
    ) -> None:
        self.config = config
        self.spec = spec
        self.directions = dict(directions or {})
        self.network = DiffusionNetwork(config) if network is None else network
        self.network.eval().requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._schedule = config.noise_schedule()

    @classmethod
    def parse_config(cls, values: Mapping[str, Any]) -> DiffusionConfig:
        """Validate a configuration read from a file (pydantic's ``ValidationError`` if wrong)."""
        return DiffusionConfig.model_validate(dict(values))

    @classmethod
    def implied_spec(cls, config: DiffusionConfig) -> ModelSpec:
        """Return the spec that a configuration implies, without an identity of its own."""
        return diffusion_spec(config, id="")

    @classmethod
    def build_network(cls, config: DiffusionConfig) -> DiffusionNetwork:
        """Return an untrained network; on the meta device it takes no memory."""
        return DiffusionNetwork(config)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    def to(self, device: torch.device) -> None:
        """Move the weights."""
        self.network.to(device)

    def rules(self, sampling: Sampling) -> Rules:
        """Return what the solvers of a run have in common."""
        return Rules(self._schedule, self.config.prediction, sampling.spacing, sampling.clip)

    def sample_prior(self, space: str, seeds: Sequence[int], temperature: float = 1.0) -> Parts:
        """Draw x_T ``(len(seeds), C, H, W)`` from N(0, temperature^2).

        In the space ``guided`` nothing is known: ``known`` and ``mask`` are 0.
        """
        found = self.spec.space(space)
        shape = self.spec.image_shape
        draws = torch.from_numpy(noise_rows(seeds, "prior.noise", shape)).to(self.device)
        parts = {NOISE: draws * temperature}
        if found.name == GUIDED:
            parts["known"] = torch.zeros_like(draws)
            parts["mask"] = torch.zeros_like(draws[:, :1])
        return parts

    @torch.inference_mode()
    def decode(
        self,
        latents: Parts,
        *,
        space: str | None = None,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Return images ``(B, C, H, W)`` in [-1, 1]: the result of ``steps``.

        ``options``: see ``core.denoising.Sampling``.
        """
        result: Tensor | None = None
        for step in self.steps(latents, space=space, condition=condition, options=options):
            result = step.result
        if result is None:
            raise RuntimeError("the run ended before its last step")
        return result

    def steps(
        self,
        latents: Parts,
        *,
        space: str | None = None,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
        start: DiffusionState | None = None,
    ) -> Iterator[DiffusionStep]:
        """Yield every evaluation of the network, and the solver's step by it.

        Heun has 2 N - 1 of them in N steps. With ``stop_at`` the run ends there, and ``result`` is
        the frame that ``show`` names.

        Args:
            latents: ``noise``: x_T, standard normal, or with ``start_at`` x_t at variance 1; in
                the space ``guided`` also ``known`` and ``mask`` (see ``guided``).
            space: ``noise`` or ``guided``.
            condition: of the run before its branches.
            options: see ``core.denoising.Sampling``.
            start: state of a step of this run, or of one that it branches from.

        Raises:
            LatentLabError: options, branch or condition that cannot be had.
        """
        name = self.spec.space(space).name
        sampling = Sampling.from_options(options)
        stretches = plan(self.rules(sampling), sampling, condition, parse_path(sampling.branch))
        run = Run(
            self.network,
            self.config,
            self.device,
            sampling,
            stretches,
            to_device(latents[NOISE], self.device),
            (options or {}).get(ROW_KEYS),
            self._guide(latents, sampling) if name == GUIDED else None,
        )
        return run.steps(start)

    def _guide(self, latents: Parts, sampling: Sampling) -> Guide:
        """Return what is known; of some rows it may be nothing."""
        known, mask = (to_device(latents[name], self.device) for name in ("known", "mask"))
        return Guide(known, mask, sampling.task, sampling.factor)

    def encode(
        self,
        images: Tensor,
        *,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Iterator[EncodeUpdate]:
        """Yield ever noisier x_t of ``images`` ``(B, C, H, W)`` in [-1, 1], x_T at the end.

        See ``diffusion_invert`` for the method, and ``Inversion`` for ``options``.
        """
        settings = Inversion.from_options(options)
        return invert(self, to_device(images, self.device), condition, settings)
