"""The benchmarks of watched denoising: counts and order; times are `latentlab bench`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from latentlab.core.denoising import SAMPLERS
from latentlab.services.bench import denoise, denoise_flood
from latentlab.services.bench.denoise_model import worker_settings
from latentlab.services.bench.evaluations import EvaluationCounter
from latentlab.services.bench.registry import BENCHMARKS
from latentlab.services.targets import load_target
from tests.diffusion_models import tiny_diffusion, write_tiny


def test_the_rows_of_the_registry_are_these() -> None:
    assert load_target(BENCHMARKS["denoise"]) is denoise.run
    assert load_target(BENCHMARKS["denoise_flood"]) is denoise_flood.run


def test_both_loops_make_the_same_picture() -> None:
    reports: list[tuple[int, int, str]] = []
    figures = denoise.loops(
        tiny_diffusion(), lambda *one: reports.append(one), 9, pairs=2, other_pairs=1, steps=4
    )
    assert figures["difference"] < 1e-5
    assert figures["pairs"] == 2
    assert {f"ratio_{row.id}" for row in SAMPLERS} <= set(figures)
    assert 0 < figures["ratio_low"] <= figures["ratio"] <= figures["ratio_high"]
    assert reports[-1][0] <= 9


def test_two_processes_share_a_counter(tmp_path: Path) -> None:
    here, there = EvaluationCounter(tmp_path), EvaluationCounter(tmp_path)
    for _ in range(3):
        here.add()
    assert there.value == 3


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[denoise.Asker]:
    folder = tmp_path_factory.mktemp("bench")
    # The name says to the engine that none is bundled; the size is a test's.
    model = "stand-in-diffusion"
    write_tiny(folder / f"{model}.safetensors")
    asker = denoise.Asker(folder, model, worker_settings(folder))
    yield asker
    asker.client.stop()


@pytest.mark.parametrize("images", [1, denoise.GRID])
def test_the_first_image_is_there_after_two_evaluations(asker: Any, images: int) -> None:
    asker.preview(images)
    before = asker.counter.value
    found = asker.preview(images)
    assert 1 <= found["evaluations"] <= 2
    assert asker.counter.value - before == 25
    assert found["images"] >= 2


def test_cancel_takes_effect_within_one_evaluation(asker: Any) -> None:
    # On a busy machine the word may reach the worker a little later than it was said.
    waits = sorted(asker.cancel(after=2)[0] for _ in range(5))
    assert waits[0] <= 1


@pytest.mark.gui
@pytest.mark.slow
def test_a_slider_beside_a_run_settles_within_two_evaluations() -> None:
    pytest.importorskip("PySide6", reason="the flood has a window")
    figures = denoise_flood.measure(lambda *_: None)
    assert figures["events"] == 400
    assert figures["coalesced"] > 0
    assert figures["sequences"] == sorted(set(figures["sequences"]))
    assert figures["sequences"][-1] == figures["last_sequence"]
    assert 1 <= figures["settle_evaluations"] <= 2
    assert figures["run_steps"] > 0
    assert figures["final_ms"] > figures["settle_ms"]
