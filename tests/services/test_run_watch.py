"""Events of runs, whatever is in their file and whatever becomes of it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentlab.core.run_events import EventWriter, read_events
from latentlab.core.runs import RunFolder
from latentlab.services import run_watch_events
from latentlab.services.run_curves import HELD_OUT, Curves
from latentlab.services.run_watch_events import EventsReader
from latentlab.services.run_watch_log import KEPT, LogBook, log_line
from latentlab.services.run_watch_protocol import Piece
from tests.services.run_lines import line, steps


def follow(reader: EventsReader, curves: Curves | None = None) -> tuple[Curves, list[Piece]]:
    curves = Curves() if curves is None else curves
    pieces = list(reader.poll())
    for piece in pieces:
        curves.take(piece)
    return curves, pieces


def read(path: Path, text: str | bytes) -> tuple[Curves, list[Piece]]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return follow(EventsReader(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


# The history of a run.


def random_run(folder: RunFolder, seed: int) -> None:
    """Attempts that were killed anywhere and went on from an earlier checkpoint."""
    rng = random.Random(seed)
    saved, attempt = 0, 0
    for attempt in range(1, rng.randint(2, 6)):
        with EventWriter(folder, attempt) as writer:
            writer.write("start", saved, family="vae", total_steps=500)
            begin = saved
            for step in range(begin + 1, begin + rng.randint(2, 120)):
                losses = {"kl": rng.random(), "reconstruction": rng.gauss(0, 1)}
                loss = float("nan") if rng.random() < 0.02 else rng.random()
                writer.write("step", step, loss=loss, losses=losses, learning_rate=1e-4)
                if step % 25 == 0:
                    writer.write("sample", step, path=f"samples/step_{step:07d}.png")
                if rng.random() < 0.03:
                    writer.write("checkpoint", step, path=f"checkpoints/step_{step:07d}.st")
                    saved = step
        if rng.random() < 0.5:
            with folder.events.open("a") as stream:
                stream.write('{"kind": "step", "ti')


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("chunk", [37, 700, 512 * 1024])
def test_a_run_reads_as_its_merged_events_say(
    tmp_path: Path, seed: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path)
    random_run(folder, seed)
    monkeypatch.setattr(run_watch_events, "CHUNK", chunk)
    reader = EventsReader(folder.events)
    curves, _ = follow(reader)
    events = read_events(tmp_path)
    told = [event for event in events if event.kind == "step"]
    np.testing.assert_array_equal(curves.steps, [event.step for event in told])
    losses = [event.data["loss"] for event in told]
    expected = np.array([np.nan if v is None else v for v in losses], np.float32)
    np.testing.assert_array_equal(curves.column("loss"), expected)
    kl = np.array([event.data["losses"]["kl"] for event in told], np.float32)
    np.testing.assert_array_equal(curves.column("losses/kl"), kl)
    times = [event.time for event in told]
    np.testing.assert_array_equal(curves.column("time"), times)
    for kind, found in (
        ("sample", reader.merger.samples),
        ("checkpoint", reader.merger.checkpoints),
    ):
        there = {e.step: Path(e.data["path"]).name for e in events if e.kind == kind}
        assert found == there
    assert curves.complete
    assert curves.total_steps == 500


def test_a_file_that_grows_is_taken_up_line_by_line(path: Path) -> None:
    text = line("start", step=0) + steps(1, 40)
    reader, curves = EventsReader(path), Curves()
    assert follow(reader, curves)[1] == []
    raw, written = text.encode(), 0
    rng = random.Random(1)
    while written < len(raw):
        more = rng.randint(1, 300)
        with path.open("ab") as stream:
            stream.write(raw[written : written + more])
        written += more
        follow(reader, curves)
        whole = raw[:written].count(b"\n")
        assert len(curves) == max(whole - 1, 0)
    np.testing.assert_array_equal(curves.steps, np.arange(1, 41))
    assert follow(reader, curves)[1] == []


def test_an_attempt_replaces_what_was_beyond_its_start(path: Path) -> None:
    text = line("start", step=0) + steps(1, 100) + line("sample", step=100, path="samples/a.png")
    text += line("start", attempt=2, step=60) + steps(61, 70, attempt=2, loss=7.0)
    curves, _ = read(path, text)
    assert curves.steps[-1] == 70
    assert len(curves) == 70
    assert curves.column("loss")[59] == np.float32(6.0)
    assert (curves.column("loss")[60:] == 7.0).all()
    assert curves.starts == ((1, 0), (2, 60))


def test_what_an_earlier_attempt_writes_too_late_is_left_out(path: Path) -> None:
    text = line("start", step=0) + steps(1, 50) + line("start", attempt=2, step=40)
    text += steps(41, 45, attempt=2, loss=2.0) + steps(51, 90, loss=1.0)
    text += line("start", attempt=1, step=0) + steps(46, 48, attempt=2, loss=2.0)
    curves, _ = read(path, text)
    np.testing.assert_array_equal(curves.steps, np.arange(1, 49))
    assert (curves.column("loss")[40:] == 2.0).all()


def test_an_attempt_whose_start_is_lost_counts_from_its_first_step(path: Path) -> None:
    text = line("start", step=0) + steps(1, 50) + '{"kind": "start", "att\n'
    curves, pieces = read(path, text + steps(31, 40, attempt=2, loss=2.0))
    np.testing.assert_array_equal(curves.steps, np.arange(1, 41))
    assert (curves.column("loss")[30:] == 2.0).all()
    assert sum(piece.skipped for piece in pieces) == 1


@pytest.mark.parametrize("odd", [3, 10**15])
def test_one_damaged_step_neither_hides_nor_takes_away_others(path: Path, odd: int) -> None:
    text = line("start", step=0) + steps(1, 50) + line(step=odd, loss=99.0) + steps(51, 90)
    curves, _ = read(path, text)
    np.testing.assert_array_equal(curves.steps, np.arange(1, 91))
    assert not (curves.column("loss") == 99.0).any()
    assert curves.column("loss")[2] == np.float32(0.3)


def test_a_stray_attempt_number_counts_for_nothing(path: Path) -> None:
    text = steps(1, 50) + line(attempt=999, step=51, loss=9.0) + steps(51, 60)
    curves, _ = read(path, text)
    np.testing.assert_array_equal(curves.steps, np.arange(1, 61))


def test_steps_that_go_back_for_good_are_a_new_beginning(path: Path) -> None:
    curves, _ = read(path, steps(1, 50) + steps(20, 30, loss=5.0))
    np.testing.assert_array_equal(curves.steps, np.arange(1, 31))
    assert (curves.column("loss")[19:] == 5.0).all()


GARBAGE = [
    b"not json\n",
    b"\n",
    b"   \n",
    b"[1, 2, 3]\n",
    b"null\n",
    b'"text"\n',
    b"{}\n",
    b'{"kind": "step"}\n',
    b"\xff\xfe\x00\n",
    b"\0" * 5000 + b"\n",
    b"[" * 100_000 + b"\n",
    b'{"kind": 5, "time": 1, "attempt": 1, "step": 3}\n',
    b'{"kind": "step", "time": "soon", "attempt": "one", "step": []}\n',
    b'{"kind": "step", "time": 1, "attempt": 1, "step": -4}\n',
    b'{"kind": "step", "time": 1, "attempt": 1, "step": 1e400}\n',
    b'{"kind": "step", "time": 1, "attempt": 1, "step": ' + b"9" * 400 + b"}\n",
    b'{"kind": "aurora", "time": 1, "attempt": 1, "step": 2, "colour": "green"}\n',
    b'{"kind": "sample", "time": 1, "attempt": 1, "step": 2}\n',
    b'{"kind": "sample", "time": null, "attempt": 1, "step": 2, "path": ["x"]}\n',
    b'{"kind": "finish", "time": 1, "attempt": 1, "step": 2, "quality": 7, "path": ".."}\n',
    b'{"kind": "warning", "time": 1, "attempt": 1, "step": 2, "message": {"a": 1}}\n',
    b'{"kind": "error", "time": 1, "attempt": 1, "step": 2, "details": 4}\n',
    b'{"kind": "progress", "time": 1, "attempt": 1, "step": 2, "done": "x", "total": 1e400}\n',
    b'{"kind": "progress", "time": 1, "attempt": 1, "step": 2, "total": 1' + b"0" * 400 + b"}\n",
    b'}{"kind": "step", "time": 1, "attempt": 1, "step": 4}\n',
    b'{"kind": "step", "time": 1, "attempt": 1, "step": 4},{"kind": "step"}\n',
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_lines_of_garbage_take_nothing_with_them(path: Path, garbage: bytes) -> None:
    good = (steps(1, 30).encode(), steps(31, 60).encode())
    curves, pieces = read(path, good[0] + garbage + good[1])
    np.testing.assert_array_equal(curves.steps, np.arange(1, 61))
    np.testing.assert_allclose(curves.column("loss"), np.arange(1, 61) / 10, rtol=1e-6)
    for told in (entry for piece in pieces for entry in piece.log):
        assert isinstance(told.message, str)


def test_nul_bytes_before_a_line_leave_the_line(path: Path) -> None:
    curves, _ = read(path, steps(1, 3).encode() + b"\0" * 700 + steps(4, 6).encode())
    np.testing.assert_array_equal(curves.steps, np.arange(1, 7))


def test_values_that_are_no_numbers_are_gaps(path: Path) -> None:
    odd = [None, "3", True, [], {}, 10**400, "NaN"]
    text = "".join(line(step=n + 1, loss=v, losses=v) for n, v in enumerate(odd))
    text += (
        '{"kind": "step", "time": 1, "attempt": 1, "step": 8, "loss": NaN, "losses": {"a": 1}}\n'
    )
    text += '{"kind": "step", "time": 1, "attempt": 1, "step": 9, "loss": -Infinity}\n'
    text += line(step=10, loss=1e300) + line(step=11, loss=0.25)
    curves, _ = read(path, text)
    np.testing.assert_array_equal(curves.steps, np.arange(1, 12))
    assert np.isnan(curves.column("loss")[:10]).all()
    assert curves.column("loss")[10] == 0.25
    assert curves.column("losses/a")[7] == 1


def test_losses_on_held_out_data_come_from_checkpoints(path: Path) -> None:
    text = steps(1, 10) + line("checkpoint", step=5, held_out_loss=0.5, best=True, path="c/a.st")
    text += line("checkpoint", step=8, held_out_loss=None, best=False, path="c/b.st") + line(
        "checkpoint", step=10, held_out_loss=0.25, path="c/c.st"
    )
    curves, pieces = read(path, text)
    np.testing.assert_array_equal(curves.steps_of(HELD_OUT), [5, 10])
    np.testing.assert_array_equal(curves.column(HELD_OUT), [0.5, 0.25])
    assert pieces[0].log[0].message == (
        "Checkpoint a.st, loss on held-out images 0.5, the best so far"
    )


def test_a_line_of_ten_megabytes_is_read_and_a_longer_one_than_that_is_skipped(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ten = line("error", step=30, message="x", details="y" * 10_000_000)
    curves, pieces = read(path, steps(1, 30) + ten + steps(31, 60))
    assert len(curves) == 60
    (told,) = (entry for piece in pieces for entry in piece.log)
    assert len(told.details) == 20_000
    monkeypatch.setattr(run_watch_events, "MAX_LINE", 2**20)
    curves, pieces = read(path, steps(1, 30) + ten + steps(31, 60))
    assert len(curves) == 60
    assert sum(piece.skipped for piece in pieces) == 1
    assert not [entry for piece in pieces for entry in piece.log]


def test_clocks_that_jump_change_nothing_but_the_times(path: Path) -> None:
    times = [500.0, 400.0, -3.0, 1e12, 501.0]
    curves, _ = read(path, "".join(line(step=n, at=t, loss=1.0) for n, t in enumerate(times)))
    np.testing.assert_array_equal(curves.column("time"), times)


# What becomes of the file.


def test_a_file_that_was_cut_is_another_run(path: Path) -> None:
    reader = EventsReader(path)
    path.write_text(steps(1, 50))
    curves, _ = follow(reader)
    path.write_text(steps(1, 5, loss=3.0))
    follow(reader, curves)
    np.testing.assert_array_equal(curves.steps, np.arange(1, 6))
    path.write_text("")
    follow(reader, curves)
    assert len(curves) == 0
    path.write_text(steps(1, 3))
    follow(reader, curves)
    assert len(curves) == 3


@pytest.mark.parametrize("more", [0, 40])
def test_a_file_that_was_replaced_is_another_run(path: Path, more: int) -> None:
    reader = EventsReader(path)
    path.write_text(line("start", step=0, at=1.0) + steps(1, 50))
    curves, _ = follow(reader)
    path.write_text(line("start", step=0, at=2.0) + steps(1, 50 + more, loss=3.0))
    curves, pieces = follow(reader, curves)
    assert pieces[0].restart
    assert len(curves) == 50 + more
    assert (curves.column("loss") == 3.0).all()


def test_a_file_that_was_copied_back_goes_on(path: Path, tmp_path: Path) -> None:
    reader = EventsReader(path)
    path.write_text(steps(1, 50))
    curves, _ = follow(reader)
    path.rename(tmp_path / "elsewhere")
    assert follow(reader, curves)[1] == []
    assert len(curves) == 50
    path.write_text(steps(1, 60))
    _, pieces = follow(reader, curves)
    assert [piece.restart for piece in pieces] == [False]
    np.testing.assert_array_equal(pieces[0].rows.steps, np.arange(51, 61))


def test_giving_up_half_way_goes_on_from_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_watch_events, "CHUNK", 1000)
    path.write_text(steps(1, 200))
    reader, curves = EventsReader(path), Curves()
    first = reader.poll()
    curves.take(next(first))
    first.close()
    assert 0 < len(curves) < 200
    assert reader.behind
    follow(reader, curves)
    np.testing.assert_array_equal(curves.steps, np.arange(1, 201))
    assert not reader.behind


def test_a_long_file_is_first_seen_as_a_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_watch_events, "COARSE_FROM", 1)
    monkeypatch.setattr(run_watch_events, "_LOOKS", 16)
    monkeypatch.setattr(run_watch_events, "_END_BYTES", 2000)
    text = line("start", step=0, total_steps=9000) + steps(1, 6000)
    text += line("start", attempt=2, step=5000) + steps(5001, 8000, attempt=2, total_steps=9000)
    path.write_text(text)
    pieces = EventsReader(path).poll()
    look = next(pieces)
    assert look.coarse
    assert look.restart
    assert look.offset == 0
    assert look.total_steps == 9000
    found = look.rows.steps
    assert len(found) > 300
    assert (np.diff(found) > 0).all()
    assert found[0] < 20
    assert found[-1] == 8000
    assert np.diff(found).max() < 1000
    np.testing.assert_allclose(look.rows.values[0], found / 10, rtol=1e-6)
    curves = Curves()
    curves.take(look)
    for piece in pieces:
        curves.take(piece)
    np.testing.assert_array_equal(curves.steps, np.arange(1, 8001))


# The log.


def test_the_log_keeps_its_last_lines_and_every_alarm() -> None:
    book = LogBook()
    for number in range(2 * KEPT + 500):
        kind = "warning" if number % 1000 == 0 else "checkpoint"
        book.add([log_line(kind, 0.0, 1, number, {"message": "m"})])
    lines = book.lines()
    assert [entry.step for entry in lines[-KEPT:]] == list(range(KEPT + 500, 2 * KEPT + 500))
    assert [entry.step for entry in lines[:-KEPT]] == list(range(0, KEPT + 500, 1000))
    assert {entry.kind for entry in lines[:-KEPT]} == {"warning"}


def test_reports_of_progress_take_one_line() -> None:
    book = LogBook()
    for done in range(5):
        data = {"done": done, "total": 4, "message": "Measuring"}
        book.add([log_line("progress", 0.0, 1, 100, data)])
    (only,) = book.lines()
    assert only.message == "Measuring (4 of 4)"


def test_events_are_told_in_words() -> None:
    def said(kind: str, step: int = 500, **data: Any) -> str:
        return log_line(kind, 0.0, 1, step, data).message

    start = {"family": "vae", "device": "cuda", "data": "portraits", "total_steps": 20_000}
    assert (
        said("start", 0, **start)
        == "Started: vae on cuda, images of portraits, 20,000 steps in all"
    )
    assert said("start", 1500) == "Resumed at step 1,500"
    assert said("sample", path="samples/step_0000500.png") == "Sample sheet step_0000500.png"
    assert said("stop", message="a STOP file asked for it") == "Stopped: a STOP file asked for it"
    assert said("finish", path="model.safetensors", quality={"psnr": 21.123, "no": None}) == (
        "Finished: model.safetensors; psnr 21.1"
    )
    assert said("pause") == "Paused"
    assert said("warning", message="3 files are damaged") == "3 files are damaged"
