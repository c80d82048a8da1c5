"""Watching runs: their files, thousands of them, other machines, and the process that looks."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from latentlab.core.run_status import find_runs
from latentlab.core.runs import RunFolder
from latentlab.services import run_watch, run_watch_files, run_watch_process
from latentlab.services.run_curves import Curves
from latentlab.services.run_watch import RunWatcher
from latentlab.services.run_watch_events import EventsReader
from latentlab.services.run_watch_files import FilesReader, Heartbeats, RunsReader, is_whole
from latentlab.services.run_watch_parse import Merger
from latentlab.services.run_watch_protocol import Piece, RunFiles, RunsFound, Told, Wishes
from tests.services.run_lines import line, make_run, save, steps

# Files beside the events.


def test_samples_and_checkpoints_are_those_of_the_history_that_are_there(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.samples.mkdir()
    for step in (100, 200, 300):
        folder.sample(step).write_bytes(b"png")
        save(folder.checkpoint(step))
    folder.recipe.write_text("name = 1")
    merger = Merger()
    merger.samples = {200: "step_0000200.png", 100: "step_0000100.png", 50: "step_0000050.png"}
    merger.checkpoints = {100: "step_0000100.safetensors", 200: "step_0000200.safetensors"}
    reader = FilesReader(tmp_path)
    # Before the history is known, all that lies there.
    early = reader.poll(Merger(), known=False)
    assert early is not None
    assert [sheet.step for sheet in early.samples] == [100, 200, 300]
    found = reader.poll(merger, known=True)
    assert found is not None
    assert [(s.step, s.path) for s in found.samples] == [
        (step, folder.sample(step)) for step in (100, 200)
    ]
    assert found.checkpoint is not None
    assert (found.checkpoint.step, found.checkpoint.path) == (200, folder.checkpoint(200))
    assert found.recipe == "name = 1"
    assert reader.poll(merger, known=True) is None
    # A half one does not count, nor one that is gone.
    folder.checkpoint(200).write_bytes(folder.checkpoint(200).read_bytes()[:-1])
    folder.sample(100).unlink()
    folder.console.write_text("line 1\n")
    found = reader.poll(merger, known=True)
    assert found is not None
    assert [sheet.step for sheet in found.samples] == [200]
    assert found.checkpoint is not None
    assert found.checkpoint.step == 100
    assert found.console == "line 1\n"
    for path in folder.checkpoint_files():
        path.unlink()
    save(folder.model)
    merger.model = (300, "model.safetensors")
    found = reader.poll(merger, known=True)
    assert found is not None
    assert found.checkpoint is not None
    assert found.checkpoint.path == folder.model


def test_a_run_without_anything_has_nothing(tmp_path: Path) -> None:
    assert FilesReader(tmp_path / "no such").poll(Merger(), known=True) == RunFiles()


def test_events_name_files_inside_their_run_only(tmp_path: Path) -> None:
    text = line("sample", step=1, path="../../secret.png") + line("sample", step=2, path="C:\\x")
    text += line("sample", step=3, path="/etc/passwd") + line("sample", step=4, path="a/..")
    path = tmp_path / "events.jsonl"
    reader = EventsReader(path)
    path.write_text(text)
    assert len(list(reader.poll())) == 1
    assert reader.merger.samples == {1: "secret.png", 2: "x", 3: "passwd"}


def test_a_checkpoint_is_whole_when_it_is_as_long_as_it_says(tmp_path: Path) -> None:
    path = save(tmp_path / "a.safetensors")
    assert is_whole(path)
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole + b"x", whole[:20], b"", b"\xff" * 100, b"\5" + b"\0" * 30):
        path.write_bytes(damaged)
        assert not is_whole(path)
    assert not is_whole(tmp_path / "none")


# Many runs.


def test_runs_are_those_that_are_found_by_looking_once(tmp_path: Path) -> None:
    for number in range(12):
        make_run(tmp_path / f"run{number}", time=float(number), host="elsewhere")
    make_run(tmp_path / "bare")
    (tmp_path / "no run").mkdir()
    make_run(tmp_path / ".trash")
    (tmp_path / "file").write_text("x")
    reader = RunsReader(tmp_path)
    found = list(reader.poll(whole=True))
    assert found[-1].whole
    expected = {run.path: run for run in find_runs([tmp_path])}
    assert {run.path: run for part in found for run in part.changed} == expected == reader.runs
    # Nothing changed: one word that all was looked at.
    assert list(reader.poll(whole=True)) == [RunsFound(tmp_path)]
    make_run(tmp_path / "run3", time=99.0, state="failed")
    RunFolder(tmp_path / "run5").recipe.unlink()
    make_run(tmp_path / "new")
    (last,) = reader.poll(whole=True)
    assert {run.name for run in last.changed} == {"run3", "new"}
    assert last.removed == (tmp_path / "run5",)
    assert reader.runs == {run.path: run for run in find_runs([tmp_path])}


def test_a_folder_that_goes_takes_its_runs_and_brings_them_back(tmp_path: Path) -> None:
    root = tmp_path / "share"
    make_run(root / "a", time=1.0)
    reader = RunsReader(root)
    list(reader.poll(whole=True))
    root.rename(tmp_path / "away")
    assert [part.removed for part in reader.poll(whole=True)] == [(root / "a",)]
    (tmp_path / "away").rename(root)
    (back,) = reader.poll(whole=True)
    assert [run.name for run in back.changed] == ["a"]
    # A root may be a run itself.
    assert [run.name for p in RunsReader(root / "a").poll(True) for run in p.changed] == ["a"]


def test_runs_of_a_share_that_does_not_answer_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "share"
    make_run(root / "a", time=time.time(), state="training", host="elsewhere")
    reader = RunsReader(root)
    list(reader.poll(whole=True))

    def hang(_path: Path) -> Any:
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as broken:
        broken.setattr(run_watch_files.os, "scandir", hang)
        broken.setattr(run_watch_files, "stamp_of", lambda _path: None)
        for whole in (True, False):
            assert not [path for part in reader.poll(whole) for path in part.removed]
    assert list(reader.poll(whole=True)) == [RunsFound(root)]
    assert list(reader.runs) == [root / "a"]


def test_thousands_of_runs_are_all_found_and_then_only_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2500):
        path = tmp_path / f"run{number}"
        path.mkdir()
        (path / "recipe.toml").touch()
    reader = RunsReader(tmp_path)
    parts = list(reader.poll(whole=True))
    assert sum(len(part.changed) for part in parts) == 2500
    assert max(len(part.changed) for part in parts) <= 200

    def refuse(_path: Path) -> None:
        raise AssertionError("a run that did not change was read again")

    monkeypatch.setattr(run_watch_files, "summary", refuse)
    assert list(reader.poll(whole=True)) == [RunsFound(tmp_path)]
    assert list(reader.poll(whole=False)) == []


def test_a_run_of_another_machine_lives_while_its_status_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock is a day behind, then a day ahead; what counts is whether it writes."""
    now = 1000.0
    monkeypatch.setattr(run_watch_files.time, "monotonic", lambda: now)
    for name, offset in (("behind", -86_400.0), ("ahead", 86_400.0)):
        reader = RunsReader(tmp_path / name)
        written = 5e9 if offset > 0 else 1e6
        for tick in range(4):
            make_run(
                tmp_path / name / "run",
                state="training",
                host="far",
                time=written + tick,
                step=tick,
            )
            list(reader.poll(whole=True))
            now += 2.0
        (run,) = reader.runs.values()
        assert run.state == "training"
        now += 61.0
        list(reader.poll(whole=True))
        (run,) = reader.runs.values()
        assert run.state == "interrupted"
        make_run(tmp_path / name / "run", state="training", host="far", time=written + 9)
        list(reader.poll(whole=True))
        (run,) = reader.runs.values()
        assert run.state == "training"


def test_a_run_of_this_machine_is_judged_by_its_process(tmp_path: Path) -> None:
    make_run(tmp_path / "run", state="training", host=socket.gethostname(), time=1e12)
    (found,) = RunsReader(tmp_path / "run").poll(whole=True)
    assert [run.state for run in found.changed] == ["interrupted"]
    assert Heartbeats().judge(found.changed[0]) == found.changed[0]


# The process.


def wait_for(found: Callable[[], bool], seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < limit
        time.sleep(0.01)


class News:
    """Keeps what a watcher tells."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self.curves: dict[Path, Curves] = {}

    def __call__(self, news: Any) -> None:
        self.all.append(news)
        if isinstance(news, Told) and isinstance(news.what, Piece):
            self.curves.setdefault(news.path, Curves()).take(news.what)

    def rows(self, path: Path) -> int:
        return len(self.curves.get(path, ()))


@pytest.fixture
def watcher(news: News):
    watcher = RunWatcher(news)
    yield watcher
    watcher.stop()
    assert not [t for t in threading.enumerate() if t.name.startswith("latentlab-runs")]


@pytest.fixture
def news() -> News:
    return News()


def test_a_process_tells_about_runs_until_it_is_stopped(
    watcher: RunWatcher, news: News, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", time=1.0)
    events = RunFolder(run).events
    events.write_text(steps(1, 100))
    assert watcher.pid is None
    watcher.wish(Wishes((tmp_path,), ((run, 1),)))
    wait_for(lambda: news.rows(run) == 100)
    wait_for(lambda: any(isinstance(n, RunsFound) and n.changed for n in news.all))
    with events.open("a") as stream:
        stream.write(steps(101, 120))
    wait_for(lambda: news.rows(run) == 120)
    files = [n.what for n in news.all if isinstance(n, Told) and isinstance(n.what, RunFiles)]
    assert files[0].recipe == "x = 1"
    assert watcher.pid is not None
    process = psutil.Process(watcher.pid)
    if sys.platform.startswith("linux"):
        # The first look does not wait for training; what follows does.
        threads = (Path(f"/proc/{process.pid}/task/{t.id}/stat") for t in process.threads())
        nice = sorted(int(stat.read_text().rpartition(")")[2].split()[16]) for stat in threads)
        assert nice[0] == psutil.Process().nice()
        assert nice[-2:] == [nice[0] + run_watch_process.NICENESS] * 2
    watcher.wish(Wishes((tmp_path,), ()))
    watcher.stop()
    assert not psutil.pid_exists(process.pid)
    # A wish after the end is no wish.
    watcher.wish(Wishes((tmp_path,), ((run, 2),)))
    assert watcher.pid is None


def test_what_cannot_be_looked_at_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_watch_process, "_HIDDEN_SECONDS", 0.01)
    turns: list[bool] = []

    class Stumbling(run_watch_process._Watcher):
        def _turn(self, woken: bool) -> float:
            turns.append(woken)
            if len(turns) < 3:
                raise OverflowError("a number that nobody foresaw")
            self.end()
            return 0.0

    watcher = Stumbling(None, None)  # type: ignore[arg-type]
    watcher.start()
    watcher._thread.join(30)
    assert len(turns) == 3


def test_a_process_that_dies_is_started_again_without_a_word(
    watcher: RunWatcher, news: News, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run")
    RunFolder(run).events.write_text(steps(1, 100))
    watcher.wish(Wishes((), ((run, 1),)))
    wait_for(lambda: news.rows(run) == 100)
    assert watcher.pid is not None
    psutil.Process(watcher.pid).kill()
    with RunFolder(run).events.open("a") as stream:
        stream.write(steps(101, 120))
    wait_for(lambda: news.rows(run) == 120)
    assert all(isinstance(n, Told | None) for n in news.all)


def test_a_process_that_keeps_dying_is_told_once(
    watcher: RunWatcher, news: News, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_watch, "_BACK_OFF", (0.01, 0.01, 0.01, 60.0))
    monkeypatch.setattr(run_watch, "watch_main", os._exit)
    watcher.wish(Wishes((tmp_path,)))
    wait_for(lambda: bool(news.all))
    (failure,) = news.all
    assert "watches training runs" in failure.message
