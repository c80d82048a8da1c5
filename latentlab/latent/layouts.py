"""Where the points of a map stand: principal components, t-SNE, UMAP, PaCMAP.

The neighbour methods are work for the CPU process lane: ``layout_in_lane`` gets the path of a
points file, so that no latents pass through a pipe. No torch here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentlab.core.errors import LatentLabError
from latentlab.core.plane import Plane
from latentlab.core.pointfile import read_points
from latentlab.core.points import PointSet, narrowed_points
from latentlab.core.suggest import did_you_mean
from latentlab.latent.components import (
    axis_label,
    components_plane,
    flat_chunks,
    picture_components,
    picture_label,
    principal_components,
    quiet,
    scores,
    width_of,
)
from latentlab.latent.layout_engines import ENGINES, Places, Report, few_threads

NARROW = 50
"""Wider latents are reduced to so many principal components before neighbours are looked for."""


@dataclass(frozen=True)
class Setting:
    """A number that a method takes: its usual value and its range."""

    usual: float
    low: float
    high: float

    @property
    def whole(self) -> bool:
        """Whether only whole numbers make sense."""
        return isinstance(self.usual, int)


_SEED = Setting(0, 0, 2**31 - 1)
_LATENT_DISTANCE = Setting(0, 0, 1)
"""1 compares bare latents; 0 compares pictures, where the points know how (``picture_map``)."""
SETTINGS: dict[str, dict[str, Setting]] = {
    "picture": {},
    "pca": {},
    "tsne": {
        "perplexity": Setting(30.0, 2.0, 500.0),
        "iterations": Setting(750, 250, 10_000),
        "latent_distance": _LATENT_DISTANCE,
        "seed": _SEED,
    },
    "umap": {
        "n_neighbors": Setting(15, 2, 500),
        "min_dist": Setting(0.1, 0.0, 1.0),
        "latent_distance": _LATENT_DISTANCE,
        "seed": _SEED,
    },
    "pacmap": {
        "n_neighbors": Setting(10, 2, 500),
        "latent_distance": _LATENT_DISTANCE,
        "seed": _SEED,
    },
}
"""What each method takes, under the names that its makers use."""
_MODULES = {"tsne": "openTSNE", "umap": "umap", "pacmap": "pacmap"}
TITLES = {
    "picture": "Picture PCA",
    "pca": "PCA",
    "tsne": "t-SNE",
    "umap": "UMAP",
    "pacmap": "PaCMAP",
}
FEWEST = 10
"""Points that a neighbour method needs."""


def settings_of(method: str, settings: Mapping[str, Any] | None) -> dict[str, float]:
    """Return all settings of a method, the usual ones where none are given.

    Raises:
        LatentLabError: no such method or setting, or a value out of range.
    """
    if method not in SETTINGS:
        raise LatentLabError(f"There is no method '{method}'{did_you_mean(method, SETTINGS)}")
    known = SETTINGS[method]
    found: dict[str, float] = {name: setting.usual for name, setting in known.items()}
    for name, value in (settings or {}).items():
        if name not in known:
            raise LatentLabError(
                f"{TITLES[method]} has no setting '{name}'{did_you_mean(name, tuple(known))}"
            )
        setting = known[name]
        sound = isinstance(value, int | float) and setting.low <= value <= setting.high
        if not sound or (setting.whole and value != int(value)):
            kind = "a whole number" if setting.whole else "a number"
            raise LatentLabError(
                f"The setting '{name}' of {TITLES[method]} is {kind} from {setting.low:g} to "
                f"{setting.high:g}, not {value}."
            )
        found[name] = int(value) if setting.whole else float(value)
    return found


def check_installed(method: str) -> None:
    """Raise ``LatentLabError`` unless the package that places points by a method is here."""
    module = _MODULES.get(method)
    if module is not None and importlib.util.find_spec(module) is None:
        raise LatentLabError(
            f"{TITLES[method]} needs the package '{module}': install it with "
            '`pip install "latentlab[manifold]"`.'
        )


# Planes: every place of them has a latent.


def place_by_components(points: PointSet, report: Report = quiet) -> tuple[Places, Plane]:
    """Return the points in the plane of their first two principal components, and the plane."""
    with few_threads():
        found = principal_components(points, 2, report)
    labels = [axis_label(k, share) for k, share in enumerate(found.shares)]
    return scores(points, found), components_plane(points, found, labels)


def place_by_pictures(points: PointSet) -> tuple[Places, Plane]:
    """Return the points in the plane that changes pictures most, in deviations, and the plane."""
    found = picture_components(points)
    labels = [picture_label(k, share) for k, share in enumerate(found.shares[:2])]
    plane = components_plane(points, found, labels)
    return plane.coordinates(points.parts), plane


# Layouts that keep neighbours together. Their empty space has no latent.


def layout_in_lane(
    report: Report,
    path: str,
    method: str,
    settings: Mapping[str, float],
    parts: Sequence[str] = (),
) -> tuple[Places, Plane | None]:
    """Place the points of a file, as work of the CPU process lane.

    Args:
        report: called with (done, total, message).
        path: of the points file.
        method: of ``SETTINGS``.
        settings: as ``settings_of`` gives them.
        parts: of the latents that count; all when none are given.

    Returns:
        float32 ``(N, 2)``, and the plane that they lie in, if the method has one.
    """
    points = narrowed_points(read_points(Path(path)), parts)
    if method == "pca":
        return place_by_components(points, report)
    if method == "picture":
        return place_by_pictures(points)
    return place_by_neighbours(points, method, settings, report), None


def narrowed(points: PointSet, report: Report = quiet) -> Places:
    """Return the points as float32 ``(N, D)``; wide ones by their first 50 components."""
    if width_of(points) <= NARROW:
        return np.concatenate([*flat_chunks(points, np.float32)])
    return scores(points, principal_components(points, NARROW, report))


def seen(points: PointSet) -> Places:
    """Return the points as float32 ``(N, k)``, their distances like those of their pictures."""
    turn = np.asarray(points.picture_map, np.float32).T
    return np.concatenate([rows @ turn for rows in flat_chunks(points, np.float32)])


def place_by_neighbours(
    points: PointSet, method: str, settings: Mapping[str, float], report: Report = quiet
) -> Places:
    """Return the places of points, float32 ``(N, 2)``, the same for the same seed.

    Args:
        points: N of them.
        method: ``tsne`` (van der Maaten and Hinton 2008, by openTSNE), ``umap`` (McInnes et al.
            2018, arXiv 1802.03426) or ``pacmap`` (Wang et al. 2021, arXiv 2012.04456).
        settings: as ``settings_of`` gives them.
        report: called with (done, total, message).

    Raises:
        LatentLabError: too few points, or points that are all alike.
    """
    if len(points) < FEWEST:
        raise LatentLabError(
            f"{TITLES[method]} needs at least {FEWEST} points, not {len(points)}: map more."
        )
    as_seen = points.picture_map is not None and not settings.get("latent_distance")
    with few_threads():
        rows = seen(points) if as_seen else narrowed(points, report)
    if not np.ptp(rows, axis=0).any():
        raise LatentLabError("All points of this map are alike: map other data.")
    found = np.asarray(ENGINES[method](rows, settings, report), np.float64)
    return (found - found.mean(axis=0)).astype(np.float32)
