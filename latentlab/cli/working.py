"""What commands on directions share: jobs of the window done here, and words for pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentlab.cli.common import Machine, Progress
from latentlab.core.errors import LatentLabError
from latentlab.core.suggest import did_you_mean

if TYPE_CHECKING:
    from latentlab.core.direction import Direction
    from latentlab.core.document import Picture
    from latentlab.core.latents import Latents
    from latentlab.core.spec import ModelSpec
    from latentlab.services.jobs import JobContext

_SEEDS = re.compile(r"[\d,\s-]+")
_LATENTS = (".safetensors", ".npz")


class Work:
    """Jobs of the window, done here, with progress on standard error.

    Args:
        context: what the jobs work with.
        quiet: no progress.
    """

    def __init__(self, context: JobContext, quiet: bool) -> None:
        self.context = context
        self._quiet = quiet

    def run(self, kind: str, **arguments: Any) -> Any:
        """Do a job and return its value."""
        from latentlab.core.requests import JobRequest
        from latentlab.services.jobs import run_job

        progress = Progress(self._quiet)
        return run_job(
            JobRequest("command", kind, arguments),
            lambda report: progress(report.done, report.total, report.message),
            self.context,
        )

    def own(self, model: str) -> dict[str, Direction]:
        """Return the directions that come with a model."""
        return dict(self.context.library.backend(model).directions)

    def picture(self, model: str, text: str) -> tuple[Picture, Latents | None]:
        """Return a picture, and its latents where no seed makes them, from words.

        They are a seed or several, a photograph, a PNG of LatentLab, or a file of latents.

        Raises:
            LatentLabError: they are none of these.
        """
        from latentlab.core.seeds import parse_seeds
        from latentlab.services.commands import build_picture

        path = Path(text)
        library = self.context.library
        spec, entry = library.backend(model).spec, library.resolve(model)
        if not path.is_file():
            if not _SEEDS.fullmatch(text):
                raise LatentLabError(
                    f"'{text}' is neither a seed nor a file: write for example 3, or name a "
                    "photograph, a PNG of LatentLab or a file of latents."
                )
            return build_picture(spec, model=entry.id, seeds=parse_seeds(text)), None
        if not holds_latents(path, spec):
            photo = self.run("encode_photo", model=model, photo=path)
            return photo.picture, photo.latents
        taken = self.run("import_latents", path=path, model=model)
        rows = self._rows((taken.picture, taken.stored), taken.directions)
        return build_picture(spec, model=entry.id, stored=rows, space=rows.space), rows

    def latents(self, model: str, text: str) -> Latents:
        """Return the latents of a picture from words; see ``picture``."""
        return self._rows(self.picture(model, text), {})

    def _rows(self, item: tuple[Picture, Latents | None], own: Mapping[str, Direction]) -> Latents:
        (rows,) = self.run("picture_latents", pictures=(item,), directions=own)
        latents: Latents = rows
        return latents


def holds_latents(path: Path, spec: ModelSpec) -> bool:
    """Return whether a file holds latents for a model; what another model made is a photograph.

    Raises:
        LatentLabError: it is a PNG with several images of another model.
    """
    from latentlab.services.png import read_png_metadata

    suffix = path.suffix.lower()
    if suffix in _LATENTS:
        return True
    record = read_png_metadata(path) if suffix == ".png" else None
    if record is None or record.picture.fingerprint == spec.fingerprint:
        return record is not None
    picture, stored = record.picture, record.stored
    count = len(picture.seeds) if stored is None else stored.batch
    if count > 1:
        raise LatentLabError(
            f"'{path.name}' shows {count} images of '{picture.model}': give a file with one image, "
            "which is then encoded like a photograph."
        )
    return False


@contextmanager
def working(machine: Machine, quiet: bool) -> Iterator[Work]:
    """Give what jobs work with, and put it in order at the end."""
    from latentlab.services.jobs import JobContext
    from latentlab.services.renderer import Renderer

    library = machine.library()
    context = JobContext(library, Renderer(library))
    try:
        yield Work(context, quiet)
    finally:
        context.lane.stop()


def named_directions(
    work: Work, model: str, files: Sequence[str], names: Sequence[str] = ()
) -> dict[str, Direction]:
    """Return a model's own directions and those of files (which win), or the named ones of them.

    Raises:
        LatentLabError: there is no such name, or no such file.
    """
    from latentlab.services.own_directions import load_directions

    known = work.own(model) | load_directions(files)
    for name in names:
        if name not in known:
            raise LatentLabError(
                f"There is no direction '{name}' for this model{did_you_mean(name, known)}"
            )
    return {name: known[name] for name in names} if names else known


def file_or_name(work: Work, model: str, texts: Sequence[str]) -> tuple[Direction, ...]:
    """Return directions, each the name of one of the model's, or a file."""
    from latentlab.services.own_directions import load_directions

    found: dict[str, Direction] = {}
    for text in texts:
        if Path(text).is_file() or Path(text).suffix in (".safetensors", ".png"):
            found |= load_directions([text])
        else:
            found |= named_directions(work, model, (), [text])
    return tuple(found.values())
