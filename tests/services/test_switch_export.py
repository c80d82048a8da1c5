"""A switch matrix as a PNG: its pixels, what it says, and its command."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array, Condition, stack
from latentlab.core.modelfile import ModelHeader
from latentlab.services.export import load_latents
from latentlab.services.png import read_png_metadata
from latentlab.services.renderer import Renderer
from latentlab.services.switch import switch_matrix_job
from latentlab.services.switch_command import SwitchLayout, caption_lines, switch_command
from latentlab.services.switch_draw import draw_switch
from latentlab.services.switch_export import export_switch_job, write_switch
from tests.services.switch_models import (
    Halves,
    Layers,
    kept,
    library,
    matrix,
    sample,
    stored_rows,
)

HEIGHT, WIDTH, PAD = 4, 5, 2
SMALL = SwitchLayout(scale=1)


def follow(job: Any) -> Any:
    while True:
        try:
            next(job)
        except StopIteration as stop:
            return stop.value


def context(model: Any) -> Any:
    models = library(model)
    return SimpleNamespace(library=models, renderer=Renderer(models))


def write(model: Any, path: Path, switch: Any, stored: Any = None, **arguments: Any) -> Any:
    job = write_switch(context(model).renderer, path, switch, stored or {}, **arguments)
    return follow(job)


def read(path: Path) -> Array:
    with Image.open(path) as image:
        return np.asarray(image)


def cell(image: Array, row: int, column: int, top: int = 0, left: int = 0) -> Array:
    y, x = top + row * (HEIGHT + PAD), left + column * (WIDTH + PAD)
    return image[y : y + HEIGHT, x : x + WIDTH]


def entry(model: Any, path: str = "", portable: bool = True) -> Any:
    return SimpleNamespace(
        id=model.spec.id,
        path=Path(path),
        portable=portable,
        header=ModelHeader(config={}, spec=model.spec),
    )


def test_cells_stand_in_the_picture_row_by_row(tmp_path: Path) -> None:
    model = Halves()
    switch = matrix(model, [sample(model, n) for n in range(3)])
    written = write(model, tmp_path / "grid.png", switch, layout=SMALL)
    whole = follow(switch_matrix_job(context(model), switch=switch, stored={}))
    image = read(tmp_path / "grid.png")
    assert image.shape == (3 * HEIGHT + 2 * PAD, 3 * WIDTH + 2 * PAD, 3)
    for i in range(3):
        for j in range(3):
            np.testing.assert_array_equal(cell(image, i, j), whole.image(i, j))
    assert written.matrix.images.tobytes() == whole.images.tobytes()
    assert written.matrix.round_trip == {}
    # Images grow to 64 pixels where nothing is said.
    write(model, tmp_path / "large.png", switch)
    np.testing.assert_array_equal(
        read(tmp_path / "large.png"), np.kron(image, np.ones((13, 13, 1), np.uint8))
    )


def test_heads_and_captions_stand_beside_the_same_cells(tmp_path: Path) -> None:
    model = Halves()
    switch = matrix(model, [sample(model, n) for n in range(3)])
    write(model, tmp_path / "plain.png", switch, layout=SMALL)
    layout = SwitchLayout(scale=1, heads=True, captions=True)
    write(model, tmp_path / "full.png", switch, layout=layout)
    plain, full = read(tmp_path / "plain.png"), read(tmp_path / "full.png")
    bare = draw_switch(
        np.stack([[cell(plain, i, j) for j in range(3)] for i in range(3)]),
        np.stack([cell(plain, i, i) for i in range(3)]),
    )
    top = len(full) - len(bare)
    np.testing.assert_array_equal(full[top:, : bare.shape[1]], bare)
    assert (full[:top] < 100).any()
    # Cells end where the picture ends, heads begin where it begins.
    edge = len(bare) - len(plain), bare.shape[1] - plain.shape[1]
    for i in range(3):
        np.testing.assert_array_equal(cell(bare, i, 0, top=edge[0]), cell(plain, i, i))
        np.testing.assert_array_equal(cell(bare, 0, i, left=edge[1]), cell(plain, i, i))
        np.testing.assert_array_equal(cell(bare, i, 1, *edge), cell(plain, i, 1))
    assert (bare[: edge[0], : edge[1]] == 255).all()


def test_a_grey_matrix_has_coloured_captions() -> None:
    images = np.full((2, 2, 4, 4, 1), 7, np.uint8)
    assert draw_switch(images, images[0]).shape[-1] == 1
    drawn = draw_switch(images, lines=("by row: global", "by column: local 1"))
    assert drawn.shape[-1] == 3
    assert (drawn[-4:, :4] == 7).all()


def test_captions_name_parts_and_layers() -> None:
    model = Layers()
    space = model.spec.spaces[0]
    switch = matrix(model, [], by_row=("w_plus:5", "w_plus:0-2"))
    assert caption_lines(switch, space, mix=False) == (
        "by row: w plus:0-2, w plus:5",
        "by column: w plus:3-4",
    )
    whole = matrix(model, [], by_row=("w_plus",))
    assert caption_lines(whole, space, mix=False)[1] == "by column: nothing"


def test_a_mix_grid_is_written(tmp_path: Path) -> None:
    model = Halves()
    switch = matrix(model, [sample(model, n) for n in range(3)])
    layout = SwitchLayout(scale=1, mix=(3, 1), size=4)
    written = write(model, tmp_path / "mix.png", switch, layout=layout)
    assert written.mix.pair == ("s2", "s0")
    assert written.mix.amounts == (0, 1 / 3, 2 / 3, 1)
    write(model, tmp_path / "grid.png", switch, layout=SMALL)
    mix, grid = read(tmp_path / "mix.png"), read(tmp_path / "grid.png")
    np.testing.assert_array_equal(cell(mix, 0, 3), cell(grid, 2, 0))
    np.testing.assert_array_equal(cell(mix, 3, 0), cell(grid, 0, 2))
    record = read_png_metadata(tmp_path / "mix.png")
    assert record is not None
    assert record.command == (
        "latentlab switch halves seed:0 seed:1 seed:2 --mix 3 1 --size 4 --scale 1 --out switch.png"
    )


def test_the_file_holds_its_sources(tmp_path: Path) -> None:
    model = Halves()
    rows = stored_rows(model, 5)
    pictures = [sample(model, 4, temperature=0.5), kept(model, rows, name="me", photo_path="/me")]
    switch = matrix(model, pictures, by_row=("local_1", "global"))
    written = write(model, tmp_path / "grid.png", switch, {"s1": rows}, layout=SMALL)
    record = read_png_metadata(tmp_path / "grid.png")
    assert record is not None
    assert record.stored is not None
    both = stack([written.matrix.latents["s0"], rows])
    for name, array in both.items():
        np.testing.assert_array_equal(record.stored[name], array)
    assert record.command == (
        "latentlab switch halves switch.png --rows global,local_1 --scale 1 --out switch.png"
    )
    assert "me" not in (record.picture.name, record.picture.photo_path)
    assert record.picture == written.picture
    # Latents of that file make it again, to the byte.
    again = matrix(
        model, [kept(model, both.rows(n)) for n in range(2)], by_row=("global", "local_1")
    )
    given = {f"s{n}": record.stored.rows(n) for n in range(2)}
    write(model, tmp_path / "again.png", again, given, layout=SMALL)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "grid.png").read_bytes()


def test_seeds_say_all_of_it(tmp_path: Path) -> None:
    model = Halves()
    told = {"condition": Condition(class_index=2), "options": {"brighter": 0.1}}
    pictures = [sample(model, n, temperature=0.5, **told) for n in (7, 7, 9)]
    write(model, tmp_path / "grid.png", matrix(model, pictures), layout=SMALL)
    record = read_png_metadata(tmp_path / "grid.png")
    assert record is not None
    assert record.stored is None
    assert record.picture.seeds == (7, 7, 9)
    assert record.command == (
        "latentlab switch halves seed:7 seed:7 seed:9 --temperature 0.5 --label 2 "
        "--option brighter=0.1 --scale 1 --out switch.png"
    )


def test_the_job_writes_the_same_bytes(tmp_path: Path) -> None:
    model = Halves()
    switch = matrix(model, [sample(model, n) for n in range(2)])
    write(model, tmp_path / "a.png", switch, layout=SMALL)
    job = export_switch_job(
        context(model), path=str(tmp_path / "b.png"), switch=switch, stored={}, layout=SMALL
    )
    assert follow(job).path == tmp_path / "b.png"
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


# The command.


def test_a_command_names_seeds_photographs_and_kept_latents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    model = Halves()
    rows, moved = stored_rows(model, 5), stored_rows(model, 6)
    photo = tmp_path / "a face.png"
    photo.write_bytes(b"")
    taken = {"photo": "c" * 64, "photo_path": str(photo)}
    pictures = [
        sample(model, 4),
        kept(model, rows, **taken),
        kept(model, rows, **taken, edits={"shade": 1}),
        sample(model, 5, temperature=0.7),
    ]
    switch = matrix(model, pictures, by_row=("local_1",))
    latents = {f"s{n}": one for n, one in enumerate((rows, rows, moved, moved))}
    text = switch_command(switch, latents, entry=entry(model), layout=SMALL, device="cpu")
    words = shlex.split(text)
    assert words[:4] == ["latentlab", "switch", "halves", "seed:4"]
    assert words[4] == str(photo)
    for word in words[5:7]:
        np.testing.assert_array_equal(load_latents(Path(word)).latents["local_1"], moved["local_1"])
    assert words[7:] == [
        *("--rows", "local_1", "--scale", "1", "--out", "switch.png", "--device", "cpu")
    ]
    own = switch_command(
        switch, latents, entry=entry(model, "/models/mine.safetensors", portable=False), out="x.png"
    )
    assert shlex.split(own)[2] == "/models/mine.safetensors"
    assert own.endswith("--out x.png")


def test_a_gone_photograph_is_kept_as_latents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path))
    model = Halves()
    rows = stored_rows(model, 5)
    gone = kept(model, rows, photo="c" * 64, photo_path=str(tmp_path / "gone.png"))
    text = switch_command(matrix(model, [gone]), {"s0": rows}, entry=entry(model))
    kept_rows = load_latents(Path(shlex.split(text)[3])).latents
    np.testing.assert_array_equal(kept_rows["global"], rows["global"])


# What stops it.


@pytest.mark.parametrize(
    ("name", "layout", "words"),
    [
        ("a.jpg", SwitchLayout(), "written as .png"),
        ("a.png", SwitchLayout(scale=0), "1 to 64 times"),
        ("a.png", SwitchLayout(scale=65), "1 to 64 times"),
        ("a.png", SwitchLayout(padding=-1), "0 to 64 pixels"),
        ("a.png", SwitchLayout(size=1), "2 to 16 rows"),
        ("a.png", SwitchLayout(mix=(1, 2), heads=True), "leave out heads"),
        ("a.png", SwitchLayout(mix=(0, 1)), "two numbers from 1 to 2"),
        ("a.png", SwitchLayout(mix=(1, 3)), "two numbers from 1 to 2"),
    ],
)
def test_a_layout_that_cannot_be_is_told_before_anything_is_decoded(
    tmp_path: Path, name: str, layout: SwitchLayout, words: str
) -> None:
    model = Halves()
    switch = matrix(model, [sample(model, 1), sample(model, 2)])
    with pytest.raises(LatentLabError, match=words):
        write(model, tmp_path / name, switch, layout=layout)
    assert model.decoded == []
    assert list(tmp_path.iterdir()) == []


def test_sources_that_were_told_otherwise_are_not_exported(tmp_path: Path) -> None:
    model = Halves()
    pictures = [sample(model, 1), sample(model, 2, options={"brighter": 0.5})]
    with pytest.raises(LatentLabError, match="differ in condition or options"):
        write(model, tmp_path / "a.png", matrix(model, pictures))
    with pytest.raises(LatentLabError, match="differ in condition or options"):
        switch_command(matrix(model, pictures), {}, entry=entry(model))
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_switch_has_no_command() -> None:
    model = Halves()
    with pytest.raises(LatentLabError, match="add two pictures"):
        switch_command(matrix(model, []), {}, entry=entry(model))
