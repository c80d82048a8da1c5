"""What every backend must keep, whatever its family."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentlab.backends.base import (
    Backend,
    Encodes,
    MapsLogProb,
    ScoresLogProb,
    StepsToImage,
)
from latentlab.backends.checkpoint import backend_from, load_backend, state_arrays
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents
from latentlab.core.modelfile import ModelHeader, StoredModel, write_model
from tests.backends.factories import BACKENDS, QUICK_ENCODE

SEEDS = [3, 0, 2**40, 7, 8]


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Backend:
    return BACKENDS[request.param]()


def images_of(backend: Backend, count: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.rand((count, *backend.spec.image_shape), generator=generator) * 2 - 1


def test_capabilities_are_what_it_can_do(backend: Backend) -> None:
    assert isinstance(backend, Backend)
    assert ("encode" in backend.spec.capabilities) == isinstance(backend, Encodes)
    assert ("encode" in backend.spec.capabilities) == (backend.spec.encode_kind is not None)
    assert ("steps" in backend.spec.capabilities) == isinstance(backend, StepsToImage)
    if "log_prob" in backend.spec.capabilities:
        assert isinstance(backend, ScoresLogProb)


def test_every_space_samples_what_it_declares(backend: Backend) -> None:
    for space in backend.spec.spaces:
        parts = backend.sample_prior(space.name, SEEDS)
        Latents(space.name, {n: t.cpu().numpy() for n, t in parts.items()}).check(space)
    with pytest.raises(KeyError):
        backend.sample_prior("no such space", SEEDS)


def test_a_sample_depends_on_its_own_seed_alone(backend: Backend) -> None:
    space = backend.spec.spaces[0].name
    together = backend.sample_prior(space, SEEDS)
    for row, seed in enumerate(SEEDS):
        alone = backend.sample_prior(space, [seed])
        for name, part in alone.items():
            assert torch.equal(part[0], together[name][row])
    other = backend.sample_prior(space, [4])
    assert any(not torch.equal(part[0], together[name][0]) for name, part in other.items())


def test_temperature_scales_around_the_mean(backend: Backend) -> None:
    space = backend.spec.spaces[0].name
    centre = backend.sample_prior(space, SEEDS, temperature=0.0)
    one = backend.sample_prior(space, SEEDS)
    half = backend.sample_prior(space, SEEDS, temperature=0.5)
    assert any(not torch.equal(one[name], centre[name]) for name in one)
    for name in one:
        torch.testing.assert_close(half[name], centre[name] + 0.5 * (one[name] - centre[name]))


def test_decode_gives_finite_images_in_range(backend: Backend) -> None:
    space = backend.spec.spaces[0].name
    images = backend.decode(backend.sample_prior(space, SEEDS))
    assert images.dtype == torch.float32
    assert tuple(images.shape) == (len(SEEDS), *backend.spec.image_shape)
    assert torch.isfinite(images).all()
    assert images.abs().max() <= 1
    assert images.std(0).max() > 1e-4, "different seeds must give different images"


def test_decode_is_deterministic_and_blind_to_the_batch(backend: Backend) -> None:
    space = backend.spec.spaces[0].name
    parts = backend.sample_prior(space, SEEDS)
    whole = backend.decode(parts)
    assert torch.equal(whole, backend.decode(parts))
    one = backend.decode({name: part[2:3] for name, part in parts.items()})
    torch.testing.assert_close(one[0], whole[2], atol=2e-5, rtol=1e-4)


def test_steps_end_in_what_decode_makes(backend: Backend) -> None:
    if not isinstance(backend, StepsToImage):
        pytest.skip("this family decodes at once")
    parts = backend.sample_prior(backend.spec.spaces[0].name, SEEDS)
    steps = list(backend.steps(parts))
    assert [s.index for s in steps] == list(range(1, steps[-1].count + 1))
    assert all(s.preview.shape == (len(SEEDS), *backend.spec.image_shape) for s in steps)
    assert [s.result is None for s in steps] == [True] * (len(steps) - 1) + [False]
    assert torch.equal(steps[-1].result, backend.decode(parts))
    half = steps[len(steps) // 2]
    rest = list(backend.steps(parts, start=half.state))
    assert [s.index for s in rest] == list(range(half.index + 1, half.count + 1))
    assert torch.equal(rest[-1].result, steps[-1].result)


def test_encode_ends_in_latents_of_the_first_space(backend: Backend) -> None:
    if not isinstance(backend, Encodes):
        pytest.skip("this family does not encode")
    images = images_of(backend)
    updates = list(backend.encode(images, options=QUICK_ENCODE.get(backend.spec.family)))
    last = updates[-1]
    assert [u.index for u in updates] == list(range(1, last.count + 1))
    space = backend.spec.spaces[0]
    latents = Latents(space.name, {n: t.cpu().numpy() for n, t in last.latents.items()})
    latents.check(space)
    again = backend.decode(last.latents, options=dict(last.options) or None)
    torch.testing.assert_close(last.reconstruction, again)
    expected = (last.reconstruction - images).square().flatten(1).mean(1)
    torch.testing.assert_close(last.residual, expected)


def test_encode_without_a_reconstruction_finds_the_same_latents(backend: Backend) -> None:
    if not isinstance(backend, Encodes):
        pytest.skip("this family does not encode")
    images = images_of(backend)
    quick = QUICK_ENCODE.get(backend.spec.family, {})
    with_it = list(backend.encode(images, options={"reconstruct": True, **quick}))[-1]
    without = list(backend.encode(images, options={"reconstruct": False, **quick}))[-1]
    for name, part in with_it.latents.items():
        assert torch.equal(without.latents[name], part)
    assert with_it.reconstruction is not None
    assert (without.reconstruction is None) == (without.residual is None)


def test_log_prob_is_finite_and_repeatable(backend: Backend) -> None:
    if "log_prob" not in backend.spec.capabilities:
        pytest.skip("this model has no density")
    images = images_of(backend, 2)
    options = {"samples": 4}
    first, second = (backend.log_prob(images, options=options) for _ in range(2))
    assert torch.isfinite(first.nats).all()
    assert torch.equal(first.nats, second.nats)
    dimensions = images[0].numel()
    expected = -first.nats.double() / np.log(2) / dimensions
    torch.testing.assert_close(first.bits_per_dim.double(), expected, rtol=1e-5, atol=0)


def test_the_map_of_log_prob_adds_up_to_it(backend: Backend) -> None:
    if "log_prob" not in backend.spec.capabilities:
        pytest.skip("this model has no density")
    assert isinstance(backend, MapsLogProb)
    images = images_of(backend, 2)
    for options in ({"samples": 1}, {"samples": 5, "seed": 3}):
        found = backend.log_prob(images, options=options)
        placed = backend.log_prob_map(images, options=options)
        assert placed.nats.shape == (2, *backend.spec.image_shape[1:])
        total = placed.nats.double().sum((1, 2)) + placed.rest
        torch.testing.assert_close(total, found.nats.double(), rtol=1e-5, atol=0)
    assert placed.nats.flatten(1).std(1).min() > 0, "pixels differ"


def test_conditions_move_the_image_only_where_they_are_understood(backend: Backend) -> None:
    parts = backend.sample_prior(backend.spec.spaces[0].name, [1])
    given = []
    if "class" in backend.spec.conditions:
        given.append(Condition(class_index=1))
        with pytest.raises(LatentLabError):
            backend.decode(parts, condition=Condition(class_index=99))
    if "attributes" in backend.spec.conditions:
        given.append(Condition(attributes={backend.spec.attribute_names[0]: 1.0}))
    plain = backend.decode(parts)
    for condition in given:
        assert not torch.equal(plain, backend.decode(parts, condition=condition))
    torch.testing.assert_close(plain, backend.decode(parts, condition=Condition(null=True)))
    if not given:
        with pytest.raises(LatentLabError):
            backend.decode(parts, condition=Condition(class_index=0))


def test_survives_its_model_file(backend: Backend, tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    header = ModelHeader(config=backend.config.model_dump(), spec=backend.spec)
    write_model(path, StoredModel(header, state_arrays(backend.network, half=False)))
    loaded = load_backend(path)
    assert loaded.spec.fingerprint
    assert loaded.spec.model_copy(update={"fingerprint": ""}) == backend.spec
    parts = backend.sample_prior(backend.spec.spaces[0].name, SEEDS)
    assert torch.equal(loaded.decode(parts), backend.decode(parts))


def test_a_file_that_says_what_the_network_does_not_do_is_refused(backend: Backend) -> None:
    channels, height, width = backend.spec.image_shape
    false = {
        "image_shape": (channels, height * 2, width * 2),
        "spaces": (backend.spec.spaces[0].model_copy(update={"name": "other"}),),
        "capabilities": (*backend.spec.capabilities, "layers"),
        "class_names": (*backend.spec.class_names, "one more"),
        "attribute_names": (*backend.spec.attribute_names, "one more"),
    }
    weights = state_arrays(backend.network, half=False)
    for field, value in false.items():
        spec = backend.spec.model_copy(update={field: value})
        header = ModelHeader(config=backend.config.model_dump(), spec=spec)
        with pytest.raises(LatentLabError, match=rf"\({field}\)"):
            backend_from(StoredModel(header, weights))
