from __future__ import annotations

import pickle
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import read_directions
from latentlab.evaluation.fit import store_directions
from latentlab.services.library import ModelLibrary
from tests.backends.factories import small_vae
from tests.services.models import library, write_vae


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder; no bundled models, so that the tests see only their own."""
    monkeypatch.setattr("latentlab.services.library.BUNDLED_MODELS", ())
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_models_are_listed_with_what_the_command_line_shows(folder: Path) -> None:
    header = write_vae(folder / "a.safetensors", "faces")
    (entry,) = library(folder).entries()
    row = entry.row()
    network = small_vae().network
    assert row["id"] == "faces"
    assert row["family"] == "vae"
    assert row["image_shape"] == [3, 32, 32]
    assert [space["name"] for space in row["spaces"]] == ["z"]
    assert {"sample", "decode", "encode"} <= set(row["capabilities"])
    assert row["directions"] == ["smiling", "eyeglasses"]
    assert row["fingerprint"] == header.spec.fingerprint
    assert row["path"] == str(folder / "a.safetensors")
    assert row["parameters"] == sum(t.numel() for t in network.state_dict().values())


def test_listing_imports_no_torch(folder: Path) -> None:
    write_vae(folder / "a.safetensors")
    code = (
        "import sys; from pathlib import Path\n"
        "from latentlab.services import commands, export\n"
        "from latentlab.services.library import ModelLibrary\n"
        "ids = [e.id for e in ModelLibrary([Path(sys.argv[1])]).entries()]\n"
        "assert 'small-vae' in ids, ids\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_a_file_that_is_no_model_is_an_entry_with_its_error(folder: Path) -> None:
    write_vae(folder / "good.safetensors", "good")
    whole = (folder / "good.safetensors").read_bytes()
    bad = {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "header": struct.pack("<Q", 2**40) + b"{}",
        "pickle": pickle.dumps({"a": 1}),
    }
    for name, data in bad.items():
        (folder / f"{name}.safetensors").write_bytes(data)
    models = library(folder)
    entries = {entry.id: entry for entry in models.entries()}
    assert set(entries) == {"good", *bad}
    for name in bad:
        assert entries[name].header is None
        assert "error" in entries[name].row()
        with pytest.raises(LatentLabError, match=name):
            models.backend(name)
    assert models.backend("good").spec.id == "good"


def test_ids_that_come_twice_are_told_apart_in_a_fixed_way(folder: Path) -> None:
    first = write_vae(folder / "a.safetensors", "faces")
    second = write_vae(folder / "b.safetensors", "faces", bump=0.5)
    (folder / "c.safetensors").write_bytes((folder / "a.safetensors").read_bytes())
    (folder / "faces.safetensors").write_bytes(b"broken")
    entries = library(folder).entries()
    mark = second.spec.fingerprint[:8]
    assert first.spec.fingerprint != second.spec.fingerprint
    assert [e.id for e in entries][:2] == ["faces", f"faces@{mark}"]
    assert [e.path.name for e in entries] == ["a.safetensors", "b.safetensors", "faces.safetensors"]
    models = library(folder)
    assert models.resolve("faces").path.name == "a.safetensors"
    assert models.backend(f"faces@{mark}").spec.fingerprint == second.spec.fingerprint
    assert len({e.id for e in entries}) == 3


def test_the_same_weights_with_other_directions_are_another_model(folder: Path) -> None:
    write_vae(folder / "a.safetensors", "faces")
    for name in "bc":
        (folder / f"{name}.safetensors").write_bytes((folder / "a.safetensors").read_bytes())
    stored = read_directions(folder / "a.safetensors")
    turned = replace(stored["smiling"], vector={"z": -stored["smiling"].vector["z"]})
    store_directions(folder / "b.safetensors", {"smiling": turned})
    models = library(folder)
    ids = [entry.id for entry in models.entries()]
    assert [entry.path.name for entry in models.entries()] == ["a.safetensors", "b.safetensors"]
    assert ids[0] == "faces"
    assert ids[1].startswith("faces@")
    kept = models.backend(ids[1]).directions["smiling"]
    assert np.array_equal(kept.vector["z"], turned.vector["z"])
    assert models.add(folder / "c.safetensors").path.name == "a.safetensors"
    # Putting another direction into a file does not change what pictures call it.
    store_directions(folder / "b.safetensors", {"more": replace(turned, name="more")})
    assert [entry.id for entry in models.entries()] == ids
    assert set(models.backend(ids[1]).directions) == {"smiling", "eyeglasses", "more"}


def test_an_unknown_id_lists_the_known_ones(folder: Path) -> None:
    write_vae(folder / "a.safetensors", "faces")
    write_vae(folder / "b.safetensors", "cats", bump=1)
    with pytest.raises(LatentLabError, match="known: faces, cats"):
        library(folder).backend("dogs")
    with pytest.raises(LatentLabError, match="There is no file"):
        library(folder).backend("dogs.safetensors")


def test_a_file_anywhere_can_be_named_by_its_path(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.safetensors"
    write_vae(path, "away")
    models = library(folder)
    assert models.entries() == []
    assert models.backend(str(path)).spec.id == "away"
    assert models.resolve("away").path == path
    assert not models.resolve("away").portable
    assert models.add(path).id == "away"
    assert len(models.entries()) == 1


def test_adding_a_copy_gives_the_entry_that_is_there(folder: Path, tmp_path: Path) -> None:
    write_vae(folder / "a.safetensors", "faces")
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes((folder / "a.safetensors").read_bytes())
    assert library(folder).add(copy).path == folder / "a.safetensors"


def test_a_damaged_copy_is_said_and_never_answered_by_the_original(
    folder: Path, tmp_path: Path
) -> None:
    write_vae(folder / "a.safetensors", "faces")
    damaged = bytearray((folder / "a.safetensors").read_bytes())
    # The last numbers of the last tensor become NaN; the header stays whole.
    damaged[-8:] = b"\xff" * 8
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(damaged)
    models = library(folder)
    with pytest.raises(LatentLabError, match=r"not finite|not the ones that it describes"):
        models.resolve(str(copy))
    assert [entry.path for entry in models.entries()] == [folder / "a.safetensors"]


def test_adding_what_is_no_model_changes_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"no")
    models = library(folder)
    with pytest.raises(LatentLabError, match=r"x\.safetensors"):
        models.add(tmp_path / "x.safetensors")
    assert models.entries() == []


def test_an_id_is_safe_in_a_terminal(folder: Path) -> None:
    write_vae(folder / "a.safetensors", "\x1b[31m; rm -rf $HOME")
    (entry,) = library(folder).entries()
    assert entry.id.isascii()
    assert not set(entry.id) & set("\x1b;$ ")


def test_the_models_of_the_own_folder_have_portable_ids(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "home" / "data" / "models"
    own.mkdir(parents=True)
    write_vae(own / "a.safetensors", "mine")
    assert ModelLibrary(device="cpu").resolve("mine").portable
    assert not library(folder).add(own / "a.safetensors").portable


def test_a_loaded_model_is_used_again_until_its_file_changes(folder: Path) -> None:
    write_vae(folder / "a.safetensors", "faces")
    models = library(folder)
    first = models.backend("faces")
    assert models.backend("faces") is first
    assert models.backend(str(folder / "a.safetensors")) is first
    header = write_vae(folder / "a.safetensors", "faces", bump=0.5)
    again = models.backend("faces")
    assert again is not first
    assert again.spec.fingerprint == header.spec.fingerprint


def test_the_least_recently_used_model_goes_first(folder: Path) -> None:
    for i, name in enumerate(("a", "b", "c")):
        write_vae(folder / f"{name}.safetensors", name, bump=i)
    size = library(folder).entries()[0].parameters * 4
    models = library(folder, limit_bytes=2 * size)
    first = models.backend("a")
    models.backend("b")
    models.backend("a")
    models.backend("c")
    assert [path.stem for path in models.loaded] == ["a", "c"]
    assert models.loaded_bytes == 2 * size
    assert models.backend("a") is first
    tiny = library(folder, limit_bytes=1)
    tiny.backend("a")
    tiny.backend("b")
    assert [path.stem for path in tiny.loaded] == ["b"]


def test_a_model_moves_to_the_device_that_was_chosen(folder: Path) -> None:
    write_vae(folder / "a.safetensors", "faces")
    models = library(folder)
    assert models.backend("faces").device.type == "cpu"
    with pytest.raises(LatentLabError, match="no device"):
        models.set_device("cuda:97")
    with pytest.raises(LatentLabError, match="no device"):
        models.set_device("toaster")
    assert models.backend("faces").device.type == "cpu"


def test_the_card_has_its_picture(folder: Path) -> None:
    picture = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    write_vae(folder / "a.safetensors", "a", preview=picture)
    write_vae(folder / "b.safetensors", "b", bump=1)
    models = library(folder)
    found = models.preview("a")
    assert found is not None
    assert np.array_equal(found, picture)
    assert models.preview("b") is None


def test_missing_folders_are_skipped(tmp_path: Path, folder: Path) -> None:
    assert ModelLibrary([tmp_path / "none", folder]).entries() == []
