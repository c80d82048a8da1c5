"""Tooltips of text that somebody else wrote: names of runs, messages, files."""

from __future__ import annotations

from html import escape


def plain_tip(text: str) -> str:
    """Return a tooltip that shows a text as it is.

    Qt draws whatever looks like HTML as such, with the images that it names.
    """
    if "<" not in text and "&" not in text:
        return text
    return f"<span style='white-space: pre-wrap'>{escape(text)}</span>"
