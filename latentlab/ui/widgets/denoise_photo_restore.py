"""Restorations of a photograph: painted parts, a border, its colour or its detail drawn anew."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtWidgets import QLabel, QToolButton, QWidget

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.requests import Failure
from latentlab.core.restoration import (
    METHOD,
    PAPERS_SAMPLING,
    Restoration,
    colourise,
    inpaint,
    start_noise,
    super_resolve,
    uncrop,
)
from latentlab.ui.widgets.denoise_photo_mode import ConditionPicker, ModePage, NoiseSeed
from latentlab.ui.widgets.denoise_photo_state import PhotoState
from latentlab.ui.widgets.denoise_photo_view import Beside, decibels
from latentlab.ui.widgets.images import Images
from latentlab.ui.widgets.mask_editor import MaskEditor
from latentlab.ui.widgets.sampling_slider import NumberRange
from latentlab.ui.widgets.sampling_value import NamedNumber
from latentlab.ui.widgets.setting_controls import QuietCombo

_PLACES = {
    "Middle": (0.5, 0.5),
    "Top": (0.5, 0.0),
    "Bottom": (0.5, 1.0),
    "Left": (0.0, 0.5),
    "Right": (1.0, 0.5),
    "Top left": (0.0, 0.0),
    "Top right": (1.0, 0.0),
    "Bottom left": (0.0, 1.0),
    "Bottom right": (1.0, 1.0),
}
_BORDER = NumberRange(5, 75, 30, step=5, fine=1, page=10, ticks=(5, 25, 50, 75))


class RestorePage(ModePage):
    """A photograph of which something is known, and what the model adds to it.

    Args:
        state: of the page.
        channel: of its previews.
        method: what is done.
        button: text of the one button.
        tip: what it does.
        done: what the result is called.
    """

    def __init__(
        self,
        state: PhotoState,
        channel: str,
        method: str,
        button: str,
        tip: str,
        done: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(state, channel, f"{METHOD}. {method}", button, tip, parent)
        self._done = done
        self._spec: Any = None
        self._known: Restoration | None = None
        self.seed = NoiseSeed()
        self.condition = ConditionPicker("What the model is told while it restores")
        self.sampler = QuietCombo()
        self.passes = QuietCombo()
        self._offer_ways()
        self.add_controls()
        for widget in (self.seed, self.condition, self.sampler, self.passes):
            self.controls.addWidget(widget)
        self._add_more()
        self.seed.changed.connect(lambda _seed: self._again())
        self.condition.changed.connect(lambda _told: self._again())
        self.sampler.currentIndexChanged.connect(lambda _row: self._again())
        self.passes.currentIndexChanged.connect(lambda _row: self._again())
        self._follow()

    usual_passes = 1
    """How often a run goes over its steps, before a person chooses."""
    shows_known = True
    """Whether what is known stands beside the result; it does before there is one."""
    shows_photo = True
    """Whether the photograph stands beside the result."""

    def _offer_ways(self) -> None:
        """How the run is sampled."""
        self.sampler.addItem("DDIM, eta 0.85", dict(PAPERS_SAMPLING))
        self.sampler.addItem("Sampler as set", {})
        self.sampler.setAccessibleName("Sampler")
        self.sampler.setToolTip(
            "The paper's sampler, which adds noise at every step, or the one that is set for the "
            "model; the number of steps is the one that is set"
        )
        for count in (1, 2, 3, 5):
            self.passes.addItem("1 pass" if count == 1 else f"{count} passes", count)
        self.passes.setCurrentIndex(self.passes.findData(self.usual_passes))
        self.passes.setAccessibleName("Passes")
        self.passes.setToolTip(
            "More passes go back over every five steps, so that new parts agree better with the "
            "rest, and take as many times as long. RePaint, Lugmayr et al. 2022 (arXiv 2201.09865)"
        )

    def _add_more(self) -> None:
        """A button for what is seldom changed."""
        self.more = QToolButton(text="⋯")
        self.more.setCheckable(True)
        self.more.setAutoRaise(True)
        self.more.setAccessibleName("More settings")
        self.more.setToolTip("Sampler and passes")
        for widget in (self.sampler, self.passes):
            widget.hide()
            self.more.toggled.connect(widget.setVisible)
        self.buttons.insertWidget(self.buttons.count() - 1, self.more)

    def add_controls(self) -> None:
        """Put the controls of this restoration first."""

    def restoration(self, photo: Images) -> Restoration:
        """Return what is known of uint8 ``(H, W, C)``.

        Raises:
            LatentLabError: the model or the settings do not allow it.
        """
        raise NotImplementedError

    @property
    def known(self) -> Restoration | None:
        """What is known."""
        return self._known

    def _follow(self) -> None:
        spec = self._state.spec
        if spec is not self._spec:
            self._spec = spec
            self.condition.set_spec(spec)
        self.restart()

    def restart(self) -> None:
        """Take away what was made, and say what is known now."""
        self._known = None
        photo = self._state.photo
        if photo is not None and self._state.spec is not None:
            try:
                self._known = self.restoration(photo.image)
            except LatentLabError as error:
                self.forget()
                self.fail(Failure(error.message, error.details))
                self.primary.setEnabled(False)
                self.watch.setEnabled(False)
                return
        self.forget()

    def _again(self) -> None:
        """Another noise or condition: what was made is made again."""
        if self._picture is None:
            self.forget()
        else:
            self._begin()

    def make_picture(self) -> Picture:
        """Return the picture in the space ``guided``."""
        known, photo = self._known, self._state.photo
        if known is None or photo is None:
            raise LatentLabError("Choose a photograph first.")
        channels, height, width = known.known.shape
        return self._state.picture(
            known.latents(start_noise(self.seed.value, (channels, height, width))),
            {
                **self.sampler.currentData(),
                "travel": self.passes.currentData() - 1,
                **known.options(),
            },
            condition=self.condition.value,
            name=f"{photo.name}, {self._done.lower()}",
        )

    def show_images(self) -> None:
        """What is known, what came of it, and the photograph."""
        photo, known = self._state.photo, self._known
        if photo is None or known is None:
            return
        shown = []
        if self.shows_known or self._result is None:
            shown.append(Beside("Known", known.shown(), None, f"{known.share:.0%} of it"))
        if self._result is not None:
            fit = known.psnr(self._result)
            agrees = "" if math.isnan(fit) else f"known part {decibels(fit)}"
            agrees = "known part kept" if math.isinf(fit) else agrees
            shown.append(Beside(self._done, self._result, self._picture, agrees))
        if self.shows_photo:
            shown.append(Beside("Photograph", photo.image))
        self.view.show_images(shown)


class InpaintPage(RestorePage):
    """Paint over what shall be drawn anew.

    Args:
        state: of the page.
    """

    def __init__(self, state: PhotoState, parent: QWidget | None = None) -> None:
        super().__init__(
            state,
            "photo inpaint",
            "Inpainting: paint over what shall be drawn anew.",
            "&Draw anew",
            "Let the model draw what is painted over; the rest stays",
            "Inpainted",
            parent,
        )

    shows_known = shows_photo = False
    upper_share = 1

    def add_controls(self) -> None:
        """The photograph and a brush."""
        self.mask = MaskEditor()
        self.view.setMinimumSize(120, 120)
        self.mask.set_beside(self.view)
        self.above.addWidget(self.mask, 1)
        self.mask.changed.connect(self.restart)

    def _follow(self) -> None:
        photo = self._state.photo
        if photo is not None:
            self.mask.set_photo(photo.image)
        super()._follow()

    def restoration(self, photo: Images) -> Restoration:
        """Return the photograph without what is painted over."""
        return inpaint(photo, self.mask.model.levels)

    def _refresh(self) -> None:
        super()._refresh()
        painted = self.mask.model.share > 0
        self.primary.setEnabled(self.primary.isEnabled() and painted)
        self.watch.setEnabled(self.watch.isEnabled() and painted)
        self.primary.setToolTip(
            "Let the model draw what is painted over; the rest stays"
            if painted
            else "Paint over a part of the photograph first"
        )


class UncropPage(RestorePage):
    """The photograph with a border that the model draws.

    Args:
        state: of the page.
    """

    def __init__(self, state: PhotoState, parent: QWidget | None = None) -> None:
        super().__init__(
            state,
            "photo uncrop",
            "Uncropping: the border is unknown.",
            "&Extend",
            "Let the model draw the border",
            "Extended",
            parent,
        )

    usual_passes = 3

    def add_controls(self) -> None:
        """How much border, and where."""
        tip = "Share of the frame's width and height that is unknown, in percent"
        self.border = NamedNumber("&Border", _BORDER, tip, 96)
        self.border.set_number(_BORDER.default)
        self.framing = QuietCombo()
        self.framing.addItem("Cut the photograph", "cut")
        self.framing.addItem("Shrink the photograph", "shrink")
        self.framing.setAccessibleName("How the border comes about")
        self.framing.setToolTip(
            "Cut takes the photograph's border away and leaves its scale; shrink makes room around "
            "the whole of it"
        )
        self.place = QuietCombo()
        for title, place in _PLACES.items():
            self.place.addItem(title, place)
        self.place.setAccessibleName("Where the known part stands")
        self.place.setToolTip("Where the known part stands in the frame")
        unit = QLabel("%")
        for widget in (self.border, unit, self.framing, self.place):
            self.controls.addWidget(widget)
        self.border.edited.connect(lambda _share: self.restart())
        self.framing.currentIndexChanged.connect(lambda _row: self.restart())
        self.place.currentIndexChanged.connect(lambda _row: self.restart())

    def restoration(self, photo: Images) -> Restoration:
        """Return the photograph inside its border."""
        share, place = self.border.number / 100, self.place.currentData()
        return uncrop(photo, share, tuple(place), self.framing.currentData())


class ColourisePage(RestorePage):
    """The photograph without its colour.

    Args:
        state: of the page.
    """

    def __init__(self, state: PhotoState, parent: QWidget | None = None) -> None:
        super().__init__(
            state,
            "photo colourise",
            "Colourising: the mean of the channels is known.",
            "&Colourise",
            "Let the model choose colours that have this grey",
            "Colourised",
            parent,
        )

    def restoration(self, photo: Images) -> Restoration:
        """Return its grey."""
        return colourise(photo)


class EnlargePage(RestorePage):
    """The photograph made small.

    Args:
        state: of the page.
    """

    def __init__(self, state: PhotoState, parent: QWidget | None = None) -> None:
        super().__init__(
            state,
            "photo enlarge",
            "Super-resolution: the means of blocks are known.",
            "En&large",
            "Let the model draw detail that has these means",
            "Enlarged",
            parent,
        )

    def add_controls(self) -> None:
        """By how much."""
        self.factor = QuietCombo()
        for factor in (2, 4, 8):
            self.factor.addItem(f"{factor} times", factor)
        self.factor.setCurrentIndex(1)
        self.factor.setAccessibleName("Factor")
        self.factor.setToolTip("Width and height are enlarged by this factor")
        self.controls.addWidget(self.factor)
        self.factor.currentIndexChanged.connect(lambda _row: self.restart())

    def restoration(self, photo: Images) -> Restoration:
        """Return its blocks."""
        return super_resolve(photo, self.factor.currentData())
