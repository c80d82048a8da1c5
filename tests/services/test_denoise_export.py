"""Strips and films of runs: their pixels, their bytes, what they say, and what stops them."""

from __future__ import annotations

import errno
import itertools
import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from latentlab.cli import main
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents
from latentlab.core.pictures import stored_hashes
from latentlab.core.requests import JobRequest
from latentlab.services.denoise_draw import chosen_steps, film_steps, tree_order
from latentlab.services.denoise_export import StripLayout, write_denoising
from latentlab.services.jobs import JobContext, run_job, start_job
from latentlab.services.library import ModelLibrary
from latentlab.services.png import read_png_metadata
from latentlab.services.renderer import Renderer
from tests.diffusion_models import write_tiny

STEPS, SIDE, PAD, GAP = 6, 16, 6, 12
BRANCH = "3:guidance=2,attr.age=1"
PLAIN = StripLayout(every=1, rows=("x0",), scale=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "data" / "models").mkdir(parents=True)
    write_tiny(home / "data" / "models" / "tiny.safetensors")
    return home


@pytest.fixture(autouse=True)
def _own_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(home))


@pytest.fixture
def context() -> Iterator[JobContext]:
    models = ModelLibrary(device="cpu")
    context = JobContext(models, Renderer(models))
    yield context
    context.lane.stop()


def picture(**changes: Any) -> Picture:
    values = {"model": "tiny", "space": "noise", "seeds": (7,), "options": {"steps": STEPS}}
    return Picture(**{**values, **changes})


def stored() -> Latents:
    rng = np.random.default_rng(0)
    return Latents("noise", {"noise": rng.normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)})


def write(context: JobContext, path: Path, what: Picture | None = None, **arguments: Any) -> Any:
    steps = write_denoising(context.renderer, path, what or picture(), **arguments)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def cell(image: np.ndarray, row: int, column: int, rows: int = 1) -> np.ndarray:
    top = PAD + row * (rows * (SIDE + PAD) + GAP)
    left = PAD + column * (SIDE + PAD)
    return image[top : top + SIDE, left : left + SIDE]


def exact(context: JobContext, **options: Any) -> np.ndarray:
    what = picture(options={"steps": STEPS, **options})
    return context.renderer.exact(what)[0][0]


def test_cells_of_a_strip_are_the_kept_frames_to_the_bit(context: JobContext, tmp_path) -> None:
    path = tmp_path / "strip.png"
    written = write(context, path, paths=(BRANCH,), layout=PLAIN)
    assert written.counts == {"": STEPS, BRANCH: STEPS}
    assert (written.frames, written.evaluations) == (STEPS, STEPS + 3)
    image = read(path)
    for step in (1, 4, 6):
        kept = exact(context, stop_at=step, show="x0")
        np.testing.assert_array_equal(cell(image, 0, step - 1), kept)
    np.testing.assert_array_equal(cell(image, 0, STEPS), exact(context))
    # The branch stands below the column of its first own step, and left of it there is nothing.
    for step in (4, 6):
        kept = exact(context, branch=BRANCH, stop_at=step, show="x0")
        np.testing.assert_array_equal(cell(image, 1, step - 1), kept)
    np.testing.assert_array_equal(cell(image, 1, STEPS), exact(context, branch=BRANCH))
    assert (cell(image, 1, 0) == 255).all()
    # A line leads from one row to the other, left of that column.
    left = image[PAD + SIDE + PAD + 4, PAD + 3 * (SIDE + PAD) - PAD : PAD + 66]
    assert (left != 255).any()


def test_rows_are_the_quantities_that_were_asked_for(context: JobContext, tmp_path) -> None:
    path = tmp_path / "strip.png"
    layout = replace(PLAIN, rows=("x_t", "eps"), every=5)
    write(context, path, layout=layout)
    image = read(path)
    assert image.shape[1] == PAD + 3 * (SIDE + PAD)
    for place, show in enumerate(("x_t", "eps")):
        for column, step in enumerate((1, 6)):
            top, left = PAD + place * (SIDE + PAD), PAD + column * (SIDE + PAD)
            kept = exact(context, stop_at=step, show=show)
            np.testing.assert_array_equal(image[top : top + SIDE, left : left + SIDE], kept)


def test_captions_and_scale_make_room(context: JobContext, tmp_path) -> None:
    path = tmp_path / "strip.png"
    write(context, path, layout=StripLayout(captions=True))
    large = read(path).shape[1::-1]
    write(context, path, layout=StripLayout())
    small = read(path).shape[1::-1]
    assert large[0] > small[0] > STEPS * 64
    assert large[1] > small[1]


def test_which_steps_stand_in_a_strip() -> None:
    paths = tree_order(["8:noise=1/17:noise=2", "0:sampler=ddim", "8:noise=1"])
    assert paths == ("", "8:noise=1", "8:noise=1/17:noise=2", "0:sampler=ddim")
    assert chosen_steps("", paths, 25, 6) == {1, 7, 9, 13, 18, 19, 25}
    assert chosen_steps("8:noise=1", paths, 25, 6) == {9, 13, 18, 19, 25}
    assert chosen_steps("8:noise=1/17:noise=2", paths, 30, 6) == {18, 19, 25, 30}
    assert film_steps([25, 30], 10) == [1, 11, 21, 30]


def test_a_film_shows_every_step_of_all_runs_and_holds_the_result(
    context: JobContext, tmp_path
) -> None:
    path = tmp_path / "film.apng"
    longer = "3:steps=5"
    layout = replace(PLAIN, fps=4.0, hold=0.5)
    written = write(context, path, paths=(longer,), layout=layout)
    assert written.counts == {"": STEPS, longer: 8}
    with Image.open(path) as film:
        frames = [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(film)]
        seconds = sum(f.info["duration"] for f in ImageSequence.Iterator(film)) / 1000
    assert written.frames == 8 + 1 + 2
    assert seconds == pytest.approx(written.frames / 4)
    for step in (1, 4, 6):
        frame = frames[step - 1]
        np.testing.assert_array_equal(cell(frame, 0, 0), exact(context, stop_at=step, show="x0"))
        own = {"branch": longer} if step > 3 else {}
        kept = exact(context, stop_at=step, show="x0", **own)
        np.testing.assert_array_equal(cell(frame, 0, 1), kept)
    # The shorter one has its result while the longer one goes on.
    np.testing.assert_array_equal(cell(frames[7], 0, 0), exact(context))
    np.testing.assert_array_equal(cell(frames[-1], 0, 1), exact(context, branch=longer))


def words_of(path: Path) -> list[str]:
    record = read_png_metadata(path)
    assert record is not None
    return shlex.split(record.command)


@pytest.mark.parametrize("name", ["strip.png", "film.mp4", "film.gif"])
def test_the_panel_and_the_command_line_write_the_same_bytes(
    context: JobContext, tmp_path, name: str, capsys
) -> None:
    what = picture(condition=Condition(attributes={"age": 0.5}), name="mine")
    layout = StripLayout(every=2, captions=True, scale=2, rows=("x_t", "x0", "eps"))
    arguments = {"path": tmp_path / name, "picture": what, "paths": (BRANCH,), "layout": layout}
    reports: list[Any] = []
    value = run_job(JobRequest("x", "export_denoising", arguments), reports.append, context)
    assert value.path == tmp_path / name
    done = [r.done / r.total for r in reports]
    assert all(a <= b for a, b in itertools.pairwise(done[1:]))
    other = tmp_path / f"again{Path(name).suffix}"
    words = ["denoise", "tiny", "--seed", "7", "--steps", str(STEPS), "--attribute", "age=0.5"]
    words += ["--branch", BRANCH, "--every", "2", "--captions", "--scale", "2"]
    words += ["--show", "x_t,x0,eps", "--out", str(other)]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{STEPS} steps and 1 branch in {other}\n"
    assert other.read_bytes() == (tmp_path / name).read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, other.name])


@pytest.mark.parametrize("source", ["seed", "stored"])
def test_a_strip_restores_its_picture_and_its_command_makes_it_again(
    context: JobContext, tmp_path, monkeypatch, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    latents = stored() if source == "stored" else None
    known = {"seeds": (), "stored": stored_hashes(latents)} if latents else {}
    kept = {"steps": STEPS, "sampler": "ddpm", "branch": BRANCH, "stop_at": 4}
    what = picture(options=kept, condition=Condition(attributes={"age": 0.5}), **known)
    path = Path("strip.png")
    write(context, path, what, stored=latents, paths=(BRANCH,), layout=StripLayout(every=2))
    record = read_png_metadata(path)
    spec = context.library.backend("tiny").spec
    assert record.picture.options == {"steps": STEPS, "sampler": "ddpm"}
    assert record.picture.fingerprint == spec.fingerprint
    assert record.picture.condition == what.condition
    if latents is not None:
        np.testing.assert_array_equal(record.stored["noise"], latents["noise"])
    else:
        assert record.picture.seeds == (7,)
    before, words = path.read_bytes(), words_of(path)
    assert words[:3] == ["latentlab", "denoise", "tiny"]
    assert main(words[1:]) == 0
    assert path.read_bytes() == before


def test_the_numbers_of_a_run(context: JobContext, tmp_path) -> None:
    path = tmp_path / "run.npz"
    write(context, path, paths=(BRANCH,))
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    about = json.loads(arrays.pop("about").tobytes())
    assert about["paths"] == {"run": "", "branch1": BRANCH}
    assert shlex.split(about["command"])[-1] == "run.npz"
    for name, steps in (("run", 6), ("branch1", 3)):
        x_t, x0, eps = (arrays[f"{name}.{key}"] for key in ("x_t", "x0", "eps"))
        assert x_t.shape == (steps, 3, SIDE, SIDE)
        assert x_t.dtype == np.float32
        sigma = arrays[f"{name}.sigma"].reshape(-1, 1, 1, 1)
        np.testing.assert_allclose(x_t, (x0 + sigma * eps) / np.sqrt(1 + sigma**2), atol=2e-4)
        result = np.round((arrays[f"{name}.result"].transpose(1, 2, 0) + 1) * 127.5)
        branch = {"branch": BRANCH} if name == "branch1" else {}
        np.testing.assert_array_equal(result, exact(context, **branch))
    assert arrays["branch1.index"].tolist() == [4, 5, 6]
    first = path.read_bytes()
    write(context, path, paths=(BRANCH,))
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("name", "layout", "sentence"),
    [
        ("strip.jpg", {}, "use .png for a strip"),
        ("strip.png", {"rows": ("x1",)}, "no 'x1'; it has"),
        ("strip.png", {"rows": ()}, "each once"),
        ("strip.png", {"every": 0}, "1 or more"),
        ("strip.png", {"scale": 65}, "1 to 64"),
        ("film.gif", {"fps": 60.0}, "at most 50"),
        ("film.mp4", {"fps": 0.0}, "steps a second"),
        ("film.mp4", {"hold": -1.0}, "0 to 60 seconds"),
        ("folder.png", {}, "another name"),
        ("file/strip.png", {}, "another name"),
    ],
)
def test_wrong_layouts_are_said_before_a_model_is_read(
    context: JobContext, tmp_path, name, layout, sentence
) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    missing = picture(model="missing")
    with pytest.raises(LatentLabError, match=sentence):
        write(context, tmp_path / name, missing, layout=StripLayout(**layout))


@pytest.mark.parametrize(("name", "sentence"), [("a.png", "are too many"), ("a.gif", "too large")])
def test_what_would_be_too_large_is_said_at_the_first_step(
    context: JobContext, tmp_path, name: str, sentence: str
) -> None:
    what = picture(options={"steps": 1000})
    work = write_denoising(
        context.renderer, tmp_path / name, what, layout=StripLayout(every=1, scale=64)
    )
    with pytest.raises(LatentLabError, match=sentence):
        next(work)


@pytest.mark.parametrize("name", ["strip.png", "film.gif", "run.npz"])
def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    context: JobContext, tmp_path, monkeypatch, name: str
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr("latentlab.services.denoise_export.shutil.copyfile", full)
    with pytest.raises(LatentLabError, match="No space left on device"):
        write(context, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("turns", [3, STEPS + 3, 2 * STEPS + 4])
def test_a_cancelled_export_leaves_nothing(
    context: JobContext, tmp_path, monkeypatch, turns: int
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "out").mkdir()
    arguments = {"path": tmp_path / "out" / "film.gif", "picture": picture()}
    steps = start_job(context, JobRequest("x", "export_denoising", arguments))
    for _ in range(turns):
        next(steps)
    steps.close()
    assert [*(tmp_path / "out").iterdir(), *(tmp_path / "temporary").iterdir()] == []
