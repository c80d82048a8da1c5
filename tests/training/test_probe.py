"""The probe: its losses, its disturbances, its file, and the figures of the bundled one."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from sklearn.metrics import r2_score, roc_auc_score

from latentlab.backends.nn.probe import ProbeConfig, ProbeLabel, ProbeNetwork, fit_images
from latentlab.backends.probe import load_probe
from latentlab.core.errors import LatentLabError
from latentlab.core.families.probe import ProbeSettings
from latentlab.core.modelfile import ModelHeader, StoredModel, write_model
from latentlab.core.paths import asset_path
from latentlab.data.base import ArrayDataset, LabelColumn
from latentlab.training.families import probe as family
from latentlab.training.family import Batch

SMALL = {"widths": (8, 12, 16), "blocks": (0, 1, 0), "squeeze": 8, "feature_dim": 24}


def _data(count: int = 256, seed: int = 0) -> ArrayDataset:
    """Pictures with a bar (on), a grey level (value) and a coloured patch (color)."""
    rng = np.random.default_rng(seed)
    on = (rng.random(count) < 0.4).astype(np.float32)
    value = rng.normal(3, 2, count).astype(np.float32)
    color = rng.integers(0, 3, count).astype(np.float32)
    images = rng.integers(90, 120, (count, 32, 32, 3)).astype(np.uint8)
    for image, a, b, c in zip(images, on, value, color):
        image[4:8, 5:15] = 255 if a else 100
        image[14:20] = np.clip(110 + 12 * b, 0, 255)
        image[24:30, 8:24, int(c)] = 220
    labels = {
        "on": LabelColumn("on", "binary", on),
        "value": LabelColumn("value", "continuous", value, visible=rng.random(count) < 0.8),
        "color": LabelColumn("color", "categorical", color, ("red", "green", "blue")),
    }
    return ArrayDataset("bars", images, labels)


def _normal(step: int, rows: int) -> Callable[[str, tuple[int, ...]], torch.Tensor]:
    def normal(stream: str, shape: tuple[int, ...]) -> torch.Tensor:
        generator = torch.Generator().manual_seed(1000 * step + sum(stream.encode()))
        return torch.randn((rows, *shape), generator=generator)

    return normal


def _batch(data: ArrayDataset, rows: np.ndarray, step: int = 0) -> Batch:
    images = torch.from_numpy(data.read(rows)).permute(0, 3, 1, 2).float() / 127.5 - 1
    labels = {n: torch.from_numpy(c.values[rows]) for n, c in data.labels.items()}
    seen = data.labels["value"].visible
    assert seen is not None
    visible = {"value": torch.from_numpy(seen[rows])}
    return Batch(images, labels, visible, step, 100, _normal(step, len(rows)))


@pytest.fixture(scope="module")
def trained() -> tuple[family.ProbeTrainer, StoredModel]:
    data = _data(512)
    torch.manual_seed(0)
    trainer = family.ProbeTrainer(SMALL, data)
    optimizer = torch.optim.AdamW(trainer.network.parameters(), lr=4e-3)
    rng = np.random.default_rng(1)
    for step in range(120):
        trainer.network.train()
        trainer.losses(trainer.network, _batch(data, rng.integers(0, 512, 48), step))[
            "loss"
        ].backward()
        optimizer.step()
        optimizer.zero_grad()
    trainer.network.half().float()
    *progress, model = trainer.finish(trainer.network, _data(300, 7), torch.device("cpu"))
    assert progress[-1] == (300, 300, "reading held-out images")
    assert isinstance(model, StoredModel)
    return trainer, model


def test_figures_are_those_of_an_independent_computation(
    trained: tuple[family.ProbeTrainer, StoredModel], tmp_path: Path
) -> None:
    write_model(tmp_path / "p.safetensors", trained[1])
    probe = load_probe(tmp_path / "p.safetensors")
    data = _data(300, 7)
    read = probe.read(data.images)
    on, value, color = (data.labels[name] for name in ("on", "value", "color"))
    assert probe.quality["auc_on"] == pytest.approx(roc_auc_score(on.values, read["on"]))
    seen = value.visible
    assert probe.quality["r2_value"] == pytest.approx(
        r2_score(value.values[seen], read["value"][seen]), abs=1e-4
    )
    right = (read["color"].argmax(1) == color.values).mean()
    assert probe.quality["accuracy_color"] == pytest.approx(right)
    assert probe.quality["auc_on"] > 0.98
    assert probe.quality["r2_value"] > 0.8
    assert probe.quality["accuracy_color"] > 0.95
    assert probe.spread("value") == pytest.approx(read["value"][seen].std(), rel=1e-4)
    assert probe.spread("color_green") == pytest.approx(read["color"][:, 1].std(), rel=1e-4)
    columns = probe.standardised(data.images, ["color_green", "on"])
    np.testing.assert_allclose(columns[:, 1], read["on"] / probe.spread("on"), rtol=1e-5)


def test_readings_do_not_depend_on_size_kind_or_company(
    trained: tuple[family.ProbeTrainer, StoredModel], tmp_path: Path
) -> None:
    write_model(tmp_path / "p.safetensors", trained[1])
    probe = load_probe(tmp_path / "p.safetensors")
    levels = _data(20, 8).images
    floats = torch.from_numpy(levels).permute(0, 3, 1, 2).float() / 127.5 - 1
    alone = np.concatenate([probe.features(levels[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(probe.features(floats), alone, atol=1e-4)
    assert alone.shape == (20, 24)
    assert np.linalg.matrix_rank(alone - alone.mean(0)) > 5
    doubled = floats.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    np.testing.assert_allclose(probe.read(doubled)["on"], probe.read(floats)["on"], atol=0.1)
    none = probe.read(levels[:0])
    assert none["on"].shape == (0,)
    assert none["color"].shape == (0, 3)
    assert probe.features(levels[:0]).shape == (0, 24)
    np.testing.assert_allclose(probe.read(levels)["color"].sum(1), 1.0, rtol=1e-5)
    with pytest.raises(LatentLabError, match="reads no 'hat'"):
        probe.spread("hat")


def test_grey_and_colour_images_are_brought_to_the_probe() -> None:
    labels = (ProbeLabel(name="on", kind="binary"),)
    colour = ProbeConfig(labels=labels, image_size=32)
    grey = ProbeConfig(labels=labels, image_size=32, channels=1)
    picture = torch.rand(2, 3, 32, 32) * 2 - 1
    assert torch.equal(fit_images(picture, colour), picture)
    single = fit_images(picture, grey)
    expected = 0.299 * picture[:, 0] + 0.587 * picture[:, 1] + 0.114 * picture[:, 2]
    torch.testing.assert_close(single[:, 0], expected)
    assert fit_images(single, colour).shape == (2, 3, 32, 32)
    assert fit_images(torch.zeros(1, 3, 50, 70), colour).shape == (1, 3, 32, 32)


def test_hidden_and_unknown_rows_do_not_count() -> None:
    label = ProbeLabel(name="v", kind="continuous", mean=1.0, deviation=2.0)
    output = torch.tensor([0.5, 9.0, -1.0, 7.0])
    target = torch.tensor([3.0, 0.0, 1.0, math.nan])
    rows = torch.tensor([True, False, True, True])
    assert float(family.label_loss(label, output, target, rows)) == pytest.approx(
        ((0.5 - 1.0) ** 2 + (-1.0 - 0.0) ** 2) / 2
    )
    assert float(family.label_loss(label, output, target, torch.zeros(4).bool())) == 0.0
    binary = ProbeLabel(name="b", kind="binary")
    found = family.label_loss(binary, torch.tensor([2.0]), torch.ones(1), torch.ones(1).bool())
    assert float(found) == pytest.approx(math.log1p(math.exp(-2.0)))
    classes = ProbeLabel(name="c", kind="categorical", classes=("x", "y"))
    logits = torch.tensor([[0.0, 3.0]])
    found = family.label_loss(classes, logits, torch.ones(1), torch.ones(1).bool())
    assert float(found) == pytest.approx(math.log1p(math.exp(-3.0)))


def test_blur_is_a_gaussian_cut_at_two_pixels() -> None:
    images = torch.randn(3, 2, 12, 10, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.0, 0.6, 1.0])
    found = family.gaussian_blur(images, sigma)
    torch.testing.assert_close(found[0], images[0])
    for row in (1, 2):
        expected = images[row].double().numpy()
        for axis in (1, 2):
            expected = gaussian_filter1d(
                expected, float(sigma[row]), axis=axis, mode="nearest", radius=2
            )
        np.testing.assert_allclose(found[row].numpy(), expected, atol=1e-5)


def test_shifts_move_every_image_by_its_own_pixels() -> None:
    images = torch.arange(2 * 1 * 4 * 5).float().reshape(2, 1, 4, 5)
    found = family.shift_images(images, torch.tensor([1, 0]), torch.tensor([0, -2]))
    assert torch.equal(found[0, 0, 1:], images[0, 0, :-1])
    assert torch.equal(found[0, 0, 0], images[0, 0, 0])
    assert torch.equal(found[1, 0, :, :3], images[1, 0, :, 2:])


def test_disturbed_images_depend_on_the_step_alone() -> None:
    data, rows = _data(64), np.arange(16)
    how = ProbeSettings()
    first = family.disturb(_batch(data, rows, 3), how)
    assert torch.equal(first, family.disturb(_batch(data, rows, 3), how))
    assert not torch.equal(first, family.disturb(_batch(data, rows, 4), how))
    assert float(first.abs().max()) <= 1
    change = (first - _batch(data, rows).images).abs().mean()
    assert 0.01 < float(change) < 0.2


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"width": 3}, "width"), ({"feature_dim": 0}, "feature_dim"), ({"blur": "much"}, "blur")],
)
def test_wrong_settings_name_themselves(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(LatentLabError, match=message):
        family.ProbeTrainer(settings, _data(32))
    with pytest.raises(LatentLabError, match="has none"):
        family.ProbeTrainer({}, ArrayDataset("bare", _data(32).images))


def test_files_that_are_no_probe_say_so(
    trained: tuple[family.ProbeTrainer, StoredModel], tmp_path: Path
) -> None:
    model = trained[1]
    path = tmp_path / "x.safetensors"

    def written(**changes: Any) -> Path:
        header = ModelHeader(**{**dict(model.header), **changes})
        write_model(path, StoredModel(header, model.weights))
        return path

    with pytest.raises(LatentLabError, match="no file"):
        load_probe(tmp_path / "none.safetensors")
    other = model.header.spec.model_copy(update={"family": "vae"})
    with pytest.raises(LatentLabError, match="not a probe"):
        load_probe(written(spec=other))
    with pytest.raises(LatentLabError, match="not valid for a probe"):
        load_probe(written(config={"labels": []}))
    with pytest.raises(LatentLabError, match="not valid for a probe"):
        load_probe(written(extra={"spread": {"on": ["wide"]}, "spread_images": 3}))
    with pytest.raises(LatentLabError, match="how its readings spread"):
        load_probe(written(extra={"spread": {"on": [1.0]}, "spread_images": 3}))
    wider = model.header.config | {"feature_dim": 32}
    with pytest.raises(LatentLabError, match="needs"):
        load_probe(written(config=wider))
    assert load_probe(written()).labels.keys() == {"on", "value", "color"}


def test_the_split_of_raw_outputs_follows_the_labels() -> None:
    labels = (
        ProbeLabel(name="c", kind="categorical", classes=("x", "y", "z")),
        ProbeLabel(name="b", kind="binary"),
    )
    network = ProbeNetwork(ProbeConfig(labels=labels, image_size=16))
    raw = torch.arange(8.0).reshape(2, 4)
    found = network.split(raw)
    assert torch.equal(found["c"], raw[:, :3])
    assert torch.equal(found["b"], raw[:, 3])


@pytest.mark.slow
def test_the_bundled_probe_reads_fresh_portraits() -> None:
    """The figures that later claims stand on, on renders that it has never seen."""
    from latentlab.data.portraits.dataset import Portraits

    assert asset_path("models", "probe.safetensors").stat().st_size <= 1.5 * 2**20
    probe, data = load_probe(), Portraits(2000, seed=4242, size=64)
    levels = np.concatenate([data.read(np.arange(s, s + 250)) for s in range(0, 2000, 250)])
    read = probe.read(levels)
    assert sum(p.numel() for p in probe.network.parameters()) <= 700_000
    for column in data.labels.values():
        seen = np.ones(2000, bool) if column.visible is None else column.visible
        truth, found = column.values[seen], read[column.name][seen]
        if column.kind == "continuous":
            assert r2_score(truth, found) >= 0.95, column.name
        elif column.kind == "binary":
            assert roc_auc_score(truth, found) >= 0.99, column.name
        else:
            floor = 0.8 if column.name == "eye_color" else 0.95
            assert (found.argmax(1) == truth).mean() >= floor, column.name
