"""Every setting of a recipe as data: for forms, the command line and the manual. No torch here."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from latentlab.core.families.base import Table
from latentlab.core.families.registry import model_table
from latentlab.core.recipe_tables import DataTable, HeldOut, OutputTable, TrainTable

Kind = Literal["integer", "number", "switch", "choice", "text", "list"]


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        key: dotted, for example ``train.batch_size``.
        title: a few words.
        help: what it does, in whole sentences.
        kind: of its value; an element of a list has ``item_kind``.
        default: the value when it is left out; ``None`` where that means "not set".
        choices: the only values (``choice``), the only elements (``list``), or words to suggest
            (``text``); empty where anything goes.
        minimum: smallest value, or smallest element; ``None`` where there is none.
        maximum: largest value, or largest element.
        unit: of a number; empty where there is none.
        optional: may be left unset; a form then needs a way to say so.
        advanced: a beginner need not see it.
        required: must be given.
        open_minimum: ``minimum`` itself is excluded.
        open_maximum: ``maximum`` itself is excluded.
        item_kind: of the elements of a list; of ``text``: ``list`` where several names, with
            commas, are a value too.
        length: number of elements of a list; ``None`` where any number goes.
        group: heading that begins with this setting, or empty.
        form: what a value must look like, in words, where that is more than its kind and limits.
    """

    key: str
    title: str
    help: str
    kind: Kind
    default: Any = None
    choices: tuple[Any, ...] = ()
    minimum: float | int | None = None
    maximum: float | int | None = None
    unit: str = ""
    optional: bool = False
    advanced: bool = False
    required: bool = False
    open_minimum: bool = False
    open_maximum: bool = False
    item_kind: Kind | None = None
    length: int | None = None
    group: str = ""
    form: str = ""

    @property
    def table(self) -> str:
        """The table that it stands in, for example ``data.held_out``."""
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The key inside its table."""
        return self.key.rpartition(".")[2]


@dataclass(frozen=True)
class SettingGroup:
    """Settings that belong together: a heading of a form."""

    title: str
    settings: tuple[Setting, ...]


TABLES: tuple[tuple[str, str, type[Table]], ...] = (
    ("data", "Images", DataTable),
    ("data.held_out", "Held-out images", HeldOut),
    ("train", "Training", TrainTable),
    ("output", "Model", OutputTable),
)
"""Key, heading and class of every table but ``[model]``."""


def groups(family: str) -> tuple[SettingGroup, ...]:
    """Return the settings of a recipe of a family, in the order of a form.

    The settings of ``[model]`` come first (without ``family`` itself), then images, training and
    output. A plugged-in family without settings has no group of its own.

    Raises:
        LatentLabError: there is no such family.
    """
    tables = (("model", "Network", model_table(family)), *TABLES)
    found: list[SettingGroup] = []
    for key, heading, table in tables:
        title, rows = heading, list[Setting]()
        for setting in table_settings(key, table):
            if setting.key == "model.family":
                continue
            if setting.group and rows:
                found.append(SettingGroup(title, tuple(rows)))
                rows = []
            title = setting.group or title
            rows.append(setting)
        if rows:
            found.append(SettingGroup(title, tuple(rows)))
    return tuple(found)


def settings(family: str) -> tuple[Setting, ...]:
    """Return the settings of ``groups`` in one row."""
    return tuple(setting for group in groups(family) for setting in group.settings)


def table_settings(key: str, table: type[Table]) -> Iterator[Setting]:
    """Yield the settings of one table, without the tables inside it."""
    for name, field in table.model_fields.items():
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, Table)):
            yield _setting(f"{key}.{name}", field)


BEYOND = 10**9
"""A larger limit only guards against nonsense: nobody needs to read it."""
_KINDS: dict[Kind, str] = {"integer": "whole number", "number": "number", "text": "name"}


def allowed(setting: Setting) -> str:
    """Return what a setting takes, in words: ``a whole number from 1 to 4096``."""
    if setting.form:
        return setting.form
    if setting.kind == "switch":
        return "true or false"
    if setting.kind == "list":
        count = f"{setting.length} " if setting.length else ""
        noun = f"{_KINDS.get(setting.item_kind or 'text', 'word')}s"
        one_of = f" out of {_choices(setting.choices)}" if setting.choices else ""
        return f"a list of {count}{noun}{_range(setting)}{one_of}"
    if setting.choices:
        more = ", or a list of names" if setting.item_kind == "list" else ""
        return _choices(setting.choices) + more
    if setting.kind == "text":
        return "text in quotes, not empty" if setting.required else "text in quotes"
    return f"a {_KINDS[setting.kind]}{_range(setting)}"


def _choices(choices: tuple[Any, ...]) -> str:
    words = [f"'{c}'" if isinstance(c, str) else str(c) for c in choices]
    return " or ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else words[0]


def _range(setting: Setting) -> str:
    low, high = setting.minimum, setting.maximum
    if high is not None and high > BEYOND:
        high = None
    if low is None and high is None:
        return ""
    if high is None:
        return f" above {low:,}" if setting.open_minimum else f", at least {low:,}"
    if setting.open_minimum or setting.open_maximum:
        least = f"above {low:,}" if setting.open_minimum else f"from {low:,}"
        return f" {least} and {'below' if setting.open_maximum else 'at most'} {high:,}"
    return f" from {low:,} to {high:,}"


def _setting(key: str, field: FieldInfo) -> Setting:
    annotation, metadata, optional = _bare(field.annotation, list(field.metadata))
    extra = field.json_schema_extra
    extra = extra if isinstance(extra, dict) else {}
    shape = _shape(annotation, metadata)
    if extra.get("choices"):
        shape = {
            "kind": "text",
            "item_kind": "list",
            "choices": tuple(cast(list[str], extra["choices"])),
        }
    required = field.is_required()
    default = None if required else field.default
    return Setting(
        key=key,
        title=field.title or key,
        help=field.description or "",
        default=list(default) if isinstance(default, tuple) else default,
        unit=str(extra.get("unit", "")),
        optional=optional,
        advanced=bool(extra.get("advanced")),
        required=required,
        group=str(extra.get("group", "")),
        form=str(extra.get("form", "")),
        **shape,
    )


def _bare(annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any], bool]:
    """Return an annotation without ``Annotated`` and ``None``, what they said, and the latter."""
    optional = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            for item in more:
                metadata = metadata + (item.metadata if isinstance(item, FieldInfo) else [item])
        elif origin in (Union, types.UnionType) and type(None) in get_args(annotation):
            rest = [a for a in get_args(annotation) if a is not type(None)]
            annotation, optional = Union[tuple(rest)], True  # noqa: UP007 (made at run time)
        else:
            return annotation, metadata, optional


def _shape(annotation: Any, metadata: list[Any]) -> dict[str, Any]:
    """Return kind, choices, limits and, of a list, the same of its elements."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is tuple:
        inner, about, _ = _bare(arguments[0], [])
        item = _shape(inner, about)
        length = None if Ellipsis in arguments else len(arguments)
        return item | {"kind": "list", "item_kind": item["kind"], "length": length}
    if origin is Literal:
        return {"kind": "choice", "choices": arguments}
    kinds: dict[Any, Kind] = {bool: "switch", int: "integer", float: "number", str: "text"}
    return {"kind": kinds.get(annotation, "text"), **_limits(metadata)}


def _limits(metadata: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in metadata:
        if isinstance(item, annotated_types.Ge):
            found["minimum"] = item.ge
        elif isinstance(item, annotated_types.Gt):
            found |= {"minimum": item.gt, "open_minimum": True}
        elif isinstance(item, annotated_types.Le):
            found["maximum"] = item.le
        elif isinstance(item, annotated_types.Lt):
            found |= {"maximum": item.lt, "open_maximum": True}
    return found
