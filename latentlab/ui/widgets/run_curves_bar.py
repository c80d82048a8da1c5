"""The controls above the charts of training: which, over what, how smooth."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSlider,
    QToolButton,
    QWidget,
)

from latentlab.ui.icons import icon
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.run_quantities import Quantity
from latentlab.ui.widgets.run_series import records_of
from latentlab.ui.widgets.run_text import figure
from latentlab.ui.widgets.run_view_state import TrainView

_TITLES = (("steps", "Steps"), ("epochs", "Epochs"), ("time", "Time"))
_TICKS = 100


class CurvesBar(QWidget):
    """Charts, axis, logarithm, smoothing and the menu.

    Args:
        view: what the person chose; it is changed here.

    Signals:
        charts_changed: other charts are wanted.
        axes_changed: another axis, logarithm or smoothing.
        fit_asked: everything is to be seen.
    """

    charts_changed = Signal()
    axes_changed = Signal()
    fit_asked = Signal()

    def __init__(self, view: TrainView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = view
        self._offered: tuple[Quantity, ...] = ()
        self._ticks: dict[str, QAction] = {}
        self.charts = QToolButton(self, text="Charts")
        self.charts.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.charts.setToolTip("Choose the charts")
        self.charts_menu = QMenu(self.charts)
        self.charts_menu.setToolTipsVisible(True)
        self.charts.setMenu(self.charts_menu)
        self.axis = QComboBox(self)
        self.axis.setAccessibleName("Horizontal axis")
        self.axis.setToolTip("What runs along the charts; time is without pauses between starts")
        for name, title in _TITLES:
            self.axis.addItem(title, name)
        self.axis.setCurrentIndex([name for name, _ in _TITLES].index(view.axis))
        self.log = QCheckBox("&Log y", self)
        self.log.setToolTip("Logarithmic vertical axes")
        self.log.setChecked(view.log)
        self.smoothing = QSlider(Qt.Orientation.Horizontal, self)
        self.smoothing.setRange(0, _TICKS)
        self.smoothing.setValue(round(view.smoothing * _TICKS))
        self.smoothing.setFixedWidth(84)
        self.smoothing.setAccessibleName("Smoothing")
        self.amount = QLabel()
        self.fit = QToolButton(self)
        self.fit.setAutoRaise(True)
        self.fit.setAccessibleName("Show everything")
        self.fit.setToolTip("Show everything (Home on a chart)")
        self.more = QToolButton(self)
        self.more.setAutoRaise(True)
        self.more.setAccessibleName("Copy or save the charts")
        self.more.setToolTip("Copy or save the charts")
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._lay_out()
        self._connect()
        self._say_amount()
        self.recolour()

    def _lay_out(self) -> None:
        smooth = QWidget(self)
        row = QHBoxLayout(smooth)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        caption = QLabel("S&mooth")
        caption.setBuddy(self.smoothing)
        self.amount.setFixedWidth(self.amount.fontMetrics().horizontalAdvance("10,000") + 4)
        for widget in (caption, self.smoothing, self.amount):
            row.addWidget(widget)
        flow = FlowLayout(self, spacing=6)
        flow.setContentsMargins(0, 0, 0, 0)
        for widget in (self.charts, self.axis, self.log, self.fit, self.more, smooth):
            flow.addWidget(widget)

    def _connect(self) -> None:
        self.axis.currentIndexChanged.connect(self._take)
        self.log.toggled.connect(self._take)
        self.smoothing.valueChanged.connect(self._take)
        self.fit.clicked.connect(lambda: self.fit_asked.emit())

    def _take(self, *_: object) -> None:
        self._view.axis = self.axis.currentData()
        self._view.log = self.log.isChecked()
        self._view.smoothing = self.smoothing.value() / _TICKS
        self._say_amount()
        self.axes_changed.emit()

    def _say_amount(self) -> None:
        count = records_of(self._view.smoothing)
        off = self._view.smoothing == 0
        self.amount.setText("off" if off else f"{count:,.0f}" if count >= 10 else f"{count:.1f}")
        said = "No smoothing" if off else f"Averages over about {figure(count)} records"
        self.smoothing.setToolTip(f"{said}; single records stay visible behind")
        self.smoothing.setAccessibleDescription(said)

    def offer_charts(self, offered: Sequence[Quantity]) -> None:
        """Offer these charts in the menu, ticked as they are chosen."""
        shown = chosen_charts(self._view, offered)
        if tuple(offered) == self._offered:
            # An action that is at work must not be replaced.
            for name, action in self._ticks.items():
                action.blockSignals(True)
                action.setChecked(name in shown)
                action.blockSignals(False)
            return
        self._offered = tuple(offered)
        self._ticks = {}
        self.charts_menu.clear()
        for quantity in offered:
            action = self.charts_menu.addAction(quantity.title.replace("&", "&&"))
            self._ticks[quantity.id] = action
            action.setCheckable(True)
            action.setChecked(quantity.id in shown)
            action.setToolTip(quantity.tip)
            action.toggled.connect(
                lambda on, name=quantity.id, offered=tuple(offered): self._toggle(name, on, offered)
            )
        self.charts_menu.addSeparator()
        usual = self.charts_menu.addAction("The &usual ones")
        usual.triggered.connect(self._usual)

    def _toggle(self, name: str, shown: bool, offered: Sequence[Quantity]) -> None:
        now = chosen_charts(self._view, offered)
        # Charts of other runs, which are not offered now, stay chosen.
        other = set(self._view.charts or ()) - {q.id for q in offered}
        now = now | {name} if shown else now - {name}
        self._view.charts = tuple(sorted(now | other))
        self.charts_changed.emit()

    def _usual(self) -> None:
        self._view.charts = None
        self.charts_changed.emit()

    def recolour(self) -> None:
        """Draw the icons anew."""
        for button, name in ((self.fit, "map-fit"), (self.more, "more")):
            button.setIcon(icon(name, self.palette()))
            button.setIconSize(QSize(16, 16))

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other icons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.recolour()


def chosen_charts(view: TrainView, offered: Sequence[Quantity]) -> set[str]:
    """Return the ids of the charts to show."""
    if view.charts is None:
        return {quantity.id for quantity in offered if quantity.usual}
    return {quantity.id for quantity in offered if quantity.id in view.charts}
