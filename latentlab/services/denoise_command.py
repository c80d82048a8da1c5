"""A denoising run as a command line, and how it stands in a file. No torch here.

``latentlab denoise MODEL (--seed N --temperature T | --latents FILE) --sampler S --steps N [...]
[--branch PATH ...] --out FILE``

with, where they differ from the default: ``--space``, ``--guidance``, ``--eta``, ``--spacing``,
``--option NAME=VALUE`` for what else decides the pixels, the condition's and the sliders' words of
``services.commands``, and of the layout ``--every``, ``--show``, ``--scale``, ``--captions``,
``--fps``, ``--hold``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from latentlab.core.denoising import Sampling, Show, format_path, parse_path
from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.services.commands import (
    condition_arguments,
    format_number,
    format_option,
    keep_latents,
    portable_picture,
    quote,
)
from latentlab.services.denoise_draw import tree_order
from latentlab.services.film import FPS
from latentlab.services.film_formats import MAX_GIF_FPS, check_mp4
from latentlab.services.own_directions import keep_direction, used_directions

if TYPE_CHECKING:
    from latentlab.services.library import Entry

FILMS = (".gif", ".webp", ".apng", ".mp4")
STRIP, ARRAYS = ".png", ".npz"
MAX_SCALE, MAX_HOLD = 64, 60.0


@dataclass(frozen=True)
class StripLayout:
    """How runs stand in a strip, or in the frames of a film.

    Attributes:
        every: every n-th step is shown, and the last; ``None``: about eight in a strip, all in a
            film.
        rows: quantities, from the top down.
        scale: each pixel becomes so many squared; ``None``: images of a strip grow to 64 pixels at
            least, those of a film to about 256.
        captions: write what each run is, and step and time.
        fps: steps a second, of a film.
        hold: seconds that the result stands still at the end of a film.
    """

    every: int | None = None
    rows: tuple[Show, ...] = ("x_t", "x0")
    scale: int | None = None
    captions: bool = False
    fps: float = 8.0
    hold: float = 1.0

    def check(self, out: Path) -> None:
        """Raise ``LatentLabError`` for numbers that make no file, or a file of another kind."""
        suffix = out.suffix.lower()
        if suffix not in (STRIP, ARRAYS, *FILMS):
            raise LatentLabError(
                f"A run cannot be written as '{out.suffix or out.name}': use .png for a strip, "
                ".mp4, .gif, .webp or .apng for a film, .npz for the numbers."
            )
        if not self.rows or len(set(self.rows)) < len(self.rows):
            raise LatentLabError("Say what to show, each once: x_t, x0, eps, or several of them.")
        unknown = [name for name in self.rows if name not in get_args(Show)]
        if unknown:
            raise LatentLabError(
                f"A run has no '{unknown[0]}'; it has {', '.join(get_args(Show))}."
            )
        if self.every is not None and self.every < 1:
            raise LatentLabError(f"Every {self.every}th step is none: choose 1 or more.")
        if self.scale is not None and not 1 <= self.scale <= MAX_SCALE:
            raise LatentLabError(f"Pixels are enlarged 1 to {MAX_SCALE} times, not {self.scale}.")
        if not FPS[0] <= self.fps <= FPS[1]:
            raise LatentLabError(f"A film has {FPS[0]:g} to {FPS[1]:g} steps a second.")
        if suffix == ".gif" and self.fps > MAX_GIF_FPS:
            raise LatentLabError(f"A GIF shows at most {MAX_GIF_FPS:.0f} steps a second.")
        if not 0 <= self.hold <= MAX_HOLD:
            raise LatentLabError(f"A film holds its last frame for 0 to {MAX_HOLD:g} seconds.")
        if suffix == ".mp4":
            check_mp4()
        folder = out.absolute().parent
        if out.is_dir() or (folder.exists() and not folder.is_dir()):
            raise LatentLabError(f"'{out}' cannot be a file: choose another name or folder.")

    def arguments(self) -> list[str]:
        """Return the words of what differs from the default."""
        plain = StripLayout()
        words = [] if self.every is None else ["--every", str(self.every)]
        words += [] if self.rows == plain.rows else ["--show", ",".join(self.rows)]
        words += [] if self.scale is None else ["--scale", str(self.scale)]
        words += ["--captions"] if self.captions else []
        words += [] if self.fps == plain.fps else ["--fps", format_number(self.fps)]
        return words + ([] if self.hold == plain.hold else ["--hold", format_number(self.hold)])


def plain_run(picture: Picture) -> Picture:
    """Return the picture of the run that a picture is a frame or a branch of, options in order."""
    from_options = Sampling.from_options(picture.options)
    plain = from_options.model_copy(update={"branch": "", "stop_at": None, "show": "x0"})
    return portable_picture(
        picture.model_copy(update={"options": plain.to_options()}), picture.fingerprint
    )


def plain_paths(paths: Sequence[str]) -> tuple[str, ...]:
    """Return paths as ``format_path`` writes them, with those that they leave, in tree order.

    Raises:
        LatentLabError: one cannot be read.
    """
    return tree_order([format_path(parse_path(path)) for path in paths])


def denoise_arguments(
    picture: Picture,
    *,
    model: str | None = None,
    latents: str = "strip.png",
    directions: Sequence[str] = (),
    paths: Sequence[str] = (),
    layout: StripLayout | None = None,
    out: str = "strip.png",
    default_space: str = "noise",
) -> list[str]:
    """Return the words of the command that writes a run.

    Args:
        picture: of one image; ``branch``, ``stop_at`` and ``show`` among its options are left out.
        model: id or path; the picture's own id when not given.
        latents: file that holds the stored latents.
        directions: files of the person's own directions.
        paths: branches.
        layout: of the file.
        out: the file.
        default_space: the space that the model takes when none is named.
    """
    picture = plain_run(picture)
    sampling = Sampling.from_options(picture.options)
    words = ["latentlab", "denoise", model or picture.model]
    if picture.stored:
        words += ["--latents", latents]
    else:
        words += ["--seed", ",".join(map(str, picture.seeds))]
    words += [] if picture.space == default_space else ["--space", picture.space]
    if not picture.stored and picture.temperature != 1:
        words += ["--temperature", format_number(picture.temperature)]
    words += ["--sampler", sampling.sampler, "--steps", str(sampling.steps)]
    named = {"guidance", "eta", "spacing"}
    for name, value in sorted(sampling.to_options().items()):
        if name in named:
            text = value if isinstance(value, str) else format_number(value)
            words += [f"--{name}", text]
        elif name not in ("sampler", "steps"):
            words += ["--option", f"{name}={format_option(value)}"]
    words += condition_arguments(picture.condition)
    for name in directions:
        words += ["--direction", name]
    for name, value in picture.edits.items():
        words += ["--set", f"{name}={format_number(value)}"]
    for path in plain_paths(paths)[1:]:
        words += ["--branch", path]
    return [*words, *(layout or StripLayout()).arguments(), "--out", out]


def denoise_command(
    picture: Picture,
    stored: Latents | None = None,
    *,
    entry: Entry | None = None,
    paths: Sequence[str] = (),
    layout: StripLayout | None = None,
    out: str = "strip.png",
    device: str | None = None,
    platform: str | None = None,
    directions: Mapping[str, Direction] | None = None,
) -> str:
    """Return the text of "Copy as command": run anywhere, it writes this run, to the same bytes.

    Latents that come from no seed, and the person's own directions, are written to the person's
    data folder, so that the command can name them.

    Args:
        picture: of one image.
        stored: the latents that ``picture.stored`` names.
        entry: the picture's model; its path is named when no other program knows its id.
        paths: branches.
        layout: of the file.
        out: the file; its suffix says what is written.
        device: named when the person chose one: another device rounds differently.
        platform: whose shell to quote for (``sys.platform``).
        directions: the person's own.

    Raises:
        LatentLabError: the latents are missing, or cannot be written.
    """
    own = used_directions(picture, directions).values()
    header = None if entry is None else entry.header
    words = denoise_arguments(
        picture,
        model=picture.model if entry is None or entry.portable else str(entry.path),
        latents=str(keep_latents(picture, stored)) if picture.stored else "",
        directions=[str(keep_direction(direction)) for direction in own],
        paths=paths,
        layout=layout,
        out=out,
        default_space="noise" if header is None else header.spec.spaces[0].name,
    )
    if device is not None and device != "auto":
        words += ["--device", device]
    return quote(words, platform)
