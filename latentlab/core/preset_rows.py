"""What each ready-made recipe says of its model and its training. No torch here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PresetInfo:
    """What a person chooses a preset by."""

    title: str
    summary: str


_Model = Callable[[int], dict[str, Any]]


@dataclass(frozen=True)
class Preset:
    """What a preset says beyond the source.

    Attributes:
        info: what a person chooses it by.
        largest: size of images, in pixels, where the source has any.
        drawn: images to train on, of a source that is drawn.
        held_out: images to measure on.
        model: gives the ``[model]`` table for images of a size.
        train: the ``[train]`` table.
    """

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


def _flow(
    steps: list[int], hidden: list[int], maps: list[int], dim: int, refine: bool = False
) -> _Model:
    """Return the model of a decoupled flow; steps and widths begin at the coarsest level."""

    def model(size: int) -> dict[str, Any]:
        # Levels down to maps of 4 x 4 pixels.
        levels = max(1, round(math.log2(size)) - 2)

        def finest_first(values: list[int]) -> list[int]:
            return [*values, *[values[-1]] * levels][:levels][::-1]

        return {
            "bits": 5,
            "global_dim": dim,
            "global_maps": finest_first(maps),
            "global_prior": "flow",
            "steps": finest_first(steps),
            "hidden": finest_first(hidden),
            "couplings": 1,
            "encoder": [32, 64, 96, 128, 160, 192][:levels],
            "encoder_planes": 16,
            "encoder_norm": "group",
            "kl_warmup_steps": 500,
            "refine_directions": refine,
        }

    return model


def _probe(_size: int) -> dict[str, Any]:
    return {}


# Measured in float32 on one busy core: 650 images/s at 32 pixels, 180 at 64. bfloat16 doubles that
# on a CPU that has it and is far slower on one that has not: only "best", for a GPU, asks for it.
_ALWAYS: dict[str, Any] = {"schedule": "cosine", "channels_last": True}
# The sheets have nine rows: three of images, of their reconstructions, and of new images.
_VAE = _ALWAYS | {"learning_rate": 1e-3, "sample_count": 81}
_DIFFUSION = _ALWAYS | {"learning_rate": 1e-3, "clip_norm": 1.0}
_FLOW = _ALWAYS | {
    "learning_rate": 1e-3,
    "betas": [0.9, 0.99],
    "batch_size": 32,
    "warmup_steps": 200,
    "clip_norm": 2.0,
}
_PROBE = _ALWAYS | {
    "optimizer": "adamw",
    "learning_rate": 2e-3,
    "weight_decay": 1e-3,
    "clip_norm": 20.0,
    "ema_decay": 0.995,
}

TABLE: Mapping[str, Mapping[str, Preset]] = {
    "vae": {
        "quick": Preset(
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
        "good": Preset(
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
        "best": Preset(
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
        "quick": Preset(
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
        "good": Preset(
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
        "best": Preset(
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
    "flow": {
        "quick": Preset(
            PresetInfo("Quick look", "Rough faces, in about 5 minutes on a laptop's CPU."),
            32,
            10_000,
            500,
            _flow([6, 4, 3], [96, 64, 48], [64, 48, 32], 32),
            _FLOW
            | {
                "images_seen": 50_000,
                "ema_decay": 0.99,
                "sample_every": 200,
                "checkpoint_every_minutes": 1.0,
            },
        ),
        "good": Preset(
            PresetInfo(
                "Good", "Clear small faces, in about an hour on a laptop's CPU, minutes on a GPU."
            ),
            32,
            40_000,
            2000,
            _flow([8, 8, 6, 4], [144, 112, 64], [96, 64, 48, 32], 48),
            _FLOW | {"images_seen": 300_000},
        ),
        "best": Preset(
            PresetInfo(
                "Best", "64 pixels and a larger network: days on a CPU, so a GPU is needed."
            ),
            64,
            100_000,
            5000,
            _flow([12, 12, 10, 6], [256, 192, 128, 96], [160, 128, 96, 64], 64, refine=True),
            _FLOW
            | {
                "images_seen": 5_000_000,
                "batch_size": 64,
                "learning_rate": 7e-4,
                "warmup_steps": 1000,
                "ema_decay": 0.9995,
                "precision": "bf16",
                "log_every": 50,
                "checkpoint_every_minutes": 5.0,
            },
        ),
    },
    "probe": {
        "quick": Preset(
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
        "good": Preset(
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
        "best": Preset(
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
