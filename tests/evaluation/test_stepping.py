"""Models of many steps in jobs that decode or encode much: a turn is one network evaluation."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import torch

from latentlab.backends.base import EncodeUpdate
from latentlab.backends.images import to_levels
from latentlab.core.direction import Direction
from latentlab.core.points import PRIOR, PointSet
from latentlab.data.base import ArrayDataset
from latentlab.evaluation.encode import encode_images
from latentlab.evaluation.measure import changes_of, prior_latents
from latentlab.evaluation.pictures import picture_map
from tests.services.stepped_models import SHAPE, Stairs


class Model(Stairs):
    """Rows need keys only where noise is injected; encoding takes four turns."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = self.spec.model_copy(
            update={"capabilities": ("sample", "decode", "encode", "steps")}
        )

    def steps(self, latents: Any, **given: Any) -> Any:
        options = {"row_keys": range(len(latents["noise"])), **(given.pop("options", None) or {})}
        return super().steps(latents, options=options, **given)

    def encode(self, images: torch.Tensor, **_: Any) -> Iterator[EncodeUpdate]:
        for index in range(1, 5):
            self.evaluations.append(len(images))
            yield EncodeUpdate(index, 4, {"noise": images * (index / 4)}, None, None, None)


class Brightness:
    """Reads the mean level of each image."""

    def standardised(self, images: Any, columns: Any) -> Any:
        return np.asarray(images, np.float64).mean(axis=(1, 2, 3))[:, None] / 127.5 - 1


def turns_of(work: Generator[Any, None, Any], model: Stairs) -> tuple[list[Any], Any, list[int]]:
    """Return what was yielded, the value, and the evaluations of each turn."""
    said, counts = [], []
    while True:
        before = len(model.evaluations)
        try:
            said.append(next(work))
        except StopIteration as stop:
            return said, stop.value, counts
        finally:
            counts.append(len(model.evaluations) - before)


def test_effects_are_measured_one_evaluation_a_turn() -> None:
    model = Model()
    vector = np.full(SHAPE, 60**-0.5, np.float32)
    direction = Direction("up", "noise", {"noise": vector}, 3.0, "test")

    def drawn(rows: slice) -> Any:
        return prior_latents(model, "noise", range(rows.start, rows.stop))

    work = changes_of(model, Brightness(), [direction], ["level"], drawn, 20, 1.0)
    said, changes, counts = turns_of(work, model)
    assert max(counts) == 1
    assert sum(counts) == 2 * 2 * 5
    assert set(model.evaluations) == {16, 4}
    assert [report[0] for report in said] == sorted(report[0] for report in said)
    assert said[-1][:2] == (40, 40)
    noise = prior_latents(model, "noise", range(20))["noise"].astype(np.float64)
    moved = noise + 3.0 * 60**-0.5
    expected = (np.tanh(moved) - np.tanh(noise)).mean(axis=(1, 2, 3))
    assert np.abs(changes[0, :, 0] - expected).max() < 0.01


def test_a_data_set_is_encoded_one_evaluation_a_turn() -> None:
    model = Model()
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 5, 3), np.uint8)
    work = encode_images(model, ArrayDataset("noise", images))
    said, latents, counts = turns_of(work, model)
    assert max(counts) == 1
    assert model.evaluations == [16] * 4 + [4] * 4
    assert [report[0] for report in said] == [4, 8, 12, 16, 17, 18, 19, 20]
    assert np.array_equal(to_levels(torch.from_numpy(np.array(latents["noise"]))), images)


def test_a_map_of_noise_waits_for_no_pictures() -> None:
    model = Model()
    parts = {"noise": prior_latents(model, "noise", range(80))["noise"]}
    points = PointSet(
        model="stairs",
        fingerprint=model.spec.fingerprint,
        space="noise",
        source=PRIOR,
        rows=np.arange(80),
        parts=parts,
    )
    said, found, _ = turns_of(picture_map(model, points), model)
    assert (said, found, model.evaluations) == ([], None, [])
