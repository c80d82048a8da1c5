"""What several commands share: printing, progress, and the library on the chosen device."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from latentlab.core.errors import LatentLabError

if TYPE_CHECKING:
    from latentlab.services.library import ModelLibrary

Many = tyro.conf.UseAppendAction[tuple[str, ...]]
Json = Annotated[bool, tyro.conf.arg(help="Print JSON and nothing else on standard output.")]
Device = Annotated[str, tyro.conf.arg(help="auto, cpu, mps, cuda or cuda:N.")]
Model = Annotated[
    str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL", help="Id or model file.")
]


@dataclass(frozen=True)
class Machine:
    """Where the networks run."""

    device: Device = "auto"
    threads: Annotated[int | None, tyro.conf.arg(help="CPU threads; torch's choice if none.")] = (
        None
    )

    def library(self) -> ModelLibrary:
        """Return the model library on this device."""
        from latentlab.services.device import set_threads
        from latentlab.services.library import ModelLibrary

        if self.threads is not None:
            set_threads(self.threads)
        return ModelLibrary(device=self.device)


def print_json(values: Any) -> None:
    """Print JSON on standard output; a value that is no number becomes ``null``."""
    print(json.dumps(_plain(values), indent=2, allow_nan=False))


def _plain(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {str(key): _plain(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_plain(value) for value in values]
    if isinstance(values, float) and (values != values or abs(values) == float("inf")):
        return None
    return str(values) if isinstance(values, Path) else values


def parse_pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """Read ``NAME=VALUE`` words; ``LatentLabError`` names the one that is not of this form."""
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise LatentLabError(f"'{option} {text}' is not of the form {option} NAME=VALUE.")
        pairs[name.strip()] = value.strip()
    return pairs


def overrides_of(texts: Iterable[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` words that replace values of a recipe: TOML values, or else text."""
    from latentlab.core.recipe import parse_value

    return {key: parse_value(text) for key, text in parse_pairs(texts, "--set").items()}


def parse_numbers(texts: Iterable[str], option: str) -> dict[str, float]:
    """Read ``NAME=NUMBER`` words."""
    found: dict[str, float] = {}
    for name, text in parse_pairs(texts, option).items():
        try:
            found[name] = float(text)
        except ValueError as error:
            raise LatentLabError(
                f"'{option} {name}={text}': '{text}' is not a number; write for example "
                f"{option} {name}=2."
            ) from error
        if not abs(found[name]) <= 100:
            raise LatentLabError(f"'{option} {name}={text}' is out of range: use -100 to 100.")
    return found


class Progress:
    """One line on standard error with a bar in words: done, total, time left."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet or not sys.stderr.isatty()
        self._start = time.monotonic()
        self._shown = 0.0

    def __call__(self, done: int, total: int, message: str = "") -> None:
        """Show how far the work is, at most ten times a second."""
        now = time.monotonic()
        if self._quiet or (now - self._shown < 0.1 and done < total):
            return
        self._shown = now
        left = (now - self._start) * (total - done) / done if done else 0.0
        text = f"\r{message} {done}/{total}, {left:.0f} s left"
        print(f"{text:<79}", end="\n" if done >= total else "", file=sys.stderr, flush=True)
