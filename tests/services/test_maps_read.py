"""Samples of a model labelled by the probe: maps with colours, directions without photographs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentlab.backends.probe import load_probe
from latentlab.core.errors import LatentLabError
from latentlab.core.pointfile import read_points
from latentlab.core.requests import JobRequest
from latentlab.services import maps_images
from latentlab.services.jobs import JobContext, run_job, start_job
from latentlab.services.renderer import Renderer, decode_exact
from tests.diffusion_models import write_tiny
from tests.services.models import library, write_vae

COUNT = 24


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    maps_images._DECODED.clear()


@pytest.fixture
def context(tmp_path: Path) -> Iterator[JobContext]:
    write_vae(tmp_path / "small-vae.safetensors", image_size=16)
    write_vae(tmp_path / "grey.safetensors", "grey", image_size=16, channels=1)
    write_tiny(tmp_path / "tiny.safetensors")
    models = library(tmp_path)
    found = JobContext(models, Renderer(models))
    yield found
    found.lane.stop()


def run(context: JobContext, kind: str, **arguments: Any) -> Any:
    return run_job(JobRequest("1", kind, arguments), None, context)


def evaluations(context: JobContext, model: str) -> list[int]:
    """Return a list that grows by the rows of every evaluation of a network."""
    seen: list[int] = []
    network = context.library.backend(model).network
    network.register_forward_hook(lambda _m, args, _out: seen.append(len(args[0])))
    return seen


@pytest.mark.parametrize("model", ["small-vae", "tiny"])
def test_samples_are_labelled_by_what_the_probe_reads(context: JobContext, model: str) -> None:
    ready = run(context, "map_points", model=model, count=COUNT, reader="probe")
    points = read_points(Path(ready.path))
    probe = load_probe()
    assert set(points.labels) == set(probe.labels)
    backend = context.library.backend(model)
    read = probe.read(decode_exact(backend, points.latents(range(COUNT))))
    # The map's batches are others than those of kept images: a level more or less.
    age = points.labels["age"].values
    assert np.corrcoef(age, read["age"])[0, 1] > 0.99
    hat = points.labels["wearing_hat"].values
    assert set(np.unique(hat)) <= {0.0, 1.0}
    assert (hat == (read["wearing_hat"] > 0.5)).mean() > 0.9
    hair = points.labels["hair_color"]
    assert hair.kind == "categorical"
    assert (hair.values == read["hair_color"].argmax(axis=1)).mean() > 0.9
    plain = run(context, "map_points", model=model, count=COUNT)
    assert plain.path != ready.path
    assert not read_points(Path(plain.path)).labels


def test_a_direction_is_fitted_on_samples_one_evaluation_a_turn(context: JobContext) -> None:
    rows = run(context, "label_names", source="prior")
    assert ("age", "continuous", (), 1000) in rows
    seen = evaluations(context, "tiny")
    request = JobRequest(
        "1",
        "fit_label_directions",
        {"model": "tiny", "source": "prior", "labels": ("age",), "count": COUNT},
    )
    steps, most = start_job(context, request), 0
    while True:
        before = len(seen)
        try:
            next(steps)
        except StopIteration as stop:
            (found,) = stop.value
            break
        most = max(most, len(seen) - before)
    assert most == 1
    assert set(seen) == {16, 8}
    assert found.vector["noise"].shape == (3, 16, 16)
    assert found.provenance["data"]["source"] == "prior"
    # Encoding a data set is what this model would be slow at; it was not asked to.
    assert len(seen) == 2 * 25


def test_images_of_samples_are_decoded_once(context: JobContext) -> None:
    path = run(context, "map_points", model="tiny", count=20).path
    seen = evaluations(context, "tiny")
    first = run(context, "map_neighbours", path=path, point=3, metric="pixel")
    assert sum(seen) == 20 * 25
    other = run(context, "map_neighbours", path=path, point=4, metric="pixel")
    shown = run(context, "map_images", path=path, points=[3, 4])
    assert sum(seen) == 20 * 25
    assert len(first.points) == len(other.points) == 19
    away = np.sqrt(np.square(shown[0].astype(float) - shown[1]).mean())
    assert first.distances[first.points.tolist().index(4)] == pytest.approx(away)


def test_samples_have_no_mirror_and_no_table(context: JobContext) -> None:
    for more, words in (({"mirror": True}, "no mirrored ones"), ({"split": "train"}, "no splits")):
        with pytest.raises(LatentLabError, match=words):
            run(
                context,
                "fit_label_directions",
                **{"model": "tiny", "source": "prior", "labels": ("age",), **more},
            )


def test_wrong_readers_are_one_sentence(context: JobContext) -> None:
    for arguments, words in (
        ({"model": "tiny", "reader": "prob"}, "probe"),
        ({"model": "grey", "reader": "probe"}, "images are grey"),
        ({"model": "small-vae", "reader": "probe", "source": "portraits"}, "brings its own labels"),
    ):
        with pytest.raises(LatentLabError, match=words):
            run(context, "map_points", count=COUNT, **arguments)
