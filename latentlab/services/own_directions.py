"""A person's own directions beside a picture: which it uses, and their files. No torch here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from latentlab.core.direction import Direction
from latentlab.core.directionfile import direction_header, load_direction, save_direction
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import content_hash
from latentlab.core.paths import data_folder
from latentlab.services.png import read_png_metadata

_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


def used_directions(
    picture: Picture, directions: Mapping[str, Direction] | None
) -> dict[str, Direction]:
    """Return those of the person's own directions that a picture's edits name, by name."""
    known = directions or {}
    return {n: known[n] for n in sorted(picture.edits) if picture.edits[n] != 0 and n in known}


def keep_direction(direction: Direction) -> Path:
    """Write a direction into the person's data folder, under a name that says what it holds."""
    header = direction_header(direction).model_dump_json()
    digest = hashlib.sha256(header.encode())
    for part, array in sorted(direction.vector.items()):
        digest.update(f"{part}|{content_hash(array)}".encode())
    plain = _UNSAFE.sub("-", direction.name).strip("-.")[:60] or "direction"
    path = data_folder() / "directions" / f"{plain}-{digest.hexdigest()[:12]}.safetensors"
    if not path.is_file():
        save_direction(path, direction)
    return path


def load_directions(paths: Iterable[Path | str]) -> dict[str, Direction]:
    """Read the directions of ``--direction FILE``: direction files, or PNGs that hold some.

    Raises:
        LatentLabError: not such a file, or two directions of one name.
    """
    found: dict[str, Direction] = {}
    for path in map(Path, paths):
        if path.suffix.lower() == ".png":
            record = read_png_metadata(path)
            if record is None or not record.directions:
                raise LatentLabError(
                    f"'{path.name}' holds no direction: choose a PNG of LatentLab that was edited "
                    "along one of your own, or a direction file."
                )
            new = dict(record.directions)
        else:
            direction = load_direction(path)
            new = {direction.name: direction}
        twice = found.keys() & new.keys()
        if twice:
            raise LatentLabError(
                f"Two of the files hold a direction '{min(twice)}': give one of them."
            )
        found |= new
    return found
