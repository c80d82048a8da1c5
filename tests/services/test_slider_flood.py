"""A flooded slider against real convolutions: counts and order; times are `latentlab bench`."""

from __future__ import annotations

from typing import Any

import pytest

from latentlab.services.bench.registry import BENCHMARKS
from latentlab.services.bench.slider_flood import measure, run
from latentlab.services.targets import load_target

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    pytest.importorskip("PySide6", reason="the flood has a window")
    reports: list[tuple[int, int, str]] = []
    figures = measure(lambda *report: reports.append(report))
    assert [report[:2] for report in reports] == [(0, 1), (1, 1)]
    return figures


def test_every_event_was_asked_for_and_most_were_coalesced(figures: dict[str, Any]) -> None:
    assert figures["events"] == 400
    assert figures["forwards"] == len(figures["sequences"])
    assert figures["forwards"] + figures["coalesced"] == 400
    assert figures["coalesced"] > 0


def test_enough_frames_are_painted(figures: dict[str, Any]) -> None:
    assert figures["frames_shown"] >= 40
    assert figures["frames_shown"] <= figures["forwards"]


def test_values_only_rise_and_the_last_one_is_shown(figures: dict[str, Any]) -> None:
    sequences = figures["sequences"]
    assert sequences == sorted(set(sequences))
    assert sequences[-1] == figures["last_sequence"]


def test_the_last_frame_is_there_within_two_forwards_of_release(figures: dict[str, Any]) -> None:
    # One that ran at release, and the one of the last value.
    assert 1 <= figures["settle_forwards"] <= 2


def test_the_report_has_the_contract_names(figures: dict[str, Any]) -> None:
    assert load_target(BENCHMARKS["slider_flood"]) is run
    names = {"heartbeat_p99_ms", "heartbeat_max_ms", "settle_forwards", "frames_shown"}
    assert names <= set(figures)
    # A heart that hardly beat would have seen nothing.
    assert figures["heartbeats"] > 400
