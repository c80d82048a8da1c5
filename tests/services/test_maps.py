"""The jobs of the map, as the worker runs them, on a small real model."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentlab.core.errors import LatentLabError
from latentlab.core.labels import LabelColumn
from latentlab.core.pointfile import (
    read_point_names,
    read_points,
    read_points_header,
    write_points,
)
from latentlab.core.points import PointSet
from latentlab.core.requests import JobProgress, JobRequest
from latentlab.data.open import ImageTransform, open_dataset
from latentlab.evaluation.encode import encode_images
from latentlab.latent import layouts
from latentlab.services import maps, maps_cache, maps_images, maps_make
from latentlab.services.jobs import JobContext, run_job, start_job
from latentlab.services.maps import bundled_map
from latentlab.services.maps_cache import make_room, maps_folder, read_layout, write_layout
from latentlab.services.renderer import Renderer
from tests.services.models import library, write_vae

FACES = "portraits:count=120,seed=4"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    maps_images._OPEN.clear()


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


def mapped(context: JobContext, **arguments: Any) -> Any:
    return run(context, "map_points", model="small-vae", **arguments)


def folder_of_images(path: Path, count: int = 12) -> Path:
    rng = np.random.default_rng(2)
    for i in range(count):
        name = path / ("cat" if i < count // 2 else "dog") / f"{i:02}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(name)
    return path


def files() -> list[str]:
    return sorted(path.name for path in maps_folder().glob("*")) if maps_folder().exists() else []


# Points.


def test_a_data_set_is_encoded_with_its_labels(context: JobContext) -> None:
    reports: list[JobProgress] = []
    ready = mapped(context, source=FACES, reports=reports)
    points = read_points(Path(ready.path))
    assert ready.count == len(points) == 120
    assert (points.model, points.space, points.source) == ("small-vae", "z", FACES)
    backend = context.library.backend("small-vae")
    assert points.fingerprint == backend.spec.fingerprint
    dataset = open_dataset(FACES, transform=ImageTransform(size=16, channels=3))
    work = encode_images(backend, dataset)
    while True:
        try:
            next(work)
        except StopIteration as end:
            latents = end.value
            break
    np.testing.assert_allclose(points.parts["z"], latents["z"], rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(points.rows, np.arange(120))
    assert set(points.labels) == set(dataset.labels)
    np.testing.assert_array_equal(points.labels["age"].values, dataset.labels["age"].values)
    shown = [r for r in reports if r.message == "encoding images"]
    assert [r.done for r in shown] == [120]
    assert {r.total for r in shown} == {120}


def test_a_folder_does_not_hide_a_data_set_of_ours(
    context: JobContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder_of_images(tmp_path / FACES)
    ready = mapped(context, source=FACES)
    assert (ready.count, read_points(Path(ready.path)).source) == (120, FACES)


def test_a_large_data_set_is_taken_evenly(context: JobContext, tmp_path: Path) -> None:
    source = folder_of_images(tmp_path / "animals")
    ready = mapped(context, source=str(source), count=4)
    points = read_points(Path(ready.path))
    np.testing.assert_array_equal(points.rows, [0, 3, 6, 9])
    assert points.labels["class"].classes == ("cat", "dog")
    np.testing.assert_array_equal(points.labels["class"].values, [0, 0, 1, 1])
    names = read_point_names(Path(ready.path))
    assert names == ["cat/00.png", "cat/03.png", "dog/06.png", "dog/09.png"]


def test_images_that_cannot_be_read_are_named_and_left_out(
    context: JobContext, tmp_path: Path
) -> None:
    source = folder_of_images(tmp_path / "animals")
    (source / "cat" / "02.png").write_bytes(b"no image at all")
    ready = mapped(context, source=str(source))
    assert ready.count == 11
    assert [name for name in ready.skipped if "02.png" in name]
    points = read_points(Path(ready.path))
    np.testing.assert_array_equal(points.rows, [0, 1, *range(3, 12)])
    names = read_point_names(Path(ready.path))
    assert names is not None
    assert len(names) == 11
    again = mapped(context, source=str(source))
    assert again == ready


def test_prior_samples_are_those_of_their_seeds(context: JobContext) -> None:
    ready = mapped(context, count=30, seed=100)
    points = read_points(Path(ready.path))
    assert points.is_prior
    np.testing.assert_array_equal(points.rows, np.arange(100, 130))
    wanted = context.library.backend("small-vae").sample_prior("z", list(range(100, 130)))
    np.testing.assert_allclose(points.parts["z"], wanted["z"].numpy(), rtol=1e-3)


def test_the_same_map_is_made_once(context: JobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [mapped(context, source=FACES, count=20), mapped(context, count=20)]

    def never(*_: Any) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(maps, "encode_points", never)
    monkeypatch.setattr(maps, "sample_points", never)
    assert made == [mapped(context, source=FACES, count=20), mapped(context, count=20)]
    for changed in ({"source": FACES, "count": 21}, {"count": 20, "seed": 1}):
        with pytest.raises(AssertionError):
            mapped(context, **changed)


def test_changed_files_and_changed_weights_make_another_map(
    context: JobContext, tmp_path: Path
) -> None:
    source = folder_of_images(tmp_path / "animals")
    first = mapped(context, source=str(source))
    Image.fromarray(np.full((16, 16, 3), 9, np.uint8)).save(source / "cat" / "00.png")
    second = mapped(context, source=str(source))
    assert second.path != first.path
    write_vae(tmp_path / "small.safetensors", image_size=16, bump=0.5)
    third = mapped(context, source=str(source))
    assert third.path not in (first.path, second.path)


def test_a_damaged_map_is_made_again(context: JobContext) -> None:
    ready = mapped(context, count=20)
    whole = Path(ready.path).read_bytes()
    Path(ready.path).write_bytes(whole[:-50])
    assert mapped(context, count=20) == ready
    assert Path(ready.path).read_bytes() == whole


def test_cancel_leaves_nothing(context: JobContext) -> None:
    for arguments in ({"source": FACES}, {"count": 2000}):
        work = start_job(
            context, JobRequest("1", "map_points", {"model": "small-vae", **arguments})
        )
        while next(work)[0] == 0:
            pass
        work.close()
    assert not files()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "A map has 1 to 2,000,000 points, not 0"),
        ({"count": 10**9}, "points, not 1,000,000,000"),
        ({"seed": -1}, "A seed is a whole number"),
        ({"seed": 2**63}, "A seed is a whole number"),
        ({"split": "train"}, "Prior samples have no splits"),
        ({"source": "no such place"}, "There is no 'no such place'"),
        ({"source": FACES, "split": "train"}, "has no splits"),
    ],
)
def test_mistakes_are_one_sentence(
    context: JobContext, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(LatentLabError, match=message):
        mapped(context, **arguments)


def test_points_that_do_not_fit_into_memory_are_refused_before_the_work(
    context: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps_make, "MAX_NUMBERS", 8 * 100)
    for source in ("prior", FACES):
        with pytest.raises(LatentLabError, match="map at most 100"):
            mapped(context, source=source, count=101)
        assert mapped(context, source=source, count=100).count == 100


def test_a_model_that_cannot_encode_says_what_it_can(context: JobContext) -> None:
    backend = context.library.backend("small-vae")
    backend.spec = backend.spec.model_copy(update={"capabilities": ("sample", "decode")})
    with pytest.raises(LatentLabError, match="map prior samples"):
        mapped(context, source=FACES)
    assert mapped(context, count=5).count == 5


# The cache.


def test_the_least_recently_used_maps_go_first(context: JobContext) -> None:
    paths = [Path(mapped(context, count=50, seed=seed).path) for seed in range(3)]
    size = paths[0].stat().st_size
    for age, path in enumerate(reversed(paths), start=1):
        stamp = path.stat().st_mtime_ns
        os.utime(path, ns=(stamp - age * 10**12, stamp))
    written = paths[0].stat().st_mtime_ns
    assert mapped(context, count=50, seed=0).path == str(paths[0])
    assert paths[0].stat().st_mtime_ns == written
    make_room(paths[2], limit=2 * size + 10)
    assert [path.exists() for path in paths] == [True, False, True]
    make_room(paths[2], limit=1)
    assert [path.exists() for path in paths] == [False, False, True]


def test_what_a_killed_process_left_goes_too(context: JobContext) -> None:
    ready = Path(mapped(context, count=5).path)
    old, young = ready.with_name(".x.part"), ready.with_name(".y.part")
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    make_room(ready)
    assert not old.exists()
    assert young.exists()


# Layouts.


def test_pca_is_at_once_and_kept(context: JobContext) -> None:
    path = mapped(context, source=FACES).path
    found = run(context, "map_layout", path=path, method="pca")
    points = read_points(Path(path))
    assert not found.cached
    assert found.plane is not None
    np.testing.assert_allclose(found.plane.coordinates(points.parts), found.coordinates, atol=1e-4)
    again = run(context, "map_layout", path=path, method="pca")
    assert again.cached
    np.testing.assert_array_equal(again.coordinates, found.coordinates)
    assert again.plane.x_label == found.plane.x_label
    np.testing.assert_array_equal(again.plane.x_axis["z"], found.plane.x_axis["z"])


def test_a_large_pca_goes_to_the_lane(context: JobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    path = mapped(context, count=100).path
    inside = run(context, "map_layout", path=path, method="pca")
    for file in maps_folder().glob("*"):
        if str(file) != path:
            file.unlink()
    monkeypatch.setattr(maps, "QUICK_NUMBERS", 0)
    found = run(context, "map_layout", path=path, method="pca")
    assert not found.cached
    np.testing.assert_allclose(found.coordinates, inside.coordinates, atol=1e-5)


def test_tsne_runs_in_the_lane_with_reports_and_is_kept(context: JobContext) -> None:
    path = mapped(context, source=FACES).path
    settings = {"perplexity": 10, "iterations": 250}
    reports: list[JobProgress] = []
    found = run(context, "map_layout", reports, path=path, method="tsne", settings=settings)
    assert found.plane is None
    assert found.coordinates.shape == (120, 2)
    assert found.settings == {
        "perplexity": 10.0,
        "iterations": 250,
        "latent_distance": 0,
        "seed": 0,
    }
    assert any("KL divergence" in r.message for r in reports)
    again = run(context, "map_layout", path=path, method="tsne", settings=settings)
    assert again.cached
    np.testing.assert_array_equal(again.coordinates, found.coordinates)


def test_a_cancelled_layout_is_not_kept(context: JobContext) -> None:
    path = mapped(context, count=400).path
    before = files()
    work = start_job(context, JobRequest("1", "map_layout", {"path": path, "method": "tsne"}))
    while (step := next(work)) is None or "KL" not in step[2]:
        time.sleep(0.01)
    work.close()
    context.lane.stop()
    assert files() == before


def test_a_layout_that_comes_along_is_used(
    context: JobContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = read_points(Path(mapped(context, count=30).path))
    places = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    path = tmp_path / "with.safetensors"
    values = {name: getattr(points, name) for name in points.__dataclass_fields__}
    write_points(path, PointSet(**{**values, "coordinates": {"umap": places}}))
    found = run(context, "map_layout", path=str(path), method="umap")
    assert found.cached
    np.testing.assert_array_equal(found.coordinates, places)
    # Nor is the package needed that made it.
    monkeypatch.setattr(layouts, "_MODULES", {"umap": "no_such_package", "tsne": "no_such_package"})
    assert run(context, "map_layout", path=str(path), method="umap").cached
    with pytest.raises(LatentLabError, match="needs the package"):
        run(context, "map_layout", path=str(path), method="tsne")


def test_a_damaged_layout_is_made_again(context: JobContext) -> None:
    path = mapped(context, count=40).path
    first = run(context, "map_layout", path=path, method="pca")
    (kept,) = [file for file in maps_folder().glob("*") if str(file) != path]
    kept.write_bytes(kept.read_bytes()[:-9])
    again = run(context, "map_layout", path=path, method="pca")
    assert not again.cached
    np.testing.assert_array_equal(again.coordinates, first.coordinates)


def test_a_layout_of_other_points_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "layout.safetensors"
    write_layout(path, np.zeros((5, 2), np.float32), None)
    assert read_layout(path, 5) is not None
    assert read_layout(path, 6) is None
    write_layout(path, np.full((5, 2), np.nan, np.float32), None)
    assert read_layout(path, 5) is None


def test_layout_mistakes_are_one_sentence(context: JobContext, tmp_path: Path) -> None:
    path = mapped(context, count=20).path
    for arguments, message in (
        ({"path": path, "method": "isomap"}, "There is no method 'isomap'"),
        ({"path": path, "method": "tsne", "settings": {"perplexity": -3}}, "from 2 to 500"),
        ({"path": str(tmp_path / "gone"), "method": "pca"}, "There is no points file"),
    ):
        with pytest.raises(LatentLabError, match=message):
            run(context, "map_layout", **arguments)


# Neighbours and images.


def test_latent_neighbours_are_those_of_brute_force(
    context: JobContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps, "_TURN_NUMBERS", 500)
    rng = np.random.default_rng(8)
    parts = {
        "a": rng.normal(size=(300, 3, 2)).astype(np.float16),
        "b": rng.normal(size=(300, 5)).astype(np.float32),
    }
    path = tmp_path / "two.safetensors"
    write_points(path, PointSet("m", "f", "s", "prior", np.arange(300), parts))
    flat = np.concatenate([p.reshape(300, -1).astype(np.float64) for p in parts.values()], axis=1)
    for point in (0, 17, 299):
        found = run(context, "map_neighbours", path=str(path), point=point, count=12)
        away = np.linalg.norm(flat - flat[point], axis=1)
        order = np.argsort(away, kind="stable")[1:13]
        np.testing.assert_array_equal(found.points, order)
        np.testing.assert_allclose(found.distances, away[order], rtol=1e-5)
        assert found.metric == "latent"
    everyone = run(context, "map_neighbours", path=str(path), point=4, count=10_000)
    assert len(everyone.points) == 299
    assert 4 not in everyone.points


def test_pixel_neighbours_compare_the_data_sets_own_images(
    context: JobContext, tmp_path: Path
) -> None:
    source = folder_of_images(tmp_path / "animals")
    path = mapped(context, source=str(source)).path
    found = run(context, "map_neighbours", path=path, point=3, metric="pixel", count=5)
    images = np.stack([np.asarray(Image.open(f)) for f in sorted(source.rglob("*.png"))])
    flat = images.reshape(12, -1).astype(np.float64)
    away = np.sqrt(np.square(flat - flat[3]).mean(axis=1))
    order = np.argsort(away)[1:6]
    np.testing.assert_array_equal(found.points, order)
    np.testing.assert_allclose(found.distances, away[order], rtol=1e-6)
    shown = run(context, "map_images", path=path, points=[11, 0, 3])
    np.testing.assert_array_equal(shown, images[[11, 0, 3]])


def test_the_images_of_prior_samples_are_decoded(context: JobContext) -> None:
    path = mapped(context, count=20, seed=7).path
    shown = run(context, "map_images", path=path, points=[2, 5])
    assert shown.shape == (2, 16, 16, 3)
    points = read_points(Path(path))
    from latentlab.services.renderer import decode_exact

    wanted = decode_exact(context.library.backend("small-vae"), points.latents([2, 5]))
    assert np.abs(shown.astype(int) - wanted).max() <= 1
    found = run(context, "map_neighbours", path=path, point=2, metric="pixel", count=19)
    assert sorted(found.points.tolist()) == [p for p in range(20) if p != 2]
    assert (np.diff(found.distances) >= 0).all()


def test_data_that_changed_since_says_so(context: JobContext, tmp_path: Path) -> None:
    source = folder_of_images(tmp_path / "animals")
    path = mapped(context, source=str(source)).path
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(source / "cat" / "00.png")
    with pytest.raises(LatentLabError, match="has changed since it was mapped"):
        run(context, "map_images", path=path, points=[0])
    prior = mapped(context, count=5).path
    write_vae(tmp_path / "small.safetensors", image_size=16, bump=0.5)
    with pytest.raises(LatentLabError, match="sampled from other weights"):
        run(context, "map_images", path=prior, points=[0])


def test_points_that_do_not_exist_are_refused(context: JobContext) -> None:
    path = mapped(context, count=5).path
    for kind, arguments in (
        ("map_images", {"points": [0, 5]}),
        ("map_images", {"points": [-1]}),
        ("map_neighbours", {"point": 99}),
    ):
        with pytest.raises(LatentLabError, match=r"There is no point .*this map has 5"):
            run(context, kind, path=path, **arguments)
    with pytest.raises(LatentLabError, match="There is no distance 'cosine'"):
        run(context, "map_neighbours", path=path, point=0, metric="cosine")


# Bundled maps.


def test_a_bundled_map_is_only_for_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps, "asset_path", lambda *names: tmp_path.joinpath(*names))
    assert bundled_map("small", "f") is None
    path = tmp_path / "maps" / "small.safetensors"
    labels = {"a": LabelColumn("a", "binary", np.array([0, 1, 1], np.float32))}
    rows = np.ones((3, 2), np.float16)
    write_points(path, PointSet("small", "f", "z", "x", np.arange(3), {"z": rows}, labels=labels))
    assert bundled_map("small", "f") == path
    assert bundled_map("small", "other weights") is None
    assert bundled_map("../maps/small", "f") == path
    path.write_bytes(b"damaged")
    assert bundled_map("small", "f") is None


def test_the_maps_that_come_with_the_program_are_sound() -> None:
    folder = maps.asset_path("maps")
    for path in sorted(folder.glob("*.safetensors")):
        header, points = read_points_header(path), read_points(path)
        assert header.source == "portraits:count=5000,seed=31"
        assert len(points) == 5000
        assert all(part.dtype == np.float16 for part in points.parts.values())
        assert "smiling" in points.labels
        assert points.model == path.stem
    assert maps_cache.MAX_BYTES == 2 * 2**30
