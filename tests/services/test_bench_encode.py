"""The benchmark of encoding: what it reports, on a small model. No figure of speed is held."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentlab.services.bench import encode
from latentlab.services.bench.registry import BENCHMARKS
from latentlab.services.targets import load_target
from tests.backends.factories import small_vae


def test_it_reports_both_rates_and_their_ratio(tmp_path: Path) -> None:
    backend = small_vae(image_size=16)
    dataset = encode.images_on_disk(tmp_path, backend.spec, count=1300)
    assert len(dataset) == 1300
    base = dataset.images  # type: ignore[attr-defined]
    while not isinstance(base, np.memmap) and base.base is not None:
        base = base.base
    assert not isinstance(base, np.ndarray) or isinstance(base, np.memmap)
    reports: list[tuple[int, int, str]] = []
    figures = encode.measure(backend, dataset, lambda *row: reports.append(row))
    assert [row[:2] for row in reports] == [(i, encode.ROUNDS) for i in range(encode.ROUNDS + 1)]
    assert figures["images"] == 1300
    assert figures["rounds"] == encode.ROUNDS
    assert figures["images_per_s"] > 0
    assert figures["ratio_least"] <= figures["ratio"] <= figures["ratio_most"]
    assert figures["image_shape"] == [3, 16, 16]


def test_the_command_line_knows_it() -> None:
    assert load_target(BENCHMARKS["encode"]) is encode.run
