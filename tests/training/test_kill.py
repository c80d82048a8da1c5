"""Killed at ten random moments, a run is the one that was never killed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from latentlab.core import modelfile
from latentlab.core.run_events import EventTail, read_events
from latentlab.core.run_status import summary
from latentlab.core.runs import RunFolder, holder
from latentlab.training.run import resume, train
from latentlab.training.state import saved_step
from tests.training import tiny
from tests.training.test_run import REPOSITORY, losses, same_weights, silent

STEPS = 400
CHECKPOINT_MINUTES = 1e-4

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")


def start(run_dir: Path) -> subprocess.Popen[bytes]:
    words = [run_dir, STEPS, CHECKPOINT_MINUTES, 0.004]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.tiny", *map(str, words)],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
    )


def wait_for(process: subprocess.Popen[bytes], word: bytes) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(word):
            return
    raise AssertionError(f"the process ended without '{word.decode()}'")


def halves(folder: RunFolder) -> list[str]:
    places = (folder.path, folder.state, folder.checkpoints)
    return [p.name for place in places for p in place.glob(".*") if p.is_file()]


def kill_somewhere(folder: RunFolder, rng: random.Random, moment: str) -> str:
    """Start the run, kill it, and return where it was."""
    with start(folder.path) as process:
        if moment == "starting":
            while holder(folder.path) != process.pid:
                time.sleep(0.002)
                assert process.poll() is None
            time.sleep(rng.uniform(0.0, 0.05))
        else:
            wait_for(process, b"step")
            time.sleep(rng.uniform(0.0, 0.5))
            while moment == "writing" and not list(folder.state.glob(".*")):
                assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    last = [e.step for e in EventTail(folder).poll() if e.kind == "step"]
    state = saved_step(folder)
    return f"{moment}: last step {last[-1] if last else 0}, saved {state}, halves {halves(folder)}"


class PowerLost(BaseException):
    pass


def told(run_dir: Path) -> list[str]:
    """What the events say of steps and checkpoints, each once."""
    kinds = {"step": ("loss", "losses", "grad_norm"), "checkpoint": ("held_out_loss", "best")}
    found = [
        (e.kind, e.step, *map(e.data.get, kinds[e.kind]))
        for e in read_events(run_dir)
        if e.kind in kinds
    ]
    return list(dict.fromkeys(map(repr, found)))


def test_every_writing_may_be_the_last(tmp_path: Path, monkeypatch) -> None:
    def run(place: Path, count: int) -> int:
        """Train with a checkpoint a step until the power is lost; return the writings."""
        done = 0
        rename = modelfile._rename

        def failing(temporary: Path, path: Path) -> None:
            nonlocal done
            watched = threading.current_thread() is threading.main_thread()
            done += watched
            rename(temporary, path)
            if watched and done == count:
                raise PowerLost

        with monkeypatch.context() as patch:
            patch.setattr(modelfile, "_rename", failing)
            with contextlib.suppress(PowerLost):
                train(recipe, place, resume=True, on_event=silent)
        return done

    recipe = tiny.recipe(2, minutes=1e-9, train__keep_checkpoints=1)
    whole, lost = tmp_path / "whole", tmp_path / "lost"
    writings = run(whole, 0)
    assert writings >= 12
    for count in range(1, writings + 1):
        shutil.rmtree(lost, ignore_errors=True)
        run(lost, count)
        train(recipe, lost, resume=True, on_event=silent)
        assert told(lost) == told(whole), count
        assert same_weights(lost / "model.safetensors", whole / "model.safetensors")
        kept = [sorted(p.name for p in RunFolder(d).checkpoints.iterdir()) for d in (whole, lost)]
        assert kept[0] == kept[1], count
        assert RunFolder(lost).best.read_text() == RunFolder(whole).best.read_text()
        assert halves(RunFolder(lost)) == []


@pytest.mark.slow
def test_ten_kills_leave_no_trace(tmp_path: Path) -> None:
    train(tiny.recipe(STEPS), tmp_path / "whole", on_event=silent)
    folder, rng = RunFolder(tmp_path / "killed"), random.Random(20)
    moments = ["training"] * 5 + ["writing"] * 3 + ["starting"] * 2
    rng.shuffle(moments)
    written = 0
    for number, moment in enumerate(moments):
        print(number, kill_somewhere(folder, rng, moment))
        written += bool(halves(folder))
        run = summary(folder.path)
        # A run that was killed before its first step is not in the way of the next start.
        assert run is None or run.state == "interrupted"
        if number % 3 == 1:
            with folder.events.open("ab") as stream:
                stream.write(
                    rng.randbytes(40).replace(b"\n", b" ") if number % 2 else b'{"kind": "st'
                )
    assert written >= 3, "no kill came in the middle of a writing"
    step = saved_step(folder)
    assert step is not None
    assert 0 < step < STEPS
    # An index of a state that was never renamed, and a lock of the process that is gone.
    (folder.state / ".state.json.0.part").write_text('{"version": 1, "st')
    assert folder.lock.exists()
    resume(folder.path, on_event=silent)
    raw = EventTail(folder).poll()
    attempts = sorted({e.attempt for e in raw})
    assert attempts == list(range(1, len(attempts) + 1))
    assert len(attempts) >= 9
    steps = [e.step for e in raw if e.kind == "step"]
    assert len(steps) > STEPS, "nothing was done twice: no kill lost a step"
    assert [e.step for e in read_events(folder.path) if e.kind == "step"] == list(
        range(1, STEPS + 1)
    )
    assert losses(folder.path) == losses(tmp_path / "whole")
    assert same_weights(folder.model, tmp_path / "whole" / "model.safetensors")
    assert halves(folder) == []
    assert not folder.lock.exists()
