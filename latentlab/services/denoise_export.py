"""Strips and films of denoising runs: one way for the window and the command line.

``write_denoising`` makes the file of the job ``export_denoising`` and of ``latentlab denoise``: the
same bytes for the same picture, branches and layout. All is computed in the fixed micro-batch, so
that a frame of a strip is the frame that ``latentlab sample`` makes with ``stop_at``, to the bit.
Importing this module imports no torch.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.denoising import DenoisingFrame, Sampling, parse_path
from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.modelfile import replace_file
from latentlab.services.commands import quote
from latentlab.services.denoise import Estimate, FrameMaker, runs_of
from latentlab.services.denoise_arrays import RunArrays
from latentlab.services.denoise_command import (
    ARRAYS,
    STRIP,
    StripLayout,
    denoise_arguments,
    denoise_command,
    plain_paths,
    plain_run,
)
from latentlab.services.denoise_draw import (
    DrawnRun,
    branch_title,
    check_pixels,
    chosen_steps,
    draw_frame,
    draw_strip,
    film_steps,
    run_title,
)
from latentlab.services.film import write_film
from latentlab.services.own_directions import used_directions
from latentlab.services.png import encode_png, png_metadata

if TYPE_CHECKING:
    from latentlab.services.jobs import JobContext
    from latentlab.services.renderer import Renderer

__all__ = ["StripLayout", "WrittenDenoising", "denoise_command", "write_denoising"]

Progress = tuple[int, int, str]
Report = Callable[[int, int, str], None]
Encoder = Callable[..., Generator[Any, None, int]]

MAX_KEPT_BYTES = 2**30
MAX_FRAME_BYTES = 2**31
_COLUMNS = 8
_STRIP_SIDE, _FILM_SIDE, _FILM_WIDTH = 64, 256, 1280


@dataclass(frozen=True)
class WrittenDenoising:
    """A file that was written.

    Attributes:
        path: of the file.
        counts: steps by run, the run itself first.
        frames: of a film, or steps of the widest row of a strip.
        evaluations: of the network.
    """

    path: Path
    counts: Mapping[str, int]
    frames: int
    evaluations: int


def write_denoising(
    renderer: Renderer,
    path: Path,
    picture: Picture,
    stored: Latents | None = None,
    directions: Mapping[str, Direction] | None = None,
    *,
    paths: Sequence[str] = (),
    layout: StripLayout | None = None,
    encoder: Encoder | None = None,
) -> Generator[Progress | None, None, WrittenDenoising]:
    """Denoise a picture of one image and write how; each turn is one evaluation, or one frame.

    Args:
        renderer: of the models.
        path: ``.png`` a strip, ``.mp4``, ``.gif``, ``.webp`` or ``.apng`` a film, ``.npz`` float32
            arrays; whole or not there.
        picture: its options ``branch``, ``stop_at`` and ``show`` are left aside.
        stored: the latents that ``picture.stored`` names.
        directions: the person's own that the picture's edits name.
        paths: branches; the runs that they leave are made too.
        layout: of the file.
        encoder: does ``encode_film`` elsewhere; in this process when not given.

    Raises:
        LatentLabError: not a model with steps, not one image, a path or a layout that cannot be, or
            a file that cannot be written.
    """
    layout, path = layout or StripLayout(), Path(path)
    layout.check(path)
    work = _Work(renderer, picture, stored, directions, plain_paths(paths), layout, path)
    yield from work.denoise()
    frames = yield from work.write(encoder or _encode_here)
    counts = {run: work.estimate.counts[run] for run in work.paths}
    return WrittenDenoising(path, counts, frames, work.runs.evaluations)


class _Work:
    """One export: the runs first, then the file."""

    def __init__(
        self,
        renderer: Renderer,
        picture: Picture,
        stored: Latents | None,
        directions: Mapping[str, Direction] | None,
        paths: tuple[str, ...],
        layout: StripLayout,
        out: Path,
    ) -> None:
        from latentlab.services.decoding import MICRO_BATCH
        from latentlab.services.denoise_runs import StateCache

        leaves = {(p.rpartition("/")[0], parse_path(p)[-1].at) for p in paths if p}
        cache = StateCache(keeps=lambda run, step: (run, step) in leaves)
        self.spec = renderer.library.backend(picture.model).spec
        self.picture = plain_run(picture).model_copy(update={"fingerprint": self.spec.fingerprint})
        self.runs, _ = runs_of(renderer, self.picture, stored, directions, cache, MICRO_BATCH)
        self.runs.check(paths)
        self.paths, self.layout, self.out = paths, layout, out
        self.stored, self.own = stored, used_directions(self.picture, directions)
        self.kind = out.suffix.lower()
        self.sampling = Sampling.from_options(self.picture.options)
        self.estimate = Estimate(self.sampling, paths)
        self.frames: dict[str, dict[int, DenoisingFrame]] = {path: {} for path in paths}
        self.arrays = RunArrays()

    def denoise(self) -> Iterator[Progress]:
        """Make all runs, and keep what is drawn."""
        maker, done, kept = FrameMaker(), 0, 0
        for path in self.paths:
            for step in self.runs.steps(path):
                done += 1
                if step is not None:
                    if path not in self.estimate.counts:
                        self.estimate.counts[path] = step.count
                        self._check_room(path, step.count)
                    if self.kind == ARRAYS:
                        kept += self.arrays.add(path, step)
                    elif step.index in self._wanted(path, step.count):
                        frame = self.frames[path][step.index] = maker(path, step)
                        kept += 3 * frame.x_t.nbytes
                    if kept > MAX_KEPT_BYTES:
                        raise LatentLabError(
                            "These are too many steps for one file: show every n-th of them, "
                            "or leave out branches."
                        )
                yield done, max(done, self._total()), "denoising"

    def _check_room(self, path: str, count: int) -> None:
        """Say at the first step of a run what would be too large at the end of all."""
        if self.kind == ARRAYS:
            return
        runs, rows = len(self.paths), len(self.layout.rows)
        across, down = (rows, 1) if runs == 1 else (runs, rows)
        if self.kind == STRIP:
            across, down = len(self._wanted(path, count)), runs * rows
        scale = self._scale(runs)
        _, height, width = (n * scale for n in self.spec.image_shape)
        check_pixels(across * width, down * height)
        if self.kind != STRIP:
            _check_size((len(self._film_steps()) + 1, down * height, across * width, 3))

    def _total(self) -> int:
        drawn = 2 * (len(self._film_steps()) + 1) if self.kind not in (STRIP, ARRAYS) else 1
        return self.estimate.total + drawn

    def _every(self, count: int) -> int:
        if self.layout.every is not None:
            return self.layout.every
        return -(-count // _COLUMNS) if self.kind == STRIP else 1

    def _film_steps(self) -> list[int]:
        counts = list(self.estimate.counts.values()) or [self.sampling.steps]
        return film_steps(counts, self._every(counts[0]))

    def _wanted(self, path: str, count: int) -> set[int]:
        every = self._every(self.estimate.counts[""])
        if self.kind == STRIP:
            return chosen_steps(path, self.paths, count, every)
        # Another run may be longer than those known so far: its last step can be any.
        return {i for i in range(1, count + 1) if (i - 1) % every == 0 or i == count}

    def _drawn(self) -> list[DrawnRun]:
        titles = {p: branch_title(parse_path(p)[-1]) for p in self.paths if p}
        titles[""] = run_title(self.sampling, self.picture.condition)
        counts = self.estimate.counts
        return [DrawnRun(p, titles[p], counts[p], self.frames[p]) for p in self.paths]

    def _scale(self, runs: int) -> int:
        if self.layout.scale is not None:
            return self.layout.scale
        _, height, width = self.spec.image_shape
        side = max(height, width)
        if self.kind == STRIP:
            return max(1, -(-_STRIP_SIDE // side))
        across = len(self.layout.rows) if runs == 1 else runs
        return max(1, min(round(_FILM_SIDE / side), _FILM_WIDTH // (across * side)))

    def command(self) -> str:
        """Return the command that the file says: on latents or own directions it names itself."""
        name = f"{'strip' if self.kind == STRIP else 'run'}{self.kind}"
        words = denoise_arguments(
            self.picture,
            latents=name,
            directions=[name] if self.own else (),
            paths=self.paths,
            layout=self.layout,
            out=name,
            default_space=self.spec.spaces[0].name,
        )
        return quote(words, platform="any")

    def write(self, encoder: Encoder) -> Generator[Progress | None, None, int]:
        """Write the file; return its frames, or the steps of a strip."""
        runs = self._drawn()
        if self.kind == ARRAYS:
            data = self.arrays.data(self.picture, self.command())
            replace_file(self.out, lambda target: target.write_bytes(data))
            return max(self.estimate.counts.values())
        if self.kind == STRIP:
            image = draw_strip(runs, self.layout.rows, self._scale(len(runs)), self.layout.captions)
            about = png_metadata(self.picture, self.stored, self.command(), self.own)
            data = encode_png(image, about)
            replace_file(self.out, lambda target: target.write_bytes(data))
            return len({step for run in runs for step in run.frames})
        return (yield from self._film(runs, encoder))

    def _film(
        self, runs: list[DrawnRun], encoder: Encoder
    ) -> Generator[Progress | None, None, int]:
        places: list[int | None] = [*self._film_steps(), None]
        total, scale = self._total(), self._scale(len(runs))
        begun = total - 2 * len(places)
        with _folder(self.out) as folder:
            raw, made = folder / "frames", folder / f"film{self.kind}"
            shape: tuple[int, ...] = ()
            with raw.open("wb") as stream:
                for done, place in enumerate(places, 1):
                    frame = draw_frame(runs, self.layout.rows, place, scale, self.layout.captions)
                    shape = (len(places), *frame.shape)
                    _check_size(shape)
                    stream.write(frame.tobytes())
                    yield begun + done, total, "drawing"
            encoding = encoder(
                raw=str(raw),
                shape=shape,
                path=str(made),
                fps=self.layout.fps,
                hold=round(self.layout.hold * self.layout.fps),
                comment=self.command(),
            )
            count = yield from _scaled(encoding, begun + len(places), total)
            replace_file(self.out, lambda target: shutil.copyfile(made, target))
        return count


def _check_size(shape: tuple[int, ...]) -> None:
    if math.prod(shape) > MAX_FRAME_BYTES:
        raise LatentLabError(
            "The film would be too large: show every n-th step, or choose a smaller scale."
        )


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """Give a folder for what is not yet the file; a full disk is said in a sentence."""
    try:
        # Windows may still hold a file of a process that was ended.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
            yield Path(name)
    except OSError as error:
        raise LatentLabError(
            f"'{out}' could not be written ({error.strerror or error}): free some space."
        ) from error


def _scaled(
    encoding: Generator[Any, None, int], begun: int, total: int
) -> Generator[Progress | None, None, int]:
    """Pass on how far an encoder is, as the last part of the whole."""
    try:
        while True:
            try:
                progress = next(encoding)
            except StopIteration as stop:
                return int(stop.value)
            if progress is None:
                yield None
            else:
                done, count = progress[:2]
                yield begun + (total - begun) * done // max(count, 1), total, "writing the film"
    finally:
        encoding.close()


def encode_film(
    report: Report,
    raw: str,
    shape: tuple[int, ...],
    path: str,
    fps: float,
    hold: int,
    comment: str,
) -> int:
    """Write drawn frames as a film; return their number.

    Args:
        report: gets how far it is.
        raw: file of the frames, uint8 of ``shape``.
        shape: ``(frames, H, W, 3)``.
        path: of the film.
        fps: frames a second.
        hold: times that the last frame is shown once more.
        comment: kept in the file.
    """
    frames: NDArray[np.uint8] = np.fromfile(raw, np.uint8).reshape(shape)
    shown = (frames[min(i, len(frames) - 1)] for i in range(len(frames) + hold))
    film = write_film(Path(path), shown, fps, report, total=len(frames) + hold, comment=comment)
    return film.frames


def _encode_here(**arguments: Any) -> Generator[Progress, None, int]:
    yield from ()
    return encode_film(lambda *_: None, **arguments)


def export_denoising_job(
    context: JobContext,
    *,
    path: Path | str,
    picture: Picture,
    stored: Latents | None = None,
    directions: Mapping[str, Direction] | None = None,
    paths: Sequence[str] = (),
    layout: StripLayout | None = None,
) -> Generator[Progress | None, None, WrittenDenoising]:
    """Do ``write_denoising`` as a job; a film is encoded by the lane, so that nothing waits."""

    def encoder(**arguments: Any) -> Generator[Any, None, int]:
        count: int = yield from context.lane.run(
            "latentlab.services.denoise_export:encode_film", **arguments
        )
        return count

    yield 0, 1, "Reading the model"
    return (
        yield from write_denoising(
            context.renderer,
            Path(path),
            picture,
            stored,
            directions,
            paths=paths,
            layout=layout,
            encoder=encoder,
        )
    )
