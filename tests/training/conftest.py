from __future__ import annotations

import os

import pytest

from latentlab import catalog
from latentlab.training import data
from tests.training import tiny


@pytest.fixture(autouse=True)
def _tiny_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.TRAINERS, "tiny", "tests.training.tiny:TinyTrainer")
    monkeypatch.setattr(data, "RETRY_SECONDS", (0.01, 0.02, 0.03))
    monkeypatch.setattr(
        data, "open_images", lambda table, source, split, limit: tiny.memory_images()
    )
    # Writing through to the disk takes most of the time of these runs, and changes no file.
    monkeypatch.setattr(os, "fsync", lambda handle: None)
