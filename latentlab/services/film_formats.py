"""Writers of films: GIF, animated WebP and APNG by Pillow, MP4 by PyAV. No torch here.

A writer takes frames one at a time, so that whoever makes them shows progress and may stop.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from latentlab.core.errors import LatentLabError

Frame = NDArray[np.uint8]
Writer = Callable[[Path, Iterator[Frame], float, str], int]

MAX_RAW_BYTES = 2**30
"""Pillow holds all frames of a film in memory; longer films are written as MP4."""
MAX_GIF_FPS = 50.0
_PALETTE_FRAMES = 16
_PALETTE_PIXELS = 2**20


def _too_long(suffix: str) -> LatentLabError:
    return LatentLabError(
        f"The film is too long for {suffix}: write .mp4, or take fewer or smaller frames."
    )


class _Spool:
    """Frames on the disk, so that they can be read twice without being held in memory.

    Iterating gives them as pictures, in order.

    Args:
        frames: read to their end.
        suffix: of the film, for the sentence that refuses too many.
    """

    def __init__(self, frames: Iterable[Frame], suffix: str) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self.count = 0
        self._shape: tuple[int, ...] = ()
        try:
            for frame in frames:
                self._shape = frame.shape
                self.count += 1
                if self.count * frame.nbytes > MAX_RAW_BYTES:
                    raise _too_long(suffix)
                self._file.write(np.ascontiguousarray(frame).tobytes())
        except BaseException:
            self.close()
            raise

    def __getitem__(self, index: int) -> Frame:
        size = int(np.prod(self._shape))
        self._file.seek(index * size)
        data = np.frombuffer(self._file.read(size), np.uint8)
        return data.reshape(self._shape)

    def __iter__(self) -> Iterator[Image.Image]:
        for index in range(self.count):
            yield Image.fromarray(self[index])

    def close(self) -> None:
        """Give the space back."""
        self._file.close()


class _After:
    """All pictures of a spool but the first, as often as they are asked for."""

    def __init__(self, spool: _Spool) -> None:
        self._spool = spool

    def __iter__(self) -> Iterator[Image.Image]:
        return itertools.islice(self._spool, 1, None)


def _global_palette(spool: _Spool) -> Image.Image:
    """Return a picture whose palette of up to 256 colours serves all frames.

    The colours are those of up to 16 frames, spread evenly over the film.
    """
    chosen = np.linspace(0, spool.count - 1, min(spool.count, _PALETTE_FRAMES)).round()
    frames = [spool[int(i)] for i in np.unique(chosen)]
    pixels = np.concatenate([frame.reshape(-1, 3) for frame in frames])
    pixels = pixels[:: max(1, len(pixels) // _PALETTE_PIXELS)]
    found = Image.fromarray(pixels[None]).quantize(256, method=Image.Quantize.MEDIANCUT)
    colours = np.array(found.getpalette(), np.uint8).reshape(-1, 3)
    # Each once: Pillow searches long for the place of a colour that is there twice.
    holder = Image.new("P", (1, 1))
    holder.putpalette(np.unique(colours, axis=0).tobytes())
    return holder


def _durations(count: int, fps: float, unit_ms: int) -> list[int]:
    """Return how long each frame shows in ms, in whole units, without drifting from ``fps``."""
    edges = [round(i * 1000 / fps / unit_ms) * unit_ms for i in range(count + 1)]
    return [b - a for a, b in itertools.pairwise(edges)]


def write_gif(path: Path, frames: Iterator[Frame], fps: float, comment: str) -> int:
    """Write a GIF that repeats for ever, with one palette for all frames; return their number.

    One palette instead of one a frame is 40 times as fast (120 frames of 256 x 256: 0.3 s).
    """
    if fps > MAX_GIF_FPS:
        raise LatentLabError(f"A GIF shows at most {MAX_GIF_FPS:.0f} frames a second: lower fps.")
    spool = _Spool(frames, ".gif")
    try:
        palette = _global_palette(spool)
        # Not dithered: its dots would crawl from frame to frame.
        pictures = (i.quantize(palette=palette, dither=Image.Dither.NONE) for i in spool)
        next(pictures).save(
            path,
            "GIF",
            save_all=True,
            append_images=pictures,
            palette=bytes(palette.getpalette() or []),
            duration=_durations(spool.count, fps, 10),
            loop=0,
            comment=comment.encode("ascii", "replace")[:255],
        )
        return spool.count
    finally:
        spool.close()


def write_webp(path: Path, frames: Iterator[Frame], fps: float, comment: str) -> int:
    """Write an animated WebP, hardly compressed with loss, that repeats for ever."""
    spool = _Spool(frames, ".webp")
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = comment
    try:
        next(iter(spool)).save(
            path,
            "WEBP",
            save_all=True,
            append_images=_After(spool),
            duration=_durations(spool.count, fps, 1),
            loop=0,
            quality=90,
            method=3,
            exif=exif.tobytes(),
        )
        return spool.count
    finally:
        spool.close()


def write_apng(path: Path, frames: Iterator[Frame], fps: float, comment: str) -> int:
    """Write an animated PNG, without any loss, that repeats for ever."""
    spool = _Spool(frames, ".png")
    info = PngInfo()
    info.add_itxt("Comment", comment)
    try:
        next(iter(spool)).save(
            path,
            "PNG",
            save_all=True,
            append_images=_After(spool),
            duration=_durations(spool.count, fps, 1),
            loop=0,
            pnginfo=info,
        )
        return spool.count
    finally:
        spool.close()


def _even(frame: Frame) -> Frame:
    """Return a frame ``(H, W, 3)`` with even sides, its last row or column repeated if need be."""
    height, width, _ = frame.shape
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def check_mp4() -> None:
    """Raise ``LatentLabError`` where the package that writes MP4 is not installed."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise LatentLabError(
            'MP4 needs the extra "video": pip install "latentlab[video]", or write a .gif, .webp '
            "or .png.",
            str(error),
        ) from error


def write_mp4(path: Path, frames: Iterator[Frame], fps: float, comment: str) -> int:
    """Write an MP4 (H.264, 4:2:0) that plays everywhere; odd sides grow by one pixel."""
    check_mp4()
    import av

    count = 0
    try:
        with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
            container.metadata["comment"] = comment
            stream: Any = None
            for frame in frames:
                picture = _even(frame)
                if stream is None:
                    stream = _stream(container, picture, fps)
                for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                    container.mux(packet)
                count += 1
            if stream is not None:
                for packet in stream.encode():
                    container.mux(packet)
    except av.error.FFmpegError as error:
        reason = error.strerror or str(error)
        raise LatentLabError(
            f"The film could not be written ({reason}): free some space, or write a .gif or .webp."
        ) from error
    return count


def _stream(container: Any, picture: Frame, fps: float) -> Any:
    rate = Fraction(fps).limit_denominator(1000)
    stream = container.add_stream("libx264", rate=rate)
    stream.height, stream.width = picture.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.options = {"crf": "16", "preset": "medium"}
    return stream


WRITERS: dict[str, Writer] = {
    ".gif": write_gif,
    ".webp": write_webp,
    ".png": write_apng,
    ".apng": write_apng,
    ".mp4": write_mp4,
}
"""Writer by suffix."""
