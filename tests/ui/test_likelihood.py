"""The likelihood panel over a small real VAE: figures, files, keys, and sentences on failures."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from latentlab.cli import main
from latentlab.core.likelihood import COLUMNS, ScoreChunk, figure, share_below
from latentlab.core.requests import JobProgress, JobResult
from latentlab.core.settings import Settings
from latentlab.services.library import ModelLibrary
from latentlab.services.likelihood_places import place_colours
from latentlab.services.targets import load_target
from latentlab.ui.controller import Controller
from latentlab.ui.help import HelpPopup
from latentlab.ui.likelihood_model import usual_source
from latentlab.ui.panel_host import need_sentence
from latentlab.ui.panels.likelihood import LikelihoodPanel
from tests.services.models import write_vae
from tests.ui.photo_stage import RealBridge
from tests.ui.stage import pixels
from tests.ui.windows import drop_on, file_data

PORTRAITS = "portraits:count=40,seed=3"


class InlineLane:
    """Does here what would be done by a process that takes seconds to start."""

    def run(self, target: str, **arguments: Any) -> Any:
        yield None
        return load_target(target)(lambda *_: None, **arguments)

    def stop(self) -> None:
        pass


class Stage:
    def __init__(self, folder: Path, qtbot: Any) -> None:
        write_vae(folder / "small-vae.safetensors", image_size=16)
        write_vae(folder / "plain.safetensors", "plain", image_size=16, variant="autoencoder")
        library = ModelLibrary([folder], device="cpu")
        self.bridge = RealBridge(library)
        self.bridge.context.lane = InlineLane()
        self.controller = Controller(self.bridge, Settings(), ModelLibrary([folder]))
        self.controller.open_model("small-vae")
        self.said: list[str] = []
        self.controller.message.connect(lambda text, _details: self.said.append(text))
        self.controller.failed.connect(lambda text, _details: self.said.append(text))
        self.panel = LikelihoodPanel(self.controller)
        qtbot.addWidget(self.panel)
        self.panel.resize(520, 760)
        self.panel.show()
        self.qtbot = qtbot
        self.settle()

    @property
    def model(self) -> Any:
        return self.panel.model

    def settle(self) -> None:
        self.qtbot.waitUntil(lambda: self.model.canvas.current, timeout=20_000)

    def score(self, *others: str, count: int = 12) -> None:
        bar = self.panel.bar
        bar.data.add(PORTRAITS)
        for other in others:
            bar.against.add(other)
        bar.count.setValue(count)
        self.qtbot.mouseClick(bar.button, Qt.MouseButton.LeftButton)

    def nats(self, images: np.ndarray) -> np.ndarray:
        values = torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1
        backend = self.bridge.context.library.backend("small-vae")
        return backend.log_prob(values, options={"samples": 1}).nats.double().numpy()


@pytest.fixture
def stage(tmp_path: Path, qtbot: Any) -> Any:
    stage = Stage(tmp_path, qtbot)
    yield stage
    QGuiApplication.clipboard().clear()


def test_the_image_of_the_canvas_is_scored_while_somebody_looks(stage: Stage):
    image, _ = stage.bridge.context.renderer.exact(stage.controller.document.canvas)
    bits = -stage.nats(image[:1])[0] / (768 * math.log(2))
    found = stage.model.canvas.found
    assert found.bits == pytest.approx(bits, rel=1e-5)
    assert f"at most {figure(bits, 3)} bits/dim" in stage.panel.image.accessibleDescription()
    stage.controller.select(2)
    stage.settle()
    other = -stage.nats(image[2:3])[0] / (768 * math.log(2))
    assert stage.model.canvas.found.bits == pytest.approx(other, rel=1e-5)
    assert stage.panel.image.facts()[0] == "Image 3"
    stage.panel.hide()
    stage.controller.select(3)
    stage.qtbot.wait(300)
    assert not stage.model.canvas.current


def test_the_map_is_painted_and_read_off(stage: Stage):
    found = stage.model.canvas.found
    assert found.places.mean() + found.rest == pytest.approx(found.bits, rel=1e-4)
    row, column = np.unravel_index(found.places.argmax(), found.places.shape)
    box = stage.panel.image.map_rect()
    scale = box.width() // 16
    at = QPoint(box.left() + column * scale + scale // 2, box.top() + row * scale + scale // 2)
    assert stage.panel.image.bits_at(at) == pytest.approx(found.places.max())
    painted = pixels(stage.panel.image)[at.y(), at.x()]
    assert (painted == place_colours(found.places).levels[row, column]).all()


def test_two_data_sets_are_compared(stage: Stage):
    stage.score("faded")
    first, second = stage.model.complete
    assert len(first) == len(second) == 12
    assert second.data.faded
    assert "AUC" in stage.panel.verdict.text()
    drawing = stage.panel.plot.drawing()
    assert [share.sum() for share in drawing.counted.shares] == pytest.approx([100, 100])
    share = share_below(stage.model.canvas.found.bits, first.bits)
    assert f"Less likely than {100 * share:.0f} % of portraits" in stage.panel.image.facts()


def test_files_have_the_bytes_of_the_command(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    stage.score("faded")
    stage.panel.bar.corrected.click()
    for name in ("a.csv", "a.png", "a.svg"):
        stage.panel.files.save(tmp_path / name)
    stage.panel.end.setCurrentIndex(stage.panel.end.findText("Highest of faded portraits"))
    stage.panel.end.activated.emit(stage.panel.end.currentIndex())
    stage.panel.files.save_strip(tmp_path / "worst.png")
    # The model of the stage is in no folder of the person: it is named by its file.
    words = stage.model.arguments()[3:]
    for name in ("a.csv", "a.png", "a.svg"):
        made = ["likelihood", str(tmp_path / "small-vae.safetensors"), *words]
        worst = ["--worst", str(tmp_path / "b-worst.png")] if name == "a.csv" else []
        assert main([*made, "--out", str(tmp_path / f"b{name[1:]}"), *worst]) == 0
        assert (tmp_path / f"b{name[1:]}").read_bytes() == (tmp_path / name).read_bytes()
    assert (tmp_path / "b-worst.png").read_bytes() == (tmp_path / "worst.png").read_bytes()
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == 24
    with Image.open(tmp_path / "a.png") as made_image:
        assert "likelihood small-vae" in made_image.text["latentlab:command"]


def test_the_histogram_grows_and_can_be_stopped(stage: Stage):
    stage.bridge.held_jobs = True
    stage.score()
    (job,) = [one for one in stage.bridge.jobs if one.kind == "likelihood_data"]
    for start in (0.0, 1.0):
        chunk = ScoreChunk(12, np.array([start, start + 0.5]), np.ones(2))
        stage.bridge.job_progressed.emit(JobProgress(job.job, 2, 12, "Scoring", chunk))
    assert "4 images" in stage.panel.plot.accessibleDescription()
    assert stage.panel.bar.button.text() == "Cance&l"
    stage.qtbot.mouseClick(stage.panel.bar.button, Qt.MouseButton.LeftButton)
    assert stage.bridge.cancelled == [job.job]
    assert not stage.model.running
    assert "4 images" in stage.panel.plot.accessibleDescription()
    assert stage.panel.verdict.text() == "Not all images were scored."
    # Nothing half done is written.
    assert not stage.panel.more.isEnabled()


def test_scores_are_kept_for_the_model_that_made_them(stage: Stage):
    stage.score()
    asked = len(stage.model.complete[0])
    stage.controller.open_model("plain")
    assert stage.model.complete == []
    assert stage.model.canvas.found is None
    stage.controller.open_model("small-vae")
    assert len(stage.model.complete[0]) == asked
    stage.settle()


def test_the_legend_hides_and_keys_read_off(stage: Stage):
    stage.score("faded")
    plot = stage.panel.plot
    box = plot.drawing().legend[0]
    place = QPoint(round(box.left + 4), round((box.top + box.bottom) / 2))
    stage.qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=place)
    assert plot.drawing().drawn == (1,)
    stage.qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=place)
    plot.setFocus()
    before = pixels(plot)
    stage.qtbot.keyClick(plot, Qt.Key.Key_Right)
    edges = plot.drawing().counted.edges
    middle = (len(edges) - 2) // 2
    assert plot.readout().startswith(
        f"{figure(edges[middle], 4)} to {figure(edges[middle + 1], 4)}"
    )
    stage.qtbot.keyClick(plot, Qt.Key.Key_Right)
    assert plot.readout().startswith(figure(edges[middle + 1], 4))
    assert plot.readout() in plot.accessibleDescription()
    assert (pixels(plot) != before).any()
    stage.qtbot.keyClick(plot, Qt.Key.Key_H)
    assert plot.drawing().drawn == (0,)


def test_an_extreme_image_becomes_the_photograph_of_the_canvas(stage: Stage):
    stage.score()
    strip, scores = stage.panel.strip, stage.model.complete[0]
    assert int(strip.extremes.order[0]) == int(scores.bits.argmax())
    strip.setCurrentIndex(strip.extremes.index(0))
    strip.setFocus()
    stage.qtbot.keyClick(strip, Qt.Key.Key_Return)
    canvas = stage.controller.document.canvas
    assert (stage.controller.photo_of(canvas) == scores.image(int(scores.bits.argmax()))).all()
    # The photograph is what is scored then, so it is the least likely of them again.
    stage.settle()
    assert stage.model.canvas.found.is_photo
    assert stage.model.canvas.found.bits == pytest.approx(scores.bits.max(), rel=1e-6)
    assert stage.panel.photo.isVisible()
    stage.panel.photo.setCurrentIndex(1)
    stage.panel.photo.activated.emit(1)
    stage.settle()
    assert not stage.model.canvas.found.is_photo


def test_the_corrected_score_orders_anew(stage: Stage):
    stage.score()
    scores = stage.model.complete[0]
    stage.panel.bar.corrected.click()
    expected = np.argsort(-(scores.bits - scores.complexity), kind="stable")
    assert stage.panel.strip.extremes.order.tolist() == expected.tolist()
    assert "less PNG" in stage.panel.image.facts()[1]
    assert stage.panel.end.itemText(0) == "Highest of portraits"


def test_images_of_a_folder_can_be_opened_and_written(stage: Stage, tmp_path: Path):
    folder = tmp_path / "faces"
    folder.mkdir()
    levels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    for place, image in enumerate(levels):
        Image.fromarray(image).save(folder / f"face{place}.png")
    assert drop_on(stage.panel, file_data(folder))
    assert stage.panel.bar.against.source == str(folder)
    stage.score(str(folder))
    scores = stage.model.complete[1]
    stage.panel.end.setCurrentIndex(stage.panel.end.findText("Least likely of faces"))
    stage.panel.end.activated.emit(stage.panel.end.currentIndex())
    open_file = stage.panel.strip.menu(0).actions()[3]
    assert open_file.text() == "&Open file"
    assert open_file.isEnabled()
    stage.panel.files.save_strip(tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    worst = int(scores.bits.argmax())
    assert names[0] == f"001-{scores.bits[worst]:.3f}-face{worst}.png"
    with Image.open(tmp_path / "out" / names[0]) as written:
        assert (np.asarray(written) == levels[worst]).all()


def test_bad_data_gets_a_sentence_and_loses_nothing(stage: Stage):
    stage.score()
    kept = stage.model.complete[0]
    stage.score("/nowhere/faces.zip")
    assert "There is no" in stage.panel.verdict.text()
    stage.panel.bar.against.box.setCurrentIndex(0)
    stage.panel.bar.against.box.activated.emit(0)
    stage.qtbot.mouseClick(stage.panel.bar.button, Qt.MouseButton.LeftButton)
    assert stage.model.complete == [kept]


def test_a_failure_stands_where_the_result_would_be(stage: Stage):
    stage.bridge.held_jobs = True
    stage.score()
    from latentlab.core.requests import Failure

    stage.bridge.job_finished.emit(
        JobResult(stage.bridge.jobs[-1].job, failure=Failure("It broke: try again."))
    )
    assert stage.panel.error.isVisible()
    assert stage.panel.error.failure.message == "It broke: try again."
    stage.bridge.held_jobs, stage.bridge.jobs = False, []
    stage.score()
    assert not stage.panel.error.isVisible()
    assert len(stage.model.complete) == 1


def test_what_it_does_not_say_is_said(stage: Stage):
    assert "no outlier test" in stage.panel._note.text()
    stage.qtbot.mouseClick(stage.panel.limits, Qt.MouseButton.LeftButton)
    (popup,) = [w for w in QApplication.topLevelWidgets() if isinstance(w, HelpPopup)]
    assert "Nalisnick et al. 2019" in popup.body.text()
    assert "Serrà et al. 2020" in popup.body.text()
    popup.close()


def test_what_a_model_needs_and_was_measured_on(stage: Stage):
    header = stage.controller.library.resolve("plain").header
    assert "tell how likely an image is" in need_sentence("Likelihood", ["log_prob"], header)
    data = {"source": "portraits:count=9", "held_out": {"source": "portraits:count=5,seed=2"}}
    spec = header.spec
    provenance = spec.provenance.model_copy(update={"recipe": {"data": data}})
    assert usual_source(spec.model_copy(update={"provenance": provenance})) == (
        "portraits:count=5,seed=2"
    )
    assert usual_source(spec) == "portraits"
