"""A directions panel over the worker of formulas; a test ends its jobs by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import Qt

from latentlab.core.direction import Direction
from latentlab.core.requests import JobProgress, PreviewRequest
from latentlab.ui.controller import Controller
from latentlab.ui.panels.directions import DirectionsPanel
from tests.ui.map_stage import MapBridge
from tests.ui.stage import DEPTH, decode, make_controller

LABELS = (
    ("smiling", "binary", (), 600),
    ("age", "continuous", (), 580),
    ("hair", "categorical", ("black", "red"), 600),
)


def found(
    name: str,
    seed: int = 0,
    fingerprint: str = "",
    auc: float | None = 0.93,
    interval: tuple[float, float] = (0.91, 0.95),
    **provenance: Any,
) -> Direction:
    """A direction as a job finds it."""
    vector = np.random.default_rng(seed).normal(size=DEPTH)
    vector /= np.linalg.norm(vector)
    evidence = {} if auc is None else {"auc": auc, "interval": list(interval), "level": 0.95}
    known = {"data": {"source": "faces.zip", "count": 600}, "label": name, **evidence}
    return Direction(
        name,
        "z",
        {"z": vector},
        1.25,
        "logistic",
        fingerprint=fingerprint,
        group="my directions",
        provenance=known | provenance,
    )


def make_stage(folder: Path, qtbot, width: int = 420) -> tuple[Controller, MapBridge, Any]:
    """Return controller, bridge and the panel, with one face on the canvas."""
    bridge = MapBridge()
    controller = make_controller(folder, bridge)
    panel = DirectionsPanel(controller)
    qtbot.addWidget(panel)
    controller.open_model("waves")
    controller.set_sampling(seed=3, count=1)
    panel.resize(width, 900)
    with qtbot.waitExposed(panel):
        panel.show()
    return controller, bridge, panel


def mark(controller: Controller) -> str:
    return controller.model.spec.fingerprint


def click(qtbot, button) -> None:
    assert button.isEnabled(), button.text()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def tell(bridge: MapBridge, kind: str, done: int, total: int, message: str) -> None:
    """Let a job say how far it is."""
    job = bridge.of_kind(kind)[-1].job
    bridge.job_progressed.emit(JobProgress(job, done, total, message))


def base_latents(controller: Controller, bridge: MapBridge) -> np.ndarray:
    """The latents of the canvas, edits included, from the worker's own formula."""
    canvas = controller.document.canvas
    stored = controller.store.latents(canvas)
    own = controller.own_directions(canvas)
    return bridge.latents(PreviewRequest("", 0, canvas, stored, directions=own))["z"]


def moved_images(latents: np.ndarray, direction: Direction, amounts: Any) -> np.ndarray:
    """What a strip must show: float64 sums, cast as the worker casts them."""
    vector = np.asarray(direction.vector["z"], np.float64)
    rows = [
        (latents[0].astype(np.float64) + a * direction.scale * vector).astype(np.float32)
        for a in amounts
    ]
    return decode(np.stack(rows))
