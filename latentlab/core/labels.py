"""One label of many images: what data sets carry and what maps are coloured by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

LabelKind = Literal["binary", "continuous", "categorical"]


@dataclass(frozen=True)
class LabelColumn:
    """One label of every image of a data set.

    Attributes:
        name: the label's name, for example ``smiling``.
        kind: ``binary`` (0 or 1), ``continuous`` (any float) or ``categorical`` (a class index).
        values: float32, of shape ``(num_images,)``; NaN where the label is unknown.
        classes: names of the classes of a categorical label, in index order.
        visible: bool, of shape ``(num_images,)``: where the label can be read from the pixels;
            ``None`` means everywhere.
    """

    name: str
    kind: LabelKind
    values: NDArray[np.float32]
    classes: tuple[str, ...] = ()
    visible: NDArray[np.bool_] | None = None

    def take(self, indices: NDArray[np.integer]) -> LabelColumn:
        """Return the column of the images at ``indices``."""
        visible = None if self.visible is None else self.visible[indices]
        return LabelColumn(self.name, self.kind, self.values[indices], self.classes, visible)

    def class_name(self, code: int) -> str:
        """Return what a person calls a class of a binary or categorical label."""
        names = ("no", "yes") if self.kind == "binary" else self.classes
        return names[code] if 0 <= code < len(names) else f"class {code}"
