"""The whole range of one slider, decoded: what it does to the image that is being edited."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPoint, QTimer, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from latentlab.core.direction import Direction, apply_edits
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents, stack
from latentlab.core.requests import PreviewResult
from latentlab.core.row_keys import row_keys
from latentlab.ui import edits
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.picture_menu import PictureMenu, ShownPicture, show_menu, start_drag
from latentlab.ui.widgets.range_view import RangeView, strip_values

CHANNEL = "strip"
BASE_CHANNEL = "strip base"
REST_MS = 150
"""Other sliders must have rested for so long before the strip is decoded again."""


@dataclass(frozen=True, eq=False)
class _Subject:
    """What a strip is of.

    Attributes:
        picture: of one image, with all its edits.
        directions: those that the edits and the strip name.
        count: images.
    """

    picture: Picture
    directions: dict[str, Direction]
    count: int

    def same(self, other: _Subject | None, name: str) -> bool:
        """Whether the images are the same, whatever value the slider itself has."""
        return (
            other is not None
            and self.count == other.count
            and self.directions.keys() == other.directions.keys()
            and all(other.directions[key] is one for key, one in self.directions.items())
            and edits.picture_key(self.picture.with_edit(name, 0))
            == edits.picture_key(other.picture.with_edit(name, 0))
        )


class RangeStrip(QWidget):
    """Images from −4 to +4 sigma of one slider, the others as they are.

    It follows the canvas and its selection: its mark at once, its images when the hand rests. A
    click sets the slider, in one step of the history.

    Args:
        controller: of the window.

    Signals:
        rendered: the images, or the reason why there are none, are shown.
    """

    rendered = Signal()

    def __init__(self, controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.name = ""
        self.view = RangeView()
        self._caption = ElidedLabel()
        self._caption.setFont(self.view.caption_font())
        self._asked: _Subject | None = None
        self._shown: _Subject | None = None
        self._base: tuple[str, Latents] | None = None
        self._base_asked = ""
        self._quietly = False
        self._rough = False
        self._expected: dict[str, int | None] = {}
        self._rest = QTimer(self, singleShot=True, interval=REST_MS)
        self._rest.timeout.connect(self._refresh)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 0, 0, 4)
        layout.setSpacing(0)
        layout.addWidget(self.view)
        layout.addWidget(self._caption)
        self.setFocusProxy(self.view)
        self._connect()
        self.hide()

    def _connect(self) -> None:
        controller, view = self._controller, self.view
        controller.document_changed.connect(self._follow)
        controller.selection_changed.connect(self._follow)
        controller.preview_rendered.connect(self._take)
        controller.model_reloaded.connect(self.take_weights)
        view.chosen.connect(self._choose)
        view.keep_asked.connect(lambda place: controller.keep_picture(self.picture(place)))
        view.drag_asked.connect(lambda place: start_drag(view, [self._shown_picture(place)]))
        view.menu_asked.connect(self._open_menu)
        view.count_changed.connect(self._follow)

    def open(self, name: str) -> None:
        """Show the range of a direction; an empty name shows none."""
        self.name = name
        self._asked = self._shown = None
        self._expected.clear()
        self._rest.stop()
        self.view.show_nothing()
        if name:
            self.follow_directions()
            self._rest.stop()
            self._refresh()

    # Following.

    def take_weights(self, *_: object) -> None:
        """Decode again with other weights of the model; the old images stay meanwhile."""
        if self.name:
            self._asked = self._base = None
            self._quietly = True
            # After the new directions: they are told of next.
            self._rest.start()

    def follow_directions(self) -> None:
        """Take a direction that changed, or its title."""
        title = self._controller.title_of(self.name)
        self.view.setAccessibleName(f"{title} from −4 to +4 σ")
        self._rest.start()

    def _one(self) -> tuple[Picture, str]:
        """Return the picture of the image that is edited, and what the caption calls it."""
        canvas = self._controller.document.canvas
        if canvas is None:
            raise LatentLabError("There is no picture yet: open a model first.")
        count = edits.batch_of(canvas, self._controller.store)
        row = min(self._controller.selection or 0, count - 1)
        said = "" if count == 1 else f"Image {row + 1} of {count}; click another to see it here"
        return self._controller.row_picture(row), said

    def _follow(self, *_: object) -> None:
        """Move the mark at once; look at the images when nothing moves."""
        if self.name:
            self._follow_value()
            self._rest.start()

    def _subject(self) -> _Subject:
        picture, said = self._one()
        self._caption.setText(said)
        self._caption.setVisible(bool(said))
        known = self._controller.directions
        names = {self.name, *(name for name, amount in picture.edits.items() if amount)}
        used = {name: known[name] for name in sorted(names) if name in known}
        if self.name not in used:
            raise LatentLabError("This slider is no longer here.")
        return _Subject(picture, used, self.view.count)

    def _refresh(self) -> None:
        """Decode again, if the images would be others."""
        if not self.name:
            return
        self._follow_value()
        try:
            subject = self._subject()
            if subject.same(self._asked, self.name):
                return
            self._asked = subject
            if self._shown is not None and not self._quietly:
                self.view.show_stale()
            self._quietly = False
            base = self._base_of(subject.picture)
            if base is not None:
                self._decode(subject, base)
        except LatentLabError as error:
            self._asked = None
            self._fail(error.message)

    def _follow_value(self) -> None:
        canvas = self._controller.document.canvas
        self.view.set_value(0.0 if canvas is None else canvas.edits.get(self.name, 0.0))

    # Latents and images.

    def _base_of(self, picture: Picture) -> Latents | None:
        """Return the latents of the picture before its edits, or ask the worker for them."""
        stored = self._controller.store.latents(picture)
        if stored is not None:
            return stored
        plain = edits.without_edits(picture, None)
        key = edits.picture_key(plain)
        if self._base is not None and self._base[0] == key:
            return self._base[1]
        self._base_asked = key
        self._request(BASE_CHANNEL, plain, decode=False)
        return None

    def _decode(self, subject: _Subject, base: Latents) -> None:
        """Ask for all images in one batch: the edits are done here, as the worker does them."""
        picture, known = subject.picture, subject.directions
        rows = [
            apply_edits(base, {**picture.edits, self.name: value}, known)
            for value in strip_values(subject.count)
        ]
        stored = self._controller.store.put_latents(stack(rows))
        batch = picture.model_copy(
            update={
                "seeds": (),
                "stored": stored,
                "photo": None,
                "photo_path": None,
                "edits": {},
                "name": "",
            }
        )
        # The slider's own picture is drawn with this noise, whatever the edits are.
        own = row_keys(picture, self._controller.store.latents(picture))
        self._request(CHANNEL, batch, keys=own * subject.count)

    def _request(self, channel: str, picture: Picture, **more: object) -> None:
        # An answer may come before the call returns: then its sequence is not known yet.
        self._expected[channel] = None
        sequence = self._controller.request_preview(channel, picture, **more)
        if self._expected.get(channel, 0) is None:
            self._expected[channel] = sequence

    def _take(self, result: PreviewResult) -> None:
        expected = self._expected.get(result.channel, 0)
        subject = self._asked
        if expected not in (None, result.sequence) or subject is None or not self.name:
            return
        if result.final or result.failure is not None:
            del self._expected[result.channel]
        if result.failure is not None:
            self._asked = None
            self._fail(result.failure.message)
        elif result.channel == BASE_CHANNEL and result.latents is not None:
            self._base = (self._base_asked, result.latents)
            if self._base_asked == edits.picture_key(edits.without_edits(subject.picture, None)):
                self._decode_or_say(subject, result.latents)
        elif result.images is not None:
            self._shown, self._rough = subject, not result.final
            self.view.show_images(result.images)
            self.rendered.emit()

    def _decode_or_say(self, subject: _Subject, base: Latents) -> None:
        try:
            self._decode(subject, base)
        except LatentLabError as error:
            self._asked = None
            self._fail(error.message)

    def _fail(self, sentence: str) -> None:
        self._shown = None
        self.view.show_failure(sentence)
        self.rendered.emit()

    # What a person does with an image.

    def picture(self, place: int) -> Picture:
        """Return the picture of one image of the strip."""
        subject = self._shown
        if subject is None:
            raise LatentLabError("The images of this slider are not here yet.")
        return subject.picture.with_edit(self.name, self.view.values[place])

    def _shown_picture(self, place: int) -> ShownPicture:
        image = None if self._rough else self.view.image(place)
        return ShownPicture(self.picture(place), image)

    def _choose(self, value: float) -> None:
        self._controller.set_edit(self.name, value)
        self._controller.end_merge()

    def _open_menu(self, place: int, position: QPoint) -> None:
        show_menu(PictureMenu(self._controller, self._shown_picture(place), self), position)
