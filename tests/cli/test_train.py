"""``latentlab train``: folders, resuming, estimating, and what goes wrong in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from latentlab import catalog
from latentlab.cli import main
from latentlab.core.modelfile import read_header
from latentlab.core.paths import runs_folder
from latentlab.core.run_events import read_events
from latentlab.core.run_lock import RunLock
from latentlab.core.run_status import RunStatus, write_status
from latentlab.core.runs import RunFolder
from latentlab.core.version import revision, version
from latentlab.training import data
from tests.training import tiny

REPOSITORY = Path(__file__).parents[2]
REAL = """
[model]
family = "vae"
width = 8
latent_dim = 4

[data]
source = "portraits:count=60"
size = 16

[train]
steps = 6
batch_size = 4
log_every = 1
device = "cpu"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(catalog.TRAINERS, "tiny", "tests.training.tiny:TinyTrainer")
    monkeypatch.setattr(
        data, "open_images", lambda table, source, split, limit: tiny.memory_images()
    )


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(tiny.recipe(6).to_toml())
    return path


def refused(words: list[object], capsys) -> str:
    capsys.readouterr()
    assert main([str(word) for word in words]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("latentlab: ")
    assert len(error.splitlines()) == 1, error
    return error


def test_the_default_folder_is_told_and_used(recipe: Path, capsys) -> None:
    assert main(["train", str(recipe), "--max-steps", "3"]) == 0
    told = capsys.readouterr().out
    folder = runs_folder() / "small"
    assert told.splitlines()[0] == f"The run folder is {folder}"
    assert "Stopped at step 3; go on with --run-dir" in told
    assert [e.step for e in read_events(folder) if e.kind == "step"] == [1, 2, 3]
    assert "already holds a run at step 3" in refused(["train", recipe], capsys)
    assert main(["train", str(recipe), "--resume"]) == 0
    assert f"The model is {folder / 'model.safetensors'}" in capsys.readouterr().out


def test_a_wrong_recipe_names_no_folder(recipe: Path, capsys) -> None:
    recipe.write_text(recipe.read_text().replace("[train]", "[train]\nstepz = 3"))
    assert main(["train", str(recipe)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "'train.stepz' is not known" in told.err


def test_a_finished_run_says_so_and_can_be_made_longer(recipe: Path, tmp_path, capsys) -> None:
    run = ["--run-dir", str(tmp_path / "run")]
    assert main(["train", str(recipe), *run]) == 0
    capsys.readouterr()
    assert main(["train", *run, "--resume"]) == 0
    told = capsys.readouterr().out
    assert "This run is finished, with 6 steps" in told
    assert "--resume --set train.steps=12" in told
    assert main(["train", *run, "--resume", "--set", "train.steps=12", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 12
    told = refused(["train", *run, "--resume", "--set", "train.seed=9"], capsys)
    assert "differs from the one of the run in train.seed" in told


def test_a_model_says_how_it_was_made(recipe: Path, tmp_path, capsys, monkeypatch) -> None:
    # Six steps of no time at all would be no second.
    monkeypatch.setattr(tiny.TinyTrainer, "pause", 0.1)
    run = ["--run-dir", str(tmp_path / "run")]
    assert main(["train", str(recipe), *run, "--max-steps", "4"]) == 0
    assert main(["train", *run, "--resume"]) == 0
    known = read_header(tmp_path / "run" / "model.safetensors").spec.provenance
    assert (known.steps, known.images_seen, known.seed, known.processes) == (6, 48, 3, 1)
    assert known.data["count"] == 63
    assert known.recipe["train"]["batch_size"] == 8
    assert known.program_version == version()
    assert known.revision == revision()
    steps = [e.time for e in read_events(tmp_path / "run") if e.kind == "step"]
    assert 0.4 < known.seconds_trained < steps[-1] - steps[0] + 60
    capsys.readouterr()
    assert main(["models", str(tmp_path / "run" / "model.safetensors")]) == 0
    told = capsys.readouterr().out
    assert "Data: memory, 63 images" in told
    assert "Training: 6 steps, 48 images seen, " in told
    assert "on cpu, seed 3" in told
    assert f"LatentLab {version()}" in told
    assert main(["models", str(tmp_path / "run" / "model.safetensors"), "--recipe"]) == 0
    assert capsys.readouterr().out == (tmp_path / "run" / "recipe.toml").read_text()


def test_the_revision_is_the_checkouts(tmp_path: Path) -> None:
    """Compared with git itself; elsewhere there is none, and nothing fails."""
    found = subprocess.run(
        ["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"], capture_output=True, text=True
    )
    if found.returncode == 0:
        assert revision.__wrapped__().removesuffix("+dirty") == found.stdout.strip()
    script = "from latentlab.core.version import revision; print(repr(revision()))"
    for path in ("", os.environ.get("PATH", "")):
        (tmp_path / "away" / "latentlab").mkdir(parents=True, exist_ok=True)
        (tmp_path / "away/latentlab/core").mkdir(exist_ok=True)
        for name in ("__init__.py", "core/__init__.py", "core/version.py"):
            source = (REPOSITORY / "latentlab" / name).read_text()
            (tmp_path / "away/latentlab" / name).write_text(source)
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path / "away",
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == "''", done.stderr


def test_the_estimate_is_told_in_words_and_in_json(recipe: Path, tmp_path, capsys) -> None:
    words = ["train", str(recipe), "--estimate", "--set", "train.steps=7"]
    assert main([*words, "--json"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    found = json.loads(told.out)
    named = "parameters total_steps seconds_per_step images_per_second seconds_total memory_mb "
    named += "device_memory_mb checkpoint_mb data_wait device num_images num_held_out"
    assert set(named.split()) <= set(found)
    assert (found["total_steps"], found["num_images"], found["num_held_out"]) == (7, 63, 7)
    assert found["device_memory_mb"] is None
    assert main(words) == 0
    told = capsys.readouterr()
    assert "step" in told.err
    assert [line.split()[0] for line in told.out.splitlines()] == (
        ["device", "images", "parameters", "speed", "waiting", "time", "memory", "disk"]
    )
    assert not runs_folder().exists()


def test_mistakes_are_one_sentence(recipe: Path, tmp_path: Path, capsys) -> None:
    run = tmp_path / "run"
    assert main(["train", str(recipe), "--run-dir", str(run), "--max-steps", "2"]) == 0
    file = tmp_path / "file"
    file.write_text("")
    again = ["train", "--run-dir", run]
    for words, told in (
        (["train", recipe, "--run-dir", file], "is a file, not a folder"),
        (["train", recipe, "--run-dir", file / "in"], "cannot be written (Not a directory)"),
        (["train", "--run-dir", file, "--resume"], "is a file, not a run folder"),
        (["train", tmp_path / "no.toml"], "cannot be read (No such file or directory)"),
        (["train", tmp_path], "cannot be read"),
        (["train", "--estimate"], "Name a recipe"),
        ([*again], "with --run-dir and --resume"),
        ([*again, "--best"], "give both"),
        ([*again, "--finish", "--set", "train.steps=3"], "leave --resume, --max-steps and --set"),
        ([*again, "--resume", "--warm-start", file], "name its recipe"),
        ([*again, "--resume", "--set", "train.steps=1"], "at step 2, beyond the 1 steps"),
        (["train", recipe, "--set", "train.device=cuda"], "which this machine does not have"),
        (["train", recipe, "--set", "train.device=mps"], "set train.device to 'auto' or 'cpu'"),
        (["models", "nosuch"], "nosuch"),
        (["models", "--recipe"], "name it"),
    ):
        if "train.device=cuda" in words and __import__("torch").cuda.is_available():
            continue
        assert told in refused(words, capsys)
    (run / "recipe.toml").write_text((run / "recipe.toml").read_text() + "\nnothing = 1\n")
    assert "recipe.toml, line " in refused([*again, "--resume"], capsys)
    (run / "recipe.toml").unlink()
    assert "it holds no recipe.toml" in refused([*again, "--resume"], capsys)


def test_a_silent_machine_is_taken_over(recipe: Path, tmp_path: Path, capsys) -> None:
    run = tmp_path / "run"
    assert main(["train", str(recipe), "--run-dir", str(run), "--max-steps", "2"]) == 0
    then = time.time() - 900
    record = {"pid": 7, "host": "elsewhere", "created": then, "since": then}
    RunFolder(run).lock.write_text(json.dumps(record))
    write_status(RunFolder(run), RunStatus(state="training", host="elsewhere", time=then))
    for path in (RunFolder(run).lock, RunFolder(run).status):
        os.utime(path, (then, then))
    told = refused(["train", "--run-dir", run, "--resume"], capsys)
    assert "told nothing for 15 min: if it is gone, start with --take-over or delete" in told
    assert main(["train", "--run-dir", str(run), "--resume", "--take-over"]) == 0


def torchrun(run: Path, recipe: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words += ["-m", "latentlab", "train", str(recipe), "--run-dir", str(run), *more]
    return subprocess.run(
        [sys.executable, *words],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="torchrun needs libuv there")
def test_several_processes_speak_with_one_voice(tmp_path: Path) -> None:
    recipe, run = tmp_path / "real.toml", tmp_path / "run"
    recipe.write_text(REAL)
    done = torchrun(run, recipe, "--max-steps", "3")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sum(line.startswith("vae on cpu") for line in lines) == 1
    assert sum(line.startswith("Stopped at step 3") for line in lines) == 1
    events = read_events(run)
    assert [e.step for e in events if e.kind == "step"] == [1, 2, 3]
    assert next(e for e in events if e.kind == "start").data["processes"] == 2
    # The folder is in use: the second process ends with the first, and only the first says why.
    with RunLock(RunFolder(run)):
        done = torchrun(run, recipe, "--resume")
    assert done.returncode != 0
    assert done.stderr.count(f"in use by process {os.getpid()}") == 1
    # Nor do the data of one process keep the other waiting.
    done = torchrun(tmp_path / "new", recipe, "--set", "data.source=nosuch")
    assert done.returncode != 0
    assert done.stderr.count("latentlab: ") == 1
