"""The benchmark of the map runs on a small one; times are `latentlab bench`."""

from __future__ import annotations

import pytest

from latentlab.services.bench.map import run
from latentlab.services.bench.registry import BENCHMARKS
from latentlab.services.targets import load_target

pytestmark = pytest.mark.gui


def test_a_small_map_gives_every_figure(qtbot):
    from latentlab.ui.bench_map import clusters, measure

    places, owner = clusters(3000)
    assert places.shape == (3000, 2)
    assert set(owner) == set(range(10))
    figures = measure(count=3000, frames=8, hovers=6)
    assert figures["points"] == 3000
    for name in ("pan", "zoom", "hover", "density"):
        assert 0 < figures[f"{name}_median_ms"] <= figures[f"{name}_p95_ms"]
    assert figures["pan_frames_per_s"] > 0


def test_it_is_known_by_its_name():
    assert load_target(BENCHMARKS["map"]) is run
