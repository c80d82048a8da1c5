"""What a recipe takes is measured on its real steps, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from latentlab.core.errors import LatentLabError
from latentlab.training import estimate as module
from latentlab.training.estimate import estimate
from latentlab.training.peak import peak_memory
from tests.training import tiny
from tests.training.test_run import REPOSITORY


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left(scratch: Path) -> list[Path]:
    # PyTorch makes a folder of its own there when it is imported.
    return [path for path in scratch.iterdir() if not path.name.startswith("torchinductor")]


def test_the_figures_are_those_of_the_recipe(scratch: Path) -> None:
    lines: list[str] = []
    found = estimate(tiny.recipe(2000), seconds=0.05, on_progress=lines.append)
    assert found.parameters == sum(p.numel() for p in tiny.TinyNetwork(5).parameters())
    assert (found.total_steps, found.num_images, found.num_held_out) == (2000, 63, 7)
    assert 3 <= found.timed_steps < 2000
    assert found.seconds_total == pytest.approx(2000 * found.seconds_per_step)
    assert found.images_per_second == pytest.approx(8 / found.seconds_per_step)
    assert found.device == "cpu"
    assert found.device_memory_mb is None
    assert found.checkpoint_mb > 0
    # Adam's two moments, the average and the network itself against the kept weights alone.
    assert found.state_mb > found.checkpoint_mb
    assert 0 <= found.data_wait <= 1
    assert any(line.startswith("step ") for line in lines)
    assert left(scratch) == []


def test_a_step_takes_what_it_takes(scratch: Path, monkeypatch) -> None:
    monkeypatch.setattr(tiny.TinyTrainer, "pause", 0.05)
    found = estimate(tiny.recipe(5000), seconds=0.2)
    # At least the pause, and the slow first steps of a process are not among those timed.
    assert found.seconds_per_step >= 0.05
    assert found.timed_steps >= 3


def test_short_recipes_are_measured_too(scratch: Path) -> None:
    for steps in (1, 3):
        found = estimate(tiny.recipe(steps), seconds=60.0)
        assert found.total_steps == steps
        assert found.timed_steps >= 3
        assert found.seconds_total == pytest.approx(steps * found.seconds_per_step)
    by_images = {"train__images_seen": 800, "train__log_every": 50}
    assert estimate(tiny.recipe(1, **by_images), seconds=0.01).total_steps == 100


def test_the_peak_of_the_process_is_told(scratch: Path) -> None:
    script = (
        "import numpy as np\nfrom latentlab.training.peak import peak_memory\n"
        "before = peak_memory()\nbig = np.ones(2**25)\ndel big\n"
        "print((peak_memory() - before) / 2**20)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) == pytest.approx(256, abs=40)
    assert estimate(tiny.recipe(20), seconds=0.01).memory_mb <= peak_memory() / 2**20 + 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_a_recipe_that_does_not_fit_says_so(scratch: Path, monkeypatch, error) -> None:
    def full(*_words) -> None:
        raise error

    monkeypatch.setattr(tiny.TinyTrainer, "losses", full)
    with pytest.raises(LatentLabError, match=r"does not fit in the memory .*: lower train\.batch"):
        estimate(tiny.recipe(20), seconds=0.01)
    assert left(scratch) == []


def test_an_interrupt_ends_the_measurement(scratch: Path, monkeypatch) -> None:
    class Asked(module.Interrupts):
        def __enter__(self):
            super().__enter__()
            self.asked = True
            return self

    monkeypatch.setattr(module, "Interrupts", Asked)
    with pytest.raises(LatentLabError, match="interrupted"):
        estimate(tiny.recipe(200), seconds=0.01)
    assert left(scratch) == []
