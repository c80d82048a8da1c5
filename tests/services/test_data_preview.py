"""The preview of a recipe's data, against what training itself opens."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import DataTable
from latentlab.core.requests import JobProgress, JobRequest
from latentlab.services import data_preview
from latentlab.services.data_preview import DataPreview
from latentlab.services.jobs import run_job
from latentlab.services.lane import CpuLane
from latentlab.training.data import open_training
from latentlab.training.sampler import Sampler


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))


@pytest.fixture
def context() -> Iterator[Any]:
    lane = CpuLane()
    yield SimpleNamespace(lane=lane)
    lane.stop()


def preview(
    context: Any, reports: list[JobProgress] | None = None, *, count: int = 9, **data: Any
) -> DataPreview:
    options = {name: data.pop(name) for name in ("seed", "check") if name in data}
    request = JobRequest("1", "preview_data", {"data": data, "count": count, **options}, "Data")
    return run_job(request, None if reports is None else reports.append, context)


def expected(table: DataTable, count: int, seed: int) -> np.ndarray:
    """The first images of the first step, by the parts of training."""
    training, _ = open_training(table)
    sampler = Sampler(len(training), 64, seed)
    images = training.read(sampler.indices(0)[:count])
    flips = sampler.flips(0)[:count] if table.flip else np.zeros(count, bool)
    return np.where(flips[:, None, None, None], images[:, :, ::-1], images)


def write_faces(folder: Path, counts: dict[str, int], damaged: int = 0) -> Path:
    """Class folders of images of noise, 20x16 pixels; the last ones are cut short."""
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (16, 20, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:03d}.png")
    for path in sorted(folder.rglob("*.png"))[-damaged:] if damaged else []:
        path.write_bytes(path.read_bytes()[:60])
    return folder


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder))
    return path


@pytest.mark.parametrize("flip", [False, True])
def test_portraits_are_the_first_images_of_the_first_step(context, flip) -> None:
    data = {"source": "portraits:count=300,seed=2", "size": 16, "channels": 1, "flip": flip}
    found = preview(context, seed=5, **data)
    np.testing.assert_array_equal(found.images, expected(DataTable(**data), 9, 5))
    assert found.flipped.any() == flip
    assert (found.num_training, found.num_held_out) == (270, 30)
    assert found.complete
    assert not found.skipped
    by_name = {label.name: label for label in found.labels}
    assert by_name["smiling"].kind in ("binary", "continuous")


def test_a_zip_is_shown_before_and_after_its_files_are_checked(context, tmp_path) -> None:
    counts = {"cat": 40, "dog": 60}
    source = str(zipped(write_faces(tmp_path / "pets", counts)))
    data = {"source": source, "size": 8, "crop": "pad", "box": 12, "flip": True, "channels": 1}
    reports: list[JobProgress] = []
    found = preview(context, reports, **data)
    first = next(r.partial for r in reports if r.partial is not None)
    assert not list((tmp_path / "home").rglob("*.npy")), "looking must not fill the disk"
    want = expected(DataTable(**data), 9, 0)
    for shown in (first, found):
        np.testing.assert_array_equal(shown.images, want)
        assert (shown.num_training, shown.num_held_out) == (90, 10)
    assert not first.complete
    assert found.complete
    label = next(one for one in found.labels if one.kind == "categorical")
    training, _ = open_training(DataTable(**data))
    column = training.labels[label.name]
    names = [column.class_name(int(code)) for code in column.values]
    assert dict(label.classes) == {name: names.count(name) for name in counts}


def test_damaged_files_are_named_and_left_out(context, tmp_path) -> None:
    source = str(write_faces(tmp_path / "pets", {"cat": 20, "dog": 20}, damaged=4))
    found = preview(context, count=36, source=source, size=8, channels=3)
    assert {file.name for file in found.skipped} == {f"dog/{i:03d}.png" for i in range(16, 20)}
    assert all(file.reason.endswith(".") for file in found.skipped)
    assert found.num_skipped == 4
    assert found.complete
    checked = preview(context, count=36, source=source, size=8, channels=3, check=True)
    assert checked.num_training + checked.num_held_out == 36
    assert checked.num_skipped == 4


def test_a_check_that_takes_long_says_how_far_it_came(context, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(data_preview, "CHECK_SECONDS", -1.0)
    source = str(write_faces(tmp_path / "pets", {"cat": 60, "dog": 60}))
    table = {"source": source, "size": 8, "channels": 3}
    found = data_preview.look_closer(lambda *_: None, data=table, count=4, seed=0, whole=False)
    assert 0 < found.checked < found.num_files == 120
    assert not found.complete


def test_splits_that_are_all_trained_on_are_warned_of(context, tmp_path) -> None:
    folder = tmp_path / "parts"
    for split in ("train", "test"):
        write_faces(folder / split, {"cat": 12, "dog": 12})
    all_of_it = preview(context, source=str(folder), size=8)
    assert set(all_of_it.splits) == {"train", "test"}
    assert "data.split" in all_of_it.warning
    part = preview(context, source=str(folder), size=8, split="train")
    assert part.warning == ""
    assert part.num_training + part.num_held_out == 24


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"source": "nowhere.zip", "size": 8}, "There is no 'nowhere.zip'"),
        ({"source": "portraits:count=5", "size": 16}, "too few to hold some out"),
        ({"source": "portraits", "size": 1}, "data.size"),
        ({"source": "portraits:count=50", "size": 16, "labels": ["nose"]}, "no label 'nose'"),
    ],
)
def test_what_is_wrong_is_one_sentence(context, data, said) -> None:
    with pytest.raises(LatentLabError, match=said) as caught:
        preview(context, **data)
    assert "\n" not in caught.value.message
