"""Direction files: the round trip, and everything that is not one."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from safetensors.numpy import save_file

from latentlab.core.direction import Direction, apply_edits
from latentlab.core.directionfile import load_direction, save_direction
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents


def direction(**changes) -> Direction:
    values = {"name": "smiling", "space": "z", "vector": {"z": np.array([0.6, 0.8], np.float32)}}
    values |= {"scale": 1.5, "method": "logistic", "fingerprint": "ab", "provenance": {"auc": 0.9}}
    return Direction(**(values | changes))


def test_round_trip(tmp_path) -> None:
    path = tmp_path / "smile.safetensors"
    save_direction(path, direction())
    again = load_direction(path)
    assert (again.name, again.space, again.scale, again.method) == ("smiling", "z", 1.5, "logistic")
    assert dict(again.provenance) == {"auc": 0.9}
    np.testing.assert_array_equal(again.vector["z"], direction().vector["z"])


def test_edits_are_sums_of_scaled_unit_vectors() -> None:
    other = direction(name="age", vector={"z": np.array([1, 0], np.float32)}, scale=2.0)
    start = Latents("z", {"z": np.array([[1, 1], [0, 0]], np.float32)})
    known = {"smiling": direction(), "age": other}
    moved = apply_edits(start, {"smiling": 2.0, "age": -1.0}, known)
    expected = np.array([[1, 1], [0, 0]]) + 2 * 1.5 * np.array([0.6, 0.8]) - 2 * np.array([1, 0])
    np.testing.assert_allclose(moved["z"], expected, rtol=1e-6)
    assert apply_edits(start, {"smiling": 0.0}, known) is start
    with pytest.raises(LatentLabError, match="no direction 'hat'"):
        apply_edits(start, {"hat": 1.0}, known)
    with pytest.raises(LatentLabError, match="moves in space"):
        apply_edits(Latents("w", start.parts), {"smiling": 1.0}, known)


@pytest.mark.parametrize(
    "changes",
    [{"scale": 0.0}, {"scale": float("nan")}, {"vector": {"z": np.array([3, 4], np.float32)}}],
)
def test_no_direction_without_unit_length_and_scale(changes) -> None:
    with pytest.raises(LatentLabError):
        direction(**changes)


class Payload:
    """What unpickling would run."""

    def __reduce__(self):
        return (open, (str(Payload.marker), "w"))


def test_other_files_are_one_sentence(tmp_path) -> None:
    good = tmp_path / "good.safetensors"
    save_direction(good, direction())
    Payload.marker = tmp_path / "executed"
    plain = tmp_path / "plain.safetensors"
    save_file({"z": np.ones(2, np.float32)}, plain)
    contents = {
        "empty": b"",
        "truncated": good.read_bytes()[:-3],
        "pickle": pickle.dumps(Payload()),
        "header": (2**62).to_bytes(8, "little") + b"{}",
    }
    paths = [tmp_path / "missing.safetensors", tmp_path, plain]
    for name, content in contents.items():
        paths.append(tmp_path / f"{name}.safetensors")
        paths[-1].write_bytes(content)
    for path in paths:
        with pytest.raises(LatentLabError) as caught:
            load_direction(path)
        assert "\n" not in caught.value.message
    assert not Payload.marker.exists()
