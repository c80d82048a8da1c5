"""The switch matrix over a real tiny flow: what is made, in which order, and what it is."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QMimeData

from latentlab.core.direction import Direction
from latentlab.core.recombine import PartRange
from latentlab.ui.widgets.image_mime import picture_mime
from tests.ui.switch_stage import make_switch, photo, sample

pytestmark = pytest.mark.gui


@pytest.fixture
def stage(tmp_path, qapp, qtbot):
    found = make_switch(tmp_path)
    found.model = found.controller.switch
    found.model.set_watched(True)
    found.wait = lambda: qtbot.waitUntil(
        lambda: not found.model._calm.isActive() and not found.model.busy
    )
    yield found
    found.controller.deleteLater()


def add(stage, *seeds: int) -> None:
    stage.model.add([sample(seed) for seed in seeds])
    stage.wait()


def cells_asked(stage) -> list[tuple[tuple[int, int], ...]]:
    return [one.arguments["cells"] for one in stage.bridge.asked if one.kind == "switch_matrix"]


def exact(stage, picture) -> np.ndarray:
    """The bytes that a picture has in an export."""
    store = stage.controller.store
    return stage.bridge.context.renderer.exact(picture, store.latents(picture))[0][0]


def test_a_cell_has_the_global_part_of_its_row_and_the_bytes_of_its_picture(stage):
    add(stage, 1, 2, 3)
    model, renderer = stage.model, stage.bridge.context.renderer
    assert model.texts == ("Global", "Local")
    own = [renderer.latents(sample(seed)) for seed in (1, 2, 3)]
    for row in range(3):
        for column in range(3):
            latents = model.latents((row, column))
            assert np.array_equal(latents["global"], own[row]["global"])
            for part in ("local_1", "local_2", "local_3"):
                assert np.array_equal(latents[part], own[column][part])
            picture = model.picture((row, column))
            assert np.array_equal(exact(stage, picture), model.image((row, column)))
    assert model.picture((1, 1)) == sample(2)
    assert model.picture((0, 2)).name == "global of seed 1, local of seed 3"


def test_the_diagonal_comes_first_and_then_the_row_in_hand(stage):
    stage.model.set_row(1)
    add(stage, 1, 2, 3)
    assert cells_asked(stage) == [
        ((0, 0), (1, 1), (2, 2), (1, 0), (1, 2), (0, 1), (0, 2), (2, 0), (2, 1))
    ]


def test_the_row_in_hand_is_shown_after_one_pass(stage, qtbot):
    add(stage, 1, 2, 3)
    stage.model.set_row(2)
    stage.bridge.held = True
    stage.bridge.log.clear()
    stage.bridge.previews.clear()
    stage.model.turn({PartRange("local_3")}, True)
    qtbot.waitUntil(lambda: "switch_matrix" in stage.bridge.log)
    # The preview is asked for first, and the worker serves it first: one decode of a row.
    assert stage.bridge.log == ["switch", "switch_matrix"]
    (request,) = [one for one in stage.bridge.previews if one.channel == "switch"]
    # The diagonal is there already: it does not depend on what comes from where.
    assert request.stored.batch == 2
    before = stage.model.image((2, 0))
    stage.bridge.held, jobs = False, stage.bridge.jobs
    stage.bridge.jobs = []
    waiting, stage.bridge._waiting = stage.bridge._waiting, []
    for one in waiting:
        stage.bridge._answer(one)
    assert not stage.model.waiting((2, 0))
    assert stage.model.waiting((0, 2))
    rough = stage.model.image((2, 0))
    assert not np.array_equal(rough, before)
    stage.bridge.jobs = jobs
    stage.bridge.do_jobs()
    stage.wait()
    # What is shown first is what is kept, but for the rounding of another batch.
    assert np.abs(rough.astype(int) - stage.model.image((2, 0))).max() <= 1
    assert np.array_equal(stage.model.image((2, 0)), exact(stage, stage.model.picture((2, 0))))


def test_a_new_source_makes_only_its_own_row_and_column(stage):
    add(stage, 1, 2, 3)
    add(stage, 4)
    assert set(cells_asked(stage)[-1]) == {
        (3, 3), (0, 3), (1, 3), (2, 3), (3, 0), (3, 1), (3, 2),
    }  # fmt: skip


def test_reordering_removing_and_undo_make_nothing(stage):
    add(stage, 1, 2, 3)
    asked = len(cells_asked(stage))
    image = stage.model.image((0, 2))
    assert stage.model.step(0, 1)
    stage.wait()
    assert np.array_equal(stage.model.image((1, 2)), image)
    stage.model.remove([stage.model.switch.sources[0].id])
    stage.wait()
    assert np.array_equal(stage.model.image((0, 1)), image)
    stage.controller.undo()
    stage.controller.undo()
    stage.wait()
    assert np.array_equal(stage.model.image((0, 2)), image)
    assert len(cells_asked(stage)) == asked


def test_roles_change_the_cells_and_undo_brings_the_old_ones_back(stage):
    add(stage, 1, 2)
    image = stage.model.image((0, 1))
    stage.model.swap()
    stage.wait()
    assert stage.model.texts == ("Local", "Global")
    assert np.array_equal(stage.model.image((1, 0)), image)
    stage.controller.undo()
    assert np.array_equal(stage.model.image((0, 1)), image)


def test_while_other_cells_are_made_the_old_ones_stay(stage, qtbot):
    add(stage, 1, 2)
    image = stage.model.image((0, 1))
    stage.bridge.held = True
    stage.model.swap()
    qtbot.waitUntil(lambda: not stage.model._calm.isActive())
    assert stage.model.waiting((0, 1))
    assert np.array_equal(stage.model.image((0, 1)), image)
    assert not stage.model.waiting((0, 0))
    stage.bridge.release()
    stage.wait()
    assert not stage.model.waiting((0, 1))


def test_a_photograph_is_encoded_and_comes_back(stage):
    stage.model.add_photo(photo(), name="waves")
    stage.wait()
    model = stage.model
    assert model.source(0).name == "waves"
    assert np.array_equal(model.head_image(0), photo())
    trip = model.trip(0)
    error = np.abs(model.image((0, 0)).astype(int) - photo()).max()
    assert trip.max_level_error == error
    assert trip.latent_error < 1e-3


def test_the_check_of_a_cell(stage):
    add(stage, 1, 2)
    assert stage.model.check_of((0, 1)) is None
    stage.model.check((0, 1))
    found = stage.model.check_of((0, 1))
    assert found.local_error < 1e-3
    assert found.global_shift_sigma >= 0
    # It belongs to the cell as it is, not to its place.
    stage.model.swap()
    assert stage.model.check_of((0, 1)) is None


def test_nothing_is_made_out_of_sight(stage):
    stage.model.set_watched(False)
    add(stage, 1, 2)
    assert cells_asked(stage) == []
    stage.model.set_watched(True)
    stage.wait()
    assert len(cells_asked(stage)) == 1


def test_what_was_stopped_is_not_begun_again_by_itself(stage, qtbot):
    add(stage, 1, 2)
    stage.bridge.held = True
    stage.model.swap()
    qtbot.waitUntil(lambda: stage.model.busy)
    stage.controller.cancel()
    qtbot.waitUntil(lambda: stage.model.failure is not None)
    assert "missing" in stage.model.failure.message
    stage.bridge.held = False
    stage.model.try_again()
    stage.wait()
    assert stage.model.failure is None
    assert not stage.model.waiting((0, 1))


def test_partial_rows_are_shown_and_kept(stage, qtbot):
    stage.bridge.stop_after = 3
    stage.model.add([sample(seed) for seed in range(4)])
    qtbot.waitUntil(lambda: bool(cells_asked(stage)))
    shown = [c for c in cells_asked(stage)[0] if stage.model._cells.exact(stage.model.plan.key(c))]
    assert 0 < len(shown) < 16
    assert shown[:4] == [(k, k) for k in range(4)]


def test_edits_of_a_source_are_in_its_parts(stage):
    spec = stage.controller.model.spec
    vector = {p.name: np.zeros(p.shape, np.float32) for p in spec.space().parts}
    vector["global"][0] = 1
    direction = Direction("tilt", "latent", vector, 2.0, "made", fingerprint=spec.fingerprint)
    stage.controller.add_directions([direction], "Make tilt")
    stage.model.add([sample(1, edits={"tilt": 1.0}), sample(2)])
    stage.wait()
    plain = stage.bridge.context.renderer.latents(sample(1))["global"]
    moved = stage.model.latents((0, 1))["global"]
    assert np.allclose(moved - plain, [[2.0, 0, 0, 0, 0, 0]], atol=1e-5)
    # A direction that is removed stays with the source that uses it.
    stage.controller.remove_direction("tilt")
    stage.wait()
    assert stage.model.failure is None
    assert np.allclose(stage.model.latents((0, 1))["global"], moved)


def test_adding_from_canvas_tray_and_clipboard(stage, qapp):
    controller, model = stage.controller, stage.model
    controller.show_picture(sample(5, 6, 7), "Show")
    controller.select(1)
    model.add_canvas()
    assert [source.picture.seeds for source in model.switch.sources] == [(6,)]
    controller.select(None)
    model.add_canvas()
    assert model.count == 4
    controller.keep_picture(sample(8))
    model.add_tray()
    assert model.source(4).seeds == (8,)
    qapp.clipboard().setMimeData(picture_mime([sample(9)]))
    model.paste()
    assert model.source(5).seeds == (9,)
    qapp.clipboard().clear()
    said = []
    model.failed.connect(said.append)
    model.paste()
    assert "clipboard" in said[0].message
    assert controller.history.entries[-1].label == "Switch seed 9"


def test_drops_move_what_is_here_and_add_what_is_not(stage):
    model = stage.model
    add(stage, 1, 2, 3)
    ids = [source.id for source in model.switch.sources]
    data = picture_mime([sample(3)], source="switch", items=[ids[2]])
    assert model.take(data, 0)
    assert [source.picture.seeds[0] for source in model.switch.sources] == [3, 1, 2]
    model.take(picture_mime([sample(3)]), 1)
    assert model.count == 4
    failed = []
    stage.controller.failed.connect(lambda sentence, _details: failed.append(sentence))
    text = QMimeData()
    text.setText("no picture")
    model.take(text)
    assert "no picture" in failed[0]


def test_samples_are_those_of_the_canvas_first(stage):
    canvas = stage.controller.document.canvas
    stage.model.add_samples(4)
    assert [s.picture.seeds[0] for s in stage.model.switch.sources] == list(canvas.seeds[:4])
    stage.model.add_samples(1)
    assert stage.model.count == 5


def test_each_model_has_a_matrix_of_its_own(stage):
    add(stage, 1, 2)
    stage.controller.open_model("waves")
    assert stage.model.switch is None
    assert stage.model.count == 0
    stage.controller.open_model("tiny-flow")
    assert stage.model.count == 2


def test_a_session_brings_the_matrix_back(stage, tmp_path):
    stage.model.add_photo(photo(), name="waves")
    stage.model.add([sample(2)])
    stage.model.set_amounts((0, 1), {PartRange("global"): 0.25})
    stage.wait()
    switch, image = stage.model.switch, stage.model.image((0, 1))
    assert stage.controller.dirty
    path = tmp_path / "matrix.latentlab"
    assert stage.controller.save_session(path)
    stage.model.clear()
    assert stage.model.count == 0
    stage.controller.confirm_loss = lambda: True
    assert stage.controller.load_session(path)
    stage.wait()
    assert stage.model.switch == switch
    assert np.array_equal(stage.model.image((0, 1)), image)


def test_latents_that_are_gone_are_told_of(stage, qtbot):
    stage.model.set_watched(False)
    gone = sample(1).model_copy(update={"seeds": (), "stored": {"global": "0" * 64}})
    switch = stage.model.switch
    stage.model.add([sample(2)])
    source = stage.model.switch.sources[0].model_copy(update={"picture": gone})
    broken = switch.model_copy(update={"sources": (source,)})
    document = stage.controller.document
    document = document.model_copy(update={"switches": {"tiny-flow": broken}})
    stage.controller.apply(document, "Break")
    stage.model.set_watched(True)
    qtbot.waitUntil(lambda: stage.model.failure is not None)
    assert "no longer here" in stage.model.failure.message
