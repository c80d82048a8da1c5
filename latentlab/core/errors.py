"""The one error that a person is meant to read."""

from __future__ import annotations


class LatentLabError(Exception):
    """Something that a person can act on.

    The message is one clear sentence: what is wrong and what to do. The command line prints it and
    exits with code 2; the window shows it where the result would have been.

    Args:
        message: the sentence.
        details: longer text for the copyable Details, for example a traceback.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class RefusedError(LatentLabError):
    """An error that another process of the same run tells: this one ends without a word."""
