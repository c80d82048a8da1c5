"""Commands on a photograph and a diffusion model: ``restore`` and ``corrupt``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from latentlab.cli.common import Json, Machine, Many, Model, Progress, parse_numbers, print_json
from latentlab.cli.denoise import Walk
from latentlab.cli.images import Out
from latentlab.core.errors import LatentLabError

if TYPE_CHECKING:
    from latentlab.core.document import Picture
    from latentlab.core.latents import Condition, Latents
    from latentlab.core.restoration import Restoration
    from latentlab.services.library import ModelLibrary

Photo = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO")]
RestoreTask = Literal["inpaint", "uncrop", "colourise", "super_resolve"]


@dataclass(frozen=True)
class Told:
    """What the model is told; nothing if none of these is given."""

    label: Annotated[int | None, tyro.conf.arg(help="Class index of a conditional model.")] = None
    attribute: Annotated[Many, tyro.conf.arg(metavar="NAME=X", help="Attribute condition.")] = ()

    def condition(self) -> Condition:
        """Return the condition that these words name."""
        from latentlab.core.latents import Condition

        attributes = parse_numbers(self.attribute, "--attribute")
        if self.label is None and not attributes:
            return Condition(null=True)
        return Condition(class_index=self.label, attributes=attributes)


@dataclass(frozen=True)
class Border:
    """What ``--task uncrop`` does not know."""

    border: Annotated[
        float, tyro.conf.arg(metavar="SHARE", help="Of width and height, unknown: 0 to 0.9.")
    ] = 0.3
    place: Annotated[
        tuple[float, float],
        tyro.conf.arg(
            metavar="X Y", help="Of the known part: 0 is left or top, 1 is right or bottom."
        ),
    ] = (0.5, 0.5)
    framing: Annotated[
        Literal["cut", "shrink"],
        tyro.conf.arg(help="cut takes the photograph's border away; shrink makes room around it."),
    ] = "cut"


@dataclass(frozen=True)
class Restore:
    """Let an unconditional diffusion model add what a photograph lacks, and write the result.

    What is known of it stays as it is: DDNM, Wang et al. 2022 (arXiv 2212.00490).

    Example: latentlab restore portraits-diffusion photo.png --task inpaint --mask mask.png
    --out out.png
    """

    model: Model
    photo: Photo
    out: Annotated[Out, tyro.conf.arg(help="The PNG to write.")]
    task: Annotated[
        RestoreTask, tyro.conf.arg(help="What is lacking: a part, a border, colour or detail.")
    ]
    mask: Annotated[
        Path | None,
        tyro.conf.arg(metavar="FILE", help="For inpaint: what is white is drawn anew."),
    ] = None
    factor: Annotated[
        Literal[2, 4, 8], tyro.conf.arg(help="For super_resolve: times as wide and high.")
    ] = 4
    seed: Annotated[int, tyro.conf.arg(help="Of the noise; another one gives another result.")] = 0
    framing: tyro.conf.OmitArgPrefixes[Border] = field(default_factory=Border)
    told: tyro.conf.OmitArgPrefixes[Told] = field(default_factory=Told)
    walk: tyro.conf.OmitArgPrefixes[Walk] = field(default_factory=Walk)
    passes: Annotated[
        int,
        tyro.conf.arg(help="Go over every five steps so often: RePaint, arXiv 2201.09865."),
    ] = 1
    known: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help="PNG of what is known, to write too.")
    ] = None
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Write the restored photograph."""
        from latentlab.core.restoration import start_noise
        from latentlab.services.png import save_png

        if (self.task == "inpaint") != (self.mask is not None):
            raise LatentLabError("--task inpaint and --mask belong together: give both, or none.")
        work = _Work(self.machine.library(), self.model, self.photo)
        known = self._restoration(work)
        shape = work.spec.image_shape
        picture, stored = work.picture(
            known.latents(start_noise(self.seed, shape)),
            {**self._sampling(), **known.options()},
            self.told.condition(),
        )
        image = work.write(self.out, picture, stored, Progress(self.json))
        if self.known is not None:
            save_png(self.known, known.shown()[None], metadata={})
        share, psnr = known.share, known.psnr(image)
        if self.json:
            figures = {"share_known": share, "psnr_known_db": psnr}
            print_json({"out": self.out, **figures, "picture": picture.model_dump(mode="json")})
        else:
            print(f"{share:.0%} was known and {_agrees(psnr)}: {self.out}")
        return 0

    def _sampling(self) -> dict[str, Any]:
        """Return the paper's sampling, as far as nothing else is asked for."""
        from latentlab.core.restoration import PAPERS_SAMPLING

        given = self.walk.options()
        usual = {} if "sampler" in given else PAPERS_SAMPLING
        if self.passes < 1:
            raise LatentLabError("--passes is a whole number from 1 on.")
        return {**usual, **given, "travel": self.passes - 1}

    def _restoration(self, work: _Work) -> Restoration:
        from latentlab.core.restoration import colourise, inpaint, super_resolve, uncrop

        if self.task == "inpaint" and self.mask is not None:
            return inpaint(work.image, work.read_mask(self.mask))
        if self.task == "uncrop":
            border = self.framing
            if not (0 <= border.border <= 0.9 and all(0 <= at <= 1 for at in border.place)):
                raise LatentLabError("--border is 0 to 0.9, and both numbers of --place 0 to 1.")
            return uncrop(work.image, border.border, border.place, border.framing)
        if self.task == "colourise":
            return colourise(work.image)
        return super_resolve(work.image, self.factor)


@dataclass(frozen=True)
class Corrupt:
    """Drown a photograph in noise as the forward process does, and perhaps denoise it again.

    x_t = sqrt(alpha-bar) x_0 + sqrt(1 - alpha-bar) noise: Ho et al. 2020 (arXiv 2006.11239),
    equation 4.

    Example: latentlab corrupt portraits-diffusion photo.png --t 400 --denoise --out back.png
    """

    model: Model
    photo: Photo
    out: Annotated[Out, tyro.conf.arg(help="The PNG to write.")]
    t: Annotated[int, tyro.conf.arg(help="Time: 0 is the photograph, the last is noise alone.")]
    seed: Annotated[int, tyro.conf.arg(help="Of the noise.")] = 0
    denoise: Annotated[
        bool, tyro.conf.arg(help="Write what the model makes of it, not the noisy picture.")
    ] = False
    told: tyro.conf.OmitArgPrefixes[Told] = field(default_factory=Told)
    walk: tyro.conf.OmitArgPrefixes[Walk] = field(default_factory=Walk)
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Write the picture."""
        from latentlab.core.restoration import corrupt, noise_latents, photo_psnr, start_noise

        work = _Work(self.machine.library(), self.model, self.photo)
        draw = start_noise(self.seed, work.spec.image_shape)
        schedule = work.schedule()
        x_t = corrupt(work.image, self.t, schedule, draw)
        options = {**self.walk.options(), "start_at": self.t}
        if not self.denoise:
            options |= {"stop_at": 1, "show": "x_t"}
        picture, stored = work.picture(noise_latents(x_t), options, self.told.condition())
        image = work.write(self.out, picture, stored, Progress(self.json))
        snr, psnr = float(schedule.snr[self.t]), photo_psnr(work.image, image)
        if self.json:
            print_json(
                {
                    "out": self.out,
                    "signal_rate": float(schedule.signal_rate[self.t]),
                    "noise_rate": float(schedule.noise_rate[self.t]),
                    "snr": snr,
                    "psnr_db": psnr,
                    "picture": picture.model_dump(mode="json"),
                }
            )
        elif self.denoise:
            print(f"denoised from t = {self.t}, PSNR {psnr:.1f} dB: {self.out}")
        else:
            print(f"t = {self.t}, signal-to-noise ratio {snr:.2g}: {self.out}")
        return 0


def _agrees(psnr: float) -> str:
    if math.isnan(psnr):
        return "everything is drawn"
    return "agrees exactly" if math.isinf(psnr) else f"agrees to {psnr:.1f} dB"


class _Work:
    """A photograph fitted to a diffusion model of a library."""

    def __init__(self, library: ModelLibrary, model: str, photo: Path) -> None:
        from latentlab.services.photo import prepare_photo

        self._library = library
        self._entry = library.resolve(model)
        self.spec = library.backend(model).spec
        if self.spec.diffusion is None:
            raise LatentLabError(f"'{self._entry.id}' is no diffusion model: choose one.")
        self.image = prepare_photo(photo, self.spec)

    def schedule(self) -> Any:
        """Return the model's noise schedule."""
        from latentlab.core.noise_schedule import noise_schedule

        facts = self.spec.diffusion
        if facts is None:
            raise LatentLabError(f"'{self._entry.id}' is no diffusion model: choose one.")
        ends = {"beta_start": facts.beta_start, "beta_end": facts.beta_end}
        return noise_schedule(facts.schedule, facts.num_timesteps, **ends)

    def read_mask(self, path: Path) -> Any:
        """Return a mask at the model's size, uint8 ``(H, W)``."""
        from latentlab.data.transforms import ImageTransform, load_image

        size = self.spec.image_shape[1]
        return load_image(path, ImageTransform(size=size, channels=1))[..., 0]

    def picture(
        self, stored: Latents, options: dict[str, Any], condition: Condition
    ) -> tuple[Picture, Latents]:
        """Return the picture of latents, and them."""
        from latentlab.core.denoising import Sampling
        from latentlab.services.commands import build_picture

        if not (condition.null or self.spec.conditions):
            raise LatentLabError(f"'{self._entry.id}' takes no condition: leave it out.")
        made = build_picture(
            self.spec,
            model=self._entry.id,
            stored=stored,
            space=stored.space,
            condition=condition,
            options=Sampling.from_options(options).to_options(),
        )
        return made, stored

    def write(self, out: Path, picture: Picture, stored: Latents, progress: Progress) -> Any:
        """Write the picture's PNG and return its image, uint8 ``(H, W, C)``."""
        import numpy as np
        from PIL import Image

        from latentlab.services.commands import write_picture
        from latentlab.services.renderer import Renderer

        for done, total in write_picture(Renderer(self._library), out, picture, stored):
            progress(done, total, "denoising")
        with Image.open(out) as file:
            image = np.asarray(file)
        return image if image.ndim == 3 else image[..., None]
