"""``latentlab runs``: what it prints and writes, for runs in the usual places and in folders."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from latentlab.cli import main
from latentlab.core.recipe import parse_recipe
from latentlab.core.run_events import EventWriter
from latentlab.core.run_status import RunStatus, find_runs, summary, write_status
from latentlab.core.runs import RunFolder, holder
from latentlab.services import run_process
from latentlab.services.launcher import end_run
from latentlab.services.run_chart import log_ticks, ticks

FAKE = Path(__file__).parents[1] / "services" / "fake_train.py"
RECIPE = """
[model]
family = "vae"
latent_dim = 4
[data]
source = "portraits:count=60,seed=1"
size = 16
[train]
steps = {steps}
learning_rate = {rate}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's runs folder, and a folder of work that is empty."""
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return tmp_path / "home" / "data" / "runs"


def made(path: Path, *, steps: int = 40, rate: float = 1e-3, **status: object) -> Path:
    """A run of 40 steps with its curve, sheets and status."""
    folder = RunFolder(path)
    folder.samples.mkdir(parents=True)
    text = RECIPE.format(steps=steps, rate=rate)
    folder.recipe.write_text(parse_recipe(text, default_id=path.name).to_toml())
    with EventWriter(folder, 1) as events:
        events.write(
            "start", 0, family="vae", device="cpu", data="portraits", num_images=54, total_steps=40
        )
        for step in range(10, 41, 10):
            loss = 1000 * rate / step
            figures = {"loss": loss, "losses": {"kl": 2 * loss}, "learning_rate": rate}
            figures |= {"images_per_second": 50.0, "seconds_left": 40.0 - step}
            events.write("step", step, total_steps=40, **figures)
            Image.new("L", (16, 16), step).save(folder.sample(step))
            events.write("sample", step, path=f"samples/step_{step:07d}.png")
            events.write("checkpoint", step, path="c", held_out_loss=loss + step / 100, best=True)
        events.write("stop", 40, message="a STOP file asked for it")
    values = {"state": "stopped", "step": 40, "total_steps": 40, "time": time.time(), "loss": 0.5}
    write_status(folder, RunStatus(**(values | status)))
    return path


def said(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> str:
    """What a command printed; on standard error if it was to fail."""
    assert main(["runs", *map(str, words)]) == code
    printed = capsys.readouterr()
    return printed.err if code == 2 else printed.out


def told(capsys: pytest.CaptureFixture[str], *words: object) -> object:
    return json.loads(said(capsys, *words, "--json"))


# Looking.


def test_runs_of_the_usual_places_are_listed_newest_first(home, capsys) -> None:
    assert "start one with" in said(capsys, "list")
    assert told(capsys, "list") == []
    made(home / "faces", time=100.0)
    made(Path("runs") / "here", time=200.0, state="failed", message="The disk is full.")
    lines = said(capsys, "list").splitlines()
    assert lines[0].split()[:4] == ["name", "state", "step", "loss"]
    assert [line.split()[:4] for line in lines[1:]] == [
        ["here", "failed", "40/40", "0.5"],
        ["faces", "stopped", "40/40", "0.5"],
    ]
    rows = told(capsys, "list")
    assert [(r["name"], r["state"]) for r in rows] == [("here", "failed"), ("faces", "stopped")]
    assert rows[0]["message"] == "The disk is full."
    (only,) = told(capsys, "list", "--folder", home)
    assert only["path"] == str(home / "faces")
    assert "There is no folder" in said(capsys, "list", "--folder", "nosuch", code=2)


def test_listing_a_hundred_runs_imports_no_torch(home) -> None:
    made(home / "faces")
    code = (
        "import sys; from latentlab.cli import main; "
        "codes = [main(['runs', *w.split()]) for w in ('list', 'show faces', 'watch faces')]; "
        "sys.exit(any(codes) or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_run_is_found_by_name_or_folder_and_a_wrong_name_is_guessed(home, capsys) -> None:
    made(home / "faces")
    assert told(capsys, "show", "faces")["path"] == str(home / "faces")
    assert told(capsys, "show", home / "faces")["name"] == "faces"
    assert "did you mean 'faces'?" in said(capsys, "show", "facse", code=2)
    made(Path("runs") / "faces")
    message = said(capsys, "show", "faces", code=2)
    assert "Several runs" in message
    assert str(home / "faces") in message
    Path("plain").mkdir()
    assert "is not a run folder" in said(capsys, "show", "plain", code=2)


def test_what_is_shown_of_a_run(home, capsys) -> None:
    made(home / "faces", state="failed", message="The disk is full.")
    found = told(capsys, "show", "faces")
    figures = found["figures"]
    assert (figures["step"], figures["loss"], figures["losses"]) == (40, 0.025, {"kl": 0.05})
    # loss + step / 100: 0.2, 0.25, 0.333 and 0.425.
    assert (figures["best_step"], figures["best_held_out"]) == (10, pytest.approx(0.2))
    assert (found["samples"], found["num_images"], found["attempts"]) == (4, 54, 1)
    words = said(capsys, "show", "faces")
    assert "failed: The disk is full." in words
    assert "portraits:count=60,seed=1, 54 images" in words


def test_watching_ends_with_the_run_and_says_how(home, capsys) -> None:
    made(home / "faces")
    lines = said(capsys, "watch", "faces", "--lines", "2").splitlines()
    assert lines[0].startswith("checkpoint at step 40")
    assert lines[1] == "stop at step 40: a STOP file asked for it"
    assert lines[2] == "The run 'faces' is stopped at step 40"
    events = said(capsys, "watch", "faces", "--json", "--lines", "3").splitlines()
    assert [json.loads(line)["kind"] for line in events] == ["sample", "checkpoint", "stop"]
    assert "0 or more" in said(capsys, "watch", "faces", "--every", "nan", code=2)


# A process to watch and steer.


def wait_for(happened, seconds: float = 30.0) -> None:
    limit = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.01)


def state(path: Path) -> str:
    return summary(path).state


@pytest.fixture
def live(home, monkeypatch):
    """Two stopped runs whose processes, once resumed, learn nothing."""
    command = [sys.executable, str(FAKE)]
    monkeypatch.setattr(run_process, "command", lambda words: [*command, *words])
    paths = [made(home / name) for name in ("faces", "hats")]
    yield paths
    for run in find_runs([home]):
        if run.active:
            end_run(run.path, 10)


def test_runs_are_resumed_paused_continued_stopped_and_killed_together(live, capsys) -> None:
    words = said(capsys, "resume", "faces", "hats", "--background")
    assert words.count("watch it with: latentlab runs watch") == 2
    wait_for(lambda: all(state(path) == "training" for path in live))
    for word, wanted in (("pause", "paused"), ("continue", "training"), ("stop", "stopped")):
        rows = told(capsys, word, "faces", "hats")
        assert [row["done"] for row in rows] == [True, True]
        wait_for(lambda wanted=wanted: all(state(path) == wanted for path in live))
    wait_for(lambda: all(holder(path) is None for path in live))
    said(capsys, "resume", "faces", "--background")
    wait_for(lambda: state(live[0]) == "training")
    # One that refuses does not keep the others from it.
    assert main(["runs", "kill", "nosuch", "hats", "faces"]) == 2
    printed = capsys.readouterr()
    assert "There is no run 'nosuch'" in printed.err
    assert "'hats' is not running" in printed.err
    assert "The run 'faces' was ended" in printed.out
    assert state(live[0]) == "interrupted"


def test_ctrl_c_ends_the_watching_and_not_the_run(live, capsys) -> None:
    said(capsys, "resume", "faces", "--background")
    wait_for(lambda: state(live[0]) == "training")
    # A shell's background job would ignore Ctrl+C, and so would what it starts.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from latentlab.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    watcher = subprocess.Popen(
        [sys.executable, "-c", code, "runs", "watch", "faces"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with watcher:
        assert "step" in watcher.stdout.readline()
        with EventWriter(RunFolder(live[0]), 2) as events:
            events.write("warning", 41, message="something happened")
        wait_for(lambda: "something happened" in watcher.stdout.readline())
        os.killpg(watcher.pid, signal.SIGINT)
        assert "left alone" in watcher.stdout.read()
    assert watcher.returncode == 130
    assert state(live[0]) == "training"


def test_nothing_to_steer_is_one_sentence(home, capsys) -> None:
    made(home / "faces")
    for word in ("pause", "continue", "stop", "kill"):
        message = said(capsys, word, "faces", code=2)
        assert message.strip() == (
            "latentlab: The run 'faces' is not running (stopped): resume it first."
        )
    assert "Name a run" in said(capsys, "stop", code=2)
    far = RunStatus(state="training", host="far-away", pid=7, time=time.time())
    write_status(RunFolder(home / "faces"), far)
    assert socket.gethostname() != "far-away"
    assert "far-away" in said(capsys, "delete", "faces", code=2)


# Copies and the trash.


def test_a_run_is_duplicated_with_other_settings(home, live, capsys) -> None:
    made_one = told(capsys, "duplicate", "faces", "--set", "train.learning_rate=0.5")
    path = Path(made_one["path"])
    assert (path, made_one["pid"]) == (home / "faces-2", None)
    recipe = parse_recipe((path / "recipe.toml").read_text())
    assert (recipe.train.learning_rate, recipe.output.id) == (0.5, "faces-2")
    assert state(path) == "stopped"
    started = told(capsys, "duplicate", "faces", "--name", "slow", "--background")
    wait_for(lambda: state(home / "slow") == "training")
    assert holder(home / "slow") == started["pid"]
    end_run(home / "slow", 10)
    message = said(capsys, "duplicate", "faces", "--name", "slow", code=2)
    assert "for example 'slow-2'" in message
    assert "not known" in said(capsys, "duplicate", "faces", "--set", "train.nosuch=1", code=2)
    assert not (home / "faces-3").exists()


def test_a_deleted_run_is_restored_by_its_name(home, capsys) -> None:
    made(home / "faces")
    assert "7 days" in said(capsys, "delete", "faces")
    assert told(capsys, "list") == []
    assert "did you mean 'faces'?" in said(capsys, "restore", "face", code=2)
    assert told(capsys, "restore", "faces") == [{"run": "faces", "path": str(home / "faces")}]
    assert [row["name"] for row in told(capsys, "list")] == ["faces"]
    assert "in the trash" in said(capsys, "restore", "faces", code=2)


# Films, comparisons, tables.


def test_a_film_is_made_of_a_run(home, capsys) -> None:
    made(home / "faces")
    words = ["film", "faces", "--out", "film.png", "--plain", "--scale", "1"]
    assert told(capsys, *words)["frames"] == 4
    with Image.open("film.png") as image:
        levels = [np.asarray(f.convert("L"))[0, 0] for f in ImageSequence.Iterator(image)]
    assert levels == [10, 20, 30, 40]
    assert "4 frames" in said(capsys, "film", "faces", "--out", "film.gif")
    assert "use .mp4" in said(capsys, "film", "faces", "--out", "film.txt", code=2)
    assert not Path("film.txt").exists()


def test_runs_are_compared_by_recipe_figures_and_curves(home, capsys) -> None:
    made(home / "faces")
    made(home / "slow", rate=1e-4)
    found = told(capsys, "compare", "faces", "slow", "--out", "both.csv")
    assert found["recipes"] == {"train.learning_rate": {"faces": "0.001", "slow": "0.0001"}}
    assert found["figures"]["slow"]["loss"] == pytest.approx(0.0025)
    with Path("both.csv").open() as stream:
        rows = {row[0]: row[1:] for row in csv.reader(stream)}
    assert rows[""] == ["faces", "slow"]
    assert rows["train.learning_rate"] == ["0.001", "0.0001"]
    assert rows["losses/kl"] == ["0.05", "0.005"]
    assert rows["best held-out loss"] == ["0.2 (step 10)", "0.11 (step 10)"]
    assert "train.learning_rate  0.001" in said(capsys, "compare", "faces", "slow")
    for words in (["--out", "a.png"], ["--out", "b.png", "--log"]):
        said(capsys, "compare", "faces", "slow", *words)
    plain, log = (np.asarray(Image.open(name)) for name in ("a.png", "b.png"))
    assert plain.shape == log.shape
    assert (plain != log).any()
    for colour in ((0, 114, 178), (213, 94, 0)):
        assert (np.abs(plain.astype(int) - colour).max(-1) < 8).sum() > 200
    assert "no nosuch to draw" in said(
        capsys, "compare", "faces", "slow", "--out", "c.png", "--curve", "nosuch", code=2
    )
    assert "two runs" in said(capsys, "compare", "faces", "faces", code=2)
    assert "use .csv" in said(capsys, "compare", "faces", "slow", "--out", "c.txt", code=2)


def test_curves_are_exported_each_step_once(home, capsys) -> None:
    path = made(home / "faces")
    with EventWriter(RunFolder(path), 2) as events:
        events.write("start", 20, total_steps=40)
        events.write("step", 30, loss=7.0, losses={"kl": None}, learning_rate=0.1)
    assert told(capsys, "export", "faces", "--out", "c.csv")["rows"] == 5
    with Path("c.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    steps = [(int(r["step"]), r["attempt"], r["loss"]) for r in rows if r["loss"]]
    assert steps == [(10, "1", "0.1"), (20, "1", "0.05"), (30, "2", "7.0")]
    assert [r["losses/kl"] for r in rows if r["loss"]] == ["0.2", "0.1", ""]
    assert [float(r["held_out_loss"]) for r in rows if r["held_out_loss"]] == [0.2, 0.25]
    said(capsys, "export", "faces", "--out", "c.json")
    columns = json.loads(Path("c.json").read_text())
    assert columns["step"] == [10, 10, 20, 20, 30]
    empty = home / "empty"
    empty.mkdir()
    (empty / "recipe.toml").write_text("")
    assert "no curves yet" in said(capsys, "export", "empty", "--out", "d.csv", code=2)
    assert "use .csv" in said(capsys, "export", "faces", "--out", "d.xls", code=2)
    assert not Path("d.csv").exists()


def test_damaged_runs_are_listed_and_shown_as_far_as_they_can_be_read(home, capsys) -> None:
    path = made(home / "faces")
    (path / "status.json").write_text('{"state": "flying"}')
    with (path / "events.jsonl").open("ab") as stream:
        stream.write(
            b'\xff\xfe\n{"kind": "step", "time": 1, "attempt": 1, "step": 50, "loss": "x"}\n'
        )
        stream.write(b'{"kind": "finish", "time": 2, "attempt": 1, "step": 50, "quality": 3}\n{"ki')
    assert told(capsys, "show", "faces")["figures"]["step"] == 50
    assert "step 50" in said(capsys, "watch", "faces")
    assert told(capsys, "list")[0]["state"] == "stopped"
    (path / "recipe.toml").write_text("[")
    assert "cannot be read" in said(capsys, "show", "faces", code=2)


def test_axes_have_round_numbers() -> None:
    assert ticks(0.0, 1.0, 5) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-1234.0, 980.0, 5) == [-1000.0, -500.0, 0.0, 500.0]
    assert ticks(3.0, 3.0) == [3.0]
    assert log_ticks(0.9, 11.0) == [1.0, 2.0, 5.0, 10.0]
    assert log_ticks(1e-6, 1e3) == [10.0**p for p in range(-6, 4)]
    assert log_ticks(3.1, 3.2) == [3.1, 3.2]


def test_training_in_the_background_is_started_resumed_and_told_how_to_watch(live, capsys) -> None:
    recipe = Path("mine.toml")
    recipe.write_text(RECIPE.format(steps=40, rate=1e-3))
    words = ["train", str(recipe), "--background", "--set", "train.steps=7", "--max-steps", "5"]
    folder = live[0].parent / "mine"
    assert main([*words, "--run-dir", str(folder)]) == 0
    assert f"latentlab runs watch {folder}" in capsys.readouterr().out
    wait_for(lambda: state(folder) == "training")
    stored = parse_recipe((folder / "recipe.toml").read_text())
    assert (stored.train.steps, stored.output.id) == (7, "mine")
    assert "--max-steps 5" in (folder / "console.log").read_text()
    assert main([*words, "--run-dir", str(folder)]) == 2
    assert "is not empty" in capsys.readouterr().err
    end_run(folder, 10)
    again = ["train", "--run-dir", str(folder), "--resume", "--background", "--json"]
    assert main(again) == 0
    wait_for(lambda: state(folder) == "training")
    assert json.loads(capsys.readouterr().out)["pid"] == holder(folder)
    end_run(folder, 10)
    for wrong in (["--background"], ["mine.toml", "--background", "--estimate"]):
        assert main(["train", *wrong, "--run-dir", str(folder)]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
