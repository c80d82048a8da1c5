"""Moves the mouse over a map while a t-SNE runs, and watches the card under the cursor.

No Qt at the top: the worker starts before Qt is imported, as it does in the program.
"""

from __future__ import annotations

import json

from latentlab.core.settings import Settings
from latentlab.ui.app import build_window, start_worker

_GIVE_UP_MS = 240_000


def main() -> None:
    """Print the figures as one line of JSON; end with a sentence when there are none."""
    settings = Settings(hint_dismissed=True)
    client, relay = start_worker(settings)
    try:
        from PySide6.QtCore import QTimer
        from PySide6.QtWidgets import QApplication

        from latentlab.ui.bench_hover_watcher import HoverWatcher

        application = QApplication([])
        window = build_window(settings, client, relay)
        watcher = HoverWatcher(window)
        limit = QTimer()
        limit.setSingleShot(True)
        limit.timeout.connect(application.exit)
        limit.start(_GIVE_UP_MS)
        window.resize(1280, 800)
        window.show()
        window.start()
        application.exec()
    finally:
        client.stop()
    if not watcher.complete:
        raise SystemExit(watcher.problem or "the window did not come to its end in time")
    print(json.dumps(watcher.report()), flush=True)
