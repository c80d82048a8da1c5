"""Model files: what comes back is what was written, and nothing else is ever taken."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import (
    ModelHeader,
    StoredModel,
    fingerprint,
    read_directions,
    read_header,
    read_model,
    read_preview,
    replace_file,
    write_model,
)
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec, Provenance

READERS = (read_header, read_directions, read_model)


def model(**changes: Any) -> StoredModel:
    generator = np.random.default_rng(0)
    spec = ModelSpec(
        id="small",
        family="vae",
        image_shape=(3, 8, 8),
        spaces=(LatentSpace(name="z", parts=(PartSpec(name="z", shape=(2,)),)),),
        provenance=Provenance(data={"name": "ü"}, steps=3),
        quality={"psnr": 21.5},
    )
    vector = np.array([0.6, 0.8], np.float32)
    values: dict[str, Any] = {
        "header": ModelHeader(config={"width": 4}, spec=spec),
        "weights": {
            "a.weight": generator.normal(size=(3, 2)).astype(np.float16),
            "a.count": np.array(7, np.int64),
        },
        "directions": {"smiling": Direction("smiling", "z", {"z": vector}, 1.5, "test")},
        "preview": generator.integers(0, 255, (4, 5, 3), dtype=np.uint8),
    }
    return StoredModel(**values | changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    write_model(path, model())
    return path


def test_everything_comes_back(path: Path) -> None:
    written, read = model(), read_model(path)
    assert read.header.config == {"width": 4}
    assert read.header.spec.quality == {"psnr": 21.5}
    assert read.header.spec.provenance.data == {"name": "ü"}
    assert read.header.spec.fingerprint == fingerprint(written.weights)
    assert read.weights.keys() == written.weights.keys()
    for name, array in written.weights.items():
        assert read.weights[name].dtype == array.dtype
        np.testing.assert_array_equal(read.weights[name], array)
    np.testing.assert_array_equal(read.preview, written.preview)
    np.testing.assert_array_equal(read_preview(path), written.preview)
    assert read_header(path) == read.header
    for found in (read.directions["smiling"], read_directions(path)["smiling"]):
        np.testing.assert_array_equal(found.vector["z"], np.array([0.6, 0.8], np.float32))
        assert (found.scale, found.fingerprint) == (1.5, read.header.spec.fingerprint)


def test_the_same_model_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    write_model(again, read_model(path))
    assert again.read_bytes() == path.read_bytes()


def test_the_fingerprint_sees_names_types_shapes_and_values() -> None:
    plain = {"a": np.arange(6, dtype=np.float32), "b": np.zeros(2, np.float32)}
    others = [
        {"a": plain["a"], "c": plain["b"]},
        {"a": plain["a"].reshape(2, 3), "b": plain["b"]},
        {"a": plain["a"].view(np.int32), "b": plain["b"]},
        {"a": plain["a"] + 1, "b": plain["b"]},
    ]
    marks = {fingerprint(weights) for weights in (plain, *others)}
    assert len(marks) == 5
    assert fingerprint(dict(reversed(plain.items()))) == fingerprint(plain)


def test_figures_that_are_not_finite_are_not_kept(tmp_path: Path) -> None:
    plain = model()
    spec = plain.header.spec.model_copy(update={"quality": {"good": 1.0, "bad": float("nan")}})
    path = tmp_path / "nan.safetensors"
    write_model(path, model(header=plain.header.model_copy(update={"spec": spec})))
    assert read_header(path).spec.quality == {"good": 1.0}


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def put(path: Path, header: Any, body: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def refused(path: Path, *readers: Callable[[Path], Any]) -> str:
    found = set()
    for reader in readers or READERS:
        with pytest.raises(LatentLabError) as caught:
            reader(path)
        found.add(caught.value.message)
    assert len(found) == 1
    message = found.pop()
    assert "\n" not in message
    return message


class Payload:
    """What unpickling would run."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (open, (str(self.marker), "w"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a whole safetensors file"),
        (b"\x01\x02", "not a whole safetensors file"),
        ((2**60).to_bytes(8, "little") + b"{}", "not a whole safetensors file"),
        ((40 * 2**20).to_bytes(8, "little") + bytes(41 * 2**20), "not a whole safetensors file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "not a whole safetensors file"),
        ((2).to_bytes(8, "little") + b"{]", "not a whole safetensors file"),
        ((2).to_bytes(8, "little") + b"{}", "holds tensors but no LatentLab model"),
    ],
    ids=["empty", "two bytes", "enormous", "too long", "png", "no json", "foreign"],
)
def test_files_of_other_kinds(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    assert words in refused(path)


def test_a_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    path, marker = tmp_path / "pickle.safetensors", tmp_path / "executed"
    path.write_bytes(pickle.dumps(Payload(marker)))
    assert "not a whole safetensors file" in refused(path)
    assert not marker.exists()


@pytest.mark.parametrize("missing", [1, 20, 400])
def test_truncated_files(path: Path, missing: int) -> None:
    path.write_bytes(path.read_bytes()[:-missing])
    assert "truncated" in refused(path, *READERS, read_preview)


def test_places_that_are_no_files(tmp_path: Path) -> None:
    assert "is not a file" in refused(tmp_path, *READERS, read_preview)
    assert "There is no file" in refused(tmp_path / "absent", *READERS, read_preview)


def edited(path: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    header, body = parts(path)
    description = json.loads(header["__metadata__"]["latentlab"])
    edit(description)
    header["__metadata__"]["latentlab"] = json.dumps(description)
    put(path, header, body)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d.update(format_version=3), "newer LatentLab (format 3"),
        (lambda d: d.update(format_version=0), "is damaged"),
        (lambda d: d.update(format_version="one"), "is damaged"),
        (lambda d: d.pop("config"), "is damaged"),
        (lambda d: d.update(surplus=1), "is damaged"),
        (lambda d: d["spec"].update(image_shape=[3, 8]), "is damaged"),
        (lambda d: d["spec"]["quality"].update(psnr=float("nan")), "is damaged"),
        (lambda d: d["spec"].update(capabilities=["fly"]), "is damaged"),
    ],
)
def test_damaged_descriptions(path: Path, edit: Any, words: str) -> None:
    edited(path, edit)
    assert words in refused(path)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 300_000])
def test_descriptions_that_are_no_table(path: Path, text: str) -> None:
    header, body = parts(path)
    header["__metadata__"]["latentlab"] = text
    put(path, header, body)
    assert "is damaged" in refused(path)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d["directions"].append(d["directions"][0]), "is there twice"),
        (lambda d: d["directions"][0].update(space="w"), "does not have"),
        (lambda d: d["directions"][0].update(name="other"), "is not a unit vector"),
        (lambda d: d["directions"][0].update(scale=0.0), "has no positive scale"),
        (lambda d: d["spec"]["spaces"][0]["parts"][0].update(shape=[3]), "not space 'z'"),
    ],
)
def test_damaged_directions(path: Path, edit: Any, words: str) -> None:
    edited(path, edit)
    assert words in refused(path, read_directions, read_model)


def test_changed_weights_do_not_match_the_fingerprint(path: Path) -> None:
    data = bytearray(path.read_bytes())
    header, body = parts(path)
    start = len(data) - len(body) + header["net.a.weight"]["data_offsets"][0]
    data[start] ^= 1
    path.write_bytes(data)
    assert read_header(path).spec.id == "small"
    assert "are not the ones that it describes" in refused(path, read_model)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(tmp_path: Path, value: float) -> None:
    path = tmp_path / "broken.safetensors"
    write_model(path, model(weights={"a": np.array([1, value], np.float32)}))
    assert "not finite" in refused(path, read_model)


def test_types_that_numpy_does_not_know(path: Path) -> None:
    header, body = parts(path)
    header["net.a.weight"]["dtype"] = "BF16"
    put(path, header, body)
    assert "Tensor 'net.a.weight'" in refused(path, read_model)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 2), (0, 5, 3)])
def test_previews_that_are_no_pictures(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "preview.safetensors"
    write_model(path, model(preview=np.zeros(shape, np.uint8)))
    assert "picture inside" in refused(path, read_preview, read_model)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("bug")])
def test_a_write_that_fails_leaves_the_old_file(path: Path, error: Exception) -> None:
    before = path.read_bytes()

    def write(target: Path) -> None:
        target.write_bytes(b"half")
        raise error

    expected = LatentLabError if isinstance(error, OSError) else RuntimeError
    with pytest.raises(expected, match=r"No space left|bug"):
        replace_file(path, write)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
