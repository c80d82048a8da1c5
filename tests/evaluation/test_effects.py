"""The effect matrix and what is solved from it, on worlds where the answers are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from latentlab.core.direction import Direction
from latentlab.core.effects import EditFigures, EffectReport, Orthogonalised
from latentlab.core.errors import LatentLabError
from latentlab.core.noise import noise_rows
from latentlab.core.points import PointSet
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec
from latentlab.data.base import ArrayDataset, LabelColumn
from latentlab.evaluation import effects
from latentlab.evaluation.orthogonal import is_better, orthogonalised
from latentlab.evaluation.readers import (
    ProbeReader,
    fit_label_reader,
    load_reader,
    reader_path,
    save_reader,
)
from latentlab.latent.directions import least_side_effects

DIM = 6
NAMES = ("a", "b", "c", "d")


class WholeModel:
    """One grey level a unit of z and dimension, and prior samples of whole numbers: no rounding."""

    def __init__(self) -> None:
        part = PartSpec(name="z", shape=(DIM,))
        self.spec = ModelSpec(
            id="whole",
            family="whole",
            image_shape=(3, 1, DIM),
            spaces=(LatentSpace(name="z", parts=(part,)),),
            capabilities=("sample", "decode"),
            fingerprint="f" * 64,
        )
        self.device = torch.device("cpu")

    def sample_prior(
        self, space: str, seeds: Sequence[int], temperature: float = 1.0
    ) -> Mapping[str, torch.Tensor]:
        return {"z": torch.from_numpy((10 * noise_rows(seeds, "prior.z", (DIM,))).round())}

    def decode(self, latents: Any, *, space: str | None = None, **_: Any) -> torch.Tensor:
        levels = 128 + latents["z"]
        return (levels / 127.5 - 1)[:, None, None, :].expand(-1, 3, -1, -1)


class WholeReader:
    """Reads ``z @ weights`` off the grey levels."""

    name = "ruler"
    columns = NAMES

    def __init__(self, weights: np.ndarray, hidden: dict[str, tuple[str, ...]] | None = None):
        self.weights = weights
        self.hidden = hidden or {}
        self.reliability = dict.fromkeys(NAMES, 1.0)

    def standardised(self, images: np.ndarray, columns: Sequence[str]) -> np.ndarray:
        z = images[:, 0, :, 0].astype(np.float64) - 128
        return z @ self.weights[:, [NAMES.index(c) for c in columns]]


def last(work: Any) -> Any:
    progress = []
    while True:
        try:
            progress.append(next(work))
        except StopIteration as end:
            assert progress
            assert all(0 <= done <= total and text for done, total, text, *_ in progress)
            return end.value


def direction(name: str, step: np.ndarray, **provenance: Any) -> Direction:
    norm = float(np.linalg.norm(step))
    vector = {"z": step / norm}
    return Direction(name, "z", vector, norm, "given", "f" * 64, provenance=provenance)


def test_the_effect_matrix_equals_its_closed_form() -> None:
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(DIM, 4))
    steps = rng.integers(-9, 10, (3, DIM)).astype(float)
    given = [direction(n, s) for n, s in zip(("a", "b", "z[3]"), steps)]
    reader = WholeReader(weights, {"a": ("c",)})
    report: EffectReport = last(
        effects.measure_effects(WholeModel(), given, reader, samples=20, amount=2.0)
    )
    truth = 2.0 * steps @ weights
    np.testing.assert_allclose(report.mean, truth, atol=1e-6)
    np.testing.assert_allclose(report.size, np.abs(truth), atol=1e-6)
    np.testing.assert_allclose(report.error, 0, atol=1e-6)
    unit = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    np.testing.assert_allclose(report.cosines, unit @ unit.T, atol=1e-6)
    assert (report.directions, report.columns) == (("a", "b", "z[3]"), NAMES)
    assert (report.samples, report.amount, report.reader) == (20, 2.0, "ruler")
    assert report.target_of("a") == "a"
    assert report.target_of("z[3]") is None
    found = report.figures("a")
    assert found is not None
    assert found.side == pytest.approx(max(abs(truth[0, 1]), abs(truth[0, 3])))
    assert report.figures("z[3]") is None


def test_reports_of_the_first_samples_come_on_the_way() -> None:
    weights, step = np.eye(DIM, 4), np.full(DIM, 4.0)
    work = effects.measure_effects(
        WholeModel(), [direction("a", step)], WholeReader(weights), samples=48
    )
    partial = [item[3] for item in work if len(item) == 4]
    assert [report.samples for report in partial] == [16, 32]
    np.testing.assert_allclose(partial[0].mean[0], 8.0)


def test_reports_on_the_way_hold_no_sample_that_is_not_measured() -> None:
    """Of three directions and turns of 64, numbers of decoded images are multiples of 4 early."""
    steps = [np.full(DIM, float(step)) for step in (2, 3, 4)]
    given = [direction(name, step) for name, step in zip("abc", steps)]
    for chunk in (5, 64):
        work = effects.measure_effects(
            WholeModel(), given, WholeReader(np.eye(DIM, 4)), samples=200, amount=1.0, chunk=chunk
        )
        partial = [item[3] for item in work if len(item) == 4]
        assert partial
        for report in partial:
            assert report.samples % chunk == 0
            np.testing.assert_allclose(report.mean, np.stack(steps)[:, :4])


def test_standard_errors_are_those_of_the_paired_changes() -> None:
    """A reading of z squared changes by 2 z s + s^2: the error follows from the samples' z."""

    class Square(WholeReader):
        def standardised(self, images: np.ndarray, columns: Sequence[str]) -> np.ndarray:
            return super().standardised(images, columns) ** 2

    weights = np.zeros((DIM, 4))
    weights[0] = 1.0
    step = np.zeros(DIM)
    step[0] = 3.0
    model = WholeModel()
    report = last(
        effects.measure_effects(model, [direction("a", step)], Square(weights), samples=50, seed=4)
    )
    z = effects.prior_samples(model, "z", 4, 50)(slice(0, 50))["z"][:, 0]
    changes = (z + 6.0) ** 2 - z**2
    np.testing.assert_allclose(report.mean[0], changes.mean())
    np.testing.assert_allclose(report.error[0], changes.std(ddof=1) / np.sqrt(50))


def test_encoded_points_can_be_moved_instead_of_prior_samples() -> None:
    weights = np.abs(np.random.default_rng(2).normal(size=(DIM, 4)))
    points = PointSet(
        "m", "f", "z", "prior", np.arange(9), {"z": np.full((9, DIM), 5.0, np.float16)}
    )
    step = np.full(DIM, 200.0)
    report = last(
        effects.measure_effects(
            WholeModel(), [direction("a", step)], WholeReader(weights), samples=9, points=points
        )
    )
    # From level 133 the picture is white at 255, whatever the prior would have been.
    np.testing.assert_allclose(report.mean[0], 122 * weights.sum(axis=0))
    with pytest.raises(LatentLabError, match="There are 9 points"):
        effects.point_samples(points, 0, 10)


def test_wrong_measurements_are_one_sentence() -> None:
    model, reader = WholeModel(), WholeReader(np.ones((DIM, 4)))
    a = direction("a", np.ones(DIM))

    def fails(match: str, *given: Direction, **options: Any) -> None:
        with pytest.raises(LatentLabError, match=match):
            last(effects.measure_effects(model, given, reader, **options))

    fails("at least one")
    fails("called 'a'", a, a)
    fails("different spaces", a, Direction("w", "w", {"w": np.eye(3)[0]}, 1.0, "given"))
    fails("2 samples", a, samples=1)
    for amount in (0.0, float("nan"), 1e9):
        fails("slider units", a, amount=amount)
    with pytest.raises(LatentLabError, match="1 channel"):
        ProbeReader(None, (1, 28, 28))  # type: ignore[arg-type]


def solved(weights: np.ndarray, steps: np.ndarray, **options: Any) -> Orthogonalised:
    spread = 10 * np.random.default_rng(5).normal(size=(4000, DIM))
    given = [direction(n, 10 * s / np.linalg.norm(s)) for n, s in zip(NAMES, steps)]
    reader = WholeReader(weights)
    return last(orthogonalised(WholeModel(), given, reader, spread, samples=64, **options))


def off_diagonal(found: Sequence[Direction], weights: np.ndarray) -> float:
    effect = np.stack([d.vector["z"] * d.scale for d in found]) @ weights
    own = np.abs(np.diag(effect))
    return float((np.abs(effect - np.diag(np.diag(effect))) / own[:, None]).max())


def test_orthogonalising_a_linear_model_makes_its_effect_matrix_diagonal() -> None:
    rng = np.random.default_rng(6)
    weights = np.linalg.qr(rng.normal(size=(DIM, 4)))[0]
    steps = weights.T + 0.15 * rng.normal(size=(4, DIM))
    found = solved(weights, steps)
    assert off_diagonal([direction(n, s) for n, s in zip(NAMES, steps)], weights) > 0.2
    # Images have whole grey levels, and a step is twenty of them: side effects are seen from 1% on.
    assert off_diagonal(found.directions, weights) < 0.05
    for name, new in zip(NAMES, found.directions):
        before, after = found.before.figures(name), found.after.figures(name)
        assert before is not None
        assert after is not None
        assert is_better(after, before)
        assert new.method == "orthogonalised"
        assert new.provenance["orthogonalised"]["before"]["selectivity"] == pytest.approx(
            before.selectivity
        )
        assert new.provenance["selectivity"] == pytest.approx(after.selectivity)
    measured = found.after.mean / np.diag(found.after.mean)[:, None]
    np.testing.assert_allclose(measured, np.eye(4), atol=0.03)


def test_locked_directions_stay_and_the_others_are_orthogonal_to_them() -> None:
    rng = np.random.default_rng(7)
    weights = np.linalg.qr(rng.normal(size=(DIM, 4)))[0]
    steps = weights.T + 0.15 * rng.normal(size=(4, DIM))
    found = solved(weights, steps, locked=("d",))
    np.testing.assert_array_equal(
        found.directions[3].vector["z"], direction("d", 10 * steps[3]).vector["z"]
    )
    for new in found.directions[:3]:
        if new.method == "orthogonalised":
            assert abs(float(new.vector["z"] @ found.directions[3].vector["z"])) < 1e-6
            assert new.provenance["orthogonal_to"] == ["d"]
    assert any(new.method == "orthogonalised" for new in found.directions[:3])


def test_what_cannot_be_bettered_stays_and_says_so() -> None:
    weights = np.eye(DIM, 4)
    found = solved(weights, 10 * np.eye(4, DIM), names=("a",))
    assert found.directions[0].method == "given"
    assert "original" in found.directions[0].provenance["orthogonalised"]["kept"]
    np.testing.assert_array_equal(found.before.mean, found.after.mean)
    # Only what was asked for is touched.
    assert "orthogonalised" not in found.directions[1].provenance


def test_better_means_more_selective_with_the_effect_kept() -> None:
    old = EditFigures(1.0, 0.5, "b", 2.0)
    assert is_better(EditFigures(0.9, 0.3, "b", 3.0), old)
    assert not is_better(EditFigures(0.8, 0.1, "b", 8.0), old)
    assert not is_better(EditFigures(2.0, 1.0, "b", 2.0), old)
    assert is_better(EditFigures(0.2, 1.0, "b", 0.2), EditFigures(-0.1, 0.5, "b", -0.2))


def test_wrong_names_to_orthogonalise_are_one_sentence() -> None:
    weights, steps = np.eye(DIM, 4), 10 * np.eye(4, DIM)
    with pytest.raises(LatentLabError, match="no direction 'e'"):
        solved(weights, steps, names=("e",))
    with pytest.raises(LatentLabError, match="unlock"):
        solved(weights, steps, names=("a",), locked=("a",))
    other = [direction("PC 1", steps[0])]
    spread = np.random.default_rng(5).normal(size=(40, DIM))
    reader = WholeReader(weights)
    with pytest.raises(LatentLabError, match="does not read 'PC 1'"):
        last(orthogonalised(WholeModel(), other, reader, spread, names=("PC 1",)))
    with pytest.raises(LatentLabError, match="reads none of these"):
        last(orthogonalised(WholeModel(), other, reader, spread))


def test_least_side_effects_is_the_linear_discriminant() -> None:
    """Of one other column the best combination is S^-1 t; no other one does better on average."""
    rng = np.random.default_rng(8)
    changes = (
        rng.normal(size=(3, 500, 2)) + np.array([[1.0, 0.5], [0.3, 1.0], [0.7, -0.4]])[:, None]
    )
    found = least_side_effects(changes, 0, [1], ridge=1e-9)
    moment = changes[:, :, 1] @ changes[:, :, 1].T / 500
    best = np.linalg.solve(moment, changes[:, :, 0].mean(axis=1))
    np.testing.assert_allclose(found, best / (best @ changes[:, :, 0].mean(axis=1)), rtol=1e-5)
    assert found @ changes[:, :, 0].mean(axis=1) == pytest.approx(1.0)
    with pytest.raises(LatentLabError, match="None of these"):
        least_side_effects(np.zeros((2, 5, 2)), 0, [1])


def squares(count: int, seed: int, size: int = 16) -> ArrayDataset:
    """Images with a bright corner (on or off), a level, and one of three colours."""
    rng = np.random.default_rng(seed)
    on = (rng.random(count) < 0.4).astype(np.float32)
    level = rng.uniform(40, 160, count).astype(np.float32)
    color = rng.integers(0, 3, count)
    images = np.repeat(level[:, None, None, None], size, axis=1).repeat(size, axis=2).repeat(3, 3)
    images[np.arange(count), -4:, -4:, color] += 60
    images[on > 0, :4, :4] += 80
    images += rng.normal(scale=15, size=images.shape)
    classes = tuple(
        LabelColumn(n, "binary", (color == i).astype(np.float32)) for i, n in enumerate("rgb")
    )
    labels = {
        "on": LabelColumn("on", "binary", on),
        "off": LabelColumn("off", "binary", 1 - on),
        "level": LabelColumn("level", "continuous", level),
        "color": LabelColumn("color", "categorical", color.astype(np.float32), ("r", "g", "b")),
    } | {column.name: column for column in classes}
    return ArrayDataset("squares", images.clip(0, 255).astype(np.uint8), labels)


def test_a_reader_of_labels_says_how_well_it_reads_and_does(tmp_path) -> None:
    said: list[str] = []
    reader = fit_label_reader(lambda done, total, text: said.append(text), squares(900, 1))
    assert set(reader.columns) == {"on", "off", "level", "r", "g", "b"}
    assert reader.aliases == {"color_r": "r", "color_g": "g", "color_b": "b"}
    assert reader.hidden == {"on": ("off",), "off": ("on",)}
    assert "learning to read level" in said
    fresh = squares(600, 2)
    read = reader.read(fresh.images)
    from latentlab.latent.metrics import correlation, roc_auc

    for i, name in enumerate(reader.columns):
        if name == "level":
            truth = correlation(fresh.labels["level"].values, read[:, i])
        else:
            truth = roc_auc(fresh.labels[name].values, read[:, i])
        assert reader.reliability[name] > 0.9
        assert truth == pytest.approx(reader.reliability[name], abs=0.05)
    spread = reader.standardised(fresh.images, ["level", "on"]).std(axis=0)
    np.testing.assert_allclose(spread, 1.0, atol=0.1)
    path = reader_path(tmp_path, fresh)
    assert path != reader_path(tmp_path, squares(600, 3))
    save_reader(path, reader)
    again = load_reader(path)
    assert again is not None
    assert again.fields == reader.fields
    np.testing.assert_array_equal(again.read(fresh.images), read)
    path.write_bytes(path.read_bytes()[:-50])
    assert load_reader(path) is None
    with pytest.raises(LatentLabError, match="another size"):
        reader.read(np.zeros((1, 8, 8, 3), np.uint8))


def test_large_images_are_read_from_fewer_pixels() -> None:
    reader = fit_label_reader(lambda *_: None, squares(300, 4, size=130))
    assert reader.mean.shape == (65 * 65 * 3,)
    assert reader.reliability["level"] > 0.9


def test_a_direction_of_a_class_knows_its_column() -> None:
    reader = fit_label_reader(lambda *_: None, squares(600, 1))
    step = np.ones(DIM)
    given = [
        direction("color_r", step),
        direction("smiling 2", step, label="on", column="on"),
        direction("PC 1", step),
    ]
    assert effects.targets_of(given, reader) == {"color_r": "r", "smiling 2": "on"}


def test_labels_that_cannot_be_read_say_so() -> None:
    data = squares(60, 1)
    rare = np.zeros(60, np.float32)
    rare[:3] = 1
    few = ArrayDataset("few", data.images, {"rare": LabelColumn("rare", "binary", rare)})
    with pytest.raises(LatentLabError, match="no label that is often enough"):
        fit_label_reader(lambda *_: None, few)
