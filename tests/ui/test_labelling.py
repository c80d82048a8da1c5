"""Yes or no to one image after another: keys, prefetching, and the direction that comes of it."""

from __future__ import annotations

import csv
import io
from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtTest import QTest

from latentlab.core.labels import LabelColumn
from latentlab.core.latents import Latents
from latentlab.core.noise import noise_rows
from latentlab.core.points import PointSet
from latentlab.core.requests import Failure
from latentlab.core.spec import LatentSpace, PartSpec
from latentlab.latent.crossval import fold_of_rows
from latentlab.ui.widgets.direction_pages.direction_strip import AMOUNTS
from latentlab.ui.widgets.direction_pages.labelling_model import (
    BATCH,
    CHANNEL,
    FIRST_SEED,
    MAP,
    NO,
    SKIP,
    TRAY,
    YES,
)
from latentlab.ui.widgets.direction_pages.live_fit import live_fit
from tests.ui.directions_stage import (
    base_latents,
    click,
    found,
    make_stage,
    mark,
    moved_images,
)
from tests.ui.stage import DEPTH, pixels, write_formula_model

pytestmark = pytest.mark.gui

Y, N = Qt.Key.Key_Y, Qt.Key.Key_N


@pytest.fixture
def stage(tmp_path, qtbot):
    controller, bridge, panel = make_stage(tmp_path, qtbot)
    panel.activateWindow()
    panel.show_page("labelling", focus=True)
    return controller, bridge, panel.pages["labelling"]


def prior(*seeds: int) -> np.ndarray:
    """Float64 latents of prior samples, straight from the noise."""
    return noise_rows(seeds, "prior", (DEPTH,)).astype(np.float32).astype(np.float64)


def press(page, *keys) -> None:
    for key in keys:
        QTest.keyClick(page.strip.image, key)


def answer_by_sign(page, count: int, noise: int = 0) -> tuple[list[int], list[int]]:
    """Say yes where the first number of the latent is positive; return the seeds of yes and no."""
    yes: list[int] = []
    no: list[int] = []
    for place in range(count):
        seed = int(page.model.current.key[1])
        on = prior(seed)[0, 0] > 0
        if noise and place % noise == 0:
            on = not on
        (yes if on else no).append(seed)
        press(page, Y if on else N)
    return yes, no


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of pairs in the right order, ties half: the definition."""
    on, off = scores[labels == 1], scores[labels == 0]
    pairs = on[:, None] - off[None, :]
    return float(((pairs > 0) + 0.5 * (pairs == 0)).mean())


# Answering.


def test_the_first_images_come_in_one_batch(stage):
    _, bridge, page = stage
    asked = bridge.asked(CHANNEL)
    assert asked[0].picture.seeds == tuple(range(FIRST_SEED, FIRST_SEED + BATCH))
    assert len(asked) == 1
    assert page.model.current.key == ("prior", str(FIRST_SEED))
    assert page.strip.image.hasFocus()


def test_keys_answer_skip_and_go_back(stage):
    _, _, page = stage
    model = page.model
    press(page, Y, Qt.Key.Key_Right, N, Qt.Key.Key_Left, Qt.Key.Key_Space)
    assert [model.count(answer) for answer in (YES, NO, SKIP)] == [2, 2, 1]
    assert page.counts.text() == "2 yes · 2 no · 1 skipped"
    assert model.current.key[1] == str(FIRST_SEED + 5)
    press(page, Qt.Key.Key_Backspace, Qt.Key.Key_Backspace)
    assert page.counts.text() == "2 yes · 1 no"
    assert model.current.key[1] == str(FIRST_SEED + 3)
    press(page, Y)
    assert page.counts.text() == "3 yes · 1 no"
    assert model.current.key[1] == str(FIRST_SEED + 4)


def test_a_key_that_is_held_answers_once(stage, qapp):
    _, _, page = stage
    held = QKeyEvent(
        QEvent.Type.KeyPress, Y, Qt.KeyboardModifier.NoModifier, "y", autorep=True, count=1
    )
    press(page, Y)
    qapp.sendEvent(page.strip.image, held)
    assert page.model.count(YES) == 1


def test_own_keys_are_taken_before_shortcuts_of_the_window(stage, qapp):
    _, _, page = stage
    for key, modifier, taken in (
        (Qt.Key.Key_Space, Qt.KeyboardModifier.NoModifier, True),
        (N, Qt.KeyboardModifier.NoModifier, True),
        (N, Qt.KeyboardModifier.ControlModifier, False),
        (Qt.Key.Key_R, Qt.KeyboardModifier.NoModifier, False),
    ):
        event = QKeyEvent(QEvent.Type.ShortcutOverride, key, modifier)
        event.setAccepted(False)
        qapp.sendEvent(page.strip.image, event)
        assert event.isAccepted() is taken


def test_buttons_do_what_keys_do_and_leave_them_the_focus(stage, qtbot):
    _, _, page = stage
    click(qtbot, page.strip.yes_button)
    click(qtbot, page.strip.no_button)
    click(qtbot, page.strip.skip_button)
    assert page.counts.text() == "1 yes · 1 no · 1 skipped"
    click(qtbot, page.strip.back_button)
    assert page.counts.text() == "1 yes · 1 no"
    assert page.strip.image.hasFocus()


def test_the_next_images_are_fetched_ahead(stage):
    _, bridge, page = stage
    bridge.held = True
    press(page, *[Y] * 8)
    assert len(bridge.asked(CHANNEL)) == 2
    assert bridge.asked(CHANNEL)[1].picture.seeds[0] == FIRST_SEED + BATCH
    press(page, *[N] * 8)
    assert len(bridge.asked(CHANNEL)) == 2
    assert page.model.current is None
    press(page, Y)
    assert page.model.count(YES) == 8
    bridge.held = False
    bridge.release()
    assert page.model.current.key[1] == str(FIRST_SEED + BATCH)


def test_the_image_is_painted_large(stage):
    _, _, page = stage
    grab, box = pixels(page.strip.image), page.strip.image.image_rect()
    image = page.model.current.image
    zoom = box.width() // image.shape[1]
    want = np.kron(image, np.ones((zoom, zoom, 1), np.uint8))
    left = box.left() + (box.width() - want.shape[1]) // 2
    shown = grab[box.top() : box.top() + want.shape[0], left : left + want.shape[1]]
    assert np.array_equal(shown, want)
    assert zoom >= 8


def test_k_keeps_the_image(stage):
    controller, _, page = stage
    press(page, Qt.Key.Key_K)
    (kept,) = controller.document.tray
    assert kept.picture.seeds == (FIRST_SEED,)


def test_a_failure_stands_where_the_image_would_be_and_can_be_tried_again(tmp_path, qtbot):
    controller, bridge, panel = make_stage(tmp_path, qtbot)
    bridge.failure = Failure("The worker is busy.")
    panel.show_page("labelling", focus=True)
    page = panel.pages["labelling"]
    assert page.strip.image.accessibleDescription() == "The worker is busy."
    bridge.failure = None
    assert page.strip.skip_button.text() == "Try again"
    click(qtbot, page.strip.skip_button)
    assert page.model.current is not None
    assert page.model.count(SKIP) == 0
    assert controller.document.tray == ()


def test_a_worker_that_started_anew_is_asked_again(stage):
    _, bridge, page = stage
    bridge.held = True
    press(page, *[Y] * 16)
    bridge._waiting.clear()
    bridge.held = False
    press(page, Qt.Key.Key_Space)
    assert page.model.current.key[1] == str(FIRST_SEED + BATCH)
    assert page.model.count(SKIP) == 0


# The direction.


def test_the_live_direction_is_the_mean_difference(stage, qtbot):
    controller, bridge, page = stage
    page.name_box.setText("bright")
    press(page, Qt.Key.Key_Space)
    yes, no = answer_by_sign(page, 24)
    assert min(len(yes), len(no)) >= 5
    difference = prior(*yes).mean(axis=0) - prior(*no).mean(axis=0)
    vector = difference / np.linalg.norm(difference)
    seen = prior(*yes, *no, FIRST_SEED)
    qtbot.waitUntil(lambda: page.preview.image(0) is not None)
    one = page.live.direction
    assert np.allclose(one.vector["z"], vector, atol=1e-6)
    assert one.scale == pytest.approx(float((seen @ vector).std()), rel=1e-6)
    assert one.name == "bright"
    shown = np.stack([page.preview.image(place) for place in range(7)])
    assert np.array_equal(shown, moved_images(base_latents(controller, bridge), one, AMOUNTS))


def test_nothing_is_claimed_from_few_answers(stage, qtbot):
    _, _, page = stage
    press(page, *[Y] * 5, *[N] * 4)
    qtbot.wait(10)
    assert page.live is None
    assert not page.preview.isVisible()
    assert page.hint.text() == "1 more no until the direction shows."
    assert not page.fit_button.isEnabled()
    press(page, N)
    qtbot.waitUntil(page.preview.isVisible)
    assert page.live.evidence is None
    assert "5 more yes and 5 more no until its AUC shows." in page.hint.text()
    press(page, Qt.Key.Key_Backspace)
    qtbot.waitUntil(lambda: not page.preview.isVisible())


def test_the_auc_is_cross_validated(stage, qtbot):
    _, _, page = stage
    yes, no = answer_by_sign(page, 40, noise=5)
    qtbot.waitUntil(lambda: page.live is not None and page.live.evidence is not None)
    rows = np.concatenate([prior(*yes), prior(*no)])
    labels = np.repeat([1.0, 0.0], [len(yes), len(no)])
    fold, scores = fold_of_rows(labels), np.empty(len(rows))
    for k in range(5):
        rest = fold != k
        on = rows[rest & (labels == 1)].mean(axis=0)
        vector = on - rows[rest & (labels == 0)].mean(axis=0)
        vector /= np.linalg.norm(vector)
        along = rows[rest] @ vector
        scores[~rest] = (rows[~rest] @ vector - along.mean()) / along.std()
    found = page.live.evidence
    assert found.value == pytest.approx(auc(scores, labels), abs=1e-9)
    assert found.low < found.value < found.high
    assert page.evidence.isVisible()
    assert f"AUC {found.value:.2f}" in page.evidence_text.text()


def test_answers_that_are_alike_give_no_direction():
    space = LatentSpace(name="z", parts=(PartSpec(name="z", shape=(3,)),))
    same = [Latents("z", {"z": np.ones((1, 3), np.float32)})] * 6
    assert live_fit("same", space, same, same) is None


def test_parts_are_taken_in_the_order_of_the_space():
    parts = (PartSpec(name="b", shape=(2, 2)), PartSpec(name="a", shape=(3,)))
    space = LatentSpace(name="w", parts=parts)
    rng = np.random.default_rng(5)

    def rows(count: int, shift: float) -> list[Latents]:
        return [
            Latents(
                "w",
                {
                    "a": rng.normal(shift, 1, (1, 3)).astype(np.float32),
                    "b": rng.normal(0, 1, (1, 2, 2)).astype(np.float32),
                },
            )
            for _ in range(count)
        ]

    yes, no = rows(7, 3.0), rows(6, 0.0)
    one = live_fit("x", space, yes, no).direction
    both = {
        part: np.mean([y[part][0].astype(np.float64) for y in yes], axis=0)
        - np.mean([n[part][0].astype(np.float64) for n in no], axis=0)
        for part in ("a", "b")
    }
    norm = np.sqrt(sum((array**2).sum() for array in both.values()))
    for part, array in both.items():
        assert np.allclose(one.vector[part], array / norm, atol=1e-6)


def test_the_fit_goes_through_the_job_with_the_very_latents(stage, qtbot):
    controller, bridge, page = stage
    controller.set_locked("zebra", True)
    page.name_box.setText("bright")
    yes, no = answer_by_sign(page, 24)
    click(qtbot, page.fit_button)
    asked = bridge.finish("fit_group_direction", (found("bright", fingerprint=mark(controller)),))
    assert (asked["name"], asked["method"], asked["model"]) == (
        "bright",
        "mean difference",
        "waves",
    )
    assert [one.name for one in asked["orthogonal_to"]] == ["zebra"]
    for side, seeds in (("positive", yes), ("negative", no)):
        ((picture, latents),) = asked[side]
        assert np.array_equal(latents["z"], prior(*seeds).astype(np.float32))
        assert picture.edits == {}
        assert controller.store.latents(picture) is not None


# What stays, and the table.


def test_answers_survive_another_page_and_another_model(tmp_path, qtbot):
    write_formula_model(tmp_path, "ripples")
    controller, _, panel = make_stage(tmp_path, qtbot)
    panel.show_page("labelling", focus=True)
    page = panel.pages["labelling"]
    press(page, Y, N, Y)
    panel.show_page("groups")
    panel.show_page("labelling")
    assert page.counts.text() == "2 yes · 1 no"
    controller.open_model("ripples")
    assert page.counts.text() == "0 yes · 0 no"
    press(page, N)
    controller.open_model("waves")
    assert page.counts.text() == "2 yes · 1 no"
    assert page.model.current.key[1] == str(FIRST_SEED + 3)
    assert page.model.current.picture.model == "waves"


def test_starting_over_can_be_taken_back(stage, qtbot):
    _, _, page = stage
    press(page, Y, N, Y)
    click(qtbot, page.clear_button)
    assert page.counts.text() == "0 yes · 0 no"
    assert page.model.current.key[1] == str(FIRST_SEED)
    page.strip.setFocus()
    press(page, Qt.Key.Key_Backspace)
    assert page.counts.text() == "2 yes · 1 no"
    assert page.model.current.key[1] == str(FIRST_SEED + 3)


def test_answers_are_written_as_a_table(stage, tmp_path):
    _, _, page = stage
    page.name_box.setText("odd, name")
    press(page, Y, Qt.Key.Key_Space, N)
    page.save(tmp_path / "answers.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "answers.csv").read_text())))
    assert rows == [
        ["source", "item", "odd, name"],
        ["prior", "1000", "1"],
        ["prior", "1001", ""],
        ["prior", "1002", "0"],
    ]


def test_a_table_that_cannot_be_written_says_so(stage, tmp_path, qtbot):
    controller, _, page = stage
    press(page, Y)
    (tmp_path / "file").write_text("no folder")
    with qtbot.waitSignal(controller.failed):
        page.save(tmp_path / "file" / "answers.csv")


# Other images.


def test_kept_images_are_labelled_with_their_edits(stage, qtbot):
    controller, _, page = stage
    controller.set_edit("smiling", 2.0)
    controller.keep(0)
    page.source_box.setCurrentIndex(page.source_box.findData(TRAY))
    page.source_box.activated.emit(0)
    current = page.model.current
    assert current.picture == controller.document.tray[0].picture
    expected = prior(3)[0].copy()
    expected[1] += 2.0 * 1.5
    assert np.allclose(current.latents["z"][0], expected, atol=1e-6)
    press(page, Y)
    assert page.model.current is None
    assert "Every image was answered" in page.strip.image.accessibleDescription()


def test_an_empty_tray_says_what_to_do(stage):
    _, _, page = stage
    page.model.choose_source(TRAY)
    assert "keep some with K" in page.strip.image.accessibleDescription()


def test_points_of_the_map_come_shuffled_and_the_selection_alone(stage, tmp_path, monkeypatch):
    controller, _, page = stage
    rows = np.random.default_rng(0).normal(size=(40, DEPTH)).astype(np.float32)
    column = LabelColumn("on", "binary", np.ones(40, np.float32))
    points = PointSet(
        "waves", mark(controller), "z", "faces.zip", np.arange(40) + 5, {"z": rows},
        labels={"on": column},
    )  # fmt: skip
    controller.map_model = SimpleNamespace(points=points, path=tmp_path / "map.safetensors")
    page.model.choose_source(MAP)
    shown = []
    for _ in range(40):
        shown.append(int(page.model.current.key[1]))
        assert np.array_equal(page.model.current.latents["z"][0], rows[shown[-1]])
        press(page, Y)
    assert sorted(shown) == list(range(40))
    assert shown != sorted(shown)
    names = [f"img {n}.png" for n in range(40)]
    monkeypatch.setattr("latentlab.core.pointfile.read_point_names", lambda _path: names)
    table = list(csv.reader(io.StringIO(page.model.table("on"))))
    assert table[0] == ["file", "on"]
    assert table[1] == [names[shown[0]], "1"]
    page.model.clear()
    controller.map_selection = (str(tmp_path / "map.safetensors"), np.array([4, 9]))
    page.model.choose_source(MAP)
    few = [int(page.model.current.key[1])]
    press(page, N)
    few.append(int(page.model.current.key[1]))
    assert sorted(few) == [4, 9]
