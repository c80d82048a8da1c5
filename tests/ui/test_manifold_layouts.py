"""The map: where its points come from, how they are laid out, and what is said when that fails."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QPushButton, QToolButton

from latentlab.core.latents import Latents
from latentlab.core.pointfile import write_points
from latentlab.core.requests import Failure
from latentlab.services.maps_cache import maps_folder
from latentlab.ui import map_layouts, map_model
from latentlab.ui.map_layouts import DIRECTIONS, PCA, THREE, TSNE, LayoutChoice, by_components
from tests.ui.map_stage import LEFT, MapStage

pytestmark = pytest.mark.gui


@pytest.fixture
def stage(tmp_path, qtbot, monkeypatch):
    stage = MapStage(tmp_path, monkeypatch)
    stage.controller.open_model("waves")
    return stage


@pytest.fixture
def panel(stage, qtbot):
    panel = stage.panel(qtbot)
    stage.open_points(panel, stage.points())
    return panel


def test_pca_agrees_with_scikit_learn(stage):
    from sklearn.decomposition import PCA as Reference

    points = stage.points()
    rows = points.parts["z"].astype(np.float64)
    reference = Reference(2).fit(rows)
    placed = by_components(LayoutChoice(PCA), points)
    plane = placed.plane
    ours = np.stack([plane.x_axis["z"], plane.y_axis["z"]])
    np.testing.assert_allclose(np.abs((ours * reference.components_).sum(1)), 1, atol=1e-9)
    np.testing.assert_allclose(plane.origin["z"], reference.mean_, atol=1e-9)
    share = 100 * reference.explained_variance_ratio_[0]
    assert f"{share:.0f}%" in plane.x_label
    np.testing.assert_allclose(placed.coordinates, plane.coordinates(points.parts), atol=1e-4)
    places = plane.coordinates(points.parts)
    np.testing.assert_allclose(np.abs(places), np.abs(reference.transform(rows)), atol=1e-4)


def test_a_plane_of_two_directions_in_sigma(panel, stage):
    panel.model.choose_layout(LayoutChoice(DIRECTIONS, "zebra", "mustache"))
    rows = panel.model.points.parts["z"].astype(np.float64)
    expected = (rows - rows.mean(0))[:, [0, 4]] / 1.5
    np.testing.assert_allclose(panel.model.placed.coordinates, expected, atol=1e-4)
    assert panel.bar.axis_boxes["x"].isVisible()
    assert panel.model.placed.y_label == "Mustache (σ)"
    assert panel.bar.axis_boxes["x"].currentData() == "zebra"
    assert panel.bar.axis_boxes["y"].currentData() == "mustache"


def choose(box, data) -> None:
    """Choose an entry as a person does."""
    box.setCurrentIndex(box.findData(data))
    box.activated.emit(box.currentIndex())


def test_three_kept_pictures_span_a_plane_edits_included(panel, stage):
    choose(panel.bar.layout_box, THREE)
    assert "Choose kept pictures for A, B, C" in panel.note.text.text()
    controller = stage.controller
    controller.set_sampling(seed=1, count=1)
    controller.set_edit("smiling", 2.0)
    controller.keep()
    for seed in (2, 3, 4):
        controller.set_sampling(seed=seed, count=1)
        controller.keep()
    choose(panel.bar.layout_box, THREE)
    tray = [item.picture for item in controller.document.tray]
    places = np.array([[0, 0], [1, 0], [0, 1]])
    corners = [stage.bridge.latents_of(picture)[0] for picture in tray]
    np.testing.assert_allclose(panel.model.plane.latents(places)["z"], corners[:3], atol=1e-5)
    assert not panel.note.text.isVisible()
    box = panel.bar.slot_boxes["B"]
    box.setCurrentIndex(4)
    box.activated.emit(4)
    expected = [corners[0], corners[3], corners[2]]
    np.testing.assert_allclose(panel.model.plane.latents(places)["z"], expected, atol=1e-5)


def test_pca_stays_while_tsne_is_computed_and_its_failure_is_said(panel, stage):
    panel.model.choose_layout(LayoutChoice(TSNE, settings={"perplexity": 50}))
    assert panel.model.placed.choice.method == PCA
    assert "PCA is shown meanwhile" in panel.note.text.text()
    coordinates = np.random.default_rng(2).normal(size=(300, 2)).astype(np.float32)
    layout = SimpleNamespace(coordinates=coordinates, plane=None)
    arguments = stage.bridge.finish("map_layout", layout)
    assert arguments["method"] == TSNE
    assert arguments["settings"] == {"perplexity": 50}
    np.testing.assert_array_equal(panel.model.placed.coordinates, coordinates)
    assert not panel.tools.layers["tiles"].isEnabled()
    panel.model.choose_layout(LayoutChoice("umap"))
    stage.bridge.finish("map_layout", failure=Failure("UMAP needs umap-learn: install it."))
    assert panel.note.failure.isVisible()
    assert "umap-learn" in panel.note.failure.sentence.text()
    assert panel.model.choice.method == TSNE


def test_a_cancelled_layout_goes_back_to_what_is_shown(panel, stage, qtbot):
    panel.model.choose_layout(LayoutChoice(TSNE))
    stage.controller.cancel()
    qtbot.waitUntil(lambda: panel.model.choice.method == PCA)
    assert not panel.note.text.isVisible()


def test_many_points_are_sorted_beside_the_window_and_then_hit(stage, qtbot, monkeypatch):
    """A t-SNE that comes for many points too: it is what is chosen, and shown when it is sorted."""
    monkeypatch.setattr(map_layouts, "SORTED_AT_ONCE", 100)
    panel = stage.panel(qtbot)
    stage.open_points(panel, stage.points())
    assert panel.model.placed is None
    assert "Placing 300 points" in panel.note.text.text()
    qtbot.waitUntil(lambda: panel.map.count == 300)
    panel.model.choose_layout(LayoutChoice(TSNE))
    coordinates = np.random.default_rng(2).normal(size=(300, 2)).astype(np.float32)
    stage.bridge.finish("map_layout", SimpleNamespace(coordinates=coordinates, plane=None))
    qtbot.waitUntil(lambda: panel.model.placed.choice.method == TSNE)
    assert panel.model.choice.method == TSNE
    for point in (0, 123, 299):
        at = panel.map.to_pixels(*coordinates[point])
        found = panel.map.point_at(at)
        assert np.hypot(*(coordinates[found] - coordinates[point])) < 1e-6
    assert not panel.note.text.isVisible()


def test_a_layout_that_is_placed_too_late_is_not_shown(stage, qtbot, monkeypatch):
    monkeypatch.setattr(map_layouts, "SORTED_AT_ONCE", 100)
    panel = stage.panel(qtbot)
    stage.open_points(panel, stage.points())
    qtbot.waitUntil(lambda: panel.map.count == 300)
    panel.model.choose_layout(LayoutChoice(DIRECTIONS, "zebra", "mustache"))
    panel.model.choose_layout(LayoutChoice(THREE))
    qtbot.wait(100)
    assert panel.model.placed.choice.method == PCA


def test_an_empty_map_offers_prior_samples_and_failures_stand_where_it_would_be(stage, qtbot):
    panel = stage.panel(qtbot)
    assert panel.empty.isVisible()
    button = panel.empty.findChild(QPushButton)
    assert "2,000 prior samples" in button.text().replace("&", "")
    qtbot.mouseClick(button, LEFT)
    arguments = stage.bridge.finish("map_points", failure=Failure("The disk is full: free some."))
    assert (arguments["model"], arguments["source"]) == ("waves", "prior")
    assert panel.error.isVisible()
    assert "disk is full" in panel.error.failure.message
    panel.model.map_source()
    stage.files["prior.safetensors"] = stage.points(prior=True)
    ready = SimpleNamespace(path="prior.safetensors", count=300, skipped=())
    stage.bridge.finish("map_points", ready)
    assert panel.map.isVisible()
    assert panel.map.count == 300


def test_the_bundled_map_is_there_at_once_without_a_job(stage, qtbot):
    stage.bundled = Path("bundled.safetensors")
    stage.files["bundled.safetensors"] = stage.points()
    panel = stage.panel(qtbot)
    assert panel.map.isVisible()
    assert panel.map.count == 300
    assert not [job for job in stage.bridge.jobs if job.kind.startswith("map")]
    assert panel.model.colour == "kind"


def test_another_model_has_another_map_and_the_first_comes_back(panel, stage):
    stage.controller.open_model("flat")
    assert panel.empty.isVisible()
    stage.controller.open_model("waves")
    assert panel.map.isVisible()
    assert panel.map.count == 300


def test_a_map_of_other_weights_is_refused(panel, stage):
    stage.open_points(panel, stage.points(fingerprint="f" * 64), "old")
    assert panel.error.isVisible()
    assert "other weights" in panel.error.failure.message


@pytest.mark.parametrize("width", [420, 900])
def test_nothing_is_cut_at_the_width_of_a_dock(stage, qtbot, width):
    panel = stage.panel(qtbot, width=width)
    stage.open_points(panel, stage.points())
    panel.model.choose_layout(LayoutChoice(DIRECTIONS, "zebra", "mustache"))
    panel.model.select(np.arange(30))
    qtbot.wait(20)
    assert panel.minimumSizeHint().width() <= width
    for child in panel.findChildren(QToolButton):
        if child.isVisible():
            corner = child.mapTo(panel, QPoint(0, 0))
            assert panel.rect().contains(corner), child.accessibleName()
            assert corner.x() + child.width() <= width, child.accessibleName()


def test_latents_are_never_of_the_wrong_space(panel, stage):
    stage.controller.open_model("flat")
    stage.open_points(panel, stage.points(width=2), "flat")
    assert panel.model.placed.choice.method == "native"
    latents = panel.model.plane.latents([[0.5, -1.0]])
    assert isinstance(latents, Latents)
    np.testing.assert_allclose(latents["z"], [[0.5, -1.0]])


def test_a_map_that_was_made_before_opens_at_once(tmp_path, qtbot, monkeypatch):
    stage = MapStage(tmp_path, None)
    stage.controller.open_model("waves")
    folder = maps_folder()
    folder.mkdir(parents=True)
    made = stage.points(model="waves")
    write_points(folder / "one.safetensors", made)
    other = dataclasses.replace(made, fingerprint="e" * 64)
    write_points(folder / "two.safetensors", other)
    (folder / "three.safetensors").write_bytes(b"no points")
    panel = stage.panel(qtbot)
    assert panel.map.count == 300
    np.testing.assert_array_equal(panel.model.points.rows, made.rows)
    np.testing.assert_array_equal(panel.model.points.parts["z"], made.parts["z"])
    out = tmp_path / "names.txt"
    panel.files.write_names(out, np.array([3]))
    assert out.read_text().splitlines()[1].split("\t")[:4] == ["3", "1003", "", "faces.zip"]


def test_a_large_file_is_read_in_a_thread(tmp_path, qtbot, monkeypatch):
    monkeypatch.setattr(map_model, "MUCH_TO_READ", 10)
    stage = MapStage(tmp_path, None)
    stage.controller.open_model("waves")
    panel = stage.panel(qtbot)
    path = tmp_path / "big.safetensors"
    write_points(path, stage.points(model="waves"))
    panel.model.open(path)
    assert "Reading the map" in panel.note.text.text()
    qtbot.waitUntil(lambda: panel.map.count == 300)
    assert not panel.note.text.isVisible()
    panel.model.open(path)
    stage.controller.open_model("flat")
    qtbot.wait(100)
    assert panel.empty.isVisible()


def test_the_menus_fit_the_map_and_keep_its_selection(window, monkeypatch, qtbot):
    stage = MapStage.of_window(window, monkeypatch)
    panel = window.hosts["manifold"].panel
    stage.open_points(panel, stage.points())
    actions = window.actions_table
    actions.refresh()
    assert not actions.actions["keep_map_selection"].isEnabled()
    panel.map.zoom(5.0)
    seen = panel.map.view_rect()
    actions.actions["fit_map"].trigger()
    assert panel.map.view_rect() != seen
    panel.model.select(np.arange(4))
    actions.refresh()
    actions.actions["keep_map_selection"].trigger()
    assert len(window.controller.document.tray) == 4
