"""The docks of the window: their places, the named arrangements, and what is kept of them."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QByteArray, Qt, QTimer
from PySide6.QtWidgets import QDockWidget, QTabBar, QWidget

from latentlab.core.settings import Settings

VERSION = 2
"""Rises when the docks change so much that an old arrangement makes no sense."""

LEFT_WIDTH, RIGHT_WIDTH = 220, 340
_SHARE, _BROWSE_SHARE, _TRAIN_SHARE = 0.3, 0.45, 0.66
"""Of the window's width, for the panels on the right; usually, while browsing, and training."""
_DENOISE_SHARE = 0.6
"""For steps, and for matrices."""
_AREA = Qt.DockWidgetArea


class LayoutKeeper:
    """Docks of one window.

    Args:
        window: a ``QMainWindow`` whose centre is the canvas.
    """

    def __init__(self, window: Any) -> None:
        self._window = window
        self.left: list[QDockWidget] = []
        self.right: list[QDockWidget] = []
        # The tray goes along the whole bottom edge.
        for corner in (Qt.Corner.BottomLeftCorner, Qt.Corner.BottomRightCorner):
            window.setCorner(corner, _AREA.BottomDockWidgetArea)
        window.setDockNestingEnabled(True)
        window.tabifiedDockWidgetActivated.connect(self._keep_titles_whole)

    def add(self, name: str, title: str, widget: QWidget, left: bool) -> QDockWidget:
        """Put a panel into a dock that can be moved, torn off and closed."""
        dock = QDockWidget(title, self._window)
        dock.setObjectName(f"dock-{name}")
        dock.setAccessibleName(title)
        dock.setWidget(widget)
        (self.left if left else self.right).append(dock)
        return dock

    def add_tray(self, widget: QWidget) -> None:
        """Put the tray below everything; it never leaves."""
        dock = QDockWidget("Tray", self._window)
        dock.setObjectName("dock-tray")
        dock.setFeatures(QDockWidget.DockWidgetFeature.NoDockWidgetFeatures)
        dock.setAllowedAreas(_AREA.BottomDockWidgetArea)
        # Its title stands inside the tray.
        dock.setTitleBarWidget(QWidget(dock))
        dock.setWidget(widget)
        self._window.addDockWidget(_AREA.BottomDockWidgetArea, dock)

    def reset(self) -> None:
        """Put every panel back to its place."""
        window = self._window
        for dock in (*self.left, *self.right):
            dock.setFloating(False)
            window.removeDockWidget(dock)
        for dock in self.left:
            window.addDockWidget(_AREA.LeftDockWidgetArea, dock, Qt.Orientation.Vertical)
            dock.show()
        for dock in self.right:
            window.addDockWidget(_AREA.RightDockWidgetArea, dock)
            dock.show()
        for first, second in zip(self.right, self.right[1:]):
            window.tabifyDockWidget(first, second)
        if self.right:
            self.right[0].raise_()
        self._size()
        # The bar of the tabs is made when the window is next laid out.
        QTimer.singleShot(0, window, self._keep_titles_whole)

    def _keep_titles_whole(self, *_: object) -> None:
        """Let tabs that find no room be scrolled to, not cut."""
        direct = Qt.FindChildOption.FindDirectChildrenOnly
        for bar in self._window.findChildren(QTabBar, options=direct):
            bar.setElideMode(Qt.TextElideMode.ElideNone)
            bar.setUsesScrollButtons(True)

    def _size(self, share: float = _SHARE) -> None:
        right_width = max(RIGHT_WIDTH, round(self._window.width() * share))
        horizontal = Qt.Orientation.Horizontal
        left = [dock for dock in self.left if not dock.isHidden()]
        right = [dock for dock in self.right if not dock.isHidden()]
        if left:
            self._window.resizeDocks(left, [LEFT_WIDTH] * len(left), horizontal)
            weights = [55, 45][: len(left)]
            self._window.resizeDocks(left, weights, Qt.Orientation.Vertical)
        if right:
            self._window.resizeDocks(right[:1], [right_width], horizontal)

    def show_workspace(self, name: str) -> None:
        """Show a named arrangement: each is a panel and the room that it has.

        ``browse`` (a map), ``edit`` (sliders), ``denoise`` (steps), ``switch`` (parts), ``train``
        (runs).
        """
        self.reset()
        self.left[0].setVisible(name == "browse")
        self.left[1].setVisible(name == "edit")
        fronts = {"browse": "dock-manifold", "edit": "dock-attributes", "train": "dock-train"}
        in_front = {**fronts, "denoise": "dock-denoising", "switch": "dock-switch"}.get(name)
        for dock in self.right:
            if dock.objectName() == in_front:
                dock.raise_()
        shares = {"browse": _BROWSE_SHARE, "train": _TRAIN_SHARE, "denoise": _DENOISE_SHARE}
        shares["switch"] = _DENOISE_SHARE
        self._size(shares.get(name, _SHARE))

    def save(self, settings: Settings) -> None:
        """Keep the arrangement in the settings."""
        geometry = bytes(self._window.saveGeometry().data())
        settings.set_layout(geometry, bytes(self._window.saveState(VERSION).data()))

    def restore(self, settings: Settings) -> bool:
        """Take the arrangement of the settings; return whether there was a fitting one."""
        geometry, state = settings.layout_bytes()
        if not geometry or not self._window.restoreGeometry(QByteArray(geometry)):
            return False
        QTimer.singleShot(0, self._window, self._keep_titles_whole)
        return bool(state) and self._window.restoreState(QByteArray(state), VERSION)
