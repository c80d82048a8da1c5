"""The command ``map``: a latent space as a picture, a table or a points file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from latentlab.cli.common import Json, Machine, Model, Progress, print_json
from latentlab.core.errors import LatentLabError

if TYPE_CHECKING:
    from latentlab.core.labels import LabelColumn
    from latentlab.core.points import PointSet
    from latentlab.services.jobs import JobContext
    from latentlab.services.maps import MapLayout

Method = Literal["native", "picture", "pca", "tsne", "umap", "pacmap"]
SUFFIXES = (".png", ".csv", ".safetensors")
MAX_PICTURE = 8000
"""Most pixels of a side."""


def _where(points: PointSet) -> str:
    """Return in which parts of the latents points stand, for a title; nothing for all."""
    from latentlab.core.parts import moved_text

    text = moved_text(points.placed_by)
    return f", {text[0].lower()}{text[1:]}" if text else ""


@dataclass(frozen=True)
class Map:
    """Place the images of a data set, or prior samples, on a map of the latent space.

    The suffix of --out says what is written: a picture (.png), a table (.csv: row, name, labels, x,
    y) or the points themselves (.safetensors), which the window opens.

    Example: latentlab map portraits-vae portraits:count=2000,seed=7 --method tsne
    --colour-by smiling --out map.png
    """

    model: Model
    data: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(
            metavar="DATA|prior", help="Folder, zip, data file, portraits:count=5000, or prior."
        ),
    ]
    out: Annotated[
        Path, tyro.conf.arg(metavar="FILE", help="A .png, .csv or .safetensors file.")
    ] = Path("map.png")
    split: Annotated[str | None, tyro.conf.arg(help="Part of the data, for example train.")] = None
    attributes: Annotated[
        Path | None, tyro.conf.arg(metavar="CSV", help="Labels of one's own images.")
    ] = None
    count: Annotated[int, tyro.conf.arg(help="Points; a larger data set is taken evenly.")] = 5000
    read: Annotated[
        bool, tyro.conf.arg(help="Label prior samples by what the portraits probe reads off them.")
    ] = False
    method: Annotated[
        Method | None,
        tyro.conf.arg(
            help="native (the axes of a space of two numbers), picture (what changes the picture "
            "most) or pca if none is given."
        ),
    ] = None
    methods: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="NAME,...", help="Layouts that a points file brings along: tsne, umap, pacmap."
        ),
    ] = None
    perplexity: Annotated[float | None, tyro.conf.arg(help="Of t-SNE: 30 if none.")] = None
    neighbours: Annotated[
        int | None, tyro.conf.arg(help="Of UMAP (15 if none) or PaCMAP (10).")
    ] = None
    min_dist: Annotated[float | None, tyro.conf.arg(help="Of UMAP: 0.1 if none.")] = None
    latent_distance: Annotated[
        bool,
        tyro.conf.arg(help="Neighbours are points with like latents, not with like pictures."),
    ] = False
    part: Annotated[
        tuple[str, ...],
        tyro.conf.arg(
            metavar="PART...",
            help="Of the latents, that the layout comes from: global, local (all of them), local_1 "
            "or all; the global part where there is one, if none is given.",
        ),
    ] = ()
    seed: Annotated[int, tyro.conf.arg(help="Of the layout, and of the first prior sample.")] = 0
    colour_by: Annotated[
        str | None, tyro.conf.arg(metavar="LABEL", help="The first label of the data if none.")
    ] = None
    width: Annotated[int, tyro.conf.arg(help="Of the picture in pixels.")] = 1200
    height: Annotated[int, tyro.conf.arg(help="Of the picture in pixels.")] = 900
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=Machine)
    json: Json = False

    def run(self) -> int:
        """Make the map and write it."""
        from latentlab.core.pointfile import read_points
        from latentlab.services.jobs import JobContext
        from latentlab.services.renderer import Renderer

        self._check()
        library = self.machine.library()
        context = JobContext(library, Renderer(library))
        try:
            ready = self._job(context, "map_points", **self._points_arguments())
            points = read_points(Path(ready.path))
            # An unknown label is said before a layout is waited for.
            label = self._label(points)
            points = replace(points, placed_by=self._parts(context, points))
            if self.out.suffix.lower() == ".safetensors":
                figures = self._write_points(context, ready.path, points)
            else:
                layout = self._layout(context, ready.path, points)
                figures = self._write_layout(ready.path, points, layout, label)
        finally:
            context.lane.stop()
        self._say(points, figures, ready.skipped)
        return 0

    def _check(self) -> None:
        from latentlab.latent.layouts import check_installed

        if self.out.suffix.lower() not in SUFFIXES:
            raise LatentLabError(f"'{self.out}' ends in none of {', '.join(SUFFIXES)}: name one.")
        if not (300 <= self.width <= MAX_PICTURE and 300 <= self.height <= MAX_PICTURE):
            raise LatentLabError(f"A picture is 300 to {MAX_PICTURE} pixels wide and high.")
        if self.methods is not None and self.out.suffix.lower() != ".safetensors":
            raise LatentLabError("--methods is for a .safetensors file: use --method.")
        if self.method is not None and self.out.suffix.lower() == ".safetensors":
            raise LatentLabError("--method is for a picture or a table: use --methods.")
        methods = self._stored()
        if self.method not in (None, "native"):
            methods.append(str(self.method))
        for name in methods:
            self._settings(name)
            check_installed(name)
        self._check_heeded(methods)

    def _check_heeded(self, methods: Sequence[str]) -> None:
        """Refuse settings that no layout that was asked for would listen to."""
        from latentlab.latent.layouts import SETTINGS

        known = {name for method in methods for name in SETTINGS.get(method, {})}
        asked = {
            "--perplexity": self.perplexity is not None and "perplexity" not in known,
            "--neighbours": self.neighbours is not None and "n_neighbors" not in known,
            "--min-dist": self.min_dist is not None and "min_dist" not in known,
            "--latent-distance": self.latent_distance and "latent_distance" not in known,
        }
        for name, unheard in asked.items():
            if unheard:
                raise LatentLabError(f"No layout that you asked for takes {name}: leave it out.")

    def _stored(self) -> list[str]:
        """Return the layouts that a points file shall bring along."""
        names = [name.strip() for name in (self.methods or "").split(",") if name.strip()]
        for name in names:
            if name in ("pca", "picture", "native"):
                raise LatentLabError(f"'{name}' is made at once, and never stored: leave it out.")
        return names

    def _settings(self, method: str) -> dict[str, float]:
        """Return all settings of a method, checked."""
        from latentlab.latent.layouts import SETTINGS, settings_of

        given = {
            "perplexity": self.perplexity,
            "n_neighbors": self.neighbours,
            "min_dist": self.min_dist,
            "latent_distance": int(self.latent_distance),
            "seed": self.seed,
        }
        known = SETTINGS.get(method, {})
        asked = {n: v for n, v in given.items() if n in known and v is not None}
        return settings_of(method, asked)

    def _points_arguments(self) -> dict[str, Any]:
        table = None if self.attributes is None else str(self.attributes)
        found = {"model": self.model, "source": self.data, "split": self.split, "count": self.count}
        seed = self.seed if self.data == "prior" else 0
        return found | {
            "seed": seed,
            "attributes": table,
            "reader": "probe" if self.read else None,
        }

    def _job(self, context: JobContext, kind: str, **arguments: Any) -> Any:
        from latentlab.core.requests import JobRequest
        from latentlab.services.jobs import run_job

        progress = Progress(self.json)
        return run_job(
            JobRequest(kind, kind, arguments),
            lambda report: progress(report.done, report.total, report.message),
            context,
        )

    def _label(self, points: PointSet) -> LabelColumn | None:
        from latentlab.core.suggest import did_you_mean

        if self.colour_by is not None:
            if self.colour_by not in points.labels:
                raise LatentLabError(
                    f"There is no label '{self.colour_by}'"
                    f"{did_you_mean(self.colour_by, points.labels)}"
                )
            return points.labels[self.colour_by]
        for kind in ("categorical", "binary", "continuous"):
            for column in points.labels.values():
                if column.kind == kind:
                    return column
        return None

    def _parts(self, context: JobContext, points: PointSet) -> tuple[str, ...]:
        """Return the parts that are laid out; none for all of them."""
        from latentlab.core.parts import chosen_parts, first_parts

        space = context.library.backend(self.model).spec.space(points.space)
        found = chosen_parts(space, self.part) if self.part else first_parts(space)
        return () if len(found) == len(space.parts) else found

    def _layout(self, context: JobContext, path: str, points: PointSet) -> MapLayout:
        from latentlab.core.parts import narrowed
        from latentlab.core.plane import native_plane
        from latentlab.core.points import narrowed_points
        from latentlab.services.maps import MapLayout

        parts = points.placed_by
        space = narrowed(context.library.backend(self.model).spec.space(points.space), parts)
        points = narrowed_points(points, parts)
        plane = native_plane(space)
        if self.method == "native" and plane is None:
            raise LatentLabError(f"This space has {space.size} numbers, not two: use --method pca.")
        if plane is not None and self.method in (None, "native"):
            return MapLayout("native", plane.coordinates(points.parts), plane, {}, False)
        method = self.method or ("pca" if points.picture_map is None else "picture")
        settings = self._settings(method)
        found: MapLayout = self._job(
            context, "map_layout", path=path, method=method, settings=settings, parts=parts
        )
        return found

    def _write_points(self, context: JobContext, path: str, points: PointSet) -> dict[str, Any]:
        from latentlab.core.pointfile import read_point_names, read_points_header, write_points

        layouts = {
            name: self._job(
                context,
                "map_layout",
                path=path,
                method=name,
                settings=self._settings(name),
                parts=points.placed_by,
            ).coordinates
            for name in self._stored()
        }
        about = read_points_header(Path(path)).about
        names = read_point_names(Path(path))
        write_points(self.out, replace(points, coordinates=layouts), names=names, about=about)
        return {"layouts": list(layouts)}

    def _write_layout(
        self, path: str, points: PointSet, layout: MapLayout, label: LabelColumn | None
    ) -> dict[str, Any]:
        from latentlab.latent.layouts import TITLES

        title = TITLES.get(layout.method, "")
        axes = [f"{title} 1", f"{title} 2"]
        if layout.plane is not None:
            axes = [layout.plane.x_label, layout.plane.y_label]
        if self.out.suffix.lower() == ".csv":
            self._write_table(path, points, layout)
        else:
            self._write_picture(points, layout, axes, label)
        return {
            "method": layout.method,
            "settings": dict(layout.settings),
            "axes": axes,
            "colour_by": None if label is None else label.name,
        }

    def _write_picture(
        self, points: PointSet, layout: MapLayout, axes: list[str], label: LabelColumn | None
    ) -> None:
        from PIL.PngImagePlugin import PngInfo

        from latentlab.core.modelfile import replace_file
        from latentlab.services.maps_draw import Drawing, draw_map

        source = "prior samples" if points.is_prior else Path(points.source).name
        title = f"{points.model}: {len(points):,} points of {source}{_where(points)}"
        drawing = Drawing(layout.coordinates, title, axes[0], axes[1], label)
        image = draw_map(drawing, self.width, self.height)
        about = PngInfo()
        about.add_text("Software", "LatentLab")
        about.add_text("Title", title)
        about.add_text("Fingerprint", points.fingerprint)
        replace_file(self.out, lambda target: image.save(target, "PNG", pnginfo=about))

    def _write_table(self, path: str, points: PointSet, layout: MapLayout) -> None:
        from latentlab.core.modelfile import replace_file
        from latentlab.core.pointfile import read_point_names
        from latentlab.services.maps_draw import label_texts

        first = "seed" if points.is_prior else "row"
        what = "seed" if points.is_prior else "image"
        names = read_point_names(Path(path)) or [f"{what} {row}" for row in points.rows]
        columns = [label_texts(column) for column in points.labels.values()]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([first, "name", *points.labels, "x", "y"])
        places = [[f"{x:.7g}" for x in row] for row in layout.coordinates.tolist()]
        writer.writerows(
            [row, name, *labels, *place]
            for row, name, *labels, place in zip(points.rows.tolist(), names, *columns, places)
        )
        data = text.getvalue()
        replace_file(self.out, lambda target: target.write_text(data, encoding="utf-8"))

    def _say(self, points: PointSet, figures: Mapping[str, Any], skipped: tuple[str, ...]) -> None:
        report = {
            "out": self.out,
            "model": points.model,
            "fingerprint": points.fingerprint,
            "space": points.space,
            "source": points.source,
            "split": points.split,
            "count": len(points),
            "parts": list(points.placed_by or points.parts),
            "labels": list(points.labels),
            "skipped": list(skipped),
            **figures,
        }
        if self.json:
            print_json(report)
            return
        axes = f" ({', '.join(report['axes'])})" if "axes" in report else ""
        print(f"{len(points):,} points of {points.model}{_where(points)}{axes} in {self.out}")
        if skipped:
            print(f"{len(skipped)} images could not be read, for example {skipped[0]}")
