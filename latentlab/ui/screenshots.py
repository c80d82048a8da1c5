"""Grab the window and its panels: ``python -m latentlab.ui.screenshots OUT_DIR [MODEL]``.

Light and dark, at 1100x700, 1280x800 and 1920x1080, with the bundled models. A person looks at the
files before a change of the window is called done.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

SIZES = ((1100, 700), (1280, 800), (1920, 1080))
_GIVE_UP_MS = 60_000


def _wait(until: Callable[[], bool]) -> None:
    """Run the event loop until something holds.

    Raises:
        TimeoutError: it did not within a minute.
    """
    from PySide6.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    poll, limit = QTimer(), QTimer()
    poll.timeout.connect(lambda: loop.quit() if until() else None)
    poll.start(20)
    limit.setSingleShot(True)
    limit.timeout.connect(loop.quit)
    limit.start(_GIVE_UP_MS)
    loop.exec()
    if not until():
        raise TimeoutError("the window did not get its images")


def _settle() -> None:
    """Let delayed work, such as the layout, happen."""
    from PySide6.QtCore import QElapsedTimer

    timer = QElapsedTimer()
    timer.start()
    _wait(lambda: timer.elapsed() > 300)


def _grab(window, out: Path) -> list[Path]:
    """Write the window and its parts in both themes and all sizes; return the files."""
    written = []
    for theme in ("light", "dark"):
        window.theme.choose(theme)
        for width, height in SIZES:
            window.resize(width, height)
            window.layout_keeper.reset()
            _settle()
            name = f"{theme}-{width}x{height}"
            parts = {"window": window, "canvas": window.canvas, "tray": window.tray}
            parts |= {"library": window.library_panel, "history": window.history_panel}
            parts |= dict(window.hosts)
            for part, widget in parts.items():
                if part in window.hosts and widget.panel is not None:
                    widget.parentWidget().raise_()
                path = out / f"{part}-{name}.png"
                widget.grab().save(str(path))
                written.append(path)
            written += _grab_runs(window, out, name)
    return written


def _grab_runs(window, out: Path, name: str) -> list[Path]:
    """Write the workspace of training with each page of a run, one laid over it."""
    window.layout_keeper.show_workspace("train")
    panel = window.hosts["train"].panel
    panel.list.model.set_overlaid([run.path for run in panel.list.model.runs[1:]])
    written = []
    for place in range(panel.view.tabs.count()):
        panel.view.tabs.setCurrentIndex(place)
        _settle()
        written.append(out / f"train-workspace-{place + 1}-{name}.png")
        window.grab().save(str(written[-1]))
    panel.view.tabs.setCurrentIndex(0)
    panel.list.model.set_overlaid([])
    return written


def _grab_workspace(window, out: Path, pictures) -> list[Path]:
    """Write a workspace in both themes and all sizes, if a model of the library can.

    Args:
        window: the window.
        out: folder of the files.
        pictures: module with ``prepare`` and ``grab``.
    """
    if not pictures.prepare(window, _wait):
        return []
    written = []
    for theme in ("light", "dark"):
        window.theme.choose(theme)
        for width, height in SIZES:
            window.resize(width, height)
            name = f"{theme}-{width}x{height}"
            written += pictures.grab(window, out, name, _settle)
    return written


def main() -> int:
    """Grab everything into the folder that the command line names."""
    parser = argparse.ArgumentParser(description="Grab the window in both themes and all sizes.")
    parser.add_argument("out", type=Path, nargs="?", default=Path("screenshots"))
    parser.add_argument("model", nargs="?", help="id or file; the first bundled model if none")
    asked = parser.parse_args()
    out, model = asked.out, asked.model
    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory() as home:
        # The person's own settings and files stay out of the pictures.
        os.environ["LATENTLAB_HOME"] = home
        from PySide6.QtWidgets import QApplication

        from latentlab.core.paths import runs_folder
        from latentlab.core.settings import Settings
        from latentlab.ui import screenshots_denoise, screenshots_likelihood, screenshots_switch
        from latentlab.ui.app import build_window, start_worker
        from latentlab.ui.screenshots_runs import write_runs

        write_runs(runs_folder())
        settings = Settings()
        client, relay = start_worker(settings)
        application = QApplication(sys.argv[:1])
        application.setApplicationName("LatentLab")
        window = build_window(settings, client, relay, ask_unsaved=lambda _window: True)
        try:
            window.show()
            window.start(model)
            _wait(lambda: window.controller.last_images is not None)
            for row in (2, 5, 11):
                window.controller.keep(row)
            names = list(window.controller.directions)[:2]
            for name in names:
                window.controller.set_edit(name, 1.5)
            _wait(lambda: window.controller.rendered_picture == window.controller.document.canvas)
            _wait(lambda: len(window.controller.runs.runs()) == 3)
            written = _grab(window, out)
            for pictures in (screenshots_denoise, screenshots_switch, screenshots_likelihood):
                written += _grab_workspace(window, out, pictures)
            for path in written:
                print(path)
        finally:
            window.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
