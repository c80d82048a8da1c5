"""The jobs that make directions, as the worker runs them, on a small real model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentlab.core.direction import Direction, apply_edits
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.pictures import stored_hashes
from latentlab.core.requests import JobProgress, JobRequest
from latentlab.services.directions_groups import combine
from latentlab.services.jobs import JobContext, run_job
from latentlab.services.renderer import Renderer
from tests.services.models import library, unit, write_vae

FACES = "portraits:count=200,seed=4"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))


@pytest.fixture
def context(tmp_path: Path) -> Iterator[JobContext]:
    write_vae(tmp_path / "small.safetensors", image_size=16)
    models = library(tmp_path)
    found = JobContext(models, Renderer(models))
    yield found
    found.lane.stop()


def run(
    context: JobContext, kind: str, reports: list[JobProgress] | None = None, **arguments: Any
) -> Any:
    listen = None if reports is None else reports.append
    return run_job(JobRequest("1", kind, arguments), listen, context)


def seeds(*numbers: int) -> tuple[Picture, None]:
    return Picture(model="small-vae", space="z", seeds=numbers), None


def z_of(context: JobContext, *numbers: int) -> np.ndarray:
    return context.renderer.base_latents(seeds(*numbers)[0])["z"].astype(np.float64)


def direction(name: str, vector: np.ndarray, scale: float = 1.0) -> Direction:
    return Direction(name, "z", {"z": vector / np.linalg.norm(vector)}, scale, "given")


def test_labels_are_fitted_with_their_evidence_and_every_fold_is_reported(context) -> None:
    reports: list[JobProgress] = []
    found = run(
        context, "fit_label_directions", reports,
        model="small-vae", source=FACES, labels=("wearing_hat", "age", "hair_color"), count=150,
    )  # fmt: skip
    names = [d.name for d in found]
    hair = [f"hair_color_{c}" for c in ("black", "brown", "blond", "red", "grey")]
    assert names == ["wearing_hat", "age", *hair]
    hat, age = found[0], found[1]
    assert (hat.method, age.method) == ("logistic", "regression")
    low, high = hat.provenance["interval"]
    assert 0 <= low < hat.provenance["auc"] < high <= 1
    assert "correlation" in age.provenance
    assert hat.provenance["label"] == "wearing_hat"
    assert hat.provenance["data"]["count"] == hat.provenance["count"] == 150
    assert hat.fingerprint == context.library.backend("small-vae").spec.fingerprint
    assert any("cross-validating wearing_hat" in r.message for r in reports)
    json.dumps([dict(d.provenance) for d in found])


@pytest.mark.parametrize("method", ["logistic", "joint regression", "mean difference"])
def test_a_conditional_direction_is_orthogonal_to_the_locked_ones(context, method) -> None:
    arguments = {"model": "small-vae", "source": FACES, "labels": ("wearing_hat",)}
    plain = run(context, "fit_label_directions", method=method, **arguments)[0]
    locked = (direction("a", plain.vector["z"] + unit(0)), direction("b", unit(3)))
    found = run(
        context, "fit_label_directions", method=method, orthogonal_to=locked, **arguments
    )[0]  # fmt: skip
    for one in locked:
        assert abs(float(found.vector["z"] @ one.vector["z"])) < 1e-6
    assert found.provenance["orthogonal_to"] == ["a", "b"]
    assert found.provenance["auc"] != plain.provenance["auc"]
    others = np.stack([d.vector["z"] for d in locked]).astype(np.float64)
    rest = (
        plain.vector["z"] - others.T @ np.linalg.lstsq(others.T, plain.vector["z"], rcond=None)[0]
    )
    np.testing.assert_allclose(found.vector["z"], rest / np.linalg.norm(rest), atol=1e-5)


def test_one_picture_against_one_is_their_difference(context) -> None:
    found = run(
        context, "fit_group_direction",
        model="small-vae", name="mine", positive=(seeds(1),), negative=(seeds(2),),
    )[0]  # fmt: skip
    step = (z_of(context, 1) - z_of(context, 2))[0]
    np.testing.assert_allclose(found.vector["z"], step / np.linalg.norm(step), atol=1e-6)
    assert "auc" not in found.provenance
    assert found.provenance["data"]["positive"] == 1
    same = run(
        context, "difference_direction", model="small-vae", name="d", start=seeds(2), end=seeds(1)
    )[0]
    np.testing.assert_allclose(same.vector["z"], found.vector["z"], atol=1e-6)
    units = same.provenance["distance"]
    back = apply_edits(Latents("z", {"z": z_of(context, 2)}), {"d": units}, {"d": same})
    np.testing.assert_allclose(back["z"], z_of(context, 1), atol=1e-5)


def test_edits_of_the_pictures_count_in_the_groups(context) -> None:
    plain, moved = seeds(5)[0], seeds(5)[0].with_edit("own", 2.0)
    own = direction("own", unit(4))
    found = run(
        context, "fit_group_direction", model="small-vae", name="m",
        positive=((moved, None),), negative=((plain, None),), directions={"own": own},
    )[0]  # fmt: skip
    np.testing.assert_allclose(found.vector["z"], own.vector["z"], atol=1e-5)
    rows = run(
        context, "picture_latents", pictures=((plain, None), (moved, None)), directions={"own": own}
    )
    np.testing.assert_allclose(rows[1]["z"] - rows[0]["z"], 2 * own.vector["z"][None], atol=1e-5)


def test_larger_groups_have_evidence_and_small_ones_say_what_they_lack(context) -> None:
    on = (seeds(*range(12)),)
    off = (seeds(*range(20, 34)),)
    groups = {"model": "small-vae", "name": "m", "positive": on, "negative": off}
    for method in ("mean difference", "logistic", "linear svm"):
        found = run(context, "fit_group_direction", method=method, **groups)[0]
        low, high = found.provenance["interval"]
        assert 0 <= low < high <= 1
        assert found.method == method
        assert found.provenance["count"] == 26
    with pytest.raises(LatentLabError, match="at least 10 pictures in each group; there are 1 and"):
        run(
            context,
            "fit_group_direction",
            method="logistic",
            **(groups | {"positive": (seeds(1),)}),
        )
    with pytest.raises(LatentLabError, match="at least one picture"):
        run(context, "fit_group_direction", **(groups | {"positive": ()}))
    with pytest.raises(LatentLabError, match="did you mean 'logistic'"):
        run(context, "fit_group_direction", method="logistics", **groups)
    with pytest.raises(LatentLabError, match="same latent"):
        run(context, "difference_direction", model="small-vae", name="d", start=on[0], end=on[0])


def test_dimensions_have_the_unit_of_the_prior(context) -> None:
    found = run(context, "dimension_directions", model="small-vae", part="z", indices=(0, 7))
    assert [d.name for d in found] == ["z[0]", "z[7]"]
    assert found[1].vector["z"][7] == 1.0
    assert found[1].scale == 1.0
    with pytest.raises(LatentLabError, match="dimensions 0 to 7, not 8"):
        run(context, "dimension_directions", model="small-vae", part="z", indices=(8,))
    with pytest.raises(LatentLabError, match="no part 'x'"):
        run(context, "dimension_directions", model="small-vae", part="x", indices=(0,))


def test_labels_of_a_folder_are_listed_without_reading_its_images(context, tmp_path) -> None:
    for kind in ("cat", "dog"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for i in range(3):
            path = tmp_path / "pets" / kind / f"{i}.png"
            Image.new("RGB", (8, 8)).save(path)
    table = tmp_path / "mine.csv"
    table.write_text("file,age\ncat/0.png,1.5\ncat/1.png,2\ndog/1.png,4\n")
    rows = run(context, "label_names", source=str(tmp_path / "pets"))
    assert ("class", "categorical", ("cat", "dog"), 6) in rows
    rows = run(context, "label_names", source=str(tmp_path / "pets"), attributes=str(table))
    assert ("age", "continuous", (), 3) in rows


def test_a_table_of_ones_own_labels_makes_directions(context, tmp_path) -> None:
    rng = np.random.default_rng(1)
    folder = tmp_path / "own"
    folder.mkdir()
    rows = ["file,bright,level"]
    for i in range(40):
        level = int(rng.integers(0, 255))
        noise = rng.integers(-20, 20, (16, 16, 3))
        Image.fromarray((level + noise).clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{int(level > 127)},{level / 255:.3f}")
    table = tmp_path / "mine.csv"
    table.write_text("\n".join(rows))
    found = run(
        context, "fit_label_directions", model="small-vae", source=str(folder),
        labels=("bright", "level"), attributes=str(table),
    )  # fmt: skip
    assert [d.name for d in found] == ["bright", "level"]
    assert found[0].provenance["auc"] > 0.9
    assert found[1].provenance["correlation"] > 0.9


def test_wrong_labels_are_one_sentence(context) -> None:
    arguments = {"model": "small-vae", "source": FACES}
    with pytest.raises(LatentLabError, match="did you mean 'smiling'"):
        run(context, "fit_label_directions", labels=("smilling",), **arguments)
    few = arguments | {"source": "portraits:count=14,seed=1"}
    with pytest.raises(LatentLabError, match=r"'wearing_hat' is on in . and off in .*too few"):
        run(context, "fit_label_directions", labels=("wearing_hat",), **few)
    with pytest.raises(LatentLabError, match="too few"):
        run(context, "fit_label_directions", labels=("hair_color",), **few)
    with pytest.raises(LatentLabError, match="Choose a label"):
        run(context, "fit_label_directions", labels=(), **arguments)
    with pytest.raises(LatentLabError, match="no method"):
        run(context, "fit_label_directions", labels=("smiling",), method="guess", **arguments)
    with pytest.raises(LatentLabError, match="space 'w'"):
        run(
            context, "fit_label_directions", labels=("smiling",),
            orthogonal_to=(Direction("x", "w", {"w": unit(0)}, 1.0, "given"),), **arguments,
        )  # fmt: skip


def test_arithmetic_adds_and_takes_means() -> None:
    rng = np.random.default_rng(2)
    a, b, c = (Latents("z", {"z": rng.normal(size=(n, 8)).astype(np.float32)}) for n in (1, 1, 3))
    found = combine([a, c], [b])
    np.testing.assert_allclose(found["z"], a["z"] - b["z"] + c["z"].mean(0), atol=1e-6)
    assert found["z"].dtype == np.float32
    assert stored_hashes(found).keys() == {"z"}
    with pytest.raises(LatentLabError, match="one latent space"):
        combine([a], [Latents("w", {"z": a["z"]})])
    with pytest.raises(LatentLabError, match="at least one"):
        combine([], [b])
