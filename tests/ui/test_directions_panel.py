"""The directions panel: labels of a data set, what was found, files; by mouse, keys and drops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSlider,
)

from latentlab.core.directionfile import load_direction, save_direction
from latentlab.core.modelfile import read_header
from latentlab.core.requests import Failure, JobResult
from latentlab.ui.widgets.direction_pages.direction_strip import AMOUNTS
from latentlab.ui.widgets.direction_pages.evidence_bar import Evidence, EvidenceBar, evidence_of
from tests.ui.directions_stage import (
    LABELS,
    base_latents,
    click,
    found,
    make_stage,
    mark,
    moved_images,
    tell,
)
from tests.ui.stage import NAMES, pixels, write_formula_model
from tests.ui.windows import drop_on, file_data

pytestmark = pytest.mark.gui


@pytest.fixture
def stage(tmp_path, qtbot):
    return make_stage(tmp_path, qtbot)


def choose(stage, tmp_path: Path, rows=LABELS):
    """Drop a data set onto the panel and let its labels come."""
    _, bridge, panel = stage
    path = tmp_path / "faces.zip"
    path.write_bytes(b"PK")
    assert drop_on(panel, file_data(path))
    assert bridge.finish("label_names", rows) == {"source": str(path)}
    return panel.pages["labels"], str(path)


def check(page, *names: str) -> None:
    """Check labels as a person does: with the space bar on the row."""
    tree = page.labels.tree
    for row in range(tree.topLevelItemCount()):
        item = tree.topLevelItem(row)
        if item.text(0).lower() in names:
            tree.setCurrentItem(item)
            tree.setFocus()
            QTest.keyClick(tree, Qt.Key.Key_Space)


def show_found(stage, *directions):
    _, bridge, panel = stage
    page = panel.pages["labels"]
    page.jobs.run("fit_label_directions", "Fitting", {}, page._tools.show)
    bridge.finish("fit_label_directions", directions)
    return panel.results.cards


# From labels.


def test_labels_are_looked_up_and_fitted(stage, tmp_path, qtbot):
    controller, bridge, panel = stage
    controller.set_locked("mustache", True)
    page, path = choose(stage, tmp_path)
    assert page.labels.names == ["smiling", "age", "hair"]
    assert not page.fit_button.isEnabled()
    check(page, "smiling", "age")
    assert page.fit_button.text() == "&Fit 2 directions"
    page.count_box.setValue(2000)
    page.method_box.setCurrentIndex(page.method_box.findData("linear svm"))
    assert "margin" in page.explanation.text()
    click(qtbot, page.fit_button)
    asked = bridge.finish(
        "fit_label_directions", (found("smiling", fingerprint=mark(controller)), found("age", 1))
    )
    assert asked["labels"] == ("smiling", "age")
    assert (asked["model"], asked["source"]) == ("waves", path)
    assert (asked["method"], asked["count"]) == ("linear svm", 2000)
    assert [one.name for one in asked["orthogonal_to"]] == ["mustache"]
    assert "split" not in asked
    assert "attributes" not in asked
    assert [card.direction.name for card in panel.results.cards] == ["smiling", "age"]
    assert controller.document.directions == ()


def test_a_split_and_a_table_go_along(stage, tmp_path, qtbot):
    _, bridge, panel = stage
    page, path = choose(stage, tmp_path)
    page.data.split_box.setCurrentText("train")
    page.data.split_box.lineEdit().editingFinished.emit()
    assert bridge.finish("label_names", LABELS) == {"source": path, "split": "train"}
    table = tmp_path / "mine.csv"
    table.write_text("file,smiling\na.png,1\n")
    assert drop_on(panel, file_data(table))
    asked = bridge.finish("label_names", LABELS)
    assert asked == {"source": path, "split": "train", "attributes": str(table)}
    check(page, "smiling")
    click(qtbot, page.fit_button)
    asked = bridge.finish("fit_label_directions", ())
    assert (asked["split"], asked["attributes"]) == ("train", str(table))


def test_classes_of_a_label_are_chosen_one_by_one(stage, tmp_path):
    page, _ = choose(stage, tmp_path)
    hair = page.labels.tree.topLevelItem(2)
    assert hair.childCount() == 2
    hair.child(1).setCheckState(0, Qt.CheckState.Checked)
    assert page.labels.chosen == ("hair_red",)
    assert page.labels.directions == 1
    hair.setCheckState(0, Qt.CheckState.Checked)
    assert page.labels.chosen == ("hair",)
    assert page.labels.directions == 2


def test_labels_are_found_by_name(stage, tmp_path, qtbot):
    rows = tuple((f"label_{n}", "binary", (), 10) for n in range(12))
    page, _ = choose(stage, tmp_path, rows)
    qtbot.keyClicks(page.labels.search, "bel 11")
    tree = page.labels.tree
    shown = [tree.topLevelItem(r).text(0) for r in range(12) if not tree.topLevelItem(r).isHidden()]
    assert shown == ["Label 11"]


def test_the_first_look_teaches_and_offers_a_beginning(stage, qtbot):
    controller, bridge, panel = stage
    page = panel.pages["labels"]
    button = page.empty.findChild(QPushButton)
    assert page.empty.isVisible()
    assert not button.isVisible()
    spec = controller.model.spec
    provenance = spec.provenance.model_copy(update={"data": {"name": "portraits"}})
    drawn = spec.model_copy(update={"provenance": provenance, "fingerprint": "d" * 64})
    controller.model = controller.model.model_copy(update={"spec": drawn})
    controller.model_changed.emit(controller.model)
    click(qtbot, button)
    assert bridge.finish("label_names", LABELS) == {"source": "portraits"}
    assert not page.empty.isVisible()
    assert page.labels.isVisible()


def test_data_without_labels_says_what_to_do(stage, tmp_path):
    page, _ = choose(stage, tmp_path, ())
    assert "no labels" in page.jobs.failure.message
    assert page.fit_button.isHidden() or not page.fit_button.isVisible()


def test_a_failure_stands_on_the_page(stage, tmp_path, qtbot):
    controller, bridge, _panel = stage
    page, _ = choose(stage, tmp_path)
    check(page, "smiling")
    click(qtbot, page.fit_button)
    with qtbot.assertNotEmitted(controller.failed):
        bridge.finish("fit_label_directions", failure=Failure("A label never varies.", "why"))
    assert page.jobs.failure == Failure("A label never varies.", "why")
    click(qtbot, page.fit_button)
    assert page.jobs.failure is None


def test_progress_and_cancel_stand_on_the_page(stage, tmp_path, qtbot):
    _controller, bridge, _ = stage
    page, _ = choose(stage, tmp_path)
    check(page, "smiling")
    click(qtbot, page.fit_button)
    tell(bridge, "fit_label_directions", 40, 100, "encoding images")
    bar = page.jobs.findChild(QProgressBar)
    qtbot.waitUntil(bar.isVisible)
    assert (bar.value(), bar.maximum()) == (40, 100)
    assert page.fit_button.text() == "Fitting…"
    assert not page.fit_button.isEnabled()
    click(qtbot, page.jobs.findChild(QPushButton))
    assert len(bridge.cancelled) == 1
    assert not page.jobs.running
    assert not bar.isVisible()
    assert page.fit_button.isEnabled()


def test_an_encoder_is_needed(tmp_path, qtbot):
    folder = tmp_path / "models"
    folder.mkdir()
    stage = make_stage(folder, qtbot)
    controller, _bridge, _panel = stage
    page, _ = choose(stage, tmp_path)
    check(page, "smiling")
    path = write_formula_model(folder, "sightless")
    spec = read_header(path).spec.model_copy(update={"capabilities": ("sample", "decode")})
    controller.model = controller.model.model_copy(update={"spec": spec})
    controller.model_changed.emit(controller.model)
    assert not page.fit_button.isEnabled()
    assert "by hand" in page.fit_button.toolTip()


def test_fitting_again_takes_what_a_direction_says(stage, tmp_path, qtbot):
    controller, bridge, panel = stage
    data = {"source": "faces.zip", "split": "train", "attributes": "mine.csv"}
    one = found("red", fingerprint=mark(controller), data=data, label="hair", column="hair_red")
    controller.add_directions([one], "Add")
    panel.show_page("arithmetic")
    panel.refit("red")
    assert panel.pages["labels"].isVisible()
    assert bridge.finish("label_names", LABELS) == {
        "source": "faces.zip",
        "split": "train",
        "attributes": "mine.csv",
    }
    assert panel.pages["labels"].labels.chosen == ("hair_red",)
    assert panel.pages["labels"].method == "logistic"
    with qtbot.waitSignal(controller.failed) as failed:
        panel.refit("zebra")
    assert "does not say" in failed.args[0]


def test_how_to_write_a_table_is_told(stage, tmp_path, qtbot, qapp):
    page, _ = choose(stage, tmp_path)
    click(qtbot, page.data.how_button)
    popup = qapp.activePopupWidget()
    assert "file,smiling,age" in popup.body.text()
    popup.close()


# What was found.


def test_a_card_shows_the_evidence_and_the_strip(stage, qtbot):
    controller, bridge, _ = stage
    controller.set_edit("zebra", 1.5)
    one = found("smiling", fingerprint=mark(controller), orthogonal_to=["hair_color"])
    (card,) = show_found(stage, one)
    assert card.figure.text() == "AUC 0.93\n0.91 to 0.95"
    assert "600 images" in card.caption.text()
    assert "hair colour" in card.caption.text()
    assert card.warning.isHidden()
    qtbot.waitUntil(lambda: card.strip.image(6) is not None)
    expected = moved_images(base_latents(controller, bridge), one, AMOUNTS)
    shown = np.stack([card.strip.image(place) for place in range(7)])
    assert np.array_equal(shown, expected)
    asked = [r for r in bridge.requests if r.channel.startswith("direction ")]
    assert len(asked) == 1
    assert asked[0].stored.batch == 7


def test_the_strip_follows_the_canvas_and_its_pictures_can_be_kept(stage, qtbot):
    controller, bridge, _ = stage
    one = found("smiling", fingerprint=mark(controller))
    (card,) = show_found(stage, one)
    qtbot.waitUntil(lambda: card.strip.image(0) is not None)
    controller.set_sampling(seed=40, count=4)
    controller.select(2)
    latents = base_latents(controller, bridge)[2:3]
    expected = moved_images(latents, one, AMOUNTS)
    qtbot.waitUntil(lambda: np.array_equal(card.strip.image(6), expected[6]))
    card.strip.setFocus()
    qtbot.keyClick(card.strip, Qt.Key.Key_End)
    qtbot.keyClick(card.strip, Qt.Key.Key_K)
    (kept,) = controller.document.tray
    assert np.allclose(
        controller.store.latents(kept.picture)["z"],
        latents.astype(np.float64) + 3 * one.scale * np.asarray(one.vector["z"], np.float64),
        atol=1e-6,
    )


def test_a_weak_direction_says_so(stage):
    controller, _, _ = stage
    one = found("luck", fingerprint=mark(controller), auc=0.55, interval=(0.47, 0.63))
    (card,) = show_found(stage, one)
    assert card.warning.isVisible()
    assert "chance" in card.warning.text()


def test_the_evidence_bar_stands_where_the_figures_are(qtbot):
    bar = EvidenceBar(Evidence("AUC", 0.75, 0.7, 0.8))
    qtbot.addWidget(bar)
    bar.resize(bar.sizeHint())
    bar.show()
    assert bar.x_of(0.5) == 12
    assert bar.x_of(1) == bar.width() - 12
    assert bar.x_of(0.75) == pytest.approx(bar.width() / 2)
    accent = bar.palette().color(QPalette.ColorRole.Highlight).getRgb()[:3]
    columns = np.nonzero((pixels(bar)[6] == accent).all(axis=1))[0]
    assert columns.min() == pytest.approx(bar.x_of(0.7), abs=3)
    assert columns.max() == pytest.approx(bar.x_of(0.8), abs=3)
    assert "0.75" in bar.accessibleName()


@pytest.mark.parametrize(
    "provenance",
    [
        {},
        {"auc": "high", "interval": [0, 1]},
        {"auc": 0.9},
        {"auc": 0.9, "interval": [0.8]},
        {"auc": float("nan"), "interval": [0.1, 0.2]},
        {"auc": 0.9, "interval": ["a", None]},
    ],
)
def test_figures_that_are_none_are_not_shown(provenance):
    assert evidence_of(provenance) is None


def test_add_makes_a_slider_in_one_step(stage, qtbot):
    controller, _, _ = stage
    one = found("smiling", fingerprint=mark(controller))
    (card,) = show_found(stage, one)
    card.name_box.selectAll()
    qtbot.keyClicks(card.name_box, "grin")
    steps = len(controller.history.entries)
    qtbot.keyClick(card.name_box, Qt.Key.Key_Return)
    assert len(controller.history.entries) == steps + 1
    assert [record.name for record in controller.document.directions] == ["grin"]
    assert np.array_equal(controller.directions["grin"].vector["z"], one.vector["z"])
    assert card.added == "grin"
    assert card.add_button.text() == "&Show slider"
    with qtbot.waitSignal(controller.slider_selected) as shown:
        click(qtbot, card.add_button)
    assert shown.args == ["grin"]
    controller.undo()
    assert card.added == ""
    assert card.add_button.text() == "&Add slider"
    click(qtbot, card.add_button)
    assert "grin" in controller.directions


def test_a_name_that_is_taken_gets_a_number(stage, qtbot):
    controller, _, _ = stage
    (card,) = show_found(stage, found("smiling", fingerprint=mark(controller)))
    click(qtbot, card.add_button)
    assert card.added == "smiling 2"


def test_all_are_added_in_one_step_and_put_away(stage, qtbot):
    controller, _, panel = stage
    show_found(stage, *(found(f"new {n}", n, mark(controller)) for n in range(3)))
    steps = len(controller.history.entries)
    click(qtbot, panel.results.add_all)
    assert len(controller.history.entries) == steps + 1
    assert list(controller.directions)[-3:] == ["new 0", "new 1", "new 2"]
    assert not panel.results.add_all.isVisible()
    click(qtbot, panel.results.clear)
    assert panel.results.cards == []
    assert not panel.results.isVisible()
    assert "new 1" in controller.directions


def test_what_was_found_is_scrolled_into_sight(stage, tmp_path, qtbot):
    controller, bridge, panel = stage
    panel.resize(360, 520)
    page, _ = choose(stage, tmp_path)
    check(page, "smiling")
    click(qtbot, page.fit_button)
    bar = panel.area.verticalScrollBar()
    qtbot.wait(20)
    bar.setValue(0)
    bridge.finish("fit_label_directions", (found("smiling", fingerprint=mark(controller)),))
    (card,) = panel.results.cards

    def in_sight() -> bool:
        top = card.mapTo(panel.area.viewport(), card.rect().topLeft()).y()
        return top >= 0 and top + card.height() <= panel.area.viewport().height()

    qtbot.waitUntil(in_sight)


def test_discard_changes_nothing(stage, qtbot):
    controller, _, panel = stage
    before = controller.document
    cards = show_found(stage, found("a", 1, mark(controller)), found("b", 2, mark(controller)))
    click(qtbot, cards[0].discard_button)
    assert [card.direction.name for card in panel.results.cards] == ["b"]
    assert controller.document == before


def test_another_model_hides_what_was_found_and_stops_jobs(tmp_path, qtbot):
    write_formula_model(tmp_path, "ripples")
    stage = make_stage(tmp_path, qtbot)
    controller, bridge, panel = stage
    page, _ = choose(stage, tmp_path)
    (card,) = show_found(stage, found("smiling", fingerprint=mark(controller)))
    check(page, "smiling")
    click(qtbot, page.fit_button)
    controller.open_model("ripples")
    assert len(bridge.cancelled) == 1
    assert panel.results.cards == []
    assert not card.isVisible()
    controller.open_model("waves")
    assert panel.results.cards == [card]
    assert card.isVisible()


def test_a_late_result_of_a_stopped_job_is_dropped(tmp_path, qtbot):
    write_formula_model(tmp_path, "ripples")
    stage = make_stage(tmp_path, qtbot)
    controller, bridge, panel = stage
    page, _ = choose(stage, tmp_path)
    check(page, "smiling")
    bridge.cancel = lambda _job: None
    click(qtbot, page.fit_button)
    job = bridge.of_kind("fit_label_directions")[-1]
    controller.open_model("ripples")
    bridge.job_finished.emit(JobResult(job.job, value=(found("smiling"),)))
    assert panel.results.cards == []


# Files.


def test_a_found_direction_is_exported_before_it_is_added(stage, tmp_path, monkeypatch, qtbot):
    controller, _, _ = stage
    one = found("smiling", fingerprint=mark(controller))
    (card,) = show_found(stage, one)
    target = tmp_path / "grin"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    card.name_box.setText("grin")
    click(qtbot, card.export_button)
    read = load_direction(tmp_path / "grin.direction.safetensors")
    assert (read.name, read.scale, read.provenance) == ("grin", one.scale, dict(one.provenance))
    assert np.array_equal(read.vector["z"], one.vector["z"])


def test_a_dropped_direction_is_looked_at_and_then_added(stage, tmp_path, qtbot):
    controller, _, panel = stage
    path = tmp_path / "friend.safetensors"
    save_direction(path, found("friendly", fingerprint=mark(controller)))
    before = controller.document
    assert drop_on(panel, file_data(path))
    (card,) = panel.results.cards
    assert controller.document == before
    assert "Space z" in card.caption.text()
    assert "these weights" in card.caption.text()
    click(qtbot, card.add_button)
    assert card.added == "friendly"
    assert controller.history.entries[-1].label == "Import Friendly"


def test_an_imported_direction_of_other_weights_warns(stage, tmp_path, monkeypatch, qtbot):
    _, _, panel = stage
    path = tmp_path / "far.safetensors"
    save_direction(path, found("far", fingerprint="ab" * 32))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    click(qtbot, panel.import_button)
    (card,) = panel.results.cards
    assert "abababab" in card.caption.text()
    assert "other weights" in card.warning.text()
    assert card.warning.isVisible()


def test_a_file_that_cannot_be_read_says_so_where_the_result_would_be(stage, tmp_path):
    _, _, panel = stage
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"nothing")
    assert drop_on(panel, file_data(path))
    assert "broken.safetensors" in panel.results.failure.message
    assert panel.results.isVisible()
    assert panel.results.cards == []
    save_direction(path, replace(found("w"), space="w"))
    panel.import_file(path)
    assert "space 'w'" in panel.results.failure.message


def test_a_slider_is_exported_from_the_menu(stage, tmp_path, monkeypatch):
    controller, _, panel = stage
    target = tmp_path / "smile.safetensors"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    actions = panel.export_menu().actions()
    assert [action.text() for action in actions] == [controller.title_of(n) for n in NAMES]
    actions[1].trigger()
    assert np.array_equal(
        load_direction(target).vector["z"], controller.directions["smiling"].vector["z"]
    )


# The pages.


def test_pages_are_chosen_by_click_and_by_key(stage, qtbot):
    _, _, panel = stage
    keys = list(panel.pages)
    assert keys == ["labels", "groups", "labelling", "components", "arithmetic"]
    for key in keys:
        click(qtbot, panel.choosers[key])
        assert [k for k, page in panel.pages.items() if page.isVisible()] == [key]
    panel.activateWindow()
    panel.choosers["labels"].setFocus()
    qtbot.keyClick(panel, Qt.Key.Key_2, Qt.KeyboardModifier.AltModifier)
    assert panel.pages["groups"].isVisible()
    assert panel.choosers["groups"].isChecked()


@pytest.mark.parametrize("key", ["labels", "groups", "labelling", "components", "arithmetic"])
def test_no_page_is_wider_than_a_narrow_panel(tmp_path, qtbot, key):
    stage = make_stage(tmp_path, qtbot, 700)
    controller, _, panel = stage
    _page, _ = choose(stage, tmp_path)
    show_found(stage, found("smiling", fingerprint=mark(controller)))
    for seed in range(4):
        controller.set_sampling(seed=seed)
        controller.keep(0)
    panel.show_page(key)
    panel.resize(320, 700)
    qtbot.waitUntil(lambda: panel.width() == 320)
    inner = panel.area.widget()
    qtbot.waitUntil(lambda: inner.width() <= panel.area.viewport().width())
    assert inner.minimumSizeHint().width() <= panel.area.viewport().width()


def test_every_control_has_a_name(stage, tmp_path):
    _, _, panel = stage
    choose(stage, tmp_path)
    kinds = (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QSlider)
    for kind in kinds:
        for widget in panel.findChildren(kind):
            if widget.isHidden() or widget.objectName().startswith("qt_"):
                continue
            said = widget.accessibleName() or getattr(widget, "text", str)()
            assert said or isinstance(widget.parent(), (QAbstractSpinBox, QComboBox, QLineEdit)), (
                widget,
                widget.parent(),
            )
