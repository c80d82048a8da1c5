"""The attributes panel: a slider in sigma for each direction of the model."""

from __future__ import annotations

from itertools import count

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QScrollArea,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.direction import Direction
from latentlab.data.portraits.attributes import EDIT_ATTRIBUTES
from latentlab.ui.edits import readable
from latentlab.ui.widgets.attribute_row import AttributeRow, describe_direction
from latentlab.ui.widgets.notes import EmptyState

_GROUP = "Attributes"


def _place(direction: Direction) -> tuple[int, str]:
    """Sort key: the edits of portraits first, in their own order, then the rest by name."""
    first = EDIT_ATTRIBUTES
    return first.index(direction.name) if direction.name in first else len(first), direction.name


def grouped(directions: list[Direction]) -> list[tuple[str, list[Direction]]]:
    """Return directions under their headings; what the course uses comes first."""
    groups: dict[str, list[Direction]] = {}
    for direction in sorted(directions, key=_place):
        groups.setdefault(direction.group or _GROUP, []).append(direction)
    return list(groups.items())


class AttributesPanel(QWidget):
    """Sliders that edit what is on the canvas; they follow the document, undo and redo.

    Args:
        controller: of the window.
    """

    def __init__(self, controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Attributes")
        self._controller = controller
        self._rows: dict[str, AttributeRow] = {}
        self._headings: list[tuple[QLabel, list[AttributeRow]]] = []
        self._gestures = count()
        self._gesture = next(self._gestures)
        self._empty = EmptyState("", "", "Copy the command", self._copy_command)
        self._list = QVBoxLayout()
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._build_page())
        self._stack.addWidget(self._empty)
        controller.model_changed.connect(self._rebuild)
        controller.document_changed.connect(self._follow)
        self._rebuild()

    def _build_page(self) -> QWidget:
        self._search = QLineEdit(placeholderText="Find an attribute")
        self._search.setClearButtonEnabled(True)
        self._search.setAccessibleName("Find an attribute")
        self._search.textChanged.connect(self._filter)
        self._before = QPushButton("&Before")
        self._before.setToolTip("Hold to see the picture without its edits (Space)")
        self._before.pressed.connect(lambda: self._controller.hold_before(True))
        self._before.released.connect(lambda: self._controller.hold_before(False))
        self._reset = QPushButton("&Reset all")
        self._reset.setToolTip("Put all sliders back to 0; one step of the history")
        self._reset.clicked.connect(lambda: self._controller.reset_edits())
        bar = QHBoxLayout()
        bar.addWidget(self._search, 1)
        bar.addWidget(self._before)
        bar.addWidget(self._reset)
        self._notice = QLabel()
        self._notice.setWordWrap(True)
        self._notice.hide()
        inner = QWidget()
        self._list = QVBoxLayout(inner)
        self._list.setContentsMargins(0, 0, 8, 0)
        self._list.setSpacing(4)
        self._list.setAlignment(Qt.AlignmentFlag.AlignTop)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(8, 8, 0, 8)
        layout.setSpacing(8)
        layout.addLayout(bar)
        layout.addWidget(self._notice)
        layout.addWidget(area, 1)
        bar.setContentsMargins(0, 0, 8, 0)
        return page

    # The rows.

    def row(self, name: str) -> AttributeRow:
        """Return the row of a direction; ``KeyError`` when there is none."""
        return self._rows[name]

    @property
    def names(self) -> list[str]:
        """The directions in the order of the rows."""
        return list(self._rows)

    def _rebuild(self, *_: object) -> None:
        """Show the directions of the current model."""
        while (item := self._list.takeAt(0)) is not None:
            if item.widget() is not None:
                item.widget().deleteLater()
        self._rows, self._headings = {}, []
        mark = "" if self._controller.model is None else self._controller.model.spec.fingerprint
        for title, directions in grouped(list(self._controller.directions.values())):
            heading = QLabel(readable(title))
            font = heading.font()
            font.setBold(True)
            heading.setFont(font)
            heading.setContentsMargins(0, 8, 0, 0)
            self._list.addWidget(heading)
            rows = [self._add_row(direction, mark) for direction in directions]
            self._headings.append((heading, rows))
        self._line_up()
        self._say_what_is_missing()
        self._filter(self._search.text())
        self._follow()

    def _add_row(self, direction: Direction, mark: str) -> AttributeRow:
        elsewhere = bool(direction.fingerprint) and direction.fingerprint != mark
        row = AttributeRow(direction, elsewhere)
        row.edited.connect(self._edit)
        row.gesture_ended.connect(self._end_gesture)
        row.reset_asked.connect(lambda name: self._controller.reset_edits([name]))
        row.menu_asked.connect(self._show_menu)
        self._rows[direction.name] = row
        self._list.addWidget(row)
        return row

    def _line_up(self) -> None:
        rows = list(self._rows.values())
        width = max((row.label.sizeHint().width() for row in rows), default=0)
        for row in rows:
            row.set_name_width(min(max(width, 72), 150))
        foreign = sum(row.fitted_elsewhere for row in rows)
        self._notice.setVisible(foreign > 0)
        self._notice.setText(
            f"⚠ {foreign} of {len(rows)} directions were fitted elsewhere, on other weights: "
            "their effects may differ here."
        )

    def _say_what_is_missing(self) -> None:
        model = self._controller.model
        if self._rows:
            self._stack.setCurrentIndex(0)
            return
        if model is None:
            self._empty.say("No model is open", "Choose a model in the library on the left.")
        else:
            self._empty.say(
                f"{model.spec.title or model.spec.id} has no attribute directions",
                "A direction is a way through the latent space that changes one attribute. This "
                "command in a terminal finds one from labelled images; `latentlab edit` with "
                f"--direction FILE moves images along it:\n\n{self.direction_command()}",
            )
        self._empty.set_button("" if model is None else "Copy the command")
        self._stack.setCurrentIndex(1)

    def direction_command(self) -> str:
        """Return the command that explains how to find directions of the current model."""
        entry = getattr(self._controller, "model_entry", None)
        model = entry.id if entry is not None else self._controller.model.spec.id
        return f"latentlab direction {model} --help"

    def _copy_command(self) -> None:
        QGuiApplication.clipboard().setText(self.direction_command())

    def _filter(self, text: str) -> None:
        """Show the rows whose name or heading holds the text."""
        wanted = text.strip().casefold().replace("_", " ")
        for heading, rows in self._headings:
            whole = wanted in heading.text().casefold()
            for row in rows:
                row.setVisible(whole or wanted in readable(row.name).casefold())
            heading.setVisible(any(not row.isHidden() for row in rows))

    # Between the rows and the document.

    def _follow(self, *_: object) -> None:
        """Show the document's values."""
        canvas = self._controller.document.canvas
        edits = {} if canvas is None else canvas.edits
        for name, row in self._rows.items():
            row.set_sigma(edits.get(name, 0.0))
            row.setEnabled(canvas is not None and canvas.space == row.direction.space)
        edited = any(edits.values())
        self._reset.setEnabled(edited)
        self._before.setEnabled(edited or self._before.isDown())

    def _edit(self, name: str, sigma: float) -> None:
        self._controller.set_edit(name, sigma, f"edit {name} {self._gesture}")

    def _end_gesture(self) -> None:
        self._gesture = next(self._gestures)
        self._controller.end_merge()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Show the image without its edits while Space is held on a slider."""
        if event.key() != Qt.Key.Key_Space:
            super().keyPressEvent(event)
        elif not event.isAutoRepeat():
            self._controller.hold_before(True)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Show the edits again."""
        if event.key() != Qt.Key.Key_Space:
            super().keyReleaseEvent(event)
        elif not event.isAutoRepeat():
            self._controller.hold_before(False)

    def _show_menu(self, name: str, position: QPoint) -> None:
        menu = self.menu_for(name)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(position)

    def menu_for(self, name: str) -> QMenu:
        """Return the menu of a row."""
        row = self._rows[name]
        menu = QMenu(self)
        reset = menu.addAction(f"&Reset {readable(name).lower()}")
        reset.setEnabled(row.sigma != 0)
        reset.triggered.connect(lambda: self._controller.reset_edits([name]))
        everything = menu.addAction("Reset &all")
        everything.setEnabled(self._reset.isEnabled())
        everything.triggered.connect(lambda: self._controller.reset_edits())
        menu.addSeparator()
        option = f"--set {name}={row.sigma:g}"
        menu.addAction(f"&Copy {option}").triggered.connect(
            lambda: QGuiApplication.clipboard().setText(option)
        )
        details = describe_direction(row.direction, row.fitted_elsewhere)
        menu.addAction("Copy &details").triggered.connect(
            lambda: QGuiApplication.clipboard().setText(details)
        )
        return menu
