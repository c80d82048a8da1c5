"""Documents never change; the history walks between them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from latentlab.core.document import Document, Entry, History, Picture, TrayItem


def document(seed: int, **changes: object) -> Document:
    return Document(canvas=Picture(model="m", space="z", seeds=(seed,), **changes))


def labels(history: History) -> list[str]:
    return [entry.label for entry in history.entries]


@pytest.fixture
def history() -> History:
    history = History(document(0))
    for seed in (1, 2, 3):
        history.push(document(seed), f"seed {seed}")
    return history


def test_documents_and_pictures_are_immutable() -> None:
    picture = Picture(model="m", space="z", seeds=(1,))
    moved = picture.with_edit("smiling", 2.0)
    assert picture.edits == {}
    assert moved.edits == {"smiling": 2.0}
    assert moved.with_edit("smiling", 0.0) == picture
    with pytest.raises(ValidationError, match="frozen"):
        picture.model = "other"
    with pytest.raises(ValidationError, match="frozen"):
        document(1).canvas = None


def test_a_document_names_all_arrays_that_it_needs() -> None:
    kept = Picture(model="m", space="w", stored={"a": "1" * 64, "b": "2" * 64}, photo="3" * 64)
    item = TrayItem(id="i", picture=Picture(model="m", space="z", stored={"z": "4" * 64}))
    whole = Document(canvas=kept, tray=(item,))
    assert whole.array_hashes() == {digit * 64 for digit in "1234"}
    assert document(1).array_hashes() == set()


def test_undo_and_redo_walk_and_stop_at_the_ends(history: History) -> None:
    assert (history.index, history.can_undo, history.can_redo) == (3, True, False)
    for seed in (2, 1, 0):
        assert history.undo() == document(seed) == history.document
    assert (history.can_undo, history.can_redo) == (False, True)
    assert history.undo() == document(0)
    for seed in (1, 2, 3, 3):
        assert history.redo() == document(seed) == history.document
    assert history.go(1) == document(1)
    for outside in (-1, 4):
        with pytest.raises(IndexError):
            history.go(outside)
    assert history.index == 1


def test_a_push_drops_what_was_undone(history: History) -> None:
    history.go(1)
    history.push(document(9), "seed 9")
    assert labels(history) == ["Start", "seed 1", "seed 9"]
    assert not history.can_redo


def test_the_same_document_adds_nothing_and_drops_nothing(history: History) -> None:
    history.go(1)
    history.push(document(1), "again")
    assert labels(history) == ["Start", "seed 1", "seed 2", "seed 3"]
    assert history.index == 1


def test_one_drag_is_one_entry(history: History) -> None:
    for amount in (0.1, 0.2, 0.3):
        history.push(document(3, edits={"smiling": amount}), f"smiling {amount}", "smiling")
    assert labels(history)[3:] == ["seed 3", "smiling 0.3"]
    history.end_merge()
    history.push(document(3, edits={"smiling": 0.4}), "smiling 0.4", "smiling")
    history.push(document(3, edits={"age": 0.4}), "age 0.4", "age")
    assert labels(history)[4:] == ["smiling 0.3", "smiling 0.4", "age 0.4"]
    assert history.undo() == document(3, edits={"smiling": 0.4})
    assert history.undo() == document(3, edits={"smiling": 0.3})
    assert history.undo() == document(3)


def test_the_limit_drops_the_oldest() -> None:
    history = History(document(0), limit=3)
    for seed in range(1, 6):
        history.push(document(seed), f"seed {seed}")
    assert labels(history) == ["seed 3", "seed 4", "seed 5"]
    assert (history.index, history.document) == (2, document(5))


def test_restored_histories_keep_their_place_and_the_limit() -> None:
    entries = [Entry(str(seed), document(seed)) for seed in range(6)]
    whole = History.restore(entries, 2)
    assert (whole.index, whole.document, len(whole.entries)) == (2, document(2), 6)
    short = History.restore(entries, 4, limit=3)
    assert labels(short) == ["3", "4", "5"]
    assert short.document == document(4)
    early = History.restore(entries, 1, limit=3)
    assert early.document == document(1), "the place itself is never dropped"
    for index in (-1, 6):
        with pytest.raises(IndexError):
            History.restore(entries, index)
    with pytest.raises(IndexError):
        History.restore([], 0)
