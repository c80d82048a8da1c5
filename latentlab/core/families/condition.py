"""The ``condition`` setting of families that can be told what to draw. No torch here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from latentlab.core.families.base import setting


def _condition(value: Any) -> Any:
    if value in ("none", "class"):
        return value
    names = list(value) if isinstance(value, list | tuple) else []
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError("use 'none', 'class' or a list of label names")
    if len(set(names)) != len(names):
        raise ValueError("every label is named once")
    return tuple(names)


ConditionNames = Annotated[Any, BeforeValidator(_condition)]
"""``none``, ``class``, or a tuple of names of numeric labels."""


def condition_setting(*, advanced: bool = True) -> Any:
    """Return the field of a ``ConditionNames`` setting."""
    return setting(
        "none",
        "Condition",
        "What the model is told with each image: none, class (the label of that name), or a list "
        "of names of numeric labels.",
        choices=("none", "class"),
        advanced=advanced,
        max_length=1000,
    )


def dropout_setting() -> Any:
    """Return the field that says how often a condition is left out."""
    return setting(
        0.1,
        "Condition left out",
        "Share of images trained without their condition, so that the model works without one.",
        advanced=True,
        ge=0,
        lt=1,
    )
