"""The matrix and, beside or below it, the chosen picture: what the panel's first page shows."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QMenu, QSplitter, QToolButton, QVBoxLayout, QWidget

from latentlab.ui.icons import icon
from latentlab.ui.switch_edits import LETTERS
from latentlab.ui.switch_model import SwitchModel
from latentlab.ui.switch_packed import REACH, has_maps
from latentlab.ui.switch_text import check_sentences, trip_sentence
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.picture_menu import PictureMenu, show_menu
from latentlab.ui.widgets.switch_content import SwitchContent
from latentlab.ui.widgets.switch_detail import SwitchDetail
from latentlab.ui.widgets.switch_geometry import Place
from latentlab.ui.widgets.switch_matrix import PictureMatrix

_SHARE = 0.72
"""Most of the room that the matrix takes by itself."""
_BESIDE = 1.15
"""From this width a unit of height, the chosen picture stands beside the matrix, not below."""


class _Splitter(QSplitter):
    """Tells when it has its new size: only then can the room be shared."""

    resized = Signal()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Tell of it."""
        super().resizeEvent(event)
        self.resized.emit()


class SwitchPage(QWidget):
    """The matrix of a model.

    Args:
        controller: of the window.
        model: the matrix.
    """

    def __init__(self, controller: Any, model: SwitchModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller, self._model = controller, model
        self.matrix = PictureMatrix(controller, editable=True)
        self.matrix.setAccessibleName("Switch matrix")
        self.detail = SwitchDetail(controller, model)
        self.facts = QLabel()
        self.canvas = self._button("canvas", "Ca&nvas", "Show it on the canvas (Enter)")
        self.keep = self._button("keep", "&Keep", "Keep it in the tray (K)")
        self.map = self._button("map", "Map", "Show where it lies on the map")
        self.check = self._button(
            "check", "&Check", "Encode it again and measure whether its parts come back"
        )
        self.maps = self._button("maps", "&Local", "Show its local parts, channel by channel")
        self.maps.setCheckable(True)
        self._moved = False
        self.splitter = _Splitter(Qt.Orientation.Vertical)
        self._lay_out()
        self._connect()
        self.follow()

    def _button(self, name: str, text: str, tip: str) -> QToolButton:
        button = QToolButton(text=text)
        button.setObjectName(name)
        button.setAutoRaise(True)
        button.setToolTip(tip)
        button.setAccessibleDescription(tip)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        return button

    @property
    def buttons(self) -> tuple[tuple[QToolButton, str], ...]:
        """The buttons under the chosen picture, and their icons."""
        return (
            (self.canvas, "explore"),
            (self.keep, "keep"),
            (self.map, "map"),
            (self.check, "measure"),
            (self.maps, "latents"),
        )

    def _lay_out(self) -> None:
        self.facts.setWordWrap(True)
        self.facts.setTextFormat(Qt.TextFormat.PlainText)
        self.facts.setFont(small_font(self.font()))
        self.facts.setAccessibleName("Figures of the chosen picture")
        row = QWidget()
        flow = FlowLayout(row, spacing=2)
        flow.setContentsMargins(0, 0, 0, 0)
        for button, _ in self.buttons:
            flow.addWidget(button)
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        column.addWidget(self.detail, 1)
        column.addWidget(self.facts)
        column.addWidget(row)
        self.splitter.addWidget(self.matrix)
        self.splitter.addWidget(side)
        self.splitter.setStretchFactor(0, 3)
        self.splitter.setStretchFactor(1, 2)
        self.splitter.setChildrenCollapsible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.splitter)
        self._recolour()

    def _connect(self) -> None:
        matrix, model = self.matrix, self._model
        model.changed.connect(self.follow)
        model.cells_changed.connect(self.refresh)
        model.progress_changed.connect(self._follow_place)
        model.place_asked.connect(self.choose)
        matrix.place_changed.connect(self._follow_place)
        matrix.hand_moved.connect(self._follow_place)
        matrix.keep_asked.connect(self._keep)
        matrix.remove_asked.connect(self._remove)
        matrix.move_asked.connect(self._move)
        matrix.menu_asked.connect(self.show_menu)
        matrix.dropped.connect(lambda data, place: model.take(data, place))
        matrix.paste_asked.connect(model.paste)
        self.detail.menu_asked.connect(self.show_menu)
        self.detail.place_chosen.connect(self.choose)
        self.canvas.clicked.connect(self._to_canvas)
        self.keep.clicked.connect(lambda: self._keep(self.matrix.place))
        self.map.clicked.connect(self._to_map)
        self.check.clicked.connect(self.check_chosen)
        self.maps.toggled.connect(self._show_maps)
        self.splitter.splitterMoved.connect(self._bar_moved)
        self.splitter.resized.connect(self._place_parts)

    def _bar_moved(self, *_: object) -> None:
        self._moved = True

    # Following.

    def follow(self) -> None:
        """Show the matrix as the document has it."""
        model = self._model
        self.matrix.set_content(SwitchContent(model) if model.count else None)
        self.maps.setVisible(has_maps(model.space))
        self.check.setVisible(model.can_check)
        self._follow_place()
        self._share_room()

    def refresh(self) -> None:
        """Images came."""
        self.matrix.refresh()
        self._follow_place()

    def choose(self, place: Place) -> None:
        """Choose a picture of the matrix."""
        self.matrix.set_place(place)

    def _follow_place(self, *_: object) -> None:
        """Show the picture under the mouse, or else the chosen one."""
        if not self._model.count:
            self.detail.set_place(None)
            return
        place = self.matrix.in_hand or self.matrix.place
        self._model.set_row(max(place[0], 0) if place[0] >= 0 else max(place))
        self.detail.set_place(place)
        cell = self.detail.cell
        self.facts.setText("" if cell is None else self._figures(cell))
        chosen = self._chosen()
        self.check.setEnabled(chosen is not None and chosen[0] != chosen[1])

    def _chosen(self) -> tuple[int, int] | None:
        """Return the chosen cell; that of a head is its source made of its own parts."""
        row, column = self.matrix.place
        place = (max(row, column),) * 2 if min(row, column) < 0 else (row, column)
        return place if max(place) < self._model.count else None

    def _figures(self, cell: tuple[int, int]) -> str:
        model = self._model
        if self.detail.maps_shown:
            return f"Local parts of {model.name(cell[1])}: blue −{REACH:.0f} σ, red +{REACH:.0f} σ."
        if cell[0] == cell[1]:
            return f"{model.caption(cell)}. {trip_sentence(model.trip(cell[0]))}".strip()
        letters = [LETTERS[place] for place in cell]
        return f"{model.caption(cell)}. {check_sentences(model.check_of(cell), *letters)}".strip()

    # What a person does.

    def _to_canvas(self) -> None:
        shown = self.matrix.shown_picture(self.matrix.place)
        if shown is not None:
            self._controller.show_picture(shown.picture, "To canvas")

    def _to_map(self) -> None:
        self._to_canvas()
        self._controller.panel_asked.emit("manifold")

    def _keep(self, place: Place) -> None:
        shown = self.matrix.shown_picture(place)
        if shown is not None:
            self._controller.keep_picture(shown.picture)

    def check_chosen(self) -> None:
        """Encode the chosen picture again and measure what comes back."""
        cell = self._chosen()
        if cell is not None and cell[0] != cell[1]:
            self._model.check(cell)

    def _show_maps(self, shown: bool) -> None:
        self.detail.show_maps(shown)
        self._follow_place()

    def _source_at(self, place: Place) -> int | None:
        """Return the source that a head, or a cell of the diagonal, stands for."""
        row, column = place
        return max(row, column) if min(row, column) < 0 or row == column else None

    def _remove(self, place: Place) -> None:
        source, switch = self._source_at(place), self._model.switch
        if switch is None:
            return
        if source is None:
            text = "Choose the head of a row or column, then press Delete to remove its picture."
            self._controller.message.emit(text, "")
            return
        self._model.remove([switch.sources[source].id])

    def _move(self, source: int, by: int) -> None:
        row, column = self.matrix.place
        if self._model.step(source, by):
            # The cursor goes along with what it moved.
            place = tuple(k + by if k == source else k - by if k == source + by else k
                          for k in (row, column))  # fmt: skip
            self.choose((place[0], place[1]))

    # The menu.

    def show_menu(self, place: Place, position: QPoint) -> None:
        """Open the menu of a picture."""
        menu = self.menu_at(place)
        if menu is not None:
            show_menu(menu, position)

    def menu_at(self, place: Place) -> QMenu | None:
        """Return the menu of a picture: the one of every image, and the matrix's own."""
        shown, model = self.matrix.shown_picture(place), self._model
        if shown is None:
            return None
        menu = PictureMenu(self._controller, shown, self)
        first = menu.actions()[0]
        source = self._source_at(place)
        if source is None:
            self._add_cell_items(menu, first, place)
        else:
            self._add_source_items(menu, first, source)
        menu.insertSeparator(first)
        on_map = menu.addAction("Show on the &map")
        on_map.triggered.connect(
            lambda: (
                self._controller.show_picture(shown.picture, "To canvas"),
                self._controller.panel_asked.emit("manifold"),
            )
        )
        if model.can_check and source is None:
            check = menu.addAction("C&heck what comes back")
            check.triggered.connect(lambda: model.check(place))
        return menu

    def _insert(self, menu: QMenu, before: Any, text: str, act: Any) -> Any:
        action = menu.addAction(text)
        menu.removeAction(action)
        menu.insertAction(before, action)
        action.triggered.connect(lambda: act())
        return action

    def _add_cell_items(self, menu: QMenu, before: Any, place: Place) -> None:
        model, (row, column) = self._model, place
        first, second = LETTERS[row], LETTERS[column]
        text = f"&Blend {first} and {second}"
        self._insert(menu, before, text, lambda: model.blend_asked.emit(row, column))
        text = "Add it as a &source"
        self._insert(menu, before, text, lambda: self._add_as_source(place))

    def _add_as_source(self, place: Place) -> None:
        shown = self.matrix.shown_picture(place)
        if shown is not None:
            self._model.add([shown.picture])

    def _add_source_items(self, menu: QMenu, before: Any, source: int) -> None:
        model = self._model
        assert model.switch is not None
        name = model.switch.sources[source].id
        steps = (("Move &back\tAlt+←", -1), ("Move &forward\tAlt+→", 1))
        for text, by in steps:
            action = self._insert(menu, before, text, lambda by=by: model.step(source, by))
            action.setEnabled(0 <= source + by < model.count)
        self._insert(menu, before, "&Remove\tDel", lambda: model.remove([name]))

    # Looks.

    def _place_parts(self) -> None:
        """Put the chosen picture beside the matrix where there is room, else below."""
        beside = self.width() >= _BESIDE * self.height()
        wanted = Qt.Orientation.Horizontal if beside else Qt.Orientation.Vertical
        if self.splitter.orientation() != wanted:
            self.splitter.setOrientation(wanted)
            self._moved = False
        self._share_room()

    def _share_room(self) -> None:
        """Give the matrix what it can use, as long as nobody has moved the bar between."""
        if self._moved:
            return
        width, height = self.splitter.width(), self.splitter.height()
        beside = self.splitter.orientation() == Qt.Orientation.Horizontal
        room = (
            QSize(round(width * _SHARE), height) if beside else QSize(width, round(height * _SHARE))
        )
        used = self.matrix.size_in(room)
        mine, whole = (used.width(), width) if beside else (used.height(), height)
        # Together they have what the bar between leaves; Qt would shrink both otherwise.
        self.splitter.setSizes([mine, whole - mine - self.splitter.handleWidth()])

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other icons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "splitter"):
            self._recolour()

    def _recolour(self) -> None:
        """Take the icons of the palette."""
        for button, name in self.buttons:
            button.setIcon(icon(name, self.palette()))
            button.setIconSize(QSize(14, 14))
