"""Schedule, average, sample order, draws and read-ahead, each against something independent."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
import torch
from torch import nn

from latentlab.backends.nn.vae import VaeConfig, VaeNetwork
from latentlab.core.errors import LatentLabError
from latentlab.data.base import ArrayDataset
from latentlab.training.data import ReadAhead
from latentlab.training.ema import WeightAverage, decay_at, decay_of, half_rounded
from latentlab.training.sampler import Sampler, Share, normal_draws
from latentlab.training.schedule import learning_rate
from tests.training import tiny

CPU = torch.device("cpu")


def test_learning_rate_is_the_closed_form() -> None:
    def rates(**settings) -> list[float]:
        changes = {f"train__{key}": value for key, value in settings.items()}
        table = tiny.recipe(100, train__learning_rate=0.5, **changes).train
        return [learning_rate(table, step, 100) for step in range(100)]

    warm = [0.5 * (i + 1) / 10 for i in range(10)]
    cosine = [0.25 * (1 + math.cos(math.pi * i / 90)) for i in range(90)]
    assert rates(schedule="cosine", warmup_steps=10) == pytest.approx(warm + cosine)
    linear = [0.5 * (1 - i / 100) for i in range(100)]
    assert rates(schedule="linear", warmup_steps=0) == pytest.approx(linear)
    assert rates(schedule="constant", warmup_steps=10) == pytest.approx(warm + [0.5] * 90)
    assert rates(schedule="constant", warmup_steps=500)[99] == pytest.approx(0.5)


def test_cosine_agrees_with_torch() -> None:
    table = tiny.recipe(50, train__warmup_steps=0, train__learning_rate=0.1).train
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50)
    for step in range(50):
        assert learning_rate(table, step, 50) == pytest.approx(scheduler.get_last_lr()[0], rel=1e-6)
        optimizer.step()
        scheduler.step()


def test_average_is_the_closed_form() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    average = WeightAverage(network, 0.6)
    expected = {n: t.double().clone() for n, t in network.state_dict().items()}
    for update in range(12):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        network(torch.randn(16, 3) * (update + 1))
        average.update()
        decay = min(0.6, (1 + update) / (10 + update))
        assert decay_at(0.6, update) == decay
        for name, tensor in network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * tensor.double()
    for name, tensor in average.network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert tensor == 12
        else:
            torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-5)
    assert not average.network.training
    assert not any(p.requires_grad for p in average.network.parameters())
    assert not torch.equal(average.network[1].running_var, network[1].running_var)


def test_averaged_batch_norm_fits_the_data() -> None:
    network = nn.BatchNorm1d(2)
    average = WeightAverage(network, 0.9)
    generator = torch.Generator().manual_seed(1)
    draw = lambda rows: torch.randn(rows, 2, generator=generator) * 3 + 5  # noqa: E731
    for _ in range(200):
        network(draw(64))
        average.update()
    with torch.no_grad():
        normalised = average.network(draw(20_000))
    torch.testing.assert_close(normalised.mean(0), torch.zeros(2), atol=0.05, rtol=0)
    torch.testing.assert_close(normalised.std(0), torch.ones(2), atol=0.05, rtol=0)


def test_a_half_life_does_not_depend_on_the_batch() -> None:
    for batch_size in (8, 64):
        table = tiny.recipe(train__ema_half_life=512, train__batch_size=batch_size).train
        assert decay_of(table) ** (512 // batch_size) == pytest.approx(0.5)
    assert decay_of(tiny.recipe().train) == 0.9


def test_half_rounding() -> None:
    network = nn.BatchNorm1d(3)
    network.weight.data = torch.tensor([0.1, 1 / 3, 5.0])
    network.running_var = torch.tensor([1e6, 1 / 3, 1.0])
    rounded = half_rounded(network)
    expected = np.array([0.1, 1 / 3, 5.0], np.float16).astype(np.float32)
    assert np.array_equal(rounded.weight.detach().numpy(), expected)
    assert rounded.running_var.tolist() == [1e6, pytest.approx(1 / 3, rel=1e-7), 1.0]
    assert network.weight[0].item() == pytest.approx(0.1, rel=1e-7)


def test_every_image_once_an_epoch_in_another_order() -> None:
    sampler = Sampler(70, 8, seed=3)
    assert sampler.steps_per_epoch == 8
    epochs = [np.concatenate([sampler.indices(s) for s in range(e * 8, e * 8 + 8)]) for e in (0, 1)]
    for order in epochs:
        assert len(set(order)) == 64
        assert set(order) <= set(range(70))
    assert not np.array_equal(*epochs)
    # Out of order and from a fresh object: a pure function of (seed, step).
    assert np.array_equal(Sampler(70, 8, seed=3).indices(11), sampler.indices(11))
    assert not np.array_equal(Sampler(70, 8, seed=4).indices(11), sampler.indices(11))


def test_two_processes_draw_what_one_draws() -> None:
    whole = Sampler(70, 8, seed=3)
    halves = [Sampler(70, 8, 3, Share(rank, 2)) for rank in (0, 1)]
    for step in (0, 5, 8, 23):
        assert np.array_equal(
            np.concatenate([h.indices(step) for h in halves]), whole.indices(step)
        )
        assert np.array_equal(np.concatenate([h.flips(step) for h in halves]), whole.flips(step))
        one = normal_draws(3, step, 8, Share(), CPU)
        two = [normal_draws(3, step, 8, Share(rank, 2), CPU) for rank in (0, 1)]
        for stream, shape in (("posterior", (5,)), ("scalar", ()), ("image", (3, 4, 4))):
            joined = torch.cat([draw(stream, shape) for draw in two])
            assert joined.shape == (8, *shape)
            assert torch.equal(joined, one(stream, shape))
    assert 0 < np.mean([whole.flips(s).mean() for s in range(100)]) < 1


def test_draws_depend_on_seed_step_and_stream_alone() -> None:
    def draw(seed: int, step: int, stream: str) -> torch.Tensor:
        torch.manual_seed(torch.seed() % 2**31)
        return normal_draws(seed, step, 4096, Share(), CPU)(stream, (3,))

    first = draw(1, 2, "a")
    assert torch.equal(first, draw(1, 2, "a"))
    for other in (draw(2, 2, "a"), draw(1, 3, "a"), draw(1, 2, "b")):
        correlation = torch.corrcoef(torch.stack([first.flatten(), other.flatten()]))[0, 1]
        assert abs(correlation) < 0.05
    assert abs(first.mean()) < 0.05
    assert abs(first.std() - 1) < 0.05


def test_batches_that_cannot_be() -> None:
    with pytest.raises(LatentLabError, match="at least as many training images, and there are 7"):
        Sampler(7, 8, 0)
    with pytest.raises(LatentLabError, match="3 processes"):
        Sampler(70, 8, 0, Share(0, 3))


def test_read_ahead_is_bounded_in_order_and_joined() -> None:
    images = np.arange(40, dtype=np.uint8)[:, None, None, None].repeat(3, 3)
    lock, read = threading.Lock(), []

    class Counting(ArrayDataset):
        def read(self, indices):
            with lock:
                read.append(tuple(indices))
            return super().read(indices)

    sampler = Sampler(40, 4, seed=1)
    with ReadAhead(Counting("count", images), sampler, 3, 20, flip=True, workers=2) as ahead:
        for step in range(3, 9):
            batch = ahead.next()
            assert batch.step == step
            assert np.array_equal(batch.indices, Sampler(40, 4, seed=1).indices(step))
            assert np.array_equal(batch.images[:, 0, 0, 0], batch.indices)
            assert batch.flips is not None
            assert np.array_equal(batch.flips, sampler.flips(step))
            assert len(read) <= step - 2 + 3
    assert not [t for t in threading.enumerate() if t.name.startswith("latentlab-read")]


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_rows_of_a_vae_do_not_know_of_one_another_without_batch_norm(norm: str) -> None:
    sizes = {"image_size": 16, "width": 16, "max_width": 24, "latent_dim": 3, "convolutions": 2}
    assert VaeConfig.model_validate(sizes).norm == "batch"
    network = VaeNetwork(VaeConfig.model_validate(sizes | {"norm": norm}))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        images, noise = torch.randn(6, 3, 16, 16), torch.randn(6, 3)
        whole = network(images, None, noise)[0]
        part = network(images[:2], None, noise[:2])[0]
    assert torch.allclose(whole[:2], part, atol=1e-4) == (norm != "batch")
