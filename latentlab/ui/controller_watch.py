"""Training runs, for all that show them: one feed a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from latentlab.ui.run_feed import RunFeed


class WatchActions:
    """Part of the controller: see ``ui.controller``."""

    _feed: RunFeed | None = None

    @property
    def runs(self) -> RunFeed:
        """The runs; nothing is looked at before the first question."""
        if self._feed is None:
            # The window's first paint does not wait for it.
            from latentlab.ui.run_feed import RunFeed

            self._feed = RunFeed(self.settings, self)
            self._feed.failed.connect(self.failed)
            self._feed.runs_changed.connect(self.take_runs)
        return self._feed

    def end_runs(self) -> None:
        """Watch no more: the window closes."""
        if self._feed is not None:
            self._feed.stop()
