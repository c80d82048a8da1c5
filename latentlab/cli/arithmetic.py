"""The command ``arithmetic``: sums and differences of pictures in the latent space."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from latentlab.cli.common import Json, Machine, Many, Model, print_json
from latentlab.cli.images import Grid, Out
from latentlab.cli.working import working


@dataclass(frozen=True)
class Arithmetic:
    """Add and take away pictures in the latent space: A - B + C.

    Each is a seed, a photograph, a PNG of LatentLab, or a file of latents; several seeds, such as
    1,5,9, stand for their mean.

    Example: latentlab arithmetic portraits-vae --plus 3 --minus photo.png --plus 1,5,9
    --out sum.png
    """

    model: Model
    out: Annotated[Out, tyro.conf.arg(help="The PNG, or .safetensors or .npz of latents.")]
    plus: Annotated[Many, tyro.conf.arg(metavar="PICTURE", help="Added; may be repeated.")] = ()
    minus: Annotated[Many, tyro.conf.arg(metavar="PICTURE", help="Taken away; likewise.")] = ()
    parts: Annotated[
        tuple[str, ...],
        tyro.conf.arg(
            metavar="PART...", help="Add in these parts alone; the last --plus gives the others."
        ),
    ] = ()
    grid: tyro.conf.OmitArgPrefixes[Grid] = field(default_factory=Grid)
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Write the sum."""
        from latentlab.core.parts import chosen_parts
        from latentlab.services.commands import build_picture
        from latentlab.services.directions_groups import combine
        from latentlab.services.export import save_latents

        with working(self.machine, self.json) as work:
            sides = [
                [work.latents(self.model, text) for text in texts]
                for texts in (self.plus, self.minus)
            ]
            entry = work.context.library.resolve(self.model)
            spec = work.context.library.backend(self.model).spec
            kept = chosen_parts(spec.space(), self.parts) if self.parts else ()
            total = combine(sides[0], sides[1], kept)
            picture = build_picture(spec, model=entry.id, stored=total, space=total.space)
            if self.out.suffix in (".safetensors", ".npz"):
                save_latents(self.out, total, picture)
            else:
                layout = self.grid.layout()
                work.run("export_png", path=self.out, picture=picture, stored=total, layout=layout)
        if self.json:
            print_json({"out": self.out, "picture": picture.model_dump(mode="json")})
        else:
            print(f"sum of {len(self.plus)} minus {len(self.minus)} in {self.out}")
        return 0
