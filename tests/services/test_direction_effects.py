"""Measuring and orthogonalising as jobs, on a small real model with the bundled probe."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentlab.core.effects import EffectReport, Orthogonalised
from latentlab.core.errors import LatentLabError
from latentlab.core.pointfile import read_points
from latentlab.core.requests import JobProgress, JobRequest
from latentlab.services import directions_effects
from latentlab.services.jobs import JobContext, start_job
from latentlab.services.renderer import Renderer
from tests.services.models import library, unit, write_vae
from tests.services.test_directions import FACES, direction, run


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


SLIDERS = tuple(direction(n, unit(i)) for i, n in enumerate(("smiling", "mustache", "z[3]")))


def test_the_probe_reads_fourteen_columns_and_knows_what_a_hat_hides(context) -> None:
    reports: list[JobProgress] = []
    report: EffectReport = run(
        context, "measure_effects", reports, model="small-vae", directions=SLIDERS, samples=36
    )
    assert report.directions == ("smiling", "mustache", "z[3]")
    assert len(report.columns) == 14
    assert {"eyeglasses", "age", "light_direction"} <= set(report.columns)
    assert "bangs" in report.hidden["wearing_hat"]
    assert report.mean.shape == report.size.shape == report.error.shape == (3, 14)
    assert (report.reader, report.samples) == ("probe", 36)
    assert report.reliability["eyeglasses"] > 0.9
    assert report.figures("smiling") is not None
    assert report.figures("z[3]") is None
    partial = [r.partial for r in reports if r.partial is not None]
    assert [p.samples for p in partial] == [16, 32]
    again = pickle.loads(pickle.dumps(report))
    np.testing.assert_array_equal(again.mean, report.mean)
    other = run(
        context, "measure_effects", model="small-vae", directions=SLIDERS, samples=36, seed=1
    )
    assert (other.mean != report.mean).any()


def test_a_data_set_s_labels_are_read_by_a_classifier_that_is_kept(context, tmp_path) -> None:
    arguments = {"model": "small-vae", "directions": SLIDERS, "samples": 8}
    arguments["reader"] = "portraits:count=600,seed=4"
    reports: list[JobProgress] = []
    first = run(context, "measure_effects", reports, **arguments)
    assert any("learning to read" in r.message for r in reports)
    assert "classifier of portraits" in first.reader
    assert "hair_color_black" in first.columns
    assert set(first.reliability) == set(first.columns)
    kept = list((tmp_path / "home" / "cache" / "readers").glob("*.safetensors"))
    assert len(kept) == 1
    reports.clear()
    second = run(context, "measure_effects", reports, **arguments)
    assert not any("learning" in r.message for r in reports)
    np.testing.assert_array_equal(first.mean, second.mean)
    # A damaged file is made again.
    kept[0].write_bytes(b"damaged")
    np.testing.assert_allclose(run(context, "measure_effects", **arguments).mean, first.mean)


def test_readers_do_not_fill_the_disk(context, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(directions_effects, "READER_BYTES", 1)
    arguments = {"model": "small-vae", "directions": SLIDERS, "samples": 8}
    for seed in (4, 5):
        run(context, "measure_effects", reader=f"portraits:count=300,seed={seed}", **arguments)
        # The newest one is kept whatever its size.
        assert len(list((tmp_path / "home" / "cache" / "readers").glob("*"))) == 1


def test_encoded_points_are_moved_when_they_are_named(context) -> None:
    ready = run(context, "map_points", model="small-vae", source=FACES, count=60)
    arguments = {"model": "small-vae", "directions": SLIDERS, "samples": 12}
    moved = run(context, "measure_effects", path=ready.path, **arguments)
    assert (moved.mean != run(context, "measure_effects", **arguments).mean).any()


def test_orthogonalised_sliders_are_never_worse(context) -> None:
    reports: list[JobProgress] = []
    found: Orthogonalised = run(
        context, "orthogonalise_directions", reports,
        model="small-vae", directions=SLIDERS, samples=24, locked=("z[3]",),
    )  # fmt: skip
    assert [d.name for d in found.directions] == ["smiling", "mustache", "z[3]"]
    assert found.directions[2] is SLIDERS[2]
    for name, new in zip(("smiling", "mustache"), found.directions):
        before, after = found.before.figures(name), found.after.figures(name)
        assert before is not None
        assert after is not None
        assert after.selectivity >= before.selectivity
        assert "orthogonalised" in new.provenance
    done = [r.done / r.total for r in reports]
    assert done == sorted(done)
    assert (found.before.seed, found.before.samples) == (0, 24)
    pickle.loads(pickle.dumps(found))


def test_components_of_a_map_are_those_of_its_points(context) -> None:
    """Too few points to know how they change the picture: it is the latents that vary most."""
    ready = run(context, "map_points", model="small-vae", source=FACES, count=60)
    found = run(
        context, "principal_component_directions", model="small-vae", path=ready.path, count=3
    )
    points = read_points(Path(ready.path))
    assert points.picture_map is None
    z = np.asarray(points.parts["z"], np.float64)
    _, values, axes = np.linalg.svd(z - z.mean(0), full_matrices=False)
    assert [d.name for d in found] == ["PC 1", "PC 2", "PC 3"]
    for i, one in enumerate(found):
        assert one.method == "principal component"
        assert abs(float(one.vector["z"] @ axes[i])) == pytest.approx(1.0, abs=1e-5)
        assert one.scale == pytest.approx(values[i] / np.sqrt(60), rel=1e-5)
        share = values[i] ** 2 / (values**2).sum()
        assert one.provenance["share"] == pytest.approx(share, rel=1e-5)
    with pytest.raises(LatentLabError, match="1 to 8 principal components"):
        run(context, "principal_component_directions", model="small-vae", path=ready.path, count=9)


def test_components_of_the_pictures_are_how_latents_go_with_them(context) -> None:
    """A component is the regression of latents on a score; its unit is their own deviation."""
    ready = run(context, "map_points", model="small-vae", source=FACES, count=100)
    found = run(
        context, "principal_component_directions", model="small-vae", path=ready.path, count=3
    )
    points = read_points(Path(ready.path))
    z = np.asarray(points.parts["z"], np.float64)
    pictures = (z - z.mean(0)) @ np.asarray(points.picture_map, np.float64).T
    scores, values, _ = np.linalg.svd(pictures, full_matrices=False)
    for i, one in enumerate(found):
        assert one.method == "principal component of the pictures"
        step = (z - z.mean(0)).T @ scores[:, i]
        step /= np.linalg.norm(step)
        assert abs(float(one.vector["z"] @ step)) == pytest.approx(1.0, abs=1e-4)
        assert one.scale == pytest.approx((z @ step).std(), rel=1e-4)
        share = values[i] ** 2 / (values**2).sum()
        assert one.provenance["share"] == pytest.approx(share, rel=1e-4)


def test_units_and_groups_are_those_of_a_map_s_points(context) -> None:
    ready = run(context, "map_points", model="small-vae", source=FACES, count=100)
    z = np.asarray(read_points(Path(ready.path)).parts["z"], np.float64)
    dims = run(
        context, "dimension_directions", model="small-vae", part="z", indices=(2,), path=ready.path
    )
    assert dims[0].scale == pytest.approx(z[:, 2].std(), rel=1e-5)
    group = run(
        context, "fit_group_direction", model="small-vae", name="lasso", path=ready.path,
        positive_points=np.arange(30), negative_points=np.arange(30, 70),
    )[0]  # fmt: skip
    step = z[:30].mean(0) - z[30:70].mean(0)
    np.testing.assert_allclose(group.vector["z"], step / np.linalg.norm(step), atol=1e-5)
    assert group.scale == pytest.approx((z @ group.vector["z"]).std(), rel=1e-4)
    assert group.provenance["scale_of"]["source"] == FACES
    with pytest.raises(LatentLabError, match="not on the map"):
        run(
            context, "fit_group_direction", model="small-vae", name="lasso", path=ready.path,
            positive_points=[100], negative_points=[1],
        )  # fmt: skip


def test_points_of_other_weights_are_refused(context, tmp_path) -> None:
    ready = run(context, "map_points", model="small-vae", source=FACES, count=50)
    write_vae(tmp_path / "other.safetensors", "other", image_size=16, bump=0.5)
    with pytest.raises(LatentLabError, match="other weights"):
        run(context, "principal_component_directions", model="other", path=ready.path, count=2)
    with pytest.raises(LatentLabError, match="other weights"):
        run(context, "measure_effects", model="other", directions=SLIDERS, path=ready.path)


def test_a_cancelled_fit_ends_its_process(context) -> None:
    steps = start_job(
        context,
        JobRequest(
            "1",
            "fit_label_directions",
            {"model": "small-vae", "source": FACES, "labels": ("hair_color", "age", "wearing_hat")},
        ),
    )
    for step in steps:
        if step is not None and "fitting" in step[2]:
            break
    steps.close()
    context.lane.stop()
    assert run(context, "label_names", source="portraits:count=10,seed=1")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"directions": ()}, "at least one"),
        ({"samples": 1}, "2 to 10000 samples"),
        ({"amount": 0.0}, "slider units"),
        ({"reader": "portraits:count=12,seed=1"}, "often enough"),
        ({"reader": "/nowhere"}, "There is no"),
        ({"path": "/nowhere"}, "no points file"),
    ],
)
def test_wrong_measurements_are_one_sentence(
    context: JobContext, arguments: dict[str, Any], match: str
) -> None:
    known = {"model": "small-vae", "directions": SLIDERS} | arguments
    with pytest.raises(LatentLabError, match=match):
        run(context, "measure_effects", **known)


def test_the_jobs_modules_import_no_torch() -> None:
    code = (
        "import sys; import latentlab.services.directions, latentlab.services.directions_groups, "
        "latentlab.services.directions_axes, latentlab.services.directions_effects; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
