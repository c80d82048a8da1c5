"""A real controller over a worker that answers from a formula: what tests of panels stand on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QPoint, QPointF, Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QWidget

from latentlab.core.direction import Direction, apply_edits
from latentlab.core.document import Picture
from latentlab.core.latents import Latents
from latentlab.core.modelfile import ModelHeader, StoredModel, write_model
from latentlab.core.noise import noise_rows
from latentlab.core.requests import Failure, JobRequest, PreviewRequest, PreviewResult
from latentlab.core.settings import Settings
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec
from latentlab.services.library import ModelLibrary
from latentlab.ui.controller import Controller
from latentlab.ui.widgets.images import from_qimage

SIZE = 12
DEPTH = 8
NAMES = ("zebra", "smiling", "eyeglasses", "wearing_hat", "mustache")


def decode(latents: NDArray[Any], size: int = SIZE) -> NDArray[np.uint8]:
    """Latents ``(B, D)`` to uint8 ``(B, size, size, 3)``: smooth waves that every number moves."""
    y, x = np.mgrid[0:size, 0:size] / size
    images = np.zeros((len(latents), size, size, 3))
    for place in range(latents.shape[1]):
        wave = np.sin((place + 1) * (x + 0.7 * y) * 2.1 + place)
        weight = latents[:, place].astype(np.float64)
        images[..., place % 3] += weight[:, None, None] * wave
    levels = 255 / (1 + np.exp(-images * 0.7))
    array = levels.round().astype(np.uint8)
    array.flags.writeable = False
    return array


class FormulaBridge(QObject):
    """Stands where the bridge to the worker stands; answers at once, or when ``release`` says."""

    preview_arrived = Signal(object)
    job_progressed = Signal(object)
    job_finished = Signal(object)
    worker_changed = Signal(object)

    def __init__(self, size: int = SIZE) -> None:
        super().__init__()
        self.size = size
        self.directions: dict[str, Direction] = {}
        self.held = False
        self.failure: Failure | None = None
        self.requests: list[PreviewRequest] = []
        self.jobs: list[JobRequest] = []
        self._waiting: list[PreviewRequest] = []

    def preview(self, request: PreviewRequest) -> None:
        self.requests.append(request)
        if self.held:
            self._waiting.append(request)
        else:
            self._answer(request)

    def release(self) -> None:
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            self._answer(request)

    def _answer(self, request: PreviewRequest) -> None:
        if self.failure is not None:
            result = PreviewResult(request.channel, request.sequence, failure=self.failure)
        else:
            latents = self.latents(request)
            result = PreviewResult(
                request.channel,
                request.sequence,
                images=decode(latents["z"], self.size),
                latents=latents,
            )
        self.preview_arrived.emit(result)

    def latents(self, request: PreviewRequest) -> Latents:
        picture = request.picture
        base = request.stored
        if base is None:
            rows = noise_rows(picture.seeds, "prior", (DEPTH,)) * picture.temperature
            base = Latents("z", {"z": rows.astype(np.float32)})
        known = {**self.directions, **request.directions}
        return apply_edits(base, picture.edits, known)

    def latents_of(self, one: Picture) -> NDArray[np.float32]:
        return self.latents(PreviewRequest("test", 0, one))["z"]

    def job(self, request: JobRequest) -> None:
        self.jobs.append(request)

    def cancel(self, job: str) -> None:
        pass

    def stop(self) -> None:
        pass


def directions(fingerprint: str = "") -> dict[str, Direction]:
    found = {}
    for place, name in enumerate(NAMES):
        vector = np.zeros(DEPTH, np.float32)
        vector[place] = 1
        found[name] = Direction(
            name,
            "z",
            {"z": vector},
            1.5,
            "mean difference",
            fingerprint=fingerprint,
            group="course" if name != "zebra" else "animals",
            provenance={"auc": 0.987, "target": 1.25, "selectivity": 4.1, "count": 5000},
        )
    return found


def write_formula_model(
    folder: Path,
    name: str = "waves",
    known: dict[str, Direction] | None = None,
    size: int = SIZE,
    **spec: Any,
) -> Path:
    space = LatentSpace(name="z", parts=(PartSpec(name="z", shape=(DEPTH,)),))
    header = ModelHeader(
        config={},
        spec=ModelSpec(
            id=name,
            title=name.title(),
            family="vae",
            image_shape=(3, size, size),
            spaces=(space,),
            capabilities=("sample", "decode", "encode"),
            **spec,
        ),
    )
    path = folder / f"{name}.safetensors"
    weights = {"bias": np.arange(4, dtype=np.float32) + len(name)}
    write_model(path, StoredModel(header, weights, directions() if known is None else known))
    return path


def make_controller(folder: Path, bridge: FormulaBridge, **model: Any) -> Controller:
    """Return a controller without a model; ``open_model('waves')`` opens one."""
    write_formula_model(folder, size=bridge.size, **model)
    bridge.directions = directions()
    library = ModelLibrary([folder])
    return Controller(bridge, Settings(), library)


def picture(*seeds: int, **values: Any) -> Picture:
    return Picture(model="waves", space="z", seeds=seeds, **values)


def turn_wheel(
    widget: QWidget,
    notches: float,
    modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    at: QPointF | None = None,
) -> bool:
    """Turn the wheel over a widget; return whether it took the event."""
    place = QPointF(widget.rect().center()) if at is None else at
    event = QWheelEvent(
        place,
        widget.mapToGlobal(place),
        QPoint(),
        QPoint(0, round(120 * notches)),
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    event.setAccepted(False)
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def pixels(widget: QWidget) -> NDArray[np.uint8]:
    """Return what a widget paints, uint8 ``(H, W, 3)``."""
    return from_qimage(widget.grab().toImage())
