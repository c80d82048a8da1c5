"""What the map shows, without a widget: its points, their places, colours and the selection."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.parts import choice_of, first_parts, narrowed
from latentlab.core.plane import Plane
from latentlab.core.points import PRIOR, PointSet, narrowed_points
from latentlab.core.requests import Failure
from latentlab.core.spec import LatentSpace
from latentlab.services import maps
from latentlab.ui import map_layouts
from latentlab.ui.map_background import Background
from latentlab.ui.map_cached import newest_map, read_map
from latentlab.ui.map_jobs import NewestJobs, ask_neighbours, skipped_text
from latentlab.ui.map_layouts import DIRECTIONS, LayoutChoice, Placed
from latentlab.ui.map_pictures import first_label, latents_picture
from latentlab.ui.map_shown import NONE, ShownPoints
from latentlab.ui.map_three import ThreePictures
from latentlab.ui.map_weights import MapWeights, same_points

PRIOR_COUNT = 2000
MUCH_TO_READ = 4 * 2**20
"""A points file of more bytes is read in a thread."""


class MapModel(ShownPoints, QObject):
    """The state of the map of the controller's model.

    ``points`` hold whole latents; ``mapped`` are the same in ``parts`` alone (in all, where none
    are named): what a layout is made of.

    Args:
        controller: of the window; ``controller.map_selection`` is kept up to date: the path of the
            points file and the selected points, or ``None``.

    Signals:
        points_changed: another set of points, or none.
        points_renewed: the same points, of other weights; they glide to their new places.
        parts_changed: the points are laid out by other parts of their latents.
        layout_changed: the points stand elsewhere; true asks for a glide.
        colour_changed: another label colours the points.
        shown_changed: other points are shown.
        selection_changed: int64 points.
        failed: a ``Failure`` to show at the map, or ``None`` when it is over.
        neighbours_found: a ``Neighbours``.
        group_chosen: ``positive`` or ``negative``, the points file and int64 points.
    """

    points_changed = Signal()
    points_renewed = Signal()
    parts_changed = Signal()
    layout_changed = Signal(bool)
    colour_changed = Signal()
    shown_changed = Signal()
    selection_changed = Signal(object)
    failed = Signal(object)
    neighbours_found = Signal(object)
    group_chosen = Signal(str, str, object)

    def __init__(self, controller: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._parts: tuple[str, ...] = ()
        self.mapped: PointSet | None = None
        self.placed: Placed | None = None
        self.choice: LayoutChoice | None = None
        self._renewing = False
        self._opened: dict[tuple[str, str], Path] = {}
        self.jobs = NewestJobs(controller, self)
        self.background = Background(self)
        self.reading = Background(self)
        self.jobs.ended.connect(self._job_ended)
        self.three = ThreePictures(controller, self)
        self.weights_of = MapWeights(controller, self, self)
        self.three.found.connect(self._three_found)
        self.three.failed.connect(self._layout_failed)
        controller.map_model = self
        controller.map_selection = None
        controller.model_changed.connect(self.follow_model)
        controller.directions_changed.connect(self._directions_changed)

    # The model and its points.

    @property
    def space(self) -> LatentSpace | None:
        """The space of the points, or the one that a map would show."""
        model = self._controller.model
        if model is None:
            return None
        # The points may still be those of the model before.
        known = {space.name for space in model.spec.spaces}
        own = self.points is not None and self.points.space in known
        return model.spec.space(self.points.space if own else None)

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of the latents that the points are laid out by; none for all."""
        space = self.space
        # What was chosen may still be of the model before.
        known = () if space is None else tuple(part.name for part in space.parts)
        return self._parts if set(self._parts) <= set(known) else ()

    @property
    def parts_title(self) -> str:
        """What a person calls the parts that the points are laid out by; empty for all."""
        space = self.space
        return choice_of(space, self.parts).title if space is not None and self.parts else ""

    @property
    def model_id(self) -> str:
        """Id of the model in the library."""
        entry = self._controller.model_entry
        return "" if entry is None else entry.id

    @property
    def weights(self) -> str:
        """Fingerprint of the model's weights; empty without one."""
        model = self._controller.model
        return "" if model is None else model.spec.fingerprint

    def _mark(self) -> tuple[str, str]:
        return (self.model_id, self._controller.model_mark)

    def follow_model(self, *_: object) -> None:
        """Show the map of the current model: the one that was open, the bundled one, or none."""
        self.jobs.stop()
        self.background.stop()
        self.reading.stop()
        self.three.clear()
        self._take(None, None)
        model = self._controller.model
        self._parts = () if model is None else first_parts(model.spec.space())
        if model is not None:
            path = self._opened.get(self._mark()) or self.bundled()
            path = path or newest_map(self.model_id, self.weights)
            if path is not None:
                self.open(path)

    def bundled(self) -> Path | None:
        """Return the points file that came with the model."""
        return maps.bundled_map(self.model_id, self.weights) if self.weights else None

    def open(self, path: Path | str, renew: bool = False) -> None:
        """Show the points of a file; a failure stands where the map would be.

        With ``renew``, the same points as before keep their colours, layout and selection.
        """
        path = Path(path)
        model, mark = self._controller.model, self._mark()
        names = () if model is None else tuple(space.name for space in model.spec.spaces)
        # The map of a model that learns may be of an older step of it, and says so.
        read = partial(read_map, path, self.weights if mark[1] == self.weights else "", names)

        def take(points: PointSet) -> None:
            self._opened[mark] = path
            if renew and same_points(self.points, points):
                self._renew(points, path)
            else:
                self._take(points, path)
            self.weights_of.made(points)

        def failed(failure: Failure) -> None:
            self._take(None, None)
            self.failed.emit(failure)

        much = path.is_file() and path.stat().st_size > MUCH_TO_READ
        self.jobs.stop("map_layout")
        self.reading.run(read, take, failed, much=much, title="Reading the map")

    def _take(self, points: PointSet | None, path: Path | None) -> None:
        self.path, self._renewing = path, False
        self._take_points(points)
        self.placed = self.choice = None
        self.isolated = self._legend = None
        self.colour = None if points is None else first_label(points)
        self.select(NONE)
        self.failed.emit(None)
        self.points_changed.emit()
        self.colour_changed.emit()
        self._choose_first()

    def _take_points(self, points: PointSet | None) -> None:
        if points is not None and points.placed_by:
            self._parts = points.placed_by
        self.points = points
        self.mapped = None if points is None else narrowed_points(points, self.parts)

    def _choose_first(self) -> None:
        space = self.space
        if self.mapped is not None and space is not None:
            self.choose_layout(map_layouts.first_choice(self.mapped, narrowed(space, self.parts)))

    def choose_parts(self, parts: tuple[str, ...]) -> None:
        """Lay the points out by other parts of their latents; what is selected stays selected."""
        if parts == self.parts:
            return
        self._parts, choice = parts, self.choice
        if self.points is None:
            return
        self.mapped = narrowed_points(self.points, parts)
        self._renewing = True
        self.parts_changed.emit()
        if choice is not None and choice.method in (*map_layouts.NEIGHBOUR_METHODS, DIRECTIONS):
            self.choose_layout(choice)
        else:
            self._choose_first()

    def _renew(self, points: PointSet, path: Path) -> None:
        """Take the same points of other weights: they glide to where they stand now."""
        choice, self.path = self.choice, path
        self._take_points(points)
        self._renewing = True
        self.points_renewed.emit()
        if choice is not None:
            self.choose_layout(choice)

    def map_source(
        self,
        source: str = PRIOR,
        split: str | None = None,
        count: int = PRIOR_COUNT,
        attributes: str | None = None,
        renew: bool = False,
        reader: str | None = None,
    ) -> None:
        """Encode a data set, or sample the prior, and show it; what is shown stays meanwhile."""
        if self._controller.model is None:
            return
        arguments: dict[str, Any] = {"model": self.model_id, "source": source, "count": count}
        given = {"split": split, "attributes": attributes, "reader": reader}
        arguments |= {name: value for name, value in given.items() if value}
        what = "prior samples" if source == PRIOR else Path(source.partition(":")[0] or source).name
        self.failed.emit(None)
        self.weights_of.begin()
        mapped = partial(self._mapped, renew=renew)
        self.jobs.run("map_points", f"Mapping {what}", arguments, mapped, self.failed.emit)

    def _mapped(self, ready: Any, renew: bool = False) -> None:
        self.open(ready.path, renew)
        if ready.skipped:
            self._controller.message.emit(*skipped_text(ready.skipped))

    # Where the points stand.

    @property
    def plane(self) -> Plane | None:
        """The plane of the layout, where every place has a latent."""
        return None if self.placed is None else self.placed.plane

    def choose_layout(self, choice: LayoutChoice) -> None:
        """Place the points; what needs a job comes later, over PCA meanwhile."""
        points, space = self.points, self.space
        if points is None or space is None or self.mapped is None:
            return
        if choice.method != DIRECTIONS:
            # A direction moves the parts that it was fitted in, whatever else is chosen.
            points, space = self.mapped, narrowed(space, self.parts)
        self.jobs.stop("map_layout")
        self.background.stop()
        self.choice = choice
        self.failed.emit(None)
        if choice.method == map_layouts.THREE:
            self._choose_three()
            return
        known = dict(self._controller.directions)

        def take(placed: Placed | None) -> None:
            if placed is not None:
                self._axes = (known.get(choice.x), known.get(choice.y))
                self._place(map_layouts.titled(placed, self._controller.title_of))
                return
            if self.placed is None and choice.method != map_layouts.PCA:
                self._place_meanwhile(points)
            self._ask_layout(choice, points)

        self.background.run(
            lambda: map_layouts.place_at_once(choice, points, space, known),
            take,
            self._layout_failed,
            much=not map_layouts.is_quick(points),
            title=f"Placing {len(points):,} points",
        )

    def picture_of(self, latents: Latents) -> Picture | None:
        """Return the picture of latents of the map's space, as the canvas is conditioned."""
        if self.points is None:
            return None
        store, canvas = self._controller.store, self._controller.document.canvas
        name, weights = self.model_id, self.weights
        return latents_picture(latents, self.points, name, store, canvas, weights)

    def _choose_three(self) -> None:
        if self.three.missing:
            self.layout_changed.emit(False)
        else:
            self.three.ask()

    def _place_meanwhile(self, points: PointSet) -> None:
        if map_layouts.is_quick(points):
            self._place(map_layouts.by_components(LayoutChoice(map_layouts.PCA), points))

    def _ask_layout(self, choice: LayoutChoice, points: PointSet) -> None:
        title = f"{map_layouts.TITLES[choice.method]} of {len(points):,} points"
        arguments = {
            "path": str(self.path),
            "method": choice.method,
            "settings": dict(choice.settings) or None,
            **({"parts": self.parts} if self.parts else {}),
        }

        def found(layout: Any) -> None:
            if layout.plane is not None:
                plane = layout.plane
                self._place(
                    Placed(choice, layout.coordinates, plane, plane.x_label, plane.y_label), True
                )
            else:
                self._place(map_layouts.without_latents(choice, layout.coordinates), True)

        self.jobs.run("map_layout", title, arguments, found, self._layout_failed)

    def _place(self, placed: Placed, glide: bool = False) -> None:
        if self.points is not None and self.space is not None:
            placed = map_layouts.widened(placed, self.points, self.space)
        count = len(placed.coordinates)
        if placed.index is None and count > map_layouts.SORTED_AT_ONCE:
            work = partial(map_layouts.sorted_points, placed)
            title = f"Placing {count:,} points"
            take = partial(self._place, glide=glide)
            self.background.run(work, take, self._layout_failed, much=True, title=title)
            return
        if self._renewing and self.placed is not None:
            placed, glide = map_layouts.aligned(placed, self.placed), True
        self._renewing = False
        glide = glide and self.placed is not None
        self.placed = placed
        self.layout_changed.emit(glide)

    def _three_found(self, plane: Plane) -> None:
        choice, points = self.choice, self.points
        if choice is None or choice.method != map_layouts.THREE or points is None:
            return

        def place() -> Placed:
            if plane.space != points.space:
                raise LatentLabError("The three pictures lie in another space than this map.")
            return map_layouts.in_plane(choice, points, plane)

        much = not map_layouts.is_quick(points)
        title = f"Placing {len(points):,} points"
        self.background.run(place, self._place, self._layout_failed, much=much, title=title)

    def _layout_failed(self, failure: Failure) -> None:
        """Say why, and go back to the layout that is shown."""
        self.choice = None if self.placed is None else self.placed.choice
        self.layout_changed.emit(False)
        self.failed.emit(failure)

    def _job_ended(self, kind: str) -> None:
        """A cancelled layout: what is shown is what is chosen."""
        shown = None if self.placed is None else self.placed.choice
        waits = self.choice is not None and self.choice.method == map_layouts.THREE
        waits = waits or bool(self.background.title)
        if kind == "map_layout" and self.choice is not shown and not waits:
            self.choice = shown
            self.layout_changed.emit(False)

    def _directions_changed(self) -> None:
        choice = self.choice
        if choice is None or choice.method != DIRECTIONS:
            return
        known = self._controller.directions
        if {choice.x, choice.y} <= set(known):
            if self._axes != (known[choice.x], known[choice.y]):
                self.choose_layout(choice)
        else:
            self._choose_first()

    def choose_group(self, side: str) -> None:
        """Hand the selection on as a group: ``positive`` or ``negative``."""
        if len(self.selection) and self.path is not None:
            self._controller.panel_asked.emit("directions")
            self.group_chosen.emit(side, str(self.path), self.selection)

    def ask_neighbours(self, point: int, metric: str) -> None:
        """Look for the nearest points by ``latent`` or ``pixel`` distance."""
        ask_neighbours(self, point, metric)
