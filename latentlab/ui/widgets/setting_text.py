"""Values of settings as words, words as values, and what is wrong with them. No Qt here."""

from __future__ import annotations

import math
import re
from typing import Any

from latentlab.core.settings_schema import Setting

_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}([,  _]\d{3})+")
# Where a number need not be whole, 1,500 may be one and a half: no guess is made.
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_NICE = (1.0, 2.0, 5.0, 10.0)
_ZERO_STEP = 0.01


def show_number(value: float | None) -> str:
    """Return a number as a person reads it: 5,500,000; 0.25; 2e-4."""
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if value == 0 or 0.01 <= abs(value) < 1e6:
        return f"{value:.10g}"
    mantissa, _, exponent = f"{value:.9e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def show(setting: Setting, value: Any) -> str:
    """Return any value as a person reads it."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(show(setting, item) for item in value) or "none"
    if isinstance(value, int | float):
        return show_number(value)
    return str(value) or "empty"


def with_unit(setting: Setting, value: Any) -> str:
    """Return a value with its unit."""
    said = show(setting, value)
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{said} {setting.unit}".strip() if numeric else said


def read_number(text: str, whole: bool) -> float | int | None:
    """Return what was typed; nothing is ``None``.

    Raises:
        ValueError: it is no number; the message is a sentence.
    """
    plain = text.strip()
    if not plain:
        return None
    if _GROUPED.fullmatch(plain) and (whole or not _DECIMAL_COMMA.fullmatch(plain)):
        plain = re.sub(r"[,  _]", "", plain)
    elif "," in plain:
        raise ValueError("Write the number with a point, for example 0.5.")
    try:
        value = float(plain)
    except ValueError:
        example = "for example 500 or 2e5" if whole else "for example 0.5 or 2e-4"
        raise ValueError(f"Write a number, {example}.") from None
    if not math.isfinite(value):
        raise ValueError("Write a number that is finite.")
    if not whole:
        return value
    if value != int(value):
        raise ValueError("Write a whole number.")
    # Not by way of a float, which rounds large ones.
    return int(plain) if re.fullmatch(r"[+-]?\d+", plain) else int(value)


def objection(setting: Setting, value: Any) -> str:
    """Return what is wrong with a value, as a sentence; empty when nothing is."""
    if value is None:
        return "" if setting.optional or not setting.required else f"{setting.title} is needed."
    if setting.kind == "list":
        return _list_objection(setting, value)
    if setting.kind in ("integer", "number"):
        return _limits(setting, value, setting.title)
    if setting.kind == "choice" and value not in setting.choices:
        return f"Choose {_either(setting.choices)}."
    return ""


def _list_objection(setting: Setting, value: Any) -> str:
    items = list(value) if isinstance(value, list | tuple) else [value]
    if setting.length is not None and len(items) != setting.length:
        return f"Write {setting.length} values with commas between them."
    if setting.item_kind == "choice":
        wrong = [item for item in items if item not in setting.choices]
        return f"Choose among {', '.join(map(str, setting.choices))}." if wrong else ""
    if setting.item_kind in ("integer", "number"):
        said = (_limits(setting, item, "Each value") for item in items)
        return next(filter(None, said), "")
    return ""


def _limits(setting: Setting, value: float, what: str) -> str:
    low, high = setting.minimum, setting.maximum
    if low is not None and (value < low or (setting.open_minimum and value == low)):
        words = "more than" if setting.open_minimum else "at least"
        return f"{what} must be {words} {show_number(low)}."
    if high is not None and (value > high or (setting.open_maximum and value == high)):
        words = "less than" if setting.open_maximum else "at most"
        return f"{what} must be {words} {show_number(high)}."
    return ""


def _either(choices: tuple[Any, ...]) -> str:
    words = [str(choice) for choice in choices]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def limits_words(setting: Setting) -> str:
    """Return the limits of a number in a few words; empty where there are none."""
    low, high = setting.minimum, setting.maximum
    parts = []
    if low is not None:
        parts.append(f"{'more than' if setting.open_minimum else 'at least'} {show_number(low)}")
    if high is not None:
        parts.append(f"{'less than' if setting.open_maximum else 'at most'} {show_number(high)}")
    return " and ".join(parts)


def stepped(value: float | None, steps: int, setting: Setting) -> float | int:
    """Return the value so many sensible steps further, within the limits.

    Powers of two double and halve; shares move by 0.05; what is near 1 and bound by it moves in its
    distance from 1; everything else goes 1, 2, 5, 10.
    """
    whole = setting.kind == "integer" or setting.item_kind == "integer"
    found: float = value if value is not None else _first(setting, whole)
    for _ in range(abs(steps) if value is not None else 0):
        found = _one_step(found, 1 if steps > 0 else -1, setting, whole)
    return _within(found, setting, whole)


def _first(setting: Setting, whole: bool) -> float:
    default = setting.default
    if isinstance(default, int | float) and not isinstance(default, bool):
        return default
    return max(setting.minimum or 0, 1 if whole else 0.1)


def _one_step(value: float, sign: int, setting: Setting, whole: bool) -> float:
    if whole:
        return _whole_step(int(value), sign)
    high = setting.maximum
    if high == 1 and value > 0.9:
        # 0.999 is further from 0.99 than from 0.9995: steps in what is left.
        return round(1 - _nice(1 - value, -sign), 12) if value < 1 else 0.9999
    if high == 1 and setting.minimum == 0:
        return round(value + sign * 0.05, 12)
    if value == 0:
        return sign * _ZERO_STEP
    if value <= _ZERO_STEP and sign < 0 and setting.minimum == 0 and not setting.open_minimum:
        return 0.0
    return math.copysign(_nice(abs(value), sign if value > 0 else -sign), value)


def _whole_step(value: int, sign: int) -> int:
    size = abs(value)
    if size < 8 or (size == 8 and sign * value < 0):
        return value + sign
    if size & (size - 1) == 0:
        return value * 2 if sign * value > 0 else value // 2
    if size < 20:
        return value + sign
    return round(math.copysign(_nice(size, sign if value > 0 else -sign), value))


def _nice(size: float, sign: int) -> float:
    """Return the next number of 1, 2, 5, 10 times a power of ten above or below ``size``."""
    power = 10.0 ** math.floor(math.log10(size))
    share = size / power
    if sign > 0:
        return next(n for n in (*_NICE, 20.0) if n > share * (1 + 1e-9)) * power
    return next(n for n in (5.0, 2.0, 1.0, 0.5) if n < share * (1 - 1e-9)) * power


def _within(value: float, setting: Setting, whole: bool) -> float | int:
    low, high = setting.minimum, setting.maximum
    if low is not None and (value < low or (setting.open_minimum and value <= low)):
        value = low if not setting.open_minimum else max(value, low + (1 if whole else 1e-6))
    if high is not None and (value > high or (setting.open_maximum and value >= high)):
        value = high if not setting.open_maximum else high - (1 if whole else 1e-4)
    return int(value) if whole else float(f"{value:.10g}")


def read_list(text: str, setting: Setting) -> list[Any] | None:
    """Return what was typed with commas; nothing is ``None`` where the setting may be unset.

    Raises:
        ValueError: an element is no number; the message is a sentence.
    """
    words = [word.strip() for word in text.split(",")]
    words = [word for word in words if word]
    if not words:
        return None if setting.optional else []
    if setting.item_kind in ("integer", "number"):
        whole = setting.item_kind == "integer"
        return [read_number(word, whole) for word in words]
    return list(words)


def read_names(text: str, setting: Setting) -> Any:
    """Return a word that the setting suggests, or a list of names."""
    plain = text.strip()
    if plain in setting.choices or setting.item_kind != "list":
        return plain
    return [word.strip() for word in plain.split(",") if word.strip()]
