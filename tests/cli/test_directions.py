"""Directions on the command line: every way to make one, effects, and arithmetic."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentlab.backends.checkpoint import state_arrays
from latentlab.cli import main
from latentlab.cli.directions import write_directions
from latentlab.core.direction import Direction
from latentlab.core.directionfile import load_direction, save_direction
from latentlab.core.modelfile import ModelHeader, StoredModel, read_model, write_model
from latentlab.services.export import load_latents
from latentlab.services.png import read_png_metadata
from tests.backends.factories import small_vae
from tests.cli.test_cli import photo

FACES = "portraits:count=120,seed=1"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> str:
    backend = small_vae(image_size=16)
    vectors = np.eye(8, dtype=np.float32)
    directions = {
        name: Direction(name, "z", {"z": vectors[i]}, 1.5, "mean difference")
        for i, name in enumerate(("smiling", "eyeglasses", "age"))
    }
    header = ModelHeader(config=backend.config.model_dump(), spec=backend.spec)
    write_model(
        tmp_path / "small.safetensors",
        StoredModel(header, state_arrays(backend.network), directions),
    )
    return str(tmp_path / "small.safetensors")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    assert main([*map(str, words), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def says(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([*map(str, words)]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("latentlab: ")
    assert len(error.splitlines()) == 1
    return error


def z_of(model: str, capsys: pytest.CaptureFixture[str], seed: int) -> np.ndarray:
    words = ["arithmetic", model, "--plus", str(seed), "--out", f"{seed}.npz"]
    assert main(words) == 0
    capsys.readouterr()
    return load_latents(Path(f"{seed}.npz")).latents["z"]


def test_several_labels_are_files_in_a_folder(model, capsys) -> None:
    found = run(
        capsys, "direction", model, "--data", FACES, "--label", "wearing_hat", "--label", "age",
        "--orthogonal-to", "smiling", "--out", "mine",
    )["directions"]  # fmt: skip
    assert [row["name"] for row in found] == ["wearing_hat", "age"]
    hat = load_direction(Path("mine/wearing_hat.safetensors"))
    assert abs(float(hat.vector["z"][0])) < 1e-6
    assert hat.provenance["orthogonal_to"] == ["smiling"]
    assert found[0]["auc"] == hat.provenance["auc"]
    assert Path(found[1]["out"]) == Path("mine/age.safetensors")
    error = says(
        capsys, "direction", model, "--data", FACES, "--label", "wearing_hat", "--label", "age",
        "--out", "one.safetensors",
    )  # fmt: skip
    assert "name a folder" in error
    assert not Path("one.safetensors").exists()


def test_a_single_label_keeps_its_file_and_name(model, capsys) -> None:
    found = run(
        capsys, "direction", model, "--data", FACES, "--label", "smiling", "--method",
        "mean difference", "--mirror", "--name", "grin", "--out", "grin.safetensors",
    )  # fmt: skip
    direction = load_direction(Path("grin.safetensors"))
    assert (direction.name, direction.method) == ("grin", "mean difference")
    assert found["correlation"] == direction.provenance["correlation"]
    assert direction.provenance["data"]["mirrored"] is True
    plain = ["direction", model, "--data", FACES, "--label", "smiling", "--out", "s.safetensors"]
    assert main(plain) == 0
    said = capsys.readouterr().out
    assert "smiling (regression), 1 sigma =" in said
    assert "interval:" in said


def test_ones_own_table_of_labels_is_listed_and_fitted(model, tmp_path, capsys) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    rows = ["file,bright"]
    for i in range(40):
        Image.new("L", (16, 16), 60 + 3 * i).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{int(i >= 20)}")
    Path("mine.csv").write_text("\n".join(rows))
    listed = run(capsys, "labels", folder, "--attributes", "mine.csv")
    assert {"name": "bright", "kind": "binary", "classes": [], "known": 40} in listed["labels"]
    found = run(
        capsys, "direction", model, "--data", folder, "--attributes", "mine.csv", "--label",
        "bright", "--out", "b.safetensors",
    )  # fmt: skip
    assert found["auc"] > 0.95
    assert "did you mean 'bright'" in says(
        capsys, "direction", model, "--data", folder, "--attributes", "mine.csv", "--label",
        "brigth", "--out", "c.safetensors",
    )  # fmt: skip


def test_groups_of_seeds_photographs_and_latents(model, tmp_path, capsys) -> None:
    photo(tmp_path / "a.png")
    z = {seed: z_of(model, capsys, seed)[0].astype(float) for seed in (1, 2, 3, 4)}
    found = run(
        capsys, "direction", model, "--positive", "1", "2.npz", "--negative", "3,4", "--name",
        "mine", "--out", "mine.safetensors",
    )  # fmt: skip
    step = (z[1] + z[2]) / 2 - (z[3] + z[4]) / 2
    direction = load_direction(Path("mine.safetensors"))
    np.testing.assert_allclose(direction.vector["z"], step / np.linalg.norm(step), atol=1e-5)
    assert found["data"]["positive"] == 2
    run(
        capsys,
        "direction",
        model,
        "--positive",
        "a.png",
        "--negative",
        "3",
        "--out",
        "p.safetensors",
    )
    assert "neither a seed nor a file" in says(
        capsys,
        "direction",
        model,
        "--positive",
        "b.png",
        "--negative",
        "3",
        "--out",
        "q.safetensors",
    )
    run(capsys, "direction", model, "--difference", "3", "1", "--out", "d.safetensors")
    ab = load_direction(Path("d.safetensors"))
    np.testing.assert_allclose(
        z[3] + ab.provenance["distance"] * ab.scale * ab.vector["z"], z[1], atol=1e-4
    )


def test_components_and_dimensions(model, capsys) -> None:
    found = run(capsys, "direction", model, "--data", FACES, "--pca", "3", "--out", "pca")
    shares = [row["share"] for row in found["directions"]]
    assert shares == sorted(shares, reverse=True)
    assert sorted(p.name for p in Path("pca").iterdir()) == [
        f"PC-{i}.safetensors" for i in (1, 2, 3)
    ]
    run(capsys, "direction", model, "--dimension", "z[5]", "--out", "z5.safetensors")
    assert load_direction(Path("z5.safetensors")).vector["z"][5] == 1.0
    assert "like z[17]" in says(capsys, "direction", model, "--dimension", "z5", "--out", "x")
    assert "0 to 7" in says(capsys, "direction", model, "--dimension", "z[8]", "--out", "x")


def test_directions_go_into_the_model_s_file(model, capsys) -> None:
    words = ["--dimension", "z[5]", "--name", "fifth", "--store"]
    run(capsys, "direction", model, *words)
    assert "fifth" in read_model(Path(model)).directions
    assert main(["edit", model, "--seed", "1", "--set", "fifth=2", "--out", "e.png"]) == 0
    capsys.readouterr()
    assert "came with LatentLab" in says(capsys, "direction", "portraits-vae", *words)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--label", "smiling", "--out", "x"], "give --data"),
        (["--pca", "2", "--out", "x"], "give --data"),
        (["--out", "x"], "exactly one of"),
        (["--data", FACES, "--label", "smiling", "--pca", "2", "--out", "x"], "exactly one of"),
        (["--data", FACES, "--label", "smiling"], "--out PATH or --store"),
        (["--data", FACES, "--out", "x"], "Choose a label"),
        (["--positive", "1", "--out", "x"], "at least one picture"),
        (
            ["--positive", "1", "--negative", "2", "--method", "logistic", "--out", "x"],
            "at least 10",
        ),
        (
            ["--data", FACES, "--label", "age", "--orthogonal-to", "smilng", "--out", "x"],
            "'smiling'",
        ),
        (["--difference", "1", "1", "--out", "x"], "same latent"),
        (["--data", FACES, "--pca", "99", "--out", "x"], "1 to 8"),
        (
            ["--data", FACES, "--pca", "2", "--orthogonal-to", "age", "--out", "x"],
            "--pca takes no --orthogonal-to",
        ),
        (["--dimension", "z[1]", "--method", "logistic", "--out", "x"], "takes no --method"),
        (["--positive", "1", "--negative", "2", "--mirror", "--out", "x"], "takes no --mirror"),
    ],
)
def test_wrong_words_say_what_to_do(model, words, match, capsys) -> None:
    assert match in says(capsys, "direction", model, *words)
    assert not Path("x").exists()


def test_arithmetic_is_a_picture_that_says_how_it_was_made(model, tmp_path, capsys) -> None:
    z = {seed: z_of(model, capsys, seed) for seed in (1, 2, 3)}
    words = ["arithmetic", model, "--plus", "1", "--minus", "2", "--plus", "3"]
    run(capsys, *words, "--out", "sum.png")
    record = read_png_metadata(Path("sum.png"))
    assert record is not None
    assert record.stored is not None
    np.testing.assert_allclose(record.stored["z"], z[1] - z[2] + z[3], atol=1e-6)
    assert main(["decode", model, "sum.png", "--out", "again.png"]) == 0
    assert Path("sum.png").read_bytes() == Path("again.png").read_bytes()
    capsys.readouterr()
    # A PNG of this program counts with its edits; several seeds are their mean.
    edit = ["edit", model, "--seed", "1", "--set", "smiling=2", "--out", "edited.png"]
    assert main(edit) == 0
    capsys.readouterr()
    run(capsys, "arithmetic", model, "--plus", "edited.png", "--minus", "2,3", "--out", "e.npz")
    moved = z[1] + 3.0 * np.eye(8)[0]
    found = load_latents(Path("e.npz")).latents["z"]
    np.testing.assert_allclose(found, moved - (z[2] + z[3]) / 2, atol=1e-5)
    assert "at least one" in says(capsys, "arithmetic", model, "--minus", "1", "--out", "x.png")
    photo(tmp_path / "a.png")
    run(capsys, "arithmetic", model, "--plus", "a.png", "--minus", "1", "--out", "f.png")


def test_effects_are_printed_with_their_warnings(model, capsys) -> None:
    words = ["measure", "effects", model, "--samples", "12"]
    found = run(capsys, *words)
    assert found["directions"] == ["smiling", "eyeglasses", "age"]
    assert np.shape(found["mean"]) == (3, 14)
    assert np.shape(found["cosines"]) == (3, 3)
    assert set(found["figures"]) == {"smiling", "eyeglasses", "age"}
    warned = [name for name, row in found["figures"].items() if row["warns"]]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "12 samples, read by the probe" in said
    for name in found["directions"]:
        assert (f"warning: {name} moves" in said) == (name in warned)
    assert warned
    save_direction(
        Path("own.safetensors"), Direction("own", "z", {"z": np.eye(8)[0]}, 1.0, "given")
    )
    both = run(
        capsys, *words, "--direction", "own.safetensors", "--name", "smiling", "--name", "own"
    )
    assert both["directions"] == ["smiling", "own"]
    assert both["cosines"][0][1] == pytest.approx(1.0)
    data = run(capsys, *words, "--reader", "portraits:count=400,seed=2")
    assert data["reader"] == "classifier of portraits"
    assert set(data["reliability"]) == set(data["columns"])
    assert "did you mean 'smiling'" in says(capsys, *words, "--name", "smile")
    assert "2 to 10000" in says(capsys, "measure", "effects", model, "--samples", "1")


def test_orthogonalised_sliders_are_printed_before_and_after(model, capsys) -> None:
    words = ["orthogonalise", model, "--samples", "16", "--lock", "age"]
    found = run(capsys, *words, "--out", "better")
    for name in ("smiling", "eyeglasses"):
        before, after = (found[key]["figures"][name] for key in ("before", "after"))
        assert after["selectivity"] >= before["selectivity"]
    assert sorted(Path(path).stem for path in found["out"]) == sorted(found["changed"])
    for path in found["out"]:
        direction = load_direction(Path(path))
        assert direction.method == "orthogonalised"
        assert abs(float(direction.vector["z"][2])) < 1e-6
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "selectivity" in said
    assert "->" in said
    assert "unlock" in says(capsys, *words, "--name", "age")
    Path("a-file").write_text("here")
    assert "name a folder" in says(capsys, *words, "--out", "a-file")
    assert "name a folder" in says(capsys, *words, "--out", "one.safetensors")
    assert "cannot be made" in says(capsys, *words, "--out", "a-file/below")


def test_what_was_made_before_and_stays_is_no_change(model, tmp_path, capsys) -> None:
    """Directions that move nothing cannot be bettered, whatever made them."""
    names = []
    for i, name in enumerate(("smiling", "eyeglasses", "age")):
        still = Direction(name, "z", {"z": np.eye(8)[i]}, 1e-12, "orthogonalised")
        save_direction(tmp_path / f"{name}.safetensors", still)
        names += ["--direction", f"{name}.safetensors"]
    found = run(capsys, "orthogonalise", model, "--samples", "4", *names, "--out", "better")
    assert found["changed"] == []
    assert not found["out"]
    assert not Path("better").exists()


def test_files_of_like_names_keep_every_direction(tmp_path) -> None:
    given = [
        Direction(name, "z", {"z": np.eye(8)[i]}, 1.0, "given")
        for i, name in enumerate(("a", "a", "A", "a-2", "?"))
    ]
    paths = write_directions(tmp_path / "folder", given)
    assert len({path.name.casefold() for path in paths}) == 5
    for path, direction in zip(paths, given):
        np.testing.assert_array_equal(load_direction(path).vector["z"], direction.vector["z"])
