from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.run_lock import RunLock
from latentlab.core.run_status import (
    SILENT_SECONDS,
    RunStatus,
    find_runs,
    read_status,
    summary,
    write_status,
)
from latentlab.core.runs import RunFolder, holder, step_of

HERE = socket.gethostname()


def run(path: Path, **status) -> RunFolder:
    folder = RunFolder(path)
    path.mkdir(parents=True, exist_ok=True)
    folder.recipe.write_text("")
    if status:
        write_status(folder, RunStatus(**status))
    return folder


def state(path: Path) -> str:
    found = summary(path)
    assert found is not None
    return found.state


def test_a_folder_without_a_recipe_is_no_run(tmp_path: Path) -> None:
    assert summary(tmp_path) is None
    assert summary(tmp_path / "nothing") is None
    run(tmp_path)
    assert state(tmp_path) == "stopped"


def test_a_status_is_judged_by_its_process_here(tmp_path: Path) -> None:
    folder = run(tmp_path, state="training", host=HERE, pid=os.getpid(), time=time.time())
    assert state(tmp_path) == "interrupted"
    with RunLock(folder):
        assert holder(tmp_path) == os.getpid()
        found = summary(tmp_path)
        assert found is not None
        assert (found.state, found.active) == ("training", True)
    assert state(tmp_path) == "interrupted"
    write_status(folder, RunStatus(state="finished", host=HERE, pid=os.getpid(), time=1.0))
    assert state(tmp_path) == "finished"


def test_a_status_is_judged_by_its_age_elsewhere(tmp_path: Path) -> None:
    now = time.time()
    for age, told in ((0, "training"), (SILENT_SECONDS / 2, "training"), (600, "interrupted")):
        run(tmp_path, state="training", host="elsewhere", pid=os.getpid(), time=now - age)
        assert state(tmp_path) == told


def test_a_killed_process_leaves_an_interrupted_run(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from latentlab.core.run_lock import RunLock\n"
        "from latentlab.core.runs import RunFolder\n"
        "with RunLock(RunFolder(Path(sys.argv[1]))):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(words, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"held"
        run(tmp_path, state="training", host=HERE, pid=process.pid, time=time.time())
        assert holder(tmp_path) == process.pid
        assert state(tmp_path) == "training"
        with pytest.raises(LatentLabError) as caught, RunLock(RunFolder(tmp_path)):
            pass
        process.kill()
    told = caught.value.message
    assert f"in use by process {process.pid} on '{HERE}' since {time.strftime('%Y-')}" in told
    assert "stop that run first or choose another folder" in told
    assert state(tmp_path) == "interrupted"
    with RunLock(RunFolder(tmp_path)):
        assert holder(tmp_path) == os.getpid()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "dancing"}', '{"state": 3}', "\x00"])
def test_a_damaged_status_is_no_status(tmp_path: Path, text: str) -> None:
    run(tmp_path).status.write_text(text)
    assert read_status(tmp_path) is None
    assert state(tmp_path) == "stopped"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1, "host": "a"}', "\x00"])
def test_a_damaged_lock_names_nobody(tmp_path: Path, text: str) -> None:
    folder = run(tmp_path)
    folder.lock.write_text(text)
    # Older than the moment that its owner takes to write it.
    os.utime(folder.lock, (time.time() - 60,) * 2)
    assert holder(tmp_path) is None
    with RunLock(folder):
        assert json.loads(folder.lock.read_text())["pid"] == os.getpid()
    assert not folder.lock.exists()


def test_runs_are_found_newest_first(tmp_path: Path) -> None:
    for name, at in (("a", 10.0), ("b", 30.0), ("c", 20.0)):
        run(tmp_path / "runs" / name, state="stopped", time=at)
    (tmp_path / "runs" / ".trash").mkdir()
    (tmp_path / "runs" / "file").write_text("")
    single = run(tmp_path / "single", state="stopped", time=5.0).path
    found = find_runs([tmp_path / "runs", single, tmp_path / "gone", tmp_path / "runs" / "b"])
    assert [one.name for one in found] == ["b", "c", "a", "single"]


def test_checkpoints_are_in_the_order_of_their_steps(tmp_path: Path) -> None:
    folder = run(tmp_path)
    folder.checkpoints.mkdir()
    for name in ("step_10000000", "step_9999999", "step_0000002", "step_x", "other"):
        (folder.checkpoints / f"{name}.safetensors").touch()
    assert [step_of(path) for path in folder.checkpoint_files()] == [2, 9_999_999, 10_000_000]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"state": "training", "message": "' + "x" * 2**21 + '"}',
        '{"state": "training", "step": 1' + "0" * 400 + "}",
        '{"state": "training", "step": -5}',
        '{"state": "training", "time": NaN}',
        '{"state": "training", "time": "inf"}',
        '{"state": "training", "seconds_left": Infinity}',
        "\0" * 100,
    ],
    ids=["deep", "huge", "digits", "negative", "nan", "inf", "infinity", "nul"],
)
def test_a_status_of_garbage_says_nothing(tmp_path: Path, text: str) -> None:
    folder = run(tmp_path)
    folder.status.write_text(text)
    assert read_status(tmp_path) is None
    assert state(tmp_path) == "stopped"


def test_a_lock_of_garbage_is_held_by_nobody(tmp_path: Path) -> None:
    folder = run(tmp_path, state="training", host=HERE, pid=os.getpid(), time=time.time())
    for text in ("[" * 200_000, '{"pid": 1, "host": "' + "x" * 2**21):
        folder.lock.write_text(text)
        assert holder(tmp_path) is None
        assert state(tmp_path) == "interrupted"


def test_a_run_was_made_when_its_recipe_was_written(tmp_path: Path) -> None:
    folder = run(tmp_path)
    os.utime(folder.recipe, (5e8, 5e8))
    found = summary(tmp_path)
    assert found is not None
    assert found.made == 5e8
