"""A photograph walked back to its noise by DDIM, and made again under another condition."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition
from latentlab.core.restoration import photo_psnr
from latentlab.services.photo_denoise import InvertedPhoto
from latentlab.ui.widgets.denoise_photo_mode import ConditionPicker, ModePage
from latentlab.ui.widgets.denoise_photo_state import NOTHING_TOLD, PhotoState
from latentlab.ui.widgets.denoise_photo_view import Beside, decibels
from latentlab.ui.widgets.direction_pages.job_line import JobLine
from latentlab.ui.widgets.sampling_slider import NumberRange
from latentlab.ui.widgets.sampling_value import NamedNumber
from latentlab.ui.widgets.setting_controls import QuietCombo

_STEPS = NumberRange(10, 200, 50, step=10, fine=1, page=50, log=True, ticks=(10, 25, 50, 100, 200))
_GUIDANCE = NumberRange(0, 10, 1, step=0.5, fine=0.1, page=1, ticks=(0, 1, 2, 5, 10), box_high=50)
_EXACT = (("Plain", 0), ("Refined once", 1), ("Refined 3 times", 3))
_USUAL = 1


class InvertPage(ModePage):
    """Inverts, shows what was lost, and shows the photograph under another condition.

    Args:
        state: of the page.
    """

    def __init__(self, state: PhotoState, parent: QWidget | None = None) -> None:
        super().__init__(
            state,
            "photo invert",
            "DDIM inversion: Song et al. 2021 (arXiv 2010.02502)",
            "&Invert",
            "Find the noise from which the model makes this photograph",
            parent,
        )
        self._found: InvertedPhoto | None = None
        self._spec: Any = None
        self.steps = NamedNumber("&Steps", _STEPS, "Steps of DDIM, there and back", 96)
        self.exact = QuietCombo()
        for title, refine in _EXACT:
            self.exact.addItem(title, refine)
        self.exact.setCurrentIndex(_USUAL)
        self.exact.setAccessibleName("Exactness")
        self.exact.setToolTip("Further evaluations at each step make the inversion more exact")
        self.told = ConditionPicker("What the photograph shows, told while it is inverted")
        self.told.setToolTip("What the photograph shows, told while it is inverted")
        self.read = QPushButton("&Read")
        self.read.setAccessibleName("Read the condition")
        self.read.setToolTip(
            "Let the probe read from the photograph what it shows. What is not told counts as 0, "
            "so that an edit of one attribute would change the others too"
        )
        self.read.clicked.connect(self._read)
        self.line = JobLine(self._controller)
        for widget in (self.steps, self.exact, self.told, self.read):
            self.controls.addWidget(widget)
        self._add_editor()
        self.above.addWidget(self.line)
        self.halves.itemAt(0).layout().addWidget(self.editor)
        self.told.changed.connect(lambda _told: self.forget())
        self.line.changed.connect(self._refresh)
        self._follow()

    def _add_editor(self) -> None:
        """The condition on the way back."""
        self.editor = QWidget()
        name = QLabel("&Edit")
        self.edit = ConditionPicker("What the model is told on the way back")
        name.setBuddy(self.edit.button)
        self.guidance = NamedNumber(
            "&Guidance", _GUIDANCE, "Guidance on the way back: more exaggerates the edit", 72
        )
        row = QHBoxLayout(self.editor)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(name)
        row.addWidget(self.edit)
        row.addWidget(self.guidance)
        row.addStretch()
        self.edit.changed.connect(lambda _told: self._edited())
        self.guidance.edited.connect(lambda _value: self._edited())

    @property
    def found(self) -> InvertedPhoto | None:
        """What inversion gave."""
        return self._found

    def _follow(self) -> None:
        spec = self._state.spec
        if spec is not self._spec:
            self._spec = spec
            for picker in (self.told, self.edit):
                picker.set_spec(spec)
        self.line.stop()
        self.line.forget()
        self.forget()

    def forget(self) -> None:
        """Let go of the noise that was found."""
        self._found = None
        self.edit.set_value(NOTHING_TOLD)
        super().forget()

    # Inverting.

    def _begin(self) -> None:
        photo = self._state.photo
        if photo is None:
            return
        arguments = {
            "model": self._controller.model_entry.id,
            "photo": photo.image,
            "name": photo.name,
            "steps": round(self.steps.number),
            "condition": self.told.value,
            "refine": self.exact.currentData(),
        }
        self.forget()
        title = f"Inverting {photo.name}"
        self.line.run("invert_photo", title, arguments, self._inverted)

    def _read(self) -> None:
        """Ask the probe what the photograph shows."""
        photo = self._state.photo
        if photo is None:
            return
        arguments = {"model": self._controller.model_entry.id, "photo": photo.image}
        title = f"Reading {photo.name}"
        self.line.run("read_condition", title, arguments, self._take_reading)

    def _take_reading(self, told: Condition) -> None:
        self.forget()
        self.told.set_value(told)
        self._refresh()

    def _inverted(self, found: InvertedPhoto) -> None:
        self._controller.store.put_latents(found.latents)
        self._controller.store.put(found.photo)
        self._found = found
        self.edit.set_value(self.told.value)
        self._refresh()

    def _refresh(self) -> None:
        super()._refresh()
        here = self._found is not None
        self.primary.setEnabled(self.primary.isEnabled() and not self.line.running)
        self.watch.setEnabled(here)
        self.keep.setEnabled(here)
        can_edit = self._spec is not None and bool(self._spec.conditions)
        told = () if self._spec is None else self._spec.attribute_names
        self.read.setVisible(bool(told))
        self.read.setEnabled(self._state.photo is not None and not self.line.running)
        self.editor.setVisible(here and can_edit)

    # Editing.

    def make_picture(self) -> Picture:
        """Return the photograph's noise under the edited condition."""
        found = self._found
        if found is None:
            raise LatentLabError("Invert the photograph first.")
        told = self.edit.value
        if told == found.picture.condition:
            return found.picture
        options = {**found.picture.options, "guidance": self.guidance.number}
        name = f"{found.picture.name} edited".strip()
        return found.picture.model_copy(
            update={"condition": told, "options": options, "name": name}
        )

    def _edited(self) -> None:
        """Follow the hand: the newest request wins."""
        if self._found is None:
            return
        picture, before = self.make_picture(), self._result
        if picture == self._found.picture:
            self._picture = self._result = self._asked = None
            self._refresh()
        elif picture != self._picture:
            self.ask(picture)
            # The old image stays until the new one comes.
            self._result = self._result if self._result is not None else before

    def show_images(self) -> None:
        """Photograph, reconstruction, and what it is under the edited condition."""
        photo, found = self._state.photo, self._found
        if photo is None:
            return
        shown = [Beside("Photograph", photo.image)]
        if found is not None:
            figure = f"PSNR {decibels(found.psnr)}"
            shown.append(Beside("Reconstruction", found.reconstruction, found.picture, figure))
        if found is not None and self._result is not None:
            figure = f"PSNR {decibels(photo_psnr(photo.image, self._result))}"
            shown.append(Beside("Edited", self._result, self._picture, figure))
        self.view.show_images(shown)
