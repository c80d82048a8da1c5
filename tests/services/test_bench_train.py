"""The training benchmark judges the engine by a loop that does the same mathematics."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentlab.core.recipe import parse_recipe
from latentlab.services.bench import train as bench

SMALL = bench.RECIPE.replace("latent_dim = 200", "latent_dim = 6").replace(
    "width = 32", "width = 4"
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    text = SMALL.replace("size = 64", "size = 16").replace('"bf16"', '"fp32"')
    monkeypatch.setattr(bench, "RECIPE", text)
    monkeypatch.setattr(bench, "IMAGES", 128)
    monkeypatch.setattr(bench, "PAIRS", 3)
    monkeypatch.setattr(bench, "STEPS", 2)


def test_a_pair_is_as_many_steps_of_each(small: None) -> None:
    seen: list[tuple[int, int]] = []
    figures = bench.run(lambda done, total, _message: seen.append((done, total)))
    assert figures["pairs"] == 3
    assert 0 < figures["ratio_low"] <= figures["ratio"] <= figures["ratio_high"]
    assert figures["images_per_s"] > 0
    assert seen[-1] == (3, 3)


def test_the_plain_loop_has_the_loss_of_the_engine(small: None, monkeypatch) -> None:
    """On the same weights, images and noise."""
    from latentlab.training.data import open_training
    from latentlab.training.families.vae import VaeTrainer
    from latentlab.training.family import Batch

    recipe = bench.bench_recipe(4, 1, batch_size=8)
    # The plain loop learns the scale, which starts at 0.2.
    free = parse_recipe(recipe.to_toml(), overrides={"model.observation_scale": 0.2})
    plain = bench._plain_loop(recipe)
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in plain.network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=rng))
        plain.network.log_scale.fill_(float(np.log(0.2)))
    training, _held_out = open_training(free.data)
    trainer = VaeTrainer(free.model.settings, training)
    trainer.network.load_state_dict(plain.network.state_dict())
    images = torch.randn(8, 3, 16, 16, generator=rng).clamp(-1, 1)
    noise = torch.randn(8, 6, generator=rng)
    monkeypatch.setattr(plain, "_next_images", lambda: images)
    monkeypatch.setattr(torch, "randn", lambda *_shape, **_more: noise)
    plain.network.train()
    batch = Batch(images, {}, {}, 0, 4, lambda _stream, _shape: noise)
    trainer.network.train()
    expected = trainer.losses(trainer.network, batch)["loss"].item()
    assert float(plain._step()) == pytest.approx(expected, rel=1e-6)


def test_the_interval_of_a_median_covers_it() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        low, high = bench.interval(rng.normal(1.0, 0.1, 24).tolist())
        covered += low <= 1.0 <= high
    assert covered >= 180
