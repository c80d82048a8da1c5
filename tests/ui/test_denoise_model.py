"""The watched run: what it follows, when it starts, what undo and sessions know of it."""

from __future__ import annotations

import numpy as np
import pytest

from latentlab.core.denoising import Branch, Sampling
from latentlab.core.latents import Condition, Latents
from latentlab.core.session import load_session
from tests.ui.denoise_stage import STEPS, image, make_step_controller, open_steps, shade
from tests.ui.stage import DEPTH

pytestmark = pytest.mark.gui


@pytest.fixture
def stage(tmp_path, qapp, qtbot):
    """A controller whose run nobody looks at yet: nothing starts by itself."""
    found = make_step_controller(tmp_path)
    open_steps(found.controller)
    yield found
    found.controller.deleteLater()


@pytest.fixture
def model(stage):
    return stage.controller.denoise


def asked(stage) -> list:
    return [request.arguments for request in stage.bridge.asked]


def test_nothing_starts_before_somebody_looks(stage, model, qtbot):
    qtbot.wait(200)
    assert model.picture is not None
    assert not stage.bridge.asked
    model.set_watched(True)
    qtbot.waitUntil(lambda: bool(stage.bridge.asked))
    (only,) = asked(stage)
    assert only["paths"] == ("",)
    assert only["picture"].seeds == (0,)
    stage.bridge.advance(2)
    assert [one.index for one in model.frames("")] == [1, 2]
    # The newest step is looked at until another is chosen.
    assert model.selected == ("", 2)
    stage.bridge.finish()
    assert model.selected == ("", STEPS + 1)
    assert model.complete("")


def test_it_follows_the_selection_of_the_canvas(stage, model, qtbot):
    model.set_watched(True)
    qtbot.waitUntil(lambda: bool(stage.bridge.asked))
    stage.bridge.finish()
    stage.controller.select(3)
    qtbot.waitUntil(lambda: len(stage.bridge.asked) == 2)
    assert asked(stage)[-1]["picture"].seeds == (3,)
    # What was watched is shown until the first frame of the new one is here.
    assert model.stale
    assert model.frames("")[0].x0[1, 1, 0] == shade(asked(stage)[0]["picture"], "", 1, "x0")
    stage.bridge.advance()
    assert not model.stale
    stage.bridge.finish()
    # A run that was watched before is here at once.
    stage.controller.select(0)
    assert model.complete("")
    qtbot.wait(200)
    assert len(stage.bridge.asked) == 2


def test_a_run_that_takes_long_waits_to_be_asked_for(stage, model, qtbot):
    stage.bridge.seconds = 5.0
    model.set_watched(True)
    qtbot.waitUntil(lambda: bool(stage.bridge.asked))
    stage.bridge.finish()
    stage.controller.select(1)
    qtbot.wait(250)
    assert len(stage.bridge.asked) == 1
    assert not model.frames("")
    assert model.seconds_needed == pytest.approx(30)
    model.run_again()
    assert len(stage.bridge.asked) == 2
    stage.bridge.finish()
    assert model.complete("")


def test_settings_are_a_step_of_the_history_and_one_drag_is_one(stage, model):
    before = len(stage.controller.history.entries)
    sampling = Sampling(steps=STEPS)
    for weight in (1.5, 2.0, 2.5):
        changed = sampling.model_copy(update={"guidance": weight})
        model.restart(changed, Condition(attributes={"smiling": 1.0}), merge_key="drag")
    assert len(stage.controller.history.entries) == before + 1
    stage.bridge.finish()
    assert asked(stage)[-1]["picture"].options["guidance"] == 2.5
    assert model.picture.condition.attributes == {"smiling": 1.0}
    # The canvas keeps its own settings, and the run still follows its selection.
    assert "guidance" not in stage.controller.document.canvas.options
    stage.controller.select(4)
    assert model.picture.seeds == (4,)
    assert model.picture.options["guidance"] == 2.5
    stage.controller.undo()
    assert model.picture.options == {"steps": STEPS}
    assert not model.pinned


def test_while_a_slider_is_dragged_the_newest_wins_and_something_is_seen(stage, model, qtbot):
    stage.bridge.slow_cancel = True
    sampling = Sampling(steps=STEPS, guidance=1.5)
    model.restart(sampling, Condition(), merge_key="drag")
    for step in range(1, 11):
        changed = sampling.model_copy(update={"guidance": 1.5 + step / 10})
        model.restart(changed, Condition(), merge_key="drag")
    # One runs, all others wait; it is not ended before anything of it was seen.
    assert len(stage.bridge.asked) == 1
    assert not stage.bridge.cancelled
    stage.bridge.advance()
    assert model.frames("")[0].x0[1, 1, 0] == shade(asked(stage)[0]["picture"], "", 1, "x0")
    qtbot.waitUntil(lambda: bool(stage.bridge.cancelled))
    stage.bridge.end_cancelled()
    qtbot.waitUntil(lambda: len(stage.bridge.asked) == 2)
    assert asked(stage)[-1]["picture"].options["guidance"] == 2.5
    stage.bridge.finish()
    assert model.complete("")
    assert not model.stale


def test_another_picture_ends_the_run_at_once(stage, model):
    model.run_again()
    stage.bridge.advance(2)
    stage.controller.select(5)
    assert len(stage.bridge.cancelled) == 1


def test_what_a_person_cancels_stays_as_it_is(stage, model, qtbot):
    model.set_watched(True)
    model.run_again()
    stage.bridge.advance(2)
    stage.controller.cancel()
    qtbot.waitUntil(lambda: not model.running)
    qtbot.wait(200)
    assert len(stage.bridge.asked) == 1
    assert len(model.frames("")) == 2
    assert model.missing == ("",)
    model.run_again()
    assert len(stage.bridge.asked) == 2
    # The frames that are here stay until they are made again.
    assert len(model.frames("")) == 2
    stage.bridge.finish()
    assert model.complete("")


# Branches.


def test_branches_are_made_kept_and_undone(stage, model):
    model.run_again()
    stage.bridge.finish()
    path = model.branch("", Branch(at=2, guidance=3.0))
    assert model.selected[0] == path
    assert not model.follows
    stage.bridge.finish()
    assert asked(stage)[-1]["paths"] == (path,)
    assert [one.index for one in model.frames(path)] == list(range(1, STEPS + 1))
    assert [one.branch for one in model.frames(path)] == ["", ""] + [path] * (STEPS - 2)
    inner = model.branch(path, Branch(at=4, noise=9))
    assert model.paths == ("", path, inner)
    stage.bridge.finish()
    model.remove(path)
    assert model.paths == ("",)
    assert model.selected[0] == ""
    stage.controller.undo()
    # What was deleted is back, with its frames.
    assert model.paths == ("", path, inner)
    assert model.complete(inner)
    stage.controller.undo()
    stage.controller.undo()
    assert model.paths == ("",)
    assert model.follows
    stage.controller.redo()
    assert model.complete(path)


def test_the_same_branch_again_is_the_one_that_is_there(stage, model):
    path = model.branch("", Branch(at=2, noise=3))
    entries = len(stage.controller.history.entries)
    assert model.branch("", Branch(at=2, noise=3)) == path
    assert len(stage.controller.history.entries) == entries
    assert model.paths == ("", path)


def test_a_branch_is_made_while_the_run_goes_on(stage, model):
    model.run_again()
    stage.bridge.advance(3)
    path = model.branch("", Branch(at=1, noise=3))
    assert [request["paths"] for request in asked(stage)] == [("",), (path,)]
    stage.bridge.finish()
    assert model.complete("")
    assert model.complete(path)


def test_branches_stay_at_their_time_when_the_steps_change(stage, model):
    path = model.branch("", Branch(at=3, noise=1))
    stage.bridge.finish()
    model.select(path, 4)
    model.restart(Sampling(steps=2 * STEPS), Condition())
    assert model.paths == ("", "6:noise=1")
    stage.bridge.finish()
    assert model.complete("6:noise=1")
    stage.controller.undo()
    assert model.paths == ("", path)
    assert model.complete(path)


def test_a_name_is_undone_too(stage, model):
    path = model.branch("", Branch(at=3, guidance=2.0))
    assert model.title(path) == "guidance 2"
    model.rename(path, "Stronger ☺")
    assert model.title(path) == "Stronger ☺"
    model.rename(path, "  ")
    assert model.title(path) == "guidance 2"
    stage.controller.undo()
    assert model.title(path) == "Stronger ☺"


def test_two_samplers_on_the_same_noise_are_compared_by_time(stage, model):
    model.run_again()
    stage.bridge.finish()
    path = model.compare_samplers()
    assert path == "0:sampler=ddim"
    stage.bridge.finish()
    assert model.cursor.pair == ("", path)
    halved = model.branch(path, Branch(at=0, steps=3))
    stage.bridge.finish()
    model.cursor.compare("", halved)
    model.select("", 4)
    time = model.cursor.time
    other = model.cursor.frame(halved, model.cursor.at_time(halved, time))
    assert other.index == 2
    assert other.t == pytest.approx(time)
    model.select("", None)
    assert model.cursor.at_time(halved, model.cursor.time) == 4
    model.remove(halved)
    assert model.cursor.pair is None


# Pictures.


def test_a_kept_frame_is_watched_again_where_it_was(stage, model):
    model.run_again()
    path = model.branch("", Branch(at=2, noise=5))
    stage.bridge.finish()
    kept = model.frame_picture(path, 4, "x_t")
    model.follow_canvas()
    assert model.paths == ("",)
    model.start(kept)
    stage.bridge.finish()
    assert model.paths == ("", path)
    assert model.selected == (path, 4)
    assert model.picture.options == {"steps": STEPS}


def test_stored_latents_are_kept_for_as_long_as_they_are_watched(stage, model, tmp_path):
    stored = Latents("z", {"z": np.ones((1, DEPTH), np.float32)})
    picture = model.picture.model_copy(
        update={"seeds": (), "stored": {"z": "0" * 64}, "name": "found"}
    )
    hashes = stage.controller.store.put_latents(stored)
    model.start(picture.model_copy(update={"stored": hashes}), stored)
    assert np.array_equal(model.stored["z"], stored["z"])
    stage.bridge.finish()
    model.branch("", Branch(at=1, guidance=2.0))
    stage.bridge.finish()
    path = tmp_path / "work.latentlab"
    assert stage.controller.save_session(path)
    session = load_session(path)
    assert hashes["z"] in session.arrays
    stage.controller.go(0)
    assert not model.pinned
    assert stage.controller.load_session(path)
    assert model.paths == ("", "1:guidance=2")
    assert np.array_equal(model.stored["z"], stored["z"])


def test_a_grid_or_a_picture_of_another_model_is_one_sentence(stage, model):
    said = []
    stage.controller.failed.connect(lambda sentence, _details: said.append(sentence))
    model.start(model.picture.model_copy(update={"seeds": (1, 2)}))
    model.start(model.picture.model_copy(update={"model": "waves"}))
    model.start(model.picture.model_copy(update={"options": {"branch": "nonsense"}}))
    assert ["one image" in said[0], "waves" in said[1], "nonsense" in said[2]] == [True] * 3
    assert not model.pinned


def test_options_that_no_run_can_have_are_told_where_the_run_would_be(stage, model):
    canvas = stage.controller.document.canvas
    wrong = canvas.model_copy(update={"options": {"sampler": "nonsense"}})
    stage.controller.apply_canvas(wrong, "Wrong")
    assert "sampler" in model.failure("").message
    assert model.picture is None
    stage.controller.undo()
    assert model.failure("") is None
    assert model.picture is not None


# What goes wrong, and what goes.


def test_a_failure_is_told_and_the_run_is_tried_again(stage, model):
    model.run_again()
    stage.bridge.advance(2)
    stage.bridge.fail("The network gave values that are not finite.", "at step 3")
    assert model.failure("").details == "at step 3"
    assert len(model.frames("")) == 2
    assert not model.running
    assert len(stage.bridge.asked) == 1
    model.run_again()
    assert model.failure("") is None
    stage.bridge.finish()
    assert model.complete("")


def test_a_worker_that_starts_anew_goes_on(stage, model, qtbot):
    model.set_watched(True)
    model.run_again()
    stage.bridge.advance(1)
    stage.bridge.fail("The worker ended.")
    assert model.failure("") is not None
    stage.bridge.restart()
    qtbot.waitUntil(lambda: len(stage.bridge.asked) == 2)
    stage.bridge.finish()
    assert model.failure("") is None
    assert model.complete("")


def test_another_model_and_back(stage, model):
    model.run_again()
    path = model.branch("", Branch(at=2, noise=5))
    stage.bridge.finish()
    stage.controller.open_model("waves")
    assert model.spec is None
    assert model.picture is None
    assert model.paths == ()
    assert model.frames("") == []
    stage.controller.open_model("steps")
    assert model.paths == ("", path)
    assert model.complete(path)


def test_newer_weights_make_the_run_anew(stage, model, qtbot):
    model.set_watched(True)
    model.run_again()
    stage.bridge.finish()
    header = stage.controller.model
    spec = header.spec.model_copy(update={"fingerprint": "f" * 64})
    stage.controller.model = header.model_copy(update={"spec": spec})
    stage.controller.model_reloaded.emit(stage.controller.model)
    assert model.stale
    qtbot.waitUntil(lambda: len(stage.bridge.asked) == 2)
    stage.bridge.finish()
    assert not model.stale


def test_frames_are_those_that_the_worker_sent(stage, model):
    model.run_again()
    stage.bridge.finish()
    for one in model.frames(""):
        for show in ("x_t", "x0", "eps"):
            level = shade(model.picture, "", one.index, show)
            assert np.array_equal(getattr(one, show), image(level))
