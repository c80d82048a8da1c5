"""The session file ``.latentlab``: history, arrays and view, as JSON and safetensors in a zip.

Nothing in it is ever executed: JSON is validated field by field, arrays are safetensors whose
content must match the hash that names them, and sizes are limited before anything is unpacked.
"""

from __future__ import annotations

import json
import lzma
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from latentlab.core.directionfile import parse_direction
from latentlab.core.document import (
    Arrangement,
    Denoising,
    DirectionRecord,
    Document,
    Entry,
    History,
    Switch,
    TrayItem,
)
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array, content_hash, read_only
from latentlab.core.modelfile import replace_file
from latentlab.core.pictures import parse_picture, sound_hash, sound_text, strict_json
from latentlab.core.spec import Frozen

SESSION_VERSION = 4
MAX_JSON_BYTES = 64 * 2**20
MAX_ARRAY_BYTES = 2 * 2**30
MAX_ENTRIES = 10_000
_FORMAT = "latentlab-session"
_TABLES = ("directions", "arrangements", "denoisings", "switches")
_JSON, _ARRAYS = "session.json", "arrays.safetensors"
_DTYPES = ("float32", "int64", "uint8")

MAX_DIRECTIONS = 10_000
"""Most directions, or arrangements of sliders, or runs, of all documents together."""


def _with_directions(content: dict[str, Any]) -> dict[str, Any]:
    """From version 1, which knew no directions of the person's own."""
    entries = [{**row, "directions": [], "sliders": {}} for row in content["entries"]]
    return {**content, "entries": entries, "directions": [], "arrangements": []}


def _with_denoising(content: dict[str, Any]) -> dict[str, Any]:
    """From version 2, which knew no runs that are watched step by step."""
    entries = [{**row, "denoising": None} for row in content["entries"]]
    return {**content, "entries": entries, "denoisings": []}


def _with_switches(content: dict[str, Any]) -> dict[str, Any]:
    """From version 3, which knew no matrices of switched parts."""
    entries = [{**row, "switches": {}} for row in content["entries"]]
    return {**content, "entries": entries, "switches": []}


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: _with_directions,
    2: _with_denoising,
    3: _with_switches,
}
"""By version: turns the JSON of that version into the next one's. Version 1 is the first."""


@dataclass(eq=False)
class Session:
    """What a session keeps.

    Attributes:
        history: documents, labels and the place in them.
        arrays: read-only, by content hash; all that the history needs.
        view: JSON values of the window (zoom, open panel and the like).
    """

    history: History = field(default_factory=History)
    arrays: Mapping[str, Array] = field(default_factory=dict)
    view: Mapping[str, Any] = field(default_factory=dict)


class _Numbered:
    """Values by number: documents share them, so each is written and read once."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._alive: dict[int, tuple[int, Frozen]] = {}

    def number(self, value: Frozen) -> int:
        known = self._alive.get(id(value))
        if known is None:
            known = (len(self.rows), value)
            self._alive[id(value)] = known
            self.rows.append(value.model_dump(mode="json", exclude_defaults=True))
        return known[0]


def _to_json(session: Session) -> bytes:
    pictures, directions, arrangements = _Numbered(), _Numbered(), _Numbered()
    runs, switches = _Numbered(), _Numbered()

    def row(entry: Entry) -> dict[str, Any]:
        canvas, document = entry.document.canvas, entry.document
        run = document.denoising
        return {
            "label": entry.label,
            "created": entry.created,
            "canvas": None if canvas is None else pictures.number(canvas),
            "tray": [
                [item.id, item.group, pictures.number(item.picture)] for item in document.tray
            ],
            "directions": [directions.number(record) for record in document.directions],
            "sliders": {model: arrangements.number(a) for model, a in document.sliders.items()},
            "denoising": None if run is None else runs.number(run),
            "switches": {model: switches.number(one) for model, one in document.switches.items()},
        }

    entries = [row(entry) for entry in session.history.entries]
    content = {
        "format": _FORMAT,
        "version": SESSION_VERSION,
        "index": session.history.index,
        "pictures": pictures.rows,
        "directions": directions.rows,
        "arrangements": arrangements.rows,
        "denoisings": runs.rows,
        "switches": switches.rows,
        "entries": entries,
        "view": dict(session.view),
    }
    return json.dumps(content, allow_nan=False).encode()


def _write(target: Path, text: bytes, arrays: bytes) -> None:
    # A fixed date: the same session gives the same bytes.
    date = (1980, 1, 1, 0, 0, 0)
    with zipfile.ZipFile(target, "w") as archive:
        info = zipfile.ZipInfo(_JSON, date)
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, text)
        archive.writestr(zipfile.ZipInfo(_ARRAYS, date), arrays)


def save_session(path: Path, session: Session) -> None:
    """Write a session: whole, or not at all.

    Raises:
        LatentLabError: an array is missing, the view is not JSON, or the file cannot be written.
    """
    needed = session.history.array_hashes()
    missing = needed - set(session.arrays)
    if missing:
        raise LatentLabError(
            f"{len(missing)} arrays of this session are missing: remove the pictures that show an "
            "error, then save again."
        )
    try:
        text = _to_json(session)
    except (TypeError, ValueError) as error:
        raise LatentLabError(
            "The session holds a value that no file can keep.", str(error)
        ) from error
    arrays = {key: np.ascontiguousarray(session.arrays[key]) for key in sorted(needed)}
    data = save_arrays(arrays)
    replace_file(path, lambda target: _write(target, text, data))


def _damaged(path: Path, reason: str, details: str = "") -> LatentLabError:
    return LatentLabError(
        f"'{path.name}' is not a whole LatentLab session ({reason}): choose another file.", details
    )


def _read_entry(archive: zipfile.ZipFile, name: str, limit: int, path: Path) -> bytes:
    info = archive.getinfo(name)
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _damaged(path, f"{name} is encrypted or packed in an unknown way")
    if info.file_size > limit:
        raise _damaged(path, f"{name} would unpack to {info.file_size} bytes, over the limit")
    with archive.open(info) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise _damaged(path, f"{name} unpacks to more than the limit")
    return data


def _unpack(path: Path) -> tuple[bytes, bytes]:
    try:
        if not path.is_file():
            raise LatentLabError(f"There is no session file '{path}': check the name.")
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if sorted(names) != [_ARRAYS, _JSON]:
                raise _damaged(path, "its contents are not those of a session")
            text = _read_entry(archive, _JSON, MAX_JSON_BYTES, path)
            return text, _read_entry(archive, _ARRAYS, MAX_ARRAY_BYTES, path)
    except OSError as error:
        raise LatentLabError(f"'{path}' cannot be read ({error.strerror or error}).") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise _damaged(path, "it is truncated or of another kind", str(error)) from error
    except (NotImplementedError, RuntimeError, ValueError) as error:
        raise _damaged(path, "it is packed in an unknown way", str(error)) from error


def _arrays(data: bytes, path: Path) -> dict[str, Array]:
    try:
        loaded = load_arrays(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise _damaged(path, "its arrays are damaged", str(error)) from error
    arrays: dict[str, Array] = {}
    for key, array in loaded.items():
        if array.dtype.name not in _DTYPES or content_hash(array) != key:
            raise _damaged(path, "an array is not the one that its hash names")
        arrays[key] = read_only(array)
    return arrays


def _migrated(content: Any, path: Path) -> dict[str, Any]:
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise _damaged(path, "its description is of another kind")
    version = content.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise _damaged(path, "it has no version")
    if version > SESSION_VERSION:
        raise LatentLabError(
            f"'{path.name}' was written by a newer LatentLab (session version {version}, this one "
            f"reads {SESSION_VERSION}): update LatentLab."
        )
    while version < SESSION_VERSION:
        content = MIGRATIONS[version](content)
        version += 1
    return content


def _direction_record(row: Any) -> DirectionRecord:
    record = DirectionRecord.model_validate(row)
    if not sound_text(record.model) or not all(map(sound_hash, record.vector.values())):
        raise ValueError("a direction names what no file can hold")
    return record


def _arrangement(row: Any) -> Arrangement:
    found = Arrangement.model_validate(row)
    names = [*found.order, *found.locked, *found.removed, *found.titles, *found.titles.values()]
    if len(names) > MAX_DIRECTIONS or not all(map(sound_text, names)):
        raise ValueError("an arrangement of sliders is out of range")
    return found


def _denoising(row: Any, what: str) -> Denoising:
    base = parse_picture(row["base"], what)
    found = Denoising.model_validate({**row, "base": base})
    if len(base.seeds) > 1 or not all(sound_text(one.title) for one in found.branches):
        raise ValueError("a denoising run is out of range")
    return found


def _switch(row: Any, what: str) -> Switch:
    sources = [{**one, "picture": parse_picture(one["picture"], what)} for one in row["sources"]]
    found = Switch.model_validate({**row, "sources": sources})
    texts = [found.model, found.space, *found.by_row, *found.amounts]
    texts += [source.id for source in found.sources]
    if not all(map(sound_text, texts)):
        raise ValueError("a switch matrix is out of range")
    return found


class _Reader:
    """Documents out of a session's JSON; what it names twice is made once."""

    def __init__(self, content: Mapping[str, Any], path: Path) -> None:
        what = f"A picture inside '{path.name}'"
        tables = [content[name] for name in _TABLES]
        if max(map(len, tables)) > MAX_DIRECTIONS:
            raise ValueError("too many directions, arrangements, runs or matrices")
        self._pictures = [parse_picture(row, what) for row in content["pictures"]]
        self._records = [_direction_record(row) for row in content["directions"]]
        self._arrangements = [_arrangement(row) for row in content["arrangements"]]
        self._runs = [_denoising(row, what) for row in content["denoisings"]]
        self._switches = [_switch(row, what) for row in content["switches"]]
        self._items: dict[tuple[str, str, int], TrayItem] = {}
        self._directions: dict[tuple[int, ...], tuple[DirectionRecord, ...]] = {}

    @staticmethod
    def _nth(values: list[Any], number: Any) -> Any:
        if type(number) is not int or not 0 <= number < len(values):
            raise ValueError(f"there is no row {number!r}")
        return values[number]

    def _item(self, item_id: str, group: str, number: int) -> TrayItem:
        key = (item_id, group, number)
        if key not in self._items:
            picture = self._nth(self._pictures, number)
            self._items[key] = TrayItem(id=item_id, group=group, picture=picture)
        return self._items[key]

    def _own(self, numbers: tuple[int, ...]) -> tuple[DirectionRecord, ...]:
        if numbers not in self._directions:
            records = tuple(self._nth(self._records, number) for number in numbers)
            if len({(record.model, record.name) for record in records}) < len(records):
                raise ValueError("a direction is there twice")
            self._directions[numbers] = records
        return self._directions[numbers]

    def entry(self, row: Mapping[str, Any]) -> Entry:
        """Return one step of the history."""
        canvas = None if row["canvas"] is None else self._nth(self._pictures, row["canvas"])
        sliders = {
            str(model): self._nth(self._arrangements, number)
            for model, number in row["sliders"].items()
            if sound_text(model)
        }
        switches = {
            str(model): self._nth(self._switches, number)
            for model, number in row["switches"].items()
            if sound_text(model)
        }
        if any(model != switch.model for model, switch in switches.items()):
            raise ValueError("a switch matrix is of another model")
        document = Document(
            canvas=canvas,
            tray=tuple(self._item(*item) for item in row["tray"]),
            directions=self._own(tuple(row["directions"])),
            sliders=sliders,
            denoising=None if row["denoising"] is None else self._nth(self._runs, row["denoising"]),
            switches=switches,
        )
        return Entry(str(row["label"])[:1000], document, None, float(row["created"]))


def _history(content: Mapping[str, Any], path: Path) -> History:
    rows = content["entries"]
    if not 1 <= len(rows) <= MAX_ENTRIES:
        raise ValueError("no entries, or too many")
    reader = _Reader(content, path)
    return History.restore([reader.entry(row) for row in rows], int(content["index"]))


def _check_directions(history: History, arrays: Mapping[str, Array], path: Path) -> None:
    """Raise ``LatentLabError`` unless every direction's vector is one."""
    seen: dict[int, DirectionRecord] = {}
    for entry in history.entries:
        seen.update((id(record), record) for record in entry.document.directions)
    for record in seen.values():
        vector = {part: arrays[key] for part, key in record.vector.items()}
        what = f"Direction '{record.name[:100]}' inside '{path.name}'"
        parse_direction(record.model_dump(exclude={"model", "vector"}), vector, what)


def load_session(path: Path) -> Session:
    """Read a session, strictly.

    Raises:
        LatentLabError: truncated, foreign, written by a newer version, arrays missing or changed.
    """
    text, data = _unpack(path)
    content = strict_json(text, f"The description inside '{path.name}'", MAX_JSON_BYTES)
    try:
        content = _migrated(content, path)
        history = _history(content, path)
        view = content["view"]
        if not isinstance(view, dict):
            raise TypeError("the view is not a table")
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError) as error:
        raise _damaged(path, "its description is damaged", str(error)) from error
    arrays = _arrays(data, path)
    if history.array_hashes() - set(arrays):
        raise _damaged(path, "arrays that it names are missing")
    _check_directions(history, arrays, path)
    return Session(history, arrays, view)
