"""A map panel over the worker of formulas: points files are values, a test ends the jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest

from latentlab.core import pointfile
from latentlab.core.labels import LabelColumn
from latentlab.core.modelfile import ModelHeader, StoredModel, write_model
from latentlab.core.points import PRIOR, PointSet
from latentlab.core.requests import JobResult
from latentlab.core.settings import Settings
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec
from latentlab.services import maps
from latentlab.services.library import ModelLibrary
from latentlab.ui.controller import Controller
from latentlab.ui.panels.manifold import ManifoldPanel
from tests.ui.stage import DEPTH, SIZE, FormulaBridge, directions


class MapBridge(FormulaBridge):
    """Jobs wait until they are finished by hand; a cancelled one ends at once."""

    def __init__(self, size: int = SIZE) -> None:
        super().__init__(size)
        self.cancelled: list[str] = []

    def cancel(self, job: str) -> None:
        self.cancelled.append(job)
        self.jobs = [one for one in self.jobs if one.job != job]
        self.job_finished.emit(JobResult(job, cancelled=True))

    def of_kind(self, kind: str) -> list[Any]:
        return [job for job in self.jobs if job.kind == kind]

    def finish(self, kind: str, value: Any = None, failure: Any = None) -> dict[str, Any]:
        """End the newest job of a kind; return what it was asked."""
        job = self.of_kind(kind)[-1]
        self.jobs.remove(job)
        self.job_finished.emit(JobResult(job.job, value=value, failure=failure))
        return dict(job.arguments)

    def asked(self, channel: str) -> list[Any]:
        return [request for request in self.requests if request.channel == channel]


def write_map_model(folder: Path, name: str, width: int) -> Path:
    space = LatentSpace(name="z", parts=(PartSpec(name="z", shape=(width,)),))
    spec = ModelSpec(
        id=name,
        title=name.title(),
        family="vae",
        image_shape=(3, SIZE, SIZE),
        spaces=(space,),
        capabilities=("sample", "decode", "encode"),
    )
    path = folder / f"{name}.safetensors"
    weights = {"bias": np.arange(4, dtype=np.float32) + width}
    known = directions() if width == DEPTH else {}
    write_model(path, StoredModel(ModelHeader(config={}, spec=spec), weights, known))
    return path


def labels(count: int) -> dict[str, LabelColumn]:
    third = (np.arange(count) % 3).astype(np.float32)
    shade = np.linspace(-1, 1, count, dtype=np.float32)
    return {
        "kind": LabelColumn("kind", "categorical", third, ("round", "square", "star")),
        "shade": LabelColumn("shade", "continuous", shade),
    }


class MapStage:
    """A controller; points files are only values, or real ones when nothing is patched."""

    def __init__(self, folder: Path, monkeypatch: Any, width: int = DEPTH, count: int = 300):
        write_map_model(folder, "waves", width)
        write_map_model(folder, "flat", 2)
        self.bridge = MapBridge()
        self.bridge.directions = directions()
        self.controller = Controller(self.bridge, Settings(animation=False), ModelLibrary([folder]))
        self.files: dict[str, PointSet] = {}
        self.bundled: Path | None = None
        self.count, self.width = count, width

        if monkeypatch is not None:
            self._fake(monkeypatch)

    @classmethod
    def of_window(cls, window: Any, monkeypatch: Any) -> MapStage:
        """A stage around a whole window of formulas."""
        stage = cls.__new__(cls)
        stage.bridge, stage.controller = window.bridge, window.controller
        stage.files, stage.bundled, stage.count, stage.width = {}, None, 300, DEPTH
        stage._fake(monkeypatch)
        return stage

    def _fake(self, monkeypatch: Any) -> None:
        """Let points files be values: their paths are only names."""
        named = [f"{point}.png" for point in range(self.count)]
        monkeypatch.setattr(pointfile, "read_points", lambda path: self.files[str(path)])
        monkeypatch.setattr(pointfile, "read_point_names", lambda path: named)
        monkeypatch.setattr(maps, "bundled_map", lambda model, fingerprint: self.bundled)

    def points(self, prior: bool = False, width: int | None = None, **more: Any) -> PointSet:
        """Points on a regular spread of places, so that none hides another."""
        width = self.width if width is None else width
        rng = np.random.default_rng(5)
        rows = rng.normal(size=(self.count, width)).astype(np.float32)
        rows *= np.linspace(2.0, 0.3, width, dtype=np.float32)
        side = int(np.sqrt(self.count))
        grid = np.stack(np.meshgrid(np.linspace(-3, 3, side), np.linspace(-2, 2, side)), -1)
        rows[: side * side, :2] = grid.reshape(-1, 2)
        entry = self.controller.model_entry
        assert entry is not None
        values: dict[str, Any] = {
            "model": entry.id,
            "fingerprint": entry.header.spec.fingerprint,
            "space": "z",
            "source": PRIOR if prior else "faces.zip",
            "rows": np.arange(self.count) + 1000,
            "parts": {"z": rows},
            "labels": {} if prior else labels(self.count),
        }
        return PointSet(**{**values, **more})

    def panel(self, qtbot: Any, width: int = 700, height: int = 760) -> ManifoldPanel:
        panel = ManifoldPanel(self.controller)
        qtbot.addWidget(panel)
        panel.resize(width, height)
        with qtbot.waitExposed(panel):
            panel.show()
        return panel

    def open_points(self, panel: ManifoldPanel, points: PointSet, name: str = "map") -> None:
        path = Path(f"{name}.safetensors")
        self.files[str(path)] = points
        panel.model.open(path)


LEFT = Qt.MouseButton.LeftButton
NONE = Qt.KeyboardModifier.NoModifier


def place(panel: ManifoldPanel, point: int) -> QPointF:
    """Where a point stands on the map, in its pixels."""
    return panel.map.to_pixels(*panel.model.placed.coordinates[point])


def empty_place(panel: ManifoldPanel) -> QPointF:
    """A place inside the plot that is far from every point."""
    box = panel.map.plot_rect()
    coordinates = panel.model.placed.coordinates
    spots = np.array([panel.map.to_pixels(*row).toTuple() for row in coordinates])
    best, room = None, 0.0
    for x in np.linspace(box.left() + 4, box.right() - 4, 60):
        for y in np.linspace(box.top() + 4, box.bottom() - 4, 60):
            away = float(np.hypot(*(spots - (x, y)).T).min())
            if away > room:
                best, room = QPointF(round(x), round(y)), away
    assert best is not None
    assert room > 9
    return best


def click(panel, at: QPointF) -> None:
    QTest.mouseClick(panel.map, LEFT, NONE, at.toPoint())


def hover(panel, qtbot, at: QPointF) -> None:
    QTest.mouseMove(panel.map, at.toPoint() - QPoint(1, 0))
    QTest.mouseMove(panel.map, at.toPoint())
    qtbot.wait(5)


def drag(panel, path: list[QPointF]) -> None:
    QTest.mousePress(panel.map, LEFT, NONE, path[0].toPoint())
    for at in path[1:]:
        QTest.mouseMove(panel.map, at.toPoint())
    QTest.mouseRelease(panel.map, LEFT, NONE, path[-1].toPoint())
