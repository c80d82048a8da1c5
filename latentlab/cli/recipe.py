"""The ``recipe`` command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from latentlab.cli.common import Json, Many, overrides_of, print_json
from latentlab.core.errors import LatentLabError


@dataclass(frozen=True)
class Recipe:
    """Write a training recipe that explains itself, check one, or explain every setting.

    Example: latentlab recipe --family vae --preset quick --data portraits --out r.toml &&
    latentlab train r.toml

    Check one: latentlab recipe r.toml --check; explain: latentlab recipe --explain vae
    """

    what: Annotated[
        str | None,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="FILE", help="A recipe; with --explain, a family."),
    ] = None
    family: Annotated[str, tyro.conf.arg(help="What to train: vae or probe.")] = "vae"
    preset: Annotated[
        str, tyro.conf.arg(help="quick (minutes), good (half an hour) or best (hours).")
    ] = "quick"
    data: Annotated[
        str | None,
        tyro.conf.arg(metavar="SOURCE", help="Folder, zip, files of a data set, or 'portraits'."),
    ] = None
    size: Annotated[
        int | None, tyro.conf.arg(metavar="N", help="Pixels each way; chosen from the data.")
    ] = None
    set_: Annotated[
        Many, tyro.conf.arg(name="set", metavar="KEY=VALUE", help="For example train.steps=500.")
    ] = ()
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help="Write it there; printed if not given.")
    ] = None
    replace: Annotated[bool, tyro.conf.arg(help="Write over a file that is there.")] = False
    check: Annotated[bool, tyro.conf.arg(help="Check FILE and say what it means.")] = False
    explain: Annotated[bool, tyro.conf.arg(help="Explain every setting.")] = False
    markdown: Annotated[bool, tyro.conf.arg(help="With --explain: the manual's page.")] = False
    json: Json = False

    def run(self) -> int:
        """Do what the flags ask for."""
        if self.explain:
            return self._explain()
        if self.data is not None:
            if self.what is not None:
                raise LatentLabError(
                    "Give a FILE to check, or --data to write a recipe for, not both."
                )
            return self._write(self.data)
        if self.what is None:
            raise LatentLabError(
                "Say what the recipe is for with --data SOURCE (for example --data portraits), or "
                "name a FILE with --check."
            )
        if not self.check:
            raise LatentLabError(
                f"Add --check to check '{self.what}', or --data SOURCE to write a recipe."
            )
        return self._check(Path(self.what))

    def _check(self, path: Path) -> int:
        from latentlab.core.recipe import load_recipe
        from latentlab.core.recipe_summary import changed_settings, recipe_summary

        recipe = load_recipe(path, overrides_of(self.set_))
        if self.json:
            total = None if recipe.train.epochs is not None else recipe.train.total_steps(0)
            values = {"file": path, "family": recipe.model.family, "total_steps": total}
            print_json(values | {"changed": changed_settings(recipe), "recipe": recipe.resolved()})
            return 0
        print(f"'{path}' is a sound recipe.")
        for line in recipe_summary(recipe):
            print(line)
        return 0

    def _write(self, source: str) -> int:
        from latentlab.core.presets import preset_info, preset_recipe
        from latentlab.core.recipe import check_recipe
        from latentlab.core.recipe_comments import commented_toml
        from latentlab.data.facts import source_facts

        info = preset_info(self.family, self.preset)
        size = {} if self.size is None else {"size": self.size}
        facts = source_facts(source)
        recipe = preset_recipe(self.family, self.preset, source, facts=facts, **size)
        overrides = overrides_of(self.set_)
        if overrides:
            recipe = check_recipe(recipe.resolved(), "recipe", overrides)
        name = self.out.name if self.out else "FILE"
        heading = f"{info.title}: {info.summary} Train it with: latentlab train {name}"
        text = commented_toml(recipe, heading)
        if self.out is not None:
            _put(self.out, text, self.replace)
        if self.json:
            preset: Mapping[str, Any] = {"preset": self.preset, **asdict(info)}
            print_json({"file": self.out, **preset, "recipe": recipe.resolved(), "toml": text})
        elif self.out is None:
            print(text, end="")
        else:
            print(f"The recipe is {self.out}; train it with: latentlab train {self.out}")
        return 0

    def _explain(self) -> int:
        from latentlab.core.recipe_comments import limits_sentence, settings_markdown
        from latentlab.core.settings_schema import groups

        if self.markdown:
            print(settings_markdown(), end="")
            return 0
        found = groups(self.what or self.family)
        if self.json:
            print_json([asdict(group) for group in found])
            return 0
        for number, group in enumerate(found):
            print(f"{'' if number == 0 else chr(10)}{group.title}")
            for setting in group.settings:
                print(f"  {setting.key}: {setting.help} {limits_sentence(setting)}")
        return 0


def _put(path: Path, text: str, replace: bool) -> None:
    from latentlab.core.modelfile import replace_file

    if path.is_file() and not replace:
        raise LatentLabError(f"'{path}' is there already: choose another name, or add --replace.")
    replace_file(path, lambda temporary: temporary.write_text(text, "utf-8"))
