"""Matrices of switched parts in sessions: kept, and refused where they are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latentlab.core.document import MAX_SOURCES, Document, Picture, Switch, SwitchSource
from latentlab.core.errors import LatentLabError
from latentlab.core.session import load_session, save_session
from tests.core.make_session import sample_session
from tests.core.test_session import contents, rewrite


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "a.latentlab"
    save_session(path, sample_session())
    return path


def test_matrices_come_back_with_the_arrays_of_their_sources(saved: Path) -> None:
    loaded = load_session(saved)
    switches = loaded.history.entries[-1].document.switches
    assert switches["flow"].pair == ("b", "a")
    assert switches["flow"].amounts == {"global": 0.25, "local_1": 1.5}
    assert switches["gan"].by_row == ("w_plus:0-3",)
    stored = switches["flow"].sources[0].picture.stored
    assert loaded.arrays[stored["local_1"]].shape == (1, 3, 2, 2)
    assert loaded.history.document.switches["flow"].pair == ()
    assert loaded.history.entries[0].document.switches == {}


def _switch(**changes: Any) -> Callable[[dict], None]:
    return lambda content: content["switches"][1].update(changes)


def _source(content: dict) -> dict:
    return content["switches"][1]["sources"][0]


def _other_source(content: dict, name: str) -> None:
    _source(content).update(id=name)


BAD: dict[str, Callable[[dict], None]] = {
    "no table": lambda c: c.pop("switches"),
    "a number": lambda c: c.update(switches=3),
    "too many": lambda c: c.update(switches=c["switches"] * 6000),
    "none in an entry": lambda c: c["entries"][-1].pop("switches"),
    "an entry's a list": lambda c: c["entries"][-1].update(switches=[0]),
    "row too high": lambda c: c["entries"][-1].update(switches={"flow": 9}),
    "unknown field": _switch(code="import os"),
    "no model": lambda c: c["switches"][1].pop("model"),
    "sources a number": _switch(sources=4),
    "a source twice": lambda c: _other_source(c, "b"),
    "a source without a name": lambda c: _other_source(c, ""),
    "a source of many images": lambda c: _source(c).update(
        picture={"model": "m", "space": "z", "seeds": [1, 2]}
    ),
    "a source of no image": lambda c: _source(c).update(picture={"model": "m", "space": "z"}),
    "a picture that is none": lambda c: _source(c).update(picture=["x"]),
    "a pair of one": _switch(pair=["a"]),
    "a pair of strangers": _switch(pair=["a", "c"]),
    "a pair of three": _switch(pair=["a", "b", "a"]),
    "an amount that is huge": _switch(amounts={"global": 1e9}),
    "an amount that is a text": _switch(amounts={"global": "much"}),
    "ranges that are monsters": _switch(by_row=["x" * 20_000]),
    "too many ranges": _switch(by_row=["global"] * 2000),
    "of another model than the entry's": lambda c: c["entries"][-1].update(switches={"flow": 2}),
    "a source with a monster's name": lambda c: c["switches"][0]["sources"][0].update(id="a\0b"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_matrices_are_one_sentence(name: str, saved: Path) -> None:
    content, arrays = contents(saved)
    BAD[name](content)
    rewrite(saved, content, arrays)
    with pytest.raises(LatentLabError) as caught:
        load_session(saved)
    assert "\n" not in caught.value.message


def test_a_matrix_has_a_limit() -> None:
    picture = Picture(model="m", space="z", seeds=(1,))
    sources = tuple(SwitchSource(id=str(i), picture=picture) for i in range(MAX_SOURCES + 1))
    assert len(Switch(model="m", space="z", sources=sources[1:]).sources) == MAX_SOURCES
    with pytest.raises(ValueError, match="at most"):
        Switch(model="m", space="z", sources=sources)


def test_matrices_of_the_past_hold_their_arrays() -> None:
    picture = Picture(model="m", space="z", stored={"z": "ab" * 32})
    switch = Switch(model="m", space="z", sources=(SwitchSource(id="a", picture=picture),))
    assert Document(switches={"m": switch}).array_hashes() == {"ab" * 32}
