"""Where in an image its bits come from: as colours, as a picture with its scale, as a table."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from latentlab.core.errors import LatentLabError
from latentlab.core.likelihood import Float, ImageLikelihood
from latentlab.core.modelfile import replace_file
from latentlab.core.version import version
from latentlab.services.maps_draw import ramp
from latentlab.services.png import encode_png

UNIT = "bits per channel of a pixel"
_PERCENTILES = (1.0, 99.0)
_INK, _PAPER = (27, 29, 33), (255, 255, 255)
_PAD, _BAR, _LINE, _FONT = 12, 14, 18, 13.0


@dataclass(frozen=True, eq=False)
class PlaceColours:
    """A map as colours.

    Attributes:
        levels: uint8 ``(H, W, 3)``, viridis: bright is less likely.
        low: bits where the scale begins; what is below has its first colour.
        high: where it ends.
    """

    levels: NDArray[np.uint8]
    low: float
    high: float


def place_colours(places: Float) -> PlaceColours:
    """Return bits per channel ``(H, W)`` as colours: the scale spans all but 1 % at each end."""
    low, high = (float(value) for value in np.percentile(places, _PERCENTILES))
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    shares = (places - low) / (high - low)
    return PlaceColours(ramp(shares.ravel()).reshape(*places.shape, 3), low, high)


def known_places(found: ImageLikelihood) -> Float:
    """Return the map of a score; ``LatentLabError`` where there is none."""
    if found.places is None:
        raise LatentLabError("This model cannot tell which pixels its bits come from.")
    return found.places


def places_picture(found: ImageLikelihood) -> NDArray[np.uint8]:
    """Return an image beside the map of its bits, with the scale, uint8 ``(H, W, 3)``, on white."""
    colours = place_colours(known_places(found))
    height, width = colours.levels.shape[:2]
    scale = max(1, -(-192 // width))
    side = (width * scale, height * scale)
    sheet = Image.new(
        "RGB", (2 * side[0] + 3 * _PAD, side[1] + _BAR + 2 * _LINE + 3 * _PAD), _PAPER
    )
    image = found.image if found.image.shape[-1] == 3 else np.repeat(found.image, 3, axis=-1)
    left = 2 * _PAD + side[0]
    for x, levels in ((_PAD, image), (left, colours.levels)):
        large = np.repeat(np.repeat(levels, scale, axis=0), scale, axis=1)
        sheet.paste(Image.fromarray(np.ascontiguousarray(large)), (x, _PAD))
    top = side[1] + 2 * _PAD
    steps = ramp(np.linspace(0, 1, side[0]))
    bar = np.ascontiguousarray(np.broadcast_to(steps, (_BAR, side[0], 3)))
    sheet.paste(Image.fromarray(bar), (left, top))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT)
    below, right = top + _BAR + 2, left + side[0]
    pen.text((left, below), f"{colours.low:.3g}", _INK, font)
    pen.text((right, below), f"{colours.high:.3g}", _INK, font, anchor="ra")
    pen.text((left, below + _LINE), UNIT, _INK, font)
    bound = "at most " if found.bound else ""
    pen.text((_PAD, top), f"{bound}{found.bits:.4f} bits/dim", _INK, font)
    pen.text((_PAD, top + _LINE), f"{found.rest:.4f} of them at no pixel", _INK, font)
    return np.asarray(sheet)


def places_text(found: ImageLikelihood) -> str:
    """Return the map as CSV: a line for each row of pixels, bits per channel."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([[f"{v:.7g}" for v in row] for row in known_places(found).tolist()])
    return stream.getvalue()


def check_places(path: Path) -> None:
    """Raise ``LatentLabError`` for a file that a map cannot be written to."""
    if path.suffix.lower() not in (".png", ".csv"):
        raise LatentLabError(
            f"A map cannot be written as '{path.suffix or path.name}': use .png or .csv."
        )


def write_places(path: Path, found: ImageLikelihood) -> None:
    """Write the map of a score by the suffix, .png or .csv, whole or not at all.

    Raises:
        LatentLabError: another suffix, the model has no map, or the file cannot be written.
    """
    check_places(path)
    if path.suffix.lower() == ".csv":
        data = places_text(found).encode()
    else:
        data = encode_png(places_picture(found), {"Software": f"LatentLab {version()}"})
    replace_file(path, lambda target: target.write_bytes(data))
