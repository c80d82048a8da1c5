"""Films: any frames as GIF, WebP, APNG or MP4, and the sample sheets of a run. No torch here."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import replace_file
from latentlab.core.run_events import read_events
from latentlab.core.runs import RunFolder
from latentlab.services.film_formats import WRITERS, Frame, check_mp4

if TYPE_CHECKING:
    from latentlab.services.jobs import JobContext

Report = Callable[[int, int, str], None]

FPS = (0.1, 120.0)
MAX_SIDE = 4096
_SMALL_SIDE = 384
_LABEL_HEIGHT = 24
_MAX_SHEET_PIXELS = 2**26


@dataclass(frozen=True)
class Film:
    """A film that was written.

    Attributes:
        path: of the file.
        frames: in it.
        seconds: that it plays.
    """

    path: Path
    frames: int
    seconds: float


def write_film(
    path: Path,
    frames: Iterable[Frame],
    fps: float,
    report: Report | None = None,
    *,
    total: int | None = None,
    comment: str = "",
) -> Film:
    """Write frames as a film, by the suffix: ``.gif``, ``.webp``, ``.png`` or ``.apng``, ``.mp4``.

    Args:
        path: the file to make or replace; it is whole or not there.
        frames: uint8 ``(H, W, 3)`` or ``(H, W)``, all of one size; taken one at a time.
        fps: frames a second, 0.1 to 120 (50 in a GIF).
        report: called with (done, total, message); what it raises stops the work and leaves no
            file.
        total: number of frames, where ``frames`` has no length.
        comment: kept in the file's metadata.

    Raises:
        LatentLabError: another suffix or rate, no frame, frames of several sizes, a film that is
            too long for its format, or a file that cannot be written.
    """
    suffix = _checked(path, fps)
    if total is None:
        total = len(frames) if isinstance(frames, Sequence) else 0
    counted = _counted(frames, total, report)
    written = 0

    def write(target: Path) -> None:
        nonlocal written
        written = WRITERS[suffix](target, counted, fps, comment)

    replace_file(path, write)
    return Film(path, written, written / fps)


def _checked(path: Path, fps: float) -> str:
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise LatentLabError(
            f"A film cannot be written as '{path.suffix or path.name}': use .mp4, .gif, .webp or "
            ".png."
        )
    if not FPS[0] <= fps <= FPS[1]:
        raise LatentLabError(f"A film has {FPS[0]:g} to {FPS[1]:g} frames a second, not {fps:g}.")
    if suffix == ".mp4":
        check_mp4()
    return suffix


def _counted(frames: Iterable[Frame], total: int, report: Report | None) -> Iterator[Frame]:
    size: tuple[int, ...] | None = None
    done = 0
    for frame in frames:
        plain = _plain(frame)
        if size is None:
            size = plain.shape
        if plain.shape != size:
            raise LatentLabError(
                f"Frame {done + 1} is {plain.shape[1]} x {plain.shape[0]} pixels, the first "
                f"{size[1]} x {size[0]}: give all frames one size."
            )
        done += 1
        if report is not None:
            report(done, max(total, done), "writing frames")
        yield plain
    if not done:
        raise LatentLabError("There is no frame to write: a film has one at least.")


def _plain(frame: Frame) -> Frame:
    if frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 1):
        frame = np.repeat(frame.reshape(*frame.shape[:2], 1), 3, axis=2)
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
        raise LatentLabError(
            f"A frame is uint8 of shape (height, width, 3), not {frame.dtype} {frame.shape}."
        )
    return frame


# The samples of a run.


def sample_sheets(run_dir: Path) -> list[tuple[int, Path]]:
    """Return the sample sheets of a run as (step, file), by step.

    What a killed attempt made beyond the step at which the next one began is left out.
    """
    folder = RunFolder(run_dir)
    told = {
        event.step: folder.samples / Path(str(event.data.get("path", ""))).name
        for event in read_events(run_dir)
        if event.kind == "sample"
    }
    sheets = {step: path for step, path in told.items() if path.is_file()}
    if not told:
        # The events are gone, the pictures are not.
        for path in folder.sample_files():
            with contextlib.suppress(ValueError):
                sheets[int(path.stem.removeprefix("step_"))] = path
    return sorted(sheets.items())


def even_choice(count: int, most: int) -> list[int]:
    """Return at most ``most`` of ``count`` indices, evenly spread; the ends are always among them.

    Args:
        count: 1 or more.
        most: 2 or more.
    """
    chosen = np.linspace(0, count - 1, min(count, max(most, 2))).round().astype(int)
    return [int(i) for i in np.unique(chosen)]


def sample_film(
    run_dir: Path,
    path: Path,
    *,
    fps: float = 12.0,
    max_seconds: float | None = 60.0,
    label: bool = True,
    scale: int | None = None,
    report: Report | None = None,
) -> Film:
    """Write the sample sheets of a run, from its first step to its last, as a film.

    Args:
        run_dir: the run; it may be in training.
        path: see ``write_film``.
        fps: sheets a second.
        max_seconds: a longer film leaves out sheets evenly, never the first or the last; ``None``
            takes all.
        label: write the step under each sheet.
        scale: each pixel becomes so many squared; by default small sheets grow to about 400
            pixels.
        report: see ``write_film``.

    Raises:
        LatentLabError: no sheets, none that can be read, or see ``write_film``.
    """
    _checked(path, fps)
    if max_seconds is not None and not max_seconds > 0:
        raise LatentLabError(f"A film lasts more than 0 seconds, not {max_seconds:g}.")
    if scale is not None and not 1 <= scale <= 64:
        raise LatentLabError(f"Pixels are enlarged 1 to 64 times, not {scale}.")
    sheets = sample_sheets(run_dir)
    readable = [(step, file, size) for step, file in sheets if (size := _size(file)) is not None]
    if not readable:
        raise LatentLabError(
            f"The run '{run_dir.name}' has no sample sheets yet: wait for the first, or set "
            "train.sample_every."
        )
    if max_seconds is not None:
        most = int(min(fps * max_seconds, len(readable)))
        readable = [readable[i] for i in even_choice(len(readable), most)]
    canvas = _Canvas([size for _, _, size in readable], scale, label)
    frames = (canvas.frame(file, step) for step, file, _ in readable)
    comment = f"Samples of the run {run_dir.absolute().name}, steps {readable[0][0]} to "
    comment += f"{readable[-1][0]} (LatentLab)"
    return write_film(path, frames, fps, report, total=len(readable), comment=comment)


def _size(file: Path) -> tuple[int, int] | None:
    """Return (width, height) of a sheet; ``None`` when it cannot be read."""
    try:
        with Image.open(file, formats=("PNG",)) as image:
            width, height = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return (width, height) if width * height <= _MAX_SHEET_PIXELS else None


class _Canvas:
    """Brings sheets to one size.

    Args:
        sizes: (width, height) of all sheets; the largest sides count.
        scale: enlargement; ``None`` chooses one.
        label: leave room for the step.
    """

    def __init__(self, sizes: Sequence[tuple[int, int]], scale: int | None, label: bool) -> None:
        width, height = (max(size[i] for size in sizes) for i in (0, 1))
        chosen = scale or max(1, round(_SMALL_SIDE / max(width, height)))
        self._width, self._height = width * chosen, height * chosen
        shrink = min(1.0, MAX_SIDE / max(self._width, self._height))
        self._width = max(1, int(self._width * shrink))
        self._height = max(1, int(self._height * shrink))
        self._label = label
        self._last: Frame | None = None
        self._font = ImageFont.load_default(14) if label else None

    def frame(self, file: Path, step: int) -> Frame:
        """Return a sheet as uint8 ``(H, W, 3)``, centred on black, its step below."""
        extra = _LABEL_HEIGHT if self._label else 0
        canvas = Image.new("RGB", (self._width, self._height + extra))
        sheet = self._sheet(file)
        if sheet is None:
            # It was there a moment ago; the picture stands still for one frame.
            if self._last is not None:
                canvas.paste(Image.fromarray(self._last))
        else:
            left, top = (self._width - sheet.width) // 2, (self._height - sheet.height) // 2
            canvas.paste(sheet, (left, top))
        if self._label:
            draw = ImageDraw.Draw(canvas)
            draw.rectangle((0, self._height, self._width, self._height + extra), fill="black")
            place = (6, self._height + extra // 2)
            draw.text(place, f"step {step:,}", fill="white", font=self._font, anchor="lm")
        self._last = np.asarray(canvas)
        return self._last

    def _sheet(self, file: Path) -> Image.Image | None:
        try:
            with Image.open(file, formats=("PNG",)) as image:
                picture = image.convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None
        grow = min(self._width / picture.width, self._height / picture.height)
        if grow >= 1:
            whole = int(grow)
            return picture.resize(
                (picture.width * whole, picture.height * whole), Image.Resampling.NEAREST
            )
        size = (max(1, int(picture.width * grow)), max(1, int(picture.height * grow)))
        return picture.resize(size, Image.Resampling.LANCZOS)


# As a job of the window: the work is done in a process of its own, which Cancel ends.


def _film_work(report: Report, run_dir: str, path: str, **options: object) -> tuple[int, float]:
    film = sample_film(Path(run_dir), Path(path), report=report, **options)  # type: ignore[arg-type]
    return film.frames, film.seconds


def sample_film_job(
    context: JobContext, *, run_dir: str, path: str, **options: object
) -> Generator[tuple[int, int, str] | None, None, Film]:
    """Do ``sample_film`` as a job; a cancelled one leaves no file.

    Args:
        context: of the job.
        run_dir: the run.
        path: the film's file.
        options: ``fps``, ``max_seconds``, ``label`` and ``scale`` of ``sample_film``.
    """
    target = Path(path).absolute()
    # Made by the other process, which may be ended at any moment; this one clears up.
    part = target.with_name(f".{uuid.uuid4().hex}.part{target.suffix}")
    try:
        frames, seconds = yield from context.lane.run(
            "latentlab.services.film:_film_work", run_dir=run_dir, path=str(part), **options
        )
        try:
            part.replace(target)
        except OSError as error:
            raise LatentLabError(
                f"'{target}' could not be written ({error.strerror}): choose another file."
            ) from error
        return Film(target, frames, seconds)
    finally:
        _clear(part)


def _clear(part: Path) -> None:
    """Remove a half-written film and what its writer was about to rename."""
    for _ in range(20):
        left = [*part.parent.glob(f".{part.name}*.part"), part] if part.parent.is_dir() else []
        try:
            for file in left:
                file.unlink(missing_ok=True)
            return
        except OSError:
            # Windows: the process that was ended still holds the file for a moment.
            time.sleep(0.05)
