"""The recipe that a form is filling in: a preset or a recipe, and what a person changed of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from latentlab.core import presets
from latentlab.core.errors import LatentLabError
from latentlab.core.presets import SourceFacts
from latentlab.core.recipe import Recipe, check_size, dump_toml, parse_recipe
from latentlab.core.recipe_errors import SettingError
from latentlab.core.settings_schema import Setting, SettingGroup, groups
from latentlab.ui.widgets.setting_text import objection

LENGTHS = ("train.steps", "train.images_seen", "train.epochs")
"""Exactly one of them is given."""
_OF_THE_SOURCE = (
    "data.split",
    "data.labels",
    "data.box",
    "data.held_out.source",
    "data.held_out.split",
)
"""What another source makes meaningless."""
_DATA_KEPT = "data."


def flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables by dotted key; tuples become lists."""
    found: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = list(value) if isinstance(value, tuple) else value
    return found


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by dotted key as nested tables; ``None`` is left out."""
    tables: dict[str, Any] = {}
    for key, value in values.items():
        if value is None:
            continue
        *path, last = key.split(".")
        table = tables
        for part in path:
            table = table.setdefault(part, {})
        table[last] = value
    return tables


@dataclass(frozen=True)
class Origin:
    """What the unchanged values are from.

    Attributes:
        preset: its id; empty when they come from a recipe.
        name: of the recipe; empty for a preset.
    """

    preset: str = "quick"
    name: str = ""


class RunDraft:
    """Settings of a run that has not begun. A wrong value raises nothing; ``problems`` tells.

    Args:
        family: of the model.
        source: of the images.
    """

    def __init__(self, family: str = "vae", source: str = "portraits") -> None:
        self.family = family
        self.origin = Origin()
        self._source = source
        self._facts: SourceFacts | None = None
        self._base: dict[str, Any] = {}
        self._changes: dict[str, Any] = {}
        self._groups: tuple[SettingGroup, ...] = ()
        self._settings: dict[str, Setting] = {}
        self._checked: tuple[dict[str, Any], Recipe] | None = None
        self.choose_family(family)

    # What is there.

    @property
    def groups(self) -> tuple[SettingGroup, ...]:
        """The settings of the family, by heading."""
        return self._groups

    @property
    def settings(self) -> dict[str, Setting]:
        """The settings of the family by key."""
        return self._settings

    @property
    def presets(self) -> tuple[str, ...]:
        """Ids of the presets of the family."""
        return presets.presets_of(self.family)

    @property
    def source(self) -> str:
        """Of the training images, as the recipe names it."""
        return str(self.value("data.source") or "")

    @property
    def changed(self) -> tuple[str, ...]:
        """Keys whose value is not the one of the preset or recipe."""
        return tuple(self._changes)

    @property
    def values(self) -> dict[str, Any]:
        """Every value that is given, by key."""
        found = {**self._base, **self._changes, "model.family": self.family}
        return {key: value for key, value in found.items() if value is not None}

    @property
    def data(self) -> dict[str, Any]:
        """The table ``[data]``."""
        return dict(nested(self.values).get("data", {}))

    def base(self, key: str) -> Any:
        """Return what a reset gives: the preset's or recipe's value, else the default."""
        if key in self._base:
            return self._base[key]
        setting = self.settings.get(key)
        return None if setting is None else setting.default

    def value(self, key: str) -> Any:
        """Return a value; the default where none is given."""
        return self._changes[key] if key in self._changes else self.base(key)

    # What a person does.

    def choose_family(self, family: str) -> None:
        """Train another kind of model; what is not of the old one alone stays.

        Raises:
            LatentLabError: a plugged-in family cannot be used; nothing has changed.
        """
        self._show_groups(groups(family))
        self.family = family
        known = self.settings
        self._changes = {
            key: value
            for key, value in self._changes.items()
            if key in known or not key.startswith("model.")
        }
        if self.origin.preset or self._base.get("model.family") != family:
            wanted = self.origin.preset or "quick"
            self.choose_preset(wanted if wanted in self.presets else next(iter(self.presets), ""))

    def choose_preset(self, preset: str) -> None:
        """Take a preset's values; what the person changed, and the data of a recipe, stay."""
        if not self.origin.preset and self.origin.name:
            kept = {k: v for k, v in self._base.items() if k.startswith(_DATA_KEPT)}
            self._source = str(kept.pop("data.source", self._source))
            self._changes = kept | self._changes
        self.origin = Origin(preset)
        self._rebuild()

    def choose_source(self, source: str, split: str | None = None) -> None:
        """Train on other data; what belongs to the old data alone is forgotten."""
        if source == self._source and source == self.source and split is None:
            return
        self._source, self._facts = source, None
        for key in ("data.source", *_OF_THE_SOURCE):
            self._changes.pop(key, None)
        if self.origin.preset:
            self._rebuild()
        else:
            self._base |= dict.fromkeys(_OF_THE_SOURCE) | {"data.source": source}
        if split is not None:
            self.set("data.split", split)

    def set_facts(self, source: str, facts: SourceFacts) -> bool:
        """Let the preset suit what is known of the data; return whether anything changed."""
        if source != self.source or not self.origin.preset or facts == self._facts:
            return False
        before = self.values
        self._facts = facts
        self._rebuild()
        return self.values != before

    def set(self, key: str, value: Any) -> None:
        """Change a value; ``None`` leaves it unset."""
        if key == "data.source":
            self.choose_source(str(value or ""))
            # What is typed stays as it is typed; a preset would fill in numbers.
            self._put(key, str(value or ""))
            return
        value = list(value) if isinstance(value, tuple) else value
        if key in LENGTHS and value is not None:
            for other in LENGTHS:
                self._put(other, None)
        self._put(key, value)

    def reset(self, key: str) -> None:
        """Go back to the preset's or recipe's value."""
        for one in LENGTHS if key in LENGTHS else (key,):
            self._changes.pop(one, None)

    def take_recipe(self, text: str, name: str) -> None:
        """Begin with a recipe.

        Raises:
            LatentLabError: it is none; the sentence names the line, and nothing has changed.
        """
        recipe = parse_recipe(text, name)
        family = recipe.model.family
        found = groups(family)
        self.family = family
        self._show_groups(found)
        self.origin = Origin("", name)
        self._changes = {}
        self._base = flat(recipe.model_dump(mode="json"))
        self._source, self._facts = recipe.data.source, None

    def _show_groups(self, found: tuple[SettingGroup, ...]) -> None:
        self._groups = found
        self._settings = {one.key: one for group in found for one in group.settings}

    def _put(self, key: str, value: Any) -> None:
        if value == self.base(key) and type(value) is type(self.base(key)):
            self._changes.pop(key, None)
        else:
            self._changes[key] = value

    def _rebuild(self) -> None:
        # Without presets, or while there is no data: the usual value of every setting.
        self._base = {"data.source": self._source, "data.size": 64, "train.epochs": 10.0}
        if self.origin.preset and self._source:
            recipe = presets.preset_recipe(
                self.family, self.origin.preset, self._source, facts=self._facts
            )
            self._base = flat(recipe.model_dump(mode="json"))
        for key in [k for k, v in self._changes.items() if v == self.base(k)]:
            del self._changes[key]

    # What comes of it.

    def problems(self) -> dict[str, str]:
        """Return what is wrong, a sentence by key; "" is the key where no setting is to blame."""
        if not self.source.strip():
            return {"data.source": "Choose the images to train on."}
        values = self.values
        known = self.settings
        found = {
            key: said
            for key, value in values.items()
            if key in known and (said := objection(known[key], value))
        }
        if not found and not any(values.get(key) is not None for key in LENGTHS):
            found[LENGTHS[0]] = "Say how long to train: steps, images seen or epochs."
        if found:
            return found
        try:
            check_size(self.recipe())
        except SettingError as error:
            said = error.message.partition(": ")[2]
            return {error.key: f"{said[:1].upper()}{said[1:]}"}
        except LatentLabError as error:
            return self._blamed(error)
        return {}

    def _blamed(self, error: LatentLabError) -> dict[str, str]:
        """Return what the recipe's own check says, by the setting that it is about."""
        cause = error.__cause__
        if not isinstance(cause, ValidationError):
            return {"": error.message}
        found: dict[str, str] = {}
        for one in cause.errors():
            parts = [str(part) for part in one["loc"] if isinstance(part, str)]
            key = next(
                (
                    k
                    for n in range(len(parts), 0, -1)
                    if (k := ".".join(parts[:n])) in self.settings
                ),
                "",
            )
            said = str(one["msg"]).removeprefix("Value error, ")
            found[key] = f"{said[:1].upper()}{said[1:]}".rstrip(".") + "."
        return found

    def recipe(self) -> Recipe:
        """Return the whole recipe.

        Raises:
            LatentLabError: it has problems.
        """
        values = self.values
        if self._checked is None or self._checked[0] != values:
            self._checked = values, parse_recipe(dump_toml(nested(values)))
        return self._checked[1]

    def text(self, every: bool = False) -> str:
        """Return the recipe as TOML, also of one that has problems.

        Args:
            every: write the settings that have their usual value too.
        """
        known = self.settings
        values = self.values
        if every:
            usual = {k: s.default for k, s in known.items() if s.default is not None}
            values = {**usual, **values}
        else:
            values = {k: v for k, v in values.items() if not self._is_usual(known.get(k), v)}
        order = ["model.family", *known]
        ordered = {key: values[key] for key in _ordered(order, values)}
        return dump_toml(nested(ordered))

    @staticmethod
    def _is_usual(setting: Setting | None, value: Any) -> bool:
        return setting is not None and not setting.required and value == setting.default


def _ordered(order: Iterable[str], values: Mapping[str, Any]) -> list[str]:
    """Return the keys of values: those in a given order first."""
    first = [key for key in order if key in values]
    return first + [key for key in values if key not in first]
