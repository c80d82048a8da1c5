"""A family and a data set that train in milliseconds; run as a script, a process to kill."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from latentlab import catalog
from latentlab.core.modelfile import ModelHeader, StoredModel
from latentlab.core.recipe import Recipe, parse_recipe
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec
from latentlab.data.base import ArrayDataset, LabelColumn

RECIPE = """
[model]
family = "tiny"
width = 5

[data]
source = "memory"
flip = true
held_out.count = 8

[train]
steps = {steps}
batch_size = 8
seed = 3
learning_rate = 1e-2
schedule = "cosine"
warmup_steps = 4
clip_norm = 1.0
ema_decay = 0.9
device = "cpu"
threads = 1
log_every = 1
sample_every = 0
sample_count = 4
checkpoint_every_minutes = {minutes}
"""


class TinyNetwork(nn.Module):
    """A linear auto-encoder with batch norm and dropout, to catch state that is not kept."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(48, width)
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(0.2)
        self.outer = nn.Linear(width, 48)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.outer(self.drop(self.norm(self.inner(images.flatten(1))))).view_as(images)


class TinyTrainer:
    nan_at: int | None = None
    pause = 0.0

    def __init__(self, config, dataset) -> None:
        self.network = TinyNetwork(config["width"])

    def losses(self, network, batch):
        time.sleep(self.pause)
        noisy = batch.images + 0.1 * batch.normal("noise", tuple(batch.images.shape[1:]))
        error = (network(noisy) - batch.images).square().mean()
        scale = float("nan") if batch.step == self.nan_at else 1.0
        return {"loss": scale * error, "bright": batch.labels["bright"].mean()}

    def samples(self, network, dataset, count):
        return dataset.read(np.arange(count))

    def snapshot(self, network):
        space = LatentSpace(name="z", parts=(PartSpec(name="z", shape=(5,)),))
        spec = ModelSpec(id="tiny", family="tiny", image_shape=(3, 4, 4), spaces=(space,))
        weights = {n: t.detach().cpu().numpy() for n, t in network.state_dict().items()}
        return StoredModel(ModelHeader(config={"width": 5}, spec=spec), weights)

    def finish(self, network, held_out, device):
        yield 0, 1, "measuring"
        images = torch.from_numpy(held_out.read(np.arange(len(held_out)))).permute(0, 3, 1, 2)
        images = images / 127.5 - 1
        with torch.no_grad():
            error = (network(images) - images).square().mean().item()
        stored = self.snapshot(network)
        quality = {"mean_squared_error": error}
        spec = stored.header.spec.model_copy(update={"quality": quality})
        yield StoredModel(stored.header.model_copy(update={"spec": spec}), stored.weights)


def memory_images() -> ArrayDataset:
    """70 random images with one label."""
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (70, 4, 4, 3), dtype=np.uint8)
    bright = images.mean((1, 2, 3)).astype(np.float32)
    return ArrayDataset("memory", images, {"bright": LabelColumn("bright", "continuous", bright)})


def recipe(steps: int = 30, minutes: float = 0.0, **overrides) -> Recipe:
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    return parse_recipe(RECIPE.format(steps=steps, minutes=minutes), "tiny.toml", changes, "tiny")


def install(patch=setattr) -> None:
    """Make the family and the data set known."""
    from latentlab.training import data

    catalog.TRAINERS["tiny"] = f"{__name__}:TinyTrainer"
    patch(data, "open_images", lambda table, source, split, limit: memory_images())


def tell(event) -> None:
    print(event.kind, event.step, flush=True)


if __name__ == "__main__":
    from latentlab.training.run import train

    install()
    TinyTrainer.pause = float(sys.argv[4])
    train(
        recipe(int(sys.argv[2]), float(sys.argv[3])),
        Path(sys.argv[1]),
        resume=True,
        on_event=None if "console" in sys.argv else tell,
    )
