"""What is known about one picture: seed, space, norm, edits, model, log-density."""

from __future__ import annotations

import math
from itertools import count

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.denoising import Sampling
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.requests import PreviewResult
from latentlab.core.spec import LatentSpace, ModelSpec
from latentlab.ui.widgets.sampling_text import condition_text, is_conditional, sampling_text

CHANNEL = "details"
_numbers = count()


def gaussian_log_density(norm: float, size: int) -> float:
    """Return log N(z; 0, I) in nats of a latent of ``size`` numbers and length ``norm``."""
    return -0.5 * norm**2 - 0.5 * size * math.log(2 * math.pi)


def latent_facts(latents: Latents, space: LatentSpace | None) -> list[tuple[str, str]]:
    """Return the norm of the first row and, where the prior is Gaussian, its log-density.

    What has no prior beside parts that have one (a mask, known pixels) is left aside.
    """
    drawn = [] if space is None else [part.name for part in space.parts if part.kind == "gaussian"]
    gaussian = [name for name in drawn if name in latents]
    row = [np.asarray(latents[name][0], np.float64).ravel() for name in gaussian or latents]
    flat = np.concatenate(row)
    if not np.issubdtype(flat.dtype, np.floating) or flat.size == 0:
        return []
    norm, size = float(np.linalg.norm(flat)), flat.size
    facts = [
        ("Norm |z|", f"{norm:.3g}; a typical sample has √D = {math.sqrt(size):.3g} (D = {size})")
    ]
    if gaussian:
        density = gaussian_log_density(norm, size)
        typical = gaussian_log_density(math.sqrt(size), size)
        spread = math.sqrt(size / 2)
        facts.append(
            (
                "Prior log-density",
                f"{density:.1f} nats; a typical sample has {typical:.1f} ± {spread:.1f} nats",
            )
        )
    return facts


def picture_facts(picture: Picture, spec: ModelSpec | None = None) -> list[tuple[str, str]]:
    """Return what the picture itself says; ``spec`` is its model's, where it is known."""
    source = "encoded photograph" if picture.photo else "stored latents"
    if picture.seeds:
        source = f"{picture.seeds[0]}, temperature {picture.temperature:.2f}"
    edits = ", ".join(f"{k.replace('_', ' ')} {v:+.2f} σ" for k, v in picture.edits.items())
    facts = [
        ("Name", picture.name),
        ("Seed" if picture.seeds else "Source", source),
        ("Photograph", picture.photo_path or ""),
        ("Space", picture.space),
        ("Edits", edits or "none"),
        ("Condition", _condition_of(picture, spec)),
        ("Sampling", _sampling_of(picture, spec)),
        ("Model", picture.model),
        ("Weights", f"{picture.fingerprint[:16]}…" if picture.fingerprint else ""),
    ]
    return [(name, text) for name, text in facts if text]


def _condition_of(picture: Picture, spec: ModelSpec | None) -> str:
    told = is_conditional(picture.condition)
    return condition_text(picture.condition, spec, most=1000) if told else ""


def _sampling_of(picture: Picture, spec: ModelSpec | None) -> str:
    """Return how a picture of a diffusion model is sampled; empty for other families."""
    if not picture.options and (spec is None or spec.diffusion is None):
        return ""
    try:
        return sampling_text(Sampling.from_options(picture.options))
    except LatentLabError:
        return ", ".join(f"{name} {value}" for name, value in picture.options.items())


class PictureDetails(QDialog):
    """A small window, never in the way of the others, with text to copy.

    Args:
        controller: of the window; asked for the latents.
        picture: of one image.
    """

    def __init__(self, controller, picture: Picture, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Details of {picture.name}" if picture.name else "Details")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(420)
        self._controller, self._picture = controller, picture
        entry = controller.model_entry
        known = entry is not None and entry.id == picture.model
        self._facts = picture_facts(picture, controller.model.spec if known else None)
        self._form = QFormLayout()
        for name, text in self._facts:
            self._add(name, text)
        self._pending = QLabel("Computing the latents…")
        self._form.addRow(self._pending)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = QPushButton("C&opy")
        buttons.addButton(copy, QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.text()))
        buttons.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        layout.addLayout(self._form)
        layout.addWidget(buttons)
        # A channel of its own: another open window must not take this one's place.
        self._channel = f"{CHANNEL}:{next(_numbers)}"
        controller.preview_rendered.connect(self._take)
        controller.request_preview(self._channel, picture, decode=False)

    def text(self) -> str:
        """Return all facts, a line each."""
        return "\n".join(f"{name}: {text}" for name, text in self._facts)

    def _add(self, name: str, text: str) -> None:
        label = QLabel(text)
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._form.addRow(f"{name}:", label)

    def _space(self) -> LatentSpace | None:
        model = self._controller.model
        if model is None:
            return None
        known = {space.name: space for space in model.spec.spaces}
        return known.get(self._picture.space)

    def _take(self, result: PreviewResult) -> None:
        if result.channel != self._channel or not result.final:
            return
        self._controller.preview_rendered.disconnect(self._take)
        if result.failure is not None or result.latents is None:
            self._pending.setText(result.failure.message if result.failure else "No latents.")
            return
        self._form.removeRow(self._pending)
        found = latent_facts(result.latents, self._space())
        self._facts += found
        for name, text in found:
            self._add(name, text)
        self.adjustSize()
