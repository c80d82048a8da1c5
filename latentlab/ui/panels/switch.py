"""The switch panel: parts of some pictures put into others, as a matrix of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QPoint, QSize, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QMenu,
    QStackedLayout,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.requests import Failure
from latentlab.ui.controller_files import IMAGE_FILTER, IMAGE_SUFFIXES
from latentlab.ui.icons import icon
from latentlab.ui.switch_blend import SwitchBlend
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.image_mime import dropped_files, has_picture
from latentlab.ui.widgets.notice_bar import NoticeBar
from latentlab.ui.widgets.switch_blend_page import BlendPage
from latentlab.ui.widgets.switch_empty import SwitchEmpty
from latentlab.ui.widgets.switch_export import SwitchExport
from latentlab.ui.widgets.switch_page import SwitchPage
from latentlab.ui.widgets.switch_roles import RolesBar


class SwitchPanel(QWidget):
    """Sources and roles above, the matrix or a blend of two below.

    Args:
        controller: of the window.
    """

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Switch")
        self.setAcceptDrops(True)
        self._controller = controller
        self.model = controller.switch
        self.blend = SwitchBlend(self.model, self)
        self.add = self._button("add", "&Add", "Add a picture as a row and a column")
        self.roles = RolesBar()
        self.swap = self._button("swap", "S&wap", "Let rows and columns change sides")
        self.more = self._button("export", "E&xport", "Write the matrix as a PNG, or as a command")
        self.notice = NoticeBar()
        self.page = SwitchPage(controller, self.model)
        self.blend_page = BlendPage(controller, self.blend)
        self.empty = SwitchEmpty(self.model)
        self.tabs = QTabWidget()
        self.export = SwitchExport(controller, self.blend, self)
        self._lay_out()
        self._connect()
        self._follow()

    def _button(self, name: str, text: str, tip: str) -> QToolButton:
        button = QToolButton(text=text)
        button.setObjectName(name)
        button.setAutoRaise(True)
        button.setToolTip(tip)
        button.setAccessibleDescription(tip)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        return button

    def _lay_out(self) -> None:
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setAccessibleName("Matrix or blend")
        self.tabs.addTab(self.page, "Mat&rix")
        self.tabs.addTab(self.blend_page, "&Blend")
        bar = QWidget()
        flow = FlowLayout(bar, spacing=6)
        flow.setContentsMargins(8, 4, 8, 0)
        for widget in (self.add, self.swap, self.more, self.roles):
            flow.addWidget(widget)
        content = QWidget()
        self._content = QStackedLayout(content)
        self._content.addWidget(self.empty)
        self._content.addWidget(self.tabs)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(bar)
        layout.addWidget(self.notice)
        layout.addWidget(content, 1)
        self._recolour()

    def _connect(self) -> None:
        model = self.model
        self.add.clicked.connect(self._open_add)
        self.roles.turned.connect(model.turn)
        self.swap.clicked.connect(model.swap)
        self.more.clicked.connect(self.show_export)
        model.changed.connect(self._follow)
        model.progress_changed.connect(self._follow_failure)
        model.failed.connect(self._say)
        model.blend_asked.connect(self._blend)
        self._controller.picture_used.connect(self._use)

    # Following.

    def _follow(self) -> None:
        model = self.model
        self.roles.set_space(model.space)
        self.roles.set_rows(model.rows)
        some = model.count > 0
        self._content.setCurrentWidget(self.tabs if some else self.empty)
        self.more.setEnabled(some)
        self.empty.follow()
        self._follow_failure()

    def _follow_failure(self) -> None:
        failure = self.model.failure
        if failure is not None:
            again = ("Try a&gain", self.model.try_again)
            self.notice.say(failure.message, failure.details, (again,))
        elif self.notice.property("of_matrix"):
            self.notice.hide()
        self.notice.setProperty("of_matrix", failure is not None)

    def _say(self, failure: Failure) -> None:
        self.notice.say(failure.message, failure.details)

    # Adding.

    def add_menu(self) -> QMenu:
        """Return the menu of all places that pictures can come from."""
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        model, controller = self.model, self._controller
        spec = model.spec
        samples = spec is not None and "sample" in spec.capabilities
        tray = bool(controller.document.tray)
        rows: list[tuple[str, str, Any, bool]] = [
            ("A &sample", "A new seed", lambda: model.add_samples(1), samples),
            ("&Four samples", "New seeds", lambda: model.add_samples(4), samples),
            ("The &canvas's picture", "Or the selected one of its grid", model.add_canvas, True),
            ("From the &tray", "Those selected there, or all", model.add_tray, tray),
            ("&Photographs…", "JPEG or PNG files", self.choose_photos, model.takes_photos),
            ("&Paste", "The picture on the clipboard (Ctrl+V here)", model.paste, True),
        ]
        if model.of_portraits:
            tip = "Drawn anew each time; no model saw it"
            one = ("A sample p&ortrait", tip, lambda: model.add_portraits(1), model.takes_photos)
            rows.append(one)
        for text, tip, act, able in rows:
            action = menu.addAction(text)
            action.setToolTip(tip)
            action.setEnabled(able)
            action.triggered.connect(lambda _=False, act=act: act())
        menu.addSeparator()
        clear = menu.addAction("Remove a&ll")
        clear.setEnabled(model.count > 0)
        clear.triggered.connect(model.clear)
        return menu

    def _open_add(self) -> None:
        menu = self.add_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.add.mapToGlobal(QPoint(0, self.add.height())))

    def choose_photos(self) -> None:
        """Ask for photographs."""
        paths, _ = QFileDialog.getOpenFileNames(self, "Open photographs", "", IMAGE_FILTER)
        for path in paths:
            self.model.add_photo(Path(path))

    def show_export(self) -> None:
        """Open the form that writes the matrix."""
        mix = self.tabs.currentWidget() is self.blend_page
        self.export.show_under(self.more, mix=mix)

    def _blend(self, first: int, second: int) -> None:
        self.blend.choose(first, second)
        self.tabs.setCurrentWidget(self.blend_page)

    def _use(self, panel: str, slot: str, picture: Any) -> None:
        if panel == "switch":
            self.tabs.setCurrentWidget(self.page)
            self.model.use(slot, picture)

    # In sight or not.

    def showEvent(self, event) -> None:
        """Images are made in sight."""
        super().showEvent(event)
        self.model.set_watched(True)

    def hideEvent(self, event) -> None:
        """Nothing is made out of sight."""
        self.model.set_watched(False)
        super().hideEvent(event)

    # Drops.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take pictures of ours, photographs and images anywhere in the panel."""
        data = event.mimeData()
        files = [path.suffix.lower() for path in dropped_files(data)]
        if has_picture(data) or data.hasImage() or set(files) & set(IMAGE_SUFFIXES):
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()

    def dropEvent(self, event: QDropEvent) -> None:
        """Add what was dropped."""
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        self.model.take(event.mimeData())

    # Looks.

    def _recolour(self) -> None:
        pairs = ((self.add, "plus"), (self.swap, "switch-swap"), (self.more, "export"))
        for button, name in pairs:
            button.setIcon(icon(name, self.palette()))
            button.setIconSize(QSize(14, 14))
        self.notice.recolour()

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other icons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "export"):
            self._recolour()
