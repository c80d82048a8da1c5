"""Who holds a run folder: one process at a time, on one machine or several."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from latentlab.core import run_lock
from latentlab.core.errors import LatentLabError
from latentlab.core.run_events import read_events
from latentlab.core.run_lock import RunLock
from latentlab.core.run_status import RunStatus, read_status, write_status
from latentlab.core.runs import RunFolder, holder
from latentlab.training.run import finish_run, resume, train
from tests.training import tiny
from tests.training.test_run import REPOSITORY, silent


def elsewhere(folder: RunFolder, age: float) -> None:
    then = time.time() - age
    record = {"pid": 77, "host": "elsewhere", "created": then - 50, "since": then - 40}
    folder.lock.write_text(json.dumps(record))
    status = RunStatus(state="training", host="elsewhere", pid=77, time=then)
    write_status(folder, status)
    for path in (folder.lock, folder.status):
        os.utime(path, (then, then))


def test_a_machine_that_fell_silent_can_be_taken_over(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    train(tiny.recipe(9), tmp_path, max_steps=3, on_event=silent)
    elsewhere(folder, 5.0)
    for take_over in (False, True):
        with pytest.raises(
            LatentLabError, match=r"in use by process 77 on 'elsewhere' since \d{4}"
        ):
            resume(tmp_path, take_over=take_over, on_event=silent)
    elsewhere(folder, 1200.0)
    with pytest.raises(LatentLabError, match=r"told nothing for 20 min: .*--take-over"):
        resume(tmp_path, on_event=silent)
    assert resume(tmp_path, take_over=True, on_event=silent).step == 9


def test_the_clocks_of_two_machines_may_differ(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for ahead in (-3600.0, 3600.0):
        # It wrote just now, though its own clock says otherwise.
        elsewhere(folder, 0.0)
        status = RunStatus(state="training", host="elsewhere", pid=77, time=time.time() + ahead)
        write_status(folder, status)
        with pytest.raises(LatentLabError, match=r"at work \d s ago"), RunLock(folder, True):
            pass
        os.utime(folder.status, (time.time() - 600,) * 2)
        os.utime(folder.lock, (time.time() - 900,) * 2)
        with pytest.raises(LatentLabError, match="told nothing for 10 min"), RunLock(folder):
            pass
    with RunLock(folder, True):
        pass
    assert not list(tmp_path.glob(".*"))


def test_a_clock_that_is_set_leaves_the_lock_alone(tmp_path: Path, monkeypatch) -> None:
    folder = RunFolder(tmp_path)
    with RunLock(folder):
        if not json.loads(folder.lock.read_text())["boot"]:
            pytest.skip("this machine has no name for a start of its own")
        began, booted = psutil.Process.create_time, psutil.boot_time
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: began(self) - 7200)
        monkeypatch.setattr(psutil, "boot_time", lambda: booted() - 7200)
        assert holder(tmp_path) == os.getpid()
        with pytest.raises(LatentLabError, match="in use by process"), RunLock(folder):
            pass
        # Another process that got the same number since is not the holder.
        monkeypatch.setattr(psutil, "boot_time", lambda: booted() - 7100)
        assert holder(tmp_path) is None


def test_another_process_may_remove_a_stale_lock_first(tmp_path: Path, monkeypatch) -> None:
    folder = RunFolder(tmp_path)
    record = {"pid": 2**22 + 1, "host": socket.gethostname(), "created": 1.0}
    guard = tmp_path / ".lock.part"
    touch, quick = Path.touch, run_lock.time.sleep

    def before_me(path: Path, *words, **named) -> None:
        if path == guard:
            folder.lock.unlink(missing_ok=True)
        touch(path, *words, **named)

    folder.lock.write_text(json.dumps(record))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", before_me)
        with RunLock(folder):
            pass

    def gone_meanwhile(path: Path, *words, **named) -> None:
        if path == guard and not tried:
            tried.append(path)
            raise FileExistsError
        touch(path, *words, **named)

    tried: list[Path] = []
    folder.lock.write_text(json.dumps(record))
    monkeypatch.setattr(run_lock.time, "sleep", lambda _seconds: quick(0))
    monkeypatch.setattr(Path, "touch", gone_meanwhile)
    with RunLock(folder):
        assert tried


def test_a_run_that_was_taken_over_stops(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    seen = []

    def steal(event) -> None:
        seen.append(event)
        if event.kind == "step" and event.step == 4:
            record = {"pid": 9, "host": "elsewhere", "created": 1.0, "since": time.time()}
            folder.lock.write_text(json.dumps(record))
            status.append(read_status(tmp_path))
            deadline = time.time() + 20
            # Its status is not written any more once it has noticed.
            while not reporter_lost() and time.time() < deadline:
                time.sleep(0.02)

    from latentlab.training import attempt
    from latentlab.training import status as status_module

    status: list[RunStatus | None] = []
    keepers = []

    class Quick(status_module.StatusKeeper):
        def __init__(self, *words) -> None:
            super().__init__(*words, interval=0.02, heartbeat=0.05)
            keepers.append(self)

    def reporter_lost() -> bool:
        return keepers[0]._lost()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attempt, "StatusKeeper", Quick)
        with pytest.raises(LatentLabError, match="taken over by process 9 on 'elsewhere'"):
            train(tiny.recipe(30), tmp_path, on_event=steal)
    assert seen[-1].step <= 5
    assert json.loads(folder.lock.read_text())["host"] == "elsewhere"
    assert read_events(tmp_path)[-1].kind == "step"


def test_a_half_written_lock_is_stale(tmp_path: Path) -> None:
    RunFolder(tmp_path).lock.write_text('{"pid": 12')
    assert train(tiny.recipe(3), tmp_path, on_event=silent).step == 3
    RunFolder(tmp_path).lock.write_bytes(b"\xff\x00")
    os.utime(RunFolder(tmp_path).lock, (time.time() - 60,) * 2)
    (tmp_path / ".lock.part").touch()
    long_ago = time.time() - 60
    os.utime(tmp_path / ".lock.part", (long_ago, long_ago))
    assert finish_run(tmp_path, on_event=silent).model is not None


def test_only_one_of_many_takes_a_stale_lock(tmp_path: Path) -> None:
    record = {"pid": 2**22 + 1, "host": socket.gethostname(), "created": 1.0}
    (tmp_path / "lock").write_text(json.dumps(record))
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from latentlab.core.run_lock import RunLock\n"
        "from latentlab.core.runs import RunFolder\n"
        "from latentlab.core.errors import LatentLabError\n"
        "go = float(sys.argv[2])\ntime.sleep(max(go - time.time(), 0))\n"
        "try:\n    with RunLock(RunFolder(Path(sys.argv[1]))):\n"
        "        print('mine', flush=True)\n        sys.stdin.read()\n"
        "except LatentLabError as error:\n    print('refused', error.message)\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path), str(time.time() + 2.0)]
    pipe = subprocess.PIPE
    crowd = [
        subprocess.Popen(words, cwd=REPOSITORY, stdin=pipe, stdout=pipe, text=True)
        for _ in range(6)
    ]
    # Whoever has it keeps it until all have said what they found.
    told = [process.stdout.readline().split()[0] for process in crowd]
    for process in crowd:
        process.communicate(timeout=60)
    assert sorted(told) == ["mine"] + ["refused"] * 5
