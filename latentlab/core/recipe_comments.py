"""A recipe that teaches: TOML in which every setting is explained. No torch here."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from latentlab.core.recipe_tables import Recipe
from latentlab.core.settings_schema import TABLES, Setting, allowed, settings
from latentlab.core.toml import toml_key, toml_value

WIDTH = 98


def commented_toml(recipe: Recipe, heading: str = "") -> str:
    """Return a recipe as TOML with a comment on every setting; reading it back gives an equal one.

    Args:
        recipe: checked.
        heading: the first comment, in words.
    """
    tables = recipe.resolved()
    known = {setting.key: setting for setting in settings(recipe.model.family)}
    lines = _comment(heading) if heading else []
    for key, title in (("model", "The network"), *((key, title) for key, title, _ in TABLES)):
        lines += ["", f"# {title}", f"[{key}]"] if lines else [f"# {title}", f"[{key}]"]
        values: Any = tables
        for part in key.split("."):
            values = values.get(part, {})
        lines += _table(key, values, known)
    return "\n".join(lines) + "\n"


def _table(key: str, values: dict[str, Any], known: dict[str, Setting]) -> Iterator[str]:
    names = [setting.name for setting in known.values() if setting.table == key]
    unknown = [name for name in values if name not in names]
    for name in [*unknown, *names]:
        setting = known.get(f"{key}.{name}")
        if setting is not None:
            yield ""
            yield from _comment(f"{setting.title}: {setting.help}")
            yield from _comment(limits_sentence(setting))
        if name in values and not isinstance(values[name], dict):
            yield f"{toml_key(name)} = {toml_value(values[name])}"
        elif setting is not None:
            yield f"# {toml_key(name)} is not set."


def limits_sentence(setting: Setting) -> str:
    """Return what a setting takes and its default: ``A whole number from 1 to 64, in pixels.``"""
    words = allowed(setting)
    unit = f", in {setting.unit}" if setting.unit else ""
    if setting.required:
        default = "must be given"
    elif setting.default is None:
        default = "not set by default"
    else:
        default = f"default {toml_value(setting.default)}"
    return f"{words[:1].upper()}{words[1:]}{unit}; {default}."


def _comment(text: str) -> list[str]:
    lines = textwrap.wrap(text, WIDTH - 2, break_on_hyphens=False, break_long_words=False)
    return [f"# {line}" for line in lines]


def settings_markdown() -> str:
    """Return the manual's page of every setting, as Markdown."""
    from latentlab.catalog import FAMILIES
    from latentlab.core.presets import PRESETS, preset_info

    lines = [
        "# Recipes",
        "",
        "A recipe says what to train, on which data and how. It is a TOML file:",
        "",
        "```",
        "latentlab recipe --family vae --preset quick --data portraits --out faces.toml",
        "latentlab recipe faces.toml --check",
        "latentlab train faces.toml",
        "```",
        "",
        "The first line writes a recipe in which every setting is explained; edit it as you like. "
        "The second says what it means, or on which line it is wrong. A single value can be "
        "changed without editing: `--set train.batch_size=32`.",
        "",
        "This page is made by `latentlab recipe --explain --markdown`.",
        "",
        "## Presets",
        "",
        "| family | preset | |",
        "|---|---|---|",
    ]
    for row in FAMILIES:
        for preset in PRESETS:
            info = preset_info(row.id, preset)
            lines.append(f"| `{row.id}` | `{preset}` | {info.title}: {info.summary} |")
    for row in FAMILIES:
        lines += ["", f'## `[model]` with `family = "{row.id}"`: {row.title}', "", row.summary]
        lines += _rows("model", row.id)
    for key, title, _ in TABLES:
        lines += ["", f"## `[{key}]`: {title.lower()}", *_rows(key, FAMILIES[0].id)]
    return "\n".join(lines) + "\n"


def _rows(key: str, family: str) -> list[str]:
    lines = ["", "| setting | what it does | values |", "|---|---|---|"]
    for setting in settings(family):
        if setting.table == key:
            cells = (f"`{setting.name}`", f"**{setting.title}.** {setting.help}")
            lines.append(f"| {' | '.join((*cells, limits_sentence(setting)))} |")
    return lines
