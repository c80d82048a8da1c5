"""Switched pictures: what the study finds of a model whose parts hold what is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentlab.backends.base import EncodeUpdate
from latentlab.data.base import ArrayDataset
from latentlab.evaluation.flow_switch import shares, switch_study
from latentlab.latent.metrics import frechet_distance


class Known:
    """Its global part is an image's mean colour, its local part the rest."""

    device = torch.device("cpu")

    def encode(self, images, options):
        assert options == {"reconstruct": False}
        mean = images.mean((2, 3))
        rest = images - mean[:, :, None, None]
        yield EncodeUpdate(1, 1, {"global": mean, "local_1": rest}, None, None, None)

    def decode(self, latents):
        return latents["global"][:, :, None, None] + latents["local_1"]


class Ruler:
    """Reads two things of the eight, and one of the others."""

    columns = {"smiling": ("smiling", None), "bangs": ("bangs", None), "yaw": ("yaw", None)}

    def standardised(self, images, names):
        assert list(names) == ["bangs", "smiling", "yaw"]
        pixels = images.astype(np.float64) / 255
        red, spread = pixels[..., 0].mean((1, 2)), pixels[..., 1].std((1, 2))
        return np.stack([red, spread, red + 2 * spread], axis=1)

    def features(self, images):
        return images.reshape(len(images), -1)[:, ::7].astype(np.float32)


def pictures(count: int) -> ArrayDataset:
    rng = np.random.default_rng(1)
    level = rng.uniform(100, 150, (count, 1, 1, 3))
    grain = rng.uniform(5, 25, (count, 1, 1, 1)) * rng.standard_normal((count, 8, 8, 3))
    images = np.clip(level + grain, 0, 255).astype(np.uint8)
    return ArrayDataset("pictures", images, {})


@pytest.mark.parametrize("pairs", [70, 1000])
def test_the_shares_of_a_model_whose_parts_are_known(pairs: int) -> None:
    data, figures, told = pictures(150), {}, []
    work = switch_study(Known(), Ruler(), data, pairs)
    while True:
        try:
            told.append(next(work))
        except StopIteration as end:
            figures = end.value
            break
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][:2] == (2 * min(pairs, 150),) * 2
    expected = {"global_bangs": 1, "local_bangs": 0, "global_smiling": 0, "local_smiling": 1}
    for name, value in expected.items():
        assert figures[f"switched_{name}"] == pytest.approx(value, abs=0.02)
    assert figures["switched_global_yaw"] == pytest.approx(figures["switched_local_yaw"], abs=1.0)
    assert figures.keys() == {
        f"switched_{part}_{name}" for part in ("global", "local") for name in Ruler.columns
    } | {"frechet_switched"}
    count = min(pairs, 150)
    images = torch.from_numpy(data.images[:count]).float()
    mean = images.mean((1, 2), keepdim=True)
    mixed = (mean + (images - mean).roll(-1, 0)).round().clamp(0, 255).numpy().astype(np.uint8)
    ruler = Ruler()
    own = frechet_distance(ruler.features(mixed), ruler.features(data.images[:count]))
    assert figures["frechet_switched"] == pytest.approx(own, rel=0.02)


def test_shares_are_slopes() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 40))
    assert shares(first, second, 0.7 * first - 0.2 * second + 5) == pytest.approx((0.7, -0.2))
