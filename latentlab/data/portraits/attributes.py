"""What a portrait shows: the attributes, how they are drawn, and which of them can be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from latentlab.core.noise import uniform_table

Table = Mapping[str, NDArray[np.float32]]
SHORT_HAIR = -0.5
"""Below this ``hair_length``, the hair under a hat is too short to show waves."""


@dataclass(frozen=True)
class AttributeSpec:
    """One attribute of a portrait.

    Attributes:
        name: for example ``smiling``.
        kind: ``binary`` (0 or 1), ``continuous`` (uniform in ``low`` to ``high``) or
            ``categorical`` (index of a class).
        description: from the low to the high end.
        classes: of a categorical attribute, all equally likely.
        low: smallest value.
        high: largest value.
        prevalence: share of ones of a binary attribute.
    """

    name: str
    kind: Literal["binary", "continuous", "categorical"]
    description: str
    classes: tuple[str, ...] = ()
    low: float = -1.0
    high: float = 1.0
    prevalence: float | None = None


def _binary(name: str, description: str) -> AttributeSpec:
    return AttributeSpec(name, "binary", description, low=0.0, prevalence=0.3)


def _continuous(name: str, description: str) -> AttributeSpec:
    return AttributeSpec(name, "continuous", description)


def _categorical(name: str, description: str, *classes: str) -> AttributeSpec:
    return AttributeSpec(name, "categorical", description, classes, 0.0, len(classes) - 1.0)


ATTRIBUTES: tuple[AttributeSpec, ...] = (
    _binary("eyeglasses", "none to dark frames"),
    _binary("wearing_hat", "none to a hat with a brim"),
    _binary("bangs", "free forehead to a fringe"),
    _binary("wavy_hair", "straight to wavy outline"),
    _binary("mustache", "none to a mustache"),
    _continuous("smiling", "frown to open smile with teeth"),
    _continuous("pointy_nose", "small and round to long and pointed"),
    _continuous("oval_face", "round to long"),
    _continuous("age", "smooth to lined"),
    _continuous("skin_tone", "light to dark"),
    _continuous("hair_length", "above the ears to below the shoulders"),
    _continuous("yaw", "head turned to the left to the right of the picture"),
    _continuous("tilt", "head tilted to the left to the right of the picture"),
    _continuous("light_direction", "light from the left to the right of the picture"),
    _categorical("hair_color", "colour of the hair", "black", "brown", "blond", "red", "grey"),
    _categorical("eye_color", "colour of the irises", "brown", "blue", "green", "grey"),
    _categorical(
        "background", "behind", "sky", "sand", "mint", "rose", "lavender", "slate"
    ),
)  # fmt: skip
"""Every attribute, in the order in which draws belong to them."""

EDIT_ATTRIBUTES = (
    "eyeglasses",
    "wearing_hat",
    "bangs",
    "wavy_hair",
    "pointy_nose",
    "mustache",
    "oval_face",
    "smiling",
)
"""The eight attributes that sliders edit."""


def sample_attributes(count: int, seed: int, start: int = 0) -> dict[str, NDArray[np.float32]]:
    """Draw attribute tables, each attribute independent of the others.

    Args:
        count: rows.
        seed: 0 to 2**63 - 1.
        start: index of the first row; row i is a pure function of (seed, start + i).

    Returns:
        float32 ``(count,)`` by attribute name.
    """
    draws = uniform_table(seed, "portraits.attributes", start, count, len(ATTRIBUTES))
    table = {}
    for column, spec in zip(draws.T, ATTRIBUTES):
        if spec.kind == "binary":
            values = column < (spec.prevalence or 0.0)
        elif spec.kind == "continuous":
            values = spec.low + (spec.high - spec.low) * column
        else:
            values = np.floor(column * len(spec.classes))
        table[spec.name] = values.astype(np.float32)
    return table


def visible(table: Table) -> dict[str, NDArray[np.bool_]]:
    """Return where each attribute can be read from the pixels: bool ``(count,)`` by name."""
    hat = np.asarray(table["wearing_hat"]) > 0.5
    seen = {spec.name: np.ones(len(hat), bool) for spec in ATTRIBUTES}
    seen["bangs"] = ~hat
    seen["wavy_hair"] = ~(hat & (np.asarray(table["hair_length"]) < SHORT_HAIR))
    return seen


def hidden_by(name: str) -> frozenset[str]:
    """Return the attributes that turning ``name`` on hides, in all rows or in some.

    These are the ones that ``visible`` makes depend on it.
    """
    off = {spec.name: np.array([spec.low], np.float32) for spec in ATTRIBUTES}
    before = visible(off)
    after = visible(off | {name: np.ones(1, np.float32)})
    return frozenset(other for other in before if before[other][0] and not after[other][0])
