from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from latentlab.core import autosave, session
from latentlab.core.autosave import AutosaveFile, recoverable
from latentlab.core.document import Document, History, Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import content_hash
from latentlab.core.session import Session, load_session, save_session
from latentlab.core.store import ArrayStore
from tests.core.make_session import FOLDER, direction, sample_session


def same(first: Session, second: Session) -> None:
    assert [e.document for e in first.history.entries] == [
        e.document for e in second.history.entries
    ]
    assert [e.label for e in first.history.entries] == [e.label for e in second.history.entries]
    assert first.history.index == second.history.index
    assert first.view == second.view
    assert set(first.arrays) == set(second.arrays)
    for key, array in first.arrays.items():
        assert array.dtype == second.arrays[key].dtype
        assert np.array_equal(array, second.arrays[key])


def contents(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("session.json")), load(archive.read("arrays.safetensors"))


def rewrite(path: Path, text: bytes | dict, arrays: bytes | dict, **extra: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("session.json", text if isinstance(text, bytes) else json.dumps(text))
        archive.writestr(
            "arrays.safetensors", arrays if isinstance(arrays, bytes) else save(arrays)
        )
        for name, data in extra.items():
            archive.writestr(name, data)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "work.latentlab"
    save_session(path, sample_session())
    return path


def test_a_session_comes_back_as_it_was(saved: Path) -> None:
    loaded = load_session(saved)
    same(loaded, sample_session())
    assert loaded.history.can_undo
    assert loaded.history.can_redo
    assert all(not array.flags.writeable for array in loaded.arrays.values())
    assert loaded.history.entries[1].created == pytest.approx(
        sample_session().history.entries[1].created, abs=600
    )


@pytest.mark.parametrize("path", sorted(FOLDER.glob("v*/*.latentlab")), ids=lambda p: p.parent.name)
def test_files_of_every_version_open(path: Path) -> None:
    loaded = load_session(path)
    same(loaded, sample_session(int(path.parent.name.removeprefix("v"))))
    picture = loaded.history.document.tray[0].picture
    assert picture.edits == {"smiling": 1.5, "eyeglasses": -0.25}
    assert picture.options["exact"] is True
    assert loaded.arrays[picture.stored["z"]].sum() == pytest.approx(0, abs=1e-6)


def test_a_file_of_every_version_is_kept() -> None:
    for version in range(1, session.SESSION_VERSION + 1):
        path = FOLDER / f"v{version}" / "sample.latentlab"
        with zipfile.ZipFile(path) as archive:
            assert json.loads(archive.read("session.json"))["version"] == version


def test_own_directions_come_back_with_their_numbers(saved: Path) -> None:
    loaded = load_session(saved)
    store = ArrayStore()
    for array in loaded.arrays.values():
        store.put(array)
    record = loaded.history.document.directions[0]
    found, wanted = store.direction(record), direction()
    assert (record.model, record.name) == ("portraits-vae", "my smile")
    assert np.array_equal(found.vector["z"], wanted.vector["z"])
    for name in ("space", "scale", "method", "fingerprint", "group"):
        assert getattr(found, name) == getattr(wanted, name)
    assert found.provenance == {"auc": 0.9, "interval": [0.85, 0.95], "data": "cifar.zip"}
    sliders = loaded.history.document.sliders["portraits-vae"]
    assert sliders.titles == {"my smile": "Grin ☺"}
    # Undone steps have them too, and share them.
    entries = loaded.history.entries
    assert entries[-1].document.canvas.edits["my smile"] == 2.0
    assert entries[-1].document.directions[0] is entries[-2].document.directions[0]
    assert entries[0].document.directions == ()


def _set(**changes: Any) -> Callable[[dict], None]:
    return lambda content: content.update(changes)


def _direction(**changes: Any) -> Callable[[dict], None]:
    return lambda content: content["directions"][0].update(changes)


def _sliders(**changes: Any) -> Callable[[dict], None]:
    return lambda content: content["arrangements"][0].update(changes)


BAD_DIRECTIONS: dict[str, Callable[[dict], None]] = {
    "none": lambda c: c.pop("directions"),
    "no arrangements": lambda c: c.pop("arrangements"),
    "a number": _set(directions=3),
    "too many": lambda c: c.update(directions=c["directions"] * 6000),
    "unknown field": _direction(code="import os"),
    "no name": _direction(name=""),
    "long name": _direction(name="x" * 201),
    "long group": _direction(group="x" * 20_000),
    "long story": _direction(provenance={"text": "x" * 2**19}),
    "scale of nothing": _direction(scale=0.0),
    "scale negative": _direction(scale=-1.0),
    "no vector": _direction(vector={}),
    "vector a path": _direction(vector={"z": "../../etc/passwd"}),
    "vector missing": _direction(vector={"z": "ab" * 32}),
    "row too high": lambda c: c["entries"][-1].update(directions=[9]),
    "row true": lambda c: c["entries"][-1].update(directions=[True]),
    "row a list": lambda c: c["entries"][-1].update(directions=[[0]]),
    "twice": lambda c: c["entries"][-1].update(directions=[0, 0]),
    "no directions": lambda c: c["entries"][-1].pop("directions"),
    "no sliders": lambda c: c["entries"][-1].pop("sliders"),
    "sliders a list": lambda c: c["entries"][-1].update(sliders=[0]),
    "sliders too high": lambda c: c["entries"][-1].update(sliders={"m": 9}),
    "order a number": _sliders(order=5),
    "order huge": _sliders(order=["x"] * 20_000),
    "title huge": _sliders(titles={"smiling": "x" * 20_000}),
}


@pytest.mark.parametrize("name", BAD_DIRECTIONS)
def test_wrong_directions_are_one_sentence(name: str, saved: Path) -> None:
    content, arrays = contents(saved)
    BAD_DIRECTIONS[name](content)
    rewrite(saved, content, arrays)
    with pytest.raises(LatentLabError) as caught:
        load_session(saved)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "vector",
    [
        np.ones(8, np.float32),
        np.zeros(8, np.float32),
        np.full(8, np.nan, np.float32),
        np.array([np.inf] + [0] * 7, np.float32),
        np.array([1, 0, 0], np.uint8),
        np.array(1, np.float32),
    ],
    ids=["not unit", "zero", "nan", "infinite", "bytes", "no axis"],
)
def test_vectors_that_are_none_are_one_sentence(vector: np.ndarray, saved: Path) -> None:
    content, arrays = contents(saved)
    key = content_hash(vector)
    content["directions"][0]["vector"] = {"z": key}
    rewrite(saved, content, {**arrays, key: vector})
    with pytest.raises(LatentLabError, match="my smile"):
        load_session(saved)


@pytest.mark.parametrize("entries", [3, [3], [{}], [[]], None])
def test_an_old_file_that_cannot_be_migrated_is_one_sentence(entries: Any, tmp_path: Path) -> None:
    content, arrays = contents(FOLDER / "v1" / "sample.latentlab")
    path = tmp_path / "old.latentlab"
    rewrite(path, {**content, "entries": entries}, arrays)
    with pytest.raises(LatentLabError, match="choose another"):
        load_session(path)


def test_only_arrays_that_the_history_needs_are_written(tmp_path: Path) -> None:
    extra = sample_session()
    extra.arrays = {**extra.arrays, "ff" * 32: np.zeros(1000, np.float32)}
    save_session(tmp_path / "a.latentlab", extra)
    same(load_session(tmp_path / "a.latentlab"), sample_session())


def test_an_empty_session_can_be_saved(tmp_path: Path) -> None:
    save_session(tmp_path / "a.latentlab", Session())
    assert load_session(tmp_path / "a.latentlab").history.document == Document()


def test_documents_share_their_pictures(tmp_path: Path) -> None:
    picture = Picture(model="m", space="z", seeds=tuple(range(1000)))
    history = History(Document(canvas=picture))
    for i in range(200):
        history.push(Document(canvas=picture if i % 2 else None), f"{i}")
    save_session(tmp_path / "a.latentlab", Session(history))
    assert len(contents(tmp_path / "a.latentlab")[0]["pictures"]) == 1
    entries = load_session(tmp_path / "a.latentlab").history.entries
    assert entries[0].document.canvas is entries[200].document.canvas


def test_a_history_over_the_limit_keeps_the_place(tmp_path: Path) -> None:
    history = History(limit=1000)
    for seed in range(600):
        history.push(Document(canvas=Picture(model="m", space="z", seeds=(seed,))), f"{seed}")
    history.go(50)
    save_session(tmp_path / "a.latentlab", Session(history))
    loaded = load_session(tmp_path / "a.latentlab").history
    assert loaded.document == history.document
    assert [e.label for e in loaded.entries] == [e.label for e in history.entries[50:]]
    loaded.push(Document(), "on")
    assert [e.label for e in loaded.entries][-1] == "on"


def test_what_cannot_be_saved_leaves_the_old_file(saved: Path) -> None:
    before = saved.read_bytes()
    broken = sample_session()
    broken.arrays = {}
    with pytest.raises(LatentLabError, match="missing"):
        save_session(saved, broken)
    broken = sample_session()
    broken.view = {"bad": object()}
    with pytest.raises(LatentLabError, match="no file can keep"):
        save_session(saved, broken)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def _bomb(limit: int) -> bytes:
    return b" " * (limit + 1)


class _Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("executed"),))


BAD_FILES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "text": lambda data: b"hello",
    "half": lambda data: data[: len(data) // 2],
    "last byte gone": lambda data: data[:-1],
    "pickle": lambda data: pickle.dumps(_Evil()),
    "torch zip of a pickle": lambda data: data.replace(b"session.json", b"archive/data"),
    "middle overwritten": lambda data: data[:200] + b"\xff" * 50 + data[250:],
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_session_is_one_sentence(
    name: str, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(saved.parent)
    saved.write_bytes(BAD_FILES[name](saved.read_bytes()))
    with pytest.raises(LatentLabError, match="choose another") as caught:
        load_session(saved)
    assert "\n" not in caught.value.message
    assert not Path("executed").exists()


def _picture(**changes: Any) -> Callable[[dict], None]:
    return lambda content: content["pictures"][0].update(changes)


BAD_JSON: dict[str, Callable[[dict], None]] = {
    "other format": _set(format="zip"),
    "no version": _set(version=None),
    "version 0": _set(version=0),
    "version true": _set(version=True),
    "index outside": _set(index=99),
    "index negative": _set(index=-1),
    "no entries": _set(entries=[]),
    "entries a number": _set(entries=3),
    "too many entries": lambda c: c.update(entries=c["entries"] * 5000),
    "view a list": _set(view=[]),
    "pictures missing": lambda c: c.pop("pictures"),
    "picture number too high": lambda c: c["entries"][0].update(canvas=7),
    "picture number negative": lambda c: c["entries"][0].update(canvas=-1),
    "picture number a text": lambda c: c["entries"][0].update(canvas="0"),
    "tray item not hashable": lambda c: c["entries"][-1].update(tray=[[["a"], "", 0]]),
    "unknown field": _picture(code="import os"),
    "seed negative": _picture(seeds=[-1]),
    "seed too large": _picture(seeds=[2**63]),
    "seeds too many": _picture(seeds=[1] * 5000),
    "neither seeds nor latents": _picture(seeds=[]),
    "both seeds and latents": _picture(stored={"z": "a" * 64}),
    "infinite slider": _picture(edits={"smiling": 1e300}),
    "hash with a path": _picture(photo="../../etc/passwd"),
    "very long name": _picture(name="x" * 20_000),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_a_wrong_description_is_one_sentence(name: str, saved: Path) -> None:
    content, arrays = contents(saved)
    BAD_JSON[name](content)
    rewrite(saved, content, arrays)
    with pytest.raises(LatentLabError, match="choose another") as caught:
        load_session(saved)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "text", [b"[" * 200_000, b'{"a": NaN}', b'{"a": 1e999}', b"\xff\xfe", b"1" * 10_000, b"null"]
)
def test_absurd_json_is_one_sentence(text: bytes, saved: Path) -> None:
    rewrite(saved, text, contents(saved)[1])
    with pytest.raises(LatentLabError, match="choose another"):
        load_session(saved)


def test_a_newer_version_says_update(saved: Path) -> None:
    content, arrays = contents(saved)
    rewrite(saved, {**content, "version": session.SESSION_VERSION + 1}, arrays)
    with pytest.raises(LatentLabError, match="update LatentLab"):
        load_session(saved)


def test_an_older_version_is_migrated_step_by_step(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noting(version: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
        step = session.MIGRATIONS[version]

        def migrate(content: dict[str, Any]) -> dict[str, Any]:
            steps = [*content["view"].get("steps", []), version]
            return {**step(content), "view": {"steps": steps}}

        return migrate

    noted = {version: noting(version) for version in session.MIGRATIONS}
    monkeypatch.setattr(session, "MIGRATIONS", noted)
    for version in session.MIGRATIONS:
        old = load_session(FOLDER / f"v{version}" / "sample.latentlab")
        assert old.view["steps"] == list(range(version, session.SESSION_VERSION))
        assert old.history.document.switches == {}
    assert "steps" not in load_session(saved).view


def test_missing_and_changed_arrays_are_told(saved: Path) -> None:
    content, arrays = contents(saved)
    key = sorted(arrays)[0]
    rewrite(saved, content, {k: v for k, v in arrays.items() if k != key})
    with pytest.raises(LatentLabError, match="missing"):
        load_session(saved)
    rewrite(saved, content, {**arrays, key: arrays[key] + 1})
    with pytest.raises(LatentLabError, match="hash"):
        load_session(saved)


def test_arrays_of_another_type_are_refused(saved: Path) -> None:
    content, arrays = contents(saved)
    key = sorted(arrays)[0]
    rewrite(saved, content, {**arrays, key: arrays[key].astype(np.float64)})
    with pytest.raises(LatentLabError, match="hash"):
        load_session(saved)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 8,
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        b"PK\x03\x04",
    ],
)
def test_damaged_arrays_are_one_sentence(data: bytes, saved: Path) -> None:
    rewrite(saved, contents(saved)[0], data)
    with pytest.raises(LatentLabError, match="arrays are damaged"):
        load_session(saved)


def test_bombs_are_refused_before_they_unpack(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, arrays = contents(saved)
    monkeypatch.setattr(session, "MAX_JSON_BYTES", 100_000)
    rewrite(saved, _bomb(100_000), arrays)
    assert saved.stat().st_size < 10_000
    with pytest.raises(LatentLabError, match="over the limit"):
        load_session(saved)
    monkeypatch.setattr(session, "MAX_ARRAY_BYTES", 100_000)
    rewrite(saved, content, _bomb(100_000))
    with pytest.raises(LatentLabError, match="over the limit"):
        load_session(saved)


def test_foreign_members_are_refused(saved: Path) -> None:
    content, arrays = contents(saved)
    rewrite(saved, content, arrays, **{"../evil.py": b"import os"})
    with pytest.raises(LatentLabError, match="contents"):
        load_session(saved)


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.latentlab", tmp_path):
        with pytest.raises(LatentLabError, match="There is no session file"):
            load_session(path)


def test_an_autosave_of_a_running_program_is_not_offered(tmp_path: Path) -> None:
    mine = AutosaveFile(tmp_path)
    mine.write(sample_session())
    assert mine.path.is_file()
    assert recoverable(tmp_path) == []
    mine.clear()
    assert not mine.path.exists()
    mine.clear()


def test_an_autosave_of_a_program_that_died_is_found_and_opens(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from latentlab.core.autosave import AutosaveFile\n"
        "from tests.core.make_session import sample_session\n"
        "AutosaveFile(Path(sys.argv[1])).write(sample_session()); os._exit(9)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, check=False)
    assert done.returncode == 9
    (found,) = recoverable(tmp_path)
    assert found.saved_at == found.path.stat().st_mtime
    same(load_session(found.path), sample_session())
    found.discard()
    assert recoverable(tmp_path) == []


def test_a_process_id_that_was_used_again_does_not_hide_an_autosave(tmp_path: Path) -> None:
    started = autosave._started(os.getpid())
    assert started is not None
    old = tmp_path / f"autosave-{os.getpid()}-{started - 5000}.latentlab"
    save_session(old, sample_session())
    (tmp_path / "autosave-x-y.latentlab").write_text("")
    (tmp_path / "autosave-99999999999999-1.latentlab").write_text("")
    assert [found.path for found in recoverable(tmp_path)] == [old]


def test_no_folder_means_nothing_to_recover(tmp_path: Path) -> None:
    assert recoverable(tmp_path / "none") == []
