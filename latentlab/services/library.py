"""The models that are here: listed by their headers, loaded when used, the least used let go.

Importing this module imports no torch, so that the window and ``latentlab models`` list at once.
"""

from __future__ import annotations

import filecmp
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentlab.catalog import BUNDLED_MODELS
from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array
from latentlab.core.modelfile import read_directions, read_header, read_model, read_preview
from latentlab.core.paths import asset_path, models_folder, runs_folder
from latentlab.core.runs import RunFolder
from latentlab.services.library_entries import (
    Entry,
    Place,
    RunModel,
    content_of,
    distinct,
    read_entry,
    run_names,
)
from latentlab.services.library_runs import RunFiles, ToldModel, find_run, saved_run_roots

__all__ = ["Entry", "ModelLibrary", "RunModel"]

if TYPE_CHECKING:
    import torch

SUFFIX = ".safetensors"
DEFAULT_LIMIT = 4 * 2**30
MAX_FILES = 2000

_Stamp = tuple[int, int]


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


class ModelLibrary:
    """Model files in folders, and the ones of them that are loaded.

    The order is: bundled models, then the folders one after another, each by file name, then runs
    that are explored and those that are finished, then single files in the order in which they were
    added.

    Args:
        folders: searched for ``*.safetensors``, not deeper; the person's model folder when not
            given. A folder that is missing is skipped.
        run_roots: folders of training runs, whose finished models are listed; what the person chose
            when neither these nor ``folders`` are given.
        device: what to load on: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.
        limit_bytes: of loaded weights; the least recently used model goes first.
    """

    def __init__(
        self,
        folders: Iterable[Path] | None = None,
        *,
        device: str = "auto",
        limit_bytes: int = DEFAULT_LIMIT,
        run_roots: Iterable[Path] | None = None,
    ) -> None:
        roots = run_roots or (saved_run_roots() if folders is None and run_roots is None else ())
        self.runs = RunFiles([Path(root) for root in roots])
        self._given: dict[str, tuple[RunModel, Any]] = {}
        self.folders = [models_folder()] if folders is None else [Path(f) for f in folders]
        self.device_preference = device
        self._files: list[Path] = []
        self._headers: dict[Path, tuple[_Stamp, Entry]] = {}
        self._loaded: OrderedDict[Path, tuple[_Stamp, int, Any]] = OrderedDict()
        # Every frame asks for its model: a loaded one is found without looking into the folders.
        self._known: dict[str, Path] = {}
        self._limit = limit_bytes

    def _places(self) -> list[Place]:
        """Return the files in the order of the library, each once."""
        bundled = [asset_path("models", f"{name}{SUFFIX}") for name in BUNDLED_MODELS]
        found = [Place(path, True, True) for path in bundled if path.exists()]
        for folder in self.folders:
            try:
                files = sorted(folder.glob(f"*{SUFFIX}"))[:MAX_FILES]
            except OSError:
                continue
            found += [Place(path, False, folder == models_folder()) for path in files]
        own, explored = runs_folder(), {model.entry.run for model, _ in self._given.values()}
        models = (path for path in self.runs.models() if path.parent not in explored)
        found += [Place(p, False, p.parent.parent == own, p.parent) for p in models]
        found += [Place(path) for path in self._files if path.exists()]
        seen: dict[Path, Place] = {}
        told = self.runs.told or {}
        for place in found:
            known = told.get(place.path)
            seen.setdefault(place.path.resolve() if known is None else known.real, place)
        return list(seen.values())

    def _entry(self, place: Place) -> Entry:
        told = (self.runs.told or {}).get(place.path)
        if told is not None:
            return told.entry
        stamp = _stamp(place.path)
        known = self._headers.get(place.path)
        if known is None or known[0] != stamp:
            known = (stamp, read_entry(place))
            self._headers[place.path] = known
        return known[1]

    def entries(self) -> list[Entry]:
        """Return every model file, unusable ones with their error; only headers are read."""
        self._known.clear()
        given = [model.entry for model, _ in self._given.values()]
        found = distinct((self._entry(place) for place in self._places()), given)
        # A file may have been opened before its run or its folder was known.
        last = len(found)
        while last and found[last - 1].path in self._files and found[last - 1].run is None:
            last -= 1
        return [*found[:last], *given, *found[last:]]

    # Models of runs, which are followed or have an id of their own.

    def tell_runs(self, found: Mapping[Path, ToldModel]) -> None:
        """Take what somebody found who watches the folders of runs; see ``read_run_models``."""
        roots = self.runs.roots

        def order(path: Path) -> tuple[int, Path]:
            # Which of two models of one name keeps it must not depend on who finished first.
            run = path.parent
            return next((n for n, r in enumerate(roots) if r in (run, run.parent)), len(roots)), run

        self.runs.told = {path: found[path] for path in sorted(found, key=order)}

    def read_again(self, path: Path) -> None:
        """Take in what the model of a run says after its file was written anew."""
        told, row = self.runs.told, self._given_row(path)
        if told is not None and path in told:
            known = told[path]
            place = Place(path, False, known.entry.portable, known.entry.run)
            self.runs.told = {**told, path: replace(known, entry=read_entry(place))}
        if row is not None and row[0].finished:
            given = row[0]
            fresh = read_entry(Place(path, False, given.entry.portable, given.entry.run))
            if fresh.header is not None:
                entry = replace(fresh, id=given.entry.id)
                self.give(replace(given, entry=entry, directions=read_directions(path)))

    def run_id(self, run: Path) -> str:
        """Return the id that the model of a run has here, or would have."""
        entries = self.entries()
        known = next((entry.id for entry in entries if entry.run == run), None)
        taken = {entry.id for entry in entries}
        return known or next(name for name in run_names(run) if name not in taken)

    def give(self, model: RunModel, backend: Any = None) -> None:
        """Put a model of a run under its id, in place of the one that was there.

        Args:
            model: its file may be gone later.
            backend: the loaded model; without one it is read from the file.
        """
        self._given[model.entry.id] = (model, backend)

    def given(self, model: str | Path) -> RunModel | None:
        """Return the model of a run that was given, by its id or its file."""
        found = self._given_row(model)
        return None if found is None else found[0]

    def _given_row(self, model: str | Path) -> tuple[RunModel, Any] | None:
        row = self._given.get(str(model))
        if row is not None:
            return row
        rows = self._given.values()
        return next((row for row in rows if str(row[0].entry.path) == str(model)), None)

    def directions(self, entry: Entry) -> Mapping[str, Direction]:
        """Return the directions that come with a model; ``LatentLabError`` if they are damaged."""
        given = self.given(entry.id)
        return read_directions(entry.path) if given is None else given.directions

    def add(self, path: Path) -> Entry:
        """Put a single file into the library and return its entry.

        Raises:
            LatentLabError: there is no such file, or it is no usable model.
        """
        path = Path(path).absolute()
        header = read_header(path)
        content = content_of(header, read_directions(path))
        if path.resolve() not in {place.path.resolve() for place in self._places()}:
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
        entries, name, given = self.entries(), str(model), self.given(model)
        found = given.entry if given else next((e for e in entries if e.id == name), None)
        if found is None and (name.endswith(SUFFIX) or Path(name).is_file()):
            found = self.add(Path(name))
        if found is None:
            self._say_unfinished(name)
            known = ", ".join(e.id for e in entries if e.error is None) or "none"
            raise LatentLabError(
                f"There is no model '{name[:200]}'; known: {known}. "
                "Give one of these, or the path of a model file."
            )
        if found.error is not None:
            raise LatentLabError(found.error)
        return found

    def _say_unfinished(self, name: str) -> None:
        run = find_run(name, self.runs.roots)
        if run is not None:
            raise LatentLabError(
                f"'{name[:200]}' is a training run that has not left a model yet: explore it while "
                f"it trains, or name one of the files in '{RunFolder(run).checkpoints}'."
            )

    def preview_of(self, entry: Entry) -> Array | None:
        """Return the picture of an entry, uint8 ``(H, W, C)``; a checkpoint's file may be gone."""
        given = self.given(entry.id)
        return read_preview(entry.path) if given is None else given.preview

    def preview(self, model: str | Path) -> Array | None:
        """Return the card's picture, uint8 ``(H, W, C)``, if the model has one."""
        return self.preview_of(self.resolve(model))

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
        for _, backend in self._given.values():
            if backend is not None:
                backend.to(self.device())

    def backend(self, model: str | Path) -> Any:
        """Return the loaded model (a ``Backend``), reading it when it is not loaded yet.

        A file that changed on disk is read again.

        Raises:
            LatentLabError: unknown, unusable, or too large for the memory of the device.
        """
        row = self._given_row(model)
        if row is not None and row[1] is not None:
            return row[1]
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
