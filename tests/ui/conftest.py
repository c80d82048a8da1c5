"""Every test of the window: no screen, a home of its own, and a check that nothing is left over."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("LATENTLAB_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def _nothing_left(request: pytest.FixtureRequest):
    """No thread, no running timer and no top-level widget outlives its test."""
    if "qtbot" not in request.fixturenames and "app_window" not in request.fixturenames:
        yield
        return
    from PySide6.QtCore import QCoreApplication, QEvent, QTimer
    from PySide6.QtWidgets import QApplication

    request.getfixturevalue("qapp")
    threads = set(threading.enumerate())
    widgets = set(QApplication.topLevelWidgets())
    yield
    limit = time.monotonic() + 5
    while set(threading.enumerate()) - threads and time.monotonic() < limit:
        time.sleep(0.01)
    # What Python put there must not outlive Python: Qt deletes it when the process ends.
    QApplication.clipboard().clear()
    gc.collect()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    left = set(threading.enumerate()) - threads
    assert not left, f"threads outlive the test: {left}"
    new = [w for w in QApplication.topLevelWidgets() if w not in widgets]
    assert not [w for w in new if w.isVisible()], f"windows outlive the test: {new}"
    timers = [timer for widget in new for timer in widget.findChildren(QTimer) if timer.isActive()]
    assert not timers, f"timers run on: {[t.parent() for t in timers]}"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real VAE at 16 pixels with weights that hide nothing and two directions."""
    from latentlab.backends.checkpoint import state_arrays
    from latentlab.core.direction import Direction
    from latentlab.core.modelfile import ModelHeader, StoredModel, write_model
    from tests.backends.factories import small_vae

    backend = small_vae(image_size=16)
    rng = np.random.default_rng(3)
    directions = {}
    for name in ("smiling", "eyeglasses"):
        vector = rng.normal(size=8)
        vector /= np.linalg.norm(vector)
        directions[name] = Direction(name, "z", {"z": vector}, 1.5, "mean difference")
    header = ModelHeader(config=backend.config.model_dump(mode="json"), spec=backend.spec)
    preview = np.full((16, 16, 3), 90, np.uint8)
    path = tmp_path_factory.mktemp("models") / "small-vae.safetensors"
    weights = state_arrays(backend.network)
    write_model(path, StoredModel(header, weights, directions, preview))
    return path


@pytest.fixture
def window(tmp_path: Path, qapp, qtbot):
    """The whole window over a worker of formulas, with one model open."""
    from tests.ui.windows import make_window

    folder = tmp_path / "models"
    folder.mkdir()
    window = make_window(folder, qapp, ("waves", "ripples"))
    window.resize(1280, 800)
    window.show()
    # Shortcuts belong to the active window.
    qtbot.waitUntil(window.isActiveWindow)
    window.controller.open_model("waves")
    yield window
    window.close()
    window.deleteLater()
