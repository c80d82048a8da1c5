"""Ready-made recipes for any data: a quick look, a good model, the best one. No torch here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import Recipe, check_recipe, override
from latentlab.core.suggest import did_you_mean

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
class PresetInfo:
    """What a person chooses a preset by."""

    title: str
    summary: str


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


_Model = Callable[[int], dict[str, Any]]


@dataclass(frozen=True)
class _Preset:
    info: PresetInfo
    largest: int
    drawn: int
    held_out: int
    model: _Model
    train: dict[str, Any]


def _vae(latent_dim: int, refine: bool = False) -> _Model:
    def model(size: int) -> dict[str, Any]:
        # The bundled portraits were found best with beta 4 at 64 pixels; the KL term counts as
        # much against the fewer pixels of a smaller image with a smaller one.
        beta = 4.0 if size >= 64 else 1.0
        return {
            "latent_dim": latent_dim,
            "prior": "fitted",
            "observation_scale": 0.25,
            "beta": beta,
            "refine_directions": refine,
        }

    return model


def _diffusion(widths: list[int], blocks: int, images: int, most: int) -> _Model:
    def model(size: int) -> dict[str, Any]:
        # Squares of pixels that keep the finest map at most so large: the time of a step is its.
        patch = next((p for p in (1, 2) if size <= p * most), 4)
        return {"patch": patch, "widths": widths, "blocks": blocks, "quality_images": images}

    return model


def _probe(_size: int) -> dict[str, Any]:
    return {}


# Measured in float32 on one busy core: 650 images/s at 32 pixels, 180 at 64. bfloat16 doubles that
# on a CPU that has it and is far slower on one that has not: only "best", for a GPU, asks for it.
_ALWAYS: dict[str, Any] = {"schedule": "cosine", "channels_last": True}
# The sheets have nine rows: three of images, of their reconstructions, and of new images.
_VAE = _ALWAYS | {"learning_rate": 1e-3, "sample_count": 81}
_DIFFUSION = _ALWAYS | {"learning_rate": 1e-3, "clip_norm": 1.0}
_PROBE = _ALWAYS | {
    "optimizer": "adamw",
    "learning_rate": 2e-3,
    "weight_decay": 1e-3,
    "clip_norm": 20.0,
    "ema_decay": 0.995,
}

_TABLE: Mapping[str, Mapping[str, _Preset]] = {
    "vae": {
        "quick": _Preset(
            PresetInfo("Quick look", "Small and soft, in about 2 minutes on a laptop's CPU."),
            32,
            10_000,
            500,
            _vae(32),
            _VAE
            | {
                "images_seen": 150_000,
                "batch_size": 64,
                "warmup_steps": 50,
                "ema_decay": 0.99,
                "sample_every": 200,
                "checkpoint_every_minutes": 0.5,
            },
        ),
        "good": _Preset(
            PresetInfo(
                "Good", "Clear images, in about half an hour on a laptop's CPU, minutes on a GPU."
            ),
            64,
            40_000,
            2000,
            _vae(128),
            _VAE
            | {
                "images_seen": 600_000,
                "batch_size": 128,
                "warmup_steps": 100,
            },
        ),
        "best": _Preset(
            PresetInfo(
                "Best", "As good as the bundled models: hours on a CPU, so a GPU is recommended."
            ),
            64,
            100_000,
            5000,
            _vae(200, refine=True),
            _VAE
            | {
                "images_seen": 5_500_000,
                "batch_size": 128,
                "warmup_steps": 200,
                "precision": "bf16",
                "log_every": 50,
                "checkpoint_every_minutes": 3.0,
            },
        ),
    },
    "diffusion": {
        "quick": _Preset(
            PresetInfo("Quick look", "Coarse, noisy faces, in about 4 minutes on a laptop's CPU."),
            32,
            10_000,
            500,
            _diffusion([32, 64, 96], 1, 0, 16),
            _DIFFUSION
            | {
                "images_seen": 30_000,
                "batch_size": 32,
                "learning_rate": 2e-3,
                "warmup_steps": 50,
                "ema_decay": 0.99,
                "sample_every": 200,
                "sample_count": 16,
                "checkpoint_every_minutes": 0.5,
            },
        ),
        "good": _Preset(
            PresetInfo(
                "Good", "Clear small images, in about an hour on a laptop's CPU, minutes on a GPU."
            ),
            32,
            40_000,
            2000,
            _diffusion([64, 96], 2, 128, 16),
            _DIFFUSION
            | {
                "images_seen": 250_000,
                "batch_size": 64,
                "warmup_steps": 100,
            },
        ),
        "best": _Preset(
            PresetInfo(
                "Best", "64 pixels and a larger network: days on a CPU, so a GPU is needed."
            ),
            64,
            100_000,
            5000,
            _diffusion([96, 128, 192], 2, 2000, 32),
            _DIFFUSION
            | {
                "images_seen": 4_000_000,
                "batch_size": 128,
                "learning_rate": 5e-4,
                "warmup_steps": 500,
                "ema_decay": 0.9995,
                "precision": "bf16",
                "log_every": 50,
                "checkpoint_every_minutes": 5.0,
            },
        ),
    },
    "probe": {
        "quick": _Preset(
            PresetInfo("Quick look", "Reads clear labels, in about 2 minutes on a laptop's CPU."),
            32,
            10_000,
            500,
            _probe,
            _PROBE
            | {
                "images_seen": 60_000,
                "batch_size": 64,
                "warmup_steps": 50,
                "sample_every": 200,
                "checkpoint_every_minutes": 0.5,
            },
        ),
        "good": _Preset(
            PresetInfo(
                "Good",
                "Reads most labels, in about half an hour on a laptop's CPU, minutes on a GPU.",
            ),
            64,
            40_000,
            2000,
            _probe,
            _PROBE | {"images_seen": 150_000, "batch_size": 128},
        ),
        "best": _Preset(
            PresetInfo("Best", "As good as the bundled probe: about two hours on a laptop's CPU."),
            64,
            60_000,
            2000,
            _probe,
            _PROBE
            | {
                "images_seen": 300_000,
                "batch_size": 128,
                "warmup_steps": 150,
                "precision": "bf16",
                "log_every": 25,
                "sample_every": 1000,
            },
        ),
    },
}


def preset_info(family: str, preset: str) -> PresetInfo:
    """Return title and summary of a preset; errors as for ``preset_recipe``."""
    return _row(family, preset).info


def presets_of(family: str) -> tuple[str, ...]:
    """Return the presets of a family; none for one that is plugged in."""
    return tuple(_TABLE.get(family, ()))


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


def _row(family: str, preset: str) -> _Preset:
    if family not in _TABLE:
        raise LatentLabError(f"There are no presets for '{family}'{did_you_mean(family, _TABLE)}")
    if preset not in _TABLE[family]:
        raise LatentLabError(f"There is no preset '{preset}'{did_you_mean(preset, PRESETS)}")
    return _TABLE[family][preset]


def _named(source: str) -> str:
    """Return what to call a source in a title."""
    name = source.partition(":")[0] if source.startswith(DRAWN) else source
    name = name.replace("\\", "/").rstrip("/").rpartition("/")[2].partition(".")[0]
    return (name[:1].upper() + name[1:])[:60] or "Images"


def _data(row: _Preset, source: str, facts: SourceFacts) -> dict[str, Any]:
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


def _small(row: _Preset, facts: SourceFacts) -> dict[str, Any]:
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
