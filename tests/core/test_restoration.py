from __future__ import annotations

import math

import numpy as np
import pytest

from latentlab.core import restoration
from latentlab.core.denoising import Sampling
from latentlab.core.errors import LatentLabError
from latentlab.core.noise_schedule import NoiseSchedule
from latentlab.core.restoration import (
    colourise,
    corrupt,
    floats_of,
    inpaint,
    levels_of,
    start_noise,
    super_resolve,
    uncrop,
)


def photo(side: int = 16, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (side, side, channels), dtype=np.uint8)


def test_levels_and_floats_are_each_others_inverse() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert np.array_equal(levels_of(floats_of(every)), every)
    assert floats_of(every).min() == -1
    assert floats_of(every).max() == 1


def test_what_was_painted_over_is_unknown_and_soft_edges_become_hard() -> None:
    painted = np.zeros((16, 16), np.uint8)
    painted[2:5, 3:9] = 255
    painted[5, 3:9] = 128
    painted[6, 3:9] = 127
    made = inpaint(photo(), painted)
    assert made.mask.shape == (1, 16, 16)
    assert set(np.unique(made.mask)) == {0, 1}
    assert (made.mask == 0).sum() == 4 * 6
    here = made.mask[0] == 1
    assert np.array_equal(levels_of(made.known)[here], photo()[here])
    assert (made.known[:, ~here] == 0).all()
    assert math.isinf(made.psnr(photo()))
    other = photo()
    other[3, 4] ^= 255
    assert math.isinf(made.psnr(other))
    other[0, 0, 0] = 255 - other[0, 0, 0]
    error = (255.0 - 2 * float(photo()[0, 0, 0])) ** 2 / (232 * 3)
    assert made.psnr(other) == pytest.approx(10 * math.log10(255**2 / error), abs=1e-4)
    with pytest.raises(LatentLabError, match="of the same size"):
        inpaint(photo(), painted[:8])


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.5, 0.5), (1.0, 0.0), (0.25, 1.0)])
def test_a_cropped_photograph_stays_at_its_place(place: tuple[float, float]) -> None:
    made = uncrop(photo(), 0.5, place, "cut")
    assert made.mask.sum() == 64
    rows, columns = np.nonzero(made.mask[0])
    assert (columns.min(), rows.min()) == (round(8 * place[0]), round(8 * place[1]))
    here = made.mask[0] == 1
    assert np.array_equal(levels_of(made.known)[here], photo()[here])
    assert made.task == "inpaint"


def test_a_shrunk_photograph_holds_the_means_of_the_areas() -> None:
    made = uncrop(photo(), 0.5, (1.0, 1.0), "shrink")
    inner = made.known[:, 8:, 8:]
    blocks = floats_of(photo()).reshape(3, 8, 2, 8, 2).mean(axis=(2, 4))
    assert np.allclose(inner, blocks, atol=1e-6)
    third = uncrop(photo(12), 0.25, framing="shrink")
    assert third.mask.sum() == 81
    # Areas that overlap pixels in part keep the mean of the whole.
    assert third.known[:, 2:11, 2:11].mean() == pytest.approx(floats_of(photo(12)).mean(), abs=1e-6)
    assert uncrop(photo(), 0).mask.all()


def test_of_a_grey_photograph_the_mean_of_the_channels_is_known() -> None:
    made = colourise(photo())
    grey = floats_of(photo()).mean(axis=0)
    assert np.allclose(made.known, grey, atol=1e-6)
    assert made.mask.all()
    assert made.share == pytest.approx(1 / 3)
    assert made.psnr(photo()) > 100
    swapped = photo()[..., ::-1]
    assert made.psnr(np.ascontiguousarray(swapped)) > 100
    with pytest.raises(LatentLabError, match="makes grey images"):
        colourise(photo(channels=1))


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_of_a_small_photograph_the_means_of_blocks_are_known(factor: int) -> None:
    made = super_resolve(photo(), factor)
    for y in range(0, 16, factor):
        for x in range(0, 16, factor):
            block = floats_of(photo())[:, y : y + factor, x : x + factor]
            found = made.known[:, y : y + factor, x : x + factor]
            assert np.allclose(found, block.mean(axis=(1, 2), keepdims=True), atol=1e-6)
    assert made.factor == factor
    assert made.share == pytest.approx(factor**-2)
    assert made.psnr(photo()) > 100
    with pytest.raises(LatentLabError, match="does not divide"):
        super_resolve(photo(15), factor)


def test_a_restoration_becomes_latents_and_options_that_a_model_reads() -> None:
    made = super_resolve(photo(), 8)
    found = made.latents(start_noise(7, (3, 16, 16)))
    assert found.space == "guided"
    assert {n: a.shape for n, a in found.items()} == {
        "noise": (1, 3, 16, 16),
        "known": (1, 3, 16, 16),
        "mask": (1, 1, 16, 16),
    }
    assert all(a.dtype == np.float32 for a in found.values())
    assert Sampling.from_options(made.options()) == Sampling(task="super_resolve", factor=8)
    assert inpaint(photo(), np.zeros((16, 16), np.uint8)).options() == {}


def test_the_unknown_is_chequered_and_the_known_is_shown() -> None:
    painted = np.zeros((16, 16), np.uint8)
    painted[:8] = 255
    shown = inpaint(photo(), painted).shown()
    assert np.array_equal(shown[8:], photo()[8:])
    assert set(np.unique(shown[:8])) == {restoration._INK, restoration._PAPER}


def test_corrupting_follows_the_closed_form() -> None:
    kept = np.array([1.0, 0.81, 0.36, 0.0])
    schedule = NoiseSchedule("by hand", 4, np.zeros(4), kept)
    draw = start_noise(3, (3, 16, 16))
    clean = floats_of(photo())
    assert np.array_equal(corrupt(photo(), 0, schedule, draw), clean)
    assert np.allclose(
        corrupt(photo(), 1, schedule, draw), 0.9 * clean + 0.19**0.5 * draw, atol=1e-6
    )
    assert np.allclose(corrupt(photo(), 2, schedule, draw), 0.6 * clean + 0.8 * draw, atol=1e-6)
    assert np.array_equal(corrupt(photo(), 3, schedule, draw), draw)
    for t in (-1, 4):
        with pytest.raises(LatentLabError, match="times of this model are 0 to 3"):
            corrupt(photo(), t, schedule, draw)
