"""The worker of formulas as a diffusion model: its spec, and the images that options change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latentlab.core.spec import DiffusionFacts, LatentSpace, ModelSpec, PartSpec
from tests.ui.stage import FormulaBridge, make_controller

NAMES = ("eyeglasses", "wearing_hat", "smiling", "age")
FACTS = DiffusionFacts(schedule="cosine", num_timesteps=1000, prediction="v")


def diffusion_spec(**values: Any) -> ModelSpec:
    """Return the spec of an attribute-conditional diffusion model of 12 pixels."""
    noise = PartSpec(name="noise", shape=(3, 12, 12))
    given: dict[str, Any] = {
        "id": "faces",
        "title": "Faces",
        "family": "diffusion",
        "image_shape": (3, 12, 12),
        "spaces": (LatentSpace(name="noise", parts=(noise,)),),
        "capabilities": ("sample", "decode", "encode", "steps"),
        "conditions": ("attributes",),
        "attribute_names": NAMES,
        "diffusion": FACTS,
    }
    return ModelSpec(**{**given, **values})


def diffusion_controller(folder: Path, bridge: FormulaBridge, **spec: Any):
    """Return a controller with a diffusion model open, drawn by the formulas of the stage."""
    given = {"conditions": ("attributes",), "attribute_names": NAMES, "diffusion": FACTS}
    controller = make_controller(folder, bridge, **{**given, **spec})
    controller.open_model("waves")
    return controller
