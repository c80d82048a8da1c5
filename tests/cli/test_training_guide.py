"""docs/training.md as it stands there: its commands, on a run of 16 pixels, and its own family."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentlab.cli import main
from latentlab.core.recipe import dump_toml, load_recipe
from latentlab.core.run_status import summary
from latentlab.core.runs import RunFolder, holder
from latentlab.services.launcher import console_tail, end_run

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "training.md"
TINY = {
    "data.source": "portraits:count=200,seed=1",
    "data.size": "16",
    "data.held_out.source": "portraits:count=20,seed=2",
    "data.held_out.count": "20",
    "model.latent_dim": "4",
    "model.width": "4",
    "train.steps": "1000000",
    "train.batch_size": "8",
    "train.threads": "1",
    "train.device": "cpu",
    "train.precision": "fp32",
    "train.log_every": "5",
    "train.sample_every": "200",
    "train.sample_count": "9",
}


def blocks(language: str = "") -> list[str]:
    """The blocks of code of the guide in a language."""
    text = GUIDE.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """The ``latentlab`` commands of a block, as argument lists."""
    return [shlex.split(line) for line in re.findall(r"^latentlab (.+)$", text, flags=re.MULTILINE)]


def wait_for(path: Path, *states: str, seconds: float = 120.0) -> None:
    """Wait until a run stands so, and ended if it is not active."""
    limit = time.monotonic() + seconds
    while True:
        run = summary(path)
        if run and run.state in states and (run.active or holder(path) is None):
            return
        assert run is None or run.state != "failed", console_tail(path / "console.log")
        assert time.monotonic() < limit, f"{path} is {run and run.state}, not {states}"
        time.sleep(0.05)


def shorten(path: Path, steps: int) -> None:
    """Let a run end after so many steps more."""
    tables = tomllib.loads((path / "recipe.toml").read_text())
    run = summary(path)
    tables["train"]["steps"] = run.status.step + steps
    (path / "recipe.toml").write_text(dump_toml(tables))


@pytest.mark.slow
def test_the_commands_of_the_guide_run(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    runs = tmp_path / "home" / "data" / "runs"
    faces = runs / "faces"
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    plain = [commands(block) for block in blocks()]
    start, steer, copies, look = (
        block for block in plain if block and "recipes/" not in block[0][1]
    )
    try:
        for words in start:
            if words[0] == "recipe" and "--out" in words:
                words = [*words, *(w for k, v in TINY.items() for w in ("--set", f"{k}={v}"))]
            if words[:2] == ["runs", "watch"]:
                wait_for(faces, "training")
                continue
            assert main(words) == 0, words
        assert "faces" in capsys.readouterr().out
        wanted = {"pause": "paused", "continue": "training", "stop": "stopped"}
        wanted |= {"resume": "training", "kill": "interrupted"}
        assert [words[1] for words in steer] == list(wanted)
        for words in steer:
            assert main(words) == 0, words
            wait_for(faces, wanted[words[1]])
        shorten(faces, 20)
        assert main(["runs", "resume", "faces", "--background"]) == 0
        assert main(start[-1]) == 0
        assert "The run 'faces' is finished" in capsys.readouterr().out
    finally:
        if holder(faces) is not None:
            end_run(faces, 10)
    for words in [*copies, *look]:
        assert main(words) == 0, words
    recipe = load_recipe(runs / "faces-slow" / "recipe.toml")
    assert recipe.train.learning_rate == 2e-4
    assert {"faces.gif", "curves.csv", "compared.csv", "curves.png"} <= {
        path.name for path in work.iterdir()
    }
    folder = RunFolder(faces)
    assert folder.model.exists()
    said = GUIDE.read_text(encoding="utf-8")
    for path in faces.iterdir():
        assert f"`{path.name}" in said, f"the guide does not say what {path.name} is"
    monkeypatch.chdir(runs)
    (snippet,) = blocks("python")
    capsys.readouterr()
    exec(compile(snippet, "guide", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3
    assert int(printed[-1].split()[0]) == summary(faces).status.step


def test_every_other_command_of_the_guide_is_one(tmp_path, monkeypatch) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    bundled = [words for block in blocks() for words in commands(block) if "recipes/" in words[1]]
    assert [Path(words[1]).stem for words in bundled] == [
        "probe",
        "portraits-vae",
        "portraits-vae-2d",
        "portraits-diffusion",
        "portraits-flow",
    ]
    for words in bundled:
        load_recipe(ROOT / words[1])
    for target in re.findall(r"\]\((?!http|#)([^)]+)\)", text):
        assert (GUIDE.parent / target).exists(), target
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    anchors = re.findall(r"\]\(#([^)]+)\)", text)
    assert anchors == [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings]


def test_the_family_of_the_guide_trains_and_opens(tmp_path, monkeypatch, capsys) -> None:
    site = tmp_path / "site"
    (site / "linear-1.dist-info").mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "examples" / "linear_family.py", site)
    declared, recipe = (tomllib.loads(text) for text in blocks("toml") if "linear" in text)
    ((group, points),) = declared["project"]["entry-points"].items()
    lines = [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (site / "linear-1.dist-info" / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (site / "linear-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: linear\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    path, run = tmp_path / "linear.toml", tmp_path / "run"
    path.write_text(dump_toml(recipe))
    tiny = {"data.source": "portraits:count=60,seed=1", "data.size": 16, "train.steps": 40}
    tiny |= {"train.batch_size": 16, "data.held_out.count": 6, "train.device": "cpu"}
    words = ["train", str(path), "--run-dir", str(run), "--set", "train.learning_rate=0.01"]
    words += [word for key, value in tiny.items() for word in ("--set", f"{key}={value}")]
    try:
        assert main([*words, "--max-steps", "20", "--json"]) == 0
        assert main(["train", "--run-dir", str(run), "--resume", "--json"]) == 0
        out = tmp_path / "samples.png"
        model = str(run / "model.safetensors")
        assert main(["sample", model, "--seeds", "0-3", "--out", str(out)]) == 0
    finally:
        sys.modules.pop("linear_family", None)
    assert np.asarray(Image.open(out)).std() > 1
    capsys.readouterr()
    assert main(["runs", "export", str(run), "--out", str(tmp_path / "c.csv")]) == 0
    header, *rows = (tmp_path / "c.csv").read_text().splitlines()
    losses = [float(r.split(",")[header.split(",").index("loss")] or "nan") for r in rows]
    assert np.nanmin(losses) < 0.9 * losses[0]
