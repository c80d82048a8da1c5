"""Previews of many steps beside jobs and each other: whose turn it is, one turn at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from latentlab.core.document import Picture
from latentlab.core.requests import JobProgress, JobRequest, PreviewRequest, PreviewResult
from latentlab.services.scheduler import Scheduler

PICTURE = Picture(model="m", space="z", seeds=(1,))


class Desk:
    """A scheduler whose turns take known times; ``log`` says what each turn did."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.log: list[str] = []
        self.closed: list[str] = []
        self.now = 0.0
        self.steps = 4
        self.shows = {0}
        self.preview_seconds = 1.0
        self.scheduler = Scheduler(
            self.events.append, self.render, self.start, 0.0, clock=lambda: self.now
        )

    def render(self, request: PreviewRequest) -> Iterator[PreviewResult | None]:
        name = f"{request.channel}{request.sequence}"
        try:
            for step in range(self.steps):
                self.now += self.preview_seconds
                self.log.append(name)
                final = step == self.steps - 1
                if final or step in self.shows:
                    yield PreviewResult(request.channel, request.sequence, final=final)
                else:
                    yield None
        finally:
            self.closed.append(name)

    def start(self, request: JobRequest) -> Generator[Any, None, None]:
        for done in range(request.arguments["steps"]):
            self.now += request.arguments["seconds"]
            self.log.append(request.job)
            yield None if request.arguments.get("waits") else (done, 10, "")

    def ask(self, channel: str, sequence: int = 1) -> None:
        self.scheduler.preview(PreviewRequest(channel, sequence, PICTURE))

    def begin(self, job: str, steps: int = 1000, seconds: float = 1.0, **more: Any) -> None:
        arguments = {"steps": steps, "seconds": seconds, **more}
        self.scheduler.job(JobRequest(job, "kind", arguments))

    def turns(self, count: int = 200) -> None:
        for _ in range(count):
            self.scheduler.turn()

    def shown(self) -> list[tuple[str, int, bool]]:
        return [
            (e.channel, e.sequence, e.final) for e in self.events if isinstance(e, PreviewResult)
        ]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_turns_without_an_image_keep_the_channel(desk: Desk) -> None:
    desk.shows = set()
    desk.ask("canvas")
    desk.turns()
    assert desk.log == ["canvas1"] * 4
    assert desk.shown() == [("canvas", 1, True)]
    assert desk.closed == ["canvas1"]


def test_a_newer_request_waits_for_the_first_image_only(desk: Desk) -> None:
    desk.shows = {1}
    desk.ask("canvas", 1)
    desk.turns(1)
    desk.ask("canvas", 2)
    desk.turns(1)
    assert desk.shown() == [("canvas", 1, False)]
    desk.turns()
    assert desk.log == ["canvas1"] * 2 + ["canvas2"] * 4
    assert desk.shown()[1:] == [("canvas", 2, False), ("canvas", 2, True)]


def test_a_newer_request_replaces_what_is_being_refined(desk: Desk) -> None:
    desk.steps = 25
    desk.ask("canvas", 1)
    desk.turns(5)
    desk.ask("canvas", 2)
    desk.turns(1)
    assert desk.log == ["canvas1"] * 5 + ["canvas2"]
    assert desk.closed == ["canvas1"]


def test_first_images_go_before_refining(desk: Desk) -> None:
    desk.steps = 25
    desk.ask("canvas")
    desk.turns(3)
    desk.ask("strip")
    desk.ask("map")
    desk.turns(4)
    assert desk.log[:5] == ["canvas1"] * 3 + ["strip1", "map1"]
    assert [name for name, *_ in desk.shown()] == ["canvas", "strip", "map"]
    desk.turns()
    # The rest takes turns: nobody waits for another's end.
    assert desk.log[5:14] == ["canvas1", "strip1", "map1"] * 3
    assert len(desk.log) == 75


@pytest.mark.parametrize(
    ("preview", "job"), [(1.0, 1.0), (0.125, 0.5), (0.5, 0.125), (8.0, 0.25), (0.25, 8.0)]
)
def test_refining_and_jobs_share_the_time(desk: Desk, preview: float, job: float) -> None:
    desk.steps = 10**6
    desk.preview_seconds = preview
    desk.begin("job", 10**6, seconds=job)
    desk.ask("canvas")
    desk.turns(2000)
    worked = desk.log.count("job")
    refined = desk.log.count("canvas1")
    assert worked + refined >= 1999
    if max(preview, job) <= 1:
        assert worked * job == pytest.approx(refined * preview, rel=0.02)
    # A debt is forgotten beyond a second: neither waits for long because the other is slow.
    assert min(worked, refined) * max(1.0, preview, job) >= 100


def test_a_first_image_goes_before_jobs_and_refining(desk: Desk) -> None:
    desk.steps = 25
    desk.begin("job")
    desk.ask("canvas")
    desk.turns(9)
    desk.ask("strip")
    desk.turns(1)
    assert desk.log[-1] == "strip1"


def test_a_job_that_waits_does_not_hold_refining_up(desk: Desk) -> None:
    desk.preview_seconds, desk.steps = 5.0, 25
    desk.begin("lane", seconds=0.0, waits=True)
    desk.ask("canvas")
    desk.turns(50)
    assert desk.log.count("canvas1") == 25


def test_thumbnails_of_many_steps_come_one_after_another(desk: Desk) -> None:
    for index in range(5):
        desk.ask(f"thumb:{index}")
    desk.ask("canvas")
    desk.turns(2)
    assert desk.log == ["thumb:01", "canvas1"]
    desk.turns()
    thumbs = [name for name in desk.log if name.startswith("thumb")]
    assert thumbs == [f"thumb:{index}1" for index in range(5) for _ in range(4)]
    # They share the turns with the canvas meanwhile.
    assert desk.log[2:8].count("canvas1") == 3


def test_thumbnails_do_not_hold_up_a_slider(desk: Desk) -> None:
    for index in range(5):
        desk.ask(f"thumb:{index}")
    desk.begin("job")
    desk.turns(10)
    desk.ask("canvas")
    desk.turns(1)
    assert desk.log[-1] == "canvas1"
    desk.turns()
    assert sum(final for name, _, final in desk.shown() if name.startswith("thumb")) == 5
    assert any(isinstance(event, JobProgress) for event in desk.events)


def test_stopping_closes_what_is_being_refined(desk: Desk) -> None:
    desk.steps = 25
    desk.ask("canvas")
    desk.turns(3)
    desk.scheduler.stop()
    desk.scheduler.run()
    assert desk.closed == ["canvas1"]
