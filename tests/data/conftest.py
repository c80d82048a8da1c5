from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class _Bomb:
    """Its pickle creates a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (open, (str(self.marker), "w"))


@pytest.fixture
def pickle_bomb(tmp_path: Path) -> Any:
    """Bytes of a pickle with a payload; after the test it must not have run."""
    marker = tmp_path / "executed"
    yield pickle.dumps(_Bomb(marker), protocol=2)
    assert not marker.exists(), "a pickle was executed"


@pytest.fixture
def shared_data() -> Path:
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real images of {folder} are not on this machine")
    return folder
