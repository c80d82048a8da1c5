"""What picture matrices show: the switch matrix, and the mix grid of a pair."""

from __future__ import annotations

from collections.abc import Callable

from latentlab.core.document import Picture
from latentlab.services.switch import Images
from latentlab.ui.switch_edits import LETTERS, source_name
from latentlab.ui.switch_model import SwitchModel
from latentlab.ui.switch_text import check_sentences, trip_note, trip_sentence
from latentlab.ui.widgets.switch_painter import Cell, Head


class SwitchContent:
    """The matrix of a model, as it stands now.

    Args:
        model: has sources.
    """

    diagonal = True
    head_size = None

    def __init__(self, model: SwitchModel) -> None:
        self._model = model
        self.row_text, self.column_text = model.texts
        assert model.spec is not None
        _, height, width = model.spec.image_shape
        self.image_size = (width, height)

    def _heads(self) -> list[Head]:
        return [self._head(place) for place in range(self._model.count)]

    def _head(self, place: int) -> Head:
        model = self._model
        picture = model.source(place)
        name = source_name(picture)
        tip = f"{LETTERS[place]}: {name}. {trip_sentence(model.trip(place))}".strip()
        assert model.switch is not None
        source = model.switch.sources[place].id
        return Head(source, LETTERS[place], name, model.head_image(place), picture, tip)

    @property
    def rows(self) -> list[Head]:
        """The sources, in their order."""
        return self._heads()

    @property
    def columns(self) -> list[Head]:
        """The same sources."""
        return self._heads()

    def cell(self, row: int, column: int) -> Cell:
        """Return a cell with the error of its round trip, or what a check of it found."""
        model, at = self._model, (row, column)
        text = model.caption(at)
        note = said = ""
        if row == column:
            note, said = trip_note(model.trip(row)), trip_sentence(model.trip(row))
        else:
            said = check_sentences(model.check_of(at), LETTERS[row], LETTERS[column])
        return Cell(model.image(at), text, note, model.waiting(at), f"{text}. {said}".strip())

    def picture(self, row: int, column: int) -> Picture | None:
        """Return the picture of a cell."""
        return self._model.picture((row, column))


class MixContent:
    """A grid between two sources: what comes from the row is blended down, all else across.

    Args:
        amounts: of rows and of columns; 0 is the first of the pair, 1 the second.
        texts: what is blended down, and what across.
        image_size: width and height of an image, in its own pixels.
        image: image of a cell, once it is here.
        picture: picture of a cell, once it can be told.
    """

    diagonal = False
    head_size = (46.0, 4.0)

    def __init__(
        self,
        amounts: tuple[float, ...],
        texts: tuple[str, str],
        image_size: tuple[int, int],
        image: Callable[[int, int], Images | None],
        picture: Callable[[int, int], Picture | None],
    ) -> None:
        self.amounts, self.image_size = amounts, image_size
        self.row_text, self.column_text = texts
        self._image, self.picture = image, picture
        heads = [self._head(amount) for amount in amounts]
        self.rows = self.columns = heads

    @staticmethod
    def _head(amount: float) -> Head:
        text = percent(amount)
        return Head(text, text, text, tip=f"{text} of the way from the first to the second")

    def cell(self, row: int, column: int) -> Cell:
        """Return a cell."""
        image = self._image(row, column)
        down, across = percent(self.amounts[row]), percent(self.amounts[column])
        text = f"{self.row_text} {down}, {self.column_text[:1].lower()}{self.column_text[1:]} "
        return Cell(image, f"{text}{across} of the way to the second", waiting=image is None)


def percent(amount: float) -> str:
    """Return an amount of blending as ``25 %``."""
    return f"{100 * amount:.0f}\N{NO-BREAK SPACE}%".replace("-", "−")
