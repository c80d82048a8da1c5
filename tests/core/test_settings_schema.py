"""Every setting as data: complete, in step with what a recipe takes, and written back exactly."""

from __future__ import annotations

import math
import random
import tomllib
from dataclasses import replace
from typing import Any

import pytest

from latentlab.catalog import FAMILIES
from latentlab.core.errors import LatentLabError
from latentlab.core.families.registry import model_table
from latentlab.core.recipe import check_recipe, parse_recipe
from latentlab.core.recipe_comments import commented_toml
from latentlab.core.recipe_summary import changed_settings, recipe_summary
from latentlab.core.recipe_tables import DataTable, HeldOut, OutputTable, TrainTable
from latentlab.core.settings_schema import Setting, allowed, groups, settings

IDS = [family.id for family in FAMILIES]
LENGTHS = ("train.steps", "train.images_seen", "train.epochs")
TEXTS = [
    "a",
    "ü 😀",
    'quo"te',
    "it's",
    "C:\\data\\new",
    "tab\there",
    "\x7f\x01",
    "# no comment",
    "''",
]


def by_key(family: str = "vae") -> dict[str, Setting]:
    return {setting.key: setting for setting in settings(family)}


@pytest.mark.parametrize("family", IDS)
def test_every_field_of_every_table_is_there_and_explained(family: str) -> None:
    found = by_key(family)
    tables = {"data": DataTable, "train": TrainTable, "output": OutputTable}
    tables |= {"data.held_out": HeldOut, "model": model_table(family)}
    expected = {f"{key}.{name}" for key, table in tables.items() for name in table.model_fields}
    assert found.keys() == expected - {"data.held_out", "model.family"}
    for setting in found.values():
        assert setting.title
        assert setting.help.endswith(".")
        assert not {"`", "\n"} & set(setting.help + setting.title)
        assert setting.title[0].isupper()
        if setting.kind == "choice":
            assert len(setting.choices) > 1
            assert setting.default in (*setting.choices, None)
    assert len({group.title for group in groups(family)}) == len(groups(family))


def test_kinds_limits_and_defaults() -> None:
    found = by_key()
    width = found["model.width"]
    assert (width.kind, width.default, width.minimum, width.maximum) == ("integer", 32, 4, 512)
    rate = found["train.learning_rate"]
    assert (rate.kind, rate.minimum, rate.open_minimum, rate.optional) == ("number", 0, True, False)
    ema = found["train.ema_decay"]
    assert (ema.maximum, ema.open_maximum) == (1, True)
    scale = found["model.observation_scale"]
    assert (scale.kind, scale.default, scale.optional) == ("number", None, True)
    assert found["data.channels"].choices == (1, 3)
    assert found["data.source"].required
    assert (found["data.flip"].kind, found["data.flip"].default) == ("switch", False)
    betas = found["train.betas"]
    assert (betas.kind, betas.item_kind, betas.length) == ("list", "number", 2)
    assert (betas.default, betas.minimum, betas.maximum) == ([0.9, 0.999], 0, 1)
    trackers = found["train.trackers"]
    assert (trackers.kind, trackers.item_kind, trackers.length) == ("list", "choice", None)
    assert "tensorboard" in trackers.choices
    condition = found["model.condition"]
    assert (condition.kind, condition.choices) == ("text", ("none", "class"))
    assert found["data.size"].unit == "pixels"
    assert not found["model.latent_dim"].advanced
    assert found["train.betas"].advanced
    assert (found["data.held_out.count"].table, width.name) == ("data.held_out", "width")


def test_what_is_allowed_in_words() -> None:
    found = by_key() | by_key("probe")
    assert allowed(by_key()["model.width"]) == "a whole number from 4 to 512"
    assert allowed(found["train.learning_rate"]) == "a number above 0 and at most 100"
    assert allowed(found["train.ema_decay"]) == "a number from 0 and below 1"
    assert allowed(found["train.log_every"]) == "a whole number, at least 1"
    assert allowed(found["train.seed"]) == "a whole number, at least 0"
    assert allowed(found["train.precision"]) == "'fp32', 'bf16' or 'fp16'"
    assert allowed(found["data.channels"]) == "1 or 3"
    assert allowed(found["data.flip"]) == "true or false"
    assert allowed(found["model.widths"]) == "a list of 3 whole numbers from 4 to 512"
    assert allowed(found["data.labels"]) == "a list of names"
    assert allowed(by_key()["model.condition"]) == "'none' or 'class', or a list of names"


def test_an_unknown_family_names_the_nearest() -> None:
    with pytest.raises(LatentLabError, match="did you mean 'probe'"):
        groups("prob")


def some_value(setting: Setting, draw: random.Random) -> Any:
    """Return a random value that the schema says is allowed."""
    if setting.kind == "list":
        item = replace(setting, kind=setting.item_kind or "text", item_kind=None)
        count = draw.randrange(4) if setting.length is None else setting.length
        return [some_value(item, draw) for _ in range(count)]
    if setting.kind == "switch":
        return draw.random() < 0.5
    if setting.key == "model.condition":
        return draw.choice(["none", "class", ["a", "b c"], ["ü"]])
    if setting.choices:
        return draw.choice(setting.choices)
    if setting.key == "output.id":
        return draw.choice(["a", "A-1", "0.x_y"])
    if setting.kind == "text":
        return draw.choice(TEXTS)
    low = 0 if setting.minimum is None else setting.minimum
    high = low + 10.0 ** draw.randrange(-3, 12) if setting.maximum is None else setting.maximum
    if setting.kind == "integer":
        last = max(low, int(high) - setting.open_maximum)
        return draw.choice([low, last, draw.randint(low, last)])
    near = low + (high - low) * 10.0 ** -draw.randrange(15)
    value = draw.choice([draw.uniform(low, high), near])
    value = math.nextafter(value, high) if setting.open_minimum and value <= low else value
    return math.nextafter(value, low) if setting.open_maximum and value >= high else value


def random_tables(family: str, draw: random.Random) -> dict[str, Any]:
    tables: dict[str, Any] = {"model": {"family": family}, "data": {"held_out": {}}}
    length = draw.choice(LENGTHS)
    for setting in settings(family):
        wanted = setting.key == length or setting.required
        if setting.key in LENGTHS and not wanted:
            continue
        if wanted or draw.random() < 0.6:
            table = tables
            for part in setting.table.split("."):
                table = table.setdefault(part, {})
            table[setting.name] = some_value(setting, draw)
    return tables


@pytest.mark.parametrize("family", IDS)
def test_random_recipes_are_written_back_exactly(family: str) -> None:
    draw = random.Random(7)
    for _ in range(60):
        tables = random_tables(family, draw)
        recipe = check_recipe(tables, "random")
        text = recipe.to_toml()
        assert tomllib.loads(text) == recipe.resolved()
        assert parse_recipe(text) == recipe
        assert parse_recipe(recipe.to_toml()).to_toml() == text
        # Every value that was given is in it, as it was given.
        resolved = recipe.resolved()
        for key, table in tables.items():
            assert table.items() <= (resolved[key] | {"held_out": table.get("held_out")}).items()
        commented = commented_toml(recipe, "Heading")
        assert parse_recipe(commented) == recipe
        assert all(setting.help[:30] in unwrapped(commented) for setting in settings(family))
        assert all(recipe_summary(recipe))


def unwrapped(text: str) -> str:
    return text.replace("\n# ", " ")


@pytest.mark.parametrize("family", IDS)
def test_values_beyond_the_limits_are_refused_where_the_schema_says(family: str) -> None:
    base = {"model": {"family": family}, "data": {"source": "x"}, "train": {"steps": 1}}
    checked = 0
    for setting in settings(family):
        if setting.kind not in ("integer", "number"):
            continue
        for limit, is_open, step in (
            (setting.minimum, setting.open_minimum, -1),
            (setting.maximum, setting.open_maximum, 1),
        ):
            if limit is None:
                continue
            inside = limit - step if setting.kind == "integer" else limit - step * 1e-3
            for value, fits in ((limit, not is_open), (limit + step, False), (inside, True)):
                tables = {key: dict(table) for key, table in base.items()}
                if fits:
                    check_recipe(tables, "r", {setting.key: value})
                else:
                    with pytest.raises(LatentLabError, match=setting.key) as caught:
                        check_recipe(tables, "r", {setting.key: value})
                    assert allowed(setting) in caught.value.message
                checked += 1
    assert checked > 60


def test_changed_settings_are_those_that_differ() -> None:
    recipe = check_recipe(
        {
            "model": {"family": "vae", "width": 8, "beta": 1},
            "data": {"source": "x", "labels": ["a"]},
            "train": {"epochs": 2, "batch_size": 64},
        },
        "r",
    )
    assert changed_settings(recipe) == {
        "model.width": 8,
        "data.source": "x",
        "data.labels": ["a"],
        "train.epochs": 2.0,
    }
    text = " ".join(recipe_summary(recipe))
    assert "width 8" in text
    assert "2 passes over the images in batches of 64" in text
