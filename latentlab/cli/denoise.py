"""The command ``denoise``: a run of a diffusion model, and its branches, as a strip or a film."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from latentlab.cli.common import Json, Machine, Many, Model, Progress, print_json
from latentlab.cli.decoding import Decoding, Start, read_start
from latentlab.cli.images import Moves, Out
from latentlab.core.errors import LatentLabError

if TYPE_CHECKING:
    from latentlab.core.document import Option, Picture
    from latentlab.core.latents import Latents
    from latentlab.services.denoise_command import StripLayout
    from latentlab.services.denoise_export import WrittenDenoising


@dataclass(frozen=True)
class Walk:
    """How noise becomes a picture."""

    sampler: Annotated[
        str | None,
        tyro.conf.arg(help="dpmpp (if none), ddim, ddpm, euler, euler_a, heun or unipc."),
    ] = None
    steps: Annotated[int | None, tyro.conf.arg(help="Of the whole run; 25 if none.")] = None
    guidance: Annotated[
        float | None,
        tyro.conf.arg(metavar="W", help="Weight of the condition, 0 to 50; 1 follows it."),
    ] = None
    eta: Annotated[float | None, tyro.conf.arg(help="Noise that ddim injects, 0 to 1.")] = None
    spacing: Annotated[
        str | None, tyro.conf.arg(help="Of the times: trailing (if none), leading or linspace.")
    ] = None

    def options(self) -> dict[str, Option]:
        """Return the options of ``decode`` that these words name."""
        from latentlab.core.denoising import sampler

        if self.sampler is not None:
            sampler(self.sampler)
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Drawn:
    """How runs stand in the file."""

    every: Annotated[
        int | None,
        tyro.conf.arg(
            metavar="K", help="Show every K-th step, and the last; about 8 in a strip if none."
        ),
    ] = None
    show: Annotated[
        str, tyro.conf.arg(metavar="NAME,...", help="Of x_t, x0 (predicted), eps (predicted).")
    ] = "x_t,x0"
    captions: Annotated[bool, tyro.conf.arg(help="Write step, time and settings.")] = False
    scale: Annotated[
        int | None, tyro.conf.arg(help="Each pixel becomes SCALE x SCALE; chosen if none.")
    ] = None
    fps: Annotated[float, tyro.conf.arg(help="Steps a second, of a film.")] = 8.0
    hold: Annotated[
        float, tyro.conf.arg(metavar="SECONDS", help="How long a film ends on the result.")
    ] = 1.0

    def layout(self) -> StripLayout:
        """Return the layout that these words name."""
        from latentlab.services.denoise_command import StripLayout

        rows = tuple(name.strip() for name in self.show.split(",") if name.strip())
        return StripLayout(self.every, rows, self.scale, self.captions, self.fps, self.hold)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Denoise:
    """Denoise a picture step by step and write how: a strip (.png) or a film (.mp4, .gif ...).

    A branch is written AT:NAME=VALUE,...: it keeps AT steps and goes on with another sampler,
    steps, guidance, eta, noise, label, attr.NAME or unconditional; / branches it again.

    Example: latentlab denoise portraits-diffusion --seed 3 --steps 25 --branch 8:guidance=3
    --out strip.png
    """

    model: Model
    out: Annotated[
        Out, tyro.conf.arg(help=".png (strip), .mp4, .gif, .webp, .apng, or .npz (numbers).")
    ]
    seed: Annotated[int | None, tyro.conf.arg(help="Of the noise; 0 if none.")] = None
    latents: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help="Instead of a seed, from `encode`.")
    ] = None
    temperature: Annotated[float, tyro.conf.arg(help="Times the prior's standard deviation.")] = 1.0
    branch: Annotated[
        Many, tyro.conf.arg(metavar="PATH", help="For example 8:guidance=3; may be repeated.")
    ] = ()
    walk: tyro.conf.OmitArgPrefixes[Walk] = field(default_factory=Walk)
    moves: tyro.conf.OmitArgPrefixes[Moves] = field(default_factory=Moves)
    decoding: tyro.conf.OmitArgPrefixes[Decoding] = field(default_factory=Decoding)
    drawn: tyro.conf.OmitArgPrefixes[Drawn] = field(default_factory=Drawn)
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Write the strip or the film."""
        from latentlab.services.denoise_command import plain_paths
        from latentlab.services.denoise_export import write_denoising
        from latentlab.services.denoise_runs import check_steps
        from latentlab.services.renderer import Renderer

        layout = self.drawn.layout()
        # Said before a model is read.
        layout.check(self.out)
        paths = plain_paths(self.branch)
        library = self.machine.library()
        backend = library.backend(self.model)
        check_steps(backend)
        picture, stored = self._picture(backend, library.resolve(self.model).id)
        work = write_denoising(
            Renderer(library),
            self.out,
            picture,
            stored,
            self.moves.directions(),
            paths=paths,
            layout=layout,
        )
        return self._say(picture, _followed(work, Progress(self.json)))

    def _picture(self, backend: Any, model: str) -> tuple[Picture, Latents | None]:
        from latentlab.core.denoising import Sampling
        from latentlab.services.commands import build_picture

        if self.seed is not None and self.latents is not None:
            raise LatentLabError("A run begins with one noise: give --seed or --latents, not both.")
        start = Start((self.seed or 0,))
        if self.latents is not None:
            start = read_start(backend.spec, self.latents)
        stored = start.stored
        walk, options = self.walk.options(), self.decoding.options()
        twice = sorted(walk.keys() & options.keys())
        if twice:
            raise LatentLabError(f"--{twice[0]} and --option {twice[0]} say the same: give one.")
        picture = build_picture(
            backend.spec,
            model=model,
            seeds=start.seeds,
            stored=stored,
            temperature=self.temperature,
            space=self.decoding.space or (stored.space if stored else None),
            edits=self.moves.edits(),
            condition=self.decoding.told(start.condition),
            options=Sampling.from_options({**start.options, **walk, **options}).to_options(),
        )
        return picture, stored

    def _say(self, picture: Picture, written: WrittenDenoising) -> int:
        if self.json:
            print_json(
                {
                    "out": written.path,
                    "picture": picture.model_dump(mode="json"),
                    "fingerprint": picture.fingerprint,
                    "steps": written.counts,
                    "frames": written.frames,
                    "evaluations": written.evaluations,
                }
            )
            return 0
        branches = len(written.counts) - 1
        more = f" and {branches} branch{'es' if branches > 1 else ''}" if branches else ""
        print(f"{written.counts['']} steps{more} in {written.path}")
        return 0


def _followed(work: Any, progress: Progress) -> WrittenDenoising:
    """Do the work with progress on standard error; whatever stops it closes it."""
    try:
        while True:
            try:
                report = next(work)
            except StopIteration as stop:
                written: WrittenDenoising = stop.value
                return written
            if report is not None:
                progress(*report)
    finally:
        work.close()
