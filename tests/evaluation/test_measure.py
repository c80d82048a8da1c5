"""Measuring and fitting on a world where everything is linear, so that the answers are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentlab.backends.base import EncodeUpdate
from latentlab.core.direction import Direction
from latentlab.core.effects import EditFigures
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import ModelHeader, StoredModel, read_model, write_model
from latentlab.core.noise import noise_rows
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec
from latentlab.data.base import ArrayDataset, LabelColumn
from latentlab.data.portraits.attributes import EDIT_ATTRIBUTES, hidden_by
from latentlab.evaluation import fit, measure
from latentlab.evaluation.factors import factors, joint_vectors
from latentlab.latent.metrics import frechet_distance

DIM, SIZE = 12, 16
PIXELS = 3 * SIZE * SIZE
FRAME = np.linalg.qr(np.random.default_rng(0).normal(size=(PIXELS, DIM)))[0].T
GAIN = 1.5
"""Images are GAIN * z @ FRAME: small enough to stay inside [-1, 1]."""


class LinearModel:
    """An image is a linear function of z, and z the same function of the image."""

    def __init__(self) -> None:
        part = PartSpec(name="z", shape=(DIM,))
        self.spec = ModelSpec(
            id="linear",
            family="linear",
            image_shape=(3, SIZE, SIZE),
            spaces=(LatentSpace(name="z", parts=(part,)),),
            capabilities=("sample", "decode", "encode"),
            fingerprint="f" * 64,
        )
        self.device = torch.device("cpu")
        self.frame = torch.from_numpy(FRAME).float()

    def sample_prior(
        self, space: str, seeds: Sequence[int], temperature: float = 1.0
    ) -> Mapping[str, torch.Tensor]:
        return {"z": torch.from_numpy(noise_rows(seeds, "prior.z", (DIM,))) * temperature}

    def decode(self, latents: Any, *, space: str | None = None, **_: Any) -> torch.Tensor:
        return (GAIN * latents["z"] @ self.frame).reshape(-1, 3, SIZE, SIZE)

    def encode(self, images: torch.Tensor, **_: Any) -> Iterator[EncodeUpdate]:
        z = images.flatten(1) @ self.frame.T / GAIN
        yield EncodeUpdate(1, 1, {"z": z}, None, images, torch.zeros(len(z)))


def _z(levels: np.ndarray) -> np.ndarray:
    pixels = np.asarray(levels, np.float64).transpose(0, 3, 1, 2) / 127.5 - 1
    return pixels.reshape(len(pixels), -1) @ FRAME.T / GAIN


class LinearProbe:
    """Reads ``z @ weights`` from the pixels, in standard deviations already."""

    fingerprint = "p" * 64

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = weights
        self.columns = {name: (name, None) for name in weights}

    def standardised(self, images: np.ndarray, columns: Sequence[str]) -> np.ndarray:
        return _z(images) @ np.stack([self.weights[c] for c in columns], axis=1)

    def features(self, images: np.ndarray) -> np.ndarray:
        return _z(images)


def _last(steps: Iterator[Any]) -> Any:
    items = list(steps)
    progress = items[:-1]
    assert progress
    assert all(0 <= done <= total and text for done, total, text in progress)
    return items[-1]


def _direction(name: str, vector: np.ndarray, scale: float) -> Direction:
    unit = vector / np.linalg.norm(vector)
    return Direction(name, "z", {"z": unit}, scale, "given", "f" * 64)


def _weights(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: 0.3 * rng.normal(size=DIM) for name in EDIT_ATTRIBUTES}


def test_the_measured_figures_equal_the_closed_form() -> None:
    weights = _weights(1)
    rng = np.random.default_rng(2)
    vectors = {name: rng.normal(size=DIM) for name in EDIT_ATTRIBUTES}
    scales = dict(zip(EDIT_ATTRIBUTES, rng.uniform(0.5, 1.5, 8)))
    directions = {n: _direction(n, vectors[n], scales[n]) for n in EDIT_ATTRIBUTES}
    report = _last(
        measure.measure_edit(LinearModel(), directions, LinearProbe(weights), samples=96)
    )
    assert list(report.attributes) == list(EDIT_ATTRIBUTES)
    for name, found in report.attributes.items():
        move = 2.0 * scales[name] * vectors[name] / np.linalg.norm(vectors[name])
        changes = {other: float(move @ weights[other]) for other in EDIT_ATTRIBUTES}
        sides = {o: abs(c) for o, c in changes.items() if o != name and o not in hidden_by(name)}
        worst = max(sides, key=lambda other: sides[other])
        assert found.target == pytest.approx(changes[name], abs=0.01)
        assert found.side_attribute == worst
        assert found.side == pytest.approx(sides[worst], abs=0.01)
        assert found.selectivity == pytest.approx(found.target / found.side)
    plain = report.as_json()
    assert plain["attributes"]["smiling"].keys() == {
        "target",
        "side",
        "side_attribute",
        "selectivity",
    }
    assert (plain["samples"], plain["amount"], plain["seed"]) == (96, 2.0, 0)


def test_side_effects_count_absolute_changes_and_leave_out_what_is_hidden() -> None:
    columns = ["wearing_hat", "bangs", "smiling"]
    changes = np.zeros((2, 3))
    changes[:, 0] = 2.0
    changes[:, 1] = [-1.5, -1.5]
    changes[:, 2] = [0.5, -0.5]
    found = measure.edit_figures("wearing_hat", changes, columns, set(hidden_by("wearing_hat")))
    assert "bangs" in hidden_by("wearing_hat")
    assert found == EditFigures(2.0, 0.5, "smiling", 4.0)
    shown = measure.edit_figures("wearing_hat", changes, columns, set())
    assert shown == EditFigures(2.0, 1.5, "bangs", pytest.approx(4 / 3))


def test_a_model_without_these_directions_is_told_to_fit_them() -> None:
    steps = measure.measure_edit(LinearModel(), {}, LinearProbe(_weights(1)))
    with pytest.raises(LatentLabError, match="fit them first"):
        next(steps)


def _labelled(count: int, seed: int, effects: np.ndarray) -> ArrayDataset:
    """Images of z = labels @ effects + noise; ``on`` and ``also`` occur together."""
    rng = np.random.default_rng(seed)
    on = (rng.random(count) < 0.4).astype(np.float32)
    also = np.where(rng.random(count) < 0.6, on, rng.random(count) < 0.4).astype(np.float32)
    value = rng.normal(size=count).astype(np.float32)
    color = rng.integers(0, 3, count).astype(np.float32)
    seen = rng.random(count) < 0.9
    table = np.column_stack([np.where(seen, on, 0), also, value, *(color == c for c in range(3))])
    z = table @ effects + 0.4 * rng.normal(size=(count, DIM))
    images = (GAIN * z @ FRAME).reshape(count, 3, SIZE, SIZE)
    levels = ((images.transpose(0, 2, 3, 1) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    labels = {
        "on": LabelColumn("on", "binary", on, visible=seen),
        "also": LabelColumn("also", "binary", also),
        "value": LabelColumn("value", "continuous", value),
        "color": LabelColumn("color", "categorical", color, ("red", "green", "blue")),
    }
    return ArrayDataset("linear world", levels, labels)


EFFECTS = 0.8 * np.random.default_rng(5).normal(size=(6, DIM))


def _fit(seed: int, **options: Any) -> dict[str, Direction]:
    training, held_out = _labelled(3000, seed, EFFECTS), _labelled(1000, seed + 50, EFFECTS)
    return _last(fit.fit_directions(LinearModel(), training, held_out, **options))


def _cosine(direction: Direction, vector: np.ndarray) -> float:
    return float(direction.vector["z"] @ vector / np.linalg.norm(vector))


def test_joint_regression_finds_the_true_effects_and_two_fits_agree() -> None:
    first, second = _fit(1), _fit(2)
    names = ["on", "also", "value", "color_red", "color_green", "color_blue"]
    assert list(first) == names
    red, green, blue = EFFECTS[3:]
    truth = dict(zip(names, EFFECTS[:3])) | {
        "color_red": red - (green + blue) / 2,
        "color_blue": blue - (red + green) / 2,
    }
    for name, vector in truth.items():
        assert _cosine(first[name], vector) > 0.99
    for name in names:
        assert _cosine(first[name], second[name].vector["z"]) > 0.99
    plain = _fit(1, method="mean difference", names=["on"])
    assert _cosine(plain["on"], EFFECTS[0]) < 0.97


def test_directions_say_where_they_come_from() -> None:
    found = _fit(1, names=["on", "value"], groups={"on": "first"})
    on, value = found["on"], found["value"]
    assert (on.group, value.group, on.fingerprint) == ("first", "value", "f" * 64)
    assert on.provenance["data"]["count"] == 3000
    assert on.provenance["held_out"]["count"] == 1000
    low, high = on.provenance["interval"]
    assert 0.5 < low < on.provenance["auc"] < high <= 1
    assert 0 < value.provenance["correlation"] < 1
    held_out = _z(_labelled(1000, 51, EFFECTS).images)
    assert on.scale == pytest.approx((held_out @ on.vector["z"]).std(), rel=1e-4)


@pytest.mark.parametrize("method", ["logistic", "linear svm"])
def test_classifiers_find_directions(method: fit.FitMethod) -> None:
    found = _fit(3, method=method, names=["on", "value"])
    assert found["on"].provenance["auc"] > 0.9
    assert found["on"].method == method


def test_calibration_makes_the_measured_effect_pure() -> None:
    """A reader that mixes the factors makes joint regression unselective; calibration undoes it."""
    rng = np.random.default_rng(7)
    names = ["on", "also", "value", "color_red", "color_green", "color_blue"]
    clean = np.linalg.pinv(EFFECTS[:5]).T
    mix = np.eye(6, 5) + 0.2 * rng.normal(size=(6, 5))
    probe: Any = LinearProbe(dict(zip(names, mix @ clean)))
    plain, calibrated = _fit(1), _fit(1, method="calibrated", probe=probe)

    def off_target(direction: Direction) -> float:
        effects = {n: float(direction.vector["z"] @ probe.weights[n]) for n in names[:5]}
        own = effects.pop(direction.name)
        return max(abs(e) for e in effects.values()) / own

    for name in names[:3]:
        assert off_target(plain[name]) > 0.1
        assert off_target(calibrated[name]) < 0.5 * off_target(plain[name])
    assert calibrated["on"].provenance["probe"] == {"fingerprint": probe.fingerprint}
    # What it says of itself is true of the corrected vector, on images that were not fitted on.
    held_out = _labelled(1000, 51, EFFECTS)
    label = held_out.labels["on"]
    assert label.visible is not None
    along = (_z(held_out.images) @ calibrated["on"].vector["z"])[label.visible]
    on = label.values[label.visible]
    above = along[on > 0.5][:, None] - along[on <= 0.5][None]
    auc = (above > 0).mean() + (above == 0).mean() / 2
    assert calibrated["on"].provenance["auc"] == pytest.approx(auc, abs=1e-4)
    assert calibrated["on"].provenance["folds"] == "held-out images"
    assert plain["on"].provenance["folds"] == "cross-validated"


def test_frechet_distance_of_prior_samples_and_data() -> None:
    data = _labelled(300, 9, EFFECTS)
    model: Any = LinearModel()
    found = _last(measure.frechet(model, LinearProbe({}), data, samples=300, seed=2))
    seeds = range(2_000_000, 2_000_300)
    prior = noise_rows(seeds, "prior.z", (DIM,))
    assert found == pytest.approx(frechet_distance(prior, _z(data.images)), rel=0.01)
    assert found > 1


def test_wrong_requests_are_one_sentence() -> None:
    model: Any = LinearModel()
    data = _labelled(60, 1, EFFECTS)
    with pytest.raises(LatentLabError, match="no label 'hat'"):
        next(fit.fit_directions(model, data, data, names=["hat"]))
    with pytest.raises(LatentLabError, match="needs a probe"):
        next(fit.fit_directions(model, data, data, method="calibrated"))
    bare = ArrayDataset("bare", data.images)
    with pytest.raises(LatentLabError, match="no labels"):
        next(fit.fit_directions(model, bare, bare))
    model.spec = model.spec.model_copy(update={"image_shape": (3, 32, 32)})
    with pytest.raises(LatentLabError, match="model's size"):
        next(fit.fit_directions(model, data, data))
    model.spec = model.spec.model_copy(update={"capabilities": ("sample", "decode")})
    with pytest.raises(LatentLabError, match="encodes"):
        next(fit.fit_directions(model, data, data))


def test_directions_are_put_into_the_file_of_their_weights(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    weights = {"w": np.arange(4, dtype=np.float32)}
    spec = LinearModel().spec
    header = write_model(path, StoredModel(ModelHeader(config={}, spec=spec), weights))
    mine = _direction("on", EFFECTS[0], 1.0)
    own = Direction(**{**vars(mine), "fingerprint": header.spec.fingerprint})
    fit.store_directions(path, {"on": own})
    stored = read_model(path)
    assert stored.header.spec.fingerprint == header.spec.fingerprint
    np.testing.assert_array_equal(stored.directions["on"].vector["z"], own.vector["z"])
    with pytest.raises(LatentLabError, match="other weights"):
        fit.store_directions(path, {"on": mine})


def test_class_folders_give_each_class_twice_and_joint_regression_takes_it_once() -> None:
    data = _labelled(1500, 4, EFFECTS)
    color = data.labels["color"].values
    twice = dict(data.labels)
    for i, name in enumerate(("red", "green", "blue")):
        twice[name] = LabelColumn(name, "binary", (color == i).astype(np.float32))
    twice["not_red"] = LabelColumn("not_red", "binary", (color != 0).astype(np.float32))
    found = joint_vectors(_z(data.images), factors(twice))
    plain = joint_vectors(_z(data.images), factors(data.labels))
    for name in ("red", "blue"):
        np.testing.assert_allclose(found[name], plain[f"color_{name}"], atol=1e-9)
    np.testing.assert_allclose(found["not_red"], -plain["color_red"], atol=1e-9)
    np.testing.assert_allclose(found["on"], plain["on"], atol=1e-9)
