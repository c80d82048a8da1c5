from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentlab.backends.images import from_levels, quantise
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents, content_hash
from latentlab.core.noise import noise
from latentlab.core.pictures import stored_hashes
from latentlab.core.requests import PreviewRequest, PreviewResult
from latentlab.services.renderer import (
    MICRO_BATCH,
    Renderer,
    decode_exact,
    encode_photo,
    psnr,
    sample_exact,
)
from tests.backends.factories import small_vae
from tests.services.models import library, unit, write_vae


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_vae(folder / "small.safetensors", "small")
    write_vae(folder / "grey.safetensors", "grey", channels=1, image_size=16)
    write_vae(folder / "class.safetensors", "class", class_names=("cat", "dog"))
    return folder


@pytest.fixture(scope="module")
def renderer(folder: Path) -> Renderer:
    return Renderer(library(folder))


def picture(**changes: Any) -> Picture:
    return Picture(**{"model": "small", "space": "z", "seeds": (3, 1, 4), **changes})


def ask(renderer: Renderer, what: Picture, **changes: Any) -> PreviewResult:
    request = PreviewRequest("canvas", 7, what, **changes)
    (result,) = renderer.render(request)
    assert (result.channel, result.sequence) == ("canvas", 7)
    return result


def test_bytes_are_the_rounded_levels() -> None:
    values = torch.tensor([-9.0, -1.0, -0.5, 0.0, 0.25, 1.0, 9.0])
    levels = quantise(values.reshape(1, 1, 1, -1)).flatten().tolist()
    # By hand: (x + 1) * 127.5, halves to even, cut to 0..255.
    assert levels == [0, 0, 64, 128, 159, 255, 255]


def test_every_byte_survives_the_way_in_and_out() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    image = np.concatenate([image, image[:, ::-1], image[:, :, ::-1]], axis=-1)
    tensor = from_levels(image)
    assert tuple(tensor.shape) == (1, 3, 16, 16)
    assert (float(tensor.min()), float(tensor.max())) == (-1.0, 1.0)
    assert np.array_equal(quantise(tensor).numpy(), image)


@pytest.mark.parametrize("model", ["small", "grey"])
def test_a_kept_row_has_the_same_bytes_in_every_batch(renderer: Renderer, model: str) -> None:
    backend = renderer.library.backend(model)
    latents = sample_exact(backend, "z", tuple(range(19)), 1.0)
    together = decode_exact(backend, latents)
    assert together.shape == (19, *backend.spec.image_shape[1:], backend.spec.image_shape[0])
    assert together.std() > 5
    for row in (0, 7, 8, 18):
        assert np.array_equal(decode_exact(backend, latents.rows(row))[0], together[row])
    assert np.array_equal(decode_exact(backend, latents.rows(5, 19)), together[5:])
    assert len({content_hash(image) for image in together}) == 19


def test_the_network_sees_one_batch_size_only(renderer: Renderer) -> None:
    backend = renderer.library.backend("small")
    sizes: list[int] = []
    decode = backend.network.decode

    def recorded(z: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        sizes.append(len(z))
        return decode(z, condition)

    backend.network.decode = recorded
    try:
        latents = sample_exact(backend, "z", tuple(range(11)), 1.0)
        decode_exact(backend, latents)
        assert sizes == [MICRO_BATCH, MICRO_BATCH]
        ask(renderer, picture(seeds=tuple(range(11))))
        assert sizes[2:] == [11]
    finally:
        del backend.network.decode


def test_the_prior_depends_on_each_seed_alone(renderer: Renderer) -> None:
    backend = renderer.library.backend("small")
    latents = sample_exact(backend, "z", (5, 2**40, 5), 0.5)
    expected = np.stack([0.5 * noise(seed, "prior.z", 0, (8,)) for seed in (5, 2**40, 5)])
    assert np.array_equal(latents["z"], expected)


def test_a_preview_shows_what_the_network_makes(renderer: Renderer) -> None:
    result = ask(renderer, picture(edits={"smiling": 2.0, "eyeglasses": -1.0}))
    base = np.stack([noise(seed, "prior.z", 0, (8,)) for seed in (3, 1, 4)]).astype(np.float64)
    moved = base + 2.0 * 1.5 * unit(0) - 1.0 * 1.5 * unit(1)
    assert result.failure is None
    assert result.latents is not None
    assert result.images is not None
    assert result.latents["z"] == pytest.approx(moved, abs=1e-6)
    backend = renderer.library.backend("small")
    with torch.inference_mode():
        direct = backend.decode({"z": torch.from_numpy(moved.astype(np.float32))})
    expected = ((direct.double() + 1) * 127.5).clamp(0, 255).permute(0, 2, 3, 1).numpy()
    assert np.abs(result.images - expected).max() <= 0.51
    assert not result.images.flags.writeable
    assert result.total_ms >= result.forward_ms > 0


def test_an_exact_preview_is_what_is_exported(renderer: Renderer) -> None:
    what = picture(edits={"smiling": 0.7})
    result = ask(renderer, what, exact=True)
    images, latents = renderer.exact(what)
    assert result.images is not None
    assert result.latents is not None
    assert np.array_equal(result.images, images)
    assert np.array_equal(result.latents["z"], latents["z"])
    quick = ask(renderer, what)
    assert quick.images is not None
    assert np.abs(quick.images.astype(int) - images).max() <= 1


def test_stored_latents_are_decoded_as_they_are(renderer: Renderer) -> None:
    stored = Latents("z", {"z": np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)})
    what = picture(seeds=(), stored=stored_hashes(stored))
    result = ask(renderer, what, stored=stored)
    assert result.latents is not None
    assert np.array_equal(result.latents["z"], stored["z"])
    failure = ask(renderer, what).failure
    assert failure is not None
    assert "no longer here" in failure.message


def test_a_condition_changes_the_picture(renderer: Renderer) -> None:
    cat = ask(renderer, picture(model="class", condition=Condition(class_index=0))).images
    dog = ask(renderer, picture(model="class", condition=Condition(class_index=1))).images
    assert cat is not None
    assert dog is not None
    assert (cat != dog).any()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "model": (
        {"model": "none"},
        "portraits-vae-2d, portraits-diffusion, portraits-flow, class, grey, small",
    ),
    "space": ({"space": "w"}, "has no space 'w'"),
    "direction": ({"edits": {"hat": 1.0}}, "no direction 'hat'"),
    "nothing": ({"seeds": ()}, "neither seeds nor latents"),
    "option": ({"options": {"psi": 0.5}}, "no decoding option"),
    "condition": ({"condition": Condition(class_index=1)}, "takes no condition"),
    "slider": ({"edits": {"smiling": float("nan")}}, "cannot move by nan"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("exact", [False, True])
def test_an_error_is_a_result(name: str, exact: bool, renderer: Renderer) -> None:
    changes, sentence = WRONG[name]
    result = ask(renderer, picture(**changes), exact=exact)
    assert result.images is None
    assert result.failure is not None
    assert sentence in result.failure.message
    assert ask(renderer, picture(), exact=exact).failure is None


def break_network(backend: Any) -> None:
    """Give a batch norm of the decoder a gain that is not finite, as a broken run would."""
    name = [n for n, _ in backend.network.named_parameters() if n.startswith("decod")][-1]
    dict(backend.network.named_parameters())[name].data.fill_(float("nan"))


@pytest.mark.parametrize("exact", [False, True])
def test_values_that_are_not_finite_are_told_not_shown(folder: Path, exact: bool) -> None:
    renderer = Renderer(library(folder))
    break_network(renderer.library.backend("small"))
    result = ask(renderer, picture(), exact=exact)
    assert result.images is None
    assert result.failure is not None
    assert "The network gave values that are not finite" in result.failure.message


def test_latents_of_another_model_are_an_error(renderer: Renderer) -> None:
    for array in (np.zeros((1, 9), np.float32), np.full((1, 8), np.nan, np.float32)):
        stored = Latents("z", {"z": array})
        failure = ask(
            renderer, picture(seeds=(), stored=stored_hashes(stored)), stored=stored
        ).failure
        assert failure is not None
        assert "choose" in failure.message


def test_an_unexpected_error_carries_its_details(renderer: Renderer) -> None:
    backend = renderer.library.backend("small")

    def broken(*_: Any, **__: Any) -> torch.Tensor:
        raise ZeroDivisionError("inside")

    backend.decode = broken
    try:
        failure = ask(renderer, picture()).failure
    finally:
        del backend.decode
    assert failure is not None
    assert "ZeroDivisionError" in failure.message
    assert "Traceback" in failure.details


@pytest.mark.parametrize("model", ["small", "grey"])
def test_a_photograph_becomes_latents_and_its_error(renderer: Renderer, model: str) -> None:
    backend = renderer.library.backend(model)
    channels, height, width = backend.spec.image_shape
    photo = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    (update,) = encode_photo(backend, photo)
    # The independent way: the bare network on one image, in float32 without the micro-batch.
    with torch.inference_mode():
        tensor = torch.from_numpy(photo.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        mean, _ = backend.network.encode(tensor, None)
    assert update.latents["z"] == pytest.approx(mean.numpy(), abs=1e-4)
    error = np.mean((photo.astype(float) - update.reconstruction.astype(float)) ** 2)
    assert update.residual_psnr == pytest.approx(20 * np.log10(255) - 10 * np.log10(error))
    assert np.array_equal(update.reconstruction, decode_exact(backend, update.latents)[0])
    (again,) = encode_photo(backend, photo)
    assert np.array_equal(update.latents["z"], again.latents["z"])


def test_a_photograph_of_another_shape_is_refused(renderer: Renderer) -> None:
    backend = renderer.library.backend("small")
    for image in (np.zeros((32, 32, 1), np.uint8), np.zeros((32, 32, 3), np.float32)):
        with pytest.raises(LatentLabError, match="photograph"):
            next(encode_photo(backend, image))  # type: ignore[arg-type]


def test_a_model_that_cannot_encode_says_so() -> None:
    backend = small_vae()
    backend.spec = backend.spec.model_copy(update={"capabilities": ("sample", "decode")})
    with pytest.raises(LatentLabError, match="cannot take a photograph"):
        next(encode_photo(backend, np.zeros((32, 32, 3), np.uint8)))


def test_psnr_of_known_errors() -> None:
    black = np.zeros((2, 2, 3), np.uint8)
    assert psnr(black, black) == float("inf")
    assert psnr(black, black + 255) == pytest.approx(0)
    assert psnr(black, black + 1) == pytest.approx(48.1308, abs=1e-4)


@pytest.mark.gpu
def test_a_gpu_gives_nearly_the_same_bytes(folder: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    on_gpu = library(folder)
    on_gpu.set_device("cuda")
    here, there = Renderer(library(folder)), Renderer(on_gpu)
    what = picture(seeds=tuple(range(20)), edits={"smiling": 1.0})
    assert on_gpu.backend("small").device.type == "cuda"
    expected, _ = here.exact(what)
    for exact in (False, True):
        found = ask(there, what, exact=exact).images
        assert found is not None
        difference = np.abs(found.astype(int) - expected)
        assert difference.max() <= 2
        assert (difference > 0).mean() < 0.02
    latents = sample_exact(on_gpu.backend("small"), "z", tuple(range(20)), 1.0)
    together = decode_exact(on_gpu.backend("small"), latents)
    alone = decode_exact(on_gpu.backend("small"), latents.rows(13))
    assert np.array_equal(alone[0], together[13])
    break_network(on_gpu.backend("small"))
    wrong = ask(there, picture())
    assert wrong.failure is not None
    assert "not finite" in wrong.failure.message
