"""``latentlab switch`` on a real flow: the same bytes as the window's, and what comes back."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentlab.backends.images import from_levels
from latentlab.cli import main
from latentlab.core.document import Picture, Switch, SwitchSource
from latentlab.core.latents import Array, Latents
from latentlab.services.export import read_png_metadata, save_latents
from latentlab.services.jobs import JobContext
from latentlab.services.library import ModelLibrary
from latentlab.services.photo import encode_photo_job
from latentlab.services.renderer import Renderer
from latentlab.services.switch import switch_check_job, switch_matrix_job
from latentlab.services.switch_command import SwitchLayout, switch_command
from latentlab.services.switch_export import write_switch
from tests.flow_models import write_tiny
from tests.services.models import write_vae

SIDE = 16


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    models = home / "data" / "models"
    models.mkdir(parents=True)
    write_tiny(models / "tiny.safetensors")
    write_tiny(models / "plain.safetensors", global_dim=0)
    write_vae(models / "faces.safetensors", "faces")
    rng = np.random.default_rng(3)
    for name in ("a", "b"):
        small = Image.fromarray(rng.integers(0, 255, (4, 4, 3), np.uint8))
        small.resize((20, 20), Image.Resampling.BICUBIC).save(home / f"{name}.png")
    return home


@pytest.fixture(autouse=True)
def _own_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes((home / f"{name}.png").read_bytes())


@pytest.fixture
def context() -> Any:
    models = ModelLibrary(device="cpu")
    context = JobContext(models, Renderer(models))
    yield context
    context.lane.stop()


def run(text: str) -> None:
    assert main(shlex.split(text)) == 0


def follow(job: Any) -> Any:
    while True:
        try:
            next(job)
        except StopIteration as stop:
            return stop.value


def said(text: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    run(f"{text} --json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def fails(text: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(text)) == 2
    heard = capsys.readouterr().err
    assert words in heard
    assert "Traceback" not in heard


def read(path: str) -> Array:
    with Image.open(path) as image:
        return np.asarray(image)


def window(context: JobContext, model: str = "tiny") -> tuple[Switch, dict[str, Latents], Any]:
    """What the panel holds: two photographs, a sample, and a cell of an earlier matrix."""
    photos = [
        follow(encode_photo_job(context, model=model, photo=Path(f"{name}.png").absolute()))
        for name in "ab"
    ]
    seed = Picture(model=model, space="latent", seeds=(7,))
    pictures = [photos[0].picture, seed, photos[1].picture]
    sources = [SwitchSource(id=name, picture=one) for name, one in zip("xyz", pictures)]
    switch = Switch(model=model, space="latent", sources=tuple(sources), by_row=(), pair=())
    stored = {"x": photos[0].latents, "z": photos[1].latents}
    return switch, stored, {"x": photos[0].photo, "z": photos[1].photo}


# The same bytes.


def test_the_copied_command_writes_the_bytes_of_the_window(
    context: JobContext, tmp_path: Path
) -> None:
    switch, stored, _ = window(context)
    switch = switch.model_copy(update={"by_row": ("local_2", "global")})
    for number, layout in enumerate(
        (
            SwitchLayout(),
            SwitchLayout(heads=True, captions=True, padding=1, scale=2),
            SwitchLayout(mix=(3, 2), size=3),
        )
    ):
        out = tmp_path / f"window{number}.png"
        follow(write_switch(context.renderer, out, switch, stored, layout=layout))
        latents = follow(switch_matrix_job(context, switch=switch, stored=stored, cells=())).latents
        entry = context.library.resolve("tiny")
        name = f"command{number}.png"
        text = switch_command(
            switch, latents, entry=entry, layout=layout, out=name, platform="linux"
        )
        run(text.removeprefix("latentlab "))
        assert Path(name).read_bytes() == out.read_bytes()


def test_a_file_makes_itself_again(tmp_path: Path) -> None:
    run("switch tiny a.png seed:7 b.png --rows local_1 --heads --captions --out switch.png")
    record = read_png_metadata(Path("switch.png"))
    assert record is not None
    first = Path("switch.png").read_bytes()
    Path("switch.png").rename("moved.png")
    command = record.command.removeprefix("latentlab ")
    run(command.replace("tiny switch.png", "tiny moved.png"))
    assert Path("switch.png").read_bytes() == first
    run("switch tiny seeds:0-3 --temperature 0.7 --out seeds.png")
    record = read_png_metadata(Path("seeds.png"))
    assert record is not None
    assert record.picture.seeds == (0, 1, 2, 3)
    assert shlex.split(record.command)[3:] == [
        *(f"seed:{n}" for n in range(4)),
        "--temperature",
        "0.7",
        "--out",
        "switch.png",
    ]
    run(record.command.removeprefix("latentlab "))
    assert Path("switch.png").read_bytes() == Path("seeds.png").read_bytes()


def test_every_kind_of_source_is_the_same_picture() -> None:
    run("encode tiny a.png b.png --out both.safetensors")
    run("edit tiny --input a.png --out edited.png")
    run("sample tiny --seeds 4,7 --out samples.png")
    run("switch tiny a.png b.png seed:4 seed:7 --out grid.png")
    run("switch tiny both.safetensors samples.png --out same.png")
    assert Path("grid.png").read_bytes() == Path("same.png").read_bytes()
    run("switch tiny edited.png b.png samples.png --out third.png")
    assert Path("third.png").read_bytes() == Path("grid.png").read_bytes()


def test_a_cell_is_the_picture_that_edit_makes() -> None:
    run("switch tiny a.png seed:7 --scale 1 --out grid.png")
    grid = read("grid.png")
    record = read_png_metadata(Path("grid.png"))
    assert record is not None
    assert record.stored is not None
    rows = record.stored
    parts = {name: rows[name][1:] if name == "global" else rows[name][:1] for name in rows}
    save_latents(Path("cell.safetensors"), Latents("latent", parts))
    run("decode tiny cell.safetensors --out cell.png")
    np.testing.assert_array_equal(read("cell.png"), grid[SIDE + 2 :, :SIDE])


# What it says.


def test_figures_are_those_of_the_window(
    context: JobContext, capsys: pytest.CaptureFixture[str]
) -> None:
    found = said("switch tiny a.png seed:7 b.png --check --out grid.png", capsys)
    switch, stored, photos = window(context)
    whole = follow(switch_matrix_job(context, switch=switch, stored=stored, photos=photos))
    assert found["by_row"] == ["global"]
    assert found["by_column"] == ["local_1", "local_2", "local_3"]
    assert [one["source"] for one in found["sources"]] == ["a.png", "seed:7", "b.png"]
    for one, name in zip(found["sources"], "xyz"):
        trip = whole.round_trip[name]
        assert one["latent_error"] == trip.latent_error
        assert one["max_level_error"] == trip.max_level_error
        # What is infinite is no JSON.
        assert one["psnr_db"] == (None if trip.psnr_db == float("inf") else trip.psnr_db)
    assert found["sources"][1]["max_level_error"] is None
    cells = [(i, j) for i in range(3) for j in range(3) if i != j]
    checks = follow(switch_check_job(context, switch=switch, stored=stored, cells=cells))
    assert [(one["row"] - 1, one["column"] - 1) for one in found["checks"]] == cells
    for one, check in zip(found["checks"], checks):
        assert one["local_error"] == check.local_error
        assert one["global_shift_sigma"] == check.global_shift_sigma
        assert one["apart_sigma"] == check.apart_sigma


def test_what_is_switched_comes_back(context: JobContext) -> None:
    switch, stored, photos = window(context)
    whole = follow(switch_matrix_job(context, switch=switch, stored=stored, photos=photos))
    for name in "xz":
        assert whole.round_trip[name].max_level_error <= 1
        assert whole.round_trip[name].psnr_db > 45
    assert all(trip.latent_error < 1e-3 for trip in whole.round_trip.values())
    cells = [(i, j) for i in range(3) for j in range(3)]
    checks = {
        check.cell: check
        for check in follow(switch_check_job(context, switch=switch, stored=stored, cells=cells))
    }
    assert all(check.local_error < 1e-3 for check in checks.values())
    # The encoder says of a photograph's reconstruction what it said of the photograph.
    assert checks[0, 0].global_shift_sigma < 1e-3
    assert checks[0, 0].apart_sigma == 0
    assert checks[0, 2].global_shift_sigma > 1e-2
    backend = context.library.backend("tiny")
    mean, _ = backend.encode_global(from_levels(photos["x"][None]))
    np.testing.assert_allclose(mean.numpy(), whole.latents["x"]["global"], atol=1e-4)


def test_people_read_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    run("switch tiny a.png seed:7 --check --out grid.png")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "2 x 2 matrix in grid.png (by row: global; by column: local 1, local 2, local 3)"
    )
    assert lines[1].startswith("a.png: the photograph comes back")
    assert lines[2].startswith("seed:7: latents come back to ")
    assert lines[3].startswith("row a.png, column seed:7: local parts come back to ")
    assert lines[3].endswith("apart)")
    run("switch plain seeds:0-1 --mix 1 2 --size 3 --check --out mix.png")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "3 x 3 mix in mix.png (down: local 1, from the first to the second; "
        "across: local 2, local 3, likewise)"
    )
    # A plain flow has no part that is estimated.
    assert "global" not in lines[1]
    assert read("mix.png").shape == (3 * 64 + 2 * 8, 3 * 64 + 2 * 8, 3)


def test_mixes_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    found = said("switch tiny seeds:0-2 --mix 3 1 --size 3 --out mix.png", capsys)
    assert found["mix"] == [3, 1]
    assert found["amounts"] == [0, 0.5, 1]
    assert found["checks"] == []


# What stops it.


def test_an_image_of_another_model_is_a_photograph(tmp_path: Path) -> None:
    run("sample faces --seeds 3 --out known.png")
    Image.fromarray(read("known.png")).save("unknown.png")
    run("switch tiny known.png seed:1 --out of-known.png")
    run("switch tiny unknown.png seed:1 --out of-unknown.png")
    np.testing.assert_array_equal(read("of-known.png"), read("of-unknown.png"))


def test_mistakes_are_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    run("sample faces --seeds 3,4 --out other.png")
    capsys.readouterr()
    fails("switch tiny --out g.png", "Name at least one source", capsys)
    fails("switch tiny seven --out g.png", "neither a file nor a seed", capsys)
    fails("switch tiny seed:x --out g.png", "not a list of seeds", capsys)
    fails("switch tiny seeds:0-16 --out g.png", "at most 16", capsys)
    # Said before the last ones are read, and encoded, in vain.
    fails("switch tiny seeds:0-16 nowhere.png --out g.png", "at most 16", capsys)
    fails("switch tiny seed:1 --out g.jpg", "written as .png", capsys)
    fails("switch tiny seed:1 --rows lokal_1 --out g.png", "did you mean 'local_1'", capsys)
    fails("switch tiny seed:1 --rows global:2 --out g.png", "has no layers", capsys)
    fails("switch tiny seed:1 --rows '' --out g.png", "There is no part ''", capsys)
    fails("switch tiny seed:1 --mix 1 2 --out g.png", "two numbers from 1 to 1", capsys)
    fails("switch tiny seed:1 --option speed=2 --out g.png", "no decoding option", capsys)
    fails("switch faces seed:1 --out g.png", "one part without layers", capsys)
    fails("switch tiny other.png --out g.png", "shows 2 images of 'faces'", capsys)
    fails("switch none seed:1 --out g.png", "There is no model 'none'", capsys)
    Path("broken.png").write_bytes(Path("a.png").read_bytes()[:60])
    fails("switch tiny broken.png --out g.png", "broken.png", capsys)
    assert not Path("g.png").exists()
