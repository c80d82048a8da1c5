"""The schedulers of ``diffusers`` in loops of their own, to compare with."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

MODULES = {
    "ddpm": ("scheduling_ddpm", "DDPMScheduler", {}),
    "ddim": ("scheduling_ddim", "DDIMScheduler", {}),
    "dpmpp": ("scheduling_dpmsolver_multistep", "DPMSolverMultistepScheduler", {}),
    "euler": ("scheduling_euler_discrete", "EulerDiscreteScheduler", {}),
    "euler_a": ("scheduling_euler_ancestral_discrete", "EulerAncestralDiscreteScheduler", {}),
    "heun": ("scheduling_heun_discrete", "HeunDiscreteScheduler", {}),
    "unipc": ("scheduling_unipc_multistep", "UniPCMultistepScheduler", {}),
}
PREDICTION = {"epsilon": "epsilon", "x0": "sample", "v": "v_prediction"}


class Wavy(nn.Module):
    """A quick network that depends on image, time and condition, and is not linear."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        self.mix = nn.Parameter(0.3 * torch.randn(channels, channels, 3, 3, generator=generator))
        self.bias = nn.Parameter(0.3 * torch.randn(channels, generator=generator))

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        mixed = nn.functional.conv2d(x_t, self.mix, self.bias, padding=1)
        told = 0.0 if condition is None else condition.sum(1)[:, None, None, None]
        angle = (t / 300).to(x_t.dtype)[:, None, None, None]
        return torch.tanh(mixed + 0.3 * told) + 0.5 * torch.cos(angle + x_t)


def bare_loop(
    name: str,
    predict: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    steps: int,
    *,
    betas: Any,
    prediction: str,
    spacing: str,
    clip: bool,
    eta: float = 0.0,
    noises: Callable[[int], Tensor] | None = None,
    times: Sequence[float] | None = None,
    monkeypatch: Any = None,
) -> Tensor:
    """Sample as the documentation of ``diffusers`` says: set_timesteps, scale_model_input, step."""
    module_name, class_name, config = MODULES[name]
    module = importlib.import_module(f"diffusers.schedulers.{module_name}")
    by_v = name == "euler_a" and prediction == "x0"
    clipping: dict[str, Any] = {}
    if name in ("ddpm", "ddim"):
        clipping = {"clip_sample": clip}
    elif name in ("dpmpp", "unipc"):
        clipping = {"thresholding": clip, "sample_max_value": 1.0}
    scheduler = getattr(module, class_name)(
        num_train_timesteps=len(betas),
        trained_betas=betas,
        prediction_type="v_prediction" if by_v else PREDICTION[prediction],
        timestep_spacing=spacing,
        **config,
        **clipping,
    )
    if times is None:
        scheduler.set_timesteps(steps)
    else:
        scheduler.set_timesteps(timesteps=list(times))
    x = x * scheduler.init_noise_sigma
    for index, t in enumerate(scheduler.timesteps):
        inputs = scheduler.scale_model_input(x, t)
        output = predict(inputs, t.float().expand(len(x)))
        if by_v:
            signal = 1 / (1 + scheduler.sigmas[index] ** 2) ** 0.5
            output = (signal * inputs - output) / (signal * scheduler.sigmas[index])
        extra: dict[str, Any] = {}
        if name == "ddim" and eta:
            extra = {"eta": eta, "variance_noise": noises(index)}
        elif name in ("ddpm", "euler_a"):
            drawn = noises(index)
            monkeypatch.setattr(module, "randn_tensor", lambda *_a, _d=drawn, **_k: _d)
        x = scheduler.step(output, t, x, **extra).prev_sample
    return x
