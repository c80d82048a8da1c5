"""What a points file says of itself, and what its arrays must be like."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from latentlab.core.labels import LabelKind
from latentlab.core.latents import Array
from latentlab.core.pictures import sound_text
from latentlab.core.spec import Frozen

MAX_TEXT = 1000
"""Most characters of a name."""
MAX_CLASSES = 2**16
"""Most classes of a label: a legend has a row for each."""
TYPES: dict[np.dtype[Any], str] = {
    np.dtype(np.float16): "F16",
    np.dtype(np.float32): "F32",
    np.dtype(np.int64): "I64",
    np.dtype(np.uint8): "U8",
}


class LabelHeader(Frozen):
    """A label without its values; ``visible`` says that there is an array of it."""

    name: str
    kind: LabelKind
    classes: tuple[str, ...] = ()
    visible: bool = False


class PointsHeader(Frozen):
    """What a points file says of itself beside its arrays; see ``PointSet``.

    Attributes:
        about: how the points were made, for example the limit that the data was opened with.
    """

    format_version: int = Field(ge=1)
    model: str
    fingerprint: str
    space: str
    source: str
    split: str | None = None
    parts: tuple[str, ...]
    labels: tuple[LabelHeader, ...] = ()
    layouts: tuple[str, ...] = ()
    about: dict[str, str | int | None] = Field(default_factory=dict)


@dataclass(frozen=True)
class Tensor:
    """An array of a safetensors file: its type and shape, and its bytes from ``start`` on."""

    dtype: str
    shape: tuple[int, ...]
    start: int = 0
    size: int = 0

    @property
    def numpy_type(self) -> np.dtype[Any]:
        """The type as numpy calls it, whatever the machine's byte order."""
        known = next(known for known, name in TYPES.items() if name == self.dtype)
        return np.dtype(known).newbyteorder("<")


def check_layout(header: PointsHeader, tensors: Mapping[str, Tensor]) -> None:
    """Raise ``ValueError`` unless the arrays are those that the header tells of."""
    texts = [header.model, header.fingerprint, header.space, header.source, header.split or ""]
    texts += [*header.parts, *header.layouts, *(label.name for label in header.labels)]
    texts += [text for label in header.labels for text in label.classes]
    if not all(sound_text(text) and len(text) <= MAX_TEXT for text in texts):
        raise ValueError("a name is no text, or of monstrous length")
    for names in (header.parts, header.layouts, [label.name for label in header.labels]):
        if len(set(names)) != len(names) or "" in names:
            raise ValueError("a name is empty, or there twice")
    shape = tensors["rows"].shape if "rows" in tensors else ()
    if len(shape) != 1 or shape[0] < 1:
        raise ValueError("it has no points")
    count = shape[0]
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {"rows": ("I64", (count,))}
    for i, label in enumerate(header.labels):
        wanted[f"label.{i}"] = ("F32", (count,))
        if label.visible:
            wanted[f"visible.{i}"] = ("U8", (count,))
    wanted |= {f"layout.{method}": ("F32", (count, 2)) for method in header.layouts}
    for name, kind in wanted.items():
        if name not in tensors or (tensors[name].dtype, tensors[name].shape) != kind:
            raise ValueError(f"'{name}' is missing or of another kind")
    if not header.parts:
        raise ValueError("it has no latents")
    for name in header.parts:
        part = tensors.get(f"part.{name}")
        if part is None or part.dtype not in ("F16", "F32"):
            raise ValueError(f"part '{name}' is missing or neither float16 nor float32")
        if len(part.shape) < 2 or part.shape[0] != count or not math.prod(part.shape):
            raise ValueError(f"part '{name}' has no row for each point")
    width = sum(math.prod(tensors[f"part.{name}"].shape[1:]) for name in header.parts)
    turn = tensors.get("picture_map")
    if turn is not None and (turn.dtype != "F32" or len(turn.shape) != 2 or turn.shape[1] != width):
        raise ValueError("the map to pictures is of another kind")
    text = tensors.get("names")
    if text is not None and (text.dtype != "U8" or len(text.shape) != 1):
        raise ValueError("the names are no text")
    extra = (
        set(tensors)
        - set(wanted)
        - {"names", "picture_map"}
        - {f"part.{name}" for name in header.parts}
    )
    if extra:
        raise ValueError(f"'{min(extra)}' is unknown")


def check_values(header: PointsHeader, arrays: Mapping[str, Array]) -> None:
    """Raise ``ValueError`` unless rows, labels and layouts hold sound numbers."""
    if (arrays["rows"] < 0).any():
        raise ValueError("a row is negative")
    if not np.isfinite(arrays.get("picture_map", 0.0)).all():
        raise ValueError("the map to pictures is not finite")
    for i, label in enumerate(header.labels):
        values = arrays[f"label.{i}"]
        known = values[~np.isnan(values)]
        if not np.isfinite(known).all():
            raise ValueError(f"label '{label.name}' is infinite")
        if label.kind == "binary" and not np.isin(known, (0.0, 1.0)).all():
            raise ValueError(f"label '{label.name}' is neither 0 nor 1")
        if label.kind == "categorical" and (
            (known < 0).any()
            or (known != np.floor(known)).any()
            or (known >= (len(label.classes) or MAX_CLASSES)).any()
            or len(label.classes) > MAX_CLASSES
        ):
            raise ValueError(f"label '{label.name}' names a class that does not exist")
    for method in header.layouts:
        if not np.isfinite(arrays[f"layout.{method}"]).all():
            raise ValueError(f"the layout '{method}' is not finite")
