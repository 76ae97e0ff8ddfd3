"""What travels to workers: the set-up, once each, and the tasks, one per cell. Plain values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.evaluation.protocols import Protocol
from mdnbench.spec.names import Named
from mdnbench.spec.records import Cell, Outcome, Used
from mdnbench.spec.specs import Wants
from mdnbench.weights import Weights

if TYPE_CHECKING:
    from mdnbench.registry.discovery import Door


@dataclass(frozen=True, slots=True)
class Job:
    """A method under a noise, with the weights that it uses: what many tasks share.

    `method_door` and `noise_door` are the sources of the two, `wants` what the method asks to know of the noise, and
    `packages` the distributions that it declares. A job that only scores has no method.
    """

    noise: Named
    noise_door: Door
    method: Named
    method_door: Door | None = None
    weights: Weights | None = None
    wants: Wants = "nothing"
    packages: tuple[str, ...] = ()

    @property
    def model(self) -> tuple[str, str]:
        """What is loaded for this job, whatever the noise: the method's text and its weights' digest."""
        return self.method.text, self.weights.sha256 if self.weights else ""


@dataclass(frozen=True, slots=True)
class Setup:
    """What all tasks of a run share.

    Clean images come from the data set (or folder) `dataset`, whose source is `dataset_door` (None for a folder), or,
    if `images` is given, from that folder by their pixels' digests, as kept ones do. `metrics` are the sources of the
    metrics by name; `revisions` are those of methods, noises and metrics, by kind and name, when the run was planned:
    what has another one is not used. `timeout` is in seconds per cell; `memory_bytes` bounds the process of a method
    with its children (0: no bound). `plugins` are all plugin files of the run, `tested` the files of the data set,
    which no method may open. `variables` are put into the workers' environment.
    """

    dataset: str
    dataset_door: Door | None
    protocol: Protocol
    device: str
    jobs: tuple[Job, ...]
    metrics: Mapping[str, Door]
    revisions: Mapping[tuple[str, str], str]
    timeout: float
    memory_bytes: int = 0
    plugins: tuple[Path, ...] = ()
    tested: tuple[Path, ...] = ()
    images: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def model(self, job: int) -> int:
        """Return the first job whose model is this one's too, so that one loading serves both."""
        return next(place for place, other in enumerate(self.jobs) if other.model == self.jobs[job].model)


@dataclass(frozen=True, slots=True)
class Task:
    """One cell to compute: denoise and score it, or, if the output is kept already, only score it.

    `job` is an index into the set-up's jobs; `pixels` the image's number of pixels, the measure of the work.
    """

    position: int
    cell: Cell
    job: int
    pixels: int
    metrics: tuple[str, ...]
    keep: bool
    kept: Path | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a bench gives for a task: the outcome, the files that were used for it, and the most memory a method held.

    `used` is None if it is what the bench told last for this job.
    """

    outcome: Outcome
    used: Used | None
    peak_bytes: int
