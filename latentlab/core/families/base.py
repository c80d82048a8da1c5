"""What the tables of a recipe are made of: settings that explain themselves. No torch here."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


class Table(BaseModel):
    """A table of a recipe: never changes, takes no unknown key, converts no type silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())


def setting(
    default: Any,
    title: str,
    explanation: str,
    *,
    unit: str = "",
    group: str = "",
    advanced: bool = False,
    choices: tuple[str, ...] = (),
    form: str = "",
    **limits: Any,
) -> Any:
    """Return a pydantic field that forms, messages and the command line can explain.

    Args:
        default: ``...`` where there is none.
        title: a few words, as a label in a form.
        explanation: what it does, in whole sentences.
        unit: of a number, for example ``steps``; empty where there is none.
        group: heading under which a form puts this setting and those after it.
        advanced: a beginner need not see it.
        choices: words to suggest for a text that may also be something else.
        form: what a value must look like, in words, where limits do not say it.
        **limits: ``ge``, ``gt``, ``le``, ``lt``, ``pattern`` and whatever else pydantic takes.
    """
    extra: dict[str, Any] = {"unit": unit, "group": group, "advanced": advanced, "form": form}
    if choices:
        extra["choices"] = list(choices)
    return Field(default, title=title, description=explanation, json_schema_extra=extra, **limits)


class ModelTable(Table):
    """``[model]``: the family and its settings.

    A family of the catalog has a subclass with typed settings; one that is plugged in without
    settings of its own takes any key, and its trainer checks them.
    """

    model_config = ConfigDict(extra="allow")

    family: str = setting(..., "Family", "The kind of model, for example vae.", min_length=1)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything but the family, with every default filled in, leaving out what is ``None``."""
        return self.model_dump(mode="json", exclude={"family"}, exclude_none=True)


class FamilySettings(ModelTable):
    """Base of the settings of one family: a ``[model]`` table whose keys are all known.

    Attributes:
        image_sizes: heights and widths that the family works on, in pixels; ``None`` for any.
    """

    model_config = ConfigDict(extra="forbid")

    image_sizes: ClassVar[tuple[int, ...] | None] = None
