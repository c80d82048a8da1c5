"""What a map is copied and saved as: images, tables, names."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from latentlab.core import pointfile
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import replace_file
from latentlab.ui.map_background import Background
from latentlab.ui.map_model import MapModel
from latentlab.ui.map_pictures import label_text, table_rows
from latentlab.ui.widgets.point_map import PointMap

MANY_ROWS = 5000
"""A table of more rows is written in a thread."""


class MapFiles(QObject):
    """Menu and files of one map.

    Args:
        controller: of the window.
        model: of the map.
        point_map: what is copied.
        parent: the panel.
    """

    def __init__(
        self, controller: Any, model: MapModel, point_map: PointMap, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._model = model
        self._map = point_map
        self._panel = parent
        self._writing = Background(self)

    def menu(self, parent: QWidget) -> QMenu:
        """Return the menu of the map."""
        menu = QMenu(parent)
        bundled = menu.addAction("&Bundled map")
        bundled.triggered.connect(self._open_bundled)
        show_all = menu.addAction("Show &all points")
        show_all.triggered.connect(self._model.show_all)
        menu.addSeparator()
        copy = menu.addAction("&Copy map")
        copy.triggered.connect(self._map.copy_image)
        writers = (
            ("Save as &PNG…", "png", self._map.save_png),
            ("Save as &SVG…", "svg", self._map.save_svg),
            ("Save points as CS&V…", "csv", self._save_points),
        )
        saves = []
        for title, suffix, write in writers:
            action = menu.addAction(title)
            action.triggered.connect(
                lambda _=False, suffix=suffix, write=write: self._save(suffix, write)
            )
            saves.append(action)

        def refresh() -> None:
            has_points = self._model.points is not None
            for action in (copy, *saves):
                action.setEnabled(has_points)
            show_all.setEnabled(self._model.isolated is not None)
            path = self._model.bundled()
            bundled.setEnabled(path is not None and path != self._model.path)

        menu.aboutToShow.connect(refresh)
        return menu

    def _open_bundled(self) -> None:
        path = self._model.bundled()
        if path is not None:
            self._model.open(path)

    def _save(self, suffix: str, write: Any) -> None:
        title = f"Save the map as {suffix.upper()}"
        path, _ = QFileDialog.getSaveFileName(
            self._panel, title, f"map.{suffix}", f"{suffix.upper()} (*.{suffix})"
        )
        if path:
            chosen = Path(path)
            if chosen.suffix.lower() != f".{suffix}":
                chosen = chosen.with_name(f"{chosen.name}.{suffix}")
            with self._controller.reporting():
                write(chosen)
                self._controller.message.emit(f"Written: {chosen.name}", str(chosen))

    def _save_points(self, path: Path) -> None:
        points = self._model.points
        if points is None:
            return
        everything = range(len(points))
        columns: dict[str, Any] = {("seed" if points.is_prior else "row"): points.rows}
        for name, column in points.labels.items():
            columns[name] = [label_text(column, point) for point in everything]
        self._map.save_csv(path, columns)

    def save_names(self, points: np.ndarray) -> None:
        """Ask for a file and write where some points come from, with labels and places."""
        path, _ = QFileDialog.getSaveFileName(
            self._panel, "Export the selected points", "points.csv", "Tables (*.csv *.txt)"
        )
        if path:
            chosen = Path(path)
            self._writing.run(
                lambda: self.write_names(chosen, points),
                lambda _: self._controller.message.emit(
                    f"Written: {chosen.name}, {len(points):,} points", path
                ),
                lambda failure: self._controller.failed.emit(failure.message, failure.details),
                much=len(points) > MANY_ROWS,
            )

    def write_names(self, path: Path, points: np.ndarray) -> None:
        """Write a table of some points: commas, or tabs in a text file.

        Raises:
            LatentLabError: the file cannot be written, or there is no map.
        """
        shown, placed = self._model.points, self._model.placed
        if shown is None or placed is None:
            raise LatentLabError("There is no map: map some images first.")
        path_here = self._model.path
        names = None if path_here is None else pointfile.read_point_names(path_here)
        chosen = (int(point) for point in points)
        heading, rows = table_rows(shown, chosen, placed.coordinates, names)
        text = io.StringIO()
        tabs = path.suffix.lower() == ".txt"
        writer = csv.writer(text, delimiter="\t" if tabs else ",", lineterminator="\n")
        writer.writerow(heading)
        writer.writerows(rows)
        replace_file(path, lambda target: target.write_text(text.getvalue(), encoding="utf-8"))
