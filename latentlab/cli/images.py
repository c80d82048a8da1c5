"""Commands that make and read images: ``sample``, ``edit``, ``encode``, ``decode``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from latentlab.cli.common import (
    Json,
    Machine,
    Many,
    Model,
    Progress,
    parse_numbers,
    print_json,
)
from latentlab.cli.decoding import Conditioned, Decoding, Start, read_options, read_start
from latentlab.core.errors import LatentLabError

if TYPE_CHECKING:
    from latentlab.core.direction import Direction
    from latentlab.core.document import Option, Picture
    from latentlab.core.latents import Condition, Latents
    from latentlab.services.commands import Layout
    from latentlab.services.encoding import EncodedUpdate
    from latentlab.services.library import ModelLibrary

Out = Annotated[Path, tyro.conf.arg(metavar="FILE")]


@dataclass(frozen=True)
class Moves:
    """Where latents move before they become images."""

    set_: Annotated[
        Many,
        tyro.conf.arg(name="set", metavar="NAME=SIGMA", help="Slider value; may be repeated."),
    ] = ()
    direction: Annotated[
        Many,
        tyro.conf.arg(metavar="FILE", help="Direction file, or PNG, beside the model's own."),
    ] = ()

    def edits(self) -> dict[str, float]:
        """Return slider values by name."""
        return parse_numbers(self.set_, "--set")

    def directions(self) -> dict[str, Direction]:
        """Return the directions of the files, by name."""
        from latentlab.services.own_directions import load_directions

        return load_directions(self.direction)


@dataclass(frozen=True)
class Grid:
    """How several images stand in one PNG."""

    rows: Annotated[int | None, tyro.conf.arg(help="Rows of the grid; near square if none.")] = None
    padding: Annotated[int, tyro.conf.arg(help="Pixels between images.")] = 2
    scale: Annotated[int, tyro.conf.arg(help="Each pixel becomes SCALE x SCALE pixels.")] = 1

    def layout(self) -> Layout:
        """Return the layout that these words name."""
        from latentlab.services.commands import Layout

        return Layout(rows=self.rows, padding=self.padding, scale=self.scale)


def _write(
    library: ModelLibrary,
    out: Path,
    picture: Picture,
    stored: Latents | None,
    grid: Grid,
    own: Mapping[str, Direction] | None = None,
) -> None:
    from latentlab.services.commands import write_picture
    from latentlab.services.renderer import Renderer

    progress = Progress()
    for done, total in write_picture(Renderer(library), out, picture, stored, grid.layout(), own):
        progress(done, total, "images")


def _report(as_json: bool, out: Path, picture: Picture, count: int) -> int:
    if as_json:
        print_json({"out": out, "images": count, "picture": picture.model_dump(mode="json")})
    else:
        print(f"{count} image{'s' if count != 1 else ''} in {out}")
    return 0


@dataclass(frozen=True)
class Sample:
    """Draw images from a model's prior.

    Example: latentlab sample portraits-vae --seeds 0-63 --out grid.png
    """

    model: Model
    out: Annotated[Out, tyro.conf.arg(help="The PNG to write.")]
    seeds: Annotated[str, tyro.conf.arg(help="For example 3, 0-63 or 1,5,9-12.")] = "0-63"
    temperature: Annotated[float, tyro.conf.arg(help="Times the prior's standard deviation.")] = 1.0
    moves: tyro.conf.OmitArgPrefixes[Moves] = field(default_factory=Moves)
    decoding: tyro.conf.OmitArgPrefixes[Decoding] = field(default_factory=Decoding)
    grid: tyro.conf.OmitArgPrefixes[Grid] = field(default_factory=Grid)
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Write the PNG."""
        from latentlab.core.seeds import parse_seeds
        from latentlab.services.commands import build_picture

        seeds = parse_seeds(self.seeds)
        library = self.machine.library()
        entry = library.resolve(self.model)
        picture = build_picture(
            library.backend(self.model).spec,
            model=entry.id,
            seeds=seeds,
            temperature=self.temperature,
            space=self.decoding.space,
            edits=self.moves.edits(),
            condition=self.decoding.told(),
            options=self.decoding.options(),
        )
        _write(library, self.out, picture, None, self.grid, self.moves.directions())
        return _report(self.json, self.out, picture, len(seeds))


def read_photo(backend: Any, path: Path) -> Any:
    """Return a photograph at the model's size: uint8 ``(H, W, C)``."""
    from latentlab.data.transforms import ImageTransform, load_image

    channels, height, _ = backend.spec.image_shape
    return load_image(path, ImageTransform(size=height, channels=channels))


def _encode(
    backend: Any,
    photo: Any,
    condition: Condition | None = None,
    options: Mapping[str, Option] | None = None,
) -> EncodedUpdate:
    from latentlab.services.encoding import encode_turns

    progress, last = Progress(), None
    for turn in encode_turns(backend, photo, condition, options):
        last = turn.update or last
        if turn.total > 1:
            progress(turn.done, turn.total, turn.message.lower())
    if last is None:
        raise LatentLabError("The model gave no latent for this photograph: choose another model.")
    return last


@dataclass(frozen=True)
class Edit:
    """Move along named directions, in standard deviations, and write the image.

    The image comes from a seed, several seeds, a photograph, or a file of latents.

    Example: latentlab edit portraits-vae --seed 3 --set smiling=2 --set eyeglasses=-1
    --out face.png
    """

    model: Model
    out: Annotated[Out, tyro.conf.arg(help="The PNG to write.")]
    moves: tyro.conf.OmitArgPrefixes[Moves] = field(default_factory=Moves)
    seed: Annotated[int | None, tyro.conf.arg(help="Of one prior sample.")] = None
    seeds: Annotated[str | None, tyro.conf.arg(help="Of several, for example 0-63.")] = None
    input: Annotated[Path | None, tyro.conf.arg(metavar="PHOTO", help="A photograph.")] = None
    latents: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help="From `encode`.")] = None
    temperature: Annotated[float, tyro.conf.arg(help="Times the prior's standard deviation.")] = 1.0
    decoding: tyro.conf.OmitArgPrefixes[Decoding] = field(default_factory=Decoding)
    grid: tyro.conf.OmitArgPrefixes[Grid] = field(default_factory=Grid)
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Write the PNG."""
        from latentlab.services.commands import build_picture

        edits, own = self.moves.edits(), self.moves.directions()
        library = self.machine.library()
        entry = library.resolve(self.model)
        backend = library.backend(self.model)
        start = self._start(backend)
        stored = start.stored
        picture = build_picture(
            backend.spec,
            model=entry.id,
            seeds=start.seeds,
            stored=stored,
            temperature=self.temperature,
            space=self.decoding.space or (stored.space if stored else None),
            edits=edits,
            condition=self.decoding.told(start.condition),
            options={**start.options, **self.decoding.options()},
        )
        _write(library, self.out, picture, stored, self.grid, own)
        count = len(start.seeds) if stored is None else stored.batch
        return _report(self.json, self.out, picture, count)

    def _start(self, backend: Any) -> Start:
        from latentlab.core.seeds import parse_seeds

        given = [v for v in (self.seed, self.seeds, self.input, self.latents) if v is not None]
        if len(given) != 1:
            raise LatentLabError(
                "Say what to edit: give exactly one of --seed, --seeds, --input and --latents."
            )
        if self.input is not None:
            found = _encode(backend, read_photo(backend, self.input), self.decoding.told())
            return Start(stored=found.latents, options=found.options)
        if self.latents is not None:
            return read_start(backend.spec, self.latents)
        return Start(parse_seeds((self.seeds if self.seed is None else str(self.seed)) or ""))


@dataclass(frozen=True)
class Encode:
    """Find the latents of photographs and write them, with the error of their reconstruction.

    A diffusion model is run backwards (DDIM); its options are steps, guidance, refine and spacing,
    and the file keeps what `decode` needs to come back.

    Example: latentlab encode portraits-vae photo.png --out photo.safetensors
    """

    model: Model
    images: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO...")]
    out: Annotated[Out, tyro.conf.arg(help=".safetensors or .npz to write.")]
    reconstruction: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help="PNG of the reconstructions.")
    ] = None
    option: Annotated[
        Many, tyro.conf.arg(metavar="NAME=X", help="Of the encoder, for example steps=100.")
    ] = ()
    read_condition: Annotated[
        bool,
        tyro.conf.arg(help="Let the probe read the attributes from the photograph, and tell them."),
    ] = False
    told: tyro.conf.OmitArgPrefixes[Conditioned] = field(default_factory=Conditioned)
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def _told(self, backend: Any, photos: list[Any]) -> Condition | None:
        told = self.told.condition()
        if not self.read_condition:
            return told
        from latentlab.services.photo_denoise import read_condition

        if len(photos) > 1:
            raise LatentLabError("A file keeps one condition: read it of one photograph at a time.")
        read = read_condition(backend, photos[0])
        given = {} if told is None else told.attributes
        return read.model_copy(update={"attributes": {**read.attributes, **given}})

    def run(self) -> int:
        """Write the latents."""
        from latentlab.core.card_figures import decibels
        from latentlab.core.latents import stack
        from latentlab.services.commands import build_picture
        from latentlab.services.export import save_latents

        if not self.images:
            raise LatentLabError("Name at least one photograph to encode.")
        library = self.machine.library()
        entry = library.resolve(self.model)
        backend = library.backend(self.model)
        options = read_options(self.option)
        photos = [read_photo(backend, path) for path in self.images]
        condition = self._told(backend, photos)
        found = [_encode(backend, photo, condition, options) for photo in photos]
        latents = stack([update.latents for update in found])
        picture = build_picture(
            backend.spec,
            model=entry.id,
            stored=latents,
            condition=condition,
            options=dict(found[0].options),
        )
        save_latents(self.out, latents, picture)
        if self.reconstruction is not None:
            _write(library, self.reconstruction, picture, latents, Grid())
        rows = [(path, update.residual_psnr) for path, update in zip(self.images, found)]
        if self.json:
            images = [{"image": path, "psnr_db": figure} for path, figure in rows]
            print_json({"out": self.out, "images": images})
        else:
            for path, figure in rows:
                print(f"{path}: reconstruction {decibels(figure)}")
            print(f"{len(rows)} latents in {self.out}")
        return 0


@dataclass(frozen=True)
class Decode:
    """Turn a file of latents into images, as the file says unless these words say otherwise.

    Example: latentlab decode portraits-vae photo.safetensors --out decoded.png
    """

    model: Model
    latents: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    out: Annotated[Out, tyro.conf.arg(help="The PNG to write.")]
    moves: tyro.conf.OmitArgPrefixes[Moves] = field(default_factory=Moves)
    decoding: tyro.conf.OmitArgPrefixes[Decoding] = field(default_factory=Decoding)
    grid: tyro.conf.OmitArgPrefixes[Grid] = field(default_factory=Grid)
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Write the PNG."""
        command = Edit(
            model=self.model,
            out=self.out,
            latents=self.latents,
            moves=self.moves,
            decoding=self.decoding,
            grid=self.grid,
            machine=self.machine,
            json=self.json,
        )
        return command.run()
