"""The README's road on real faces, shortened: train, find the smile, read it, edit with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentlab.cli import main

FACES = Path(__file__).parents[3] / "shared" / "data" / "fer-smile-48.zip"
RECIPES = Path(__file__).parents[2] / "recipes"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FACES.is_file(), reason="the real faces are not beside the project"),
]


def run(capsys, *words: str | Path) -> dict:
    assert main([*map(str, words), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_a_smile_is_found_read_and_put_on(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    data = [f"data.source={FACES.as_posix()}", "data.limit=1500", "data.held_out.count=50"]
    short = [word for text in data for word in ("--set", text)]
    steps = {"faces-vae": 3200, "faces-judge": 1920}
    models = {}
    for name, images in steps.items():
        words = [*short, "--set", f"train.images_seen={images}", "--set", "train.batch_size=64"]
        if name == "faces-vae":
            words += ["--set", "model.latent_dim=64", "--set", "model.width=16"]
        recipe = RECIPES / f"{name}.toml"
        found = run(capsys, "train", recipe, "--run-dir", tmp_path / name, *words)
        models[name] = found["model"]
    vae, judge = models["faces-vae"], models["faces-judge"]
    direction, sheet = tmp_path / "smile.safetensors", tmp_path / "sheet.png"
    common = ["--data", FACES, "--label", "smiling"]
    fitted = run(
        capsys, "direction", vae, *common, "--split", "train", "--method", "mean difference",
        "--out", direction,
    )  # fmt: skip
    assert fitted["auc"] > 0.6
    read = run(capsys, "measure", "direction", vae, direction, *common, "--split", "test")
    assert read["images"] == 1200
    assert read["auc"]["low"] > 0.6
    edits = run(
        capsys, "measure", "photos", vae, direction, *common, "--split", "test", "--only",
        "neutral", "--count", "40", "--amount", "4", "--judge", judge, "--sheet", sheet,
    )  # fmt: skip
    assert edits["images"] == 40
    # So short a training says nothing of how well it works; that is measured in docs/benchmarks.md.
    assert edits["pixel_change_rms"] > 1
    assert 0 <= edits["share_raised"] <= 1
    assert np.asarray(Image.open(sheet)).std() > 10
