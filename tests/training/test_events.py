from __future__ import annotations

import json
from pathlib import Path

import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.run_events import (
    Event,
    EventTail,
    EventWriter,
    merge_attempts,
    next_attempt,
    read_events,
)
from latentlab.core.run_text import describe, duration
from latentlab.core.runs import RunFolder
from latentlab.training.events import Console


def test_tail_takes_whole_lines_only(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    tail = EventTail(folder)
    assert tail.poll() == []
    with EventWriter(folder, 1) as writer:
        writer.write("start", 0, data="ä")
        assert [e.data for e in tail.poll()] == [{"data": "ä"}]
        assert tail.poll() == []
        line = Event("step", 5.0, 1, 1, {"loss": 0.5}).to_json().encode()
        with folder.events.open("ab") as stream:
            stream.write(line[:9])
        assert tail.poll() == []
        with folder.events.open("ab") as stream:
            stream.write(line[9:] + b"\n")
        assert tail.poll() == [Event("step", 5.0, 1, 1, {"loss": 0.5})]
    assert tail.skipped == 0


def test_a_torn_line_harms_no_other(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with EventWriter(folder, 1) as writer:
        writer.write("step", 1, loss=1.0)
    with folder.events.open("ab") as stream:
        stream.write(b'{"kind": "step", "ti')
    tail = EventTail(folder)
    assert [e.step for e in tail.poll()] == [1]
    assert next_attempt(folder) == 2
    with EventWriter(folder, 2) as writer:
        writer.write("step", 2, loss=2.0)
    assert [e.step for e in tail.poll()] == [2]
    assert tail.skipped == 1
    assert [e.step for e in read_events(tmp_path)] == [1, 2]


def test_a_file_that_became_shorter_is_read_anew(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with EventWriter(folder, 1) as writer:
        for step in range(5):
            writer.write("step", step)
    tail = EventTail(folder)
    assert len(tail.poll()) == 5
    folder.events.unlink()
    with EventWriter(folder, 1) as writer:
        writer.write("start", 0)
    assert [e.kind for e in tail.poll()] == ["start"]


def test_numbers_that_are_not_finite_stay_json(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with EventWriter(folder, 1) as writer:
        writer.write("step", 1, loss=float("nan"), losses={"kl": float("inf")}, list=[1.0])
    record = json.loads(folder.events.read_text(), parse_constant=pytest.fail)
    assert record["loss"] is None
    assert record["losses"] == {"kl": None}


def event(kind: str, attempt: int, step: int) -> Event:
    return Event(kind, 0.0, attempt, step)


def test_an_attempt_replaces_what_was_done_beyond_its_start() -> None:
    history = [
        event("start", 1, 0),
        event("step", 1, 1),
        event("step", 1, 2),
        event("checkpoint", 1, 2),
        event("step", 1, 3),
        event("sample", 1, 3),
        event("error", 1, 3),
        event("start", 2, 2),
        event("step", 2, 3),
        event("sample", 2, 3),
    ]
    merged = merge_attempts(history)
    assert [(e.kind, e.attempt, e.step) for e in merged] == [
        ("start", 1, 0),
        ("step", 1, 1),
        ("step", 1, 2),
        ("checkpoint", 1, 2),
        ("error", 1, 3),
        ("start", 2, 2),
        ("step", 2, 3),
        ("sample", 2, 3),
    ]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(LatentLabError, match="cannot be written"):
        EventWriter(RunFolder(file), 1)


def test_durations() -> None:
    assert [duration(s) for s in (0.4, 59.6, 125, 7620)] == [
        "0 s",
        "1 min 00 s",
        "2 min 05 s",
        "2 h 07 min",
    ]


def test_the_console_shows_the_last_step_and_what_matters(capsys) -> None:
    console = Console(interval=1e9)
    data = {"total_steps": 3, "loss": 0.5, "losses": {"kl": 2.0}}
    data |= {"images_per_second": 100.0, "seconds_left": 90.0}
    for step in (1, 2, 3):
        console(Event("step", 0.0, 1, step, data))
    console(Event("error", 0.0, 1, 3, {"message": "The disk is full."}))
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("step 1/3  loss 0.5  kl 2  100 img/s  1 min 30 s left")
    assert [line.split("  ")[0] for line in shown] == [
        "step 1/3",
        "step 3/3",
        "error at step 3: The disk is full.",
    ]
    assert "not finite" in describe(Event("step", 0.0, 1, 1, data | {"loss": None}))


def test_a_writer_whose_file_was_away_leaves_the_lines_of_another(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    first = EventWriter(folder, 1)
    first.write("step", 1)
    first._release()
    with EventWriter(folder, 2) as second:
        second.write("start", 1)
    first.write("step", 2)
    first._release()
    # Half of what waits is its own, and is written anew.
    late = Event("step", 1.0, 1, 3)
    first._pending.append(late)
    with folder.events.open("ab") as stream:
        stream.write(late.to_json().encode()[:20])
    first.flush()
    assert [(e.kind, e.step) for e in EventTail(folder).poll()] == [
        *(("step", 1), ("start", 1), ("step", 2), ("step", 3))
    ]
    first._pending.append(late)
    first.abandon()
    first.close()
    assert len(EventTail(folder).poll()) == 4


@pytest.mark.parametrize("step", ["1e999", "null", "[]", "[" * 100_000, "9" * 5000, '{"a": 1}'])
def test_lines_with_anything_in_them_are_passed_over(tmp_path: Path, step: str) -> None:
    folder = RunFolder(tmp_path)
    line = f'{{"kind": "step", "time": 1, "attempt": 1, "step": {step}}}\n'
    folder.events.write_text(line + line.replace(step, "4"))
    tail = EventTail(folder)
    assert [e.step for e in tail.poll()] == [4]
    assert tail.skipped == 1
