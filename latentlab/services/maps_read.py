"""Labels of a model's own samples, read off their pictures by the probe."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.core.labels import LabelColumn
from latentlab.core.points import PointSet
from latentlab.core.suggest import did_you_mean
from latentlab.services.directions_data import Step

PROBE = "probe"


def probe_of(backend: Any, reader: str = PROBE) -> Any:
    """Return the probe that reads a model's samples.

    Raises:
        LatentLabError: another reader, or images that the probe cannot read.
    """
    from latentlab.backends.probe import load_probe

    if reader != PROBE:
        raise LatentLabError(f"There is no reader '{reader}'{did_you_mean(reader, [PROBE])}")
    if backend.spec.image_shape[0] != 3:
        raise LatentLabError(
            "The probe reads colour portraits, and this model's images are grey: map its samples "
            "without labels."
        )
    probe = load_probe()
    probe.to(backend.device)
    return probe


def probe_rows(count: int) -> tuple[tuple[str, str, tuple[str, ...], int], ...]:
    """Return what the probe reads of ``count`` samples: name, kind, classes, how many."""
    from latentlab.backends.probe import load_probe

    return tuple((row.name, row.kind, row.classes, count) for row in load_probe().labels.values())


def read_labels(
    backend: Any, points: PointSet, probe: Any
) -> Generator[Step, None, dict[str, LabelColumn]]:
    """Decode points and read them; one network evaluation of a model of many steps a turn.

    Args:
        backend: decodes the points.
        points: N latents of it.
        probe: reads the pictures.

    Returns:
        Of N values, by name: yes or no where the probe's probability is above one half.
    """
    from latentlab.evaluation.measure import chunk_of, levels_in_turns

    found: dict[str, list[NDArray[np.float32]]] = {}
    chunk, total, message = chunk_of(backend), len(points), "reading the samples"
    for start in range(0, total, chunk):
        rows = np.arange(start, min(start + chunk, total))
        yield start, total, message
        at = (start, total, message)
        images = yield from levels_in_turns(backend, points.latents(rows), at)
        for name, values in probe.read(images).items():
            found.setdefault(name, []).append(values)
    return _columns(probe, {name: np.concatenate(parts) for name, parts in found.items()})


def _columns(probe: Any, readings: Mapping[str, NDArray[np.float32]]) -> dict[str, LabelColumn]:
    columns = {}
    for name, values in readings.items():
        row = probe.labels[name]
        if row.kind == "binary":
            values = (values > 0.5).astype(np.float32)
        elif row.kind == "categorical":
            values = values.argmax(axis=1).astype(np.float32)
        columns[name] = LabelColumn(name, row.kind, values, row.classes)
    return columns
