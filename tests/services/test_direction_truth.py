"""What directions of the bundled model, and of real photographs, have to hold up to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from latentlab.core.direction import Direction
from latentlab.latent.metrics import correlation, roc_auc
from latentlab.services.jobs import JobContext
from latentlab.services.library import ModelLibrary
from latentlab.services.renderer import Renderer
from tests.services.test_directions import run

DATA = Path(__file__).parents[3] / "shared" / "data"
NAMES = ("smiling", "eyeglasses", "wearing_hat", "mustache")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobContext]:
    patch = pytest.MonkeyPatch()
    patch.setenv("LATENTLAB_HOME", str(tmp_path_factory.mktemp("home")))
    models = ModelLibrary([], device="cpu")
    found = JobContext(models, Renderer(models))
    yield found
    found.lane.stop()
    patch.undo()


def fitted(
    context: JobContext, source: str, method: str, **options: object
) -> dict[str, Direction]:
    found = run(
        context, "fit_label_directions", model="portraits-vae", source=source, labels=NAMES,
        method=method, **options,
    )  # fmt: skip
    return {direction.name: direction for direction in found}


def encoded(context: JobContext, source: str, **options: object):
    from latentlab.core.pointfile import read_points

    ready = run(context, "map_points", model="portraits-vae", source=source, **options)
    return read_points(Path(ready.path))


@pytest.mark.parametrize("method", ["logistic", "linear svm"])
def test_two_fits_on_other_renders_agree_and_the_interval_covers_new_ones(context, method) -> None:
    """2,000 renders each; the third set was seen by neither fit."""
    first = fitted(context, "portraits:count=2000,seed=811", method)
    second = fitted(context, "portraits:count=2000,seed=812", method)
    third = encoded(context, "portraits:count=3000,seed=813")
    z = np.asarray(third.parts["z"], np.float64)
    for name in NAMES:
        one, other = first[name], second[name]
        cosine = float(one.vector["z"].astype(float) @ other.vector["z"])
        assert cosine >= 0.9, f"{name}: {cosine:.3f}"
        column = third.labels[name]
        seen = np.ones(len(z), bool) if column.visible is None else column.visible
        scores = z[seen] @ one.vector["z"]
        low, high = one.provenance["interval"]
        # The new set has an error of its own, half of it at most.
        slack = (high - low) / 4
        if column.kind == "binary":
            value = roc_auc(column.values[seen], scores)
        else:
            value = correlation(column.values[seen], scores)
        assert low - slack <= value <= high + slack, f"{name}: {value:.4f}, {low:.4f} to {high:.4f}"


@pytest.mark.skipif(
    not (DATA / "cifar10-10k.zip").is_file(), reason="the real photographs are not there"
)
def test_classes_of_real_photographs_have_directions_that_hold_on_new_ones(context) -> None:
    """The model never saw a photograph: its latents still tell classes, far from perfectly."""
    source = str(DATA / "cifar10-10k.zip")
    found = run(
        context, "fit_label_directions", model="portraits-vae", source=source, split="train",
        labels=("class_airplane", "class_ship", "class_frog"), count=4000,
    )  # fmt: skip
    assert len(found) == 3
    test = encoded(context, source, split="test", count=1000)
    z = np.asarray(test.parts["z"], np.float64)
    column = test.labels["class"]
    inside = 0
    for direction in found:
        index = column.classes.index(direction.provenance["column"].removeprefix("class_"))
        value = roc_auc(column.values == index, z @ direction.vector["z"])
        low, high = direction.provenance["interval"]
        error = 0.03
        inside += low - error <= value <= high + error
        assert value > 0.55, f"{direction.name}: {value:.3f}"
    assert inside == 3


@pytest.mark.skipif(
    not (DATA / "fer-smile-48.zip").is_file(), reason="the real faces are not there"
)
def test_a_smile_of_real_faces_has_a_direction_that_holds_on_new_ones(context) -> None:
    source = str(DATA / "fer-smile-48.zip")
    (found,) = run(
        context, "fit_label_directions", model="portraits-vae", source=source, split="train",
        labels=("smiling",), count=4000,
    )  # fmt: skip
    test = encoded(context, source, split="test", count=1200)
    value = roc_auc(test.labels["smiling"].values, np.asarray(test.parts["z"]) @ found.vector["z"])
    low, high = found.provenance["interval"]
    assert low > 0.6
    assert low - 0.03 <= value <= high + 0.03
