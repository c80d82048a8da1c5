"""Cosines and measured effects: side by side where there is room, one at a time where not."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.effects import EffectReport
from latentlab.ui.effects_model import cosine_matrix, effect_limit, effect_matrix
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.matrix_view import MatrixView

WIDE = 660
"""From this width on, both are shown; more than Qt gives a widget before it has a place."""


class Segments(QWidget):
    """A few buttons of which one is down.

    Signals:
        chosen: its place.
    """

    chosen = Signal(int)

    def __init__(self, name: str, texts: tuple[str, ...], tips: tuple[str, ...]) -> None:
        super().__init__()
        self.setAccessibleName(name)
        # Fusion's sunken button can hardly be told from the others in dark.
        self.setStyleSheet(
            "QToolButton:checked { background: palette(highlight); border-radius: 3px; "
            "padding: 3px 5px; color: palette(highlighted-text); }"
        )
        self._group = QButtonGroup(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        for place, (text, tip) in enumerate(zip(texts, tips)):
            button = QToolButton()
            button.setText(text)
            button.setToolTip(tip)
            button.setCheckable(True)
            button.setChecked(place == 0)
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            button.setAccessibleName(f"{name}: {text.replace('&', '')}")
            self._group.addButton(button, place)
            row.addWidget(button)
        self._group.idClicked.connect(self.chosen)

    @property
    def current(self) -> int:
        """The place of the button that is down."""
        return self._group.checkedId()

    def choose(self, place: int) -> None:
        """Press a button down, without a signal."""
        self._group.button(place).setChecked(True)


class EffectsMatrices(QWidget):
    """The two matrices of a report, or of two reports between which a switch goes.

    Args:
        titler: what a person calls a direction.

    Signals:
        edit_asked: name of a direction: a cell of its row was activated.
        slider_asked: name of a direction: its name was clicked.
        failed: a ``LatentLabError`` of a file.
    """

    edit_asked = Signal(str)
    slider_asked = Signal(str)
    failed = Signal(object)

    def __init__(self, titler: Callable[[str], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._titler = titler
        self._report: EffectReport | None = None
        self._after: EffectReport | None = None
        self._dim = False
        self.effects, self.cosines = MatrixView(), MatrixView()
        self.which = Segments(
            "Matrix",
            ("Effe&cts", "Cos&ines"),
            ("What each slider changes, measured", "How alike the directions are"),
        )
        self.figure = Segments(
            "Figure",
            ("Mean", "Size"),
            (
                "The mean change: ups and downs cancel",
                "The mean size of the change: ups and downs add up; warnings go by it",
            ),
        )
        self.side = Segments(
            "Sliders",
            ("Before", "After"),
            ("The sliders as they are", "The sliders as they would be"),
        )
        self.more = QToolButton()
        self.more.setText("⋯")
        self.more.setAccessibleName("Copy or save the matrix")
        self.more.setToolTip("Copy or save the matrix")
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.sentence = QLabel()
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        bar = FlowLayout()
        for widget in (self.which, self.figure, self.side, self.more):
            bar.addWidget(widget)
        self._captions = [QLabel(text) for text in ("Measured effects", "Cosines")]
        self._columns = [QWidget(), QWidget()]
        row = QHBoxLayout()
        row.setSpacing(16)
        views = (self.effects, self.cosines)
        for column, caption, view in zip(self._columns, self._captions, views):
            layout = QVBoxLayout(column)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(4)
            layout.addWidget(caption)
            layout.addWidget(view, 1)
            row.addWidget(column, 1)
        self.sentence.setWordWrap(True)
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.sentence.setTextFormat(Qt.TextFormat.PlainText)
        self.sentence.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        # Room for two lines, so that the matrix does not jump under the cursor.
        self.sentence.setFixedHeight(2 * self.sentence.fontMetrics().lineSpacing() + 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(bar)
        layout.addLayout(row, 1)
        layout.addWidget(self.sentence)
        self._arrange()

    def _connect(self) -> None:
        self.which.chosen.connect(lambda _: self._arrange())
        for switch in (self.figure, self.side):
            switch.chosen.connect(lambda _: self._draw())
        for view in (self.effects, self.cosines):
            view.cell_changed.connect(lambda *_, view=view: self._say(view))
            view.cell_activated.connect(lambda row, _: self._ask_edit(row))
            view.row_clicked.connect(self._ask_slider)
            view.failed.connect(self.failed)
        self.more.pressed.connect(self._fill_menu)

    # What is shown.

    def show_report(
        self, report: EffectReport | None, *, after: EffectReport | None = None, dim: bool = False
    ) -> None:
        """Show a report; with ``after``, a switch between both; ``dim`` greys what is out of date.

        A second report that comes anew is the one that is shown.
        """
        if after is None or (self._after is None and after is not None):
            self.side.choose(0 if after is None else 1)
        self._report, self._after, self._dim = report, after, dim
        self._draw()

    @property
    def shows_after(self) -> bool:
        """Whether the matrices are of sliders that nobody accepted yet."""
        return self._after is not None and self.side.current == 1

    def _draw(self) -> None:
        self.side.setVisible(self._after is not None)
        report = self._after if self.shows_after else self._report
        if report is None:
            self.effects.set_matrix(None)
            self.cosines.set_matrix(None)
            self.sentence.clear()
            return
        both = [one for one in (self._report, self._after) if one is not None]
        dim = self._dim and not self.shows_after
        matrix = effect_matrix(
            report, self._titler, sizes=self.figure.current == 1, limit=effect_limit(*both)
        )
        self.effects.set_matrix(matrix, dim)
        self.cosines.set_matrix(cosine_matrix(report, self._titler), dim)
        self._say(self.cosines if self.effects.isHidden() else self.effects)

    def _say(self, view: MatrixView) -> None:
        if view.matrix is not None and view.cursor_cell is not None:
            text = view.matrix.sentence(*view.cursor_cell)
            self.sentence.setText(text)
            self.sentence.setToolTip(text)

    def _name(self, row: int) -> str:
        report = self._after if self.shows_after else self._report
        return report.directions[row] if report is not None else ""

    def _ask_edit(self, row: int) -> None:
        self.edit_asked.emit(self._name(row))

    def _ask_slider(self, row: int) -> None:
        self.slider_asked.emit(self._name(row))

    def _fill_menu(self) -> None:
        view = self.cosines if self._columns[0].isHidden() or self.cosines.hasFocus() else None
        self.more.setMenu((view or self.effects).menu())

    # Room.

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show both or one."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        wide = self.width() >= WIDE
        self.which.setVisible(not wide)
        for place, (column, caption) in enumerate(zip(self._columns, self._captions)):
            column.setVisible(wide or self.which.current == place)
            caption.setVisible(wide)
        self.figure.setVisible(wide or self.which.current == 0)
        self._say(self.effects if wide or self.which.current == 0 else self.cosines)
