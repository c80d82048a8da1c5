"""The benchmark of long runs does what it says on a short one; times are `latentlab bench`."""

from __future__ import annotations

import numpy as np
import pytest

from latentlab.core.paths import runs_folder
from latentlab.core.run_events import EventTail, read_events
from latentlab.core.runs import RunFolder
from latentlab.services.bench.events import OTHER, PARTS, RUN, run, write_run
from latentlab.services.bench.registry import BENCHMARKS
from latentlab.services.targets import load_target

pytestmark = pytest.mark.gui


def test_the_events_are_those_of_a_run_with_two_attempts(tmp_path):
    size = write_run(tmp_path / "run", 2000)
    events = EventTail(RunFolder(tmp_path / "run")).poll()
    assert sum(event.kind == "step" for event in events) == 2000
    assert RunFolder(tmp_path / "run").events.stat().st_size == size
    assert 350 < size / 2000 < 600
    merged = [event for event in read_events(tmp_path / "run") if event.kind == "step"]
    assert [event.step for event in merged] == list(range(1, 1901))
    assert set(merged[-1].data["losses"]) == set(PARTS)
    assert merged[-1].attempt == 2


def test_a_short_run_gives_every_figure(window, qtbot, monkeypatch):
    from latentlab.ui import bench_runs_watcher

    monkeypatch.setattr(bench_runs_watcher, "_QUIET_MS", 300)
    monkeypatch.setattr(bench_runs_watcher, "_FRAMES", 4)
    write_run(runs_folder() / OTHER, 100)
    write_run(runs_folder() / RUN, 12_000)
    watcher = bench_runs_watcher.RunsWatcher(window, runs_folder() / RUN)
    with qtbot.waitSignal(watcher.ended, timeout=60_000):
        watcher.start()
    assert watcher.problem == ""
    figures = watcher.figures
    names = ("first_curve_cold_ms", "first_curve_ms", "complete_s", "gap_max_ms", "gap_p99_ms")
    for name in (*names, "series_whole_ms", "pan_short_frames_per_s", "zoom_whole_frames_per_s"):
        assert figures[name] > 0
    assert figures["first_curve_ms"] <= 1e3 * figures["complete_s"]
    assert figures["charts"] > 0
    curves = window.controller.runs.curves(runs_folder() / RUN)
    np.testing.assert_array_equal(curves.steps, np.arange(1, 11_401))


def test_it_is_known_by_its_name():
    assert load_target(BENCHMARKS["events"]) is run
