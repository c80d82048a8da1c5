from __future__ import annotations

import base64
import io
import json
import os
import pickle
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save, save_file

from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents
from latentlab.core.pictures import parse_picture, stored_hashes
from latentlab.services import png
from latentlab.services.export import load_latents, save_latents, save_png
from latentlab.services.png import compose_grid, encode_png, png_metadata, read_png_metadata


def images(count: int = 5, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, 6, 4, channels), dtype=np.uint8)


def some_latents(batch: int = 2) -> Latents:
    values = np.random.default_rng(1).standard_normal((batch, 8)).astype(np.float32)
    return Latents("z", {"z": values})


def seeded(**changes: Any) -> Picture:
    fields = {
        "model": "faces",
        "fingerprint": "ab" * 32,
        "space": "z",
        "seeds": (0, 1, 2, 9),
        "temperature": 0.7,
        "edits": {"smiling": 1.25, "hût": -1.0},
        "condition": Condition(class_index=1, attributes={"age": 0.1}, text="a hällo"),
        "options": {"psi": 0.5, "steps": 3, "fast": True, "sampler": "ddim"},
    }
    return Picture(**{**fields, **changes})


def from_latents(latents: Latents) -> Picture:
    return Picture(model="faces", space="z", stored=stored_hashes(latents), edits={"a": 1.0})


# --- grids


def test_a_single_image_is_itself() -> None:
    single = images(1)
    assert np.array_equal(compose_grid(single), single[0])
    big = compose_grid(single, scale=3)
    assert big.shape == (18, 12, 3)
    assert np.array_equal(big[1::3, 1::3], single[0])


def test_images_stand_row_by_row_on_white() -> None:
    batch = images(5)
    grid = compose_grid(batch, rows=2, padding=1)
    assert grid.shape == (2 * 6 + 1, 3 * 4 + 2, 3)
    assert np.array_equal(grid[0:6, 10:14], batch[2])
    assert np.array_equal(grid[7:13, 5:9], batch[4])
    assert (grid[7:13, 10:14] == 255).all()
    assert (grid[6] == 255).all()


@pytest.mark.parametrize(("count", "shape"), [(64, (8, 8)), (4, (2, 2)), (2, (1, 2)), (7, (3, 3))])
def test_a_grid_is_nearly_square(count: int, shape: tuple[int, int]) -> None:
    grid = compose_grid(images(count), padding=0)
    assert (grid.shape[0] // 6, grid.shape[1] // 4) == shape


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"rows": 6}, {"padding": -1}, {"scale": 0}])
def test_what_is_no_grid_is_one_sentence(wrong: dict[str, int]) -> None:
    with pytest.raises(LatentLabError, match="choose 1 to 5 rows"):
        compose_grid(images(5), **wrong)


def test_no_images_and_gigantic_grids_are_refused() -> None:
    with pytest.raises(LatentLabError, match="no image"):
        compose_grid(images(0))
    with pytest.raises(LatentLabError, match="too large"):
        compose_grid(images(4), scale=100_000)


# --- PNG


@pytest.mark.parametrize("channels", [1, 3])
def test_the_pixels_of_a_png_are_those_of_the_grid(channels: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    batch = images(4, channels)
    save_png(path, batch, metadata=png_metadata(seeded(), None, "latentlab x"), scale=2)
    with Image.open(path) as opened:
        assert opened.mode == ("L" if channels == 1 else "RGB")
        pixels = np.asarray(opened).reshape(opened.height, opened.width, channels)
        assert opened.info["latentlab:command"] == "latentlab x"
        assert opened.info["latentlab:seeds"] == "0-2,9"
        assert opened.info["latentlab:model"] == "faces " + "ab" * 32
        assert opened.info["Software"].startswith("LatentLab ")
    assert np.array_equal(pixels, compose_grid(batch, scale=2))


def test_the_same_picture_gives_the_same_bytes(tmp_path: Path) -> None:
    stored = some_latents()
    texts = png_metadata(from_latents(stored), stored, "latentlab x")
    first = encode_png(compose_grid(images()), texts)
    assert encode_png(compose_grid(images()), texts) == first
    save_png(tmp_path / "a.png", images(), metadata=texts)
    assert (tmp_path / "a.png").read_bytes() == first
    assert b"tIME" not in first


def test_a_png_gives_back_its_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save_png(path, images(), metadata=png_metadata(seeded(), None, "latentlab 'hût'"))
    record = read_png_metadata(path)
    assert record is not None
    assert record.picture == seeded()
    assert record.picture.options["fast"] is True
    assert record.command == "latentlab 'hût'"
    assert record.stored is None
    from_bytes = read_png_metadata(path.read_bytes())
    assert from_bytes is not None
    assert from_bytes.picture == seeded()


def test_a_command_in_any_script_comes_back() -> None:
    data = encode_png(images(1)[0], png_metadata(seeded(), None, "latentlab 猫"))
    record = read_png_metadata(data)
    assert record is not None
    assert record.command == "latentlab 猫"


def test_latents_without_a_seed_travel_in_the_png() -> None:
    stored = Latents(
        "mix",
        {
            "a": np.random.default_rng(0).standard_normal((3, 2, 4)).astype(np.float32),
            "tokens": np.arange(12, dtype=np.int64).reshape(3, 4),
        },
    )
    what = Picture(model="m", space="mix", stored=stored_hashes(stored))
    record = read_png_metadata(encode_png(images(1)[0], png_metadata(what, stored, "x")))
    assert record is not None
    assert record.stored is not None
    assert record.stored.space == "mix"
    for name, array in stored.items():
        assert record.stored[name].dtype == array.dtype
        assert np.array_equal(record.stored[name], array)


def test_latents_that_are_too_large_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "MAX_LATENTS_BYTES", 100)
    stored = some_latents(100)
    record = read_png_metadata(
        encode_png(images(1)[0], png_metadata(from_latents(stored), stored, "x"))
    )
    assert record is not None
    assert record.stored is None
    assert record.picture == from_latents(stored)


def test_an_image_of_another_program_has_no_picture(tmp_path: Path) -> None:
    image = Image.fromarray(images(1)[0])
    for name in ("a.png", "a.jpg", "a.bmp"):
        image.save(tmp_path / name)
        assert read_png_metadata(tmp_path / name) is None
    (tmp_path / "empty.png").write_bytes(b"")
    assert read_png_metadata(tmp_path / "empty.png") is None
    with pytest.raises(LatentLabError, match="cannot be read"):
        read_png_metadata(tmp_path / "none.png")


def _hostile(**texts: str) -> bytes:
    names = {"picture": "latentlab:picture", "latents": "latentlab:latents"}
    return encode_png(images(1)[0], {names[key]: text for key, text in texts.items()})


def _picture_text(**changes: Any) -> str:
    values = {"model": "m", "space": "z", "seeds": [1], **changes}
    return json.dumps(values)


def _latents_text(**changes: Any) -> tuple[str, str]:
    stored = some_latents()
    row = {
        "dtype": "float32",
        "shape": [2, 8],
        "data": base64.b64encode(stored["z"].tobytes()).decode(),
    }
    text = json.dumps({"space": "z", "parts": {"z": {**row, **changes}}})
    return _picture_text(seeds=[], stored=stored_hashes(stored)), text


HOSTILE_PICTURES = {
    "no json": "hello",
    "deep": "[" * 100_000,
    "nan": '{"temperature": NaN}',
    "code": _picture_text(code="import os"),
    "too long": " " * (2**20 + 1),
    "seed": _picture_text(seeds=[-5]),
    "seeds": _picture_text(seeds=[0] * 10_000),
    "infinite": _picture_text(edits={"a": 1e308}),
    "hash": _picture_text(seeds=[], stored={"z": "../../x"}),
    "infinity by rounding": '{"temperature": 1e999}',
    "surrogate": _picture_text(space="\ud800"),
    "wrong type": _picture_text(seeds="all"),
}


@pytest.mark.parametrize("name", HOSTILE_PICTURES)
def test_hostile_text_is_one_sentence(name: str) -> None:
    with pytest.raises(LatentLabError, match=r"choose another|open another") as caught:
        read_png_metadata(_hostile(picture=HOSTILE_PICTURES[name]))
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "object"},
        {"dtype": "float64"},
        {"shape": [2, 9]},
        {"shape": [-1, 8]},
        {"shape": [2**40, 2**40]},
        {"shape": "all"},
        {"data": "***"},
        {"data": ""},
        {"data": base64.b64encode(bytes(64)).decode()},
    ],
    ids=range(9),
)
def test_hostile_latents_are_one_sentence(changes: dict[str, Any]) -> None:
    picture, latents = _latents_text(**changes)
    with pytest.raises(LatentLabError, match=r"open another|open the photograph"):
        read_png_metadata(_hostile(picture=picture, latents=latents))
    sound = read_png_metadata(_hostile(picture=picture, latents=_latents_text()[1]))
    assert sound is not None
    assert sound.stored is not None


def _chunk(kind: bytes, body: bytes, checksum: int | None = None) -> bytes:
    found = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", found)


def test_damaged_chunks_are_told_and_compressed_ones_left_alone() -> None:
    body = b"latentlab:picture\0" + _picture_text().encode()
    good = png.SIGNATURE + _chunk(b"tEXt", body) + _chunk(b"IEND", b"")
    record = read_png_metadata(good)
    assert record is not None
    assert record.picture.seeds == (1,)
    for bad in (
        png.SIGNATURE + _chunk(b"tEXt", body, checksum=5),
        good[:-22],
        png.SIGNATURE + _chunk(b"tEXt", body) * 2,
    ):
        with pytest.raises(LatentLabError, match="damaged"):
            read_png_metadata(bad)
    bomb = b"latentlab:picture\0\0" + zlib.compress(b" " * 10**6)
    assert read_png_metadata(png.SIGNATURE + _chunk(b"zTXt", bomb)) is None
    packed = b"latentlab:picture\0\1\0\0\0" + zlib.compress(b" " * 10**6)
    assert read_png_metadata(png.SIGNATURE + _chunk(b"iTXt", packed)) is None
    assert read_png_metadata(png.SIGNATURE + struct.pack(">I4s", 2**32 - 1, b"junk")) is None


def test_a_png_that_is_cut_off_restores_nothing() -> None:
    picture = parse_picture(json.loads(_picture_text()), "this")
    whole = encode_png(images()[0], png_metadata(picture, None, "latentlab"))
    assert read_png_metadata(whole) is not None
    start = whole.index(b"IDAT") + 4
    for end in (len(whole) - 1, len(whole) - 12, (start + len(whole)) // 2, start, start - 8):
        with pytest.raises(LatentLabError, match="truncated"):
            read_png_metadata(whole[:end])


# --- own directions


def _direction(name: str = "mine", **changes: Any) -> Direction:
    vector = np.zeros(8, np.float32)
    vector[2], vector[5] = 0.6, -0.8
    values = {"name": name, "space": "z", "vector": {"z": vector}, "scale": 1.25, "method": "pca"}
    return Direction(**(values | changes))


def _edited(**edits: float) -> Picture:
    return Picture(model="m", space="z", seeds=(1,), edits=edits)


def test_a_png_gives_its_directions_back_but_not_where_they_came_from() -> None:
    told = {"auc": 0.75, "interval": (0.5, np.float32(0.875)), "data": "/home/ada/photos.zip"}
    known = {
        "mine": _direction(provenance=told, group="own", fingerprint="ab"),
        "other": _direction("other", scale=0.5),
    }
    data = encode_png(
        images()[0], png_metadata(_edited(mine=2.0, other=-1.0), None, "latentlab", known)
    )
    assert b"ada" not in data
    record = read_png_metadata(data)
    assert record is not None
    assert list(record.directions) == ["mine", "other"]
    for name, one in record.directions.items():
        wanted = known[name]
        assert np.array_equal(one.vector["z"], wanted.vector["z"])
        assert (one.name, one.space, one.scale) == (name, "z", wanted.scale)
        assert (one.method, one.group, one.fingerprint) == ("pca", wanted.group, wanted.fingerprint)
    assert dict(record.directions["mine"].provenance) == {"auc": 0.75, "interval": [0.5, 0.875]}


def test_directions_that_are_too_large_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "MAX_LATENTS_BYTES", 100)
    texts = png_metadata(_edited(mine=2.0), None, "latentlab", {"mine": _direction()})
    assert "latentlab:directions" not in texts
    record = read_png_metadata(encode_png(images()[0], texts))
    assert record is not None
    assert record.directions == {}


def _direction_rows(**changes: Any) -> str:
    vector = {"dtype": "float32", "shape": [8], "data": ""}
    vector["data"] = base64.b64encode(_direction().vector["z"].tobytes()).decode()
    row = {"name": "mine", "space": "z", "scale": 1.0, "method": "pca", "vector": {"z": vector}}
    return json.dumps([{**row, **changes}])


def _part(**changes: Any) -> dict[str, Any]:
    return {"z": {**json.loads(_direction_rows())[0]["vector"]["z"], **changes}}


HOSTILE_DIRECTIONS = {
    "no list": "3",
    "twice": json.dumps(json.loads(_direction_rows()) * 2),
    "unused": _direction_rows(name="nobody asked"),
    "no vector": '[{"name": "mine"}]',
    "extra field": _direction_rows(code="import os"),
    "no scale": _direction_rows(scale=0),
    "name too long": _direction_rows(name="x" * 300),
    "long story": _direction_rows(provenance={"x": "y" * 2**19}),
    "vector a list": _direction_rows(vector=[1, 2]),
    "no parts": _direction_rows(vector={}),
    "objects": _direction_rows(vector=_part(dtype="object")),
    "shape": _direction_rows(vector=_part(shape=[9])),
    "negative": _direction_rows(vector=_part(shape=[-1, 8])),
    "no unit": _direction_rows(vector=_part(data=base64.b64encode(bytes(32)).decode())),
    "nan": _direction_rows(vector=_part(data=base64.b64encode(b"\xff" * 32).decode())),
}


@pytest.mark.parametrize("name", HOSTILE_DIRECTIONS)
def test_hostile_directions_are_one_sentence(name: str) -> None:
    texts = png_metadata(_edited(mine=1.0), None, "latentlab")
    good = {**texts, "latentlab:directions": _direction_rows()}
    record = read_png_metadata(encode_png(images()[0], good))
    assert record is not None
    assert list(record.directions) == ["mine"]
    bad = {**texts, "latentlab:directions": HOSTILE_DIRECTIONS[name]}
    with pytest.raises(LatentLabError) as caught:
        read_png_metadata(encode_png(images()[0], bad))
    assert "\n" not in caught.value.message


# --- files


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_an_exported_file_has_the_usual_permissions(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", images(), metadata={})
    (tmp_path / "b").write_bytes(b"")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.png", "b")]
    assert modes[0] == modes[1]


def test_a_full_disk_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(LatentLabError, match=r"No space left.*free some space"):
        save_png(path, images(), metadata={})
    with pytest.raises(LatentLabError, match="free some space"):
        save_latents(tmp_path / "a.npz", some_latents())
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"old"


# --- latents


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_latents_come_back_as_they_were(suffix: str, tmp_path: Path) -> None:
    stored = Latents(
        "mix",
        {"file": some_latents()["z"], "tokens": np.arange(4, dtype=np.int64).reshape(2, 2)},
    )
    what = Picture(model="m", space="mix", stored=stored_hashes(stored))
    save_latents(tmp_path / f"a{suffix}", stored, what)
    save_latents(tmp_path / f"b{suffix}", stored, what)
    found = load_latents(tmp_path / f"a{suffix}")
    assert found.picture == what
    assert found.latents.space == "mix"
    assert stored_hashes(found.latents) == what.stored
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_plain_arrays_of_other_programs_will_do(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((3, 8))
    np.savez(tmp_path / "a.npz", z=values)
    np.savez_compressed(tmp_path / "b.npz", z=values.astype(np.float16))
    save_file({"z": values.astype(np.float32)}, tmp_path / "c.safetensors")
    for name in ("a.npz", "b.npz", "c.safetensors"):
        found = load_latents(tmp_path / name)
        assert found.latents.space == ""
        assert found.picture is None
        assert found.latents["z"].dtype == np.float32
        assert found.latents["z"] == pytest.approx(values, abs=2e-3)


def test_latents_are_read_out_of_a_png(tmp_path: Path) -> None:
    stored = some_latents()
    texts = png_metadata(from_latents(stored), stored, "x")
    save_png(tmp_path / "a.png", images(), metadata=texts)
    assert np.array_equal(load_latents(tmp_path / "a.png").latents["z"], stored["z"])
    save_png(tmp_path / "b.png", images(), metadata=png_metadata(seeded(), None, "x"))
    with pytest.raises(LatentLabError, match="holds no latents"):
        load_latents(tmp_path / "b.png")


class _Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("executed"),))


def _npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _npz_claiming(shape: tuple[int, ...]) -> bytes:
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        member, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("z.npy", member.getvalue() + bytes(16))
    return stream.getvalue()


def _safetensors(text: str) -> bytes:
    return save({"z": np.zeros((1, 8), np.float32)}, {"latentlab": text})


BAD: dict[str, Callable[[], bytes]] = {
    "empty.npz": lambda: b"",
    "empty.safetensors": lambda: b"",
    "text.npz": lambda: b"hello",
    "half.npz": lambda: _npz(z=np.zeros((10, 8)))[:300],
    "pickle.npz": lambda: pickle.dumps(_Evil()),
    "pickle.safetensors": lambda: pickle.dumps(_Evil()),
    "objects.npz": lambda: _npz(z=np.array([_Evil()], dtype=object)),
    "enormous.npz": lambda: _npz_claiming((2**40,)),
    "overflow.npz": lambda: _npz_claiming((2**62, 2**62)),
    "negative.npz": lambda: _npz_claiming((-8,)),
    "header.safetensors": lambda: struct.pack("<Q", 2**50) + b"{}",
    "no arrays.npz": _npz,
    "scalar.npz": lambda: _npz(z=np.float32(1)),
    "text array.npz": lambda: _npz(z=np.array(["a"])),
    "complex.npz": lambda: _npz(z=np.zeros((1, 8), np.complex64)),
    "nan.npz": lambda: _npz(z=np.full((1, 8), np.nan)),
    "infinite.safetensors": lambda: save({"z": np.full((1, 8), np.inf, np.float32)}),
    "rows.npz": lambda: _npz(a=np.zeros((1, 8)), b=np.zeros((2, 8))),
    "other format.safetensors": lambda: _safetensors('{"format": "model"}'),
    "no json.safetensors": lambda: _safetensors("{"),
    "bad picture.safetensors": lambda: _safetensors(
        '{"format": "latentlab-latents", "space": "z", "picture": {"model": 3}}'
    ),
    "other.txt": lambda: b"",
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("default")
def test_a_wrong_file_is_one_sentence_and_nothing_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_bytes(BAD[name]())
    with pytest.raises(LatentLabError) as caught:
        load_latents(path)
    assert "\n" not in caught.value.message
    assert not Path("executed").exists()


def test_missing_files_and_unknown_suffixes_are_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path / "none.png", tmp_path):
        with pytest.raises(LatentLabError):
            load_latents(path)
    with pytest.raises(LatentLabError, match=r"use \.safetensors or \.npz"):
        save_latents(tmp_path / "a.pt", some_latents())


def test_a_zip_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latentlab.services.export.MAX_BYTES", 100_000)
    np.savez_compressed(tmp_path / "a.npz", z=np.zeros((1000, 100)))
    assert (tmp_path / "a.npz").stat().st_size < 10_000
    with pytest.raises(LatentLabError, match="not a whole latents file"):
        load_latents(tmp_path / "a.npz")
