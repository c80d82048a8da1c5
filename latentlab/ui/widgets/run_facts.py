"""What a run said about itself when it started; read once, in a thread."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentlab.core.run_events import Event
from latentlab.core.runs import RunFolder

_MAX_LINE = 2**18


def start_facts(run_dir: Path) -> Mapping[str, Any]:
    """Return what the first start event of a run says; empty before it.

    Keys are those of the event: ``family``, ``device``, ``data``, ``num_images``, ``parameters``,
    ``total_steps`` and others.
    """
    folder = RunFolder(run_dir)
    try:
        with folder.events.open("rb") as stream:
            event = Event.from_json(stream.readline(_MAX_LINE))
    except (OSError, ValueError, TypeError):
        return {}
    return dict(event.data) if event.kind == "start" else {}
