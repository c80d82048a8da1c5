"""The models that are here: listed by their headers, loaded when used, the least used let go.

Importing this module imports no torch, so that the window and ``latentlab models`` list at once.
"""

from __future__ import annotations

import filecmp
import hashlib
import math
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentlab.catalog import BUNDLED_MODELS
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array, content_hash
from latentlab.core.modelfile import (
    ModelHeader,
    opened,
    read_directions,
    read_header,
    read_model,
    read_preview,
)
from latentlab.core.paths import asset_path, models_folder

if TYPE_CHECKING:
    import torch

SUFFIX = ".safetensors"
DEFAULT_LIMIT = 4 * 2**30
MAX_FILES = 2000
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
    """

    id: str
    path: Path
    header: ModelHeader | None = None
    error: str | None = None
    bundled: bool = False
    parameters: int = 0
    portable: bool = True
    content: str = ""

    @property
    def title(self) -> str:
        """The name that a card shows."""
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
            "path": str(self.path),
        }


_Stamp = tuple[int, int]


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def _count_parameters(path: Path) -> int:
    """Count the numbers of the network from the file's header, without reading them."""
    with opened(path) as stored:
        names = [name for name in stored.keys() if name.startswith("net.")]  # noqa: SIM118
        return sum(math.prod(stored.get_slice(name).get_shape()) for name in names)


def _clean(name: str) -> str:
    """Return an id that is safe in a terminal and on a command line."""
    return name if _ID.fullmatch(name) else (_UNSAFE.sub("-", name).strip("-._")[:100] or "model")


def _read_entry(path: Path, bundled: bool, portable: bool) -> Entry:
    try:
        header = read_header(path)
        count = _count_parameters(path)
        content = _content(path, header)
    except LatentLabError as error:
        return Entry(_clean(path.stem), path, None, error.message, bundled, 0, portable)
    return Entry(_clean(header.spec.id), path, header, None, bundled, count, portable, content)


def _content(path: Path, header: ModelHeader) -> str:
    """Return a hash of what a model is and of what its sliders do."""
    digest = hashlib.sha256(header.spec.fingerprint.encode())
    for name, direction in sorted(read_directions(path).items()):
        digest.update(f"|{name}|{direction.space}|{direction.scale!r}".encode())
        for part, array in sorted(direction.vector.items()):
            digest.update(f"|{part}|{content_hash(array)}".encode())
    return digest.hexdigest()


def _place(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:8]


def _distinct(entries: Iterable[Entry]) -> list[Entry]:
    """Give every entry an id of its own.

    The first usable file keeps an id; a later one with other weights gets ``id@<fingerprint>``, one
    with the same weights and other directions ``id@<place>``, which stays when a direction is put
    into it; a copy is left out. Unusable files take what is left.
    """
    entries = list(entries)
    taken: dict[str, Entry | None] = {}
    copies: set[tuple[str, str]] = set()
    named: dict[Path, Entry] = {}
    for entry in entries:
        if entry.header is None or (entry.id, entry.content) in copies:
            continue
        copies.add((entry.id, entry.content))
        mark = entry.header.spec.fingerprint
        names = [entry.id, f"{entry.id}@{mark[:8]}", f"{entry.id}@{_place(entry.path)}"]
        first = taken.get(entry.id)
        if first is not None and first.header and first.header.spec.fingerprint == mark:
            del names[1]
        name = next((name for name in names if name not in taken), None)
        if name is not None:
            taken[name] = entry
            named[entry.path] = replace(entry, id=name)
    for entry in entries:
        if entry.header is None:
            name = f"{entry.id}@{_place(entry.path)}" if entry.id in taken else entry.id
            taken[name] = None
            named[entry.path] = replace(entry, id=name)
    return [named[entry.path] for entry in entries if entry.path in named]


class ModelLibrary:
    """Model files in folders, and the ones of them that are loaded.

    The order is: bundled models, then the folders one after another, each by file name, then single
    files in the order in which they were added.

    Args:
        folders: searched for ``*.safetensors``, not deeper; the person's model folder when not
            given. A folder that is missing is skipped.
        device: what to load on: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.
        limit_bytes: of loaded weights; the least recently used model goes first.
    """

    def __init__(
        self,
        folders: Iterable[Path] | None = None,
        *,
        device: str = "auto",
        limit_bytes: int = DEFAULT_LIMIT,
    ) -> None:
        self.folders = [models_folder()] if folders is None else [Path(f) for f in folders]
        self.device_preference = device
        self._files: list[Path] = []
        self._headers: dict[Path, tuple[_Stamp, Entry]] = {}
        self._loaded: OrderedDict[Path, tuple[_Stamp, int, Any]] = OrderedDict()
        # Every frame asks for its model: a loaded one is found without looking into the folders.
        self._known: dict[str, Path] = {}
        self._limit = limit_bytes

    def _paths(self) -> list[tuple[Path, bool, bool]]:
        """Return (path, bundled, portable) in the order of the library, each file once."""
        bundled = [(asset_path("models", f"{name}{SUFFIX}"), True, True) for name in BUNDLED_MODELS]
        found = [row for row in bundled if row[0].exists()]
        for folder in self.folders:
            try:
                files = sorted(folder.glob(f"*{SUFFIX}"))[:MAX_FILES]
            except OSError:
                continue
            found += [(path, False, folder == models_folder()) for path in files]
        found += [(path, False, False) for path in self._files if path.exists()]
        seen: dict[Path, tuple[Path, bool, bool]] = {}
        for row in found:
            seen.setdefault(row[0].resolve(), row)
        return list(seen.values())

    def _entry(self, path: Path, bundled: bool, portable: bool) -> Entry:
        stamp = _stamp(path)
        known = self._headers.get(path)
        if known is None or known[0] != stamp:
            known = (stamp, _read_entry(path, bundled, portable))
            self._headers[path] = known
        return known[1]

    def entries(self) -> list[Entry]:
        """Return every model file, unusable ones with their error; only headers are read."""
        self._known.clear()
        return _distinct(self._entry(*row) for row in self._paths())

    def add(self, path: Path) -> Entry:
        """Put a single file into the library and return its entry.

        Raises:
            LatentLabError: there is no such file, or it is no usable model.
        """
        path = Path(path).absolute()
        header = read_header(path)
        content = _content(path, header)
        if path.resolve() not in {row[0].resolve() for row in self._paths()}:
            self._files.append(path)
        entries = self.entries()
        for entry in entries:
            if entry.path.resolve() == path.resolve():
                return entry
        # A copy of a model that the library already has, by what its header says.
        known = next(entry for entry in entries if entry.content == content)
        if not filecmp.cmp(path, known.path, shallow=False):
            # It may be damaged: then that is said, and no other file's images are shown for it.
            read_model(path)
        return known

    def resolve(self, model: str | Path) -> Entry:
        """Return the entry of an id, or of a model file anywhere.

        Raises:
            LatentLabError: neither; the sentence lists the known ids. Or the model is unusable.
        """
        entries = self.entries()
        name = str(model)
        found = next((e for e in entries if e.id == name), None)
        if found is None and (name.endswith(SUFFIX) or Path(name).is_file()):
            found = self.add(Path(name))
        if found is None:
            known = ", ".join(e.id for e in entries if e.error is None) or "none"
            raise LatentLabError(
                f"There is no model '{name[:200]}'; known: {known}. "
                "Give one of these, or the path of a model file."
            )
        if found.error is not None:
            raise LatentLabError(found.error)
        return found

    def preview(self, model: str | Path) -> Array | None:
        """Return the card's picture, uint8 ``(H, W, C)``, if the model has one."""
        return read_preview(self.resolve(model).path)

    def device(self) -> torch.device:
        """Return the device that models are loaded on."""
        from latentlab.services.device import choose_device

        return choose_device(self.device_preference)

    def set_device(self, preference: str) -> None:
        """Load on another device from now on; ``LatentLabError`` when there is no such device."""
        from latentlab.services.device import choose_device

        choose_device(preference)
        self.device_preference = preference
        self._loaded.clear()

    def backend(self, model: str | Path) -> Any:
        """Return the loaded model (a ``Backend``), reading it when it is not loaded yet.

        A file that changed on disk is read again.

        Raises:
            LatentLabError: unknown, unusable, or too large for the memory of the device.
        """
        found = self._known.get(str(model))
        if found is not None and found in self._loaded and self._loaded[found][0] == _stamp(found):
            self._loaded.move_to_end(found)
            return self._loaded[found][2]
        entry = self.resolve(model)
        self._known[str(model)] = entry.path
        stamp = _stamp(entry.path)
        known = self._loaded.get(entry.path)
        if known is None or known[0] != stamp:
            # float32 on the device, whatever the file holds.
            size = entry.parameters * 4
            self._make_room(size, keep=entry.path)
            known = (stamp, size, self._load(entry))
            self._loaded[entry.path] = known
        self._loaded.move_to_end(entry.path)
        return known[2]

    def _load(self, entry: Entry) -> Any:
        import torch

        from latentlab.backends.checkpoint import load_backend

        device = self.device()
        try:
            backend = load_backend(entry.path)
            backend.to(device)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise LatentLabError(
                f"'{entry.id}' does not fit into the memory of {device}: choose another device, "
                "or close other programs.",
                str(error),
            ) from error
        return backend

    def _make_room(self, size: int, keep: Path) -> None:
        self._loaded.pop(keep, None)
        while self._loaded and self.loaded_bytes + size > self._limit:
            self._loaded.popitem(last=False)

    @property
    def loaded_bytes(self) -> int:
        """Bytes of the weights of all loaded models."""
        return sum(size for _, size, _ in self._loaded.values())

    @property
    def loaded(self) -> tuple[Path, ...]:
        """Files of the loaded models, the least recently used first."""
        return tuple(self._loaded)
