from __future__ import annotations

import shlex
import types
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentlab.core.direction import Direction
from latentlab.core.directionfile import load_direction
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents
from latentlab.core.pictures import stored_hashes
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec
from latentlab.services.commands import (
    Layout,
    build_picture,
    command_for,
    export_picture,
    format_option,
    imported,
    parse_option,
    portable_picture,
    render_picture,
    write_picture,
)
from latentlab.services.export import LatentsFile, load_latents, read_png_metadata
from latentlab.services.library import ModelLibrary
from latentlab.services.renderer import Renderer
from tests.services.models import library, write_vae

POSIX = "linux"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "data" / "models").mkdir(parents=True)
    write_vae(home / "data" / "models" / "a.safetensors", "faces")
    write_vae(home / "data" / "models" / "b.safetensors", "class", class_names=("cat", "dog"))
    write_vae(home / "away.safetensors", "away", bump=1)
    return home


@pytest.fixture(autouse=True)
def _own_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(home))


def models() -> ModelLibrary:
    return ModelLibrary(device="cpu")


def stored() -> Latents:
    return Latents("z", {"z": np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)})


def picture(**changes: Any) -> Picture:
    return Picture(**{"model": "faces", "space": "z", "seeds": (3,), **changes})


@pytest.mark.parametrize(
    ("what", "layout", "text"),
    [
        (
            picture(seeds=tuple(range(64))),
            None,
            "latentlab sample faces --seeds 0-63 --temperature 1 --out grid.png",
        ),
        (
            picture(edits={"smiling": 2.0, "eyeglasses": -1.0}),
            None,
            "latentlab edit faces --seed 3 --set smiling=2 --set eyeglasses=-1 --out face.png",
        ),
        (
            picture(seeds=(1, 5, 9, 10, 11), edits={"smiling": 0.1}, temperature=0.7),
            Layout(rows=1, padding=0, scale=4),
            "latentlab edit faces --seeds 1,5,9-11 --temperature 0.7 --set smiling=0.1 "
            "--rows 1 --padding 0 --scale 4 --out face.png",
        ),
        (
            picture(
                space="w",
                condition=Condition(class_index=2, attributes={"age": -0.5}, text="a b", null=True),
                options={"psi": 0.5, "n": 3, "fast": True, "name": "7"},
            ),
            None,
            "latentlab sample faces --seeds 3 --space w --temperature 1 --label 2 "
            "--attribute age=-0.5 --text 'a b' --unconditional --option psi=0.5 --option n=3 "
            "--option fast=true --option 'name=\"7\"' --out face.png",
        ),
        (
            picture(model="it's; rm -rf"),
            None,
            "latentlab sample 'it'\"'\"'s; rm -rf' --seeds 3 --temperature 1 --out face.png",
        ),
    ],
    ids=["grid", "edit", "grid edit", "everything", "quoting"],
)
def test_the_command_says_all_of_the_picture(
    what: Picture, layout: Layout | None, text: str
) -> None:
    assert command_for(what, layout=layout, platform=POSIX) == text


def test_a_chosen_device_is_named() -> None:
    assert command_for(picture(), device="cpu", platform=POSIX).endswith(" --device cpu")
    assert "--device" not in command_for(picture(), device="auto", platform=POSIX)


def test_windows_is_quoted_its_own_way() -> None:
    text = command_for(picture(model="my faces"), platform="win32")
    assert text.startswith('latentlab sample "my faces" --seeds 3')


def test_a_model_that_only_this_program_knows_is_named_by_its_path(home: Path) -> None:
    here = library(home)
    entry = here.resolve("away")
    text = command_for(picture(model="away"), entry=entry, platform=POSIX)
    assert shlex.split(text)[2] == str(home / "away.safetensors")
    assert models().resolve(shlex.split(text)[2]).id == "away"
    portable = models().resolve("faces")
    assert shlex.split(command_for(picture(), entry=portable, platform=POSIX))[2] == "faces"


def test_a_photograph_that_is_there_is_the_input(tmp_path: Path) -> None:
    photo = tmp_path / "my photo.png"
    photo.write_bytes(b"")
    what = picture(seeds=(), stored=stored_hashes(stored()), photo="a" * 64, photo_path=str(photo))
    text = command_for(what, stored(), platform=POSIX)
    assert shlex.split(text)[3:5] == ["--input", str(photo)]
    photo.unlink()
    words = shlex.split(command_for(what, stored(), platform=POSIX))
    assert words[3] == "--latents"
    assert stored_hashes(load_latents(Path(words[4])).latents) == what.stored
    conditional = what.model_copy(update={"condition": Condition(class_index=1)})
    photo.write_bytes(b"")
    assert "--latents" in command_for(conditional, stored(), platform=POSIX)


def test_latents_that_are_gone_cannot_be_copied() -> None:
    what = picture(seeds=(), stored=stored_hashes(stored()))
    with pytest.raises(LatentLabError, match="missing or were changed"):
        command_for(what)
    changed = Latents("z", {"z": stored()["z"] + 1})
    with pytest.raises(LatentLabError, match="missing or were changed"):
        command_for(what, changed)


@pytest.mark.parametrize(
    "value", [True, False, 3, -1, 0.1, 1e-9, 2.0, "ddim", "7", "true", "", '"']
)
def test_options_read_back_with_their_type(value: Any) -> None:
    back = parse_option(format_option(value))
    assert back == value
    assert type(back) is type(value)


def test_words_that_are_no_json_are_text() -> None:
    assert parse_option("[1]") == "[1]"
    assert parse_option("null") == "null"
    assert parse_option("[" * 100_000) == "[" * 100_000


def run(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run a copied command as a shell would, in a folder of its own."""
    from latentlab.cli import main

    words = shlex.split(text)
    assert words[0] == "latentlab"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert not main(words[1:])
    (made,) = folder.iterdir()
    return made


PICTURES: dict[str, tuple[dict[str, Any], Layout | None]] = {
    "one": ({}, None),
    "grid": ({"seeds": tuple(range(11)), "temperature": 0.8}, Layout(rows=2, padding=1, scale=2)),
    "edit": ({"edits": {"smiling": 1.23456789, "eyeglasses": -0.1}}, None),
    "edited grid": ({"seeds": (5, 1, 2, 3, 2**60), "edits": {"smiling": -3.0}}, None),
    "class": ({"model": "class", "condition": Condition(class_index=1), "name": "mine"}, None),
    "latents": ({"seeds": (), "stored": stored_hashes(stored())}, None),
    "edited latents": (
        {"seeds": (), "stored": stored_hashes(stored()), "edits": {"smiling": 1.0}},
        Layout(scale=3),
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_exported_png_and_that_of_the_copied_command_have_the_same_bytes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, layout = PICTURES[name]
    what = picture(**changes)
    arrays = stored() if what.stored else None
    exported = tmp_path / "exported.png"
    export_picture(models(), exported, what, arrays, layout)
    text = command_for(what, arrays, layout=layout, platform=POSIX)
    made = run(text, tmp_path / "shell", monkeypatch)
    assert made.read_bytes() == exported.read_bytes()
    with Image.open(exported) as opened:
        assert np.asarray(opened).std() > 5


@pytest.mark.parametrize("name", PICTURES)
def test_the_command_inside_the_png_makes_the_same_png_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, layout = PICTURES[name]
    what = picture(**changes)
    arrays = stored() if what.stored else None
    folder = tmp_path / "first"
    folder.mkdir()
    exported = folder / "face.png"
    export_picture(models(), exported, what, arrays, layout)
    record = read_png_metadata(exported)
    assert record is not None
    assert record.picture == portable_picture(what, models().backend(what.model).spec.fingerprint)
    text = record.command.replace("--latents face.png", f"--latents {shlex.quote(str(exported))}")
    made = run(text, tmp_path / "shell", monkeypatch)
    assert made.read_bytes() == exported.read_bytes()


def test_a_photograph_gives_the_same_bytes_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latentlab.services.photo import encode_photo_job
    from tests.services.test_photo import finish

    photo = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 255, (50, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(photo)
    renderer = Renderer(models())
    context = types.SimpleNamespace(library=renderer.library, renderer=renderer)
    encoded = finish(encode_photo_job(context, model="faces", photo=photo))
    what = encoded.picture.with_edit("smiling", 1.5)
    exported = tmp_path / "exported.png"
    export_picture(renderer.library, exported, what, encoded.latents)
    text = command_for(what, encoded.latents, platform=POSIX)
    assert "--input" in text
    made = run(text, tmp_path / "shell", monkeypatch)
    assert made.read_bytes() == exported.read_bytes()


def test_a_png_does_not_tell_the_persons_folders(tmp_path: Path) -> None:
    what = picture(
        seeds=(),
        stored=stored_hashes(stored()),
        photo="a" * 64,
        photo_path="/home/ada/private.png",
        name="secret",
    )
    export_picture(models(), tmp_path / "a.png", what, stored())
    data = (tmp_path / "a.png").read_bytes()
    assert b"ada" not in data
    assert b"secret" not in data


def test_rendering_is_independent_of_how_it_is_asked(tmp_path: Path) -> None:
    what = picture(seeds=tuple(range(10)))
    images = render_picture(models(), what)
    assert images.shape == (10, 32, 32, 3)
    turns = list(
        write_picture(Renderer(models()), tmp_path / "a.png", what, None, Layout(padding=0))
    )
    assert turns == [(8, 10), (10, 10)]
    with Image.open(tmp_path / "a.png") as opened:
        first = np.asarray(opened)[:32, :32]
    assert np.array_equal(first, images[0])


def test_what_makes_no_grid_is_said_before_rendering(tmp_path: Path) -> None:
    turns = write_picture(Renderer(models()), tmp_path / "a.png", picture(), None, Layout(rows=2))
    with pytest.raises(LatentLabError, match="choose 1 to 1 rows"):
        next(turns)


def test_changed_latents_are_not_exported(tmp_path: Path) -> None:
    what = picture(seeds=(), stored=stored_hashes(stored()))
    for arrays in (None, Latents("z", {"z": stored()["z"] + 1})):
        with pytest.raises(LatentLabError, match="missing or were changed"):
            export_picture(models(), tmp_path / "a.png", what, arrays)
    assert not (tmp_path / "a.png").exists()


SPEC = ModelSpec(
    id="m",
    family="vae",
    image_shape=(3, 16, 16),
    fingerprint="f" * 64,
    spaces=(
        LatentSpace(name="w", parts=(PartSpec(name="w", shape=(4,)),)),
        LatentSpace(name="z", parts=(PartSpec(name="z", shape=(8,)),)),
    ),
)


def test_a_picture_is_built_with_everything_filled_in() -> None:
    found = build_picture(SPEC, model="m@1", seeds=(1,), edits={"a": 1.0, "b": 0.0})
    assert (found.model, found.fingerprint, found.space) == ("m@1", "f" * 64, "w")
    assert found.edits == {"a": 1.0}
    built = build_picture(SPEC, stored=stored(), space="z")
    assert built.stored == stored_hashes(stored())
    assert built.seeds == ()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"seeds": (1,), "space": "y"}, "no space 'y'; it has: w, z"),
        ({"seeds": ()}, "1 to"),
        ({"seeds": (1,) * 5000}, "1 to"),
        ({"seeds": (1,), "stored": stored(), "space": "z"}, "1 to"),
        ({"seeds": (1,), "temperature": -1.0}, "temperature"),
        ({"seeds": (1,), "temperature": float("nan")}, "temperature"),
        ({"stored": stored()}, "expects 'w'"),
    ],
    ids=range(7),
)
def test_a_picture_that_cannot_be_is_one_sentence(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LatentLabError, match=sentence):
        build_picture(SPEC, **wrong)


def test_imported_latents_must_fit_the_model() -> None:
    fits = Latents("", {"w": np.zeros((1, 4), np.float32)})
    assert imported(SPEC, LatentsFile(fits, None)).space == "w"
    assert imported(SPEC, LatentsFile(stored(), None)).space == "z"
    for wrong in (Latents("", dict(stored())), Latents("y", dict(stored()))):
        with pytest.raises(LatentLabError):
            imported(SPEC, LatentsFile(wrong, None))


# Directions of the person's own.


def own(name: str = "mine", seed: int = 0) -> Direction:
    vector = np.random.default_rng(seed).normal(size=8)
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    told = {"auc": 0.9, "interval": [0.8, 0.95], "data": "/home/ada/faces.zip", "count": 2000}
    return Direction(name, "z", {"z": vector}, 1.7, "logistic", "ab" * 32, "own", told)


OWN: dict[str, tuple[dict[str, Any], Layout | None]] = {
    "one": ({"edits": {"mine": 2.0}}, None),
    "with the model's": ({"edits": {"mine": -1.3, "smiling": 0.7}}, None),
    "before the model's": ({"edits": {"smiling": 2.0}}, None),
    "two, spaces, a grid": (
        {"edits": {"my grin 2": 1.0, "mine": 0.5}, "seeds": (4, 9, 1)},
        Layout(scale=2),
    ),
    "latents": ({"edits": {"mine": 2.0}, "seeds": (), "stored": stored_hashes(stored())}, None),
}


def known() -> dict[str, Direction]:
    return {
        "mine": own(),
        "my grin 2": own("my grin 2", 1),
        "smiling": own("smiling", 2),
        "unused": own("unused", 3),
    }


@pytest.mark.parametrize("name", OWN)
def test_own_directions_give_the_same_bytes_by_command_and_from_the_png(
    name: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, layout = OWN[name]
    what = picture(**changes)
    arrays = stored() if what.stored else None
    folder = tmp_path / "first"
    folder.mkdir()
    exported = folder / "face.png"
    directions = known()
    if name == "with the model's":
        del directions["smiling"]
    export_picture(models(), exported, what, arrays, layout, directions)
    text = command_for(what, arrays, layout=layout, platform=POSIX, directions=directions)
    files = [Path(w) for a, w in pairwise(shlex.split(text)) if a == "--direction"]
    assert all(path.is_relative_to(home / "data" / "directions") for path in files)
    used = sorted(what.edits.keys() & directions.keys())
    assert sorted(load_direction(path).name for path in files) == used
    made = run(text, tmp_path / "shell", monkeypatch)
    assert made.read_bytes() == exported.read_bytes()
    record = read_png_metadata(exported)
    assert record is not None
    assert sorted(record.directions) == used
    again = run(
        record.command.replace(" face.png --set", f" {exported} --set").replace(
            "--latents face.png", f"--latents {exported}"
        ),
        tmp_path / "again",
        monkeypatch,
    )
    assert again.read_bytes() == exported.read_bytes()
    assert b"ada" not in exported.read_bytes()


def test_a_picture_moves_by_the_sum_of_its_directions() -> None:
    what = picture(edits={"mine": 2.0, "smiling": -0.5})
    renderer = Renderer(models())
    theirs = renderer.library.backend("faces").directions["smiling"]
    base = renderer.latents(picture())["z"].astype(np.float64)
    mine, shadow = own(), own("smiling", 2)
    plain = {"mine": mine}
    moved = base + 2.0 * 1.7 * mine.vector["z"] - 0.5 * theirs.scale * theirs.vector["z"]
    np.testing.assert_allclose(renderer.latents(what, None, plain)["z"], moved, rtol=1e-5)
    shadowed = base + 2.0 * 1.7 * mine.vector["z"] - 0.5 * 1.7 * shadow.vector["z"]
    found = renderer.latents(what, None, {**plain, "smiling": shadow})["z"]
    np.testing.assert_allclose(found, shadowed, rtol=1e-5, atol=1e-6)
    # The model's own stays what it is.
    assert renderer.library.backend("faces").directions["smiling"] is theirs
    with pytest.raises(LatentLabError, match="no direction 'mine'"):
        renderer.latents(what)


def test_a_changed_direction_is_written_beside_the_old_one(home: Path) -> None:
    what = picture(edits={"mine": 2.0})
    texts = {
        command_for(what, directions={"mine": own(seed=seed)}, platform=POSIX) for seed in (7, 8, 7)
    }
    assert len(texts) == 2
    files = [shlex.split(text)[6] for text in texts]
    assert len({load_direction(Path(path)).vector["z"].tobytes() for path in files}) == 2
    odd = own("../../etc/passwd = x", 9)
    text = command_for(picture(edits={odd.name: 1.0}), directions={odd.name: odd}, platform=POSIX)
    assert Path(shlex.split(text)[6]).parent == home / "data" / "directions"
