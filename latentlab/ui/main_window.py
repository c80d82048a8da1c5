"""The window: it lays out and connects."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QAction, QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent
from PySide6.QtWidgets import QApplication, QMainWindow, QMenu, QToolBar, QVBoxLayout, QWidget

from latentlab.core.errors import LatentLabError
from latentlab.core.registry import plugins
from latentlab.core.settings import save_settings
from latentlab.services.worker_protocol import WorkerDied, WorkerReady, WorkerSettings
from latentlab.ui import dialogs
from latentlab.ui.actions import ACTIONS, ActionRow, ActionSet
from latentlab.ui.bridge import Bridge
from latentlab.ui.controller import Controller
from latentlab.ui.controller_files import MODEL_SUFFIX, SESSION_SUFFIX
from latentlab.ui.help import TOPIC
from latentlab.ui.icons import application_icon, icon
from latentlab.ui.keeper import SessionKeeper
from latentlab.ui.layout_keeper import LayoutKeeper
from latentlab.ui.panel_host import PanelHost
from latentlab.ui.panels.canvas import CanvasPanel
from latentlab.ui.panels.history import HistoryPanel
from latentlab.ui.panels.library import LibraryPanel
from latentlab.ui.panels.tray import TrayPanel
from latentlab.ui.status_bar import StatusBar
from latentlab.ui.theme import ThemeKeeper
from latentlab.ui.top_bar import TopBar
from latentlab.ui.widgets.command_palette import CommandPalette
from latentlab.ui.widgets.hint import HintBar
from latentlab.ui.widgets.image_mime import dropped_files, has_picture
from latentlab.ui.widgets.live_bar import LiveBar
from latentlab.ui.widgets.notice_bar import NoticeBar

SMALLEST = QSize(960, 600)
USUAL = QSize(1280, 800)
_MENUS = ("&File", "&Edit", "&Model", "&View", "&Train", "&Help")


class MainWindow(QMainWindow):
    """Library, history, canvas, panels, tray and status.

    Args:
        controller: the view-model.
        bridge: to the worker; the window stops it when it closes.
        theme: of the application.
        ask_unsaved: asks what to do with unsaved work; returns whether to go on.
    """

    def __init__(
        self,
        controller: Controller,
        bridge: Bridge,
        theme: ThemeKeeper,
        ask_unsaved: Callable[[Any], bool] = dialogs.ask_unsaved,
    ) -> None:
        super().__init__()
        self.controller = controller
        self.bridge = bridge
        self.theme = theme
        self._ask_unsaved = ask_unsaved
        controller.confirm_loss = lambda: self._ask_unsaved(self)
        self.setWindowIcon(application_icon())
        self.setAcceptDrops(True)
        self.setMinimumSize(SMALLEST)
        self.resize(USUAL)
        self.setAnimated(controller.settings.animation)
        self.setProperty(TOPIC, "window")
        self._build_centre()
        self._build_docks()
        self.status = StatusBar(controller, bridge, self)
        self.setStatusBar(self.status)
        self.top_bar = TopBar(self)
        self._build_menus()
        self.palette_popup = CommandPalette(self)
        self.keeper = SessionKeeper(controller, parent=self)
        self._connect()
        self._recolour()
        self._follow()

    # Building.

    def _build_centre(self) -> None:
        controller = self.controller
        self.notice = NoticeBar("warning")
        self.offer = NoticeBar("info")
        self.hint = HintBar(controller)
        self.hint.setVisible(not controller.settings.hint_dismissed)
        self.canvas = CanvasPanel(controller)
        self.canvas.setProperty(TOPIC, "canvas")
        centre = QWidget()
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self.live = LiveBar(controller)
        for bar in (self.offer, self.notice, self.hint, self.live):
            layout.addWidget(bar)
        layout.addWidget(self.canvas, 1)
        self.setCentralWidget(centre)

    def _build_docks(self) -> None:
        self.layout_keeper = LayoutKeeper(self)
        self.library_panel = LibraryPanel(self.controller)
        self.history_panel = HistoryPanel(self.controller)
        self.layout_keeper.add("library", "Library", self.library_panel, left=True)
        self.layout_keeper.add("history", "History", self.history_panel, left=True)
        self.tray = TrayPanel(self.controller)
        self.tray.setProperty(TOPIC, "tray")
        self.layout_keeper.add_tray(self.tray)
        self.hosts: dict[str, PanelHost] = {}
        self.controller.panel_asked.connect(self._bring)
        for plugin in plugins("latentlab.panels"):
            host = PanelHost(plugin, self.controller)
            self.hosts[plugin.row.id] = host
            host.follow_dock(
                self.layout_keeper.add(plugin.row.id, plugin.row.title, host, left=False)
            )
        self.hosts["attributes"].made.connect(self._connect_sliders)
        self.layout_keeper.reset()

    def _connect_sliders(self, sliders: Any) -> None:
        """Let sliders ask for new ones."""

        def refit(name: str) -> None:
            self._bring("directions")
            maker: Any = self.hosts["directions"].panel
            if maker is not None:
                maker.refit(name)

        sliders.direction_asked.connect(refit)
        sliders.making_asked.connect(lambda: self._bring("directions"))

    def _bring(self, panel: str) -> None:
        """Bring a panel to the front, made if it was not."""
        host = self.hosts.get(panel)
        if host is not None and host.panel is not None:
            dock = host.parentWidget()
            dock.show()
            dock.raise_()

    def _build_menus(self) -> None:
        self.actions_table = ActionSet(self)
        menus: dict[str, QMenu] = {}
        for title in _MENUS:
            menus[title] = self.menuBar().addMenu(title)
            menus[title].aboutToShow.connect(self.actions_table.refresh)
        for row in ACTIONS:
            menu = self._menu(row.menu, menus)
            if row.separator:
                menu.addSeparator()
            menu.addAction(self.actions_table.actions[row.id])
            if row.id == "open":
                self._recent = menu.addMenu("Open &recent")
                self._recent.aboutToShow.connect(self._fill_recent)
        self._add_panel_actions(menus["&View"])
        if sys.platform == "darwin":
            # The menu bar of macOS is not in the window.
            bar = QToolBar("Model, device and seed", self)
            bar.setObjectName("top-bar")
            bar.setMovable(False)
            bar.addWidget(self.top_bar)
            self.addToolBar(bar)
        else:
            self.menuBar().setCornerWidget(self.top_bar, Qt.Corner.TopRightCorner)

    def _menu(self, name: str, menus: dict[str, QMenu]) -> QMenu:
        if name not in menus:
            parent, _, title = name.partition("/")
            menus[name] = menus[parent].addMenu(title)
            menus[name].aboutToShow.connect(self.actions_table.refresh)
        return menus[name]

    def _add_panel_actions(self, view: QMenu) -> None:
        """Switches for the docks, and a number key for each panel on the right."""
        first = view.actions()[0]
        for dock in self.layout_keeper.left:
            view.insertAction(first, dock.toggleViewAction())
        for number, dock in enumerate(self.layout_keeper.right, start=1):
            row = ActionRow(
                dock.objectName(),
                dock.windowTitle().replace("&", "&&"),
                "&View",
                "latentlab.ui.view_actions:show_panel",
                (str(number),) if number <= 9 else (),
                self.hosts[dock.objectName().removeprefix("dock-")].plugin.row.icon,
                tip=f"Show the panel {dock.windowTitle()}",
                argument=str(number - 1),
            )
            view.insertAction(first, self.actions_table.add(row))
        view.insertSeparator(first)

    def _connect(self) -> None:
        controller = self.controller
        self.canvas.open_requested.connect(lambda: dialogs.choose_and_open(self))
        self.hint.dismissed.connect(lambda: self.show_hint(False))
        controller.failed.connect(self._show_failure)
        for signal in (controller.document_changed, controller.model_changed):
            signal.connect(self._follow)
        controller.job_changed.connect(self.actions_table.refresh)
        controller.model_reloaded.connect(self._paint_again)
        self.bridge.worker_changed.connect(self._worker_changed)
        self.bridge.restarted.connect(controller.worker_restarted)
        self.theme.changed.connect(self._recolour)

    # Following.

    def _follow(self, *_: object) -> None:
        self.actions_table.refresh()
        path = self.controller.session_path
        name = path.stem if path else "Untitled"
        self.setWindowModified(self.controller.dirty)
        self.setWindowTitle(f"{name}[*] – LatentLab")

    def _recolour(self) -> None:
        self.actions_table.recolour(lambda name: icon(name, self.palette()))
        for part in (self.top_bar, self.notice, self.offer, self.hint, self.live, self.status.jobs):
            part.recolour()

    def _paint_again(self, *_: object) -> None:
        """Let every image that is in sight ask for itself with other weights."""
        for widget in self.findChildren(QWidget):
            if widget.isVisible():
                widget.update()

    def _show_failure(self, sentence: str, details: str) -> None:
        self.notice.say(sentence, details)

    def _worker_changed(self, event: object) -> None:
        if isinstance(event, WorkerDied):
            start = ("&Start again", lambda: self.bridge.restart())
            self.notice.say(event.failure.message, event.failure.details, (start,))
        elif isinstance(event, WorkerReady) and event.failure is not None:
            self.notice.say(event.failure.message, event.failure.details)

    # What actions and choosers ask for.

    def open_path(self, path: Path) -> None:
        """Open a file, whatever it is."""
        self.notice.hide()
        self.controller.open_file(path)

    def _fill_recent(self) -> None:
        self._recent.clear()
        names = [n for n in self.controller.settings.recent_files if Path(n).is_file()]
        for name in names:
            action = self._recent.addAction(Path(name).name.replace("&", "&&"))
            action.setToolTip(name)
            action.triggered.connect(lambda _=False, name=name: self.open_path(Path(name)))
        if not names:
            self._recent.addAction("Nothing yet").setEnabled(False)

    def add_library_folder(self, folder: Path) -> None:
        """Show the models of one more folder."""
        settings = self.controller.settings
        if str(folder) not in settings.library_folders:
            settings.library_folders = (*settings.library_folders, str(folder))
            self.controller.library.folders.append(folder)
            self.controller.library_changed.emit()
            # The worker looks for models in the folders that it was started with.
            self.bridge.restart(WorkerSettings.from_settings(settings))

    def choose_device(self, device: str) -> None:
        """Run the networks elsewhere."""
        settings = self.controller.settings
        if device != settings.device:
            settings.device = device
            self.status.device.setText("starting…")
            self.bridge.restart(WorkerSettings.from_settings(settings))

    def palette_entries(self) -> list[tuple[str, QAction]]:
        """Return what the action palette offers."""
        entries = []
        for name, action in self.actions_table.actions.items():
            row = self.actions_table.rows[name]
            place = row.menu.replace("&", "").replace("/", " > ")
            entries.append((f"{place}: {row.name}" if row.id != "find" else "", action))
        return [entry for entry in entries if entry[0]]

    def hint_visible(self) -> bool:
        """Whether the first steps are shown."""
        return not self.hint.isHidden()

    def show_hint(self, shown: bool) -> None:
        """Show the first steps, or put them away for good."""
        self.hint.setVisible(shown)
        self.controller.settings.hint_dismissed = not shown
        self.actions_table.refresh()

    # Starting and ending.

    def start(self, what: str | None = None) -> None:
        """Open what was asked for, or the first model; offer what a crash left."""
        QTimer.singleShot(0, self, lambda: self._start(what))

    def _start(self, what: str | None) -> None:
        is_file = what is not None and Path(what).is_file()
        if what and not is_file:
            self.controller.open_model(what)
        elif what and Path(what).suffix in (MODEL_SUFFIX, SESSION_SUFFIX):
            self.controller.open_file(what)
        if self.controller.document.canvas is None:
            self.controller.open_first()
        if what and is_file and Path(what).suffix not in (MODEL_SUFFIX, SESSION_SUFFIX):
            # A photograph or latents need a model.
            self.controller.open_file(what)
        left = self.keeper.found()
        if left is not None:
            buttons = (
                ("&Restore", lambda: self.keeper.restore(left)),
                ("Dis&card", left.discard),
            )
            self.offer.say("LatentLab ended without saving your last session.", "", buttons)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask about unsaved work; keep the layout; stop the worker."""
        if self.controller.dirty and not self._ask_unsaved(self):
            event.ignore()
            return
        self.keeper.close()
        self.layout_keeper.save(self.controller.settings)
        try:
            save_settings(self.controller.settings)
        except LatentLabError as error:
            print(f"latentlab: {error.message}", file=sys.stderr)
        self.controller.end_runs()
        self.bridge.stop()
        super().closeEvent(event)

    # Keys and drops that no panel took.

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Hold Space anywhere to see the image without its edits."""
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
            self.controller.hold_before(True)
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Show the edits again."""
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
            self.controller.hold_before(False)
        else:
            super().keyReleaseEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and pictures anywhere."""
        data = event.mimeData()
        if dropped_files(data) or data.hasImage() or has_picture(data):
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped, as the canvas does."""
        self.notice.hide()
        event.setDropAction(Qt.DropAction.CopyAction)
        event.setAccepted(self.canvas.take(event.mimeData()))

    def changeEvent(self, event: QEvent) -> None:
        """Let go of what a key held when another window comes in front; look anew coming back."""
        if event.type() == QEvent.Type.ActivationChange:
            if self.isActiveWindow():
                # A run may have been finished in a terminal meanwhile.
                self.library_panel.refresh()
            else:
                self.controller.hold_before(False)
        super().changeEvent(event)


def place_on_screen(window: MainWindow) -> None:
    """Give a new window its usual size, or what the screen has room for."""
    if window.layout_keeper.restore(window.controller.settings):
        return
    screen = QApplication.primaryScreen()
    if screen is not None:
        room = screen.availableGeometry().size()
        window.resize(USUAL.boundedTo(room))
