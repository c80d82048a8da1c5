"""Several processes, started as a person starts them, against one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from latentlab.core.run_events import Event, EventTail, read_events
from latentlab.core.runs import RunFolder
from latentlab.training import data
from latentlab.training.run import train
from tests.training import tiny_families

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="torchrun's rendezvous needs libuv there"),
]
OPEN_IMAGES = data.open_images
REPOSITORY = Path(__file__).parents[2]
LIMIT = 240
VAE = """
[model]
family = "vae"
latent_dim = 8
width = 16
max_width = 32
norm = "{norm}"

[data]
source = "portraits:count=200,seed=1"
size = 16
flip = true
held_out.count = 16

[train]
steps = 60
batch_size = 32
learning_rate = 5e-4
accumulate = {accumulate}
device = "cpu"
threads = 1
log_every = 1
sample_every = 25
sample_count = 9
checkpoint_every_minutes = 0
"""


@pytest.fixture(autouse=True)
def _families(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_families.install(monkeypatch.setitem)


@pytest.fixture
def _portraits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "open_images", OPEN_IMAGES)


def command(*run: object, node: tuple[object, ...] = ("--standalone",)) -> list[str]:
    return [
        *(sys.executable, "-m", "torch.distributed.run", *map(str, node)),
        *("--nproc_per_node", "1" if "--nnodes" in node else "2", "-m", *map(str, run)),
    ]


@contextmanager
def started(words: list[str], **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command in its own process group; end what is left of it afterwards."""
    process = subprocess.Popen(
        words,
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def together(*commands: list[str], **environment: str) -> list[tuple[int, str]]:
    """Run commands at once; return exit code and output of each."""
    if len(commands) == 1:
        with started(commands[0], **environment) as process:
            output, _ = process.communicate(timeout=LIMIT)
            return [(process.returncode, output)]
    with started(commands[0], **environment) as process:
        others = together(*commands[1:], **environment)
        output, _ = process.communicate(timeout=LIMIT)
        return [(process.returncode, output), *others]


def losses(run_dir: Path) -> dict[int, float]:
    steps = [e for e in EventTail(RunFolder(run_dir)).poll() if e.kind == "step"]
    assert len({e.step for e in steps}) == len(steps), "two processes wrote"
    return {e.step: e.data["loss"] for e in steps}


def largest_difference(one: Path, two: Path, steps: int = 50) -> float:
    first, second = losses(one), losses(two)
    assert list(first) == list(second) == list(range(1, steps + 1))
    return max(abs(first[s] - second[s]) for s in first)


def state(run_dir: Path) -> dict[str, torch.Tensor]:
    (path,) = RunFolder(run_dir).state.glob("step_*.safetensors")
    return load_file(path)


def write_vae(path: Path, norm: str = "group", accumulate: int = 1) -> Path:
    path.write_text(VAE.format(norm=norm, accumulate=accumulate))
    return path


@pytest.mark.usefixtures("_portraits")
def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    recipe = write_vae(tmp_path / "vae.toml", accumulate=2)
    one, two = tmp_path / "one", tmp_path / "two"
    train(write_vae(tmp_path / "whole.toml"), one, max_steps=50, on_event=lambda _event: None)
    words = ("latentlab", "train", recipe, "--run-dir", two, "--max-steps", 50)
    ((code, output),) = together(command(*words))
    assert code == 0, output
    # Two processes with two micro-batches each: quarters of the same batch.
    assert largest_difference(one, two) < 1e-4
    first, second = state(one), state(two)
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=2e-2, atol=2e-3, msg=name)
    assert output.count("Stopped at step 50") == 1
    events = read_events(two)
    assert [e.data["processes"] for e in events if e.kind == "start"] == [2]
    assert [e.step for e in events if e.kind == "sample"] == [25, 50]
    # The run goes on with one process, from the same state.
    resumed = (sys.executable, "-m", "latentlab", "train", "--resume", "--run-dir", two)
    ((code, output),) = together([*map(str, resumed), "--max-steps", "52"])
    assert code == 0, output
    train(tmp_path / "whole.toml", one, resume=True, max_steps=52, on_event=lambda _event: None)
    assert largest_difference(one, two, 52) < 1e-4


@pytest.mark.usefixtures("_portraits")
def test_two_machines_compute_what_one_does(tmp_path: Path) -> None:
    recipe = write_vae(tmp_path / "vae.toml")
    one, two = tmp_path / "one", tmp_path / "two"
    train(recipe, one, max_steps=50, on_event=lambda _event: None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    node = ("--nnodes", 2, "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}")
    words = command("latentlab", "train", recipe, "--run-dir", two, "--max-steps", 50, node=node)
    results = together(words, words)
    assert [code for code, _ in results] == [0, 0], results
    assert largest_difference(one, two) < 1e-4
    assert [e.data["processes"] for e in read_events(two) if e.kind == "start"] == [2]


@pytest.mark.usefixtures("_portraits")
def test_batch_norm_sees_half_the_batch(tmp_path: Path, capsys) -> None:
    recipe = write_vae(tmp_path / "vae.toml", norm="batch")
    one, two = tmp_path / "one", tmp_path / "two"
    train(recipe, one, max_steps=50, on_event=lambda _event: None)
    words = ("latentlab", "train", recipe, "--run-dir", two, "--max-steps", 50)
    ((code, output),) = together(command(*words))
    assert code == 0, output
    difference = largest_difference(one, two)
    with capsys.disabled():
        print(f"\nbatch norm on two processes: largest difference of the loss {difference:.3g}")
    first, last = losses(one)[1], losses(one)[50]
    # By design not the same; nor another run altogether.
    assert 1e-4 < difference < 0.1 * (first - last)


def test_what_depends_on_data_is_the_same_everywhere(tmp_path: Path) -> None:
    flow = tiny_families.recipe("tiny_flow", 12)
    one, two = tmp_path / "one", tmp_path / "two"
    train(flow, one, on_event=lambda _event: None)
    recipe = tmp_path / "flow.toml"
    recipe.write_text(flow.to_toml())
    words = ("tests.training.tiny_families", recipe, "--run-dir", two)
    ((code, output),) = together(command(*words))
    assert code == 0, output
    assert largest_difference(one, two, 12) < 1e-5


def test_a_wrong_recipe_is_one_sentence(tmp_path: Path) -> None:
    recipe = write_vae(tmp_path / "vae.toml", norm="grup")
    words = ("latentlab", "train", recipe, "--run-dir", tmp_path / "run")
    ((code, output),) = together(command(*words))
    assert code != 0
    assert output.count("latentlab: vae.toml, line 7") == 1, output
    assert _ours(output) == 0, output


def _ours(output: str) -> int:
    """Count tracebacks; torchrun shows one of its own when a process fails."""
    return output.count("Traceback (most recent call last)") - output.count("ChildFailedError:")


def test_trouble_of_one_process(tmp_path: Path) -> None:
    recipe = tmp_path / "gan.toml"
    recipe.write_text(tiny_families.recipe("tiny_gan", 8).to_toml())
    gone, full = tmp_path / "gone", tmp_path / "full"
    words = ("tests.training.tiny_families", recipe, "--run-dir")
    ((code, output),) = together(command(*words, gone), TINY_TROUBLE="gone:1")
    assert code != 0
    sentence = "Process 1 of 2: The disk of this machine is gone"
    assert output.count("latentlab: ") == output.count(f"latentlab: {sentence}") == 1, output
    assert _ours(output) == 0, output
    last = read_events(gone)[-1]
    assert last.kind == "error"
    assert last.data["message"].startswith(sentence)
    # Out of memory on one: both take smaller parts of the same step.
    ((code, output),) = together(command(*words, full), TINY_TROUBLE="full:1")
    assert code == 0, output
    assert list(losses(full)) == list(range(1, 9))
    told = [e for e in read_events(full) if e.kind == "warning"]
    assert [(e.step, "into 2 parts" in e.data["message"]) for e in told] == [(3, True)]


def wait_for(
    process: subprocess.Popen[str], run_dir: Path, found: Callable[[list[Event]], bool]
) -> list[Event]:
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        ended = process.poll() is not None
        events = EventTail(RunFolder(run_dir)).poll()
        if found(events):
            return events
        assert not ended, process.communicate()[0]
        time.sleep(0.1)
    raise AssertionError("nothing came")


def newest_step(events: list[Event]) -> int:
    return max((e.step for e in events if e.kind == "step"), default=0)


def test_all_wait_and_stop_together(tmp_path: Path) -> None:
    recipe, run_dir = tmp_path / "flow.toml", tmp_path / "run"
    recipe.write_text(tiny_families.recipe("tiny_flow", 1_000_000).to_toml())
    folder = RunFolder(run_dir)
    words = command(
        "tests.training.tiny_families", recipe, "--run-dir", run_dir, "--set", "train.log_every=20"
    )
    with started(words) as process:
        wait_for(process, run_dir, lambda events: newest_step(events) > 40)
        folder.pause.touch()
        events = wait_for(process, run_dir, lambda events: events[-1].kind == "pause")
        paused_at = events[-1].step
        time.sleep(1.0)
        assert EventTail(folder).poll()[-1].kind == "pause"
        folder.pause.unlink()
        wait_for(process, run_dir, lambda events: newest_step(events) > paused_at + 40)
        folder.request_stop()
        output, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, output
    before = read_events(run_dir)
    assert [e.kind for e in before if e.kind in ("pause", "continue", "stop")] == [
        "pause",
        "continue",
        "stop",
    ]
    assert folder.checkpoint(paused_at).exists()
    # A signal to any one of them stops them all.
    with started([*words, "--resume"]) as process:
        wait_for(process, run_dir, lambda events: newest_step(events) > newest_step(before) + 40)
        workers = psutil.Process(process.pid).children(recursive=True)
        (second,) = [p for p in workers if p.environ().get("RANK") == "1"]
        second.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, output
    last = read_events(run_dir)[-1]
    assert (last.kind, last.data["message"]) == ("stop", "one of the processes was interrupted")
    assert folder.checkpoint(last.step).exists()


def test_a_process_that_is_killed_ends_the_others(tmp_path: Path) -> None:
    recipe, run_dir = tmp_path / "flow.toml", tmp_path / "run"
    recipe.write_text(tiny_families.recipe("tiny_flow", 1_000_000).to_toml())
    with started(command("tests.training.tiny_families", recipe, "--run-dir", run_dir)) as process:
        wait_for(process, run_dir, lambda events: newest_step(events) > 4)
        (second,) = (
            one
            for one in psutil.Process(process.pid).children(recursive=True)
            if one.environ().get("RANK") == "1"
        )
        second.kill()
        output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode != 0
    assert _ours(output) == 0, output
    last = read_events(run_dir)[-1]
    # torchrun may end the first process before it notices.
    assert last.kind in ("error", "stop", "step")
    if last.kind == "error":
        assert "Another process of this run ended" in last.data["message"]
