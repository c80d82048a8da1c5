"""From a table of attributes to the sizes and colours that painters use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlab.core.noise import uniform_table
from latentlab.data.portraits.attributes import ATTRIBUTES, Table, visible
from latentlab.data.portraits.canvas import Pose

NUISANCES = (
    "shirt", "hat", "x", "y", "zoom", "width", "eye_height", "eye_distance",
    "brow_height", "brow_slope", "mouth_width", "parting", "collar",
)  # fmt: skip
"""What varies besides the attributes, in the order of the draws."""

_SKIN = ((255, 224, 200), (240, 194, 158), (205, 150, 110), (150, 100, 72), (98, 64, 46))
_HAIR = ((36, 32, 36), (116, 72, 42), (234, 192, 98), (190, 76, 36), (162, 164, 172))
_EYES = ((92, 52, 26), (44, 108, 210), (50, 146, 70), (140, 150, 158))
_BACKGROUND = (
    (168, 208, 240), (240, 218, 172), (176, 226, 200), (244, 192, 196), (206, 192, 238),
    (104, 120, 140),
)  # fmt: skip
_SHIRT = (
    (60, 90, 150), (172, 60, 70), (70, 130, 90), (232, 232, 234), (62, 62, 74), (222, 162, 60),
)  # fmt: skip
_HAT = ((192, 50, 60), (42, 72, 134), (58, 112, 82), (124, 84, 54))


@dataclass(frozen=True)
class Scene:
    """Everything that painting a chunk of N portraits needs.

    Attributes:
        attributes: ``(N, 1, 1)`` by attribute name.
        nuisance: ``(N, 1, 1)`` in [-1, 1] by nuisance name.
        skin, hair, eyes, background, shirt, hat: colours ``(N, 3)`` in [0, 1].
        half_width: of the face, in head units.
        chin: of the face, in head units below the head's centre.
        turn: how far features are shifted sideways by the yaw, in head units.
        eye_y: height of the eyes.
        eye_x: half the distance between the eyes.
        pose: where the heads stand.
    """

    attributes: dict[str, Tensor]
    nuisance: dict[str, Tensor]
    skin: Tensor
    hair: Tensor
    eyes: Tensor
    background: Tensor
    shirt: Tensor
    hat: Tensor
    half_width: Tensor
    chin: Tensor
    turn: Tensor
    eye_y: Tensor
    eye_x: Tensor
    pose: Pose

    def __getitem__(self, name: str) -> Tensor:
        return self.attributes[name]


def nuisances(seed: int, indices: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return draws ``(N, len(NUISANCES))`` in [0, 1); row i depends on (seed, indices[i])."""
    draws = np.empty((len(indices), len(NUISANCES)))
    # One call for each run of consecutive indices.
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    for run in np.split(np.arange(len(indices)), breaks):
        if len(run):
            first = int(indices[run[0]])
            draws[run] = uniform_table(seed, "portraits.nuisance", first, len(run), len(NUISANCES))
    return draws


def _colors(palette: tuple[tuple[int, int, int], ...], index: Tensor) -> Tensor:
    colors = torch.tensor(palette, dtype=torch.float32, device=index.device) / 255
    return colors[index.long().clamp(0, len(palette) - 1)]


def _skin(tone: Tensor) -> Tensor:
    position = (tone.clamp(-1, 1) + 1) * 0.5 * (len(_SKIN) - 1)
    low = position.floor().clamp_max(len(_SKIN) - 2)
    return torch.lerp(_colors(_SKIN, low), _colors(_SKIN, low + 1), (position - low)[:, None])


def build_scene(table: Table, draws: NDArray[np.float64], device: torch.device) -> Scene:
    """Return the scene of a table's rows.

    Args:
        table: float ``(N,)`` by attribute name.
        draws: ``(N, len(NUISANCES))`` in [0, 1).
        device: where to paint.
    """

    def column(values: NDArray[np.floating]) -> Tensor:
        return torch.as_tensor(np.asarray(values, np.float32), device=device)

    flat = {spec.name: column(table[spec.name]) for spec in ATTRIBUTES}
    unit = {name: column(draws[:, i]) for i, name in enumerate(NUISANCES)}
    a = {name: value[:, None, None] for name, value in flat.items()}
    n = {name: (value * 2 - 1)[:, None, None] for name, value in unit.items()}
    seen = column(visible(table)["wavy_hair"].astype(np.float32))[:, None, None]
    angle = a["tilt"] * 0.2
    pose = Pose(
        x=n["x"] * 0.05,
        y=0.04 + n["y"] * 0.03,
        cos=angle.cos(),
        sin=angle.sin(),
        zoom=1.12 * (1 + 0.03 * n["zoom"]),
    )
    return Scene(
        attributes=a | {"wavy_hair": a["wavy_hair"] * seen},
        nuisance=n,
        skin=_skin(flat["skin_tone"]),
        hair=_colors(_HAIR, flat["hair_color"]),
        eyes=_colors(_EYES, flat["eye_color"]),
        background=_colors(_BACKGROUND, flat["background"]),
        shirt=_colors(_SHIRT, unit["shirt"] * len(_SHIRT)),
        hat=_colors(_HAT, unit["hat"] * len(_HAT)),
        half_width=0.47 - 0.085 * a["oval_face"] + 0.012 * n["width"],
        chin=0.50 + 0.10 * a["oval_face"],
        turn=a["yaw"] * 0.115,
        eye_y=-0.05 + 0.012 * n["eye_height"],
        eye_x=0.2 + 0.012 * n["eye_distance"],
        pose=pose,
    )
