"""The command line, run as a person runs it: exit codes, files, JSON, sentences."""

from __future__ import annotations

import json
import pickle
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentlab.backends.checkpoint import state_arrays
from latentlab.cli import COMMANDS, main
from latentlab.core.direction import Direction
from latentlab.core.directionfile import save_direction
from latentlab.core.modelfile import ModelHeader, StoredModel, write_model
from latentlab.core.paths import asset_path
from latentlab.services.png import read_png_metadata
from tests.backends.factories import small_vae


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))


@pytest.fixture
def model(tmp_path: Path) -> str:
    backend = small_vae(image_size=16)
    vectors = np.eye(8, dtype=np.float32)
    directions = {
        name: Direction(name, "z", {"z": vectors[i]}, 1.5, "mean difference")
        for i, name in enumerate(("smiling", "eyeglasses"))
    }
    header = ModelHeader(config=backend.config.model_dump(), spec=backend.spec)
    path = tmp_path / "small.safetensors"
    write_model(path, StoredModel(header, state_arrays(backend.network), directions))
    return str(path)


def photo(path: Path, size: int = 40) -> Path:
    levels = np.random.default_rng(3).integers(0, 255, (size, size, 3), dtype=np.uint8)
    Image.fromarray(levels).save(path)
    return path


def test_every_command_has_an_example_in_its_help(capsys) -> None:
    for name in COMMANDS:
        assert main([name, "--help"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert f"Example: latentlab {name}" in text


@pytest.mark.parametrize("name", ["edit", "direction", "photos", "effects"])
def test_help_of_measurements_has_no_names_of_ours(name: str, capsys) -> None:
    assert main(["measure", name, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"Example: latentlab measure {name}" in text
    assert "what options" not in text
    assert "what." not in text


def test_help_waits_for_no_torch_and_no_qt() -> None:
    code = (
        "import sys; from latentlab.cli import main; main(['--help']); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'PySide6', 'sklearn', 'diffusers')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_models_lists_what_the_contract_says(capsys) -> None:
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    wanted = {"id", "family", "image_shape", "spaces", "capabilities", "quality"}
    assert all(wanted <= row.keys() for row in rows)


def test_sample_is_the_same_bytes_twice_and_a_row_of_the_whole(model: str, tmp_path: Path) -> None:
    first, second, one = (tmp_path / f"{n}.png" for n in ("first", "second", "one"))
    for out in (first, second):
        assert main(["sample", model, "--seeds", "0-8", "--out", str(out), "--padding", "0"]) == 0
    assert first.read_bytes() == second.read_bytes()
    assert main(["sample", model, "--seeds", "4", "--out", str(one), "--padding", "0"]) == 0
    whole, single = np.asarray(Image.open(first)), np.asarray(Image.open(one))
    assert whole.shape == (48, 48, 3)
    np.testing.assert_array_equal(whole[16:32, 16:32], single)


def test_edit_moves_the_image_and_zero_does_not(model: str, tmp_path: Path) -> None:
    def edited(*words: str) -> np.ndarray:
        out = tmp_path / "out.png"
        assert main(["edit", model, "--seed", "3", *words, "--out", str(out)]) == 0
        return np.asarray(Image.open(out)).astype(int)

    plain = edited()
    np.testing.assert_array_equal(plain, edited("--set", "smiling=0"))
    assert np.abs(plain - edited("--set", "smiling=2")).max() > 0
    both = edited("--set", "smiling=2", "--set", "eyeglasses=-1")
    assert np.abs(both - edited("--set", "smiling=2")).max() > 0


def test_a_photograph_edited_at_once_or_through_its_latents_is_the_same(
    model: str, tmp_path: Path, capsys
) -> None:
    source = photo(tmp_path / "photo.png")
    latents, direct, through = (tmp_path / n for n in ("p.safetensors", "a.png", "b.png"))
    assert main(["encode", model, str(source), "--out", str(latents), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["images"][0]["psnr_db"] > 0
    assert main(["edit", model, "--input", str(source), "--out", str(direct)]) == 0
    assert main(["decode", model, str(latents), "--out", str(through)]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(direct)), np.asarray(Image.open(through)))


class Payload:
    """What unpickling would run."""

    marker = Path()

    def __reduce__(self):
        return (open, (str(Payload.marker), "w"))


def bad_files(folder: Path, model: str) -> dict[str, Path]:
    Payload.marker = folder / "executed"
    contents = {
        "empty.safetensors": b"",
        "truncated.safetensors": Path(model).read_bytes()[:-100],
        "header.safetensors": (2**60).to_bytes(8, "little") + b"{}",
        "wrong.safetensors": b"\x89PNG\r\n\x1a\n" + bytes(200),
        "pickle.safetensors": pickle.dumps(Payload()),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


def test_bad_model_files_are_one_sentence_and_exit_code_2(model, tmp_path, capsys) -> None:
    out = tmp_path / "never.png"
    for path in [*bad_files(tmp_path, model).values(), tmp_path / "missing.safetensors", tmp_path]:
        assert main(["sample", str(path), "--seeds", "0", "--out", str(out)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("latentlab: ")
        assert len(error.strip().splitlines()) == 1
        assert "Traceback" not in error
    assert not out.exists()
    assert not Payload.marker.exists()


def test_bad_photographs_and_latents_are_one_sentence(model, tmp_path, capsys) -> None:
    whole = photo(tmp_path / "photo.png").read_bytes()
    contents = {
        "empty.png": b"",
        "cut.png": whole[:200],
        "text.png": b"hello",
        "p.png": pickle.dumps(1),
    }
    out = tmp_path / "never.png"
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        assert main(["edit", model, "--input", str(tmp_path / name), "--out", str(out)]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    for path in bad_files(tmp_path, model).values():
        assert main(["decode", model, str(path), "--out", str(out)]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not out.exists()
    assert not Payload.marker.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["sample", "portraits-nothing", "--seeds", "0"],
        ["sample", "MODEL", "--seeds", "9-3"],
        ["sample", "MODEL", "--seeds", "0-99999999"],
        ["sample", "MODEL", "--temperature", "-1"],
        ["edit", "MODEL"],
        ["edit", "MODEL", "--seed", "1", "--seeds", "2"],
        ["edit", "MODEL", "--seed", "1", "--set", "smiling"],
        ["edit", "MODEL", "--seed", "1", "--set", "smiling=much"],
        ["edit", "MODEL", "--seed", "1", "--set", "smiling=inf"],
        ["edit", "MODEL", "--seed", "1", "--set", "smiling=200"],
        ["edit", "MODEL", "--seed", "1", "--set", "nosuch=1"],
        ["edit", "MODEL", "--seed", "1", "--direction", "missing.safetensors"],
        ["sample", "MODEL", "--label", "3"],
        ["sample", "MODEL", "--device", "abacus"],
    ],
)  # fmt: skip
def test_wrong_words_say_what_to_do(words, model, tmp_path, capsys) -> None:
    words = [model if word == "MODEL" else word for word in words]
    out = tmp_path / "never.png"
    assert main([*words, "--out", str(out)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not out.exists()


@pytest.fixture
def studies(model: str, tmp_path: Path) -> dict[str, str]:
    """What stands for the capital words of a wrong command."""
    vectors = {"HERE": ("z", 8), "SPACE": ("w", 8), "SHAPE": ("z", 5)}
    for name, (space, size) in vectors.items():
        vector = {space: np.eye(size, dtype=np.float32)[0]}
        path = tmp_path / f"{name}.safetensors"
        save_direction(path, Direction("smiling", space, vector, 1.0, "mean difference"))
    (tmp_path / "empty").write_bytes(b"")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        "[model]\nfamily = 'vae'\n[data]\nsource = 'portraits:count=40'\nsize = 16\n"
        "[train]\nsteps = 1\nbatch_size = 4\n"
    )
    return {
        "MODEL": model,
        "EMPTY": str(tmp_path / "empty"),
        "RECIPE": str(recipe),
        "FACES": "portraits:count=40,seed=1",
        "PROBE": str(asset_path("models", "probe.safetensors")),
    } | {name: str(tmp_path / f"{name}.safetensors") for name in vectors}


@pytest.mark.parametrize(
    "words",
    [
        "direction MODEL --data FACES --label nosuch --out never.png",
        "direction MODEL --data EMPTY --label smiling --out never.png",
        "direction MODEL --data portraits:count=3,seed=1 --label eyeglasses --out never.png",
        "direction MODEL --data FACES --split train --label smiling --out never.png",
        "measure edit MODEL --samples 1",
        "measure edit MODEL --samples 4 --amount nan",
        "measure edit MODEL --samples 4 --seed -1",
        "measure direction MODEL SPACE --data FACES --label eyeglasses",
        "measure direction MODEL SHAPE --data FACES --label eyeglasses",
        "measure direction MODEL MODEL --data FACES --label eyeglasses",
        "measure direction MODEL HERE --data FACES --label smiling",
        "measure direction MODEL HERE --data portraits:count=3,seed=1 --label eyeglasses",
        "measure photos MODEL HERE --data FACES --label eyeglasses --judge MODEL",
        "measure photos MODEL SPACE --data FACES --label eyeglasses --judge PROBE",
        "measure photos MODEL HERE --data FACES --label hair_color --judge PROBE",
        "measure photos MODEL HERE --data FACES --label eyeglasses --judge PROBE --count -1",
        "measure photos MODEL HERE --data FACES --label eyeglasses --judge PROBE --amount inf",
        "train RECIPE --run-dir EMPTY",
        "train RECIPE --run-dir run --max-steps -1",
        "train RECIPE --run-dir run --set train.steps=abc",
        "train RECIPE --run-dir run --set train.batch_size=500",
        "train RECIPE --run-dir run --set model.family=nosuch",
        "train RECIPE --run-dir run --set data.source=EMPTY",
        "train RECIPE --run-dir run --warm-start EMPTY",
        "train EMPTY --run-dir run",
        "train --run-dir nosuch --resume",
        "train --run-dir nosuch --finish",
    ],
)
def test_wrong_studies_say_what_to_do(words, studies, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in studies.items():
        words = words.replace(name, value)
    assert main(words.split()) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("latentlab: ")
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "never.png").exists()


def test_a_folder_is_no_file_to_write(model, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for out in (".", str(tmp_path)):
        assert main(["sample", model, "--seeds", "0", "--out", out]) == 2
        assert "is a folder" in capsys.readouterr().err


def test_unknown_benchmarks_and_recipes_say_so(tmp_path, capsys) -> None:
    assert main(["bench", "--only", "nosuch"]) == 2
    assert "slider_flood" in capsys.readouterr().err
    assert main(["train", str(tmp_path / "no.toml"), "--run-dir", str(tmp_path / "run")]) == 2
    assert main(["train"]) == 2


def own_direction(path: Path, name: str = "own", sign: float = 1.0) -> Path:
    vector = np.full(8, sign * 8**-0.5, np.float32)
    save_direction(path, Direction(name, "z", {"z": vector}, 2.0, "mean difference"))
    return path


def test_an_edit_along_a_file_can_be_made_again_from_its_png_alone(
    model: str, tmp_path: Path
) -> None:
    """The PNG holds the direction itself: no model knows the one of a file."""
    own = ["--direction", str(own_direction(tmp_path / "own.safetensors")), "--set", "own=2"]
    plain, moved, again = (tmp_path / f"{n}.png" for n in ("plain", "moved", "again"))
    words = ["edit", model, "--seed", "3", "--set", "smiling=0.5"]
    assert main([*words, "--out", str(plain)]) == 0
    assert main([*words, *own, "--out", str(moved)]) == 0
    assert (np.asarray(Image.open(plain)) != np.asarray(Image.open(moved))).any()
    record = read_png_metadata(moved)
    assert record is not None
    assert record.picture.edits == {"own": 2.0, "smiling": 0.5}
    assert list(record.directions) == ["own"]
    said = shlex.split(record.command)
    said = [str(moved) if word == "face.png" else word for word in said[3:-1]]
    assert main(["edit", model, *said, str(again)]) == 0
    assert moved.read_bytes() == again.read_bytes()


def test_sampling_editing_and_decoding_move_the_same_way(model: str, tmp_path: Path) -> None:
    own = ["--direction", str(own_direction(tmp_path / "own.safetensors")), "--set", "own=1.5"]
    paths = {name: tmp_path / f"{name}.png" for name in ("sample", "edit", "decode")}
    latents = tmp_path / "z.npz"
    np.savez(latents, z=small_vae(image_size=16).sample_prior("z", (3, 4), 1.0)["z"].numpy())
    assert main(["sample", model, "--seeds", "3-4", *own, "--out", str(paths["sample"])]) == 0
    assert main(["edit", model, "--seeds", "3-4", *own, "--out", str(paths["edit"])]) == 0
    assert main(["decode", model, str(latents), *own, "--out", str(paths["decode"])]) == 0
    pictures = {name: np.asarray(Image.open(path)) for name, path in paths.items()}
    assert paths["sample"].read_bytes() == paths["edit"].read_bytes()
    assert np.array_equal(pictures["sample"], pictures["decode"])


def test_two_files_of_one_direction_are_refused(model: str, tmp_path: Path, capsys) -> None:
    first = own_direction(tmp_path / "a.safetensors")
    second = own_direction(tmp_path / "b.safetensors", sign=-1.0)
    words = ["--direction", str(first), "--direction", str(second), "--set", "own=1"]
    assert main(["edit", model, "--seed", "1", *words, "--out", str(tmp_path / "x.png")]) == 2
    assert "Two of the files hold a direction 'own'" in capsys.readouterr().err
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    words = ["--direction", str(tmp_path / "photo.png"), "--set", "own=1"]
    assert main(["edit", model, "--seed", "1", *words, "--out", str(tmp_path / "x.png")]) == 2
    assert "holds no direction" in capsys.readouterr().err


def test_a_name_that_was_mistyped_is_guessed(model: str, tmp_path: Path, capsys) -> None:
    words = ["edit", model, "--seed", "1", "--set", "smilling=1", "--out", str(tmp_path / "x.png")]
    assert main(words) == 2
    assert "did you mean 'smiling'?" in capsys.readouterr().err


def test_a_reader_that_has_enough_gets_no_traceback() -> None:
    code = "import sys; from latentlab.cli import main; sys.exit(main(['models', '--json']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert said == b""
