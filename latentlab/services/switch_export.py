"""A switch matrix as a PNG: one way for the window and the command line.

``write_switch`` makes the file of the job ``export_switch`` and of ``latentlab switch``: the same
bytes for the same sources. The PNG holds all sources, and names itself in its command where no
seeds make them. Importing this module imports no torch.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latentlab.core.document import Picture, Switch
from latentlab.core.latents import Latents
from latentlab.core.modelfile import replace_file
from latentlab.services.commands import quote
from latentlab.services.png import encode_png, png_metadata
from latentlab.services.switch import (
    Directions,
    Images,
    Progress,
    Sources,
    SwitchMatrix,
    SwitchMix,
    matrix_turns,
    mix_turns,
    sources_of,
)
from latentlab.services.switch_command import (
    SwitchLayout,
    caption_lines,
    one_told,
    sheet_picture,
    switch_arguments,
)
from latentlab.services.switch_draw import check_room, draw_switch

if TYPE_CHECKING:
    from latentlab.services.photo import Context
    from latentlab.services.renderer import Renderer


@dataclass(frozen=True, eq=False)
class WrittenSwitch:
    """A file that was written.

    Attributes:
        path: of the file.
        picture: of all sources, as the PNG says.
        matrix: that it shows, ``None`` for a mix grid.
        mix: that it shows, ``None`` for a matrix.
    """

    path: Path
    picture: Picture
    matrix: SwitchMatrix | None
    mix: SwitchMix | None


def write_switch(
    renderer: Renderer,
    path: Path,
    switch: Switch,
    stored: Mapping[str, Latents],
    directions: Directions | None = None,
    *,
    layout: SwitchLayout | None = None,
    photos: Mapping[str, Images] | None = None,
    round_trip: bool = False,
) -> Generator[Progress, None, WrittenSwitch]:
    """Make a matrix, or a mix grid, and write it as PNG, whole or not at all.

    Args:
        renderer: of the models.
        path: of the file.
        switch: the matrix.
        stored: latents of those sources that come from no seed, by id.
        directions: the person's own that edits name.
        layout: of the file.
        photos: see ``switch_matrix_job``.
        round_trip: also measure how well the sources come back.

    Raises:
        LatentLabError: see ``switch_matrix_job``; a layout that cannot be, sources that were not
            told the same, or a file that cannot be written.
    """
    layout, path = layout or SwitchLayout(), Path(path)
    layout.check(path)
    layout.check_sources(len(switch.sources))
    sources = sources_of(renderer, switch, stored, directions)
    one_told(switch)
    spec = sources.backend.spec
    count = len(switch.sources) if layout.mix is None else layout.size
    # What makes no grid is said before it is decoded, not after.
    check_room(count, spec.image_shape, layout.padding, layout.scale_for(spec))
    matrix, mix = None, None
    if layout.mix is None:
        matrix = yield from matrix_turns(sources, photos, round_trip=round_trip)
        images = matrix.images.reshape(count, count, *matrix.images.shape[1:])
    else:
        pair = [switch.sources[place - 1].id for place in layout.mix]
        mix = yield from mix_turns(sources, pair, layout.amounts())
        images = mix.images
    picture = _write(path, sources, images, layout)
    return WrittenSwitch(path, picture, matrix, mix)


def _write(path: Path, sources: Sources, images: Images, layout: SwitchLayout) -> Picture:
    switch, spec = sources.switch, sources.backend.spec
    picture, rows = sheet_picture(switch, sources.latents, spec.fingerprint)
    words = [f"seed:{seed}" for seed in picture.seeds] or ["switch.png"]
    told = switch_arguments(
        switch, words, spec, temperature=picture.temperature, layout=layout, out="switch.png"
    )
    places = np.arange(len(images))
    drawn = draw_switch(
        images,
        images[places, places] if layout.heads else None,
        caption_lines(switch, sources.space, layout.mix is not None) if layout.captions else (),
        layout.padding,
        layout.scale_for(spec),
    )
    data = encode_png(drawn, png_metadata(picture, rows, quote(told, platform="any")))
    replace_file(path, lambda target: target.write_bytes(data))
    return picture


def export_switch_job(
    context: Context,
    *,
    path: Path | str,
    switch: Switch,
    stored: Mapping[str, Latents],
    directions: Directions | None = None,
    layout: SwitchLayout | None = None,
) -> Generator[Progress, None, WrittenSwitch]:
    """Do ``write_switch`` as a job."""
    yield 0, 1, "Reading the model"
    return (
        yield from write_switch(
            context.renderer, Path(path), switch, stored, directions, layout=layout
        )
    )
