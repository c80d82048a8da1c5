"""The command ``switch``: parts of several pictures recombined, as a matrix or a mix grid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from latentlab.cli.common import Json, Machine, Model, Progress, print_json
from latentlab.cli.decoding import Decoding
from latentlab.cli.images import Out
from latentlab.cli.working import Work, holds_latents, working
from latentlab.core.errors import LatentLabError

if TYPE_CHECKING:
    from latentlab.core.document import Picture
    from latentlab.core.document import Switch as Matrix
    from latentlab.core.latents import Latents
    from latentlab.core.spec import ModelSpec
    from latentlab.services.photo import Images
    from latentlab.services.switch import RoundTrip, SwitchCheck
    from latentlab.services.switch_command import SwitchLayout
    from latentlab.services.switch_export import WrittenSwitch

_SEED = re.compile(r"seeds?:(.*)", re.DOTALL)


@dataclass(frozen=True)
class Sheet:
    """How the matrix stands in the file."""

    mix: Annotated[
        tuple[int, int] | None,
        tyro.conf.arg(metavar="A B", help="Numbers of two sources: blend them instead."),
    ] = None
    size: Annotated[int, tyro.conf.arg(help="Rows and columns of --mix.")] = 5
    heads: Annotated[bool, tyro.conf.arg(help="Show the sources beside rows and columns.")] = False
    captions: Annotated[bool, tyro.conf.arg(help="Write which parts come from where.")] = False
    padding: Annotated[int, tyro.conf.arg(help="Pixels between images.")] = 2
    scale: Annotated[
        int | None, tyro.conf.arg(help="Each pixel becomes SCALE x SCALE; chosen if none.")
    ] = None

    def layout(self) -> SwitchLayout:
        """Return the layout that these words name."""
        from latentlab.services.switch_command import SwitchLayout

        return SwitchLayout(
            self.heads, self.captions, self.padding, self.scale, self.mix, self.size
        )


@dataclass(frozen=True, eq=False)
class _Source:
    """One source, as the words name it."""

    word: str
    picture: Picture
    stored: Latents | None = None
    photo: Images | None = None


@dataclass(frozen=True)
class Switch:
    """Recombine parts of pictures: in each row the global part of one, in each column the rest.

    A source is a photograph, seed:7 (or seeds:0-3), or a PNG or latents file of LatentLab, each row
    of which is one.

    Example: latentlab switch portraits-flow a.png b.png seed:7 --out grid.png
    """

    model: Model
    sources: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE...")]
    out: Annotated[Out, tyro.conf.arg(help="The PNG to write.")]
    rows: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="PART,...",
            help="Parts that come by row, or layers such as w_plus:0-3; the first part if none.",
        ),
    ] = None
    check: Annotated[
        bool, tyro.conf.arg(help="Encode the switched pictures again, and say how far they are.")
    ] = False
    temperature: Annotated[float, tyro.conf.arg(help="Of seeds: times the prior's deviation.")] = (
        1.0
    )
    decoding: tyro.conf.OmitArgPrefixes[Decoding] = field(default_factory=Decoding)
    sheet: tyro.conf.OmitArgPrefixes[Sheet] = field(default_factory=Sheet)
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Write the matrix, or the mix grid."""
        layout = self.sheet.layout()
        # Said before a model is read.
        layout.check(self.out)
        if not self.sources:
            raise LatentLabError("Name at least one source: a photograph, seed:7 or a file.")
        with working(self.machine, self.json) as work:
            found = self._sources(work)
            switch = self._switch(work, found)
            layout.check_sources(len(found))
            stored = {str(n): s.stored for n, s in enumerate(found, 1) if s.stored is not None}
            photos = {str(n): s.photo for n, s in enumerate(found, 1) if s.photo is not None}
            written = self._write(work, switch, stored, photos, layout)
            checks: tuple[SwitchCheck, ...] = ()
            if self.check:
                count = len(found)
                cells = [(i, j) for i in range(count) for j in range(count) if i != j]
                checks = work.run("switch_check", switch=switch, stored=stored, cells=cells)
            spec = work.context.library.backend(self.model).spec
        say = self._print_json if self.json else self._print
        say(written, switch, spec, [source.word for source in found], checks)
        return 0

    def _write(
        self,
        work: Work,
        switch: Matrix,
        stored: Mapping[str, Latents],
        photos: Mapping[str, Images],
        layout: SwitchLayout,
    ) -> WrittenSwitch:
        from latentlab.services.switch_export import write_switch

        progress = Progress(self.json)
        turns = write_switch(
            work.context.renderer,
            self.out,
            switch,
            stored,
            layout=layout,
            photos=photos,
            round_trip=True,
        )
        while True:
            try:
                report = next(turns)
            except StopIteration as stop:
                written: WrittenSwitch = stop.value
                return written
            progress(*report[:3])

    # Sources.

    def _switch(self, work: Work, found: list[_Source]) -> Matrix:
        from latentlab.core.document import Switch as Matrix
        from latentlab.core.document import SwitchSource

        ranges = () if self.rows is None else tuple(self.rows.split(","))
        return Matrix(
            model=work.context.library.resolve(self.model).id,
            space=found[0].picture.space,
            sources=tuple(
                SwitchSource(id=str(number), picture=source.picture)
                for number, source in enumerate(found, 1)
            ),
            by_row=tuple(text.strip() for text in ranges),
            pair=(),
        )

    def _sources(self, work: Work) -> list[_Source]:
        from latentlab.core.document import MAX_SOURCES

        found: list[_Source] = []
        for place, word in enumerate(self.sources):
            found += self._read(work, word)
            # Each of the other words is one source at least.
            count = len(found) + len(self.sources) - 1 - place
            if count > MAX_SOURCES:
                raise LatentLabError(f"These are {count} sources: give at most {MAX_SOURCES}.")
        return found

    def _read(self, work: Work, word: str) -> list[_Source]:
        seeds = _SEED.fullmatch(word)
        if seeds is not None:
            return self._samples(work, word, seeds[1])
        path = Path(word)
        if not path.is_file():
            raise LatentLabError(
                f"'{word}' is neither a file nor a seed: name a photograph, a PNG or latents file "
                "of LatentLab, or write for example seed:7."
            )
        if holds_latents(path, self._spec(work)[0]):
            return self._own(work, path)
        photo = work.run(
            "encode_photo", model=self.model, photo=path, condition=self.decoding.told()
        )
        told = {**photo.picture.options, **self.decoding.options()}
        picture = photo.picture.model_copy(update={"options": told})
        return [_Source(word, picture, photo.latents, photo.photo)]

    def _spec(self, work: Work) -> tuple[ModelSpec, str]:
        library = work.context.library
        return library.backend(self.model).spec, library.resolve(self.model).id

    def _samples(self, work: Work, word: str, text: str) -> list[_Source]:
        from latentlab.core.seeds import parse_seeds
        from latentlab.services.commands import build_picture

        spec, model = self._spec(work)
        seeds = parse_seeds(text)
        return [
            _Source(
                word if len(seeds) == 1 else f"seed:{seed}",
                build_picture(
                    spec,
                    model=model,
                    seeds=(seed,),
                    temperature=self.temperature,
                    space=self.decoding.space,
                    condition=self.decoding.told(),
                    options=self.decoding.options(),
                ),
            )
            for seed in seeds
        ]

    def _own(self, work: Work, path: Path) -> list[_Source]:
        from latentlab.services.commands import build_picture

        spec, model = self._spec(work)
        taken = work.run("import_latents", path=path, model=self.model)
        items = ((taken.picture, taken.stored),)
        (rows,) = work.run("picture_latents", pictures=items, directions=taken.directions)
        found = []
        for number in range(rows.batch):
            row = rows.rows(number)
            picture = build_picture(
                spec,
                model=model,
                stored=row,
                space=row.space,
                condition=self.decoding.told(taken.picture.condition),
                options={**taken.picture.options, **self.decoding.options()},
            )
            word = path.name if rows.batch == 1 else f"{path.name} [{number + 1}]"
            found.append(_Source(word, picture, row))
        return found

    # What is said.

    def _print_json(
        self,
        written: WrittenSwitch,
        switch: Matrix,
        spec: ModelSpec,
        words: list[str],
        checks: tuple[SwitchCheck, ...],
    ) -> None:
        from latentlab.core.switching import column_ranges, row_ranges

        space = spec.space(switch.space)
        trips = {} if written.matrix is None else written.matrix.round_trip
        rows = [
            {"source": word, **({} if str(n) not in trips else asdict(trips[str(n)]))}
            for n, word in enumerate(words, 1)
        ]
        checked = [
            {
                "row": one.cell[0] + 1,
                "column": one.cell[1] + 1,
                **{key: value for key, value in asdict(one).items() if key != "cell"},
            }
            for one in checks
        ]
        print_json(
            {
                "out": written.path,
                "model": switch.model,
                "fingerprint": spec.fingerprint,
                "by_row": [str(chosen) for chosen in row_ranges(switch, space)],
                "by_column": [str(chosen) for chosen in column_ranges(switch, space)],
                "sources": rows,
                "mix": None if written.mix is None else [int(name) for name in written.mix.pair],
                "amounts": None if written.mix is None else written.mix.amounts,
                "checks": checked,
                "picture": written.picture.model_dump(mode="json"),
            }
        )

    def _print(
        self,
        written: WrittenSwitch,
        switch: Matrix,
        spec: ModelSpec,
        words: list[str],
        checks: tuple[SwitchCheck, ...],
    ) -> None:
        from latentlab.services.switch_command import caption_lines

        mix, matrix = written.mix, written.matrix
        down, across = caption_lines(switch, spec.space(switch.space), mix is not None)
        side = len(words) if mix is None else len(mix.amounts)
        what = "matrix" if mix is None else "mix"
        print(f"{side} x {side} {what} in {written.path} ({down}; {across})")
        for name, trip in ({} if matrix is None else matrix.round_trip).items():
            text = trip_words(trip)
            if text:
                print(f"{words[int(name) - 1]}: {text}")
        for one in checks:
            i, j = one.cell
            print(f"row {words[i]}, column {words[j]}: {check_words(one)}")


def trip_words(trip: RoundTrip) -> str:
    """Return a round trip for a person; empty where nothing was measured."""
    from latentlab.services.switch_values import LOST

    words = []
    if trip.psnr_db == float("inf"):
        words.append("the photograph comes back exactly")
    elif trip.psnr_db is not None:
        most = trip.max_level_error
        words.append(
            f"the photograph comes back at {trip.psnr_db:.1f} dB, at most {most} levels off"
        )
    if trip.latent_error is not None:
        words.append(f"latents come back to {trip.latent_error:.1e} sigma")
    text = ", ".join(words)
    return f"{text}. {LOST}" if trip.lost else text


def check_words(check: SwitchCheck) -> str:
    """Return a check for a person."""
    text = f"local parts come back to {check.local_error:.1e} sigma"
    if check.global_shift_sigma is None or check.apart_sigma is None:
        return text
    return (
        f"{text}; the global part, encoded again, moves by {check.global_shift_sigma:.2g} sigma "
        f"(the two sources are {check.apart_sigma:.2g} apart)"
    )
