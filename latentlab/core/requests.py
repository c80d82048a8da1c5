"""What is asked of the worker and what it answers: frozen, complete values.

A *preview* goes through a channel: one slot, the newest wins. A *job* is long work that reports
progress and can be cancelled. Both run where the models are; the asker may be another process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.latents import Latents


@dataclass(frozen=True)
class Failure:
    """An error as a result: one sentence, and the copyable details."""

    message: str
    details: str = ""


@dataclass(frozen=True, eq=False)
class PreviewRequest:
    """Make the images of one picture, soon.

    Attributes:
        channel: who asks: ``canvas``, ``strip``, ``map``; each has one slot.
        sequence: rises with every request of a channel.
        picture: what to decode.
        stored: the latents that ``picture.stored`` names; ``None`` for prior samples.
        exact: decode in the fixed micro-batch, for bytes that are kept or exported.
        directions: the person's own that the picture's edits name, beside the model's own; by the
            same name, the person's wins.
        decode: false asks for the latents alone, which are there at once.
        keys: a number a row, 0 to 2**63 - 1, from which a sampler draws the noise that it injects;
            the picture's own (see ``core.row_keys``) when there are none.
    """

    channel: str
    sequence: int
    picture: Picture
    stored: Latents | None = None
    exact: bool = False
    directions: Mapping[str, Direction] = field(default_factory=dict)
    decode: bool = True
    keys: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class PreviewResult:
    """Images, or the reason why there are none.

    Attributes:
        channel: of the request.
        sequence: of the request.
        images: uint8 ``(batch, H, W, C)``, C being 1 or 3; ``None`` with ``failure``, and where
            only the latents were asked for.
        latents: the latents that were decoded, edits included.
        failure: set when the request could not be served.
        forward_ms: time in the network, over all its evaluations so far.
        total_ms: time from taking the request to having the bytes.
        final: false for a first, rough image of a model with many steps.
    """

    channel: str
    sequence: int
    images: NDArray[np.uint8] | None = None
    latents: Latents | None = None
    failure: Failure | None = None
    forward_ms: float = 0.0
    total_ms: float = 0.0
    final: bool = True


@dataclass(frozen=True, eq=False)
class JobRequest:
    """Long work.

    Attributes:
        job: id chosen by the asker, unique in its process.
        kind: row of ``services.jobs.JOBS``: ``open_model``, ``encode_photo``, ``export_png`` ...
        arguments: keyword arguments of the job's function: plain values, arrays, ``Picture``,
            ``Latents``.
        title: what the status bar says.
    """

    job: str
    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True, eq=False)
class JobProgress:
    """How far a job is; ``partial`` may carry something to show at once."""

    job: str
    done: int
    total: int
    message: str = ""
    partial: Any = None


@dataclass(frozen=True, eq=False)
class JobResult:
    """The end of a job: a value, a failure, or neither when it was cancelled."""

    job: str
    value: Any = None
    failure: Failure | None = None
    cancelled: bool = False
