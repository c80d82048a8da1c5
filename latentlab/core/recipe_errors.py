"""What is wrong with a recipe, in one sentence that names the line and says what is allowed."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, time
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from latentlab.core.errors import LatentLabError
from latentlab.core.families.base import ModelTable, Table
from latentlab.core.recipe_text import Key, RecipeText
from latentlab.core.settings_schema import Setting, allowed, table_settings

SettingsTable = TypeVar("SettingsTable", bound=ModelTable)


class SettingError(LatentLabError):
    """A setting that the data does not allow, found when the data is open.

    Args:
        key: dotted, for example ``model.condition``.
        message: what is wrong and what to do, without the place.
    """

    def __init__(self, key: str, message: str, details: str = "") -> None:
        super().__init__(f"'{key}': {message}", details)
        self.key = key


@contextmanager
def placed(places: RecipeText | None) -> Iterator[None]:
    """Say of a ``SettingError`` that is raised inside where in the recipe the setting stands."""
    try:
        yield
    except SettingError as error:
        if places is None:
            raise
        place = places.place(tuple(error.key.split(".")))
        raise LatentLabError(f"{place}: {error.message}", error.details) from error


@dataclass(frozen=True)
class Problem:
    """One mistake that pydantic found in a table.

    Attributes:
        key: where it is.
        owner: class of the table that it is in.
        element: of a list, counted from 0; ``None`` where it is no element.
        error: as pydantic tells it.
    """

    key: Key
    owner: type[BaseModel]
    element: int | None
    error: ErrorDetails

    @property
    def text(self) -> str:
        """What is wrong and what is allowed, without the place and without an end."""
        kind, value = self.error["type"], self.error["input"]
        dotted = ".".join(str(part) for part in self.key)
        if kind == "extra_forbidden":
            return _unknown(self.key, self.owner)
        if kind == "missing" and self.element is None:
            return f"'{dotted}' is missing: add it"
        message = str(self.error["msg"]).removeprefix("Value error, ").removesuffix(".")
        message = message[:1].lower() + message[1:]
        setting = _setting(self.owner, self.key)
        if kind == "family":
            return message
        if setting is None:
            if kind in ("model_type", "dict_type", "model_attributes_type"):
                return f"'{dotted}' is a table: write [{dotted}] and its settings below"
            return f"[{dotted}]: {message}" if dotted else message
        if kind == "missing":
            return f"'{dotted}' is too short: use {allowed(setting)}"
        wanted = message if kind == "value_error" else f"use {allowed(setting)}"
        element = "" if self.element is None else f"element {self.element + 1} of "
        return f"{element}'{dotted}' cannot be {shown(value)}: {wanted}"


def read_settings(table: type[SettingsTable], values: Mapping[str, Any]) -> SettingsTable:
    """Return a family's settings from the values of a ``[model]`` table without ``family``.

    Raises:
        SettingError: a wrong or unknown setting.
    """
    try:
        return table.model_validate(dict(values))
    except ValidationError as error:
        first, *_ = problems(error, table, ("model",))
        key = ".".join(part for part in first.key if isinstance(part, str))
        raise SettingError(key, f"{first.text}.", str(error)) from error


def sentence(found: Iterable[Problem], places: RecipeText) -> str:
    """Return the first problem by line, with its place, and how many more there are."""

    def order(problem: Problem) -> tuple[bool, float]:
        # What was given by hand comes first, then the lines, then what is nowhere.
        key = problem.key if problem.element is None else (*problem.key, problem.element)
        return not places.is_overridden(key), places.line(key) or float("inf")

    first, *more = sorted(found, key=order)
    others = f" (and {len(more)} more {'mistake' if len(more) == 1 else 'mistakes'})"
    key = first.key if first.element is None else (*first.key, first.element)
    return f"{places.place(key)}: {first.text}{others if more else ''}."


def problems(
    error: ValidationError, table: type[Table], at: Key = (), family: type[ModelTable] | None = None
) -> list[Problem]:
    """Return the mistakes that pydantic found in a table.

    Args:
        error: as raised.
        table: that was validated.
        at: its key.
        family: class of ``[model]``, where ``table`` is a whole recipe.
    """
    return [
        Problem(*_known_part(details["loc"], table, at, family), details)
        for details in error.errors(include_url=False)
    ]


def _setting(owner: type[BaseModel], key: Key) -> Setting | None:
    """Return the setting that a key names in its table, if it is one."""
    if not key or not issubclass(owner, Table):
        return None
    dotted = ".".join(map(str, key))
    rows = table_settings(dotted.rpartition(".")[0], owner)
    return next((row for row in rows if row.key == dotted), None)


def _known_part(
    location: tuple[str | int, ...],
    top: type[Table],
    at: Key,
    family: type[ModelTable] | None,
) -> tuple[Key, type[BaseModel], int | None]:
    """Return the key of a setting, the table that it stands in, and the element of a list."""
    key: list[str | int] = list(at)
    owner: type[BaseModel] = top
    table: type[BaseModel] | None = top
    for part in location:
        if table is None:
            return tuple(key), owner, part if isinstance(part, int) else None
        key.append(part)
        owner = table
        field = table.model_fields.get(str(part))
        annotation: Any = field.annotation if field else None
        if family is not None and key == ["model"]:
            annotation = family
        inner = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        table = annotation if inner else None
    return tuple(key), owner, None


def _unknown(key: Key, owner: type[BaseModel]) -> str:
    known, name = list(owner.model_fields), str(key[-1])
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    table = f"[{'.'.join(map(str, key[:-1]))}]" if key[:-1] else "a recipe"
    dotted = ".".join(str(part) for part in key)
    return f"'{dotted[:80]}' is not known; {hint}{table} takes {', '.join(known)}"


def shown(value: Any) -> str:
    """Return a value as a short piece of a sentence, spelled as in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date | time):
        return value.isoformat()
    brief = reprlib.Repr()
    brief.maxlevel, brief.maxstring, brief.maxother = 3, 60, 60
    try:
        short = brief.repr(value)
    except ValueError:
        return "a number of so many digits"
    return short if len(short) <= 120 else f"{short[:117]}..."
