"""The U-Net: its condition, its patches, its start, and the parametrisations of its prediction."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from latentlab.backends.checkpoint import check_state, state_arrays
from latentlab.backends.conditions import condition_vector
from latentlab.backends.nn.diffusion import (
    DiffusionConfig,
    DiffusionNetwork,
    prediction_target,
    split_prediction,
)
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition

TINY = {"image_size": 16, "widths": (8, 16), "blocks": 1, "head_dim": 8, "groups": 4}


def network(**changes) -> DiffusionNetwork:
    """A network whose layers that start at zero do not: they would hide everything before."""
    torch.manual_seed(0)
    found = DiffusionNetwork(DiffusionConfig(**(TINY | changes)))
    for name, parameter in found.named_parameters():
        gain = name.endswith("weight") and parameter.ndim == 1
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 25
        nn.init.normal_(parameter, mean=float(gain), std=fan_in**-0.5)
    return found.eval().requires_grad_(False)


def inputs(channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, channels, 16, 16, generator=generator), torch.tensor([0, 400, 999])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"channels": 1},
        {"patch": 2, "attention": (8,)},
        {"patch": 4, "mid_attention": False},
        {"widths": (8,), "blocks": 2},
    ],
)
def test_an_image_goes_in_and_one_comes_out(changes) -> None:
    net = network(**changes)
    x, t = inputs(changes.get("channels", 3))
    out = net(x, t)
    assert (out.shape, out.dtype) == (x.shape, torch.float32)
    assert torch.isfinite(out).all()
    # Rows do not mix, and time is read.
    torch.testing.assert_close(net(x[1:2], t[1:2]), out[1:2], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(net(x, t.flip(0))[0], out[0], atol=1e-3)


def test_the_condition_is_read_and_none_is_all_zeros() -> None:
    net = network(attribute_names=("age", "hat"))
    x, t = inputs()
    assert net.config.condition_dim == 3
    torch.testing.assert_close(net(x, t), net(x, t, torch.zeros(3, 3)))
    told = condition_vector(net.config, Condition(attributes={"hat": 1.0}), 3)
    assert not torch.allclose(net(x, t, told), net(x, t), atol=1e-3)
    assert network().config.condition_dim == 0


def test_an_untrained_network_predicts_nothing() -> None:
    net = DiffusionNetwork(DiffusionConfig(**TINY))
    assert not net(*inputs()).any()
    blocks = [m for n, m in net.named_modules() if n.endswith("conv2")]
    assert blocks
    assert not any(m.weight.any() or m.bias.any() for m in blocks)


def test_a_patch_is_a_square_of_neighbours() -> None:
    """With a patch, the network of half the size sees four pixels as channels: pixel by pixel."""
    net = network(patch=2)
    x, t = inputs()
    planes = x.reshape(3, 3, 8, 2, 8, 2).permute(0, 1, 3, 5, 2, 4).reshape(3, 12, 8, 8)
    inner = net.unet(planes, t).sample
    whole = inner.reshape(3, 3, 2, 2, 8, 8).permute(0, 1, 4, 2, 5, 3).reshape(3, 3, 16, 16)
    torch.testing.assert_close(net(x, t), whole)


def test_weights_fit_a_network_that_takes_no_memory() -> None:
    net = network(attribute_names=("age",))
    with torch.device("meta"):
        empty = DiffusionNetwork(net.config)
    empty.load_state_dict(check_state(empty, state_arrays(net, half=False), "x"), assign=True)
    told = torch.ones(3, 2)
    torch.testing.assert_close(empty.eval()(*inputs(), told), net(*inputs(), told))


def test_attention_by_plain_products_is_that_of_the_fused_kernel() -> None:
    from diffusers.models.attention_processor import Attention, AttnProcessor2_0

    net = network(attention=(8,))
    x, t = inputs()
    before = net(x, t)
    layers = [m for m in net.modules() if isinstance(m, Attention)]
    assert len(layers) == 4
    for layer in layers:
        layer.set_processor(AttnProcessor2_0())
    torch.testing.assert_close(net(x, t), before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["epsilon", "x0", "v"])
def test_a_perfect_prediction_gives_image_and_noise_back(kind) -> None:
    image, noise = torch.randn(2, 4, 3, 8, 8, dtype=torch.float64)
    signal = torch.tensor([0.999, 0.8, 0.3, 0.02], dtype=torch.float64)[:, None, None, None]
    rate = (1 - signal**2).sqrt()
    target = prediction_target(kind, image, noise, signal, rate)
    x_t = signal * image + rate * noise
    found = split_prediction(kind, target, x_t, signal, rate)
    torch.testing.assert_close(found[0], image)
    torch.testing.assert_close(found[1], noise)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_size": 17}, "multiple of 2"),
        ({"patch": 4, "image_size": 20}, "multiple of 8"),
        ({"widths": (8, 18)}, "multiples of groups"),
        ({"attention": (4,)}, "sides of maps: 16, 8"),
        ({"head_dim": 5}, "multiples of 5"),
        ({"widths": ()}, "at least one level"),
        ({"beta_start": 0.5}, "beta_start"),
        ({"schedule": "linear", "beta_start": 0.9, "beta_end": 0.99}, "without a trace"),
        ({"num_timesteps": 10**9}, "num_timesteps"),
        ({"num_timesteps": -1}, "num_timesteps"),
        ({"widths": (8, 10**6)}, "widths"),
        ({"depth": 3}, "depth"),
    ],
)
def test_shapes_that_cannot_be_built_are_refused(changes, words) -> None:
    with pytest.raises(ValidationError, match=words):
        DiffusionConfig(**(TINY | changes))


def test_one_condition_for_all_rows_or_one_for_each() -> None:
    config = DiffusionConfig(**TINY, class_names=("a", "b"), attribute_names=("age",))
    rows = [Condition(class_index=1), None, Condition(attributes={"age": 0.5})]
    expected = torch.tensor([[0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0.5, 1]], dtype=torch.float32)
    torch.testing.assert_close(condition_vector(config, rows, 3), expected)
    for row, one in zip(expected, rows):
        torch.testing.assert_close(condition_vector(config, one, 2), row.expand(2, -1))
    with pytest.raises(LatentLabError, match="no attribute 'hat'; the model has age"):
        condition_vector(config, Condition(attributes={"hat": 1}), 1)
    with pytest.raises(LatentLabError, match="no condition"):
        condition_vector(DiffusionConfig(**TINY), Condition(class_index=0), 1)


def test_diffusers_is_imported_only_when_a_network_is_built() -> None:
    code = (
        "import sys, latentlab.backends.nn.diffusion; "
        "assert not {'diffusers', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
