"""The card of a model of portraits: directions, what they do, and how near its samples are."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from latentlab.backends.probe import Probe, load_probe
from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.data.base import ImageDataset
from latentlab.evaluation.fit import fit_portraits_directions
from latentlab.evaluation.measure import EditReport, Progress, frechet, measure_edit
from latentlab.latent.metrics import frechet_distance

FRECHET_IMAGES = 2000
MIN_DIMENSIONS = 8
"""A space with fewer has no room for a direction an attribute."""
FLOOR_SEED = 31
"""Of the renders that the held-out ones are compared with, for the data-to-data floor."""

Study = Generator[Progress, None, tuple[dict[str, float], dict[str, Direction]]]


def can_study(held_out: ImageDataset) -> bool:
    """Whether the images are colour portraits and the bundled probe is there to read them."""
    if held_out.name != "portraits" or held_out.image_shape[0] != 3:
        return False
    try:
        load_probe()
    except LatentLabError:
        return False
    return True


def study(backend: Any, held_out: ImageDataset, refine: bool = False) -> Study:
    """Fit the directions of portraits and measure them and the prior samples.

    Args:
        backend: a model of portraits that encodes.
        held_out: portraits that it was not trained on.
        refine: turn the eight edits by descent through decoder and probe, which takes minutes.

    Returns:
        Figures by name, ``frechet_probe`` and ``frechet_probe_floor`` (squared distances in the
        probe's features; the floor compares data with data), ``target_<attribute>`` and
        ``selectivity_<attribute>``; and the directions by name, which carry the same figures
        (none in a space of fewer than ``MIN_DIMENSIONS``).
    """
    probe = load_probe()
    directions: dict[str, Direction] = {}
    report: EditReport | None = None
    if backend.spec.space().size >= MIN_DIMENSIONS:
        directions, report = yield from _directions(backend, probe, refine)
    quality = yield from distances(backend, probe, held_out)
    return quality | edit_quality(report), annotated(directions, report)


def distances(
    backend: Any, probe: Probe, held_out: ImageDataset
) -> Generator[Progress, None, dict[str, float]]:
    """Measure ``frechet_probe`` of prior samples and ``frechet_probe_floor``, see ``study``."""
    quality: dict[str, float] = {}
    for found in frechet(backend, probe, held_out, samples=FRECHET_IMAGES):
        if isinstance(found, float):
            quality["frechet_probe"] = found
        else:
            yield found
    quality["frechet_probe_floor"] = yield from _floor(probe, held_out)
    return quality


def _directions(
    backend: Any, probe: Probe, refine: bool
) -> Generator[Progress, None, tuple[dict[str, Direction], EditReport | None]]:
    directions: dict[str, Direction] = {}
    for item in fit_portraits_directions(backend, probe=probe, refine=refine):
        if isinstance(item, dict):
            directions = item
        else:
            yield item
    report: EditReport | None = None
    for step in measure_edit(backend, directions, probe):
        if isinstance(step, EditReport):
            report = step
        else:
            yield step
    return directions, report


def edit_quality(report: EditReport | None) -> dict[str, float]:
    """Return the figures of edits by the names of a card; none without a report."""
    rows: Mapping[str, Any] = {} if report is None else report.attributes
    targets = {f"target_{name}": figures.target for name, figures in rows.items()}
    return targets | {f"selectivity_{name}": f.selectivity for name, f in rows.items()}


def annotated(
    directions: Mapping[str, Direction], report: EditReport | None
) -> dict[str, Direction]:
    """Return the directions with what was measured of them in their provenance."""
    rows = {} if report is None else report.attributes
    return {
        name: replace(direction, provenance=dict(direction.provenance) | vars(rows[name]))
        if name in rows
        else direction
        for name, direction in directions.items()
    }


def _floor(probe: Probe, held_out: ImageDataset) -> Generator[Progress, None, float]:
    from latentlab.data.portraits.dataset import Portraits

    count = min(FRECHET_IMAGES, len(held_out))
    others = Portraits(count, FLOOR_SEED, held_out.image_shape[1])
    features = []
    for dataset in (held_out, others):
        rows = []
        for start in range(0, count, 100):
            rows.append(probe.features(dataset.read(np.arange(start, min(start + 100, count)))))
            yield start, count, "measuring the floor"
        features.append(np.concatenate(rows))
    return frechet_distance(*features)
