"""The controller's part about matrices of switched parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from latentlab.ui.switch_model import SwitchModel


class SwitchActions:
    """Part of the controller: see ``ui.controller``."""

    _switch_model: SwitchModel | None = None

    @property
    def switch(self) -> SwitchModel:
        """The matrix of the current model; nothing is made before somebody looks."""
        if self._switch_model is None:
            # The window's first paint does not wait for it.
            from latentlab.ui.switch_model import SwitchModel

            self._switch_model = SwitchModel(self, self)
        return self._switch_model
