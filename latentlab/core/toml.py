"""Writing TOML; reading is the standard library's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def toml_value(value: Any) -> str:
    """Return a string, number, boolean, list or mapping as a TOML value, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's too, but for surrogates (not used here) and DEL (left as it is).
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        # TOML wants a fraction or an exponent, and spells inf and nan as Python does.
        return repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{toml_key(k)} = {toml_value(v)}" for k, v in value.items())
        return "{" + inside + "}"
    return toml_value(str(value))


def toml_key(key: str) -> str:
    """Return a key, quoted where it must be."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)


def dump_toml(tables: Mapping[str, Any], prefix: str = "") -> str:
    """Return nested mappings of strings, numbers, booleans and lists as TOML."""
    lines: list[str] = []
    for key, value in tables.items():
        if not isinstance(value, Mapping):
            lines.append(f"{toml_key(key)} = {toml_value(value)}")
    for key, value in tables.items():
        if isinstance(value, Mapping):
            name = f"{prefix}{toml_key(key)}"
            inner = dump_toml(value, f"{name}.")
            if lines:
                lines.append("")
            lines += [f"[{name}]", inner.rstrip("\n")]
    return "\n".join(lines) + "\n"
