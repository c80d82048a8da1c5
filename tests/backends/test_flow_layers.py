"""Every invertible layer against its definition, its inverse and a numerical Jacobian."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from latentlab.backends.nn.flow_couplings import (
    LOG_SCALE_LIMIT,
    AffineCoupling,
    FlowStep,
    SplitPrior,
)
from latentlab.backends.nn.flow_layers import (
    ActNorm,
    FlowLayer,
    InvertibleConv1x1,
    Mixing,
    squeeze,
    standard_terms,
    unsqueeze,
)
from latentlab.backends.nn.flow_scales import spread
from tests.flow_models import perturb

C, D, SIDE = 6, 3, 2
LAYERS: dict[str, Callable[[], FlowLayer]] = {
    "actnorm": lambda: ActNorm(C),
    "conv": lambda: InvertibleConv1x1(C),
    "mixing": lambda: Mixing(C),
    "coupling-last": lambda: AffineCoupling(C, 8, D),
    "coupling-first": lambda: AffineCoupling(C, 8, D, half="first", activation="relu"),
    "coupling-odd": lambda: AffineCoupling(C, 8, D, half="odd"),
    "coupling-even": lambda: AffineCoupling(C, 8, D, half="even"),
    "coupling-2-of-6": lambda: AffineCoupling(C, 8, D, moved=2),
    "coupling-kernel-1": lambda: AffineCoupling(C, 8, D, kernel=1),
    "step-1": lambda: FlowStep(C, 8, D, couplings=1),
    "step-2": lambda: FlowStep(C, 8, D, couplings=2),
    "step-4": lambda: FlowStep(C, 8, D, couplings=4),
    "split": lambda: SplitPrior(C, 2, 8, D),
}


def made(make: Callable[[], FlowLayer], dtype: torch.dtype = torch.float64) -> FlowLayer:
    torch.manual_seed(1)
    layer = make()
    perturb(layer, 2, 0.8)
    return layer.to(dtype).eval().requires_grad_(False)


def inputs(
    batch: int = 3, channels: int = C, side: int = SIDE, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn((batch, channels, side, side), generator=generator, dtype=torch.float64)
    h = torch.randn((batch, D), generator=generator, dtype=torch.float64)
    return x.to(dtype), h.to(dtype)


def finite_jacobian(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """The Jacobian at one row by central differences, ``(N, N)``."""
    width, columns = 1e-6, []
    for index in range(at.numel()):
        step = torch.zeros(at.numel(), dtype=at.dtype)
        step[index] = width
        step = step.reshape(at.shape)
        columns.append(((function(at + step) - function(at - step)) / (2 * width)).flatten())
    return torch.stack(columns, 1)


@pytest.mark.parametrize("name", LAYERS)
def test_decode_undoes_encode_and_encode_decode(name: str) -> None:
    for dtype, most in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        layer = made(LAYERS[name], dtype)
        x, h = inputs(dtype=dtype)
        z, _ = layer.encode(x, h)
        assert (z - x).abs().max() > 1e-2, "the layer must do something"
        assert (layer.decode(z, h) - x).abs().max() < most
        assert (layer.encode(layer.decode(x, h), h)[0] - x).abs().max() < most
        layer.train()
        torch.testing.assert_close(layer.encode(x, h)[0], z, rtol=1e-4, atol=most)
        assert (layer.decode(z, h) - x).abs().max() < most


@pytest.mark.parametrize("name", LAYERS)
def test_the_log_determinant_is_that_of_a_numerical_jacobian(name: str) -> None:
    layer = made(LAYERS[name])
    x, h = inputs()
    _, log_det = layer.encode(x, h)
    assert log_det.shape == (3,)
    for row in range(3):
        at = h[row : row + 1]
        jacobian = finite_jacobian(lambda v, at=at: layer.encode(v, at)[0], x[row : row + 1])
        assert abs(torch.linalg.slogdet(jacobian).logabsdet - log_det[row]) < 1e-7
    by_position = layer.encode(x, h, by_position=True)[1]
    assert by_position.shape == (3, SIDE, SIDE)
    torch.testing.assert_close(by_position.sum((1, 2)), log_det)


@pytest.mark.parametrize("channels", [2, 3, 5])
def test_layers_work_on_vectors_of_any_length(channels: int) -> None:
    for couplings in (1, 2, 4):
        layer = made(lambda c=couplings: FlowStep(channels, 8, couplings=c, kernel=1))
        x, _ = inputs(channels=channels, side=1)
        z, log_det = layer.encode(x)
        jacobian = finite_jacobian(lambda v, m=layer: m.encode(v)[0], x[:1])
        assert abs(torch.linalg.slogdet(jacobian).logabsdet - log_det[0]) < 1e-7
        assert (layer.decode(z) - x).abs().max() < 1e-12


def test_actnorm_is_its_definition_and_starts_from_data() -> None:
    layer = ActNorm(C).double()
    x, _ = inputs(batch=50)
    x = 3 * x + torch.arange(C, dtype=x.dtype)[:, None, None]
    z = layer.initialise(x)
    assert z.mean((0, 2, 3)).abs().max() < 1e-12
    torch.testing.assert_close(z.var((0, 2, 3), correction=0), torch.ones(C, dtype=z.dtype))
    torch.testing.assert_close(z, layer.encode(x)[0])
    by_hand = (x + layer.bias[:, None, None]) * layer.log_scale.exp()[:, None, None]
    torch.testing.assert_close(by_hand, z)


def test_actnorm_survives_a_channel_that_never_varies() -> None:
    layer = ActNorm(2)
    assert torch.isfinite(layer.initialise(torch.ones(4, 2, 3, 3))).all()


@pytest.mark.parametrize("name", ["step-2", "step-4", "split"])
def test_initialise_standardises_every_actnorm_of_a_layer(name: str) -> None:
    layer = made(LAYERS[name])
    x, h = inputs(batch=40)
    outputs: list[Tensor] = []
    norms = [module for module in layer.modules() if isinstance(module, ActNorm)]
    mixed = {id(m.norm): m for m in layer.modules() if isinstance(m, Mixing)}
    result = layer.initialise(5 * x + 2, h)
    torch.testing.assert_close(result, layer.encode(5 * x + 2, h)[0])
    for norm in norms:
        if id(norm) not in mixed:
            norm.register_forward_hook(lambda m, i, out: outputs.append(out[0]))
    again = layer(5 * x + 2, h)[0]
    if name == "split":
        outputs.append(again[:, 4:])
    else:
        mixing = next(iter(mixed.values()))
        outputs.append(mixing.conv.decode(mixing.encode(5 * x + 2)[0]))
    for out in outputs:
        assert out.mean((0, 2, 3)).abs().max() < 1e-9
        torch.testing.assert_close(
            out.std((0, 2, 3), correction=0), torch.ones(out.shape[1], dtype=out.dtype)
        )
    assert len(outputs) == (2 if name == "step-4" else 1)


def test_a_new_convolution_is_a_rotation_and_its_weight_is_plu() -> None:
    torch.manual_seed(7)
    layer = InvertibleConv1x1(8)
    weight = layer.weight()
    torch.testing.assert_close(weight @ weight.T, torch.eye(8), atol=1e-5, rtol=0)
    assert (weight - torch.eye(8)).abs().max() > 0.1
    perturb(layer, 3, 0.8)
    layer = layer.double().requires_grad_(False)
    places = torch.eye(8, dtype=torch.float64)[layer.permutation]
    lower = layer.lower.tril(-1) + torch.eye(8)
    upper = layer.upper.triu(1) + torch.diag(layer.sign * layer.log_diagonal.exp())
    torch.testing.assert_close(layer.weight(), places @ lower @ upper)
    x = torch.randn(2, 8, 3, 3, dtype=torch.float64)
    by_hand = torch.einsum("oc,bchw->bohw", places @ lower @ upper, x)
    torch.testing.assert_close(layer.eval().encode(x)[0], by_hand)
    torch.testing.assert_close(layer.inverse() @ layer.weight(), torch.eye(8, dtype=torch.float64))


@pytest.mark.parametrize("name", ["conv", "mixing"])
def test_what_is_kept_follows_the_weights(name: str) -> None:
    layer = made(LAYERS[name])
    x, _ = inputs()
    with torch.inference_mode():
        first = layer.decode(layer.encode(x)[0])
    torch.testing.assert_close(first, x)
    copied = copy.deepcopy(layer)
    convolution = layer.conv if isinstance(layer, Mixing) else layer
    convolution.upper.mul_(0.5)
    convolution.log_diagonal.add_(0.3)
    z, log_det = layer.encode(x)
    torch.testing.assert_close(layer.decode(z), x)
    jacobian = finite_jacobian(lambda v: layer.encode(v)[0], x[:1])
    assert abs(torch.linalg.slogdet(jacobian).logabsdet - log_det[0]) < 1e-7
    assert not torch.allclose(copied.encode(x)[0], z)
    layer.load_state_dict(copied.state_dict())
    torch.testing.assert_close(layer.encode(x)[0], copied.encode(x)[0])
    assert layer.float().encode(x.float())[0].dtype == torch.float32
    # Gradients reach weights outside training too, and inputs after inference.
    layer.requires_grad_(True)
    layer.decode(x.float().requires_grad_()).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())


def test_a_coupling_keeps_what_it_looks_at_and_is_affine_in_what_it_moves() -> None:
    x, h = inputs()
    for name, kept in (
        ("coupling-last", [0, 1, 2]),
        ("coupling-first", [3, 4, 5]),
        ("coupling-odd", [0, 2, 4]),
        ("coupling-even", [1, 3, 5]),
        ("coupling-2-of-6", [0, 1, 2, 3]),
    ):
        layer = made(LAYERS[name])
        moved = [c for c in range(C) if c not in kept]
        z, log_det = layer.encode(x, h)
        assert torch.equal(z[:, kept], x[:, kept])
        more = x.clone()
        more[:, moved] += 1
        scales = layer.encode(more, h)[0][:, moved] - z[:, moved]
        torch.testing.assert_close(scales.log().sum((1, 2, 3)), log_det)
        most = torch.tensor(LOG_SCALE_LIMIT, dtype=x.dtype).exp()
        assert (scales > 1 / most).all()
        assert (scales < most).all()
        assert not torch.allclose(layer.encode(x, h + 1)[0][:, moved], z[:, moved])


def test_a_coupling_sees_its_context() -> None:
    layer = AffineCoupling(C, 8, context=2)
    perturb(layer, 2, 0.8)
    x, _ = inputs(dtype=torch.float32)
    context = torch.randn(3, 2, SIDE, SIDE)
    z, _ = layer.encode(x, context=context)
    torch.testing.assert_close(layer.decode(z, context=context), x)
    assert not torch.allclose(layer.encode(x, context=context + 1)[0], z)


def test_new_couplings_change_nothing() -> None:
    x, h = inputs(dtype=torch.float32)
    for name in ("coupling-last", "coupling-even", "coupling-kernel-1"):
        z, log_det = LAYERS[name]().encode(x, h)
        assert torch.equal(z, x)
        assert not log_det.any()


def test_a_squeeze_puts_two_by_two_pixels_into_channels() -> None:
    x = torch.arange(2 * 4 * 4.0).reshape(1, 2, 4, 4)
    squeezed = squeeze(x)
    assert squeezed.shape == (1, 8, 2, 2)
    for place in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        block = x[0, :, 2 * place[0] : 2 * place[0] + 2, 2 * place[1] : 2 * place[1] + 2]
        assert set(squeezed[0, :, place[0], place[1]].tolist()) == set(block.flatten().tolist())
    assert torch.equal(unsqueeze(squeezed), x)
    assert unsqueeze(squeeze(x[:0])).shape == (0, 2, 4, 4)
    terms = torch.tensor([[[4.0, 8.0], [12.0, 16.0]]])
    spreaded = spread(terms, 4)
    assert spreaded[0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]


def test_standard_terms_are_those_of_a_normal_distribution() -> None:
    x, _ = inputs()
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(x)
    torch.testing.assert_close(standard_terms(x), expected.sum((1, 2, 3)))
    torch.testing.assert_close(standard_terms(x, True), expected.sum(1))
