"""Writes the session that every later version must open: ``python -m tests.core.make_session``.

Run once for each session version, when that version is current; its file is never written again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from latentlab.core.direction import Direction
from latentlab.core.document import (
    Arrangement,
    Denoising,
    DenoisingBranch,
    Document,
    History,
    Picture,
    Switch,
    SwitchSource,
    TrayItem,
)
from latentlab.core.latents import Condition, Latents, content_hash
from latentlab.core.session import SESSION_VERSION, Session, save_session
from latentlab.core.store import ArrayStore

FOLDER = Path(__file__).parents[1] / "data" / "sessions"


def arrays() -> tuple[Latents, np.ndarray]:
    latents = Latents("z", {"z": np.linspace(-2, 2, 16, dtype=np.float32).reshape(2, 8)})
    photo = (np.arange(4 * 4 * 3) % 256).astype(np.uint8).reshape(4, 4, 3)
    return latents, photo


def direction() -> Direction:
    vector = np.zeros((2, 4), np.float32)
    vector[0, 1], vector[1, 3] = 0.6, -0.8
    return Direction(
        "my smile",
        "z",
        {"z": vector.reshape(8)},
        1.25,
        "logistic",
        fingerprint="cd" * 32,
        group="own",
        provenance={"auc": 0.9, "interval": (0.85, np.float64(0.95)), "data": "cifar.zip"},
    )


def sample_session(version: int = SESSION_VERSION) -> Session:
    """Every field of a document that a version knows, with a value of its own."""
    session = _first_session()
    if version == 1:
        return session
    session = _with_directions(session)
    if version == 2:
        return session
    session = _with_denoising(session)
    return session if version == 3 else _with_switches(session)


def _with_directions(session: Session) -> Session:
    store, history = ArrayStore(), session.history
    records = (
        store.put_direction(direction(), "portraits-vae"),
        store.put_direction(replace(direction(), name="old", scale=0.5), "another"),
    )
    sliders = Arrangement(
        order=("my smile", "smiling"),
        titles={"my smile": "Grin ☺"},
        locked=("smiling",),
        removed=("age",),
    )
    before = history.document
    changed = {"directions": records, "sliders": {"portraits-vae": sliders}}
    history.push(before.model_copy(update=changed), "Fit my smile")
    assert history.document.canvas is not None
    edited = history.document.canvas.with_edit("my smile", 2.0)
    history.push(history.document.model_copy(update={"canvas": edited}), "My smile +2.00")
    history.undo()
    arrays = {**session.arrays, **store.subset(history.array_hashes() - session.arrays.keys())}
    return Session(history, arrays, session.view)


def _with_denoising(session: Session) -> Session:
    """A run of its own latents with a branch of a branch, and one that follows the canvas."""
    session.history.redo()
    history, noise = session.history, np.linspace(-1, 1, 12, dtype=np.float32).reshape(1, 3, 2, 2)
    key = content_hash(noise)
    options = {"sampler": "ddim", "steps": 12, "guidance": 2.5}
    base = Picture(model="faces", space="noise", stored={"noise": key}, options=options)
    first = DenoisingBranch(path="4:guidance=3,attr.smile=1", title="Smîle", slot=2)
    second = DenoisingBranch(path="4:guidance=3,attr.smile=1/8:noise=7", slot=5)
    run = Denoising(base=base, branches=(first, second))
    history.push(history.document.model_copy(update={"denoising": run}), "Branch")
    seeded = Picture(model="faces", space="noise", seeds=(3,), options={"steps": 8})
    follows = Denoising(base=seeded, follows=True)
    history.push(history.document.model_copy(update={"denoising": follows}), "8 steps")
    history.undo()
    return Session(history, {**session.arrays, key: noise}, session.view)


def _with_switches(session: Session) -> Session:
    """Two matrices of switched parts, one of them with a blended pair."""
    session.history.redo()
    history = session.history
    parts = {
        "global": np.linspace(-1, 1, 4, dtype=np.float32).reshape(1, 4),
        "local_1": np.linspace(-2, 2, 12, dtype=np.float32).reshape(1, 3, 2, 2),
    }
    hashes = {name: content_hash(array) for name, array in parts.items()}
    photo = Picture(model="flow", space="latent", stored=hashes, name="Ünä")
    seeded = Picture(model="flow", space="latent", seeds=(5,), temperature=0.7)
    sources = (SwitchSource(id="a", picture=photo), SwitchSource(id="b", picture=seeded))
    plain = Switch(model="flow", space="latent", sources=sources)
    own = {"by_row": ("local_1",), "pair": ("b", "a"), "amounts": {"global": 0.25, "local_1": 1.5}}
    mixed = Switch(**{**dict(plain), **own})
    layers = {"by_row": ("w_plus:0-3",), "sources": sources[1:]}
    other = Switch(**{**dict(plain), **layers, "model": "gan"})
    before = history.document
    history.push(before.model_copy(update={"switches": {"flow": plain}}), "Switch")
    both = {"flow": mixed, "gan": other}
    history.push(before.model_copy(update={"switches": both}), "Blend")
    history.undo()
    arrays = {**session.arrays, **{hashes[name]: array for name, array in parts.items()}}
    return Session(history, arrays, session.view)


def _first_session() -> Session:
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
