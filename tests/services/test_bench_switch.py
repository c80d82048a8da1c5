"""The benchmark of switching: counts; times are `latentlab bench`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from latentlab.services.bench import switch
from latentlab.services.bench.registry import BENCHMARKS
from latentlab.services.bench.switch_model import worker_settings
from latentlab.services.library import ModelLibrary
from latentlab.services.targets import load_target
from tests.flow_models import write_tiny

MODEL = "stand-in-flow"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # The name says to the engine that none is bundled; the size is a test's.
    folder = tmp_path_factory.mktemp("bench")
    write_tiny(folder / f"{MODEL}.safetensors")
    return folder


@pytest.fixture(scope="module")
def asker(folder: Path) -> Iterator[switch.Asker]:
    asker = switch.Asker(folder, MODEL, worker_settings(folder))
    yield asker
    asker.client.stop()


def test_the_row_of_the_registry_is_this() -> None:
    assert load_target(BENCHMARKS["switch"]) is switch.run


def test_a_matrix_is_measured_against_the_bare_network(folder: Path) -> None:
    done: list[int] = []
    library = ModelLibrary([folder], device="cpu")
    found = switch.matrices(library, MODEL, done.append, pairs=2)
    assert found["pairs"] == 2
    for end in ("", "_round_trip"):
        assert 0 < found[f"ratio{end}_low"] <= found[f"ratio{end}"] <= found[f"ratio{end}_high"]
        assert found[f"matrix{end}_ms"] > 0
    assert done == [0, 1, 1, 2, 3, 3]


def test_the_passes_until_a_row_is_there_are_counted(asker: Any) -> None:
    found = asker.figures(lambda _: None, asked=3)
    # Of a network this small, some pass while the question is on its way.
    assert found["row_evaluations"] >= 1
    # A row of eight is one micro-batch.
    assert found["cells_evaluations"] == 1
