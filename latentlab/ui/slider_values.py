"""Slider values as text, in the words of the command line: ``--set smiling=1.5 --set age=-2``.

So they go through the clipboard into another image, another window or a terminal, and back; a whole
copied command is read as well. No Qt here.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from itertools import pairwise

from latentlab.core.document import Document, TrayItem
from latentlab.core.errors import LatentLabError

_OPTION = "--set"
_MOST = 100_000
_FURTHEST = 100.0


def values_text(values: Mapping[str, float]) -> str:
    """Return slider values as options of a command line, to the last digit."""
    words = [f"{name}={repr(float(amount)).removesuffix('.0')}" for name, amount in values.items()]
    return " ".join(shlex.join([_OPTION, word]) for word in words)


def read_values(text: str) -> dict[str, float]:
    """Return the slider values in a text, whatever else a command line holds.

    Raises:
        LatentLabError: there are none, or one is no number from -100 to 100.
    """
    try:
        words = shlex.split(text[:_MOST])
    except ValueError:
        words = []
    pairs = [after for word, after in pairwise(words) if word == _OPTION and "=" in after]
    if not pairs:
        raise LatentLabError(
            "There are no slider values on the clipboard: choose Copy slider values first."
        )
    found = {}
    for pair in pairs:
        name, _, number = pair.rpartition("=")
        try:
            amount = float(number)
        except ValueError:
            amount = float("nan")
        if not abs(amount) <= _FURTHEST:
            raise LatentLabError(
                f"'{name[:60]}' cannot be set to '{number[:20]}': use -100 to 100."
            )
        found[name] = amount
    return {name: amount for name, amount in found.items() if amount}


def check_names(values: Mapping[str, float], known: Collection[str]) -> None:
    """Raise ``LatentLabError`` when a value is of no slider that is here."""
    unknown = [name for name in values if name not in known]
    if unknown:
        names = ", ".join(f"'{name[:60]}'" for name in unknown[:3])
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise LatentLabError(
            f"The current model has no slider {names}{more}: open the model that the values were "
            "copied from, or make these directions here."
        )


def pasted(
    document: Document, values: Mapping[str, float], items: Collection[str], model: str
) -> tuple[Document, int, int]:
    """Return the document with kept pictures set to these values, how many, and how many not.

    Args:
        document: with the tray.
        values: in place of what the pictures are edited with.
        items: ids in the tray.
        model: pictures of another one stay as they are.
    """
    tray: list[TrayItem] = []
    done = left = 0
    for item in document.tray:
        if item.id in items and item.picture.model == model:
            picture = item.picture.model_copy(update={"edits": dict(values)})
            item = item.model_copy(update={"picture": picture})
            done += 1
        elif item.id in items:
            left += 1
        tray.append(item)
    return document.model_copy(update={"tray": tuple(tray)}), done, left
