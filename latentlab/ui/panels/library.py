"""The library: a card for every model that is here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QFileSystemWatcher,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
    QTimer,
)
from PySide6.QtGui import QColor, QFont, QPainter, QPalette, QPen, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QLabel,
    QLineEdit,
    QListView,
    QStackedLayout,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.card import making
from latentlab.core.card_figures import short_lines
from latentlab.core.errors import LatentLabError
from latentlab.core.spec import Provenance
from latentlab.services.library import Entry
from latentlab.ui.help import TOPIC
from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.images import owned_qimage
from latentlab.ui.widgets.sampling_text import condition_names, diffusion_text
from latentlab.ui.widgets.tips import plain_tip

Index = QModelIndex | QPersistentModelIndex
ENTRY_ROLE = Qt.ItemDataRole.UserRole + 1
PREVIEW_ROLE = Qt.ItemDataRole.UserRole + 2
_THUMB = 48
_CARD = 64
_FAMILIES = {"vae": "VAE", "dcgan": "DCGAN", "stylegan": "StyleGAN", "flow": "Flow"}


def describe_family(entry: Entry) -> str:
    """Return family and image size in a few words; why it cannot be used, if so."""
    if entry.header is None:
        return entry.error or ""
    spec = entry.header.spec
    channels, height, width = spec.image_shape
    family = _FAMILIES.get(spec.family, spec.family.capitalize())
    kind = f"{family} · {width}×{height} {'grey' if channels == 1 else 'colour'}"
    if entry.run is None:
        return kind
    # Several runs of one recipe have one title: their names tell them apart.
    return f"{entry.run.name} · {kind}" if entry.step is None else f"Training · {kind}"


def describe_entry(entry: Entry) -> str:
    """Return what the tooltip of a card says: quality, size, where it is."""
    if entry.header is None:
        return f"{entry.error}\n{entry.path}"
    spec = entry.header.spec
    sizes = ", ".join(f"{space.name}: {space.size}" for space in spec.spaces)
    lines = [f"{entry.title} ({entry.id})", describe_family(entry), f"Latent numbers: {sizes}"]
    lines.append(f"{entry.parameters:,} parameters")
    if spec.diffusion is not None:
        lines.append(diffusion_text(spec.diffusion))
    told = condition_names(spec)
    lines += [f"Is told: {told}"] if told else []
    lines += short_lines(spec.quality)
    lines += making(spec.provenance)
    lines += recipe_lines(spec.provenance)
    if spec.provenance.note:
        lines.append(spec.provenance.note)
    return "\n".join([*lines, str(entry.path)])


def recipe_lines(origin: Provenance) -> list[str]:
    """Return the two settings of a recipe that are asked for first."""
    train = origin.recipe.get("train")
    batch, rate = (
        (train.get("batch_size"), train.get("learning_rate"))
        if isinstance(train, dict)
        else (None, None)
    )
    if not isinstance(batch, int) or not isinstance(rate, int | float):
        return []
    return [f"Recipe: batches of {batch}, learning rate {rate:.3g}"]


class LibraryModel(QAbstractListModel):
    """The entries of the library as rows.

    Args:
        controller: of the window.
    """

    def __init__(self, controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._entries: list[Entry] = []
        self._previews: dict[Path, tuple[str, QPixmap | None]] = {}

    def refresh(self) -> None:
        """Read the library again."""
        entries, before = self._controller.library.entries(), self._entries
        if entries == before:
            return
        if [entry.id for entry in entries] == [entry.id for entry in before]:
            # Other weights of the same models: nothing scrolls, and the selection stays.
            self._entries = entries
            for row, entry in enumerate(entries):
                if entry != before[row]:
                    self.dataChanged.emit(self.index(row), self.index(row))
            return
        self.beginResetModel()
        self._entries = entries
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Number of models."""
        return 0 if parent.isValid() else len(self._entries)

    def flags(self, index: Index) -> Qt.ItemFlag:
        """A model that cannot be used is greyed, and still says why."""
        found = super().flags(index)
        if self._entries[index.row()].error is not None:
            found &= ~(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        return found

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a card shows."""
        entry = self._entries[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(describe_entry(entry))
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{entry.title}, {describe_family(entry)}"
        if role == ENTRY_ROLE:
            return entry
        if role == PREVIEW_ROLE:
            return self._preview(entry)
        return None

    def _preview(self, entry: Entry) -> QPixmap | None:
        if entry.header is None:
            return None
        # Of a run there is one picture, that of its newest weights.
        key, mark = entry.run or entry.path, entry.header.spec.fingerprint
        known = self._previews.get(key)
        if known is not None and known[0] == mark:
            return known[1]
        found = None
        try:
            image = self._controller.library.preview_of(entry)
            found = None if image is None else QPixmap.fromImage(owned_qimage(image))
        except (LatentLabError, ValueError):
            # A card without a picture is a card still.
            found = None
        self._previews[key] = (mark, found)
        return found


class CardDelegate(QStyledItemDelegate):
    """Paints a card: picture, name, family and size."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """As high as the picture, or as the reason needs."""
        entry: Entry = index.data(ENTRY_ROLE)
        width = max(160, option.rect.width())
        if entry.error is None:
            return QSize(width, max(_CARD, 2 * option.fontMetrics.height() + 16))
        metrics = option.fontMetrics
        box = metrics.boundingRect(QRect(0, 0, width - 24, 0), _WRAP, entry.error)
        return QSize(width, metrics.height() + min(box.height(), 4 * metrics.height()) + 24)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint one card."""
        entry: Entry = index.data(ENTRY_ROLE)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        hover = bool(option.state & QStyle.StateFlag.State_MouseOver)
        palette = option.palette
        painter.save()
        rect = option.rect.adjusted(4, 2, -4, -2)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if chosen or (hover and entry.error is None):
            role = QPalette.ColorRole.Highlight if chosen else QPalette.ColorRole.AlternateBase
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(palette.color(role))
            painter.drawRoundedRect(rect, 4, 4)
        role = QPalette.ColorRole.HighlightedText if chosen else QPalette.ColorRole.Text
        ink = palette.color(QPalette.ColorGroup.Active, role)
        text = rect.adjusted(8, 4, -8, -4)
        if entry.error is None:
            self._paint_picture(
                painter, QRect(rect.left() + 6, rect.top() + 6, _THUMB, _THUMB), index
            )
            text.setLeft(rect.left() + _THUMB + 16)
        self._paint_text(painter, text, entry, ink, ink if chosen else faint(palette))
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(ink, 1, Qt.PenStyle.DotLine))
            painter.drawRoundedRect(rect.adjusted(2, 2, -3, -3), 3, 3)
        painter.restore()

    def _paint_picture(self, painter: QPainter, box: QRect, index: Index) -> None:
        pixmap = index.data(PREVIEW_ROLE)
        if pixmap is None:
            # The family's letter, where there is no picture.
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(128, 128, 128, 60))
            painter.drawRoundedRect(box, 4, 4)
            return
        ratio = painter.device().devicePixelRatioF()
        side = round(_THUMB * ratio)
        scaled = pixmap.scaled(
            side,
            side,
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        painter.drawPixmap(box, scaled)

    def _paint_text(
        self, painter: QPainter, box: QRect, entry: Entry, ink: QColor, quiet: QColor
    ) -> None:
        metrics = painter.fontMetrics()
        elide = Qt.TextElideMode.ElideRight
        second = describe_family(entry)
        if entry.error is None:
            box.setTop(box.center().y() - metrics.height())
        painter.setPen(ink if entry.error is None else quiet)
        line = QRect(box.left(), box.top(), box.width(), metrics.height())
        title = f"⚠ {entry.title}" if entry.error else entry.title
        painter.drawText(
            line, Qt.AlignmentFlag.AlignLeft, metrics.elidedText(title, elide, box.width())
        )
        painter.setPen(quiet)
        font = QFont(painter.font())
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * 11 / 13)
        painter.setFont(font)
        rest = QRect(box.left(), line.bottom() + 2, box.width(), box.bottom() - line.bottom())
        if entry.error is None:
            second = painter.fontMetrics().elidedText(second, elide, box.width())
        painter.drawText(rest, _WRAP if entry.error else Qt.AlignmentFlag.AlignLeft, second)


_WRAP = int(Qt.TextFlag.TextWordWrap) | int(Qt.AlignmentFlag.AlignLeft.value)


class LibraryPanel(QWidget):
    """Search and cards; a click opens a model.

    Args:
        controller: of the window.
    """

    def __init__(self, controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Library")
        self.setProperty(TOPIC, "library")
        self._controller = controller
        self.model = LibraryModel(controller, self)
        self._filter = QSortFilterProxyModel(self)
        self._filter.setSourceModel(self.model)
        self._filter.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self._filter.setFilterRole(Qt.ItemDataRole.AccessibleTextRole)
        self.search = QLineEdit(placeholderText="Find a model")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Find a model")
        self.search.textChanged.connect(self._search)
        self.view = QListView()
        self._empty = QLabel()
        self._build()
        self._watcher = QFileSystemWatcher(self)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(400)
        self._settle.timeout.connect(self.refresh)
        self._watcher.directoryChanged.connect(lambda _folder: self._settle.start())
        controller.library_changed.connect(self.refresh)
        controller.model_changed.connect(self._mark_current)
        self.refresh()

    def _build(self) -> None:
        view = self.view
        view.setModel(self._filter)
        view.setItemDelegate(CardDelegate(view))
        view.setFrameShape(QFrame.Shape.NoFrame)
        view.setAccessibleName("Models")
        view.setMouseTracking(True)
        view.setResizeMode(QListView.ResizeMode.Adjust)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        view.clicked.connect(self._open)
        view.activated.connect(self._open)
        self._empty.setWordWrap(True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setContentsMargins(16, 16, 16, 16)
        pages = QWidget()
        self._stack = QStackedLayout(pages)
        self._stack.addWidget(view)
        self._stack.addWidget(self._empty)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(8)
        row = QVBoxLayout()
        row.setContentsMargins(8, 0, 8, 0)
        row.addWidget(self.search)
        layout.addLayout(row)
        layout.addWidget(pages, 1)

    def refresh(self) -> None:
        """Read the library again and watch its folders."""
        self.model.refresh()
        wanted = {str(f) for f in self._controller.library.folders if f.is_dir()}
        watched = set(self._watcher.directories())
        if wanted - watched:
            self._watcher.addPaths(sorted(wanted - watched))
        self._mark_current()
        self._say_empty()

    def _search(self, text: str) -> None:
        self._filter.setFilterFixedString(text)
        self._mark_current()
        self._say_empty()

    def _say_empty(self) -> None:
        if self.model.rowCount() == 0:
            self._empty.setText(
                "No model is here yet. Drop a model file (.safetensors) anywhere in the window, "
                "or train one with `latentlab train`."
            )
        else:
            self._empty.setText("No model has this name.")
        self._stack.setCurrentIndex(0 if self._filter.rowCount() else 1)

    def _mark_current(self, *_: object) -> None:
        """Select the card of the model that is open."""
        current = self._controller.model_entry
        selection = self.view.selectionModel()
        for row in range(self._filter.rowCount()):
            index = self._filter.index(row, 0)
            if current is not None and index.data(ENTRY_ROLE).id == current.id:
                flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
                selection.setCurrentIndex(index, flag)
                return
        selection.clearSelection()

    def _open(self, index: Index) -> None:
        entry: Entry = index.data(ENTRY_ROLE)
        current = self._controller.model_entry
        if entry.error is None and (current is None or entry.id != current.id):
            self._controller.open_model(entry.id)

    def changeEvent(self, event: QEvent) -> None:
        """Measure the cards again when the text changes its size."""
        if event.type() == QEvent.Type.FontChange:
            self.view.doItemsLayout()
        super().changeEvent(event)
