"""Starting the program. The worker's process starts before Qt is imported: both load at once."""

from __future__ import annotations

import gc
import logging
import signal
import sys
from typing import TYPE_CHECKING, Any

from latentlab.core.errors import LatentLabError
from latentlab.core.settings import Settings, load_settings
from latentlab.services.device import qt_problem
from latentlab.services.worker_client import WorkerClient, WorkerSettings
from latentlab.ui.relay import EventRelay

if TYPE_CHECKING:
    from latentlab.ui.main_window import MainWindow


def start_worker(settings: Settings) -> tuple[WorkerClient, EventRelay]:
    """Start the worker; its events wait in the relay."""
    relay = EventRelay()
    client = WorkerClient(relay, WorkerSettings.from_settings(settings))
    client.start()
    return client, relay


def build_window(
    settings: Settings, client: WorkerClient, relay: EventRelay, **options: Any
) -> MainWindow:
    """Return the window over a worker; the ``QApplication`` is there already."""
    from PySide6.QtWidgets import QApplication

    from latentlab.services.library import ModelLibrary
    from latentlab.ui.bridge import Bridge
    from latentlab.ui.controller import Controller
    from latentlab.ui.main_window import MainWindow, place_on_screen
    from latentlab.ui.theme import ThemeKeeper

    application = QApplication.instance()
    theme = ThemeKeeper(application, settings.theme)
    bridge = Bridge(client, relay)
    library = ModelLibrary(settings.model_folders(), run_roots=settings.run_roots())
    controller = Controller(bridge, settings, library)
    window = MainWindow(controller, bridge, theme, **options)
    # They live as long as the window that shows them.
    for part in (theme, bridge, controller):
        part.setParent(window)
    place_on_screen(window)
    return window


def run_app(what: str | None = None) -> int:
    """Open the window and return when it is closed.

    Args:
        what: model id, or a file, to open.

    Raises:
        LatentLabError: Qt cannot be used here.
    """
    problem = qt_problem()
    if problem:
        raise LatentLabError(problem)
    settings, damaged = load_settings()
    client, relay = start_worker(settings)
    try:
        return _run(settings, damaged, client, relay, what)
    finally:
        client.stop()


def _run(
    settings: Settings,
    damaged: str | None,
    client: WorkerClient,
    relay: EventRelay,
    what: str | None,
) -> int:
    from PySide6.QtWidgets import QApplication

    application = QApplication.instance() or QApplication(sys.argv[:1])
    application.setApplicationName("LatentLab")
    application.setApplicationDisplayName("LatentLab")
    window = build_window(settings, client, relay)
    window.show()
    window.start(what)
    if damaged:
        window.controller.message.emit(damaged, "")
    # Ctrl+C in the terminal ends the program as closing the window does; Python sees the signal
    # when the memory timer of the status bar next runs its code.
    signal.signal(signal.SIGINT, lambda *_: window.close())
    # What lives as long as the window is not looked through by the garbage collector again.
    gc.collect()
    gc.freeze()
    return int(application.exec())


def main() -> int:
    """Start the window from a script; print one sentence when that cannot be."""
    logging.basicConfig(level=logging.WARNING)
    what = sys.argv[1] if len(sys.argv) > 1 else None
    try:
        return run_app(what)
    except LatentLabError as error:
        print(f"latentlab: {error.message}", file=sys.stderr)
        return 2
