from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import Recipe, dump_toml, load_recipe, parse_recipe

GOOD = """\
# faces
[model]
family = "vae"
latent_dim = 16
width = 8

[data]
source = "portraits:count=100,seed=1"
size = 64
labels = ["smiling"]

[data.held_out]
count = 10

[train]
steps = 100
batch_size = 32
betas = [0.5, 0.99]
learning_rate = 1e-4

[output]
title = 'He said "\\ü😀"'
"""


def refused(text: str) -> str:
    with pytest.raises(LatentLabError) as caught:
        parse_recipe(text, "faces.toml")
    return str(caught.value)


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_reads_a_recipe() -> None:
    recipe = parse_recipe(GOOD)
    assert recipe.model.family == "vae"
    assert recipe.model.settings == {
        "variant": "vae",
        "latent_dim": 16,
        "width": 8,
        "max_width": 256,
        "convolutions": 1,
        "norm": "batch",
        "likelihood": "gaussian",
        "prior": "standard",
        "condition": "none",
        "beta": 1.0,
        "kl_warmup_steps": 0,
        "free_bits": 0.0,
        "condition_dropout": 0.1,
    }
    assert recipe.data.labels == ("smiling",)
    assert recipe.data.held_out.count == 10
    assert recipe.train.betas == (0.5, 0.99)
    assert recipe.train.learning_rate == 1e-4
    assert recipe.train.seed == 0
    assert recipe.output.half is True


def test_the_resolved_recipe_reads_back_equal() -> None:
    recipe = parse_recipe(GOOD, default_id="my faces!")
    assert recipe.output.id == "my-faces"
    text = recipe.to_toml()
    assert tomllib.loads(text) == recipe.resolved()
    assert parse_recipe(text) == recipe
    assert 'optimizer = "adam"' in text


def test_toml_of_awkward_values() -> None:
    tables = {
        "a b": 1,
        "text": 'tab\t quote " back\\slash \x01 \x7f \u2028 😀 é',
        "small": 1e-30,
        "huge": 1e30,
        "no": False,
        "list": [1, [2.5, "x"], {"inner key": True}],
        "t": {"u": {"v": float("inf")}, "w": -3},
    }
    assert tomllib.loads(dump_toml(tables)) == tables


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("batch_size = 32", "batch_size = 0", ["line 17", "train.batch_size", "0", "1"]),
        (
            "batch_size = 32",
            'batch_size = "32"',
            ["line 17", "train.batch_size", "a whole number from 1"],
        ),
        ("batch_size = 32", "batchsize = 32", ["line 17", "train.batchsize", "'batch_size'"]),
        ("batch_size = 32", "steps2 = 3\noptimizer = 'sgd'", ["line 17", "steps2"]),
        ("batch_size = 32", "optimizer = 'sgd'", ["line 17", "'adam' or 'adamw'", "sgd"]),
        ("batch_size = 32", "ema_decay = 1.0", ["line 17", "ema_decay", "below 1"]),
        ("learning_rate = 1e-4", "learning_rate = nan", ["line 19", "learning_rate", "above 0"]),
        (
            "learning_rate = 1e-4",
            "channels_last = 1",
            ["line 19", "channels_last", "true or false"],
        ),
        ("betas = [0.5, 0.99]", "betas = [0.5, 1.5]", ["line 18", "element 2", "train.betas"]),
        ("betas = [0.5, 0.99]", "betas = [0.5]", ["line 18", "betas", "2 numbers"]),
        ("count = 10", "count = 0", ["line 13", "data.held_out.count"]),
        ("count = 10", "cuont = 10", ["line 13", "data.held_out.cuont", "'count'"]),
        ("size = 64", "size = 64.0", ["line 9", "data.size", "whole number"]),
        ("size = 64", "channels = 4", ["line 9", "data.channels", "1 or 3"]),
        ("steps = 100", "epochs = 2\nsteps = 3", ["line 15", "exactly one", "steps and epochs"]),
        ("steps = 100", "", ["line 15", "exactly one"]),
        ('family = "vae"', "", ["line 2", "model.family", "missing"]),
        ('family = "vae"', "family = 3", ["line 3", "model.family", "text"]),
        ("[output]", "[outptu]", ["line 21", "outptu", "'output'"]),
        ("size = 64", "size = ", ["line 9"]),
    ],
)
def test_errors_name_line_and_key(old: str, new: str, words: list[str]) -> None:
    message = refused(changed(old, new))
    assert message.startswith("faces.toml")
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_missing_tables() -> None:
    message = refused(GOOD.replace("[data]", "[dataa]").replace("data.h", "h"))
    assert message.startswith("faces.toml, line 7: 'dataa' is not known; did you mean 'data'?")
    assert message.endswith("(and 2 more mistakes).")
    assert "'train' is missing" in refused(GOOD.partition("[train]")[0])
    assert refused("").startswith("faces.toml: 'model' is missing")


def test_overrides_replace_and_are_checked() -> None:
    recipe = parse_recipe(GOOD, overrides={"train.epochs": 2.5, "model.latent_dim": 2})
    assert (recipe.train.steps, recipe.train.epochs) == (None, 2.5)
    assert recipe.model.settings["latent_dim"] == 2
    with pytest.raises(LatentLabError, match=r"train\.batch_size"):
        parse_recipe(GOOD, overrides={"train.batch_size": -1})
    with pytest.raises(LatentLabError, match="'source' is a value"):
        parse_recipe(GOOD, overrides={"data.source.x": 1})


@pytest.mark.parametrize(
    ("length", "steps"),
    [("steps = 7", 7), ("images_seen = 65", 3), ("epochs = 2.5", 8), ("epochs = 0.01", 1)],
)
def test_length_in_steps(length: str, steps: int) -> None:
    # 100 images in batches of 32: three whole batches a pass.
    recipe = parse_recipe(changed("steps = 100", length))
    assert recipe.train.total_steps(100) == steps


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    with pytest.raises(LatentLabError, match="cannot be read"):
        load_recipe(tmp_path / "absent.toml")
    with pytest.raises(LatentLabError, match="cannot be read"):
        load_recipe(tmp_path)
    binary = tmp_path / "model.safetensors"
    binary.write_bytes(b"\x80\xff\x00" * 99)
    with pytest.raises(LatentLabError, match="is not text"):
        load_recipe(binary)
    with binary.open("wb") as stream:
        stream.truncate(2**21)
    with pytest.raises(LatentLabError, match="too large"):
        load_recipe(binary)


def test_a_recipe_never_changes() -> None:
    recipe: Recipe = parse_recipe(GOOD)
    with pytest.raises(ValueError, match="frozen"):
        recipe.train.steps = 3


def test_recipes_and_runs_need_no_torch() -> None:
    code = (
        "import sys, latentlab.core.recipe, latentlab.core.runs; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_of_the_project_are_valid(path: Path) -> None:
    assert load_recipe(path).output.id == path.stem
