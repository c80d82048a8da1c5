from __future__ import annotations

import pickle
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, content_hash
from latentlab.core.restoration import photo_psnr
from latentlab.data.portraits.dataset import Portraits
from latentlab.services.photo_denoise import (
    SAMPLE_SEED,
    FittedPhoto,
    fit_photo_job,
    invert_photo_job,
    read_condition_job,
    sample_portrait_job,
)
from latentlab.services.renderer import Renderer
from tests.diffusion_models import write_tiny
from tests.services.models import library, write_vae
from tests.services.test_photo import finish


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("models")
    write_tiny(folder / "tiny.safetensors")
    write_tiny(folder / "grey.safetensors", channels=1, attribute_names=())
    write_vae(folder / "faces.safetensors", "faces")
    renderer = Renderer(library(folder))
    return types.SimpleNamespace(library=renderer.library, renderer=renderer)


def smooth(side: int = 16, channels: int = 3) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [120 + 80 * np.sin(3 * x + place) * np.cos(2 * y) for place in range(channels)]
    return np.stack(waves, axis=-1).astype(np.uint8)


@pytest.mark.parametrize(("model", "channels"), [("tiny", 3), ("grey", 1)])
def test_a_photograph_is_fitted_from_a_file_bytes_or_pixels(
    context: Any, model: str, channels: int, tmp_path: Path
) -> None:
    path = tmp_path / "ada.png"
    Image.fromarray(smooth(48)[:, :40]).save(path)
    found = finish(fit_photo_job(context, model=model, photo=str(path)))
    assert found.image.shape == (16, 16, channels)
    assert (found.name, found.width, found.height, found.scaled) == ("ada", 40, 48, True)
    again = finish(fit_photo_job(context, model=model, photo=path.read_bytes()))
    assert np.array_equal(again.image, found.image)
    small = finish(fit_photo_job(context, model=model, photo=smooth(16, channels)))
    assert np.array_equal(small.image, smooth(16, channels))
    assert not small.scaled


def test_what_is_no_photograph_is_one_sentence(context: Any, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    for photo in (tmp_path / "none.png", tmp_path / "a.png", b"", np.zeros((4, 4, 2), np.uint8)):
        with pytest.raises(LatentLabError) as caught:
            finish(fit_photo_job(context, model="tiny", photo=photo))
        assert "\n" not in caught.value.message


def test_sample_portraits_differ_and_are_the_same_each_time(context: Any) -> None:
    first, second = (
        finish(sample_portrait_job(context, model="tiny", index=index)) for index in (0, 1)
    )
    assert first.image.shape == (16, 16, 3)
    assert not np.array_equal(first.image, second.image)
    again = finish(sample_portrait_job(context, model="tiny", index=1))
    assert np.array_equal(again.image, second.image)
    assert second.name == "portrait 2"


def test_inversion_reports_every_evaluation_and_its_picture_comes_back(context: Any) -> None:
    turns: list[Any] = []
    told = Condition(attributes={"smiling": 1.0})
    arguments = {"photo": smooth(), "name": "ada", "steps": 8, "condition": told, "refine": 1}
    found = finish(invert_photo_job(context, model="tiny", **arguments), turns)
    assert sum(turn[2] == "Encoding" for turn in turns) >= 8
    assert found.picture.space == "noise"
    assert found.picture.condition == told
    assert found.picture.name == "ada"
    assert found.picture.photo == content_hash(smooth())
    assert found.latents["noise"].shape == (1, 3, 16, 16)
    assert found.psnr == pytest.approx(photo_psnr(smooth(), found.reconstruction))
    image = context.renderer.exact(found.picture, found.latents)[0][0]
    assert np.array_equal(image, found.reconstruction)
    other = found.picture.model_copy(update={"condition": Condition(attributes={"age": 2.0})})
    assert not np.array_equal(context.renderer.exact(other, found.latents)[0][0], image)


def test_more_steps_lose_less_on_the_way(context: Any) -> None:
    few, many = (
        finish(invert_photo_job(context, model="tiny", photo=smooth(), steps=steps, refine=1))
        for steps in (2, 16)
    )
    assert many.psnr > few.psnr


def test_only_a_diffusion_model_inverts(context: Any) -> None:
    with pytest.raises(LatentLabError, match="no diffusion model"):
        finish(invert_photo_job(context, model="faces", photo=smooth()))


def test_the_probe_reads_what_a_portrait_shows(context: Any) -> None:
    drawn = Portraits(12, SAMPLE_SEED, size=32)
    model = "portraits-diffusion"
    names = context.library.backend(model).spec.attribute_names
    told = [
        finish(read_condition_job(context, model=model, photo=image)).attributes
        for image in drawn.read(np.arange(12))
    ]
    assert {tuple(values) for values in told} == {names}
    labels = drawn.labels
    for name in ("eyeglasses", "wearing_hat", "mustache"):
        assert [values[name] for values in told] == list(labels[name].values)
    for name in ("smiling", "age", "skin_tone"):
        truth = np.array(labels[name].values)
        assert np.abs(truth - [values[name] for values in told]).mean() < 0.2


def test_only_portraits_are_read(context: Any) -> None:
    with pytest.raises(LatentLabError, match="grey"):
        finish(read_condition_job(context, model="grey", photo=smooth(channels=1)))
    with pytest.raises(LatentLabError, match="told none of them"):
        finish(read_condition_job(context, model="faces", photo=smooth()))


def test_results_are_unpacked_without_torch(context: Any, tmp_path: Path) -> None:
    results = [
        FittedPhoto(smooth(), "ada", 16, 16),
        finish(invert_photo_job(context, model="tiny", photo=smooth(), steps=2)),
    ]
    (tmp_path / "results").write_bytes(pickle.dumps(results))
    code = (
        "import pickle, sys; from pathlib import Path\n"
        "fitted, found = pickle.loads(Path(sys.argv[1]).read_bytes())\n"
        "print(fitted.name, found.picture.space, 'torch' in sys.modules)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "results")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "ada noise False"
