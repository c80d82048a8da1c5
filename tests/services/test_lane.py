"""Work in a process of its own: results, order, cancel, limits, and that nothing is left behind."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from latentlab.core.errors import LatentLabError
from latentlab.services.lane import CpuLane, LaneResult
from tests.services.engine import wait_for

WORK = "tests.services.lane_work"
WAIT = 60


@pytest.fixture
def lane() -> Iterator[CpuLane]:
    lane = CpuLane()
    yield lane
    lane.stop()
    assert not [t for t in threading.enumerate() if t.name == "latentlab-lane"]


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has collected counts as ended."""
    try:
        psutil.Process(pid).wait(WAIT)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def test_work_is_done_in_another_process(lane: CpuLane) -> None:
    array = np.arange(100_000, dtype=np.float64)
    seen: list[tuple[int, int, str]] = []
    result = lane.submit(f"{WORK}:total", {"array": array}, seen.append).result(WAIT)
    assert result.failure is None
    assert result.value["sum"] == array.sum()
    assert result.value["pid"] != os.getpid()
    np.testing.assert_array_equal(result.value["array"], array * 2)
    assert seen == [(1, 2, "half"), (2, 2, "all")]


def test_pieces_are_done_one_after_another(lane: CpuLane, tmp_path: Path) -> None:
    path = tmp_path / "order.txt"
    ended: list[str] = []
    tasks = [
        lane.submit(
            f"{WORK}:trace",
            {"path": str(path), "word": word},
            on_done=lambda result, word=word: ended.append(word),
        )
        for word in ("one", "two", "three")
    ]
    assert all(task.result(WAIT).failure is None for task in tasks)
    assert path.read_text().split() == ended == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("target", "arguments", "words"),
    [
        ("fail", {"error": ValueError("bad row")}, "ValueError: bad row"),
        ("complain", {}, "The table is empty: choose another."),
        ("vanish", {}, "SIGTERM" if sys.platform != "win32" else "exit code"),
        ("strange", {}, "Sending the result failed"),
        ("nothing_here", {}, "AttributeError"),
        ("total", {"array": lambda: None}, "pickle"),
    ],
)
def test_what_goes_wrong_is_a_result(
    lane: CpuLane, target: str, arguments: dict[str, object], words: str
) -> None:
    result = lane.submit(f"{WORK}:{target}", arguments).result(WAIT)
    assert result.value is None
    assert not result.cancelled
    assert result.failure is not None
    assert words in result.failure.message
    after = lane.submit(f"{WORK}:total", {"array": np.ones(3)}).result(WAIT)
    assert after.value["sum"] == 3


def test_cancel_ends_the_process_and_its_children(lane: CpuLane, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    task = lane.submit(f"{WORK}:hang", {"path": str(path)})
    waiting = lane.submit(f"{WORK}:total", {"array": np.ones(2)})
    wait_for(path)
    pids = [int(word) for word in path.read_text().split()]
    task.cancel()
    assert task.result(WAIT).cancelled
    assert [gone(pid) for pid in pids] == [True, True]
    assert waiting.result(WAIT).value["sum"] == 2


def test_stop_cancels_what_runs_and_what_waits(lane: CpuLane, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    tasks = [lane.submit(f"{WORK}:hang", {"path": str(path)}) for _ in range(3)]
    wait_for(path)
    lane.stop()
    assert [task.result(0).cancelled for task in tasks] == [True] * 3
    assert all(gone(int(word)) for word in path.read_text().split())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux enforces the limit")
def test_memory_is_limited() -> None:
    lane = CpuLane(memory_limit=256 * 2**20)
    small = lane.submit(f"{WORK}:swallow", {"size": 2**20}).result(WAIT)
    large = lane.submit(f"{WORK}:swallow", {"size": 2**30}).result(WAIT)
    lane.stop()
    assert small.value == 2**20
    assert large.failure is not None
    assert "not enough memory" in large.failure.message


def test_a_job_waits_for_the_lane_without_holding_its_thread(lane: CpuLane) -> None:
    steps = lane.run(f"{WORK}:total", array=np.ones(5))
    value = None

    def follow() -> Iterator[object]:
        nonlocal value
        value = yield from steps

    seen = list(follow())
    assert value is not None
    assert value["sum"] == 5
    # It says that it waits, and reports what it sees of the reports.
    assert None in seen
    assert {s for s in seen if s is not None} <= {(1, 2, "half"), (2, 2, "all")}
    with pytest.raises(LatentLabError, match="The table is empty"):
        list(lane.run(f"{WORK}:complain"))


def test_closing_the_job_ends_the_work(lane: CpuLane, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    steps = lane.run(f"{WORK}:hang", path=str(path))
    next(steps)
    wait_for(path)
    steps.close()
    assert all(gone(int(word)) for word in path.read_text().split())


def test_a_callback_that_fails_does_not_stop_the_queue(
    lane: CpuLane, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(result: LaneResult) -> None:
        raise RuntimeError("the window is gone")

    lane.submit(f"{WORK}:complain", on_done=fail).result(WAIT)
    assert lane.submit(f"{WORK}:total", {"array": np.ones(1)}).result(WAIT).value["sum"] == 1
    assert "the window is gone" in caplog.text
