"""Ready-made recipes for any data: a quick look, a good model, the best one. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from latentlab.core.errors import LatentLabError
from latentlab.core.preset_rows import TABLE, Preset, PresetInfo
from latentlab.core.recipe import Recipe, check_recipe, override
from latentlab.core.suggest import did_you_mean

__all__ = [
    "PRESETS",
    "PresetInfo",
    "SourceFacts",
    "chosen_splits",
    "image_size",
    "preset_info",
    "preset_recipe",
    "presets_of",
]

PRESETS = ("quick", "good", "best")
"""From the fastest to the finest."""
DRAWN = "portraits"
"""The source that is drawn: of any size, and as many images as are asked for."""
TRAIN_SPLITS = ("train", "training")
HELD_OUT_SPLITS = ("val", "valid", "validation", "dev", "test", "testing", "eval")
CELEBA_SHAPE, CELEBA_BOX = (3, 218, 178), 148
"""Aligned CelebA, and the tight crop of the face in it that papers use."""
MOST_PASSES = 1000
"""Times that an image of a small source is seen."""


@dataclass(frozen=True)
class SourceFacts:
    """What a preset asks of a source; ``data.facts.source_facts`` finds it out.

    Attributes:
        image_shape: channels, height, width as stored; ``None`` where sizes differ or any can be
            had.
        num_images: that would be trained on, of all splits or of the one for training (see
            ``chosen_splits``); ``None`` where any number can be had.
        splits: parts that the source comes with.
        labels: names of its labels, of which a probe needs one; ``None`` where not known.
        channels: 1 or 3; ``None`` means those of ``image_shape``.
    """

    image_shape: tuple[int, int, int] | None = None
    num_images: int | None = None
    splits: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None
    channels: int | None = None


def preset_info(family: str, preset: str) -> PresetInfo:
    """Return title and summary of a preset; errors as for ``preset_recipe``."""
    return _row(family, preset).info


def presets_of(family: str) -> tuple[str, ...]:
    """Return the presets of a family; none for one that is plugged in."""
    return tuple(TABLE.get(family, ()))


def preset_recipe(
    family: str,
    preset: str,
    source: str,
    *,
    facts: SourceFacts | None = None,
    **overrides: Any,
) -> Recipe:
    """Return a whole recipe for a source.

    Args:
        family: for example ``vae``.
        preset: one of ``PRESETS``.
        source: as ``[data]`` names it.
        facts: of the source, from which image size, splits and batch size follow; without them
            the recipe suits drawn portraits or a large folder of images.
        **overrides: values by dotted key (``**{"train.steps": 100}``), or by the plain name of a
            key of ``[data]`` such as ``size=32``. ``None`` leaves a setting unset.

    Raises:
        LatentLabError: no such family or preset, or a wrong override.
    """
    row = _row(family, preset)
    known = facts or SourceFacts()
    if family == "probe" and known.labels == ():
        raise LatentLabError(f"A probe learns labels, and '{source}' has none: choose another.")
    changes = {key if "." in key else f"data.{key}": value for key, value in overrides.items()}
    data = _data(row, source, known)
    size = changes.get("data.size") or data["size"]
    train = row.train | _small(row, known)
    tables: dict[str, Any] = {
        "model": {"family": family} | row.model(size if isinstance(size, int) else 64),
        "data": data,
        "train": train,
        "output": {"title": f"{_named(source)}, {row.info.title.lower()}"},
    }
    for key, value in changes.items():
        override(tables, key, value)
    return check_recipe(tables, f"preset {preset}")


def _row(family: str, preset: str) -> Preset:
    if family not in TABLE:
        raise LatentLabError(f"There are no presets for '{family}'{did_you_mean(family, TABLE)}")
    if preset not in TABLE[family]:
        raise LatentLabError(f"There is no preset '{preset}'{did_you_mean(preset, PRESETS)}")
    return TABLE[family][preset]


def _named(source: str) -> str:
    """Return what to call a source in a title."""
    name = source.partition(":")[0] if source.startswith(DRAWN) else source
    name = name.replace("\\", "/").rstrip("/").rpartition("/")[2].partition(".")[0]
    return (name[:1].upper() + name[1:])[:60] or "Images"


def _data(row: Preset, source: str, facts: SourceFacts) -> dict[str, Any]:
    """Return ``[data]``: size, channels, and images to measure on that are not trained on."""
    data: dict[str, Any] = {"source": source, "size": image_size(facts.image_shape, row.largest)}
    channels = facts.channels or (facts.image_shape[0] if facts.image_shape else None)
    if channels is not None:
        data["channels"] = channels
    if facts.image_shape == CELEBA_SHAPE:
        data["box"] = CELEBA_BOX
    held_out: dict[str, Any] = {"count": row.held_out}
    name, _, values = source.partition(":")
    if name == DRAWN:
        seed, data["source"] = _drawn(values, row.drawn)
        held_out["source"] = f"{DRAWN}:count={row.held_out},seed={seed + 1}"
        data["channels"] = 3
    else:
        chosen = chosen_splits(facts.splits)
        if chosen is not None:
            data["split"], held_out["split"] = chosen
    return data | {"held_out": held_out}


def chosen_splits(splits: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the split to train on and the one to measure on; ``None`` where there are not both."""
    train = next((name for name in splits if name.lower() in TRAIN_SPLITS), None)
    other = next((n for word in HELD_OUT_SPLITS for n in splits if n.lower() == word), None)
    return None if train is None or other is None else (train, other)


def _drawn(values: str, count: int) -> tuple[int, str]:
    """Return the seed of a drawn source and the source with number and seed filled in."""
    pairs = dict(pair.partition("=")[::2] for pair in values.split(",") if pair)
    pairs = {key.strip(): value.strip() for key, value in pairs.items()}
    pairs = {"count": str(count), "seed": "1"} | pairs
    seed = int(pairs["seed"]) if pairs["seed"].isdecimal() and len(pairs["seed"]) < 18 else 1
    return seed, f"{DRAWN}:" + ",".join(f"{key}={value}" for key, value in pairs.items())


def image_size(shape: tuple[int, int, int] | None, largest: int) -> int:
    """Return the power of two from 16 to ``largest`` that is nearest to a source's own size.

    Args:
        shape: channels, height, width; ``None`` where any size can be had.
        largest: a power of two, at least 16.
    """
    if shape is None:
        return largest
    side = max(1, min(shape[1:]))
    return int(min(largest, max(16, 2 ** round(math.log2(side)))))


def _small(row: Preset, facts: SourceFacts) -> dict[str, Any]:
    """Return batch size and length where a source is small.

    A pass is then some batches long, and no image is seen more than ``MOST_PASSES`` times.
    """
    wanted, count = int(row.train["batch_size"]), facts.num_images
    if count is None:
        return {}
    found = {"images_seen": min(row.train["images_seen"], MOST_PASSES * count)}
    if count < 4 * wanted:
        found["batch_size"] = max(2, 2 ** int(math.log2(max(2, count // 4))))
    return found
