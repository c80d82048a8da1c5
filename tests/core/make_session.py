"""Writes the session that every later version must open: ``python -m tests.core.make_session``.

Run once for each session version, when that version is current; its file is never written again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentlab.core.document import Document, History, Picture, TrayItem
from latentlab.core.latents import Condition, Latents, content_hash
from latentlab.core.session import SESSION_VERSION, Session, save_session

FOLDER = Path(__file__).parents[1] / "data" / "sessions"


def arrays() -> tuple[Latents, np.ndarray]:
    latents = Latents("z", {"z": np.linspace(-2, 2, 16, dtype=np.float32).reshape(2, 8)})
    photo = (np.arange(4 * 4 * 3) % 256).astype(np.uint8).reshape(4, 4, 3)
    return latents, photo


def sample_session() -> Session:
    """Every field of a document that version 1 knows, with a value of its own."""
    latents, photo = arrays()
    grid = Picture(model="portraits-vae", fingerprint="ab" * 32, space="z", seeds=(0, 1, 2**62))
    face = Picture(
        model="portraits-vae",
        space="z",
        stored={"z": content_hash(latents["z"])},
        photo=content_hash(photo),
        photo_path="/photos/me.png",
        edits={"smiling": 1.5, "eyeglasses": -0.25},
        condition=Condition(class_index=3, attributes={"age": 0.5}, text="hällo", null=True),
        options={"truncation_psi": 0.7, "steps": 20, "sampler": "ddim", "exact": True},
        name="me",
    )
    history = History(Document(canvas=grid))
    history.push(Document(canvas=face), "Open photograph")
    history.push(Document(canvas=face, tray=(TrayItem(id="t1", picture=face, group="A"),)), "Keep")
    warm = grid.model_copy(update={"temperature": 0.8})
    history.push(Document(canvas=warm, tray=history.document.tray), "Temperature")
    history.undo()
    stored = {content_hash(photo): photo, content_hash(latents["z"]): latents["z"]}
    return Session(history, stored, {"zoom": 3, "panel": "attributes", "nested": {"a": [1, None]}})


if __name__ == "__main__":
    target = FOLDER / f"v{SESSION_VERSION}" / "sample.latentlab"
    if target.exists():
        raise SystemExit(f"{target} exists and stays as it is.")
    save_session(target, sample_session())
