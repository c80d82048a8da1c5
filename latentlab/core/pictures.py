"""Pictures read from files: never trusted, checked field by field."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from pydantic import ValidationError

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents, content_hash
from latentlab.core.noise import MAX_SEED
from latentlab.core.seeds import MAX_SEEDS

MAX_AMOUNT = 1e6
"""Largest slider value, temperature or option that a file may hold; whole options may be seeds."""
_MAX_ENTRIES = 1000
_HASH = re.compile(r"[0-9a-f]{64}")
# No file and no command line can hold these.
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a finite number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def strict_json(data: bytes | str, what: str, limit: int) -> Any:
    """Parse JSON from a file.

    Args:
        data: the text.
        what: what the sentence calls it.
        limit: most bytes.

    Raises:
        LatentLabError: too long, not JSON, nested absurdly, or with NaN or infinity.
    """
    if len(data) > limit:
        raise LatentLabError(f"{what} is larger than {limit} bytes: it is damaged; choose another.")
    try:
        return json.loads(data, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise LatentLabError(f"{what} is damaged: choose another.", str(error)) from error


def sound_text(text: str) -> bool:
    """Whether a file and a command line can hold a text, and it is no monster."""
    return len(text) <= 10_000 and not _UNWRITABLE.search(text)


def sound_hash(text: str) -> bool:
    """Whether a text is a content hash."""
    return _HASH.fullmatch(text) is not None


def _sound(picture: Picture) -> bool:
    """Whether numbers are finite and of a sane size, and hashes are hashes."""
    numbers = [picture.temperature, *picture.edits.values()]
    numbers += [v for v in picture.options.values() if isinstance(v, float)]
    numbers += list(picture.condition.attributes.values())
    texts = [picture.model, picture.fingerprint, picture.space, picture.name]
    texts += [picture.photo_path or "", picture.condition.text or "", *picture.edits]
    texts += [*picture.stored, *picture.options, *map(str, picture.options.values())]
    sizes = (picture.edits, picture.stored, picture.options, picture.condition.attributes)
    return (
        len(picture.seeds) <= MAX_SEEDS
        and all(0 <= seed <= MAX_SEED for seed in picture.seeds)
        and bool(picture.seeds) != bool(picture.stored)
        and all(len(table) <= _MAX_ENTRIES for table in sizes)
        and all(abs(n) <= MAX_AMOUNT and math.isfinite(n) for n in numbers)
        and all(abs(v) <= MAX_SEED for v in picture.options.values() if isinstance(v, int))
        and picture.temperature >= 0
        and all(sound_text(text) for text in texts)
        and all(sound_hash(value) for value in picture.array_hashes())
    )


def parse_picture(values: Any, what: str) -> Picture:
    """Return a picture that a file described.

    Raises:
        LatentLabError: ``what`` (for example "The picture inside 'a.png'") is not sound.
    """
    try:
        picture = Picture.model_validate(values)
    except (ValidationError, RecursionError) as error:
        raise LatentLabError(f"{what} is damaged: choose another file.", str(error)) from error
    if not _sound(picture):
        raise LatentLabError(
            f"{what} holds values out of range (seeds, sliders or hashes): choose another file."
        )
    return picture


def stored_hashes(latents: Latents) -> dict[str, str]:
    """Return what ``Picture.stored`` says for ``latents``: content hash by part name."""
    return {name: content_hash(array) for name, array in latents.items()}


def check_stored(picture: Picture, stored: Latents | None) -> None:
    """Raise ``LatentLabError`` unless ``stored`` holds the very arrays that the picture names."""
    if not picture.stored:
        return
    have: Mapping[str, str] = {} if stored is None else stored_hashes(stored)
    if dict(have) != picture.stored:
        raise LatentLabError(
            "The latents of this picture are missing or were changed: open the photograph or the "
            "latents file again."
        )
