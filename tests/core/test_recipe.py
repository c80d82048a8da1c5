from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from latentlab import catalog
from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import (
    Recipe,
    RecipeText,
    dump_toml,
    load_recipe,
    parse_recipe,
    parse_value,
)

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
        "refine_directions": False,
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


def test_reading_a_recipe_needs_no_torch(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(changed("latent_dim = 16", "latent_dmi = 16"))
    code = (
        "import sys, latentlab.core.runs\n"
        "from latentlab.core.recipe import load_recipe\n"
        "from pathlib import Path\n"
        "try: load_recipe(Path(sys.argv[1]))\n"
        "except Exception as error: print(error)\n"
        "assert not {'torch', 'PySide6'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(wrong)], check=True, capture_output=True, text=True
    )
    assert "wrong.toml, line 4: 'model.latent_dmi' is not known; did you mean 'latent_dim'?" in (
        done.stdout
    )


def test_the_first_mistake_by_line_and_how_many_more() -> None:
    text = changed("batch_size = 32", "batch_size = 0").replace("count = 10", "count = 'x'")
    message = refused(text.replace("latent_dim = 16", "latent_dim = -1"))
    assert message.startswith("faces.toml, line 4: 'model.latent_dim' cannot be -1")
    assert "a whole number from 1 to 4,096" in message
    assert message.endswith("(and 2 more mistakes).")


NESTED = """\
title = [ # a list [ of "things"
  1, # one ]
  {a = 2, b = [1,
   2]},
]
data.source = '''
many
lines = 3'''
data.held_out = {count = 5, "split" = "a", nothing = 1}

train = {steps = 10, betas = [0.1,
  0.2]}
[ model ]
family = "vae"
width = 3
[[model.extra]]
x = 1
[[model.extra]]
'y' = [
  1,
  "]",
  2,
]
"""


def test_lines_of_every_way_to_write_a_key() -> None:
    places = RecipeText("f", NESTED)
    expected = {
        ("title",): 1,
        ("title", 0): 2,
        ("title", 1): 3,
        ("title", 1, "a"): 3,
        ("title", 1, "b", 1): 4,
        ("data",): 6,
        ("data", "source"): 6,
        ("data", "held_out"): 9,
        ("data", "held_out", "count"): 9,
        ("data", "held_out", "split"): 9,
        ("train", "betas"): 11,
        ("train", "betas", 1): 12,
        ("model",): 13,
        ("model", "width"): 15,
        ("model", "extra", 0): 16,
        ("model", "extra", 0, "x"): 17,
        ("model", "extra", 1, "y", 2): 22,
    }
    assert {key: places.line(key) for key in expected} == expected
    assert places.line(("nowhere",)) == 0
    assert "lines" not in {key[0] for key in places.lines}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NESTED, ["line 1:", "'title' is not known", "more mistakes"]),
        (changed("[data.held_out]\ncount = 10", ""), []),
        (
            changed("[data.held_out]\ncount = 10", 'held_out = {"count" = 0}'),
            ["line 12", "'data.held_out.count'"],
        ),
        (
            changed("[data.held_out]\ncount = 10", "held_out.count = -3"),
            ["line 12", "'data.held_out.count'"],
        ),
        (
            changed("[data.held_out]\ncount = 10", "held_out = 3"),
            ["line 12", "'data.held_out' is a table"],
        ),
        (
            changed('labels = ["smiling"]', 'labels = [\n  "a",\n  3,\n]'),
            ["line 12", "element 2 of 'data.labels'", "cannot be 3"],
        ),
        (changed("[model]", "[[model]]"), ["line 2", "'model' is a table"]),
        (changed("width = 8", "width = 2"), ["line 5", "from 4 to 512"]),
        (changed("width = 8", "condition = 'shape'"), ["line 5", "'none', 'class' or a list"]),
        (changed("width = 8", "condition = [1]"), ["line 5", "'none', 'class' or a list"]),
        (changed("width = 8", "observation_scale = 0"), ["line 5", "above 0"]),
        (changed("width = 8", "beta = inf"), ["line 5", "cannot be inf"]),
        (changed("width = 8", "likelihood = 'poisson'"), ["line 5", "'bernoulli' or 'l1'"]),
        (changed("width = 8", "seed = 2020-01-01"), ["line 5", "model.seed"]),
        (changed("steps = 100", "epochs = inf"), ["line 16", "cannot be inf"]),
        (changed("steps = 100", "steps = 2020-01-01"), ["line 16", "2020-01-01"]),
        (changed('family = "vae"', 'family = "vea"'), ["line 3", "'vea'", "did you mean 'vae'?"]),
        (changed('family = "vae"', 'family = "{x}"'), ["line 3", "no family '{x}'", "known: vae"]),
        (changed('family = "vae"', 'family = "probe"'), ["line 4", "latent_dim", "squeeze"]),
        (changed("[output]", "[output]\nid = 'a b'"), ["line 22", "letters, digits"]),
    ],
)
def test_places_of_mistakes(text: str, words: list[str]) -> None:
    if not words:
        parse_recipe(text)
        return
    message = refused(text)
    assert "\n" not in message
    for word in ["faces.toml", *words]:
        assert word in message, message


def test_mistakes_of_overrides_are_said_to_be_there() -> None:
    for key, value in {"model.width": 1, "train.batch_size": 0, "model.colour": 2}.items():
        with pytest.raises(LatentLabError, match=r"^in --set: ") as caught:
            parse_recipe(GOOD, "faces.toml", {key: value})
        assert key in str(caught.value)
    with pytest.raises(LatentLabError, match=r"^faces.toml, line 5: 'model.width' cannot be 1"):
        parse_recipe(changed("width = 8", "width = 1"), "faces.toml", {"train.batch_size": 8})


def test_a_plugged_in_family_checks_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    text = changed('family = "vae"', 'family = "mine"').replace("width = 8", "colour = {r = 1}")
    assert "no family 'mine'" in refused(text)
    monkeypatch.setitem(catalog.TRAINERS, "mine", "nowhere:Trainer")
    recipe = parse_recipe(text)
    assert recipe.model.settings == {"latent_dim": 16, "colour": {"r": 1}}
    assert parse_recipe(recipe.to_toml()) == recipe


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("3e-4", 3e-4),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ("adamw", "adamw"),
        ("portraits:count=3,seed=1", "portraits:count=3,seed=1"),
        ("C:\\faces", "C:\\faces"),
        ("1\nother = 2", "1\nother = 2"),
        ("[" * 5000, "[" * 5000),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_words_of_the_command_line(text: str, value: object) -> None:
    assert parse_value(text) == value
