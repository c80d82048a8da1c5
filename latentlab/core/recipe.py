"""Recipes: what to train, on which data and how, as a TOML file. No torch here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from latentlab.core.errors import LatentLabError
from latentlab.core.families.base import FamilySettings, ModelTable
from latentlab.core.families.registry import model_table
from latentlab.core.recipe_errors import Problem, SettingError, problems, sentence
from latentlab.core.recipe_tables import DataTable, HeldOut, OutputTable, Recipe, TrainTable
from latentlab.core.recipe_text import MAX_DEPTH, RecipeText, TooDeep
from latentlab.core.toml import dump_toml

__all__ = [
    "DataTable",
    "HeldOut",
    "ModelTable",
    "OutputTable",
    "Recipe",
    "RecipeText",
    "TrainTable",
    "check_recipe",
    "dump_toml",
    "load_recipe",
    "override",
    "parse_recipe",
    "parse_value",
    "read_recipe_text",
    "recipe_places",
]

MAX_RECIPE_BYTES = 2**20
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_LENGTHS = ("steps", "images_seen", "epochs")


def load_recipe(path: Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read and check a recipe.

    Args:
        path: a TOML file.
        overrides: values by dotted key (``train.steps``) that replace those of the file.

    Raises:
        LatentLabError: there is no such file, or it is not a recipe; the sentence names the file,
            the line and the key, and says what is allowed.
    """
    return parse_recipe(read_recipe_text(path), path.name, overrides, default_id=path.stem)


def read_recipe_text(path: Path) -> str:
    """Return the text of a recipe's file, without a byte order mark and with plain line ends.

    Raises:
        LatentLabError: it cannot be read, is too large, or is not UTF-8.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_RECIPE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise LatentLabError(
            f"The recipe '{path}' cannot be read ({reason}): check the name."
        ) from error
    if len(raw) > MAX_RECIPE_BYTES:
        raise LatentLabError(f"'{path}' is too large for a recipe: choose a TOML recipe file.")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise LatentLabError(
            f"'{path}' is not text in UTF-8: choose a TOML recipe file, or save it as UTF-8."
        ) from error


def recipe_places(path: Path, overrides: Mapping[str, Any] | None = None) -> RecipeText:
    """Return where the settings of a recipe that was read from ``path`` stand."""
    return _places(read_recipe_text(path), path.name, overrides)


def parse_recipe(
    text: str,
    name: str = "recipe",
    overrides: Mapping[str, Any] | None = None,
    default_id: str = "",
) -> Recipe:
    """Check the text of a recipe; see ``load_recipe``.

    Args:
        text: TOML.
        name: what messages call the text.
        overrides: values by dotted key.
        default_id: the model's id when ``[output]`` names none.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    places = _places(text, name, overrides)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LatentLabError(_not_toml(error, name, text)) from error
    except (RecursionError, ValueError) as error:
        # Python refuses to read whole numbers of thousands of digits.
        raise LatentLabError(f"{name}: a number or a list in it is far too long.") from error
    recipe = _checked(tables, places, overrides)
    if recipe.output.id or not default_id:
        return recipe
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", default_id).strip("-._")[:100] or "model"
    return recipe.model_copy(
        update={"output": recipe.output.model_copy(update={"id": clean})},
    )


def check_recipe(
    tables: dict[str, Any], name: str, overrides: Mapping[str, Any] | None = None
) -> Recipe:
    """Check a recipe given as tables; see ``parse_recipe``. The tables are changed by overrides.

    An override of ``None`` leaves its setting unset.
    """
    return _checked(tables, RecipeText(name, "", overrides or ()), overrides)


def _places(text: str, name: str, overrides: Mapping[str, Any] | None) -> RecipeText:
    try:
        return RecipeText(name, text, overrides or ())
    except TooDeep as error:
        raise LatentLabError(
            f"{name}, line {error.line}: this nests more than {MAX_DEPTH} deep, which no recipe "
            "does: choose a TOML recipe file."
        ) from error


def _not_toml(error: tomllib.TOMLDecodeError, name: str, text: str) -> str:
    found = _AT.search(str(error))
    line = text.count("\n") + 1
    if found is not None and found[1] is not None:
        line = int(found[1])
    message = str(error)[: found.start()] if found is not None else str(error)
    rows = text.split("\n")
    quoted = rows[line - 1] if line <= len(rows) else ""
    hint = ""
    if "\\" in quoted and '"' in quoted:
        hint = "; a path with '\\' goes in single quotes"
    elif "\r" in quoted:
        hint = "; save the file with the usual line ends"
    message = message[:1].lower() + message[1:]
    return f"{name}, line {line}: this is not valid TOML ({message}){hint}."


def _checked(
    tables: dict[str, Any], places: RecipeText, overrides: Mapping[str, Any] | None
) -> Recipe:
    for key, value in (overrides or {}).items():
        override(tables, key, value)
    try:
        recipe = Recipe.model_validate(tables)
    except ValidationError as error:
        found = list(_problems(error, tables))
        raise LatentLabError(sentence(found, places)) from error
    return recipe


def check_size(recipe: Recipe) -> None:
    """Raise ``SettingError`` where the family does not work on images of the size asked for.

    A run finds it when its data is open; a form says it at once.
    """
    sizes = recipe.model.image_sizes if isinstance(recipe.model, FamilySettings) else None
    size = recipe.data.size
    if sizes is not None and size is not None and size not in sizes:
        raise SettingError(
            "data.size",
            f"the family '{recipe.model.family}' works on images of "
            f"{', '.join(map(str, sizes))} pixels, not {size}: choose one of these.",
        )


def _problems(error: ValidationError, tables: Mapping[str, Any]) -> Iterator[Problem]:
    model = tables.get("model")
    family = model.get("family") if isinstance(model, dict) else None
    try:
        table = model_table(family) if isinstance(family, str) else ModelTable
    except LatentLabError:
        table = ModelTable
    yield from problems(error, Recipe, (), table)


def parse_value(text: str) -> Any:
    """Return what a word on a command line means: a TOML value, or else the text itself."""
    if any(letter in text for letter in "\n\r") or text.count("[") + text.count("{") > MAX_DEPTH:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return text


def override(tables: dict[str, Any], key: str, value: Any) -> None:
    """Set a value in the tables of a recipe; one length of training takes the place of another.

    Args:
        tables: changed in place.
        key: dotted.
        value: ``None`` leaves the setting unset.

    Raises:
        LatentLabError: the key goes through a value.
    """
    *path, last = key.split(".")
    if len(path) > MAX_DEPTH:
        raise LatentLabError(f"'{key[:80]}' is no setting of a recipe.")
    table = tables
    for part in path:
        child = table.setdefault(part, {})
        if not isinstance(child, dict):
            raise LatentLabError(f"'{key}' cannot be set: '{part}' is a value, not a table.")
        table = child
    if value is None:
        table.pop(last, None)
        return
    if key in {f"train.{length}" for length in _LENGTHS}:
        for other in _LENGTHS:
            table.pop(other, None)
    table[last] = value
