"""The flow's trainer: its loss against the parts it is made of, its settings, its model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from latentlab.backends.checkpoint import backend_from
from latentlab.backends.images import from_levels, to_levels
from latentlab.backends.nn.flow_layers import Mixing
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import StoredModel, fingerprint, read_model
from latentlab.core.recipe import Recipe, parse_recipe
from latentlab.training import data as training_data
from latentlab.training.families.flow import FlowTrainer
from latentlab.training.run import train
from tests.flow_models import perturb, tiny_flow
from tests.training.test_vae_family import batch, dataset

SMALL = {
    "steps": [1, 1],
    "hidden": [8, 8],
    "couplings": 1,
    "global_dim": 3,
    "encoder": [8, 8],
    "encoder_planes": 4,
    "encoder_norm": "group",
    "prior_hidden": 8,
    "dequantiser_hidden": 8,
}
PLAIN = {"global_dim": 0}
VARIANTS = [
    PLAIN,
    {"bits": 5},
    {"global_maps": [8, 8], "global_prior": "flow", "bits": 5},
    {"dequantisation": "variational", "splits": 2, "encoder_norm": "batch"},
]


def trainer(count: int = 24, **settings: object) -> FlowTrainer:
    """A trainer whose network's zeros are not, so that no term of the loss is nothing."""
    torch.manual_seed(0)
    found = FlowTrainer(SMALL | settings, dataset(count))
    found.initialise(found.network, batch(dataset(count)))
    perturb(found.network, amount=0.1)
    return found


@pytest.mark.parametrize("bits", [8, 3])
def test_the_loss_of_a_plain_flow_is_minus_the_density_of_the_dequantised_image(bits: int) -> None:
    """By the whole Jacobian in float64, of two grey images of 16 pixels."""
    torch.manual_seed(0)
    data = dataset(2, channels=1)
    mine = FlowTrainer(SMALL | PLAIN | {"steps": [1], "hidden": [8], "bits": bits}, data)
    given = batch(data)
    mine.initialise(mine.network, given)
    perturb(mine.network, amount=0.1)
    found = mine.losses(mine.network, given)
    flow = mine.network.double()
    eight = np.round((given.images.numpy() + 1) * 127.5)
    u = torch.special.ndtr(given.normal("dequantisation", (1, 16, 16))).double().numpy()
    y = torch.from_numpy((np.floor(eight / 2 ** (8 - bits)) + u) / 2**bits - 0.5)
    nats = []
    for row in y:

        def latent(flat: torch.Tensor) -> torch.Tensor:
            return flow.encode(flat.view(1, 1, 16, 16))[0][0].flatten()

        z = latent(row.flatten())
        jacobian = torch.autograd.functional.jacobian(latent, row.flatten())
        log_density = Normal(0.0, 1.0).log_prob(z).sum() + torch.linalg.slogdet(jacobian)[1]
        nats.append(log_density.item() - 256 * bits * math.log(2))
    expected = -np.mean(nats) / 256
    assert found["loss"].item() == pytest.approx(expected, rel=1e-4)
    assert found["bits_per_dim"].item() == pytest.approx(expected / math.log(2), rel=1e-4)
    assert found.keys() == {"loss", "bits_per_dim"}


def test_the_kl_term_is_that_of_torch_and_counts_by_its_weight() -> None:
    given = batch(dataset())
    one, double = (trainer(beta=beta) for beta in (1.0, 2.0))
    first, second = (t.losses(t.network, given) for t in (one, double))
    with torch.no_grad():
        # The encoder sees images at their real-valued levels, as it does when it encodes.
        mean, logvar = one.network.posterior(given.images * 255 / 512)
    posterior = Normal(mean, torch.exp(0.5 * logvar))
    kl = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(first["kl"], kl, rtol=1e-4, atol=1e-4)
    dimensions = 3 * 16 * 16
    torch.testing.assert_close(first["loss"], first["bits_per_dim"] * math.log(2))
    torch.testing.assert_close(second["bits_per_dim"], first["bits_per_dim"])
    torch.testing.assert_close(
        second["loss"] - first["loss"], kl / dimensions, rtol=1e-3, atol=1e-6
    )


def test_kl_weight_rises_linearly_to_beta() -> None:
    mine = FlowTrainer(SMALL | {"beta": 4.0, "kl_warmup_steps": 10}, dataset())
    assert [mine.kl_weight(step) for step in (0, 5, 10, 99)] == [0.0, 2.0, 4.0, 4.0]


@pytest.mark.parametrize("settings", VARIANTS)
def test_the_loss_agrees_with_the_density_of_the_stored_model(settings: dict) -> None:
    """Two draws of the same mean over many images: the trainer's and the backend's."""
    mine, data = trainer(240, **settings), dataset(240)
    mine.network.eval()
    with torch.no_grad():
        found = mine.losses(mine.network, batch(data))["bits_per_dim"].item()
    backend = mine._backend(mine.network)
    scored = backend.log_prob(batch(data).images).bits_per_dim
    error = float(scored.std()) / math.sqrt(len(scored))
    assert found == pytest.approx(float(scored.mean()), abs=4 * error + 1e-3)


def test_the_first_batch_sets_every_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    mine = FlowTrainer(SMALL | {"global_prior": "flow", "global_maps": [8, 8]}, dataset())
    given = batch(dataset())
    mine.initialise(mine.network, given)
    encode, seen = Mixing.encode, []

    def noting(self, x, *args, **options):
        z, log_det = encode(self, x, *args, **options)
        # What the 1x1 convolution got.
        seen.append(torch.linalg.solve(self.conv.weight(), z.transpose(0, 1).flatten(1)))
        return z, log_det

    monkeypatch.setattr(Mixing, "encode", noting)
    with torch.no_grad():
        mine.losses(mine.network, given)
    assert len(seen) == 4
    for rows in seen:
        torch.testing.assert_close(rows.mean(1), torch.zeros(len(rows)), atol=1e-3, rtol=0)
        torch.testing.assert_close(rows.std(1), torch.ones(len(rows)), atol=0.05, rtol=0)


@pytest.mark.parametrize("settings", VARIANTS)
def test_training_lowers_the_loss_and_ends_in_a_measured_model(settings: dict) -> None:
    data = dataset()
    torch.manual_seed(0)
    mine = FlowTrainer(SMALL | settings, data)
    mine.initialise(mine.network, batch(data))
    optimizer = torch.optim.Adam(mine.network.parameters(), lr=5e-3)
    history = []
    for step in range(30):
        loss = mine.losses(mine.network, batch(data, step))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert np.mean(history[-5:]) < np.mean(history[:5]) - 0.05
    assert all(p.grad is not None for p in mine.network.parameters())
    before = {name: v.clone() for name, v in mine.network.state_dict().items()}
    stored = list(mine.finish(mine.network.eval(), data, torch.device("cpu")))[-1]
    assert isinstance(stored, StoredModel)
    assert all(torch.equal(v, before[name]) for name, v in mine.network.state_dict().items())
    assert all(p.requires_grad for p in mine.network.parameters())
    assert stored.preview is not None
    assert stored.preview.shape == (48, 48, 3)
    spec = stored.header.spec.model_copy(update={"fingerprint": fingerprint(stored.weights)})
    header = stored.header.model_copy(update={"spec": spec})
    backend = backend_from(StoredModel(header, stored.weights))
    quality = spec.quality
    images = from_levels(data.images)
    own = float(backend.log_prob(images).bits_per_dim.mean())
    # Its half-precision weights are rounded once more than those that were measured here.
    assert quality["bits_per_dim"] == pytest.approx(own, abs=0.02)
    dimensions = 3 * 16 * 16
    assert -quality["nats"] / dimensions / math.log(2) == pytest.approx(quality["bits_per_dim"])
    assert quality["data_bits"] == settings.get("bits", 8)
    assert quality["round_trip"] < 1e-4
    assert ("kl_nats" in quality) == bool(settings.get("global_dim", 3))
    latents = list(backend.encode(images))[-1].latents
    np.testing.assert_array_equal(to_levels(backend.decode(latents)), data.images)


def test_a_sheet_shows_images_their_switch_and_new_ones() -> None:
    mine, data = trainer(), dataset(size=16)
    backend = tiny_flow(encoder=(8, 8))
    mine.config = backend.config
    mine._backend = lambda network: backend  # type: ignore[method-assign]
    sheet = mine.samples(mine.network, data, 36)
    assert sheet.shape == (36, 16, 16, 3)
    originals, switched = sheet[:6], sheet[6:30].reshape(4, 6, 16, 16, 3)
    np.testing.assert_array_equal(originals, data.images[:6])
    for row in range(4):
        difference = switched[row, row].astype(int) - originals[row]
        assert np.abs(difference).max() <= 1
        assert not np.array_equal(switched[row, row + 1], originals[row + 1])
    drawn = backend.sample_prior("latent", range(6), 0.8)
    np.testing.assert_array_equal(sheet[30:], to_levels(backend.decode(drawn)))


def test_the_sheet_of_a_plain_flow_and_a_small_one() -> None:
    data = dataset()
    for settings, count in (({}, 1), ({}, 5), (PLAIN, 16), (PLAIN, 1)):
        mine = trainer(**settings)
        assert mine.samples(mine.network, data, count).shape == (count, 16, 16, 3)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"bits": 9}, "bits"),
        ({"steps": [1]}, r"model\.steps.*one number for each level"),
        ({"steps": [], "hidden": []}, r"model\.steps.*at least one level"),
        ({"encoder": []}, r"model\.encoder.*at least one level"),
        ({"hidden": [2, 2]}, "hidden"),
        ({"global_maps": [8]}, r"model\.global_maps.*one number for each level"),
        ({"global_maps": [8, 8], "global_dim": 0}, r"model\.global_maps.*global_dim"),
        ({"steps": [1] * 5, "hidden": [8] * 5}, "multiple of 32"),
        ({"couplings": 3}, "couplings"),
        ({"beta": -1}, "beta"),
        ({"colour": 1}, "colour"),
    ],
)
def test_wrong_settings_are_one_sentence(settings: dict, text: str) -> None:
    with pytest.raises(LatentLabError, match=text) as caught:
        FlowTrainer(SMALL | settings, dataset())
    assert "\n" not in caught.value.message


def test_images_of_another_size_say_what_to_set() -> None:
    with pytest.raises(LatentLabError, match=r"data\.size"):
        FlowTrainer(SMALL, dataset(size=20))


RECIPE = """
[model]
family = "flow"
bits = 5
steps = [1, 1]
hidden = [8, 8]
couplings = 1
global_dim = 3
global_maps = [8, 8]
global_prior = "flow"
prior_hidden = 8
encoder = [8, 8]
encoder_planes = 4
encoder_norm = "group"
kl_warmup_steps = 4

[data]
source = "memory"
held_out.count = 6

[train]
steps = 8
batch_size = 6
seed = 3
learning_rate = 1e-3
warmup_steps = 2
schedule = "cosine"
clip_norm = 2.0
ema_decay = 0.9
precision = "PRECISION"
device = "cpu"
threads = 1
log_every = 1
sample_every = 0
sample_count = 9
checkpoint_every_minutes = 0
"""


def recipe(precision: str = "fp32") -> Recipe:
    return parse_recipe(RECIPE.replace("PRECISION", precision), "small.toml", {}, "small")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_that_stopped_goes_on_to_the_same_weights(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_data, "open_images", lambda *_args: dataset())
    quiet = {"on_event": lambda _event: None}
    whole = train(recipe(precision), tmp_path / "whole", **quiet)
    train(recipe(precision), tmp_path / "parts", max_steps=3, **quiet)
    parts = train(recipe(precision), tmp_path / "parts", resume=True, **quiet)
    assert whole.model is not None
    assert parts.model is not None
    first, second = (read_model(path).weights for path in (whole.model, parts.model))
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    assert np.isfinite(read_model(whole.model).header.spec.quality["bits_per_dim"])
