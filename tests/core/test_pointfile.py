"""Points files: what comes back, and what is refused with a sentence."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from latentlab.core import pointfile
from latentlab.core.errors import LatentLabError
from latentlab.core.labels import LabelColumn
from latentlab.core.modelfile import ModelHeader, StoredModel, write_model
from latentlab.core.pointfile import (
    half_precision,
    read_point_names,
    read_points,
    read_points_header,
    write_points,
)
from latentlab.core.points import PointSet
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec

COUNT = 7


def points(**changes: Any) -> PointSet:
    rng = np.random.default_rng(0)
    unknown = np.array([0, 1, np.nan, 1, 0, 1, 1], np.float32)
    values: dict[str, Any] = {
        "model": "small",
        "fingerprint": "ab" * 32,
        "space": "w",
        "source": "portraits:count=7,seed=3",
        "rows": np.arange(COUNT) * 3,
        "parts": {
            "local": rng.normal(size=(COUNT, 2, 3)).astype(np.float32),
            "global": rng.normal(size=(COUNT, 4)).astype(np.float16),
        },
        "split": "train",
        "labels": {
            "smiling": LabelColumn("smiling", "binary", unknown, (), np.isfinite(unknown)),
            "kind": LabelColumn(
                "kind",
                "categorical",
                np.array([0, 1, 2, 0, 1, 2, np.nan], np.float32),
                ("a", "b c", "ü"),
            ),
            "age": LabelColumn("age", "continuous", rng.normal(size=COUNT).astype(np.float32)),
        },
        "picture_map": rng.normal(size=(3, 10)).astype(np.float32),
        "coordinates": {"tsne": rng.normal(size=(COUNT, 2)).astype(np.float32)},
    }
    if "parts" in changes:
        values["picture_map"] = None
    return PointSet(**{**values, **changes})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "map.safetensors"
    write_points(
        found, points(), names=[f"img {i}\n.png" for i in range(COUNT)], about={"limit": 9}
    )
    return found


def test_what_was_written_comes_back(path: Path) -> None:
    wanted, found = points(), read_points(path)
    for field in ("model", "fingerprint", "space", "source", "split"):
        assert getattr(found, field) == getattr(wanted, field)
    np.testing.assert_array_equal(found.rows, wanted.rows)
    assert found.rows.dtype == np.int64
    for name, part in wanted.parts.items():
        assert found.parts[name].dtype == part.dtype
        np.testing.assert_array_equal(found.parts[name], part)
    assert list(found.labels) == list(wanted.labels)
    for name, column in wanted.labels.items():
        other = found.labels[name]
        assert (other.name, other.kind, other.classes) == (name, column.kind, column.classes)
        np.testing.assert_array_equal(other.values, column.values)
        if column.visible is None:
            assert other.visible is None
        else:
            np.testing.assert_array_equal(other.visible, column.visible)
    np.testing.assert_array_equal(found.coordinates["tsne"], wanted.coordinates["tsne"])
    assert found.coordinates["tsne"].dtype == np.float32
    np.testing.assert_array_equal(found.picture_map, wanted.picture_map)
    assert read_points_header(path).about == {"limit": 9}
    assert read_point_names(path) == [f"img {i} .png" for i in range(COUNT)]
    chosen = found.latents([2, 5])
    np.testing.assert_array_equal(chosen["local"], wanted.parts["local"][[2, 5]])
    assert chosen["global"].dtype == np.float32


def test_prior_samples_need_neither_labels_nor_names(tmp_path: Path) -> None:
    path = tmp_path / "prior.safetensors"
    write_points(path, points(source="prior", split=None, labels={}, coordinates={}))
    found = read_points(path)
    assert found.is_prior
    assert not found.labels
    assert found.split is None
    assert read_point_names(path) is None


def test_parts_are_mapped_and_cannot_be_written(path: Path) -> None:
    found = read_points(path)
    for part in found.parts.values():
        base: Any = part
        while isinstance(base.base, np.ndarray):
            base = base.base
        assert isinstance(base, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            part[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        found.rows[0] = 1


def test_a_large_file_takes_no_memory(tmp_path: Path) -> None:
    """20,000 points of 2,000 values: 80 MB on the disk, and a process that says what it holds."""
    path = tmp_path / "large.safetensors"
    rows = np.zeros((20_000, 2000), np.float16)
    write_points(path, points(rows=np.arange(20_000), parts={"z": rows}, labels={}, coordinates={}))
    code = f"""
import psutil
from pathlib import Path
from latentlab.core.pointfile import read_points
process = psutil.Process()
before = process.memory_info().rss
found = read_points(Path({str(path)!r}))
assert found.latents([19_999])["z"].shape == (1, 2000)
print(process.memory_info().rss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16 * 2**20


def test_a_replaced_file_leaves_what_was_read(path: Path) -> None:
    found = read_points(path)
    before = np.array(found.parts["global"])
    write_points(path, points(parts={"global": np.zeros((COUNT, 4), np.float16)}))
    np.testing.assert_array_equal(found.parts["global"], before)
    assert not read_points(path).parts["global"].any()


def test_others_may_read_what_is_written(path: Path) -> None:
    plain = path.with_name("plain.txt")
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_half_precision_only_where_it_loses_nothing() -> None:
    rng = np.random.default_rng(1)
    usual = rng.normal(size=(500, 20)).astype(np.float32)
    half = half_precision(usual)
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, usual, atol=3e-3)
    for unusual in (usual + 100, usual * 1e5, usual * 1e-6):
        assert half_precision(unusual).dtype == np.float32
        np.testing.assert_array_equal(half_precision(unusual), unusual)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": {"z": np.full((COUNT, 2), np.nan, np.float32)}}, "not finite"),
        ({"parts": {"z": np.zeros((COUNT, 2))}}, "neither float16 nor float32"),
        ({"parts": {"z": np.zeros((3, 2), np.float32)}}, "no row for each point"),
        ({"parts": {}}, "no latents"),
        ({"rows": np.arange(COUNT) - 1}, "a row is negative"),
        ({"coordinates": {"tsne": np.zeros((COUNT, 3), np.float32)}}, "'layout.tsne'"),
        ({"coordinates": {"tsne": np.full((COUNT, 2), np.inf, np.float32)}}, "not finite"),
        ({"source": "a\0b"}, "no text"),
        (
            {
                "labels": {
                    "a": LabelColumn("a", "categorical", np.full(COUNT, 2.0, np.float32), ("x",))
                }
            },
            "class that does not exist",
        ),
        (
            {"labels": {"a": LabelColumn("a", "categorical", np.full(COUNT, 1e9, np.float32))}},
            "class that does not exist",
        ),
        (
            {"labels": {"a": LabelColumn("a", "binary", np.full(COUNT, 0.5, np.float32))}},
            "neither 0 nor 1",
        ),
        (
            {"labels": {"a": LabelColumn("a", "continuous", np.full(COUNT, np.inf, np.float32))}},
            "infinite",
        ),
    ],
)
def test_unsound_points_are_not_written(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(LatentLabError, match=f"cannot be stored.*{message}"):
        write_points(tmp_path / "map.safetensors", points(**changes))
    assert not list(tmp_path.iterdir())


def test_an_interrupted_write_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pointfile, "save_file", full)
    before = path.read_bytes()
    with pytest.raises(LatentLabError, match="No space left"):
        write_points(path, points())
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


# Files that nobody should trust.


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> None:
    """Change the header (as JSON) and the arrays of a file."""
    tensors = dict(load_file(path))
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        metadata = json.loads(stream.read(length))["__metadata__"]
    header = json.loads(metadata[pointfile.KEY])
    change(header, tensors)
    save_file(tensors, path, metadata={pointfile.KEY: json.dumps(header)})


def sentence(path: Path) -> str:
    with pytest.raises(LatentLabError) as found:
        read_points(path)
    message = found.value.message
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_every_truncation_is_one_sentence(path: Path) -> None:
    whole = path.read_bytes()
    for length in [*range(0, 40), *range(40, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        sentence(path)
    path.write_bytes(whole + b"\0")
    sentence(path)


def test_random_damage_is_a_sentence_or_harmless(path: Path) -> None:
    whole, rng = path.read_bytes(), np.random.default_rng(4)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] = int(rng.integers(0, 256))
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(LatentLabError):
            found = read_points(path)
            assert all(np.isfinite(part).all() for part in found.parts.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, t: t["part.global"].__setitem__((0, 0), np.inf), "not finite"),
        (lambda h, t: t["part.local"].__setitem__((6, 1, 2), np.nan), "not finite"),
        (lambda h, t: t["layout.tsne"].__setitem__((0, 0), np.nan), "not finite"),
        (lambda h, t: t["picture_map"].__setitem__((0, 0), np.inf), "pictures is not finite"),
        (lambda h, t: t.update(picture_map=t["picture_map"][:, 1:]), "pictures is of another"),
        (lambda h, t: t["label.2"].__setitem__(0, np.inf), "infinite"),
        (lambda h, t: t["label.1"].__setitem__(0, 3), "class that does not exist"),
        (lambda h, t: t["label.1"].__setitem__(0, 0.5), "class that does not exist"),
        (lambda h, t: t["label.0"].__setitem__(0, 7), "neither 0 nor 1"),
        (lambda h, t: t["rows"].__setitem__(0, -5), "negative"),
        (lambda h, t: t.update(rows=t["rows"][:5]), "label.0"),
        (lambda h, t: t.update(rows=t["rows"].astype(np.int32)), "missing or of another kind"),
        (lambda h, t: t.pop("label.1"), "'label.1' is missing"),
        (lambda h, t: t.pop("part.global"), "part 'global' is missing"),
        (lambda h, t: t.update({"part.local": t["part.local"].astype(np.float64)}), "part 'local'"),
        (lambda h, t: t.update({"part.local": t["part.local"][:, :0]}), "no row for each point"),
        (lambda h, t: t.update(more=t["rows"]), "'more' is unknown"),
        (lambda h, t: h.update(format_version=99), "newer LatentLab"),
        (lambda h, t: h.update(format_version="x"), "not a whole points file"),
        (lambda h, t: h.update(parts=["global", "global"]), "twice"),
        (lambda h, t: h.update(model="x" * 5000), "monstrous"),
        (lambda h, t: h.update(surprise=1), "not a whole points file"),
        (lambda h, t: h.pop("space"), "not a whole points file"),
        (lambda h, t: h["labels"][0].update(kind="poem"), "not a whole points file"),
    ],
)
def test_hostile_contents_are_one_sentence(path: Path, change: Any, message: str) -> None:
    rewrite(path, change)
    assert message in sentence(path)


def raw(path: Path, table: Any, body: bytes = b"") -> None:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def test_hostile_headers_are_one_sentence(path: Path) -> None:
    row = {"dtype": "F16", "shape": [2**40, 2**40], "data_offsets": [0, 8]}
    for table in (
        b"[" * 100_000,
        b"{",
        b"[]",
        {"part.z": row},
        {"part.z": row | {"shape": [-1, 4]}},
        {"part.z": row | {"data_offsets": [8, 0]}},
        {"__metadata__": {pointfile.KEY: "[" * 100_000}},
        {"__metadata__": {pointfile.KEY: "[]"}},
        {"__metadata__": {pointfile.KEY: "NaN"}},
        {"__metadata__": {"other": "1"}},
    ):
        raw(path, table, b"\0" * 8)
        sentence(path)
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    sentence(path)


def test_other_files_are_one_sentence(tmp_path: Path) -> None:
    assert "no points file" in sentence(tmp_path / "missing.safetensors")
    assert "folder" in sentence(tmp_path)
    text = tmp_path / "text.safetensors"
    text.write_text("hello " * 100)
    assert "not a whole points file" in sentence(text)
    part = PartSpec(name="z", shape=(2,))
    spec = ModelSpec(
        id="m", family="vae", image_shape=(3, 8, 8), spaces=(LatentSpace(name="z", parts=(part,)),)
    )
    model = tmp_path / "model.safetensors"
    write_model(
        model, StoredModel(ModelHeader(config={}, spec=spec), {"w": np.ones(3, np.float32)})
    )
    assert "holds no points" in sentence(model)
    if os.name == "posix" and os.getuid():
        model.chmod(0)
        assert "cannot be read" in sentence(model)


def test_names_that_do_not_fit_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(LatentLabError, match="number of names"):
        write_points(tmp_path / "other.safetensors", points(), names=["one"])
    rewrite(path, lambda h, t: t.update(names=np.frombuffer(b"a\nb", np.uint8)))
    with pytest.raises(LatentLabError, match="number of names"):
        read_point_names(path)


def test_points_do_not_change_when_they_are_written_again(path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    found = read_points(path)
    write_points(again, replace(found, coordinates={}))
    np.testing.assert_array_equal(read_points(again).parts["local"], found.parts["local"])
