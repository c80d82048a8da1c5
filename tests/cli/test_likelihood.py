"""The command ``likelihood``: figures as JSON, files, and what is refused before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from latentlab.cli import main
from tests.services.models import write_vae

DATA = "portraits:count=12,seed=3"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    write_vae(tmp_path / "small-vae.safetensors", image_size=16)
    return str(tmp_path / "small-vae.safetensors")


def test_json_says_what_was_scored(model: str, capsys: Any):
    words = ["likelihood", model, DATA, "--against", "prior", "--count", "8", "--image", "3"]
    assert main([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["bound"] is True
    assert [one["count"] for one in said["sets"]] == [8, 8]
    least = said["sets"][0]["least_likely"]
    assert [row["bits_per_dim"] for row in least] == sorted(
        (row["bits_per_dim"] for row in least), reverse=True
    )
    assert 0 <= said["auc"]["value"] <= 1
    # Seed 3 is the fourth of the model's own samples.
    own = {row["row"]: row["bits_per_dim"] for row in said["sets"][1]["least_likely"]}
    assert said["image"]["bits_per_dim"] == pytest.approx(own[3], rel=1e-6)


def test_the_same_command_writes_the_same_bytes(model: str, tmp_path: Path, capsys: Any):
    words = ["likelihood", model, DATA, "--against", "faded", "--corrected", "--image", "1"]
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        files = {name: str(tmp_path / folder / name) for name in ("l.png", "w.png", "m.png")}
        told = ["--out", files["l.png"], "--worst", files["w.png"], "--places", files["m.png"]]
        assert main([*words, *told]) == 0
    for name in ("l.png", "w.png", "m.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        with Image.open(tmp_path / "a" / name) as image:
            assert image.size[0] > 100
    said = capsys.readouterr().out
    assert "AUC" in said
    assert "Rank correlation" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((DATA, "--out", "scores.gif"), "cannot be written"),
        ((DATA, "--against-split", "test"), "--against"),
        ((DATA, "--count", "0"), "Score 1 to"),
        ((DATA, "--places", "map.png"), "--image"),
        ((DATA, "--strip", "999"), "1 to 48"),
        # Before a data set that is not there is looked for, and long before it is scored.
        (("/nowhere/faces.zip", "--worst", "w.jpg"), "neither a .png nor a folder"),
        (("/nowhere/faces.zip", "--best", "w.jpg"), "neither a .png nor a folder"),
        (("/nowhere/faces.zip", "--image", "3", "--places", "m.gif"), "map cannot be written"),
        (("prior", "--split", "test"), "no splits"),
        (("/nowhere/faces.zip",), "There is no"),
    ],
)
def test_what_is_refused_is_said(model: str, words: Any, sentence: str, capsys: Any):
    assert main(["likelihood", model, *words]) == 2
    assert sentence in capsys.readouterr().err
