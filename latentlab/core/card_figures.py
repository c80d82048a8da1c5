"""The measured figures on a model's card, as text: a line each, and tables of some families."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from latentlab.core.denoising import SAMPLERS

_OBEYED = re.compile(r"obeyed_(?:(.+)_)?at_([0-9.]+)")
_DISTANCE = re.compile(rf"frechet_({'|'.join(row.id for row in SAMPLERS)})_(\d+)")
_EDITED = re.compile(r"(target|selectivity)_(global|local|both)_(.+)")
_SWITCHED = re.compile(r"(switched)_(global|local)_(.+)")
_PARTS = ("global", "local", "both")
_CLEAR, _LEAST = 2.0, 0.2
"""An attribute comes with a part that has so many times the other's share, and so much of it."""
_IN_TABLES = ("frechet_images", "frechet_features", "frechet_probe", "frechet_probe_floor")
_ABOUT_OBEYED = ("obeyed_images", "obeyed_drawn")


def figure(value: float) -> str:
    """Return a measured number: ``17.6``, ``5,000``, ``-46,900``."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def percent(share: float) -> str:
    """Return a share as a percentage, ``93 %``; a half rounds to even."""
    return f"{round(100 * share)} %"


def decibels(value: float) -> str:
    """Return a peak signal-to-noise ratio, ``24.1 dB``; in words where nothing differs."""
    return "without a difference" if value == float("inf") else f"{value:.1f} dB"


def plain_lines(quality: Mapping[str, float]) -> list[str]:
    """Return the figures that stand in no table, a line each."""
    rows = [(n, v) for n, v in quality.items() if not _DISTANCE.fullmatch(n)]
    rows = [(n, v) for n, v in rows if not _OBEYED.fullmatch(n) and n not in _ABOUT_OBEYED]
    rows = [(n, v) for n, v in rows if not _EDITED.fullmatch(n) and not _SWITCHED.fullmatch(n)]
    if switch_table(quality):
        rows = [(n, v) for n, v in rows if n != "frechet_switched"]
    if _cells(quality, _DISTANCE):
        rows = [(n, v) for n, v in rows if n not in _IN_TABLES]
    return [f"{name.replace('_', ' ')}: {figure(value)}" for name, value in rows]


def _cells(quality: Mapping[str, float], what: re.Pattern[str]) -> dict[tuple[str, str], float]:
    found = ((what.fullmatch(name), value) for name, value in quality.items())
    return {(m.group(1) or "", m.group(2)): value for m, value in found if m}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows in columns: the first to the left, numbers to the right."""
    every = [head, *rows]
    widths = [max(len(row[i]) for row in every) for i in range(len(head))]
    return [
        "  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in every
    ]


def _about(parts: Sequence[str]) -> str:
    return f" ({'; '.join(parts)})" if parts else ""


def distance_table(quality: Mapping[str, float]) -> list[str]:
    """Return the Fréchet distances by sampler and steps as a table; nothing where there are none.

    The figures are those of ``evaluation.diffusion``.
    """
    cells = _cells(quality, _DISTANCE)
    if not cells:
        return []
    steps = sorted({column for _, column in cells}, key=int)
    rows = []
    for row in SAMPLERS:
        values = [cells.get((row.id, column)) for column in steps]
        if any(value is not None for value in values):
            rows.append([row.title, *("" if v is None else figure(v) for v in values)])
    about = []
    if "frechet_features" in quality:
        about.append(f"{quality['frechet_features']:,.0f} in the layer before its heads")
    if "frechet_images" in quality:
        about.append(f"{quality['frechet_images']:,.0f} images")
    if "frechet_probe_floor" in quality:
        about.append(f"data to data {figure(quality['frechet_probe_floor'])}")
    head = ["sampler", *(f"{column} steps" for column in steps)]
    return [f"Fréchet distance in features of the probe{_about(about)}", *_table(head, rows)]


def obedience_table(quality: Mapping[str, float]) -> list[str]:
    """Return how often a condition is obeyed, by guidance, as a table; nothing where unknown.

    The figures are those of ``evaluation.diffusion``.
    """
    cells = _cells(quality, _OBEYED)
    if not cells:
        return []
    weights = sorted({column for _, column in cells}, key=float)
    names = list(dict.fromkeys(name for name, _ in cells))
    rows = []
    for name in sorted(names, key=lambda n: (n != "", names.index(n))):
        values = [cells.get((name, column)) for column in weights]
        words = ["" if v is None else percent(v) for v in values]
        rows.append([name.replace("_", " ") or "all", *words])
    about = ["a coin has 50 %"]
    if "obeyed_drawn" in quality:
        about.append(f"portraits drawn as asked {percent(quality['obeyed_drawn'])}")
    if "obeyed_images" in quality:
        about.append(f"{quality['obeyed_images']:,.0f} images each")
    head = ["guidance", *weights]
    return [f"Condition obeyed, as the probe reads it{_about(about)}", *_table(head, rows)]


def _by_attribute(
    quality: Mapping[str, float], what: re.Pattern[str]
) -> dict[str, dict[tuple[str, str], float]]:
    """Return figures of parts by attribute, then by figure and part."""
    found: dict[str, dict[tuple[str, str], float]] = {}
    for key, value in quality.items():
        if match := what.fullmatch(key):
            found.setdefault(match.group(3), {})[match.group(1), match.group(2)] = value
    return found


def parts_table(quality: Mapping[str, float]) -> list[str]:
    """Return which part of a model moves which attribute, as a table; nothing where unknown.

    The figures are those of ``evaluation.parts``.
    """
    rows = []
    for name, cells in _by_attribute(quality, _EDITED).items():
        words = []
        for part in _PARTS:
            target, selective = (cells.get((w, part)) for w in ("target", "selectivity"))
            ratio = "" if selective is None else f" ({selective:.1f})"
            words.append("" if target is None else f"{target:.2f}{ratio}")
        rows.append([name.replace("_", " "), *words])
    if not rows:
        return []
    title = (
        "Edits by part: how far two slider units move an attribute, in standard deviations as the "
        "probe reads it (and how many times as far as the largest side effect)"
    )
    return [title, *_table(["attribute", *_PARTS], rows)]


def switch_table(quality: Mapping[str, float]) -> list[str]:
    """Return which attribute comes with which part of a switched picture; nothing where unknown.

    The figures are those of ``evaluation.flow_switch``.
    """
    rows = []
    for name, cells in _by_attribute(quality, _SWITCHED).items():
        values = [cells.get(("switched", part)) for part in _PARTS[:2]]
        rows.append([name.replace("_", " "), *("" if v is None else percent(v) for v in values)])
    if not rows:
        return []
    about = []
    if "frechet_switched" in quality:
        about.append(f"Fréchet distance {figure(quality['frechet_switched'])}")
    if "frechet_probe_floor" in quality:
        about.append(f"data to data {figure(quality['frechet_probe_floor'])}")
    title = (
        "Switched pictures: how much of an attribute comes with each part, as the probe reads it"
    )
    return [f"{title}{_about(about)}", *_table(["attribute", *_PARTS[:2]], rows)]


def parts_line(quality: Mapping[str, float]) -> list[str]:
    """Return in one line which attribute comes with which part; nothing where unknown."""
    come: dict[str, list[str]] = {"the global part": [], "the local parts": [], "both": []}
    for name, cells in _by_attribute(quality, _SWITCHED).items():
        one = cells.get(("switched", "global"), 0.0)
        other = cells.get(("switched", "local"), 0.0)
        if max(one, other) < _LEAST:
            continue
        part = "both"
        if one > _CLEAR * other:
            part = "the global part"
        elif other > _CLEAR * one:
            part = "the local parts"
        come[part].append(name.replace("_", " "))
    found = [f"with {part}: {', '.join(names)}" for part, names in come.items() if names]
    return [f"What comes {'; '.join(found)}"] if found else []


def short_lines(quality: Mapping[str, float]) -> list[str]:
    """Return the figures of a card without tables: of each the best, and by what setting."""
    found = plain_lines(quality)
    distances = _cells(quality, _DISTANCE)
    if distances:
        (best, steps), value = min(distances.items(), key=lambda item: item[1])
        title = next(row.title for row in SAMPLERS if row.id == best)
        floor = quality.get("frechet_probe_floor")
        about = "" if floor is None else f"; data to data {figure(floor)}"
        found.append(f"Fréchet distance: {figure(value)} ({title}, {steps} steps{about})")
    obeyed = {weight: v for (name, weight), v in _cells(quality, _OBEYED).items() if not name}
    if obeyed:
        weight, value = max(obeyed.items(), key=lambda item: item[1])
        found.append(f"Condition obeyed: {percent(value)} (guidance {weight})")
    return found + parts_line(quality)
