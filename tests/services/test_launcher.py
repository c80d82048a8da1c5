"""Runs as processes of their own: they outlive their starter, obey files, and end whole."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import parse_recipe
from latentlab.core.requests import Failure
from latentlab.core.run_status import RunStatus, find_runs, read_status, summary, write_status
from latentlab.core.runs import RunFolder, holder
from latentlab.services import estimate_process, run_process
from latentlab.services.launcher import (
    EstimateProcess,
    console_tail,
    continue_run,
    delete_run,
    duplicate_text,
    end_run,
    finish_run_process,
    free_run_dir,
    pause_run,
    purge_trash,
    restore_run,
    resume_run,
    start_run,
    stop_run,
    trashed_runs,
)

FAKE = Path(__file__).with_name("fake_train.py")
RECIPE = """
[model]
family = "vae"
latent_dim = 4
width = 4

[data]
source = "portraits:count=60,seed=1"
size = 16
held_out.count = 6

[train]
steps = 3
batch_size = 4
threads = 1
log_every = 1
sample_every = 0
sample_count = 4
"""


def recipe(mark: str = "") -> str:
    return RECIPE + f'\n[output]\ntitle = "{mark}"\n'


def wait_for(happened: Callable[[], object], seconds: float = 30.0) -> None:
    limit = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.01)


def state(run_dir: Path) -> str:
    run = summary(run_dir)
    return "" if run is None else run.state


def gone(pid: int) -> bool:
    """Whether a process is away altogether: a zombie would still have its number."""
    return not psutil.pid_exists(pid)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of a script that learns nothing."""

    def command(words) -> list[str]:
        return [sys.executable, str(FAKE), *words]

    monkeypatch.setattr(run_process, "command", command)
    monkeypatch.setattr(estimate_process, "command", command)


@pytest.fixture
def run_dir(tmp_path: Path, fake) -> Iterator[Path]:
    """A folder for a run whose process, if there is one, is ended after the test."""
    path = tmp_path / "runs" / "faces"
    yield path
    # One that only starts does not hold its folder yet.
    for run in find_runs([path.parent]):
        if run.active:
            end_run(run.path, 10)


def test_a_run_is_listed_at_once_and_obeys_the_files(run_dir, monkeypatch) -> None:
    monkeypatch.setenv("KEPT", "yes")
    pid = start_run(recipe(), run_dir)
    (listed,) = find_runs([run_dir.parent])
    assert (listed.name, listed.active) == ("faces", True)
    assert listed.status.family == "vae"
    assert parse_recipe((run_dir / "recipe.toml").read_text()).output.id == "faces"
    wait_for(lambda: state(run_dir) == "training")
    assert holder(run_dir) == pid
    process = psutil.Process(pid)
    assert process.nice() >= 10
    assert process.environ()["OMP_WAIT_POLICY"] == "PASSIVE"
    assert os.getsid(pid) == pid, "it is in the session of its starter, and ends with it"
    pause_run(run_dir)
    wait_for(lambda: state(run_dir) == "paused")
    continue_run(run_dir)
    wait_for(lambda: state(run_dir) == "training")
    stop_run(run_dir)
    wait_for(lambda: gone(pid))
    assert state(run_dir) == "stopped"
    said = console_tail(run_dir / "console.log")
    assert f"--run-dir {run_dir}" in said
    assert "kept: yes" in said


def test_what_is_running_is_started_and_deleted_by_nobody_else(run_dir) -> None:
    start_run(recipe(), run_dir)
    for attempt in (resume_run, finish_run_process, delete_run):
        with pytest.raises(LatentLabError, match=r"in use by process \d+"):
            attempt(run_dir)
    with pytest.raises(LatentLabError, match="is not empty"):
        start_run(recipe(), run_dir)
    wait_for(lambda: state(run_dir) == "training")
    pid = holder(run_dir)
    for attempt in (resume_run, finish_run_process, delete_run):
        with pytest.raises(LatentLabError, match=f"in use by process {pid}"):
            attempt(run_dir)
    assert holder(run_dir) == pid


def test_a_run_outlives_the_process_that_started_it(run_dir) -> None:
    code = (
        "import sys; from pathlib import Path; from latentlab.services import launcher, run_process"
        f"\nrun_process.command = lambda words: [sys.executable, {str(FAKE)!r}, *words]"
        f"\nprint(launcher.start_run({recipe()!r}, Path({str(run_dir)!r})), flush=True)"
        "\nsys.stdin.read()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with starter:
        pid = int(starter.stdout.readline())
        wait_for(lambda: state(run_dir) == "training")
        # As a closed terminal does to all that runs in it.
        os.killpg(starter.pid, 9)
    before = psutil.Process(pid)
    assert before.is_running()
    pause_run(run_dir)
    wait_for(lambda: state(run_dir) == "paused")
    assert holder(run_dir) == pid


@pytest.mark.parametrize(
    ("mark", "sentence"),
    [
        ("refused", "recipe.toml, line 3: 'model.width' is not known."),
        ("broken", "ModuleNotFoundError: No module named 'nosuch'"),
    ],
)
def test_a_start_that_fails_is_told_by_the_status(mark, sentence, run_dir) -> None:
    pid = start_run(recipe(mark), run_dir)
    wait_for(lambda: state(run_dir) == "failed")
    assert sentence in read_status(run_dir).message
    assert sentence in console_tail(run_dir / "console.log")
    wait_for(lambda: gone(pid))
    # Mended by hand, it starts again.
    text = (run_dir / "recipe.toml").read_text()
    (run_dir / "recipe.toml").write_text(text.replace(mark, ""))
    resume_run(run_dir)
    wait_for(lambda: state(run_dir) == "training")


def test_no_python_to_start_is_told_too(run_dir, monkeypatch) -> None:
    monkeypatch.setattr(run_process, "command", lambda words: ["/nosuch/python"])
    with pytest.raises(LatentLabError, match="could not be started"):
        start_run(recipe(), run_dir)
    assert state(run_dir) == "failed"
    assert "could not be started" in read_status(run_dir).message


def test_what_cannot_be_a_run_leaves_nothing(tmp_path, fake) -> None:
    with pytest.raises(LatentLabError, match=r"line 3: 'data\.nosuch' is"):
        start_run('[data]\nsource = "x"\nnosuch = 3\n', tmp_path / "a" / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(LatentLabError, match="cannot be written"):
        start_run(recipe(), tmp_path / "file" / "run")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    for act in (resume_run, pause_run, continue_run, stop_run, end_run, delete_run, duplicate_text):
        with pytest.raises(LatentLabError, match="is not a run folder"):
            act(tmp_path / "nosuch")


def test_a_killed_run_takes_its_children_along_and_can_go_on(run_dir) -> None:
    pid = start_run(recipe("child"), run_dir)
    wait_for(lambda: state(run_dir) == "training" and (run_dir / "child").exists())
    child = int((run_dir / "child").read_text())
    end_run(run_dir, 10)
    wait_for(lambda: gone(pid) and gone(child))
    assert state(run_dir) == "interrupted"
    for act in (end_run, stop_run, pause_run, continue_run):
        with pytest.raises(LatentLabError, match="is not running"):
            act(run_dir)
    (run_dir / "PAUSE").touch()
    second = resume_run(run_dir)
    wait_for(lambda: state(run_dir) == "training")
    assert holder(run_dir) == second != pid
    assert "--resume" in console_tail(run_dir / "console.log")


def test_a_wish_that_cannot_be_withdrawn_is_a_sentence(run_dir) -> None:
    made_run(run_dir)
    # A folder of that name: it cannot be unlinked.
    (run_dir / "STOP").mkdir()
    with pytest.raises(LatentLabError, match=r"STOP' cannot be removed .*check the folder"):
        resume_run(run_dir)
    assert state(run_dir) == "stopped"


def test_the_process_of_another_user_is_not_ended_but_told(run_dir, monkeypatch) -> None:
    pid = start_run(recipe("slow"), run_dir)
    wait_for(lambda: state(run_dir) == "training")

    def refuse(_process: psutil.Process) -> None:
        raise psutil.AccessDenied(pid)

    with monkeypatch.context() as other_user:
        other_user.setattr(psutil.Process, "kill", refuse)
        with pytest.raises(LatentLabError, match=f"another user, whose process {pid}.*stop the"):
            end_run(run_dir)
    end_run(run_dir, 10)
    wait_for(lambda: gone(pid))


def test_stopped_while_it_starts_a_run_does_not_start(run_dir, monkeypatch) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(run_process, "command", lambda words: sleep)
    pid = start_run(recipe(), run_dir)
    assert state(run_dir) == "starting"
    stop_run(run_dir)
    wait_for(lambda: gone(pid))
    assert state(run_dir) == "stopped"
    pid = resume_run(run_dir)
    assert state(run_dir) == "starting"
    end_run(run_dir, 10)
    wait_for(lambda: gone(pid))
    assert state(run_dir) == "stopped"


def made_run(path: Path, **status: object) -> Path:
    path.mkdir(parents=True)
    (path / "recipe.toml").write_text(parse_recipe(recipe(), default_id=path.name).to_toml())
    write_status(RunFolder(path), RunStatus(**({"state": "stopped"} | status)))
    return path


def test_only_the_very_process_that_holds_a_run_is_ended(tmp_path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        path = made_run(tmp_path / "run", state="training", pid=other.pid)
        lock = {"pid": other.pid, "host": socket.gethostname(), "created": time.time() - 9999}
        (path / "lock").write_text(json.dumps(lock))
        with pytest.raises(LatentLabError, match="not running"):
            end_run(path, 10)
        lock = {"pid": other.pid, "host": "far-away", "created": time.time()}
        (path / "lock").write_text(json.dumps(lock))
        far = RunStatus(state="training", pid=other.pid, host="far-away", time=time.time())
        write_status(RunFolder(path), far)
        with pytest.raises(LatentLabError, match="trained on 'far-away'"):
            end_run(path, 10)
        with pytest.raises(LatentLabError, match="on 'far-away'"):
            delete_run(path)
        # Files reach it all the same.
        stop_run(path)
        pause_run(path)
        assert (path / "STOP").exists()
        assert (path / "PAUSE").exists()
        assert other.poll() is None
        own = {"pid": os.getpid(), "host": socket.gethostname()}
        own["created"] = psutil.Process().create_time()
        (path / "lock").write_text(json.dumps(own))
        with pytest.raises(LatentLabError, match="this very process"):
            end_run(path, 10)
    finally:
        other.kill()
        other.wait()


def test_images_are_named_by_their_whole_path_and_our_own_data_by_their_name(
    run_dir, tmp_path, monkeypatch
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "portraits").mkdir()
    monkeypatch.chdir(tmp_path)
    text = recipe().replace("held_out.count = 6", 'held_out.source = "portraits:count=9"')
    start_run(text.replace("portraits:count=60,seed=1", "photos"), run_dir)
    data = parse_recipe((run_dir / "recipe.toml").read_text()).data
    assert data.source == str(tmp_path / "photos")
    assert data.held_out.source == "portraits:count=9"


def test_a_warm_start_is_kept_for_a_second_try(run_dir, tmp_path) -> None:
    weights = tmp_path / "weights.safetensors"
    start_run(recipe("refused"), run_dir, warm_start=weights)
    wait_for(lambda: state(run_dir) == "failed")
    resume_run(run_dir)
    starts = (run_dir / "console.log").read_text().splitlines()
    assert sum(f"--warm-start {weights}" in line for line in starts) == 2


def test_a_stopped_run_is_measured_as_it_stands(run_dir) -> None:
    start_run(recipe(), run_dir)
    wait_for(lambda: state(run_dir) == "training")
    stop_run(run_dir)
    wait_for(lambda: state(run_dir) == "stopped" and holder(run_dir) is None)
    finish_run_process(run_dir)
    wait_for(lambda: state(run_dir) == "finished")
    empty = made_run(run_dir.parent / "empty")
    with pytest.raises(LatentLabError, match="saved nothing yet"):
        finish_run_process(empty)


# Names, copies and the trash.


def test_free_names_are_folders_that_are_not_there(tmp_path) -> None:
    assert free_run_dir(tmp_path, "faces").name == "faces"
    (tmp_path / "faces").mkdir()
    assert free_run_dir(tmp_path, "faces").name == "faces-2"
    (tmp_path / "faces-2").mkdir()
    assert free_run_dir(tmp_path, "faces").name == "faces-3"
    assert free_run_dir(tmp_path, "faces-2").name == "faces-3"
    assert free_run_dir(tmp_path, "../../etc/Mädchen & Hut").name == "etc-Mädchen-Hut"
    assert free_run_dir(tmp_path, " .. ").name == "run"
    assert free_run_dir(tmp_path, "x" * 300).parent == tmp_path


def test_a_duplicate_is_the_recipe_without_the_name_of_the_run(tmp_path) -> None:
    path = made_run(tmp_path / "faces")
    text = duplicate_text(path)
    assert parse_recipe(text, default_id="faces-2").output.id == "faces-2"
    assert parse_recipe(text).train == parse_recipe(recipe()).train
    named = parse_recipe(recipe().replace("title", 'id = "kept"\ntitle'))
    (path / "recipe.toml").write_text(named.to_toml())
    assert parse_recipe(duplicate_text(path)).output.id == "kept"
    (path / "recipe.toml").write_text("half a reci")
    assert duplicate_text(path) == "half a reci"
    (path / "recipe.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LatentLabError, match="cannot be read"):
        duplicate_text(path)


def test_a_deleted_run_comes_back_whole_and_is_gone_after_a_week(tmp_path) -> None:
    path = made_run(tmp_path / "faces.v1")
    (path / "samples").mkdir()
    before = sorted(p.name for p in path.iterdir())
    trash = delete_run(path)
    assert not path.exists()
    assert find_runs([tmp_path]) == []
    assert [run.name for run in trashed_runs(tmp_path)] == ["faces.v1"]
    made_run(tmp_path / "faces.v1")
    back = restore_run(trash)
    assert back == tmp_path / "faces.v1-2"
    assert sorted(p.name for p in back.iterdir()) == before
    with pytest.raises(LatentLabError, match="not in the trash"):
        restore_run(trash)
    with pytest.raises(LatentLabError, match="not in the trash"):
        restore_run(back)
    old = tmp_path / ".trash" / "1000000.0.long-ago"
    old.mkdir()
    first, second = delete_run(back), delete_run(path)
    wait_for(lambda: not old.exists())
    kept = tmp_path / ".trash" / "notes.txt"
    kept.write_text("not a run")
    purge_trash(tmp_path, time.time() + 6.9 * 86400)
    assert first.exists()
    purge_trash(tmp_path, time.time() + 7.1 * 86400)
    assert not first.exists()
    assert not second.exists()
    assert kept.exists()


def test_deleting_a_link_to_a_run_leaves_the_run(tmp_path) -> None:
    real = made_run(tmp_path / "elsewhere" / "run")
    root = tmp_path / "runs"
    root.mkdir()
    (root / "linked").symlink_to(real, target_is_directory=True)
    delete_run(root / "linked")
    purge_trash(root, time.time() + 8 * 86400)
    assert not trashed_runs(root)
    assert (real / "recipe.toml").exists()


# Estimates.


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def answer(process: EstimateProcess) -> object:
    wait_for(lambda: process.poll() is not None)
    return process.poll()


def test_an_estimate_is_the_figures_or_a_sentence(fake, scratch) -> None:
    assert answer(EstimateProcess(recipe())) == {"parameters": 12, "images_per_second": 3.5}
    refused = answer(EstimateProcess(recipe("refused")))
    assert isinstance(refused, Failure)
    assert refused.message == "[model] width is too large."
    assert "a line before" in refused.details
    wrong = EstimateProcess("[model]\nfamly = 3\n")
    assert isinstance(wrong.poll(), Failure)
    wrong.cancel()
    noise = answer(EstimateProcess(recipe("noise")))
    assert isinstance(noise, Failure)
    assert not list(scratch.iterdir())


@pytest.mark.parametrize("cancel", [True, False], ids=["cancelled", "forgotten"])
def test_an_estimate_that_nobody_wants_leaves_nothing(
    cancel, fake, scratch, tmp_path, monkeypatch
) -> None:
    mark = tmp_path / "pid"
    monkeypatch.setenv("FAKE_PID", str(mark))
    process = EstimateProcess(recipe("slow"))
    wait_for(lambda: mark.exists() and mark.read_text())
    assert process.poll() is None
    if cancel:
        process.cancel()
        assert process.poll() is None
    del process
    wait_for(lambda: gone(int(mark.read_text())))
    wait_for(lambda: not list(scratch.iterdir()))


def test_a_process_that_a_device_holds_holds_up_nobody_who_cancels(
    fake, scratch, tmp_path, monkeypatch
) -> None:
    mark, release = tmp_path / "pid", threading.Event()
    monkeypatch.setenv("FAKE_PID", str(mark))
    process = EstimateProcess(recipe("slow"))
    wait_for(lambda: mark.exists() and mark.read_text())
    really = subprocess.Popen.wait

    def held(popen: subprocess.Popen, timeout: float | None = None) -> int:
        assert threading.current_thread() is not threading.main_thread()
        assert release.wait(30)
        return really(popen, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", held)
    process.cancel()
    assert process.poll() is None
    release.set()
    wait_for(lambda: not list(scratch.iterdir()))
    assert gone(int(mark.read_text()))


# The real thing.


@pytest.mark.slow
def test_the_real_command_trains_in_the_background(tmp_path) -> None:
    path = tmp_path / "tiny"
    pid = start_run(RECIPE, path)
    wait_for(lambda: gone(pid) and state(path) in ("finished", "failed"), 120)
    assert state(path) == "finished", console_tail(path / "console.log")
    assert (path / "model.safetensors").exists()
    bad = tmp_path / "bad"
    start_run(RECIPE.replace("portraits:count=60,seed=1", "nosuch-photos"), bad)
    wait_for(lambda: state(bad) == "failed", 120)
    assert "nosuch-photos" in read_status(bad).message
