"""Photographs and diffusion models on the command line: ``restore`` and ``corrupt``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentlab.cli import main
from latentlab.core.document import Picture
from latentlab.core.latents import Condition
from latentlab.core.noise_schedule import noise_schedule
from latentlab.core.pictures import stored_hashes
from latentlab.core.restoration import (
    PAPERS_SAMPLING,
    corrupt,
    floats_of,
    inpaint,
    shown_noisy,
    start_noise,
)
from latentlab.services.commands import export_picture
from latentlab.services.library import ModelLibrary
from tests.diffusion_models import write_tiny
from tests.services.models import write_vae

SIDE = 16
STEPS = ("--steps", "5", "--device", "cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "data" / "models").mkdir(parents=True)
    write_tiny(home / "data" / "models" / "tiny.safetensors")
    write_tiny(home / "data" / "models" / "grey.safetensors", channels=1, attribute_names=())
    write_vae(home / "data" / "models" / "faces.safetensors", "faces")
    Image.fromarray(photo()).save(home / "photo.png")
    Image.fromarray(mask()).save(home / "mask.png")
    return home


@pytest.fixture(autouse=True)
def _own_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(home))
    monkeypatch.chdir(tmp_path)


def photo() -> np.ndarray:
    return np.random.default_rng(3).integers(60, 200, (SIDE, SIDE, 3), dtype=np.uint8)


def mask() -> np.ndarray:
    painted = np.zeros((SIDE, SIDE), np.uint8)
    painted[4:10, 5:12] = 255
    return painted


def run(home: Path, command: str, *words: str, photo: str = "photo.png") -> int:
    return main([command, "tiny", str(home / photo), *words, *STEPS])


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file)


def test_inpainting_keeps_what_is_not_painted_and_says_so(home: Path, capsys: Any) -> None:
    words = ("--task", "inpaint", "--mask", str(home / "mask.png"), "--known", "known.png")
    assert run(home, "restore", *words, "--out", "a.png") == 0
    image = pixels("a.png")
    kept = mask() == 0
    assert np.abs(image[kept].astype(int) - photo()[kept]).max() <= 1
    assert np.abs(image[~kept].astype(int) - photo()[~kept]).max() > 20
    assert np.array_equal(pixels("known.png")[kept], photo()[kept])
    assert "84% was known" in capsys.readouterr().out
    assert run(home, "restore", *words, "--seed", "1", "--out", "b.png") == 0
    assert not np.array_equal(pixels("b.png"), image)


def test_the_file_is_the_one_that_the_window_exports(home: Path) -> None:
    words = ("--task", "inpaint", "--mask", str(home / "mask.png"), "--passes", "2")
    told = ("--attribute", "smiling=1", "--guidance", "2")
    assert run(home, "restore", *words, *told, "--out", "a.png") == 0
    library = ModelLibrary(device="cpu")
    spec = library.backend("tiny").spec
    known = inpaint(photo(), mask())
    stored = known.latents(start_noise(0, spec.image_shape))
    options = {**PAPERS_SAMPLING, "steps": 5, "travel": 1, "guidance": 2.0, **known.options()}
    picture = Picture(
        model="tiny",
        fingerprint=spec.fingerprint,
        space="guided",
        stored=stored_hashes(stored),
        condition=Condition(attributes={"smiling": 1.0}),
        options=options,
    )
    export_picture(library, Path("b.png"), picture, stored)
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ("--task", "uncrop", "--border", "0.5", "--place", "0", "1"),
        ("--task", "uncrop", "--framing", "shrink", "--passes", "2"),
        ("--task", "colourise"),
        ("--task", "super_resolve", "--factor", "2", "--sampler", "heun"),
    ],
)
def test_every_task_is_told_in_numbers(home: Path, words: tuple[str, ...], capsys: Any) -> None:
    assert run(home, "restore", *words, "--out", "a.png", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert 0 < said["share_known"] < 1
    assert said["picture"]["space"] == "guided"
    assert said["picture"]["condition"]["null"]
    sampler = said["picture"]["options"]["sampler"]
    assert sampler == ("heun" if "heun" in words else "ddim")
    assert pixels("a.png").shape == (SIDE, SIDE, 3)


def test_a_noisy_photograph_follows_the_closed_form(home: Path, capsys: Any) -> None:
    assert run(home, "corrupt", "--t", "400", "--seed", "5", "--out", "x.png") == 0
    assert "t = 400, signal-to-noise ratio" in capsys.readouterr().out
    facts = ModelLibrary(device="cpu").backend("tiny").spec.diffusion
    schedule = noise_schedule(facts.schedule, facts.num_timesteps)
    draw = start_noise(5, (3, SIDE, SIDE))
    x_t = corrupt(photo(), 400, schedule, draw)
    assert np.abs(pixels("x.png").astype(int) - shown_noisy(x_t, 400, schedule)).max() <= 1
    plain = schedule.signal_rate[400] * floats_of(photo()) + schedule.noise_rate[400] * draw
    assert np.allclose(x_t, plain, atol=1e-6)


def test_denoising_back_from_an_early_time_comes_near_the_photograph(
    home: Path, capsys: Any
) -> None:
    def psnr(t: str) -> float:
        words = ("--t", t, "--denoise", "--out", "x.png", "--json")
        assert run(home, "corrupt", *words) == 0
        return json.loads(capsys.readouterr().out)["psnr_db"]

    assert psnr("2") > psnr("700")
    assert psnr("2") > 25


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        ("restore", ("--task", "inpaint"), "--mask belong together"),
        ("restore", ("--task", "colourise", "--mask", "mask.png"), "--mask belong together"),
        ("restore", ("--task", "uncrop", "--border", "2"), "0 to 0.9"),
        ("restore", ("--task", "colourise", "--passes", "0"), "from 1 on"),
        ("restore", ("--task", "colourise", "--sampler", "unipc", "--passes", "2"), "go back"),
        ("restore", ("--task", "colourise", "--attribute", "hat=1"), "no attribute 'hat'"),
        ("corrupt", ("--t", "1000"), "times of this model are 0 to 999"),
        ("corrupt", ("--t", "5", "--sampler", "none"), "no sampler 'none'"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    home: Path, command: str, words: tuple[str, ...], said: str, capsys: Any
) -> None:
    assert run(home, command, *words, "--out", "a.png") == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error
    assert not Path("a.png").exists()


def test_other_models_and_files_are_refused_in_words(home: Path, capsys: Any) -> None:
    for model, words, said in (
        ("faces", ("--task", "colourise"), "no diffusion model"),
        ("grey", ("--task", "colourise"), "makes grey images"),
        ("grey", ("--task", "uncrop", "--attribute", "smiling=1"), "takes no condition"),
    ):
        assert main(["restore", model, str(home / "photo.png"), *words, "--out", "a.png"]) == 2
        assert said in capsys.readouterr().err
    assert run(home, "corrupt", "--t", "5", "--out", "a.png", photo="none.png") == 2
    assert "none.png" in capsys.readouterr().err
