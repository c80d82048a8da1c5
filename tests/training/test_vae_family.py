"""The VAE's trainer: its loss against torch.distributions, its settings, its measured model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from latentlab.backends.checkpoint import backend_from
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import StoredModel, fingerprint
from latentlab.data.base import ArrayDataset, LabelColumn
from latentlab.training.families.vae import VaeTrainer
from latentlab.training.family import Batch

SMALL = {"latent_dim": 4, "width": 4, "observation_scale": 0.3}


def dataset(count: int = 24, size: int = 16, channels: int = 3) -> ArrayDataset:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (count, 2, 2, channels)).astype(np.uint8)
    images = coarse.repeat(size // 2, axis=1).repeat(size // 2, axis=2)
    classes = (np.arange(count) % 3).astype(np.float32)
    labels = {
        "class": LabelColumn("class", "categorical", classes, ("cat", "dog", "fox")),
        "age": LabelColumn("age", "continuous", rng.uniform(-1, 1, count).astype(np.float32)),
    }
    return ArrayDataset("squares", images, labels)


def batch(data: ArrayDataset, step: int = 0) -> Batch:
    images = torch.from_numpy(data.images.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)

    def normal(stream: str, shape: tuple[int, ...]) -> torch.Tensor:
        generator = torch.Generator().manual_seed(step + len(stream))
        return torch.randn((len(images), *shape), generator=generator)

    labels = {name: torch.from_numpy(column.values) for name, column in data.labels.items()}
    return Batch(images, labels, {}, step, 100, normal)


def test_loss_is_minus_the_elbo() -> None:
    data = dataset()
    torch.manual_seed(0)
    trainer = VaeTrainer(SMALL, data)
    network = trainer.network
    torch.nn.init.normal_(network.posterior.bias, std=0.5)
    given = batch(data)
    found = trainer.losses(network, given)
    with torch.no_grad():
        mean, logvar = network.encode(given.images)
        posterior = Normal(mean, (0.5 * logvar).exp())
        z = mean + given.normal("posterior", (4,)) * posterior.scale
        likelihood = Normal(network.decode(z), 0.3).log_prob(given.images).flatten(1).sum(1)
        kl = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1)
    dimensions = 3 * 16 * 16
    expected = -(likelihood - kl).mean() / dimensions
    # The batch statistics are the same in every call, so the numbers are too.
    torch.testing.assert_close(found["loss"], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["kl"], kl.mean(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["reconstruction"], -likelihood.mean(), rtol=1e-4, atol=1e-3)


def test_kl_weight_rises_linearly_to_beta() -> None:
    trainer = VaeTrainer(SMALL | {"beta": 4.0, "kl_warmup_steps": 10}, dataset())
    assert [trainer.kl_weight(step) for step in (0, 5, 10, 99)] == [0.0, 2.0, 4.0, 4.0]


def test_free_bits_cost_nothing_below_the_limit() -> None:
    data = dataset()
    torch.manual_seed(0)
    plain, free = (VaeTrainer(SMALL | {"free_bits": bits}, data) for bits in (0.0, 50.0))
    free.network.load_state_dict(plain.network.state_dict())
    first, second = (t.losses(t.network, batch(data)) for t in (plain, free))
    assert first["kl"].item() < 50
    difference = (second["loss"] - first["loss"]) * (3 * 16 * 16)
    assert difference.item() == pytest.approx(4 * 50 - first["kl"].item(), rel=1e-3)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"likelihood": "l1", "observation_scale": None},
        {"likelihood": "bernoulli"},
        {"variant": "autoencoder"},
        {"condition": "class"},
        {"condition": ["age"], "condition_dropout": 0.5},
    ],
)
def test_training_lowers_the_loss_and_ends_in_a_measured_model(settings) -> None:
    data = dataset()
    torch.manual_seed(0)
    trainer = VaeTrainer({key: v for key, v in (SMALL | settings).items() if v is not None}, data)
    optimizer = torch.optim.Adam(
        [p for p in trainer.network.parameters() if p.requires_grad], lr=5e-3
    )
    history = []
    for step in range(60):
        loss = trainer.losses(trainer.network, batch(data, step))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert np.mean(history[-5:]) < np.mean(history[:5])
    items = list(trainer.finish(trainer.network.eval(), data, torch.device("cpu")))
    stored = items[-1]
    assert isinstance(stored, StoredModel)
    quality = stored.header.spec.quality
    assert quality["psnr_db"] > 5
    assert ("elbo_nats" in quality) == (settings.get("variant") != "autoencoder")
    if "elbo_nats" in quality:
        bits = -quality["elbo_nats"] / math.log(2) / (3 * 16 * 16)
        assert quality["elbo_bits_per_dim"] == pytest.approx(bits)
    assert trainer.samples(trainer.network, data, 12).shape == (12, 16, 16, 3)
    assert stored.preview is not None
    assert stored.preview.shape == (48, 48, 3)
    spec = stored.header.spec.model_copy(update={"fingerprint": fingerprint(stored.weights)})
    header = stored.header.model_copy(update={"spec": spec})
    backend = backend_from(StoredModel(header, stored.weights))
    assert torch.isfinite(backend.decode(backend.sample_prior("z", [0, 1]))).all()


def finished(settings, data: ArrayDataset):
    torch.manual_seed(0)
    trainer = VaeTrainer(SMALL | settings, data)
    torch.nn.init.normal_(trainer.network.posterior.bias, std=1.0)
    network = trainer.network.eval()
    stored = list(trainer.finish(network, data, torch.device("cpu")))[-1]
    spec = stored.header.spec.model_copy(update={"fingerprint": fingerprint(stored.weights)})
    header = stored.header.model_copy(update={"spec": spec})
    return network, backend_from(StoredModel(header, stored.weights))


@pytest.mark.parametrize("settings", [{"variant": "autoencoder"}, {"prior": "fitted"}])
def test_a_fitted_prior_has_the_moments_of_the_codes(settings) -> None:
    data = dataset(200)
    network, backend = finished(settings, data)
    drawn = backend.sample_prior("z", range(20000))["z"]
    torch.testing.assert_close(drawn.mean(0), torch.zeros(4), atol=0.04, rtol=0)
    torch.testing.assert_close(torch.cov(drawn.T), torch.eye(4), atol=0.04, rtol=0)
    with torch.no_grad():
        mean, logvar = network.encode(batch(data).images)
    spread = torch.diag(logvar.exp().mean(0)) if "prior" in settings else torch.zeros(4, 4)
    basis = backend.network.prior_basis
    torch.testing.assert_close(basis @ basis.T, torch.cov(mean.T) + spread, atol=1e-3, rtol=0.01)
    lengths = basis.square().sum(0)
    assert (lengths[:-1] >= lengths[1:]).all()


def test_a_fitted_prior_raises_the_bound() -> None:
    data = dataset(200)
    images = batch(data).images
    (_, plain), (_, fitted) = (finished({"prior": prior}, data) for prior in ("standard", "fitted"))
    (first, kl), (second, less) = (b.elbo(images, seed=1) for b in (plain, fitted))
    torch.testing.assert_close(first, second, rtol=1e-4, atol=0.1)
    assert less.mean() < kl.mean()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"latent_dim": 0}, "latent_dim"),
        ({"colour": 1}, "colour"),
        ({"beta": -1}, "beta"),
        ({"condition": ["nosuch"]}, "nosuch"),
        ({"condition": "shape"}, "condition"),
        ({"likelihood": "poisson"}, "likelihood"),
    ],
)
def test_wrong_settings_are_one_sentence(settings, text) -> None:
    with pytest.raises(LatentLabError, match=text) as caught:
        VaeTrainer(SMALL | settings, dataset())
    assert "\n" not in caught.value.message


def test_images_of_another_size_say_what_to_set() -> None:
    with pytest.raises(LatentLabError, match=r"data\.size"):
        VaeTrainer(SMALL, dataset(size=20))
