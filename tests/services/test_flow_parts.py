"""Directions and maps of some parts of a real flow's latents, by jobs and on the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentlab.cli import main
from latentlab.core.direction import Direction, apply_edits
from latentlab.core.directionfile import load_direction
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.pointfile import read_points, write_points
from latentlab.core.points import PointSet
from latentlab.core.requests import JobRequest
from latentlab.services.directions_data import flat_vectors
from latentlab.services.directions_groups import combine
from latentlab.services.export import load_latents
from latentlab.services.jobs import JobContext, run_job
from latentlab.services.renderer import Renderer
from tests.flow_models import write_tiny
from tests.services.models import library

FACES = "portraits:count=60,seed=4"
LOCAL = ("local_1", "local_2", "local_3")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("models")
    write_tiny(found / "tiny-flow.safetensors")
    return found


@pytest.fixture
def context(folder: Path) -> Iterator[JobContext]:
    models = library(folder)
    found = JobContext(models, Renderer(models))
    yield found
    found.lane.stop()


def run(context: JobContext, kind: str, **arguments: Any) -> Any:
    return run_job(JobRequest("1", kind, {**arguments}), None, context)


def sample(*seeds: int) -> tuple[Picture, None]:
    return Picture(model="tiny-flow", space="latent", seeds=seeds), None


def rows_of(context: JobContext, *seeds: int) -> Latents:
    return context.renderer.base_latents(sample(*seeds)[0])


def flat(latents: Any, names: tuple[str, ...]) -> np.ndarray:
    return np.concatenate([np.asarray(latents[n], np.float64).reshape(len(latents[n]), -1)
                           for n in names], axis=1)  # fmt: skip


# Directions.


@pytest.mark.parametrize(
    ("parts", "name", "moved"),
    [
        (("global",), "smiling", {"global"}),
        (("local",), "smiling (local)", set(LOCAL)),
        (("local_2",), "smiling (local_2)", {"local_2"}),
        ((), "smiling (both)", {"global", *LOCAL}),
    ],
)
def test_labels_are_fitted_in_the_chosen_parts(context, parts, name, moved) -> None:
    """Against the mean difference of the points' own parts."""
    asked = {"model": "tiny-flow", "source": FACES, "labels": ("smiling",), "parts": parts}
    (found,) = run(context, "fit_label_directions", method="mean difference", **asked)
    assert (found.name, found.vector.keys()) == (name, moved)
    assert found.provenance.get("parts", []) == [
        p for p in ("global", *LOCAL) if p in moved
    ] * bool(parts)
    points = read_points(Path(run(context, "map_points", model="tiny-flow", source=FACES).path))
    names = tuple(sorted(moved))
    rows, label = flat(points.parts, names), points.labels["smiling"].values
    high = label > np.median(label)
    expected = rows[high].mean(axis=0) - rows[~high].mean(axis=0)
    expected /= np.linalg.norm(expected)
    got = np.concatenate([found.vector[n].reshape(-1) for n in names])
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert found.scale == pytest.approx((rows @ expected).std(), rel=1e-5)


def test_an_edit_of_one_part_leaves_the_others_to_the_bit(context) -> None:
    (found,) = run(
        context, "fit_group_direction", model="tiny-flow", name="mine",
        positive=(sample(1, 2),), negative=(sample(3),), parts=("local",),
    )  # fmt: skip
    assert (found.name, set(found.vector)) == ("mine", set(LOCAL))
    start = rows_of(context, 5)
    moved = apply_edits(start, {"mine": 2.0}, {"mine": found})
    np.testing.assert_array_equal(moved["global"], start["global"])
    assert np.abs(moved["local_1"] - start["local_1"]).max() > 0.01


def test_a_difference_in_one_part_leads_there(context) -> None:
    (found,) = run(
        context, "difference_direction", model="tiny-flow", name="way",
        start=sample(1), end=sample(2), parts=("global",),
    )  # fmt: skip
    amount = found.provenance["distance"]
    there = apply_edits(rows_of(context, 1), {"way": amount}, {"way": found})
    np.testing.assert_allclose(there["global"], rows_of(context, 2)["global"], atol=1e-5)
    np.testing.assert_array_equal(there["local_2"], rows_of(context, 1)["local_2"])
    same = {"model": "tiny-flow", "name": "way", "start": sample(1), "end": sample(1)}
    with pytest.raises(LatentLabError, match="the same latent in these parts"):
        run(context, "difference_direction", parts=("local",), **same)


def test_components_are_those_of_the_part(context) -> None:
    path = run(context, "map_points", model="tiny-flow", source=FACES).path
    asked = {"model": "tiny-flow", "path": path, "count": 2}
    found = run(context, "principal_component_directions", parts=("local_3",), **asked)
    assert [d.name for d in found] == ["PC 1 (local_3)", "PC 2 (local_3)"]
    rows = flat(read_points(Path(path)).parts, ("local_3",))
    _, values, axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    for row in range(2):
        got = found[row].vector["local_3"].reshape(-1)
        assert abs(got @ axes[row]) == pytest.approx(1, abs=1e-4)
        share = values[row] ** 2 / (values**2).sum()
        assert found[row].provenance["share"] == pytest.approx(share, rel=1e-3)


def test_what_is_to_be_left_alone_is_cut_down_to_the_parts(context) -> None:
    space = context.library.backend("tiny-flow").spec.space()
    (both,) = run(
        context, "fit_group_direction", model="tiny-flow", name="both",
        positive=(sample(1),), negative=(sample(3),),
    )  # fmt: skip
    (mine,) = run(
        context, "fit_group_direction", model="tiny-flow", name="mine", parts=("global",),
        positive=(sample(5),), negative=(sample(6),), orthogonal_to=(both,),
    )  # fmt: skip
    first, second = flat_vectors(space, (both, mine))
    assert abs(first @ second) < 1e-6
    elsewhere = Direction(
        "x", "latent", {"local_3": np.eye(192)[0].reshape(48, 2, 2)}, 1.0, "given"
    )
    assert (
        flat_vectors(space, (elsewhere,), space.model_copy(update={"parts": space.parts[:1]})) == []
    )


def test_unknown_parts_are_one_sentence(context) -> None:
    with pytest.raises(LatentLabError, match=r"no part 'glbal': did you mean 'global'"):
        run(
            context, "fit_group_direction", model="tiny-flow", name="x",
            positive=(sample(1),), negative=(sample(2),), parts=("glbal",),
        )  # fmt: skip
    path = run(context, "map_points", model="tiny-flow", source=FACES).path
    with pytest.raises(LatentLabError, match="no part 'z'"):
        run(context, "map_layout", path=path, method="pca", parts=("z",))


def test_arithmetic_in_one_part_takes_the_others_of_the_last(context) -> None:
    a, b, c = (rows_of(context, seed) for seed in (1, 2, 3))
    total = combine([a, c], [b], ("global",))
    want = a["global"].astype(np.float64) - b["global"] + c["global"]
    np.testing.assert_allclose(total["global"], want, atol=1e-6)
    for name in LOCAL:
        np.testing.assert_array_equal(total[name], c[name])


# Maps.


def test_a_layout_of_a_part_is_that_of_its_numbers_alone(context) -> None:
    path = run(context, "map_points", model="tiny-flow", source=FACES).path
    whole = run(context, "map_layout", path=path, method="pca")
    found = run(context, "map_layout", path=path, method="pca", parts=("global",))
    assert (whole.plane.names, found.plane.names) == (("global", *LOCAL), ("global",))
    rows = flat(read_points(Path(path)).parts, ("global",))
    _, _, axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    want = (rows - rows.mean(axis=0)) @ axes[:2].T
    np.testing.assert_allclose(np.abs(found.coordinates), np.abs(want), atol=1e-3)
    again = run(context, "map_layout", path=path, method="pca", parts=("global",))
    assert (found.cached, again.cached) == (False, True)
    assert run(context, "map_layout", path=path, method="pca").cached


def test_pictures_are_told_by_the_global_part(context) -> None:
    path = run(context, "map_points", model="tiny-flow", source="portraits:count=70,seed=4").path
    found = run(context, "map_layout", path=path, method="picture", parts=("global",))
    assert found.plane.names == ("global",)
    for parts in ((), LOCAL, ("local_1",)):
        with pytest.raises(LatentLabError, match="is not known: choose PCA"):
            run(context, "map_layout", path=path, method="picture", parts=parts)


def test_neighbours_are_near_in_the_part(context) -> None:
    path = run(context, "map_points", model="tiny-flow", source=FACES).path
    points = read_points(Path(path))
    for parts in (("global",), LOCAL):
        rows = flat(points.parts, parts)
        away = np.linalg.norm(rows - rows[7], axis=1)
        found = run(context, "map_neighbours", path=path, point=7, count=5, parts=parts)
        np.testing.assert_array_equal(found.points, np.argsort(away)[1:6])
        np.testing.assert_allclose(found.distances, np.sort(away)[1:6], rtol=1e-4)


def test_a_points_file_says_by_which_parts_it_is_laid_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = {"global": rng.normal(size=(4, 3)), "local_1": rng.normal(size=(4, 2, 1, 1))}
    points = PointSet(
        "m", "f", "latent", "prior", np.arange(4),
        {name: array.astype(np.float32) for name, array in parts.items()},
        coordinates={"tsne": rng.normal(size=(4, 2)).astype(np.float32)}, placed_by=("global",),
    )  # fmt: skip
    write_points(tmp_path / "p.safetensors", points, about={"limit": 4})
    assert read_points(tmp_path / "p.safetensors").placed_by == ("global",)


# The command line.


def said(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_parts_on_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = folder / "tiny-flow.safetensors"
    words = ["direction", model, "--data", FACES, "--label", "smiling", "--out", "s.safetensors"]
    report = said(capsys, *words, "--parts", "local")
    assert (report["name"], report["parts"]) == ("smiling (local)", list(LOCAL))
    assert load_direction(Path("s.safetensors")).vector.keys() == set(LOCAL)
    words = ["arithmetic", model, "--plus", 1, "--minus", 2, "--plus", 3, "--out", "a.safetensors"]
    said(capsys, *words, "--parts", "global")
    total = load_latents(Path("a.safetensors")).latents
    drawn = library(folder).backend("tiny-flow").sample_prior("latent", [1, 2, 3])
    one, two, three = drawn["global"].double().numpy()
    np.testing.assert_allclose(total["global"][0], one - two + three, atol=1e-6)
    np.testing.assert_array_equal(total["local_1"][0], drawn["local_1"][2].numpy())
    words = ["direction", model, "--dimension", "global[1]", "--parts", "global"]
    assert main([*map(str, words), "--out", "d.safetensors"]) == 2
    assert "--dimension takes no --parts" in capsys.readouterr().err


def test_edits_of_parts_are_measured_apart(folder: Path, capsys, tmp_path: Path) -> None:
    """Which of the model's sliders is measured under the name of the attribute."""
    path = tmp_path / "tiny-flow.safetensors"
    path.write_bytes((folder / "tiny-flow.safetensors").read_bytes())
    for part in ("global", "local"):
        words = ["direction", path, "--data", FACES, "--label", "oval_face", "--store"]
        said(capsys, *words, "--parts", part, "--method", "mean difference")
    words = ["measure", "edit", path, "--samples", 4]
    plain, same, local = (said(capsys, *words, *more) for more in
                          ([], ["--parts", "global"], ["--parts", "local"]))  # fmt: skip
    assert plain == same
    assert local["attributes"]["oval_face"] != plain["attributes"]["oval_face"]
    assert main([*map(str, words), "--parts", "local_1"]) == 2
    assert "fit them first" in capsys.readouterr().err


def test_maps_of_parts_on_the_command_line(folder: Path, capsys) -> None:
    model = folder / "tiny-flow.safetensors"
    tables = {}
    for part in ("", "local", "all"):
        words = ["map", model, FACES, "--method", "pca", "--out", "m.csv"]
        report = said(capsys, *words, *(["--part", part] if part else []))
        with Path("m.csv").open() as file:
            tables[part] = [(row["x"], row["y"]) for row in csv.DictReader(file)]
        wanted = {"": ["global"], "local": list(LOCAL), "all": ["global", *LOCAL]}[part]
        assert report["parts"] == wanted
    assert len({tuple(rows) for rows in tables.values()}) == 3
    assert main(["map", str(model), FACES, "--part", "locl", "--out", "m.csv"]) == 2
    assert "did you mean 'local'" in capsys.readouterr().err
