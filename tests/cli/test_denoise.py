"""Diffusion models on the command line: denoise, sample, edit, encode and decode, models."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentlab.backends.nn.diffusion import DiffusionNetwork
from latentlab.cli import main
from latentlab.core.card_figures import short_lines
from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.latents import Condition, Latents
from latentlab.core.modelfile import read_model, write_model
from latentlab.core.pictures import stored_hashes
from latentlab.services.commands import command_for, export_picture
from latentlab.services.denoise_command import StripLayout, denoise_command
from latentlab.services.denoise_export import write_denoising
from latentlab.services.export import load_latents, read_png_metadata
from latentlab.services.library import ModelLibrary
from latentlab.services.renderer import Renderer
from tests.diffusion_models import write_tiny
from tests.services.models import write_vae

SIDE = 16
BRANCH = "3:guidance=2.5,attr.smiling=-1/4:noise=9"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "data" / "models").mkdir(parents=True)
    write_tiny(home / "data" / "models" / "tiny.safetensors")
    write_vae(home / "data" / "models" / "faces.safetensors", "faces")
    rng = np.random.default_rng(3)
    Image.fromarray(rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8)).save(home / "photo.png")
    return home


@pytest.fixture(autouse=True)
def _own_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(home))
    monkeypatch.chdir(tmp_path)


def picture(**changes: Any) -> Picture:
    values = {"model": "tiny", "space": "noise", "seeds": (7,), "options": {"steps": 5}}
    return Picture(**{**values, **changes})


def stored(space: str = "noise") -> Latents:
    rng = np.random.default_rng(0)
    parts = {"noise": rng.normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)}
    if space == "guided":
        parts["known"] = rng.uniform(-1, 1, (1, 3, SIDE, SIDE)).astype(np.float32)
        parts["mask"] = np.zeros((1, 1, SIDE, SIDE), np.float32)
        parts["mask"][..., :8] = 1
    return Latents(space, parts)


def direction() -> Direction:
    vector = np.zeros((3, SIDE, SIDE), np.float32)
    vector[0, 4, 4] = 1
    return Direction("bright", "noise", {"noise": vector}, scale=2.0, method="test")


def run(text: str) -> None:
    assert main(shlex.split(text)[1:]) == 0


CASES: dict[str, tuple[dict[str, Any], Latents | None]] = {
    "seed": ({"temperature": 0.9}, None),
    "options": (
        {
            "condition": Condition(attributes={"smiling": 1.0, "age": -0.5}),
            "options": {
                "sampler": "ddim",
                "steps": 5,
                "eta": 0.5,
                "guidance": 2.0,
                "spacing": "linspace",
                "clip": False,
                "noise_seed": 4,
            },
        },
        None,
    ),
    "unconditional": ({"condition": Condition(null=True)}, None),
    "corrupted": ({"seeds": (), "options": {"steps": 12, "start_at": 500}}, stored()),
    "guided": ({"seeds": (), "space": "guided"}, stored("guided")),
    "direction": ({"edits": {"bright": 1.5}}, None),
}


def case(name: str) -> tuple[Picture, Latents | None, dict[str, Direction]]:
    changes, latents = CASES[name]
    known = {"stored": stored_hashes(latents)} if latents else {}
    own = {"bright": direction()} if name == "direction" else {}
    return picture(**{**changes, **known}), latents, own


@pytest.mark.parametrize("name", CASES)
def test_the_copied_command_of_a_run_makes_the_same_bytes(tmp_path, name: str) -> None:
    what, latents, own = case(name)
    layout = StripLayout(every=2, rows=("x0", "eps"), captions=True, scale=2)
    renderer = Renderer(ModelLibrary(device="cpu"))
    here = tmp_path / "here.png"
    paths = (BRANCH.partition("/")[0], BRANCH)
    for _ in write_denoising(renderer, here, what, latents, own, paths=paths, layout=layout):
        pass
    there = str(tmp_path / "a folder" / "there.png")
    text = denoise_command(
        what, latents, paths=paths, layout=layout, out=there, directions=own, platform="linux"
    )
    run(text)
    assert Path(there).read_bytes() == here.read_bytes()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("show", ["x_t", "result"])
def test_the_copied_command_of_a_kept_frame_makes_the_same_bytes(
    tmp_path, name: str, show: str
) -> None:
    what, latents, own = case(name)
    frame = {} if show == "result" else {"stop_at": 4, "show": show}
    what = what.model_copy(update={"options": {**what.options, "branch": BRANCH, **frame}})
    library, here = ModelLibrary(device="cpu"), tmp_path / "here.png"
    export_picture(library, here, what, latents, directions=own)
    text = command_for(
        what, latents, entry=library.resolve("tiny"), directions=own, platform="linux"
    )
    there = "there.png"
    words = shlex.split(text)
    run(shlex.join([*words[:-1], there]))
    assert Path(there).read_bytes() == here.read_bytes()
    assert read_png_metadata(here).picture.options == what.options


def test_what_the_command_of_a_run_says() -> None:
    what = picture(
        condition=Condition(attributes={"age": 1.0}),
        options={"guidance": 3, "branch": "2:noise=1", "stop_at": 3, "noise_seed": 2},
    )
    text = denoise_command(what, paths=("8:attr.wearing hat=1",), out="film.mp4", platform="linux")
    assert text == (
        "latentlab denoise tiny --seed 7 --sampler dpmpp --steps 25 --guidance 3 "
        "--option noise_seed=2 --attribute age=1 --branch '8:attr.wearing hat=1' --out film.mp4"
    )


def test_two_parts_of_one_photograph_are_two_files() -> None:
    first, second = stored("guided"), stored("guided")
    second = Latents("guided", {**second.parts, "noise": second["noise"] + 1})
    names = set()
    for latents in (first, second):
        what = picture(seeds=(), space="guided", stored=stored_hashes(latents))
        words = shlex.split(denoise_command(what, latents, platform="linux"))
        names.add(words[words.index("--latents") + 1])
    assert len(names) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("faces", "not in steps: choose a diffusion model"),
        ("tiny --sampler fast", "no sampler 'fast'; choose one of ddpm"),
        ("tiny --steps 0", "option steps cannot be 0"),
        ("tiny --steps 1001", "steps"),
        ("tiny --spacing wide", "option spacing cannot be 'wide'"),
        ("tiny --branch 8:speed=1", "'speed=1' is nothing that a branch can change"),
        ("tiny --branch 25:noise=1", "choose 0 to 24"),
        ("tiny --branch noise", "cannot be read"),
        ("tiny --show pictures", "no 'pictures'; it has x0, x_t, eps"),
        ("tiny --steps 5 --option steps=6", "say the same: give one"),
        ("tiny --seed 1 --latents photo.npz", "not both"),
        ("tiny --latents none.npz", "no latents file"),
        ("tiny --attribute beard=1", "beard"),
        ("tiny --set bright=1", "bright"),
        ("tiny --option speed=1", "no option 'speed'"),
        ("tiny --every 0", "choose 1 or more"),
        ("none", "no model 'none'"),
    ],
)
def test_mistakes_are_one_sentence(capsys, words: str, sentence: str) -> None:
    assert main(["denoise", *words.split(), "--out", "strip.png"]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.startswith("latentlab: ")
    assert said.count("\n") == 1
    assert not Path("strip.png").exists()


def test_denoise_as_json(capsys) -> None:
    words = ["denoise", "tiny", "--steps", "4", "--sampler", "heun", "--out", "s.png", "--json"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["out"] == "s.png"
    assert report["steps"] == {"": 7}
    assert report["evaluations"] == 7
    assert report["picture"]["seeds"] == [0]
    assert report["picture"]["options"] == {"steps": 4, "sampler": "heun"}


def test_sampling_options_reach_sample_edit_and_decode() -> None:
    words = ["--option", "sampler=heun", "--option", "steps=4", "--attribute", "age=1"]
    assert main(["sample", "tiny", "--seeds", "3-4", *words, "--out", "sample.png"]) == 0
    assert main(["edit", "tiny", "--seeds", "3-4", *words, "--out", "edit.png"]) == 0
    assert main(["sample", "tiny", "--seeds", "3-4", "--out", "plain.png"]) == 0
    pixels = [np.asarray(Image.open(name).copy()) for name in ("sample.png", "edit.png")]
    np.testing.assert_array_equal(*pixels)
    assert (pixels[0] != np.asarray(Image.open("plain.png").copy())).any()
    # A PNG of latents brings its settings along: decode needs none of these words.
    assert read_png_metadata(Path("sample.png")).picture.options == {"sampler": "heun", "steps": 4}


def test_a_photograph_goes_to_noise_and_comes_back(home: Path, capsys) -> None:
    photo = str(home / "photo.png")
    words = ["--option", "steps=10", "--option", "refine=3", "--attribute", "age=1"]
    assert main(["encode", "tiny", photo, *words, "--out", "p.safetensors",
                 "--reconstruction", "back.png", "--json"]) == 0  # fmt: skip
    (row,) = json.loads(capsys.readouterr().out)["images"]
    file = load_latents(Path("p.safetensors"))
    assert file.latents.space == "noise"
    assert file.picture.condition.attributes == {"age": 1.0}
    options = dict(file.picture.options)
    assert (options["sampler"], options["steps"]) == ("ddim", 10)
    assert main(["decode", "tiny", "p.safetensors", "--out", "decoded.png"]) == 0
    decoded, back = (np.asarray(Image.open(n).copy()) for n in ("decoded.png", "back.png"))
    np.testing.assert_array_equal(decoded, back)
    original = np.asarray(Image.open(photo).copy()).astype(float)
    mse = np.square(decoded - original).mean()
    assert row["psnr_db"] == pytest.approx(10 * np.log10(255**2 / mse), abs=1e-6)
    assert row["psnr_db"] > 20
    # Another condition on the line is an edit of the photograph.
    changed = ["--attribute", "age=-1", "--out", "edited.png"]
    assert main(["decode", "tiny", "p.safetensors", *changed]) == 0
    assert (np.asarray(Image.open("edited.png").copy()) != decoded).any()
    # A run from this noise ends where decode does.
    assert main(["denoise", "tiny", "--latents", "p.safetensors", "--every", "9",
                 "--show", "x0", "--scale", "1", "--out", "run.png"]) == 0  # fmt: skip
    strip = np.asarray(Image.open("run.png").copy())
    np.testing.assert_array_equal(strip[6:22, -22:-6], decoded)


def test_edit_takes_a_photograph_through_a_diffusion_model(home: Path, capsys) -> None:
    photo = str(home / "photo.png")
    assert main(["edit", "tiny", "--input", photo, "--out", "same.png"]) == 0
    assert main(["encode", "tiny", photo, "--out", "p.npz", "--reconstruction", "back.png"]) == 0
    same, back = (np.asarray(Image.open(n).copy()) for n in ("same.png", "back.png"))
    np.testing.assert_array_equal(same, back)


def test_progress_of_an_inversion_counts_evaluations(home: Path, monkeypatch) -> None:
    seen: list[tuple[int, int, str]] = []
    monkeypatch.setattr(
        "latentlab.cli.common.Progress.__call__", lambda _self, *report: seen.append(report)
    )
    photo = str(home / "photo.png")
    words = ["--option", "steps=4", "--option", "refine=1", "--out", "p.npz"]
    assert main(["encode", "tiny", photo, *words]) == 0
    assert [r for r in seen if r[2] == "encoding"][:8] == [(n, 8, "encoding") for n in range(1, 9)]


def figures() -> dict[str, float]:
    found = {"frechet_probe": 30.25, "frechet_probe_floor": 12.3, "frechet_images": 1000.0}
    for place, name in enumerate(("dpmpp", "ddim", "euler_a")):
        found |= {f"frechet_{name}_{steps}": 1234.5 / (place + steps) for steps in (10, 25, 50)}
    found |= {"obeyed_images": 992.0, "obeyed_drawn": 0.97}
    for weight in ("0", "1", "1.5"):
        found[f"obeyed_at_{weight}"] = 0.5 + 0.25 * float(weight)
        found[f"obeyed_wavy_hair_at_{weight}"] = 0.5 + 0.1 * float(weight)
    return found | {"ssim": 0.912}


def test_the_card_of_a_diffusion_model_has_tables(home: Path, capsys, tmp_path) -> None:
    path = tmp_path / "measured.safetensors"
    write_tiny(path, schedule="cosine", prediction="v")
    stored = read_model(path)
    spec = stored.header.spec.model_copy(update={"quality": figures()})
    header = stored.header.model_copy(update={"spec": spec})
    write_model(path, replace(stored, header=header))
    assert main(["models", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3:7] == [
        "is told attributes: smiling, eyeglasses, age",
        "noise schedule: cosine, T = 1,000",
        "predicts the velocity (v)",
        "ssim: 0.912",
    ]
    first = lines.index(
        "Fréchet distance in features of the probe (1,000 images; data to data 12.3)"
    )
    assert lines[first + 1 : first + 5] == [
        "  sampler          10 steps  25 steps  50 steps",
        "  DPM-Solver++ 2M       123      49.4      24.7",
        "  DDIM                  112      47.5      24.2",
        "  Euler ancestral       103      45.7      23.7",
    ]
    second = lines.index(
        "Condition obeyed, as the probe reads it "
        "(a coin has 50 %; portraits drawn as asked 97 %; 992 images each)"
    )
    assert lines[second + 1 : second + 4] == [
        "  guidance      0     1   1.5",
        "  all        50 %  75 %  88 %",
        "  wavy hair  50 %  60 %  65 %",
    ]
    assert short_lines(figures()) == [
        "ssim: 0.912",
        "Fréchet distance: 23.7 (Euler ancestral, 50 steps; data to data 12.3)",
        "Condition obeyed: 88 % (guidance 1.5)",
    ]
    assert main(["models", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["quality"]["frechet_ddim_25"] == 1234.5 / 26
    assert main(["models", "portraits-vae"]) == 0
    assert "\n\n" not in capsys.readouterr().out


def test_one_attribute_of_what_was_read_is_changed(home: Path, capsys) -> None:
    photo = str(home / "photo.png")
    words = ["encode", "tiny", photo, "--read-condition", "--attribute", "smiling=-1"]
    assert main([*words, "--option", "steps=6", "--out", "read.npz"]) == 0
    told = load_latents(Path("read.npz")).picture.condition.attributes
    assert told["smiling"] == -1
    assert len(told) > 1
    every = [
        word for n, x in {**told, "smiling": 1.0}.items() for word in ("--attribute", f"{n}={x}")
    ]
    assert main(["decode", "tiny", "read.npz", "--change", "smiling=1", "--out", "a.png"]) == 0
    assert main(["decode", "tiny", "read.npz", *every, "--out", "b.png"]) == 0
    assert main(["decode", "tiny", "read.npz", "--out", "c.png"]) == 0
    changed, spelled, same = (np.asarray(Image.open(n)) for n in ("a.png", "b.png", "c.png"))
    assert np.array_equal(changed, spelled)
    assert not np.array_equal(changed, same)
    assert main([*words[:2], photo, photo, "--read-condition", "--out", "two.npz"]) == 2
    assert "one photograph at a time" in capsys.readouterr().err


def guide() -> list[str]:
    path = Path(__file__).parents[2] / "docs" / "denoising.md"
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^latentlab (.+)$", text, flags=re.MULTILINE)
    return [line.replace("portraits-diffusion", "tiny") for line in found]


@pytest.mark.slow
def test_the_commands_of_the_guide_run(home: Path, capsys) -> None:
    shutil.copyfile(home / "photo.png", "photo.png")
    mask = np.zeros((16, 16), np.uint8)
    mask[4:9, 4:9] = 255
    Image.fromarray(mask).save("mask.png")
    lines = guide()
    assert len(lines) >= 12
    for line in lines:
        words = shlex.split(line)
        assert main(words) == 0, line
        assert Path(words[-1]).is_file()
    # What it says of a file that keeps the way back.
    assert "dB" in capsys.readouterr().out
    with Image.open("tree.png") as tree:
        assert tree.size[0] > 8 * 64


@pytest.mark.parametrize("out", ["strip.png", "film.mp4"])
def test_ctrl_c_stops_at_once_and_leaves_nothing(monkeypatch, out: str) -> None:
    calls = []

    def interrupted(self: Any, *_: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return forward(self, *_)

    forward = DiffusionNetwork.forward
    monkeypatch.setattr(DiffusionNetwork, "forward", interrupted)
    assert main(["denoise", "tiny", "--steps", "6", "--out", out]) == 130
    assert len(calls) == 3
    assert list(Path().iterdir()) == []
