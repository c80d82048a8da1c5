"""Image files to uint8 arrays of one size: decode, turn upright, flatten, crop, resize."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from latentlab.core.errors import LatentLabError
from latentlab.data.files import printable, read_file

MAX_PIXELS = 89_478_485
"""Most pixels of an image that is decoded: Pillow's own threshold for decompression bombs."""
MAX_SIZE = 4096
Crop = Literal["center", "pad", "stretch"]
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_ALPHA_MODES = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})
_WHITE = (255, 255, 255, 255)

# Pillow only warns between its threshold and twice that; an image so large is refused here.
warnings.simplefilter("error", Image.DecompressionBombWarning)
# The pixels are sound, and a set of photographs from the web would fill the terminal with it.
warnings.filterwarnings("ignore", message="Corrupt EXIF data", category=UserWarning)


@cache
def _formats() -> tuple[str, ...]:
    """Formats that are decoded in this process; EPS, for one, would start another program."""
    Image.init()
    wanted = ("JPEG", "MPO", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
    return tuple(name for name in wanted if name in Image.OPEN)


@dataclass(frozen=True)
class ImageTransform:
    """What is done to every image on load.

    Attributes:
        size: result is ``size`` x ``size`` pixels, 1 to 4096; ``None`` keeps height and width.
        channels: 1 (grey, ITU-R 601 luma) or 3 (RGB); ``None`` keeps grey grey and colour colour.
        crop: how a rectangle becomes a square: ``center`` cuts, ``pad`` adds white, ``stretch``
            distorts. Not used when ``size`` is ``None``.
        box: first cut the middle ``box`` x ``box`` pixels of the file, for example 148 for the
            tight face crop of CelebA.
        flip: mirror left to right.
    """

    size: int | None = 64
    channels: int | None = 3
    crop: Crop = "center"
    box: int | None = None
    flip: bool = False

    def __post_init__(self) -> None:
        for name, value in (("size", self.size), ("crop box", self.box)):
            if value is not None and not 1 <= value <= MAX_SIZE:
                raise LatentLabError(f"The {name} of images is 1 to {MAX_SIZE}, not {value}.")
        if self.channels not in (None, 1, 3):
            raise LatentLabError(f"Images have 1 or 3 channels, not {self.channels}.")
        if self.crop not in ("center", "pad", "stretch"):
            raise LatentLabError(f"Cropping is center, pad or stretch, not '{self.crop}'.")

    def apply(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return a decoded image as uint8 ``(H, W, C)``."""
        flat = flatten(image, self.channels)
        if self.box is not None:
            flat = _cut(flat, min(self.box, flat.width), min(self.box, flat.height))
        if self.size is not None:
            flat = self._square(flat, self.size)
        if self.flip:
            flat = flat.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        array = np.asarray(flat, dtype=np.uint8)
        return array[:, :, None] if array.ndim == 2 else array

    def _square(self, image: Image.Image, size: int) -> Image.Image:
        if self.crop == "center":
            side = min(image.size)
            image = _cut(image, side, side)
        if self.crop == "pad" and image.width != image.height:
            scale = size / max(image.size)
            width, height = (max(1, round(side * scale)) for side in image.size)
            page = Image.new(image.mode, (size, size), _WHITE[: len(image.mode)])
            inner = image.resize((width, height), Image.Resampling.LANCZOS)
            page.paste(inner, ((size - width) // 2, (size - height) // 2))
            return page
        if image.size == (size, size):
            return image
        return image.resize((size, size), Image.Resampling.LANCZOS)

    def apply_array(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return uint8 ``(H, W, C)`` transformed, C being 1 or 3."""
        return self.apply(Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image))


DEFAULT_TRANSFORM = ImageTransform()
"""64x64 pixels in colour, cut to the middle."""


def _cut(image: Image.Image, width: int, height: int) -> Image.Image:
    if image.size == (width, height):
        return image
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def flatten(image: Image.Image, channels: int | None) -> Image.Image:
    """Return an image of mode ``L`` or ``RGB``: alpha on white, deep images in 8 bits.

    Raises:
        LatentLabError: a floating-point image that is not finite or not in [0, 1] or [0, 255].
    """
    grey = is_grey(image.mode) if channels is None else channels == 1
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    elif image.mode in _ALPHA_MODES or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, _WHITE), layer).convert("RGB")
    mode = "L" if grey else "RGB"
    if image.mode == mode:
        return image
    # Palettes, CMYK, YCbCr and LAB reach grey by way of RGB only.
    return (
        image.convert("RGB").convert(mode) if image.mode not in ("1", "L") else image.convert(mode)
    )


def is_grey(mode: str) -> bool:
    """Whether a Pillow mode has no colour."""
    return mode in _GREY_MODES


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all() or values.min(initial=0) < 0:
        raise LatentLabError(
            "Its pixels are negative or not finite: save it with 8 bits a channel."
        )
    highest = float(values.max(initial=0))
    if image.mode.startswith("I;16"):
        top = 65535.0
    elif image.mode == "F":
        top = 1.0 if highest <= 1 else 255.0
    else:
        top = next(t for t in (255.0, 65535.0, 2.0**32) if highest <= t)
    if highest > top:
        raise LatentLabError("Its pixels are over 255: save it with 8 bits a channel.")
    return Image.fromarray(np.rint(values * (255.0 / top)).astype(np.uint8))


class Header(NamedTuple):
    """What an image's header says, upright: pixels, and whether it is grey."""

    width: int
    height: int
    grey: bool


def _open(data: bytes, name: str) -> Image.Image:
    """Open an image without decoding it; its pixel count is checked before it is allocated."""
    if not data:
        raise LatentLabError(f"{name} is empty: choose another image.")
    too_many = LatentLabError(
        f"{name} has more than {MAX_PIXELS // 10**6} million pixels: make it smaller first."
    )
    try:
        image = Image.open(io.BytesIO(data), formats=_formats())
    except UnidentifiedImageError as error:
        if data[4:8] == b"ftyp":
            raise LatentLabError(
                f"{name} is a HEIC photograph or a film: save it as JPEG or PNG first."
            ) from error
        raise LatentLabError(f"{name} is not an image: choose a JPEG or PNG file.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise too_many from error
    except Exception as error:
        raise _damaged(name, error) from error
    if image.width * image.height > MAX_PIXELS:
        raise too_many
    if not image.width or not image.height:
        raise LatentLabError(f"{name} has no pixels: choose another image.")
    return image


def quoted(name: str | None) -> str:
    """Return what a sentence calls an image."""
    return f"'{printable(name)}'" if name else "The image"


def _damaged(name: str, error: Exception) -> LatentLabError:
    if isinstance(error, LatentLabError):
        return LatentLabError(f"{name} cannot be used. {error.message}")
    reason = "truncated" if "truncated" in str(error).lower() else "damaged"
    return LatentLabError(
        f"{name} is {reason}: copy it again or choose another image.",
        f"{type(error).__name__}: {error}",
    )


def _turned(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; damaged EXIF data says nothing."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def _upright(image: Image.Image) -> Image.Image:
    if _turned(image) == 1:
        return image
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def read_header(data: bytes, name: str | None = None) -> Header:
    """Return what an image's header says, without decoding it.

    Raises:
        LatentLabError: as ``load_image``.
    """
    with _open(data, quoted(name)) as image:
        grey = is_grey(image.mode)
        if _turned(image) >= 5:
            return Header(image.height, image.width, grey)
        return Header(image.width, image.height, grey)


def load_image(
    source: Path | str | bytes,
    transform: ImageTransform = DEFAULT_TRANSFORM,
    *,
    name: str | None = None,
) -> NDArray[np.uint8]:
    """Return an image file as uint8 ``(H, W, C)``.

    The first frame of an animation is taken. A large JPEG is decoded at the smallest of 1/1, 1/2,
    1/4 and 1/8 that is still twice the wanted size.

    Args:
        source: a path, or the bytes of a file.
        transform: size, channels and crop.
        name: what sentences call it; the file's name when not given.

    Raises:
        LatentLabError: missing, a folder, not an image, empty, truncated, damaged, or more than
            ``MAX_PIXELS`` pixels.
    """
    if isinstance(source, bytes):
        data, label = source, quoted(name)
    else:
        data, label = read_file(Path(source)), quoted(name or Path(source).name)
    with _open(data, label) as image:
        try:
            if image.format in ("JPEG", "MPO") and transform.size and transform.box is None:
                wanted = 2 * transform.size
                mode = "L" if transform.channels == 1 and image.mode == "RGB" else None
                image.draft(mode, (wanted, wanted))
            image.load()
            return transform.apply(_upright(image))
        except Exception as error:
            raise _damaged(label, error) from error
