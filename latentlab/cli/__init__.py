"""The command line. Each command imports what it needs when it runs: ``--help`` waits for nothing.

Exit codes: 0 done, 2 a mistake that the person can mend (one sentence on standard error), 130
stopped by Ctrl+C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Union

import tyro

from latentlab.cli.arithmetic import Arithmetic
from latentlab.cli.denoise import Denoise
from latentlab.cli.directions import Direction, Labels
from latentlab.cli.effects import Orthogonalise
from latentlab.cli.images import Decode, Edit, Encode, Sample
from latentlab.cli.likelihood import Likelihood
from latentlab.cli.machine import Bench, Doctor, Gui, Models
from latentlab.cli.maps import Map
from latentlab.cli.recipe import Recipe
from latentlab.cli.restore import Corrupt, Restore
from latentlab.cli.runs import Runs
from latentlab.cli.study import Measure
from latentlab.cli.switch import Switch
from latentlab.cli.train import Train
from latentlab.core.errors import LatentLabError

COMMANDS: dict[str, Any] = {
    "doctor": Doctor,
    "models": Models,
    "sample": Sample,
    "encode": Encode,
    "decode": Decode,
    "denoise": Denoise,
    "corrupt": Corrupt,
    "restore": Restore,
    "labels": Labels,
    "direction": Direction,
    "arithmetic": Arithmetic,
    "orthogonalise": Orthogonalise,
    "edit": Edit,
    "switch": Switch,
    "map": Map,
    "likelihood": Likelihood,
    "measure": Measure,
    "recipe": Recipe,
    "train": Train,
    "runs": Runs,
    "bench": Bench,
    "gui": Gui,
}
"""Command class by name; each has ``run() -> int`` and its example in the docstring."""


def _command_type() -> Any:
    members = [
        Annotated[
            command,
            tyro.conf.subcommand(name, description=command.__doc__, prefix_name=False),
        ]
        for name, command in COMMANDS.items()
    ]
    return Union[tuple(members)]  # noqa: UP007 (made at run time)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: the words after ``latentlab``; those of this process when not given.
    """
    try:
        command = tyro.cli(
            _command_type(),
            prog="latentlab",
            description="Open any generative image model, see its latent space, and steer it.",
            args=None if arguments is None else list(arguments),
            config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitSubcommandPrefixes),
        )
        code = int(command.run())
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader, such as `head`, has enough; Python's own flush at the end must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    except LatentLabError as error:
        print(f"latentlab: {error.message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("latentlab: stopped.", file=sys.stderr)
        return 130


def gui_main() -> int:
    """Start the window: what ``latentlab-gui`` runs."""
    return main(["gui", *sys.argv[1:]])
