"""What the library says of a model file, and how every file gets an id of its own. No torch."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array, content_hash
from latentlab.core.modelfile import ModelHeader, opened, read_directions, read_header
from latentlab.core.paths import runs_folder
from latentlab.core.runs import RunFolder
from latentlab.services.library_runs import ToldModel, cannot_explore, is_finished

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True)
class Entry:
    """One model file.

    Attributes:
        id: name in the library, unique.
        path: the file.
        header: what the file says about itself; ``None`` with ``error``.
        error: why the file cannot be used, in one sentence.
        bundled: it came with the program.
        parameters: numbers in the network.
        portable: ``id`` names it in every program on this machine; otherwise commands use the path.
        content: hash of the weights and of the directions beside them.
        run: folder of the training run that it is of.
        step: of the run, for a checkpoint that is explored while it trains; ``None`` otherwise.
    """

    id: str
    path: Path
    header: ModelHeader | None = None
    error: str | None = None
    bundled: bool = False
    parameters: int = 0
    portable: bool = True
    content: str = ""
    run: Path | None = None
    step: int | None = None

    @property
    def title(self) -> str:
        """The name that a card shows."""
        if self.run is not None and self.step is not None:
            return f"{self.run.name}, step {self.step:,}"
        return (self.header.spec.title if self.header else "") or self.id

    def row(self) -> dict[str, Any]:
        """Return the row of ``latentlab models --json``."""
        if self.header is None:
            return {"id": self.id, "path": str(self.path), "error": self.error}
        spec = self.header.spec
        return {
            "id": self.id,
            "title": self.title,
            "family": spec.family,
            "image_shape": list(spec.image_shape),
            "spaces": [space.model_dump(mode="json") for space in spec.spaces],
            "capabilities": list(spec.capabilities),
            "conditions": list(spec.conditions),
            "class_names": list(spec.class_names),
            "attribute_names": list(spec.attribute_names),
            "directions": [direction.name for direction in self.header.directions],
            "quality": dict(spec.quality),
            "parameters": self.parameters,
            "fingerprint": spec.fingerprint,
            "bundled": self.bundled,
            "run": None if self.run is None else str(self.run),
            "path": str(self.path),
        }


@dataclass(frozen=True, eq=False)
class RunModel:
    """A model of a training run under an id of its own: a checkpoint, or what the run left.

    Attributes:
        entry: with the id that it has here.
        directions: by name; a checkpoint's file may be gone soon.
        preview: uint8 ``(H, W, C)`` picture for the card, if there is one.
        finished: the run is over, and ``entry.path`` stays.
    """

    entry: Entry
    directions: Mapping[str, Direction]
    preview: Array | None
    finished: bool


@dataclass(frozen=True)
class Place:
    """Where a model file was found."""

    path: Path
    bundled: bool = False
    portable: bool = False
    run: Path | None = None


def _count_parameters(path: Path) -> int:
    """Count the numbers of the network from the file's header, without reading them."""
    with opened(path) as stored:
        names = [name for name in stored.keys() if name.startswith("net.")]  # noqa: SIM118
        return sum(math.prod(stored.get_slice(name).get_shape()) for name in names)


def _clean(name: str) -> str:
    """Return an id that is safe in a terminal and on a command line."""
    return name if _ID.fullmatch(name) else (_UNSAFE.sub("-", name).strip("-._")[:100] or "model")


def read_entry(place: Place) -> Entry:
    """Return what a file says of itself, or why it cannot be used."""
    path, bundled, portable, run = place.path, place.bundled, place.portable, place.run
    name = _clean(path.stem if run is None else run.name)
    try:
        header = read_header(path)
        count = _count_parameters(path)
        content = content_of(header, read_directions(path))
        reason = "" if run is None else cannot_explore(header.spec.family)
        if reason:
            raise LatentLabError(reason)
    except LatentLabError as error:
        return Entry(name, path, None, error.message, bundled, 0, portable, run=run)
    # A run is known by its folder, before it has a model and after.
    name = _clean(header.spec.id) if run is None else name
    return Entry(name, path, header, None, bundled, count, portable, content, run)


def read_run_models(runs: Iterable[Path]) -> dict[Path, ToldModel]:
    """Read the models that finished runs left, by file: it may take long on a slow disk."""
    found = {}
    own = runs_folder()
    for run in runs:
        if is_finished(run):
            path = RunFolder(run).model
            entry = read_entry(Place(path, False, run.parent == own, run))
            found[path] = ToldModel(entry, path.resolve())
    return found


def content_of(header: ModelHeader, directions: Mapping[str, Direction]) -> str:
    """Return a hash of what a model is and of what its sliders do."""
    digest = hashlib.sha256(header.spec.fingerprint.encode())
    for name, direction in sorted(directions.items()):
        digest.update(f"|{name}|{direction.space}|{direction.scale!r}".encode())
        for part, array in sorted(direction.vector.items()):
            digest.update(f"|{part}|{content_hash(array)}".encode())
    return digest.hexdigest()


def _mark_of(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:8]


def run_names(run: Path) -> tuple[str, str, str]:
    """Return the ids that the model of a run may have, the first one that is free."""
    name = _clean(run.name)
    return name, f"{name}@run", f"{name}@{_mark_of(run)}"


def distinct(entries: Iterable[Entry], given: Iterable[Entry] = ()) -> list[Entry]:
    """Give every entry an id of its own.

    The first usable file keeps an id; a later one with other weights gets ``id@<fingerprint>``, one
    with the same weights and other directions ``id@<place>``, which stays when a direction is put
    into it; a copy is left out. The model of a run gets ``id@run``, which stays while it trains.
    Unusable files take what is left. ``given`` entries have their ids already.
    """
    entries = list(entries)
    taken: dict[str, Entry | None] = {entry.id: entry for entry in given}
    copies: set[tuple[str, str]] = set()
    named: dict[Path, Entry] = {}
    for entry in entries:
        if entry.header is None:
            continue
        mark = entry.header.spec.fingerprint
        names = [entry.id, f"{entry.id}@{mark[:8]}", f"{entry.id}@{_mark_of(entry.path)}"]
        first = taken.get(entry.id)
        if entry.run is not None:
            names = list(run_names(entry.run))
        elif (entry.id, entry.content) in copies:
            continue
        elif first is not None and first.header and first.header.spec.fingerprint == mark:
            del names[1]
        copies.add((entry.id, entry.content))
        name = next((name for name in names if name not in taken), None)
        if name is not None:
            taken[name] = entry
            named[entry.path] = replace(entry, id=name)
    for entry in entries:
        if entry.header is None:
            name = f"{entry.id}@{_mark_of(entry.path)}" if entry.id in taken else entry.id
            taken[name] = None
            named[entry.path] = replace(entry, id=name)
    return [named[entry.path] for entry in entries if entry.path in named]
