"""The worker across its process border: what arrives, in which order, and what is left behind."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.requests import (
    JobProgress,
    JobRequest,
    JobResult,
    PreviewRequest,
    PreviewResult,
)
from latentlab.services.jobs import JOBS, run_job
from latentlab.services.worker_client import WorkerClient, WorkerDied, WorkerReady
from tests.services import engine
from tests.services.engine import SETTINGS, wait_for
from tests.services.models import write_vae
from tests.services.test_lane import gone

WAIT = 60
REPOSITORY = Path(__file__).parents[2]


class Asker:
    """A client and what came back."""

    def __init__(self, **changes: Any) -> None:
        self.queue: queue.Queue[Any] = queue.Queue()
        self.client = WorkerClient(self.queue.put, replace(SETTINGS, **changes))

    def next(self, kind: type = object) -> Any:
        """Return the next event of a kind; the others before it are dropped."""
        while True:
            event = self.queue.get(timeout=WAIT)
            if isinstance(event, kind):
                return event

    def until(self, wanted: Callable[[Any], bool]) -> list[Any]:
        """Return all events up to the one that is wanted."""
        events = [self.next()]
        while not wanted(events[-1]):
            events.append(self.next())
        return events

    def ask(
        self, channel: str, sequence: int, name: str = "", stored: Latents | None = None
    ) -> None:
        picture = Picture(model="m", space="z", seeds=(1,), name=name)
        self.client.preview(PreviewRequest(channel, sequence, picture, stored))

    def job(self, job: str, kind: str, **arguments: Any) -> None:
        self.client.job(JobRequest(job, kind, arguments, title="Counting"))


def workers() -> list[str]:
    """The client's threads in this process."""
    names = ("latentlab-sender", "latentlab-events", "latentlab-lane")
    return [thread.name for thread in threading.enumerate() if thread.name in names]


@pytest.fixture
def asker() -> Iterator[Asker]:
    asker = Asker()
    asker.client.start()
    yield asker
    pid = asker.client.pid
    asker.client.stop()
    assert workers() == []
    assert pid is None or gone(pid)


def test_a_flood_shows_rising_values_and_always_the_last(asker: Asker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    asker.ask("canvas", 1, f"wait {gate}")
    wait_for(f"{gate}.began")
    for sequence in range(2, 202):
        asker.ask("canvas", sequence)
    assert asker.client.pending("canvas")
    gate.touch()
    shown = asker.until(lambda e: getattr(e, "sequence", 0) == 201)
    sequences = [e.sequence for e in shown if isinstance(e, PreviewResult)]
    # The running frame was not given up. Behind it one request can wait here, one be on its way and
    # one wait there.
    assert sequences[0] == 1
    assert sequences == sorted(set(sequences))
    assert len(sequences) <= 4
    assert not asker.client.pending("canvas")
    assert (shown[-1].images == 201).all()
    assert shown[-1].images.shape == (1, 64, 64, 3)
    assert not shown[-1].images.flags.writeable


def test_ready_says_who_serves(asker: Asker) -> None:
    ready = asker.next(WorkerReady)
    assert ready.pid == asker.client.pid
    assert ready.failure is None
    if sys.platform.startswith("linux"):
        # Niceness adds to that of whoever starts the worker, up to 19.
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert ready.figures == {"priority": min(19, own + SETTINGS.niceness)}


def test_arrays_cross_whole_and_read_only(asker: Asker) -> None:
    stored = Latents("z", {"z": np.arange(4096, dtype=np.float32).reshape(4, 1024)})
    asker.ask("canvas", 1, "latents", stored)
    back = asker.next(PreviewResult).latents
    np.testing.assert_array_equal(back["z"], stored["z"])
    assert not back["z"].flags.writeable
    asker.job("a", "large", array=np.ones(500_000, np.int64))
    events = asker.until(lambda e: isinstance(e, JobResult))
    assert events[0].message == "500000"
    value = events[-1].value
    large = np.arange(1_000_000, dtype=np.float32).reshape(1000, 1000)
    np.testing.assert_array_equal(value["large"], large)
    np.testing.assert_array_equal(value["latents"]["z"], large[:2])
    assert value["latents"]["empty"].shape == (2, 0)


def test_a_job_reports_and_ends_with_its_value(asker: Asker) -> None:
    asker.job("a", "count", steps=5, value={"path": Path("x.png")})
    events = asker.until(lambda e: isinstance(e, JobResult))
    progress = [e for e in events if isinstance(e, JobProgress)]
    assert (progress[0].job, progress[0].done, progress[0].total) == ("a", 0, 5)
    assert events[-1].value == {"path": Path("x.png")}
    asker.job("b", "count", steps=10**9)
    with pytest.raises(ValueError, match="runs already"):
        asker.job("b", "count", steps=1)


def test_cancel_closes_the_job(asker: Asker, tmp_path: Path) -> None:
    mark = tmp_path / "closed"
    asker.job("a", "count", steps=2, mark=str(mark), gate=str(tmp_path / "never"))
    asker.next(JobProgress)
    asker.client.cancel("a")
    asker.client.cancel("unknown")
    result = asker.next(JobResult)
    assert (result.job, result.cancelled, result.failure) == ("a", True, None)
    assert mark.exists()
    asker.job("b", "count", steps=1, value=3)
    assert asker.next(JobResult).value == 3


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        ("unpicklable", {}, "Sending the result failed"),
        ("torch", {}, "must not cross"),
        ("nothing", {}, "There is no job 'nothing'"),
        ("count", {"stepz": 1}, "stepz"),
        ("no_generator", {}, "is no generator"),
        ("count", {"steps": 1, "value": lambda: None}, "Sending the request failed"),
    ],
)
def test_what_goes_wrong_in_a_job_is_its_result(
    asker: Asker, kind: str, arguments: dict[str, Any], words: str
) -> None:
    asker.job("a", kind, **arguments)
    assert words in asker.next(JobResult).failure.message
    asker.job("b", "count", steps=1, value=3)
    assert asker.next(JobResult).value == 3


def test_an_error_of_a_picture_is_its_result(asker: Asker) -> None:
    asker.ask("canvas", 1, "error")
    failure = asker.next(PreviewResult).failure
    assert (failure.message, failure.details) == (
        "The picture is empty: choose another.",
        "because",
    )
    assert not asker.client.pending("canvas")


def test_a_worker_that_cannot_be_set_up_says_so_to_everyone() -> None:
    asker = Asker(engine="tests.services.engine:broken", device="cuda:7")
    with asker.client:
        asker.ask("canvas", 1)
        asker.job("a", "count", steps=1)
        events = asker.until(lambda e: isinstance(e, JobResult))
    assert [type(e) for e in events] == [WorkerReady, PreviewResult, JobResult]
    for event in events:
        assert event.failure.message == "There is no device 'cuda:7' here: choose another."


@pytest.mark.parametrize(("name", "words"), [("die", "SIGTERM"), ("exit", "exit code 3")])
def test_the_death_of_the_worker_is_told_to_all_that_wait(
    asker: Asker, tmp_path: Path, name: str, words: str
) -> None:
    if name == "die" and sys.platform == "win32":
        pytest.skip("Windows has no signals")
    asker.job("a", "count", steps=2, gate=str(tmp_path / "never"))
    asker.next(JobProgress)
    gate = tmp_path / "gate"
    asker.ask("strip", 1, f"wait {gate}")
    wait_for(f"{gate}.began")
    asker.ask("canvas", 5, name)
    asker.ask("map", 6)
    gate.touch()
    events = asker.until(lambda e: isinstance(e, WorkerDied))
    failed = {(getattr(e, "channel", None) or e.job): e.failure for e in events[1:-1]}
    assert events[0].failure is None
    assert set(failed) == {"canvas", "map", "a"}
    assert all(words in failure.message for failure in failed.values())
    assert not asker.client.pending("canvas")
    assert not asker.client.running
    # Nothing hangs while there is no worker, and it can be started again.
    asker.ask("canvas", 7)
    asker.job("b", "count", steps=1)
    assert "not running" in asker.next(PreviewResult).failure.message
    assert "not running" in asker.next(JobResult).failure.message
    asker.client.start()
    asker.ask("canvas", 8)
    assert (asker.next(PreviewResult).images == 8).all()


def test_restart_asks_again_for_what_waited(asker: Asker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    asker.ask("canvas", 1, f"wait {gate}")
    wait_for(f"{gate}.began")
    asker.ask("canvas", 2)
    asker.job("a", "count", steps=1)
    before = asker.client.pid
    asker.client.restart(replace(SETTINGS, niceness=7), timeout=0.5)
    assert asker.client.pid != before
    assert asker.next(JobResult).cancelled
    result = asker.next(PreviewResult)
    assert (result.sequence, result.failure) == (2, None)


def test_stop_reports_jobs_as_cancelled_and_forces_a_stuck_worker(tmp_path: Path) -> None:
    asker = Asker()
    asker.client.start()
    mark = tmp_path / "closed"
    asker.job("a", "count", steps=2, mark=str(mark), gate=str(tmp_path / "never"))
    asker.next(JobProgress)
    asker.client.stop()
    assert asker.next(JobResult).cancelled
    assert mark.exists()
    asker.client.start()
    pid = asker.client.pid
    asker.ask("canvas", 1, f"wait {tmp_path / 'gate'}")
    wait_for(tmp_path / "gate.began")
    asker.client.stop(timeout=0.2)
    assert "stopped" in asker.next(PreviewResult).failure.message
    assert pid is not None
    assert gone(pid)
    assert workers() == []


def test_an_event_that_cannot_be_taken_does_not_stop_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken: queue.Queue[Any] = queue.Queue()

    def take(event: Any) -> None:
        if getattr(event, "sequence", 0) == 1:
            raise RuntimeError("the window is gone")
        taken.put(event)

    asker = Asker()
    asker.queue = taken
    asker.client = WorkerClient(take, SETTINGS)
    with asker.client:
        asker.ask("canvas", 1)
        asker.ask("strip", 2)
        assert asker.next(PreviewResult).sequence == 2
    assert "the window is gone" in caplog.text


def test_a_job_uses_the_lane(asker: Asker, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    asker.job("a", "lane", target="tests.services.lane_work:hang", path=str(path))
    wait_for(path)
    # The worker serves meanwhile.
    asker.ask("canvas", 1)
    assert asker.next(PreviewResult).failure is None
    asker.client.cancel("a")
    assert asker.next(JobResult).cancelled
    assert all(gone(int(word)) for word in path.read_text().split())


def run_python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


START = """
import os, queue, sys
from latentlab.core.requests import JobProgress, JobRequest, JobResult
from latentlab.services.worker_client import WorkerClient
from tests.services.engine import SETTINGS, wait_for
events = queue.Queue()
client = WorkerClient(events.put, SETTINGS)
client.start()
path = sys.argv[1]
arguments = {"target": "tests.services.lane_work:hang", "path": path}
client.job(JobRequest("a", "lane", arguments))
wait_for(path)
print(client.pid)
"""


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)"])
def test_nothing_outlives_the_asker(tmp_path: Path, end: str) -> None:
    path = tmp_path / "pids"
    printed = run_python(START + f"sys.stdout.flush(); {end}", str(path))
    pids = [int(word) for word in (printed + path.read_text()).split()]
    assert len(pids) == 3
    assert [gone(pid) for pid in pids] == [True] * 3


def test_a_script_is_not_run_again_by_the_worker(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("print('script')" + START.replace("print(client.pid)", "client.stop()"))
    path = tmp_path / "pids"
    done = subprocess.run(
        [sys.executable, str(script), str(path)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["script"]), done.stderr


REAL = """
import queue, sys
from pathlib import Path
from latentlab.core.document import Picture
from latentlab.core.requests import JobRequest, JobResult, PreviewRequest, PreviewResult
from latentlab.services.worker_client import WorkerClient, WorkerReady, WorkerSettings
folder = Path(sys.argv[1])
picture = Picture(model="small-vae", space="z", seeds=(1, 2))
events = queue.Queue()
with WorkerClient(events.put, WorkerSettings(folders=(str(folder),), device="cpu")) as client:
    client.preview(PreviewRequest("canvas", 1, picture))
    jobs = {
        "open_model": {"model": "small-vae"},
        "export_png": {"path": folder / "out.png", "picture": picture},
        "encode_photo": {"model": "small-vae", "photo": folder / "out.png"},
        "export_latents": {"path": folder / "out.npz", "picture": picture},
        "import_latents": {"path": folder / "out.npz", "model": "small-vae"},
    }
    for kind, arguments in jobs.items():
        client.job(JobRequest(kind, kind, arguments))
        while True:
            event = events.get(timeout=60)
            if isinstance(event, WorkerReady):
                assert event.device.startswith("cpu"), event
            if isinstance(event, PreviewResult):
                assert event.images.shape[0] == 2, event
            if isinstance(event, JobResult):
                assert event.failure is None, event
                print(type(event.value).__name__)
                break
print([name for name in ("torch", "PySide6") if name in sys.modules])
"""


def test_the_asking_process_never_imports_torch(tmp_path: Path) -> None:
    write_vae(tmp_path / "small.safetensors")
    words = run_python(REAL, str(tmp_path)).split()
    assert words == [
        "OpenedModel",
        "PosixPath",
        "EncodedPhoto",
        "PosixPath",
        "ImportedLatents",
        "[]",
    ]


def test_a_job_runs_in_this_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, target in engine.JOBS.items():
        monkeypatch.setitem(JOBS, kind, target)
    context = engine.build(SETTINGS)
    seen: list[JobProgress] = []
    value = run_job(JobRequest("a", "count", {"steps": 3, "value": 9}), seen.append, context)
    assert value == 9
    assert [(p.done, p.total, p.message) for p in seen] == [(n, 3, "counting") for n in range(3)]
    with pytest.raises(LatentLabError, match="no job"):
        run_job(JobRequest("a", "nothing"), context=context)
    assert run_job(JobRequest("a", "where"), context=context) == os.getpid()
