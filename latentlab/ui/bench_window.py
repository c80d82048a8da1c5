"""What a person waits for: the window, the first image, and the image of a moved slider.

No Qt at the top: the worker starts before Qt is imported, as it does in the program.
"""

from __future__ import annotations

import json
import os
import time

from latentlab.core.settings import Settings
from latentlab.ui.app import build_window, start_worker

BORN = "LATENTLAB_BENCH_BORN"
"""Variable of the environment: ``time.time()`` when this process was asked for."""

_GIVE_UP_MS = 120_000


def main() -> None:
    """Print the figures as one line of JSON; end with a sentence when there are none."""
    born = float(os.environ.get(BORN) or time.time())
    settings = Settings(hint_dismissed=True)
    client, relay = start_worker(settings)
    try:
        from PySide6.QtCore import QTimer
        from PySide6.QtWidgets import QApplication

        from latentlab.ui.bench_watcher import MOVES, Watcher

        application = QApplication([])
        window = build_window(settings, client, relay)
        watcher = Watcher(window, born)
        limit = QTimer()
        limit.setSingleShot(True)
        limit.timeout.connect(application.exit)
        limit.start(_GIVE_UP_MS)
        window.show()
        window.start()
        application.exec()
    finally:
        client.stop()
    if len(watcher.totals) < MOVES:
        raise SystemExit(watcher.problem or "the window did not come to its end in time")
    print(json.dumps(watcher.report()), flush=True)
