"""What a person waits for when a long training run is opened: see ``services.bench.events``."""

from __future__ import annotations

import json

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from latentlab.core.paths import runs_folder
from latentlab.core.settings import Settings
from latentlab.services.bench.events import RUN
from latentlab.services.worker_client import WorkerClient, WorkerSettings
from latentlab.ui.app import build_window
from latentlab.ui.bench_runs_watcher import RunsWatcher
from latentlab.ui.relay import EventRelay

_GIVE_UP_MS = 240_000


def main() -> None:
    """Print the figures as one line of JSON; end with a sentence when there are none."""
    settings = Settings(hint_dismissed=True)
    application = QApplication([])
    relay = EventRelay()
    # The worker is never started: no model is open, and nothing but the run is looked at.
    window = build_window(settings, WorkerClient(relay, WorkerSettings()), relay)
    watcher = RunsWatcher(window, runs_folder() / RUN)
    watcher.ended.connect(application.quit)
    limit = QTimer()
    limit.setSingleShot(True)
    limit.timeout.connect(application.exit)
    limit.start(_GIVE_UP_MS)
    window.resize(1500, 900)
    window.show()
    watcher.start()
    application.exec()
    window.close()
    if not watcher.figures.get("complete_s"):
        raise SystemExit(watcher.problem or "the run was not read to its end in time")
    print(json.dumps(watcher.figures), flush=True)
