"""Directions by part, in a linear world in which it is known which part holds what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from latentlab.backends.base import EncodeUpdate
from latentlab.core.direction import Direction
from latentlab.core.noise import noise_rows
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec
from latentlab.data.base import ArrayDataset, LabelColumn
from latentlab.data.portraits.attributes import EDIT_ATTRIBUTES
from latentlab.evaluation import fit, parts
from latentlab.evaluation.effects import cosines_of
from latentlab.evaluation.orthogonal import orthogonalised
from latentlab.latent.directions import flat_vector, unflatten

GLOBAL, LOCAL = 10, 2 * 3 * 2 + 4
SIZE = 16
PIXELS = 3 * SIZE * SIZE
FRAME = np.linalg.qr(np.random.default_rng(0).normal(size=(PIXELS, GLOBAL + LOCAL)))[0].T
GAIN = 1.5
IN_GLOBAL, IN_LOCAL = EDIT_ATTRIBUTES[:4], EDIT_ATTRIBUTES[4:]
SPACE = LatentSpace(
    name="latent",
    parts=(
        PartSpec(name="global", shape=(GLOBAL,)),
        PartSpec(name="local_1", shape=(3, 2, 2)),
        PartSpec(name="local_2", shape=(4, 1, 1)),
    ),
)


def _effects() -> np.ndarray:
    """What each attribute adds to the latent, ``(8, D)``: the first four in the global part."""
    found = 0.9 * np.random.default_rng(5).normal(size=(8, GLOBAL + LOCAL))
    found[:4, GLOBAL:] = 0
    found[4:, :GLOBAL] = 0
    return found


EFFECTS = _effects()


class SplitModel:
    """An image is a linear function of a global part and two local ones, and the other way."""

    def __init__(self) -> None:
        self.spec = ModelSpec(
            id="split",
            family="linear",
            image_shape=(3, SIZE, SIZE),
            spaces=(SPACE,),
            capabilities=("sample", "decode", "encode"),
        )
        self.device = torch.device("cpu")
        self.encoded = 0

    def _parts(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        pieces = flat.float().split([part.size for part in SPACE.parts], dim=1)
        return {p.name: x.reshape(-1, *p.shape) for p, x in zip(SPACE.parts, pieces)}

    def sample_prior(
        self, space: str, seeds: Sequence[int], temperature: float = 1.0
    ) -> Mapping[str, torch.Tensor]:
        return self._parts(torch.from_numpy(noise_rows(seeds, "prior", (GLOBAL + LOCAL,))))

    def decode(self, latents: Any, *, space: str | None = None, **_: Any) -> torch.Tensor:
        flat = torch.cat([latents[part.name].flatten(1) for part in SPACE.parts], dim=1)
        return (GAIN * flat @ torch.from_numpy(FRAME).float()).reshape(-1, 3, SIZE, SIZE)

    def encode(self, images: torch.Tensor, **_: Any) -> Iterator[EncodeUpdate]:
        self.encoded += len(images)
        flat = images.flatten(1).double() @ torch.from_numpy(FRAME).T / GAIN
        yield EncodeUpdate(1, 1, self._parts(flat), None, images, torch.zeros(len(flat)))


class LinearProbe:
    fingerprint = "p" * 64
    columns = {name: (name, None) for name in EDIT_ATTRIBUTES}

    def __init__(self) -> None:
        self.weights = np.linalg.pinv(EFFECTS)

    def _z(self, images: np.ndarray) -> np.ndarray:
        pixels = np.asarray(images, np.float64).transpose(0, 3, 1, 2) / 127.5 - 1
        return pixels.reshape(len(pixels), -1) @ FRAME.T / GAIN

    def standardised(self, images: np.ndarray, columns: Sequence[str]) -> np.ndarray:
        order = [EDIT_ATTRIBUTES.index(name) for name in columns]
        return self._z(images) @ self.weights[:, order]

    def features(self, images: np.ndarray) -> np.ndarray:
        return self._z(images)


def _labelled(count: int, seed: int) -> ArrayDataset:
    rng = np.random.default_rng(seed)
    on = (rng.random((count, 8)) < 0.5).astype(np.float32)
    z = (on - 0.5) @ EFFECTS + 0.3 * rng.normal(size=(count, GLOBAL + LOCAL))
    images = (GAIN * z @ FRAME).reshape(count, 3, SIZE, SIZE)
    levels = ((images.transpose(0, 2, 3, 1) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    labels = {n: LabelColumn(n, "binary", on[:, i]) for i, n in enumerate(EDIT_ATTRIBUTES)}
    for name in ("age", "skin_tone", "hair_length", "yaw", "tilt", "light_direction"):
        labels[name] = LabelColumn(name, "continuous", rng.normal(size=count).astype(np.float32))
    hair = rng.integers(0, 5, count).astype(np.float32)
    colors = ("black", "brown", "blond", "red", "grey")
    labels["hair_color"] = LabelColumn("hair_color", "categorical", hair, colors)
    return ArrayDataset("portraits", levels, labels)


def _end(work: Any) -> Any:
    while True:
        try:
            done, total, text = next(work)
        except StopIteration as end:
            return end.value
        assert 0 <= done <= total
        assert text


@pytest.fixture(scope="module")
def studied() -> tuple[SplitModel, dict[str, float], dict[str, Direction]]:
    model = SplitModel()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "load_probe", LinearProbe)
        for module in (parts, fit):
            patch.setattr(
                module, "portrait_pair", lambda *_: (_labelled(1500, 1), _labelled(500, 2))
            )
        patch.setattr(parts, "distances", _no_distances)
        figures, directions = _end(parts.part_study(model, _labelled(50, 3), samples=64))
    return model, figures, directions


def _no_distances(*_args: Any) -> Any:
    yield 0, 1, "measuring"
    return {"frechet_probe": 1.0}


def test_the_figures_say_which_part_holds_what(studied: Any) -> None:
    _, figures, _ = studied
    names = {
        f"{figure}_{part}_{name}"
        for figure in ("target", "selectivity")
        for part in ("global", "local", "both")
        for name in EDIT_ATTRIBUTES
    }
    assert figures.keys() == names | {"frechet_probe"}
    for name in IN_GLOBAL:
        assert figures[f"target_global_{name}"] > 0.5
        assert abs(figures[f"target_local_{name}"]) < 0.15
    for name in IN_LOCAL:
        assert figures[f"target_local_{name}"] > 0.5
        assert abs(figures[f"target_global_{name}"]) < 0.15
    for name in EDIT_ATTRIBUTES:
        assert figures[f"target_both_{name}"] > 0.5
        assert figures[f"selectivity_both_{name}"] > 5


def test_a_direction_moves_its_parts_alone_and_says_so(studied: Any) -> None:
    _, _, directions = studied
    edits = [f"{n}{tail}" for tail in ("", " (local)", " (both)") for n in EDIT_ATTRIBUTES]
    assert [name for name in directions if name in edits] == edits
    more = {d.group for name, d in directions.items() if name not in edits}
    assert more == {"Global part: more", "Global part: hair colour"}
    assert {tuple(directions[n].vector) for n in directions.keys() - edits} == {("global",)}
    smile, local, both = (directions[f"smiling{t}"] for t in ("", " (local)", " (both)"))
    assert [d.name for d in (smile, local, both)] == [
        "smiling",
        "smiling (local)",
        "smiling (both)",
    ]
    assert [d.group for d in (smile, local, both)] == ["Global part", "Local parts", "Both parts"]
    assert smile.vector.keys() == {"global"}
    assert local.vector.keys() == {"local_1", "local_2"}
    assert both.vector.keys() == {"global", "local_1", "local_2"}
    assert local.provenance["parts"] == ["local_1", "local_2"]
    assert local.provenance["column"] == "smiling"
    hat = directions["wearing_hat"].provenance
    assert {"target", "side", "side_attribute", "selectivity", "auc"} <= hat.keys()


def test_images_are_encoded_once_for_all_parts(studied: Any) -> None:
    assert studied[0].encoded == 2000


def test_directions_of_different_parts_are_orthogonal(studied: Any) -> None:
    model, _, directions = studied
    pair = [directions["smiling"], directions["smiling (local)"]]
    assert flat_vector(SPACE, pair[0])[GLOBAL:].tolist() == [0.0] * LOCAL
    np.testing.assert_allclose(cosines_of(model, pair), np.eye(2), atol=1e-12)


def test_a_model_of_one_part_is_studied_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(backend: Any, held_out: Any, refine: bool) -> Any:
        yield 0, 1, "studying"
        return {"target_smiling": 1.0}, {}

    monkeypatch.setattr(parts, "study", told)
    model = SplitModel()
    plain = SPACE.model_copy(update={"parts": SPACE.parts[1:]})
    model.spec = model.spec.model_copy(update={"spaces": (plain,)})
    assert _end(parts.part_study(model, _labelled(20, 1))) == ({"target_smiling": 1.0}, {})


class PartsReader(LinearProbe):
    name = "probe"
    columns = EDIT_ATTRIBUTES
    hidden: Mapping[str, tuple[str, ...]] = {}
    reliability: Mapping[str, float] = {}

    def __init__(self) -> None:
        super().__init__()
        # What is read is mixed, so that there is something to take off.
        self.weights = self.weights @ (
            np.eye(8) + 0.15 * np.random.default_rng(3).normal(size=(8, 8))
        )


def _unit(name: str, vector: np.ndarray) -> Direction:
    flat = vector / np.linalg.norm(vector)
    found = {n: a for n, a in unflatten(SPACE, flat).items() if a.any()}
    return Direction(name, "latent", found, 1.0, "given")


def test_untangling_keeps_a_direction_in_its_parts() -> None:
    """Combinations of one part's directions; a locked one that moves both parts is heeded."""
    model: Any = SplitModel()
    rows = [_unit(n, EFFECTS[i]) for i, n in enumerate(EDIT_ATTRIBUTES)]
    both = _unit("both", np.random.default_rng(1).normal(size=GLOBAL + LOCAL))
    spread = np.random.default_rng(2).normal(size=(500, GLOBAL + LOCAL))
    work = orthogonalised(model, [*rows, both], PartsReader(), spread, locked=["both"], samples=48)
    found = {d.name: d for d in _end(work).directions}
    turned = [
        d for d in found.values() if "kept" not in d.provenance.get("orthogonalised", {"kept": 1})
    ]
    assert len(turned) >= 4
    for direction in turned:
        before = next(d for d in rows if d.name == direction.name)
        assert direction.vector.keys() == before.vector.keys()
        along = flat_vector(SPACE, direction) @ flat_vector(SPACE, both)
        assert abs(along) < 1e-6
