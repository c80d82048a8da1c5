"""Denoising runs as pictures: a strip with a row a quantity, and the frames of a film. No torch.

In a strip, a column is a step, the same for all runs, and the last column is the result. A branch
stands below the run that it leaves, begins in the column of its own first step, and a line of its
colour joins the two, so that the tree is seen. In a film, all runs go on side by side; before its
branching point, a branch shows what it shares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from latentlab.core.denoising import Branch, DenoisingFrame, Sampling, Show, parse_path, sampler
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition
from latentlab.core.palette import OKABE_ITO, RGB

Pixels = NDArray[np.uint8]

TITLES: dict[Show, str] = {"x_t": "noisy x_t", "x0": "predicted x0", "eps": "predicted noise"}
"""What a row is called."""
MAX_PIXELS = 2**26
"""Of a strip, or of a frame of a film."""
_PAPER, _INK, _GREY = (255, 255, 255), (27, 29, 33), (96, 102, 112)
_SIZE, _LINE, _HEADING, _GAP, _PAD, _RULE = 12, 14, 19, 12, 6, 2


@dataclass(frozen=True, eq=False)
class DrawnRun:
    """A run, or a branch of one, with the frames that are drawn.

    Attributes:
        path: as text; empty for the run itself.
        title: one line.
        count: steps of the whole run, those before the branch included.
        frames: of its own steps, by index; not necessarily of all.
    """

    path: str
    title: str
    count: int
    frames: Mapping[int, DenoisingFrame] = field(default_factory=dict)

    @property
    def parent(self) -> str:
        """Path of the run that it leaves; its own path for the run itself."""
        return self.path.rpartition("/")[0]

    @property
    def at(self) -> int:
        """Steps that it shares with its parent."""
        path = parse_path(self.path)
        return path[-1].at if path else 0

    @property
    def result(self) -> Pixels | None:
        """The picture, uint8 ``(H, W, C)``, where the last frame is among the frames."""
        last = self.frames.get(self.count)
        return None if last is None else last.result


def condition_words(condition: Condition) -> str:
    """Return a condition for a person, for example ``smiling 1``; empty where there is none."""
    if condition.null:
        return "no condition"
    words = [] if condition.class_index is None else [f"class {condition.class_index}"]
    words += [f"{n.replace('_', ' ')} {v:.3g}" for n, v in condition.attributes.items()]
    return ", ".join(words)


def run_title(sampling: Sampling, condition: Condition) -> str:
    """Return what a run is, in one line."""
    words = [sampler(sampling.sampler).title, f"{sampling.steps} steps"]
    words += [] if sampling.guidance == 1 else [f"guidance {sampling.guidance:.3g}"]
    words += [f"eta {sampling.eta:.3g}"] if sampling.eta else []
    return ", ".join([*words, *filter(None, [condition_words(condition)])])


def branch_title(branch: Branch) -> str:
    """Return what is different from a branching point on, in one line."""
    words = [] if branch.sampler is None else [sampler(branch.sampler).title]
    words += [] if branch.steps is None else [f"{branch.steps} steps"]
    words += [] if branch.guidance is None else [f"guidance {branch.guidance:.3g}"]
    words += [] if branch.eta is None else [f"eta {branch.eta:.3g}"]
    words += [] if branch.noise is None else [f"new noise {branch.noise}"]
    words += [] if branch.condition is None else [condition_words(branch.condition)]
    what = ", ".join(filter(None, words)) or "the same again"
    return f"after step {branch.at}: {what}" if branch.at else f"from the start: {what}"


def tree_order(paths: Sequence[str]) -> tuple[str, ...]:
    """Return paths with all the runs that they leave, each before its branches; the run is first.

    Branches of one run keep their order; a path that is there twice is there once.
    """
    below: dict[str, list[str]] = {"": []}
    for path in paths:
        parts = path.split("/") if path else []
        for depth in range(len(parts)):
            parent, child = "/".join(parts[:depth]), "/".join(parts[: depth + 1])
            if child not in below.setdefault(parent, []):
                below[parent].append(child)

    def walk(path: str) -> Iterator[str]:
        yield path
        for child in below.get(path, ()):
            yield from walk(child)

    return tuple(walk(""))


def chosen_steps(path: str, paths: Sequence[str], count: int, every: int) -> set[int]:
    """Return which of its own steps of a run a strip shows.

    They are every n-th of the whole run from the first on, the first of each branch of ``paths``,
    so that no row has a gap, and its own last.
    """
    firsts = {parse_path(p)[-1].at + 1 if p else 1 for p in paths}
    at = parse_path(path)[-1].at if path else 0
    return {i for i in range(at + 1, count) if (i - 1) % every == 0 or i in firsts} | {count}


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_SIZE)


def _width(text: str) -> int:
    return int(np.ceil(_font().getlength(text)))


def _fitted(text: str, room: float) -> str:
    """Return a text cut so that it fits."""
    if _width(text) <= room:
        return text
    while text and _width(f"{text}...") > room:
        text = text[:-1]
    return f"{text}..." if text else ""


def _wrapped(text: str, room: float) -> list[str]:
    """Return a text on two lines at most, each cut so that it fits."""
    first = text
    while " " in first and _width(first) > room:
        first = first.rpartition(" ")[0]
    rest = text[len(first) :].strip()
    return [_fitted(line, room) for line in (first, rest) if line]


def _enlarged(image: Pixels, scale: int) -> Image.Image:
    if image.shape[-1] == 1:
        image = np.repeat(image, 3, axis=-1)
    return Image.fromarray(np.repeat(np.repeat(image, scale, axis=0), scale, axis=1))


def _image(frame: DenoisingFrame, show: Show) -> Pixels:
    images: dict[Show, Pixels] = {"x_t": frame.x_t, "x0": frame.x0, "eps": frame.eps}
    return images[show]


def time_words(frame: DenoisingFrame) -> str:
    """Return the time of a frame, which need not be whole."""
    return f"t {frame.t:.4g}"


def check_pixels(width: int, height: int) -> None:
    """Raise ``LatentLabError`` for a strip or a frame that is too large."""
    if width * height > MAX_PIXELS:
        raise LatentLabError(
            f"{width:,} x {height:,} pixels are too many: take fewer steps, fewer branches or a "
            "smaller scale."
        )


def _canvas(width: int, height: int) -> Image.Image:
    check_pixels(width, height)
    return Image.new("RGB", (width, height), _PAPER)


def colour_of(number: int) -> RGB:
    """Return the colour of a branch; 0 is the run itself."""
    colours = (OKABE_ITO[4], OKABE_ITO[5], OKABE_ITO[2], OKABE_ITO[6], OKABE_ITO[0], OKABE_ITO[1])
    return _GREY if number == 0 else colours[(number - 1) % len(colours)]


class _Strip:
    """Where everything stands in a strip.

    Args:
        runs: in tree order.
        rows: quantities.
        size: (height, width) of an image.
        scale: enlargement.
        captions: write titles, quantities, steps and times.
    """

    def __init__(
        self,
        runs: Sequence[DrawnRun],
        rows: Sequence[Show],
        size: tuple[int, int],
        scale: int,
        captions: bool,
    ) -> None:
        self.runs, self.rows, self.scale, self.captions = runs, rows, scale, captions
        # A run's last step stands after the others, in whatever column that is.
        self.steps = sorted({i for run in runs for i in run.frames if i < run.count})
        texts = [t for run in runs for i, f in run.frames.items() for t in _caption(i, f)]
        self.image_width, self.image_height = size[1] * scale, size[0] * scale
        widest = max([_width(t) for t in texts] + [0]) if captions else 0
        self.cell = max(self.image_width, widest)
        self.left = _PAD + (max(_width(TITLES[show]) for show in rows) + _PAD if captions else 0)
        self.head = (_HEADING + 2 * _LINE + 2) if captions else 0
        self.block = self.head + len(rows) * (self.image_height + _PAD)
        self.results = any(show != "eps" for show in rows)
        columns = max(self._column(run, run.count) for run in runs) + 1 + self.results
        self.width = self.left + columns * (self.cell + _PAD)
        self.height = _PAD + len(runs) * (self.block + _GAP) - _GAP

    def _column(self, run: DrawnRun, index: int | None) -> int:
        """Return the column of a step of a run; ``None`` is its result."""
        if index is not None and index < run.count:
            return self.steps.index(index)
        before = [self.steps.index(i) + 1 for i in run.frames if i < run.count]
        last = max(before, default=sum(i <= run.at for i in self.steps))
        return last + (index is None)

    def x(self, run: DrawnRun, index: int | None) -> int:
        """Return the left edge of a step's column."""
        return self.left + self._column(run, index) * (self.cell + _PAD)

    def top(self, row: int) -> int:
        """Return the top of a run's block."""
        return _PAD + row * (self.block + _GAP)

    def draw(self) -> Pixels:
        """Return the strip, uint8 ``(H, W, 3)``."""
        sheet = _canvas(self.width, self.height)
        pen = ImageDraw.Draw(sheet)
        for row in range(len(self.runs)):
            self._join(pen, row)
        for row, run in enumerate(self.runs):
            for index, frame in run.frames.items():
                images = [_image(frame, show) for show in self.rows]
                self._paste(sheet, row, self.x(run, index), images)
                if self.captions:
                    self._text(pen, row, self.x(run, index), _caption(index, frame))
            if run.result is not None and self.results:
                shown = [None if show == "eps" else run.result for show in self.rows]
                self._paste(sheet, row, self.x(run, None), shown)
                if self.captions:
                    self._text(pen, row, self.x(run, None), ("result", ""))
            if self.captions:
                self._names(pen, row, run)
        return np.asarray(sheet)

    def _paste(self, sheet: Image.Image, row: int, x: int, images: Sequence[Pixels | None]) -> None:
        for number, image in enumerate(images):
            if image is not None:
                y = self.top(row) + self.head + number * (self.image_height + _PAD)
                sheet.paste(_enlarged(image, self.scale), (x, y))

    def _text(self, pen: ImageDraw.ImageDraw, row: int, x: int, texts: Sequence[str]) -> None:
        for number, text in enumerate(texts):
            y = self.top(row) + _HEADING + number * _LINE
            pen.text((x, y), text, fill=_INK if number == 0 else _GREY, font=_font())

    def _names(self, pen: ImageDraw.ImageDraw, row: int, run: DrawnRun) -> None:
        x = self.x(run, min(run.frames))
        title = _fitted(run.title, self.width - x)
        # Lines of other branches pass behind it.
        pen.rectangle((x, self.top(row), x + _width(title), self.top(row) + _LINE), fill=_PAPER)
        pen.text((x, self.top(row)), title, fill=colour_of(row), font=_font())
        for number, show in enumerate(self.rows):
            y = self.top(row) + self.head + number * (self.image_height + _PAD)
            place = (x - _PAD - _RULE, y + self.image_height // 2)
            # Left of a branch's first column nothing else is drawn in its rows.
            pen.text(place, TITLES[show], fill=_GREY, font=_font(), anchor="rm")

    def _join(self, pen: ImageDraw.ImageDraw, row: int) -> None:
        """Draw the line from the run that a branch leaves down to it, between the columns."""
        run = self.runs[row]
        parents = [n for n, other in enumerate(self.runs) if run.path and other.path == run.parent]
        if parents:
            x = self.x(run, min(run.frames)) - _PAD // 2 - _RULE // 2
            top = self.top(parents[0]) + self.head
            bottom = self.top(row) + self.block - _PAD
            pen.rectangle((x, top, x + _RULE - 1, bottom - 1), fill=colour_of(row))


def _caption(index: int, frame: DenoisingFrame) -> tuple[str, str]:
    return f"step {index}", time_words(frame)


def draw_strip(
    runs: Sequence[DrawnRun], rows: Sequence[Show], scale: int, captions: bool
) -> Pixels:
    """Return a strip, uint8 ``(H, W, 3)``, on white.

    Args:
        runs: in tree order, each with one frame at least.
        rows: quantities, from the top down.
        scale: whole-number enlargement, without smoothing.
        captions: write titles, quantities, steps and times.

    Raises:
        LatentLabError: it would be too large.
    """
    first = next(iter(runs[0].frames.values()))
    return _Strip(runs, rows, first.x_t.shape[:2], scale, captions).draw()


# Films.


def film_steps(counts: Sequence[int], every: int) -> list[int]:
    """Return the steps that are frames of a film: every n-th from the first on, and the last."""
    last = max(counts)
    return [i for i in range(1, last + 1) if (i - 1) % every == 0 or i == last]


def frame_at(runs: Mapping[str, DrawnRun], run: DrawnRun, index: int) -> DenoisingFrame:
    """Return what a run shows at a step: its parent's frame before it branched, at last its last.

    Raises:
        KeyError: the frame is not among those that were kept.
    """
    index = min(index, run.count)
    while run.path and index <= run.at:
        run = runs[run.parent]
    return run.frames[index]


def draw_frame(
    runs: Sequence[DrawnRun], rows: Sequence[Show], index: int | None, scale: int, captions: bool
) -> Pixels:
    """Return a frame of a film, uint8 ``(H, W, 3)``: a column a run, or a quantity for one run.

    Args:
        runs: in tree order, with the frames that are asked for.
        rows: quantities.
        index: of the step, in the whole run; ``None`` shows the results.
        scale: enlargement.
        captions: write titles, step and time above each run.

    Raises:
        LatentLabError: it would be too large.
    """
    known = {run.path: run for run in runs}
    height, width = (n * scale for n in next(iter(runs[0].frames.values())).x_t.shape[:2])
    across, down = (len(rows), 1) if len(runs) == 1 else (len(runs), len(rows))
    room = across * (width + _PAD) - _PAD if len(runs) == 1 else width
    titles = [_wrapped(run.title, room) if captions else [] for run in runs]
    head = (max(map(len, titles)) + 1) * _LINE + _PAD if captions else 0
    sheet = _canvas(across * (width + _PAD) + _PAD, head + down * (height + _PAD) + _PAD)
    pen = ImageDraw.Draw(sheet)
    for number, run in enumerate(runs):
        frame = frame_at(known, run, run.count if index is None else index)
        ended = index is None or index > run.count
        for place, show in enumerate(rows):
            image = _image(frame, show)
            if ended and show != "eps" and frame.result is not None:
                image = frame.result
            x, y = (place, 0) if len(runs) == 1 else (number, place)
            at = (_PAD + x * (width + _PAD), _PAD + head + y * (height + _PAD))
            sheet.paste(_enlarged(image, scale), at)
        if captions:
            step = f"step {frame.index} of {run.count}, {time_words(frame)}"
            lines = ["\n".join(titles[number]), _fitted("result" if ended else step, room)]
            left = _PAD + number * (width + _PAD)
            pen.text((left, _PAD), lines[0], fill=colour_of(number), font=_font(), spacing=2)
            pen.text((left, head - _LINE), lines[1], fill=_INK, font=_font())
    return np.asarray(sheet)
