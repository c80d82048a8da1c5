"""The diffusion trainer: its loss against the formulas, its settings, resume, its model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from latentlab.backends.checkpoint import backend_from
from latentlab.backends.diffusion import DiffusionBackend, diffusion_spec
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import StoredModel, fingerprint, read_model
from latentlab.core.noise_schedule import noise_schedule
from latentlab.core.recipe import Recipe, parse_recipe
from latentlab.training import data as training_data
from latentlab.training.families.diffusion import DiffusionTrainer, loss_weights
from latentlab.training.run import train
from tests.training.test_vae_family import batch, dataset

SMALL = {"widths": [8, 16], "blocks": 1, "head_dim": 8, "groups": 4, "patch": 2}


def trainer(**settings) -> DiffusionTrainer:
    """A trainer whose network's zero layers are not: else every prediction would be 0."""
    torch.manual_seed(0)
    found = DiffusionTrainer(SMALL | settings, dataset())
    for parameter in found.network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return found


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
@pytest.mark.parametrize("weighting", ["uniform", "min_snr"])
def test_the_loss_is_that_of_the_papers(prediction, weighting) -> None:
    mine = trainer(prediction=prediction, loss_weighting=weighting, schedule="linear")
    given = batch(dataset())
    found = mine.losses(mine.network, given)
    images, count = given.images.double().numpy(), len(given.images)
    kept = noise_schedule("linear").alphas_cumprod
    draw = given.normal("timestep", ())
    t = np.floor(torch.special.ndtr(draw.double()).numpy() * 1000).astype(int)
    a = kept[t][:, None, None, None]
    noise = given.normal("noise", (3, 16, 16)).double().numpy()
    x_t = np.sqrt(a) * images + np.sqrt(1 - a) * noise
    with torch.no_grad():
        out = mine.network(torch.from_numpy(x_t).float(), torch.from_numpy(t)).double().numpy()
    target = {
        "epsilon": noise,
        "x0": images,
        "v": np.sqrt(a) * noise - np.sqrt(1 - a) * images,
    }[prediction]
    errors = ((out - target) ** 2).reshape(count, -1).mean(1)
    snr = kept[t] / (1 - kept[t])
    weights = np.ones(count)
    if weighting == "min_snr":
        # Of the squared error of the image that the prediction stands for, min(SNR, 5).
        image_error = {"epsilon": 1 / snr, "x0": np.ones(count), "v": 1 / (snr + 1)}[prediction]
        weights = np.minimum(snr, 5) * image_error
    assert found["loss"].item() == pytest.approx((weights * errors).mean(), rel=1e-4)
    assert found["mean_squared_error"].item() == pytest.approx(errors.mean(), rel=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
def test_min_snr_counts_the_error_of_the_image_alike_in_every_parametrisation(prediction) -> None:
    """A wrong image x0 + d costs min(SNR, 5) d^2, whatever the network was asked for."""
    kept = torch.tensor([0.999, 0.9, 0.5, 0.1, 0.001], dtype=torch.float64)
    snr, signal, rate = kept / (1 - kept), kept.sqrt(), (1 - kept).sqrt()
    d = 0.3
    # At a given x_t, an image that is d off is a noise that is -d signal / rate off.
    off = {"x0": d, "epsilon": -d * signal / rate, "v": -d * signal**2 / rate - rate * d}
    cost = loss_weights(snr, prediction, "min_snr").double() * torch.as_tensor(off[prediction]) ** 2
    torch.testing.assert_close(cost, snr.clamp(max=5) * d**2, rtol=1e-5, atol=0)


def test_every_step_is_as_likely_and_every_row_has_noise_of_its_own() -> None:
    seen = []

    class Spy(nn.Module):
        def forward(self, x, t, condition):
            seen.append((x, t))
            return torch.zeros_like(x)

    mine, data = trainer(num_timesteps=10), dataset(1200)
    given = batch(data)
    mine.losses(Spy(), given)
    x, t = seen[0]
    counts = torch.bincount(t, minlength=10)
    assert len(counts) == 10
    assert ((counts - 120).abs() < 50).all()
    signal = torch.from_numpy(noise_schedule("cosine", 10).signal_rate).float()
    rest = x - signal[t][:, None, None, None] * given.images
    spread = noise_schedule("cosine", 10).noise_rate
    for step in range(10):
        assert rest[t == step].std().item() == pytest.approx(spread[step], rel=0.05)


def test_a_condition_is_given_whole_or_left_out() -> None:
    told = []

    class Spy(nn.Module):
        def forward(self, x, t, condition):
            told.append(condition)
            return torch.zeros_like(x)

    data = dataset(900)
    mine = DiffusionTrainer(SMALL | {"condition": ["age"], "condition_dropout": 0.25}, data)
    mine.losses(Spy(), batch(data))
    vectors = told[0]
    out = vectors[:, 1] == 0
    assert out.float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert not vectors[out].any()
    ages = torch.from_numpy(data.labels["age"].values)
    torch.testing.assert_close(vectors[~out][:, 0], ages[~out])
    by_class = DiffusionTrainer(SMALL | {"condition": "class", "condition_dropout": 0.0}, data)
    by_class.losses(Spy(), batch(data))
    assert by_class.config.class_names == ("cat", "dog", "fox")
    assert (told[1][:, :3].argmax(1) == torch.arange(900) % 3).all()
    assert told[1][:, 3].all()


@pytest.mark.parametrize("settings", [{}, {"condition": "class"}, {"condition": ["age"]}])
def test_training_lowers_the_loss_and_ends_in_a_model(settings) -> None:
    data = dataset()
    torch.manual_seed(0)
    mine = DiffusionTrainer(SMALL | settings, data)
    optimizer = torch.optim.Adam(mine.network.parameters(), lr=5e-3)
    history = []
    for step in range(40):
        loss = mine.losses(mine.network, batch(data, step))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert np.mean(history[-10:]) < 0.9 * np.mean(history[:10])
    assert mine.samples(mine.network, data, 11).shape == (11, 16, 16, 3)
    before = [p.clone() for p in mine.network.parameters()]
    stored = list(mine.finish(mine.network.eval(), data, torch.device("cpu")))[-1]
    assert isinstance(stored, StoredModel)
    assert stored.preview is not None
    assert stored.preview.shape == (48, 48, 3)
    assert all(torch.equal(p, q) for p, q in zip(before, mine.network.parameters()))
    assert all(p.requires_grad for p in mine.network.parameters())
    spec = stored.header.spec.model_copy(update={"fingerprint": fingerprint(stored.weights)})
    backend = backend_from(
        StoredModel(stored.header.model_copy(update={"spec": spec}), stored.weights)
    )
    images = backend.decode(backend.sample_prior("noise", [0, 1]), options={"steps": 2})
    assert images.shape == (2, 3, 16, 16)
    assert torch.isfinite(images).all()


def test_half_of_a_sheet_is_told_what_images_of_the_data_show() -> None:
    """A model that draws its condition: rows of eight are alike, the free half is not told."""
    data = dataset()
    mine = trainer(condition=["age"])

    class Painter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = mine.network

        def forward(self, x, t, condition=None):
            # v of the image that shows its condition everywhere.
            level = condition[:, :1, None, None] * condition[:, 1:, None, None]
            schedule = noise_schedule("cosine")
            signal, rate = schedule.signal_rate[int(t[0])], schedule.noise_rate[int(t[0])]
            return (signal * x - level) / rate

    painter = Painter()
    mine._backend = lambda network: DiffusionBackend(  # type: ignore[method-assign]
        mine.config, diffusion_spec(mine.config, id="x"), painter
    )
    sheet = mine.samples(mine.network, data, 32).astype(float)
    found = sheet.mean((1, 2, 3)) / 127.5 - 1
    ages = data.labels["age"].values
    expected = np.concatenate([np.zeros(16), np.repeat(ages[:2], 8)])
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"widths": [4]}, "widths"),
        ({"widths": []}, "at least one level"),
        ({"widths": [8, 18]}, "multiples of groups"),
        ({"patch": 3}, "patch"),
        ({"attention": [5]}, "sides of maps: 8, 4"),
        ({"condition": ["nosuch"]}, "nosuch"),
        ({"prediction": "score"}, "prediction"),
        ({"colour": 1}, "colour"),
        ({"schedule": "linear", "num_timesteps": 100_000}, r"schedule.*without a trace"),
    ],
)
def test_wrong_settings_are_one_sentence(settings, text) -> None:
    with pytest.raises(LatentLabError, match=text) as caught:
        DiffusionTrainer(SMALL | settings, dataset())
    assert "\n" not in caught.value.message


def test_images_of_another_size_say_what_to_set() -> None:
    with pytest.raises(LatentLabError, match=r"data\.size"):
        DiffusionTrainer(SMALL, dataset(size=20))


RECIPE = """
[model]
family = "diffusion"
widths = [8, 16]
blocks = 1
head_dim = 8
groups = 4
patch = 2
dropout = 0.1
condition = "class"

[data]
source = "memory"
flip = true
held_out.count = 2

[train]
steps = 8
batch_size = 6
seed = 3
learning_rate = 1e-3
warmup_steps = 2
schedule = "cosine"
clip_norm = 1.0
ema_decay = 0.9
device = "cpu"
threads = 1
log_every = 1
sample_every = 0
sample_count = 2
checkpoint_every_minutes = 0
"""


def recipe() -> Recipe:
    return parse_recipe(RECIPE, "small.toml", {}, "small")


def test_a_run_that_stopped_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_data, "open_images", lambda *_args: dataset())
    quiet = {"on_event": lambda _event: None}
    whole = train(recipe(), tmp_path / "whole", **quiet)
    train(recipe(), tmp_path / "parts", max_steps=3, **quiet)
    parts = train(recipe(), tmp_path / "parts", resume=True, **quiet)
    assert whole.model is not None
    assert parts.model is not None
    first, second = (weights(path) for path in (whole.model, parts.model))
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def weights(path: Path) -> dict[str, np.ndarray]:
    return read_model(path).weights
