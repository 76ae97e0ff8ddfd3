"""What travels to a worker: the set-up, once per worker, and the tasks, one per cell. Plain values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mdnbench.evaluation.protocols import Protocol
from mdnbench.names import Named
from mdnbench.records import Cell
from mdnbench.weights import Weights


@dataclass(frozen=True, slots=True)
class Job:
    """A method under a noise, with the weights that it uses: what many tasks share."""

    noise: Named
    method: Named
    weights: Weights | None

    @property
    def model(self) -> tuple[str, str]:
        """What is loaded for this job, whatever the noise: the method's text and its weights' digest."""
        return self.method.text, self.weights.sha256 if self.weights else ""


@dataclass(frozen=True, slots=True)
class Setup:
    """What all tasks of a run share. A worker rebuilds plugins from their files and names.

    `revisions` are those of what plugins bring, by kind and name, when the run was planned: what differs is not used.
    Clean images come from the data set, or, where `images` is given, from that folder by their pixels' digests, as kept
    ones do. `variables` are put into the worker's environment before anything else.
    """

    plugins: tuple[Path, ...]
    dataset: str
    protocol: Protocol
    device: str
    jobs: tuple[Job, ...]
    revisions: Mapping[tuple[str, str], str]
    images: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def model(self, job: int) -> int:
        """The first job whose model is this one's too, so that one loading serves both."""
        return next(place for place, other in enumerate(self.jobs) if other.model == self.jobs[job].model)


@dataclass(frozen=True, slots=True)
class Task:
    """One cell to compute: denoise and score it, or, where the output is kept already, only score it.

    `job` is an index into the set-up's jobs; `pixels` the image's number of pixels, the measure of the work.
    """

    position: int
    cell: Cell
    job: int
    pixels: int
    metrics: tuple[str, ...]
    keep: bool
    kept: Path | None = None
