"""From a model file to a backend and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array
from latentlab.core.modelfile import StoredModel, read_model
from latentlab.core.registry import plugin
from latentlab.core.spec import ModelSpec


def state_arrays(network: nn.Module, *, half: bool = True) -> dict[str, Array]:
    """Return a network's state as numpy arrays; floats in half precision if ``half``."""
    arrays: dict[str, Array] = {}
    for name, tensor in network.state_dict().items():
        tensor = tensor.detach().cpu()
        if tensor.is_floating_point():
            tensor = tensor.half() if half else tensor.float()
        arrays[name] = tensor.contiguous().numpy()
    return arrays


def check_state(network: nn.Module, arrays: Mapping[str, Array], name: str) -> dict[str, Tensor]:
    """Return float32 tensors for ``load_state_dict``, strictly checked against ``network``.

    Raises:
        LatentLabError: a tensor is missing, left over, or of another shape or type.
    """
    wanted = network.state_dict()
    missing, extra = sorted(wanted.keys() - arrays.keys()), sorted(arrays.keys() - wanted.keys())
    if missing or extra:
        raise LatentLabError(
            f"The weights in '{name}' do not belong to the network that it describes "
            f"({len(missing)} tensors missing, {len(extra)} left over): download or save it again.",
            "\n".join([*(f"missing: {n}" for n in missing), *(f"left over: {n}" for n in extra)]),
        )
    state: dict[str, Tensor] = {}
    for key, target in wanted.items():
        array = arrays[key]
        floating = target.is_floating_point()
        if tuple(array.shape) != tuple(target.shape) or (array.dtype.kind == "f") != floating:
            raise LatentLabError(
                f"Tensor '{key}' in '{name}' is {array.dtype} {tuple(array.shape)}; the network "
                f"needs {target.dtype} {tuple(target.shape)}: download or save the file again."
            )
        state[key] = torch.from_numpy(np.array(array)).to(target.dtype)
    return state


_IMPLIED = (
    "image_shape",
    "spaces",
    "capabilities",
    "encode_kind",
    "conditions",
    "class_names",
    "attribute_names",
    "diffusion",
)
"""Fields of a spec that follow from the configuration."""


def _check_spec(family: Any, config: Any, spec: ModelSpec, name: str) -> None:
    """Raise unless the file says of itself what its network does; a family may leave this out."""
    implied = getattr(family, "implied_spec", None)
    if implied is None:
        return
    own = implied(config)
    wrong = [field for field in _IMPLIED if getattr(own, field) != getattr(spec, field)]
    if wrong:
        raise LatentLabError(
            f"What '{name}' says of itself ({', '.join(wrong)}) is not what its network does: "
            "choose or download it again."
        )


def backend_from(stored: StoredModel, name: str = "the model") -> Any:
    """Build the backend of a stored model, on the CPU, in float32.

    Raises:
        LatentLabError: unknown family, wrong configuration, a spec that does not follow from it,
            or weights that do not fit.
    """
    family: Any = plugin("latentlab.backends", stored.header.spec.family).load()
    try:
        config = family.parse_config(stored.header.config)
    except ValidationError as error:
        raise LatentLabError(
            f"The configuration inside '{name}' is not valid for family "
            f"'{stored.header.spec.family}': choose or download it again.",
            str(error),
        ) from error
    _check_spec(family, config, stored.header.spec, name)
    # On the meta device a wrong or hostile configuration costs no memory before it is checked.
    with torch.device("meta"):
        network = family.build_network(config)
    state = check_state(network, stored.weights, name)
    network.load_state_dict(state, assign=True)
    return family(config, stored.header.spec, network, stored.directions)


def load_backend(path: Path) -> Any:
    """Read a model file and build its backend, on the CPU; see ``backend_from``."""
    return backend_from(read_model(path), path.name)
