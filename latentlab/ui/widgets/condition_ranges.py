"""How far each attribute of a condition goes. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass

from latentlab.core.spec import ModelSpec
from latentlab.data.portraits.attributes import ATTRIBUTES

REACH = 10.0
"""Any model may be told values up to this size, beyond what it was trained with."""
_KNOWN = {row.name: row for row in ATTRIBUTES if row.kind != "categorical"}
_SWITCHES = ("celeba",)
"""Data sets whose attributes are 0 or 1."""


@dataclass(frozen=True)
class AttributeRange:
    """What an attribute of a condition can be.

    Attributes:
        name: of the attribute.
        low: smallest value that the model was trained with.
        high: largest one.
        words: what lies between them; empty when nothing is known.
        switch: it was 0 or 1 in training.
    """

    name: str
    low: float = -1.0
    high: float = 1.0
    words: str = ""
    switch: bool = False

    @property
    def tip(self) -> str:
        """What a tooltip says."""
        if not self.words:
            return f"{self.low:g} to {self.high:g}; the model may have been told other values."
        return f"From {self.words}: {self.low:g} to {self.high:g}."


def attribute_ranges(spec: ModelSpec) -> tuple[AttributeRange, ...]:
    """Return the range of each attribute that a model is told, in its order.

    Those of the drawn portraits are known; so are data sets of yes and no; others are taken to go
    from -1 to 1.
    """
    if "attributes" not in spec.conditions:
        return ()
    data = str(spec.provenance.data.get("name", "")).lower()
    found = []
    for name in spec.attribute_names:
        row = _KNOWN.get(name)
        if any(word in data for word in _SWITCHES):
            found.append(AttributeRange(name, 0.0, 1.0, "no to yes", True))
        elif row is None:
            found.append(AttributeRange(name))
        else:
            switch = row.kind == "binary"
            found.append(AttributeRange(name, row.low, row.high, row.description, switch))
    return tuple(found)
