"""Directions of a checkpoint: they point where the labels do, and cost a second at most."""

from __future__ import annotations

import numpy as np
import torch

from latentlab.backends.base import EncodeUpdate
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec
from latentlab.data.base import ArrayDataset, LabelColumn
from latentlab.data.labels import class_columns
from latentlab.evaluation.quick import quick_directions

DEPTH = 12


class Linear:
    """Encodes a 2x2 image into latents by a fixed matrix."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.matrix = torch.from_numpy(rng.normal(size=(12, DEPTH)).astype(np.float32))
        space = LatentSpace(name="z", parts=(PartSpec(name="z", shape=(DEPTH,)),))
        capabilities = ("sample", "decode", "encode")
        self.spec = ModelSpec(
            id="linear",
            family="vae",
            image_shape=(3, 2, 2),
            spaces=(space,),
            capabilities=capabilities,
        )

    def encode(self, images, *, condition=None, options=None):
        yield EncodeUpdate(1, 1, {"z": images.flatten(1) @ self.matrix}, None, None, None)


def pictures(labels, effects, count=600) -> ArrayDataset:
    """Images that are a sum of noise and of each label times a pattern of its own."""
    rng = np.random.default_rng(2)
    images = 128 + rng.normal(size=(count, 2, 2, 3)) * 6
    for name, column in labels.items():
        images += column.values[:, None, None, None] * effects[name]
    return ArrayDataset("made", images.round().clip(0, 255).astype(np.uint8), labels)


def test_each_direction_is_what_its_label_adds_while_the_others_stay():
    rng, backend = np.random.default_rng(3), Linear()
    size = rng.uniform(-1, 1, 600).astype(np.float32)
    # Labels that go together: a plain mean difference would mix them.
    round_ = ((size + rng.normal(size=600) * 0.5) > 0).astype(np.float32)
    labels = {
        "size": LabelColumn("size", "continuous", size),
        "round": LabelColumn("round", "binary", round_),
    }
    effects = {"size": rng.normal(size=(2, 2, 3)) * 25, "round": rng.normal(size=(2, 2, 3)) * 25}
    found = quick_directions(backend, pictures(labels, effects))
    assert list(found) == ["size", "round"]
    for name, effect in effects.items():
        truth = torch.from_numpy(effect.transpose(2, 0, 1).reshape(1, -1).astype(np.float32))
        truth = (truth @ backend.matrix)[0].numpy()
        cosine = truth @ found[name].vector["z"] / np.linalg.norm(truth)
        assert cosine > 0.98, name
        assert found[name].provenance["count"] == 450


def test_class_folders_give_one_slider_a_class_and_sorted_rows_are_taken_evenly():
    indices = np.repeat([0, 1, 2], 2000)
    labels = class_columns(indices, ("cat", "dog", "fox"))
    rng = np.random.default_rng(5)
    effects = {name: rng.normal(size=(2, 2, 3)) * 9 for name in labels}
    found = quick_directions(Linear(), pictures(labels, effects, 6000), count=300)
    assert list(found) == ["class_cat", "class_dog", "class_fox"]
    assert {d.group for d in found.values()} == {"class"}


def test_what_cannot_be_fitted_is_left_out():
    backend, labels = Linear(), {}
    assert quick_directions(backend, pictures(labels, {})) == {}
    same = np.ones(600, np.float32)
    labels = {"same": LabelColumn("same", "binary", same)}
    assert quick_directions(backend, pictures(labels, {"same": 0.0})) == {}
    # A network that has collapsed gives the same latent for every image.
    backend.matrix = torch.zeros(12, DEPTH)
    half = (np.arange(600) % 2).astype(np.float32)
    labels = {"half": LabelColumn("half", "binary", half)}
    assert quick_directions(backend, pictures(labels, {"half": 9.0})) == {}
    few = ArrayDataset("few", np.zeros((5, 2, 2, 3), np.uint8), {})
    assert quick_directions(backend, few) == {}
