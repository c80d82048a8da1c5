"""Which part of a latent holds what: directions in each part, measured side by side.

Ma et al. 2021 (arXiv 2004.11820) decouple a low-dimensional global part from local parts as large
as the image, and judge by eye what each holds. Here it is measured: every attribute is edited in
the global part alone, in the local parts alone, and in both.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from latentlab.backends.probe import Probe, load_probe
from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.parts import BOTH, GLOBAL, LOCAL, heading_in, is_decoupled, name_in
from latentlab.data.base import ImageDataset
from latentlab.data.portraits.attributes import EDIT_ATTRIBUTES
from latentlab.evaluation.fit import encoded_pair, fit_portraits_directions, portrait_pair
from latentlab.evaluation.measure import EditReport, Progress, measure_edit
from latentlab.evaluation.portraits import Study, annotated, distances, study

IMAGES = 5000
"""Renders that directions are fitted on, and as many others whose deviation is a slider unit."""
SAMPLES = 256
"""Prior samples that every edit is measured on."""
GROUPS = (GLOBAL, LOCAL, BOTH)


def part_study(
    backend: Any,
    held_out: ImageDataset,
    refine: bool = False,
    *,
    images: int = IMAGES,
    samples: int = SAMPLES,
) -> Study:
    """Fit and measure the edits of portraits in the global part, the local parts, and both.

    The parts that do not move stay as the prior samples have them. A model without both kinds of
    parts is measured by ``study``.

    Args:
        backend: a model of portraits that encodes.
        held_out: portraits that it was not trained on.
        refine: turn the eight edits by descent through decoder and probe, which takes minutes in
            the global part and hours in the others: only that one is refined.
        images: renders to fit on.
        samples: prior samples of each measurement.

    Returns:
        Figures by name: ``frechet_probe``, ``frechet_probe_floor``, and for part in ``global``,
        ``local``, ``both`` and each of the eight attributes ``target_<part>_<attribute>`` and
        ``selectivity_<part>_<attribute>`` (see ``measure_edit``); and the directions by name. Those
        of the global part have plain names (``smiling``) and the sliders of every model of
        portraits; the others are the eight edits, ``smiling (local)`` and ``smiling (both)``.
    """
    if not is_decoupled(backend.spec.space()):
        return (yield from study(backend, held_out, refine))
    probe = load_probe()
    encoded = yield from encoded_pair(backend, *portrait_pair(backend, images, images))
    quality: dict[str, float] = {}
    found: dict[str, Direction] = {}
    for group in GROUPS:
        turned = refine and group == GLOBAL
        try:
            directions = yield from _fitted(backend, probe, group, encoded, turned)
        except LatentLabError:
            # Nothing is encoded in these parts, as early in training: the card has no such figures.
            continue
        report = yield from _measured(backend, probe, directions, group, samples)
        quality |= {
            f"{figure}_{group}_{name}": getattr(row, figure)
            for figure in ("target", "selectivity")
            for name, row in report.attributes.items()
        }
        found |= _renamed(backend, annotated(directions, report), group)
    return (yield from distances(backend, probe, held_out)) | quality, found


def _fitted(
    backend: Any, probe: Probe, group: str, encoded: tuple[Latents, Latents], refine: bool
) -> Generator[Progress, None, dict[str, Direction]]:
    """Return the directions of a group by their plain names."""
    found: dict[str, Direction] = {}
    for item in fit_portraits_directions(
        backend,
        probe=probe,
        count=encoded[0].batch,
        held_out=encoded[1].batch,
        refine=refine,
        parts=(group,),
        encoded=encoded,
    ):
        if isinstance(item, dict):
            found = item
        else:
            yield item[0], item[1], f"{_words(group)}: {item[2]}"
    return found


def _measured(
    backend: Any, probe: Probe, directions: Mapping[str, Direction], group: str, samples: int
) -> Generator[Progress, None, EditReport]:
    report: EditReport | None = None
    for item in measure_edit(backend, directions, probe, samples=samples):
        if isinstance(item, EditReport):
            report = item
        else:
            yield item[0], item[1], f"{_words(group)}: {item[2]}"
    if report is None:
        raise RuntimeError("a measurement ended without its report")
    return report


def _words(group: str) -> str:
    return {GLOBAL: "global part", LOCAL: "local parts", BOTH: "both parts"}[group]


def _renamed(backend: Any, directions: Mapping[str, Direction], group: str) -> dict[str, Direction]:
    """Return the directions under the names and headings of their parts.

    Beside the eight edits only the global part has more: a slider of local parts holds thousands
    of numbers, and a file has room for some.
    """
    space, found = backend.spec.space(), {}
    heading = heading_in(space, (group,))
    for name, direction in directions.items():
        if name in EDIT_ATTRIBUTES:
            own = name_in(name, space, (group,))
            found[own] = replace(direction, name=own, group=heading)
        elif group == GLOBAL:
            found[name] = replace(direction, group=f"{heading}: {direction.group}")
    return found
