"""The forward process on a photograph: drowned in noise up to a time, and denoised back."""

from __future__ import annotations

import math

from PySide6.QtWidgets import QLabel, QWidget

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.noise_schedule import NoiseSchedule
from latentlab.core.restoration import (
    Floats,
    corrupt,
    noise_latents,
    photo_psnr,
    shown_noisy,
    start_noise,
)
from latentlab.ui.widgets.denoise_photo_mode import ConditionPicker, ModePage, NoiseSeed
from latentlab.ui.widgets.denoise_photo_state import PhotoState
from latentlab.ui.widgets.denoise_photo_view import Beside, decibels
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.sampling_slider import NumberRange
from latentlab.ui.widgets.sampling_value import NamedNumber

_TIP = "Time of the forward process: 0 is the photograph itself, the last time is noise alone"


def ratio_text(snr: float) -> str:
    """Return a signal-to-noise ratio of variances: ``SNR 1.6 (2.0 dB)``."""
    return f"SNR {snr:.2g} ({10 * math.log10(max(snr, 1e-12)):+.1f} dB)".replace("-", "−")


class CorruptPage(ModePage):
    """A slider of time, the photograph at that time, and what the model makes of it.

    Args:
        state: of the page.
    """

    def __init__(self, state: PhotoState, parent: QWidget | None = None) -> None:
        super().__init__(
            state,
            "photo corrupt",
            "Ho et al. 2020 (arXiv 2006.11239), eq. 4: x_t = √ᾱ x₀ + √(1 − ᾱ) ε",
            "&Denoise back",
            "Let the model take the noise away again, from this time on",
            parent,
        )
        self._schedule: NoiseSchedule | None = None
        self._x_t: Floats | None = None
        self.time = NamedNumber("&Time", self._range(1000), _TIP)
        self.time.set_number(400)
        self.rates = QLabel()
        self.rates.setFont(small_font(self.font()))
        self.rates.setAccessibleName("Signal and noise at this time")
        self.rates.setToolTip("Rates are factors of image and noise; SNR is the ratio of variances")
        self.seed = NoiseSeed()
        self.condition = ConditionPicker("What the model is told while it denoises")
        self.above.addWidget(self.time)
        self.above.addWidget(self.rates)
        for widget in (self.seed, self.condition):
            self.controls.addWidget(widget)
        self.time.edited.connect(lambda _t: self._moved())
        self.seed.changed.connect(lambda _seed: self._moved())
        self.condition.changed.connect(lambda _told: self.forget())
        self._spec = None
        self._follow()

    @staticmethod
    def _range(count: int) -> NumberRange:
        last = max(1, count - 1)
        ticks = tuple(last * share // 4 for share in range(5))
        return NumberRange(
            0, last, min(400, last), step=10, fine=1, page=max(1, last // 10), ticks=ticks
        )

    @property
    def t(self) -> int:
        """The time that is chosen."""
        return round(self.time.number)

    @property
    def x_t(self) -> Floats | None:
        """The noisy photograph, float32 ``(C, H, W)``."""
        return self._x_t

    def _follow(self) -> None:
        spec = self._state.spec
        if spec is not self._spec:
            self._spec, self._schedule = spec, self._state.schedule
            self.condition.set_spec(spec)
            if self._schedule is not None:
                count = self._schedule.num_timesteps
                t = min(self.t, count - 1)
                self.time.set_range(self._range(count))
                self.time.set_number(t)
        self._moved()

    def _moved(self) -> None:
        """Make the noisy photograph: it is arithmetic, and done at once."""
        photo, schedule = self._state.photo, self._schedule
        self._x_t = None
        if photo is not None and schedule is not None:
            height, width, channels = photo.image.shape
            draw = start_noise(self.seed.value, (channels, height, width))
            self._x_t = corrupt(photo.image, self.t, schedule, draw)
            signal, noise = schedule.signal_rate[self.t], schedule.noise_rate[self.t]
            snr = ratio_text(float(schedule.snr[self.t]))
            self.rates.setText(f"Signal {signal:.2f}, noise {noise:.2f}, {snr}")
        self.forget()

    def make_picture(self) -> Picture:
        """Return the picture that starts from the noisy photograph."""
        if self._x_t is None or self._state.photo is None:
            raise LatentLabError("Choose a photograph first.")
        return self._state.picture(
            noise_latents(self._x_t),
            {"start_at": self.t},
            condition=self.condition.value,
            compare=True,
            name=f"{self._state.photo.name}, from t = {self.t}",
        )

    def show_images(self) -> None:
        """Photograph, its noisy self, and what came back."""
        photo, x_t, schedule = self._state.photo, self._x_t, self._schedule
        if photo is None or x_t is None or schedule is None:
            return
        shown = [
            Beside("Photograph", photo.image),
            Beside(f"At t = {self.t}", shown_noisy(x_t, self.t, schedule)),
        ]
        if self._result is not None:
            figure = f"PSNR {decibels(photo_psnr(photo.image, self._result))}"
            shown.append(Beside("Denoised", self._result, self._picture, figure))
        self.view.show_images(shown)
