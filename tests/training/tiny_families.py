"""A GAN and a flow that train in milliseconds, for the parts of the contract a VAE does not use."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from latentlab import catalog
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import ModelHeader, StoredModel
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec
from latentlab.training.family import OptimizerSpec, Phase
from tests.training import tiny

PIXELS = 48


class Gan(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(width, 16, bias=False),
            nn.BatchNorm1d(16),
            nn.Tanh(),
            nn.Linear(16, PIXELS),
            nn.Tanh(),
        )
        self.critic = nn.Sequential(nn.Linear(PIXELS, 16), nn.Softplus(), nn.Linear(16, 1))


def stored(network: nn.Module, width: int, quality: Mapping[str, float]) -> StoredModel:
    space = LatentSpace(name="z", parts=(PartSpec(name="z", shape=(width,)),))
    spec = ModelSpec(
        id="tiny", family="tiny", image_shape=(3, 4, 4), spaces=(space,), quality=dict(quality)
    )
    weights = {n: t.detach().cpu().numpy() for n, t in network.state_dict().items()}
    return StoredModel(ModelHeader(config={"width": width}, spec=spec), weights)


class GanTrainer:
    """Two critic updates a step on fresh images, one of the generator, a penalty now and then."""

    optimizers = (
        OptimizerSpec("critic", ("critic",), learning_rate_scale=2.0, betas=(0.5, 0.9)),
        OptimizerSpec("generator", ("generator",)),
    )
    phases = (
        Phase("critic", "critic", repeats=2),
        Phase("penalty", "critic", every=3),
        Phase("generator", "generator"),
    )
    averaged = ("generator",)
    full_at = 0
    """Rows from which memory 'runs out', as on a small GPU."""

    def __init__(self, config: Mapping[str, Any], dataset: Any) -> None:
        self.width = config["width"]
        self.network = Gan(self.width)

    def losses(self, network, batch, phase):
        trouble, _, rank = os.environ.get("TINY_TROUBLE", "").partition(":")
        mine = os.environ.get("RANK", "0") == rank
        if mine and trouble == "gone" and batch.step == 3:
            raise LatentLabError("The disk of this machine is gone: bring it back.")
        if mine and trouble == "full" and batch.step >= 3 and len(batch.images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        if self.full_at and len(batch.images) >= self.full_at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        images = batch.images.flatten(1)
        if phase == "penalty":
            images = images.requires_grad_(True)
            (slope,) = torch.autograd.grad(network.critic(images).sum(), images, create_graph=True)
            return {"loss": 3 * slope.square().sum(1).mean()}
        fake = network.generator(batch.normal("z", (self.width,)))
        score = network.critic(fake).mean()
        if phase == "generator":
            return {"loss": -score}
        real = network.critic(images).mean()
        return {"loss": score - real, "real": real}

    def score(self, network, held_out):
        assert not network.generator.training
        images = torch.from_numpy(held_out.read(np.arange(len(held_out)))).float()
        noise = torch.randn(64, self.width, generator=torch.Generator().manual_seed(0))
        mean = (images / 127.5 - 1).permute(0, 3, 1, 2).flatten(1).mean(0)
        return float((network.generator(noise).mean(0) - mean).square().mean())

    def samples(self, network, dataset, count):
        return dataset.read(np.arange(count))

    def finish(self, network, held_out, device):
        yield stored(network, self.width, {"score": self.score(network, held_out)})


class ActNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(PIXELS))
        self.log_scale = nn.Parameter(torch.zeros(PIXELS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + self.shift) * self.log_scale.exp()


class FlowTrainer:
    """One ActNorm: a Gaussian with the moments of the data at its optimum."""

    initialised: list[torch.Tensor] = []
    """The images of every call."""

    def __init__(self, config: Mapping[str, Any], dataset: Any) -> None:
        self.network = ActNorm()

    def initialise(self, network, batch):
        assert not torch.is_grad_enabled()
        self.initialised.append(batch.images.clone())
        x = batch.images.flatten(1) + 0.01 * batch.normal("initialise", (PIXELS,))
        network.shift.copy_(-x.mean(0))
        network.log_scale.copy_(-x.std(0, correction=0).log())

    def losses(self, network, batch):
        x = batch.images.flatten(1) + 0.1 * batch.normal("dequantise", (PIXELS,))
        z = network(x)
        nll = 0.5 * z.square().sum(1) - network.log_scale.sum()
        return {"loss": nll.mean() / PIXELS}

    def samples(self, network, dataset, count):
        return dataset.read(np.arange(count))

    def finish(self, network, held_out, device):
        yield stored(network, PIXELS, {})


class AdaptiveTrainer(GanTrainer):
    """Follows the mean of the critic's outputs, as ADA follows their signs, and clips its weights.

    What it follows disturbs the images of the next step, in every process alike.
    """

    def __init__(self, config: Mapping[str, Any], dataset: Any) -> None:
        super().__init__(config, dataset)
        self.network.register_buffer("strength", torch.zeros(()))

    def losses(self, network, batch, phase):
        noise = batch.normal("disturb", tuple(batch.images.shape[1:]))
        batch = replace(batch, images=batch.images + network.strength * noise)
        return super().losses(network, batch, phase)

    def after_step(self, network, losses, step):
        assert not torch.is_grad_enabled()
        network.strength.add_(0.1 * torch.tanh(losses["critic.real"])).clamp_(-1, 1)
        for weight in network.critic.parameters():
            weight.clamp_(-0.2, 0.2)


def install(put=dict.__setitem__) -> None:
    """Make the families known."""
    put(catalog.TRAINERS, "tiny_gan", f"{__name__}:GanTrainer")
    put(catalog.TRAINERS, "tiny_adaptive", f"{__name__}:AdaptiveTrainer")
    put(catalog.TRAINERS, "tiny_flow", f"{__name__}:FlowTrainer")


def recipe(family: str, steps: int = 12, **overrides: Any):
    return tiny.recipe(steps, model__family=family, train__clip_norm=0.0, **overrides)


if __name__ == "__main__":
    # The command line with these families known: several processes start it.
    from latentlab.cli import main

    tiny.install()
    install()
    sys.exit(main(["train", *sys.argv[1:]]))
