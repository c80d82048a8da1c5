from __future__ import annotations

import io
import pickle
import subprocess
import sys
import types
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents, content_hash
from latentlab.core.modelfile import read_directions
from latentlab.core.pictures import stored_hashes
from latentlab.services.commands import Layout, export_picture
from latentlab.services.export import save_latents
from latentlab.services.photo import (
    encode_photo_job,
    export_latents_job,
    export_png_job,
    import_latents_job,
    open_model_job,
    store_directions_job,
)
from latentlab.services.png import png_metadata, save_png
from latentlab.services.renderer import Renderer
from tests.services.models import library, write_vae


def finish(job: Generator[Any, None, Any], turns: list[Any] | None = None) -> Any:
    """Run a job to its end, as the worker does, and return its value."""
    while True:
        try:
            turn = next(job)
        except StopIteration as end:
            return end.value
        if turns is not None:
            turns.append(turn)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("latentlab.services.library.BUNDLED_MODELS", ())
    (tmp_path / "models").mkdir()
    write_vae(tmp_path / "models" / "a.safetensors", "faces")
    write_vae(tmp_path / "models" / "b.safetensors", "grey", channels=1, image_size=16)
    renderer = Renderer(library(tmp_path / "models"))
    return types.SimpleNamespace(library=renderer.library, renderer=renderer)


def pixels(height: int = 50, width: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_opening_a_model_tells_what_it_can_do(context: Any) -> None:
    turns: list[Any] = []
    opened = finish(open_model_job(context, model="faces"), turns)
    assert opened.spec.id == opened.entry.id == "faces"
    assert set(opened.directions) == {"smiling", "eyeglasses"}
    assert opened.device == "cpu"
    assert [turn[:2] for turn in turns] == [(0, 1), (1, 1)]
    assert set(pickle.loads(pickle.dumps(opened)).directions) == {"smiling", "eyeglasses"}
    with pytest.raises(LatentLabError, match="known: faces, grey"):
        finish(open_model_job(context, model="none"))


@pytest.mark.parametrize("model", ["faces", "grey"])
def test_a_photograph_is_encoded_from_a_file_its_bytes_or_its_pixels(
    context: Any, model: str, tmp_path: Path
) -> None:
    path = tmp_path / "ada.png"
    Image.fromarray(pixels()).save(path)
    turns: list[Any] = []
    found = finish(encode_photo_job(context, model=model, photo=path), turns)
    spec = context.library.backend(model).spec
    channels, height, width = spec.image_shape
    assert found.photo.shape == found.reconstruction.shape == (height, width, channels)
    assert found.picture.photo == content_hash(found.photo)
    assert found.picture.photo_path == str(path)
    assert found.picture.name == "ada"
    assert found.picture.stored == stored_hashes(found.latents)
    assert found.encode_kind == "amortised"
    error = np.square(found.photo.astype(float) - found.reconstruction).mean()
    assert found.residual_psnr == pytest.approx(10 * np.log10(255**2 / error))
    assert turns[-1][3].residual_psnr == found.residual_psnr
    from_bytes = finish(encode_photo_job(context, model=model, photo=path.read_bytes()))
    from_pixels = finish(encode_photo_job(context, model=model, photo=pixels()))
    assert from_bytes.picture.stored == from_pixels.picture.stored == found.picture.stored
    assert from_pixels.picture.photo_path is None


def test_results_are_unpacked_without_torch(context: Any, tmp_path: Path) -> None:
    what = Picture(model="faces", space="z", seeds=(1,))
    path = tmp_path / "a.png"
    export_picture(context.library, path, what)
    results = [
        finish(open_model_job(context, model="faces")),
        finish(import_latents_job(context, path=path, model="faces")),
    ]
    (tmp_path / "results").write_bytes(pickle.dumps(results))
    code = (
        "import pickle, sys; from pathlib import Path\n"
        "opened, imported = pickle.loads(Path(sys.argv[1]).read_bytes())\n"
        "print(opened.spec.id, imported.picture.seeds, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "results")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "faces (1,) False"


def test_what_is_no_photograph_is_one_sentence(context: Any, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    whole = io.BytesIO()
    Image.fromarray(pixels()).save(whole, format="PNG")
    for photo in (
        tmp_path / "none.png",
        tmp_path / "a.png",
        b"",
        whole.getvalue()[:200],
        pickle.dumps({}),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ):
        with pytest.raises(LatentLabError) as caught:
            finish(encode_photo_job(context, model="faces", photo=photo))
        assert "\n" not in caught.value.message


def test_a_png_export_reports_progress_and_can_be_dropped_back(
    context: Any, tmp_path: Path
) -> None:
    what = Picture(model="faces", space="z", seeds=tuple(range(20)), edits={"smiling": 1.0})
    turns: list[Any] = []
    path = finish(
        export_png_job(context, path=tmp_path / "a.png", picture=what, layout=Layout(scale=2)),
        turns,
    )
    assert path == tmp_path / "a.png"
    assert [turn[0] for turn in turns] == [0, 8, 16, 20]
    back = finish(import_latents_job(context, path=path, model="grey"))
    assert back.picture.seeds == what.seeds
    assert back.picture.edits == what.edits
    assert back.picture.model == "faces"
    assert back.stored is None
    assert back.note is None


def test_a_cancelled_export_leaves_no_file(context: Any, tmp_path: Path) -> None:
    what = Picture(model="faces", space="z", seeds=tuple(range(20)))
    job = export_png_job(context, path=tmp_path / "a.png", picture=what)
    next(job)
    next(job)
    job.close()
    assert not list(tmp_path.glob("*.png*"))


def test_a_dropped_png_finds_its_weights_under_another_name(context: Any, tmp_path: Path) -> None:
    what = Picture(model="faces", space="z", seeds=(1,))
    export_picture(context.library, tmp_path / "a.png", what)
    (tmp_path / "other").mkdir()
    write_vae(tmp_path / "other" / "0.safetensors", "faces", bump=1)
    copy = (tmp_path / "models" / "a.safetensors").read_bytes()
    (tmp_path / "other" / "1.safetensors").write_bytes(copy)
    other = Renderer(library(tmp_path / "other"))
    there = types.SimpleNamespace(library=other.library, renderer=other)
    back = finish(import_latents_job(there, path=tmp_path / "a.png", model="faces"))
    assert back.picture.model.startswith("faces@")
    assert back.note is None
    (tmp_path / "other" / "1.safetensors").unlink()
    back = finish(import_latents_job(there, path=tmp_path / "a.png", model="faces"))
    assert back.picture.model == "faces"
    assert "other weights" in back.note


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_exported_latents_hold_the_edits_and_come_back(
    context: Any, suffix: str, tmp_path: Path
) -> None:
    what = Picture(model="faces", space="z", seeds=(4, 5), edits={"smiling": 2.0})
    path = tmp_path / f"a{suffix}"
    finish(export_latents_job(context, path=path, picture=what))
    back = finish(import_latents_job(context, path=path, model="faces"))
    images, latents = context.renderer.exact(what)
    assert np.array_equal(back.stored["z"], latents["z"])
    assert back.picture.edits == {}
    assert np.array_equal(context.renderer.exact(back.picture, back.stored)[0], images)
    assert back.note is None


def test_latents_of_another_model_are_refused(context: Any, tmp_path: Path) -> None:
    save_latents(tmp_path / "a.npz", Latents("z", {"z": np.zeros((1, 9), np.float32)}))
    with pytest.raises(LatentLabError, match="choose latents of this model"):
        finish(import_latents_job(context, path=tmp_path / "a.npz", model="faces"))
    Image.fromarray(pixels()).save(tmp_path / "a.png")
    with pytest.raises(LatentLabError, match="not made by LatentLab"):
        finish(import_latents_job(context, path=tmp_path / "a.png", model="faces"))


def own(**changes: Any) -> Direction:
    vector = np.zeros(8, np.float32)
    vector[3], vector[6] = 0.8, -0.6
    values = {"name": "mine", "space": "z", "vector": {"z": vector}, "scale": 1.4, "method": "pca"}
    return Direction(**(values | changes))


def test_own_directions_go_with_exports_and_come_back(context: Any, tmp_path: Path) -> None:
    what = Picture(model="faces", space="z", seeds=(4, 5), edits={"mine": 2.0, "smiling": 1.0})
    known = {"mine": own()}
    images, latents = context.renderer.exact(what, None, known)
    path = finish(export_png_job(context, path=tmp_path / "a.png", picture=what, directions=known))
    back = finish(import_latents_job(context, path=path, model="grey"))
    assert back.picture.edits == what.edits
    again = context.renderer.exact(back.picture, back.stored, back.directions)[0]
    assert np.array_equal(again, images)
    path = tmp_path / "a.npz"
    finish(export_latents_job(context, path=path, picture=what, directions=known))
    back = finish(import_latents_job(context, path=path, model="faces"))
    assert np.array_equal(back.stored["z"], latents["z"])
    assert back.directions == {}


def test_directions_of_another_shape_do_not_come_with_a_png(context: Any, tmp_path: Path) -> None:
    what = Picture(model="faces", space="z", seeds=(4,), edits={"mine": 2.0})
    known = {"mine": own(vector={"z": np.eye(9, dtype=np.float32)[0]})}
    texts = png_metadata(what, None, "latentlab", known)
    save_png(tmp_path / "a.png", pixels(6, 6)[None], metadata=texts)
    with pytest.raises(LatentLabError, match="fit it on this model"):
        finish(import_latents_job(context, path=tmp_path / "a.png", model="faces"))


def test_a_direction_is_put_into_the_models_file(
    context: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = context.library.resolve("faces").header.spec.fingerprint
    path = finish(
        store_directions_job(context, model="faces", directions={"mine": own(fingerprint=mark)})
    )
    assert set(read_directions(path)) == {"smiling", "eyeglasses", "mine"}
    assert context.library.resolve("faces").header.spec.fingerprint == mark
    what = Picture(model="faces", space="z", seeds=(4,), edits={"mine": 2.0})
    moved = context.renderer.exact(what)[0]
    assert np.array_equal(moved, context.renderer.exact(what, None, {"mine": own()})[0])
    foreign = {"x": own(name="x", fingerprint="cd" * 32)}
    with pytest.raises(LatentLabError, match="other weights"):
        finish(store_directions_job(context, model="faces", directions=foreign))
    monkeypatch.setattr("latentlab.services.library.BUNDLED_MODELS", ("faces",))
    monkeypatch.setattr(
        "latentlab.services.library.asset_path",
        lambda *parts: tmp_path / "models" / "a.safetensors",
    )
    before = path.read_bytes()
    fresh = types.SimpleNamespace(library=library(tmp_path / "models"))
    with pytest.raises(LatentLabError, match="came with LatentLab"):
        finish(store_directions_job(fresh, model="faces", directions={"mine": own()}))
    assert path.read_bytes() == before
