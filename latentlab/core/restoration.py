"""What is known of a picture that shall be restored, and photographs drowned in noise. No torch.

A restoration is a picture of the latent space ``guided``: noise to start from, an image ``known``
and a mask that says where it is known; ``backends.guided`` holds a model to it (DDNM: Wang, Yu and
Zhang 2022, arXiv 2212.00490).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from latentlab.core.denoising import GUIDED, Sampling, Task
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.noise import noise
from latentlab.core.noise_schedule import NoiseSchedule

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
Kind = Literal["inpaint", "uncrop", "colourise", "super_resolve"]
Framing = Literal["cut", "shrink"]

METHOD = "DDNM, Wang et al. 2022 (arXiv 2212.00490)"
"""The method of all restorations, and its paper."""
PAPERS_SAMPLING: dict[str, Any] = {"sampler": "ddim", "eta": 0.85}
"""How the paper samples; noise at every step lets new parts agree with what is known."""
SOFT_EDGE = 128
"""Level of a painted mask from which on a pixel is drawn anew."""
_PAPER, _INK = 178, 102


@dataclass(frozen=True, eq=False)
class Restoration:
    """What is known of a picture.

    Attributes:
        known: float32 ``(C, H, W)`` in [-1, 1]; 0 where nothing is known.
        mask: float32 ``(1, H, W)``: 1 where something is known, else 0.
        task: how: the pixels themselves, their grey, or the averages of blocks.
        factor: side of a block.
    """

    known: Floats
    mask: Floats
    task: Task
    factor: Literal[2, 4, 8] = 4

    def latents(self, start: Floats) -> Latents:
        """Return one row of the space ``guided``, from noise ``(C, H, W)`` on."""
        parts = {"noise": start, "known": self.known, "mask": self.mask}
        return Latents(GUIDED, {n: np.asarray(a, np.float32)[None] for n, a in parts.items()})

    def options(self) -> dict[str, Any]:
        """Return the options of ``decode`` that say how it is known."""
        values = {"task": self.task, "factor": self.factor}
        return Sampling.model_validate(values).to_options()

    @property
    def share(self) -> float:
        """How many of the picture's numbers are known, 0 to 1."""
        seen = float((self.mask > 0.5).mean())
        if self.task == "colourise":
            return seen / len(self.known)
        return seen / self.factor**2 if self.task == "super_resolve" else seen

    def shown(self) -> Images:
        """Return what is known as a person sees it: uint8 ``(H, W, C)``, the rest chequered."""
        channels, height, width = self.known.shape
        cell = max(1, height // 16)
        rows, columns = np.indices((height, width)) // cell
        empty = np.where((rows + columns) % 2, _INK, _PAPER).astype(np.uint8)
        board = np.repeat(empty[..., None], channels, axis=2)
        return np.where(self.mask[0, ..., None] > 0.5, levels_of(self.known), board)

    def psnr(self, image: Images) -> float:
        """Return how well uint8 ``(H, W, C)`` agrees with what is known, in dB.

        The peak is 255; ``inf`` when equal, NaN when nothing is known.
        """
        found, wanted = self._seen(floats_of(image)), self._seen(self.known)
        if not found.size:
            return math.nan
        error = float(np.square((found - wanted) * 127.5).mean())
        return math.inf if error == 0 else 10 * math.log10(255.0**2 / error)

    def _seen(self, image: Floats) -> NDArray[np.float64]:
        """Return the known numbers of an image ``(C, H, W)``, flat."""
        here = self.mask[0] > 0.5
        wide = image.astype(np.float64)
        if self.task == "colourise":
            return np.asarray(wide.mean(axis=0)[here])
        if self.task == "super_resolve":
            whole = _blocks(self.mask.astype(np.float64), self.factor)[0] > 1 - 1e-6
            return np.asarray(_blocks(wide, self.factor)[:, whole].ravel())
        return np.asarray(wide[:, here].ravel())


def floats_of(image: Images) -> Floats:
    """Return uint8 ``(H, W, C)`` as float32 ``(C, H, W)`` in [-1, 1]."""
    return np.ascontiguousarray(image.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1)


def levels_of(image: Floats) -> Images:
    """Return float ``(C, H, W)`` as uint8 ``(H, W, C)``: round((x + 1) * 127.5), cut to 0..255."""
    levels = np.clip(np.rint((image.astype(np.float64) + 1) * 127.5), 0, 255)
    return np.ascontiguousarray(levels.astype(np.uint8).transpose(1, 2, 0))


def start_noise(seed: int, shape: tuple[int, int, int]) -> Floats:
    """Return the noise ``(C, H, W)`` that a seed stands for, the same as a prior sample's."""
    return noise(seed, "prior.noise", 0, shape)


def photo_psnr(photo: Images, image: Images) -> float:
    """Return the peak signal-to-noise ratio of two uint8 images in dB; ``inf`` when equal."""
    error = float(np.square(photo.astype(np.float64) - image.astype(np.float64)).mean())
    return math.inf if error == 0 else 10 * math.log10(255.0**2 / error)


# What is known, by kind of restoration.


def inpaint(photo: Images, painted: Images) -> Restoration:
    """Return a photograph without what was painted over.

    Args:
        photo: uint8 ``(H, W, C)``.
        painted: uint8 ``(H, W)``; a pixel of 128 or more is drawn anew: soft edges become hard.

    Raises:
        LatentLabError: the mask is of another size.
    """
    if painted.shape != photo.shape[:2]:
        raise LatentLabError(
            f"The mask is {painted.shape[1]}x{painted.shape[0]} pixels and the photograph "
            f"{photo.shape[1]}x{photo.shape[0]}: paint one of the same size."
        )
    mask = (painted < SOFT_EDGE).astype(np.float32)[None]
    return Restoration(floats_of(photo) * mask, mask, "inpaint")


def uncrop(
    photo: Images,
    border: float = 0.25,
    place: tuple[float, float] = (0.5, 0.5),
    framing: Framing = "shrink",
) -> Restoration:
    """Return a photograph with an unknown border.

    Args:
        photo: uint8 ``(H, W, C)``.
        border: share of the frame's width and height that is unknown, 0 to 0.9.
        place: where the known part stands, across and down: 0 at the left or top, 1 at the right
            or bottom.
        framing: ``shrink`` puts the whole photograph, smaller, into the frame; ``cut`` leaves its
            size and takes its border away.
    """
    height, width = photo.shape[:2]
    rows, columns = (
        max(1, round(side * (1 - min(max(border, 0), 0.9)))) for side in (height, width)
    )
    top, left = round((height - rows) * place[1]), round((width - columns) * place[0])
    box = (slice(None), slice(top, top + rows), slice(left, left + columns))
    known = np.zeros((photo.shape[2], height, width), np.float32)
    mask = np.zeros((1, height, width), np.float32)
    whole = floats_of(photo)
    known[box] = whole[box] if framing == "cut" else _area(whole, rows, columns)
    mask[box] = 1
    return Restoration(known, mask, "inpaint")


def colourise(photo: Images) -> Restoration:
    """Return the grey of a photograph: the mean over the channels, at every pixel.

    Raises:
        LatentLabError: the photograph has one channel: the model knows no colour.
    """
    if photo.shape[2] < 2:
        raise LatentLabError("This model makes grey images: choose one that makes colours.")
    whole = floats_of(photo).astype(np.float64)
    grey = np.repeat(whole.mean(axis=0, keepdims=True), len(whole), axis=0)
    return Restoration(
        grey.astype(np.float32), np.ones((1, *photo.shape[:2]), np.float32), "colourise"
    )


def super_resolve(photo: Images, factor: Literal[2, 4, 8] = 4) -> Restoration:
    """Return the averages of a photograph's blocks of ``factor`` x ``factor`` pixels.

    Raises:
        LatentLabError: the photograph does not divide into such blocks.
    """
    small = _blocks(floats_of(photo).astype(np.float64), factor)
    large = small.repeat(factor, axis=1).repeat(factor, axis=2).astype(np.float32)
    mask = np.ones((1, *photo.shape[:2]), np.float32)
    return Restoration(large, mask, "super_resolve", factor)


def _blocks(image: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Return the means ``(C, H / factor, W / factor)`` of an image's blocks."""
    channels, height, width = image.shape
    if height % factor or width % factor:
        raise LatentLabError(
            f"An image of {width}x{height} pixels does not divide into blocks of {factor}: choose "
            "another factor."
        )
    split = image.reshape(channels, height // factor, factor, width // factor, factor)
    return np.asarray(split.mean(axis=(2, 4)))


def _area(image: Floats, rows: int, columns: int) -> Floats:
    """Return an image ``(C, H, W)`` at another size, each pixel the mean of the area it covers."""
    down, across = _cover(image.shape[1], rows), _cover(image.shape[2], columns)
    return np.asarray(down @ image.astype(np.float64) @ across.T).astype(np.float32)


def _cover(source: int, target: int) -> NDArray[np.float64]:
    """Return how much of each of ``source`` pixels lies in each of ``target``; rows sum to 1."""
    edges = np.arange(target + 1) * (source / target)
    low, high = edges[:-1, None], edges[1:, None]
    pixels = np.arange(source)[None]
    overlap = np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, None)
    return np.asarray(overlap / overlap.sum(axis=1, keepdims=True))


# The forward process.


def corrupt(photo: Images, t: int, schedule: NoiseSchedule, draw: Floats) -> Floats:
    """Return a photograph as the forward process leaves it at a time.

    x_t = sqrt(alpha-bar_t) x_0 + sqrt(1 - alpha-bar_t) epsilon (Ho, Jain and Abbeel 2020,
    arXiv 2006.11239, equation 4).

    Args:
        photo: uint8 ``(H, W, C)``.
        t: 0 to T - 1.
        schedule: of the model.
        draw: epsilon, float ``(C, H, W)``.

    Raises:
        LatentLabError: there is no such time.
    """
    rates = schedule.alphas_cumprod
    if not 0 <= t < len(rates):
        raise LatentLabError(f"The times of this model are 0 to {len(rates) - 1}, not {t}.")
    signal, spread = math.sqrt(rates[t]), math.sqrt(1 - rates[t])
    wide = signal * floats_of(photo).astype(np.float64) + spread * draw.astype(np.float64)
    return wide.astype(np.float32)


def shown_noisy(x_t: Floats, t: int, schedule: NoiseSchedule) -> Images:
    """Return a noisy picture as every frame of a run is shown, uint8 ``(H, W, C)``.

    It is divided by signal rate + 2 noise rate, so that two standard deviations of noise are white
    at the last time, and the image is itself at the first.
    """
    scale = float(schedule.signal_rate[t] + 2 * schedule.noise_rate[t])
    return levels_of((x_t / np.float32(scale)).astype(np.float32))


def noise_latents(x_t: Floats) -> Latents:
    """Return a noisy picture ``(C, H, W)`` as one row of the space ``noise``."""
    return Latents("noise", {"noise": np.asarray(x_t, np.float32)[None]})
