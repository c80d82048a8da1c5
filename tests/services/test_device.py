from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from latentlab.core.errors import LatentLabError
from latentlab.services import device
from latentlab.services.device import (
    choose_device,
    describe_device,
    doctor,
    qt_problem,
    set_threads,
)
from tests.services.models import library, write_vae


def test_the_best_device_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device() == torch.device("cuda", 0)
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(LatentLabError, match="no device 'cuda:1'"):
        choose_device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device().type == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device().type == "cpu"
    for name in ("mps", "cuda", "meta", "toaster", "", "cuda:x"):
        with pytest.raises(LatentLabError, match="device"):
            choose_device(name)


def test_threads_are_set_and_shown() -> None:
    before = torch.get_num_threads()
    try:
        assert set_threads(1) == 1
        assert describe_device(torch.device("cpu")) == "cpu, 1 thread"
        assert set_threads(2) == 2
        assert describe_device(torch.device("cpu")) == "cpu, 2 threads"
        assert set_threads(None) == 2
    finally:
        torch.set_num_threads(before)


def test_memory_is_that_of_this_process() -> None:
    # In a process of its own: here the block may fit into memory that earlier tests gave back.
    code = (
        "import os; from latentlab.services.device import memory_bytes; "
        "before = memory_bytes()['process']; block = bytearray(os.urandom(1) * 64 * 2**20); "
        "print(memory_bytes()['process'] - before)"
    )
    grown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert int(grown.stdout) > 32 * 2**20


@pytest.mark.parametrize(
    ("qt", "python", "bad"),
    [
        ("6.12.0", (3, 11), True),
        ("6.12.0", (3, 12), False),
        ("6.11.3", (3, 11), False),
        ("6.12.1", (3, 11), False),
    ],
)
def test_the_qt_that_crashes_is_refused(qt: str, python: tuple[int, int], bad: bool) -> None:
    problem = qt_problem(qt, python)
    assert (problem is not None) == bad
    if problem:
        assert "PySide6-Essentials<6.12" in problem


def test_a_missing_qt_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_version", lambda name: None)
    assert "pip install" in (qt_problem() or "")


def test_the_report_names_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("latentlab.services.library.BUNDLED_MODELS", ())
    monkeypatch.setattr("latentlab.catalog.BUNDLED_MODELS", ("good", "broken"))
    (tmp_path / "models").mkdir()
    write_vae(tmp_path / "models" / "good.safetensors", "good")
    (tmp_path / "models" / "broken.safetensors").write_bytes(b"x" * 100)
    report = doctor(library(tmp_path / "models"))
    assert json.loads(json.dumps(report)) == report
    assert report["torch"] == torch.__version__
    assert report["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert report["models"]["good"] == "ok"
    assert "broken.safetensors" in report["models"]["broken"]
    assert [text for text in report["problems"] if text.startswith("broken: ")]
    assert not [text for text in report["problems"] if text.startswith("good")]
    assert report["folders"]["data"] == str(tmp_path / "home" / "data")
    assert set(report["extras"]) == {"video", "manifold", "metrics", "fastcpu"}
    assert "PySide6" not in sys.modules or "pytestqt" in sys.modules


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("latentlab.catalog.BUNDLED_MODELS", ())
    problems = doctor(library(tmp_path))["problems"]
    assert len([text for text in problems if "not writable" in text]) == 4
