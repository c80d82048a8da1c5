"""The person's own directions through the controller: added, hidden, replaced, saved, pasted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt

from latentlab.core.autosave import Recoverable, autosave_folder
from latentlab.core.direction import Direction
from latentlab.core.directionfile import load_direction, save_direction
from latentlab.core.document import Document, History
from latentlab.core.latents import Latents
from latentlab.core.requests import Failure, JobProgress, JobResult
from latentlab.core.session import load_session, save_session
from latentlab.services.photo import ImportedLatents
from latentlab.ui import document_directions as changes
from latentlab.ui.edits import picture_key
from tests.ui.stage import DEPTH, NAMES, FormulaBridge, decode, make_controller, picture
from tests.ui.windows import drop_on, file_data, make_window

pytestmark = pytest.mark.gui


def mine(name: str = "mine", place: int = 6, **values) -> Direction:
    vector = np.zeros(DEPTH, np.float32)
    vector[place] = 1
    return Direction(name, "z", {"z": vector}, **{"scale": 0.75, "method": "logistic", **values})


@pytest.fixture
def bridge(qapp):
    return FormulaBridge()


@pytest.fixture
def controller(tmp_path, bridge):
    controller = make_controller(tmp_path, bridge)
    controller.said, controller.changes = [], []
    controller.failed.connect(lambda text, _details: controller.said.append(text))
    controller.message.connect(lambda text, _details: controller.said.append(text))
    controller.open_model("waves")
    controller.directions_changed.connect(
        lambda: controller.changes.append(list(controller.directions))
    )
    return controller


def base(controller) -> np.ndarray:
    """Latents of the canvas without edits."""
    return controller._bridge.latents_of(
        controller.document.canvas.model_copy(update={"edits": {}})
    )


def shown(controller, *moves: tuple[Direction, float]) -> bool:
    """Whether the canvas shows what the formula gives for these moves."""
    latents = base(controller).astype(np.float64)
    for direction, amount in moves:
        latents = latents + amount * direction.scale * direction.vector["z"]
    return np.array_equal(controller.last_images, decode(latents.astype(np.float32)))


def test_an_own_direction_is_a_slider_like_any_other(controller, bridge):
    assert list(controller.directions) == list(NAMES)
    assert controller.add_directions([mine(), mine("smiling", 7)], "Fit two") == [
        "mine",
        "smiling 2",
    ]
    assert controller.changes == [[*NAMES, "mine", "smiling 2"]]
    assert [entry.label for entry in controller.history.entries][-1] == "Fit two"
    assert controller.is_own_direction("mine")
    assert not controller.is_own_direction("smiling")
    controller.set_edit("mine", 2.0)
    assert shown(controller, (mine(), 2.0))
    assert list(bridge.requests[-1].directions) == ["mine"]
    controller.set_edit("smiling", -1.0)
    assert list(bridge.requests[-1].directions) == ["mine"]
    assert shown(controller, (mine(), 2.0), (controller.directions["smiling"], -1.0))
    controller.go(1)
    assert controller.changes[-1] == [*NAMES, "mine", "smiling 2"]
    controller.undo()
    assert controller.changes[-1] == list(NAMES)
    controller.redo()
    assert controller.changes[-1] == [*NAMES, "mine", "smiling 2"]


def test_directions_are_the_same_objects_until_they_change(controller):
    controller.add_directions([mine()], "Fit")
    before = controller.directions
    controller.set_edit("mine", 1.0)
    controller.keep_picture(picture(3))
    assert controller.directions is before
    one = before["mine"]
    controller.add_directions([mine("more", 5)], "Fit")
    assert controller.directions["mine"] is one


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        (("w", "z", DEPTH), "does not have (it has: z)"),
        (("z", "z", 9), "fit it on this"),
        (("z", "y", DEPTH), "fit it on this"),
    ],
)
def test_what_does_not_fit_is_refused_whole(controller, wrong, part):
    space, name, size = wrong
    bad = Direction("x", space, {name: np.eye(size, dtype=np.float32)[0]}, 1.0, "pca")
    before = controller.document
    assert controller.add_directions([mine(), bad], "Fit") == []
    assert controller.document == before
    assert part in controller.said[-1]


def test_names_fit_a_command_line_and_never_meet():
    assert changes.unique_name("a=b\n c", ()) == "a-b c"
    assert changes.unique_name("", ()) == "direction"
    assert changes.unique_name("a", ("a", "a 2")) == "a 3"
    assert len(changes.unique_name("x" * 500, ())) <= 200


def test_a_removed_own_direction_leaves_the_canvas_in_the_same_step(controller):
    controller.add_directions([mine()], "Fit")
    controller.set_edit("mine", 2.0)
    controller.set_edit("smiling", 1.0)
    steps = len(controller.history.entries)
    controller.remove_direction("mine")
    assert len(controller.history.entries) == steps + 1
    assert controller.document.canvas.edits == {"smiling": 1.0}
    assert controller.document.directions == ()
    assert "mine" not in controller.directions
    assert controller.removed_directions == ()
    controller.undo()
    assert controller.document.canvas.edits == {"mine": 2.0, "smiling": 1.0}
    assert shown(controller, (mine(), 2.0), (controller.directions["smiling"], 1.0))


def test_kept_pictures_keep_their_direction_until_they_go(controller, bridge):
    controller.add_directions([mine()], "Fit")
    kept = picture(5, edits={"mine": 3.0})
    controller.keep_picture(kept)
    controller.remove_direction("mine")
    assert "mine" not in controller.directions
    assert controller.removed_directions == ("mine",)
    controller.thumbnail(kept)
    expected = bridge.latents_of(picture(5)) + 3.0 * 0.75 * mine().vector["z"]
    assert np.array_equal(controller.thumbnail(kept), decode(expected)[0])
    # Its name is not free yet.
    assert controller.add_directions([mine(place=1)], "Fit again") == ["mine 2"]
    # Shown again, it has its slider.
    controller.show_picture(kept, "To canvas")
    assert "mine" in controller.directions
    assert shown(controller, (mine(), 3.0))
    controller.undo()
    assert "mine" not in controller.directions
    controller.remove_from_tray([controller.document.tray[0].id])
    assert [record.name for record in controller.document.directions] == ["mine 2"]
    controller.undo()
    assert np.array_equal(controller.thumbnail(kept), decode(expected)[0])


def test_the_models_own_are_hidden_and_come_back(controller):
    controller.set_edit("zebra", 1.0)
    controller.remove_direction("zebra")
    assert list(controller.directions) == list(NAMES[1:])
    assert controller.document.canvas.edits == {}
    assert controller.removed_directions == ("zebra",)
    controller.restore_directions()
    assert list(controller.directions) == list(NAMES)
    controller.remove_direction("zebra")
    controller.remove_direction("mustache")
    controller.restore_directions(["mustache"])
    assert controller.removed_directions == ("zebra",)
    # What the canvas is edited with always has a slider.
    controller.show_picture(picture(3, edits={"zebra": 2.0}), "To canvas")
    assert controller.removed_directions == ()
    controller.remove_direction("nothing")
    assert "no direction 'nothing'" in controller.said[-1]


def test_replacing_changes_the_canvas_and_never_a_kept_picture(controller, bridge):
    theirs = controller.directions["smiling"]
    kept = picture(5, edits={"smiling": 2.0})
    controller.keep_picture(kept)
    controller.set_edit("smiling", 1.0)
    before = bridge.latents_of(kept)
    steps = len(controller.history.entries)
    new = replace(mine("other name", 7), group="course")
    controller.replace_directions({"smiling": new}, "Orthogonalise")
    assert len(controller.history.entries) == steps + 1
    assert shown(controller, (new, 1.0))
    assert list(controller.directions) == list(NAMES)
    assert controller.is_own_direction("smiling")
    item = controller.document.tray[0].picture
    assert item.edits == {"smiling before": 2.0}
    controller.thumbnail(item)
    assert np.array_equal(controller.thumbnail(item), decode(before)[0])
    # A second change leaves no second copy behind; the kept picture shows its own slider.
    controller.replace_directions({"smiling": mine("x", 3)}, "Again")
    assert [r.name for r in controller.document.directions] == ["smiling before", "smiling"]
    controller.show_picture(item, "To canvas")
    assert "smiling before" in controller.directions
    assert np.array_equal(controller.last_images, decode(before))
    controller.go(steps - 1)
    assert controller.document.tray[0].picture == kept
    assert shown(controller, (theirs, 1.0))


def test_removing_what_stands_before_the_models_own_brings_that_back(controller, bridge):
    theirs = controller.directions["smiling"]
    controller.replace_directions({"smiling": mine("x", 7)}, "Orthogonalise")
    controller.rename_direction("smiling", "Grin")
    kept = picture(5, edits={"smiling": 2.0})
    controller.keep_picture(kept)
    moved = bridge.latents_of(picture(5)) + 2.0 * 0.75 * mine(place=7).vector["z"]
    controller.remove_direction("smiling")
    assert controller.directions["smiling"] is theirs
    assert controller.title_of("smiling") == "Grin"
    item = controller.document.tray[0].picture
    controller.thumbnail(item)
    assert np.array_equal(controller.thumbnail(item), decode(moved)[0])
    controller.remove_direction("smiling")
    assert "smiling" not in controller.directions


def test_titles_locks_and_order_are_steps_of_the_history(controller):
    controller.add_directions([mine()], "Fit")
    first = controller.document
    controller.rename_direction("mine", "  My   grin ")
    controller.set_locked("mine", True)
    controller.set_locked("mine", True)
    controller.move_direction("mine", 0)
    controller.move_direction("mine", 0)
    assert controller.title_of("mine") == "My grin"
    assert controller.title_of("wearing_hat") == "Wearing hat"
    assert controller.locked == ("mine",)
    assert list(controller.directions) == ["mine", *NAMES]
    labels = [entry.label for entry in controller.history.entries[-3:]]
    assert labels == ["Rename Mine to My grin", "Lock My grin", "Move My grin"]
    assert len(controller.changes) == 4
    controller.set_edit("mine", 1.0)
    assert controller.history.entries[-1].label == "My grin +1.00"
    controller.rename_direction("mine", "")
    assert controller.title_of("mine") == "Mine"
    controller.remove_direction("mine")
    assert controller.locked == ()
    # Nothing is left of it.
    assert controller.document.sliders["waves"].order == NAMES
    controller.go(controller.history.index - 6)
    assert controller.document == first


def test_another_model_has_directions_of_its_own(tmp_path, bridge):
    from tests.ui.stage import write_formula_model

    controller = make_controller(tmp_path, bridge)
    write_formula_model(tmp_path, "ripples")
    controller.open_model("waves")
    controller.add_directions([mine()], "Fit")
    controller.set_locked("mine", True)
    controller.open_model("ripples")
    assert list(controller.directions) == list(NAMES)
    assert controller.locked == ()
    assert controller.add_directions([mine()], "Fit") == ["mine"]
    controller.go(0)
    assert list(controller.directions) == list(NAMES)


def test_thumbnails_follow_what_a_name_means(controller, bridge):
    controller.add_directions([mine()], "Fit")
    controller.set_edit("mine", 2.0)
    one = controller.document.canvas
    first = controller.document
    key = controller.thumbnail_key(one)
    assert key.startswith(picture_key(one))
    assert key != picture_key(one)
    image = controller.thumbnail(one).copy()
    controller.replace_directions({"mine": mine(place=2)}, "Refit")
    assert controller.document.canvas == one
    assert controller.thumbnail_key(one) != key
    assert not np.array_equal(controller.thumbnail(one), image)
    # A step of the history shows what its name meant then.
    assert controller.thumbnail_key(one, first) == key
    assert np.array_equal(controller.thumbnail(one, first), image)
    plain = picture(3)
    assert controller.thumbnail_key(plain) == picture_key(plain)


def test_directions_come_and_go_as_files(controller, tmp_path):
    path = tmp_path / "grin.safetensors"
    save_direction(path, mine("grin", fingerprint="ab" * 32, provenance={"auc": 0.9}))
    steps = len(controller.history.entries)
    assert controller.import_direction(path) == "grin"
    assert len(controller.history.entries) == steps + 1
    assert controller.directions["grin"].fingerprint == "ab" * 32
    assert "⚠" in controller.said[-1]
    assert "other weights" in controller.said[-1]
    # The same file again is no second slider, and brings a hidden one back.
    assert controller.import_direction(path) == "grin"
    assert "here already" in controller.said[-1]
    assert len(controller.history.entries) == steps + 1
    controller.rename_direction("grin", "Wide grin")
    out = tmp_path / "out.safetensors"
    assert controller.export_direction("grin", out)
    again = load_direction(out)
    assert (again.name, again.scale, again.method) == ("Wide grin", 0.75, "logistic")
    assert np.array_equal(again.vector["z"], mine().vector["z"])
    assert dict(again.provenance) == {"auc": 0.9}
    assert controller.export_direction("smiling", out)
    assert load_direction(out).name == "smiling"
    assert controller.directions["smiling"].fingerprint
    assert load_direction(out).fingerprint == controller.model.spec.fingerprint
    before = controller.document
    path.write_bytes(path.read_bytes()[:-4])
    assert controller.import_direction(path) is None
    assert controller.import_direction(tmp_path / "none.safetensors") is None
    assert controller.document == before


def test_a_direction_needs_a_model(tmp_path, bridge):
    controller = make_controller(tmp_path, bridge)
    said = []
    controller.failed.connect(lambda text, _details: said.append(text))
    assert controller.directions == {}
    assert controller.add_directions([mine()], "Fit") == []
    controller.remove_direction("mine")
    controller.rename_direction("mine", "x")
    assert len(said) == 3
    assert all("Open a model first" in text for text in said)


def test_a_session_keeps_own_directions_with_tray_and_undo(window, tmp_path, qapp):
    controller = window.controller
    controller.add_directions([mine(), mine("more", 5)], "Fit")
    controller.keep_picture(picture(5, edits={"mine": 3.0, "smiling": 1.0}))
    controller.set_edits({"mine": 2.0, "more": -1.0}, "Both")
    controller.rename_direction("more", "Much more")
    controller.set_locked("more", True)
    images = controller.last_images.copy()
    path = tmp_path / "work.latentlab"
    assert controller.save_session(path)
    other = make_window(tmp_path / "models", qapp)
    other.show()
    assert drop_on(other, file_data(path))
    found = other.controller
    assert found.document == controller.document
    assert np.array_equal(found.last_images, images)
    assert list(found.directions) == list(controller.directions)
    assert (found.title_of("more"), found.locked) == ("Much more", ("more",))
    item = found.document.tray[0].picture
    found.thumbnail(item)
    assert np.array_equal(found.thumbnail(item), controller.thumbnail(item))
    while found.history.can_undo:
        found.undo()
    assert found.document.directions == ()
    other.close()
    other.deleteLater()


def test_own_directions_are_work_and_are_autosaved(window):
    controller = window.controller
    assert not controller.dirty
    controller.add_directions([mine()], "Fit")
    assert controller.dirty
    window.keeper.save()
    window.keeper._thread.join()
    loaded = load_session(window.keeper._file.path)
    assert loaded.history.document == controller.document
    (key,) = controller.document.directions[0].vector.values()
    assert np.array_equal(loaded.arrays[key], mine().vector["z"])


def test_what_a_crash_left_has_its_own_directions(window):
    controller = window.controller
    controller.add_directions([mine()], "Fit")
    controller.set_edit("mine", 2.0)
    images, document = controller.last_images.copy(), controller.document
    left = autosave_folder() / "autosave-1-2.latentlab"
    save_session(left, controller.session())
    controller.replace_history(History())
    controller.store = type(controller.store)()
    window.keeper.restore(Recoverable(left, 1, 0.0))
    assert controller.document == document
    assert controller.dirty
    assert np.array_equal(controller.last_images, images)
    assert not left.exists()


def test_a_dropped_direction_file_gets_a_row(window, tmp_path, qtbot):
    path = tmp_path / "grin.safetensors"
    save_direction(path, mine("grin"))
    assert drop_on(window, file_data(path))
    panel = window.hosts["attributes"].panel
    assert "grin" in panel.names
    row = panel.row("grin")
    window.layout_keeper.right[1].raise_()
    row.slider.setFocus()
    qtbot.keyClick(row.slider, Qt.Key.Key_Right)
    assert window.controller.document.canvas.edits["grin"] != 0
    window.controller.remove_direction("grin")
    assert "grin" not in panel.names


# A PNG that was dropped back.


def dropped(controller, bridge, directions, **values):
    """Let the worker say what a PNG held; return the canvas."""
    controller.import_latents(Path("face.png"))
    found = ImportedLatents(picture(9, **values), None, None, {d.name: d for d in directions})
    bridge.job_finished.emit(JobResult(bridge.jobs[-1].job, value=found))
    return controller.document.canvas


def test_a_dropped_png_brings_its_directions_in_one_step(controller, bridge):
    steps = len(controller.history.entries)
    canvas = dropped(controller, bridge, [mine()], edits={"mine": 2.0, "smiling": 1.0})
    assert len(controller.history.entries) == steps + 1
    assert canvas.edits == {"mine": 2.0, "smiling": 1.0}
    assert "mine" in controller.directions
    assert shown(controller, (mine(), 2.0), (controller.directions["smiling"], 1.0))
    # Again: the direction is here.
    dropped(controller, bridge, [mine()], edits={"mine": 1.0})
    assert len(controller.document.directions) == 1


def test_a_dropped_png_never_changes_what_a_name_means_here(controller, bridge):
    controller.add_directions([mine(), mine("copy", 3)], "Fit")
    other, shadow = mine("mine", 1), mine("smiling", 2)
    same = mine("another name", 3)
    edits = {"mine": 2.0, "smiling": 1.0, "another name": -1.0}
    canvas = dropped(controller, bridge, [other, shadow, same], edits=edits)
    assert canvas.edits == {"mine 2": 2.0, "smiling 2": 1.0, "copy": -1.0}
    assert shown(controller, (other, 2.0), (shadow, 1.0), (same, -1.0))
    assert np.array_equal(controller.directions["mine"].vector["z"], mine().vector["z"])
    # What the model has itself needs no copy.
    theirs = controller.directions["zebra"]
    count = len(controller.document.directions)
    dropped(controller, bridge, [theirs], edits={"zebra": 1.0})
    assert len(controller.document.directions) == count


# Jobs.


def test_a_job_tells_what_it_found_or_why_not(controller, bridge):
    found, partial, wrong = [], [], []
    controller.said.clear()
    job = controller.run_job(
        "count", "Counting", {"x": 1}, found.append, wrong.append, partial.append
    )
    assert (bridge.jobs[-1].kind, dict(bridge.jobs[-1].arguments)) == ("count", {"x": 1})
    assert job in controller.jobs
    bridge.job_progressed.emit(JobProgress(job.id, 1, 2, "half", "some"))
    assert partial == ["some"]
    bridge.job_finished.emit(JobResult(job.id, value=7))
    assert found == [7]
    assert job not in controller.jobs
    failure = Failure("It broke: mend it.")
    job = controller.run_job("count", "Counting", {}, found.append, wrong.append)
    bridge.job_finished.emit(JobResult(job.id, failure=failure))
    assert (wrong, controller.said) == ([failure], [])
    job = controller.run_job("count", "Counting", {}, found.append)
    bridge.job_finished.emit(JobResult(job.id, failure=failure))
    assert (found, controller.said) == ([7], ["It broke: mend it."])


def test_a_direction_is_stored_in_the_models_file(controller, bridge):
    from latentlab.evaluation.fit import store_directions

    mark = controller.model.spec.fingerprint
    controller.add_directions([mine(fingerprint=mark)], "Fit")
    controller.store_direction("mine")
    request = bridge.jobs[-1]
    assert request.kind == "store_directions"
    path = controller.model_entry.path
    assert request.arguments["model"] == str(path)
    store_directions(path, request.arguments["directions"])
    bridge.job_finished.emit(JobResult(request.job, value=path))
    controller.remove_direction("mine")
    assert "mine" in controller.directions
    assert not controller.is_own_direction("mine")
    assert controller.model.directions[-1].name == "mine"


# Vector arithmetic.


def keep_three(controller, **values) -> list[str]:
    controller.add_directions([mine()], "Fit")
    for seed, edits in ((1, {"mine": 1.5}), (2, {}), (3, {"smiling": -1.0})):
        controller.keep_picture(picture(seed, edits=edits, **values))
    return [item.id for item in controller.document.tray]


def answer(controller, bridge) -> None:
    """Answer a job for latents as the worker does."""
    request = bridge.jobs[-1]
    assert request.kind == "picture_latents"
    known = {**bridge.directions, **request.arguments["directions"]}
    kept, bridge.directions = bridge.directions, known
    found = tuple(
        Latents("z", {"z": bridge.latents_of(one)}) for one, _ in request.arguments["pictures"]
    )
    bridge.directions = kept
    bridge.job_finished.emit(JobResult(request.job, value=found))


def test_a_minus_b_plus_c_follows_its_weight_in_one_step(controller, bridge):
    ids = keep_three(controller)
    rows = [
        bridge.latents_of(picture(1)) + 1.5 * 0.75 * mine().vector["z"],
        bridge.latents_of(picture(2)),
        bridge.latents_of(picture(3, edits={"smiling": -1.0})),
    ]
    a, b, c = (row.astype(np.float64) for row in rows)
    steps, jobs = len(controller.history.entries), len(bridge.jobs)
    controller.combine(*ids)
    controller.combine(*ids, 0.25)
    answer(controller, bridge)
    assert len(bridge.jobs) == jobs + 1
    for weight in (0.25, 0.5, 2.0, -1.0, 1.0):
        controller.combine(*ids, weight)
        expected = (weight * (a - b) + c).astype(np.float32)
        canvas = controller.document.canvas
        found = controller.store.get(canvas.stored["z"])
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-7)
        assert np.array_equal(controller.last_images, decode(found))
        assert (canvas.seeds, canvas.edits) == ((), {})
    assert len(bridge.jobs) == jobs + 1
    assert len(controller.history.entries) == steps + 1
    controller.end_merge()
    controller.combine(*ids, 3.0)
    assert len(controller.history.entries) == steps + 2
    controller.undo()
    controller.undo()
    assert controller.document.canvas.seeds


def test_three_that_cannot_be_added_are_one_sentence(controller, bridge):
    ids = keep_three(controller)
    before = controller.document
    controller.combine(ids[0], ids[1], "gone")
    assert "Choose three pictures" in controller.said[-1]
    controller.keep_picture(picture(4).model_copy(update={"space": "w"}))
    controller.combine(ids[0], ids[1], controller.document.tray[-1].id)
    assert "one model and space" in controller.said[-1]
    controller.undo()
    # A job that was cancelled is asked for again.
    controller.combine(*ids)
    bridge.job_finished.emit(JobResult(bridge.jobs[-1].job, cancelled=True))
    controller.combine(*ids)
    bridge.job_finished.emit(JobResult(bridge.jobs[-1].job, failure=Failure("No memory.")))
    assert controller.said[-1] == "No memory."
    assert controller.document.canvas == before.canvas
    controller.combine(*ids)
    answer(controller, bridge)
    assert controller.document.canvas != before.canvas


def test_several_sliders_are_set_in_one_step(controller):
    controller.set_edit("zebra", 1.0)
    controller.set_edit("smiling", 3.0)
    steps = len(controller.history.entries)
    controller.set_edits({"smiling": 0, "mustache": np.float64(0.5)}, "Random")
    assert controller.document.canvas.edits == {"zebra": 1.0, "mustache": 0.5}
    assert len(controller.history.entries) == steps + 1
    controller.set_edits({"mustache": 0.6}, "Random", "drag")
    controller.set_edits({"mustache": 0.7}, "Random", "drag")
    assert len(controller.history.entries) == steps + 2


def test_pasting_onto_some_images_shows_these(controller):
    controller.set_edit("smiling", 1.25)
    text = controller.copy_edits()
    controller.reset_edits()
    controller.paste_edits(text, [2, 0])
    canvas = controller.document.canvas
    assert (canvas.seeds, canvas.edits) == ((0, 2), {"smiling": 1.25})
    controller.undo()
    controller.paste_edits(text, [99])
    assert "no such images" in controller.said[-1]


def test_an_empty_document_settles_to_itself():
    document = Document()
    assert changes.settled(document) is document
