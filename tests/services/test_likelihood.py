"""Scoring jobs over a small VAE: numbers against the backend's own, images as they were scored."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from latentlab.core.errors import LatentLabError
from latentlab.core.likelihood import DataChoice, ScoreChunk
from latentlab.core.requests import JobRequest
from latentlab.services.jobs import JobContext, run_job
from latentlab.services.likelihood_images import compressed_bits, faded
from latentlab.services.renderer import Renderer
from tests.services.models import library, write_vae


@pytest.fixture
def context(tmp_path: Path) -> Any:
    write_vae(tmp_path / "small-vae.safetensors", image_size=16)
    write_vae(tmp_path / "plain.safetensors", "plain", image_size=16, variant="autoencoder")
    models = library(tmp_path)
    context = JobContext(models, Renderer(models))
    yield context
    context.lane.stop()


def job(context: Any, kind: str, on_progress: Any = None, **arguments: Any) -> Any:
    return run_job(JobRequest("1", kind, {"model": "small-vae", **arguments}), on_progress, context)


def own(context: Any, levels: np.ndarray, **options: int) -> np.ndarray:
    pixels = torch.from_numpy(levels.astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1
    return context.library.backend("small-vae").log_prob(pixels, options=options).nats.numpy()


def folder_of_images(folder: Path, count: int = 7) -> np.ndarray:
    folder.mkdir()
    levels = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), np.uint8)
    for place, image in enumerate(levels):
        Image.fromarray(image).save(folder / f"face{place}.png")
    return levels


def test_a_data_set_is_scored_image_by_image(context: Any, tmp_path: Path):
    levels = folder_of_images(tmp_path / "faces")
    seen: list[Any] = []
    scores = job(
        context,
        "likelihood_data",
        seen.append,
        data=DataChoice(str(tmp_path / "faces")),
        samples=3,
        seed=5,
    )
    nats = own(context, levels, samples=3, seed=5)
    assert scores.nats == pytest.approx(nats, rel=1e-5)
    assert scores.bits == pytest.approx(-nats / (768 * math.log(2)), rel=1e-5)
    assert scores.names == tuple(f"face{place}.png" for place in range(7))
    assert scores.bound
    chunks = [one.partial for one in seen if isinstance(one.partial, ScoreChunk)]
    assert np.concatenate([chunk.bits for chunk in chunks]) == pytest.approx(scores.bits)
    for index in scores.shown.tolist():
        assert (scores.image(index) == levels[index]).all()


def test_own_samples_and_faded_images(context: Any):
    samples = job(context, "likelihood_data", data=DataChoice("prior", count=5))
    assert len(samples) == 5
    assert samples.rows.tolist() == [0, 1, 2, 3, 4]
    assert samples.nats == pytest.approx(own(context, samples.images, samples=1), rel=1e-5)
    softened = job(context, "likelihood_data", data=DataChoice("prior", count=5, faded=True))
    assert (softened.images == faded(samples.images)).all()
    assert (softened.complexity < samples.complexity).all()


def test_one_picture_and_one_photograph(context: Any):
    from latentlab.services.commands import build_picture

    backend = context.library.backend("small-vae")
    picture = build_picture(backend.spec, seeds=(3,))
    found = job(context, "likelihood_image", picture=picture, samples=2)
    image, _ = context.renderer.exact(picture)
    assert (found.image == image[0]).all()
    assert not found.is_photo
    assert found.nats == pytest.approx(own(context, image, samples=2)[0], rel=1e-5)
    photo = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    other = job(context, "likelihood_image", photo=photo, samples=2)
    assert other.is_photo
    assert other.nats == pytest.approx(own(context, photo[None], samples=2)[0])
    for one in (found, other):
        if one.places is not None:
            assert one.places.shape == (16, 16)
            assert one.places.mean() + one.rest == pytest.approx(one.bits, rel=1e-5)


def test_what_cannot_be_scored_is_said_in_a_sentence(context: Any):
    with pytest.raises(LatentLabError, match="cannot tell how likely"):
        job(context, "likelihood_data", model="plain", data=DataChoice("portraits"))
    with pytest.raises(LatentLabError, match="16, 16, 3"):
        job(context, "likelihood_image", photo=np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(LatentLabError, match="samples"):
        job(context, "likelihood_data", data=DataChoice("prior", count=2), samples=0)
    with pytest.raises(LatentLabError, match="no picture"):
        job(context, "likelihood_image")


def test_a_flow_is_scored_with_its_map(tmp_path: Path):
    from tests.flow_models import write_tiny

    path = tmp_path / "tiny-flow.safetensors"
    write_tiny(path)
    models = library(tmp_path)
    context = JobContext(models, Renderer(models))
    entry = models.resolve(str(path))
    scores = job(context, "likelihood_data", model=entry.id, data=DataChoice("prior", count=6))
    pixels = torch.from_numpy(scores.images.astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1
    backend = models.backend(entry.id)
    direct = backend.log_prob(pixels)
    assert scores.bits[scores.shown] == pytest.approx(direct.bits_per_dim.numpy(), rel=1e-4)
    assert scores.bound
    one = job(context, "likelihood_image", model=entry.id, photo=scores.images[2], samples=1)
    assert one.bits == pytest.approx(scores.bits[scores.shown[2]], rel=1e-4)
    assert one.places is not None
    assert one.places.mean() + one.rest == pytest.approx(one.bits, rel=1e-4)


def test_files_of_scores(context: Any, tmp_path: Path):
    from latentlab.services.likelihood_export import write_extremes, write_scores
    from latentlab.services.likelihood_places import write_places

    scores = job(context, "likelihood_data", data=DataChoice("prior", count=9))
    for name in ("a.png", "a.svg", "a.csv", "b.png"):
        write_scores(tmp_path / name, [scores])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 10
    assert write_extremes(tmp_path / "strip.png", scores, "bits", 5) == 5
    with Image.open(tmp_path / "strip.png") as strip:
        # The least likely image stands first, four times as large.
        worst = scores.image(int(scores.bits.argmax()))
        assert (np.asarray(strip)[8:72:4, 8:72:4] == worst).all()
        assert "likelihood small-vae prior" in strip.text["latentlab:command"]
    for bad in ("a.gif", "a"):
        with pytest.raises(LatentLabError, match="cannot be written"):
            write_scores(tmp_path / bad, [scores])
    found = job(context, "likelihood_image", photo=scores.images[0])
    write_places(tmp_path / "map.csv", found)
    table = np.loadtxt(tmp_path / "map.csv", delimiter=",")
    assert table.mean() + found.rest == pytest.approx(found.bits, rel=1e-4)
    write_places(tmp_path / "map.png", found)
    with pytest.raises(LatentLabError, match="which pixels"):
        write_places(tmp_path / "map.png", replace(found, places=None))


def test_the_compressed_length_counts_pixels_alone():
    flat = np.full((16, 16, 3), 90, np.uint8)
    rows = np.zeros((16, 1 + 48), np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    assert compressed_bits(flat) < 0.5
    assert len(zlib.compress(rows.tobytes(), 9)) * 8 / 768 <= compressed_bits(flat)
    # Noise cannot be compressed: 8 bits a level, and a little for the format.
    assert 8 <= compressed_bits(noise) < 8.7
    assert 4.5 < compressed_bits(noise, bits=5) < 6.5
