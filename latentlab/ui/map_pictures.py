"""What stands at a place of a map, as a picture. No Qt here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentlab.core.document import Picture
from latentlab.core.labels import LabelColumn
from latentlab.core.latents import Latents
from latentlab.core.parts import moved_text
from latentlab.core.plane import Plane
from latentlab.core.points import PointSet
from latentlab.core.store import ArrayStore
from latentlab.ui.edits import readable
from latentlab.ui.map_layouts import Placed

MOST_LABELS = 5


@dataclass(frozen=True)
class Target:
    """A place of the map: a point, or a place of the plane beside the points."""

    point: int | None
    x: float
    y: float


def source_title(points: PointSet) -> str:
    """Return a short name of where the points come from."""
    if points.is_prior:
        return "prior samples"
    name, colon, _ = points.source.partition(":")
    # A drive letter is no named source.
    named = name if colon and len(name) > 1 else points.source
    title = Path(named).name or named
    return f"{title}, {points.split}" if points.split else title


def point_title(points: PointSet, point: int) -> str:
    """Return what one point is called: its seed, or its row in the data set."""
    row = int(points.rows[point])
    return f"Seed {row}" if points.is_prior else f"{source_title(points)}, row {row}"


def _common(
    points: PointSet, model: str, like: Picture | None, weights: str = ""
) -> dict[str, Any]:
    """Return the fields that every picture of a map has; a class or psi as the canvas has it."""
    fields: dict[str, Any] = {
        "model": model,
        "fingerprint": weights or points.fingerprint,
        "space": points.space,
    }
    if like is not None and like.model == model:
        fields |= {"condition": like.condition, "options": like.options}
    return fields


def point_picture(
    points: PointSet,
    point: int,
    model: str,
    store: ArrayStore,
    like: Picture | None = None,
    weights: str = "",
) -> Picture:
    """Return the picture of one point; latents of a data set's image go into the store.

    Args:
        points: of the map.
        point: which one.
        model: id of the model in the library.
        store: of the pictures' arrays.
        like: has the condition and the options of ``decode``, if it is of this model.
        weights: fingerprint of those that decode; the points' when not given. With others, a prior
            sample is what stands at its place: its seed would give another latent.
    """
    common = _common(points, model, like, weights)
    row = int(points.rows[point])
    if points.is_prior and common["fingerprint"] == points.fingerprint:
        return Picture(seeds=(row,), **common)
    stored = store.put_latents(points.latents([point]))
    return Picture(stored=stored, name=f"{'seed' if points.is_prior else 'row'} {row}", **common)


def latents_picture(
    latents: Latents,
    points: PointSet,
    model: str,
    store: ArrayStore,
    like: Picture | None = None,
    weights: str = "",
) -> Picture:
    """Return the picture of latents of the map's space; see ``point_picture``."""
    return Picture(stored=store.put_latents(latents), **_common(points, model, like, weights))


def place_latents(plane: Plane, x: float, y: float) -> Latents:
    """Return the latent, one row, at a place of a plane."""
    return plane.latents(np.array([[x, y]]))


def first_label(points: PointSet) -> str | None:
    """Return the label that a map opens with: classes first, then a yes or no."""
    for kind in ("categorical", "binary", "continuous"):
        for name, column in points.labels.items():
            if column.kind == kind:
                return name
    return None


def label_text(column: LabelColumn, point: int) -> str:
    """Return the value of a label for a person; empty where it is unknown."""
    value = float(column.values[point])
    if np.isnan(value):
        return ""
    if column.kind == "binary":
        return "yes" if value >= 0.5 else "no"
    if column.kind == "categorical":
        place = int(value)
        return column.classes[place] if 0 <= place < len(column.classes) else str(place)
    return f"{value:.3g}"


def point_lines(points: PointSet, point: int, first: str | None) -> list[str]:
    """Return what a card says of a point: its title, then some labels, ``first`` on top."""
    columns = points.labels.values()
    # A class says it already: "cat: no" would only fill the card.
    told = {name for column in columns if column.kind == "categorical" for name in column.classes}
    names = [name for name in points.labels if name != first and name not in told]
    if first is not None and first in points.labels:
        names.insert(0, first)
    lines = [point_title(points, point)]
    for name in names[:MOST_LABELS]:
        text = label_text(points.labels[name], point)
        if text:
            if points.labels[name].kind == "continuous":
                text = text.replace("-", "\N{MINUS SIGN}")
            lines.append(f"{readable(name)}: {text}")
    return lines


def place_lines(placed: Placed, target: Target) -> list[str]:
    """Return what a card says of a place between the points: its two numbers."""
    lines = []
    for label, value in ((placed.x_label, target.x), (placed.y_label, target.y)):
        # The axis itself tells the unit and the share of the variance.
        number = f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
        lines.append(f"{label.partition(' (')[0]} {number}")
    if placed.held:
        lines.append(f"{_held_title(placed.held)}: at the middle")
    return lines


def _held_title(parts: tuple[str, ...]) -> str:
    """Return what a card calls the parts that a plane does not move in."""
    local = [name for name in parts if name.startswith("local_")]
    if len(local) > 1:
        return "Local parts" if len(local) == len(parts) else "Other parts"
    return moved_text(parts) or "Other parts"


def table_rows(
    points: PointSet,
    chosen: Iterable[int],
    coordinates: np.ndarray,
    names: Sequence[str] | None = None,
) -> tuple[list[str], list[list[str]]]:
    """Return heading and rows that export some points: where they come from, place, labels.

    Args:
        points: of the map.
        chosen: which ones, in this order.
        coordinates: ``(N, 2)``.
        names: what the images are called, if that is known.
    """
    first = "seed" if points.is_prior else "row"
    heading = ["point", first, "name", "source", "split", "x", "y", *points.labels]
    rows = []
    for point in chosen:
        x, y = coordinates[point]
        name = "" if names is None else names[point]
        row = [str(point), str(int(points.rows[point])), name, points.source, points.split or ""]
        row += [f"{x:.6g}", f"{y:.6g}"]
        row += [label_text(column, point) for column in points.labels.values()]
        rows.append(row)
    return heading, rows
