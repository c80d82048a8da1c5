"""The tools of a map: what a drag does, what is drawn, and the menu."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QMenu, QToolButton, QWidget

from latentlab.ui.icons import icon
from latentlab.ui.widgets.flow_layout import FlowLayout

_TOOLS = (
    ("pan", "Pan", "Drag moves the map, a click puts a picture onto the canvas"),
    ("lasso", "Lasso", "Draw around points to select them; Shift adds, Alt removes"),
    ("rectangle", "Rectangle", "Drag a rectangle to select points; Shift adds, Alt removes"),
    (
        "steer",
        "Steer",
        "Drag through the plane: the canvas follows live, and keeps what lies outside of it",
    ),
)
_LAYERS = (
    ("density", "Density", "Show where points are dense"),
    ("points", "Points", "Show the points"),
    ("tiles", "Pictures", "Decode the plane itself: pictures that are refined as you zoom"),
)
_ICON = QSize(20, 20)


class MapTools(QWidget):
    """Buttons; the panel does what they say.

    Signals:
        tool_chosen: ``pan``, ``lasso``, ``rectangle`` or ``steer``.
        layer_toggled: ``density``, ``points`` or ``tiles``, and whether it is drawn.
        fit_asked: show everything.
    """

    tool_chosen = Signal(str)
    layer_toggled = Signal(str, bool)
    fit_asked = Signal()

    def __init__(self, menu: QMenu, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Tools of the map")
        self._icons: list[tuple[QToolButton, str]] = []
        self._group = QButtonGroup(self)
        self.tools = {name: self._button(name, title, tip) for name, title, tip in _TOOLS}
        for name, button in self.tools.items():
            button.setCheckable(True)
            self._group.addButton(button)
            button.clicked.connect(lambda _=False, name=name: self.tool_chosen.emit(name))
        self.tools["pan"].setChecked(True)
        self.layers = {name: self._button(name, title, tip) for name, title, tip in _LAYERS}
        for name, button in self.layers.items():
            button.setCheckable(True)
            button.setChecked(name == "points")
            button.toggled.connect(lambda on, name=name: self.layer_toggled.emit(name, on))
        self.fit = self._button("fit", "Fit", "Show everything (Home)")
        self.fit.clicked.connect(lambda: self.fit_asked.emit())
        self.more = self._button("more", "More", "Copy, save, show all", icon_name="more")
        self.more.setMenu(menu)
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.more.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        flow = FlowLayout(self, spacing=8)
        flow.setContentsMargins(8, 4, 8, 4)
        for buttons in (self.tools.values(), self.layers.values(), (self.fit, self.more)):
            flow.addWidget(self._together(*buttons))
        self.recolour()

    def _button(self, name: str, title: str, tip: str, icon_name: str = "") -> QToolButton:
        button = QToolButton()
        button.setAutoRaise(True)
        button.setIconSize(_ICON)
        button.setAccessibleName(title)
        button.setToolTip(f"{title}: {tip[:1].lower()}{tip[1:]}")
        self._icons.append((button, icon_name or f"map-{name}"))
        return button

    def _together(self, *buttons: QToolButton) -> QWidget:
        box = QWidget()
        layout = QHBoxLayout(box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for button in buttons:
            layout.addWidget(button)
        return box

    def choose(self, tool: str) -> None:
        """Choose a tool, as a click does."""
        self.tools[tool].setChecked(True)
        self.tool_chosen.emit(tool)

    def set_plane(self, plane: bool, why_not: str) -> None:
        """Enable what needs a plane; otherwise its tip says why it cannot be used."""
        needing = (("steer", self.tools["steer"]), ("tiles", self.layers["tiles"]))
        tips = {
            name: f"{title}: {tip[:1].lower()}{tip[1:]}" for name, title, tip in (*_TOOLS, *_LAYERS)
        }
        for name, button in needing:
            button.setEnabled(plane)
            button.setToolTip(tips[name] if plane else why_not)
        if not plane and self.tools["steer"].isChecked():
            self.choose("pan")

    def recolour(self) -> None:
        """Draw the icons in the palette's colours."""
        for button, name in self._icons:
            button.setIcon(icon(name, self.palette()))

    def changeEvent(self, event: QEvent) -> None:
        """Follow the palette."""
        if event.type() == QEvent.Type.PaletteChange:
            self.recolour()
        super().changeEvent(event)
