"""What a run says about itself: states, heartbeat, and the time it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from latentlab.core.run_events import Event
from latentlab.core.run_status import RunStatus, read_status
from latentlab.core.runs import RunFolder
from latentlab.training import status as status_module
from latentlab.training.origin import Origin, seconds_trained
from latentlab.training.run import train
from latentlab.training.status import StatusKeeper, after
from tests.training import tiny

TOLD = {"total_steps": 9, "loss": 0.5, "images_per_second": 30.0, "seconds_left": 4.0}


def event(kind: str, step: int = 0, attempt: int = 1, at: float = 0.0, **data) -> Event:
    return Event(kind, at, attempt, step, data)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_states_follow_the_events() -> None:
    story = [
        (event("progress", message="decoding", done=1, total=2), "starting"),
        (event("start", family="vae", device="cpu", processes=2, total_steps=9), "training"),
        (event("step", 3, **TOLD), "training"),
        (event("checkpoint", 3, path="x"), "training"),
        (event("pause", 3, message="asked for"), "paused"),
        (event("warning", 3, message="careful"), "paused"),
        (event("continue", 3), "training"),
        (event("progress", 9, message="encoding"), "measuring"),
        (event("finish", 9, path="model"), "finished"),
    ]
    status = RunStatus(state="starting")
    for happened, state in story:
        status = after(status, happened)
        assert status.state == state, happened
        if happened.kind == "progress":
            assert status.message == happened.data["message"]
    assert (status.family, status.processes, status.step, status.loss) == ("vae", 2, 9, 0.5)
    assert (status.total_steps, status.seconds_left) == (9, 0.0)
    assert after(status, event("error", 9, message="No.")).message == "No."
    assert after(status, event("stop", 9, message="asked")).state == "stopped"
    blown = after(status, event("step", 4, **(TOLD | {"loss": float("nan")})))
    assert blown.loss is None


def test_the_status_beats_while_nothing_happens(tmp_path: Path) -> None:
    def told() -> float:
        found = read_status(tmp_path)
        return found.time if found else 0.0

    keeper = StatusKeeper(RunFolder(tmp_path), 3, interval=0.01, heartbeat=0.03)
    with keeper:
        until(lambda: told() > 0)
        for _ in range(3):
            before = told()
            until(lambda before=before: told() > before)
    found = read_status(tmp_path)
    assert found is not None
    assert (found.state, found.attempt) == ("starting", 3)


def test_a_change_of_state_is_written_at_once(tmp_path: Path) -> None:
    with StatusKeeper(RunFolder(tmp_path), 1, interval=600, heartbeat=600) as keeper:
        until(lambda: read_status(tmp_path) is not None)
        keeper.take(event("start", total_steps=9))
        until(lambda: read_status(tmp_path).state == "training")
        keeper.take(event("step", 5, **TOLD))
        assert read_status(tmp_path).step == 0
        keeper.take(event("pause", 5))
        until(lambda: read_status(tmp_path).state == "paused")
        assert read_status(tmp_path).step == 5
    before = RunStatus(state="paused", step=5, family="vae", loss=1.0, message="x")
    with StatusKeeper(RunFolder(tmp_path), 2, before):
        pass
    found = read_status(tmp_path)
    assert (found.state, found.step, found.family, found.loss) == ("starting", 5, "vae", 1.0)


def test_a_status_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()
    assert train(tiny.recipe(5), tmp_path, on_event=lambda _event: None).model is not None
    file = tmp_path / "file"
    file.write_text("")
    with StatusKeeper(RunFolder(file), 1, interval=0.01) as keeper:
        keeper.take(event("start"))


def test_a_run_tells_its_status(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(status_module, "INTERVAL", 0.01)
    seen: list[str] = []

    def look(happened: Event) -> None:
        if happened.kind in ("start", "step", "progress"):
            expected = {"progress": "measuring"}.get(happened.kind, "training")
            until(lambda: (s := read_status(tmp_path)) is not None and s.state == expected)
            seen.append(expected)

    train(tiny.recipe(5), tmp_path, on_event=look)
    assert seen[0] == "training"
    assert seen[-1] == "measuring"
    last = read_status(tmp_path)
    assert (last.state, last.step, last.total_steps, last.device) == ("finished", 5, 5, "cpu")
    with pytest.raises(RuntimeError):
        train(tiny.recipe(5), tmp_path / "broken", on_event=broken)
    last = read_status(tmp_path / "broken")
    assert (last.state, last.message) == ("failed", "RuntimeError: broken")


def broken(happened: Event) -> None:
    if happened.kind == "step":
        raise RuntimeError("broken")


def test_the_time_of_all_attempts_counts_without_pauses() -> None:
    story = [
        event("start", at=100.0),
        event("step", 1, at=110.0),
        event("pause", 1, at=112.0),
        event("continue", 1, at=500.0),
        event("step", 2, at=505.0),
        event("start", 1, attempt=2, at=1000.0),
        event("step", 2, attempt=2, at=1003.0),
        event("checkpoint", 2, attempt=2, at=1004.0),
        event("progress", 2, attempt=2, at=2000.0),
        event("finish", 2, attempt=2, at=3000.0),
    ]
    assert seconds_trained(story) == pytest.approx(12 + 5 + 4)


def test_the_clock_of_an_attempt(monkeypatch) -> None:
    from latentlab.training import origin

    now = [0.0]
    monkeypatch.setattr(origin.time, "monotonic", lambda: now[0])
    clock = Origin(seconds_before=10.0)
    for kind, at in (("start", 1.0), ("step", 3.0), ("pause", 4.0), ("continue", 50.0)):
        now[0] = at
        clock.take(kind)
    now[0] = 52.0
    assert clock.seconds == pytest.approx(10 + 3 + 2)
    now[0] = 60.0
    clock.take("progress")
    now[0] = 600.0
    assert clock.seconds == pytest.approx(10 + 3 + 10)
