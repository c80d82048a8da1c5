"""Whose turn it is: order and counts, one turn at a time."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.requests import (
    JobProgress,
    JobRequest,
    JobResult,
    PreviewRequest,
    PreviewResult,
)
from latentlab.services.scheduler import Scheduler

PICTURE = Picture(model="m", space="z", seeds=(1,))


class Bench:
    """A scheduler, what it was told to do, and what came out."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.rendered: list[tuple[str, int]] = []
        self.closed: list[str] = []
        self.steps = 1
        self.while_rendering: dict[int, Any] = {}
        self.scheduler = Scheduler(self.events.append, self.render, self.start, 0.0)

    def render(self, request: PreviewRequest) -> Iterator[PreviewResult]:
        self.rendered.append((request.channel, request.sequence))
        # Something that happens while the frame is being computed.
        self.while_rendering.pop(request.sequence, lambda: None)()
        try:
            for step in range(self.steps):
                final = step == self.steps - 1
                yield PreviewResult(request.channel, request.sequence, total_ms=step, final=final)
        finally:
            self.closed.append(f"{request.channel}{request.sequence}")

    def start(self, request: JobRequest) -> Generator[Any, None, Any]:
        def steps() -> Generator[Any, None, Any]:
            try:
                for done in range(request.arguments["steps"]):
                    yield done, request.arguments["steps"], "working"
                if error := request.arguments.get("error"):
                    raise error
                return request.arguments.get("value")
            finally:
                self.closed.append(request.job)

        return steps()

    def ask(self, channel: str, *sequences: int) -> None:
        for sequence in sequences:
            self.scheduler.preview(PreviewRequest(channel, sequence, PICTURE))

    def begin(self, job: str, steps: int, **arguments: Any) -> None:
        self.scheduler.job(
            JobRequest(job, "kind", {"steps": steps, **arguments}, title="Exporting")
        )

    def turns(self, count: int = 50) -> None:
        for _ in range(count):
            self.scheduler.turn()

    def story(self) -> list[tuple[str, int | str]]:
        """(channel, sequence) of previews, (job, done) of progress, (job, 'end') of results."""
        words: list[tuple[str, int | str]] = []
        for event in self.events:
            if isinstance(event, PreviewResult):
                words.append((event.channel, event.sequence))
            elif isinstance(event, JobProgress):
                words.append((event.job, event.done))
            else:
                words.append((event.job, "end"))
        return words


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_newest_request_of_a_channel_wins(bench: Bench) -> None:
    bench.ask("canvas", *range(1, 101))
    bench.turns()
    assert bench.story() == [("canvas", 100)]
    assert bench.scheduler.coalesced == {"canvas": 99}


def test_a_running_frame_is_finished_although_newer_values_came(bench: Bench) -> None:
    bench.while_rendering[1] = lambda: bench.ask("canvas", 2, 3, 4)
    bench.ask("canvas", 1)
    bench.turns()
    assert bench.story() == [("canvas", 1), ("canvas", 4)]
    assert bench.rendered == [("canvas", 1), ("canvas", 4)]
    assert bench.scheduler.coalesced == {"canvas": 2}


def test_channels_take_turns(bench: Bench) -> None:
    bench.steps = 3
    bench.ask("canvas", 1)
    bench.ask("strip", 1)
    bench.turns()
    assert bench.story() == [("canvas", 1), ("strip", 1)] * 3


def test_a_flooded_channel_does_not_starve_another(bench: Bench) -> None:
    bench.ask("strip", 1)
    for sequence in range(1, 6):
        bench.ask("canvas", sequence)
        bench.scheduler.turn()
    assert ("strip", 1) in bench.story()[:2]


def test_a_hundred_thumbnails_share_one_turn(bench: Bench) -> None:
    for index in range(100):
        bench.ask(f"thumb:{index}", 1)
    bench.ask("canvas", 1)
    bench.turns(2)
    assert bench.story() == [("thumb:0", 1), ("canvas", 1)]
    bench.turns(200)
    assert [name for name, _ in bench.story()] == [
        "thumb:0",
        "canvas",
        *(f"thumb:{index}" for index in range(1, 100)),
    ]


def test_many_steps_are_refined_to_the_end_when_nothing_newer_comes(bench: Bench) -> None:
    bench.steps = 4
    bench.ask("canvas", 1)
    bench.turns()
    assert [(e.total_ms, e.final) for e in bench.events] == [
        (0, False),
        (1, False),
        (2, False),
        (3, True),
    ]
    assert bench.closed == ["canvas1"]


def test_refining_gives_way_to_a_newer_request_after_its_first_image(bench: Bench) -> None:
    bench.steps = 4
    bench.ask("canvas", 1)
    bench.turns(1)
    bench.ask("canvas", 2)
    bench.turns(1)
    assert bench.story() == [("canvas", 1), ("canvas", 2)]
    assert bench.closed == ["canvas1"]
    bench.turns()
    assert bench.story() == [("canvas", 1)] + [("canvas", 2)] * 4


def test_a_multi_step_preview_always_shows_one_image_in_a_flood(bench: Bench) -> None:
    bench.steps = 4
    for sequence in range(1, 21):
        bench.ask("canvas", sequence)
        bench.turns(1)
    assert bench.story() == [("canvas", sequence) for sequence in range(1, 21)]


def test_previews_go_before_job_steps(bench: Bench) -> None:
    bench.begin("job", 3, value=7)
    bench.turns(1)
    bench.ask("canvas", 1)
    bench.ask("strip", 1)
    bench.turns()
    assert bench.story() == [
        ("job", 0),
        ("canvas", 1),
        ("strip", 1),
        ("job", 1),
        ("job", 2),
        ("job", "end"),
    ]
    assert bench.events[-1].value == 7


def test_jobs_take_turns(bench: Bench) -> None:
    bench.begin("a", 3)
    bench.begin("b", 2)
    bench.turns()
    assert bench.story() == [
        ("a", 0),
        ("b", 0),
        ("a", 1),
        ("b", 1),
        ("a", 2),
        ("b", "end"),
        ("a", "end"),
    ]


def test_cancel_ends_a_job_within_one_step_and_closes_it(bench: Bench) -> None:
    bench.begin("a", 1000)
    bench.begin("b", 2, value="kept")
    bench.turns(2)
    bench.scheduler.cancel("a")
    bench.scheduler.cancel("unknown")
    bench.turns(1)
    last = bench.events[-1]
    assert (last.job, last.cancelled, last.value, last.failure) == ("a", True, None, None)
    assert bench.closed == ["a"]
    bench.turns()
    assert bench.story()[3:] == [("b", 1), ("b", "end")]
    assert bench.events[-1].value == "kept"


def test_a_job_that_never_began_can_be_cancelled(bench: Bench) -> None:
    bench.begin("a", 3)
    bench.scheduler.cancel("a")
    bench.scheduler.cancel("a")
    bench.turns()
    assert [event.cancelled for event in bench.events] == [True]


def out_of_memory() -> Exception:
    # As torch names it; torch itself is not needed here.
    return type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory. Tried to ...")


@pytest.mark.parametrize(
    ("error", "words", "details"),
    [
        (LatentLabError("The file is empty: choose another.", "more"), "The file is empty", "more"),
        (MemoryError(), "not enough memory", "MemoryError"),
        (out_of_memory(), "not enough memory", "Tried to"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "not enough memory", "CPUAll"),
        (KeyError("x"), "Exporting failed (KeyError: 'x')", "Traceback"),
    ],
)
def test_an_error_of_a_job_is_its_result(
    bench: Bench, error: Exception, words: str, details: str
) -> None:
    bench.begin("a", 1, error=error)
    bench.begin("b", 1, value=1)
    bench.turns()
    failure = next(e.failure for e in bench.events if isinstance(e, JobResult) and e.job == "a")
    assert words in failure.message
    assert "\n" not in failure.message
    assert details in failure.details
    assert bench.events[-1].value == 1


def test_an_error_of_a_preview_is_its_result(bench: Bench) -> None:
    def fail() -> None:
        raise ValueError("bad number")

    bench.while_rendering[1] = fail
    bench.ask("canvas", 1)
    bench.ask("strip", 2)
    bench.turns()
    assert bench.story() == [("canvas", 1), ("strip", 2)]
    assert "ValueError: bad number" in bench.events[0].failure.message
    assert "Traceback" in bench.events[0].failure.details
    bench.ask("canvas", 3)
    bench.turns()
    assert bench.events[-1].failure is None


def test_a_renderer_without_a_last_image_is_an_error(bench: Bench) -> None:
    bench.steps = 0
    bench.ask("canvas", 1)
    bench.turns()
    assert [(e.sequence, bool(e.failure)) for e in bench.events] == [(1, True)]


def test_a_value_that_cannot_be_sent_is_an_error() -> None:
    sent: list[Any] = []

    def emit(event: Any) -> None:
        if isinstance(event, JobResult) and callable(event.value):
            raise TypeError("cannot pickle")
        sent.append(event)

    bench = Bench()
    scheduler = Scheduler(emit, bench.render, bench.start, 0.0)
    scheduler.job(JobRequest("a", "kind", {"steps": 0, "value": print}))
    scheduler.turn()
    assert [event.job for event in sent] == ["a"]
    assert "cannot pickle" in sent[0].failure.message


def test_reports_are_thinned_but_nothing_to_show_is_lost() -> None:
    events: list[Any] = []

    def start(request: JobRequest) -> Generator[Any, None, None]:
        for done in range(1000):
            if done % 100 == 50:
                yield done, 1000, "cell", f"image {done}"
            else:
                yield done, 1000, "cell"

    scheduler = Scheduler(events.append, Bench().render, start, progress_interval=1e9)
    scheduler.job(JobRequest("a", "kind"))
    while not events or not isinstance(events[-1], JobResult):
        scheduler.turn()
    progress = events[:-1]
    assert progress[0].done == 0
    assert [e.partial for e in progress[1:]] == [f"image {n}" for n in range(50, 1000, 100)]


def test_run_serves_other_threads_until_stop_and_closes_what_runs() -> None:
    bench = Bench()
    arrived = threading.Event()
    began = threading.Event()

    def start(request: JobRequest) -> Generator[Any, None, None]:
        try:
            while True:
                began.set()
                yield None
        finally:
            bench.closed.append(request.job)

    def emit(event: Any) -> None:
        bench.events.append(event)
        arrived.set()

    scheduler = Scheduler(emit, bench.render, start)
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    scheduler.job(JobRequest("waiting", "kind"))
    scheduler.preview(PreviewRequest("canvas", 1, PICTURE))
    assert arrived.wait(20)
    assert began.wait(20)
    scheduler.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert bench.story() == [("canvas", 1), ("waiting", "end")]
    assert bench.events[-1].cancelled
    assert bench.closed[-1] == "waiting"
    assert not scheduler.turn()
