"""Films: what other readers find in the files, and that a stopped one leaves nothing."""

from __future__ import annotations

import builtins
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from latentlab.core.errors import LatentLabError
from latentlab.core.requests import JobRequest
from latentlab.core.run_events import EventWriter
from latentlab.core.runs import RunFolder
from latentlab.services.film import even_choice, sample_film, sample_sheets, write_film
from latentlab.services.jobs import JobContext, run_job, start_job

SIZE = (31, 45)
COUNT = 24


def moving(count: int = COUNT, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Frames on which a bright square wanders over a still gradient."""
    height, width = size
    frames = []
    for i in range(count):
        frame = np.zeros((height, width, 3), np.uint8)
        frame[..., 0] = np.linspace(0, 120, width)
        frame[..., 2] = np.linspace(120, 0, height)[:, None]
        frame[5:15, i : i + 10] = (250, 220, 40)
        frames.append(frame)
    return frames


def pictures(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]


@pytest.mark.parametrize(("suffix", "error"), [(".gif", 12.0), (".webp", 6.0), (".png", 0.0)])
def test_a_film_is_read_back_as_its_frames(suffix, error, tmp_path) -> None:
    path = tmp_path / f"film{suffix}"
    film = write_film(path, moving(), 12.0, comment="of a test")
    assert (film.frames, film.seconds) == (COUNT, 2.0)
    found = pictures(path)
    assert len(found) == COUNT
    for ours, theirs in zip(moving(), found, strict=True):
        assert np.abs(ours.astype(int) - theirs).mean() <= error
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_the_film_lasts_as_long_as_its_rate_says(tmp_path) -> None:
    for suffix in (".gif", ".webp", ".png"):
        path = tmp_path / f"film{suffix}"
        write_film(path, moving(), 24.0)
        with Image.open(path) as image:
            # WebP tells the time of a frame once it is read.
            total = 0
            for frame in ImageSequence.Iterator(image):
                frame.load()
                total += frame.info["duration"]
        assert total == pytest.approx(1000.0, abs=11)


def test_a_gif_has_one_palette_for_all_frames(tmp_path) -> None:
    path = tmp_path / "film.gif"
    write_film(path, moving(), 10.0, comment="run mine")
    data = path.read_bytes()
    flags = data[10]
    assert flags & 0x80, "no global palette"
    position, local = 13 + 3 * 2 ** ((flags & 7) + 1), []
    # The blocks of a GIF: image descriptor 2C, extension 21, end 3B.
    while data[position] != 0x3B:
        if data[position] == 0x2C:
            own = data[position + 9]
            local.append(bool(own & 0x80))
            position += 11 + (3 * 2 ** ((own & 7) + 1) if own & 0x80 else 0)
        else:
            position += 2
        while data[position]:
            position += data[position] + 1
        position += 1
    assert local == [False] * COUNT
    with Image.open(path) as image:
        assert image.info["comment"] == b"run mine"
        assert image.info["loop"] == 0


def test_an_mp4_plays_everywhere(tmp_path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "film.mp4"
    write_film(path, moving(), 12.0, comment="of the run 'faces'")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (46, 32)
        assert stream.pix_fmt == "yuv420p"
        assert stream.average_rate == 12
        assert container.metadata["comment"] == "of the run 'faces'"
        found = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(found) == COUNT
    for ours, theirs in zip(moving(), found, strict=True):
        assert np.abs(ours.astype(int) - theirs[: SIZE[0], : SIZE[1]]).mean() < 8


def test_without_its_package_mp4_says_what_to_install(tmp_path, monkeypatch) -> None:
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "av":
            raise ImportError("no av here")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(LatentLabError, match="latentlab\\[video\\]"):
        write_film(tmp_path / "film.mp4", moving(), 12.0)
    assert not list(tmp_path.iterdir())


class Enough(Exception):
    """The person pressed Cancel."""


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".mp4"])
def test_a_stopped_film_leaves_the_old_file_and_nothing_else(suffix, tmp_path) -> None:
    path = tmp_path / f"film{suffix}"
    path.write_bytes(b"the film of yesterday")
    reports = []

    def report(done: int, total: int, message: str) -> None:
        reports.append((done, total))
        if done == 5:
            raise Enough

    with pytest.raises(Enough):
        write_film(path, iter(moving()), 12.0, report, total=COUNT)
    assert reports == [(i, COUNT) for i in range(1, 6)]
    assert path.read_bytes() == b"the film of yesterday"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "fps", "frames", "words"),
    [
        ("film.avi", 12.0, moving(3), "use .mp4"),
        ("film.gif", 0.0, moving(3), "frames a second"),
        ("film.gif", float("nan"), moving(3), "frames a second"),
        ("film.gif", 90.0, moving(3), "at most 50"),
        ("film.gif", 12.0, [], "no frame"),
        ("film.webp", 12.0, [*moving(2), moving(1, (8, 8))[0]], "Frame 3 is 8 x 8"),
        ("film.gif", 12.0, [np.zeros((4, 4, 2), np.uint8)], "uint8 of shape"),
    ],
)
def test_what_is_no_film_is_one_sentence(name, fps, frames, words, tmp_path) -> None:
    with pytest.raises(LatentLabError, match=words):
        write_film(tmp_path / name, frames, fps)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_grey_frames_become_colour(tmp_path) -> None:
    path = tmp_path / "film.png"
    grey = [np.full((6, 7), value, np.uint8) for value in (10, 200)]
    write_film(path, grey, 2.0)
    assert [int(p[0, 0, 1]) for p in pictures(path)] == [10, 200]


def test_skipping_is_even_and_keeps_both_ends() -> None:
    assert even_choice(5, 9) == [0, 1, 2, 3, 4]
    chosen = even_choice(1000, 60)
    assert (len(chosen), chosen[0], chosen[-1]) == (60, 0, 999)
    assert set(np.diff(chosen)) <= {16, 17}
    assert even_choice(7, 0) == [0, 6]
    assert even_choice(1, 5) == [0]


# Runs.


def make_run(path: Path, steps: dict[int, tuple[int, int]], told: bool = True) -> RunFolder:
    """A run whose sheets, (width, height) by step, have the step as their grey level."""
    folder = RunFolder(path)
    folder.samples.mkdir(parents=True)
    folder.recipe.write_text("")
    with EventWriter(folder, 1) as events:
        events.write("start", 0)
        for step, size in steps.items():
            Image.new("L", size, step % 250).save(folder.sample(step))
            if told:
                events.write("sample", step, path=f"samples/step_{step:07d}.png")
    return folder


def test_sheets_come_by_step_each_once_without_what_a_later_attempt_replaced(tmp_path) -> None:
    folder = make_run(tmp_path / "run", {10: (8, 8), 20: (8, 8), 30: (8, 8)})
    with EventWriter(folder, 2) as events:
        events.write("start", 15)
        Image.new("L", (8, 8), 25).save(folder.sample(25))
        events.write("sample", 25, path="samples/step_0000025.png")
        # Nothing outside the folder is read, whatever the events say.
        events.write("sample", 26, path="../../secret.png")
    (tmp_path / "secret.png").write_bytes(folder.sample(10).read_bytes())
    assert [step for step, _ in sample_sheets(folder.path)] == [10, 25]
    (folder.events).unlink()
    assert [step for step, _ in sample_sheets(folder.path)] == [10, 20, 25, 30]


def test_a_film_of_sheets_of_several_sizes_has_one_size(tmp_path) -> None:
    folder = make_run(tmp_path / "run", {1: (16, 16), 100: (32, 32), 240: (24, 12)})
    film = sample_film(folder.path, tmp_path / "film.png", label=False, scale=2)
    found = pictures(film.path)
    assert [p.shape for p in found] == [(64, 64, 3)] * 3
    assert [int(p[32, 32, 0]) for p in found] == [1, 100, 240]
    assert int(found[2][2, 2, 0]) == 0
    assert int(found[0][0, 0, 0]) == 1
    with Image.open(film.path) as image:
        image.load()
        assert "run, steps 1 to 240" in image.text["Comment"]


def test_the_step_is_written_under_the_sheet_and_never_over_it(tmp_path) -> None:
    folder = make_run(tmp_path / "run", {1: (64, 64), 2: (64, 64)})
    sample_film(folder.path, tmp_path / "with.png", scale=1)
    sample_film(folder.path, tmp_path / "without.png", scale=1, label=False)
    labelled, plain = pictures(tmp_path / "with.png"), pictures(tmp_path / "without.png")
    assert labelled[0].shape[0] > plain[0].shape[0] == 64
    for ours, theirs in zip(labelled, plain, strict=True):
        np.testing.assert_array_equal(ours[:64], theirs)
    below = [frame[64:].astype(int) for frame in labelled]
    assert all(part.max() > 150 for part in below)
    assert np.abs(below[0] - below[1]).max() > 100


def test_a_long_run_is_skipped_through_evenly(tmp_path) -> None:
    folder = make_run(tmp_path / "run", dict.fromkeys(range(1, 200), (8, 8)))
    film = sample_film(folder.path, tmp_path / "f.png", fps=10, max_seconds=2, label=False)
    levels = [int(p[0, 0, 0]) for p in pictures(film.path)]
    assert (film.frames, levels[0], levels[-1]) == (20, 1, 199)
    assert sample_film(folder.path, tmp_path / "g.png", max_seconds=None).frames == 199


def test_a_run_without_sheets_says_so_and_a_damaged_one_is_left_out(tmp_path) -> None:
    folder = make_run(tmp_path / "run", {})
    with pytest.raises(LatentLabError, match="no sample sheets yet"):
        sample_film(folder.path, tmp_path / "film.gif")
    folder = make_run(tmp_path / "other", {1: (8, 8), 2: (8, 8), 3: (8, 8)})
    folder.sample(2).write_bytes(b"\x89PNG torn")
    assert sample_film(folder.path, tmp_path / "film.gif").frames == 2
    with pytest.raises(LatentLabError, match="more than 0 seconds"):
        sample_film(folder.path, tmp_path / "film.gif", max_seconds=0)
    with pytest.raises(LatentLabError, match="1 to 64"):
        sample_film(folder.path, tmp_path / "film.gif", scale=0)


def test_the_job_writes_the_same_film_and_a_cancelled_one_leaves_nothing(tmp_path) -> None:
    folder = make_run(tmp_path / "run", dict.fromkeys(range(1, 40), (16, 16)))
    out = tmp_path / "out"
    out.mkdir()
    context = JobContext(None, None)
    try:
        arguments = {"run_dir": str(folder.path), "path": str(out / "film.gif"), "fps": 5.0}
        reports = []
        film = run_job(JobRequest("j", "sample_film", arguments), reports.append, context)
        assert (film.path, film.frames) == (out / "film.gif", 39)
        sample_film(folder.path, tmp_path / "same.gif", fps=5.0)
        assert film.path.read_bytes() == (tmp_path / "same.gif").read_bytes()
        film.path.unlink()
        work = start_job(context, JobRequest("j", "sample_film", arguments))
        next(work)
        work.close()
    finally:
        context.lane.stop()
    assert not list(out.iterdir())
    assert json.dumps([r.total for r in reports])
