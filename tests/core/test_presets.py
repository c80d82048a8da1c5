"""Presets: whole recipes for every kind of data, on real files of each kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentlab.catalog import FAMILIES
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import read_header
from latentlab.core.paths import asset_path
from latentlab.core.presets import (
    PRESETS,
    SourceFacts,
    image_size,
    preset_info,
    preset_recipe,
    presets_of,
)
from latentlab.core.recipe import Recipe, check_recipe, load_recipe, parse_recipe
from latentlab.core.recipe_comments import commented_toml
from latentlab.core.spec import Provenance
from latentlab.data.facts import source_facts
from latentlab.training.data import open_training
from latentlab.training.families.flow import parse_settings as flow_settings
from latentlab.training.families.probe import parse_settings as probe_settings
from latentlab.training.families.vae import parse_settings as vae_settings
from latentlab.training.sampler import Sampler
from tests.data.image_files import encode, noise_image, write_tree, write_zip
from tests.data.test_readers import ATTRIBUTES, celeba_list, cifar_batch, digits, idx_bytes

SMALL_GOOD = (("diffusion", "good"), ("flow", "good"))
"""Slow families, whose second preset is of small images too."""
FAMILY_IDS = [family.id for family in FAMILIES]


@pytest.mark.parametrize("family", FAMILY_IDS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_whole_recipe(family: str, preset: str) -> None:
    info = preset_info(family, preset)
    assert info.title
    assert info.summary.endswith(".")
    recipe = preset_recipe(family, preset, "portraits")
    assert recipe.model.family == family
    small = preset == "quick" or (family, preset) in SMALL_GOOD
    assert recipe.data.size == (32 if small else 64)
    assert parse_recipe(recipe.to_toml()) == recipe
    assert parse_recipe(commented_toml(recipe)) == recipe


@pytest.mark.parametrize("family", FAMILY_IDS)
def test_finer_presets_cost_more(family: str) -> None:
    recipes = [preset_recipe(family, preset, "portraits") for preset in PRESETS]
    pixels = [(r.train.images_seen or 0) * (r.data.size or 0) ** 2 for r in recipes]
    assert pixels == sorted(pixels)
    assert pixels[1] > 5 * pixels[0]
    assert presets_of(family) == PRESETS
    assert presets_of("mine") == ()


def test_wrong_names_name_the_nearest() -> None:
    for family, preset, words in [
        ("vea", "quick", "did you mean 'vae'"),
        ("vae", "quik", "did you mean 'quick'"),
        ("vae", "x", "quick, good, best"),
    ]:
        with pytest.raises(LatentLabError, match=words):
            preset_recipe(family, preset, "portraits")


def test_overrides() -> None:
    recipe = preset_recipe("vae", "good", "portraits", size=32, **{"train.steps": 5})
    assert (recipe.data.size, recipe.train.steps, recipe.train.images_seen) == (32, 5, None)
    with pytest.raises(LatentLabError, match=r"'data\.size' cannot be 2: use a whole number"):
        preset_recipe("vae", "good", "portraits", size=2)
    with pytest.raises(LatentLabError, match=r"'data\.source' cannot be ''"):
        preset_recipe("vae", "good", "")


@pytest.mark.parametrize(
    ("shape", "largest", "size"),
    [
        (None, 32, 32),
        ((1, 28, 28), 32, 32),
        ((3, 32, 32), 64, 32),
        ((1, 48, 48), 64, 64),
        ((1, 48, 48), 32, 32),
        ((3, 218, 178), 64, 64),
        ((3, 8, 3000), 64, 16),
        ((3, 1, 1), 32, 16),
        ((3, 20, 90), 64, 16),
    ],
)
def test_size_is_the_nearest_power_of_two(shape, largest: int, size: int) -> None:
    assert image_size(shape, largest) == size


@pytest.mark.parametrize(
    ("source", "training", "held_out"),
    [
        ("portraits", "portraits:count=10000,seed=1", "portraits:count=500,seed=2"),
        ("portraits:seed=7", "portraits:count=10000,seed=7", "portraits:count=500,seed=8"),
        (
            "portraits:count=9,start=3",
            "portraits:count=9,seed=1,start=3",
            "portraits:count=500,seed=2",
        ),
    ],
)
def test_portraits_are_measured_on_others(source: str, training: str, held_out: str) -> None:
    data = preset_recipe("vae", "quick", source).data
    assert (data.source, data.held_out.source) == (training, held_out)


def folder(root: Path) -> Path:
    names = [f"{kind}/{i}.png" for i in range(12) for kind in ("cat", "dog")]
    sizes = [(40 + i % 3, 50) for i in range(24)]
    return write_tree(
        root / "pets",
        {n: encode(noise_image(i, *size)) for i, (n, size) in enumerate(zip(names, sizes))},
    )


def zip_with_splits(root: Path) -> Path:
    files = {}
    for part, count in (("train", 30), ("test", 12)):
        for i in range(count):
            files[f"{part}/{'ab'[i % 2]}/{i}.png"] = encode(noise_image(i, 48, 48, 1))
    return write_zip(root / "faces.zip", files)


def idx(root: Path) -> Path:
    files = {}
    for prefix, count in (("train", 30), ("t10k", 12)):
        images, labels = digits(count, count)
        files[f"{prefix}-images-idx3-ubyte"] = idx_bytes(images)
        files[f"{prefix}-labels-idx1-ubyte"] = idx_bytes(labels)
    return write_tree(root / "mnist", files)


def cifar(root: Path) -> Path:
    files = {f"data_batch_{i}.bin": cifar_batch(i, 8)[2] for i in range(1, 6)}
    return write_tree(root / "cifar", files | {"test_batch.bin": cifar_batch(9, 11)[2]})


def celeba(root: Path) -> Path:
    names = [f"{i:06}.png" for i in range(1, 25)]
    rows = {
        n: tuple(int(v) for v in np.sign(np.sin([i + 1, 2 * i + 1, 3 * i + 1])))
        for i, n in enumerate(names)
    }
    assert len(ATTRIBUTES) == 3
    partition = "".join(f"{n} {0 if i < 16 else 1 + i % 2}\n" for i, n in enumerate(names))
    files = {f"img_align_celeba/{n}": encode(noise_image(i, 218, 178)) for i, n in enumerate(names)}
    lists = {
        "list_attr_celeba.txt": celeba_list(rows),
        "list_eval_partition.txt": partition.encode(),
    }
    return write_tree(root / "celeba", files | lists)


READ = {"vae": vae_settings, "flow": flow_settings, "probe": probe_settings}
SOURCES: dict[str, tuple[Callable[[Path], Path], tuple[int, int], int, int, int]] = {
    "folder": (folder, (32, 64), 3, 22, 2),
    "zip": (zip_with_splits, (32, 64), 1, 30, 12),
    "idx": (idx, (32, 32), 1, 30, 12),
    "cifar": (cifar, (32, 32), 3, 40, 11),
    "celeba": (celeba, (32, 64), 3, 16, 4),
}
"""What makes it; size of a quick preset and of the others; channels; training; held-out images."""


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("preset", PRESETS)
def test_files_of_every_kind_can_be_trained_on(
    kind: str, preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    make, sizes, channels, num_training, num_held_out = SOURCES[kind]
    size = sizes[preset != "quick"]
    source = str(make(tmp_path))
    facts = source_facts(source)
    assert facts.num_images == num_training + (2 if kind == "folder" else 0)
    for family, read in READ.items():
        recipe = preset_recipe(family, preset, source, facts=facts)
        training, held_out = open_training(recipe.data)
        small = 32 if (family, preset) in SMALL_GOOD else size
        assert training.image_shape == (channels, small, small)
        assert held_out.image_shape == training.image_shape
        assert (len(training), len(held_out)) == (num_training, num_held_out)
        # A batch fits, and the family takes what the data is.
        Sampler(len(training), recipe.train.batch_size, 0)
        read(recipe.model.settings, training)
    assert recipe.data.box == (148 if kind == "celeba" else None)


def test_a_probe_needs_labels(tmp_path: Path) -> None:
    bare = write_tree(tmp_path, {f"{i}.png": encode(noise_image(i)) for i in range(3)})
    facts = source_facts(str(bare))
    assert facts == SourceFacts((3, 20, 20), 3, (), (), 3)
    with pytest.raises(LatentLabError, match="A probe learns labels"):
        preset_recipe("probe", "quick", str(bare), facts=facts)


# The recipes of the project.

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
SHIPPED = sorted(path.stem for path in (ROOT / "assets" / "models").glob("*.safetensors"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_of_the_project_make_the_model_of_their_name(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.output.id == path.stem
    assert recipe.output.title
    assert parse_recipe(recipe.to_toml()) == recipe


def test_every_bundled_model_has_its_recipe() -> None:
    assert set(SHIPPED) <= {path.stem for path in RECIPES}


def stored(name: str) -> tuple[dict[str, Any], Provenance]:
    header = read_header(asset_path("models", f"{name}.safetensors"))
    return header.config, header.spec.provenance


@pytest.mark.parametrize("name", SHIPPED)
def test_bundled_models_have_the_network_of_their_recipe(name: str) -> None:
    recipe: Recipe = load_recipe(ROOT / "recipes" / f"{name}.toml")
    config, provenance = stored(name)
    # What decides the network is what the model file itself says, and what it says it was made by.
    for key, value in recipe.model.settings.items():
        assert config.get(key, value) == value, key
    assert config["image_size"] == recipe.data.size
    assert config["channels"] == (recipe.data.channels or 3)
    then = provenance.recipe
    made_by = then | {"data": {"source": "x"}, "train": {"steps": 1}}
    # Whether the directions are refined at the end is no part of the network.
    was = check_recipe(made_by, name).model.settings
    assert was | {"refine_directions": None} == recipe.model.settings | {"refine_directions": None}
    for key, default in {"size": None, "channels": None, "flip": False}.items():
        assert then["data"].get(key, default) == getattr(recipe.data, key), key
    for key in ("seed", "optimizer", "schedule", "precision", "batch_size", "ema_decay"):
        assert then["train"][key] == getattr(recipe.train, key), key
    assert then["output"]["id"] == recipe.output.id == name
    assert then["output"]["half"] == recipe.output.half
