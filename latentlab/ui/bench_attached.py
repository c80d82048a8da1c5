"""A window that watches a run with the Train panel in front, until it is ended from outside.

Called with the run folder and a file to make once the first curve is shown. No Qt at the top: see
``latentlab.ui.bench_window``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from latentlab.core.settings import Settings
from latentlab.ui.app import build_window, start_worker


def main() -> None:
    """Show the window, and stay."""
    run_dir, shown = Path(sys.argv[1]), Path(sys.argv[2])
    settings = Settings(hint_dismissed=True)
    client, relay = start_worker(settings)
    try:
        from PySide6.QtCore import QTimer
        from PySide6.QtWidgets import QApplication

        application = QApplication([])
        window = build_window(settings, client, relay)

        def look() -> None:
            curves = window.controller.runs.curves(run_dir)
            if curves is not None and len(curves.steps) > 2:
                shown.touch()
                timer.stop()

        def open_panel() -> None:
            window.hosts["train"].parentWidget().raise_()
            window.hosts["train"].panel.open(run_dir)
            timer.start(200)

        timer = QTimer()
        timer.timeout.connect(look)
        window.show()
        window.start()
        # The panel is made when it is first seen; the rest of the window starts meanwhile.
        window.layout_keeper.show_workspace("train")
        QTimer.singleShot(3000, open_panel)
        application.exec()
    finally:
        client.stop()
