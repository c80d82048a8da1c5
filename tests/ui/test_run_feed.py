"""Runs in the window: a real process watches real folders; the window's thread only takes."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.paths import runs_folder
from latentlab.core.requests import Failure
from latentlab.core.runs import RunFolder
from latentlab.core.settings import Settings
from tests.services.run_lines import line, make_run, save, steps

pytestmark = pytest.mark.gui
WAIT = 30_000


@pytest.fixture
def feed(qtbot):
    from latentlab.ui.run_feed import RunFeed

    feed = RunFeed(Settings())
    yield feed
    feed.stop()
    feed.deleteLater()


@pytest.fixture
def run() -> Path:
    """A run in the person's own folder, with a hundred steps."""
    path = make_run(runs_folder() / "first", time=5.0)
    RunFolder(path).events.write_text(line("start", step=0) + steps(1, 100))
    return path


def rows(feed, path: Path) -> int:
    curves = feed.curves(path)
    return 0 if curves is None else len(curves)


def test_nothing_runs_before_the_first_question(feed, run, qtbot):
    names = {thread.name for thread in threading.enumerate()}
    assert not [name for name in names if name.startswith("latentlab-runs")]
    assert feed.runs() == []
    assert not feed.looked
    qtbot.waitUntil(lambda: feed.looked, timeout=WAIT)
    assert [found.name for found in feed.runs()] == ["first"]
    assert feed.run(run).state == "finished"
    assert feed.run(run / "other") is None


def test_a_watched_run_is_read_and_followed(feed, run, qtbot):
    changed: list[Path] = []
    feed.run_changed.connect(changed.append)
    assert feed.curves(run) is None
    feed.watch(run)
    assert rows(feed, run) == 0
    qtbot.waitUntil(lambda: rows(feed, run) == 100, timeout=WAIT)
    assert feed.progress(run) == 1.0
    curves = feed.curves(run)
    np.testing.assert_array_equal(curves.steps, np.arange(1, 101))
    assert [entry.message for entry in feed.log(run)] == ["Started"]
    folder = RunFolder(run)
    folder.samples.mkdir()
    folder.sample(110).write_bytes(b"png")
    save(folder.checkpoint(120))
    with folder.events.open("a") as stream:
        stream.write(steps(101, 120) + line("sample", step=110, path="samples/step_0000110.png"))
        stream.write(line("sample", step=90, path="samples/step_0000090.png"))
        path = "checkpoints/step_0000120.safetensors"
        stream.write(line("checkpoint", step=120, path=path, held_out_loss=0.5) + "gar\0bage\n")
    qtbot.waitUntil(lambda: rows(feed, run) == 120 and bool(feed.samples(run)), timeout=WAIT)
    assert feed.curves(run) is curves
    assert [(sheet.step, sheet.path) for sheet in feed.samples(run)] == [(110, folder.sample(110))]
    checkpoint = feed.checkpoint(run)
    assert (checkpoint.step, checkpoint.path) == (120, folder.checkpoint(120))
    assert feed.recipe(run) == "x = 1"
    assert feed.console(run) == ""
    assert feed.skipped(run) == 1
    assert set(changed) == {run}


def test_a_run_is_followed_until_the_last_one_who_asked_lets_go(feed, run, qtbot):
    feed.watch(run)
    feed.watch(run)
    qtbot.waitUntil(lambda: rows(feed, run) == 100, timeout=WAIT)
    feed.unwatch(run)
    assert rows(feed, run) == 100
    feed.unwatch(run)
    assert feed.curves(run) is None
    assert feed.log(run) == feed.samples(run) == []
    assert feed.checkpoint(run) is None
    feed.unwatch(run)
    feed.watch(run)
    assert rows(feed, run) == 0
    qtbot.waitUntil(lambda: rows(feed, run) == 100, timeout=WAIT)


def test_folders_come_and_go(feed, run, tmp_path, qtbot):
    share = tmp_path / "share"
    make_run(share / "far", time=9.0)
    with pytest.raises(LatentLabError, match="is not a folder"):
        feed.add_folder(tmp_path / "none")
    feed.add_folder(share)
    qtbot.waitUntil(lambda: len(feed.runs()) == 2, timeout=WAIT)
    assert [found.name for found in feed.runs()] == ["far", "first"]
    feed.add_folder(share)
    assert feed._settings.run_folders == (str(share),)
    with qtbot.waitSignal(feed.runs_changed, timeout=WAIT):
        feed.remove_folder(share)
    assert [found.name for found in feed.runs()] == ["first"]
    assert (share / "far" / "recipe.toml").is_file()
    # The own folder stays whatever is asked.
    feed.remove_folder(runs_folder())
    assert [found.name for found in feed.runs()] == ["first"]


def test_a_new_run_is_there_at_once_when_asked(feed, run, qtbot):
    feed.refresh()
    qtbot.waitUntil(lambda: len(feed.runs()) == 1, timeout=WAIT)
    make_run(runs_folder() / "second", time=7.0, state="failed", message="no room")
    feed.refresh()
    qtbot.waitUntil(lambda: len(feed.runs()) == 2, timeout=WAIT)
    assert feed.runs()[0].status.message == "no room"


def test_a_process_that_dies_is_no_news(feed, run, qtbot):
    said: list[str] = []
    feed.failed.connect(lambda sentence, _details: said.append(sentence))
    feed.watch(run)
    qtbot.waitUntil(lambda: rows(feed, run) == 100, timeout=WAIT)
    psutil.Process(feed.pid).kill()
    with RunFolder(run).events.open("a") as stream:
        stream.write(steps(101, 130))
    qtbot.waitUntil(lambda: rows(feed, run) == 130, timeout=WAIT)
    np.testing.assert_array_equal(feed.curves(run).steps, np.arange(1, 131))
    assert [entry.message for entry in feed.log(run)] == ["Started"]
    assert said == []


def test_what_went_while_no_process_looked_is_not_listed(feed, run, qtbot):
    from latentlab.services.run_watch_protocol import RunsFound

    make_run(runs_folder() / "second", time=6.0)
    feed.runs()
    qtbot.waitUntil(lambda: len(feed.runs()) == 2, timeout=WAIT)
    feed._watcher.stop()
    feed._receive(None)
    feed._receive(RunsFound(runs_folder(), (feed.run(run),), (), whole=False))
    feed._receive(RunsFound(runs_folder()))
    qtbot.waitUntil(lambda: [found.name for found in feed.runs()] == ["first"])


def test_news_that_cannot_be_taken_hold_up_no_others(feed, run, qtbot, monkeypatch):
    from latentlab.services.run_watch_protocol import RunsFound

    feed.runs()
    qtbot.waitUntil(lambda: feed.looked, timeout=WAIT)
    feed._watcher.stop()
    feed._receive(RunsFound(runs_folder(), (None,)))
    feed._receive(RunsFound(runs_folder(), (), (run,)))
    qtbot.waitUntil(lambda: feed.runs() == [])


def test_a_flood_of_news_is_taken_in_turns(feed, qtbot, monkeypatch):
    """One turn takes a bounded part; who brings more waits until there is room."""
    from latentlab.ui import run_feed

    monkeypatch.setattr(run_feed, "TURN_SECONDS", 0.0)
    said: list[str] = []
    feed.failed.connect(lambda sentence, _details: said.append(sentence))

    def bring() -> None:
        for number in range(500):
            feed._receive(Failure(str(number)))

    thread = threading.Thread(target=bring)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    assert said == []
    assert len(feed._news) <= 32
    qtbot.waitUntil(lambda: len(said) == 500, timeout=WAIT)
    thread.join()
    assert said == [str(number) for number in range(500)]


def test_stopping_lets_a_waiting_process_go(feed, qtbot):
    def bring() -> None:
        for number in range(500):
            feed._receive(Failure(str(number)))

    thread = threading.Thread(target=bring)
    thread.start()
    feed.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_the_window_has_one_feed_that_ends_with_it(window, run, qtbot):
    feed = window.controller.runs
    assert window.controller.runs is feed
    feed.watch(run)
    qtbot.waitUntil(lambda: rows(feed, run) == 100, timeout=WAIT)
    pid = feed.pid
    window.close()
    assert not psutil.pid_exists(pid)
    feed.watch(run / "another")
    feed.refresh()
    assert feed.pid is None
