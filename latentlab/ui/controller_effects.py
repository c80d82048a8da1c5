"""The controller's part about what sliders do besides what they are for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PySide6.QtCore import Signal

from latentlab.core.direction import Direction
from latentlab.core.effects import EffectReport
from latentlab.core.errors import LatentLabError
from latentlab.core.requests import Failure
from latentlab.ui.effects_model import (
    PROBE,
    Measured,
    SideEffect,
    direction_mark,
    measured,
    worst_side_effect,
)

_KEPT = 8
"""Reports kept for a model, so that undo finds the one that holds again."""


class EffectActions:
    """Methods of ``Controller``; see there.

    Signals:
        effects_changed: the ``EffectReport`` of the current model, or ``None``.
        slider_selected: name of a direction whose slider should be shown.
    """

    effects_changed = Signal(object)
    slider_selected = Signal(str)

    def _effects_kept(self) -> dict[str, list[Measured]]:
        return self.__dict__.setdefault("_measured_effects", {})

    @property
    def measured_effects(self) -> Measured | None:
        """What was measured of the current model: what still holds, or else the newest."""
        if self.model is None:
            return None
        here = self.model.spec.fingerprint
        kept = self._effects_kept().get(self.model_mark, [])
        # While a model learns, what was measured stays to be seen, as of an older step.
        found = [one if one.fingerprint == here else one.of_older_weights() for one in kept]
        marks = {name: direction_mark(d) for name, d in self.directions.items()}
        for one in reversed(found):
            if all(marks.get(name) == mark for name, mark in one.marks.items()):
                return one
        return found[-1] if found else None

    @property
    def effects(self) -> EffectReport | None:
        """The report on the current model, if its sliders were measured."""
        found = self.measured_effects
        return None if found is None else found.report

    @property
    def effects_outdated(self) -> tuple[str, ...]:
        """Names of directions that changed after the report was made."""
        found = self.measured_effects
        return () if found is None else found.changed(self.directions)

    def side_effect_of(self, name: str) -> SideEffect | None:
        """Return the largest measured side effect of a slider, as long as it holds."""
        found = self.measured_effects
        if found is None or name in found.changed(self.directions):
            return None
        return worst_side_effect(found.report, name)

    def take_effects(
        self,
        report: EffectReport,
        directions: Sequence[Direction],
        reader: str = PROBE,
        fingerprint: str | None = None,
    ) -> None:
        """Keep a report.

        Args:
            report: what was measured.
            directions: that were measured.
            reader: what was asked to read: ``probe`` or a data source.
            fingerprint: of the model's weights; the current model's when not given.
        """
        if fingerprint is None:
            if self.model is None:
                return
            fingerprint = self.model.spec.fingerprint
        here = self.model is not None and (
            fingerprint == self.model.spec.fingerprint or self.step_of(fingerprint) is not None
        )
        mark = self.model_mark if here else fingerprint
        kept = self._effects_kept().setdefault(mark, [])
        kept.append(measured(report, directions, reader, fingerprint))
        del kept[:-_KEPT]
        self.effects_changed.emit(self.effects)

    def measure_effects(
        self,
        settings: Mapping[str, Any],
        *,
        on_done: Callable[[], None],
        on_failure: Callable[[Failure], None],
        on_partial: Callable[[Any], None],
    ) -> Any:
        """Measure all sliders of the current model; return the job.

        Args:
            settings: ``reader``, ``split``, ``samples``, ``amount``, ``seed`` of the job.
            on_done: called when the report is there.
            on_failure: called with the reason why there is none.
            on_partial: gets what the job shows on its way.

        Raises:
            LatentLabError: no model is open, or it has no sliders.
        """
        entry, directions = self._measurable()
        mark = entry.header.spec.fingerprint

        def take(report: EffectReport) -> None:
            self.take_effects(report, directions, settings["reader"], mark)
            on_done()

        return self.run_job(
            "measure_effects",
            "Measuring what sliders do",
            {"model": entry.id, "directions": tuple(directions), **settings},
            take,
            on_failure,
            on_partial,
        )

    def untangle(
        self,
        names: Sequence[str],
        settings: Mapping[str, Any],
        *,
        on_value: Callable[[Any], None],
        on_failure: Callable[[Failure], None],
    ) -> Any:
        """Look for sliders with smaller side effects; nothing changes; return the job.

        Args:
            names: of the sliders; the others, and locked ones, stay as they are.
            settings: as in ``measure_effects``.
            on_value: gets an ``Orthogonalised``.
            on_failure: called with the reason why there is none.

        Raises:
            LatentLabError: no model is open, or it has no sliders.
        """
        entry, directions = self._measurable()
        arguments = {
            "model": entry.id,
            "directions": tuple(directions),
            "names": tuple(names),
            "locked": tuple(name for name in self.locked if name in self.directions),
            **settings,
        }
        return self.run_job(
            "orthogonalise_directions", "Untangling sliders", arguments, on_value, on_failure
        )

    def _measurable(self) -> tuple[Any, list[Direction]]:
        entry = self.model_entry
        if entry is None:
            raise LatentLabError("No model is open: choose one in the library.")
        directions = list(self.directions.values())
        if not directions:
            raise LatentLabError("This model has no sliders: make a direction first.")
        first = directions[0].space
        return entry, [d for d in directions if d.space == first]

    def select_slider(self, name: str) -> None:
        """Show the slider of a direction."""
        if name in self.directions:
            # First: a panel that is not there hears nothing, nor does one behind take the focus.
            self.panel_asked.emit("attributes")
            self.slider_selected.emit(name)
