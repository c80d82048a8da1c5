"""The command ``likelihood``: how likely a model finds images, one set against another."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from latentlab.cli.common import Json, Machine, Model, print_json
from latentlab.cli.working import Work, working
from latentlab.core.errors import LatentLabError

if TYPE_CHECKING:
    from latentlab.core.likelihood import DataChoice, ImageLikelihood, Quantity, Scores

LISTED = 10
"""Images of each data set that are named."""


@dataclass(frozen=True)
class Likelihood:
    """Score a data set by a model's likelihood, in bits/dim; or compare it with another one.

    A low likelihood is no proof that an image does not belong, nor a high one that it does: models
    can find simple images of other data likelier than their own (Nalisnick et al. 2019; try
    --against faded). --corrected subtracts the length of the image as a PNG (Serra et al. 2020).

    Example: latentlab likelihood portraits-vae portraits:count=500,seed=7 --against faded
    --out likelihood.png
    """

    model: Model
    data: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(
            metavar="DATA|prior", help="Folder, zip, data file, portraits:count=500, or prior."
        ),
    ]
    split: Annotated[str | None, tyro.conf.arg(help="Part of the data, for example test.")] = None
    against: Annotated[
        str | None,
        tyro.conf.arg(metavar="DATA|faded", help="Another data set, or faded copies of the first."),
    ] = None
    against_split: Annotated[str | None, tyro.conf.arg(help="Part of the other data.")] = None
    count: Annotated[
        int, tyro.conf.arg(help="Images of each; a larger data set is taken evenly.")
    ] = 500
    samples: Annotated[
        int, tyro.conf.arg(help="Draws for each image: more make a bound tighter.")
    ] = 1
    seed: Annotated[int, tyro.conf.arg(help="Of the draws.")] = 0
    corrected: Annotated[
        bool, tyro.conf.arg(help="Order and draw by bits/dim less those of the image as a PNG.")
    ] = False
    image: Annotated[
        str | None,
        tyro.conf.arg(metavar="PICTURE", help="A seed, photograph or PNG: where it stands."),
    ] = None
    places: Annotated[
        Path | None,
        tyro.conf.arg(metavar="FILE", help="Where the bits of --image are: a .png map or a .csv."),
    ] = None
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help="A .csv table, or a .png or .svg plot.")
    ] = None
    worst: Annotated[
        Path | None,
        tyro.conf.arg(metavar="FILE|DIR", help="The least likely images: a .png strip, or a file "
                      "each in a folder."),
    ] = None  # fmt: skip
    best: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE|DIR", help="The most likely ones, likewise.")
    ] = None
    strip: Annotated[int, tyro.conf.arg(help="Images of --worst and --best.")] = 24
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Score, and write what was asked for."""
        from latentlab.services.likelihood_export import write_extremes, write_scores
        from latentlab.services.likelihood_places import write_places

        choices = self._choices()
        with working(self.machine, self.json) as work:
            image = self._image(work)
            sets = [
                work.run("likelihood_data", model=self.model, data=choice, **self._draws())
                for choice in choices
            ]
        written: dict[str, Path] = {}
        if self.places is not None and image is not None:
            write_places(self.places, image)
            written["places"] = self.places
        if self.out is not None:
            write_scores(self.out, sets, self._quantity)
            written["out"] = self.out
        for name, path in (("worst", self.worst), ("best", self.best)):
            if path is not None:
                # Of two data sets the other one is what should stand out.
                write_extremes(path, sets[-1], self._quantity, self.strip, name == "worst")
                written[name] = path
        self._say(sets, image, written)
        return 0

    @property
    def _quantity(self) -> Quantity:
        return "corrected" if self.corrected else "bits"

    def _draws(self) -> dict[str, int]:
        return {"samples": self.samples, "seed": self.seed}

    def _choices(self) -> list[DataChoice]:
        """Return what is scored; everything that can be refused at once is."""
        from latentlab.core.likelihood import DataChoice
        from latentlab.services.likelihood import STRIP
        from latentlab.services.likelihood_export import FADED, check_extremes, check_out
        from latentlab.services.likelihood_places import check_places

        checked = ((check_out, self.out), (check_places, self.places))
        extremes = ((check_extremes, self.worst), (check_extremes, self.best))
        for check, path in (*checked, *extremes):
            if path is not None:
                check(path)
        if self.places is not None and self.image is None:
            raise LatentLabError("--places is of one image: name it by --image.")
        if not 1 <= self.strip <= STRIP:
            raise LatentLabError(f"A strip has 1 to {STRIP} images, not {self.strip}.")
        if self.against_split is not None and self.against in (None, FADED):
            raise LatentLabError("--against-split is for another data set: name it by --against.")
        first = DataChoice(self.data, self.split, self.count)
        found = [first]
        if self.against == FADED:
            found.append(replace(first, faded=True))
        elif self.against is not None:
            found.append(DataChoice(self.against, self.against_split, self.count))
        for choice in found:
            choice.check()
        return found

    def _image(self, work: Work) -> ImageLikelihood | None:
        if self.image is None:
            return None
        picture, stored = work.picture(self.model, self.image)
        if picture.photo is not None:
            from latentlab.services.photo import prepare_photo

            spec = work.context.library.backend(self.model).spec
            photo = prepare_photo(Path(self.image), spec)
            found = work.run("likelihood_image", model=self.model, photo=photo, **self._draws())
        else:
            found = work.run(
                "likelihood_image", model=self.model, picture=picture, stored=stored,
                **self._draws(),
            )  # fmt: skip
        scored: ImageLikelihood = found
        return scored

    def _say(
        self, sets: list[Scores], image: ImageLikelihood | None, written: dict[str, Path]
    ) -> None:
        if self.json:
            print_json(self._report(sets, image) | written)
            return
        from latentlab.core.likelihood import (
            figure,
            mean_text,
            quantity_title,
            share_below,
            simplicity_sentence,
            verdict,
        )

        quantity = self._quantity
        for scores in sets:
            kind = " (upper bounds)" if scores.bound else ""
            print(
                f"{scores.data.title}: {len(scores):,} image{'s' * (len(scores) != 1)}, "
                f"{mean_text(scores.values(quantity))} {quantity_title(quantity)}{kind}"
            )
        if image is not None:
            share = share_below(image.value(quantity), sets[0].values(quantity))
            print(
                f"{self.image}: {figure(image.value(quantity), 5)} {quantity_title(quantity)}, "
                f"less likely than {100 * share:.0f} % of {sets[0].data.title}"
            )
        if len(sets) > 1:
            print(verdict(sets[0], sets[1], quantity))
        if simple := simplicity_sentence(sets[0]):
            print(simple)
        for path in written.values():
            print(f"Written: {path}")
        if sets[0].caveat:
            print(sets[0].caveat)

    def _report(self, sets: list[Scores], image: ImageLikelihood | None) -> dict[str, Any]:
        from latentlab.core.likelihood import auc, share_below

        first = sets[0]
        found: dict[str, Any] = {
            "model": first.model,
            "fingerprint": first.fingerprint,
            "bound": first.bound,
            "samples": first.samples,
            "seed": first.seed,
            "caveat": first.caveat,
            "sets": [self._set(scores) for scores in sets],
        }
        if len(sets) > 1:
            for quantity, name in (("bits", "auc"), ("corrected", "auc_corrected")):
                found_auc = auc(first.values(quantity), sets[1].values(quantity))  # type: ignore[arg-type]
                found[name] = {"value": found_auc.value, "standard_error": found_auc.error}
        if image is not None:
            found["image"] = {
                "source": self.image,
                "nats": image.nats,
                "bits_per_dim": image.bits,
                "png_bits_per_dim": image.complexity,
                "less_likely_than": share_below(image.bits, first.bits),
            }
        return found

    def _set(self, scores: Scores) -> dict[str, Any]:
        from latentlab.core.likelihood import mean_and_error, rank_correlation, ranked

        order = ranked(scores.values(self._quantity))
        figures = {
            name: dict(zip(("mean", "standard_error"), mean_and_error(values)))
            for name, values in (
                ("nats", scores.nats),
                ("bits_per_dim", scores.bits),
                ("corrected", scores.values("corrected")),
            )
        }
        return {
            "data": scores.data.source,
            "split": scores.data.split,
            "faded": scores.data.faded,
            "count": len(scores),
            **figures,
            "rank_correlation_with_png": rank_correlation(scores.bits, scores.complexity),
            "least_likely": [self._one(scores, int(i)) for i in order[:LISTED]],
            "most_likely": [self._one(scores, int(i)) for i in order[::-1][:LISTED]],
        }

    @staticmethod
    def _one(scores: Scores, index: int) -> dict[str, Any]:
        return {
            "row": int(scores.rows[index]),
            "name": scores.name(index),
            "bits_per_dim": float(scores.bits[index]),
            "png_bits_per_dim": float(scores.complexity[index]),
        }
