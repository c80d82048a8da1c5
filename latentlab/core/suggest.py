"""The name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

FEW = 8
"""So many names are simply listed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest ones, or a few of them all.

    Args:
        name: what was asked for.
        known: what there is.

    Returns:
        For example ``": did you mean 'smiling'?"``, or ``"; there are: a, b."``.
    """
    names = list(dict.fromkeys(known))
    folded = {text.casefold().replace(" ", "_"): text for text in reversed(names)}
    wanted = name.casefold().replace(" ", "_")
    close = difflib.get_close_matches(wanted, folded, n=2)
    close += [text for text in folded if len(wanted) > 2 and wanted in text and text not in close]
    if close:
        quoted = " or ".join(f"'{folded[text]}'" for text in close[:2])
        return f": did you mean {quoted}?"
    if not names:
        return "; there are none."
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return f"; there are: {', '.join(names[:FEW])}{more}."
